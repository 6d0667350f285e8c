"""content.lzfu: compressed RTF."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import lzfu

# [MS-OXRTFCP] s3.1.1 and s3.1.2
EXAMPLES = [
    (
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
        b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
    ),
    ("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0", b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
]


@pytest.mark.parametrize(("packed", "text"), EXAMPLES)
def test_examples_of_the_specification(packed: str, text: bytes) -> None:
    data = bytes.fromhex(packed)
    assert b"".join(lzfu.decompress(data)) == text
    assert b"".join(lzfu.decompress(data + b"trailing")) == text
    for size in range(len(data)):  # a cut stream gives a prefix
        assert text.startswith(b"".join(lzfu.decompress(data[:size])))


def test_uncompressed() -> None:
    assert b"".join(lzfu.decompress(struct.pack("<II4sI", 20, 4, b"MELA", 0) + b"{\\rt")) == b"{\\rt"


def test_literals_of_any_length() -> None:
    text = bytes(range(256)) * 600
    body = b"".join(b"\0" + text[at : at + 8] for at in range(0, len(text), 8))
    assert b"".join(lzfu.decompress(b"\0" * 8 + b"LZFu\0\0\0\0" + body)) == text


@given(st.binary(max_size=300))
def test_never_raises_and_does_not_explode(data: bytes) -> None:
    out = b"".join(lzfu.decompress(b"\0" * 8 + b"LZFu\0\0\0\0" + data))
    assert len(out) <= len(data) * lzfu.MAX_RUN
    list(lzfu.decompress(data))
