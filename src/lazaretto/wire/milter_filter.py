r"""The milter protocol, the filter's side, as a state machine.

A Filter turns received bytes into events, one at a time, and checks what is sent.

    machine = Filter(Wanted(...))
    machine.receive_data(data)                            b"" is the end of input
    while (event := machine.next_event()) is not None:
        if machine.waiting:                               the MTA waits for an answer
            send(machine.send(packet(CONTINUE)))
        send(machine.proceed())                           the same, for events that may need none

    state      command                               next state
    START      Negotiate                             IDLE        the answer is Negotiated.reply
    START      Quit                                  CLOSED
    IDLE       Connect, Helo, Unknown, Abort         IDLE
    IDLE       NewConnection                         IDLE        nothing is known of the client any more
    IDLE       Mail, Recipient, Data                 ENVELOPE    steps may be missing: they were negotiated away
    IDLE       Header                                HEADERS
    IDLE       EndOfHeaders, Body                    BODY
    IDLE       EndOfBody                             IDLE        with its answer, as from everywhere
    ENVELOPE   Recipient, Data, Unknown              ENVELOPE
    ENVELOPE   Header                                HEADERS
    ENVELOPE   EndOfHeaders, Body                    BODY
    HEADERS    Header, Unknown                       HEADERS
    HEADERS    EndOfHeaders, Body                    BODY
    BODY       Body, Unknown                         BODY
    any but START   Abort                            IDLE
    any but START   Mail, Connect, Helo              within a message: Abort comes first, as if it had been said
    any        Quit                                  CLOSED

NEXT is this table as data.  Macros may come before any command; they are kept, and no event.

Steps that are missing are no fault: a filter that knows nothing of the sender still scans.  What comes out of order ends the
connection, and the MTA does as it was told for that case (tempfail, we hope).

The answer to a command is one packet: CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, REPLY_CODE, or SKIP to a Body. If the
MTA has agreed not to wait (Steps.NR_...), there is none. While EndOfBody waits, changes may be sent before it, and PROGRESS; after
the first piece of a new body, only further ones: Postfix takes no mixture.

Limits:  of milter.py and milter_commands.py.
Errors:  RemoteProtocolError; LocalProtocolError for what may not be sent now, or was not agreed on.
See:     docs/protocols/milter.md
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.wire import milter as wire
from lazaretto.wire.milter import MAX_VERSION, MIN_VERSION, Actions, Packets, Steps, packet
from lazaretto.wire.milter_commands import (
    Abort,
    Body,
    Command,
    Connect,
    Data,
    EndOfBody,
    EndOfHeaders,
    Header,
    Helo,
    MacroList,
    Macros,
    Mail,
    Negotiate,
    NewConnection,
    Quit,
    Recipient,
    Unknown,
    parse,
)
from lazaretto.wire.milter_replies import negotiated


class State(Enum):
    """See the module."""

    START = "start"
    IDLE = "idle"
    ENVELOPE = "envelope"
    HEADERS = "headers"
    BODY = "body"
    CLOSED = "closed"


class Wanted(NamedTuple):
    """What we would like; we take what the MTA offers of it.

    `symbols`: (stage, names of macros), for an MTA that lets us choose; stages are SMFIM_CONNECT 0, SMFIM_HELO 1, SMFIM_ENVFROM 2,
    SMFIM_ENVRCPT 3, SMFIM_DATA 4, SMFIM_EOM 5, SMFIM_EOH 6.
    """

    actions: Actions = Actions(0)
    steps: Steps = Steps(0)
    symbols: tuple[tuple[int, bytes], ...] = ()


_NOTHING = Wanted()


class Negotiated(NamedTuple):
    """What was agreed on, and what is `missing` of what we wanted."""

    version: int
    actions: Actions
    steps: Steps
    missing: Actions
    reply: bytes


class Closed(NamedTuple):
    """The MTA has hung up, in this state."""

    state: State


Event = (
    Negotiated | Connect | Helo | Mail | Recipient | Data | Header | EndOfHeaders | Body | EndOfBody | Abort | Quit | NewConnection
    | Unknown | Closed
)  # fmt: skip

_START, _IDLE, _ENVELOPE, _HEADERS, _BODY, _CLOSED = State
NEXT: dict[State, dict[type, State]] = {
    _START: {Negotiate: _IDLE},
    _IDLE: {Mail: _ENVELOPE, Recipient: _ENVELOPE, Data: _ENVELOPE, Header: _HEADERS, EndOfHeaders: _BODY, Body: _BODY},
    _ENVELOPE: {Recipient: _ENVELOPE, Data: _ENVELOPE, Header: _HEADERS, EndOfHeaders: _BODY, Body: _BODY},
    _HEADERS: {Header: _HEADERS, EndOfHeaders: _BODY, Body: _BODY},
    _BODY: {Body: _BODY},
    _CLOSED: {},
}
for _state in (_IDLE, _ENVELOPE, _HEADERS, _BODY):
    NEXT[_state] |= {EndOfBody: _state, Abort: _IDLE, NewConnection: _IDLE, Unknown: _state}
NEXT[_IDLE] |= {Connect: _IDLE, Helo: _IDLE}
IN_MESSAGE = (_ENVELOPE, _HEADERS, _BODY)

_NO_REPLY: dict[type, Steps] = {
    Connect: Steps.NR_CONNECT,
    Helo: Steps.NR_HELO,
    Mail: Steps.NR_MAIL,
    Recipient: Steps.NR_RCPT,
    Data: Steps.NR_DATA,
    Header: Steps.NR_HEADER,
    EndOfHeaders: Steps.NR_EOH,
    Body: Steps.NR_BODY,
    Unknown: Steps.NR_UNKNOWN,
    EndOfBody: Steps(0),  # that one always waits
}
_NEEDS: dict[bytes, Actions] = {
    wire.ADD_HEADER: Actions.ADD_HEADERS,
    wire.INSERT_HEADER: Actions.ADD_HEADERS,
    wire.CHANGE_HEADER: Actions.CHANGE_HEADERS,
    wire.REPLACE_BODY: Actions.CHANGE_BODY,
    wire.ADD_RCPT: Actions.ADD_RCPT,
    wire.ADD_RCPT_PAR: Actions.ADD_RCPT_PAR,
    wire.DELETE_RCPT: Actions.DELETE_RCPT,
    wire.CHANGE_FROM: Actions.CHANGE_FROM,
    wire.QUARANTINE: Actions.QUARANTINE,
}
_ENDING = frozenset({wire.ACCEPT, wire.REJECT, wire.TEMPFAIL, wire.DISCARD, wire.REPLY_CODE})  # of a message, or of a recipient


class Filter:
    """See the module."""

    def __init__(self, wanted: Wanted = _NOTHING) -> None:
        self._wanted = wanted
        self._packets = Packets()
        self._held: Command | None = None  # what comes after an Abort that nobody has said
        self._asked: type | None = None  # what waits for its answer
        self._chunks = False  # of a new body have been sent
        self._stale: Callable[[], None] | None = None  # macros are known until the event that ends their time has been dealt with
        self.state = State.START
        self.version = 0
        self.actions = Actions(0)
        self.steps = Steps(0)
        self.macros = Macros()

    @property
    def waiting(self) -> bool:
        """Does the MTA wait for an answer?"""
        return self._asked is not None

    @property
    def buffered(self) -> int:
        """Bytes that have come and were not handed out."""
        return self._packets.buffered

    @property
    def changing(self) -> bool:
        """Has a piece of a new body been sent?  Then only TEMPFAIL can take the message back."""
        return self._chunks

    def receive_data(self, data: bytes) -> None:
        """b"" is the end of input."""
        self._packets.receive_data(data)

    def next_event(self) -> Event | None:
        """None: wait for more, or the last one has no answer yet.  RemoteProtocolError."""
        if self._asked is not None or self.state is State.CLOSED:
            return None
        if self._stale is not None:
            self._stale()
            self._stale = None
        while (command := self._next_command()) is not None:
            if isinstance(command, MacroList) and self.state is not State.START:
                self.macros.take(command)
                continue
            return self._event(command)
        if self._packets.ended:
            before, self.state = self.state, State.CLOSED
            return Closed(before)
        return None

    def proceed(self) -> bytes:
        """Go on: CONTINUE, if the MTA waits for an answer."""
        return self.send(packet(wire.CONTINUE)) if self._asked is not None else b""

    def send(self, data: bytes) -> bytes:
        """`data`, one packet, which may be sent now.  LocalProtocolError."""
        code = data[4:5]
        if self._asked is None:
            raise LocalProtocolError(f"nobody waits for packet {code!r}")
        if code == wire.PROGRESS or code in _NEEDS:
            self._check_change(code)
        elif code == wire.SKIP:
            if self._asked is not Body or not self.steps & Steps.SKIP:
                raise LocalProtocolError("SKIP answers a piece of a body, if that was agreed on")
            self._asked = None
        elif code == wire.CONTINUE or code in _ENDING:
            self._end(code)
        else:
            raise LocalProtocolError(f"packet {code!r} is no answer")
        return data

    def lacking(self, actions: Actions) -> Actions:
        """Those of `actions` that the MTA has not offered."""
        return actions & ~self.actions

    # -- inside

    def _next_command(self) -> Command | None:
        held, self._held = self._held, None
        if held is not None:
            return held
        found = self._packets.next_packet()
        return parse(found) if found is not None else None

    def _event(self, command: Command) -> Event:
        kind = type(command)
        if isinstance(command, Quit):
            self.state = State.CLOSED
            return command
        if kind in (Mail, Connect, Helo) and self.state in IN_MESSAGE:
            self._held, command = command, Abort()
            kind = Abort
        following = NEXT[self.state].get(kind)
        if following is None:
            raise RemoteProtocolError(f"{kind.__name__} in state {self.state.value}")
        if isinstance(command, Negotiate):
            return self._negotiate(command)
        assert not isinstance(command, MacroList)
        self.state = following
        if self._held is None:  # else the macros that have come belong to the command that waits
            self.macros.settle()
        if kind in (Abort, NewConnection):
            self._chunks = False
            self._stale = self.macros.clear if kind is NewConnection else self.macros.end_message
        elif not self.steps & _NO_REPLY[kind] or kind is EndOfBody:
            self._asked = kind
        return command

    def _negotiate(self, offer: Negotiate) -> Negotiated:
        if offer.version < MIN_VERSION:
            raise RemoteProtocolError(f"expected version {MIN_VERSION} or more of the milter protocol, not {offer.version}")
        self.state = State.IDLE
        self.version = min(offer.version, MAX_VERSION)
        self.actions = self._wanted.actions & offer.actions
        self.steps = self._wanted.steps & offer.steps
        self._packets.allow(self.steps)
        symbols = self._wanted.symbols if self.actions & Actions.SET_SYMBOLS else ()
        reply = negotiated(self.version, self.actions, self.steps, symbols)
        return Negotiated(self.version, self.actions, self.steps, self._wanted.actions & ~offer.actions, reply)

    def _check_change(self, code: bytes) -> None:
        if self._asked is not EndOfBody:
            raise LocalProtocolError(f"packet {code!r} comes at the end of a message only")
        if code == wire.PROGRESS:
            return
        if not self.actions & _NEEDS[code]:
            raise LocalProtocolError(f"{_NEEDS[code].name} was not agreed on")
        if code == wire.REPLACE_BODY:
            self._chunks = True
        elif self._chunks:
            raise LocalProtocolError(f"packet {code!r} after a piece of the new body")

    def _end(self, code: bytes) -> None:
        asked, self._asked = self._asked, None
        if self._chunks and code not in (wire.ACCEPT, wire.CONTINUE, wire.TEMPFAIL):
            self._asked = asked
            raise LocalProtocolError(f"packet {code!r} after a piece of the new body")
        of_message = code in (wire.ACCEPT, wire.DISCARD) if asked is Recipient else asked in (Mail, Data, Header, EndOfHeaders, Body)
        if asked is EndOfBody or (of_message and code != wire.CONTINUE):
            self._over()

    def _over(self) -> None:
        self.state = State.IDLE
        self._chunks = False
        self._stale = self.macros.end_message
