"""A small milter client that waits: to ask a milter what it wants, and what it would do with a message.

    with MilterDialogue("127.0.0.1:12200", timeout_s=10) as peer:
        peer.offered                       version, actions and steps of its answer
        peer.send(b"a@b", [b"c@d"], content)

It offers every action, and no step to leave out: so it gets an answer to each command, also from the oldest milters.

Limits:  timeout_s for each answer; MAX_ANSWERS to the end of a message.
Errors:  OSError, RemoteProtocolError.
See:     wire/milter.py; docs/protocols/milter.md
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

from lazaretto.cli import milter_address
from lazaretto.cli.dialogue import connected
from lazaretto.cli.milter_address import Address
from lazaretto.errors import RemoteProtocolError
from lazaretto.wire import milter
from lazaretto.wire.milter import Actions, Packet, Packets, Steps, packet

MAX_ANSWERS = 100_000  # to one message; a body comes in pieces of 64 KiB
_ALL = 0x1FF  # of Actions
_ANSWERS = b"O+-24abcdefhilmpqrsty"
_FINAL = {
    milter.ACCEPT: "accept",
    milter.CONTINUE: "accept",
    milter.REJECT: "reject",
    milter.TEMPFAIL: "tempfail",
    milter.DISCARD: "discard",
    milter.REPLY_CODE: "reply",
    milter.SHUTDOWN: "shutdown",
}


class Offer(NamedTuple):
    """What the milter has answered to the offer."""

    version: int
    actions: Actions
    steps: Steps


class Outcome(NamedTuple):
    """What came of a message: the step that decided, the word, the reply if it has one; what it would change."""

    step: str
    word: str  # accept, reject, tempfail, discard, reply, shutdown
    text: str = ""
    changes: tuple[str, ...] = ()  # in words, in order


class MilterDialogue:
    """One connection.  `address` in any spelling."""

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        self._packets = Packets(_ANSWERS)
        self._sock = _connected(milter_address.read(address), timeout_s)
        try:
            self.offered = self._negotiate()
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, without waiting for an answer: there is none."""
        try:
            self._sock.sendall(packet(milter.QUIT))
        except OSError:
            pass  # it is gone already
        self._sock.close()

    def send(self, sender: bytes, recipients: Sequence[bytes], content: bytes) -> Outcome:
        """Tell it of a message whose lines end in CRLF."""
        head, _, body = content.partition(b"\r\n\r\n")
        steps: list[tuple[str, bytes, Steps]] = [
            ("connect", packet(milter.CONNECT, b"localhost\x004\0\0127.0.0.1\0"), Steps.NO_CONNECT),
            ("helo", packet(milter.HELO, b"localhost\0"), Steps.NO_HELO),
            ("mail", packet(milter.MACRO, b"Mi\0doctor\0") + packet(milter.MAIL, b"<%s>\0" % sender), Steps.NO_MAIL),
            *(("rcpt", packet(milter.RCPT, b"<%s>\0" % one), Steps.NO_RCPT) for one in recipients),
        ]
        if self.offered.version > 3:
            steps.append(("data", packet(milter.DATA), Steps.NO_DATA))
        fields = (field.partition(b":") for field in _fields(head))
        headers = (packet(milter.HEADER, b"%s\0%s\0" % (name, value.removeprefix(b" "))) for name, _, value in fields)
        steps += [("header", header, Steps.NO_HEADERS) for header in headers]
        steps.append(("eoh", packet(milter.EOH), Steps.NO_EOH))
        size = milter.MAX_CHUNK_BYTES
        for at in range(0, len(body), size):
            steps.append(("body", packet(milter.BODY, body[at : at + size]), Steps.NO_BODY))
        for step, data, unwanted in steps:
            if self.offered.steps & unwanted:
                continue
            self._sock.sendall(data)
            answer = self._answer()
            if answer.code not in (milter.CONTINUE, milter.SKIP):
                return _outcome(step, answer, ())
        self._sock.sendall(packet(milter.END))
        changes: list[str] = []
        for _ in range(MAX_ANSWERS):
            answer = self._answer()
            if answer.code in _FINAL:
                return _outcome("end", answer, tuple(changes))
            if answer.code != milter.PROGRESS:
                word = _change(answer)
                changes += [word] * (word not in changes[-1:])  # a body comes in pieces
        raise RemoteProtocolError(f"it has given {MAX_ANSWERS} answers to one message")

    def _negotiate(self) -> Offer:
        self._sock.sendall(packet(milter.OPTNEG, struct.pack(">III", milter.MAX_VERSION, _ALL, 0)))
        answer = self._answer()
        if answer.code != milter.OPTNEG or len(answer.data) < 12:
            raise RemoteProtocolError(f"expected an answer to the offer of options, not {answer.code!r} with {len(answer.data)} bytes")
        version, actions, steps = struct.unpack(">III", answer.data[:12])
        if not milter.MIN_VERSION <= version <= milter.MAX_VERSION:
            raise RemoteProtocolError(f"it speaks version {version}: expected {milter.MIN_VERSION} to {milter.MAX_VERSION}")
        if actions & ~_ALL or steps & ~0x7F:
            raise RemoteProtocolError(f"it asks for what was not offered: actions {actions:#x}, steps {steps:#x}")
        return Offer(version, Actions(actions), Steps(steps))

    def _answer(self) -> Packet:
        while (answer := self._packets.next_packet()) is None:
            if self._packets.ended:
                raise RemoteProtocolError("it hangs up")
            self._packets.receive_data(self._sock.recv(65536))
        return answer


def _connected(where: Address, timeout_s: float) -> socket.socket:
    if where.path:
        return connected(where.path, timeout_s)
    port = int(where.port) if where.port.isdecimal() else socket.getservbyname(where.port, "tcp")
    return connected((where.host, port), timeout_s)


def _fields(head: bytes) -> list[bytes]:
    """Header fields, with their continuation lines."""
    return head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n")


def _outcome(step: str, answer: Packet, changes: tuple[str, ...]) -> Outcome:
    if answer.code not in _FINAL:
        raise RemoteProtocolError(f"expected an answer to {step}, not {answer.code!r}")
    text = answer.data.rstrip(b"\0").decode("utf-8", "backslashreplace").replace("\r\n", " / ")
    return Outcome(step, _FINAL[answer.code], text, changes)


def _change(answer: Packet) -> str:
    """In words.  A field that is inserted or changed has its index in front of its name."""
    start = 4 if answer.code in (milter.INSERT_HEADER, milter.CHANGE_HEADER) else 0
    name = answer.data[start:].partition(b"\0")[0].decode("utf-8", "backslashreplace")
    words = {
        milter.ADD_HEADER: f"adds {name}",
        milter.INSERT_HEADER: f"adds {name}",
        milter.CHANGE_HEADER: f"changes {name}",
        milter.REPLACE_BODY: "replaces the body",
        milter.QUARANTINE: "has it held",
        milter.ADD_RCPT: "adds a recipient",
        milter.ADD_RCPT_PAR: "adds a recipient",
        milter.DELETE_RCPT: "takes out a recipient",
        milter.CHANGE_FROM: "changes the sender",
    }
    if answer.code not in words:
        raise RemoteProtocolError(f"expected an answer to the end of the message, not {answer.code!r}")
    return words[answer.code]
