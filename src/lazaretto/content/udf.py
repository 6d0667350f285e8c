"""UDF disk images: what Windows shows of an .iso that has both UDF and ISO 9660.

walk() gives the files of both views, since systems differ in which they mount.
Partitions are physical or, since UDF 2.50, a metadata file inside one; other
kinds (virtual, sparable: rewritable disks) are not read.

Limits:  MAX_EXTENTS pieces of one file; each directory is read once; the meter counts
         every record.
Errors:  none raised but LimitExceeded; chunks may end in BrokenMember "udf.truncated".
         Problems "udf.broken", "udf.unsupported".
See:     ECMA-167 s3/8-10, s4/8-14; OSTA UDF 2.60 s2.2.4 (partition maps), s2.1.1 (names); iso9660
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lazaretto.content import iso9660
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Reason, Span

MAX_EXTENTS = 10_000
MAX_DIRECTORY = 16 << 20
MAX_PATH = 4096  # characters kept of a path, the last ones
MAX_SEQUENCE = 256  # descriptors
# descriptor tags
_ANCHOR, _PARTITION, _LOGICAL_VOLUME, _TERMINATOR, _FILE_SET = 2, 5, 6, 8, 256
_FILE_ID, _ALLOCATION, _FILE, _EXTENDED_FILE = 257, 258, 261, 266
_DELETED, _PARENT, _IS_DIRECTORY = 4, 8, 2


class _Broken(Exception):
    """The structure leads nowhere."""


class _Address(NamedTuple):
    """A block of a partition."""

    partition: int
    block: int


class _File(NamedTuple):
    spans: list[Span | int]  # of the image; a number is a hole of that length
    is_directory: bool


def walk(source: Source, meter: Meter, type_id: str = "udf", _passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """Files of a disk image, from its UDF view and, if there is one, its ISO 9660 view.  See container.py."""
    if type_id == "iso":
        yield from iso9660.walk(source, meter)
    if type_id == "udf" or has_udf(source):
        yield from _walk_udf(source, meter)


def has_udf(source: Source) -> bool:
    """Whether the volume recognition sequence names UDF.  ECMA-167 s2/9.1"""
    return any(source.read_at(sector * 2048 + 1, 5) in (b"NSR02", b"NSR03") for sector in range(16, 80))


def _walk_udf(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    try:
        image = _Image(source)
        waiting = [(image.root, "")]
    except _Broken as exc:
        unsupported = str(exc).startswith("partition")
        name, reason = ("udf.unsupported", Reason.UNSUPPORTED) if unsupported else ("udf.broken", Reason.BROKEN)
        yield Problem(name, str(exc), reason)
        return
    seen: set[_Address] = set()
    while waiting:
        address, path = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        try:
            file = image.file(address)
            if not file.is_directory:
                packed = sum(span.stop - span.start for span in file.spans if isinstance(span, Span))
                yield Member((path,), meter.unpack(image.chunks(file), max(packed, 1)))
                continue
            data = b"".join(image.chunks(file, MAX_DIRECTORY))
        except (_Broken, BrokenMember) as exc:
            yield Problem("udf.broken", str(exc) or path, Reason.BROKEN)
            continue
        for name, target in _entries(data):
            meter.member()
            waiting.append((target, f"{path}/{name}"[-MAX_PATH:] if path else name))


def _entries(data: bytes) -> Iterator[tuple[str, _Address]]:
    """(name, where its file entry is) of each file identifier in a directory."""
    at = 0
    while at + 38 <= len(data):
        flags, length = data[at + 18], data[at + 19]
        block, partition, use = struct.unpack_from("<LH6xH", data, at + 24)
        if struct.unpack_from("<H", data, at)[0] != _FILE_ID:
            return
        start = at + 38 + use
        if not flags & (_DELETED | _PARENT):
            yield _name(data[start : start + length]), _Address(partition, block)
        at += -(-(38 + use + length) // 4) * 4


def _name(data: bytes) -> str:
    """Compressed Unicode: one byte says how wide the characters are."""
    return data[1:].decode("utf-16-be", "replace") if data[:1] == b"\x10" else data[1:].decode("latin-1")


class _Image:
    """Partitions and root of one image.  _Broken where there are none."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.block = 2048
        self.partitions: list[list[Span]] = []  # by their number in file addresses
        self.root = self._open()

    def _open(self) -> _Address:
        for size in (2048, 512, 4096):
            blocks = self.source.size // size
            for anchor in (256, blocks - 257, blocks - 1):
                head = self.source.read_at(anchor * size, 32) if anchor > 0 else b""
                if len(head) == 32 and _tag(head, 0) == _ANCHOR:
                    for length, start in (struct.unpack_from("<LL", head, 16), struct.unpack_from("<LL", head, 24)):
                        root = self._volume(start * size, length, size)
                        if root is not None:
                            return root
        raise _Broken("no anchor that leads to a volume")

    def _volume(self, start: int, length: int, sector: int) -> _Address | None:
        physical: dict[int, Span] = {}
        volume = b""
        for offset in range(start, start + min(length, MAX_SEQUENCE * sector), sector):
            head = self.source.read_at(offset, sector)
            if len(head) < 512 or _tag(head, 0) == _TERMINATOR:
                break
            if _tag(head, 0) == _PARTITION:
                first, count = struct.unpack_from("<LL", head, 188)
                physical[struct.unpack_from("<H", head, 22)[0]] = Span(first * sector, (first + count) * sector)
            elif _tag(head, 0) == _LOGICAL_VOLUME:
                volume = head
        if not volume or not physical:
            return None
        self.block = struct.unpack_from("<L", volume, 212)[0]
        if self.block not in (512, 1024, 2048, 4096):
            self.block = sector
        self.partitions = list(self._maps(volume, physical))
        block, partition = struct.unpack_from("<LH", volume, 252)
        file_set = self._at(_Address(partition, block), 512)
        if _tag(file_set, 0) != _FILE_SET:
            raise _Broken("no file set")
        return _Address(*reversed(struct.unpack_from("<LH", file_set, 404)))

    def _maps(self, volume: bytes, physical: dict[int, Span]) -> Iterator[list[Span]]:
        at = 440
        for _ in range(min(struct.unpack_from("<L", volume, 268)[0], 8)):
            entry = volume[at : at + 64]
            if len(entry) < 6 or not entry[1]:
                return
            if entry[0] == 1:
                number = struct.unpack_from("<H", entry, 4)[0]
                yield [physical.get(number, Span(0, 0))]
            elif entry[5:28] == b"*UDF Metadata Partition" and len(entry) == 64:
                number, where = struct.unpack_from("<HL", entry, 38)
                self.partitions = [[physical.get(number, Span(0, 0))]]
                yield [span for span in self.file(_Address(0, where)).spans if isinstance(span, Span)]
            else:
                raise _Broken("partition of another kind")
            at += entry[1]

    def _place(self, address: _Address) -> int:
        """Byte of the image."""
        if address.partition >= len(self.partitions):
            raise _Broken("no such partition")
        offset = address.block * self.block
        for span in self.partitions[address.partition]:
            if offset < span.stop - span.start:
                return span.start + offset
            offset -= span.stop - span.start
        raise _Broken("address after the end of its partition")

    def _at(self, address: _Address, size: int) -> bytes:
        data = self.source.read_at(self._place(address), size)
        if len(data) < size:
            raise _Broken("address after the end of the image")
        return data

    def file(self, address: _Address) -> _File:
        """The file entry at `address`."""
        head = self._at(address, 512)
        kind = _tag(head, 0)
        if kind not in (_FILE, _EXTENDED_FILE):
            raise _Broken("no file entry")
        base = 176 if kind == _FILE else 216
        extended, length = struct.unpack_from("<LL", head, base - 8)
        style = struct.unpack_from("<H", head, 34)[0] & 7
        start = self._place(address) + base + extended
        if style == 3:  # the data itself
            return _File([Span(start, start + min(length, self.block))], head[27] == 4)
        return _File(list(self._extents(start, min(length, 1 << 20), style, address.partition)), head[27] == 4)

    def _extents(self, start: int, length: int, style: int, partition: int) -> Iterator[Span | int]:
        width = {0: 8, 1: 16}.get(style)
        if width is None:
            raise _Broken("allocation of another kind")
        data = self.source.read_at(start, length)
        at = given = 0
        while at + width <= len(data) and given < MAX_EXTENTS:
            size, block = struct.unpack_from("<LL", data, at)
            where = _Address(struct.unpack_from("<H", data, at + 8)[0] if width == 16 else partition, block)
            kind, size = size >> 30, size & 0x3FFFFFFF
            at += width
            if not size:
                return
            given += 1
            if kind == 0:
                place = self._place(where)
                yield Span(place, place + size)
            elif kind == 3:  # goes on elsewhere
                data = self._at(where, min(size, self.block))
                if _tag(data, 0) != _ALLOCATION:
                    raise _Broken("no more allocations")
                at = 24
            else:
                yield size

    def chunks(self, file: _File, most: int | None = None) -> Iterator[bytes]:
        """All that is allocated, whatever the declared size, at most `most` bytes."""
        left = most if most is not None else 1 << 62
        for span in file.spans:
            if isinstance(span, int):
                for offset in range(0, min(span, left), CHUNK):
                    yield bytes(min(CHUNK, span - offset))
                left -= min(span, left)
                continue
            part = Span(min(span.start, self.source.size), min(span.stop, span.start + left, self.source.size))
            yield from self.source.chunks(part)
            left -= max(part.stop - part.start, 0)
            if span.stop > self.source.size:
                raise BrokenMember("udf.truncated", "the image ends before the file")


def _tag(data: bytes, at: int) -> int:
    tag: int = struct.unpack_from("<H", data, at)[0]
    return tag
