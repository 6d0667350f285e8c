"""A scan server as a test double: made from docs/protocols/scan-server.md, and able to misbehave."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from listening import HANG_UP, SILENCE, Conversation, Double

__all__ = ["ANNOUNCED", "HANG_UP", "SILENCE", "Asked", "ScanServerDouble", "answer", "honest"]

ANNOUNCED = b"X-Lazaretto-Status: clean\r\n"


class Asked(NamedTuple):
    """One STREAM request: attributes decoded, in their order."""

    line: bytes
    attributes: list[tuple[str, bytes]]
    message: bytes


def answer(code: int, text: str = "", message: bytes = b"") -> bytes:
    """What an honest server says."""
    return b"%d %d %s\n%b" % (code, len(message), text.encode(), message)


def honest(asked: Asked) -> bytes:
    """Nothing found: the message with the announced field."""
    return answer(0, "unchanged", ANNOUNCED + asked.message)


class ScanServerDouble(Double):
    """A scan server in threads.

    `reply(asked)` says what comes back: bytes, in one segment or a list of them, each sent when the one before is out; see
    Conversation.say.  `early`, if not empty, is sent instead of reading the message, and the connection closed.  `asked` tells what came.
    """

    def __init__(self, path: Path | None = None, listener: socket.socket | None = None) -> None:
        self.reply: Callable[[Asked], bytes | list[bytes]] = honest
        self.early = b""
        self.asked: list[Asked] = []
        super().__init__(path, listener)

    def serve(self, sock: socket.socket) -> None:
        conversation = Conversation(self, sock)
        line = conversation.line()
        verb, size, *words = line.split()
        assert verb == b"STREAM", line
        if self.early:
            conversation.say(self.early)
            return
        message = conversation.take(int(size))
        pairs = [word.decode("ascii").partition("=") for word in words]
        asked = Asked(line, [(name, unquote_to_bytes(value)) for name, _, value in pairs], message)
        self.asked.append(asked)
        said = self.reply(asked)
        for segment in [said] if isinstance(said, bytes) else said:
            conversation.say(segment)
