"""What is encoded comes out of the decoders as it went in, in lines no longer than allowed, whatever the pieces."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.mime import compose, transfer
from lazaretto.mime.source import Source
from lazaretto.model import Span


def encoded(data: bytes, encoding: str, eol: bytes = b"\r\n", line: int = 76, piece: int = 1 << 16) -> bytes:
    made = compose.encode((data[at : at + piece] for at in range(0, len(data), piece)), encoding, eol, line)
    assert made is not None
    return b"".join(made)


def decoded(data: bytes, encoding: str) -> bytes:
    return b"".join(transfer.decode(Source(data), Span(0, len(data)), encoding))


@given(st.binary(max_size=400), st.sampled_from([b"\r\n", b"\n"]), st.integers(0, 100), st.integers(1, 90))
def test_base64(data: bytes, eol: bytes, line: int, piece: int) -> None:
    text = encoded(data, "base64", eol, line, piece)
    width = min(max(line, 4), 76) // 4 * 4
    lines = text.split(eol) if text else []
    assert all(len(each) == width for each in lines[:-1])
    assert all(0 < len(each) <= width for each in lines[-1:])
    assert base64.b64decode(text) == decoded(text, "base64") == data


@given(
    st.binary(max_size=300) | st.text("a=\t .-F\r\né", max_size=300).map(str.encode), st.sampled_from([b"\r\n", b"\n"]), st.integers(1, 90)
)
@example(b"--b\r\n--b--\r\n.\r\nFrom me\r\n- -- \r\n", b"\r\n", 3)
@example(b"a\r\nb\nc\rd", b"\r\n", 2)
@example(b"x" * 200 + b"\n", b"\n", 7)
def test_quoted_printable(data: bytes, eol: bytes, piece: int) -> None:
    text = encoded(data, "quoted-printable", eol, piece=piece)
    assert decoded(text, "quoted-printable") == data
    if eol == b"\n":
        assert quopri.decodestring(text) == data
    for line in text.split(eol):
        assert len(line) <= 76
        assert not line.startswith((b"-", b".", b"From "))
        assert not set(line) & {10, 13}


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", ""])
def test_nothing_to_encode(encoding: str) -> None:
    assert encoded(b"--b\r\n\0", encoding) == b"--b\r\n\0"


@pytest.mark.parametrize("encoding", ["x-uuencode", "x-gzip64", "quoted"])
def test_what_is_not_of_rfc_2045(encoding: str) -> None:
    assert compose.encode([b"a"], encoding, b"\n") is None
