"""Filters of PDF streams: Flate, LZW, ASCIIHex, ASCII85, RunLength, and the PNG predictors.

decode() chains them.  Readers of PDF forgive much, so these do: what cannot be
decoded ends the stream, and what came before it counts.

Limits:  output in pieces; the meter's clock is asked for each piece of input.
Errors:  none raised, LimitExceeded from the meter passes.
See:     ISO 32000-1 s7.4; PNG specification s9 (predictors)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

from lazaretto import regex
from lazaretto.content import codec
from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Buffer, Source

MAX_FILTERS = 8
_PIECE = 1 << 14
Feed = Callable[[], Iterator[bytes]]

_SHORT = {"Fl": "FlateDecode", "LZW": "LZWDecode", "AHx": "ASCIIHexDecode", "A85": "ASCII85Decode", "RL": "RunLengthDecode"}
IMAGES = frozenset(("DCTDecode", "DCT", "JPXDecode", "CCITTFaxDecode", "CCF", "JBIG2Decode"))
_NOT_HEX = bytes(byte for byte in range(256) if byte not in b"0123456789ABCDEFabcdef")


def decode(data: Buffer, start: int, stop: int, filters: Iterable[str], meter: Meter) -> Iterator[bytes]:
    """data[start:stop] with `filters` undone, in the order in which they are listed; stops before an image's own."""
    feed = codec.feed_from(Source(data), start, stop, meter)
    for number, name in enumerate(filters):
        name = _SHORT.get(name, name)
        if name in IMAGES or number >= MAX_FILTERS:
            break
        make = _FILTERS.get(name)
        if make:
            feed = _chain(make, feed)
    return feed()


def _chain(make: Callable[[Feed], Iterator[bytes]], feed: Feed) -> Feed:
    return lambda: make(feed)


def _flate(feed: Feed) -> Iterator[bytes]:
    """Deflate, with its frame or without."""
    first = b"".join(_first(feed(), 2))
    framed = len(first) == 2 and first[0] & 15 == 8 and int.from_bytes(first, "big") % 31 == 0
    make = codec.zlib_frame if framed else codec.deflate
    if first[:1].isspace():  # quirk: a line end more than there should be, behind "stream"
        return iter(codec.Stream(codec.zlib_frame, lambda: _small(_stripped(feed()))))
    return iter(codec.Stream(make, lambda: _small(feed())))


def _first(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def _stripped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    begun = False
    for chunk in chunks:
        chunk = chunk if begun else chunk.lstrip()
        begun = begun or bool(chunk)
        yield chunk


def _small(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces as codec.Stream likes them."""
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]


def _hex(feed: Feed) -> Iterator[bytes]:
    rest = b""
    for chunk in feed():
        text, end, _ = chunk.partition(b">")
        digits = rest + text.translate(None, _NOT_HEX)
        whole = len(digits) // 2 * 2
        yield bytes.fromhex(digits[:whole].decode("ascii"))
        rest = digits[whole:]
        if end:
            break
    if rest:
        yield bytes.fromhex(rest.decode("ascii") + "0")


_NOT_85 = bytes(byte for byte in range(256) if not 0x21 <= byte <= 0x75 and byte != 0x7A)
_85_START = regex.compile(rb"\A\s{0,16}<~")


def _ascii85(feed: Feed) -> Iterator[bytes]:
    rest = b""
    first = True
    for chunk in feed():
        if first:
            chunk = _85_START.sub(b"", chunk, count=1)
            first = False
        text, end, _ = chunk.partition(b"~")
        digits = rest + text.translate(None, _NOT_85).replace(b"z", b"!!!!!")
        whole = len(digits) // 5 * 5
        yield b"".join(_group(digits[at : at + 5]) for at in range(0, whole, 5))
        rest = digits[whole:]
        if end:
            break
    if len(rest) > 1:
        yield _group(rest.ljust(5, b"u"))[: len(rest) - 1]


def _group(digits: bytes) -> bytes:
    a, b, c, d, e = digits
    return struct.pack(">I", ((((a - 33) * 85 + b - 33) * 85 + c - 33) * 85 + d - 33) * 85 + e - 33 & 0xFFFFFFFF)


def _run_length(feed: Feed) -> Iterator[bytes]:
    out = bytearray()
    data = b""
    for chunk in feed():
        data += chunk
        position = 0
        while position < len(data):
            length = data[position]
            if length == 128:
                yield bytes(out)
                return
            need = 2 if length > 128 else length + 2
            if position + need > len(data):
                break
            out += data[position + 1 : position + need] if length < 128 else data[position + 1 : position + 2] * (257 - length)
            position += need
        data = data[position:]
        yield bytes(out)
        out.clear()
    yield data[1:]  # a run that was cut


def _lzw(feed: Feed) -> Iterator[bytes]:
    """Codes of 9 to 12 bits, most significant first, widened one early.  s7.4.4"""
    table: list[bytes] = []
    out = bytearray()
    previous = b""
    width, bits, held = 9, 0, 0
    for chunk in feed():
        for byte in chunk:
            bits = bits << 8 | byte
            held += 8
            if held < width:
                continue
            held -= width
            code = bits >> held
            bits &= (1 << held) - 1
            if code == 256:
                table, previous, width = [], b"", 9
                continue
            if code == 257:
                yield bytes(out)
                return
            if code < 256:
                entry = bytes((code,))
            elif code - 258 < len(table):
                entry = table[code - 258]
            elif code - 258 == len(table) and previous:
                entry = previous + previous[:1]
            else:
                yield bytes(out)
                return
            out += entry
            if previous and len(table) < 4096 - 258:
                table.append(previous + entry[:1])
            previous = entry
            size = len(table) + 258 + 1
            width = 9 if size < 512 else 10 if size < 1024 else 11 if size < 2048 else 12
        if len(out) >= CHUNK:
            yield bytes(out)
            out.clear()
    yield bytes(out)


_FILTERS: dict[str, Callable[[Feed], Iterator[bytes]]] = {
    "FlateDecode": _flate,
    "LZWDecode": _lzw,
    "ASCIIHexDecode": _hex,
    "ASCII85Decode": _ascii85,
    "RunLengthDecode": _run_length,
}


def unpredict(data: bytes, row: int, pixel: int) -> bytes:
    """PNG rows of `row` bytes, each with its filter type before it, restored; `pixel` bytes back is the left neighbour."""
    out = bytearray()
    above = bytes(row)
    for start in range(0, len(data), row + 1):
        kind = data[start]
        line = bytearray(data[start + 1 : start + 1 + row])
        for at in range(len(line)) if kind else ():
            left = line[at - pixel] if at >= pixel else 0
            up = above[at]
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = up
            elif kind == 3:
                guess = (left + up) // 2
            else:
                corner = above[at - pixel] if at >= pixel else 0
                distances = (abs(up - corner), abs(left - corner), abs(left + up - 2 * corner))
                guess = (left, up, corner)[distances.index(min(distances))]
            line[at] = (line[at] + guess) & 255
        out += line
        above = bytes(line.ljust(row, b"\0"))
    return bytes(out)
