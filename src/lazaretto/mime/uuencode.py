"""uuencode and begin-base64 blocks in any text.

Outlook and Thunderbird show a file wherever a line "begin 644 name" stands, at
the start or after any CR or LF.  "end" may be missing, trailing blanks may be
stripped, blanks may stand for backticks.  A block goes on while each line
starts with a length character (0x20 to 0x60); so it ends before the next begin.

Prose such as "begin 2024 with joy" is told apart by what follows: the first
line of data must have the length that it announces, or be short and all in
the alphabet (trailing blanks are data that mailers strip); or some later line
fulfils both.

Readings of one block: lines up to "end" or the first line that cannot be data;
if there is more data after such a line, also all data lines up to "end".  A
begin-base64 block (also in the middle of a line) ends at "====".

Limits:  max_encoded_blocks; memory for one chunk; linear time.
Errors:  LimitExceeded from the finder.
See:     POSIX.1-2017 uuencode; MS-OXCMAIL s2.1.3.4 on inline uuencode
"""

from __future__ import annotations

import re
from binascii import Error, a2b_uu
from collections.abc import Iterator
from functools import partial

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import b64, b64_readings
from lazaretto.mime.encoded import Encoded, Finder, batched, capped
from lazaretto.mime.source import Buffer, Source
from lazaretto.model import Span

_BEGIN = regex.compile(rb"begin[ \t]++[0-7]{3,4}(?:[ \t][^\r\n]*+)?(?:\r\n|\r|\n)")
_NAME = regex.compile(rb"begin[^ \t]*[ \t]+[0-7]+[ \t]+([^\r\n]{0,1000})")
_BEGIN_BASE64 = regex.compile(rb"begin-base64[ \t]++[0-7]++[ \t]++")
_EOLS = regex.compile(rb"[\r\n]+")
_LINE = regex.compile(rb"[^\r\n]+")
_NO_DATA = regex.compile(rb"[\r\n](?:[^ -`\r\n]|[ \t]+end[ \t]*(?:[\r\n]|\Z))")  # searched from the EOL before the first line
_END = regex.compile(rb"[ \t]*end[ \t]*(?:\r\n|\r|\n|\Z)")
_END_OR_BEGIN = regex.compile(rb"[\r\n](?:end[ \t]*(?:\r\n|\r|\n|\Z)|(?=begin[ \t]+[0-7]{3}))")
_ALPHABET = bytes(range(0x20, 0x61))
_FOLD = bytes((c - 0x20 & 63) + 0x20 for c in range(256))  # what decoders that only mask make of any byte
_THOROUGH = 4  # so many base64 blocks without an end are also read through the following ones


def find_uuencode(source: Source, span: Span | None = None, limits: Limits = DEFAULT, strict: bool = True) -> Iterator[Encoded]:
    """All readings of all blocks in `span` (default: everything), in the order of their starts.

    With `strict` false a begin line is enough, whatever follows: for a body declared as uuencode.
    """
    return capped(_find(source, span or Span(0, source.size), strict), limits)


def _find(source: Source, span: Span, strict: bool) -> Iterator[Encoded]:
    data, (start, stop) = source.data, span
    base64 = _Base64Blocks(source, stop)
    at = data.find(b"begin", start, stop)
    while at >= 0:
        begin64 = _BEGIN_BASE64.match(data, at, stop)
        if begin64:
            # The line may be long and full of begins: they are its name.
            eol = _EOLS.search(data, begin64.end(), stop)
            if not eol:
                return
            yield from base64.at(at, eol.end())
            at = eol.end() - 5
        elif at == start or data[at - 1] in b"\r\n":
            begin = _BEGIN.match(data, at, stop)
            if begin:
                yield from _block(source, begin, stop, strict)
        at = data.find(b"begin", at + 5, stop)


def _block(source: Source, begin: re.Match[bytes], stop: int, strict: bool) -> Iterator[Encoded]:
    data, first = source.data, begin.end()
    name = _name(data, begin.start())
    bad = _NO_DATA.search(data, first - 1, stop)
    last = bad.start() + 1 if bad else stop
    if not _plausible(data, first, last) if strict else first == last:
        return
    end = _END.match(data, last, stop)
    names = () if end else ("uuencode.no-end",)
    yield Encoded("uuencode", name, Span(begin.start(), end.end() if end else last), partial(_decode, source, first, last), names)
    if end or last == stop:
        return
    # Thunderbird skips a line that is no data and goes on until "end".
    close = _END_OR_BEGIN.search(data, last - 1, stop)
    limit = close.start() + 1 if close else stop
    if any(_exact(line) for line in _data_lines(data, last, limit)):
        whole = Span(begin.start(), close.end() if close else stop)
        yield Encoded("uuencode", name, whole, partial(_decode, source, first, limit), ("uuencode.bad-line",))


def _data_lines(data: Buffer, start: int, stop: int) -> Iterator[bytes]:
    """The lines that can be data, each as far as its length character reaches (86 bytes suffice)."""
    for line in _LINE.finditer(data, start, stop):
        text = data[line.start() : min(line.end(), line.start() + 87)]
        if 0x20 <= text[0] <= 0x60:
            yield text


def _need(line: bytes) -> int:
    """Characters that the length character announces."""
    return ((line[0] - 0x20 & 63) + 2) // 3 * 4


def _exact(line: bytes) -> bool:
    """Is it all alphabet and as long as announced, or as its bytes need without the blanks that mailers strip?"""
    need, bare = _need(line), _carriers(line)
    lengths = len(line) - 1, len(line.rstrip(b" \t")) - 1
    return need > 0 and (need in lengths or bare in lengths) and not line.translate(None, _ALPHABET)


def _carriers(line: bytes) -> int:
    """Characters that carry the announced bytes."""
    return ((line[0] - 0x20 & 63) * 8 + 5) // 6


def _plausible(data: Buffer, start: int, stop: int) -> bool:
    lines = _data_lines(data, start, stop)
    for line in lines:
        need, length = _need(line), len(line) - 1
        if not need:
            continue  # an empty line of data, "`"
        # quirk: some encoders append a checksum character.
        if length in (need, need + 1) or (length < need and not line.translate(None, _ALPHABET)):
            return True
        break
    return any(_exact(line) for line in lines)


def _decode(source: Source, start: int, stop: int) -> Iterator[bytes]:
    return batched(_decoded_lines(source.data, start, stop))


def _decoded_lines(data: Buffer, start: int, stop: int) -> Iterator[bytes]:
    for text in _data_lines(data, start, stop):
        # a2b_uu wants no more than carries the announced bytes: whatever follows them is not its to judge.
        line = text[: 1 + _carriers(text)]
        try:
            yield a2b_uu(line)
        except Error:
            yield a2b_uu(line.translate(_FOLD))


class _Base64Blocks:
    """begin-base64 blocks, asked for in ascending order."""

    def __init__(self, source: Source, stop: int) -> None:
        self.source = source
        self.stop = stop
        self._ends = Finder(source, b"====", stop)
        self._thorough = _THOROUGH

    def at(self, begin: int, first: int) -> Iterator[Encoded]:
        """The readings of the block whose data starts at `first`."""
        end = self._ends.after(first)
        following = self.source.data.find(b"begin-base64", first, end)
        if following < 0:
            yield from self._readings(begin, first, end, min(end + 4, self.stop))
            return
        yield from self._readings(begin, first, following, following)
        if self._thorough:
            self._thorough -= 1
            yield from self._readings(begin, first, end, min(end + 4, self.stop))

    def _readings(self, begin: int, first: int, last: int, close: int) -> Iterator[Encoded]:
        name, whole, body = _name(self.source.data, begin), Span(begin, close), Span(first, last)
        names = b64.anomalies(self.source, body)
        yield Encoded("begin-base64", name, whole, partial(b64.decode, self.source, body), names)
        for _, chunks in b64_readings.choices(self.source, body):
            yield Encoded("begin-base64", name, whole, chunks, names)


def _name(data: Buffer, begin: int) -> bytes:
    found = _NAME.match(data, begin)
    return found.group(1).strip() if found else b""


# -- a body declared as uuencode


def decode(source: Source, span: Span) -> Iterator[bytes]:
    """The first block of the body at `span`, or all its data lines if no begin line is there."""
    first = next(_find(source, span, strict=False), None)
    return first.chunks() if first else _decode(source, span.start, span.stop)


def anomalies(source: Source, span: Span) -> tuple[str, ...]:
    """What decoders of a declared uuencode body disagree on: () for exactly one complete block and nothing else."""
    found = _find(source, span, strict=False)
    first = next(found, None)
    if first is None:
        return ("uuencode.no-begin",)
    names = list(first.anomalies)
    if next(found, None):
        names.append("uuencode.several-blocks")
    if not _blank(source, span.start, first.span.start) or not _blank(source, first.span.stop, span.stop):
        names.append("uuencode.text-around")
    return tuple(names)


def _blank(source: Source, start: int, stop: int) -> bool:
    return not any(chunk.strip() for chunk in source.chunks(Span(start, stop)))


def readings(source: Source, span: Span, limits: Limits = DEFAULT) -> Iterator[tuple[str, Iterator[bytes]]]:
    """For an anomalous body: each further block or reading, and all data lines together."""
    if not anomalies(source, span):
        return
    for number, block in enumerate(find_uuencode(source, span, limits, strict=False), 1):
        if number > 1:
            yield f"{block.kind}.{number}", block.chunks()
    yield "uuencode.all-lines", _decode(source, span.start, span.stop)
