"""Quoted-printable: one usual reading for any chunking; the other readings cover the oracle's."""

from __future__ import annotations

import re
from binascii import b2a_qp

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evasion_corpus as evasion
from chunked import Chunked
from eicar import EICAR
from lazaretto.mime import qp
from lazaretto.mime.source import Source
from lazaretto.model import Span

MISSING = not evasion.available()
ORACLE = evasion.oracle() if evasion.available() else None  # at import: it changes the recursion limit, which Hypothesis watches
NOISE = st.text("=4AXz \t\r\n\0", max_size=60).map(str.encode)


def decode(body: bytes, piece: int = 1 << 18) -> bytes:
    source = Chunked(body, piece)
    return b"".join(qp.decode(source, source.all))


def anomalies(body: bytes) -> tuple[str, ...]:
    return qp.anomalies(Source(body), Span(0, len(body)))


def readings(body: bytes, piece: int = 1 << 18) -> dict[str, bytes]:
    source = Chunked(body, piece)
    return {label: b"".join(chunks) for label, chunks in qp.readings(source, source.all)}


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1 << 18])
@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (b"", b""),
        (b"plain\r\ntext\n", b"plain\r\ntext\n"),
        (b"=41=4a=6B", b"AJk"),
        (b"a=\r\nb=\nc", b"abc"),
        (b"a= \t\r\nb", b"ab"),
        (b"a=", b"a"),
        (b"a= \t", b"a"),
        (b"a=\r", b"a"),
        (b"a=\rb", b"a=\rb"),  # what binascii alone would swallow
        (b"a=\rb\nc", b"a=\rb\nc"),
        (b"a==41", b"a=A"),
        (b"a==b", b"a==b"),
        (b"=4=\r\n1", b"=41"),  # a single pass does not put escapes together
        (b"=4", b"=4"),
        (b"=XY=4Z==", b"=XY=4Z="),
        (b"a \r\nb", b"a \r\nb"),
        (b"=00\0", b"\0\0"),
        (b"a_b", b"a_b"),
    ],
)
def test_usual_reading(body: bytes, decoded: bytes, piece: int) -> None:
    assert decode(body, piece) == decoded


@given(st.binary(max_size=300), st.integers(1, 30))
def test_round_trip(data: bytes, piece: int) -> None:
    assert decode(b2a_qp(data, istext=False), piece) == data
    assert anomalies(b2a_qp(data, istext=False).replace(b"\0", b"=00")) == ()


def test_soft_break_of_many_blanks_is_not_collected() -> None:
    blanks = b" " * 200_000
    body = b"a=" + blanks + b"\r\nb"
    # More than anyone holds: across chunks such a thing is no soft break, but nothing is lost.
    assert decode(body, 1000).replace(b"=", b"").split() == [b"a", b"b"]


@given(NOISE, st.integers(1, 9))
def test_chunking_changes_nothing(body: bytes, piece: int) -> None:
    assert decode(body, piece) == decode(body)
    assert readings(body, piece) == readings(body)


@pytest.mark.parametrize("body", [b"=" * 300, b"=A" * 150 + b"41", b"=" * 201 + b"41", b"==a" * 90, b"x" + b"=" * 200 + b"a" + b"=" * 100])
@pytest.mark.parametrize("piece", [1, 7, 64, 65, 66, 67, 100])
def test_runs_of_equals_signs(body: bytes, piece: int) -> None:
    assert decode(body, piece) == decode(body)
    assert readings(body, piece) == readings(body)


@given(st.binary(max_size=200))
def test_never_raises(body: bytes) -> None:
    decode(body)
    readings(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a=\r\nb=\nc=3D=3d", ()),
        (b"a =\r\n", ()),
        (b"a=", ()),
        (b"http://x/?a=b", ("qp.bad-escape",)),
        (b"=4", ("qp.bad-escape",)),
        (b"==41", ("qp.bad-escape",)),
        (b"=4=\r\n1", ("qp.bad-escape",)),
        (b"a= \r\nb", ("qp.soft-break",)),
        (b"a=\0\r\nb", ("qp.soft-break", "qp.nul")),
        (b"a=\rb", ("qp.soft-break", "qp.bare-cr")),
        (b"a=\r\r\nb", ("qp.soft-break", "qp.bare-cr")),
        (b"a\rb", ("qp.bare-cr",)),
        (b"a\0b", ("qp.nul",)),
    ],
)
def test_anomalies(body: bytes, expected: tuple[str, ...]) -> None:
    assert anomalies(body) == expected
    assert bool(readings(body)) == bool(expected)


@pytest.mark.parametrize(
    ("body", "label", "decoded"),
    [
        (b"=4=\r\n1=", "soft-breaks-first", b"A"),
        (b"a=\0\r\nb", "soft-breaks-first", b"ab"),
        (b"a= \r\n\r\nb", "soft-breaks-eat-lines", b"ab"),
        (b"a\r\nb=\rc", "one-line", b"abc"),
        (b"a==41", "drop-equals", b"aA"),
        (b"a=4x", "drop-one-digit", b"ax"),
        (b"a=xy", "drop-one", b"ay"),
        (b"a=xyb", "drop-two", b"ab"),
        (b"a==41", "double-equals", b"a=41"),
        (b"a==b41", "double-equals-letter", b"aA"),
        (b"=\x004\x001\0", "nul-removed.soft-breaks-first", b"A"),
        (b"=41=\r\r\n=42", "crcrlf.soft-breaks-first", b"AB"),
    ],
)
def test_each_reading_finds_what_it_is_for(body: bytes, label: str, decoded: bytes) -> None:
    assert readings(body)["qp." + label] == decoded


JUNK = [b"=", b"==", b"\r\n", b"\n", b"\0", b"=4", b"=X", b"=XY", b"= ", b"=\r", b"=\n", b"=\t\r\n", b"\r", b"a", b"=\r\r\n", b"=\r\n\r\n"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from([b"".join(b"=%02x" % char for char in EICAR), EICAR.replace(b"=", b"=3D")]))
    width = draw(st.sampled_from([3, 9, 30, 72]))
    body = draw(st.sampled_from([b"=\r\n", b"=\n", b"= \r\n", b"=\r\r\n", b"=\r"])).join(
        text[at : at + width] for at in range(0, len(text), width)
    )
    for at, junk in draw(st.lists(st.tuples(st.integers(0, len(body)), st.sampled_from(JUNK)), max_size=3)):
        body = body[:at] + junk + body[at:]
    if draw(st.booleans()):
        step = draw(st.integers(1, 9))
        body = draw(st.sampled_from(JUNK)).join(body[at : at + step] for at in range(0, len(body), step))
    return re.sub(rb"(.)", rb"\1\0", body, flags=re.DOTALL) if draw(st.integers(0, 4)) == 0 else body


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
@given(damaged())
def test_covers_the_oracle(body: bytes) -> None:
    assert ORACLE is not None
    # A clean body is read alike by everyone; there the oracle's joining of lines is no reading.
    if anomalies(body) and any(EICAR in variant for variant in ORACLE.qp_variants(body)):
        assert EICAR in decode(body) or any(EICAR in content for content in readings(body, 50).values())


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
def test_covers_the_corpus() -> None:
    cases = [meta for meta in evasion.cases("evasion") if meta["family"] == "qp-body"]
    assert cases
    for meta in cases:
        body = re.split(rb"(?i)quoted-printable[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n", evasion.originals(meta)[0], maxsplit=1)[1]
        markers = [marker.encode("latin-1") for marker in meta["markers"]]
        found = [decode(body), *readings(body).values()]
        assert any(marker in content for content in found for marker in markers), meta["id"]


@pytest.mark.parametrize("piece", [1, 2, 3, 1 << 18])
@pytest.mark.parametrize(
    ("body", "names", "usual", "first", "eaten"),
    [
        # body, anomalies, usual reading, soft-breaks-first, soft-breaks-eat-lines
        (b"a=\x0b\r\nb", "bad-escape soft-break", b"a=\x0b\r\nb", b"ab", b"a=\x0b\r\nb"),
        (b"a=\x0c\nb", "bad-escape soft-break", b"a=\x0c\nb", b"ab", b"a=\x0c\nb"),
        (b"a= \x0b\x0c\t\r\nb", "bad-escape soft-break", b"a= \x0b\x0c\t\r\nb", b"ab", b"a= \x0b\x0c\t\r\nb"),
        (b"a=\x0b\rb", "bad-escape soft-break bare-cr", b"a=\x0b\rb", b"ab", b"a=\x0b\rb"),
        (b"a=\x0b", "bad-escape soft-break", b"a=\x0b", b"a", b"a=\x0b"),
        (b"a=\x0cb", "bad-escape", b"a=\x0cb", b"a=\x0cb", b"a=\x0cb"),  # no line end: no soft break to anybody
        (b"a=\0\nb", "soft-break nul", b"a=\0\nb", b"ab", b"a=\0\nb"),
        (b"a=\0", "soft-break nul", b"a=\0", b"a", b"a=\0"),
        (b"a= ", "soft-break", b"a", b"a", b"a"),
        (b"a=\r\n\r\nb", "soft-break", b"a\r\nb", b"a\r\nb", b"ab"),
        (b"a=\n\nb", "soft-break", b"a\nb", b"a\nb", b"ab"),
        (b"a=\r\n\nb", "soft-break", b"a\nb", b"a\nb", b"ab"),
        (b"a=\n\rb", "soft-break bare-cr", b"a\rb", b"a\rb", b"ab"),
        (b"a=\r\rb", "soft-break bare-cr", b"a=\r\rb", b"a\rb", b"ab"),
        (b"a=\r\r\nb", "soft-break bare-cr", b"a=\r\r\nb", b"a\r\nb", b"ab"),
    ],
)
def test_odd_soft_breaks(body: bytes, names: str, usual: bytes, first: bytes, eaten: bytes, piece: int) -> None:
    assert anomalies(body) == tuple("qp." + name for name in names.split())
    assert decode(body, piece) == usual
    found = readings(body, piece)
    assert (found["qp.soft-breaks-first"], found["qp.soft-breaks-eat-lines"]) == (first, eaten)
    assert found["qp.one-line"] == first.replace(b"\r", b"").replace(b"\n", b"")
    assert found.get("qp.crcrlf.soft-breaks-first", first) == (b"ab" if b"\r\r\n" in body else first)


def test_soft_breaks_are_taken_out_before_escapes_are_read() -> None:
    """The escape exists only for those who join the lines first, whatever blanks stand there."""
    for blanks in (b"", b" ", b"\t", b"\x0b", b"\x0c", b"\0", b" \x0b\0"):
        for end in (b"\r\n", b"\n", b"\r"):
            assert readings(b"=4=" + blanks + end + b"1")["qp.soft-breaks-first"] == b"A"
