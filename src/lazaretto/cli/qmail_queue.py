"""`lazaretto-qmail-queue`: in the place of qmail-queue, scans and then runs the real one.

The message comes on descriptor 0, the envelope on descriptor 1.  The message is scanned
here, or by the scan server at $LAZARETTO_SOCKET; then the real qmail-queue gets the safe
message and the envelope as it came, and its exit status is ours: nobody is told that
a message was queued before it was.  What could not be scanned is never queued.

The real one is $LAZARETTO_QMAIL_QUEUE, else `qmail-queue.orig` beside the name under which
this program was started, else /var/qmail/bin/qmail-queue.orig.  qmail gives no options, so
$LAZARETTO_STATE_DIR stands for --state-dir, and $LAZARETTO_CONFIG for --config as everywhere.

`fp-qmail` is the same with the scan server on port 11200 of this machine as its default.

Limits:  24 hours, as qmail-queue has; max_message_bytes, with a scan server 1 GiB.
Errors:  none; exit statuses of qmail-queue (legacy/qmail_queue.py): 31 refused by a rule; 0 without
         queueing if a rule drops it; 51 memory, 52 time, 53 disk, 54 no message or envelope,
         55 configuration, 71 no verdict, 81 a bug, 91 no envelope: come again later.
         One final line says what happened; where a scan server has written one, only
         what went wrong after that is added, on standard error.
BUGS:    It cannot be setuid, as no script can: without a scan server, it must be able to write
         to the state directory as whoever sends mail.
See:     qmail-queue(8); docs/protocols/scan-server.md
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from lazaretto.cli import setup
from lazaretto.errors import ConfigError
from lazaretto.frontends import thin
from lazaretto.legacy import qmail_queue
from lazaretto.legacy.qmail_queue import QueueError
from lazaretto.mime.source import CHUNK, Source
from lazaretto.store.spool import Spool

if TYPE_CHECKING:
    from lazaretto.model import Envelope, Report

Log = Callable[[str, int], None]

LOG_ERR = 3
PATIENCE_S = 86_400.0  # qmail-queue's own: its caller may take a day to send the message
SYSTEM_QUEUE = "/var/qmail/bin/qmail-queue.orig"
HELP = """\
usage: lazaretto-qmail-queue 0< message 1< envelope

Scan a message and hand it to the real qmail-queue: $LAZARETTO_QMAIL_QUEUE, or qmail-queue.orig
beside this program, or /var/qmail/bin/qmail-queue.orig. With $LAZARETTO_SOCKET, the scan
server there does the scanning.
"""
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)


def main() -> int:
    """The console script; the exit status."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        os.write(2, HELP.encode())
        return 0
    return run(os.environ, sys.argv[0])


def fp_qmail() -> int:
    """The console script `fp-qmail`; the exit status."""
    os.environ.setdefault("LAZARETTO_SOCKET", thin.SYSTEM_TCP)
    return main()


def run(environ: Mapping[str, str], program: str) -> int:
    """Scan and queue one message; `program` is the name under which we were started.  The exit status."""
    delivery = _Delivery(environ, program)
    before = {number: signal.signal(number, _interrupt) for number in _STOPPING}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored by the caller, it would cost us exit statuses
    try:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        return delivery.run()
    except BaseException as error:  # noqa: BLE001 - the one catch of the job: whatever it is, the caller keeps the message
        _deafen()
        return delivery.failed(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupted(KeyboardInterrupt):
    """A signal asked us to stop.  No Exception: nothing on the way up may take it for a failure of its own."""


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    _deafen()
    raise Interrupted(signal.Signals(number).name)


def _deafen() -> None:
    """Not SIG_IGN: of a signal that arrives just before it is set, Python complains on standard error."""
    for number in _STOPPING:
        signal.signal(number, lambda _number, _frame: None)


class _Delivery:
    """One message on its way."""

    def __init__(self, environ: Mapping[str, str], program: str) -> None:
        self.environ = environ
        self.program = program
        self.log: Log = setup.to_stderr
        self.scan_id = ""
        self.envelope: Envelope | None = None

    def run(self) -> int:
        for fd in (0, 1):
            _fstat(fd)  # if one is closed, the next file that we open would get its number
        queue = self._real()
        if self.environ.get("LAZARETTO_SOCKET"):
            return self._by_server(queue, self.environ["LAZARETTO_SOCKET"])
        return self._here(queue)

    def _here(self, queue: str) -> int:
        """Scan in this process, with the usual configuration."""
        import argparse

        from lazaretto.mime.edits import render
        from lazaretto.model import Disposition
        from lazaretto.scan import report as reporting

        options = argparse.Namespace(config=None, engine=[], state_dir=None)
        config = setup.config(options)
        self.log = setup.log(config)
        scanner = setup.scanner(options, config)
        try:
            with Spool(scanner.spool_directory, scanner.limits.spool_memory_bytes) as spool:
                source = spool.take(_read(0, "the message"), scanner.limits.max_message_bytes)
                envelope, raw = self._envelope()
                report: Report = scanner.scan(source, envelope, spool=spool)
                self.scan_id = report.scan_id
                disposition = report.verdict.disposition
                if disposition is Disposition.ACCEPT:
                    status = self._queue(queue, render(source, report.edits), raw, scanner.spool_directory)
                    if status != qmail_queue.QUEUED:
                        return self._not_queued(queue, status)
                else:
                    status = qmail_queue.OF_DISPOSITION[disposition]
                self.log(reporting.final_line(report, envelope), reporting.severity(report))
                return status
        finally:
            scanner.close()

    def _by_server(self, queue: str, address: str) -> int:
        """Have the scan server scan; it writes the final line."""
        with Spool() as spool:
            source = spool.take(_read(0, "the message"), thin.MAX_PIPED_BYTES)
            envelope, raw = self._envelope()
            attributes = [("from", envelope.mail_from or b""), *(("to", recipient) for recipient in envelope.rcpt_to)]
            if envelope.client:
                attributes.insert(1, ("client", os.fsencode(envelope.client)))
            try:
                line = thin.request(source.size, attributes)
                code, text, answer = thin.ask(address, line, source.chunks(), time.monotonic() + thin.TIMEOUT_S)
            except (thin.Trouble, OSError) as error:
                raise QueueError(qmail_queue.TEMPORARY, f"scan server at {address}: {error}") from error
            if code not in (0, 1):
                status = qmail_queue.OF_SERVER.get(code, qmail_queue.TEMPORARY)
                if status == qmail_queue.TEMPORARY:
                    raise QueueError(status, f"scan server at {address}: {code} {text}")
                return status
            if source.size and not answer:
                raise QueueError(qmail_queue.TEMPORARY, f"scan server at {address}: sent back nothing")
            status = self._queue(queue, (bytes(answer),), raw, None)
            return self._not_queued(queue, status) if status != qmail_queue.QUEUED else status

    def _envelope(self) -> tuple[Envelope, bytes]:
        """The envelope, for us and as it came; qmail-queue's callers write it after the message."""
        from lazaretto.model import Envelope

        reader = qmail_queue.EnvelopeReader()
        for chunk in _read(1, "the envelope"):
            queued = reader.feed(chunk)
            if queued is not None:
                # tcpserver says who is there.
                self.envelope = Envelope(queued.sender, queued.recipients, self.environ.get("TCPREMOTEIP", ""))
                return self.envelope, queued.raw
        raise reader.end()

    def _real(self) -> str:
        """The path of the real qmail-queue."""
        named = self.environ.get("LAZARETTO_QMAIL_QUEUE")
        beside = os.path.join(os.path.dirname(self.program), "qmail-queue.orig")
        path = named or (beside if os.path.dirname(self.program) and os.path.exists(beside) else SYSTEM_QUEUE)
        if not os.access(path, os.X_OK):
            raise QueueError(qmail_queue.CANNOT_CONFIGURE, f"{path} is not there, or no program: name qmail-queue in LAZARETTO_QMAIL_QUEUE")
        if os.path.exists(self.program) and os.path.samefile(path, self.program):
            raise QueueError(qmail_queue.CANNOT_CONFIGURE, f"{path} is this program: name the real qmail-queue in LAZARETTO_QMAIL_QUEUE")
        return path

    def _queue(self, path: str, message: Iterable[bytes], envelope: bytes, directory: str | None) -> int:
        """Run the real one; its exit status.  It gets files, because nobody says in which order it reads."""
        with Spool(directory, memory_bytes=0) as spool:
            given = [_descriptor(spool.take(chunks)) for chunks in (message, (envelope,))]
            # From here on we wait, whoever wants us to stop: to say "not queued" of a queued message would send it twice.
            _deafen()
            try:
                pid = os.posix_spawn(
                    path,
                    [path],
                    self.environ,
                    file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(given)],
                    setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, and that would be inherited
                )
            except OSError as error:
                raise QueueError(qmail_queue.CANNOT_CONFIGURE, f"cannot run {path}: {error.strerror}") from error
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if status < 0:
                raise QueueError(qmail_queue.BUG, f"{path} was killed by signal {-status}")
            return status

    def _not_queued(self, path: str, status: int) -> int:
        self._say("rejected" if qmail_queue.is_permanent(status) else "deferred", "qmail-queue", f"{path}: exit status {status}")
        return status

    def failed(self, error: BaseException) -> int:
        """The final line of a message that was not queued, and the exit status."""
        from lazaretto.errors import LimitExceeded
        from lazaretto.frontends import failure

        if isinstance(error, QueueError):
            status = error.status
        elif isinstance(error, ConfigError):
            status = qmail_queue.CANNOT_CONFIGURE
        elif isinstance(error, MemoryError):
            status = qmail_queue.NO_MEMORY
        elif isinstance(error, OSError):  # what is read, has its own: this is the spool
            status = qmail_queue.CANNOT_WRITE
        elif isinstance(error, Interrupted):
            status = qmail_queue.TIMEOUT if str(error) == "SIGALRM" else qmail_queue.TEMPORARY
        elif isinstance(error, LimitExceeded):
            status = qmail_queue.TEMPORARY
        else:
            status = qmail_queue.BUG
        rule = "configuration" if status == qmail_queue.CANNOT_CONFIGURE else "system"
        reason = f"stopped by {error}" if isinstance(error, Interrupted) else failure.reason(error)
        self._say("rejected" if qmail_queue.is_permanent(status) else "deferred", rule, reason)
        return status

    def _say(self, outcome: str, rule: str, reason: str) -> None:
        from lazaretto.scan.report import line

        pairs = {"outcome": outcome, "rule": rule}
        if self.scan_id:
            pairs["id"] = self.scan_id
        if self.envelope is not None:
            pairs["from"] = (self.envelope.mail_from or b"<>").decode("utf-8", "backslashreplace")
            pairs["to"] = b",".join(self.envelope.rcpt_to[:100]).decode("utf-8", "backslashreplace")
        self.log(line({**pairs, "error": reason}), LOG_ERR)


def _fstat(fd: int) -> None:
    try:
        os.fstat(fd)
    except OSError as error:
        raise QueueError(qmail_queue.CANNOT_READ, f"descriptor {fd} is closed; qmail-queue gets message and envelope there") from error


def _read(fd: int, what: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(fd, CHUNK)
        except OSError as error:
            raise QueueError(qmail_queue.CANNOT_READ, f"cannot read {what}: {error.strerror}") from error
        if not chunk:
            return
        yield chunk


def _descriptor(source: Source) -> int:
    """Of the file behind `source`; for the empty message there is none."""
    return source.fd if source.fd is not None else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
