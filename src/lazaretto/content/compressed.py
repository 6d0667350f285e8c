"""Compressed files of one stream or several: gzip, zlib, bzip2, xz, lzma, lzip, zstd, .Z.

The first member is all streams joined, as gunzip, bzcat and xzcat give them.
Other programs stop after the first stream, and what begins in a later one has
its own type: so where several are joined, each later one is given by itself too.

A gzip header may carry a name; otherwise the member has none, and the caller
derives one from the name of the file.

Limits:  MAX_SEPARATE later streams are given by themselves; see codec for memory.
Errors:  none raised; chunks may end in BrokenMember "gzip.truncated", "gzip.broken",
         "gzip.crc".  Problem "gzip.suffix": other bytes follow the last stream.
See:     RFC 1952; codec, lzw
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lazaretto.content import codec
from lazaretto.content.codec import Stream
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.content.lzw import Unlzw
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason

MAX_SEPARATE = 16
MAX_NAME = 4096
NEAR = 1 << 16  # where a gzip file may begin behind something else
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16


class _Opening(NamedTuple):
    """Where one stream begins and how it is read."""

    start: int  # of the packed data
    make: Callable[[], codec.Decoder] | None  # None: .Z
    name: bytes = b""
    trailer: int = 0  # bytes after the packed data: CRC-32 first, then the length


def walk(source: Source, meter: Meter, type_id: str, _passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """The content of a compressed file; `type_id` is a key of OPENERS.  See container.py."""
    if type_id == "zstd" and codec.zstd_module() is None:
        detail = "install the Python package backports.zstd: pip install 'lazaretto[archives]'"
        yield Problem("zstd.unsupported", detail, Reason.UNSUPPORTED)
        return
    opener = OPENERS[type_id]
    first = opener(source, 0)
    if first is None and type_id == "gzip":
        first = _later_gzip(source)
    if first is None:
        yield Problem(f"{type_id}.broken", "no header", Reason.BROKEN)
        return
    names = tuple(dict.fromkeys(_texts(first.name)))
    meter.member()
    joined = _Joined(type_id, source, meter, first, many=True)
    yield Member(names, meter.unpack(joined, source.size))
    if joined.suffix:
        yield Problem(f"{type_id}.suffix", f"{joined.suffix} bytes after the last stream")
    for offset in joined.later:
        opening = opener(source, offset)
        if opening is not None:
            meter.member()
            yield Member(names, meter.unpack(_Joined(type_id, source, meter, opening, many=False), source.size - offset))


class _Joined:
    """The streams from one offset on; afterwards where the later ones begin and how much is left over."""

    __slots__ = ("_first", "_many", "_meter", "_source", "_type", "later", "suffix")

    def __init__(self, type_id: str, source: Source, meter: Meter, first: _Opening, many: bool) -> None:
        self._type = type_id
        self._source = source
        self._meter = meter
        self._first = first
        self._many = many
        self.later: list[int] = []
        self.suffix = 0

    def __iter__(self) -> Iterator[bytes]:
        source, opening = self._source, self._first
        wrong_sum = False
        while True:
            feed = codec.feed_from(source, opening.start, source.size, self._meter)
            stream = Unlzw(feed) if opening.make is None else Stream(opening.make, feed)
            checksum = size = 0
            for chunk in stream:
                checksum = zlib.crc32(chunk, checksum)
                size += len(chunk)
                yield chunk
            if stream.error:
                reason = Reason.LIMIT if stream.too_large else Reason.BROKEN
                raise BrokenMember(f"{self._type}.broken", stream.error, reason)
            if not stream.ended:
                raise BrokenMember(f"{self._type}.truncated", f"after {size} bytes")
            end = opening.start + stream.used
            if opening.trailer:
                tail = source.read_at(end, opening.trailer)
                if len(tail) < opening.trailer:
                    raise BrokenMember(f"{self._type}.truncated", "in the checksum")
                wrong_sum = wrong_sum or struct.unpack("<LL", tail[:8]) != (checksum, size & 0xFFFFFFFF)
                end += opening.trailer
            if not self._many:
                break
            end = _skip_zeros(source, end)
            following = OPENERS[self._type](source, end) if end < source.size else None
            if following is None:
                self.suffix = source.size - end
                break
            if len(self.later) < MAX_SEPARATE:
                self.later.append(end)
            opening = following
            self._meter.tick()
        if wrong_sum:
            raise BrokenMember(f"{self._type}.crc", "checksum or length do not match")


def _skip_zeros(source: Source, offset: int) -> int:
    """Past padding: tapes fill blocks with zeros, xz pads to multiples of four."""
    while piece := source.read_at(offset, codec.PIECE):
        rest = piece.lstrip(b"\0")
        if rest:
            return offset + len(piece) - len(rest)
        offset += len(piece)
    return source.size


def _texts(name: bytes) -> list[str]:
    """RFC 1952 says Latin-1, today's systems write UTF-8."""
    try:
        return [name.decode(), name.decode("latin-1")] if name else []
    except UnicodeDecodeError:
        return [name.decode("latin-1")]


def _open_gzip(source: Source, offset: int) -> _Opening | None:
    head = source.read_at(offset, 10)
    if len(head) < 10 or head[:3] != b"\x1f\x8b\x08":
        return None
    flags, pos, name = head[3], offset + 10, b""
    if flags & _FEXTRA:
        pos += 2 + int.from_bytes(source.read_at(pos, 2), "little")
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = source.data.find(b"\0", pos, pos + (MAX_NAME if flag == _FNAME else 1 << 16))
            if end < 0:
                return None
            if flag == _FNAME:
                name = source.read_at(pos, end - pos)
            pos = end + 1
    if flags & _FHCRC:
        pos += 2
    return _Opening(pos, codec.deflate, name, 8)


def _later_gzip(source: Source) -> _Opening | None:
    """A gzip file behind a script that unpacks it, or behind anything else."""
    offset = source.data.find(b"\x1f\x8b\x08", 1, NEAR)
    while offset >= 0:
        if source.read_at(offset + 3, 1) < b"\x20":  # the other flags are reserved
            return _open_gzip(source, offset)
        offset = source.data.find(b"\x1f\x8b\x08", offset + 1, NEAR)
    return None


def _open_zlib(source: Source, offset: int) -> _Opening | None:
    head = source.read_at(offset, 2)
    if len(head) < 2 or head[0] & 0x0F != 8 or (head[0] << 8 | head[1]) % 31:
        return None
    return _Opening(offset, codec.zlib_frame)


def _open_bzip2(source: Source, offset: int) -> _Opening | None:
    head = source.read_at(offset, 4)
    return _Opening(offset, codec.bzip2) if head[:3] == b"BZh" and head[3:].isdigit() else None


def _open_xz(source: Source, offset: int) -> _Opening | None:
    return _Opening(offset, codec.xz) if source.read_at(offset, 6) == b"\xfd7zXZ\0" else None


def _open_lzma(source: Source, offset: int) -> _Opening | None:
    head = source.read_at(offset, 13)
    if offset or len(head) < 13 or head[0] >= 9 * 5 * 5:  # nobody joins these; the magic is too weak to find a second
        return None
    return _Opening(offset, codec.lzma_alone)


def _open_lzip(source: Source, offset: int) -> _Opening | None:
    head = source.read_at(offset, 6)
    if len(head) < 6 or head[:5] != b"LZIP\x01":
        return None
    size = 1 << (head[5] & 0x1F)
    size -= size // 16 * (head[5] >> 5)
    return _Opening(offset + 6, lambda: codec.lzma_raw(93, size), trailer=20)  # 93: lc 3, lp 0, pb 2


def _open_zstd(source: Source, offset: int) -> _Opening | None:
    head = source.read_at(offset, 4)
    if head == b"\x28\xb5\x2f\xfd" or (head[1:] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):  # or a skippable frame
        return _Opening(offset, codec.zstd)
    return None


def _open_compress(source: Source, offset: int) -> _Opening | None:
    return _Opening(offset, None) if source.read_at(offset, 2) == b"\x1f\x9d" else None


OPENERS: dict[str, Callable[[Source, int], _Opening | None]] = {
    "gzip": _open_gzip,
    "zlib": _open_zlib,
    "bzip2": _open_bzip2,
    "xz": _open_xz,
    "lzma": _open_lzma,
    "lzip": _open_lzip,
    "zstd": _open_zstd,
    "compress": _open_compress,
}
