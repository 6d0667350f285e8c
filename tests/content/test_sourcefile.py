"""content.sourcefile: like a file, as io.BytesIO is."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import zip_file
from lazaretto.content.sourcefile import SourceFile
from lazaretto.mime.source import Source


@given(st.binary(max_size=50), st.lists(st.tuples(st.sampled_from(["read", "seek", "end", "here"]), st.integers(-5, 60)), max_size=10))
def test_behaves_like_bytesio(data: bytes, steps: list[tuple[str, int]]) -> None:
    ours, theirs = SourceFile(Source(data)), io.BytesIO(data)
    for step, number in steps:
        if step == "read":
            assert ours.read(number) == theirs.read(number)
        elif step == "seek" and number >= 0:
            assert ours.seek(number) == theirs.seek(number)
        elif step == "end" and number <= len(data):
            assert ours.seek(-abs(number) % (len(data) + 1) - len(data), 2) == theirs.seek(-abs(number) % (len(data) + 1) - len(data), 2)
        assert ours.tell() == theirs.tell()


def test_seek_before_the_start() -> None:
    with pytest.raises(ValueError, match="start"):
        SourceFile(Source(b"abc")).seek(-1)


def test_serves_zipfile() -> None:
    with zipfile.ZipFile(SourceFile(Source(zip_file({"a": b"b" * 1000})))) as archive:
        assert archive.read("a") == b"b" * 1000


def test_is_a_file_to_read_only() -> None:
    file = SourceFile(Source(b"0123456789"))
    assert (file.readable(), file.seekable(), file.writable(), file.closed) == (True, True, False, False)
    with file:
        assert file.read() == b"0123456789"
    assert file.closed


@pytest.mark.parametrize(
    ("offset", "whence", "size", "position", "data"),
    [
        (3, io.SEEK_SET, 2, 3, b"34"),
        (2, io.SEEK_CUR, 2, 7, b"78"),  # from 5
        (-5, io.SEEK_CUR, 1, 0, b"0"),
        (-1, io.SEEK_END, 5, 9, b"9"),
        (0, io.SEEK_END, 5, 10, b""),
        (90, io.SEEK_SET, 5, 90, b""),
        (8, io.SEEK_SET, None, 8, b"89"),
        (8, io.SEEK_SET, -1, 8, b"89"),
        (8, io.SEEK_SET, 0, 8, b""),
    ],
)
def test_seek_and_read(offset: int, whence: int, size: int | None, position: int, data: bytes) -> None:
    file = SourceFile(Source(b"0123456789"))
    assert file.read(5) == b"01234"
    assert file.seek(offset, whence) == position
    assert file.read(size) == data
    assert file.tell() == position + len(data)


def test_several_share_a_source() -> None:
    source = Source(b"0123456789")
    one, two = SourceFile(source), SourceFile(source)
    assert (one.read(4), two.read(2), one.read(2)) == (b"0123", b"01", b"45")


def test_a_position_survives_a_seek_that_cannot_be() -> None:
    file = SourceFile(Source(b"abc"))
    file.seek(2)
    for offset, whence in ((-1, io.SEEK_SET), (-3, io.SEEK_CUR), (-4, io.SEEK_END)):
        with pytest.raises(ValueError, match="before the start"):
            file.seek(offset, whence)
    assert file.tell() == 2
