from __future__ import annotations

import lzma
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eicar import EICAR
from lazaretto.content.container import BrokenMember
from lazaretto.content.zip_reading import (
    BZIP2,
    DEFLATE,
    LZMA,
    STORED,
    Budget,
    Reading,
    has_checksum,
    looks_deflated,
    readable,
    self_ending,
)
from lazaretto.limits import Meter
from lazaretto.mime.source import Source


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def budget(data: bytes, allowed: int = 1 << 30) -> Budget:
    return Budget(Source(data), Meter(), allowed)


def test_reading_knows_what_came_out() -> None:
    packed = deflated(EICAR)
    reading = Reading(DEFLATE, budget(packed + b"more").feed(0, len(packed) + 4))
    assert b"".join(reading) == EICAR
    assert (reading.complete, reading.size, reading.crc, reading.used) == (True, len(EICAR), zlib.crc32(EICAR), len(packed))


@pytest.mark.parametrize(
    ("method", "data", "missing", "name", "prefix"),
    [
        (STORED, EICAR, 5, "zip.truncated", EICAR),
        (DEFLATE, deflated(EICAR)[:-3], 0, "zip.truncated", EICAR[:20]),
        (DEFLATE, b"\0\3\0\xfc\xffabc\xff", 0, "zip.broken", b"abc"),
        (BZIP2, b"not bzip2", 0, "zip.broken", b""),
        (LZMA, b"\0\0\6\0\xff\0\0\0\0", 0, "zip.broken", b""),
        (LZMA, b"\0\0\5\0\xff\0\0\0\0", 0, "zip.broken", b""),
    ],
)
def test_broken(method: int, data: bytes, missing: int, name: str, prefix: bytes) -> None:
    reading = Reading(method, budget(data).feed(0, len(data)), missing)
    got: list[bytes] = []
    with pytest.raises(BrokenMember) as caught:
        got.extend(reading)
    assert caught.value.name == name
    assert b"".join(got).startswith(prefix)
    assert not reading.complete


@pytest.mark.parametrize("mark", [True, False])
def test_lzma_with_and_without_end_mark(mark: bool) -> None:
    alone = lzma.compress(EICAR, lzma.FORMAT_ALONE)  # with the mark, and an unknown size
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    raw = lzma.compress(EICAR, lzma.FORMAT_RAW, filters=filters)
    packed = struct.pack("<BBHBL", 9, 20, 5, 93, 1 << 16) + (raw if mark else raw[:-6])
    reading = Reading(LZMA, budget(packed).feed(0, len(packed)))
    data = b"".join(reading)
    assert EICAR.startswith(data)
    assert len(data) > len(EICAR) - 3
    assert reading.complete
    assert alone[0] == 93


def test_budget_ends_the_work() -> None:
    data = bytes(100_000)
    limited = budget(data, 150_000)
    assert len(b"".join(limited.feed(0, 100_000)())) == 100_000
    assert not limited.spent
    with pytest.raises(BrokenMember) as caught:
        list(limited.feed(0, 100_000)())
    assert caught.value.name == "zip.overlap"
    assert limited.spent


@pytest.mark.parametrize(
    ("data", "packed", "sums", "sure"),
    [
        (deflated(EICAR), -1, {zlib.crc32(EICAR)}, 2),
        (deflated(EICAR * 2), 1 << 20, set(), 1),
        (deflated(bytes(range(200))), -1, set(), 2),
        (deflated(bytes(2 << 20)), 0, set(), 1),
        (deflated(b"short"), 99, set(), 0),
        (deflated(b""), -1, {0}, 0),
        (EICAR, -1, {zlib.crc32(EICAR)}, 0),
        (b"", -1, set(), 0),
        (deflated(EICAR)[:-1], -1, set(), 0),
    ],
)
def test_looks_deflated(data: bytes, packed: int, sums: set[int], sure: int) -> None:
    feed = budget(data).feed(0, len(data))
    assert looks_deflated(feed, len(data) if packed < 0 else packed, sums) == sure


def test_has_checksum() -> None:
    feed = budget(EICAR).feed(0, len(EICAR))
    assert has_checksum(feed, {1, zlib.crc32(EICAR)})
    assert not has_checksum(feed, {1})
    assert not has_checksum(feed, set())


def test_methods() -> None:
    assert [method for method in range(100) if readable(method) and method not in (20, 93)] == [0, 8, 12, 14, 95]
    assert self_ending(DEFLATE)
    assert not self_ending(LZMA)
    assert not self_ending(STORED)


@given(st.binary(max_size=300), st.sampled_from([STORED, DEFLATE, BZIP2, LZMA, 95]))
def test_only_broken_member_is_raised(data: bytes, method: int) -> None:
    reading = Reading(method, budget(data).feed(0, len(data)))
    try:
        list(reading)
    except BrokenMember:
        assert not reading.complete
    else:
        assert reading.complete
