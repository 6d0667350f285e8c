"""A scan process: nothing of its worker is in it, it hears one voice only, and it does not outlive him."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import scanners
from forked import fork
from lazaretto.frontends import scan_process
from lazaretto.frontends.scan_process import ScanProcess
from lazaretto.model import Envelope
from lazaretto.policy.rules import Policy
from lazaretto.scan.job import Scanner
from lazaretto.scan.work import Answer
from obedient import message
from scan_pools import until
from wilful import Wilful


@pytest.fixture
def scanner(tmp_path: Path) -> Scanner:
    return scanners.make(tmp_path, [Wilful()], Policy(status_field=b""))


class Watched:
    """A process, and what it did."""

    def __init__(self, scanner: Scanner) -> None:
        self.answers: list[Answer] = []
        self.ends: list[str] = []
        self.process = ScanProcess(scanner, lambda _, answer: self.answers.append(answer), lambda _, how: self.ends.append(how))

    async def ask(self, order: str) -> str:
        """What it says to an order."""
        count = len(self.answers)
        self.process.send(count, Envelope(), message(order), -1)
        await until(lambda: len(self.answers) > count)
        report = self.answers[-1].report
        assert report is not None
        return report.findings[0].detail


@asynccontextmanager
async def watched(scanner: Scanner) -> AsyncIterator[Watched]:
    before = set(os.listdir("/proc/self/fd"))
    watched = Watched(scanner)
    try:
        yield watched
    finally:
        watched.process.kill()
        await until(lambda: bool(watched.ends))
    assert not os.path.exists(f"/proc/{watched.process.pid}")
    assert set(os.listdir("/proc/self/fd")) == before


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_it_has_nothing_open_but_its_socket(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        with open(tmp_path / "x", "wb"), socket.create_server(("127.0.0.1", 0)):
            async with watched(scanner) as first, watched(scanner) as second:
                for each in (first, second):
                    said = dict(pair.split("=", 1) for pair in (await each.ask("say fds")).splitlines())
                    assert said.pop("0") == said.pop("1") == os.devnull
                    assert said.pop("2") == os.readlink("/proc/self/fd/2")
                    said = {fd: to for fd, to in said.items() if not to.startswith("/proc/")}  # of the look itself
                    assert [to.partition(":")[0] for to in said.values()] == ["socket"]

    run(test())


def test_signals_are_as_they_should(scanner: Scanner) -> None:
    """Of the worker's nothing is left; a stop of the whole group is not for it."""
    called = []

    async def test() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: called.append(True))
        try:
            async with watched(scanner) as it:
                assert int(await it.ask("say signals"), 16) == 0
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                    os.kill(it.process.pid, number)
                    assert await it.ask("say pid") == str(it.process.pid)
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)
        assert called == []
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])

    run(test())


def test_it_is_the_first_to_go_when_memory_is_short(scanner: Scanner) -> None:
    async def test() -> None:
        async with watched(scanner) as it:
            await it.ask("say pid")
            mine = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
            assert int(Path(f"/proc/{it.process.pid}/oom_score_adj").read_text(encoding="ascii")) == max(mine, 500)

    run(test())


def test_it_goes_when_it_may(scanner: Scanner) -> None:
    async def test() -> None:
        async with watched(scanner) as it:
            await it.ask("say pid")
            it.process.leave()
            it.process.leave()
            await until(lambda: bool(it.ends))
            assert it.ends == ["it ended with 0"]
            assert it.process.served == 1

    run(test())


def test_or_is_made_to(scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_process, "LEAVE_S", 0.1)

    async def test() -> None:
        async with watched(scanner) as it:
            it.process.send(1, Envelope(), message(f"touch {tmp_path}/x"), -1)
            await until((tmp_path / "x").exists)
            it.process.leave()
            await until(lambda: bool(it.ends))
            assert it.ends == ["killed, it did not go"]

    run(test())


@pytest.mark.parametrize("missing", [AttributeError(), OSError(38, "Function not implemented")], ids=["no such function", "old kernel"])
@pytest.mark.parametrize("how", ["kill", "leave", "crash"])
def test_without_pidfd(scanner: Scanner, monkeypatch: pytest.MonkeyPatch, missing: Exception, how: str) -> None:
    def fails(_pid: int) -> int:
        raise missing

    monkeypatch.setattr(os, "pidfd_open", fails)
    ends: dict[str, Callable[[Watched], None]] = {
        "kill": lambda it: it.process.kill("why"),
        "leave": lambda it: it.process.leave(),
        "crash": lambda it: os.kill(it.process.pid, signal.SIGKILL),
    }

    async def test() -> None:
        async with watched(scanner) as it:
            await it.ask("say pid")
            ends[how](it)
            await until(lambda: bool(it.ends))
            words = {"kill": "why", "leave": "it ended with 0", "crash": "it died of SIGKILL, perhaps for want of memory"}
            assert it.ends == [words[how]]
            await asyncio.sleep(3 * scan_process._POLL_S)
            assert len(it.ends) == 1

    run(test())


def test_nothing_can_be_given_to_a_dead_one(scanner: Scanner) -> None:
    async def test() -> None:
        async with watched(scanner) as it:
            await it.ask("say pid")
            watch = os.pidfd_open(it.process.pid)
            os.kill(it.process.pid, signal.SIGKILL)
            assert select.select([watch], [], [], 20)[0]
            os.close(watch)
            for _ in range(2):  # before we have noticed, and after
                with pytest.raises(ConnectionError):
                    it.process.send(1, Envelope(), b"x", -1)
                await until(lambda: bool(it.ends))

    run(test())


def test_somebody_else_has_waited_for_it(scanner: Scanner) -> None:
    async def test() -> None:
        async with watched(scanner) as it:
            await it.ask("say pid")
            os.kill(it.process.pid, signal.SIGKILL)
            os.waitpid(it.process.pid, 0)
            await until(lambda: bool(it.ends))

    run(test())


def test_it_dies_with_its_worker(scanner: Scanner, tmp_path: Path) -> None:
    """Even in the middle of a scan that never ends."""
    reader, writer = os.pipe()
    worker = fork()
    if not worker:
        try:
            os.close(reader)

            async def test() -> None:
                it = Watched(scanner)
                it.process.send(1, Envelope(), message(f"touch {tmp_path}/x"), -1)
                await until((tmp_path / "x").exists)
                os.write(writer, b"%d\n" % it.process.pid)
                signal.pause()

            asyncio.run(test())
        finally:
            os._exit(1)
    os.close(writer)
    with open(reader, "rb") as told:
        watch = os.pidfd_open(int(told.readline()))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        assert select.select([watch], [], [], 20)[0], "the scan process lives"
        os.close(watch)
