"""What the doubles of daemons have in common: they listen, and talk to each client in a thread of its own.

A double is a Double with `serve`, which usually makes a Conversation.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Self

# What Conversation.say takes at the end of an answer.
HANG_UP = b"(hang up)"
SILENCE = b"(silence)"  # until the double is closed


class Double:
    """Listens on a TCP port of its own, at `path`, or on `listener`.

    A client may be there at once: call this __init__ when all else is ready.
    """

    def __init__(self, path: Path | None = None, listener: socket.socket | None = None) -> None:
        self.connections = 0
        self.over = threading.Event()
        self._open: set[socket.socket] = set()
        if listener is not None:
            self.listener = listener
        elif path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(16)
        self.address = address_of(self.listener)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def serve(self, sock: socket.socket) -> None:
        """Talk to one client; the connection is closed when this returns, or raises OSError."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and hang up everywhere."""
        self.over.set()
        _shut_down(self.listener)
        self.listener.close()
        self._thread.join(10)
        self.hang_up()

    @property
    def idle(self) -> bool:
        """Is nobody connected?"""
        return not self._open

    def hang_up(self) -> None:
        """Close the connections, as an idle time-out or a restart does."""
        for sock in list(self._open):
            _shut_down(sock)

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
            self.serve(sock)
        except OSError:
            pass
        finally:
            self._open.discard(sock)
            sock.close()


class Conversation:
    """The daemon's side of one connection.  All of it raises OSError when the connection is over."""

    def __init__(self, double: Double, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self._over = double.over

    def receive(self) -> bytes:
        return self.sock.recv(65536)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        while len(self.buffer) < n:
            self._more()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def line(self, end: bytes = b"\n") -> bytes:
        """All up to `end`, and `end` itself."""
        while (stop := self.buffer.find(end)) < 0:
            self._more()
        return self.take(stop + len(end))

    def say(self, answer: bytes) -> None:
        """Send it; HANG_UP or SILENCE at its end are obeyed, and the conversation is over."""
        for end in (HANG_UP, SILENCE):
            if answer.endswith(end):
                self.send(answer.removesuffix(end))
                if end == SILENCE:
                    self._over.wait(60)
                raise ConnectionAbortedError
        self.send(answer)

    def _more(self) -> None:
        data = self.receive()
        if not data:
            raise ConnectionAbortedError
        self.buffer += data


def address_of(listener: socket.socket) -> str:
    """As our options take it."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _shut_down(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was faster
