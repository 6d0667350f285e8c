"""The filter: a message on standard input, a safe one on standard output.

Nothing is written before the verdict.  The exit status is the promise:

    0   all of standard output is the message to use
    75  keep the original and try again: anything went wrong, also while writing
    others: see policy/outcomes.py (refused and discarded mail); and after an alarm, if
        the configuration has one, a status of its own for what is written all the same

Where standard output is a file, a failed write is taken back; a pipe keeps what
it has seen, and the exit status says not to use it.  SIGTERM, SIGINT and SIGHUP
end the run with 75.

Limits:  max_message_bytes
Errors:  none; one line on standard error says what happened to the message.
See:     sysexits.h, procmailrc(5) "f" and "e" flags, docs/flow.md
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from lazaretto.errors import EX_OK, EX_TEMPFAIL
from lazaretto.mime.edits import render
from lazaretto.mime.source import CHUNK
from lazaretto.model import Disposition, Envelope
from lazaretto.policy.outcomes import OUTCOMES
from lazaretto.scan import report as reporting
from lazaretto.scan.job import Scanner
from lazaretto.store.spool import Spool

Log = Callable[[str, int], None]  # the final line, its level in syslog


LOG_ERR = 3
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked us to stop.  No Exception: nothing on the way up may take it for a failure of its own."""


def _deaf(_number: int, _frame: FrameType | None) -> None:
    """Not SIG_IGN: of a signal that arrives just before it is set, Python complains on standard error."""


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for each in _STOPPING:  # a second one must not interrupt the clearing up after the first
        signal.signal(each, _deaf)
    raise Interrupted(signal.Signals(number).name)


def run(scanner: Scanner, envelope: Envelope, log: Log, stdin: int = 0, stdout: int = 1) -> int:
    """Filter one message from descriptor `stdin` to `stdout`; the exit status."""
    before = {number: signal.signal(number, _interrupt) for number in _STOPPING}
    # A reader that went away is an error of this write, not the death of the process without a log line.
    before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # Where the caller ignores it, and we inherit that, the exit status of a scanner's program is lost, and looks like 0: clean.
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        return _filter(scanner, envelope, log, stdin, stdout)
    except Interrupted as signalled:
        return _failed(log, f"stopped by {signalled}")
    except BaseException as error:  # noqa: BLE001 - the one catch of the job: a bug keeps the message with its owner
        from lazaretto.frontends import failure

        return _failed(log, failure.reason(error))
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not _deaf:  # once asked to stop, we stop, with our own exit status
                signal.signal(number, handler)


def _failed(log: Log, reason: str) -> int:
    log(reporting.failure_line(reason), LOG_ERR)
    return EX_TEMPFAIL


def _filter(scanner: Scanner, envelope: Envelope, log: Log, stdin: int, stdout: int) -> int:
    os.fstat(stdout)  # if it is closed, the next file that we open would get its number
    with Spool(scanner.spool_directory, scanner.limits.spool_memory_bytes) as spool:
        source = spool.take(_read(stdin), scanner.limits.max_message_bytes)
        report = scanner.scan(source, envelope, spool=spool)
        verdict = report.verdict
        if verdict.disposition is Disposition.ACCEPT:
            _write(stdout, render(source, report.edits))
        # After the write: the line says what was done, not what was meant.
        log(reporting.final_line(report, envelope), reporting.severity(report))
        if verdict.disposition is not Disposition.ACCEPT:
            return OUTCOMES[verdict.disposition].exit_status
        return scanner.alarm_status if verdict.alarm else EX_OK


def _read(fd: int) -> Iterator[bytes]:
    while chunk := os.read(fd, CHUNK):
        yield chunk


def _write(fd: int, chunks: Iterable[bytes]) -> None:
    """Write everything, or, where that is possible, nothing."""
    regular = stat.S_ISREG(os.fstat(fd).st_mode)
    start = os.lseek(fd, 0, os.SEEK_END if _appends(fd) else os.SEEK_CUR) if regular else 0
    try:
        for chunk in chunks:
            view = memoryview(chunk)
            done = 0
            while done < len(view):
                done += os.write(fd, view[done:])
        if regular:
            os.fsync(fd)  # a full disk may show only now
    except BaseException as error:
        if regular:
            os.ftruncate(fd, start)
            os.lseek(fd, start, os.SEEK_SET)
        if isinstance(error, OSError):
            raise OSError(
                error.errno, f"cannot write standard output: {os.strerror(error.errno or 0)}; do not use what was written"
            ) from error
        raise


def _appends(fd: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)
