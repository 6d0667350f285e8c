"""Base64: the usual reading is the same for any chunking; anomalies are what decoders disagree on and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunked import Chunked
from lazaretto.mime import b64
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Span


def decode(body: bytes, piece: int = 1 << 18) -> bytes:
    source = Chunked(body, piece)
    return b"".join(b64.decode(source, source.all))


def anomalies(body: bytes, piece: int = 1 << 18) -> tuple[str, ...]:
    source = Chunked(body, piece)
    return b64.anomalies(source, source.all)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 76, 1 << 18])
@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (b"", b""),
        (b"TWFu", b"Man"),
        (b"TWE=", b"Ma"),
        (b"TQ==\r\n", b"M"),
        (b"TWE", b"Ma"),  # no padding
        (b"TQ", b"M"),
        (b"TWFuT", b"Man"),  # six bits are no byte
        (b"T", b""),
        (b"TWFu====", b"Man"),
        (b"TR==", b"M"),  # bits beyond the byte
        (b"TWE=TWFu", b"MaMan"),  # concatenated streams
        (b"TWE=TW=Fu", b"MaM\x16"),
        (b"=TWFu", b"Man"),
        (b"T=W=F=u=", b""),
        (b"T!W\xffF\0u", b"Man"),
        (b"T\r\nW\nF\ru", b"Man"),
        (b"T-W_F.u", b"Man"),  # the URL-safe alphabet is another reading
    ],
)
def test_usual_reading(body: bytes, decoded: bytes, piece: int) -> None:
    assert decode(body, piece) == decoded


@given(st.binary(max_size=400), st.integers(1, 100), st.sampled_from([b"\r\n", b"\n", b"\r", b" \n", b""]), st.integers(1, 50))
def test_round_trip(data: bytes, width: int, end: bytes, piece: int) -> None:
    text = base64.b64encode(data)
    body = end.join(text[at : at + width] for at in range(0, len(text), width)) + end
    assert decode(body, piece) == data


@given(st.text("QUJD=-_#! \r\n\0", max_size=60).map(str.encode), st.integers(1, 9))
def test_chunking_changes_nothing(body: bytes, piece: int) -> None:
    assert decode(body, piece) == decode(body)
    assert anomalies(body, piece) == anomalies(body)


@given(st.binary(max_size=200))
def test_never_raises(body: bytes) -> None:
    decode(body)
    anomalies(body)


def test_only_the_span_counts() -> None:
    source = Source(b"!!TWFu!!")
    assert b"".join(b64.decode(source, Span(2, 6))) == b"Man"
    assert b64.anomalies(source, Span(2, 6)) == ()
    assert b64.anomalies(source, Span(2, 7)) == ("base64.junk",)


@given(
    st.binary(min_size=1, max_size=400),
    st.integers(1, 25),
    st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"", b"\r\n", b"\n\n\n", b" \r\n"]),
)
def test_clean_bodies_have_no_anomalies(data: bytes, quads: int, end: bytes, after: bytes) -> None:
    text = base64.b64encode(data)
    body = end.join(text[at : at + quads * 4] for at in range(0, len(text), quads * 4))
    assert anomalies(body + after) == ()
    assert anomalies(end + body + after) == ()


@pytest.mark.parametrize("piece", [1, 3, 1 << 18])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ()),
        (b"TWFu \t\r\nTWFu  \r\n", ()),  # blanks at line ends
        (b"TWF!u", ("base64.junk",)),
        (b"TW Fu", ("base64.junk",)),  # blanks inside a line
        (b"TWFu\0", ("base64.nul",)),
        (b"TWFu\rTWFu", ("base64.bare-cr",)),
        (b"TWFu\r\r\nTWFu", ("base64.bare-cr",)),
        (b"TWE=TWFu", ("base64.padding-inside",)),
        (b"TWE=\r\nTWFu\r\n", ("base64.padding-inside",)),
        (b"TWE=\r\n-- \r\nlist footer\r\n", ("base64.text-after-end",)),
        (b"TWE", ("base64.length",)),
        (b"TWFuT", ("base64.length",)),
        (b"TWE==", ("base64.length",)),
        (b"TWFu=", ("base64.length",)),
        (b"TWFuT\r\nWFu", ("base64.split-quad",)),
        (b"TW\r\nE=", ("base64.split-quad",)),
        (b"TWFu\r\n\r\nTWFu", ("base64.blank-line",)),
        (b"TWFu\n \nTWFu\n\n", ("base64.blank-line",)),
        (b"A" * 1000, ("base64.long-line",)),
        (b"A" * 996, ()),
    ],
)
def test_anomalies(body: bytes, expected: tuple[str, ...], piece: int) -> None:
    assert anomalies(body, piece) == expected


def test_chunks_are_bounded() -> None:
    body = base64.b64encode(bytes(CHUNK * 2))
    source = Source(body)
    assert max(map(len, b64.decode(source, Span(0, source.size)))) <= CHUNK
    assert decode(body) == bytes(CHUNK * 2)
