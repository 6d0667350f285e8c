"""The scan processes of one worker: who gets which message, and what if one of them fails.

    pool = ScanPool(scanner, PoolSettings(size=4), log)
    pool.start()                                     in the event loop
    report = await pool.scan(source, envelope)
    pool.replace(scanner)                            new configuration; who scans, finishes under the old
    await pool.close(grace_s)

    waiting --> given to a process --> Report
       |              |--> ScanFailed: crash, deadline (then it is killed), shutdown
       '--> ScanFailed: max_wait_s   (Busy, at once: too many before it)

A process has one message at a time; whatever happens to it happens to that message (R3), and another one is
forked. It is also replaced after recycle_messages, or grown by recycle_growth_bytes, or after a bug.

The same message, byte for byte, under an equal envelope, that comes while the first is still waiting or
being scanned, joins it: both get the same Report, with one scan id and one copy in quarantine.
A caller that is cancelled leaves; a scan that has begun goes on, for whoever joins.

The source is the caller's, until `scan` has returned or raised. Edit data in files live as long as the Report.

Limits:  PoolSettings, and max_scan_s of the scanner; 2 * size processes, while old ones finish.
Errors:  start: OSError. scan: Busy, ScanFailed.
Bugs:    nothing here may scan in the worker: the clock of YARA-X is a thread, which a fork loses.
See:     scan_process.py, scan/work.py; docs/architecture.md
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self, cast

from lazaretto.errors import LazarettoError
from lazaretto.frontends.conversation import LOG_WARNING, MARGIN_S
from lazaretto.frontends.scan_process import LEAVE_S, ScanProcess
from lazaretto.frontends.stdio import LOG_ERR, Log
from lazaretto.frontends.warmup import warm
from lazaretto.limits import MIB
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Envelope, Report
from lazaretto.scan import report as reporting
from lazaretto.scan.job import Scanner
from lazaretto.scan.parcels import ParcelError
from lazaretto.scan.work import Answer

_RETRY_S = 1.0  # after the system had no process to give
_BACK_OFF_S = 0.05  # after one that died before it did anything, doubled for each
_MAX_BACK_OFF_S = 2.0
_SAMPLE = 4096  # bytes at both ends of a message, before all of it is compared
_COMPARED = 16  # chunks between which others have their turn


class ScanFailed(LazarettoError):
    """The message was not scanned, its sender may try again.  The text is for the log."""


class Busy(ScanFailed):
    """Too many messages before this one."""


class PoolSettings(NamedTuple):
    """The keys of [process], and of [smtp] max_jobs."""

    size: int = 4  # processes
    recycle_messages: int = 1000
    recycle_growth_bytes: int = 256 * MIB
    max_jobs: int = 100  # messages waiting or being scanned, who joins not counted
    max_wait_s: float = 20.0  # until a process is free; with the next, callers get an answer within max_scan_s + 30 s
    margin_s: float = MARGIN_S  # over max_scan_s: engines get seconds, not instants

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Self:
        """From Config.settings."""
        return cls(
            cast("int", settings["process.scanners"]) or 2 * (os.cpu_count() or 1),
            cast("int", settings["process.recycle_messages"]),
            cast("int", settings["process.recycle_growth_bytes"]),
            cast("int", settings["smtp.max_jobs"]),
        )


class Counters:
    """What has happened since the start."""

    __slots__ = ("busy", "bytes", "cache_hits", "crashes", "dropped", "failed", "forks", "jobs", "joined", "recycled", "timeouts")

    def __init__(self) -> None:
        self.jobs = 0  # messages given to processes
        self.bytes = 0  # and their size
        self.joined = 0  # messages that were being scanned already
        self.failed = 0  # jobs without a report
        self.dropped = 0  # reports that nobody waited for any more
        self.busy = 0  # messages refused
        self.crashes = 0  # processes that ended before their time
        self.timeouts = 0  # processes killed over a message
        self.recycled = 0  # processes replaced for their age or growth
        self.forks = 0
        self.cache_hits = 0  # answers of engines that were known

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}


_Key = tuple[int, Envelope, bytes, bytes]


class _Job:
    """A message, with a hold on its bytes that does not depend on who brought it."""

    def __init__(self, number: int, source: Source, envelope: Envelope, key: _Key) -> None:
        self.number = number
        self.envelope = envelope
        self.key = key
        self.size = source.size
        self.waiters: set[asyncio.Future[Report]] = set()
        self.timer: asyncio.TimerHandle | None = None
        self.message: bytes | None = None
        self.fd = -1
        if source.fd is not None:
            self.fd = os.dup(source.fd)
        else:
            self.message = source.data if isinstance(source.data, bytes) else source.data[:]

    async def is_about(self, source: Source) -> bool:
        """The very same bytes?  Others have their turn in between, so the job may be done when this returns."""
        if self.message is not None and isinstance(source.data, bytes):
            return self.message == source.data
        for number, offset in enumerate(range(0, self.size, CHUNK)):
            if number % _COMPARED == _COMPARED - 1:
                await asyncio.sleep(0)
            if self.message is not None:
                mine = self.message[offset : offset + CHUNK]
            elif self.fd >= 0:
                mine = os.pread(self.fd, CHUNK, offset)
            else:
                return False
            if mine != source.read_at(offset, CHUNK):
                return False
        return True

    def end(self) -> None:
        """Give back what it holds."""
        if self.timer is not None:
            self.timer.cancel()
        if self.fd >= 0:
            os.close(self.fd)
        self.message, self.fd = None, -1


class ScanPool:
    """See the module.  All of it belongs to one event loop."""

    def __init__(self, scanner: Scanner, settings: PoolSettings, log: Log = lambda _text, _level: None) -> None:
        self.scanner = scanner
        self.settings = settings
        self.counters = Counters()
        self._log = log
        self._processes: dict[ScanProcess, _Job | None] = {}  # all that live
        self._idle: list[ScanProcess] = []  # the last one used is asked first: it has the most in its caches
        self._queue: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}  # waiting or being scanned, by number
        self._same: dict[_Key, _Job] = {}  # those that can be joined
        self._last = 0
        self._stillborn = 0
        self._filler: asyncio.TimerHandle | None = None
        self._closing = False
        self._changed = asyncio.Event()

    # -- for callers

    @property
    def waiting(self) -> int:
        """Messages that no process has yet."""
        return len(self._queue)

    @property
    def scanning(self) -> int:
        """Messages that a process has."""
        return len(self._jobs) - len(self._queue)

    @property
    def pids(self) -> list[int]:
        """Of all processes."""
        return [process.pid for process in self._processes]

    def start(self) -> None:
        """Fork.  OSError if not even one process can be made."""
        warm(self.scanner)
        self._fill()
        if not self._processes:
            raise OSError("no scan process can be started")

    async def scan(self, source: Source, envelope: Envelope = Envelope()) -> Report:
        """What Scanner.scan says about `source`."""
        key = (source.size, envelope, source.read_at(0, _SAMPLE), source.read_at(max(source.size - _SAMPLE, 0), _SAMPLE))
        job = self._same.get(key)
        if job is not None and await job.is_about(source) and job.number in self._jobs:
            self.counters.joined += 1
        else:
            job = self._same[key] = self._admit(source, envelope, key)
        waiter: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        job.waiters.add(waiter)
        self._dispatch()
        try:
            return await waiter
        finally:
            job.waiters.discard(waiter)
            if not job.waiters and job in self._queue:
                self._queue.remove(job)
                self._finish(job)

    def replace(self, scanner: Scanner) -> None:
        """From now on, messages that no process has yet are scanned by `scanner`.  Closing the old one is the caller's."""
        warm(scanner)
        self.scanner = scanner
        self._same.clear()
        for process in self._idle:
            process.leave()
        self._idle.clear()
        self._fill()

    async def close(self, grace_s: float = 0.0) -> None:
        """Take no more messages, give those that are here `grace_s`; returns when all processes have ended."""
        self._closing = True
        await self._until(lambda: not self._jobs, grace_s)
        busy = {process for process, job in self._processes.items() if job is not None}
        for job in [*self._jobs.values()]:
            self._fail(job, "shutting down")
        for process in self._processes:
            self._processes[process] = None
            if process in busy:
                process.kill("killed, the worker stops")
            else:
                process.leave()
        self._idle.clear()
        if self._filler is not None:
            self._filler.cancel()
        await self._until(lambda: not self._processes, LEAVE_S)
        for process in self._processes:
            process.kill()
        await self._until(lambda: not self._processes, LEAVE_S)  # but for one that the kernel holds

    # -- jobs

    def _admit(self, source: Source, envelope: Envelope, key: _Key) -> _Job:
        if self._closing:
            raise ScanFailed("shutting down")
        if len(self._jobs) >= self.settings.max_jobs:
            self.counters.busy += 1
            raise Busy(f"{len(self._jobs)} messages are waiting or being scanned")
        self._last += 1
        try:
            job = _Job(self._last, source, envelope, key)
        except OSError as error:
            raise ScanFailed(f"no scan: {error.strerror}") from None
        self._jobs[job.number] = job
        self._queue.append(job)
        job.timer = asyncio.get_running_loop().call_later(self.settings.max_wait_s, self._waited, job)
        return job

    def _dispatch(self) -> None:
        while self._queue and self._idle:
            job, process = self._queue.popleft(), self._idle.pop()
            try:
                process.send(job.number, job.envelope, job.message, job.fd)
            except ConnectionError:  # dead, and _ended not yet called: it is no longer idle
                self._queue.appendleft(job)
            except (OSError, ParcelError) as error:
                self._idle.append(process)
                self._fail(job, f"the message cannot be handed over: {error}")
            else:
                self._processes[process] = job
                self.counters.jobs += 1
                self.counters.bytes += job.size
                if job.timer is not None:
                    job.timer.cancel()
                patience_s = process.scanner.limits.max_scan_s + self.settings.margin_s
                job.timer = asyncio.get_running_loop().call_later(patience_s, self._overdue, process, job)

    def _finish(self, job: _Job) -> set[asyncio.Future[Report]]:
        """It is no more; who waits for it?"""
        job.end()
        del self._jobs[job.number]
        if self._same.get(job.key) is job:
            del self._same[job.key]
        self._changed.set()
        return {waiter for waiter in job.waiters if not waiter.done()}

    def _fail(self, job: _Job, reason: str) -> None:
        self.counters.failed += 1
        if job in self._queue:
            self._queue.remove(job)
        for waiter in self._finish(job):
            waiter.set_exception(ScanFailed(reason))

    def _waited(self, job: _Job) -> None:
        self._fail(job, f"no scan process was free within {self.settings.max_wait_s:g} s")

    def _overdue(self, process: ScanProcess, job: _Job) -> None:
        self.counters.timeouts += 1
        self._processes[process] = None
        process.kill("killed, it took too long")
        self._note("timeout", process, "killed, it took too long")
        self._fail(job, "the scan took too long")
        self._fill()

    # -- processes

    def _fill(self) -> None:
        """As many processes as there should be."""
        self._filler = None
        while not self._closing and len(self._processes) < 2 * self.settings.size:
            if sum(process.scanner is self.scanner and not process.leaving for process in self._processes) >= self.settings.size:
                break
            try:
                process = ScanProcess(self.scanner, self._answered, self._ended)
            except OSError as error:
                self._log(reporting.line({"event": "exhausted", "error": f"fork: {error.strerror}"}), LOG_ERR)
                self._fill_in(_RETRY_S)
                break
            self.counters.forks += 1
            self._processes[process] = None
            self._idle.insert(0, process)
        self._dispatch()

    def _fill_in(self, delay_s: float) -> None:
        if self._filler is None and not self._closing:
            self._filler = asyncio.get_running_loop().call_later(delay_s, self._fill)

    def _answered(self, process: ScanProcess, answer: Answer) -> None:
        job = self._processes[process]
        if job is None or answer.number != job.number:
            process.kill("killed, it answered what nobody had asked")
            return
        self._processes[process] = None
        self._stillborn = 0
        self.counters.cache_hits += answer.hits
        if answer.report is None:
            self._fail(job, answer.error)
        else:
            waiters = self._finish(job)
            self.counters.dropped += not waiters
            for waiter in waiters:
                waiter.set_result(answer.report)
        old = process.served >= self.settings.recycle_messages or answer.grown_bytes >= self.settings.recycle_growth_bytes
        self.counters.recycled += old
        if old or answer.report is None or process.scanner is not self.scanner:
            process.leave()
            self._fill()
        else:
            self._idle.append(process)
            self._dispatch()

    def _ended(self, process: ScanProcess, how: str) -> None:
        job = self._processes.pop(process)
        self._changed.set()
        if process in self._idle:
            self._idle.remove(process)
        if job is not None or not process.leaving:
            self.counters.crashes += 1
            self._note("crash", process, how)
        if job is not None:
            self._fail(job, f"the scan process failed: {how}")
        if job is not None or process.served or process.leaving:
            self._fill()
        else:  # it died before it did anything, and so may the next
            self._fill_in(min(_BACK_OFF_S * 2**self._stillborn, _MAX_BACK_OFF_S))
            self._stillborn = min(self._stillborn + 1, 10)

    # -- small things

    async def _until(self, reached: Callable[[], bool], patience_s: float) -> None:
        try:
            async with asyncio.timeout(patience_s):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass

    def _note(self, event: str, process: ScanProcess, error: str) -> None:
        self._log(reporting.line({"event": event, "pid": str(process.pid), "error": error}), LOG_WARNING)
