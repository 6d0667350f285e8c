"""content.pdffilter: the filters, against encoders."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import pdffilter
from lazaretto.limits import Meter


def decode(data: bytes, *filters: str) -> bytes:
    return b"".join(pdffilter.decode(data, 0, len(data), filters, Meter()))


def run_length(data: bytes) -> bytes:
    return b"".join(bytes((len(data[at : at + 100]) - 1,)) + data[at : at + 100] for at in range(0, len(data), 100)) + b"\x80"


def lzw(data: bytes) -> bytes:
    """Codes as a writer of PDF makes them."""
    codes = [(256, 9)]
    table: dict[bytes, int] = {bytes((byte,)): byte for byte in range(256)}
    following, width, word = 258, 9, b""
    for byte in data:
        longer = word + bytes((byte,))
        if longer in table:
            word = longer
            continue
        codes.append((table[word], width))
        table[longer] = following
        following += 1
        width = 9 if following < 512 - 0 else 10 if following < 1024 else 11 if following < 2048 else 12
        if following == 4094:
            codes.append((256, width))
            table = {bytes((byte,)): byte for byte in range(256)}
            following, width = 258, 9
        word = bytes((byte,))
    if word:
        codes.append((table[word], width))
        following += 1
    width = 9 if following < 512 else 10 if following < 1024 else 11 if following < 2048 else 12
    codes.append((257, width))
    return pack(codes)


def pack(codes: Iterable[tuple[int, int]]) -> bytes:
    bits = "".join(f"{code:0{width}b}" for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "FlateDecode": zlib.compress,
    "ASCIIHexDecode": lambda data: data.hex().encode() + b">",
    "ASCII85Decode": lambda data: base64.a85encode(data) + b"~>",
    "RunLengthDecode": run_length,
}


@pytest.mark.parametrize("name", ENCODERS)
@given(data=st.binary(max_size=600))
def test_round_trip(name: str, data: bytes) -> None:
    assert decode(ENCODERS[name](data), name) == data
    assert decode(ENCODERS[name](data) + b"\r\n", name).startswith(data)


@given(st.binary(max_size=300))
def test_chain(data: bytes) -> None:
    packed = base64.a85encode(zlib.compress(data.hex().encode() + b">")) + b"~>"
    assert decode(packed, "A85", "Fl", "AHx") == data


def test_lzw_example_of_the_standard() -> None:
    # ISO 32000-1 s7.4.4.2, example 1
    assert decode(bytes.fromhex("800B6050220C0C8501"), "LZWDecode") == bytes((45, 45, 45, 45, 45, 65, 45, 45, 45, 66))


@given(st.binary(max_size=500))
def test_lzw_literals_with_clear_codes(data: bytes) -> None:
    codes = [(code, 9) for byte in data for code in (256, byte)]
    assert decode(pack([*codes, (257, 9)]), "LZW") == data


def test_lzw_wide_codes() -> None:
    data = bytes(range(256)) * 3 + b"abc" * 200
    assert decode(lzw(data), "LZW").startswith(data[:250])


@pytest.mark.parametrize(
    ("text", "expected"), [(b"<~z~>", bytes(4)), (b"!!!!<~>", b"\0\0\0\x1b"), (b" 5 s d q , ", b"ABCD"), (b"5sd", b"AB")]
)
def test_ascii85_forms(text: bytes, expected: bytes) -> None:
    assert decode(text, "A85") == expected


def test_odd_hex_digit() -> None:
    assert decode(b"41 4>", "AHx") == b"A@"


@pytest.mark.parametrize("packed", [zlib.compress(b"text" * 9)[2:], b"\r\n" + zlib.compress(b"text" * 9)])
def test_flate_forms(packed: bytes) -> None:
    assert decode(packed, "Fl").startswith(b"text" * 9)


def test_images_and_unknown_filters_stay() -> None:
    assert decode(b"\xff\xd8", "DCTDecode") == b"\xff\xd8"
    assert decode(b"4142>", "AHx", "JPXDecode", "AHx") == b"AB"
    assert decode(b"x", "Nonsense") == b"x"


def test_number_of_filters_is_limited() -> None:
    data = b"A"
    for _ in range(pdffilter.MAX_FILTERS + 2):
        data = data.hex().encode()
    assert decode(data, *["AHx"] * (pdffilter.MAX_FILTERS + 2)) == b"A".hex().encode().hex().encode()


@given(st.binary(max_size=200), st.lists(st.sampled_from(["Fl", "LZW", "AHx", "A85", "RL"]), max_size=3))
def test_never_raises(data: bytes, filters: list[str]) -> None:
    decode(data, *filters)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [(0, b"\0abc\0def"), (1, b"\1a\1\1\1d\1\1"), (2, b"\2abc\2\3\3\3"), (4, b"\4abc\4\3\3\3")],
)
def test_unpredict(kind: int, rows: bytes) -> None:
    out = pdffilter.unpredict(rows, 3, 1)
    assert len(out) == 6
    if kind in (0, 1, 2):
        assert out == b"abcdef"


@given(st.binary(max_size=100), st.integers(1, 9), st.integers(1, 12))
def test_unpredict_never_raises(data: bytes, row: int, pixel: int) -> None:
    assert len(pdffilter.unpredict(data, row, pixel)) <= len(data)
