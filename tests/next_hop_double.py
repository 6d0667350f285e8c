"""A double of the next hop: an SMTP or LMTP server built from RFC 5321 and RFC 2033, which can misbehave at every step.

    with NextHop() as hop: ...                                  takes every message
    with NextHop(answers={"RCPT": [b"550 5.1.1 No\r\n"]}): ...  refuses the first recipient

Steps are "greeting", the verbs, "DATA", "content" (said when the first bytes of a message are there) and "dot". An answer of
the list is used up by each occurrence of its step, then the usual one counts. Besides HANG_UP and SILENCE (tests/listening.py),
an answer may begin with WAIT: then it is given when the test calls `go`.  Answers to "dot" in LMTP are one for each recipient.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from listening import HANG_UP, SILENCE, Conversation, Double

WAIT = b"(wait)"
KEYWORDS = (
    b"PIPELINING", b"SIZE 52428800", b"VRFY", b"ETRN", b"STARTTLS", b"ENHANCEDSTATUSCODES", b"8BITMIME", b"DSN", b"SMTPUTF8", b"CHUNKING",
)  # fmt: skip
XFORWARD = b"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
OK = b"250 2.0.0 Ok\r\n"
_LIMIT_S = 20.0

__all__ = ["HANG_UP", "KEYWORDS", "OK", "SILENCE", "WAIT", "XFORWARD", "Message", "NextHop"]


class Message(NamedTuple):
    """What was taken: arguments as they came after "MAIL FROM:" and "RCPT TO:"."""

    mail: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    xforward: tuple[bytes, ...] = ()


class NextHop(Double):
    """`commands` is all that was said, over all connections; `messages` what was taken.

    `ends` counts ends of data that were seen, also of messages that were refused; `content` is what came of one that broke off.
    """

    def __init__(
        self,
        answers: Mapping[str, Sequence[bytes]] | None = None,
        *,
        keywords: Sequence[bytes] = KEYWORDS,
        lmtp: bool = False,
        byte_by_byte: bool = False,
        path: Path | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.answers = {step: list(each) for step, each in (answers or {}).items()}
        self.keywords = list(keywords)
        self.lmtp = lmtp
        self.byte_by_byte = byte_by_byte
        self.commands: list[bytes] = []
        self.messages: list[Message] = []
        self.content = b""
        self.ends = 0
        self.ended = 0  # connections that are over
        self.changed = threading.Condition()
        self._gate = threading.Semaphore(0)
        super().__init__(path, listener)

    def go(self) -> None:
        """Let one answer out that waits."""
        self._gate.release()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, which looks at this double, holds."""
        with self.changed:
            assert self.changed.wait_for(condition, _LIMIT_S), f"not within {_LIMIT_S} s; so far: {self.commands[-5:]}"

    def heard(self, verb: bytes, times: int = 1) -> None:
        """Wait until a command has been said so often."""
        self.until(lambda: sum(each.upper().startswith(verb) for each in self.commands) >= times)

    def close(self) -> None:
        for _ in range(100):
            self._gate.release()
        super().close()

    def say_everywhere(self, data: bytes) -> None:
        """What a server says before it hangs up unasked."""
        for sock in list(self._open):
            sock.sendall(data)

    def answer(self, step: str, usual: bytes) -> bytes:
        """The next answer to `step`."""
        with self.changed:
            waiting = self.answers.get(step)
            chosen = waiting.pop(0) if waiting else usual
        if chosen.startswith(WAIT):
            assert self._gate.acquire(timeout=_LIMIT_S)
            return chosen.removeprefix(WAIT)
        return chosen

    def serve(self, sock: socket.socket) -> None:
        session = _Session(self, sock)
        try:
            session.run()
        finally:
            with self.changed:
                self.ended += 1
                self.changed.notify_all()


class _Session(Conversation):
    def __init__(self, double: NextHop, sock: socket.socket) -> None:
        super().__init__(double, sock)
        self.double: NextHop = double
        self.mail: bytes | None = None
        self.recipients: list[bytes] = []
        self.xforward: list[bytes] = []

    def send(self, data: bytes) -> None:
        if not self.double.byte_by_byte:
            self.sock.sendall(data)
            return
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(data)):
            self.sock.sendall(data[index : index + 1])

    def run(self) -> None:
        self.say(self.double.answer("greeting", b"220 next.hop ESMTP double\r\n"))
        while True:
            line = self.line(b"\r\n")[:-2]
            self.note(line)
            verb = line.split(b" ", 1)[0].split(b":", 1)[0].upper().decode("ascii", "replace")
            if verb == "DATA":
                self.data()
            else:
                self.say(self.double.answer(verb, self.usual(verb, line)))
            if verb == "QUIT":
                return

    def note(self, line: bytes) -> None:
        with self.double.changed:
            self.double.commands.append(line)
            self.double.changed.notify_all()

    def usual(self, verb: str, line: bytes) -> bytes:
        """The answer of a server that is well, and what the command does to it."""
        argument = line[line.find(b":") + 1 :] if b":" in line else b""
        if verb in ("EHLO", "LHLO"):
            if (verb == "LHLO") != self.double.lmtp:
                return b"500 5.5.1 Wrong protocol\r\n"
            self.reset()
            lines = [b"next.hop", *self.double.keywords]
            return b"".join(b"250-%b\r\n" % each for each in lines[:-1]) + b"250 %b\r\n" % lines[-1]
        if verb == "HELO":
            self.reset()
            return b"250 next.hop\r\n"
        if verb == "MAIL":
            if self.mail is not None:
                return b"503 5.5.1 Nested MAIL\r\n"
            if not self.double.answers.get("MAIL") or self.double.answers["MAIL"][0].removeprefix(WAIT)[:1] == b"2":
                self.mail = argument
            return b"250 2.1.0 Ok\r\n"
        if verb == "RCPT":
            if self.mail is None:
                return b"503 5.5.1 MAIL first\r\n"
            if not self.double.answers.get("RCPT") or self.double.answers["RCPT"][0].removeprefix(WAIT)[:1] == b"2":
                self.recipients.append(argument)
            return b"250 2.1.5 Ok\r\n"
        if verb == "RSET":
            self.reset()
            return OK
        if verb == "XFORWARD":
            self.xforward.append(line)
            return OK
        if verb == "XCLIENT":
            return b"220 next.hop ESMTP again\r\n"
        if verb == "QUIT":
            return b"221 2.0.0 Bye\r\n"
        if verb == "AUTH":
            return b"235 2.7.0 Authentication successful\r\n"
        return OK if verb == "NOOP" else b"252 2.0.0 Try it\r\n" if verb == "VRFY" else b"502 5.5.2 What?\r\n"

    def reset(self) -> None:
        self.mail, self.recipients, self.xforward = None, [], []

    def data(self) -> None:
        usual = b"354 End data with <CR><LF>.<CR><LF>\r\n" if self.recipients else b"554 5.5.1 No valid recipients\r\n"
        answer = self.double.answer("DATA", usual)
        self.say(answer)
        if not answer.startswith(b"3"):
            return
        early = self.double.answer("content", b"")
        if early:
            if not self.buffer:
                self._more()
            self.say(early)
        try:
            raw = self.until_the_end()
        except OSError:
            with self.double.changed:
                self.double.content = bytes(self.buffer)
            raise
        recipients = tuple(self.recipients)
        message = Message(self.mail or b"", recipients, raw, tuple(self.xforward))
        with self.double.changed:
            self.double.ends += 1
            self.double.changed.notify_all()
        taken = [
            self.double.answer("dot", b"250 2.0.0 Ok: queued as %d\r\n" % self.double.ends)
            for _ in recipients[: None if self.double.lmtp else 1]
        ]
        accepted = tuple(who for who, each in zip(recipients, taken, strict=False) if each[:1] == b"2" and each.endswith(b"\r\n"))
        if accepted:
            with self.double.changed:
                self.double.messages.append(message._replace(recipients=accepted) if self.double.lmtp else message)
                self.double.changed.notify_all()
        self.reset()
        for each in taken:
            self.say(each)

    def until_the_end(self) -> bytes:
        """The content: CRLF.CRLF ends it, and nothing else does.  RFC 5321 s4.5.2"""
        seen = 0
        while True:
            if self.buffer.startswith(b".\r\n"):  # behind the CRLF of DATA
                end = 0
                break
            if (end := self.buffer.find(b"\r\n.\r\n", max(seen - 4, 0)) + 2) >= 2:
                break
            seen = len(self.buffer)
            self._more()
        raw = self.take(end)
        self.take(3)
        return re.sub(rb"(\A|\r\n)\.", rb"\1", raw)
