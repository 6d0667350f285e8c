"""A worker: one event loop that accepts from the sockets it was given, until it is told to stop.

    work(begin, control, listeners, log)     below a supervisor, as one of several
    Alone(make, listeners).run()             without one: the process is supervisor and worker at once

What it does with a connection is a Duty's business: a protocol for each, and a way to come to an end.

USR1, the end of a reload: accept no more, finish what there is, in retire_s. TERM, or the end of the supervisor: the
same within grace_s; a second TERM: at once. HUP counts where it is Alone: a new Duty gets all new
connections, while the old one finishes.

uvloop is used where it is installed.  So many descriptors may be open as the system lets us have.

Limits:  ACCEPTS connections at a time, then others have their turn.
Errors:  whatever begin() raises, before anything was accepted.
See:     supervisor.py, control.py, smtp_proxy.py; docs/processes.md
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lazaretto.errors import ConfigError
from lazaretto.frontends import failure
from lazaretto.frontends.control import Control, Ledger, NoLedger
from lazaretto.frontends.listeners import Listener
from lazaretto.frontends.notify import Notifier
from lazaretto.frontends.processes import Watched, only_grows
from lazaretto.frontends.tasks import start
from lazaretto.scan import report as reporting

Log = Callable[[str, int], None]

ACCEPTS = 8  # few, so that the next connections find the other workers
BEAT_S = 2.0  # between two reports to the supervisor
RETRY_S = 1.0  # after the system has run out of descriptors
LOG_ERR, LOG_WARNING, LOG_NOTICE = 3, 4, 5
_DESCRIPTORS = 1 << 16
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Duty(Protocol):
    """What is done with connections."""

    def protocol(self) -> asyncio.BaseProtocol:
        """For one more."""
        ...

    async def drain(self, grace_s: float) -> None:
        """Begin nothing new; return when nothing is left, or after `grace_s`.  May be called again, with less patience."""
        ...

    def counters(self) -> Mapping[str, float]:
        """All there is to count."""
        ...

    async def close(self) -> None:
        """Let go of everything, at once."""
        ...


Begin = Callable[[Ledger], Awaitable[Duty]]


class Work(NamedTuple):
    """A Duty to be begun, within the loop.  `close` gives back what was made for it before.

    What `begin` is given is to be told of each message, and gets its final line.
    """

    begin: Begin
    log: Log
    close: Callable[[], None] = lambda: None


class Settings(NamedTuple):
    """Times, for tests to be shorter."""

    grace_s: float = 30.0
    retire_s: float = 900.0
    beat_s: float = BEAT_S


_DEFAULTS = Settings()


def work(begin: Begin, control: Control, listeners: Sequence[Listener], log: Log, settings: Settings = _DEFAULTS) -> int:
    """As a supervisor's child; the exit status."""
    return _run(_Worker(Work(begin, log), listeners, settings, control))


def _run(worker: _Worker) -> int:
    _allow_descriptors()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(worker.main())


class _Worker:
    def __init__(self, work: Work, listeners: Sequence[Listener], settings: Settings, control: Control | None = None) -> None:
        self.work = work
        self.settings = settings
        self.listeners = listeners
        self.control = control
        self.duty: Duty
        self.acceptor: Acceptor
        self._stopping = False
        self._over = asyncio.Event()

    async def main(self) -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        self.duty = await self.work.begin(self.control if self.control is not None else NoLedger())
        try:
            self.acceptor = Acceptor(self.listeners, self.duty.protocol, self.note)
            for number, act in self.signals().items():
                loop.add_signal_handler(number, act)
            if self.control is not None:
                loop.add_reader(self.control.sock.fileno(), self._line_ends)
            self.started()
            await self._over.wait()
            self.acceptor.close()
        finally:
            await self.duty.close()
        self.ended()
        return os.EX_OK

    def signals(self) -> dict[signal.Signals, Callable[[], None]]:
        return {signal.SIGTERM: self.stop, signal.SIGUSR1: self.retire}

    def started(self) -> None:
        if self.control is not None:
            self.control.ready()
            self._beat()

    def ended(self) -> None:
        if self.control is not None:
            self.control.counters(self.duty.counters())

    def stop(self) -> None:
        """Within grace_s; the second time at once."""
        if self._stopping:
            self._over.set()
            return
        self._stopping = True
        self._drain(self.settings.grace_s)
        for listener in self.listeners:  # ours of them, too: who connects now is refused, instead of waiting until we end
            listener.close()

    def retire(self) -> None:
        """There are others for new connections."""
        if not self._stopping:
            self._drain(self.settings.retire_s)

    def note(self, event: str, level: int, **pairs: str) -> None:
        """A line about the process itself."""
        self.work.log(reporting.line({"event": event, "pid": str(os.getpid()), **pairs}), level)

    def _drain(self, grace_s: float) -> None:
        self.acceptor.close()
        start(self._drained(grace_s), "drain")

    async def _drained(self, grace_s: float) -> None:
        try:
            await self.acceptor.settled()
            await self.duty.drain(grace_s)
        finally:
            self._over.set()

    def _line_ends(self) -> None:
        assert self.control is not None
        if self.control.over():
            asyncio.get_running_loop().remove_reader(self.control.sock.fileno())
            for line in self.control.unwritten():
                self.work.log(*line)
            self.note("orphan", LOG_WARNING, error="the supervisor is gone: finishing")
            if not self._stopping:
                self.stop()
            self.acceptor.close()
            for listener in self.listeners:  # whoever takes our supervisor's place wants to listen there
                listener.close()

    def _beat(self) -> None:
        assert self.control is not None
        self.control.counters(self.duty.counters())
        asyncio.get_running_loop().call_later(self.settings.beat_s, self._beat)

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = failure.reason(error) if isinstance(error, BaseException) else "no exception"
        self.note("crash", LOG_ERR, error=f"{context.get('message', '')}: {what}")


class Alone(_Worker):
    """Supervisor and worker at once.  `make` is called again at HUP."""

    def __init__(
        self, make: Callable[[], Work], listeners: Sequence[Listener], notifier: Notifier | None = None, settings: Settings = _DEFAULTS
    ) -> None:
        super().__init__(make(), listeners, settings)
        self.make = make
        self.notifier = notifier or Notifier()
        self.ready = False
        self._announce: Callable[[], None] = lambda: None
        self._watched: list[Watched] = []
        self._reloading = False
        self._old: list[Duty] = []
        self._ended: dict[str, float] = {}  # counters of those that are no more

    def run(self, announce: Callable[[], None] = lambda: None) -> int:
        """Until TERM or INT: the exit status.  `announce` is called when connections are accepted."""
        self._announce = announce
        return _run(self)

    def watch(self, what: Watched) -> None:
        """Serve it within our loop."""
        self._watched.append(what)

    def samples(self) -> dict[str, float]:
        """What was counted since the start, and what there is now."""
        sums = dict(self._ended)
        for duty in (self.duty, *self._old):
            for name, value in duty.counters().items():
                sums[name] = sums.get(name, 0.0) + value
        return sums

    def signals(self) -> dict[signal.Signals, Callable[[], None]]:
        return {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._hangup}

    def started(self) -> None:
        self.note("started", LOG_NOTICE, workers="0", listen=" ".join(listener.address for listener in self.listeners))
        for what in self._watched:
            asyncio.get_running_loop().add_reader(what.fileno(), what.handle)
        self.ready = True
        self.notifier.ready("listening")
        self._announce()
        if self.notifier.interval_s:
            self._watchdog()

    def ended(self) -> None:
        self.work.close()
        self.note("stopped", LOG_NOTICE)

    def stop(self) -> None:
        self.ready = False
        self.notifier.stopping()
        self.acceptor.close()
        for listener in self.listeners:
            listener.close()
        super().stop()

    def _watchdog(self) -> None:
        self.notifier.watchdog()
        asyncio.get_running_loop().call_later(self.notifier.interval_s, self._watchdog)

    def _hangup(self) -> None:
        if not self._stopping and not self._reloading:
            self._reloading = True
            start(self._reload(), "reload")

    async def _reload(self) -> None:
        self.notifier.reloading()
        try:
            work = self.make()
            duty = await work.begin(NoLedger())
        except ConfigError as error:
            self.note("reload", LOG_ERR, error=f"the old configuration stays: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on under what there was
            self.note("reload", LOG_ERR, error=f"the old configuration stays: {failure.reason(error)}")
        else:
            before, self.work = self.work, work
            old, self.duty = self.duty, duty
            self.acceptor.factory = duty.protocol
            self.note("reload", LOG_NOTICE)
            start(self._retired(old, before), "retire")
        finally:
            self._reloading = False
            self.notifier.ready("listening")

    async def _retired(self, duty: Duty, work: Work) -> None:
        self._old.append(duty)
        try:
            await self.acceptor.settled()
            await duty.drain(self.settings.retire_s)
        finally:
            await duty.close()
            self._old.remove(duty)
            for name, value in duty.counters().items():
                if only_grows(name):
                    self._ended[name] = self._ended.get(name, 0.0) + value
            work.close()


class Acceptor:
    """Takes connections from listening sockets that others take from, too."""

    def __init__(self, listeners: Sequence[Listener], factory: Callable[[], asyncio.BaseProtocol], note: Callable[..., None]) -> None:
        self.factory = factory
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._listeners = {listener.sock.fileno(): listener for listener in listeners}
        self._connecting: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Accept no more.  The sockets stay as they are."""
        self._pause()
        self._listeners.clear()

    async def settled(self) -> None:
        """Whoever has been accepted has a protocol."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _accept(self, listener: Listener) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, _ = listener.sock.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._note("exhausted", LOG_ERR, error=f"accept: {error.strerror}")
                    self._pause()
                    self._timer = self._loop.call_later(RETRY_S, self._resume)
                return  # nothing there, another was faster, or the client has gone again
            sock.setblocking(False)
            task = start(self._connect(sock), "connect")
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, sock: socket.socket) -> None:
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self.factory, sock)
        except OSError:
            sock.close()  # the client has gone again

    def _pause(self) -> None:
        for fd in self._listeners:
            self._loop.remove_reader(fd)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resume(self) -> None:
        self._timer = None
        for fd, listener in self._listeners.items():
            self._loop.add_reader(fd, self._accept, listener)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _allow_descriptors() -> None:
    """Two for each connection: what is usual at login is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
