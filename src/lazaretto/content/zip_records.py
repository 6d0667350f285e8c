"""Records of a zip file, and all of them: Layout.

Unpackers disagree on where a zip begins.  Some trust the last end record, some
the first, some walk from one local header to the next, and repair tools take
any signature they meet.  So read_layout follows the directory of every end
record and then looks for signatures in all bytes that no member claims.

Bytes are a member's own ("claimed") only where its local header and the
directory agree on them: a zip stored in a zip is then left to the next level,
and a header hidden by a lie about sizes is still found.

Limits:  as many records as max_members, MAX_ENDS end records, SIGNATURES_PER_MEMBER
         times max_members signatures; then Layout.overflow.  Time is linear.
Errors:  none raised but LimitExceeded("max_scan_s").
See:     PKWARE APPNOTE 6.3.10, s4.3 (records), s4.4 (fields), s4.5.3 (zip64)
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Span

LOCAL, CENTRAL, END, DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x07\x08"
END64, LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
ENCRYPTED, HAS_DESCRIPTOR = 1, 1 << 3
MAX_ENDS = 64
MAX_SHIFTS = 8
SIGNATURES_PER_MEMBER = 20

# APPNOTE s4.4.5; a header found by its signature alone must name one of these
METHODS = frozenset((*range(11), 12, 14, 16, 18, 19, 20, *range(93, 100)))

_SIGNATURES = regex.compile(rb"PK(?:\x03\x04|\x01\x02|\x05\x06|\x07\x08)")
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_NO16, _NO32 = 0xFFFF, 0xFFFFFFFF


class Local(NamedTuple):
    """Local file header."""

    offset: int
    flags: int
    method: int
    time: int
    crc: int
    packed: int
    size: int
    name: bytes
    extra: bytes
    start: int  # of the data


class Central(NamedTuple):
    """Entry of a central directory."""

    offset: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    name: bytes
    extra: bytes
    local: int  # where it says the local header is
    stop: int


class End(NamedTuple):
    """End record, with what a zip64 end record says in its place."""

    offset: int
    stop: int  # after the comment
    disk: int
    directories: tuple[tuple[int, int], ...]  # (where a directory may begin, what to add to its offsets)


class Layout:
    """All records that were found."""

    __slots__ = ("centrals", "claimed", "ends", "locals", "orphans", "overflow", "overlapping", "records", "references")

    def __init__(self) -> None:
        self.ends: list[End] = []  # each of them leads to a directory, or to none that is readable
        self.centrals: dict[int, Central] = {}
        self.locals: dict[int, Local] = {}
        self.references: dict[int, list[Central]] = {}  # local header -> entries that point to it
        self.orphans: list[Central] = []  # entries that point to no local header
        self.claimed: list[Span] = []  # from header to end of data, where nothing contradicts it
        self.records: list[int] = []  # sorted offsets of signatures outside of claimed bytes
        self.overlapping = 0  # members whose bytes are claimed twice
        self.overflow = False  # there is more than the limits allow


def read_local(source: Source, offset: int) -> Local | None:
    head = source.read_at(offset, 30)
    if len(head) < 30 or head[:4] != LOCAL:
        return None
    _, _, flags, method, time, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(head)
    rest = source.read_at(offset + 30, name_length + extra_length)
    extra = rest[name_length:]
    packed, size = _zip64(extra, ((size, 1), (packed, 0)))
    return Local(offset, flags, method, time, crc, packed, size, rest[:name_length], extra, offset + 30 + name_length + extra_length)


def read_central(source: Source, offset: int) -> Central | None:
    head = source.read_at(offset, 46)
    if len(head) < 46 or head[:4] != CENTRAL:
        return None
    _, _, _, flags, method, _, _, crc, packed, size, name_n, extra_n, comment_n, _, _, _, local = _CENTRAL.unpack(head)
    rest = source.read_at(offset + 46, name_n + extra_n)
    extra = rest[name_n:]
    packed, size, local = _zip64(extra, ((size, 1), (packed, 0), (local, 2)))
    stop = offset + 46 + name_n + extra_n + comment_n
    return Central(offset, flags, method, crc, packed, size, rest[:name_n], extra, local, stop)


def _zip64(extra: bytes, fields: tuple[tuple[int, int], ...]) -> list[int]:
    """`fields` are (value, place in the answer); those that say FFFFFFFF are taken from the zip64 field, in this order."""
    answer = [0] * len(fields)
    wide = extra_field(extra, 1)
    pos = 0
    for value, place in fields:
        if value == _NO32 and len(wide) >= pos + 8:
            value = int.from_bytes(wide[pos : pos + 8], "little")
            pos += 8
        answer[place] = value
    return answer


def extra_field(extra: bytes, tag: int) -> bytes:
    """Data of the first extra field `tag`; b"" if it is not there."""
    pos = 0
    while pos + 4 <= len(extra):
        found, length = struct.unpack_from("<HH", extra, pos)
        if found == tag:
            return extra[pos + 4 : pos + 4 + length]
        pos += 4 + length
    return b""


def read_end(source: Source, offset: int) -> End | None:
    head = source.read_at(offset, 22)
    if len(head) < 22 or head[:4] != END:
        return None
    _, disk, _, _, _, size, start, comment = _END.unpack(head)
    places = [(start, 0), (offset - size, offset - size - start)]
    locator = source.read_at(offset - 20, 20) if offset >= 20 else b""
    if locator[:4] == LOCATOR64:
        declared = int.from_bytes(locator[8:16], "little")
        for at in dict.fromkeys((declared, offset - 20 - 56)):
            record = source.read_at(at, 56) if at >= 0 else b""
            if len(record) == 56 and record[:4] == END64:
                *_, size, start = _END64.unpack(record)
                places += [(start, 0), (at - size, at - size - start)]
    # those with a directory at all, or with an empty one: a signature cannot be asked for there
    found = tuple(dict.fromkeys(p for p in places if p[0] >= 0 and source.read_at(p[0], 4) == CENTRAL))
    return End(offset, min(offset + 22 + comment, source.size), 0 if disk == _NO16 else disk, found)


def read_layout(source: Source, meter: Meter) -> Layout:
    """All records of `source`.  See the top of this file for what that means."""
    layout = Layout()
    reader = _Reader(source, meter, layout)
    reader.follow_last_end()
    reader.resolve()
    reader.claim()
    reader.scan()
    reader.resolve()
    return layout


class _Reader:
    """Fills a Layout, step by step."""

    def __init__(self, source: Source, meter: Meter, layout: Layout) -> None:
        self.source = source
        self.meter = meter
        self.layout = layout
        self.most = meter.limits.max_members + 1
        self.shifts = [0]
        self.resolved: set[int] = set()

    def follow_last_end(self) -> None:
        """The end record most unpackers take: the last one that leads to a directory, else the last."""
        data, stop = self.source.data, self.source.size
        for _ in range(MAX_ENDS):
            offset = data.rfind(END, 0, stop)
            if offset < 0:
                return
            end = read_end(self.source, offset)
            if end is not None and (end.directories or not self.layout.ends):
                self.follow(end)
                if end.directories:
                    return
            stop = offset + 3

    def follow(self, end: End) -> None:
        """Read the directories that `end` points to."""
        layout = self.layout
        layout.ends.append(end)
        for offset, shift in end.directories:
            if shift not in self.shifts and len(self.shifts) < MAX_SHIFTS:
                self.shifts.append(shift)
            while offset not in layout.centrals and (entry := read_central(self.source, offset)) is not None:
                self.add_central(entry)
                if layout.overflow:
                    return
                offset = entry.stop

    def add_central(self, entry: Central) -> None:
        self.layout.centrals[entry.offset] = entry
        if len(self.layout.centrals) % 256 == 0:
            self.meter.tick()
        if len(self.layout.centrals) > self.most:
            self.layout.overflow = True

    def add_local(self, header: Local) -> None:
        self.layout.locals[header.offset] = header
        if len(self.layout.locals) > self.most:
            self.layout.overflow = True

    def resolve(self) -> None:
        """Find the local headers of the entries, with every shift that some end record suggests."""
        layout = self.layout
        layout.orphans = []
        layout.references = {}
        for entry in layout.centrals.values():
            found = False
            for shift in self.shifts:
                offset = entry.local + shift
                if offset < 0:
                    continue
                header = layout.locals.get(offset) or read_local(self.source, offset)
                if header is not None:
                    found = True
                    layout.references.setdefault(offset, []).append(entry)
                    if offset not in layout.locals:
                        self.add_local(header)
            if not found:
                layout.orphans.append(entry)

    def claim(self) -> None:
        """Collect the bytes on which local header and directory agree, and count where they overlap."""
        layout = self.layout
        size = self.source.size
        reach = 0  # how far earlier members go
        for offset, header in sorted(layout.locals.items()):
            packed = [e.packed for e in layout.references.get(offset, ())]
            stop = header.start + max(packed, default=0)
            if offset < reach:
                layout.overlapping += 1
                if layout.claimed and layout.claimed[-1].stop > offset:
                    layout.claimed.pop()
            elif packed and stop <= size and min(packed) == max(packed) and _agree(header, packed[0]):
                layout.claimed.append(Span(offset, stop))
            if stop <= size:
                reach = max(reach, stop)

    def scan(self) -> None:
        """Look for records in all bytes that are neither claimed nor part of a directory."""
        layout = self.layout
        taken = sorted([*layout.claimed, *(Span(c.offset, c.stop) for c in layout.centrals.values())])
        hits: list[int] = []
        at = 0
        for span in [*taken, Span(self.source.size, self.source.size)]:
            if layout.overflow:
                break
            self.scan_gap(at, min(span.start + 3, self.source.size), hits)
            at = max(at, span.stop)
        layout.records = hits
        self.take_records(hits)

    def scan_gap(self, start: int, stop: int, hits: list[int]) -> None:
        for match in _SIGNATURES.finditer(self.source.data, start, stop):
            if len(hits) % 1024 == 0:
                self.meter.tick()
            if len(hits) > self.most * SIGNATURES_PER_MEMBER:
                self.layout.overflow = True
                return
            hits.append(match.start())

    def take_records(self, hits: list[int]) -> None:
        layout, source = self.layout, self.source
        covered = 0
        ends: list[int] = []
        entries: list[int] = []
        for offset in hits:
            if offset < covered:
                continue
            if len(layout.locals) > self.most:
                break
            kind = source.read_at(offset, 4)
            if kind == LOCAL and offset not in layout.locals:
                header = _plausible(source, offset)
                if header is None:
                    continue
                self.add_local(header)
                stop = header.start + local_extent(source, layout, header)
                # without a directory its own word counts, if another record follows just there
                if stop > header.start and (stop == source.size or source.read_at(stop, 2) == b"PK"):
                    covered = stop
                    layout.claimed.append(Span(offset, stop))
            elif kind == END:
                ends.append(offset)
            elif kind == CENTRAL:
                entries.append(offset)
        known = {end.offset for end in layout.ends}
        for offset in ends:
            end = read_end(source, offset)
            if end is not None and offset not in known:
                if len(layout.ends) >= MAX_ENDS:
                    layout.overflow = True
                    return
                self.follow(end)
        for offset in entries:
            entry = read_central(source, offset) if offset not in layout.centrals else None
            if entry is not None and entry.method in METHODS and len(layout.centrals) <= self.most:
                self.add_central(entry)


def locals_between(source: Source, span: Span, meter: Meter) -> Iterator[Local]:
    """Plausible local headers that begin inside `span`."""
    offset = source.data.find(LOCAL, *span)
    while offset >= 0:
        meter.tick()
        header = _plausible(source, offset)
        if header is not None:
            yield header
        offset = source.data.find(LOCAL, offset + 4, span.stop)


def _plausible(source: Source, offset: int) -> Local | None:
    """The local header at `offset`, if it may be one although nothing points to it."""
    header = read_local(source, offset)
    return header if header is not None and header.method in METHODS and header.start <= source.size else None


def _agree(header: Local, packed: int) -> bool:
    return header.packed == packed or bool(header.flags & HAS_DESCRIPTOR and header.packed in (0, _NO32))


def local_extent(source: Source, layout: Layout, header: Local) -> int:
    """Length of the packed data as the local header tells it, or for stored data the descriptor behind it; 0 if nothing does."""
    if not header.flags & HAS_DESCRIPTOR or 0 < header.packed < _NO32:
        return header.packed
    if header.method:
        return 0  # the stream knows where it ends
    records = layout.records
    index = bisect_left(records, header.start)
    for offset in records[index : index + 16]:
        kind = source.read_at(offset, 4)
        if kind == DESCRIPTOR and int.from_bytes(source.read_at(offset + 8, 4), "little") == offset - header.start:
            return offset - header.start
    for offset in records[index : index + 16]:
        if source.read_at(offset, 4) in (LOCAL, CENTRAL):
            return offset - header.start
    return source.size - header.start if index == len(records) else records[index] - header.start
