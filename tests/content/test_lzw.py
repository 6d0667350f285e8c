from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.lzw import Unlzw
from unpacking import sample


def compress(data: bytes, widest: int = 16, block_mode: bool = True) -> bytes:
    """A plain compress(1): groups of eight codes, padded where the width changes."""
    out = bytearray(b"\x1f\x9d") + bytes((widest | (0x80 if block_mode else 0),))
    table = {bytes((i,)): i for i in range(256)}
    free, width = 257 if block_mode else 256, 9
    group: list[int] = []

    def flush(full: bool) -> None:
        bits = sum(code << i * width for i, code in enumerate(group))
        length = width if full else -(-len(group) * width // 8)
        out.extend(bits.to_bytes(max(length, -(-len(group) * width // 8)), "little"))
        group.clear()

    def put(code: int) -> None:
        group.append(code)
        if len(group) == 8:
            flush(True)

    word = b""
    first = True
    for i in range(len(data)):
        longer = word + data[i : i + 1]
        if longer in table:
            word = longer
            continue
        put(table[word])
        # the reader is one entry behind: it adds nothing for the first code
        if not first and free > (1 << width) - 1 and width < widest:
            if group:
                flush(True)
            width += 1
        first = False
        if free < 1 << widest:
            table[longer] = free
            free += 1
        word = data[i : i + 1]
    if word:
        put(table[word])
    if group:
        flush(False)
    return bytes(out)


def expand(packed: bytes, step: int = 1 << 14) -> tuple[bytes, Unlzw]:
    stream = Unlzw(lambda: (packed[i : i + step] for i in range(0, len(packed), step)))
    return b"".join(stream), stream


TEXT = b"".join(b"the %d quick brown foxes\n" % i for i in range(3000))


@pytest.mark.parametrize("step", [1, 7, 1 << 14])
@pytest.mark.parametrize("widest", [9, 12, 16])
@pytest.mark.parametrize("block_mode", [True, False])
def test_round_trip(step: int, widest: int, block_mode: bool) -> None:
    data, stream = expand(compress(TEXT, widest, block_mode), step)
    assert data == TEXT
    assert stream.ended
    assert not stream.error


def test_one_letter_makes_the_longest_strings() -> None:
    data, _ = expand(compress(b"a" * 300_000))
    assert data == b"a" * 300_000


@pytest.mark.parametrize("name", ["compat_mac-1.tar.Z", "read_format_gtar_redundant_L.tar.Z", "compat_uudecode_large.tar.Z"])
def test_files_of_other_writers(name: str) -> None:
    data, stream = expand(sample(name))
    assert stream.ended
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames()


@pytest.mark.parametrize(
    ("packed", "error"),
    [
        (b"", "no compress header"),
        (b"\x1f\x9d", "no compress header"),
        (b"PK\x03\x04", "no compress header"),
        (b"\x1f\x9d\x88aaa", "codes of 8 bits"),
        (b"\x1f\x9d\x91aaa", "codes of 17 bits"),
        (b"\x1f\x9d\x90\xff\xff\xff", "first code is no byte"),
        (b"\x1f\x9d\x90a\xfe\xff\xff", "code before its entry"),
    ],
)
def test_damage(packed: bytes, error: str) -> None:
    data, stream = expand(packed)
    assert stream.error == error
    assert not stream.ended
    assert len(data) <= 1


@given(st.binary(max_size=400), st.sampled_from([9, 10, 16]), st.booleans())
def test_never_raises_and_ends(data: bytes, widest: int, block_mode: bool) -> None:
    _, stream = expand(b"\x1f\x9d" + bytes((widest | block_mode << 7,)) + data)
    assert stream.ended or stream.error
    assert stream.used <= len(data) + 3


@given(st.binary(max_size=2000), st.sampled_from([9, 10, 16]))
def test_random_round_trip(data: bytes, widest: int) -> None:
    assert expand(compress(data, widest))[0] == data
