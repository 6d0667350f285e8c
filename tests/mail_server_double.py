"""A small double of a mail server, built from RFC 5321: takes one command at a time, and can say what it should not."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from listening import Conversation, Double

EHLO = b"250-double.example\r\n250-8BITMIME\r\n250 SIZE 1000\r\n"


class MailServerDouble(Double):
    """`replies` by verb, "." for the end of data; a content with `refused` in it gets a 550.  All that came is kept."""

    def __init__(
        self,
        replies: Mapping[bytes, bytes] | None = None,
        greeting: bytes = b"220 double.example ESMTP\r\n",
        refused: bytes = b"\0",
        path: Path | None = None,
    ) -> None:
        usual = {b"EHLO": EHLO, b"LHLO": EHLO, b"DATA": b"354 go on\r\n", b".": b"250 2.0.0 taken\r\n", b"QUIT": b"221 bye\r\n"}
        self.replies = {**usual, **(replies or {})}
        self.greeting = greeting
        self.refused = refused
        self.commands: list[bytes] = []
        self.contents: list[bytes] = []
        super().__init__(path)

    def serve(self, sock: socket.socket) -> None:
        talk = Conversation(self, sock)
        talk.say(self.greeting)
        while True:
            line = talk.line(b"\r\n").removesuffix(b"\r\n")
            self.commands.append(line)
            verb = line[:4].upper()
            reply = self.replies.get(verb, b"250 2.0.0 ok\r\n")
            talk.say(reply)
            if verb == b"DATA" and reply.startswith(b"354"):
                content = talk.line(b"\r\n.\r\n").removesuffix(b".\r\n")  # dots stay doubled, as they were sent
                self.contents.append(content)
                talk.say(b"550 5.7.1 malware\r\n" if self.refused in content else self.replies[b"."])
            if verb == b"QUIT":
                return
