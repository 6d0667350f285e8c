"""Forked children, a bounded number, each watched by a deadline that it moves itself.

A child gets a Slot, two numbers in memory that parent and child share: until when it must be heard of
again, and whether it has a message in hand that has no final line yet. So there is nothing to read
from a child and nothing to lose with it, and after its end the parent knows what is left to say.

An overdue child is killed, and with it the programs that its engines have started. Should the
parent be gone by then, an alarm ends the child.

Errors:  OSError if there can be no further process.
See:     server.py; fork(2), waitpid(2)
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Generic, NamedTuple, NoReturn, TypeVar

T = TypeVar("T")

_MAX_FAMILY = 1000
ORPHAN_S = 5.0  # behind its deadline, in which the parent would have killed it


class Slot:
    """What a child tells its parent."""

    __slots__ = ("_cells", "in_child")

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells  # two doubles, each written at once
        self.in_child = False

    def until(self, deadline: float) -> None:
        """time.monotonic() after which the child is to be killed."""
        self._cells[0] = deadline
        if self.in_child:
            signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 0.0) + ORPHAN_S)

    def in_hand(self, message: bool) -> None:
        """Is there a message without its final line?"""
        self._cells[1] = float(message)

    @property
    def deadline(self) -> float:
        return float(self._cells[0])

    @property
    def message(self) -> bool:
        return bool(self._cells[1])


class Ended(NamedTuple, Generic[T]):
    """The end of a child.  `trouble` says how, if not by itself; `message`: it left one without a final line."""

    tag: T
    done: bool  # what its work returned
    message: bool
    trouble: str


class _Child(NamedTuple, Generic[T]):
    tag: T
    slot: Slot


class Children(Generic[T]):
    """At most `count` at a time; each has a tag of the caller's."""

    def __init__(self, count: int) -> None:
        board = memoryview(mmap.mmap(-1, 16 * count)).cast("d")
        self._free = [Slot(board[2 * number : 2 * number + 2]) for number in range(count)]
        self._running: dict[int, _Child[T]] = {}
        self._killed: dict[int, str] = {}  # pid -> why

    def __len__(self) -> int:
        return len(self._running)

    @property
    def full(self) -> bool:
        return not self._free

    @property
    def tags(self) -> list[T]:
        """Of those that run."""
        return [child.tag for child in self._running.values()]

    def start(self, tag: T, work: Callable[[Slot], bool], deadline: float, signals: Iterable[int]) -> None:
        """Run `work` in a child, which ends with it.  There `signals` do nothing, but for SIGCHLD, which is as usual."""
        slot = self._free.pop()
        slot.until(deadline)
        slot.in_hand(False)
        # None between the fork and the child's own handlers: what the parent's do is not for the child.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            pid = os.fork()
            if pid == 0:
                _be(work, slot, signals, mask)
        except OSError:
            self._free.append(slot)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._running[pid] = _Child(tag, slot)

    def ended(self, wait: bool = False) -> Iterator[Ended[T]]:
        """Those that have ended since; `wait`: all, when they have."""
        while self._running:
            try:
                pid, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for them; what they were is lost
                pid, status = next(iter(self._running)), 1 << 8
            if pid == 0:
                return
            child = self._running.pop(pid, None)
            if child is None:
                continue  # not one of ours
            code = os.waitstatus_to_exitcode(status)
            trouble = self._killed.pop(pid, "") or (f"signal {-code}" if code < 0 else "")
            self._free.append(child.slot)
            yield Ended(child.tag, code == 0, child.slot.message, trouble)

    def kill(self, why: str, now: float = float("inf")) -> None:
        """Kill those that are overdue at `now`; without it, all."""
        for pid, child in self._running.items():
            if child.slot.deadline <= now and pid not in self._killed:
                self._killed[pid] = why
                kill_family(pid)


def _be(work: Callable[[Slot], bool], slot: Slot, signals: Iterable[int], mask: Iterable[int]) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        slot.in_child = True
        for number in signals:
            # Not ignored: the programs that engines start would inherit that.
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else deaf)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = 0 if work(slot) else 1
    finally:
        os._exit(status)


def deaf(_number: int, _frame: FrameType | None) -> None:
    """A signal's handler that does nothing."""


def kill_family(pid: int) -> None:
    """Kill a child that nobody has waited for yet, and with it the programs that its engines have started."""
    for member in (pid, *_family(pid)):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _family(pid: int) -> list[int]:
    """The process's children, theirs, and so on; those that can be seen."""
    found = [pid]
    for member in found:
        try:
            with open(f"/proc/{member}/task/{member}/children", encoding="ascii") as file:
                found += [int(number) for number in file.read().split()]
        except (OSError, ValueError):
            pass
        if len(found) > _MAX_FAMILY:
            break
    return found[1:]
