"""Brings messages to a milter as fast as it takes them, over N sessions; one process, epoll.

    python benchmarks/milter_load.py ADDRESS SESSIONS SECONDS LEAST MESSAGES FILE...

A session is one connection with MESSAGES messages, as an MTA has one for each client of its own.  A filter is told what it has agreed
to be told, and waited for where that was agreed on.  The MTA's side is tests/milter_double.py.  No two messages are equal.

Prints a line of JSON: messages, seconds, answers by their letter, and the milliseconds from the envelope to the last answer, median and
99th percentile.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

from smtp_load import NUMBER, connect, drive, summary

from milter_double import FINAL, Mta, macros, packet, texts, unpack

Steps = Iterator[tuple[bytes, str]]  # what is sent, and the letter of the command whose answer is waited for


class Session:
    """One connection, and the messages on it."""

    def __init__(self, address: str, source: Iterator[bytes], messages: int) -> None:
        self.sock = connect(address)
        self.mta = Mta()
        self.heard = bytearray()
        self.rest = memoryview(b"")
        self.letters: list[str] = []  # final answers
        self.times: list[float] = []
        self.begun = 0.0
        self._steps = self._conversation(source, messages)
        self._awaited = ""

    def _conversation(self, source: Iterator[bytes], messages: int) -> Steps:
        mta = self.mta
        yield mta.negotiate(), "O"
        yield macros("C", j=b"mta.example", daemon_name=b"smtpd"), ""
        yield self._command("C", b"client.example\x004" + struct.pack(">H", 25) + b"192.0.2.1\0")
        yield self._command("H", b"client.example\0")
        for _ in range(messages):
            message = next(source)
            self.begun = time.perf_counter()
            yield macros("M", i=b"4Q1", mail_addr=b"s@example.org"), ""
            yield self._command("M", texts(b"<s@example.org>"))
            yield macros("R", rcpt_addr=b"r@example.net"), ""
            yield self._command("R", texts(b"<r@example.net>"))
            yield self._command("T", b"")
            for letter, data in mta.content(message):
                yield self._command(letter, data)
        yield packet("Q"), "Q"

    def _command(self, letter: str, data: bytes) -> tuple[bytes, str]:
        return self.mta.command(letter, data), letter if self.mta.awaits(letter) else ""

    def write(self) -> bool:
        """Send all that needs no answer first; whether that was the end of it all."""
        try:
            while not self._awaited or self.rest:
                if not self.rest and self._go_on():
                    return True
                while self.rest:
                    self.rest = self.rest[self.sock.send(self.rest) :]
        except BlockingIOError:
            pass
        return False

    def _go_on(self) -> bool:
        batch = bytearray()
        for data, awaited in self._steps:
            batch += data
            self._awaited = awaited
            if awaited:
                break
        self.rest = memoryview(bytes(batch))
        return self._awaited == "Q" and self._quit()

    def _quit(self) -> bool:
        self.sock.send(self.rest)
        return True

    def read(self) -> bool:
        """Take what there is and go on; whether it is over."""
        piece = self.sock.recv(1 << 16)
        if not piece:
            self.letters.append("closed")
            return True
        self.heard += piece
        for letter, data in unpack(self.heard):
            if self._awaited == "O":
                self.mta.negotiated(data)
            elif self._awaited == "E" and letter not in FINAL:
                continue  # what the message is to be changed to
            elif self._awaited == "E":
                self.letters.append(letter)
                self.times.append((time.perf_counter() - self.begun) * 1000)
            elif letter not in "cs":
                self.letters.append(letter)  # it wants no more of this message
                return True
            self._awaited = ""
        return self.write() if not self._awaited else False


def numbered(templates: Sequence[bytes]) -> Iterator[bytes]:
    number = 0
    while True:
        for template in templates:
            number += 1
            yield template.replace(NUMBER, b"%022d" % number, 2)


def load(address: str, sessions: int, seconds: float, least: int, messages: int, templates: Sequence[bytes]) -> dict[str, object]:
    """At least `least` messages, and for so many seconds."""
    times: list[float] = []
    letters: dict[str, int] = {}
    source = numbered(templates)

    def make() -> Session:
        session = Session(address, source, messages)
        session.write()
        return session

    begun = time.perf_counter()
    for session in drive(make, sessions, seconds, least, messages):
        times += session.times
        for letter in session.letters:
            letters[letter] = letters.get(letter, 0) + 1
    return summary(times, time.perf_counter() - begun, answers=letters)


def main(address: str, sessions: str, seconds: str, least: str, messages: str, *files: str) -> int:
    templates = [Path(name).read_bytes() for name in files]
    print(json.dumps(load(address, int(sessions), float(seconds), int(least), int(messages), templates)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
