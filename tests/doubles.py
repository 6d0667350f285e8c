"""Test doubles: made from the specification, named as doubles, and able to misbehave.

What they show is that our side keeps its promises; that the real program behaves
as the specification says is shown by tests against the real program
(tests/engines/test_clamd_real.py).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lazaretto.engines.base import ScanContext
from lazaretto.mime.source import Source
from lazaretto.model import Item

HANG_UP = b"(hang up)"
SILENCE = b"(silence)"


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


class ClamdDouble:
    """A clamd in a thread, by docs/protocols/clamd.md: z-commands, sessions, INSTREAM, FILDES, a stream limit.

    `twist(command, honest_reply)` may return other bytes, HANG_UP or SILENCE.
    `commands`, `contents` and `connections` tell what was asked.
    """

    def __init__(self, path: Path | None = None, marker: bytes = b"EVIL", limit: int = 1 << 20) -> None:
        self.marker = marker
        self.limit = limit
        self.twist: Callable[[str, bytes], bytes] = lambda _command, honest: honest
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(16)
            self.address = f"unix:{path}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and hang up everywhere."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self._thread.join(10)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections, as an idle time-out or a restart does."""
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            _Conversation(self, sock).run()
        except OSError:
            pass
        finally:
            self._open.discard(sock)
            sock.close()


class _Conversation:
    def __init__(self, clamd: ClamdDouble, sock: socket.socket) -> None:
        self.clamd = clamd
        self.sock = sock
        self.buffer = bytearray()
        self.fds: list[int] = []
        self.session = False
        self.number = 0

    def more(self) -> None:
        if self.sock.family == socket.AF_UNIX:
            data, fds, _, _ = socket.recv_fds(self.sock, 65536, 4)
            self.fds += fds
        else:
            data = self.sock.recv(65536)
        if not data:
            raise OSError("closed")
        self.buffer += data

    def take(self, n: int) -> bytes:
        while len(self.buffer) < n:
            self.more()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def command(self) -> str:
        while (stop := self.buffer.find(b"\0")) < 0:
            self.more()
        return self.take(stop + 1)[:-1].decode()

    def run(self) -> None:
        while True:
            command = self.command()
            self.clamd.commands.append(command)
            if command == "zIDSESSION":
                self.session = True
                continue
            if command == "zEND":
                return
            self.number += 1
            honest, go_on = self.answer(command)
            reply = self.clamd.twist(command, (b"%d: " % self.number if self.session else b"") + honest + b"\0")
            if reply == HANG_UP:
                return
            if reply != SILENCE:
                self.sock.sendall(reply)
            if not (go_on and self.session) and reply != SILENCE:
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
