"""yEnc blocks in any text.

A block starts at "=ybegin", which need not stand at the start of a line, and
ends at "=yend", at the next "=ybegin" or where the text ends.  "=ypart" lines
are no data.  Sizes and checksums are not looked at.

Readings of one block: up to "=yend" at the start of a line; up to any "=yend"
before that; through the next "=ybegin" if no "=yend" precedes it (for the first
blocks of a text); and all parts of one name together, in order of appearance.

Limits:  max_encoded_blocks; memory for one chunk; linear time.
Errors:  LimitExceeded from the finder.
See:     yEnc draft 1.3 (2002), http://www.yenc.org/yenc-draft.1.3.txt
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime.encoded import Encoded, Finder, batched, capped
from lazaretto.mime.source import Source
from lazaretto.model import Span

_EOL = regex.compile(rb"\r\n|\r|\n")
_EOLS = regex.compile(rb"[\r\n]+")
_ESCAPE = regex.compile(rb"=(.)", re.DOTALL)
_UNESCAPED = tuple(bytes([c - 64 & 255]) for c in range(256))
_SHIFT = bytes(c - 42 & 255 for c in range(256))
_MAX_LINE = 4096  # of "=ybegin" and "=yend": what we look at
_THOROUGH = 4  # so many blocks are also read through the =ybegin of the next one


def find_yenc(source: Source, span: Span | None = None, limits: Limits = DEFAULT) -> Iterator[Encoded]:
    """All readings of all blocks in `span` (default: everything)."""
    return capped(_find(source, span or Span(0, source.size)), limits)


def _find(source: Source, span: Span) -> Iterator[Encoded]:
    data, (start, stop) = source.data, span
    line_ends = Finder(source, b"\n=yend", stop), Finder(source, b"\r=yend", stop)
    any_ends = Finder(source, b"=yend", stop)
    thorough = _THOROUGH
    parts: dict[bytes, list[tuple[Span, Callable[[], Iterator[bytes]]]]] = {}
    at = data.find(b"=ybegin", start, stop)
    while at >= 0:
        eol = _EOL.search(data, at, stop)
        if not eol:
            break
        begin, first = at, eol.end()
        at = data.find(b"=ybegin", first, stop)
        following = at if at >= 0 else stop
        line_end = min(finder.after(first - 1) for finder in line_ends)
        any_end = any_ends.after(first)
        lasts = [max(min(line_end, following), first)]
        if any_end < lasts[0]:
            lasts.append(any_end)
        elif any_end > following and thorough:
            thorough -= 1
            lasts.append(any_end)
        header = data[begin + 7 : min(eol.start(), begin + _MAX_LINE)]
        name = header.partition(b"name=")[2].strip()
        for last in lasts:
            close = _after_yend(source, last, stop)
            names: tuple[str, ...] = () if close else ("yenc.no-end",)
            if len(lasts) > 1:
                names += ("yenc.doubtful-end",)
            whole = Span(begin, close or last)
            block = Encoded("yenc", name, whole, partial(_decode, source, first, last), names)
            yield block
            if last == lasts[0] and b" part=" in header:
                parts.setdefault(name, []).append((whole, block.chunks))
    for name, several in parts.items():
        if len(several) > 1:
            whole = Span(several[0][0].start, several[-1][0].stop)
            yield Encoded("yenc", name, whole, partial(_chain, [chunks for _, chunks in several]), ("yenc.parts",))


def _after_yend(source: Source, offset: int, stop: int) -> int:
    """Where the "=yend" line at `offset` (or after one line end there) is over; 0 if there is none."""
    text = source.data[offset : min(offset + _MAX_LINE, stop)]
    skip = len(text) - len(text.lstrip(b"\r\n"))
    if not text.startswith(b"=yend", skip):
        return 0
    eol = _EOL.search(text, skip)
    return offset + (eol.end() if eol else len(text))


def _chain(several: list[Callable[[], Iterator[bytes]]]) -> Iterator[bytes]:
    for chunks in several:
        yield from chunks()


def _data(source: Source, start: int, stop: int) -> Iterator[bytes]:
    """The text without "=ypart" lines."""
    at = source.data.find(b"=ypart", start, stop)
    while at >= 0:
        eols = _EOLS.search(source.data, at, min(stop + 1, source.size))  # its line end may be that before "=yend"
        if not eols:
            break
        yield from source.chunks(Span(start, at))
        start = min(eols.end(), stop)
        at = source.data.find(b"=ypart", start, stop)
    yield from source.chunks(Span(start, stop))


def _decode(source: Source, start: int, stop: int) -> Iterator[bytes]:
    """ "=" and a character (line ends do not count) is that minus 64; then all minus 42."""
    held = b""
    for piece in batched(_data(source, start, stop)):
        piece = held + piece.translate(None, b"\r\n")
        # A run of "=" starts with one that is not escaped: an odd one at the end waits for its character.
        keep = len(piece) - (len(piece) - len(piece.rstrip(b"="))) % 2
        held = piece[keep:]
        yield _ESCAPE.sub(_unescape, piece[:keep]).translate(_SHIFT)


def _unescape(escape: re.Match[bytes]) -> bytes:
    return _UNESCAPED[escape.group(1)[0]]


# -- a body declared as yEnc


def decode(source: Source, span: Span) -> Iterator[bytes]:
    """The first block of the body at `span`; the body as it is if it has none."""
    first = next(_find(source, span), None)
    return first.chunks() if first else source.chunks(span)


def anomalies(source: Source, span: Span) -> tuple[str, ...]:
    """() for exactly one complete block and nothing else but blank lines."""
    found = _find(source, span)
    first = next(found, None)
    if first is None:
        return ("yenc.no-begin",)
    names = list(first.anomalies)
    if next(found, None):
        names.append("yenc.several-blocks")
    around = Span(span.start, first.span.start), Span(first.span.stop, span.stop)
    if any(chunk.strip() for part in around for chunk in source.chunks(part)):
        names.append("yenc.text-around")
    return tuple(names)


def readings(source: Source, span: Span, limits: Limits = DEFAULT) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each further reading or block of an anomalous body."""
    for number, block in enumerate(find_yenc(source, span, limits), 1):
        if number > 1:
            yield f"yenc.{number}", block.chunks()
