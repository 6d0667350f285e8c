"""A small SMTP and LMTP client that waits: to ask a server what it can, and to send it a test message.

    with Dialogue("127.0.0.1:25", timeout_s=10) as peer:
        peer.greeting, peer.hello()
        peer.send(b"a@b", [b"c@d"], content)

Limits:  timeout_s for each reply.
Errors:  OSError, RemoteProtocolError.
See:     wire/smtp.py; RFC 5321, RFC 2033
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple, Self

from lazaretto.errors import RemoteProtocolError
from lazaretto.frontends.listeners import split
from lazaretto.wire.smtp import Reply, ReplyReader, parse_extensions
from lazaretto.wire.smtp_data import Stuffer


class Answer(NamedTuple):
    """What came of a message: the step that decided, and the reply to it."""

    step: str
    reply: Reply


class Dialogue:
    """One connection.  `address` as in lazaretto.toml."""

    def __init__(self, address: str, timeout_s: float = 10.0, *, lmtp: bool = False, name: str = "localhost") -> None:
        self._hello = b"%s %s" % (b"LHLO" if lmtp else b"EHLO", name.encode("ascii"))
        self._reader = ReplyReader()
        self._sock = connected(address.removeprefix("unix:") if address.startswith("unix:") else split(address), timeout_s)
        try:
            self.greeting = self._reply()
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def hello(self) -> dict[bytes, bytes]:
        """What the server announces; nothing if it refuses."""
        reply = self.ask(self._hello)
        return dict(parse_extensions(reply)) if reply.positive else {}

    def ask(self, line: bytes) -> Reply:
        """The reply to one command."""
        self._sock.sendall(line + b"\r\n")
        return self._reply()

    def send(self, sender: bytes, recipients: Sequence[bytes], content: bytes) -> Answer:
        """Hand over a message: what decided about it."""
        for step, line in (
            ("MAIL", b"MAIL FROM:<%s>" % sender),
            *(("RCPT", b"RCPT TO:<%s>" % one) for one in recipients),
            ("DATA", b"DATA"),
        ):
            reply = self.ask(line)
            if reply.code >= 400:
                return Answer(step, reply)
        stuffer = Stuffer()
        self._sock.sendall(stuffer.feed(content) + stuffer.finish())
        return Answer("end of data", self._reply())

    def close(self) -> None:
        """Say goodbye, without waiting for an answer."""
        try:
            self._sock.sendall(b"QUIT\r\n")
        except OSError:
            pass  # it is gone already
        self._sock.close()

    def _reply(self) -> Reply:
        while (reply := self._reader.next_reply()) is None:
            data = self._sock.recv(65536)
            if not data:
                raise RemoteProtocolError("it hangs up")
            self._reader.feed(data)
        return reply


def connected(where: str | tuple[str, int], timeout_s: float) -> socket.socket:
    """A connection to a path, or to host and port.  OSError."""
    if not isinstance(where, str):
        return socket.create_connection(where, timeout_s)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout_s)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock
