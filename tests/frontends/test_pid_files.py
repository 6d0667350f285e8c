"""PID files: written after the bind, told apart from stale ones, removed if still ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lazaretto.frontends.pid_files import AlreadyRunning, PidFiles

HOLD = "import sys; sys.path.insert(0, sys.argv[1])\nfrom lazaretto.frontends.pid_files import PidFiles\n"
HOLD += "import os\nfiles = PidFiles(sys.argv[2:], os.getpid())\nprint('held', flush=True)\nsys.stdin.read()\nfiles.close()\n"
SOURCES = os.path.join(os.path.dirname(__file__), "..", "..", "src")


def holder(*paths: Path) -> subprocess.Popen[str]:
    """Another process that holds them until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, SOURCES, *map(str, paths)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_both_names(tmp_path: Path) -> None:
    paths = [tmp_path / "scanmail.pid", tmp_path / "scan-mail.pid"]
    files = PidFiles(map(str, paths), os.getpid())
    assert [path.read_text() for path in paths] == [f"{os.getpid()}\n"] * 2
    assert paths[0].stat().st_mode & 0o022 == 0
    files.close()
    assert os.listdir(tmp_path) == []
    files.close()


def test_none_and_twice_the_same(tmp_path: Path) -> None:
    PidFiles([], os.getpid()).close()
    PidFiles([str(tmp_path / "p")] * 2, os.getpid()).close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", ["", "1\n", "999999999\n", "nonsense, and longer than a number", f"{os.getppid()}"])
def test_stale_file_is_replaced(tmp_path: Path, content: str) -> None:
    """Whatever number stands there, also that of a living process: nobody holds the file."""
    path = tmp_path / "p"
    path.write_text(content)
    files = PidFiles([str(path)], os.getpid())
    assert path.read_text() == f"{os.getpid()}\n"
    files.close()


def test_living_instance(tmp_path: Path) -> None:
    mine, shared = tmp_path / "mine", tmp_path / "shared"
    other = holder(shared)
    with pytest.raises(AlreadyRunning, match=rf"^already running \(pid {other.pid}\): {shared}$"):
        PidFiles([str(mine), str(shared)], os.getpid())
    assert not mine.exists()
    assert shared.read_text() == f"{other.pid}\n"
    end(other)
    assert not shared.exists()


def test_killed_instance_leaves_a_stale_file(tmp_path: Path) -> None:
    other = holder(tmp_path / "p")
    other.kill()
    other.communicate()
    assert (tmp_path / "p").exists()
    PidFiles([str(tmp_path / "p")], os.getpid()).close()
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("kind", ["no directory", "directory", "symlink", "fifo", "hard link"])
def test_cannot_be_opened(tmp_path: Path, kind: str) -> None:
    path, victim = tmp_path / "p", tmp_path / "victim"
    victim.write_text("precious")
    if kind == "no directory":
        path = tmp_path / "no" / "p"
    elif kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.link(victim, path)
    with pytest.raises(OSError, match=f"Can't open pid file {path}: "):
        PidFiles([str(tmp_path / "first"), str(path)], os.getpid())
    assert victim.read_text() == "precious"
    assert not (tmp_path / "first").exists()


def test_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could write the number of any process into it, for start scripts to kill."""
    path = tmp_path / "p"
    path.touch()
    with monkeypatch.context() as patch:
        if os.geteuid() == 0:
            os.chown(path, 12345, -1)
        else:
            patch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(OSError, match=f"Can't open pid file {path}: it belongs to another user"):
            PidFiles([str(path)], os.getpid())
    assert path.read_text() == ""


def test_file_of_a_successor_stays(tmp_path: Path) -> None:
    path = tmp_path / "p"
    files = PidFiles([str(path)], os.getpid())
    path.unlink()
    other = holder(path)
    files.close()
    assert path.read_text() == f"{other.pid}\n"
    end(other)


def test_a_forked_child_keeps_neither_file_nor_lock(tmp_path: Path) -> None:
    path = tmp_path / "p"
    files = PidFiles([str(path)], os.getpid())
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        files.close()
        os.close(writer)
        os.read(reader, 1)  # lives on until the parent has ended its part
        os._exit(0)
    assert path.exists()
    with pytest.raises(AlreadyRunning):  # the child's close has not taken the lock
        PidFiles([str(path)], os.getpid())
    files.close()
    PidFiles([str(path)], os.getpid()).close()
    os.close(writer)
    os.waitpid(pid, 0)
    os.close(reader)
