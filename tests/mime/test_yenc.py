"""yEnc in any text: escapes over chunk borders, parts, doubtful ends, the oracle, limits."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evasion_corpus as evasion
from chunked import Chunked
from eicar import EICAR
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime import yenc
from lazaretto.mime.encoded import Encoded
from lazaretto.mime.source import Source

MISSING = not evasion.available()
ORACLE = evasion.oracle() if evasion.available() else None  # at import: it changes the recursion limit, which Hypothesis watches
SAMPLES = os.path.join(evasion.SHARED, "corpus", "messages", "jstedfast-MimeKit", "data")


def encode(
    data: bytes, *, header: bytes = b"line=128 size=1 name=a.exe", part: bytes = b"", end: bytes = b"\r\n", close: bytes = b"=yend size=1"
) -> bytes:
    shifted = bytes(char + 42 & 255 for char in data)
    text = re.sub(rb"[\0\r\n=]", lambda match: b"=" + bytes([match[0][0] + 64 & 255]), shifted)
    lines = [
        b"=ybegin " + header,
        *([part] if part else []),
        *(text[at : at + 128] for at in range(0, len(text), 128)),
        *([close] if close else []),
    ]
    return end.join(lines) + end


def find(text: bytes, piece: int = 1 << 18) -> list[Encoded]:
    return list(yenc.find_yenc(Chunked(text, piece)))


def content(block: Encoded) -> bytes:
    return b"".join(block.chunks())


@given(
    st.binary(max_size=300), st.sampled_from([b"\r\n", b"\n", b"\r"]), st.sampled_from([b"", b"=ypart begin=1 end=9"]), st.integers(1, 50)
)
def test_round_trip(data: bytes, end: bytes, part: bytes, piece: int) -> None:
    text = b"Hello" + end + encode(data, end=end, part=part)
    (block,) = find(text, piece)
    assert content(block) == content(block) == data
    assert (block.kind, block.name, block.anomalies) == ("yenc", b"a.exe", ())
    assert text[block.span.start : block.span.stop] == text[5 + len(end) :]


def test_without_end() -> None:
    (block,) = find(encode(EICAR, close=b""))
    assert content(block) == EICAR
    assert block.anomalies == ("yenc.no-end",)


def test_end_within_a_line() -> None:
    shifted = bytes(char + 42 & 255 for char in EICAR)
    at_line, anywhere = find(b"=ybegin line=1\r\nxx=yend\r\n" + shifted + b"\r\n=yend\r\n")
    assert EICAR in content(at_line)
    assert len(content(anywhere)) == 2
    assert at_line.anomalies == anywhere.anomalies == ("yenc.doubtful-end",)


def test_begin_within_the_data() -> None:
    text = encode(EICAR)
    cut = text.index(b"\r\n") + 30
    blocks = find(text[:cut] + b"=ybegin \r\n" + text[cut:])
    assert len(blocks) == 3  # up to the next, through it, and the next
    assert content(blocks[1]).startswith(EICAR[:28])
    assert content(blocks[1]).endswith(EICAR[28:])


def test_parts_of_one_name_are_put_together() -> None:
    text = encode(EICAR[:30], header=b"part=1 line=128 name=a.exe") + b"text\r\n" + encode(EICAR[30:], header=b"part=2 line=128 name=a.exe")
    *parts, whole = find(text)
    assert [content(block) for block in parts] == [EICAR[:30], EICAR[30:]]
    assert content(whole) == EICAR
    assert whole.anomalies == ("yenc.parts",)
    assert whole.span == (parts[0].span.start, parts[1].span.stop)


def test_limit() -> None:
    found: list[Encoded] = []
    with pytest.raises(LimitExceeded) as caught:
        found.extend(yenc.find_yenc(Source(encode(b"x") * 20), limits=DEFAULT._replace(max_encoded_blocks=10)))
    assert caught.value.limit == "max_encoded_blocks"


@pytest.mark.parametrize("text", [b"=ybegin " * 100_000, b"=ybegin", b"=yend" * 10_000])
def test_nothing_there(text: bytes) -> None:
    assert find(text) == []


@given(
    st.lists(st.sampled_from([b"=ybegin ", b"=yend", b"=ypart", b"\r", b"\n", b"=", b"a", b"name=b", b" part=1 "])).map(b"".join),
    st.integers(1, 20),
)
def test_never_raises_and_chunking_changes_nothing(text: bytes, piece: int) -> None:
    blocks = [(block.span, content(block), block.anomalies) for block in find(text, piece)]
    assert blocks == [(block.span, content(block), block.anomalies) for block in find(text)]
    assert all(0 <= span.start < span.stop <= len(text) for span, _, _ in blocks)


@pytest.mark.parametrize(
    ("body", "decoded", "names"),
    [
        (encode(EICAR), EICAR, ()),
        (b"text\r\n" + encode(EICAR), EICAR, ("yenc.text-around",)),
        (encode(b"abc") + encode(EICAR), b"abc", ("yenc.several-blocks", "yenc.text-around")),
        (b"text", b"text", ("yenc.no-begin",)),
    ],
)
def test_declared_body(body: bytes, decoded: bytes, names: tuple[str, ...]) -> None:
    source = Chunked(body, 10)
    assert b"".join(yenc.decode(source, source.all)) == decoded
    assert yenc.anomalies(source, source.all) == names
    if "yenc.several-blocks" in names:
        assert [b"".join(chunks) for _, chunks in yenc.readings(source, source.all)] == [EICAR]


JUNK = [b"\r\n", b"\n", b"=", b"=yend", b"\r\n=yend\r\n", b"=ybegin line=1\r\n", b"=ypart x\r\n", b"a", b"\r", b"=y"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from([b"", b"MZ\0\0"])) + EICAR + bytes(draw(st.integers(0, 70)))
    text = encode(data, part=draw(st.sampled_from([b"", b"=ypart begin=1"])), close=draw(st.sampled_from([b"", b"=yend"])))
    for at, junk in draw(st.lists(st.tuples(st.integers(0, len(text)), st.sampled_from(JUNK)), max_size=3)):
        text = text[:at] + junk + text[at:]
    return text


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
@given(damaged())
def test_covers_the_oracle(text: bytes) -> None:
    assert ORACLE is not None
    if any(EICAR in data for _, data in ORACLE.yenc_find(text)):
        assert any(EICAR in content(block) for block in find(text, 50))


@pytest.mark.skipif(not os.path.isdir(SAMPLES), reason=evasion.MISSING)
@pytest.mark.parametrize(("sample", "size"), [("00000020.ntx", 11250), ("00000021.ntx", 8088), ("simple.msg", 584)])
def test_real_posts(sample: str, size: int) -> None:
    with open(os.path.join(SAMPLES, "UnitTests_TestData_yenc_" + sample), "rb") as file:
        (block,) = find(file.read())
    assert len(content(block)) == size
    assert block.name in (b"joystick.jpg", b"testfile.txt")
