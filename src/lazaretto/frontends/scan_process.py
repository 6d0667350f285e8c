"""One scan process as its worker sees it: forked, given one job at a time, watched, ended.

    process = ScanProcess(scanner, on_answer, on_end)      forks; needs a running event loop
    process.send(number, envelope, message, fd)
        ... on_answer(process, answer)
        ... on_end(process, how)                           it is dead and waited for; nothing more will come
    process.leave()                                        it may go, and is killed if it does not
    process.kill(why)                                      it and the programs that its engines have started

The child has nothing of its worker: no descriptor but its socket and standard error, no signal
handler, none of its event loop. It dies with the worker (Linux), and the kernel, short of memory, takes it first.

Errors:  OSError if there can be no further process; send: those of parcels.send.
Bugs:    a fork takes locks that other threads of the worker hold at that moment with it, locked. The
         worker has no thread but asyncio's resolver; a child that waits for its lock runs into its deadline.
         Programs that an engine has started outlive it if it dies of itself.
See:     scan_pool.py, scan/work.py; fork(2), pidfd_open(2), prctl(2) PR_SET_PDEATHSIG
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import NoReturn, cast

from lazaretto.frontends import failure
from lazaretto.frontends.children import deaf, kill_family
from lazaretto.model import Envelope
from lazaretto.scan import parcels, work
from lazaretto.scan.job import Scanner
from lazaretto.scan.work import Answer

LEAVE_S = 10.0  # engines say good-bye to their daemons
_POLL_S = 0.02  # only where there is no pidfd
_PR_SET_PDEATHSIG = 1
_Prctl = Callable[[int, int], int]
_OOM_SCORE = 500  # more than any process has that nobody has spoken for


class ScanProcess:
    """See the module."""

    def __init__(
        self,
        scanner: Scanner,
        on_answer: Callable[[ScanProcess, Answer], None],
        on_end: Callable[[ScanProcess, str], None],
    ) -> None:
        self.scanner = scanner
        self.served = 0  # jobs answered
        self.leaving = False  # by our wish
        self._on_answer = on_answer
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._killed = False
        self._why = ""
        self.pid, self._sock = _fork(scanner)
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # another kernel, an old one, no more descriptors
            self._pidfd = -1
        else:
            self._loop.add_reader(self._pidfd, self._reap)
        self._loop.add_reader(self._sock.fileno(), self._heard)

    def send(self, number: int, envelope: Envelope, message: bytes | None, fd: int) -> None:
        """Give it a job (scan.work.send_job).  ConnectionError if it is dead, which on_end has still to say."""
        if self._sock.fileno() < 0:
            raise ConnectionResetError(f"the scan process {self.pid} is gone")
        work.send_job(self._sock, number, envelope, message, fd, self.scanner.spool_directory)

    def leave(self) -> None:
        """No more jobs: hang up, which it takes for the end."""
        if not self.leaving:
            self.leaving = True
            self._hang_up()
            self._timer = self._loop.call_later(LEAVE_S, self.kill, "killed, it did not go")

    def kill(self, why: str = "") -> None:
        """End it at once; on_end follows, and says why."""
        if not self._killed:
            self._killed = self.leaving = True
            self._why = why
            self._hang_up()
            kill_family(self.pid)

    def _heard(self) -> None:
        try:
            answer = work.receive_answer(self._sock)
        except BlockingIOError:
            return
        except ConnectionError:  # it died before it took the job
            answer = None
        except (OSError, parcels.ParcelError) as error:
            self.kill(f"killed, what it answered was not understood: {failure.reason(error)}")
            return
        if answer is None:  # it is dead, or as good as that
            self._hang_up()
            kill_family(self.pid)
            return
        self.served += 1
        self._on_answer(self, answer)

    def _hang_up(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            if self._pidfd < 0:
                self._loop.call_later(_POLL_S, self._reap)

    def _reap(self) -> None:
        if self._sock.fileno() >= 0:
            self._heard()  # its last words
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it
            pid, status = self.pid, 0
        if not pid:
            if self._pidfd < 0:
                self._loop.call_later(_POLL_S, self._reap)
            return
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self._on_end(self, self._why or _how(os.waitstatus_to_exitcode(status)))


def _how(code: int) -> str:
    if code >= 0:
        return f"it ended with {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it died of {name}" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")


def _fork(scanner: Scanner) -> tuple[int, socket.socket]:
    ours, theirs = parcels.pair()
    parent, prctl = os.getpid(), _prctl()
    # None between the fork and the child's own handlers: what the worker's do is not for the child.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: see Bugs
            pid = os.fork()
        if pid == 0:
            _be(theirs, scanner, parent, prctl, mask)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    ours.setblocking(False)
    return pid, ours


def _be(sock: socket.socket, scanner: Scanner, parent: int, prctl: _Prctl | None, mask: Iterable[int]) -> NoReturn:
    """The child."""
    status = 1
    try:
        gc.freeze()  # what is the worker's is never collected here: its finalizers would close descriptors that are ours now
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)) or number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, deaf)  # a stop of the whole group lets a message in hand come to its end
        for number in (signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        _die_with(parent, prctl)
        _let_go_of_all_but(sock.fileno())
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _volunteer()
        work.work(sock, scanner, failure.reason)
        status = 0
    finally:
        os._exit(status)


@cache
def _prctl() -> _Prctl | None:
    try:
        import ctypes

        return cast("_Prctl", ctypes.CDLL(None).prctl)
    except (ImportError, OSError, AttributeError):
        return None


def _die_with(parent: int, prctl: _Prctl | None) -> None:
    """Whoever gave us our job is the only one to whom the answer matters.  Without prctl, the end of the socket tells us, after the job."""
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _let_go_of_all_but(mine: int) -> None:
    """Close what the worker has open; nothing is read here, and nothing but errors is written."""
    try:
        open_ones = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        open_ones = [*range(3, os.sysconf("SC_OPEN_MAX"))]
    for fd in open_ones:
        if fd > 2 and fd != mine:
            try:
                os.close(fd)
            except OSError:
                pass
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):  # a session's, where the worker serves one on its standard input
        os.dup2(nowhere, fd)
    os.close(nowhere)


def _volunteer() -> None:
    """When memory is short, one message is retried rather than all sessions lost."""
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            if int(file.read()) < _OOM_SCORE:
                file.seek(0)
                file.write(b"%d" % _OOM_SCORE)
    except (OSError, ValueError):
        pass
