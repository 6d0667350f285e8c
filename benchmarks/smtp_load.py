"""Brings messages to a mail server as fast as it takes them, over N sessions, one connection each message; one process, epoll.

    python benchmarks/smtp_load.py ADDRESS SESSIONS SECONDS LEAST FILE...

No two messages are equal, nor are their texts: each has a number in place of NUMBER.  Prints a line of JSON: messages, seconds,
those answered otherwise than 250, and the milliseconds from connecting to the answer, median and 99th percentile.
"""

from __future__ import annotations

import json
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

NUMBER = b"number-of-this-message"
_SAYS = (b"EHLO load.example\r\n", b"MAIL FROM:<sender@example.org>\r\n", b"RCPT TO:<recipient@example.org>\r\n", b"DATA\r\n")


def connect(address: str) -> socket.socket:
    """HOST:PORT or unix:PATH; it does not block from then on."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


class Client:
    """One message on its way."""

    def __init__(self, address: str, data: bytes) -> None:
        self.begun = time.perf_counter()
        self.sock = connect(address)
        self.data = data
        self.step = 0
        self.heard = b""
        self.rest = memoryview(b"")
        self.code = ""
        self.ms = 0.0

    def read(self) -> bool:
        """Take what there is and answer; whether it is over."""
        try:
            piece = self.sock.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            self.code = self.code or "closed"
            return True
        self.heard += piece
        if not self.heard.endswith(b"\n"):
            return False
        line = self.heard[:-1].rpartition(b"\n")[2]
        if line[3:4] == b"-":
            return False
        self.heard = b""
        if self.code:
            return True  # the answer to QUIT
        self.step += 1
        if self.step <= len(_SAYS) and line[:1] in (b"2", b"3"):
            self.rest = memoryview(_SAYS[self.step - 1])
        elif line[:3] == b"354":
            self.rest = memoryview(self.data)
        else:
            self.code = line[:3].decode()
            self.ms = (time.perf_counter() - self.begun) * 1000
            self.rest = memoryview(b"QUIT\r\n")
        return self.write()

    def write(self) -> bool:
        """Send what it takes; whether that was the end of it all."""
        try:
            while self.rest:
                self.rest = self.rest[self.sock.send(self.rest) :]
        except BlockingIOError:
            pass
        except OSError:
            self.code = self.code or "closed"
            return True
        return False


def numbered(templates: Sequence[bytes]) -> Iterator[bytes]:
    """Messages as DATA has them, without end."""
    parts = []
    for template in templates:
        stuffed = template.replace(b"\r\n.", b"\r\n..")
        parts.append((stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n") + b".\r\n")
    number = 0
    while True:
        for part in parts:
            number += 1
            yield part.replace(NUMBER, b"%022d" % number, 2)


class Talk(Protocol):
    """A conversation on its way; `rest` is what it has still to send."""

    sock: socket.socket
    rest: memoryview

    def read(self) -> bool:
        """Take what there is and answer; whether it is over."""
        ...

    def write(self) -> bool:
        """Send what it takes; whether that was the end of it all."""
        ...


T = TypeVar("T", bound=Talk)


def drive(make: Callable[[], T], sessions: int, seconds: float, least: int, messages: int = 1) -> Iterator[T]:
    """Each conversation when it is over, `sessions` at a time: at least `least` messages, and for so many seconds.  `messages`: in each."""
    there: dict[int, T] = {}
    poll = select.epoll()
    begun = time.perf_counter()
    started = 0
    while True:
        while len(there) < sessions and (time.perf_counter() - begun < seconds or started < least):
            one = make()
            there[one.sock.fileno()] = one
            poll.register(one.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if one.rest else 0))
            started += messages
        if not there:
            return
        for fd, events in poll.poll(60):
            one = there[fd]
            over = (one.write() if events & select.EPOLLOUT else False) or (events & ~select.EPOLLOUT != 0 and one.read())
            if not over:
                poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if one.rest else 0))
                continue
            poll.unregister(fd)
            one.sock.close()
            del there[fd]
            yield one


def summary(times: list[float], seconds: float, **more: object) -> dict[str, object]:
    """What is printed; `times` in milliseconds."""
    times = sorted(times)
    return {
        "messages": len(times),
        "seconds": seconds,
        **more,
        "p50": statistics.median(times),
        "p99": times[min(len(times) - 1, int(len(times) * 0.99))],
    }


def load(address: str, sessions: int, seconds: float, least: int, templates: Sequence[bytes]) -> dict[str, object]:
    """At least `least` messages, and for so many seconds."""
    times: list[float] = []
    failures: dict[str, int] = {}
    source = numbered(templates)
    begun = time.perf_counter()
    for client in drive(lambda: Client(address, next(source)), sessions, seconds, least):
        times.append(client.ms)
        if client.code != "250":
            failures[client.code] = failures.get(client.code, 0) + 1
    return summary(times, time.perf_counter() - begun, failures=failures)


def main(address: str, sessions: str, seconds: str, least: str, *files: str) -> int:
    templates = []
    for name in files:
        with open(name, "rb") as file:
            templates.append(file.read())
    print(json.dumps(load(address, int(sessions), float(seconds), int(least), templates)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
