"""Spool: content is exact, files are private and unnamed, nothing leaks whatever goes wrong."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import LimitExceeded
from lazaretto.mime.source import Source
from lazaretto.store.spool import Spool, default_directory


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


class BrokenError(Exception):
    pass


def breaking(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise BrokenError


def all_bytes(source: Source) -> bytes:
    return b"".join(source.chunks())


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 60))
def test_round_trip(chunks: list[bytes], memory_bytes: int) -> None:
    with Spool(None, memory_bytes) as spool:
        source = spool.take(chunks)
        whole = b"".join(chunks)
        assert source.size == len(whole)
        assert all_bytes(source) == whole
        assert (source.fd is None) == (len(whole) <= memory_bytes)


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 60), st.integers(0, 100))
def test_limit_keeps_exactly_max_bytes(chunks: list[bytes], memory_bytes: int, max_bytes: int) -> None:
    whole = b"".join(chunks)
    with Spool(None, memory_bytes) as spool:
        source, problem = spool.take_partial(iter(chunks), max_bytes=max_bytes)
        assert all_bytes(source) == whole[:max_bytes]
        assert (problem is not None) == (len(whole) > max_bytes)
        if problem is not None:
            with pytest.raises(LimitExceeded) as caught:
                spool.take(chunks, max_bytes=max_bytes, limit="max_member_bytes")
            assert caught.value.limit == "max_member_bytes"


def test_file_is_unnamed_private_and_read_only(tmp_path: Path) -> None:
    with Spool(str(tmp_path), 4) as spool:
        source = spool.take([b"hello ", b"world"])
        assert list(tmp_path.iterdir()) == []
        assert source.fd is not None
        status = os.fstat(source.fd)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_size == 11
        assert os.read(source.fd, 99) == b"hello world"
        with pytest.raises(OSError) as caught:
            os.write(source.fd, b"x")
        assert caught.value.errno == errno.EBADF
        assert not os.get_inheritable(source.fd)


def test_without_o_tmpfile_and_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777) -> int:
        if path.startswith("/proc/"):
            raise OSError(errno.ENOENT, "no /proc")
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    before = descriptors()
    with Spool(str(tmp_path), 4) as spool:
        source = spool.take([b"hello world"])
        assert all_bytes(source) == b"hello world"
        assert list(tmp_path.iterdir()) == []
        assert source.fd is not None
        assert stat.S_IMODE(os.fstat(source.fd).st_mode) == 0o600
        assert os.read(source.fd, 99) == b"hello world"
    assert descriptors() == before


@pytest.mark.parametrize("memory_bytes", [0, 100])
def test_failing_stream_leaks_nothing(memory_bytes: int) -> None:
    before = descriptors()
    spool = Spool(None, memory_bytes)
    with pytest.raises(BrokenError):
        spool.take(breaking(b"abc", b"def"))
    assert descriptors() == before


@pytest.mark.parametrize("memory_bytes", [0, 4, 100])
def test_partial_keeps_what_came_before(memory_bytes: int) -> None:
    with Spool(None, memory_bytes) as spool:
        source, problem = spool.take_partial(breaking(b"abc", b"def"), (BrokenError,))
        assert all_bytes(source) == b"abcdef"
        assert isinstance(problem, BrokenError)
        source, problem = spool.take_partial([b"abc"], (BrokenError,))
        assert all_bytes(source) == b"abc"
        assert problem is None


def test_partial_lets_other_exceptions_pass() -> None:
    before = descriptors()
    with Spool(None, 0) as spool, pytest.raises(BrokenError):
        spool.take_partial(breaking(b"abc"), (ValueError,))
    assert descriptors() == before


def test_close_and_release_give_descriptors_back() -> None:
    before = descriptors()
    spool = Spool(None, 0)
    sources = [spool.take([b"x" * 100]) for _ in range(10)]
    assert len(descriptors() - before) >= 10
    spool.release(sources[0])
    spool.release(sources[0])
    spool.release(spool.take([]))
    other = Spool(None, 0)
    theirs = other.take([b"y"])
    spool.release(theirs)  # not ours, perhaps with a descriptor number that once was
    assert all_bytes(theirs) == b"y"
    with memoryview(sources[1].data):
        spool.close()
    other.close()
    spool.close()
    del sources
    assert descriptors() == before


def test_missing_directory_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError, match="missing"):
        Spool(str(missing), 0).take([b"x"])


def test_disk_full_names_the_directory(tmp_path: Path) -> None:
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # Python ignores SIGXFSZ, so write(2) fails as on a full disk
    try:
        with Spool(str(tmp_path), 0) as spool, pytest.raises(OSError, match="cannot write a spool file in") as caught:
            spool.take([b"x" * 5000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path) in str(caught.value)
    assert descriptors() == before
    assert list(tmp_path.iterdir()) == []


def test_no_descriptors_left() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    spool = Spool(None, 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 8, hard))
    try:
        with pytest.raises(OSError) as caught:
            [spool.take([b"x"]) for _ in range(100)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        spool.close()
    assert caught.value.errno == errno.EMFILE
    assert default_directory() in str(caught.value)


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert default_directory() == str(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    assert default_directory() in ("/var/tmp", "/tmp")


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 60))
def test_intake_takes_what_comes_in_pieces(chunks: list[bytes], memory_bytes: int) -> None:
    with Spool(None, memory_bytes) as spool:
        intake = spool.intake()
        for chunk in chunks:
            intake.write(chunk)
        assert intake.size == sum(map(len, chunks))
        source = intake.finish()
        intake.abort()  # does nothing after finish
        assert all_bytes(source) == b"".join(chunks)
        assert (source.fd is None) == (source.size <= memory_bytes)


def test_intake_that_is_aborted_leaves_nothing() -> None:
    before = descriptors()
    with Spool(None, 10) as spool:
        intake = spool.intake()
        intake.write(b"x" * 100)
        assert descriptors() != before
        intake.abort()
        assert descriptors() == before


def test_intake_into_a_directory_that_is_not_there(tmp_path: Path) -> None:
    intake = Spool(str(tmp_path / "missing"), 10).intake()
    with pytest.raises(OSError, match="missing"):
        intake.write(b"x" * 100)
    intake.abort()
