from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.rar_headers import read_rar
from lazaretto.mime.source import Source
from unpacking import sample

SAMPLES = [
    ("read_format_rar.rar", False, False),
    ("read_format_rar_unicode.rar", False, False),
    ("read_format_rar_encryption_data.rar", False, True),
    ("read_format_rar_encryption_header.rar", False, True),
    ("read_format_rar_encryption_partially.rar", False, True),
    ("rar_multivolume_single_file.part1.rar", True, False),
    ("rar_multivolume_single_file.part3.rar", True, False),
    ("read_format_rar5_compressed.rar", False, False),
    ("read_format_rar5_encrypted.rar", False, True),
    ("read_format_rar5_encrypted_filenames.rar", False, True),
    ("read_format_rar5_multiarchive.part01.rar", True, False),
    ("read_format_rar5_multiarchive.part08.rar", True, False),
]


@pytest.mark.parametrize(("name", "volume", "encrypted"), SAMPLES)
def test_samples(name: str, volume: bool, encrypted: bool) -> None:
    data = sample(name)
    assert read_rar(Source(data), 0) == (volume, encrypted)
    assert read_rar(Source(b"stub" + data + b"trailing"), 4) == (volume, encrypted)


def block5(kind: int, flags: int, rest: bytes) -> bytes:
    body = bytes((kind, flags)) + rest
    return bytes(4) + bytes((len(body),)) + body


def test_rar_5_by_hand() -> None:
    magic = b"Rar!\x1a\x07\x01\0"
    assert read_rar(Source(magic + block5(1, 0, b"\1\0")), 0).volume
    assert not read_rar(Source(magic + block5(1, 0, b"\4\0")), 0).volume
    file = block5(2, 3, b"\4\5" + b"name" + b"\3\2xx") + bytes(5)
    crypt = block5(2, 3, b"\4\0" + b"name" + b"\3\1xx")
    assert not read_rar(Source(magic + file), 0).encrypted
    assert read_rar(Source(magic + file + crypt), 0).encrypted
    assert read_rar(Source(magic + block5(4, 0, b"\0")), 0).encrypted


def test_loops_and_nonsense_end() -> None:
    for data in (
        b"",
        b"Rar!",
        b"Rar!\x1a\x07\0" + bytes(100),
        b"Rar!\x1a\x07\0" + struct.pack("<HBHH", 0, 0x74, 0, 6),
        b"Rar!\x1a\x07\x01\0" + b"\xff" * 99,
    ):
        assert read_rar(Source(data), 0) == (False, False)


@given(st.sampled_from([b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\x01\0", b""]), st.binary(max_size=200), st.integers(-1, 50))
def test_never_raises(magic: bytes, data: bytes, start: int) -> None:
    read_rar(Source(magic + data), max(start, 0))
