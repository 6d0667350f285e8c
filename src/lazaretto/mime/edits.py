"""Edits: the only way in which a message is changed.

An edit replaces a span of the original by other bytes.  Rendering copies,
splices and copies; without edits the output is the input, by construction.

    ordered(edits, size)             sorted and checked
    render(source, edits)            the message with them
    compose(size, first, second)     `second`, which edits what `first` makes, as edits of the original

Errors:  ValueError for edits that overlap or leave the source: a bug of ours.
See:     docs/architecture.md "Edits"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

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


class _Piece(NamedTuple):
    """Bytes of the message between the two edits: of the original (data None) or put in by the first."""

    data: bytes | Source | None
    span: Span  # in the original, or in `data`


def compose(size: int, first: Iterable[Edit], second: Iterable[Edit]) -> tuple[Edit, ...]:
    """One set of edits of a source of `size` bytes that does what `first` does and, to its result, `second`.

    What `first` put in and `second` cuts through is held in memory; all else stays where it is.
    """
    pieces = _pieces(size, first)
    middle = sum(piece.span.stop - piece.span.start for piece in pieces)
    kept: list[_Piece] = []
    source = iter(pieces)
    current = next(source, None)
    position = 0  # in the middle message: where `current` begins
    for edit in (*ordered(second, middle), Edit(Span(middle, middle), b"")):
        for skip, until in ((False, edit.span.start), (True, edit.span.stop)):
            while current is not None and position < until:
                length = current.span.stop - current.span.start
                part = min(length, until - position)
                if not skip:
                    kept.append(current._replace(span=Span(current.span.start, current.span.start + part)))
                position += part
                current = current._replace(span=Span(current.span.start + part, current.span.stop)) if part < length else next(source, None)
        kept.append(_inserted(edit.data))
    return tuple(_as_edits(size, kept))


def _inserted(data: bytes | Source) -> _Piece:
    return _Piece(data, Span(0, len(data) if isinstance(data, bytes) else data.size))


def _pieces(size: int, edits: Iterable[Edit]) -> list[_Piece]:
    pieces = []
    position = 0
    for edit in ordered(edits, size):
        pieces += [_Piece(None, Span(position, edit.span.start)), _inserted(edit.data)]
        position = edit.span.stop
    pieces.append(_Piece(None, Span(position, size)))
    return [piece for piece in pieces if piece.span.start < piece.span.stop]


def _as_edits(size: int, pieces: Iterable[_Piece]) -> Iterator[Edit]:
    """Between two kept pieces of the original everything else is replaced by what was put in there."""
    position = 0
    fresh: list[bytes | Source] = []
    for piece in (*pieces, _Piece(None, Span(size, size))):
        start, stop = piece.span
        if piece.data is None:
            if start == stop and start != size:
                continue
            if fresh or start > position:
                for number, data in enumerate(_joined(fresh) if fresh else [b""]):
                    yield Edit(Span(position if number == 0 else start, start), data)
            fresh, position = [], stop
        elif start < stop:
            if stop - start == (len(piece.data) if isinstance(piece.data, bytes) else piece.data.size):
                fresh.append(piece.data)
            else:
                fresh.append(piece.data[start:stop] if isinstance(piece.data, bytes) else piece.data.span(piece.span))


def _joined(pieces: Iterable[bytes | Source]) -> Iterator[bytes | Source]:
    """Neighbours that are bytes as one."""
    for is_bytes, run in groupby(pieces, lambda piece: isinstance(piece, bytes)):
        if is_bytes:
            yield b"".join(piece for piece in run if isinstance(piece, bytes))
        else:
            yield from run
