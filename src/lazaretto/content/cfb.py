"""Compound files, the small file system inside .doc, .xls, .ppt, .msg and .msi.

CompoundFile lists the streams with their paths and reads them sector by sector.
It believes as little as possible: a chain that loops, leaves the file or ends
early gives a shorter stream; entries outside the directory's tree are listed
too; a header with an impossible sector size is read with the usual one.

Limits:  MAX_ENTRIES directory entries; a chain has at most as many sectors as
         the file; the table of sectors is read where it lies, never copied.
Errors:  none raised: a file of which nothing is readable has no streams.
See:     [MS-CFB] s2.2 (header), s2.3 to s2.6
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.mime.source import CHUNK, Source

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_ENTRIES = 65_536  # honest files have some hundreds, messages with many recipients some thousands
_END = 0xFFFFFFFA  # MAXREGSECT: this and above are marks, not sectors
_NO_STREAM = 0xFFFFFFFF
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_ENTRY = struct.Struct("<64sHBBIII16sIQQIII")
_MINI_SECTOR = 64
_RUN = 512  # sectors in a row that are read at once: a reader of a head must not follow a long chain
_DIFAT_IN_HEADER = 109


class Stream(NamedTuple):
    """One stream: its path from the root, and where it begins."""

    path: tuple[str, ...]
    size: int
    first: int  # sector, or mini sector if small
    small: bool

    @property
    def name(self) -> str:
        return self.path[-1]


class CompoundFile:
    """`streams` and `storages` in the order of the directory; `truncated` if there were too many."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.streams: list[Stream] = []
        self.storages: list[tuple[tuple[str, ...], int]] = []  # path, and where its entry of the directory lies
        self.truncated = False
        header = source.read_at(0, 512)
        if len(header) < 512 or not header.startswith(MAGIC):
            return
        shift = int.from_bytes(header[30:32], "little")
        self._size = 1 << (shift if shift in (9, 12) else 9)
        self._sectors = max(0, -(-source.size // self._size) - 1)
        directory, self._cutoff, mini_first, difat_first = (int.from_bytes(header[at : at + 4], "little") for at in (48, 56, 60, 68))
        self._cutoff = 4096  # [MS-CFB] s2.2: MUST be; programs take no other
        self._fat = self._fat_sectors(header, difat_first)
        self._mini_fat = list(self._chain(mini_first, self._sectors))
        self._mini_stream: list[int] = []
        self._read_directory(directory)

    # -- tables

    def _fat_sectors(self, header: bytes, difat: int) -> list[int]:
        """Where the parts of the table of sectors lie.  s2.5"""
        most = self._sectors * 4 // self._size + 2
        found = list(struct.unpack_from(f"<{_DIFAT_IN_HEADER}I", header, 76))
        for _ in range(most):
            if difat >= _END or difat >= self._sectors:
                break
            sector = self._sector(difat)
            numbers = struct.unpack(f"<{len(sector) // 4}I", sector[: len(sector) // 4 * 4])
            found += numbers[:-1]
            difat = numbers[-1] if len(numbers) * 4 == self._size else _END
        while found and found[-1] >= _END:
            found.pop()
        return found[:most]

    def _sector(self, number: int) -> bytes:
        return self._source.read_at((number + 1) * self._size, self._size)

    def _lookup(self, table: list[int], index: int) -> int:
        """Entry `index` of a table whose sectors are `table`; an end mark if there is none."""
        part, inside = divmod(index * 4, self._size)
        if part >= len(table) or table[part] >= self._sectors:
            return _NO_STREAM
        value = self._source.read_at((table[part] + 1) * self._size + inside, 4)
        return int.from_bytes(value, "little") if len(value) == 4 else _NO_STREAM

    def _chain(self, sector: int, most: int) -> Iterator[int]:
        for _ in range(min(most, self._sectors)):
            if sector >= self._sectors:
                return
            yield sector
            sector = self._lookup(self._fat, sector)

    # -- directory

    def _read_directory(self, first: int) -> None:
        """Entries with their paths; s2.6.  Siblings form a tree by `left` and `right`, storages have a `child`."""
        entries: list[tuple[str, int, int, int, int, int, int] | None] = []
        places: list[int] = []
        for sector in self._chain(first, self._sectors):
            data = self._sector(sector)
            for at in range(0, len(data) - 127, 128):
                places.append((sector + 1) * self._size + at)
                raw, length, kind, _, left, right, child, _, _, _, _, start, low, high = _ENTRY.unpack_from(data, at)
                if kind not in (_STORAGE, _STREAM, _ROOT) or not 2 <= length <= 64:
                    entries.append(None)
                    continue
                name = raw[: length - 2].decode("utf-16-le", "replace")
                size = low | high << 32 if self._size == 4096 else low
                entries.append((name, kind, left, right, child, start, min(size, self._source.size)))
            if len(entries) > MAX_ENTRIES:
                self.truncated = True
                break
        paths: dict[int, tuple[str, ...]] = {}
        stack: list[tuple[int, tuple[str, ...]]] = [(0, ())]
        while stack:
            number, parent = stack.pop()
            entry = entries[number] if number < len(entries) else None
            if entry is None or number in paths:
                continue
            name, kind, left, right, child, _, _ = entry
            paths[number] = () if kind == _ROOT else (*parent, name)
            stack += ((left, parent), (right, parent), (child, paths[number] if len(parent) < 64 else parent))
        for number, entry in enumerate(entries):
            if entry is None:
                continue
            name, kind, _, _, _, start, size = entry
            if kind == _ROOT and not self._mini_stream:
                self._mini_stream = list(self._chain(start, -(-size // self._size)))
            elif kind == _STORAGE:
                self.storages.append((paths.get(number) or (name,), places[number]))
            elif kind == _STREAM:
                path = paths.get(number) or (name,)
                self.streams.append(Stream(path, size, start, size < self._cutoff))

    # -- streams

    def chunks(self, stream: Stream, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes [start:stop] of a stream, as far as they can be found."""
        position = 0
        stop = stream.size if stop is None else min(stop, stream.size)
        for offset, length in self.pieces(stream):
            if position >= stop:
                return
            begin = max(start - position, 0)
            end = min(length, stop - position)
            for at in range(begin, end, CHUNK):
                yield self._source.read_at(offset + at, min(CHUNK, end - at))
            position += length

    def read(self, stream: Stream, most: int) -> bytes:
        """The first `most` bytes of a stream."""
        return b"".join(self.chunks(stream, 0, most))

    def pieces(self, stream: Stream) -> Iterator[tuple[int, int]]:
        """(offset in the file, length) of a stream's pieces; sectors in a row are one."""
        if stream.small:
            sector = stream.first
            for _ in range(-(-stream.size // _MINI_SECTOR)):
                part, inside = divmod(sector * _MINI_SECTOR, self._size)
                if sector >= _END or part >= len(self._mini_stream):
                    return
                yield (self._mini_stream[part] + 1) * self._size + inside, _MINI_SECTOR
                sector = self._lookup(self._mini_fat, sector)
            return
        begin = previous = -1
        for sector in self._chain(stream.first, -(-stream.size // self._size)):
            if begin < 0 or sector != previous + 1 or sector - begin >= _RUN:
                if begin >= 0:
                    yield (begin + 1) * self._size, (previous + 1 - begin) * self._size
                begin = sector
            previous = sector
        if begin >= 0:
            yield (begin + 1) * self._size, (previous + 1 - begin) * self._size
