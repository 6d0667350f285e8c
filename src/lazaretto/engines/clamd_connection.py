"""A connection to clamd: addresses, and one conversation over a socket.

Listens while it sends, because clamd may answer, and hang up, before it has seen
all.  Every wait ends at a deadline of the caller.

Errors:  TimeoutError at the deadline, NoAnswerError if the connection ends without
         an answer, RemoteProtocolError for nonsense, OSError if there is nobody.
BUGS:    Looking up a host name may take longer than the deadline.
See:     wire/clamd.py, which knows what the bytes mean; docs/protocols/clamd.md
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.errors import ConfigError, RemoteProtocolError
from lazaretto.wire.clamd import Client, Closed, Reply, ReplyKind

DEFAULT_PORT = 3310


class Address(NamedTuple):
    """Where a daemon listens: a UNIX socket if `path`, else TCP."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
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
        host, port = text, str(DEFAULT_PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"an IPv6 address needs brackets: [{text}]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"expected unix:/path, host:port or [address]:port, not {text!r}")
    return Address(host=host, port=int(port))


class NoAnswerError(Exception):
    """The connection ended without an answer."""


class Connection:
    """One socket and its conversation.  Every wait ends at a deadline, with TimeoutError."""

    __slots__ = ("_poll", "client", "owner", "sock")

    def __init__(self, address: Address, deadline: float, keep: bool = True) -> None:
        self.owner = os.getpid()
        self.client = Client(keep)
        self.sock = _connect(address, deadline)
        self.sock.setblocking(False)
        self._poll = select.poll()

    def close(self) -> None:
        """Hang up; clamd abandons what it was doing for us."""
        self.sock.close()

    def usable(self) -> bool:
        """Is a kept connection still good?  Readable while nothing was asked means closed, or about to be."""
        if self.owner != os.getpid():  # inherited by fork: the session belongs to the parent
            return False
        self._poll.register(self.sock, select.POLLIN)
        return not self._poll.poll(0)

    def ask(self, out: Iterator[bytes], deadline: float) -> Reply:
        """Send `out` while listening; the reply.  NoAnswerError if there is none, RemoteProtocolError for nonsense."""
        client, sock = self.client, self.sock
        pending = memoryview(b"")
        sending = True
        while True:
            event = client.next_event()
            if isinstance(event, Reply):
                return event
            if isinstance(event, Closed):
                raise NoAnswerError(event.text or "connection closed without an answer")
            if sending and not pending:
                pending = memoryview(next(out, b""))
                sending = bool(pending)
            self._poll.register(sock, select.POLLIN | (select.POLLOUT if pending else 0))
            left = deadline - time.monotonic()
            ready = self._poll.poll(left * 1000 + 1) if left > 0 else []
            if not ready:
                raise TimeoutError
            try:
                # Listen first: clamd may have had enough, and sending on would only bring the error.
                if ready[0][1] & ~select.POLLOUT:
                    client.receive_data(sock.recv(4096))
                else:
                    pending = pending[sock.send(pending) :]
            except BlockingIOError:
                pass
            except OSError as e:
                if not sending:
                    raise NoAnswerError(e.strerror or str(e)) from None
                sending, pending = False, memoryview(b"")  # its last words may still be waiting to be read

    def ask_fildes(self, fd: int, deadline: float) -> Reply:
        """FILDES: clamd reads from the descriptor."""
        out = self.client.fildes()
        try:
            sent = socket.send_fds(self.sock, [out], [fd])
        except OSError as e:
            raise NoAnswerError(e.strerror or str(e)) from None
        return self.ask(iter((out[sent:],)), deadline)


def _connect(address: Address, deadline: float) -> socket.socket:
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
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a session is small writes, each waiting for an answer
            sock.connect(where)
        except OSError as e:
            sock.close()
            failure = e
        else:
            return sock
    raise failure


def ask_version(address: Address, deadline: float) -> str:
    """ "ClamAV 1.4.6/27000/date"; OSError (TimeoutError too), NoAnswerError or RemoteProtocolError otherwise."""
    connection = Connection(address, deadline, keep=False)
    try:
        reply = connection.ask(iter((connection.client.version(),)), deadline)
    finally:
        connection.close()
    if reply.kind is not ReplyKind.VERSION:
        raise NoAnswerError(reply.text)
    return reply.text


def answers(address: Address, timeout_s: float) -> bool:
    """Does a clamd answer PING there?  Raises nothing."""
    deadline = time.monotonic() + timeout_s
    try:
        connection = Connection(address, deadline, keep=False)
    except OSError:
        return False
    try:
        return connection.ask(iter((connection.client.ping(),)), deadline).kind is ReplyKind.PONG
    except (OSError, NoAnswerError, RemoteProtocolError):
        return False
    finally:
        connection.close()
