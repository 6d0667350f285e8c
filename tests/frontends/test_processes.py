"""Worker processes: signals, groups, and what is known when they have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator

import pytest

from echoing import alive
from lazaretto.frontends import processes
from lazaretto.frontends.control import Control, Line
from lazaretto.frontends.processes import Place, Plan, Process, Role, only_grows
from serving import eventually


@pytest.fixture(autouse=True)
def _forks_of_a_test_runner() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def role(work: Callable[[Control], int]) -> Role:
    return Role("x", 1, lambda control, _: work(control))


def no_log(_text: str, _level: int) -> None:
    raise AssertionError("a line that nobody expects")


def begin(work: Callable[[Control], int]) -> Process:
    return processes.start(role(work), work, time.monotonic())


def end(process: Process) -> int:
    """Collect it, and no other child of the test runner."""
    found: list[tuple[int, int]] = []

    def there() -> bool:
        found.extend(processes.ended(wait=False))
        return any(pid == process.pid for pid, _ in found)

    eventually(there, "the end")
    process.line.close()
    return dict(found)[process.pid]


def forever(control: Control) -> int:
    control.ready()
    while True:
        signal.pause()


def ready(process: Process) -> None:
    def there() -> bool:
        process.hear(no_log)
        return process.ready

    eventually(there, "a word")


@pytest.mark.parametrize("status", [0, 3])
def test_the_result_is_the_status(status: int) -> None:
    assert end(begin(lambda _: status)) == status


def test_an_exception_is_a_status() -> None:
    def work(_: Control) -> int:
        raise SystemExit(5)

    assert end(begin(work)) == 1


def test_words_and_beats() -> None:
    def work(control: Control) -> int:
        control.counters({"a": 1})
        control.counters({"a": 2})
        for _ in range(7):
            control.begun()
        control.dropped()
        control.final(Line("first", 6))
        control.final(Line("second", 4))
        return 0

    process = begin(work)
    end_line = process.line.dup()
    assert end(process) == 0
    process.line = end_line
    lines: list[tuple[str, int]] = []
    assert process.hear(lambda text, level: lines.append((text, level))) == (True, True)
    assert lines == [("first", 6), ("second", 4)]
    assert (process.ready, process.beats, process.counters, process.in_hand) == (False, True, {"a": 2.0}, 4)
    end_line.close()


def test_signals_of_the_parent_are_not_the_childs() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(77))
    try:
        process = begin(forever)
        ready(process)
        process.send(signal.SIGHUP)
        process.send(signal.SIGINT)
        process.send(signal.SIGUSR1)
        process.send(signal.SIGTERM)
        assert end(process) == -signal.SIGTERM
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGUSR1} == set()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_whole_group_is_killed() -> None:
    def work(control: Control) -> int:
        program = subprocess.Popen(["sleep", "60"])
        control.counters({"pid": program.pid})
        return forever(control)

    process = begin(work)
    ready(process)
    program = int(process.counters["pid"])
    assert os.getpgid(program) == process.pid != os.getpgid(0)
    process.kill("first")
    process.kill("second")
    assert process.killed == "first"
    assert end(process) == -signal.SIGKILL
    eventually(lambda: not alive(program), "the end of the program")
    process.send(signal.SIGTERM)  # nobody is there


def test_what_a_process_leaves_behind_is_killed_when_it_is_collected() -> None:
    def work(control: Control) -> int:
        control.counters({"pid": subprocess.Popen(["sleep", "60"]).pid})
        return 0

    process = begin(work)
    assert end_with_line(process) == 0
    eventually(lambda: not alive(int(process.counters["pid"])), "the end of the program")


def end_with_line(process: Process) -> int:
    """As end(), but for what it has said."""
    line = process.line.dup()
    code = end(process)
    process.line = line
    process.hear(no_log)
    line.close()
    return code


def test_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", fails)
    with pytest.raises(BlockingIOError):
        begin(lambda _: 0)
    assert len(os.listdir("/proc/self/fd")) == before
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_places() -> None:
    plan = Plan((Role("a", 2, lambda *_: 0), Role("b", 0, lambda *_: 0), Role("c", 1, lambda *_: 0)), lambda *_: None)
    assert [place.role.name for place in processes.places(plan)] == ["a", "a", "c"]


def test_later_each_time() -> None:
    place = Place(Role("a", 1, lambda *_: 0))
    due = []
    for _ in range(4):
        place.failed((0.0, 0.5, 2.0), 100.0)
        due.append(place.due)
    assert due == [100.0, 100.5, 102.0, 102.0]


@pytest.mark.parametrize(
    ("name", "grows"),
    [("a_total", True), ('a_total{b="c"}', True), ("a_seconds_sum", True), ('a_bucket{le="1"}', True), ("a_count", True), ("a", False),
     ('a{b="_total"}', False)],
)  # fmt: skip
def test_what_only_grows(name: str, grows: bool) -> None:
    assert only_grows(name) is grows
