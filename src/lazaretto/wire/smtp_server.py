r"""SMTP and LMTP, the server's side, as a state machine.

A Server turns received bytes into events and replies into bytes to send.  It hands
out one command at a time: the next one comes when the last has its reply, so a
client may send as many ahead as it likes (PIPELINING).

    server = Server()
    send(server.reply(Reply(220, ...)))              the greeting
    server.receive_data(data)                        b"" is the end of input
    while (event := server.next_event()) is not None:
        send(server.reply(...))                      for every event but Content and Closed
    send(server.hang_up(Reply(421, ...)))            at any time: the last word

    state      event                        reply    next state
    GREETING   (none yet)                   220      HELLO              anything else: CLOSED
    HELLO      Hello                        2xx      READY              also from READY, MAIL, RCPT: ends a transaction
    READY      Mail                         2xx      MAIL
    MAIL       Recipient                    2xx      RCPT
    RCPT       Recipient                    2xx      RCPT
    RCPT       Data                         354      DATA               any other, and more has come: CLOSED
    DATA       Content                      none     DATA
    DATA       EndOfData                    any      READY              LMTP: one reply for each accepted recipient
    READY      Xforward                     any      READY
    READY      Xclient                      220      HELLO
    READY      Auth                         334      AUTH               any other: READY
    AUTH       AuthResponse                 334      AUTH               any other: READY
    any        Reset                        2xx      READY              HELLO stays
    any        Noop, Verify, Help           any      the same
    any        Starttls, Unsupported,
               BadSequence, BadSyntax       any      the same
    any        Quit                         any      CLOSED
    any        any                          421,521  CLOSED

A reply that is not the one in the table leaves the state as it was.  Events that the
machine can answer itself carry the `reply` it proposes; those that only the caller can
answer (Hello, Mail, Recipient, Data, EndOfData, Xforward, Xclient, Auth, AuthResponse) do not.
smtp_commands.ACCEPTED is this table as data: which command may come in which state.

A command ends in CRLF.  A bare LF in one, a command that announces bytes (BDAT), and
the first line of an HTTP request get a BadSyntax or Unsupported with a 521: what follows
is not to be trusted to be commands.  CR, NUL and other control characters in a line,
and lines that are too long, get a 500, and the next line is a new command.

Limits:  `max_line` bytes for a command, MAX_AUTH_LINE_BYTES for an answer in AUTH, both with
         CRLF; MAX_SKIPPED_BYTES of a line that is too long.
Errors:  LocalProtocolError for a reply that nobody waits for.  What the client does wrong is an event.
See:     docs/protocols/smtp.md, RFC 5321, RFC 2033 (LMTP), RFC 2920 (PIPELINING), RFC 4954 (AUTH)
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LocalProtocolError
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_commands import (
    Auth,
    AuthResponse,
    BadSequence,
    BadSyntax,
    Command,
    Data,
    Hello,
    Help,
    Mail,
    Noop,
    Quit,
    Recipient,
    Reset,
    Starttls,
    State,
    Unsupported,
    Verify,
    Xclient,
    Xforward,
    parse,
)
from lazaretto.wire.smtp_data import Unstuffer

__all__ = [
    "CLOSING",
    "MAX_AUTH_LINE_BYTES",
    "MAX_LINE_BYTES",
    "MAX_SKIPPED_BYTES",
    "Auth",
    "AuthResponse",
    "BadSequence",
    "BadSyntax",
    "Closed",
    "Command",
    "Content",
    "Data",
    "EndOfData",
    "Event",
    "Hello",
    "Help",
    "Mail",
    "Noop",
    "Quit",
    "Recipient",
    "Reset",
    "Server",
    "Starttls",
    "State",
    "Unsupported",
    "Verify",
    "Xclient",
    "Xforward",
]

MAX_LINE_BYTES = 4096  # RFC 5321 says 512 and more with each extension; Postfix takes 2048
MAX_AUTH_LINE_BYTES = 12288 + 2  # RFC 4954 s4
MAX_SKIPPED_BYTES = 1 << 20  # of one line; then it is not a mistake any more


class Content(NamedTuple):
    """Bytes of the message, without the dots that SMTP puts in; never empty, and not to be answered."""

    data: bytes


class EndOfData(NamedTuple):
    """The message is complete.  LMTP: one reply for each accepted recipient, in their order.  The marks: see smtp_data.Unstuffer."""

    suspicious: bool = False
    bare_cr: bool = False
    bare_lf: bool = False
    nul: bool = False


class Closed(NamedTuple):
    """The end of input.  `state` is where it cut the conversation: in DATA, the message is not complete and must be forgotten."""

    state: State


Event = Command | Content | EndOfData | Closed

CLOSING = (421, 521)  # replies after which no command is read

_LEAVING = regex.compile(rb"(?:\A|\n)QUIT\r\n\Z", 2)  # re.IGNORECASE
_LEAVING_BYTES = len(b"\nQUIT\r\n")
_CONTROL = regex.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Server:
    """One conversation.

    `end_of_data` and `stray` are those of smtp_data.Unstuffer.  Stop reading from the
    connection while `buffered` is large: what comes before its turn is kept.
    """

    def __init__(
        self,
        *,
        lmtp: bool = False,
        max_line: int = MAX_LINE_BYTES,
        end_of_data: str = "reject",
        stray: str = "pass",
    ) -> None:
        self.state = State.GREETING
        self.lmtp = lmtp
        self.accepted = 0  # recipients of this transaction
        self.errors = 0  # commands so far that were BadSequence, BadSyntax or Unsupported
        self.xforward: dict[bytes, bytes | None] = {}  # accepted since the last transaction
        self._max_line = max_line
        self._how_to_read = (end_of_data, stray)
        self._unstuffer = Unstuffer()
        self._buffer = bytearray()  # commands; seen to hold no line end before _seen
        self._seen = 0
        self._skipped = 0  # bytes of a line that is too long
        self._content: deque[bytes] = deque()  # received in DATA, not looked at
        self._eof = False
        self._last: Event | None = None  # the event that waits for replies; at first the greeting does
        self._due = 1

    @property
    def waiting(self) -> bool:
        """Is a reply owed?  Then next_event gives None, whatever is received."""
        return self._due > 0

    @property
    def buffered(self) -> int:
        """Bytes that were received and not handed out."""
        return len(self._buffer) + sum(map(len, self._content))

    @property
    def leaving(self) -> bool:
        """Is QUIT the last command that was received, and still to be handed out?  Of what is still content, nobody knows yet."""
        return _LEAVING.search(self._buffer, max(len(self._buffer) - _LEAVING_BYTES, 0)) is not None

    def receive_data(self, data: bytes) -> None:
        """Take what the connection gave; b"" is its end.  Then call next_event until it gives None."""
        if not data:
            self._eof = True
        elif self.state is State.DATA and not self._due:
            self._content.append(data)
        elif self.state is not State.CLOSED:
            self._buffer += data

    def next_event(self) -> Event | None:
        """The next event; None if more data is needed, or the last event has not got its reply."""
        if self._due or self.state is State.CLOSED:
            return None
        event = self._next_content() if self.state is State.DATA else self._next_command()
        if event is None:
            if not self._eof:
                return None
            state, self.state = self.state, State.CLOSED
            return Closed(state)
        if isinstance(event, Content):
            return event
        if isinstance(event, (BadSequence, BadSyntax, Unsupported)):
            self.errors += 1
        self._last = event
        self._due = self.accepted if self.lmtp and isinstance(event, EndOfData) else 1
        return event

    def reply(self, reply: Reply) -> bytes:
        """Answer the last event (at first: greet); the bytes to send.  Close the connection once `state` is CLOSED."""
        if not self._due:
            raise LocalProtocolError(f"reply {reply.code} that nobody waits for, in state {self.state.value}")
        self._due -= 1
        if not self._due:
            self._advance(self._last, reply)
        if reply.code in CLOSING:
            # LMTP's other recipients are still owed theirs; without them the client would ask for all again.
            self._last = Quit() if self._due else self._last
            self.state = self.state if self._due else State.CLOSED
        return reply.to_bytes()

    def hang_up(self, reply: Reply) -> bytes:
        """Say a last word that nobody asked for (a 421: time is up, we are going down); the bytes to send.  `state` is CLOSED."""
        self._due = 0
        self.state = State.CLOSED
        return reply.to_bytes()

    def _advance(self, event: Event | None, reply: Reply) -> None:
        """The state after the last reply to `event`; the table in the module's docstring."""
        match event:
            case None:
                self.state = State.HELLO if reply.code == 220 else State.CLOSED
            case Quit():
                self.state = State.CLOSED
            case Hello() if reply.positive:
                self._reset(State.READY)
            case Reset() if reply.positive:
                self._reset(State.HELLO if self.state is State.HELLO else State.READY)
            case Mail() if reply.positive:
                self.state = State.MAIL
            case Recipient() if reply.positive:
                self.accepted += 1
                self.state = State.RCPT
            case Data() if reply.code == 354:
                self.state = State.DATA
                self._unstuffer = Unstuffer(*self._how_to_read)
                if self._buffer:
                    self._content.append(bytes(self._buffer))
                    self._buffer.clear()
            case Data() | BadSequence(verb=b"DATA") | BadSyntax(verb=b"DATA") if self._buffer:
                # Nothing may follow DATA before its reply (RFC 2920 s3.1), so this is content: not to be read as commands.
                self.state = State.CLOSED
            case EndOfData():
                self._reset(State.READY)
            case Xforward() if reply.positive:
                self.xforward.update(event.attributes)
            case Xclient() if reply.code == 220:
                self._reset(State.HELLO)
            case Auth() | AuthResponse():
                self.state = State.AUTH if reply.code == 334 else State.READY
            case _:
                pass

    def _reset(self, state: State) -> None:
        self.state = state
        self.accepted = 0
        self.xforward = {}

    # -- content

    def _next_content(self) -> Content | EndOfData | None:
        unstuffer = self._unstuffer
        while self._content and not unstuffer.ended:
            data = unstuffer.feed(self._content.popleft())
            if data:
                return Content(data)
        if not unstuffer.ended:
            return None
        self._buffer += unstuffer.rest
        self._seen = 0
        while self._content:
            self._buffer += self._content.popleft()
        return EndOfData(unstuffer.suspicious, unstuffer.bare_cr, unstuffer.bare_lf, unstuffer.nul)

    # -- commands

    def _next_command(self) -> Event | None:
        limit = MAX_AUTH_LINE_BYTES if self.state is State.AUTH else self._max_line
        stop = -1 if self._skipped else self._buffer.find(b"\n", self._seen, limit)
        if stop < 0:
            if not self._skipped and len(self._buffer) < limit:
                self._seen = len(self._buffer)
                return None
            return self._skip()
        line = bytes(self._buffer[: stop + 1])
        del self._buffer[: stop + 1]
        self._seen = 0
        if not line.endswith(b"\r\n"):
            return _refusal(521, "Bare LF: lines end in CR LF")
        line = line[:-2]
        return _refusal(500, "Control character in command", self.state) if _CONTROL.search(line) else self._command(line)

    def _command(self, line: bytes) -> Command:
        return AuthResponse(line) if self.state is State.AUTH else parse(line, self.state, self.lmtp)

    def _skip(self) -> Command | None:
        """Skip a line that is too long, and be there again at the next."""
        stop = self._buffer.find(b"\r\n")
        size = stop if stop >= 0 else len(self._buffer) - self._buffer.endswith(b"\r")
        self._skipped += size
        del self._buffer[: size + 2 if stop >= 0 else size]
        if self._skipped > MAX_SKIPPED_BYTES:
            return _refusal(521, "Line too long")
        if stop < 0:
            return None
        self._skipped = self._seen = 0
        return _refusal(500, "Line too long", self.state)


def _refusal(code: int, text: str, state: State | None = None) -> Command:
    if state is State.AUTH:
        return AuthResponse(b"*")  # whoever awaits the answer is told that there is none: RFC 4954 s4
    return BadSyntax(b"", Reply(code, (b"5.5.2 " + text.encode(),)))
