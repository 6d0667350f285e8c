r"""SMTP and LMTP, the client's side, as a state machine.

A Client turns commands into bytes to send and received bytes into events; it knows
which command each reply answers.

    client = Client(); client.connected()
    client.receive_data(data)                        b"" is the end of input
    while (event := client.next_event()) is not None: ...
    send(client.command(b"EHLO proxy.example"))      one line, without CRLF
    send(client.data())                              then, after a ReplyEvent with 354:
    send(client.content(chunk)) ...; send(client.finish())

    state       what may be done                     after the reply
    CONNECTING  connected                            GREETING
    GREETING    (wait)                               HELLO for 220, CLOSED for any other
    HELLO       EHLO, HELO, LHLO                     READY for 2xx
    READY       MAIL, AUTH, XFORWARD, XCLIENT, ...   TRANSACTION for MAIL and 2xx; HELLO for XCLIENT and 220; AUTH for AUTH and 334
    TRANSACTION RCPT, data, RSET                     READY for RSET; DATA for data and 354
    DATA        content, finish                      READY after finish, with the reply (LMTP: one for each accepted recipient)
    AUTH        respond                              AUTH for 334, READY for any other
    any         NOOP, RSET, VRFY, HELP, QUIT         CLOSED for QUIT
    any                                              CLOSED for 421

Where the server announces PIPELINING, commands may be given before the replies to
the last ones have come, and then are judged as if those had succeeded (RFC 2920);
EHLO, data, QUIT, NOOP, AUTH, VRFY, XCLIENT end a group.

A transaction is abandoned by closing the connection: within DATA there is no other way.

Limits:  MAX_LINE_BYTES for a command; those of smtp.ReplyReader for a reply.
Errors:  LocalProtocolError when a command is given in the wrong state, or holds CR, LF or NUL;
         RemoteProtocolError when the server says what no command asked, or what is no answer to
         this one (250 to DATA, 354 to RCPT, a positive reply before the end of data).
         After either, `state` is CLOSED: give up the connection.
See:     docs/protocols/smtp.md, RFC 5321, RFC 2033 (LMTP), RFC 2920 (PIPELINING)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.wire.smtp import Reply, ReplyReader, parse_extensions
from lazaretto.wire.smtp_data import Stuffer

MAX_LINE_BYTES = 12288 + 2  # an answer in AUTH (RFC 4954 s4); a server may take less


class State(Enum):
    """Where the conversation is; see the table above."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    HELLO = "hello"
    READY = "ready"
    TRANSACTION = "transaction"
    DATA = "data"
    AUTH = "auth"
    CLOSED = "closed"


class Greeting(NamedTuple):
    """The server's first word: 220, or a refusal (then `state` is CLOSED)."""

    reply: Reply


class ReplyEvent(NamedTuple):
    """The reply to a command.

    `verb` is in upper case, b"." for the end of data; `line` is the command as given, and
    for an end of data in LMTP the RCPT command of the recipient that this reply is about.
    """

    verb: bytes
    line: bytes
    reply: Reply


class Closed(NamedTuple):
    """The server ended the conversation: with a 421, or without a word.  `unanswered` commands got no reply."""

    reply: Reply | None = None
    unanswered: tuple[bytes, ...] = ()  # their lines


Event = Greeting | ReplyEvent | Closed


_HELLO = (b"EHLO", b"HELO", b"LHLO")
_ANY_TIME = frozenset((b"NOOP", b"RSET", b"VRFY", b"EXPN", b"HELP", b"QUIT", *_HELLO))
_LAST_OF_GROUP = frozenset((b"DATA", b"VRFY", b"EXPN", b"NOOP", b"QUIT", b"AUTH", b"XCLIENT", b"STARTTLS", b"HELP", *_HELLO))
_MIDDLE_OF_GROUP = frozenset((b"MAIL", b"RCPT", b"RSET", b"XFORWARD"))
END = b"."

_FORBIDDEN = regex.compile(rb"[\r\n\0]")


class _Asked(NamedTuple):
    verb: bytes
    line: bytes


class Client:
    """One conversation."""

    def __init__(self, *, lmtp: bool = False) -> None:
        self.state = State.CONNECTING
        self.lmtp = lmtp
        self.extensions: Mapping[bytes, bytes] = {}  # as announced in the last reply to EHLO or LHLO
        self.accepted: list[bytes] = []  # RCPT commands of this transaction that got a 2xx
        self._reader = ReplyReader()
        self._asked: deque[_Asked] = deque()  # commands without reply
        self._begun = False  # MAIL was given, and nothing has ended the transaction since
        self._recipients = False  # RCPT was, too
        self._stuffer = Stuffer()
        self._eof = False
        self._last_word: Reply | None = None  # a 421

    @property
    def pipelining(self) -> bool:
        """Has the server announced PIPELINING?"""
        return b"PIPELINING" in self.extensions

    @property
    def outstanding(self) -> int:
        """Replies that are still to come."""
        return len(self._asked)

    def connected(self) -> None:
        """The connection stands: the greeting is awaited."""
        if self.state is not State.CONNECTING:
            raise self._wrong("connected")
        self.state = State.GREETING

    # -- commands: each returns the bytes to send

    def command(self, line: bytes) -> bytes:
        """One command; `line` without CRLF.  DATA has its own method."""
        verb = line.partition(b" ")[0].upper()
        if _FORBIDDEN.search(line) or len(line) + 2 > MAX_LINE_BYTES or verb == b"DATA":
            raise self._wrong(f"{verb[:20]!r}: not a command line")
        self._check(verb)
        if verb == b"MAIL":
            self._begun, self._recipients = True, False
        elif verb == b"RCPT":
            self._recipients = True
        elif verb in (b"RSET", *_HELLO):
            self._begun = False
        self._asked.append(_Asked(verb, line))
        return line + b"\r\n"

    def respond(self, line: bytes) -> bytes:
        """The answer to a 334."""
        if self.state is not State.AUTH or self._asked or _FORBIDDEN.search(line) or len(line) + 2 > MAX_LINE_BYTES:
            raise self._wrong("respond")
        self._asked.append(_Asked(b"AUTH", line))
        return line + b"\r\n"

    def data(self) -> bytes:
        """DATA."""
        self._check(b"DATA")
        self._asked.append(_Asked(b"DATA", b"DATA"))
        return b"DATA\r\n"

    def content(self, chunk: bytes) -> bytes:
        """A piece of the message as it is sent: dots put in; perhaps b""."""
        if self.state is not State.DATA or self._asked:
            raise self._wrong("content")
        return self._stuffer.feed(chunk)

    def finish(self) -> bytes:
        """The rest of the message and the end of data.  Before this call nothing makes the server take the message."""
        if self.state is not State.DATA or self._asked:
            raise self._wrong("finish")
        self._nothing_said()
        for line in self.accepted if self.lmtp else (END,):
            self._asked.append(_Asked(END, line))
        if not self._asked:
            self._end_transaction()
        return self._stuffer.finish()

    def _check(self, verb: bytes) -> None:
        """May `verb` be given now?  Commands without reply are taken to succeed."""
        if self.state not in (State.HELLO, State.READY, State.TRANSACTION):
            raise self._wrong(verb.decode("latin-1"))
        if not self._asked:
            self._nothing_said()
        elif not self.pipelining or self._asked[-1].verb not in _MIDDLE_OF_GROUP:
            raise self._wrong(f"{verb!r} before the reply to {self._asked[-1].verb!r}")
        allowed = (
            (verb not in _HELLO or (verb == b"LHLO") == self.lmtp)
            and (verb in _ANY_TIME or self.state is not State.HELLO)
            and (verb not in (b"RCPT", b"DATA") or self._begun)
            and (verb != b"DATA" or self._recipients)
            and (verb in _ANY_TIME or verb in (b"RCPT", b"DATA") or not self._begun)
        )
        if not allowed:
            raise self._wrong(verb.decode("latin-1"))

    def _nothing_said(self) -> None:
        """An answer sent ahead of its question must not be taken for one: least of all for the one to the end of data."""
        if self._reader.pending:
            self.state = State.CLOSED
            raise RemoteProtocolError("a reply came before its command")

    def _wrong(self, what: str) -> LocalProtocolError:
        return LocalProtocolError(f"{what} in state {self.state.value}, {len(self._asked)} replies outstanding")

    # -- replies

    def receive_data(self, data: bytes) -> None:
        """Take what the connection gave; b"" is its end.  Then call next_event until it gives None."""
        if data:
            self._reader.feed(data)
        else:
            self._eof = True

    def next_event(self) -> Event | None:
        """The next event, or None if more data is needed.  After Closed there is nothing more."""
        if self.state is State.CLOSED:
            if self._last_word is None:
                return None
            reply, self._last_word = self._last_word, None
            return self._closed(reply)
        try:
            reply_or_none = self._reader.next_reply()
            if reply_or_none is None:
                return self._closed(None) if self._eof else None
            return self._event(reply_or_none)
        except RemoteProtocolError:
            self.state = State.CLOSED
            raise

    def _closed(self, reply: Reply | None) -> Closed:
        self.state = State.CLOSED
        lines = tuple(asked.line for asked in self._asked)
        self._asked.clear()
        return Closed(reply, lines)

    def _event(self, reply: Reply) -> Event:
        if self.state is State.GREETING:
            self.state = State.HELLO if reply.code == 220 else State.CLOSED
            return Greeting(reply)
        if not self._asked:
            if reply.code == 421:
                return self._closed(reply)
            if self.state is State.DATA and reply.code >= 400:
                # It has heard enough.  Whether it reads on, and answers again, nobody can know.
                self.state = State.CLOSED
                return ReplyEvent(END, END, reply)
            raise RemoteProtocolError(f"reply that nothing asked for: {reply}")
        asked = self._asked.popleft()
        if reply.code == 421:
            self.state = State.CLOSED
            self._last_word = reply
        else:
            self._advance(asked, reply)
        return ReplyEvent(asked.verb, asked.line, reply)

    def _advance(self, asked: _Asked, reply: Reply) -> None:
        """The state after `reply`; the table in the module's docstring."""
        verb = asked.verb
        if 300 <= reply.code < 400 and (verb, reply.code) not in ((b"DATA", 354), (b"AUTH", 334)):
            raise RemoteProtocolError(f"{reply.code} is no answer to {_name(verb)}")
        if reply.positive and verb == b"DATA":
            raise RemoteProtocolError(f"{reply.code} is no answer to DATA")
        match verb:
            case b"EHLO" | b"LHLO" | b"HELO" if reply.positive:
                self.extensions = {} if verb == b"HELO" else parse_extensions(reply)
                self._end_transaction()
            case b"MAIL" if reply.positive:
                self.state = State.TRANSACTION
                self.accepted = []
            case b"MAIL":
                # What was sent with it fails too; what comes next begins anew, unless a second MAIL is under way.
                self._begun = any(later.verb == b"MAIL" for later in self._asked) and self._begun
            case b"RCPT" if reply.positive:
                self.accepted.append(asked.line)
            case b"DATA" if reply.code == 354:
                self.state = State.DATA
                self._stuffer = Stuffer()
            case b"RSET" if reply.positive and self.state is not State.HELLO:
                self._end_transaction(keep=any(later.verb == b"MAIL" for later in self._asked))
            case b".":
                if not self._asked:
                    self._end_transaction()
            case b"AUTH":
                self.state = State.AUTH if reply.code == 334 else State.READY
            case b"XCLIENT" if reply.code == 220:
                self.state = State.HELLO
                self.extensions = {}
            case b"QUIT":
                self.state = State.CLOSED
            case _:
                pass

    def _end_transaction(self, keep: bool = False) -> None:
        self.state = State.READY
        self.accepted = []
        self._begun = keep


def _name(verb: bytes) -> str:
    return "the end of data" if verb == END else verb.decode("latin-1")
