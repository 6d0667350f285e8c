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
