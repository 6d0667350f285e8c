r"""What an MTA tells a filter, taken apart: packets in, events out.

    parse(Packet(b"M", b"<a@b>\0SIZE=1\0"))     Mail(b"<a@b>", (b"SIZE=1",))

Texts are bytes that end with NUL; what they mean is somebody else's affair.  Macros keeps what the MTA has
said of {name} or a single letter, until the step that they were told for is over.

Limits:  MAX_MACROS of a step, MAX_STEPS; what is more is not kept.  A value is cut at MAX_MACRO_BYTES.
Errors:  RemoteProtocolError for data that has not the form of its command.
See:     docs/protocols/milter.md; libmilter's mfdef.h, Postfix' MILTER_README "What macros will Postfix send"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire import milter as wire
from lazaretto.wire.milter import Actions, Packet, Steps

MAX_MACROS = 256  # of a step; an MTA sends a dozen
MAX_STEPS = 16  # letters that macros are told for; the protocol has 15
MAX_MACRO_BYTES = 4096  # of one; {cert_subject} and the like have some hundreds


class Negotiate(NamedTuple):
    """What the MTA can do.  `rest`: bytes that a version to come may have put behind."""

    version: int
    actions: Actions
    steps: Steps
    rest: bytes = b""


class MacroList(NamedTuple):
    """Names as they were sent, `{x}` or `x`, for the command with the letter `command`."""

    command: bytes
    pairs: tuple[tuple[bytes, bytes], ...]


class Connect(NamedTuple):
    """A client of the MTA.  `family`: b"4", b"6", b"L" (UNIX socket), b"U" (not known); `address` as the MTA wrote it."""

    hostname: bytes
    family: bytes
    port: int = 0
    address: bytes = b""


class Helo(NamedTuple):
    name: bytes


class Mail(NamedTuple):
    """`address` as in the SMTP command, usually in angle brackets."""

    address: bytes
    parameters: tuple[bytes, ...] = ()


class Recipient(NamedTuple):
    address: bytes
    parameters: tuple[bytes, ...] = ()


class Data(NamedTuple):
    pass


class Header(NamedTuple):
    """One field; `value` with the blank after the colon, if Steps.LEADING_SPACE was agreed on."""

    name: bytes
    value: bytes


class EndOfHeaders(NamedTuple):
    pass


class Body(NamedTuple):
    data: bytes


class EndOfBody(NamedTuple):
    """The message is complete; `data` is its last piece, with some MTAs."""

    data: bytes = b""


class Abort(NamedTuple):
    pass


class Quit(NamedTuple):
    pass


class NewConnection(NamedTuple):
    """The session is over; what comes now is about another one."""


class Unknown(NamedTuple):
    command: bytes


Command = (
    Negotiate | MacroList | Connect | Helo | Mail | Recipient | Data | Header | EndOfHeaders | Body | EndOfBody | Abort | Quit
    | NewConnection | Unknown
)  # fmt: skip


def parse(packet: Packet) -> Command:
    """The event of one packet."""
    code, data = packet
    match code:
        case wire.BODY:
            return Body(data)
        case wire.HEADER:
            name, value = _strings(packet, 2, 2)
            return Header(name, value)
        case wire.MACRO:
            return _macros(data)
        case wire.MAIL:
            address, *parameters = _strings(packet, 1)
            return Mail(address, tuple(parameters))
        case wire.RCPT:
            address, *parameters = _strings(packet, 1)
            return Recipient(address, tuple(parameters))
        case wire.END:
            return EndOfBody(data)
        case wire.HELO:
            return Helo(_strings(packet, 1, 1)[0])
        case wire.CONNECT:
            return _connect(packet)
        case wire.OPTNEG:
            return _negotiate(data)
        case wire.UNKNOWN:
            return Unknown(_strings(packet, 1, 1)[0])
    simple = _SIMPLE.get(code)
    if simple is None:
        raise RemoteProtocolError(f"no such command: {code!r}")
    return simple()


_SIMPLE: dict[bytes, type[Abort | Quit | NewConnection | Data | EndOfHeaders]] = {
    wire.ABORT: Abort,
    wire.QUIT: Quit,
    wire.QUIT_NC: NewConnection,
    wire.DATA: Data,
    wire.EOH: EndOfHeaders,
}


def _strings(packet: Packet, least: int, most: int = 1 << 16) -> list[bytes]:
    """The texts of a packet, each with its NUL."""
    texts = packet.data.split(b"\0")
    if texts.pop() or not least <= len(texts) <= most:
        raise RemoteProtocolError(f"packet {packet.code.decode('ascii')!r}: expected {least} or more texts that end with NUL")
    return texts


def _macros(data: bytes) -> MacroList:
    if not data:
        raise RemoteProtocolError("packet 'D': expected the letter of a command")
    texts = data[1:].split(b"\0")
    if texts[-1] == b"":
        texts.pop()
    # quirk: a last name without a value, which some MTA's empty macro comes to
    texts += [b""] * (len(texts) % 2)
    pairs = tuple(zip(texts[0 : 2 * MAX_MACROS : 2], texts[1 : 2 * MAX_MACROS : 2], strict=True))
    return MacroList(data[:1], pairs)


def _connect(packet: Packet) -> Connect:
    hostname, nul, rest = packet.data.partition(b"\0")
    if not nul or not rest:
        raise RemoteProtocolError("packet 'C': expected a host name and a family")
    family, where = rest[:1], rest[1:]
    if len(where) < 2 or family not in (b"4", b"6", b"L"):  # of an unknown client, there is neither port nor address
        return Connect(hostname, b"U")
    return Connect(hostname, family, int.from_bytes(where[:2], "big"), where[2:].partition(b"\0")[0])


def _negotiate(data: bytes) -> Negotiate:
    if len(data) < 12:
        raise RemoteProtocolError(f"packet 'O': expected version, actions and protocol, 12 bytes, not {len(data)}")
    version, actions, steps = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
    return Negotiate(version, Actions(actions), Steps(steps), data[12:])


class Macros:
    """What is known of a session and of its message.  Names have no braces: `{i}` and `i` are the same.

    What has been told belongs to the command that comes next, and is known once that is here (`settle`).
    """

    __slots__ = ("_by_step", "_told")

    def __init__(self) -> None:
        self._by_step: dict[bytes, dict[bytes, bytes]] = {}
        self._told: dict[bytes, dict[bytes, bytes]] = {}

    def take(self, told: MacroList) -> None:
        """A list takes the place of the one before it for the same command."""
        if len(self._told) < MAX_STEPS or told.command in self._told:
            self._told[told.command] = {bare(name): value[:MAX_MACRO_BYTES] for name, value in told.pairs}

    def settle(self) -> None:
        """The command is here that they were told for."""
        for command, macros in self._told.items():
            self._by_step.pop(command, None)  # to the end: what was told last counts
            if len(self._by_step) < MAX_STEPS:
                self._by_step[command] = macros
        self._told = {}

    def get(self, name: bytes) -> bytes | None:
        """The value that was told last; None if there is none."""
        for step in reversed(self._by_step.values()):
            if name in step:
                return step[name]
        return None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        known: dict[bytes, bytes] = {}
        for step in self._by_step.values():
            known.update(step)
        return iter(known.items())

    def end_message(self) -> None:
        """What was told of the session stays."""
        for command in [command for command in self._by_step if command not in (wire.CONNECT, wire.HELO)]:
            del self._by_step[command]

    def clear(self) -> None:
        """The session is over."""
        self._by_step.clear()


def bare(name: bytes) -> bytes:
    """A macro's name without braces."""
    return name[1:-1] if name[:1] == b"{" and name[-1:] == b"}" else name
