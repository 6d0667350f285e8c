"""OneNote sections: the files that were dropped into a page.

Each lies in a FileDataStoreObject, whole and uncompressed, found by its GUID.
Its name stands elsewhere, as a text property; which belongs to which is only in
the graph of revisions, so each file is given all names that stand alone in a
property, unless it is a picture.

Limits:  one pass for files, one for names; MAX_NAMES; the meter's.
Errors:  none raised, LimitExceeded from the meter passes.
See:     [MS-ONESTORE] s2.6.13 (FileDataStoreObject), [MS-ONE] s2.2.70 (EmbeddedFileName)
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content.container import Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import Buffer, Source
from lazaretto.model import Span

MAX_NAMES = 16
_HEADER = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")  # {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}
_FOOTER = bytes.fromhex("22a7fb71790f0b4abb13899256426b24")  # {71FBA722-0F79-4A0B-BB13-899256426B24}
_CONTENT = 36  # GUID, length (8), unused (4), reserved (8)
_PICTURE = regex.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|\x01\0\0\0[\x00-\xff]{36} EMF")
_NAME = regex.compile(rb"(?:[^\0-\x1f\"*/:<>?\\|]\0){1,120}\.\0(?:[0-9A-Za-z]\0){1,8}\0\0")


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """The embedded files."""
    data = source.data
    names: tuple[str, ...] | None = None
    at = data.find(_HEADER)
    while at >= 0:
        length = int.from_bytes(source.read_at(at + 16, 8), "little")
        start = at + _CONTENT
        stop = min(start + length, source.size)
        following = data.find(_HEADER, at + 16)
        if following >= 0 and following < stop and data.find(_FOOTER, stop, stop + 24) < 0:
            stop = following  # the length lies
        if stop > start:
            if names is None:
                names = _names(data)
            picture = _PICTURE.match(source.read_at(start, 64))
            meter.member()
            yield Member(() if picture else names, meter.unpack(source.chunks(Span(start, stop)), source.size))
        at = following


def _names(data: Buffer) -> tuple[str, ...]:
    """Texts that look like a file name and are, by the length before them, a property's whole value."""
    names: dict[str, None] = {}
    at = data.find(b".\0")
    while at >= 0 and len(names) < MAX_NAMES:
        begin = at
        while begin >= 2 and at - begin < 240 and data[begin - 1] == 0 and data[begin - 2] >= 32:
            begin -= 2
        for start in (begin, begin + 2):  # the length's own bytes may look like a character
            match = _NAME.match(data, start)
            if match and int.from_bytes(data[start - 4 : start], "little") == match.end() - start:
                names[match[0][:-2].decode("utf-16-le")] = None
                break
        at = data.find(b".\0", at + 2)
    return tuple(names)
