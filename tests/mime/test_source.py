"""Sources: memory and mapped files read alike."""

from __future__ import annotations

import hashlib
import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import source as module
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Span

DATA = bytes(range(256)) * 5


@pytest.fixture(params=["memory", "file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    if request.param == "memory":
        yield Source(DATA)
        return
    path = tmp_path / "content"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield Source.from_fd(fd, len(DATA))
    finally:
        os.close(fd)


def test_reads_anywhere(source: Source) -> None:
    assert source.size == len(DATA)
    assert source.read_at(0, 3) == DATA[:3]
    assert source.read_at(300, 5) == DATA[300:305]
    assert source.read_at(len(DATA) - 2, 10) == DATA[-2:]
    assert source.read_at(len(DATA) + 5, 10) == b""
    assert source.span(Span(255, 257)) == DATA[255:257]
    assert isinstance(source.read_at(0, 1), bytes)


def test_what_others_rely_on(source: Source) -> None:
    """find, rfind, slices that are bytes, and the buffer interface."""
    assert source.data.find(b"\xff\x00") == 255
    assert source.data.rfind(b"\xff\x00") == 4 * 256 - 1
    assert source.data[10:12] == DATA[10:12]
    with memoryview(source.data) as view:
        assert bytes(view[:4]) == DATA[:4]


@pytest.mark.parametrize("size", [1, 7, len(DATA) - 1, len(DATA), len(DATA) + 1])
def test_chunks(source: Source, size: int) -> None:
    pieces = list(source.chunks(size=size))
    assert b"".join(pieces) == DATA
    assert all(0 < len(piece) <= size for piece in pieces)
    assert b"".join(source.chunks(Span(100, 999), size)) == DATA[100:999]
    assert list(source.chunks(Span(5, 5), size)) == []


def test_the_usual_chunk_is_bounded() -> None:
    pieces = list(Source(b"x" * (2 * CHUNK + 1)).chunks())
    assert [len(piece) for piece in pieces] == [CHUNK, CHUNK, 1]


def test_the_file_is_mapped_not_read(source: Source) -> None:
    if source.fd is not None:
        assert isinstance(source.data, mmap.mmap)
        with pytest.raises(TypeError):
            source.data[0:1] = b"x"
    assert source.span(Span(0, 1)) == DATA[:1]


def test_an_empty_file_cannot_be_mapped_and_need_not(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    fd = os.open(tmp_path / "empty", os.O_RDONLY)
    try:
        empty = Source.from_fd(fd, 0)
    finally:
        os.close(fd)
    assert (empty.size, empty.data, list(empty.chunks())) == (0, b"", [])


def test_a_pipe_cannot_be_mapped() -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises((OSError, ValueError)):
            Source.from_fd(reading, 10)
    finally:
        os.close(reading)
        os.close(writing)


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 300), st.integers(1, 50))
def test_chunks_of_any_span_are_its_bytes(data: bytes, start: int, stop: int, size: int) -> None:
    span = Span(start, min(stop, len(data)))
    assert b"".join(Source(data).chunks(span, size)) == data[span.start : span.stop]


@pytest.mark.parametrize("size", [0, 1, 5000, module._LITTLE - 1, module._LITTLE, module._LITTLE + CHUNK])
@pytest.mark.parametrize("loaded", [True, False])
def test_digest_is_sha_256(size: int, loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"x" * size
    expected = hashlib.sha256(data).digest()
    if not loaded:
        monkeypatch.delitem(sys.modules, "hashlib")
        monkeypatch.setattr(module, "_by_the_slow_one", 0)
    source = Source(data)
    assert source.digest() == expected == source.digest()


def test_digest_without_the_interpreters_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hashlib")
    monkeypatch.setattr(module, "_slow_sha256", lambda: None)
    assert Source(b"x").digest() == hashlib.sha256(b"x").digest()
