"""An MTA's side of the milter protocol: a double, made from docs/protocols/milter.md, with a codec of its own.

    mta = Mta(version=6)                      what it offers
    send(mta.negotiate()); mta.negotiated(packet)
    mta.command("M", ...)                     a packet, b"" if the filter does not want to know
    mta.awaits("M")                           is there an answer to it?
    Held(message).apply(packet)               what a change does to the mail that it holds

It has no socket; MtaClient has one, for conversations and load.  What the filter sends against the protocol is an AssertionError here.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

from smtp_session import PATIENCE_S, connect

ALL_ACTIONS, ALL_STEPS = 0x1FF, 0x1FFFFF
V2_ACTIONS, V2_STEPS = 0x3F, 0x7F
LEADING_SPACE = 0x100000

# letter: (flag for "do not send", flag for "no answer comes"); libmilter's mfdef.h
FLAGS = {
    "C": (0x1, 0x1000),
    "H": (0x2, 0x2000),
    "M": (0x4, 0x4000),
    "R": (0x8, 0x8000),
    "T": (0x200, 0x10000),
    "L": (0x20, 0x80),
    "N": (0x40, 0x40000),
    "B": (0x10, 0x80000),
    "U": (0x100, 0x20000),
}
NEEDS = {"h": 0x01, "i": 0x01, "b": 0x02, "+": 0x04, "-": 0x08, "m": 0x10, "q": 0x20, "e": 0x40, "2": 0x80}
FINAL = "acrdty"  # the answer to a command
CHUNK = 65535
SENDER, RECIPIENT = b"<s@example.org>", b"<r@example.net>"


def packet(letter: str, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter.encode() + data


def texts(*parts: bytes) -> bytes:
    return b"".join(part + b"\0" for part in parts)


def macros(letter: str, **values: bytes) -> bytes:
    """SMFIC_MACRO for the command with that letter; names of one letter have no braces."""
    pairs = ((name.encode() if len(name) == 1 else b"{%b}" % name.encode(), value) for name, value in values.items())
    return packet("D", letter.encode() + texts(*(text for pair in pairs for text in pair)))


def unpack(data: bytearray) -> Iterator[tuple[str, bytes]]:
    """Whole packets, taken out of `data`."""
    while len(data) >= 5:
        (size,) = struct.unpack_from(">I", data)
        assert 1 <= size <= 1 << 20, bytes(data[:20])
        if len(data) < 4 + size:
            return
        whole = bytes(data[4 : 4 + size])
        del data[: 4 + size]
        yield whole[:1].decode("ascii"), whole[1:]


class Mta:
    """What was offered and what was agreed on."""

    def __init__(self, version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> None:
        self.offered = (version, actions, steps)
        self.version, self.actions, self.steps = 0, 0, 0
        self.chunks = False  # of a new body have come

    def negotiate(self) -> bytes:
        return packet("O", struct.pack(">III", *self.offered))

    def negotiated(self, data: bytes) -> None:
        """The filter's answer: no more than was offered."""
        self.version, self.actions, self.steps = struct.unpack_from(">III", data)
        version, actions, steps = self.offered
        assert 2 <= self.version <= version
        assert self.actions & ~actions == 0
        assert self.steps & ~steps == 0

    @property
    def leading_space(self) -> bool:
        return bool(self.steps & LEADING_SPACE)

    def wants(self, letter: str) -> bool:
        return not self.steps & FLAGS.get(letter, (0, 0))[0]

    def awaits(self, letter: str) -> bool:
        if letter in "DAQK":
            return False
        return self.wants(letter) and not self.steps & FLAGS.get(letter, (0, 0))[1]

    def command(self, letter: str, data: bytes = b"") -> bytes:
        return packet(letter, data) if self.wants(letter) else b""

    def content(self, message: bytes) -> Iterator[tuple[str, bytes]]:
        """Letters and data for a message with CRLF: its fields, the end of the header, its body in pieces, the end."""
        fields, body = divided(message)
        for name, value in fields:
            yield "L", texts(name, (value if self.leading_space else value.removeprefix(b" ")).replace(b"\r\n", b"\n"))
        yield "N", b""
        for at in range(0, len(body), CHUNK):
            yield "B", body[at : at + CHUNK]
        yield "E", b""

    def check(self, letter: str) -> None:
        """May the filter say that at the end of a message?"""
        if letter == "p":
            return
        if letter in FINAL:
            self.chunks = False
            return
        assert letter in NEEDS, letter
        assert self.actions & NEEDS[letter], f"{letter!r} was not agreed on"
        assert letter == "b" or not self.chunks, f"{letter!r} after a piece of the new body"
        self.chunks = self.chunks or letter == "b"


def divided(message: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Fields as (name, value with its leading space and its folds), and the body."""
    head, _, body = (b"\r\n" + message).partition(b"\r\n\r\n")
    fields: list[tuple[bytes, bytes]] = []
    for line in head.split(b"\r\n")[1:]:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b"\r\n" + line)
        else:
            name, _, value = line.partition(b":")
            fields.append((name, value))
    return fields, body


class Held:
    """A mail in an MTA's queue, which the filter's requests change one after the other.

    `own`: fields on top that the filter was not shown, Postfix' Received: insertions count them, changes do not.
    `ghosts`: deleted fields count on, as they do in Sendmail; else they are gone at once, as in Postfix.
    """

    def __init__(self, message: bytes, *, leading_space: bool = True, own: int = 0, ghosts: bool = False) -> None:
        fields, self.body = divided(message)
        self.fields: list[tuple[bytes, bytes | None]] = [*fields]
        self.own = [(b"Received", b" by mta.example")] * own
        self.leading_space = leading_space
        self.ghosts = ghosts
        self.held = b""
        self._chunks = 0

    @property
    def message(self) -> bytes:
        head = b"".join(name + b":" + value + b"\r\n" for name, value in self.fields if value is not None)
        return head + b"\r\n" + self.body

    def apply(self, letter: str, data: bytes) -> None:
        if letter in "him":
            index = 0
            if letter != "h":
                (index,) = struct.unpack_from(">I", data)
                data = data[4:]
            name, value, end = data.split(b"\0")
            assert end == b""
            assert b"\r" not in value
            getattr(self, {"h": "_add", "i": "_insert", "m": "_change"}[letter])(index, name, self._whole(value))
        elif letter == "b":
            assert len(data) <= CHUNK
            self.body = data if self._chunks == 0 else self.body + data
            self._chunks += 1
        elif letter == "q":
            self.held = data.removesuffix(b"\0")
        else:
            assert letter == "p", letter

    def _whole(self, value: bytes) -> bytes:
        """As it will stand in the mail."""
        return (b"" if self.leading_space or not value else b" ") + value.replace(b"\n", b"\r\n")

    def _add(self, _index: int, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def _insert(self, index: int, name: bytes, value: bytes) -> None:
        there = [place for place, (_, text) in enumerate(self.fields) if text is not None]
        index = max(index - len(self.own), 0) if index else 0
        self.fields.insert(there[index] if index < len(there) else len(self.fields), (name, value))

    def _change(self, index: int, name: bytes, value: bytes) -> None:
        assert index >= 1
        for place, (known, text) in enumerate(self.fields):
            if known.lower() == name.lower() and (self.ghosts or text is not None):
                index -= 1
                if index == 0:
                    self.fields[place] = (known, value or None)
                    return
        if value:
            self._add(0, name, value)


class Told(NamedTuple):
    """How a message ended: the last letter, its text, and the mail as it is now."""

    letter: str
    text: bytes
    message: bytes
    letters: str  # all that came
    held: bytes = b""


class MtaClient:
    """One connection to a filter.  Closed where the filter hangs up: EOFError."""

    def __init__(self, address: str, mta: Mta | None = None) -> None:
        self.mta = mta or Mta()
        self.sock: socket.socket = connect(address)
        self.sock.settimeout(PATIENCE_S)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self) -> tuple[str, bytes]:
        """The next packet."""
        while True:
            for letter, data in unpack(self._buffer):
                return letter, data
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._buffer += data

    def ended(self) -> bool:
        """Has the filter hung up, without another word?"""
        try:
            self.read()
        except EOFError:
            return True
        return False

    def negotiate(self) -> Self:
        self.send(self.mta.negotiate())
        letter, data = self.read()
        assert letter == "O"
        self.mta.negotiated(data)
        return self

    def say(self, letter: str, data: bytes = b"") -> str:
        """A command; the letter of its answer, "" if none is to come."""
        self.send(self.mta.command(letter, data))
        return self.read()[0] if self.mta.awaits(letter) else ""

    def connect(self, address: bytes = b"192.0.2.1", family: str = "4", name: bytes = b"client.example") -> None:
        where = struct.pack(">H", 25) + address + b"\0" if family != "U" else b""
        self.send(macros("C", j=b"mta.example", daemon_name=b"smtpd"))
        assert self.say("C", name + b"\0" + family.encode() + where) in ("", "c")
        assert self.say("H", b"client.example\0") in ("", "c")

    def envelope(self, sender: bytes = SENDER, recipients: Iterable[bytes] = (RECIPIENT,), **known: bytes) -> tuple[str, bytes]:
        """The answer to MAIL; then come the recipients, if it was positive."""
        self.send(macros("M", **{"i": b"4Q1", "mail_addr": sender.strip(b"<>"), **known}))
        self.send(self.mta.command("M", texts(sender, b"SIZE=1")))
        answer = self.read() if self.mta.awaits("M") else ("c", b"")
        if answer[0] == "c":
            for recipient in recipients:
                self.send(macros("R", rcpt_addr=recipient.strip(b"<>")))
                assert self.say("R", texts(recipient)) in ("", "c")
            assert self.say("T") in ("", "c")
        return answer

    def content(self, message: bytes) -> Told:
        """From the first field to the answer at the end."""
        skipped = False
        for letter, data in self.mta.content(message):
            if letter == "E" or not (letter == "B" and skipped):
                self.send(self.mta.command(letter, data))
            if letter != "E" and self.mta.awaits(letter) and not (letter == "B" and skipped):
                answer, text = self.read()
                skipped = skipped or answer == "s"
                if answer not in "cs":
                    return Told(answer, text, message, answer)
        return self.end(message)

    def end(self, message: bytes) -> Told:
        """What comes at the end of `message`."""
        held = Held(message, leading_space=self.mta.leading_space)
        letters = ""
        while True:
            letter, data = self.read()
            self.mta.check(letter)
            letters += letter
            if letter in FINAL:
                return Told(letter, data, held.message, letters, held.held)
            held.apply(letter, data)

    def deliver(self, message: bytes, recipients: Iterable[bytes] = (RECIPIENT,), **known: bytes) -> Told:
        """A whole transaction in an open session; `known` are macros."""
        letter, text = self.envelope(SENDER, recipients, **known)
        return self.content(message) if letter == "c" else Told(letter, text, message, letter)


def session(address: str, mta: Mta | None = None) -> MtaClient:
    """Connected, negotiated, with a client of the MTA's."""
    client = MtaClient(address, mta).negotiate()
    client.connect()
    return client
