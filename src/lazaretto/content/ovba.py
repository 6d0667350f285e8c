"""VBA projects: module names and offsets, and the compression of macro source.

The `dir` stream, itself compressed, names the modules and says at which offset
in each module's stream the compressed source begins; before it lies compiled
code.  Where `dir` is missing or lies, the source is found by the way it always
begins: a compressed container whose first text is "Attribut".

Limits:  output comes in chunks of at most 4096 bytes; MAX_MODULES.
Errors:  none raised: a damaged container gives what came before the damage.
See:     [MS-OVBA] s2.3.4.2 (dir stream), s2.4.1 (compression)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.mime.source import Buffer

CHUNK_SIZE = 4096
MAX_MODULES = 10_000
# 0x01, chunk header (2 bytes), flags: eight literals, then "Attribut" (the next flag byte follows before the "e").
SIGNATURE = b"\x00Attribut"


class Module(NamedTuple):
    """What the dir stream says of one module; names in the project's code page."""

    name: bytes
    stream: bytes
    stream_unicode: str
    offset: int


def decompress(data: bytes, start: int = 0) -> Iterator[bytes]:
    """The text of the compressed container at `start`, chunk by chunk.  [MS-OVBA] s2.4.1.3"""
    for begin, stop, compressed in _chunks(data, start):
        yield _tokens(data, begin, stop) if compressed else data[begin : min(stop, begin + CHUNK_SIZE)]


def container_end(data: Buffer, start: int) -> int:
    """Behind the last chunk of the compressed container at `start`."""
    return max((stop for _, stop, _ in _chunks(data, start)), default=start + 1)


def _chunks(data: Buffer, start: int) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, compressed) of the chunks of a container."""
    if data[start : start + 1] != b"\x01":
        return
    position = start + 1
    while position + 2 <= len(data):
        header = int.from_bytes(data[position : position + 2], "little")
        if (header >> 12) & 7 != 3:
            return
        stop = min(position + (header & 0xFFF) + 3, len(data))
        yield position + 2, stop, bool(header & 0x8000)
        position = stop


def _tokens(data: bytes, position: int, stop: int) -> bytes:
    out = bytearray()
    while position < stop and len(out) <= CHUNK_SIZE:
        flags = data[position]
        position += 1
        if not flags:  # eight literals: the usual case in short modules
            out += data[position : min(position + 8, stop)]
            position += 8
            continue
        for bit in range(8):
            if position >= stop:
                break
            if not flags >> bit & 1:
                out.append(data[position])
                position += 1
                continue
            if position + 2 > stop:
                return bytes(out)
            token = data[position] | data[position + 1] << 8
            position += 2
            # the split of a token depends on how much of the chunk is out  s2.4.1.3.19.1
            length_bits = 16 - max((len(out) - 1).bit_length(), 4)
            offset = (token >> length_bits) + 1
            length = (token & (1 << length_bits) - 1) + 3
            if offset > len(out):
                return bytes(out)
            if offset >= length:
                out += out[-offset : len(out) - offset + length]
            else:
                run = bytes(out[-offset:])
                out += (run * (length // offset + 1))[:length]
    return bytes(out[:CHUNK_SIZE])


def find_source(data: Buffer, start: int = 0) -> int:
    """Where a compressed container that begins as macro source does starts, or -1."""
    at = data.find(SIGNATURE, start + 3)
    while at >= 0:
        if data[at - 3] == 1 and data[at - 1] & 0x70 == 0x30:
            return at - 3
        at = data.find(SIGNATURE, at + 1)
    return -1


# -- the dir stream

_PROJECT_VERSION = 0x0009
_MODULE_NAME = 0x0019
_STREAM_NAME = 0x001A
_STREAM_NAME_UNICODE = 0x0032
_OFFSET = 0x0031
_MODULE_END = 0x002B


def modules(dir_stream: bytes) -> list[Module]:
    """The modules that a decompressed dir stream names; what is readable of it."""
    found: list[Module] = []
    name = stream = b""
    wide = ""
    offset = 0
    position = 0
    while position + 6 <= len(dir_stream) and len(found) < MAX_MODULES:
        record, size = struct.unpack_from("<HI", dir_stream, position)
        position += 6
        if record == _PROJECT_VERSION:
            size = 6  # the field says 4, the record is longer  s2.3.4.2.1.11
        value = dir_stream[position : position + size]
        position += size
        if record == _MODULE_NAME:
            name, stream, wide, offset = value, b"", "", 0
        elif record == _STREAM_NAME:
            stream = value
        elif record == _STREAM_NAME_UNICODE:
            wide = value.decode("utf-16-le", "replace")
        elif record == _OFFSET and size == 4:
            offset = int.from_bytes(value, "little")
        elif record == _MODULE_END and (name or stream):
            found.append(Module(name, stream, wide, offset))
            name = stream = b""
    return found
