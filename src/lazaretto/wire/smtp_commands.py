"""The commands of SMTP and LMTP as a server reads them: one line in, one event out.

    parse(b"MAIL FROM:<a@b.example> SIZE=100", State.READY)    Mail(b"a@b.example", b"<a@b.example> SIZE=100", {b"SIZE": b"100"})
    parse(b"RCPT TO:<a@b.example>", State.READY)               BadSequence(b"RCPT", Reply(503, ...))

Verbs and keywords are read in any case.  Events that can be answered without
asking anybody carry the `reply` they propose.  ACCEPTED says which verb may come in
which state.

Limits:  the caller's, for the line; those of smtp_xforward.
Errors:  none: what is wrong is BadSyntax, BadSequence or Unsupported.
See:     docs/protocols/smtp.md, wire/smtp_server.py (the states)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from lazaretto import regex
from lazaretto.wire import smtp_xforward
from lazaretto.wire.smtp import Reply, parse_path


class State(Enum):
    """Where the conversation is; see the table in wire/smtp_server.py."""

    GREETING = "greeting"
    HELLO = "hello"
    READY = "ready"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    AUTH = "auth"
    CLOSED = "closed"


class Hello(NamedTuple):
    """EHLO, HELO or LHLO.  Answer it with 250, and for EHLO and LHLO the extensions; EHLO is never refused for its name."""

    verb: bytes  # b"EHLO", upper case
    name: bytes


class Mail(NamedTuple):
    """MAIL FROM.  `argument` is what stands behind the colon, as it came."""

    address: bytes  # without brackets and source route; b"" is the null reverse-path
    argument: bytes
    parameters: Mapping[bytes, bytes | None] = {}


class Recipient(NamedTuple):
    """RCPT TO.  `argument` is what stands behind the colon, as it came."""

    address: bytes
    argument: bytes
    parameters: Mapping[bytes, bytes | None] = {}


class Data(NamedTuple):
    """DATA.  Answer it with 354 when the content can be taken."""


class Reset(NamedTuple):
    """RSET."""

    reply: Reply = Reply(250, (b"2.0.0 Ok",))


class Quit(NamedTuple):
    """QUIT."""

    reply: Reply = Reply(221, (b"2.0.0 Bye",))


class Noop(NamedTuple):
    """NOOP."""

    reply: Reply = Reply(250, (b"2.0.0 Ok",))


class Verify(NamedTuple):
    """VRFY."""

    argument: bytes
    reply: Reply = Reply(252, (b"2.0.0 Cannot verify, will try to deliver",))


class Help(NamedTuple):
    """HELP."""

    reply: Reply = Reply(214, (b"2.0.0 RFC 5321",))


class Xforward(NamedTuple):
    """XFORWARD.  Values are decoded, None is [UNAVAILABLE].  Accepted ones are gathered in Server.xforward."""

    attributes: Mapping[bytes, bytes | None]


class Xclient(NamedTuple):
    """XCLIENT.  Answer it with 220: the conversation begins anew."""

    attributes: Mapping[bytes, bytes | None]
    line: bytes  # the whole command as it came, without CRLF


class Auth(NamedTuple):
    """AUTH; `line` is the whole command as it came, without CRLF."""

    line: bytes


class AuthResponse(NamedTuple):
    """The client's answer to a 334, without CRLF."""

    line: bytes


class Starttls(NamedTuple):
    """STARTTLS, which we do not announce."""

    reply: Reply = Reply(502, (b"5.5.1 STARTTLS not available here",))


class Unsupported(NamedTuple):
    """A command that we do not know, or know and do not have."""

    verb: bytes
    reply: Reply


class BadSequence(NamedTuple):
    """A command that may not come now."""

    verb: bytes
    reply: Reply


class BadSyntax(NamedTuple):
    """Not a command, or one with bad arguments."""

    verb: bytes
    reply: Reply


Command = (
    Hello | Mail | Recipient | Data | Reset | Quit | Noop | Verify | Help | Xforward | Xclient
    | Auth | AuthResponse | Starttls | Unsupported | BadSequence | BadSyntax
)  # fmt: skip

_ANY = frozenset((State.HELLO, State.READY, State.MAIL, State.RCPT))
ACCEPTED: Mapping[bytes, frozenset[State]] = {
    b"EHLO": _ANY,
    b"HELO": _ANY,
    b"LHLO": _ANY,
    b"MAIL": frozenset((State.READY,)),
    b"RCPT": frozenset((State.MAIL, State.RCPT)),
    b"DATA": frozenset((State.RCPT,)),
    b"RSET": _ANY,
    b"NOOP": _ANY,
    b"VRFY": _ANY,
    b"HELP": _ANY,
    b"QUIT": _ANY,
    b"XFORWARD": frozenset((State.READY,)),
    b"XCLIENT": frozenset((State.READY,)),
    b"AUTH": frozenset((State.READY,)),
    b"STARTTLS": _ANY,
}
NOT_HERE = frozenset((b"EXPN", b"ETRN", b"ATRN", b"TURN", b"SEND", b"SOML", b"SAML", b"BURL"))
MAX_VERB_BYTES = 20  # of a verb that we do not know
# What follows these are bytes, not commands.
HANG_UP = frozenset((b"BDAT", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH"))
_FROM = regex.compile(rb" *from:(.*)", 2 | 16)  # re.IGNORECASE | re.DOTALL
_TO = regex.compile(rb" *to:(.*)", 2 | 16)


def parse(line: bytes, state: State, lmtp: bool = False) -> Command:
    """The event of the command `line`, without CRLF, in `state`."""
    verb, _, argument = line.partition(b" ")
    verb = verb.upper()
    if verb in HANG_UP:
        return Unsupported(verb, _reply(521, "5.5.1 Command not available here"))
    if verb in NOT_HERE:
        return Unsupported(verb, _reply(502, "5.5.1 Command not available here"))
    if verb not in ACCEPTED or verb in ((b"EHLO", b"HELO") if lmtp else (b"LHLO",)):
        return Unsupported(verb[:MAX_VERB_BYTES], _reply(500, "5.5.2 Unknown command"))
    if state not in ACCEPTED[verb]:
        return BadSequence(verb, _reply(503, f"5.5.1 {_expected(verb, state, lmtp)}"))
    try:
        return _read(verb, argument, line)
    except ValueError as error:
        return BadSyntax(verb, _reply(501, f"5.5.4 Syntax: {error}"))


def _expected(verb: bytes, state: State, lmtp: bool) -> str:
    """Why `verb` may not come now."""
    if state is State.HELLO:
        return "Send LHLO first" if lmtp else "Send EHLO or HELO first"
    if verb == b"DATA":
        return "No valid recipients" if state is State.MAIL else "Send MAIL first"
    return "Send MAIL first" if verb == b"RCPT" else "Not within a transaction"


def _read(verb: bytes, argument: bytes, line: bytes) -> Command:
    """Raises ValueError: what is wrong with the arguments."""
    match verb:
        case b"MAIL":
            found = _FROM.fullmatch(argument)
            if not found:
                raise ValueError("MAIL FROM:<address>")
            return Mail(*_path(found[1]))
        case b"RCPT":
            found = _TO.fullmatch(argument)
            if not found:
                raise ValueError("RCPT TO:<address>")
            recipient = Recipient(*_path(found[1]))
            if not recipient.address:
                raise ValueError("empty recipient")
            return recipient
        case b"EHLO" | b"HELO" | b"LHLO":
            if not argument.strip():
                raise ValueError(f"{verb.decode()} hostname")
            return Hello(verb, argument.strip())
        case b"XFORWARD":
            if len(line) + 2 > smtp_xforward.MAX_COMMAND_BYTES:
                raise ValueError("command too long")
            return Xforward(smtp_xforward.parse_xforward(argument))
        case b"XCLIENT":
            return Xclient(smtp_xforward.parse_xclient(argument), line)
        case b"AUTH":
            if not argument.strip():
                raise ValueError("AUTH mechanism")
            return Auth(line)
        case b"VRFY":
            return Verify(argument)
        case b"NOOP":
            return Noop()
        case b"HELP":
            return Help()
    if argument.strip():
        raise ValueError(f"{verb.decode()} takes no argument")
    match verb:
        case b"DATA":
            return Data()
        case b"RSET":
            return Reset()
        case b"QUIT":
            return Quit()
        case _:
            return Starttls()


def _path(argument: bytes) -> tuple[bytes, bytes, Mapping[bytes, bytes | None]]:
    path = parse_path(argument)
    return path.address, argument, path.parameters


def _reply(code: int, text: str) -> Reply:
    return Reply(code, (text.encode(),))
