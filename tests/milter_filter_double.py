"""A double of a milter, built from the packets as docs/protocols and libmilter's mfdef.h have them, without code of ours: it answers
an MTA's commands, and can say what it should not.

    with MilterFilterDouble(end=[b"b" + body, b"a"]) as milter:
        milter.address, milter.commands
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from listening import HANG_UP, SILENCE, Conversation, Double

ALL_CHANGES = 0x1 | 0x2 | 0x10  # SMFIF_ADDHDRS, SMFIF_CHGBODY, SMFIF_CHGHDRS


def framed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


class MilterFilterDouble(Double):
    """`answers` by letter of the command, all others get "c"; `end`: the answers to the end of a message; `infected`: if `mark` was in it.

    `greeting`, if it is given, is the whole answer to the negotiation, as bytes of the wire.
    """

    def __init__(
        self,
        answers: Mapping[bytes, bytes] | None = None,
        *,
        end: Sequence[bytes] = (b"a",),
        infected: Sequence[bytes] = (b"hX-Y\0z\0", b"bsafe", b"c"),
        mark: bytes = b"\0",
        version: int = 6,
        actions: int = ALL_CHANGES,
        steps: int = 0,
        greeting: bytes | None = None,
        path: Path | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.answers, self.end, self.infected, self.mark = answers or {}, end, infected, mark
        self.greeting = framed(b"O" + struct.pack(">III", version, actions, steps)) if greeting is None else greeting
        self.commands: list[bytes] = []
        super().__init__(path, listener)

    def serve(self, sock: socket.socket) -> None:
        talk = Conversation(self, sock)
        body = b""
        while True:
            (size,) = struct.unpack(">I", talk.take(4))
            data = talk.take(size)
            self.commands.append(data)
            code = data[:1]
            if code == b"O":
                talk.say(self.greeting)
            elif code == b"Q":
                return
            elif code == b"E":
                for answer in self.infected if self.mark in body else self.end:
                    talk.say(answer if answer in (HANG_UP, SILENCE) else framed(answer))
                body = b""
            elif code not in (b"D", b"A", b"K"):
                body += data[1:] if code == b"B" else b""
                talk.say(framed(self.answers.get(code, b"c")))
