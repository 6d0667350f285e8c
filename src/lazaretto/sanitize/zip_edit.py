"""Members of a zip taken out or exchanged, all else copied byte for byte.

Archive reads a zip that has exactly one reading: members one behind the other,
then one directory, then one end record, and all three agree.  Anything else is
refused, because what is taken out of one reading may be left in another.

    archive = Archive(source, meter)
    archive.read("word/document.xml")
    archive.rebuild({"word/vbaProject.bin": None, "word/document.xml": new})

A member that stays keeps its local header and its packed bytes; only the
directory's offsets change.  One that is exchanged is deflated anew.

Limits:  the meter's for what is unpacked; max_members.
Errors:  Refused, with the reason for people; LimitExceeded from the meter.
See:     PKWARE APPNOTE 6.3.10 s4.3; content/zip_records.py, content/zipcheck.py
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lazaretto.content import zip_records, zipcheck
from lazaretto.content.zip_records import DESCRIPTOR, ENCRYPTED, HAS_DESCRIPTOR, Central, Local
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize.disarmed import Refused

_STORED, _DEFLATED = 0, 8
_UTF8 = 1 << 11
_ZIP64 = 1  # extra field
_OTHER_NAME = 0x7075  # extra field: a second name
_DESCRIPTORS = (12, 16)  # bytes behind the data, without and with a signature
_PACKED_PIECE = 1 << 16


class Entry(NamedTuple):
    """One member as both its headers tell it."""

    name: str
    local: Local
    central: Central
    stop: int  # where the next record begins


class Archive:
    """`names`: of all members in the order of their data, with slashes and without a leading one."""

    def __init__(self, source: Source, meter: Meter) -> None:
        self.source = source
        self.meter = meter
        layout = zip_records.read_layout(source, meter)
        for problem in zipcheck.check(source, layout):
            raise Refused(f"the zip has more than one reading: {problem.name} {problem.detail}".rstrip())
        if layout.overflow or len(layout.ends) != 1 or layout.orphans or not layout.references:
            raise Refused("the zip has more than one reading, or too many members")
        self._end = layout.ends[0]
        self._entries: dict[str, Entry] = {}
        self._directory_start = min(layout.centrals)
        seen: set[str] = set()
        offsets = sorted(layout.references)
        for offset, following in zip(offsets, [*offsets[1:], self._directory_start], strict=True):
            entry = self._entry(layout.locals[offset], layout.references[offset], following)
            if entry.name.lower() in seen:
                raise Refused(f"two members have the name {entry.name!r}")
            seen.add(entry.name.lower())
            self._entries[entry.name] = entry
        self._check_directory(sorted(layout.centrals.values()))
        self.names = tuple(self._entries)

    def _entry(self, local: Local, centrals: list[Central], following: int) -> Entry:
        name = _name(local)
        if len(centrals) != 1:
            raise Refused(f"the directory lists {name!r} twice")
        central = centrals[0]
        for record in (local, central):
            if record.method not in (_STORED, _DEFLATED) or record.flags & ~(HAS_DESCRIPTOR | _UTF8 | 6):
                raise Refused(f"{name!r} is packed or encrypted in a way that is not rewritten")
            for tag in (_ZIP64, _OTHER_NAME):
                if zip_records.extra_field(record.extra, tag):
                    raise Refused(f"{name!r} has a second size or name")
        if (local.flags ^ central.flags) & (ENCRYPTED | _UTF8) or local.name != central.name or local.method != central.method:
            raise Refused(f"{name!r} has two readings")
        behind = following - local.start - central.packed
        late = bool(local.flags & HAS_DESCRIPTOR)
        if behind not in (_DESCRIPTORS if late else (0,)):
            raise Refused(f"there are bytes behind {name!r} that belong to nothing")
        if behind == 16 and self.source.read_at(following - 16, 4) != DESCRIPTOR:
            raise Refused(f"there are bytes behind {name!r} that belong to nothing")
        return Entry(name, local, central, following)

    def _check_directory(self, centrals: list[Central]) -> None:
        position = self._directory_start
        for central in centrals:
            if central.offset != position:
                raise Refused("there are bytes inside the zip's directory that belong to nothing")
            position = central.stop
        if position != self._end.offset or self._end.stop != self.source.size or min(self.source.size, *self._offsets()) != 0:
            raise Refused("there are bytes around the zip's directory that belong to nothing")
        record = self.source.read_at(self._end.offset, 22)
        count, total, size, start = struct.unpack_from("<HHLL", record, 8)
        if (count, total, size, start) != (len(centrals), len(centrals), position - self._directory_start, self._directory_start):
            raise Refused("the zip's end record contradicts its directory")

    def _offsets(self) -> list[int]:
        return [entry.local.offset for entry in self._entries.values()]

    def read(self, name: str) -> bytes:
        """The content of a member; Refused if it is not what the headers say."""
        entry = self._entries[name]
        local, central = entry.local, entry.central
        packed = self.source.read_at(local.start, central.packed)
        self.meter.member()
        if local.method == _STORED:
            data = b"".join(self.meter.unpack([packed], len(packed)))
        else:
            data = b"".join(self.meter.unpack(_inflated(packed, name), max(len(packed), 1)))
        if len(data) != central.size or zlib.crc32(data) != central.crc:
            raise Refused(f"{name!r} is not what its header says")
        return data

    def head(self, name: str) -> bytes:
        """The first bytes of a member, some hundreds at most."""
        entry = self._entries[name]
        packed = self.source.read_at(entry.local.start, min(entry.central.packed, 256))
        if entry.local.method == _STORED:
            return packed
        try:
            return zlib.decompressobj(-15).decompress(packed, 256)
        except zlib.error:
            raise Refused(f"{name!r} is damaged") from None

    def rebuild(self, changes: Mapping[str, bytes | None], renamed: Mapping[str, str] | None = None) -> bytes:
        """The zip with new content for some members, and without those whose new content is None."""
        out = bytearray()
        directory = bytearray()
        count = 0
        for name, entry in self._entries.items():
            new = changes.get(name, b"")
            if new is None:
                continue
            count += 1
            offset = len(out)
            central = bytearray(self.source.read_at(entry.central.offset, entry.central.stop - entry.central.offset))
            local = self.source.read_at(entry.local.offset, entry.local.start - entry.local.offset)
            if name not in changes:
                out += local + self.source.read_at(entry.local.start, entry.stop - entry.local.start)
            else:
                header, data = _packed(local, new, entry.local.flags)
                out += header + data
                central[8:12] = header[6:10]  # flags, method
                central[16:28] = header[14:26]  # checksum, sizes
            struct.pack_into("<L", central, 42, offset)
            to = (renamed or {}).get(name)
            if to is not None:
                if len(to) != len(entry.central.name) or not to.isascii():
                    raise ValueError("a member is renamed to a name of the same length only")
                central[46 : 46 + len(to)] = out[offset + 30 : offset + 30 + len(to)] = to.encode("ascii")
            directory += central
        start = len(out)
        end = bytearray(self.source.read_at(self._end.offset, self._end.stop - self._end.offset))
        struct.pack_into("<HHLL", end, 8, count, count, len(directory), start)
        return bytes(out + directory + end)


def _packed(local: bytes, data: bytes, flags: int) -> tuple[bytes, bytes]:
    """A local header like `local` for new content, and the content deflated."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    header = bytearray(local)
    struct.pack_into("<HH", header, 6, flags & _UTF8, _DEFLATED)
    struct.pack_into("<LLL", header, 14, zlib.crc32(data), len(packed), len(data))
    return bytes(header), packed


def _inflated(packed: bytes, name: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(-15)
    rest = packed
    try:
        while rest and not decoder.eof:
            yield decoder.decompress(rest, _PACKED_PIECE)
            rest = decoder.unconsumed_tail
    except zlib.error as error:
        raise Refused(f"{name!r} is damaged") from error
    if not decoder.eof or decoder.unused_data:
        raise Refused(f"{name!r} is damaged")


def _name(record: Local) -> str:
    """The one name that all readers show."""
    try:
        name = record.name.decode("utf-8" if record.flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise Refused("a member's name has more than one reading") from None
    if not name.isprintable() or "\\" in name or any(step in ("", ".", "..") for step in name.removesuffix("/").split("/")):
        raise Refused(f"a member's name has more than one reading: {name!r}")
    return name
