"""The scan server: one parent that listens and never scans, one child for each client that says something.

    accept -> waiting -> ready -> busy (a child has it) -> waiting ...
              (silent)   (its first bytes are there)       or closed

The parent holds every connection; a child inherits one, with the scanner loaded and warm,
answers what has come, and ends. So idle clients cost a descriptor and no process, and
whatever happens to a child happens to one message (R3): the parent sees it end, writes the
final line that the child could not, and closes that connection, which the client takes
for a temporary failure.

TERM and INT: listen no more, let children finish, at most grace_s (a second one: at once). HUP: make
everything anew; with an error in the configuration the old one stays.

Limits:  max_children; MAX_CONNECTIONS with silent and waiting clients together (beyond, who has been silent
         longest is let go); idle_timeout_s, request_timeout_s; a child that is overdue is killed.
Errors:  at the start only: ConfigError, OSError that names the address or file, AlreadyRunning.
Bugs:    nothing here may scan before the fork: the clock of YARA-X is a thread.
         Keys of [server] count at the start, not at HUP.
See:     conversation.py for the child, docs/protocols/scan-server.md; fork(2), signal(7)
"""

from __future__ import annotations

import errno
import gc
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self, cast

from lazaretto.errors import ConfigError
from lazaretto.frontends import failure
from lazaretto.frontends.children import Children, Slot, deaf
from lazaretto.frontends.conversation import LOG_NOTICE, LOG_WARNING, MARGIN_S, Conversation, Served
from lazaretto.frontends.listeners import Listener, listen, peer_uid
from lazaretto.frontends.pid_files import PidFiles
from lazaretto.frontends.stdio import LOG_ERR
from lazaretto.frontends.warmup import threads, warm
from lazaretto.scan import report as reporting

__all__ = ["MAX_CONNECTIONS", "Served", "Settings", "serve"]

MAX_CONNECTIONS = 256  # one descriptor each, of the 1024 that a process usually may have
FAIR_S = 1.0  # so long may every client be silent, however many others want its place
TICK_S = 1.0  # how often the deadlines of children are looked at
RETRY_S = 1.0  # after the system has run out of descriptors or processes
_ACCEPTS = 64  # at a time, before children are looked after again

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Settings(NamedTuple):
    """The keys of [server]."""

    listen: tuple[str, ...] = ("127.0.0.1:11200",)
    max_children: int = 20
    idle_timeout_s: float = 300.0
    request_timeout_s: float = 60.0
    directories: tuple[str, ...] = ("/tmp", "/var/tmp")  # noqa: S108 - where clients put their files
    pid_files: tuple[str, ...] = ()
    socket_mode: int = 0o660
    grace_s: float = 30.0  # no key, nor for the next: below the time that init systems give
    margin_s: float = MARGIN_S

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Self:
        """From Config.settings."""
        values = {name: settings[f"server.{name}"] for name in cls._fields if f"server.{name}" in settings}
        return cls(**cast("dict[str, Any]", values))


def serve(
    make: Callable[[], Served],
    settings: Settings,
    ready: Callable[[], None] = lambda: None,
    listeners: Sequence[Listener] | None = None,
    lifeline: socket.socket | None = None,
) -> int:
    """Serve until TERM or INT, or the end of `lifeline`, the supervisor's; the exit status.

    `ready` is called when clients may connect and PID files are written.  Without `listeners`, they are made as the settings say.
    """
    served = make()
    bound = listen(settings.listen, settings.socket_mode) if listeners is None else [*listeners]
    parent = _Parent(make, served, settings, bound)
    parent.lifeline = lifeline
    try:
        parent.start()
        parent.pid_files = PidFiles(settings.pid_files, os.getpid())  # now that signals mean what they should
        parent.announce()
        ready()
        try:
            parent.run()
        except Exception as error:
            parent.note("crash", LOG_ERR, error=failure.reason(error))  # in the background, nobody sees a traceback
            raise
    finally:
        parent.close()
    return os.EX_OK


class _Client:
    """A connection."""

    __slots__ = ("silent_since", "sock", "uid")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.uid = peer_uid(sock)
        self.silent_since = 0.0


class _Parent:
    def __init__(self, make: Callable[[], Served], served: Served, settings: Settings, listeners: list[Listener]) -> None:
        self.make = make
        self.served = served
        self.settings = settings
        self.listeners = listeners
        self.lifeline: socket.socket | None = None
        self.pid_files = PidFiles((), os.getpid())
        # Without a descriptor of its own, so that nothing of it is shared with children.
        self.selector = selectors.PollSelector()
        self.waiting: dict[int, _Client] = {}  # by descriptor, who has been silent longest first
        self.ready: deque[_Client] = deque()
        self.children: Children[_Client] = Children(settings.max_children)
        self.stopping = 0.0  # when children are killed; 0: not stopping
        self.not_before = 0.0  # for accepting and forking, after the system had no more to give
        self.accepting = False
        self.announced = False
        self.wake_reader, self.wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.before: dict[int, object] = {}

    # -- life

    def start(self) -> None:
        self.before = {number: signal.signal(number, deaf) for number in _SIGNALS}
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)
        self.selector.register(self.wake_reader, selectors.EVENT_READ)
        if self.lifeline is not None:
            self.selector.register(self.lifeline, selectors.EVENT_READ)
        self._settle()

    def announce(self) -> None:
        """Say that we are there."""
        self.announced = True
        addresses = " ".join(listener.address for listener in self.listeners)
        self.note("started", LOG_NOTICE, listen=addresses)
        for listener in self.listeners:
            if listener.shared:
                self.note(
                    "open",
                    LOG_WARNING,
                    listen=listener.address,
                    error="other machines may reach this address, and nobody is asked who he is",
                )

    def run(self) -> None:
        while not self.stopping or self.children:
            self._accept_or_not()
            for key, _ in self.selector.select(self._patience()):
                if key.fd == self.wake_reader:
                    self._signalled()
                elif key.fileobj is self.lifeline:
                    self._orphaned()
                elif isinstance(key.data, Listener):
                    self._accept(key.data)
                else:
                    self._heard(cast("_Client", key.data))
            self._reap()
            self.children.kill("killed, it took too long", _now())
            if self.stopping and self.stopping <= _now():
                self.children.kill("killed, the server stops")
            while self.waiting and (oldest := self._oldest()).silent_since + self.settings.idle_timeout_s <= _now():
                self._forget(oldest).sock.close()
            while self.ready and not self.children.full and _now() >= self.not_before:
                self._fork(self.ready.popleft())

    def close(self) -> None:
        self.children.kill("killed, the server stops")
        self._reap(wait=True)
        self._drop_all()
        self.selector.close()
        if self.before:
            signal.set_wakeup_fd(-1)
            for number, handler in self.before.items():
                signal.signal(number, cast("signal.Handlers", handler))
        for listener in self.listeners:
            listener.close()
        self.pid_files.close()
        if self.announced:
            self.note("stopped", LOG_NOTICE)
        for fd in (self.wake_reader, self.wake_writer):
            os.close(fd)
        self.served.scanner.close()

    def _settle(self) -> None:
        """Load what children will need. It lives long: it is kept out of the collector's way, so that they share its pages."""
        warm(self.served.scanner)
        gc.unfreeze()  # what a reload has left behind
        gc.collect()
        gc.freeze()
        if threads() > 1:
            self.note("threads", LOG_WARNING, error="an engine has started threads, which its children will not have")

    # -- signals

    def _signalled(self) -> None:
        said = _drained(self.wake_reader)
        for number in said:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
        if signal.SIGHUP in said and not self.stopping:
            self._reload()  # once, however many came: each takes time, in which nobody is served

    def _orphaned(self) -> None:
        """The supervisor never says anything; so it is gone."""
        self.selector.unregister(cast("socket.socket", self.lifeline))
        if not self.stopping:
            self._stop()

    def _stop(self) -> None:
        if self.stopping:
            self.stopping = _now()
            return
        self.stopping = _now() + self.settings.grace_s
        self._accept_or_not()
        for listener in self.listeners:
            listener.close()
        self._drop_all()

    def _reload(self) -> None:
        try:
            served = self.make()
        except ConfigError as error:
            self.note("reload", LOG_ERR, error=f"the old configuration stays: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on under what there was
            self.note("reload", LOG_ERR, error=f"the old configuration stays: {failure.reason(error)}")
        else:
            old, self.served = self.served, served
            old.scanner.close()
            self._settle()
            self.note("reload", LOG_NOTICE)

    # -- connections

    @property
    def _connections(self) -> int:
        return len(self.waiting) + len(self.ready) + len(self.children)

    def _oldest(self) -> _Client:
        return next(iter(self.waiting.values()))

    def _has_room(self) -> bool:
        """For one more, be it in the place of one that has been silent for long enough."""
        return self._connections < MAX_CONNECTIONS or (bool(self.waiting) and self._oldest().silent_since + FAIR_S <= _now())

    def _accept_or_not(self) -> None:
        wanted = not self.stopping and _now() >= self.not_before and self._has_room()
        if wanted != self.accepting:
            self.accepting = wanted
            for listener in self.listeners:
                if wanted:
                    self.selector.register(listener.sock, selectors.EVENT_READ, listener)
                else:
                    self.selector.unregister(listener.sock)

    def _accept(self, listener: Listener) -> None:
        for _ in range(_ACCEPTS):
            if not self.accepting or not self._has_room():
                return
            try:
                sock, _ = listener.sock.accept()
                if sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)  # an answer is a small write and a large one
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._exhausted("accept", error)
                return  # nothing there, or the client has gone again
            if self._connections >= MAX_CONNECTIONS:
                self._forget(self._oldest()).sock.close()
            self._wait_for(_Client(sock))

    def _wait_for(self, client: _Client) -> None:
        client.silent_since = _now()
        self.waiting[client.sock.fileno()] = client
        self.selector.register(client.sock, selectors.EVENT_READ, client)

    def _forget(self, client: _Client) -> _Client:
        del self.waiting[client.sock.fileno()]
        self.selector.unregister(client.sock)
        return client

    def _heard(self, client: _Client) -> None:
        """Bytes, or the end."""
        if client.sock.fileno() not in self.waiting:
            return  # let go of within this very turn
        self._forget(client)
        try:
            there = bool(client.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            self._wait_for(client)
            return
        except OSError:
            there = False
        if there:
            self.ready.append(client)
        else:
            client.sock.close()

    def _drop_all(self) -> None:
        for client in [*self.waiting.values()]:
            self._forget(client).sock.close()
        while self.ready:
            self.ready.popleft().sock.close()

    # -- children

    def _fork(self, client: _Client) -> None:
        try:
            self.children.start(client, lambda slot: self._converse(client, slot), _now() + self.settings.request_timeout_s, _SIGNALS)
        except OSError as error:
            self.ready.appendleft(client)
            self._exhausted("fork", error)

    def _converse(self, client: _Client, slot: Slot) -> bool:
        """In the child: let go of what is the parent's, serve the client."""
        for other in (*self.waiting.values(), *self.ready, *self.children.tags):
            other.sock.close()
        for listener in self.listeners:
            listener.close()
        self.pid_files.close()
        os.close(self.wake_reader)
        os.close(self.wake_writer)
        settings = self.settings
        try:
            return Conversation(
                client.sock, self.served, settings.directories, settings.request_timeout_s, slot, client.uid, settings.margin_s
            ).run()
        except BaseException as error:  # noqa: BLE001 - of the conversation itself; messages have their own
            self.note("crash", LOG_ERR, error=failure.reason(error))
            return False

    def _reap(self, wait: bool = False) -> None:
        for ended in self.children.ended(wait):
            if ended.message:
                how = ended.trouble or "without a reason"
                self.served.log(reporting.failure_line(f"the scanning process ended before its time: {how}"), LOG_ERR)
            elif ended.trouble:
                self.note("crash", LOG_ERR, error=ended.trouble)
            if ended.done and not self.stopping:
                self._wait_for(ended.tag)
            else:
                ended.tag.sock.close()

    # -- small things

    def _patience(self) -> float | None:
        """Seconds until something is due that no event announces; None: nothing is."""
        due = []
        if self.children:  # their deadlines move
            due.append(_now() + TICK_S)
        if self.waiting:
            since = self._oldest().silent_since
            due.append(since + self.settings.idle_timeout_s)
            if not self.accepting and not self.stopping:
                due.append(max(since + FAIR_S, self.not_before))
        if _now() < self.not_before:
            due.append(self.not_before)
        return max(min(due) - _now(), 0) if due else None

    def _exhausted(self, action: str, error: OSError) -> None:
        if _now() >= self.not_before:
            self.note("exhausted", LOG_ERR, error=f"{action}: {error.strerror}")
        self.not_before = _now() + RETRY_S

    def note(self, event: str, level: int, **pairs: str) -> None:
        """A line about the server itself."""
        self.served.log(reporting.line({"event": event, "pid": str(os.getpid()), **pairs}), level)


def _now() -> float:
    return time.monotonic()


def _drained(fd: int) -> bytes:
    said = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except BlockingIOError:
            return said
        if not piece:
            return said
        said += piece
