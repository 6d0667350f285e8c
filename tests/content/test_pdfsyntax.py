"""content.pdfsyntax: segments and spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import pdfsyntax
from lazaretto.errors import LimitExceeded


@pytest.mark.parametrize(
    ("raw", "tidy"),
    [
        (b"<</Type/Catalog>>", b"<< /Type /Catalog >>"),
        (b"<<\r\n/S\0/J#61vaScript %comment\n>>", b"<< /S /JavaScript >>"),
        (b"[1 2/A(x/#41 <<)]", b"[ 1 2 /A (x/#41 <<) ]"),
        (b"(a(b)\\)c)/X", b"(a(b)\\)c) /X"),
        (b"<4142>", b"(AB)"),
        (b"<fe ff>", b"<fe ff>"),
        (b"(never closed /A", b"(never closed /A)"),
        (b"% ( in a comment\n/A#42", b"/AB"),
        (b"", b""),
    ],
)
def test_tidy(raw: bytes, tidy: bytes) -> None:
    assert pdfsyntax.tidy(raw) == tidy


@given(st.binary(max_size=200))
def test_tidy_never_raises_and_settles(raw: bytes) -> None:
    list(pdfsyntax.pieces(raw))
    pdfsyntax.tidy(raw)


@given(st.lists(st.sampled_from([b"1 0 obj", b"<<>>", b"stream\n", b"endstream", b"/Length 3", b"xyz", b"\n"]), max_size=20))
def test_segments_lie_inside_and_cover_all_text(parts: list[bytes]) -> None:
    data = b"".join(parts)
    last = 0
    try:
        for segment in pdfsyntax.segments(data):
            assert 0 <= segment.start <= segment.stop <= segment.data_start <= len(data) or segment.stop == len(data)
            assert segment.data_start <= segment.data_stop <= len(data)
            assert segment.start >= last
            last = segment.start
    except LimitExceeded:
        return
    assert segment.stop == len(data)


def test_segments() -> None:
    data = b"7 0 obj <</Length 3>>stream\r\nendendstream endobj 8 0 obj 1"
    first, rest = pdfsyntax.segments(data)
    assert (first.number, first.dictionary.strip()) == (7, b"<</Length 3>>")
    assert data[first.data_start : first.data_stop] == b"end"
    assert data[rest.start : rest.stop] == b"endstream endobj 8 0 obj 1"


@pytest.mark.parametrize("length", [b"0", b"999999999999", b"5 0 R", b"-1"])
def test_lying_length(length: bytes) -> None:
    data = b"7 0 obj <</Length " + length + b">>stream\nabc\nendstream"
    segment = next(pdfsyntax.segments(data))
    assert data[segment.data_start : segment.data_stop].rstrip() == b"abc"


def test_length_over_an_endstream_inside() -> None:
    data = b"7 0 obj <</Length 15>>stream\nab endstream cd\nendstream"
    segment = next(pdfsyntax.segments(data))
    assert data[segment.data_start : segment.data_stop] == b"ab endstream cd"


@pytest.mark.parametrize(
    ("string", "raw"), [(b"a\\)b", b"a)b"), (b"\\101\\7", b"A\7"), (b"\\\r\nx", b"x"), (b"\\n\\q", b"\nq"), (b"plain", b"plain")]
)
def test_unescape(string: bytes, raw: bytes) -> None:
    assert pdfsyntax.unescape(string) == raw


@pytest.mark.parametrize(("raw", "text"), [(b"\xfe\xff\0a", "a"), (b"\xff\xfea\0", "a"), (b"\xef\xbb\xbf\xc3\xa4", "ä"), (b"\xe4", "ä")])
def test_to_text(raw: bytes, text: str) -> None:
    assert pdfsyntax.to_text(raw) == text


def test_unhex() -> None:
    assert pdfsyntax.unhex(b"41 4\n2 5") == b"ABP"


def test_objects() -> None:
    data = b"junk 1 0 obj a 2 0 obj b"
    assert list(pdfsyntax.objects(data, 0, len(data))) == [b"junk ", b"1 0 obj a ", b"2 0 obj b"]
