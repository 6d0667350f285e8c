"""Forked children: counted, watched, collected."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from lazaretto.frontends.children import Children, Ended, Slot

FAR = 1e9
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


class Gate:
    """A pipe by which children tell that they are there, and one at whose end they wait."""

    def __init__(self) -> None:
        self.told, self.tell = os.pipe()
        self.held, self.hold = os.pipe()

    def pass_through(self, word: bytes = b".") -> bool:
        """In the child: say so, then wait for open()."""
        os.close(self.hold)
        os.write(self.tell, word)
        os.read(self.held, 1)
        return True

    def arrived(self, count: int = 1) -> bytes:
        said = b""
        while len(said) < count:
            assert select.select([self.told], [], [], 20)[0]
            said += os.read(self.told, count - len(said))
        return said

    def open(self) -> None:
        os.close(self.hold)
        self.hold = -1

    def close(self) -> None:
        for fd in (self.told, self.tell, self.held, self.hold):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def children() -> Iterator[Children[str]]:
    children: Children[str] = Children(3)
    yield children
    children.kill("test")
    assert [*children.ended(wait=True)] == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def start(children: Children[str], tag: str, work: object, deadline: float = FAR) -> None:
    children.start(tag, work, deadline, SIGNALS)  # type: ignore[arg-type]


def test_what_the_work_returned(children: Children[str]) -> None:
    def raises(_slot: Slot) -> bool:
        os.close(2)  # nobody wants to see the traceback, and none is made
        raise ZeroDivisionError

    def dies(_slot: Slot) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    start(children, "yes", lambda _slot: True)
    start(children, "no", lambda _slot: False)
    start(children, "raises", raises)
    assert children.full
    assert sorted(children.ended(wait=True)) == [
        Ended("no", False, False, ""),
        Ended("raises", False, False, ""),
        Ended("yes", True, False, ""),
    ]
    start(children, "dies", dies)
    assert [*children.ended(wait=True)] == [Ended("dies", False, False, "signal 9")]
    assert len(children) == 0
    assert not children.full


def test_message_in_hand_is_seen(children: Children[str]) -> None:
    def loses(slot: Slot) -> bool:
        slot.in_hand(True)
        os.kill(os.getpid(), signal.SIGUSR1)
        return True

    def answers(slot: Slot) -> bool:
        slot.in_hand(True)
        slot.in_hand(False)
        return True

    start(children, "answers", answers)
    start(children, "loses", loses)
    assert sorted(children.ended(wait=True)) == [Ended("answers", True, False, ""), Ended("loses", False, True, "signal 10")]
    start(children, "next", lambda _slot: True)  # in the slot of the one that lost its message
    start(children, "next", lambda _slot: True)
    assert {ended.message for ended in children.ended(wait=True)} == {False}


def test_nobody_is_waited_for_without_need(children: Children[str], gate: Gate) -> None:
    start(children, "slow", lambda _slot: gate.pass_through())
    gate.arrived()
    assert [*children.ended()] == []
    assert children.tags == ["slow"]
    gate.open()
    assert len([*children.ended(wait=True)]) == 1


def test_overdue_is_killed_and_others_are_not(children: Children[str], gate: Gate) -> None:
    def moves(slot: Slot) -> bool:
        slot.until(200.0)
        gate.pass_through()
        return True

    def stays(_slot: Slot) -> bool:
        gate.pass_through()
        return True

    start(children, "moves", moves, 100.0)
    start(children, "stays", stays, 100.0)
    gate.arrived(2)
    children.kill("too slow", 99.0)
    children.kill("too slow", 150.0)
    children.kill("not a second time", 160.0)
    (ended,) = first(children)
    assert ended == Ended("stays", False, False, "too slow")
    gate.open()
    assert [*children.ended(wait=True)] == [Ended("moves", True, False, "")]


def test_without_a_parent_an_alarm_ends_it(children: Children[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(slot: Slot) -> bool:
        slot.in_hand(True)
        slot.until(time.monotonic())
        while True:
            signal.pause()

    monkeypatch.setattr("lazaretto.frontends.children.ORPHAN_S", 0.01)
    start(children, "hangs", hangs)
    assert [*children.ended(wait=True)] == [Ended("hangs", False, True, f"signal {int(signal.SIGALRM)}")]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def first(children: Children[str]) -> list[Ended[str]]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ended = [*children.ended()]
        if ended:
            return ended
        select.select([], [], [], 0.005)
    return []


def test_all_are_killed(children: Children[str], gate: Gate) -> None:
    for tag in "abc":
        start(children, tag, lambda _slot: gate.pass_through())
    gate.arrived(3)
    children.kill("the end")
    assert {(ended.done, ended.trouble) for ended in children.ended(wait=True)} == {(False, "the end")}


def test_killed_with_the_programs_it_has_started(children: Children[str], gate: Gate) -> None:
    """Also those that made a session of their own, as the engine `command` has it."""

    def runs(_slot: Slot) -> bool:
        process = subprocess.Popen(["sleep", "60"], start_new_session=True)
        gate.pass_through(b"%08d" % process.pid)
        return True

    start(children, "runs", runs)
    program = int(gate.arrived(8))
    watch = os.pidfd_open(program)
    children.kill("the end")
    assert select.select([watch], [], [], 20)[0], "the program lives"
    os.close(watch)
    assert len([*children.ended(wait=True)]) == 1


def test_signals_do_nothing_in_the_child(children: Children[str], gate: Gate) -> None:
    """A stop of the whole group, from a terminal or an init system, lets messages in hand come to their end."""

    def works(_slot: Slot) -> bool:
        gate.pass_through(b"%08d" % os.getpid())
        return signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL and not signal.pthread_sigmask(signal.SIG_BLOCK, [])

    start(children, "works", works)
    pid = int(gate.arrived(8))
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGHUP)
    gate.open()
    assert [*children.ended(wait=True)] == [Ended("works", True, False, "")]


def test_no_process_can_be_made(children: Children[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", fails)
        for _ in range(5):  # the slot is free again
            with pytest.raises(BlockingIOError):
                start(children, "never", lambda _slot: True)
    assert len(children) == 0
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_children_of_others_do_not_count(children: Children[str]) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    start(children, "mine", lambda _slot: True)
    assert [*children.ended(wait=True)] == [Ended("mine", True, False, "")]
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # it was first, and has been collected
