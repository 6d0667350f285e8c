"""Members of a zip file, as every unpacker might read them.

Each local header is read once, with all names that it and the directory give
it, by every method that one of them declares.  Since both may lie, data that
decodes as deflate, or whose checksum is right as it stands, is given that way
too.  Data is read to the end of its stream, not to the declared size.

Encrypted members are tried in the clear first (the flag may be a lie), then
with the passwords.  What stays closed is a member whose chunks raise
BrokenMember "zip.encrypted": its name still counts.

Limits:  READ_FACTOR times the size of the file is read, over all members, so
         overlapping members end in Problem "zip.overlap"; max_passwords; see
         zip_records for the number of records; the rest by the meter.
Errors:  none raised but LimitExceeded; chunks may end in BrokenMember
         "zip.truncated", "zip.broken", "zip.encrypted", "zip.unsupported", "zip.overlap".
         Problem "zip.crc": given, but the checksum is wrong.
See:     APPNOTE 6.3.10; zip_records (finding members), zipcheck (contradictions), zip_reading (methods)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from lazaretto.content import zip_reading, zipcheck, zipcrypto
from lazaretto.content.codec import Feed
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.content.zip_reading import AES, DEFLATE, STORED, Budget, Reading
from lazaretto.content.zip_records import (
    ENCRYPTED,
    HAS_DESCRIPTOR,
    Central,
    Layout,
    Local,
    extra_field,
    local_extent,
    locals_between,
    read_layout,
)
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason, Span

READ_FACTOR = 8
READ_FLOOR = 1 << 20
SLACK = 30  # bytes after the end of a stream: the shortest header hides in that many
_STRONG = 1 << 6


def walk(source: Source, meter: Meter, _type_id: str = "zip", passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """Members and contradictions of a zip that may begin anywhere in `source`.  See container.py."""
    layout = read_layout(source, meter)
    if not layout.locals and not layout.centrals and not layout.ends and not layout.overflow:
        yield Problem("zip.broken", "neither a member nor a directory", Reason.BROKEN)
        return
    yield from zipcheck.check(source, layout)
    walker = _Walker(source, meter, layout, passwords)
    for offset in sorted(layout.locals):
        yield from walker.member(layout.locals[offset], layout.references.get(offset, []))
        if walker.budget.spent:
            yield Problem("zip.overlap", "members share their bytes; the rest was not read", Reason.BROKEN)
            return
    yield from walker.slack()
    for entry in layout.orphans:
        meter.member()
        yield Member(_names([entry]), _refuse("zip.broken", "the directory points to no member", Reason.BROKEN))
    if layout.overflow:
        raise LimitExceeded("max_members", f"more than {meter.limits.max_members}")


class _Walker:
    """Gives the members of one archive, and says each kind of contradiction once."""

    def __init__(self, source: Source, meter: Meter, layout: Layout, passwords: Sequence[bytes]) -> None:
        self.source = source
        self.meter = meter
        self.layout = layout
        self.passwords = list(dict.fromkeys(passwords))[: meter.limits.max_passwords]
        self.budget = Budget(source, meter, READ_FACTOR * source.size + READ_FLOOR)
        self.said: set[str] = set()
        self.claimed = {span.start for span in layout.claimed}
        self.left_over: list[Span] = []  # claimed by a member whose stream ended before

    def say(self, name: str, detail: str) -> Iterator[Problem]:
        if name not in self.said:
            self.said.add(name)
            yield Problem(name, detail)

    def member(self, header: Local, entries: list[Central]) -> Iterator[Member | Problem]:
        """Every reading of one member."""
        self.meter.member()
        names = _names([*entries, header])
        records: list[Local | Central] = [*entries, header]
        if _is_directory(records):
            return
        data = _Data(self.source, self.layout, header, entries)
        methods = list(dict.fromkeys(record.method for record in records))
        try:
            if any(record.flags & ENCRYPTED for record in records):
                if not self.in_clear(data, methods):
                    yield from self.encrypted(names, data, records, methods)
                    return
                yield from self.say("zip.false-encryption", names[0])
            yield from self.readings(names, data, methods)
        except BrokenMember:
            if not self.budget.spent:
                raise

    def readings(self, names: tuple[str, ...], data: _Data, methods: list[int]) -> Iterator[Member | Problem]:
        """By each declared method, and by those that the data itself suggests."""
        complete = right = False
        for method in filter(zip_reading.readable, methods):
            reading = Reading(method, self.feed(data, method), data.missing)
            yield Member(names, self.meter.unpack(reading, data.weight))
            if self.budget.spent:
                return
            if reading.complete:
                complete = True
                right = right or reading.crc in data.sums
                yield from self.judge(names[0], data, method, reading)
        if DEFLATE not in methods:
            sure = zip_reading.looks_deflated(self.feed(data, DEFLATE), data.packed, data.sums)
            if sure:
                if sure > 1:
                    right = True
                    yield from self.say("zip.method-mismatch", f"{names[0]}: data is deflated")
                yield Member(names, self.meter.unpack(Reading(DEFLATE, self.feed(data, DEFLATE)), data.weight))
                complete = True
        # deflated data of full length is rare, so this seldom costs a second look at an honest member
        if STORED not in methods and not right and (not complete or data.packed in data.sizes):
            right = zip_reading.has_checksum(self.feed(data, STORED), data.sums)
            if right or not complete:
                if right:
                    yield from self.say("zip.method-mismatch", f"{names[0]}: data is stored")
                yield Member(names, self.meter.unpack(Reading(STORED, self.feed(data, STORED)), data.weight))
                complete = complete or right
        if complete and not right and data.sums:
            yield from self.say("zip.crc", names[0])
        for method in methods:
            if not complete and not zip_reading.readable(method):
                yield Member(names, self.meter.unpack(self.by_library(data, method), data.weight))

    def judge(self, name: str, data: _Data, method: int, reading: Reading) -> Iterator[Problem]:
        """Compare what was read with what was declared."""
        if any(size != reading.size for size in data.sizes):
            yield from self.say("zip.size-mismatch", f"{name}: {reading.size} bytes")
        elif zip_reading.self_ending(method) and data.packed and reading.used > data.packed:
            yield from self.say("zip.size-mismatch", f"{name}: {reading.used} packed bytes, not {data.packed}")
        if reading.used + SLACK <= data.packed:
            yield from self.say("zip.slack", f"{data.packed - reading.used} bytes after the end of {name}")
            if data.offset in self.claimed:  # else read_layout has looked there; so each byte is looked at once
                self.left_over.append(Span(data.start + reading.used, data.start + data.packed))

    def slack(self) -> Iterator[Member | Problem]:
        """Members in what other members claim but do not use."""
        known = set(self.layout.locals)
        for span in self.left_over:
            for header in locals_between(self.source, span, self.meter):
                if header.offset not in known and not self.budget.spent:
                    known.add(header.offset)
                    yield from self.member(header, [])

    def feed(self, data: _Data, method: int) -> Feed:
        stop = self.source.size if zip_reading.self_ending(method) else data.start + data.packed
        return self.budget.feed(data.start, stop)

    def in_clear(self, data: _Data, methods: list[int]) -> bool:
        """Whether an "encrypted" member is not encrypted at all."""
        if zip_reading.looks_deflated(self.feed(data, DEFLATE), data.packed, data.sums) > 1:
            return True
        return STORED in methods and zip_reading.has_checksum(self.feed(data, STORED), data.sums)

    def encrypted(
        self, names: tuple[str, ...], data: _Data, records: list[Local | Central], methods: list[int]
    ) -> Iterator[Member | Problem]:
        """The member as some password opens it; else as one that cannot be read."""
        if AES in methods and self.passwords:
            yield Member(names, self.meter.unpack(self.by_library(data, AES), data.weight))
            return
        if AES not in methods and not any(record.flags & _STRONG for record in records):
            for method in filter(zip_reading.readable, methods):
                feed = self.budget.feed(data.start, data.start + data.packed)
                password = self.password(data, method, feed)
                if password is not None:
                    reading = Reading(method, lambda: zipcrypto.decrypt(password, feed()), data.missing)  # noqa: B023
                    yield Member(names, self.meter.unpack(reading, data.weight))
                    return
        yield Member(names, _refuse("zip.encrypted", names[0], Reason.ENCRYPTED))

    def password(self, data: _Data, method: int, feed: Feed) -> bytes | None:
        head = self.source.read_at(data.start, min(data.packed, zipcrypto.HEADER))
        checks = (*(crc >> 24 for crc in data.sums), data.time >> 8)
        for password in self.passwords:
            self.meter.tick()
            if not zipcrypto.opens(password, head, checks):
                continue

            def clear(password: bytes = password) -> Iterator[bytes]:
                return zipcrypto.decrypt(password, feed())

            # one wrong password in 128 comes so far
            if method == DEFLATE:
                right = zip_reading.looks_deflated(clear, data.packed - zipcrypto.HEADER, data.sums) > 0
            else:
                right = method != STORED or not data.sums or zip_reading.has_checksum(clear, data.sums)
            if right:
                self.passwords.remove(password)
                self.passwords.insert(0, password)  # the other members will have the same
                return password
        return None

    def by_library(self, data: _Data, method: int) -> Iterator[bytes]:
        """What libarchive makes of the member alone: AES, PPMd."""
        from lazaretto.content import libarch

        if method not in libarch.ZIP_METHODS or not libarch.available():
            if method == AES:
                raise BrokenMember("zip.encrypted", "AES", Reason.ENCRYPTED)
            raise BrokenMember("zip.unsupported", f"compression method {method}", Reason.UNSUPPORTED)
        packed = b"".join(self.budget.feed(data.start, data.start + data.packed)())
        yield from libarch.zip_member(zip_single(data, method, packed), self.meter, self.passwords)


class _Data:
    """Where the data of one member is, and what is said about it."""

    __slots__ = ("aes", "flags", "missing", "offset", "packed", "size", "sizes", "start", "sums", "time", "weight")

    def __init__(self, source: Source, layout: Layout, header: Local, entries: list[Central]) -> None:
        late = bool(header.flags & HAS_DESCRIPTOR)  # the local header was written before its data was known
        self.offset = header.offset
        self.start = min(header.start, source.size)
        self.time = header.time
        self.flags = header.flags
        declared = max([local_extent(source, layout, header), *(e.packed for e in entries)])
        sizes = [e.size for e in entries]
        if not late or (header.size and not entries):
            sizes.append(header.size)
        if header.method == STORED or any(e.method == STORED for e in entries):
            # some unpackers copy as many bytes as come out, others as many as go in
            declared = max([declared, *(size for size in sizes if size <= source.size)])
        self.packed = min(declared, source.size - self.start)
        self.missing = declared - self.packed
        self.weight = self.packed or source.size - self.start
        self.sizes = sizes
        self.size = sizes[0] if sizes else 0
        self.sums = {e.crc for e in entries} | (set() if late and not header.crc else {header.crc})
        extras = (header.extra, *(e.extra for e in entries))
        self.aes = next((field for extra in extras if (field := extra_field(extra, 0x9901))), b"")


def zip_single(data: _Data, method: int, packed: bytes) -> bytes:
    """A zip of this one member with consistent headers, for a library to read."""
    extra = struct.pack("<HH", 0x9901, len(data.aes)) + data.aes if data.aes else b""
    crc = next(iter(data.sums), 0)
    sizes = crc, len(packed), data.size & 0xFFFFFFFF, 1, len(extra)
    common = struct.pack("<HHHHHLLLHH", 51, data.flags & ENCRYPTED, method, data.time, 0, *sizes)
    local = b"PK\x03\x04" + common + b"x" + extra
    central = b"PK\x01\x02" + struct.pack("<H", 51) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + b"x" + extra
    offset = len(local) + len(packed)
    return b"".join((local, packed, central, b"PK\x05\x06", struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), offset, 0)))


def _refuse(name: str, detail: str, reason: Reason) -> Iterator[bytes]:
    raise BrokenMember(name, detail, reason)
    yield b""


def _is_directory(records: Sequence[Local | Central]) -> bool:
    # two bytes are a deflate stream of nothing
    return all(r.name.endswith((b"/", b"\\")) and r.packed <= 2 and not r.size for r in records)


def _names(records: Sequence[Local | Central]) -> tuple[str, ...]:
    """Every name, the directory's first; the code page of old names is a guess, so non-ASCII ones have two readings."""
    names: dict[str, None] = {}
    for record in records:
        unicode_path = extra_field(record.extra, 0x7075)[5:]  # after version and the CRC-32 of the other name, APPNOTE s4.6.9
        for raw in (unicode_path, record.name):
            if raw:
                try:
                    names[raw.decode()] = None
                except UnicodeDecodeError:
                    names[raw.decode("cp437")] = None
        if not record.name.isascii():
            names[record.name.decode("cp437")] = None
    return tuple(names) or ("",)
