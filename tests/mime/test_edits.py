"""Edits: identity without edits, bytes outside edits survive in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime.edits import compose, ordered, render
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Edit, Span


@given(st.binary(max_size=300))
def test_no_edits_is_identity(data: bytes) -> None:
    assert b"".join(render(Source(data), ())) == data


@given(st.data())
def test_bytes_outside_edits_survive_in_order(data: st.DataObject) -> None:
    original = data.draw(st.binary(max_size=200))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(original)), max_size=8).filter(lambda some: len(some) % 2 == 0)))
    spans = [Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
    edits = [Edit(span, data.draw(st.binary(max_size=5))) for span in spans]
    expected = b""
    last = 0
    for edit in edits:
        assert isinstance(edit.data, bytes)
        expected += original[last : edit.span.start] + edit.data
        last = edit.span.stop
    expected += original[last:]
    shuffled = data.draw(st.permutations(edits)) if len({edit.span for edit in edits}) == len(edits) else edits
    assert b"".join(render(Source(original), shuffled)) == expected


def test_replacement_from_a_second_source() -> None:
    big = Source(b"x" * (2 * CHUNK + 1))
    pieces = list(render(Source(b"abc"), [Edit(Span(1, 2), big)]))
    assert b"".join(pieces) == b"a" + big.span(Span(0, big.size)) + b"c"
    assert max(map(len, pieces)) <= CHUNK


@pytest.mark.parametrize("spans", [[(0, 3), (2, 4)], [(0, 9)], [(3, 2)], [(1, 3), (2, 3)]])
def test_overlap_and_outside_are_bugs(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="overlaps another or leaves the source"):
        ordered([Edit(Span(*span), b"") for span in spans], 5)


def drawn_edits(data: st.DataObject, size: int) -> list[Edit]:
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=8).filter(lambda some: len(some) % 2 == 0)))
    spans = [Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
    return [
        Edit(span, Source(text) if data.draw(st.booleans()) else text) for span in spans for text in (data.draw(st.binary(max_size=5)),)
    ]


@given(st.data())
def test_composed_edits_do_what_one_after_the_other_does(data: st.DataObject) -> None:
    original = Source(data.draw(st.binary(max_size=60)))
    first = drawn_edits(data, original.size)
    middle = Source(b"".join(render(original, first)))
    second = drawn_edits(data, middle.size)
    both = compose(original.size, first, second)
    assert b"".join(render(original, both)) == b"".join(render(middle, second))
    assert ordered(both, original.size) == both


def test_composing_with_nothing_changes_nothing() -> None:
    edits = (Edit(Span(1, 2), b"xyz"),)
    assert compose(5, edits, ()) == edits == compose(5, (), edits)
    assert compose(5, (), ()) == ()


def test_what_nobody_touches_is_not_copied() -> None:
    big = Source(b"x" * CHUNK)
    edits = compose(9, [Edit(Span(2, 3), big)], [Edit(Span(0, 1), b"ab"), Edit(Span(2 + CHUNK, 4 + CHUNK), b"")])
    assert edits == (Edit(Span(0, 1), b"ab"), Edit(Span(2, 5), big))
    assert edits[1].data is big
