"""Bare CR and NUL are found, wherever chunks end."""

from __future__ import annotations

import re
import tempfile
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


@pytest.mark.parametrize(
    ("data", "span", "expected"),
    [
        (b"a\r\nb", Span(0, 0), (False, False)),
        (b"a\r\nb", Span(2, 4), (False, False)),  # LF alone is a line end to everybody
        (b"a\r\nb", Span(0, 3), (False, False)),
        (b"a\r\nb", Span(0, 2), (True, False)),  # what follows the span is no LF of its own
        (b"\0a\0", Span(1, 2), (False, False)),
        (b"\0a\0", Span(0, 1), (False, True)),
        (b"\0a\0", Span(1, 3), (False, True)),
        (b"\ra\r", Span(1, 2), (False, False)),
        (b"\x0b\x0c\x85\x1e", Span(0, 4), (False, False)),  # line ends to Python's splitlines only
    ],
)
def test_line_end_trouble_at_the_borders(data: bytes, span: Span, expected: tuple[bool, bool]) -> None:
    assert line_end_trouble(Source(data), span) == expected


@pytest.mark.parametrize(("last", "expected"), [(b"", (False, False)), (b"\r", (True, False)), (b"\0", (False, True))])
def test_line_end_trouble_of_a_mapped_file(last: bytes, expected: tuple[bool, bool]) -> None:
    data = b"line\r\n" * 50_000 + last
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        assert line_end_trouble(Source.from_fd(file.fileno(), len(data))) == expected
