"""The line between a worker and its supervisor: a pair of sockets that keeps messages apart.

    up:    "ready", and now and then the worker's counters, which are also its sign of life
           final lines of messages, for the supervisor to write
    down:  nothing.  Orders are signals; the end of the line says that the supervisor is gone
    beside it, in shared memory: how many messages were begun, how many of them needed no line from the supervisor, how many
           lines it has written

A snapshot of counters is complete, so that one which does not get through is no loss: the worker never
waits for its supervisor.

**Exactly one final line (R5), whenever a worker is killed.**  To write a line and to note that it is written are two steps, and
SIGKILL can strike between them: then there would be two lines, or none.  To send the line to the supervisor is one step.  What the
supervisor has got counts as written, whatever becomes of the worker; a message that was begun, and is not otherwise accounted for
when the worker has ended, gets a line that says so.  Lines that a supervisor has not written when it is killed are still known
to the worker, which writes them.  A supervisor that has no room for a line, because it is busy, is not waited for: then
the worker writes it, in two steps after all.

Limits:  MAX_BYTES for a message; a longer one is not sent.
Errors:  none of ours; what cannot be read is no message.
See:     supervisor.py, worker.py; unix(7) SOCK_SEQPACKET
"""

from __future__ import annotations

import json
import mmap
import socket
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

MAX_BYTES = 1 << 16

_LINE = b"L"  # then the level, one digit, and the text
_BEGUN, _DROPPED, _WRITTEN = range(3)  # in the shared memory


class Line(NamedTuple):
    """For the log."""

    text: str
    level: int


class Word(NamedTuple):
    """What a worker has said."""

    ready: bool = False
    counters: Mapping[str, float] = {}
    line: Line | None = None


def pair() -> tuple[socket.socket, socket.socket]:
    """(the supervisor's end, the worker's), both not blocking."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def tally() -> memoryview[int]:
    """Numbers that two processes share, if one forks the other."""
    return memoryview(mmap.mmap(-1, 24)).cast("q")


def in_hand(tally: memoryview[int], received: int) -> int:
    """Messages of a worker without a final line, if so many of its lines have been received."""
    return max(tally[_BEGUN] - tally[_DROPPED] - received, 0)


def written(tally: memoryview[int]) -> None:
    """One more of the lines received is in the log."""
    tally[_WRITTEN] += 1


class Ledger(Protocol):
    """Who writes the final lines if we cannot."""

    def begun(self) -> None:
        """A message: one line is owed."""
        ...

    def dropped(self) -> None:
        """A message has had its line from us, or needs none."""
        ...

    def final(self, line: Line) -> bool:
        """The line of a message.  False: write it yourself, and then say `dropped`."""
        ...


class NoLedger:
    """There is nobody above us."""

    def begun(self) -> None:
        """Nobody wants to know."""

    def dropped(self) -> None:
        """Nobody wants to know."""

    def final(self, _line: Line) -> bool:
        """Nobody takes it."""
        return False


class Control:
    """The worker's end: a Ledger, and more."""

    __slots__ = ("_sent", "_sent_ever", "_tally", "sock")

    def __init__(self, sock: socket.socket, tally: memoryview[int]) -> None:
        self.sock = sock
        self._tally = tally
        self._sent: deque[Line] = deque()  # not known to be written
        self._sent_ever = 0

    def begun(self) -> None:
        """As in Ledger."""
        self._tally[_BEGUN] += 1

    def dropped(self) -> None:
        """As in Ledger."""
        self._tally[_DROPPED] += 1

    def final(self, line: Line) -> bool:
        """As in Ledger."""
        data = b"%b%d%b" % (_LINE, line.level, line.text.encode("utf-8", "backslashreplace"))
        self._forget_written()
        try:
            if len(data) > MAX_BYTES:
                return False
            self.sock.send(data)
        except OSError:
            return False
        self._sent.append(line)
        self._sent_ever += 1
        return True

    def unwritten(self) -> list[Line]:
        """Lines that the supervisor has left behind, when it is gone."""
        self._forget_written()
        lines = [*self._sent]
        self._sent.clear()
        return lines

    def _forget_written(self) -> None:
        while self._sent and self._sent_ever - len(self._sent) < self._tally[_WRITTEN]:
            self._sent.popleft()

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
        if data[:1] == _LINE and data[1:2].isdigit():
            words.append(Word(line=Line(data[2:].decode("utf-8", "replace"), int(data[1:2]))))
            continue
        try:
            said = json.loads(data)
            words.append(Word(bool(said.get("ready")), {str(name): float(value) for name, value in said.get("counters", {}).items()}))
        except (ValueError, AttributeError, TypeError):
            continue
