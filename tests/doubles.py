"""Test doubles: made from the specification, named as doubles, and able to misbehave.

What they show is that our side keeps its promises; that the real program behaves
as the specification says is shown by tests against the real program
(tests/engines/test_clamd_real.py).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from lazaretto.engines.base import ScanContext
from lazaretto.mime.source import Source
from lazaretto.model import Item
from listening import HANG_UP, SILENCE, Conversation, Double

__all__ = ["HANG_UP", "SILENCE", "ClamdDouble", "context", "failing_call", "item_in_file", "item_of"]


def item_of(data: bytes, **fields: Any) -> Item:
    """An item with this content in memory; other fields by name."""
    return Item((1,), ("1",), (), "", Source(data), "data")._replace(**fields)


@contextmanager
def item_in_file(directory: Path, data: bytes, **fields: Any) -> Iterator[Item]:
    """An item whose content is a file without a name, as the spool makes them."""
    path = directory / "content"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    path.unlink()
    try:
        yield Item((1,), ("1",), (), "", Source.from_fd(fd, len(data)), "data")._replace(**fields)
    finally:
        os.close(fd)


def context(seconds: float = 10.0) -> ScanContext:
    """A deadline `seconds` from now."""
    return ScanContext(time.monotonic() + seconds)


@contextmanager
def failing_call(name: str, at: int) -> Iterator[list[str]]:
    """os.`name` fails at its call number `at`, counted from 0, as on a full disk.  The list gets an entry for each call.

    A close fails after it has closed, the others before they do anything.
    """
    real = getattr(os, name)
    calls: list[str] = []

    def call(*args: object, **named: object) -> object:
        calls.append(name)
        if len(calls) == at + 1:
            if name == "close":
                real(*args)
            raise OSError(errno.ENOSPC, "the disk is full")
        return real(*args, **named)

    with mock.patch.object(os, name, call):
        yield calls


class ClamdDouble(Double):
    """A clamd in a thread, by docs/protocols/clamd.md: z-commands, sessions, INSTREAM, FILDES, a stream limit.

    `twist(command, honest_reply)` may return other bytes; see Conversation.say.
    `commands`, `contents` and `connections` tell what was asked.
    """

    def __init__(self, path: Path | None = None, marker: bytes = b"EVIL", limit: int = 1 << 20) -> None:
        self.marker = marker
        self.limit = limit
        self.twist: Callable[[str, bytes], bytes] = lambda _command, honest: honest
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        super().__init__(path)

    def serve(self, sock: socket.socket) -> None:
        _Conversation(self, sock).run()


class _Conversation(Conversation):
    def __init__(self, clamd: ClamdDouble, sock: socket.socket) -> None:
        super().__init__(clamd, sock)
        self.clamd = clamd
        self.fds: list[int] = []
        self.session = False
        self.number = 0

    def receive(self) -> bytes:
        if self.sock.family != socket.AF_UNIX:
            return super().receive()
        data, fds, _, _ = socket.recv_fds(self.sock, 65536, 4)
        self.fds += fds
        return data

    def run(self) -> None:
        while True:
            command = self.line(b"\0")[:-1].decode()
            self.clamd.commands.append(command)
            if command == "zIDSESSION":
                self.session = True
                continue
            if command == "zEND":
                return
            self.number += 1
            honest, go_on = self.answer(command)
            self.say(self.clamd.twist(command, (b"%d: " % self.number if self.session else b"") + honest + b"\0"))
            if not (go_on and self.session):
                return

    def answer(self, command: str) -> tuple[bytes, bool]:
        if command == "zPING":
            return b"PONG", True
        if command in ("zVERSION", "zVERSIONCOMMANDS"):
            return b"ClamAV 1.0.0-double/26000/Sun Nov  1 00:00:00 2026", True
        if command == "zINSTREAM":
            content = bytearray()
            while size := int.from_bytes(self.take(4), "big"):
                if len(content) + size > self.clamd.limit:
                    return b"INSTREAM size limit exceeded. ERROR", False
                content += self.take(size)
            return self.judge("stream", bytes(content)), True
        if command == "zFILDES":
            self.take(1)
            if not self.fds:
                return b"No file descriptor received. ERROR", False
            fd = self.fds.pop(0)
            with open(fd, "rb") as file:
                file.seek(0)
                return self.judge(f"fd[{fd}]", file.read()), True
        return b"UNKNOWN COMMAND", False

    def judge(self, where: str, content: bytes) -> bytes:
        self.clamd.contents.append(content)
        return where.encode() + (b": Double.Evil FOUND" if self.clamd.marker in content else b": OK")
