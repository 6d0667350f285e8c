"""A mail server that keeps what it gets, byte for byte, and misbehaves where it is told to: a double, made from RFC 5321 and RFC 2033.

    with Sink() as sink:
        sink.twist = lambda step, line, honest: b"451 later\\r\\n" if step == "RCPT" else honest

`ends` is what it takes for the end of a message.  LENIENT does as servers did that could be
smuggled through: a dot alone between any line ends.

See:  tests/test_smtp_sink.py; docs/smtp-faults.md for who uses it
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from listening import Conversation, Double

STRICT = re.compile(rb"(\r\n)\.\r\n")  # the group belongs to the message
LENIENT = re.compile(rb"(\r\n|\r|\n)\.(?:\r\n|\r|\n)")
UNIX = re.compile(rb"(\n)\.\r?\n")  # as sendmail(8) and some libraries did
_LONGEST_END = 5
EXTENSIONS = (b"PIPELINING", b"SIZE 104857600", b"8BITMIME", b"SMTPUTF8", b"DSN", b"ENHANCEDSTATUSCODES")
XFORWARD = b"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"

Twist = Callable[[str, bytes, bytes], bytes]


class Received(NamedTuple):
    """A message that this server has answered for with 2xx."""

    sender: bytes  # all that followed "MAIL FROM:"
    recipients: tuple[bytes, ...]  # the same of RCPT TO, of those accepted
    data: bytes  # without dots that were stuffed, without the end
    hello: bytes  # the whole line
    xforward: tuple[bytes, ...] = ()  # the whole lines


class Begun(NamedTuple):
    """A transaction that ended before its message did."""

    sender: bytes
    data: bytes | None  # None: there was no DATA


class Sink(Double):
    """`messages` are those it has taken, `begun` what it was given in part, `commands` all lines.

    twist(step, line, honest_reply) may return another reply; HANG_UP and SILENCE (tests/listening.py) at its end
    are obeyed.  Steps are CONNECT, the verbs, CONTENT before any content, where honest servers say nothing, and END
    for the end of a message (in LMTP once for each recipient, and `line` is what followed RCPT TO:).
    `lock` guards the lists.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        lmtp: bool = False,
        extensions: Sequence[bytes] = EXTENSIONS,
        ends: re.Pattern[bytes] = STRICT,
        listener: socket.socket | None = None,
    ) -> None:
        self.lmtp = lmtp
        self.extensions = tuple(extensions)
        self.ends = ends
        self.twist: Twist = lambda _step, _line, honest: honest
        self.lock = threading.Lock()
        self.messages: list[Received] = []
        self.begun: list[Begun] = []
        self.commands: list[bytes] = []
        super().__init__(path, listener)

    def serve(self, sock: socket.socket) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _Session(self, sock).run()

    def clear(self) -> None:
        with self.lock:
            self.messages.clear()
            self.begun.clear()
            self.commands.clear()


class _Session(Conversation):
    def __init__(self, sink: Sink, sock: socket.socket) -> None:
        super().__init__(sink, sock)
        self.sink = sink
        self.hello = b""
        self.xforward: list[bytes] = []
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self.data: bytes | None = None

    def run(self) -> None:
        try:
            self.answer("CONNECT", b"", b"220 sink.example ESMTP\r\n")
            while self.command(self.line()):
                pass
        finally:
            self.reset()

    def reset(self) -> None:
        """Forget the transaction; if there was one, it was not finished."""
        if self.sender is not None:
            with self.sink.lock:
                self.sink.begun.append(Begun(self.sender, self.data))
        self.sender, self.recipients, self.data, self.xforward = None, [], None, []

    def answer(self, step: str, line: bytes, honest: bytes) -> bool:
        """Reply; whether it was positive."""
        reply = self.sink.twist(step, line, honest)
        positive = reply[:1] in (b"2", b"3")
        self.say(reply)
        return positive

    def command(self, line: bytes) -> bool:
        """Whether to go on."""
        line = line.rstrip(b"\r\n")
        with self.sink.lock:
            self.sink.commands.append(line)
        verb = line.split(b" ", 1)[0].upper().decode("latin-1")
        if verb in ("EHLO", "LHLO"):
            self.reset()
            if self.sink.lmtp != (verb == "LHLO"):
                return self.go_on(verb, line, b"500 5.5.1 Not here\r\n")
            lines = [b"sink.example", *self.sink.extensions]
            if self.answer(verb, line, b"".join(b"250-%s\r\n" % one for one in lines[:-1]) + b"250 %s\r\n" % lines[-1]):
                self.hello = line
        elif verb == "HELO":
            self.reset()
            if self.answer(verb, line, b"250 sink.example\r\n"):
                self.hello = line
        elif verb == "XFORWARD":
            if self.answer(verb, line, b"503 5.5.1 In a transaction\r\n" if self.sender is not None else b"250 2.0.0 Ok\r\n"):
                self.xforward.append(line)
        elif verb == "MAIL":
            self.mail(line)
        elif verb == "RCPT":
            argument = re.sub(rb"(?i)\ARCPT +TO: *", b"", line)
            if self.answer(verb, line, b"503 5.5.1 MAIL first\r\n" if self.sender is None else b"250 2.1.5 Ok\r\n"):
                self.recipients.append(argument)
        elif verb == "DATA":
            self.receive_message(line)
        elif verb == "RSET":
            self.reset()
            self.answer(verb, line, b"250 2.0.0 Ok\r\n")
        elif verb in ("NOOP", "VRFY"):
            self.answer(verb, line, b"250 2.0.0 Ok\r\n" if verb == "NOOP" else b"252 2.0.0 Perhaps\r\n")
        elif verb == "QUIT":
            self.answer(verb, line, b"221 2.0.0 Bye\r\n")
            return False
        else:
            self.answer(verb, line, b"500 5.5.2 Unknown\r\n")
        return True

    def go_on(self, step: str, line: bytes, honest: bytes) -> bool:
        self.answer(step, line, honest)
        return True

    def mail(self, line: bytes) -> None:
        sender = re.sub(rb"(?i)\AMAIL +FROM: *", b"", line)
        nested = self.sender is not None
        if not nested:
            self.sender = sender  # before the answer: whoever hangs up now has begun one
        if not self.answer("MAIL", line, b"503 5.5.1 Nested\r\n" if nested else b"250 2.1.0 Ok\r\n") and not nested:
            self.sender = None

    def receive_message(self, line: bytes) -> None:
        if not self.answer("DATA", line, b"354 Go on\r\n" if self.recipients else b"554 5.5.1 No recipients\r\n"):
            return
        self.data = b""
        early = self.sink.twist("CONTENT", line, b"")
        if early:
            self.say(early)
        self.read_data()
        if early:
            self.reset()
            return
        assert self.sender is not None
        message = Received(self.sender, tuple(self.recipients), self.data, self.hello, tuple(self.xforward))
        if self.sink.lmtp:
            answers = [self.judged(recipient, message._replace(recipients=(recipient,))) for recipient in message.recipients]
        else:
            answers = [self.judged(b".", message)]
        if any(positive for _, positive in answers):
            self.sender = None  # from here on it is ours, whether the other side hears of it or not
        self.reset()
        for answer, _ in answers:
            self.say(answer)

    def read_data(self) -> None:
        """Up to and with the end, into `data`, as far as it came when the connection breaks."""
        received = bytearray(b"\r\n") + self.buffer
        self.buffer.clear()
        looked = 0
        try:
            while (end := self.sink.ends.search(received, looked)) is None:
                looked = max(0, len(received) - _LONGEST_END)
                data = self.receive()
                if not data:
                    raise ConnectionAbortedError
                received += data
        except OSError:
            self.data = bytes(received[2:])
            raise
        self.buffer += received[end.end() :]
        content = bytes(received[2 : end.end(1)])
        if self.sink.ends is STRICT:
            content = re.sub(rb"(\A|\r\n)\.", rb"\1", content)
        self.data = content

    def judged(self, line: bytes, message: Received) -> tuple[bytes, bool]:
        """The answer to a message, or to one recipient of it, and whether it is taken; then it is among the messages."""
        reply = self.sink.twist("END", line, b"250 2.0.0 Taken\r\n")
        positive = reply[:1] == b"2"
        if positive:
            with self.sink.lock:
                self.sink.messages.append(message)
        return reply, positive
