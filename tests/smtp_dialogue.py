"""Runs the conversations of tests/dialogs/smtp against the pure machines; server-*.dlg ours is the server, client-*.dlg ours is the client.

What the peer says is fed in pieces, and only when the machine asks for more.  In a
client's conversation "do CALL ARGUMENT" calls a method; in a server's, "reply CODE TEXT|TEXT"
answers, and an event without it gets the reply that it proposes.  "= state NAME" and "= nothing" look
at the machine, "= error" expects a RemoteProtocolError.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from dialogue import CLOSE, steps
from lazaretto.errors import RemoteProtocolError
from lazaretto.wire import smtp_client, smtp_server
from lazaretto.wire.smtp import Reply


def outcome(event: Any) -> bytes:
    """An event as one line: its name, and its fields without the proposed reply."""
    name = type(event).__name__.encode()
    if isinstance(event, smtp_server.EndOfData):
        return b" ".join([name, *(mark.encode() for mark, seen in event._asdict().items() if seen)])
    fields = [name]
    for key, value in event._asdict().items():
        if key == "parameters" or (key == "reply" and isinstance(event, smtp_server.Command)):
            continue
        if isinstance(value, Reply):
            fields.append(b"%d %s" % (value.code, b"|".join(value.lines)))
        elif isinstance(value, dict):
            fields += [b"%s=%s" % (attribute, text if text is not None else b"None") for attribute, text in value.items()]
        elif isinstance(value, tuple):
            fields += value
        elif isinstance(value, smtp_server.State):
            fields.append(value.value.encode())
        elif value is not None:
            fields.append(value)
    return b" ".join(fields)


class Talk:
    """One conversation, fed lazily in pieces of `size` bytes."""

    def __init__(self, machine: smtp_server.Server | smtp_client.Client, size: int) -> None:
        self.machine = machine
        self.size = size
        self.input: deque[bytes] = deque()
        self.out = bytearray()
        self.unanswered: Any = None  # the last event, as long as it can be answered with what it proposes

    def feed(self, data: bytes) -> None:
        self.input += [data[i : i + self.size] for i in range(0, len(data), self.size)] if data != CLOSE else [b""]

    def event(self) -> Any:
        while (event := self.machine.next_event()) is None and self.input:
            self.machine.receive_data(self.input.popleft())
        return event

    def expect(self, wanted: bytes) -> None:
        if wanted == b"nothing":
            assert self.machine.next_event() is None
        elif wanted.startswith(b"state "):
            assert self.machine.state.value.encode() == wanted.removeprefix(b"state ")
            if wanted == b"state closed":
                assert self.event() is None
        elif wanted == b"error":
            with pytest.raises(RemoteProtocolError):
                self.event()
        elif wanted.startswith(b"Content "):
            self.content(wanted.removeprefix(b"Content "))
        else:
            event = self.event()
            assert outcome(event) == wanted
            self.unanswered = event if isinstance(event, smtp_server.Command) and hasattr(event, "reply") else None

    def content(self, wanted: bytes) -> None:
        got = b""
        while len(got) < len(wanted):
            event = self.event()
            assert isinstance(event, smtp_server.Content)
            assert event.data
            got += event.data
        assert got == wanted

    def answer(self, text: bytes) -> None:
        assert isinstance(self.machine, smtp_server.Server)
        code, _, rest = text.partition(b" ")
        self.out += self.machine.reply(Reply(int(code), tuple(rest.split(b"|"))))
        self.unanswered = None

    def answer_as_proposed(self) -> None:
        if self.unanswered is not None:
            assert isinstance(self.machine, smtp_server.Server)
            self.out += self.machine.reply(self.unanswered.reply)
            self.unanswered = None

    def do(self, call: bytes) -> None:
        name, _, argument = call.partition(b" ")
        method = getattr(self.machine, name.decode())
        self.out += method(argument) if argument else method()


def run(path: Path, size: int) -> None:
    ours, theirs = ("S:", "C:") if path.stem.startswith("server-") else ("C:", "S:")
    script = steps(path)
    lmtp = ("connection", b"lmtp") in script
    if ours == "S:":
        talk = Talk(smtp_server.Server(lmtp=lmtp), size)
    else:
        client = smtp_client.Client(lmtp=lmtp)
        client.connected()
        talk = Talk(client, size)
    said = b""
    for index, (verb, data) in enumerate(script):
        if verb == "reply":
            talk.answer(data)
            continue
        talk.answer_as_proposed()
        if verb == "do":
            talk.do(data)
        elif verb == theirs:
            talk.feed(data)
        elif verb == ours:
            said += data
            if script[index + 1 : index + 2] and script[index + 1].verb == ours:
                continue
            assert bytes(talk.out) == said
            said = b""
            talk.out.clear()
        elif verb == "=":
            talk.expect(data)
        else:
            assert (verb, data) == ("connection", b"lmtp")
