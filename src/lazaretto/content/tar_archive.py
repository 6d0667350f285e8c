"""tar in all its dialects: v7, ustar, GNU, pax, star.

A tar is a chain of headers, and the length of each member leads to the next.
Programs disagree on that length: pax records, the header, the size of a directory
or link.  So where they differ both continuations are followed, and a file
hidden in the other's data is found.  A member has all names that its header,
a GNU long name and its pax records give it.

After a bad header the next block with a right checksum is looked for, and
after the end mark too (tar -i reads on there).  Holes of sparse files are
filled with zeros, as unpackers do.

Limits:  names and pax records of MAX_EXTENDED bytes; MAX_PIECES pieces of a sparse file.
Errors:  none raised but LimitExceeded; chunks may end in BrokenMember "tar.truncated".
         Problems: "tar.checksum", "tar.size-mismatch", "tar.name-mismatch",
         "tar.suffix", "tar.broken".
See:     POSIX pax(1p) "ustar Interchange Format"; GNU tar manual, "Tar Internals"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Reason, Span

BLOCK = 512
MAX_EXTENDED = 1 << 20
MAX_PIECES = 10_000
ZEROS = bytes(BLOCK)

_NO_DATA = b"123456"  # links, devices, directories, pipes: what size says of them is read differently
_Piece = tuple[int, int]  # offset in the file, length


class _Header(NamedTuple):
    offset: int
    name: bytes
    size: int
    kind: bytes
    block: bytes


class _Extended:
    """What the headers before a member say of it."""

    __slots__ = ("names", "pax")

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.pax: dict[bytes, bytes] = {}


def walk(source: Source, meter: Meter, _type_id: str = "tar", _passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """Members of a tar.  See container.py."""
    yield from _Walker(source, meter).walk()


class _Walker:
    def __init__(self, source: Source, meter: Meter) -> None:
        self.source = source
        self.meter = meter
        self.said: set[str] = set()
        self.seen: set[int] = set()  # offsets of headers
        self.chains = [0]  # where to read on
        self.scanned = bytearray(source.size // BLOCK + 1)  # blocks searched for a header

    def say(self, name: str, detail: str, reason: Reason | None = None) -> Iterator[Problem]:
        if name not in self.said:
            self.said.add(name)
            yield Problem(name, detail, reason)

    def walk(self) -> Iterator[Member | Problem]:
        while self.chains:
            yield from self.chain(self.chains.pop())
        if not self.seen:
            yield from self.say("tar.broken", "no header", Reason.BROKEN)

    def chain(self, offset: int) -> Iterator[Member | Problem]:
        """Follow one chain of headers until it ends or meets what was read before."""
        extended = _Extended()
        lasting: dict[bytes, bytes] = {}  # global pax records
        ended = False
        while offset < self.source.size and offset not in self.seen:
            self.meter.tick()
            header = read_header(self.source, offset)
            if header is None:
                if self.source.read_at(offset, BLOCK) == ZEROS[: self.source.size - offset]:
                    ended = True
                elif not ended:
                    name = "tar.truncated" if self.source.size - offset < BLOCK else "tar.checksum"
                    yield from self.say(name, f"at byte {offset}", Reason.BROKEN)
                extended = _Extended()
                offset = self.next_header(offset + BLOCK)
                continue
            if ended:
                ended = False
                yield from self.say("tar.suffix", f"members after the end mark, at byte {offset}")
            self.seen.add(offset)
            start = offset + BLOCK
            if header.kind in b"xgXLK":
                self.meter.member()
                self.extend(header, extended, lasting)
                offset = start + _padded(header.size)
                if offset > self.source.size:
                    yield from self.say("tar.truncated", f"extended header at byte {header.offset}", Reason.BROKEN)
                    offset = self.next_header(start)  # the size may be a lie
                continue
            if header.kind == b"S":
                start += self.gnu_sparse(header)[1]
            pax = {**lasting, **extended.pax}
            sizes = self.sizes(header, pax)
            names = _names(header, extended.names, pax)
            if len(names) > 1:
                yield from self.say("tar.name-mismatch", names[0])
            if any(sizes) or not _is_directory(header):
                yield from self.member(header, names, start, sizes, pax)
            ends = list(dict.fromkeys(start + _padded(size) for size in sizes))
            if header.kind in _NO_DATA and start not in ends:
                ends.append(start)
            others = [end for end in ends[1:] if read_header(self.source, end) is not None]
            if others:
                yield from self.say("tar.size-mismatch", f"{names[0]}: next header at {ends[0]} or {others[0]}")
                self.chains += others
            extended = _Extended()
            offset = ends[0]

    def next_header(self, offset: int) -> int:
        """Where the next header is, from `offset` on; no block is searched twice."""
        while offset < self.source.size and read_header(self.source, offset) is None:
            if self.scanned[offset // BLOCK]:
                return self.source.size  # whoever searched it went on from where that ended
            self.scanned[offset // BLOCK] = 1
            self.meter.tick()
            offset += BLOCK
        return offset

    def extend(self, header: _Header, extended: _Extended, lasting: dict[bytes, bytes]) -> None:
        data = self.source.read_at(header.offset + BLOCK, min(max(header.size, 0), MAX_EXTENDED))
        if header.kind == b"L":
            extended.names.append(data.split(b"\0", 1)[0])
        elif header.kind == b"g":
            lasting.update(read_pax(data))
        elif header.kind in b"xX":
            extended.pax.update(read_pax(data))

    def sizes(self, header: _Header, pax: dict[bytes, bytes]) -> list[int]:
        """Every length that some program takes for the member's, the usual one first."""
        sizes = [header.size]
        declared = pax.get(b"size", b"").strip()
        if declared.isdigit() and len(declared) < 20:
            sizes.insert(0, int(declared))
        return list(dict.fromkeys(sizes))

    def member(
        self, header: _Header, names: tuple[str, ...], start: int, sizes: list[int], pax: dict[bytes, bytes]
    ) -> Iterator[Member | Problem]:
        self.meter.member()
        if header.kind in _NO_DATA and not (any(sizes) and self.has_data(start)):
            return
        if header.kind == b"V" and not any(sizes):
            return  # the label of the volume
        pieces, skip = self.sparse(header, start, pax)
        size = max(sizes)
        stop = min(start + size, self.source.size)
        begin = min(start + skip, stop)
        missing = size - (stop - start) if start <= self.source.size else size
        chunks = self.plain(begin, stop, missing) if pieces is None else self.filled(begin, stop, pieces, missing)
        yield Member(names, self.meter.unpack(chunks, max(stop - begin, BLOCK)))

    def has_data(self, start: int) -> bool:
        """Whether something other than the next header or the end follows a link or directory that declares a size."""
        return read_header(self.source, start) is None and self.source.read_at(start, BLOCK).strip(b"\0") != b""

    def plain(self, start: int, stop: int, missing: int) -> Iterator[bytes]:
        yield from self.source.chunks(Span(start, max(start, stop)))
        if missing > 0:
            raise BrokenMember("tar.truncated", f"{missing} bytes are missing")

    def filled(self, start: int, stop: int, pieces: list[_Piece], missing: int) -> Iterator[bytes]:
        """A sparse file with its holes."""
        done = 0
        for offset, length in pieces:
            while done < offset:
                hole = min(CHUNK, offset - done)
                yield bytes(hole)
                done += hole
            part = Span(start, min(start + length, stop))
            yield from self.source.chunks(part)
            start = max(part.stop, start)
            done += length
        if start < stop:
            yield from self.source.chunks(Span(start, stop))  # what the map does not mention
        if missing > 0:
            raise BrokenMember("tar.truncated", f"{missing} bytes are missing")

    def sparse(self, header: _Header, start: int, pax: dict[bytes, bytes]) -> tuple[list[_Piece] | None, int]:
        """(map, bytes before the data) of a sparse file; (None, 0) for others."""
        if header.kind == b"S":
            return self.gnu_sparse(header)[0], 0
        numbers: list[int]
        skip = 0
        if pax.get(b"GNU.sparse.major") == b"1":
            numbers, skip = self.sparse_1_0(start)
        elif b"GNU.sparse.map" in pax:
            numbers = [int(n) for n in pax[b"GNU.sparse.map"].split(b",") if n.isdigit() and len(n) < 20]
        else:
            return None, 0
        return list(zip(numbers[::2], numbers[1::2], strict=False))[:MAX_PIECES], skip

    def sparse_1_0(self, start: int) -> tuple[list[int], int]:
        """pax format 1.0: decimal numbers, one a line, before the data; the first is how many pairs follow."""
        text = self.source.read_at(start, MAX_EXTENDED)
        count, pos = _line(text, 0)
        numbers = []
        for _ in range(min(count, MAX_PIECES) * 2):
            if pos < 0:
                break
            number, pos = _line(text, pos)
            numbers.append(number)
        return numbers, _padded(pos) if pos > 0 else 0

    def gnu_sparse(self, header: _Header) -> tuple[list[_Piece], int]:
        """(map, bytes between header and data): four pairs in the header, twenty-one in each block after it."""
        start = header.offset + BLOCK
        pieces = [_pair(header.block, pos) for pos in range(386, 482, 24)]
        more, skip = header.block[482:483] not in (b"\0", b""), 0
        while more and len(pieces) < MAX_PIECES:
            block = self.source.read_at(start + skip, BLOCK)
            if len(block) < BLOCK:
                break
            pieces += [_pair(block, pos) for pos in range(0, 504, 24)]
            more = block[504:505] != b"\0"
            skip += BLOCK
        return [piece for piece in pieces if piece[1]], skip


def read_header(source: Source, offset: int) -> _Header | None:
    """The header at `offset`; None unless its checksum is right, over signed or unsigned bytes."""
    block = source.read_at(offset, BLOCK)
    if len(block) < BLOCK:
        return None
    declared = _number(block[148:156])
    if declared <= 0:
        return None
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if declared not in (total, total - 256 * sum(1 for b in block[:148] + block[156:] if b > 127)):
        return None
    name = block[:100].split(b"\0", 1)[0]
    if block[257:262] == b"ustar" and block[262:263] == b"\0":
        prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    return _Header(offset, name, max(_number(block[124:136]), 0), block[156:157], block)


def _number(field: bytes) -> int:
    """Octal text, or base 256 with the first bit set; -1 if neither."""
    if field and field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0x80 and value < 1 << 62 else -1
    text = field.split(b"\0", 1)[0].strip()
    if not text:
        return 0
    try:
        return int(text, 8) if text.isdigit() else -1
    except ValueError:
        return -1


def _pair(block: bytes, pos: int) -> _Piece:
    return max(_number(block[pos : pos + 12]), 0), max(_number(block[pos + 12 : pos + 24]), 0)


def _line(text: bytes, pos: int) -> tuple[int, int]:
    """(number on the line, where the next line begins or -1)."""
    end = text.find(b"\n", pos, pos + 32)
    word = text[pos:end] if end >= 0 else b""
    return (int(word), end + 1) if word.isdigit() else (0, -1)


def read_pax(data: bytes) -> dict[bytes, bytes]:
    """Records "length key=value\\n"; stops at the first that is none."""
    records = {}
    pos = 0
    while pos < len(data):
        space = data.find(b" ", pos, pos + 12)
        length = data[pos:space] if space > 0 else b""
        if not length.isdigit() or int(length) <= space + 1 - pos:
            break
        key, equals, value = data[space + 1 : pos + int(length)].partition(b"=")
        if equals:
            records[key] = value.removesuffix(b"\n")
        pos += int(length)
    return records


def _names(header: _Header, long_names: list[bytes], pax: dict[bytes, bytes]) -> tuple[str, ...]:
    raw = [pax.get(b"GNU.sparse.name", b""), pax.get(b"path", b""), *reversed(long_names)]
    longest = max(raw, key=len)
    # honest writers cut a long name, put a made-up directory before it, or replace what is not ASCII
    short, whole = _ascii(header.name), _ascii(longest)
    if not longest or not ((len(header.name) >= 99 and whole.startswith(short)) or whole.endswith(short.rpartition(b"/")[2])):
        raw.append(header.name)
    names: dict[str, None] = {}
    for name in filter(None, raw):
        try:
            names[name.decode()] = None
        except UnicodeDecodeError:
            names[name.decode("latin-1")] = None
    return tuple(names) or ("",)


def _is_directory(header: _Header) -> bool:
    return header.kind == b"5" or header.name.endswith(b"/")


def _ascii(name: bytes) -> bytes:
    return re.sub(rb"[^A-Za-z0-9./-]", b"", name)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
