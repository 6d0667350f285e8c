"""Durable: directories and files that are there for good, or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from lazaretto.store import durable
from lazaretto.store.durable import Writing, fill, flush_directory, hidden, make_directory


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths in the order in which they are flushed."""
    seen: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def put(directory: Path, name: str, content: Iterable[bytes] = (b"content",), file_mode: int = 0o600) -> str:
    with Writing("test") as writing:
        path, fd = writing.reserve(iter([str(directory / name)]), mode=file_mode)
        fill(fd, hidden(path), content)
        writing.publish(hidden(path), path)
    return path


@pytest.mark.parametrize(("path", "expected"), [("/a/b", "/a/.b"), ("b", ".b"), ("a/b.c", "a/.b.c")])
def test_hidden(path: str, expected: str) -> None:
    assert hidden(path) == expected


def test_directories_are_made_and_flushed_from_the_top(tmp_path: Path, flushed: list[str]) -> None:
    make_directory(str(tmp_path / "a" / "b" / "c"))
    assert flushed == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    make_directory(str(tmp_path / "a" / "b" / "c"))
    assert len(flushed) == 3


@pytest.mark.parametrize("wanted", [0o700, 0o770, 0o1777])
def test_modes_hold_whatever_the_umask(tmp_path: Path, umask: None, wanted: int) -> None:
    (tmp_path / "there").mkdir(0o750)
    there = mode(tmp_path / "there")
    make_directory(str(tmp_path / "there" / "a" / "b"), wanted, wanted & 0o755)
    assert (mode(tmp_path / "there" / "a" / "b"), mode(tmp_path / "there")) == (wanted, there)
    assert mode(tmp_path / "there" / "a") & ~(wanted & 0o755) == 0
    assert mode(tmp_path / "there" / "a") == wanted & 0o755


def test_inherited_group_stays(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o2770)
    make_directory(str(tmp_path / "a"), 0o770)
    assert mode(tmp_path / "a") == 0o2770


def test_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    make_directory("a/b")
    make_directory("")
    assert flushed == [str(tmp_path), str(tmp_path / "a")]


def a_file(path: Path) -> None:
    path.write_bytes(b"")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [a_file, a_dangling_link])
@pytest.mark.parametrize("below", ["x", "x/y"])
def test_something_in_the_way(tmp_path: Path, make: Callable[[Path], None], below: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(NotADirectoryError, match=f"cannot create {tmp_path}/x: something else has this name"):
        make_directory(str(tmp_path / below))


def test_link_to_a_directory_is_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "x").symlink_to("real")
    make_directory(str(tmp_path / "x" / "y"))
    assert (tmp_path / "real" / "y").is_dir()


@pytest.mark.parametrize("removed_again", [False, True])
@pytest.mark.parametrize("wanted", [0o700, 0o770])
def test_another_process_makes_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed_again: bool, wanted: int) -> None:
    real = os.mkdir

    def mkdir(path: str, mode: int) -> None:
        real(path, 0o700)
        try:
            real(path, mode)
        finally:
            if removed_again:
                os.rmdir(path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    make_directory(str(tmp_path / "x"), wanted)
    assert (tmp_path / "x").is_dir() is not removed_again


def test_removed_before_its_mode_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.mkdir

    def mkdir(path: str, mode: int) -> None:
        real(path, mode)
        os.rmdir(path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    make_directory(str(tmp_path / "x"), 0o770)
    assert list(tmp_path.iterdir()) == []


def test_flush_goes_up(tmp_path: Path, flushed: list[str]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    flush_directory(str(tmp_path / "a" / "b"), parents=2)
    assert flushed == [str(tmp_path / "a" / "b"), str(tmp_path / "a"), str(tmp_path)]


def test_flush_of_a_parent_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777) -> int:
        if path == str(tmp_path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    flush_directory(str(tmp_path / "a"), parents=1)
    make_directory(str(tmp_path / "b"))
    with pytest.raises(PermissionError, match=f"cannot flush {tmp_path}: Permission denied"):
        flush_directory(str(tmp_path))


def test_flush_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"cannot flush {tmp_path}/x: No such file"):
        flush_directory(str(tmp_path / "x"))


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o660])
def test_a_file(tmp_path: Path, umask: None, wanted: int, flushed: list[str]) -> None:
    path = Path(put(tmp_path, "x", [b"exact\0", b"\xff\r\n"], wanted))
    assert (path, path.read_bytes(), mode(path)) == (tmp_path / "x", b"exact\0\xff\r\n", wanted)
    assert flushed == [str(tmp_path / ".x")]
    assert list(tmp_path.iterdir()) == [path]


def test_parts_of_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may take less than it was given."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, view: real(fd, view[:3]))
    assert Path(put(tmp_path, "x", [b"0123456789"])).read_bytes() == b"0123456789"


def test_taken_names_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"file")
    (tmp_path / "1").symlink_to("nowhere")
    (tmp_path / ".2").write_bytes(b"somebody writes it")
    (tmp_path / ".3").symlink_to("target")
    (tmp_path / "4").mkdir()
    (tmp_path / "5.b").write_bytes(b"another ending")
    before = {path.name for path in tmp_path.iterdir()}
    with Writing("test") as writing:
        stem, fd = writing.reserve((str(tmp_path / str(number)) for number in range(9)), (".a", ".b"))
        os.close(fd)
        assert stem == str(tmp_path / "0")  # with these endings nothing is in the way of 0 to 4
        stem, fd = writing.reserve((str(tmp_path / str(number)) for number in range(5, 9)), (".a", ".b"))
        os.close(fd)
        assert stem == str(tmp_path / "6")
        stem, fd = writing.reserve(str(tmp_path / str(number)) for number in range(9))
        os.close(fd)
        assert stem == str(tmp_path / "5")
    assert {path.name for path in tmp_path.iterdir()} - before == {".0.a", ".6.a", ".5"}


def test_no_name_is_free(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(FileExistsError, match="test: no name is free"), Writing("test") as writing:
        writing.reserve(iter([str(tmp_path / "x")]))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"test: cannot create {tmp_path}/a/.x: No such file"):
        put(tmp_path / "a", "x")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """Somebody who knows of no reservation takes the name while we write."""
    if not links:
        forbid_links(monkeypatch)

    def chunks() -> Iterator[bytes]:
        (tmp_path / "x").write_bytes(b"theirs")
        yield b"ours"

    with pytest.raises(FileExistsError, match=f"test: cannot create {tmp_path}/x: File exists"):
        put(tmp_path, "x", chunks())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"theirs")]


def forbid_links(monkeypatch: pytest.MonkeyPatch, code: int = errno.EPERM) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    forbid_links(monkeypatch, code)
    assert Path(put(tmp_path, "x")).read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_other_failures_of_link_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_links(monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError, match=f"test: cannot create {tmp_path}/x: No space left"):
        put(tmp_path, "x")
    assert list(tmp_path.iterdir()) == []


class Stopped(BaseException):
    """As a signal handler raises it."""


@pytest.mark.parametrize("problem", [Stopped("signal"), ValueError("bug"), OSError("no number"), OSError(errno.EIO, "the source fails")])
@pytest.mark.parametrize("late", [False, True], ids=["while it is written", "after it has its name"])
def test_whatever_ends_it_nothing_stays(tmp_path: Path, problem: BaseException, late: bool) -> None:
    (tmp_path / "x").write_bytes(b"theirs")
    opened = []

    def chunks() -> Iterator[bytes]:
        yield b"half"
        if not late:
            raise problem

    def attempt() -> None:
        with Writing("test") as writing:
            path, fd = writing.reserve(iter([str(tmp_path / "x"), str(tmp_path / "y")]))
            opened.append(fd)
            fill(fd, hidden(path), chunks())
            writing.publish(hidden(path), path)
            raise problem

    with pytest.raises(type(problem)) as caught:
        attempt()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"theirs")]
    if isinstance(problem, OSError):
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.EIO
        assert str(caught.value).partition("] ")[2].startswith("test: ")
    else:
        assert caught.value is problem


def test_clearing_up_that_fails_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(_: str) -> None:
        raise OSError(errno.EROFS, "read-only now")

    monkeypatch.setattr(os, "unlink", unlink)

    def chunks() -> Iterator[bytes]:
        raise OSError(errno.EIO, "the first error")
        yield b""

    with pytest.raises(OSError, match="the first error"):
        put(tmp_path, "x", chunks())


def test_mode_that_cannot_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fchmod(fd: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", fchmod)
    with pytest.raises(PermissionError, match=f"test: cannot create {tmp_path}/.x: Operation not permitted"):
        put(tmp_path, "x", file_mode=0o640)
    assert list(tmp_path.iterdir()) == []


def test_explained_keeps_the_class() -> None:
    error = durable.explained(OSError(errno.ENOENT, "gone"), "open", "/x")
    assert isinstance(error, FileNotFoundError)
    assert error.strerror == "cannot open /x: gone"
