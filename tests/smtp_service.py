"""The SMTP proxy as a process of its own, with all its workers and scan processes.

    with Service(sink.address) as service:
        attempt(service.address, message)

`settings` are keys of the configuration by their full names, "smtp.max_jobs" for one.
It listens on a UNIX socket and on TCP; everything of it is in a short folder that goes with it.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

import programs
from lazaretto.policy.keys import toml
from serving import PATIENCE_S, eventually

_MARK = "LAZARETTO_TEST_FAMILY"  # in the environment of every process that belongs to it
_PROXY = "import sys; from lazaretto.cli.proxy import run; sys.exit(run(sys.argv[1:]))"


class Service:
    """`address` is its UNIX socket, `tcp` the other one."""

    def __init__(self, next_hop: str, *arguments: str, engine: str = "none", rules: str = "", **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lz-smtp-", dir="/tmp"))
        self.state = self.folder / "state"
        self.rules = rules
        self.log_file = self.folder / "log"
        self.address = f"unix:{self.folder}/s"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.tcp = f"127.0.0.1:{free.getsockname()[1]}"
        usual: dict[str, object] = {
            "smtp.listen": [self.address, self.tcp],
            "smtp.next_hop": next_hop,
            "smtp.hostname": "proxy.example",
            "headers.status_field": "",
            "process.scanners": 2,
        }
        self.settings = {**usual, **{name.replace("__", "."): value for name, value in settings.items()}}
        self.configuration = self.folder / "lazaretto.toml"
        self.configure()
        options = ["--config", str(self.configuration), "--state-dir", str(self.state), "--engine", engine]
        self.command = [sys.executable, "-c", _PROXY, *options, *arguments]
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, **settings: object) -> None:
        """Write the configuration, with these settings changed."""
        self.settings |= {name.replace("__", "."): value for name, value in settings.items()}
        text = "".join(f"{name} = {toml(value)}\n" for name, value in self.settings.items())
        self.configuration.write_text(text + self.rules)

    # -- life -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def start(self) -> None:
        begun = self.log.count("event=started")
        environment = programs.environment(self.folder, **{_MARK: str(self.folder), "LAZARETTO_CONFIG": str(self.configuration)})
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(lambda: self.log.count("event=started") > begun or self.supervisor.poll() is not None, "the start")
        assert self.supervisor.poll() is None, self.log

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end: the exit status."""
        self.supervisor.send_signal(number)
        return self.supervisor.wait(PATIENCE_S)

    def close(self) -> None:
        """Kill what is left of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.family():
            kill(pid)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what it is -------------------------------------------------------------------------------------------

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    @property
    def workers(self) -> list[int]:
        return children(self.supervisor.pid)

    @property
    def scanners(self) -> list[int]:
        """Scan processes of all workers."""
        return [pid for worker in self.workers for pid in children(worker)]

    def family(self) -> list[int]:
        """All that is alive and has come from us, whoever is its parent now."""
        mark = f"{_MARK}={self.folder}".encode()
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if mark in _environment(pid).split(b"\0")]

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8") if self.log_file.exists() else ""

    def final_lines(self) -> list[str]:
        return [line for line in self.log.splitlines() if " outcome=" in line]

    def leftovers(self) -> list[str]:
        """Files of its state that are not meant to stay."""
        return sorted(
            str(file.relative_to(self.state)) for file in self.state.rglob("*") if file.is_file() and "quarantine" not in file.parts
        )


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def children(pid: int) -> list[int]:
    """Process ids; [] if it is gone."""
    try:
        return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descriptors(pid: int) -> list[str]:
    """What it has open, without numbers that differ from one time to the next, and without /dev/null: libuv keeps one in reserve."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{number}")))
        except FileNotFoundError:
            pass
    return sorted(name for name in found if name != "/dev/null")


def alive(pid: int) -> bool:
    """Is it there, and not a zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def high_water(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) * 1024


@contextmanager
def descriptors_for(clients: int) -> Iterator[None]:
    """Enough of them for so many clients here, or the test is skipped."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * clients + 200
    if hard < wanted:
        pytest.skip(f"not more than {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended, or is not ours
        return b""
