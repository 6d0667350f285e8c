"""A scan process: takes jobs from a socket, one after the other, and answers each with a Report.

    work(sock, scanner)        returns when the other end is closed

A job is a message and its envelope. Small messages lie in the parcel, others in a file whose
descriptor comes with it. The answer is the Report with its edits; what is large among their
data goes back by descriptor.

What engines say is remembered here (cache.py), for as long as the process lives.

Limits:  limits.Limits of the scanner. A process that is PATIENCE_S over max_scan_s is ended by the kernel's
         alarm clock: it gets stuck for ever not even when nobody watches it any more.
Errors:  none. What goes wrong with one job is its answer; with the socket, the end.
Bugs:    the alarm clock is the process's: engines must not use SIGALRM.
See:     parcels.py; frontends/scan_pool.py for the other end, frontends/scan_process.py for the fork
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple

from lazaretto.mime.source import Source
from lazaretto.model import Edit, Envelope, Report, Span
from lazaretto.scan import parcels
from lazaretto.scan.cache import AnswerCache, Remembering
from lazaretto.scan.job import Scanner
from lazaretto.scan.parcels import ParcelError
from lazaretto.store.spool import Spool

MESSAGE_BYTES = parcels.INLINE_BYTES * 3 // 4  # a larger message travels in a file; the rest is for its envelope
PATIENCE_S = 15.0
_FOR_EVER_S = 1e6
_EDIT_BYTES = 1 << 14  # larger edit data that is in a file already stays there


class Answer(NamedTuple):
    """What became of a job."""

    number: int
    report: Report | None
    error: str = ""  # why there is no report
    grown_bytes: int = 0  # memory of this process alone, since its start
    hits: int = 0  # answers of engines that were known from earlier messages


def work(sock: socket.socket, scanner: Scanner, describe: Callable[[BaseException], str] = repr) -> None:
    """Serve until the end of `sock`, which then is the caller's to close.  `describe` words what was raised."""
    answers = AnswerCache(scanner.limits.max_cached_answers)
    # Of this process only: whoever has forked us keeps the scanner as it was.
    scanner.engines = [Remembering(engine, answers) if engine.by_content else engine for engine in scanner.engines]
    start_bytes = own_bytes()
    try:
        while (job := _next(sock)) is not None:
            number, envelope, source = job
            hits = answers.hits
            signal.setitimer(signal.ITIMER_REAL, min(scanner.limits.max_scan_s + PATIENCE_S, _FOR_EVER_S))
            try:
                with Spool(scanner.spool_directory, scanner.limits.spool_memory_bytes) as kept:
                    report, error = None, ""
                    try:
                        report = scanner.scan(source, envelope, spool=kept)
                    except BaseException as raised:  # noqa: BLE001 - a bug is one message's failure
                        error = describe(raised) or "no reason"
                    answer = Answer(number, report, error, own_bytes() - start_bytes, answers.hits - hits)
                    _send(sock, answer, scanner.spool_directory)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                _let_go(source)
    except (OSError, ParcelError):
        pass  # nobody listens any more
    finally:
        scanner.close()


def send_job(
    sock: socket.socket, number: int, envelope: Envelope, message: bytes | None, fd: int = -1, directory: str | None = None
) -> None:
    """The other side of it: `message`, or what is in the file behind `fd` if that is None.  Errors of parcels.send."""
    if message is None:
        parcels.send(sock, (number, envelope, None), [fd], directory)
    elif len(message) <= MESSAGE_BYTES:
        parcels.send(sock, (number, envelope, message), (), directory)
    else:
        with parcels.in_file((message,), directory) as (file, _):
            parcels.send(sock, (number, envelope, None), [file], directory)


def receive_answer(sock: socket.socket) -> Answer | None:
    """The other side of it: the next answer; None: the process is gone.  Errors of parcels.receive.

    Edit data in files need no descriptor: they live as long as the report.
    """
    parcel = parcels.receive(sock)
    if parcel is None:
        return None
    value, fds = parcel
    try:
        sources = [parcels.mapped(fd) for fd in fds]
        fields, edits = value
        answer = Answer(*fields)
        if answer.report is None:
            return answer
        made = tuple(Edit(Span(start, stop), sources[data] if isinstance(data, int) else data) for start, stop, data in edits)
        return answer._replace(report=answer.report._replace(edits=made))
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ParcelError(f"no answer: {error}") from None
    finally:
        parcels.close(fds)


def own_bytes() -> int:
    """Memory that is this process's alone, not mapped from files; 0 where that cannot be seen."""
    try:
        with open("/proc/self/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def _next(sock: socket.socket) -> tuple[int, Envelope, Source] | None:
    parcel = parcels.receive(sock)
    if parcel is None:
        return None
    (number, envelope, message), fds = parcel
    if message is not None:
        return number, envelope, Source(message)
    (fd,) = fds  # with its descriptor, which engines may hand on
    return number, envelope, Source.from_fd(fd, os.fstat(fd).st_size)


def _let_go(source: Source) -> None:
    if isinstance(source.data, mmap.mmap):
        try:
            source.data.close()
        except BufferError:
            pass  # somebody still holds a memoryview
    if source.fd is not None:
        os.close(source.fd)


def _send(sock: socket.socket, answer: Answer, directory: str | None) -> None:
    """The edits cross beside the report, for Sources are no plain values."""
    fds: list[int] = []
    edits: list[tuple[int, int, bytes | int]] = []
    for span, data in answer.report.edits if answer.report is not None else ():
        if isinstance(data, bytes):
            edits.append((*span, data))
        elif data.fd is None or data.size <= _EDIT_BYTES:
            edits.append((*span, b"".join(data.chunks())))
        else:
            edits.append((*span, len(fds)))
            fds.append(data.fd)
    report = answer.report._replace(edits=()) if answer.report is not None else None
    try:
        parcels.send(sock, (tuple(answer._replace(report=report)), tuple(edits)), fds, directory)
    except ConnectionError:
        raise
    except (OSError, ParcelError) as error:  # no room for it, too many descriptors
        parcels.send(sock, (tuple(answer._replace(report=None, error=f"the report cannot be handed over: {error}")), ()))
