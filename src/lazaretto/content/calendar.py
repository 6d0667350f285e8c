"""Calendars and contacts: attachments, photos and keys inside iCalendar and vCard.

A property's value may be base64 (ENCODING=BASE64 or B, VALUE=BINARY, or the bare
BASE64 of vCard 2.1) or a data: URI; names are in parameters that each program
invents for itself.  HTML descriptions are given as pages.

Limits:  one pass; base64 is decoded in pieces; MAX_TEXT of what is not.
Errors:  none raised, LimitExceeded from the meter passes.
See:     RFC 5545 s3.1 (folding), s3.8.1.1 (ATTACH); RFC 6350 s6.2.4; vCard 2.1 s2.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content import inline
from lazaretto.content.container import Member, Problem
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import Source

MAX_HEAD = 4096  # name and parameters of one property
MAX_TEXT = 16 * MIB  # of an HTML description or a percent-encoded URI
_LINE_END = regex.compile(rb"(?:\r\n|\n|\r(?!\n))(?![ \t])")
_FOLD = regex.compile(rb"(?:\r\n|\n|\r)[ \t]")
_PROPERTY = regex.compile(rb"(?:[A-Za-z0-9-]{1,64}+\.)?([A-Za-z0-9-]{1,64}+)((?:;(?:\"[^\"]{0,1024}\"|[^\":;]){0,1024}+){0,64}+):")
_PARAMETER = regex.compile(rb";([A-Za-z0-9-]{1,64}+)(?:=(\"[^\"]{0,1024}\"|[^;]{0,1024}))?")
_NAMES = (b"filename", b"x-filename", b"x-apple-filename", b"x-oracle-filename", b"x-ms-filename", b"label", b"x-label", b"name")
_BASE64_LINE = regex.compile(rb"[A-Za-z0-9+/=]{1,1024}\s*\Z")
_ESCAPE = regex.compile(rb"\\([nN,;\\])")


class _Value:
    """A base64 value that may go on in the next lines."""

    __slots__ = ("media_type", "names", "start", "stop")

    def __init__(self, start: int, stop: int, names: tuple[str, ...], media_type: str) -> None:
        self.start = start
        self.stop = stop
        self.names = names
        self.media_type = media_type

    def members(self, source: Source, meter: Meter) -> Iterator[Member]:
        found = inline.Encoded(source.data, self.start, ((self.start, self.stop),), inline.base64_pieces, self.media_type)
        yield from found.members(self.names, meter, is_file=True)


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Embedded files and pages."""
    data = source.data
    value: _Value | None = None
    for start, stop in _lines(source):
        meter.tick()
        raw = data[start : min(stop, start + MAX_HEAD)]
        if value and stop - start < 1024 and _BASE64_LINE.match(raw):
            value.stop = stop  # quirk: vCard 2.1 writers break base64 without a blank before the rest
            continue
        if value:
            yield from value.members(source, meter)
            value = None
        match = _PROPERTY.match(_FOLD.sub(b"", raw))
        colon = _colon(raw)
        if match is None or not colon:
            continue
        parameters = {m[1].lower(): (m[2] or b"").strip(b'"') for m in _PARAMETER.finditer(match[2])}
        names = tuple(parameters[name].decode("utf-8", "replace") for name in _NAMES if parameters.get(name))
        media_type = parameters.get(b"fmttype", parameters.get(b"mediatype", b"")).decode("latin-1").lower()
        encoded = parameters.get(b"encoding", b"").lower() in (b"base64", b"b") or b"base64" in parameters
        begin = _FOLD.sub(b"", raw[colon : colon + 512]).lstrip()
        if begin[:5].lower() == b"data:":
            comma = data.find(b",", start + colon, stop)
            if comma >= 0 and b";base64" in b"".join(data[start + colon : comma][:MAX_HEAD].lower().split()):
                yield from _Value(comma + 1, stop, names, media_type).members(source, meter)
            elif comma >= 0:
                text = _FOLD.sub(b"", data[comma + 1 : min(stop, comma + 1 + MAX_TEXT)])
                found = inline.Encoded(text, 0, ((0, len(text)),), inline.percent_pieces, media_type)
                yield from found.members(names, meter, is_file=True)
        elif encoded or parameters.get(b"value", b"").lower() == b"binary":
            value = _Value(start + colon, stop, names, media_type)
        elif media_type == "text/html":
            text = _FOLD.sub(b"", data[start + colon : min(stop, start + colon + MAX_TEXT)])
            text = _ESCAPE.sub(lambda m: b"\n" if m[1] in b"nN" else m[1], text)
            meter.member()
            yield Member(("description",), meter.unpack([text], len(text)), is_file=False, media_type=media_type)
    if value:
        yield from value.members(source, meter)


def walk_text(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Calendars and contacts that stand in some text."""
    if any(next(inline.find_all(source.data, word), -1) >= 0 for word in (b"begin:vc", b"begin:vevent")):
        yield from walk(source, meter)


def _lines(source: Source) -> Iterator[tuple[int, int]]:
    """Logical lines: with their continuations, without the end."""
    start = 0
    for end in _LINE_END.finditer(source.data):
        if end.start() > start:
            yield start, end.start()
        start = end.end()
    if start < source.size:
        yield start, source.size


def _colon(line: bytes) -> int:
    """Where the value begins: behind the first colon outside quotes; 0 if there is none."""
    quoted = False
    for match in re.finditer(rb"[\":]", line):
        if match[0] == b'"':
            quoted = not quoted
        elif not quoted:
            return match.end()
    return 0
