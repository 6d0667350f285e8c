r"""Runs the conversations of tests/dialogs/milter, on the pure machine and against a service on a socket.

    # remark
    set NAME VALUE             a setting of the service, MilterSettings'
    verdict NAME               what the pool says of each message: clean, replace, reject, tempfail, discard
    offer V ACTIONS STEPS      the MTA's OPTNEG, numbers in hexadecimal
    agree V ACTIONS STEPS      ours
    C: LETTER DATA             a packet of the MTA's; its length is put in front
    S: LETTER DATA             one of ours
    raw: BYTES                 what the MTA sends, as it is
    C: (close), S: (close)     who hangs up
    = EVENT FIELDS             what the machine makes of it; with it alone, the next packet is answered by itself or by
    reply LETTER DATA          this packet
    = error TEXT               a RemoteProtocolError, with that in it

DATA and BYTES use the escapes of Python.
"""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dialogue import CLOSE
from lazaretto.errors import RemoteProtocolError
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.wire.milter_filter import Filter, Negotiated
from milter_double import Mta, MtaClient, packet

VERBS = ("set", "verdict", "offer", "agree", "C:", "S:", "raw:", "=", "reply")


class Step(NamedTuple):
    verb: str
    data: bytes


def steps_of(text: str, name: str) -> list[Step]:
    result = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        verb, _, rest = line.partition(" ")
        assert verb in VERBS, f"{name}:{number}: {line}"
        data = rest.encode("ascii").decode("unicode_escape").encode("latin-1")
        if verb in ("offer", "agree"):
            data = packet("O", struct.pack(">III", *(int(part, 16) for part in data.split())))
            verb = {"offer": "C:", "agree": "S:"}[verb]
        elif verb in ("C:", "S:", "reply") and data != CLOSE:
            data = packet(chr(data[0]), data[2:])
        elif verb == "raw:":
            verb = "C:"
        result.append(Step(verb, data))
    return result


def steps(path: Path) -> list[Step]:
    return steps_of(path.read_text(encoding="ascii"), path.name)


def outcome(event: Any) -> bytes:
    """An event as one line: its name, and what it holds."""
    fields = [type(event).__name__.encode()]
    for key, value in event._asdict().items():
        if key == "reply":
            continue
        if isinstance(value, tuple):
            fields += value
        elif isinstance(value, bytes):
            fields.append(value)
        elif hasattr(value, "name") and isinstance(value.value, str):
            fields.append(value.value.encode())
        else:
            fields.append(b"%x" % int(value) if isinstance(event, Negotiated) else b"%d" % int(value))
    return b" ".join(field for field in fields if field)


def run_pure(script: list[Step], size: int) -> None:
    """The machine alone, fed in pieces of `size`, only when it asks for more."""
    machine = Filter(MilterSettings().wanted)
    waiting: deque[bytes] = deque()
    out = bytearray()
    negotiated = b""
    failed = False

    def event() -> Any:
        while (found := machine.next_event()) is None and waiting:
            machine.receive_data(waiting.popleft())
        return found

    for verb, data in script:
        if verb not in ("reply", "S:") and machine.waiting:
            out += machine.proceed()
        if verb == "C:":
            waiting.extend([b""] if data == CLOSE else [data[at : at + size] for at in range(0, len(data), size)])
        elif verb == "reply":
            out += machine.send(data)
        elif verb == "S:" and data != CLOSE:
            out += negotiated
            negotiated = b""
            if not out.startswith(data) and machine.waiting:
                out += machine.proceed()
            assert bytes(out[: len(data)]) == data, script
            del out[: len(data)]
        elif verb == "=" and data.startswith(b"error"):
            with pytest.raises(RemoteProtocolError, match=data.removeprefix(b"error").strip().decode()):
                event()
            failed = True
        elif verb == "=":
            found = event()
            assert found is not None, data
            assert outcome(found) == data
            if isinstance(found, Negotiated):
                negotiated = found.reply
    assert bytes(out) == b""
    assert failed or machine.next_event() is None


def run_socket(script: list[Step], address: str, size: int) -> None:
    """A service that listens at `address`."""
    with MtaClient(address, Mta()) as client:
        for verb, data in script:
            if verb == "C:" and data == CLOSE:
                client.close()
                return
            if verb == "C:":
                try:
                    for at in range(0, len(data), size):
                        client.send(data[at : at + size])
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it has hung up already: what it has said comes below
            elif verb == "S:" and data == CLOSE:
                assert client.ended()
            elif verb == "S:":
                letter, rest = client.read()
                assert packet(letter, rest) == data
