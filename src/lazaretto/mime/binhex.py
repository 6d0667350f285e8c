"""BinHex 4.0 blocks in any text.

A block starts at a ":" that starts a line and ends at the next ":".  It is taken
for BinHex if the line "(This file must be converted with BinHex 4.0)" stands
right before it, or anywhere in the text and the block begins with 64 characters
of the alphabet, or if it starts with a plausible header; of a body declared as
BinHex any block of 20 characters will do.  Without a final ":" the block goes
on to the end of the text.  Characters outside the alphabet are skipped.

Readings of one block: data fork and resource fork, if it is not empty.  When the
lengths in the header lie, or the header is strange, also all that follows it,
and the whole from its first byte.

Limits:  max_encoded_blocks; memory for one chunk; linear time.  Runs expand up
         to 95-fold: the caller's meter counts the output.
Errors:  LimitExceeded from the finder.
See:     RFC 1741 Appendix A
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from lazaretto.limits import DEFAULT, MIB, Limits
from lazaretto.mime.b64 import ALPHABET as BASE64
from lazaretto.mime.b64 import streams
from lazaretto.mime.encoded import Encoded, Finder, capped, cut
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Span

ALPHABET = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_TO_BASE64 = bytes.maketrans(ALPHABET, BASE64)
_JUNK = bytes(c for c in range(256) if c not in ALPHABET)
_REPEAT = b"\x90"
_INTRO = b"BinHex"
_MIN_BLOCK = 20  # characters: less is not even a header
_AFTER_NAME = 21  # bytes of the header after the name
_MAX_NAME = 63
_MAX_COUNTED = 256 * MIB  # bytes unpacked to compare their number with the header; beyond, it is called wrong


def find_binhex(source: Source, span: Span | None = None, limits: Limits = DEFAULT, strict: bool = True) -> Iterator[Encoded]:
    """All readings of all blocks in `span` (default: everything).

    With `strict` false any ":" block will do: for a body declared as BinHex.
    """
    return capped(_find(source, span or Span(0, source.size), strict), limits)


def _find(source: Source, span: Span, strict: bool) -> Iterator[Encoded]:
    data, (start, stop) = source.data, span
    openings = Finder(source, b"\n:", stop), Finder(source, b"\r:", stop)
    colons = Finder(source, b":", stop)
    intro = data.find(_INTRO, start, stop)
    at = start if data[start : min(start + 1, stop)] == b":" else _opening(openings, start)
    while at < stop:
        close = colons.after(at + 1)
        here = at
        at = _opening(openings, at)
        if close - here - 1 < _MIN_BLOCK:
            continue
        header = _header(source, here + 1, close)
        likely = _is_plausible(header) or (close < stop and (not strict or (intro >= 0 and _is_introduced(source, start, here))))
        if likely and header:
            yield from _readings(source, Span(here, min(close + 1, stop)), Span(here + 1, close), header)
            if at <= close:
                at = _opening(openings, close + 1)


def _opening(finders: tuple[Finder, Finder], offset: int) -> int:
    """The first ":" after `offset` that follows a line end; a large number if there is none."""
    return min(finder.after(offset) for finder in finders) + 1


def _is_introduced(source: Source, start: int, here: int) -> bool:
    data = source.data
    before = data.rfind(_INTRO, max(start, here - 1024), here)
    if before >= 0:
        rest = data[before:here].lstrip(b"\r\n")
        lines = rest.replace(b"\r", b"\n").split(b"\n")
        if not b"".join(lines[1:]).strip():
            return True
    # A short block may be over, ":", within these.
    return not data[here + 1 : here + 65].translate(None, ALPHABET + b": \t\r\n")


def _header(source: Source, start: int, stop: int) -> bytes:
    """The first bytes of the file: as many as the longest header has, or all there are."""
    header = b""
    for chunk in cut(_unpacked(source, start, stop), 0, 1 + 255 + _AFTER_NAME):
        header += chunk
    return header


def _is_plausible(header: bytes) -> bool:
    if not header or not 1 <= header[0] <= _MAX_NAME or len(header) < 1 + header[0] + _AFTER_NAME:
        return False
    name, version = header[1 : 1 + header[0]], header[1 + header[0]]
    data_length, resource_length = _lengths(header)
    return version == 0 and min(name) >= 0x20 and max(data_length, resource_length) < 1 << 31


def _lengths(header: bytes) -> tuple[int, int]:
    at = header[0] + 12
    return int.from_bytes(header[at : at + 4], "big"), int.from_bytes(header[at + 4 : at + 8], "big")


def _readings(source: Source, whole: Span, text: Span, header: bytes) -> Iterator[Encoded]:
    first = 1 + header[0] + _AFTER_NAME
    name = header[1 : 1 + header[0]]
    names: tuple[str, ...] = () if whole.stop > text.stop else ("binhex.no-end",)
    pieces: list[tuple[bytes, int, int | None]] = []  # name, start and stop in the unpacked file
    if _is_plausible(header):
        data_length, resource_length = _lengths(header)
        second = first + data_length + 2
        pieces.append((name, first, first + data_length))
        if resource_length:
            pieces.append((name, second, second + resource_length))
        if not _is_long(source, text, second + resource_length + 2):
            names += ("binhex.length",)
    else:
        names += ("binhex.header",)
    if "binhex.length" in names or "binhex.header" in names:
        pieces += [(name, first, None), (b"", 0, None)]
    for piece_name, start, stop in pieces:
        yield Encoded("binhex", piece_name, whole, partial(_part, source, text, start, stop), names)


def _is_long(source: Source, text: Span, expected: int) -> bool:
    """Is the file as long as its header says?  Encoders may fill up the last three bytes."""
    size = 0
    for chunk in _unpacked(source, text.start, text.stop):
        size += len(chunk)
        if size > _MAX_COUNTED:
            return False
    return expected <= size <= expected + 2


def _part(source: Source, text: Span, start: int, stop: int | None) -> Iterator[bytes]:
    return cut(_unpacked(source, text.start, text.stop), start, stop)


def _unpacked(source: Source, start: int, stop: int) -> Iterator[bytes]:
    return _expanded(streams(chunk.translate(_TO_BASE64, _JUNK) for chunk in source.chunks(Span(start, stop))))


def _expanded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Undo run lengths: 0x90 and n > 0 is the byte before it n times in all; 0x90 and 0 is 0x90."""
    last = b""
    pending = b""
    for chunk in chunks:
        chunk = pending + chunk
        pending = b""
        expanded: list[bytes] = []
        size = at = 0
        while (mark := chunk.find(_REPEAT, at)) >= 0:
            if mark > at:
                expanded.append(chunk[at:mark])
                last = chunk[mark - 1 : mark]
            at = mark + 2
            if at > len(chunk):
                pending = _REPEAT
                break
            count = chunk[mark + 1]
            if not count:
                last = _REPEAT
                count = 2
            expanded.append(last * (count - 1))
            size += count
            if size > CHUNK:
                yield b"".join(expanded)
                expanded.clear()
                size = 0
        if at < len(chunk):
            expanded.append(chunk[at:])
            last = chunk[-1:]
        yield b"".join(expanded)
    yield pending


# -- a body declared as BinHex


def decode(source: Source, span: Span) -> Iterator[bytes]:
    """The data fork of the first block of the body at `span`; the body as it is if it has none."""
    first = next(_find(source, span, strict=False), None)
    return first.chunks() if first else source.chunks(span)


def anomalies(source: Source, span: Span) -> tuple[str, ...]:
    """() for exactly one reading of exactly one complete block; text before and after it is usual."""
    found = _find(source, span, strict=False)
    first = next(found, None)
    if first is None:
        return ("binhex.no-begin",)
    return first.anomalies + (("binhex.forks",) if next(found, None) else ())


def readings(source: Source, span: Span, limits: Limits = DEFAULT) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each further reading or block of an anomalous body."""
    for number, block in enumerate(find_binhex(source, span, limits, strict=False), 1):
        if number > 1:
            yield f"binhex.{number}", block.chunks()
