"""Edits: the only way in which a message is changed.

An edit replaces a span of the original by other bytes.  Rendering copies,
splices and copies; without edits the output is the input, by construction.

Errors:  ValueError for edits that overlap or leave the source: a bug of ours.
See:     docs/architecture.md "Edits"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lazaretto.mime.source import Source
from lazaretto.model import Edit, Span


def ordered(edits: Iterable[Edit], size: int) -> tuple[Edit, ...]:
    """Sorted by position, checked: inside the source, no overlap.  Insertions at one place keep their order."""
    result = tuple(sorted(edits, key=lambda edit: edit.span))
    last = 0
    for edit in result:
        start, stop = edit.span
        if start < last or stop < start or stop > size:
            raise ValueError(f"edit at {start}:{stop} overlaps another or leaves the source of {size} bytes")
        last = stop
    return result


def render(source: Source, edits: Iterable[Edit]) -> Iterator[bytes]:
    """The message with `edits` applied, in pieces of bounded size."""
    position = 0
    for edit in ordered(edits, source.size):
        yield from source.chunks(Span(position, edit.span.start))
        if isinstance(edit.data, bytes):
            if edit.data:
                yield edit.data
        else:
            yield from edit.data.chunks()
        position = edit.span.stop
    yield from source.chunks(Span(position, source.size))
