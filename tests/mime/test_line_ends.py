"""Bare CR and NUL are found, wherever chunks end."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.mime.line_ends import line_end_trouble
from lazaretto.mime.source import Source
from lazaretto.model import Span


class Pieces(Source):
    """A Source that gives its bytes in small pieces, as a large one does."""

    def __init__(self, data: bytes, chunk: int) -> None:
        super().__init__(data)
        self.chunk = chunk

    def chunks(self, span: Span | None = None, size: int = 0) -> Iterable[bytes]:  # type: ignore[override]
        return super().chunks(span, self.chunk)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (False, False)),
        (b"a\r\nb\r\n", (False, False)),
        (b"a\nb\n", (False, False)),
        (b"a\rb", (True, False)),
        (b"a\r", (True, False)),
        (b"\r", (True, False)),
        (b"\r\r\n", (True, False)),
        (b"a\r\n\r", (True, False)),
        (b"\0", (False, True)),
        (b"a\r\n\0\r\n", (False, True)),
        (b"\0\r", (True, True)),
        (b"\r\0", (True, True)),
        (b"\r\n" * 50 + b"\r" + b"\r\n" * 50 + b"\0", (True, True)),
    ],
)
def test_line_end_trouble(data: bytes, expected: tuple[bool, bool], chunk: int) -> None:
    assert line_end_trouble(Pieces(data, chunk)) == expected


def test_line_end_trouble_looks_at_the_span_only() -> None:
    source = Source(b"a\rb\r\nc\0d")
    assert line_end_trouble(source, Span(2, 6)) == (False, False)
    assert line_end_trouble(source, Span(0, 3)) == (True, False)
    assert line_end_trouble(source, Span(2, 4)) == (True, False)  # the CR at its end has no LF in it


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\0", b"bc"]), max_size=40).map(b"".join), st.integers(1, 9))
@example(b"\r" * 40 + b"\n", 3)
def test_line_ends_in_chunks_are_as_in_one_piece(data: bytes, chunk: int) -> None:
    bare = re.search(rb"\r(?!\n)", data) is not None
    assert line_end_trouble(Pieces(data, chunk)) == (bare, b"\0" in data)
