"""content.cfb: compound files, against olefile and against damage."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import compound_file
from lazaretto.content import cfb
from lazaretto.content.cfb import CompoundFile
from lazaretto.mime.source import Source

STREAMS = {"small": b"abc", "empty": b"", "store/in/deep": b"x" * 5000, "store/64": b"y" * 64, "big": bytes(range(256)) * 600}
FILE = compound_file(STREAMS)
SAMPLES = Path(__file__).parents[3] / "shared/corpus/files/decalage2-oletools/data"


def contents(data: bytes) -> dict[str, bytes]:
    file = CompoundFile(Source(data))
    return {"/".join(stream.path): b"".join(file.chunks(stream)) for stream in file.streams}


def test_reads_what_was_written() -> None:
    assert contents(FILE) == STREAMS


def test_ranges() -> None:
    file = CompoundFile(Source(FILE))
    stream = next(stream for stream in file.streams if stream.name == "big")
    for start, stop in ((0, 10), (500, 530), (511, 1025), (100_000, None), (200_000, 300_000)):
        assert b"".join(file.chunks(stream, start, stop)) == STREAMS["big"][start:stop]
    assert file.read(stream, 700) == STREAMS["big"][:700]


@pytest.mark.parametrize(
    "data", [b"", FILE[:100], FILE[:512], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)], ids=["none", "cut", "header", "zeros"]
)
def test_nothing_readable(data: bytes) -> None:
    assert CompoundFile(Source(data)).streams == []


def test_impossible_sector_size() -> None:
    data = bytearray(FILE)
    data[30:32] = b"\xff\xff"
    assert contents(bytes(data)) == STREAMS


def test_chain_that_loops_ends() -> None:
    fat = struct.unpack_from("<I", FILE, 76)[0]
    data = bytearray(FILE)
    start = (fat + 1) * 512
    for at in range(start, start + 512, 4):
        struct.pack_into("<I", data, at, 1)  # every sector is followed by sector 1
    assert all(len(content) <= len(data) for content in contents(bytes(data)).values())


def test_entries_outside_the_tree_are_listed() -> None:
    directory = struct.unpack_from("<I", FILE, 48)[0]
    data = bytearray(FILE)
    at = (directory + 1) * 512 + 76  # child of the root
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert contents(bytes(data))["small"] == b"abc"


def test_entries_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cfb, "MAX_ENTRIES", 8)
    file = CompoundFile(Source(compound_file({f"s{n}": b"x" for n in range(40)})))
    assert file.truncated
    assert len(file.streams) < 20


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(FILE) - 1), st.integers(0, 255)), max_size=30))
def test_damage_is_survived(changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILE)
    for at, value in changes:
        data[at] = value
    for content in contents(bytes(data)).values():
        assert len(content) <= len(data)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the shared corpus")
def test_agrees_with_olefile() -> None:
    olefile = pytest.importorskip("olefile")
    compared = 0
    for sample in sorted(SAMPLES.iterdir()):
        data = sample.read_bytes()
        if not data.startswith(cfb.MAGIC):
            continue
        with olefile.OleFileIO(io.BytesIO(data)) as other:
            expected = {"/".join(path): other.openstream(path).read() for path in other.listdir()}
        assert contents(data) == expected
        compared += 1
    assert compared > 10


def test_storages_and_where_their_entries_lie() -> None:
    data = compound_file({"A/B/x": b"1", "y": b"2"})
    file = CompoundFile(Source(data))
    assert [path for path, _ in file.storages] == [("A",), ("A", "B")]
    for path, place in file.storages:
        assert data[place : place + 4] == path[-1].encode("utf-16-le") + b"\0\0"
        assert data[place + 66] == 1  # a storage
