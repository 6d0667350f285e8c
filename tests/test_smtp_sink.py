"""The double of a mail server keeps what it gets, and misbehaves as told."""

from __future__ import annotations

import pytest

from listening import HANG_UP
from serving import eventually
from smtp_session import RECIPIENT, SENDER, Session, attempt, stuffed
from smtp_sink import LENIENT, STRICT, UNIX, Begun, Sink


@pytest.mark.parametrize(
    "message", [b"", b".\r\n", b"..\r\n", b"a\r\n.b\r\n", b"\0\xff\r\n\r\n", b"a\n.\r\nb\r\n", b"x" * 300_000 + b"\r\n"]
)
def test_bytes_arrive_as_they_are(message: bytes) -> None:
    with Sink() as sink, Session(sink.address) as client:
        client.greet()
        assert client.deliver(message).code == 250
        (one,) = sink.messages
        assert one.data == message
        assert (one.sender, one.recipients, one.hello) == (SENDER, (RECIPIENT,), b"EHLO client.example")
        assert client.deliver(b"second\r\n").code == 250
        assert client.say(b"QUIT").code == 221
    assert [one.data for one in sink.messages] == [message, b"second\r\n"]
    assert sink.begun == []


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize(
    ("reply", "shown"), [(b"451 no\r\n", "451"), (b"554 no\r\n", "554"), (b"421 no\r\n" + HANG_UP, "421"), (HANG_UP, "closed")]
)
def test_misbehaves_where_told(step: str, reply: bytes, shown: str) -> None:
    with Sink() as sink:
        sink.twist = lambda at, _line, honest: reply if at == step else honest
        assert str(attempt(sink.address, b"message\r\n")) == f"{shown} {step}"
    assert sink.messages == []


def test_half_a_message_is_known_as_such() -> None:
    with Sink() as sink:
        with Session(sink.address) as client:
            client.greet()
            client.begin()
            client.send(b"half")
        with Session(sink.address) as client:
            client.greet()
            client.say(b"MAIL FROM:" + SENDER)
            client.say(b"QUIT")
            client.rest()
        eventually(lambda: len(sink.begun) == 2, "the end of both sessions")
    assert sorted(sink.begun, key=str) == sorted([Begun(SENDER, b"half"), Begun(SENDER, None)], key=str)


def test_taken_although_nobody_hears() -> None:
    with Sink() as sink:
        sink.twist = lambda at, _line, honest: honest[:3] + HANG_UP if at == "END" else honest
        assert str(attempt(sink.address, b"message\r\n")) == "closed END"
        assert len(sink.messages) == 1


@pytest.mark.parametrize(
    ("ends", "end", "seen"),
    [
        (STRICT, b"\n.\n", 1),
        (STRICT, b"\r\n.\r", 1),
        (LENIENT, b"\n.\n", 2),
        (LENIENT, b"\r.\r", 2),
        (LENIENT, b"\r\n.\n", 2),
        (UNIX, b"\n.\r\n", 2),
        (UNIX, b"\r.\r\n", 1),
    ],
)
def test_can_be_smuggled_through(ends: object, end: bytes, seen: int) -> None:
    second = b"MAIL FROM:<x@example.org>\r\nRCPT TO:<y@example.org>\r\nDATA\r\nsecond"
    with Sink(ends=ends) as sink, Session(sink.address) as client:  # type: ignore[arg-type]
        client.greet()
        client.begin()
        client.send(b"first" + end + second + b"\r\n.\r\n")
        for _ in range(1 if seen == 1 else 5):
            client.answer()
    assert len(sink.messages) == seen


def test_lmtp_answers_for_each_recipient() -> None:
    with Sink(lmtp=True) as sink, Session(sink.address) as client:
        sink.twist = lambda at, line, honest: b"452 4.2.2 full\r\n" if at == "END" and b"full" in line else honest
        client.greet(b"LHLO client.example")
        assert client.say(b"EHLO client.example").code == 500
        client.begin(recipients=[b"<a@example.org>", b"<full@example.org>"])
        client.send(stuffed(b"message\r\n"))
        assert [client.answer().code, client.answer().code] == [250, 452]
        assert [one.recipients for one in sink.messages] == [(b"<a@example.org>",)]
        assert client.deliver(b"second\r\n", recipients=[b"<b@example.org>"]).code == 250
        assert [one.recipients for one in sink.messages[1:]] == [(b"<b@example.org>",)]
