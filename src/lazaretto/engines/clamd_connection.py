"""A connection to clamd: one conversation over a socket.

Errors:  TimeoutError at the deadline, NoAnswerError if the connection ends without
         an answer, RemoteProtocolError for nonsense, OSError if there is nobody.
See:     connection.py, which has the socket; wire/clamd.py, which knows what the
         bytes mean; docs/protocols/clamd.md
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from lazaretto.engines import connection as base
from lazaretto.engines.connection import Address, NoAnswerError
from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.clamd import Client, Closed, Reply, ReplyKind, State

__all__ = ["DEFAULT_PORT", "Address", "Connection", "NoAnswerError", "answers", "ask_version", "parse_address"]

DEFAULT_PORT = 3310


def parse_address(text: str) -> Address:
    """ "unix:/path", "/path", "host", "host:port", "[::1]:port".  ConfigError for anything else."""
    return base.parse_address(text, DEFAULT_PORT)


class Connection(base.Connection):
    """One socket and its conversation."""

    __slots__ = ("client",)

    def __init__(self, address: Address, deadline: float, keep: bool = True) -> None:
        super().__init__(address, deadline)
        self.client = Client(keep)

    def ask(self, out: Iterator[bytes], deadline: float) -> Reply:
        """Send `out` while listening; the reply.  NoAnswerError if there is none, RemoteProtocolError for nonsense."""
        machine: base.Machine[Reply | Closed] = self.client
        event = self.converse(machine, out, deadline)
        if isinstance(event, Closed):
            raise NoAnswerError(event.text or "connection closed without an answer")
        # An error may leave clamd about to hang up; a new connection is cheap.
        self.good = self.sent and event.kind is not ReplyKind.ERROR and self.client.state is State.IDLE
        return event

    def ask_fildes(self, fd: int, deadline: float) -> Reply:
        """FILDES: clamd reads from the descriptor."""
        out = self.client.fildes()
        try:
            sent = socket.send_fds(self.sock, [out], [fd])
        except OSError as e:
            raise NoAnswerError(e.strerror or str(e)) from None
        return self.ask(iter((out[sent:],)), deadline)


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
