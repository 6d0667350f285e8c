"""Connections to scanning daemons: addresses, deadlines, and whom to ask next.

A Connection is one socket; a protocol machine (wire/) says what the bytes mean.
It listens while it sends, because a daemon may answer, and hang up, before it has
seen all.  Daemons is several addresses of one service: they are asked in order,
one that failed is asked last for a while, and a good connection is kept for the
next question, and the next message.

Limits:  every wait ends at a deadline of the caller; connect_timeout_s for a new
         connection.
Errors:  of a Connection: TimeoutError at the deadline, NoAnswerError if it ends
         without an answer, RemoteProtocolError for nonsense, OSError if there is
         nobody.  Daemons.first makes EngineError of them, when all have failed.
BUGS:    Looking up a host name may take longer than the deadline.
See:     clamd_connection.py, fpscand_connection.py
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.model import Reason

# To connect to the address on which a daemon listens everywhere is to connect to this machine.
_LOCAL = ("localhost", "::1", "0.0.0.0", "::")  # noqa: S104 - nothing is bound
RETRY_DEAD_S = 30.0  # how long an address that failed is asked last; about one restart of clamd with a full database


class Address(NamedTuple):
    """Where a daemon listens: a UNIX socket if `path`, else TCP."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """On this machine, as far as the address tells: then files have the same names there."""
        return bool(self.path) or self.host in _LOCAL or self.host.startswith("127.")


def parse_address(text: str, default_port: int) -> Address:
    """ "unix:/path", "/path", "host", "host:port", "[::1]:port".  ConfigError for anything else."""
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        if len(os.fsencode(path)) > 107:  # sun_path
            raise ConfigError(f"socket path too long: {path}")
        return Address(path=path)
    if path is not text:
        raise ConfigError(f"expected unix:/absolute/path, not {text!r}")
    host, colon, port = text.rpartition(":") if "]" not in text or not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default_port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"an IPv6 address needs brackets: [{text}]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"expected unix:/path, host:port or [address]:port, not {text!r}")
    return Address(host=host, port=int(port))


class NoAnswerError(Exception):
    """The connection ended without an answer."""


class RefusedError(Exception):
    """A daemon answered that it cannot: another one may."""


E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


class Machine(Protocol[E_co]):
    """What a protocol machine has in common with the others."""

    def receive_data(self, data: bytes) -> None: ...

    def next_event(self) -> E_co | None: ...


class Connection:
    """One socket.  `good`: it may be asked again; who puts a question to it says so when the answer is whole.

    `sent`: what was to be sent last is on its way, all of it.
    """

    __slots__ = ("_poll", "address", "good", "owner", "sent", "sock")

    def __init__(self, address: Address, deadline: float) -> None:
        self.owner = os.getpid()
        self.address = address
        self.good = False
        self.sent = True
        self.sock = connect(address, deadline)
        self.sock.setblocking(False)
        self._poll = select.poll()

    def close(self) -> None:
        """Hang up; the daemon abandons what it was doing for us."""
        self.sock.close()

    def usable(self) -> bool:
        """Is a kept connection still good?  Readable while nothing was asked means closed, or about to be."""
        if self.owner != os.getpid():  # inherited by fork: it belongs to the parent
            return False
        return not self.readable()

    def readable(self) -> bool:
        """Is there something to be read now (the end included)?"""
        self._poll.register(self.sock, select.POLLIN)
        return bool(self._poll.poll(0))

    def receive(self, machine: Machine[E], deadline: float) -> None:
        """Wait for data, and give it to the machine."""
        self._poll.register(self.sock, select.POLLIN)
        left = deadline - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000 + 1):
            raise TimeoutError
        try:
            machine.receive_data(self.sock.recv(4096))
        except BlockingIOError:
            pass
        except OSError as e:
            raise NoAnswerError(e.strerror or str(e)) from None

    def converse(self, machine: Machine[E], out: Iterator[bytes], deadline: float) -> E:
        """Send `out` while listening; the next event of the machine, which may come before all is sent."""
        sock = self.sock
        pending = memoryview(b"")
        sending, self.sent = True, False
        while True:
            event = machine.next_event()
            if event is not None:
                return event
            if sending and not pending:
                pending = memoryview(next(out, b""))
                sending = bool(pending)
                self.sent = not sending
            self._poll.register(sock, select.POLLIN | (select.POLLOUT if pending else 0))
            left = deadline - time.monotonic()
            ready = self._poll.poll(left * 1000 + 1) if left > 0 else []
            if not ready:
                raise TimeoutError
            try:
                # Listen first: the daemon may have had enough, and sending on would only bring the error.
                if ready[0][1] & ~select.POLLOUT:
                    machine.receive_data(sock.recv(4096))
                else:
                    pending = pending[sock.send(pending) :]
            except BlockingIOError:
                pass
            except OSError as e:
                if not sending:
                    raise NoAnswerError(e.strerror or str(e)) from None
                sending, pending = False, memoryview(b"")  # its last words may still be waiting to be read


C = TypeVar("C", bound=Connection)
T = TypeVar("T")


class Daemons(Generic[C]):
    """The addresses of one service, and a kept connection to each.  `make(address, deadline)` is a new connection."""

    def __init__(
        self,
        addresses: Sequence[Address],
        make: Callable[[Address, float], C],
        connect_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.addresses = tuple(addresses)
        self._make = make
        self._connect_timeout_s = connect_timeout_s
        self._clock = clock
        self._kept: dict[Address, C] = {}
        self._dead: dict[Address, float] = {}  # until when it is asked last

    def first(self, ask: Callable[[Address], T], deadline: float, among: Sequence[Address] | None = None) -> T:
        """What the first address says that answers.  EngineError DOWN or TIMEOUT if none does, with what each said.

        `ask` may raise RefusedError, which makes us try the next, and EngineError, which ends it.
        """
        failures = []
        for address in self._order(self.addresses if among is None else among):
            try:
                answer = ask(address)
            except EngineError:
                self._dead.pop(address, None)
                raise
            except RefusedError as e:
                self._dead.pop(address, None)
                failures.append(f"{address}: {e}")
            except (NoAnswerError, RemoteProtocolError) as e:
                self._bury(address)
                failures.append(f"{address}: {e}")
            except TimeoutError:
                self._bury(address)
                if time.monotonic() >= deadline:
                    raise EngineError(Reason.TIMEOUT, f"{address}: no answer in time") from None
                failures.append(f"{address}: no connection in {self._connect_timeout_s:g} s")
            except OSError as e:
                self._bury(address)
                failures.append(f"{address}: {e.strerror or e}")
            else:
                self._dead.pop(address, None)
                return answer
        raise EngineError(Reason.TIMEOUT if time.monotonic() >= deadline else Reason.DOWN, "; ".join(failures))

    def ask(self, address: Address, question: Callable[[C], T], deadline: float) -> T:
        """Put `question` to a kept connection if it is good, else to a new one."""
        kept = self._kept.pop(address, None)
        if kept is not None:
            if kept.usable():
                try:
                    return self._put(kept, question)
                except NoAnswerError:
                    pass  # closed between our look and our question
            else:
                kept.close()
        return self._put(self._make(address, min(deadline, time.monotonic() + self._connect_timeout_s)), question)

    def close(self) -> None:
        """Hang up everywhere."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _order(self, addresses: Sequence[Address]) -> list[Address]:
        """As given, but who failed lately last: never nobody."""
        now = self._clock()
        return sorted(addresses, key=lambda address: self._dead.get(address, 0.0) > now)

    def _bury(self, address: Address) -> None:
        self._dead[address] = self._clock() + RETRY_DEAD_S

    def _put(self, connection: C, question: Callable[[C], T]) -> T:
        """A connection is kept only after a whole answer in an orderly state."""
        connection.good = False
        try:
            answer = question(connection)
            if connection.good:
                self._kept[connection.address] = connection
            return answer
        finally:
            if self._kept.get(connection.address) is not connection:
                connection.close()


def connect(address: Address, deadline: float) -> socket.socket:
    """OSError if it cannot be done by the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    if not address.path:
        return _connect_tcp(address, deadline)
    sock = socket.socket(socket.AF_UNIX)
    try:
        # A blocking connect waits while the daemon's backlog is full; a non-blocking one would fail at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(left), int(left % 1 * 1e6) or 1))
        sock.connect(address.path)
    except BlockingIOError:
        sock.close()
        raise TimeoutError("timed out") from None
    except OSError:
        sock.close()
        raise
    return sock


def _connect_tcp(address: Address, deadline: float) -> socket.socket:
    """The first of the host's addresses that answers; all of them together have until the deadline."""
    failure: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small writes, each waiting for an answer
            sock.connect(where)
        except OSError as e:
            sock.close()
            failure = e
        else:
            return sock
    raise failure
