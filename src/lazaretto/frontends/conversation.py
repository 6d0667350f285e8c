"""One client's requests, served in a process of their own.

    True   all that has come is answered, the client may ask again
    False  hang up

The order is the promise: scan, write the output file or nothing, flush, answer, log. A
process that is killed on the way has not answered, which the client takes for a temporary
failure.

`Watch` tells the parent until when we must be heard of again, and whether a message is in our
hands that has no final line yet.

Limits:  limits.Limits; request_timeout_s for a request to arrive and for an answer to be taken.
Errors:  none; bugs are one message's temporary failure.
See:     wire/scan_server.py, docs/protocols/scan-server.md; server.py for the parent
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from lazaretto.errors import LazarettoError
from lazaretto.frontends import failure, shared_files
from lazaretto.frontends.stdio import LOG_ERR, Log
from lazaretto.mime.edits import render
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Disposition, Envelope, Report
from lazaretto.policy import outcomes
from lazaretto.scan import report as reporting
from lazaretto.scan.job import Scanner
from lazaretto.store.spool import Spool
from lazaretto.wire import scan_server as wire
from lazaretto.wire.scan_server import Code

LOG_WARNING, LOG_NOTICE = 4, 5
MARGIN_S = 10.0  # an engine gets seconds, not instants; behind them comes the parent with SIGKILL
DRAIN_S = 5.0  # how long we take in, to throw it away, what a client still sends that we have refused
_RECEIVE = 1 << 16
_CODES = {Disposition.TEMPFAIL: Code.TEMPFAIL, Disposition.REJECT: Code.REJECTED, Disposition.DISCARD: Code.DISCARDED}


class Served(NamedTuple):
    """What serves: made anew when the configuration is read again."""

    scanner: Scanner
    log: Log


class Watch(Protocol):
    """What the parent sees of us."""

    def until(self, deadline: float) -> None:
        """time.monotonic() after which we are to be killed."""
        ...

    def in_hand(self, message: bool) -> None:
        """Is there a message without its final line?"""
        ...


class Gone(LazarettoError):
    """The client does not go on, or has hung up."""


class Late(Gone):
    """A request did not arrive in time."""


class Conversation:
    """One connection, from its first bytes on."""

    def __init__(
        self,
        sock: socket.socket,
        served: Served,
        directories: Sequence[str],
        request_timeout_s: float,
        watch: Watch,
        uid: int | None = None,
        margin_s: float = MARGIN_S,
    ) -> None:
        self.sock = sock
        self.scanner, self.log = served
        self.directories = directories
        self.timeout_s = request_timeout_s
        self.watch = watch
        self.uid = uid
        self.margin_s = margin_s
        self.requests = wire.Requests(self.scanner.limits.max_message_bytes)
        self._answering = False  # part of an answer is out: it cannot be taken back, only broken off

    def run(self) -> bool:
        """Answer what has come; see the module."""
        try:
            deadline = self._patience()
            self._receive(deadline)
            while True:
                event = self.requests.next_event()
                if event is not None:
                    if not self._serve(event, deadline):
                        return False
                    deadline = self._patience()
                elif self.requests.begun:
                    self._receive(deadline)
                else:
                    return True
        except Late as late:
            return self._refuse(wire.reply(Code.TEMPFAIL, str(late)))
        except Gone:
            return False

    def _serve(self, event: wire.Event, deadline: float) -> bool:
        match event:
            case wire.ScanFiles():
                return self._scan_files(event)
            case wire.Stream():
                return self._scan_stream(event, deadline)
            case wire.Ping():
                self._send((wire.PONG,))
                return True
            case wire.Bad():
                self.log(reporting.line({"event": "bad-request", "error": event.text}), LOG_NOTICE)
                return self._refuse(wire.bad_reply(event))
            case _:  # Quit; there is no Data without a Stream
                return False

    # -- one message

    def _scan_files(self, request: wire.ScanFiles) -> bool:
        open_files: list[int] = []

        def body() -> Iterator[bytes]:
            open_files.extend(shared_files.open_pair(request.infile, request.outfile, self.directories, self.uid))
            while chunk := os.read(open_files[0], CHUNK):
                yield chunk

        def answer(code: Code, text: str, source: Source, report: Report) -> None:
            if code <= Code.MODIFIED:
                shared_files.replace(open_files[1], render(source, report.edits))
            self._send((wire.reply(code, text),))

        def fail(code: Code, text: str) -> bool:
            self._send((wire.reply(code, text),))
            return True

        try:
            return self._message(request.envelope, body(), answer, fail)
        finally:
            for fd in open_files:
                os.close(fd)

    def _scan_stream(self, request: wire.Stream, deadline: float) -> bool:
        left = request.size

        def body() -> Iterator[bytes]:
            nonlocal left
            while left:
                event = self.requests.next_event()
                if isinstance(event, wire.Data):
                    left -= len(event.data)
                    yield event.data
                else:
                    self._receive(deadline)

        def answer(code: Code, text: str, source: Source, report: Report) -> None:
            if code > Code.MODIFIED:
                self._send((wire.stream_reply(code, 0, text),))
                return
            self._send((wire.stream_reply(code, _size(source, report), text),))
            self._send(render(source, report.edits))

        def fail(code: Code, text: str) -> bool:
            line = wire.stream_reply(code, 0, text)
            if left:  # where the next request begins, we shall not know
                return self._refuse(line)
            self._send((line,))
            return True

        return self._message(request.envelope, body(), answer, fail)

    def _message(
        self,
        envelope: Envelope,
        chunks: Iterable[bytes],
        answer: Callable[[Code, str, Source, Report], None],
        fail: Callable[[Code, str], bool],
    ) -> bool:
        """Scan what `chunks` give, answer, log.  May the client go on?"""
        self.watch.in_hand(True)
        self._answering = False
        keep = True
        try:
            with Spool(self.scanner.spool_directory, self.scanner.limits.spool_memory_bytes) as spool:
                source = spool.take(chunks, self.scanner.limits.max_message_bytes)
                self.watch.until(time.monotonic() + self.scanner.limits.max_scan_s + self.margin_s)
                report = self.scanner.scan(source, envelope, spool=spool)
                answer(*_code(report), source, report)
            self.log(reporting.final_line(report, envelope), reporting.severity(report))
        except BaseException as error:  # noqa: BLE001 - the one catch of the job: a bug keeps the message with its owner
            refused = isinstance(error, shared_files.Refused)
            reason = failure.reason(error)
            try:
                # Of an answer that has begun, no second one may look like the rest.
                keep = not self._answering and fail(Code.BAD if refused else Code.TEMPFAIL, reason)
            except Gone:
                keep = False
            self.log(reporting.failure_line(f"refused: {reason}" if refused else reason), LOG_WARNING if refused else LOG_ERR)
        self.watch.in_hand(False)
        return keep

    # -- the connection

    def _patience(self) -> float:
        """Until when a request may take to arrive."""
        deadline = time.monotonic() + self.timeout_s
        self.watch.until(deadline + DRAIN_S + self.margin_s)
        return deadline

    def _receive(self, deadline: float) -> None:
        """What the client sends next, to the wire."""
        try:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.sock.recv(_RECEIVE)
        except TimeoutError:
            raise Late("the request did not arrive in time") from None
        except OSError as error:
            raise Gone(f"the client is gone: {error.strerror}") from None
        if not data:
            raise Gone("the client hung up within a request")
        self.requests.receive_data(data)

    def _send(self, chunks: Iterable[bytes]) -> None:
        deadline = self._patience()
        for chunk in chunks:
            with memoryview(chunk) as view:
                done = 0
                while done < len(view):
                    self._answering = True
                    try:
                        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
                        done += self.sock.send(view[done:])
                    except OSError as error:  # a timeout, too
                        raise Gone(f"the client does not take the answer: {error.strerror or error}") from None

    def _refuse(self, line: bytes) -> bool:
        """Answer and hang up, but so that the answer arrives: what is still being sent would make the system throw it away."""
        try:
            self._send((line,))
            self.sock.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + DRAIN_S
            while (left := deadline - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self.sock.recv(_RECEIVE):
                    break
        except (Gone, OSError):
            pass
        return False


def _code(report: Report) -> tuple[Code, str]:
    verdict = report.verdict
    if verdict.disposition is Disposition.ACCEPT:
        return (Code.MODIFIED, "modified") if reporting.is_changed(report) else (Code.UNCHANGED, "unchanged")
    return _CODES[verdict.disposition], "discarded" if verdict.disposition is Disposition.DISCARD else outcomes.reply(verdict)


def _size(source: Source, report: Report) -> int:
    """Of the rendered message."""
    return source.size + sum(
        (len(edit.data) if isinstance(edit.data, bytes) else edit.data.size) - (edit.span.stop - edit.span.start) for edit in report.edits
    )
