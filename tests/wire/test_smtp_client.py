from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dialogue import dialogues
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_client import MAX_LINE_BYTES, Client, Closed, ReplyEvent, State
from smtp_dialogue import run

PATHS = [path for path in dialogues("smtp") if path.stem.startswith("client-")]


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_dialogue(path: Path, size: int) -> None:
    run(path, size)


def test_dialogues_are_there() -> None:
    assert {"client-message", "client-lmtp", "client-early-success"} <= {path.stem for path in PATHS}


def state(client: Client) -> State:
    return client.state


def say(client: Client, *replies: bytes) -> list[object]:
    for reply in replies:
        client.receive_data(reply + b"\r\n")
    found: list[object] = []
    while (event := client.next_event()) is not None:
        found.append(event)
    return found


def ready(extensions: bytes = b"", lmtp: bool = False) -> Client:
    client = Client(lmtp=lmtp)
    client.connected()
    say(client, b"220 hello")
    client.command(b"LHLO p" if lmtp else b"EHLO p")
    say(client, b"250-hello\r\n250 " + extensions)
    assert state(client) is State.READY
    return client


def in_data(lmtp: bool = False) -> Client:
    client = ready(lmtp=lmtp)
    for line in (b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"):
        client.command(line)
        say(client, b"250 ok")
    client.data()
    say(client, b"354 go")
    assert state(client) is State.DATA
    return client


def test_extensions() -> None:
    client = ready(b"SIZE 100")
    assert client.extensions == {b"SIZE": b"100"}
    assert not client.pipelining
    assert ready(b"PIPELINING").pipelining


@pytest.mark.parametrize(
    "line",
    [
        b"DATA",
        b"RCPT TO:<a@b>",
        b"NOOP\r\nQUIT",
        b"NOOP\n",
        b"NOOP\0",
        b"LHLO x",
        b"x" * (MAX_LINE_BYTES - 1),
        b"data",
        b"MAIL FROM:<a\r@b>",
    ],
)
def test_what_may_not_be_given(line: bytes) -> None:
    client = ready(b"PIPELINING")
    with pytest.raises(LocalProtocolError):
        client.command(line)
    assert client.command(b"NOOP") == b"NOOP\r\n"  # nothing has happened


def test_states() -> None:
    client = Client()
    calls: list[Callable[[], object]] = [client.data, client.finish]
    calls += [lambda: client.content(b"x"), lambda: client.respond(b"x"), lambda: client.command(b"EHLO a")]
    for call in calls:
        with pytest.raises(LocalProtocolError):
            call()
    client.connected()
    with pytest.raises(LocalProtocolError):
        client.connected()
    with pytest.raises(LocalProtocolError):
        client.command(b"EHLO a")
    say(client, b"220 hello")
    for line in (b"MAIL FROM:<>", b"XFORWARD NAME=a", b"AUTH PLAIN"):
        with pytest.raises(LocalProtocolError):
            client.command(line)
    client.command(b"EHLO a")
    say(client, b"502 what?")
    assert state(client) is State.HELLO
    client.command(b"HELO a")
    say(client, b"250-hello\r\n250 PIPELINING")
    assert state(client) is State.READY
    assert client.extensions == {}
    client.command(b"MAIL FROM:<>")
    with pytest.raises(LocalProtocolError):
        client.command(b"RCPT TO:<a@b>")  # no PIPELINING
    say(client, b"250 ok")
    for line in (b"MAIL FROM:<>", b"XFORWARD NAME=a", b"AUTH PLAIN"):
        with pytest.raises(LocalProtocolError):
            client.command(line)
    with pytest.raises(LocalProtocolError):
        client.data()  # no recipient


@pytest.mark.parametrize("line", [b"NOOP", b"VRFY a", b"QUIT", b"EHLO again", b"AUTH PLAIN x"])
def test_commands_that_end_a_group(line: bytes) -> None:
    client = ready(b"PIPELINING")
    client.command(line)
    with pytest.raises(LocalProtocolError):
        client.command(b"NOOP")


def test_a_refused_sender_ends_the_transaction() -> None:
    client = ready(b"PIPELINING")
    for line in (b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"):
        client.command(line)
    say(client, b"452 full", b"503 no sender")
    assert state(client) is State.READY
    assert client.accepted == []
    with pytest.raises(LocalProtocolError):
        client.command(b"RCPT TO:<c@d>")
    client.command(b"MAIL FROM:<a@b>")
    say(client, b"250 ok")
    assert state(client) is State.TRANSACTION


def test_several_transactions() -> None:
    client = in_data()
    for _ in range(3):
        assert client.content(b"x\r\n") + client.finish() == b"x\r\n.\r\n"
        with pytest.raises(LocalProtocolError):
            client.command(b"MAIL FROM:<>")
        assert say(client, b"250 queued") == [ReplyEvent(b".", b".", Reply(250, (b"queued",)))]
        assert state(client) is State.READY
        client.command(b"MAIL FROM:<>")
        say(client, b"250 ok")
        client.command(b"RCPT TO:<a@b>")
        say(client, b"250 ok")
        client.data()
        say(client, b"354 go")


def test_nothing_but_content_in_data() -> None:
    client = in_data()
    for line in (b"RSET", b"QUIT", b"NOOP"):
        with pytest.raises(LocalProtocolError):
            client.command(line)
    with pytest.raises(LocalProtocolError):
        client.data()


def test_lmtp_speaks_lmtp() -> None:
    client = ready(lmtp=True)
    with pytest.raises(LocalProtocolError):
        client.command(b"EHLO p")


def test_lmtp_all_at_once() -> None:
    client = in_data(lmtp=True)
    assert client.content(b"x") + client.finish() == b"x\r\n.\r\n"
    assert client.outstanding == 1
    assert say(client, b"452 full") == [ReplyEvent(b".", b"RCPT TO:<c@d>", Reply(452, (b"full",)))]
    assert state(client) is State.READY


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"MAIL FROM:<a@b>", b"354 go"),
        (b"NOOP", b"334 what"),
        (b"XFORWARD NAME=a", b"300 more"),
        (b"NOOP", b"hello"),
        (b"NOOP", b"199 early"),
        (b"NOOP", b"250 ok\r\n250 ok"),
        (b"NOOP", b"250-ok\r\n550 no"),
    ],
)
def test_what_is_no_answer(line: bytes, reply: bytes) -> None:
    client = ready()
    client.command(line)
    with pytest.raises(RemoteProtocolError):
        say(client, reply)
    assert state(client) is State.CLOSED
    assert client.next_event() is None


def test_354_to_the_end_of_data() -> None:
    client = in_data()
    client.finish()
    with pytest.raises(RemoteProtocolError):
        say(client, b"354 go on")


@pytest.mark.parametrize("rest", [b"250 queued\r\n", b"250", b"2"])
def test_an_answer_ahead_of_the_end_of_data(rest: bytes) -> None:
    client = in_data()
    client.content(b"x")
    client.receive_data(rest)
    with pytest.raises(RemoteProtocolError):
        client.finish()
    assert state(client) is State.CLOSED


def test_an_answer_ahead_of_a_command() -> None:
    client = ready()
    client.receive_data(b"250 ok\r\n")
    with pytest.raises(RemoteProtocolError):
        client.command(b"MAIL FROM:<>")


def test_end_of_input() -> None:
    client = ready()
    client.command(b"MAIL FROM:<>")
    client.receive_data(b"250 o")
    client.receive_data(b"")
    assert client.next_event() == Closed(None, (b"MAIL FROM:<>",))
    assert client.next_event() is None


def test_replies_before_the_end_of_input_count() -> None:
    client = in_data()
    client.finish()
    client.receive_data(b"250 queued\r\n")
    client.receive_data(b"")
    assert client.next_event() == ReplyEvent(b".", b".", Reply(250, (b"queued",)))
    assert client.next_event() == Closed()


def test_421_while_sending() -> None:
    client = in_data()
    client.content(b"x")
    assert say(client, b"421 4.3.0 out of memory") == [Closed(Reply(421, (b"4.3.0 out of memory",)))]
    assert state(client) is State.CLOSED


def test_xclient_begins_anew() -> None:
    client = ready(b"XCLIENT NAME")
    client.command(b"XCLIENT NAME=a")
    say(client, b"220 hello")
    assert state(client) is State.HELLO
    assert client.extensions == {}


def test_auth_challenges() -> None:
    client = ready(b"AUTH LOGIN")
    client.command(b"AUTH LOGIN")
    say(client, b"334 a")
    with pytest.raises(LocalProtocolError):
        client.command(b"NOOP")
    with pytest.raises(LocalProtocolError):
        client.respond(b"x\r\nQUIT")
    assert client.respond(b"YQ==") == b"YQ==\r\n"
    with pytest.raises(LocalProtocolError):
        client.respond(b"again")
    say(client, b"334 b")
    client.respond(b"Yg==")
    say(client, b"235 yes")
    assert state(client) is State.READY
