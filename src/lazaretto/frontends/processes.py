"""Worker processes as their supervisor sees them: forked, listened to, killed with all that is theirs.

A process leads a group of its own. So a signal from a terminal does not reach it beside the one
from its supervisor, and what it has started can be killed when it is gone.

Errors:  OSError if there can be no further process.
See:     supervisor.py, control.py; fork(2), setpgid(2), waitid(2)
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn, Protocol

from lazaretto.frontends import control
from lazaretto.frontends.children import deaf
from lazaretto.frontends.control import Control
from lazaretto.frontends.listeners import Listener

Log = Callable[[str, int], None]

NEVER = float("inf")
_DEFAULT = (signal.SIGTERM, signal.SIGCHLD)
_DEAF = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)  # not ignored: programs that engines start would inherit that


class Role(NamedTuple):
    """A kind of worker, and how many.  `work` runs in the child, with the sockets of that name; its result is the exit status."""

    name: str
    places: int
    work: Callable[[Control, Sequence[Listener]], int]
    rereads: bool = False  # at HUP it reads its configuration itself; others are replaced


class Plan(NamedTuple):
    """What a configuration asks for.  `close` gives back what we hold of it; workers have their own."""

    roles: tuple[Role, ...]
    log: Log
    close: Callable[[], None] = lambda: None


class Watched(Protocol):
    """What has something to do, without waiting, when its descriptor can be read."""

    def fileno(self) -> int: ...

    def handle(self) -> None: ...

    def close(self) -> None: ...


class Process:
    """A worker that has been started."""

    __slots__ = ("beats", "counters", "killed", "line", "pid", "ready", "received", "retiring", "role", "since", "tally", "until")

    def __init__(self, pid: int, role: Role, line: socket.socket, tally: memoryview[int], now: float) -> None:
        self.pid = pid
        self.tally = tally
        self.role = role
        self.line = line
        self.since = now
        self.until = NEVER  # when it is killed
        self.ready = False
        self.beats = False  # reports now and then
        self.retiring = False
        self.killed = ""  # why
        self.counters: Mapping[str, float] = {}
        self.received = 0  # final lines

    @property
    def in_hand(self) -> int:
        """Messages that it has, or had at its end, without their final line."""
        return control.in_hand(self.tally, self.received)

    def send(self, number: int) -> None:
        """A signal, to this process alone."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self, why: str) -> None:
        """With its whole group."""
        self.killed = self.killed or why
        self.until = NEVER
        kill_group(self.pid)

    def hear(self, log: Log) -> tuple[bool, bool]:
        """Listen to what it says, and write its final lines: (did it report, is the line over)."""
        words, over = control.heard(self.line)
        for line in (word.line for word in words if word.line is not None):
            self.received += 1
            log(line.text, line.level)
            control.written(self.tally)
        reports = [word.counters for word in words if not word.ready and word.line is None]
        self.ready = self.ready or any(word.ready for word in words)
        self.beats = self.beats or bool(reports)
        if reports:
            self.counters = reports[-1]
        return bool(reports), over


class Place:
    """Where a worker of that role has to be; `process`, if there is one.  `due`: when to start another."""

    __slots__ = ("due", "failures", "process", "role")

    def __init__(self, role: Role) -> None:
        self.role = role
        self.process: Process | None = None
        self.failures = 0
        self.due = 0.0

    def failed(self, back_off_s: Sequence[float], now: float) -> None:
        """Another one is to be started, later each time."""
        self.due = now + back_off_s[min(self.failures, len(back_off_s) - 1)]
        self.failures += 1


def places(plan: Plan) -> list[Place]:
    """All that the plan wants, empty."""
    return [Place(role) for role in plan.roles for _ in range(role.places)]


def start(role: Role, work: Callable[[Control], int], now: float) -> Process:
    """Fork; in the child `work`, whose result is the exit status.  OSError."""
    ours, theirs = control.pair()
    tally = control.tally()
    # None between the fork and the child's own handlers: what the parent's do is not for the child.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*_DEFAULT, *_DEAF))
    try:
        pid = os.fork()
        if pid == 0:
            _be(ours, Control(theirs, tally), work, mask)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _lead(pid)
    return Process(pid, role, ours, tally, now)


def ended(wait: bool) -> Iterator[tuple[int, int]]:
    """(process id, exit code) of each child that has ended since, or of all when they have; nothing is left of their groups."""
    while True:
        try:
            # While a child is not collected nobody else can have its number, nor its group's.
            status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | (0 if wait else os.WNOHANG))
            if status is None:
                return
            kill_group(status.si_pid)
            _, code = os.waitpid(status.si_pid, 0)
        except ChildProcessError:
            return
        yield status.si_pid, os.waitstatus_to_exitcode(code)


def only_grows(name: str) -> bool:
    """Is a sample of that name to be remembered when its process has ended?  By the customs of samples.py."""
    return name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket"))


def kill_group(pid: int) -> None:
    """The process, and the group that it leads."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            pass  # nobody is left; or it has not got so far as to lead


def _be(ours: socket.socket, theirs: Control, work: Callable[[Control], int], mask: Iterable[int]) -> NoReturn:
    status = 1
    try:
        _lead(0)
        ours.close()
        signal.set_wakeup_fd(-1)
        for number in _DEFAULT:
            signal.signal(number, signal.SIG_DFL)
        for number in _DEAF:
            signal.signal(number, deaf)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = work(theirs)
    finally:
        os._exit(status)


def _lead(pid: int) -> None:
    """Both sides do it, for either may be first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass  # the other side has, or it is over
