"""Backup: the layout of scan-mail, exact bytes, and many processes that put and discard in the same second."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doubles import failing_call
from forked import fork, in_processes
from lazaretto.mime.source import Source
from lazaretto.store import backup
from lazaretto.store.backup import Backup

NOW = 1_782_900_000.75  # 2026-07-01 10:00:00.75 UTC
PID = 4711
NAME = "1782900000.4711"
MESSAGE = b"From a@example.org Wed Jul  1\nFrom: a@example.org\r\n\r\nbody\0\xff\r\n"

pytestmark = pytest.mark.usefixtures("utc")


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_layout(tmp_path: Path) -> None:
    path = Backup(str(tmp_path / "prefix" / "backup")).put(Source(MESSAGE), NOW, PID)
    assert path == str(tmp_path / "prefix" / "backup" / "0701" / NAME)
    assert Path(path).read_bytes() == MESSAGE
    assert names(tmp_path) == [f"prefix/backup/0701/{NAME}"]
    assert {mode(each) for each in (tmp_path / "prefix").rglob("*") if each.is_dir()} == {0o700}
    assert mode(Path(path)) == 0o600


@pytest.mark.parametrize(("zone", "day"), [("UTC0", "0701"), ("EAST-14", "0702"), ("WEST+11", "0630")])
def test_day_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, day: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert Backup(str(tmp_path)).put(Source(b""), NOW, PID) == str(tmp_path / day / NAME)


def test_large_and_empty(tmp_path: Path) -> None:
    large = os.urandom(1 << 20)
    store = Backup(str(tmp_path))
    assert [Path(store.put(Source(each), NOW, PID)).read_bytes() for each in (large, b"")] == [large, b""]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "expected"),
    [
        (0o640, 0o750, (0o640, 0o750, 0o750)),
        (0o660, 0o1777, (0o660, 0o1777, 0o755)),
        (0o666, 0o777, (0o660, 0o777, 0o755)),  # never readable for others
        (0o7777, 0o6770, (0o660, 0o770, 0o750)),
    ],
)
def test_modes(tmp_path: Path, umask: int, file_mode: int, directory_mode: int, expected: tuple[int, int, int]) -> None:
    before = os.umask(umask)
    try:
        path = Path(Backup(str(tmp_path / "parent" / "backup"), file_mode, directory_mode).put(Source(b""), NOW, PID))
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent), mode(path.parent.parent.parent)) == expected
    assert mode(path.parent.parent) == expected[1]


def test_never_readable_for_others_not_even_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.write

    def write(fd: int, data: bytes) -> int:
        seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    before = os.umask(0)
    try:
        Backup(str(tmp_path), 0o644).put(Source(MESSAGE), NOW, PID)
    finally:
        os.umask(before)
    assert seen == [0o640]


def test_collisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Backup(str(tmp_path))
    given = [store.put(Source(b"%d" % n), NOW + n / 10, PID) for n in range(3)]  # 10:00:00.75 to .95
    assert given == [str(tmp_path / "0701" / NAME) + end for end in ("", ".1", ".2")]
    assert [Path(path).read_bytes() for path in given] == [b"0", b"1", b"2"]
    store.discard(given[1])
    assert store.put(Source(b"again"), NOW, PID) == given[1]
    assert store.put(Source(b"other process"), NOW, PID + 1).endswith(".4712")
    monkeypatch.setattr(backup, "_TRIES", 3)
    with pytest.raises(FileExistsError, match=r"backup: cannot store in .*0701: 3 messages of process 4711 in one second"):
        store.put(Source(b"x"), NOW, PID)


def test_links_and_leftovers_are_passed_over(tmp_path: Path) -> None:
    day = tmp_path / "0701"
    day.mkdir()
    target = tmp_path / "target"
    (day / NAME).symlink_to(target)
    (day / f".{NAME}.1").symlink_to(target)
    (day / f".{NAME}.2").write_bytes(b"left from a crash")
    assert Backup(str(tmp_path)).put(Source(MESSAGE), NOW, PID) == str(day / f"{NAME}.3")
    assert not target.exists()
    assert (day / f".{NAME}.2").read_bytes() == b"left from a crash"


def test_durable_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.fsync

    def fsync(fd: int) -> None:
        seen.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    store = Backup(str(tmp_path / "backup"))
    path = store.put(Source(MESSAGE), NOW, PID)
    # The parents of what was made, the content, the names: the day's entry once more, for another process may have made it.
    assert seen == [".", "backup", f"backup/0701/.{NAME}", "backup/0701", "backup"]
    seen.clear()
    other = store.put(Source(MESSAGE), NOW, PID)
    assert seen == [f"backup/0701/.{NAME}.1", "backup/0701", "backup"]
    seen.clear()
    store.discard(other)
    store.discard(path)
    assert seen == ["backup/0701", "backup"]


def test_discard(tmp_path: Path) -> None:
    store = Backup(str(tmp_path / "backup"))
    first, second = (store.put(Source(MESSAGE), NOW, PID) for _ in range(2))
    store.discard(first)
    assert names(tmp_path) == [f"backup/0701/{NAME}.1"]
    store.discard(second)
    assert [path.name for path in tmp_path.rglob("*")] == ["backup"]
    store.discard(second)  # gone, as wanted
    assert store.put(Source(MESSAGE), NOW, PID) == first


@pytest.mark.parametrize(
    "path", ["", "0701", "0701/x", "../0701/1.2", "0701/.1.2", "0701/../0701/1.2/3", "07011/1.2", "0701/1.2.3.4", "x/1.2"]
)
def test_discard_removes_only_backups(tmp_path: Path, path: str) -> None:
    (tmp_path / "base" / "0701").mkdir(parents=True)
    (tmp_path / "0701").mkdir()
    (tmp_path / "0701" / "1.2").write_bytes(b"")
    with pytest.raises(ValueError, match="not a backup"):
        Backup(str(tmp_path / "base")).discard(str(tmp_path / "base" / path))
    assert names(tmp_path) == ["0701/1.2"]


def test_discard_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Backup(str(tmp_path))
    path = store.put(Source(MESSAGE), NOW, PID)

    def unlink(_: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(OSError, match=f"backup: cannot remove {path}: Read-only"):
        store.discard(path)
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "0701")
    store.discard(path)


def test_flush_of_a_discard_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Backup(str(tmp_path))
    path = store.put(Source(MESSAGE), NOW, PID)

    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(os, "fsync", fsync)
    store.discard(path)
    assert list(tmp_path.iterdir()) == []


def a_file(path: Path) -> None:
    path.write_bytes(b"")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [a_file, a_dangling_link])
@pytest.mark.parametrize(
    ("way", "what"),
    [
        ("parent", "basedir {0}/parent/backup: Not a directory"),
        ("parent/backup", "basedir {0}/parent/backup: Not a directory"),
        ("parent/backup/0701", "subdir {0}/parent/backup/0701: Not a directory"),
    ],
)
def test_something_in_the_way(tmp_path: Path, make: Callable[[Path], None], way: str, what: str) -> None:
    (tmp_path / way).parent.mkdir(parents=True, exist_ok=True)
    make(tmp_path / way)
    with pytest.raises(OSError, match="Unable to create backup") as caught:
        Backup(str(tmp_path / "parent" / "backup")).put(Source(MESSAGE), NOW, PID)
    assert caught.value.strerror == "Unable to create backup " + what.format(tmp_path)
    assert caught.value.errno == errno.ENOTDIR


@pytest.mark.parametrize(("code", "text"), [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission denied")])
@pytest.mark.parametrize("what", ["basedir", "subdir"])
def test_directories_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str, what: str) -> None:
    wanted = tmp_path / "backup"
    if what == "subdir":
        wanted.mkdir()
        wanted /= "0701"

    def mkdir(path: str, mode: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(OSError, match=f"Unable to create backup {what} {wanted}: {text}") as caught:
        Backup(str(tmp_path / "backup")).put(Source(MESSAGE), NOW, PID)
    assert caught.value.errno == code


def test_file_too_large_for_the_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=rf"backup: cannot write {tmp_path}/0701/\.{NAME}: File too large"):
            Backup(str(tmp_path)).put(Source(b"x" * 5000), NOW, PID)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("call", ["write", "fsync", "close", "open", "mkdir", "link", "fchmod"])
def test_any_failing_call_leaves_nothing(tmp_path: Path, call: str, at: int) -> None:
    trouble = ""
    with failing_call(call, at) as calls:
        try:
            Backup(str(tmp_path / "backup"), 0o640, 0o750).put(Source(MESSAGE), NOW, PID)
        except OSError as error:
            trouble = str(error)
    assert (len(calls) > at) == bool(trouble)
    assert names(tmp_path) == ([] if trouble else [f"backup/0701/{NAME}"])
    assert not trouble or str(tmp_path / "backup") in trouble


@pytest.mark.parametrize("times", [1, 5])
def test_day_is_taken_away_before_the_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    real = os.open
    left = times

    def removing(path: str, flags: int, mode: int = 0o777) -> int:
        nonlocal left
        if left and flags & os.O_CREAT:
            left -= 1
            os.rmdir(tmp_path / "base" / "0701")
            os.rmdir(tmp_path / "base")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", removing)
    path = Backup(str(tmp_path / "base")).put(Source(MESSAGE), NOW, PID)
    assert left == 0
    assert Path(path).read_bytes() == MESSAGE


def test_day_is_always_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def removing(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            os.rmdir(tmp_path / "0701")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", removing)
    with pytest.raises(FileNotFoundError, match=r"Unable to create backup subdir .*0701: it is always removed again"):
        Backup(str(tmp_path)).put(Source(MESSAGE), NOW, PID)


@pytest.mark.parametrize("own_pid", [True, False], ids=["pids differ", "containers: the same pid"])
@pytest.mark.parametrize(("count", "rounds"), [(20, 30), (3, 200)])  # with three the directory is empty more often
def test_processes_that_put_and_discard(tmp_path: Path, own_pid: bool, count: int, rounds: int) -> None:
    """All in one second; the day vanishes under them again and again, and then each keeps one message."""
    store = Backup(str(tmp_path / "backup"))

    def work(number: int) -> None:
        pid = os.getpid() if own_pid else 7
        for round_ in range(rounds):
            content = b"%d %d" % (number, round_)
            path = store.put(Source(content), NOW, pid)
            if Path(path).read_bytes() != content:
                raise AssertionError(f"{path} is not what was put")
            store.discard(path)
        store.put(Source(b"kept by %d" % number), NOW, pid)

    in_processes(count, work)
    kept = [path.read_bytes() for path in (tmp_path / "backup" / "0701").iterdir()]
    assert sorted(kept) == sorted(b"kept by %d" % number for number in range(count))


def test_processes_collide(tmp_path: Path) -> None:
    store = Backup(str(tmp_path))

    def work(number: int) -> None:
        for round_ in range(10):
            store.put(Source(b"%d %d" % (number, round_)), NOW, PID)

    in_processes(20, work)
    found = {path.name: path.read_bytes() for path in (tmp_path / "0701").iterdir()}
    assert sorted(found.values()) == sorted(b"%d %d" % (number, round_) for number in range(20) for round_ in range(10))
    # Names that collided while they were reserved may be passed over: most are 0 to 199, and none repeats.
    assert all(name.startswith(NAME) for name in found)


def test_killed_while_writing(tmp_path: Path) -> None:
    """kill -9 leaves no message under a final name, and the next process does not mind."""

    class Deadly(Source):
        def chunks(self, *_: object, **__: object) -> Iterator[bytes]:
            yield b"half"
            os.kill(os.getpid(), 9)

    child = fork()
    if not child:
        Backup(str(tmp_path)).put(Deadly(b""), NOW, PID)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert names(tmp_path) == [f"0701/.{NAME}"]
    assert Backup(str(tmp_path)).put(Source(MESSAGE), NOW, PID) == str(tmp_path / "0701" / f"{NAME}.1")


@pytest.fixture
def shared_path() -> Iterator[Path]:
    """One that others may pass through: those of pytest are private, and every run makes them so again."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o711)
        yield Path(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who becomes somebody else")
def test_several_users_share_a_directory(shared_path: Path) -> None:
    """What the original meant by its mode 1777: each user's procmail runs the filter as that user."""
    store = Backup(str(shared_path / "backup"), directory_mode=0o1777)
    mine = store.put(Source(b"root's"), NOW, PID)

    def work(number: int) -> None:
        os.setuid(65534 - number)
        theirs = store.put(Source(b"theirs"), NOW, PID)
        try:
            store.discard(mine)
        except PermissionError:
            store.discard(theirs)
            return
        raise AssertionError("removed another user's mail")

    in_processes(3, work)
    assert Path(mine).read_bytes() == b"root's"
