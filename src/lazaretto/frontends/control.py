"""The line between a worker and its supervisor: a pair of sockets that keeps messages apart.

    up:    "ready", and now and then the worker's counters, which are also its sign of life
    down:  nothing.  Orders are signals; the end of the line says that the supervisor is gone
    beside it, in shared memory: how many messages the worker has that are without their final line

A snapshot of counters is complete, so that one which does not get through is no loss: the worker never
waits for its supervisor.

Limits:  MAX_BYTES for a message; a longer one is not sent.
Errors:  none of ours; what cannot be read is no message.
See:     supervisor.py, worker.py; unix(7) SOCK_SEQPACKET
"""

from __future__ import annotations

import json
import mmap
import socket
from collections.abc import Mapping
from typing import NamedTuple

MAX_BYTES = 1 << 16


class Word(NamedTuple):
    """What a worker has said."""

    ready: bool = False
    counters: Mapping[str, float] = {}


def pair() -> tuple[socket.socket, socket.socket]:
    """(the supervisor's end, the worker's), both not blocking."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def tally() -> memoryview[int]:
    """A number that two processes share, if one forks the other."""
    return memoryview(mmap.mmap(-1, 8)).cast("q")


class Control:
    """The worker's end."""

    __slots__ = ("_tally", "sock")

    def __init__(self, sock: socket.socket, tally: memoryview[int]) -> None:
        self.sock = sock
        self._tally = tally

    def in_hand(self, messages: int) -> None:
        """So many have no final line.  If the worker is killed, the supervisor writes them: so this is told at once, and not lost."""
        self._tally[0] = messages

    def ready(self) -> None:
        """Connections are accepted."""
        self._say({"ready": True})

    def counters(self, values: Mapping[str, float]) -> None:
        """All there is to count, since the worker's start; {} is a sign of life, too."""
        self._say({"counters": dict(values)})

    def over(self) -> bool:
        """Is the supervisor gone?  To be asked when the socket can be read."""
        try:
            return not self.sock.recv(MAX_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Not to be heard of any more."""
        self.sock.close()

    def _say(self, what: Mapping[str, object]) -> None:
        data = json.dumps(what).encode("ascii")
        try:
            if len(data) <= MAX_BYTES:
                self.sock.send(data)
        except OSError:
            pass  # it has no time, and gets the next one; or it is gone, which is told by reading


def heard(sock: socket.socket) -> tuple[list[Word], bool]:
    """What the worker at the other end has said since, and whether the line is over."""
    words: list[Word] = []
    while True:
        try:
            data = sock.recv(MAX_BYTES)
        except BlockingIOError:
            return words, False
        except OSError:
            return words, True
        if not data:
            return words, True
        try:
            said = json.loads(data)
            words.append(Word(bool(said.get("ready")), {str(name): float(value) for name, value in said.get("counters", {}).items()}))
        except (ValueError, AttributeError, TypeError):
            continue
