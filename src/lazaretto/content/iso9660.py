"""ISO 9660 disk images, with Joliet and Rock Ridge names.

An image may hold several directory trees over the same bytes: one system shows
the primary one, another the Joliet one, and they need not hold the same files.
All trees are read.  A file that several of them point to is given once, with
the names it has in each.  The reader is as lenient as operating systems that
mount such images: nothing but the descriptors and the directories has to be right.

Limits:  each directory is read once; the meter counts every record.
Errors:  none raised but LimitExceeded; chunks may end in BrokenMember "iso.truncated".
         Problem "iso.broken" if no directory can be read.
See:     ECMA-119 s8 (descriptors), s9 (records); Joliet Specification; IEEE P1282 (Rock Ridge NM); udf
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason, Span

SECTOR = 2048
MAX_DESCRIPTORS = 64
MAX_CONTINUATIONS = 16
MAX_PATH = 4096  # characters kept of a path, the last ones
_DIRECTORY, _MORE = 0x02, 0x80  # file flags: ECMA-119 s9.1.6
_JOLIET = (b"%/@", b"%/C", b"%/E")  # UCS-2 levels 1 to 3


class _Tree(NamedTuple):
    """One volume descriptor."""

    root: tuple[Span, ...]
    block: int  # bytes
    joliet: bool


class _Record(NamedTuple):
    """One directory record."""

    spans: tuple[Span, ...]  # where it may be: little- and big-endian numbers may differ
    flags: int
    name: bytes
    use: bytes  # for Rock Ridge


def walk(source: Source, meter: Meter, _type_id: str = "iso", _passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """Files of all trees of a disk image.  See container.py."""
    trees = list(_trees(source))
    if not trees:
        yield Problem("iso.broken", "no volume descriptor", Reason.BROKEN)
    files: dict[tuple[Span, ...], dict[str, None]] = {}
    broken = False
    for tree in trees:
        broken = not _read_tree(source, meter, tree, files) or broken
    if broken:
        yield Problem("iso.broken", "a directory cannot be read", Reason.BROKEN)
    for spans, names in sorted(files.items()):
        packed = sum(span.stop - span.start for span in spans)
        yield Member(tuple(names), meter.unpack(_chunks(source, spans), max(packed, 1)))


def _trees(source: Source) -> Iterator[_Tree]:
    for sector in range(16, 16 + MAX_DESCRIPTORS):
        head = source.read_at(sector * SECTOR, SECTOR)
        if len(head) < 190:
            return
        if head[1:6] == b"CD001" and head[0] in (1, 2):
            block = int.from_bytes(head[128:130], "little")
            if block not in (512, 1024, 2048):
                block = SECTOR
            record = _record(head[156:190], block)
            if record is not None:
                yield _Tree(record.spans, block, head[0] == 2 and head[88:91] in _JOLIET)


def _read_tree(source: Source, meter: Meter, tree: _Tree, files: dict[tuple[Span, ...], dict[str, None]]) -> bool:
    """Add the files of one tree to `files`; False if its root is no directory."""
    waiting = [(span, "") for span in tree.root]
    seen: set[int] = set()
    records = 0
    while waiting:
        directory, path = waiting.pop()
        if directory.start in seen:
            continue
        seen.add(directory.start)
        pieces: list[Span] = []
        for record in _records(source, directory, tree.block):
            meter.member()
            records += 1
            if record.name in (b"\0", b"\1"):  # the directory itself and its parent
                continue
            name = (path + _name(source, record, tree))[-MAX_PATH:]
            if record.flags & _DIRECTORY:
                waiting += [(span, name + "/") for span in record.spans]
            elif record.flags & _MORE:
                pieces.append(record.spans[0])
            elif pieces:
                files.setdefault((*pieces, record.spans[0]), {})[name] = None
                pieces = []
            else:
                for span in record.spans:
                    files.setdefault((span,), {})[name] = None
    return records > 0


def _records(source: Source, directory: Span, block: int) -> Iterator[_Record]:
    """Records do not cross sectors: the rest of one is zeros."""
    offset = directory.start
    stop = min(directory.stop, source.size)
    while offset < stop:
        length = source.data[offset]
        if not length:
            offset += SECTOR - (offset - directory.start) % SECTOR
            continue
        record = _record(source.read_at(offset, length), block)
        if record is not None:
            yield record
        offset += length


def _record(data: bytes, block: int) -> _Record | None:
    if len(data) < 34:
        return None
    spans = []
    for order, at in (("little", 0), ("big", 4)):
        start = (int.from_bytes(data[2 + at : 6 + at], order) + data[1]) * block  # type: ignore[arg-type]
        size = int.from_bytes(data[10 + at : 14 + at], order)  # type: ignore[arg-type]
        spans.append(Span(start, start + size))
    if spans[1].start == 0:
        spans.pop()  # a writer that leaves the big-endian half out
    length = data[32]
    use = 33 + length + (length + 1) % 2
    return _Record(tuple(dict.fromkeys(spans)), data[25], data[33 : 33 + length], data[use:])


def _name(source: Source, record: _Record, tree: _Tree) -> str:
    if tree.joliet:
        name = record.name.decode("utf-16-be", "replace")
    else:
        rock_ridge = _rock_ridge(source, record.use, tree.block)
        if rock_ridge:
            return rock_ridge
        name = _text(record.name)
    name = name.partition(";")[0] if name.rpartition(";")[2].isdigit() else name  # the version number
    return name.removesuffix(".") if name.count(".") == 1 else name


def _rock_ridge(source: Source, use: bytes, block: int) -> str:
    """Alternate name, which may go on in continuation areas."""
    name = b""
    for _ in range(MAX_CONTINUATIONS):
        following = b""
        at = 0
        while at + 4 <= len(use) and use[at + 2] >= 4:
            entry = use[at : at + use[at + 2]]
            if entry[:2] == b"NM":
                name += entry[5:]
            elif entry[:2] == b"CE" and len(entry) >= 28:
                where, skip, size = (int.from_bytes(entry[i : i + 4], "little") for i in (4, 12, 20))
                following = source.read_at(where * block + skip, min(size, SECTOR))
            at += use[at + 2]
        if not following:
            break
        use = following
    return _text(name)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp437")


def _chunks(source: Source, spans: tuple[Span, ...]) -> Iterator[bytes]:
    for span in spans:
        yield from source.chunks(Span(min(span.start, source.size), min(span.stop, source.size)))
        if span.stop > source.size:
            raise BrokenMember("iso.truncated", f"{span.stop - max(span.start, source.size)} bytes are missing")
