"""uuencode and begin-base64 in any text: found where clients find it, not in prose, within limits."""

from __future__ import annotations

import base64
from binascii import b2a_uu

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evasion_corpus as evasion
from chunked import Chunked
from eicar import EICAR
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime import uuencode
from lazaretto.mime.encoded import Encoded
from lazaretto.mime.source import Source

MISSING = not evasion.available()
ORACLE = evasion.oracle() if evasion.available() else None  # at import: it changes the recursion limit, which Hypothesis watches


def encode(
    data: bytes,
    *,
    name: bytes = b"a.exe",
    end: bytes = b"\r\n",
    width: int = 45,
    blanks: bool = False,
    strip: bool = False,
    close: bool = True,
) -> bytes:
    lines = [b2a_uu(data[at : at + width], backtick=not blanks)[:-1] for at in range(0, len(data), width)]
    if strip:
        lines = [line.rstrip(b" ") for line in lines]
    lines = [b"begin 644 " + name, *lines, *((b" " if blanks else b"`", b"end") if close else ())]
    return end.join(lines) + end


def find(text: bytes, piece: int = 1 << 18, strict: bool = True) -> list[Encoded]:
    return list(uuencode.find_uuencode(Chunked(text, piece), strict=strict))


def content(block: Encoded) -> bytes:
    return b"".join(block.chunks())


@given(
    st.binary(min_size=1, max_size=200),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
    st.integers(1, 45),
    st.booleans(),
    st.booleans(),
    st.integers(1, 99),
)
def test_round_trip(data: bytes, end: bytes, width: int, blanks: bool, close: bool, piece: int) -> None:
    text = b"Hello" + end + encode(data, end=end, width=width, blanks=blanks, close=close)
    (block,) = find(text, piece)
    assert content(block) == data
    assert content(block) == data, "chunks can be asked for again"
    assert (block.kind, block.name) == ("uuencode", b"a.exe")
    assert block.anomalies == (() if close else ("uuencode.no-end",))
    assert text[block.span.start : block.span.stop] == text[5 + len(end) :]


@pytest.mark.parametrize("before", [b"", b"x\r", b"x\n", b"x\r\n", b"begin\n", b"begin 644", b"begin 644 x\n"])
def test_starts_after_any_line_end(before: bytes) -> None:
    text = before + (b"\n" if before.endswith(b"4") else b"") + encode(EICAR)
    assert [content(block) for block in find(text)] == [EICAR]


@pytest.mark.parametrize("line", [b"begin 644 a.exe", b"begin 0644 a b.exe ", b"begin\t644\ta.exe", b"begin  644  ", b"begin 644"])
def test_begin_lines(line: bytes) -> None:
    (block,) = find(encode(EICAR).replace(b"begin 644 a.exe", line))
    assert content(block) == EICAR
    assert block.name in (b"a.exe", b"a b.exe", b"")


@pytest.mark.parametrize(
    "text",
    [
        b"begin 2024 with joy\r\nHello, this is a letter.\r\n",
        b"begin 2024 with joy\r\n\r\nDear all,\r\nwe meet at noon.\r\nend\r\n",
        b"begin 644 a.exe\r\n",
        b"begin 644 a.exe\r\nend\r\n",
        b"begin 644 a.exe\r\n`\r\nend\r\n",
        b"begin 689 a.exe\r\nMAAAA\r\n",
        b"begin 64 a.exe\r\n#AAAA\r\n",
        b"x begin 644 a.exe\r\n#AAAA\r\n",
        b"beginning 644\r\n#AAAA\r\n",
        b"begin-base64 is a word",
        b"begin-base64 644 x",
        b"",
    ],
)
def test_prose_gives_nothing(text: bytes) -> None:
    assert find(text) == []


def test_stripped_blanks() -> None:
    data = b"MZ" + bytes(88)
    (block,) = find(encode(data, blanks=True, strip=True))
    assert content(block) == data


def test_data_after_a_strange_first_line() -> None:
    (block,) = find(encode(EICAR).replace(b"\r\n", b"\r\nWhat is this?\r\n", 1))
    assert EICAR in content(block)


def test_characters_outside_the_alphabet_are_masked() -> None:
    (block,) = find(b"begin 644 a\r\n#abcd\r\nend\r\n")
    assert content(block) == b"\x04 \xc4"


def test_line_that_is_no_data() -> None:
    text = encode(EICAR).replace(b"\r\n", b"\r\n", 1)
    head, tail = text[: text.index(b"\r\n", 20) + 2], text[text.index(b"\r\n", 20) + 2 :]
    first, through = find(head + b"lower case\r\n" + tail)
    assert content(first) == EICAR[:45]
    assert first.anomalies == ("uuencode.no-end",)
    assert content(through) == EICAR
    assert through.anomalies == ("uuencode.bad-line",)


def test_begin_base64() -> None:
    text = b"x begin-base64 644 a.exe\n" + base64.encodebytes(EICAR) + b"====\nmore\n"
    (block,) = find(text)
    assert (block.kind, block.name, content(block), block.anomalies) == ("begin-base64", b"a.exe", EICAR, ())
    assert text[block.span.stop :] == b"\nmore\n"


def test_begin_base64_with_junk_comes_in_all_readings() -> None:
    blocks = find(b"begin-base64 644 a.exe\n!x\n" + base64.encodebytes(EICAR) + b"====\n")
    assert {block.span for block in blocks} == {blocks[0].span}
    assert EICAR in map(content, blocks)


def test_begin_base64_without_end() -> None:
    block = b"begin-base64 644 a\nAAAA\n"
    first, through, *_ = find(block + base64.encodebytes(EICAR) + block)
    assert first.span.start == through.span.start == 0
    assert EICAR in content(first)


@pytest.mark.parametrize("block", [b"begin 644 x\n#AAAA\n", b"begin-base64 644 x\nAAAA\n"])
def test_limit(block: bytes) -> None:
    limits = DEFAULT._replace(max_encoded_blocks=10)
    found: list[Encoded] = []
    with pytest.raises(LimitExceeded) as caught:
        found.extend(uuencode.find_uuencode(Source(block * 100), limits=limits))
    assert caught.value.limit == "max_encoded_blocks"


@pytest.mark.parametrize(
    "text", [b"begin 644 x\n" * 100_000, b"begin-base64 644 x " * 50_000, b"begin 644 x" * 100_000, b"begin-base64 644 x" * 50_000]
)
def test_many_begins_without_data(text: bytes) -> None:
    # Quadratic time would take minutes here.
    assert find(text) == []


@given(st.text("begin 6-4\r\n`M#!ax=", max_size=120).map(str.encode), st.integers(1, 20))
def test_never_raises_and_chunking_changes_nothing(text: bytes, piece: int) -> None:
    for strict in (True, False):
        blocks = [(block.span, content(block), block.anomalies) for block in find(text, piece, strict)]
        assert blocks == [(block.span, content(block), block.anomalies) for block in find(text, strict=strict)]
        assert all(0 <= span.start < span.stop <= len(text) for span, _, _ in blocks)


# -- a declared body


@pytest.mark.parametrize(
    ("body", "decoded", "names"),
    [
        (encode(EICAR), EICAR, ()),
        (b"\r\n" + encode(EICAR) + b"\r\n\r\n", EICAR, ()),
        (encode(EICAR, close=False), EICAR, ("uuencode.no-end",)),
        (encode(EICAR).partition(b"\r\n")[2], EICAR, ("uuencode.no-begin",)),
        (encode(b"abc") + encode(EICAR), b"abc", ("uuencode.several-blocks", "uuencode.text-around")),
        (b"hello\r\n" + encode(EICAR), EICAR, ("uuencode.text-around",)),
        (b"", b"", ("uuencode.no-begin",)),
    ],
)
def test_declared_body(body: bytes, decoded: bytes, names: tuple[str, ...]) -> None:
    source = Chunked(body, 10)
    assert b"".join(uuencode.decode(source, source.all)) == decoded
    assert uuencode.anomalies(source, source.all) == names
    others = [b"".join(chunks) for _, chunks in uuencode.readings(source, source.all)]
    assert bool(others) == bool(names)
    if EICAR in body or EICAR in decoded or len(names) == 2:
        assert EICAR in decoded or any(EICAR in other for other in others)


JUNK = [
    b"\r\n",
    b"\n",
    b"\0",
    b"M",
    b" ",
    b"a",
    b"begin 644 x\r\n",
    b"end\r\n",
    b"`\r\n",
    b"lower\r\n",
    b"\r",
    b"XYZ\r\n",
    b"====",
    b"begin-base64 644 z\n",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from([b"", b"MZ\0\0"])) + EICAR + bytes(draw(st.integers(0, 70)))
    blanks = draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        text = b"begin-base64 644 a\n" + base64.encodebytes(data) + draw(st.sampled_from([b"====\n", b""]))
    else:
        ends = st.sampled_from([b"\r\n", b"\n", b"\r"])
        width = draw(st.sampled_from([1, 10, 45]))
        text = encode(data, blanks=blanks, strip=draw(st.booleans()), close=draw(st.booleans()), end=draw(ends), width=width)
    text = (
        draw(st.sampled_from([b"", b"Hello\n", b"begin 2024 with joy\r\nHello\r\n"]))
        + text
        + draw(st.sampled_from([b"", b"-- \r\nSig\r\n"]))
    )
    for at, junk in draw(st.lists(st.tuples(st.integers(0, len(text)), st.sampled_from(JUNK)), max_size=3)):
        text = text[:at] + junk + text[at:]
    return text


@pytest.mark.skipif(MISSING, reason=evasion.MISSING)
@given(damaged())
def test_covers_the_oracle(text: bytes) -> None:
    assert ORACLE is not None
    source = Chunked(text, 50)
    declared = [b"".join(uuencode.decode(source, source.all)), *(b"".join(chunks) for _, chunks in uuencode.readings(source, source.all))]
    if any(EICAR in data for _, data in ORACLE.uu_find(text)):
        assert any(EICAR in content(block) for block in find(text, strict=False))
        assert any(EICAR in data for data in declared)
    if EICAR in ORACLE.uu_raw(text):
        assert any(EICAR in data for data in declared)
