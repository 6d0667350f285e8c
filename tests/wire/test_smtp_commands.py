from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.wire import smtp_commands as commands
from lazaretto.wire.smtp_commands import ACCEPTED, BadSequence, BadSyntax, State, Unsupported, parse


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"EHLO mx.example", commands.Hello(b"EHLO", b"mx.example")),
        (b"ehlo  [IPv6:::1] ", commands.Hello(b"EHLO", b"[IPv6:::1]")),
        (b"HeLo x y", commands.Hello(b"HELO", b"x y")),
        (b"DATA", commands.Data()),
        (b"data ", commands.Data()),
        (b"RSET", commands.Reset()),
        (b"QUIT", commands.Quit()),
        (b"NOOP", commands.Noop()),
        (b"NOOP anything", commands.Noop()),
        (b"HELP MAIL", commands.Help()),
        (b"VRFY a b", commands.Verify(b"a b")),
        (b"STARTTLS", commands.Starttls()),
        (b"AUTH PLAIN =", commands.Auth(b"AUTH PLAIN =")),
        (b"auth LOGIN", commands.Auth(b"auth LOGIN")),
        (b"MAIL FROM:<a@b>", commands.Mail(b"a@b", b"<a@b>")),
        (b"mail from: <a@b> ", commands.Mail(b"a@b", b" <a@b> ")),
        (b"MAIL  FROM:<>", commands.Mail(b"", b"<>")),
        (b"MAIL FROM:<a@b> X y=Z", commands.Mail(b"a@b", b"<a@b> X y=Z", {b"X": None, b"Y": b"Z"})),
        (b"RCPT TO:<Postmaster>", commands.Recipient(b"Postmaster", b"<Postmaster>")),
        (b"RCPT TO:<@x,@y:a@b>", commands.Recipient(b"a@b", b"<@x,@y:a@b>")),
        (b"rcpt tO:\xc3\xa4@b", commands.Recipient(b"\xc3\xa4@b", b"\xc3\xa4@b")),
        (b"XFORWARD SOURCE=LOCAL", commands.Xforward({b"SOURCE": b"LOCAL"})),
        (b"XCLIENT PORT=25", commands.Xclient({b"PORT": b"25"}, b"XCLIENT PORT=25")),
    ],
)
def test_commands(line: bytes, event: commands.Command) -> None:
    verb = line.split()[0].upper()
    state = next(state for state in State if state in ACCEPTED[verb] and state is not State.HELLO)
    assert parse(line, state) == event


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"EHLO", "EHLO hostname"),
        (b"HELO  ", "HELO hostname"),
        (b"MAIL", "MAIL FROM:<address>"),
        (b"MAIL FROM <a@b>", "MAIL FROM:<address>"),
        (b"MAIL FROM :<a@b>", "MAIL FROM:<address>"),
        (b"MAIL TO:<a@b>", "MAIL FROM:<address>"),
        (b"MAIL FROM:", "no address in angle brackets"),
        (b"MAIL FROM:<a@b", "no address in angle brackets"),
        (b"MAIL FROM:<a@b>x", "no address in angle brackets"),
        (b"MAIL FROM:<a@b> =x", "bad parameter =x"),
        (b"MAIL FROM:<a@b> SIZE=", "bad parameter SIZE="),
        (b"MAIL FROM:<a@b> SIZE=1 size=2", "parameter SIZE given twice"),
        (b"QUIT now", "QUIT takes no argument"),
        (b"STARTTLS now", "STARTTLS takes no argument"),
        (b"AUTH", "AUTH mechanism"),
        (b"XFORWARD", "attribute expected"),
        (b"XFORWARD FOO=bar", "unknown attribute name"),
        (b"XFORWARD NAME=" + b"a" * 250 + b" HELO=" + b"b" * 250, "command too long"),
        (b"XCLIENT SOURCE=LOCAL", "unknown attribute name"),
    ],
)
def test_bad_arguments(line: bytes, text: str) -> None:
    verb = line.split()[0]
    event = parse(line, State.READY)
    assert isinstance(event, BadSyntax)
    assert event.verb == verb
    assert event.reply.to_bytes() == b"501 5.5.4 Syntax: %s\r\n" % text.encode()


@pytest.mark.parametrize("line", [b"RCPT TO:<>", b"RCPT TO:< >", b"RCPT FROM:<a@b>", b"RCPT"])
def test_bad_recipients(line: bytes) -> None:
    assert isinstance(parse(line, State.MAIL), BadSyntax)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        *((verb, 502) for verb in (b"EXPN x", b"ETRN x", b"TURN", b"SEND FROM:<a@b>", b"burl x")),
        *((verb, 500) for verb in (b"", b" EHLO x", b"FOO", b"EHLO\tx", b"LHLO x", b"\xff\xfe", b"x" * 3000)),
        *((verb, 521) for verb in (b"BDAT 10 LAST", b"bdat", b"GET / HTTP/1.0", b"POST / HTTP/1.1", b"CONNECT a:25 HTTP/1.1")),
    ],
)
def test_unsupported(line: bytes, code: int) -> None:
    event = parse(line, State.READY)
    assert isinstance(event, Unsupported)
    assert event.reply.code == code
    assert len(event.verb) <= 20


def test_lmtp() -> None:
    assert parse(b"LHLO a", State.HELLO, lmtp=True) == commands.Hello(b"LHLO", b"a")
    assert isinstance(parse(b"EHLO a", State.HELLO, lmtp=True), Unsupported)
    assert isinstance(parse(b"HELO a", State.HELLO, lmtp=True), Unsupported)
    event = parse(b"MAIL FROM:<>", State.HELLO, lmtp=True)
    assert isinstance(event, BadSequence)
    assert event.reply.lines == (b"5.5.1 Send LHLO first",)


@pytest.mark.parametrize("verb", sorted(ACCEPTED))
@pytest.mark.parametrize("state", [State.HELLO, State.READY, State.MAIL, State.RCPT])
def test_the_table(verb: bytes, state: State) -> None:
    event = parse(verb, state, lmtp=verb == b"LHLO")
    assert isinstance(event, BadSequence) == (state not in ACCEPTED[verb])
    if isinstance(event, BadSequence):
        assert event.reply.code == 503
        assert event.reply.enhanced == b"5.5.1"


@given(st.binary(max_size=80), st.sampled_from(list(State)), st.booleans())
def test_any_line_is_an_event(line: bytes, state: State, lmtp: bool) -> None:
    event = parse(line, state, lmtp)
    reply = getattr(event, "reply", None)
    if reply is not None:
        assert reply.to_bytes().count(b"\n") == 1
