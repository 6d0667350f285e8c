"""A client of mail servers that says exactly what it is told to, for tests.

    with Session(address) as client:
        client.deliver(b"message\\r\\n", recipients=[b"<a@example.org>"])

Addresses are as our options have them: HOST:PORT, [IPv6]:PORT or unix:PATH.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import time
from collections.abc import Sequence
from typing import NamedTuple, Self

PATIENCE_S = 30.0
SENDER = b"<sender@example.org>"
RECIPIENT = b"<recipient@example.org>"


class Closed(Exception):
    """The server has hung up instead of answering."""


class Answer(NamedTuple):
    """A reply: its code and the texts of its lines."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400


class Outcome(NamedTuple):
    """How a delivery ended: at which step, with which reply (None: the connection was closed)."""

    step: str
    answer: Answer | None

    def __str__(self) -> str:
        return f"{self.answer.code if self.answer else 'closed'} {self.step}"


def connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(address.removeprefix("unix:"))  # before there is a timeout: only so does it wait while the backlog is full
        except OSError:
            sock.close()
            raise
        sock.settimeout(PATIENCE_S)
        return sock
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def listens(address: str) -> bool:
    """Does somebody take connections there?  A socket's name is there a moment before."""
    try:
        connect(address).close()
    except OSError:
        return False
    return True


class Session:
    """A connection.  Closed where the server hangs up."""

    def __init__(self, address: str) -> None:
        self.sock = connect(address)
        self.buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the server has said before it hung up can still be read

    def send_apart(self, *pieces: bytes) -> None:
        """Each piece only when the server has read the one before: so it gets them one by one.  UNIX sockets only."""
        assert self.sock.family == socket.AF_UNIX
        for piece in pieces:
            self.send(piece)
            deadline = time.monotonic() + PATIENCE_S
            while struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]:
                assert time.monotonic() < deadline, "the server does not read"
                select.select([], [], [], 0.0002)

    def line(self) -> bytes:
        while (stop := self.buffer.find(b"\n")) < 0:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed
            self.buffer += data
        line = bytes(self.buffer[: stop + 1])
        del self.buffer[: stop + 1]
        assert line.endswith(b"\r\n"), line
        return line[:-2]

    def answer(self) -> Answer:
        lines = []
        while True:
            line = self.line()
            assert line[:3].isdigit(), line
            lines.append(line[4:])
            if line[3:4] != b"-":
                return Answer(int(line[:3]), tuple(lines))

    def say(self, line: bytes) -> Answer:
        self.send(line + b"\r\n")
        return self.answer()

    def rest(self) -> bytes:
        """All until the server hangs up."""
        pieces = [bytes(self.buffer)]
        self.buffer.clear()
        try:
            while piece := self.sock.recv(1 << 16):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)

    def greet(self, hello: bytes = b"EHLO client.example") -> Answer:
        """Greeting and EHLO, both positive; the answer to EHLO."""
        assert self.answer().code == 220
        answer = self.say(hello)
        assert answer.code == 250, answer
        return answer

    def begin(self, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> None:
        """MAIL, RCPT and DATA, all positive."""
        assert self.say(b"MAIL FROM:" + sender).positive
        for recipient in recipients:
            assert self.say(b"RCPT TO:" + recipient).positive
        assert self.say(b"DATA").code == 354

    def deliver(self, message: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> Answer:
        """A whole transaction in an open session; the final answer."""
        self.begin(sender, recipients)
        self.send(stuffed(message))
        return self.answer()


def stuffed(message: bytes) -> bytes:
    """As DATA has it, with its end.  The message ends with CRLF, or gets one."""
    data = message.replace(b"\r\n.", b"\r\n..")
    if data.startswith(b"."):
        data = b"." + data
    return data + (b".\r\n" if data.endswith(b"\r\n") or not data else b"\r\n.\r\n")


STEPS = (
    ("EHLO", b"EHLO client.example"),
    ("MAIL", b"MAIL FROM:" + SENDER),
    ("RCPT", b"RCPT TO:" + RECIPIENT),
    ("DATA", b"DATA"),
)


def attempt(address: str, message: bytes, sender: bytes = SENDER) -> Outcome:
    """Deliver as a mail server does, one step at a time, until an answer is not positive."""
    step = "CONNECT"
    try:
        with Session(address) as client:
            answer = client.answer()
            for name, command in STEPS:
                if not answer.positive:
                    return Outcome(step, answer)
                step = name
                answer = client.say(command if name != "MAIL" else b"MAIL FROM:" + sender)
            if not answer.positive:
                return Outcome(step, answer)
            step = "END"
            client.send(stuffed(message))
            answer = client.answer()
            if answer.positive:
                client.say(b"QUIT")
            return Outcome(step, answer)
    except Closed:
        return Outcome(step, None)
