"""What in a zip's structure contradicts itself: facts from which policy decides.

Honest files do some of this: self-extracting programs have a prefix, signed
packages have bytes between members, appended updates leave unlisted members.
Each kind is reported once, with the first case and how many there are.

    zip.name-mismatch     local header and directory, or two entries, name one member differently
    zip.method-mismatch   ... say different compression methods
    zip.size-mismatch     ... say different sizes
    zip.several-ends      more than one end record leads to a directory
    zip.overlap           the same bytes belong to several members (Reason.BROKEN)
    zip.hidden-member     a local header that no directory lists
    zip.no-directory      there are members but no directory
    zip.prefix            bytes before the first record
    zip.suffix            bytes after the last end record
    zip.duplicate-name    two members of the same name, letter case aside
    zip.multivolume       part of a set (Reason.UNSUPPORTED)

Limits:  linear in the number of records.
Errors:  none raised.
See:     APPNOTE s4.3.6 (the honest structure); zip_records, zip_archive
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.content.container import Problem
from lazaretto.content.zip_records import ENCRYPTED, HAS_DESCRIPTOR, Layout
from lazaretto.mime.source import Source
from lazaretto.model import Reason


def check(source: Source, layout: Layout) -> Iterator[Problem]:
    """Contradictions in `layout`, each kind once."""
    if layout.overlapping:
        yield Problem("zip.overlap", f"{layout.overlapping} members share bytes with others", Reason.BROKEN)
    yield from _between_headers(layout)
    yield from _duplicates(layout)
    yield from _ends(source, layout)
    listed = layout.references
    hidden = [header for offset, header in sorted(layout.locals.items()) if offset not in listed]
    if layout.locals and not layout.centrals:
        yield Problem("zip.no-directory", f"{len(layout.locals)} members")
    elif hidden:
        yield Problem("zip.hidden-member", _more(_show(hidden[0].name), len(hidden)))


def _between_headers(layout: Layout) -> Iterator[Problem]:
    names, methods, sizes = [], [], []
    for offset, entries in layout.references.items():
        header = layout.locals[offset]
        for entry in entries:
            if entry.name != header.name:
                names.append(f"{_show(header.name)} / {_show(entry.name)}")
            if entry.method != header.method:
                methods.append(f"{_show(entry.name)}: {header.method} / {entry.method}")
            # a header written before the data leaves the sizes to the descriptor
            late = header.flags & HAS_DESCRIPTOR
            if (entry.method, entry.flags & ENCRYPTED) == (0, 0) and entry.packed != entry.size:
                sizes.append(f"{_show(entry.name)}: stored, {entry.packed} / {entry.size}")
            elif any(there != here and (here or not late) for there, here in ((entry.packed, header.packed), (entry.size, header.size))):
                sizes.append(f"{_show(entry.name)}: {header.packed}, {header.size} / {entry.packed}, {entry.size}")
    for name, cases in (("zip.name-mismatch", names), ("zip.method-mismatch", methods), ("zip.size-mismatch", sizes)):
        if cases:
            yield Problem(name, _more(cases[0], len(cases)))


def _duplicates(layout: Layout) -> Iterator[Problem]:
    seen: dict[bytes, int] = {}
    repeated = []
    for offset, entries in layout.references.items():
        names = {entry.name.lower() for entry in entries}
        repeated += [name for name in names if seen.setdefault(name, offset) != offset]
    if repeated:
        yield Problem("zip.duplicate-name", _more(_show(repeated[0]), len(repeated)))


def _ends(source: Source, layout: Layout) -> Iterator[Problem]:
    ends = sorted(layout.ends)
    leading = [end for end in ends if end.directories]
    if len(leading) > 1:
        yield Problem("zip.several-ends", f"{len(leading)} end records")
    if any(end.disk for end in ends):
        yield Problem("zip.multivolume", "part of a set", Reason.UNSUPPORTED)
    begins = [*layout.locals, *(end.offset for end in ends)]
    if begins and min(begins) > (4 if source.read_at(0, 4) in (b"PK\x07\x08", b"PK00") else 0):  # markers of a set of one
        yield Problem("zip.prefix", f"{min(begins)} bytes")
    if ends and max(end.stop for end in ends) < source.size:
        yield Problem("zip.suffix", f"{source.size - max(end.stop for end in ends)} bytes")


def _show(name: bytes) -> str:
    return ascii(name[:80].decode("utf-8", "replace"))


def _more(first: str, count: int) -> str:
    return first if count == 1 else f"{first} and {count - 1} more"
