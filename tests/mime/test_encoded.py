"""What the finders share: the cap, batches, cuts of streams, finding without quadratic time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime.encoded import Encoded, Finder, batched, capped, cut
from lazaretto.mime.source import Source
from lazaretto.model import Span

BLOCK = Encoded("yenc", b"", Span(0, 0), lambda: iter(()))


def test_cap_stops_after_as_many() -> None:
    limits = DEFAULT._replace(max_encoded_blocks=3)
    assert len(list(capped([BLOCK] * 3, limits))) == 3
    seen: list[Encoded] = []
    with pytest.raises(LimitExceeded) as caught:
        seen.extend(capped([BLOCK] * 4, limits))
    assert caught.value.limit == "max_encoded_blocks"
    found = capped([BLOCK] * 4, limits)
    assert [next(found) for _ in range(3)] == [BLOCK] * 3


@given(st.lists(st.binary(max_size=9)), st.integers(1, 20))
def test_batches_join_to_the_same(pieces: list[bytes], size: int) -> None:
    batches = list(batched(pieces, size))
    assert b"".join(batches) == b"".join(pieces)
    assert all(len(batch) < size + 9 for batch in batches)


@given(st.lists(st.binary(max_size=9)), st.integers(0, 40), st.none() | st.integers(0, 40))
def test_cut_is_a_slice(pieces: list[bytes], start: int, stop: int | None) -> None:
    assert b"".join(cut(pieces, start, stop)) == b"".join(pieces)[start:stop]


def test_cut_reads_no_further_than_it_must() -> None:
    def endless() -> object:
        while True:
            yield b"abc"

    assert b"".join(cut(endless(), 1, 5)) == b"bcab"  # type: ignore[arg-type]


@given(st.text("ab", max_size=30).map(str.encode), st.lists(st.integers(0, 30)))
def test_finder_finds_as_find_does(data: bytes, offsets: list[int]) -> None:
    finder = Finder(Source(data), b"ab", len(data))
    for offset in sorted(offsets):
        found = data.find(b"ab", offset)
        assert finder.after(offset) == (found if found >= 0 else max(len(data), finder.after(offset)))
