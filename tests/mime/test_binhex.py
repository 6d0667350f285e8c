"""BinHex in any text: both forks, run lengths, lying headers, the oracle, limits."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evasion_corpus as evasion
from chunked import Chunked
from eicar import EICAR
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime import binhex
from lazaretto.mime.b64 import ALPHABET as BASE64
from lazaretto.mime.encoded import Encoded
from lazaretto.mime.source import CHUNK, Source

MISSING = not evasion.available()
ORACLE = evasion.oracle() if evasion.available() else None  # at import: it changes the recursion limit, which Hypothesis watches
INTRO = b"(This file must be converted with BinHex 4.0)"
TO_BINHEX = bytes.maketrans(BASE64, binhex.ALPHABET)


def pack(data: bytes) -> bytes:
    """Run lengths, then six bits a character."""
    packed, at = bytearray(), 0
    while at < len(data):
        count = 1
        while count < 255 and data[at + count : at + count + 1] == data[at : at + 1]:
            count += 1
        if data[at] == 0x90:
            packed += b"\x90\0"
            count = 1
        elif count > 3:
            packed += bytes([data[at], 0x90, count])
        else:
            packed += data[at : at + count]
        at += count
    return base64.b64encode(packed).rstrip(b"=").translate(TO_BINHEX)


def encode(
    data: bytes,
    resource: bytes = b"",
    *,
    name: bytes = b"a.exe",
    intro: bytes = INTRO,
    end: bytes = b"\r\n",
    close: bytes = b":",
    length: int | None = None,
) -> bytes:
    sizes = (len(data) if length is None else length).to_bytes(4, "big") + len(resource).to_bytes(4, "big")
    header = bytes([len(name)]) + name + b"\0TEXTttxt\0\0" + sizes
    text = b":" + pack(header + b"HC" + data + b"DC" + resource + b"RC") + close
    return intro + end * 2 + end.join(text[at : at + 64] for at in range(0, len(text), 64)) + end


def find(text: bytes, piece: int = 1 << 18, strict: bool = True) -> list[Encoded]:
    return list(binhex.find_binhex(Chunked(text, piece), strict=strict))


def content(block: Encoded) -> bytes:
    return b"".join(block.chunks())


data_with_runs = st.lists(st.tuples(st.sampled_from(b"\x90\0ab\xff"), st.integers(1, 600)), max_size=8).map(
    lambda runs: b"".join(bytes([c]) * n for c, n in runs)
)


@given(
    data_with_runs | st.binary(max_size=200),
    data_with_runs,
    st.sampled_from([b"", INTRO]),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
    st.sampled_from([b":", b""]),
    st.integers(1, 99),
)
def test_round_trip(data: bytes, resource: bytes, intro: bytes, end: bytes, close: bytes, piece: int) -> None:
    text = b"Hello" + end + encode(data, resource, intro=intro, end=end, close=close)
    blocks = find(text, piece)
    assert [content(block) for block in blocks] == ([data, resource] if resource else [data])
    for block in blocks:
        assert (block.kind, block.name) == ("binhex", b"a.exe")
        assert block.anomalies == (() if close else ("binhex.no-end",))
        assert text[block.span.start : block.span.stop].strip() == text[text.index(b":") :].strip()


@pytest.mark.parametrize("length", [0, 10, 1000, 1 << 31])
def test_lying_lengths(length: int) -> None:
    blocks = find(encode(EICAR, length=length))
    assert any(EICAR in content(block) for block in blocks)
    assert {name for block in blocks for name in block.anomalies} <= {"binhex.length", "binhex.header"}


def test_strange_header() -> None:
    text = encode(EICAR, name=b"n" * 70)
    assert all(block.anomalies == ("binhex.header",) for block in find(text))
    assert any(content(block).startswith(EICAR) for block in find(text))
    assert find(text.replace(INTRO, b"")) == []
    assert find(text.replace(INTRO, b""), strict=False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b":",
        b": a list item\n: of text that goes on for a while\n: more\n",
        b"time 12:30:45\n:-) smile, it is a long way to go from here :\n",
        b"\n:" * 99,
    ],
)
def test_prose_gives_nothing(text: bytes) -> None:
    assert find(text) == []
    assert find(text, strict=False) == [] or b"a while" in text or b"smile" in text


def test_runs() -> None:
    packed = [b"\x90", b"\x05a\x90", b"\x05\x90\x00\x90\x03b\x90\x01c\x90"]
    assert b"".join(binhex._expanded(iter(packed))) == b"aaaaa" + b"\x90\x90\x90" + b"bc\x90"


def test_chunks_are_bounded() -> None:
    (block,) = find(encode(bytes(CHUNK * 20)))
    sizes = [len(chunk) for chunk in block.chunks()]
    assert sum(sizes) == CHUNK * 20
    assert max(sizes) <= 2 * CHUNK


def test_bomb_is_not_unpacked_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binhex, "_MAX_COUNTED", 1000)
    assert find(encode(bytes(5000)))[0].anomalies == ("binhex.length",)


def test_limit() -> None:
    with pytest.raises(LimitExceeded) as caught:
        list(binhex.find_binhex(Source(encode(b"x") * 20), limits=DEFAULT._replace(max_encoded_blocks=10)))
    assert caught.value.limit == "max_encoded_blocks"


@given(
    st.lists(
        st.sampled_from([b":", b"\n", b"\r\n:", b"BinHex", b"!" * 20, b"#@%", b"a", b" ", b"o", pack(b"\x01a\0" + bytes(19) + b"x")])
    ).map(b"".join),
    st.integers(1, 20),
)
def test_never_raises_and_chunking_changes_nothing(text: bytes, piece: int) -> None:
    for strict in (True, False):
        blocks = [(block.span, content(block), block.anomalies) for block in find(text, piece, strict)]
        assert blocks == [(block.span, content(block), block.anomalies) for block in find(text, strict=strict)]
        assert all(0 <= span.start < span.stop <= len(text) for span, _, _ in blocks)


@pytest.mark.parametrize(
    ("body", "decoded", "names"),
    [
        (encode(EICAR), EICAR, ()),
        (encode(EICAR, b"resource"), EICAR, ("binhex.forks",)),
        (encode(EICAR, close=b""), EICAR, ("binhex.no-end",)),
        (b"text", b"text", ("binhex.no-begin",)),
    ],
)
def test_declared_body(body: bytes, decoded: bytes, names: tuple[str, ...]) -> None:
    source = Chunked(body, 10)
    assert b"".join(binhex.decode(source, source.all)) == decoded
    assert binhex.anomalies(source, source.all) == names
    others = [b"".join(chunks) for _, chunks in binhex.readings(source, source.all)]
    assert others == ([b"resource"] if names == ("binhex.forks",) else [])


JUNK = [b"\r\n", b"\n", b":", b"\r\n:", b"!", b"\x90", b"~", b"o", b" "]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from([b"", b"MZ\0\0"])) + EICAR + bytes(draw(st.integers(0, 70)))
    text = encode(data, draw(st.sampled_from([b"", EICAR])))
    for at, junk in draw(st.lists(st.tuples(st.integers(0, len(text)), st.sampled_from(JUNK)), max_size=3)):
        text = text[:at] + junk + text[at:]
    return text


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
@given(damaged())
def test_covers_the_oracle(text: bytes) -> None:
    assert ORACLE is not None
    if any(EICAR in data for _, data in ORACLE.hqx_find(text)):
        assert any(EICAR in content(block) for block in find(text, 50, strict=False))
