from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import rar_headers
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


MAGIC4, MAGIC5 = b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\x01\0"


def block4(kind: int, flags: int, data: bytes = b"", extra: bytes = b"") -> bytes:
    """A block of RAR 1.5 to 4; with `data`, its size stands behind the seven bytes of every block."""
    sized = flags & 0x8000 or kind == 0x74
    rest = (struct.pack("<I", len(data)) if sized else b"") + extra
    return struct.pack("<HBHH", 0, kind, flags, 7 + len(rest)) + rest + data


PLAIN4, FILE4, SECRET4 = block4(0x73, 0), block4(0x74, 0x8000, b"data"), block4(0x74, 0x8004, b"data")
FILE5, SECRET5 = block5(2, 3, b"\4\5name\3\2xx") + bytes(5), block5(2, 3, b"\4\0name\3\1xx")


@pytest.mark.parametrize(
    ("data", "volume", "encrypted"),
    [
        (MAGIC4 + PLAIN4 + FILE4, False, False),
        (MAGIC4 + block4(0x73, 1) + FILE4, True, False),
        (MAGIC4 + block4(0x73, 0x80) + FILE4, False, True),
        (MAGIC4 + block4(0x73, 0x81), True, True),
        (MAGIC4 + PLAIN4 + FILE4 + SECRET4, False, True),
        (MAGIC4 + PLAIN4 + block4(0x74, 4, b"data"), False, True),
        (MAGIC4 + PLAIN4 + block4(0x74, 0, SECRET4) + FILE4, False, False),  # data are no headers
        (MAGIC4 + PLAIN4 + block4(0x7A, 0x8000, SECRET4) + FILE4, False, False),
        (MAGIC4 + PLAIN4 + block4(0x7A, 0x8000, b"comment") + SECRET4, False, True),
        (MAGIC4 + PLAIN4 + block4(0x75, 0, extra=b"xyz") + SECRET4, False, True),
        (MAGIC4 + block4(0x73, 1)[:6], False, False),  # cut
        (MAGIC4 + block4(0x73, 1)[:7], True, False),
        (MAGIC4 + struct.pack("<HBHH", 0, 0x73, 1, 6) + SECRET4, True, False),  # too small to be a header
        (MAGIC5 + FILE5, False, False),
        (MAGIC5 + FILE5 + SECRET5, False, True),
        (MAGIC5 + block5(1, 0, b"\1\0") + FILE5, True, False),
        (MAGIC5 + block5(1, 0, b"\1\0") + block5(4, 0, b"\0"), True, True),  # encrypted headers: nothing else is known
        (MAGIC5 + block5(3, 1, b"\4CMT\3\1xx"), False, True),  # a service block, its record at the end
        (MAGIC5 + block5(2, 1, b"\4name\0\1xx"), False, False),  # a record of no size ends them
        (MAGIC5 + block5(2, 1, b"\1\x80"), False, False),  # a number without an end
        (MAGIC5 + block5(2, 3, b"\4"), False, False),  # no size of the data
        (MAGIC5 + FILE5[:-5] + SECRET5, False, False),  # the data said to be there swallow the next header
        (MAGIC5 + FILE5 + SECRET5[:-1], False, False),  # cut
        (MAGIC5 + bytes(4) + b"\xff" * 10 + SECRET5, False, False),
        (MAGIC5 + bytes(4) + b"\x80" * 9 + b"\0" + SECRET5, False, False),
        (MAGIC5[:7], False, False),
        (MAGIC5[:6] + b"\2" + PLAIN4 + SECRET4, False, False),
    ],
)
def test_headers_by_hand(data: bytes, volume: bool, encrypted: bool) -> None:
    assert read_rar(Source(data), 0) == (volume, encrypted)
    assert read_rar(Source(b"Rar!\x1a" + data), 5) == (volume, encrypted)


def test_rar_blocks_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rar_headers, "MAX_BLOCKS", 3)
    assert read_rar(Source(MAGIC4 + PLAIN4 * 2 + SECRET4), 0).encrypted
    assert not read_rar(Source(MAGIC4 + PLAIN4 * 3 + SECRET4), 0).encrypted
    assert read_rar(Source(MAGIC5 + FILE5 * 2 + SECRET5), 0).encrypted
    assert not read_rar(Source(MAGIC5 + FILE5 * 3 + SECRET5), 0).encrypted


@pytest.mark.parametrize(
    ("data", "at", "expected"),
    [
        (b"", 0, (0, -1)),
        (b"\0", 0, (0, 1)),
        (b"\x7f\1", 0, (127, 1)),
        (b"\x80\1", 0, (128, 2)),
        (b"x\xac\2y", 1, (300, 3)),
        (b"\x80", 0, (0, -1)),
        (b"\xff" * 9 + b"\x01", 0, ((1 << 64) - 1, 10)),
        (b"\x80" * 10 + b"\1", 0, (0, -1)),  # ten bytes are the most
        (b"\1", -1, (0, -1)),
        (b"\1", 5, (0, -1)),
    ],
)
def test_numbers(data: bytes, at: int, expected: tuple[int, int]) -> None:
    assert rar_headers._number(data, at) == expected
