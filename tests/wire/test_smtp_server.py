from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialogue import dialogues
from lazaretto.errors import LocalProtocolError
from lazaretto.wire import smtp_server as wire
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_server import MAX_AUTH_LINE_BYTES, MAX_LINE_BYTES, MAX_SKIPPED_BYTES, BadSyntax, Server, State
from smtp_dialogue import run

OK = Reply(250, (b"ok",))
GO = Reply(354, (b"go",))
PATHS = [path for path in dialogues("smtp") if path.stem.startswith("server-")]
GREETED = b"EHLO a\r\n"
ENVELOPE = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_dialogue(path: Path, size: int) -> None:
    run(path, size)


def test_dialogues_are_there() -> None:
    assert {"server-message", "server-lmtp", "server-smuggling", "server-auth"} <= {path.stem for path in PATHS}


def greeted(**options: Any) -> Server:
    server = Server(**options)
    server.reply(Reply(220, (b"hello",)))
    return server


def answer(server: Server, event: wire.Event) -> bytes:
    """What an obliging caller says: yes to everything."""
    if isinstance(event, wire.Data):
        return server.reply(GO)
    if isinstance(event, wire.EndOfData) and server.lmtp:
        return b"".join(server.reply(OK) for _ in range(server.accepted))
    return server.reply(getattr(event, "reply", OK))


def events(data: bytes, size: int, **options: Any) -> list[wire.Event]:
    """All events of `data` in pieces of `size`, adjacent Contents joined."""
    server = greeted(**options)
    result: list[wire.Event] = []
    for start in range(0, len(data), size):
        server.receive_data(data[start : start + size])
        while (event := server.next_event()) is not None:
            if isinstance(event, wire.Content):
                if result and isinstance(result[-1], wire.Content):
                    event = wire.Content(result.pop().data + event.data)  # type: ignore[union-attr]
            else:
                answer(server, event)
            result.append(event)
    return result


def last(data: bytes, **options: Any) -> wire.Event:
    return events(data, 4096, **options)[-1]


LINES = st.sampled_from(
    [
        *(
            b"EHLO a\r\n",
            b"LHLO a\r\n",
            b"MAIL FROM:<a@b>\r\n",
            b"RCPT TO:<c@d>\r\n",
            b"RCPT TO:<>\r\n",
            b"RSET\r\n",
            b"NOOP\r\n",
            b"DATA\r\n",
        ),
        *(
            b".\r\n",
            b"..\r\n",
            b"text\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b".",
            b"AUTH X\r\n",
            b"XFORWARD NAME=a\r\n",
            b"XCLIENT NAME=a\r\n",
        ),
        *(b"x" * 60 + b"\r\n", b"STARTTLS\r\n", b"QUIT\r\n"),
    ]
)


def complete(found: list[wire.Event]) -> list[wire.Event]:
    return found[:-1] if found and isinstance(found[-1], wire.Content) else found


@given(st.lists(LINES, max_size=25), st.integers(1, 9), st.booleans())
def test_splits_change_nothing(lines: list[bytes], size: int, lmtp: bool) -> None:
    data = b"".join(lines)
    whole, split = (events(data, n, lmtp=lmtp, max_line=40) for n in (len(data) or 1, size))
    # What follows a refused DATA is another matter: see the next test.
    assume(not any(isinstance(event, wire.BadSequence) and event.verb == b"DATA" for event in whole))
    # Content held back at the very end is nobody's yet.
    assert complete(whole) == complete(split)


@pytest.mark.parametrize("recipient", [b"RCPT TO:<c@d>\r\n", b""])
def test_content_sent_before_a_refusal_is_not_read_as_commands(recipient: bytes) -> None:
    server = greeted()
    server.receive_data(b"EHLO a\r\nMAIL FROM:<a@b>\r\n" + recipient + b"DATA\r\nRSET\r\nMAIL FROM:<evil@b>\r\n.\r\n")
    while not isinstance(event := server.next_event(), (wire.Data, wire.BadSequence)):
        assert event is not None
        answer(server, event)
    server.reply(Reply(451, (b"4.3.0 not now",)))
    assert server.state is State.CLOSED
    assert server.next_event() is None


def test_content_sent_before_its_354_is_content() -> None:
    data = ENVELOPE + b"DATA\r\nRSET\r\n.\r\nNOOP\r\n"
    assert events(data, len(data))[-3:] == [wire.Content(b"RSET\r\n"), wire.EndOfData(), wire.Noop()]


def test_commands_come_one_at_a_time() -> None:
    server = greeted()
    server.receive_data(b"EHLO a\r\nNOOP\r\nQUIT\r\n")
    for kind in (wire.Hello, wire.Noop, wire.Quit):
        assert isinstance(server.next_event(), kind)
        assert server.waiting
        assert server.next_event() is None
        server.reply(OK)
    assert server.state is State.CLOSED


def test_nothing_comes_before_the_greeting() -> None:
    server = Server()
    server.receive_data(b"EHLO early\r\n")
    assert server.waiting
    assert server.next_event() is None
    assert server.buffered == 12
    server.reply(Reply(220, (b"hello",)))
    assert server.next_event() == wire.Hello(b"EHLO", b"early")


@pytest.mark.parametrize("code", [421, 521, 554])
def test_a_greeting_that_refuses_is_the_end(code: int) -> None:
    server = Server()
    server.receive_data(b"EHLO a\r\n")
    assert server.reply(Reply(code, (b"no",))) == b"%d no\r\n" % code
    assert server.state is State.CLOSED
    assert server.next_event() is None


def test_reply_without_question() -> None:
    server = greeted()
    with pytest.raises(LocalProtocolError):
        server.reply(OK)
    server.receive_data(ENVELOPE + b"DATA\r\nx\r\n")
    while (event := server.next_event()) is not None and not isinstance(event, wire.Content):
        answer(server, event)
    with pytest.raises(LocalProtocolError):
        server.reply(OK)


@pytest.mark.parametrize("data", [b"", ENVELOPE, ENVELOPE + b"DATA\r\nhalf"])
def test_hang_up_at_any_time(data: bytes) -> None:
    server = greeted()
    server.receive_data(data + b"\r\n")
    while (event := server.next_event()) is not None:
        if not isinstance(event, wire.Content):
            answer(server, event)
    assert server.hang_up(Reply(421, (b"4.4.2 bye",))) == b"421 4.4.2 bye\r\n"
    server.receive_data(b"NOOP\r\n")
    assert server.next_event() is None
    assert server.buffered == 0 or server.state is State.CLOSED


def test_too_long_a_line() -> None:
    longest = b"NOOP " + b"x" * (MAX_LINE_BYTES - 7) + b"\r\n"
    assert len(longest) == MAX_LINE_BYTES
    for size in (1, 100, 8192):
        assert [type(event) for event in events(GREETED + longest + b"NOOP\r\n", size)] == [wire.Hello, wire.Noop, wire.Noop]
        found = events(GREETED + b"x" + longest + b"NOOP\r\n", size)
        assert found[1:] == [BadSyntax(b"", Reply(500, (b"5.5.2 Line too long",))), wire.Noop()]
        # A bare LF in the part that is skipped, and a CR at each side of the border.
        for line in (b"x" * MAX_LINE_BYTES + b"\nNOOP\r\n", b"x" * (MAX_LINE_BYTES - 1) + b"\r\n", b"x" * MAX_LINE_BYTES + b"\r\r\n"):
            assert [type(event) for event in events(GREETED + line + b"RSET\r\n", size)] == [wire.Hello, BadSyntax, wire.Reset]


@pytest.mark.parametrize("size", [4000, 1 << 21])
def test_a_line_without_end(size: int) -> None:
    found = events(GREETED + b"x" * (MAX_SKIPPED_BYTES + 9000), size)
    assert found[1:] == [BadSyntax(b"", Reply(521, (b"5.5.2 Line too long",)))]


def test_skipping_keeps_nothing() -> None:
    server = greeted()
    for _ in range(50):
        server.receive_data(b"x" * 10_000)
        assert server.next_event() is None
        assert server.buffered <= MAX_LINE_BYTES


def test_long_line_in_auth() -> None:
    server = greeted()
    server.receive_data(b"EHLO a\r\nAUTH LOGIN\r\n")
    answer(server, server.next_event() or wire.Noop())
    server.next_event()
    server.reply(Reply(334, (b"",)))
    server.receive_data(b"x" * (MAX_AUTH_LINE_BYTES - 2) + b"\r\n")
    assert server.next_event() == wire.AuthResponse(b"x" * (MAX_AUTH_LINE_BYTES - 2))
    server.reply(Reply(334, (b"",)))
    server.receive_data(b"x" * MAX_AUTH_LINE_BYTES + b"\r\n")
    assert server.next_event() == wire.AuthResponse(b"*")
    server.reply(Reply(501, (b"",)))
    assert server.state is State.READY


def test_refused_commands_leave_the_state() -> None:
    server = greeted()
    no = Reply(550, (b"no",))
    for line, state in (
        (b"EHLO a", State.HELLO),
        (b"EHLO a", State.READY),
        (b"MAIL FROM:<a@b>", State.READY),
        (b"MAIL FROM:<a@b>", State.MAIL),
        (b"RCPT TO:<a@b>", State.MAIL),
        (b"RCPT TO:<a@b>", State.RCPT),
        (b"RCPT TO:<c@d>", State.RCPT),
        (b"EHLO again", State.RCPT),
        (b"DATA", State.RCPT),
        (b"RSET", State.RCPT),
        (b"RSET", State.READY),
        (b"XCLIENT NAME=a", State.READY),
    ):
        refuse = state is server.state
        server.receive_data(line + b"\r\n")
        assert server.next_event() is not None
        server.reply(no if refuse else OK)
        assert server.state is state
    assert server.accepted == 0


def test_xforward_is_gathered_and_forgotten() -> None:
    def told(data: bytes) -> dict[bytes, bytes | None]:
        server.receive_data(data)
        while (event := server.next_event()) is not None:
            if not isinstance(event, wire.Content):
                answer(server, event)
        return server.xforward

    server = greeted()
    assert told(b"EHLO a\r\nXFORWARD NAME=a ADDR=192.0.2.1\r\nXFORWARD NAME=b\r\n") == {b"NAME": b"b", b"ADDR": b"192.0.2.1"}
    assert told(b"RSET\r\n") == {}
    told(b"XFORWARD NAME=a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")
    assert told(b"DATA\r\nx\r\n") == {b"NAME": b"a"}
    assert told(b".\r\n") == {}
    server.receive_data(b"XFORWARD NAME=c\r\n")
    server.next_event()
    server.reply(Reply(550, (b"5.7.1 not you",)))
    assert server.xforward == {}


def test_lmtp_closes_after_the_last_reply() -> None:
    server = greeted(lmtp=True)
    server.receive_data(b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    while (event := server.next_event()) is not None:
        answer(server, event)
    server.receive_data(b"x\r\n.\r\nQUIT\r\n")
    assert server.next_event() == wire.Content(b"x\r\n")
    assert server.next_event() == wire.EndOfData()
    server.reply(Reply(421, (b"4.3.2 going down",)))
    assert server.next_event() is None
    server.reply(Reply(250, (b"taken",)))
    assert server.state is State.CLOSED
    assert server.next_event() is None


def test_errors_are_counted() -> None:
    server = greeted()
    server.receive_data(b"EHLO a\r\nFOO\r\nRCPT TO:<a@b>\r\nMAIL x\r\nNOOP\r\nVRFY x\r\n")
    while (event := server.next_event()) is not None:
        answer(server, event)
    assert server.errors == 3


def test_policies_reach_the_content() -> None:
    found = events(ENVELOPE + b"DATA\r\na\nb\n.\n\0\r\n.\r\n", 3, end_of_data="normalise", stray="normalise")
    assert found[-2:] == [wire.Content(b"a\r\nb\r\n.\r\n\r\n"), wire.EndOfData(suspicious=True, bare_lf=True, nul=True)]


def test_end_of_input_between_commands() -> None:
    server = greeted()
    server.receive_data(b"EHLO a\r\nNOO")
    assert server.next_event() == wire.Hello(b"EHLO", b"a")
    server.receive_data(b"")
    assert server.next_event() is None  # a reply is owed
    server.reply(OK)
    assert server.next_event() == wire.Closed(State.READY)
    assert server.next_event() is None


def test_content_is_not_copied() -> None:
    server = greeted()
    server.receive_data(ENVELOPE + b"DATA\r\n")
    while (event := server.next_event()) is not None:
        answer(server, event)
    server.receive_data(b"first line\r\nx")
    assert server.next_event() == wire.Content(b"first line\r\nx")
    chunk = b"a line\r\n" * 1000 + b"b"
    server.receive_data(chunk)
    event = server.next_event()
    assert isinstance(event, wire.Content)
    assert event.data is chunk


# -- QUIT sent ahead, and the end of input behind it: Exim waits for the answers to both


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
@pytest.mark.parametrize("quit_line", [b"QUIT\r\n", b"quit\r\n"])
def test_quit_behind_a_message_and_then_the_end_of_input(quit_line: bytes, size: int) -> None:
    server = greeted()
    server.receive_data(ENVELOPE + b"DATA\r\n")
    while (event := server.next_event()) is not None:
        answer(server, event)
    assert not server.leaving
    rest = b"x\r\n.\r\n" + quit_line
    got: list[wire.Event] = []
    for start in range(0, len(rest), size):
        server.receive_data(rest[start : start + size])
        while (event := server.next_event()) is not None:
            got.append(event)
    server.receive_data(b"")
    assert [event for event in got if not isinstance(event, wire.Content)] == [wire.EndOfData()]
    assert server.leaving, "the message has no reply yet, and QUIT is behind it"
    assert server.next_event() is None
    assert server.reply(OK) == b"250 ok\r\n"
    event = server.next_event()
    assert isinstance(event, wire.Quit)
    assert not server.leaving
    server.reply(event.reply)
    assert server.state is State.CLOSED
    assert server.next_event() is None


@pytest.mark.parametrize(
    ("received", "leaving"),
    [
        (b"", False),
        (b"QUIT", False),
        (b"QUIT\r", False),
        (b"QUIT\r\n", True),
        (b"NOOP\r\nQUIT\r\n", True),
        (b"QUIT\r\nNOOP\r\n", False),
        (b"NOQUIT\r\n", False),
        (b"RCPT TO:<x@y> QUIT\r\n", False),
        (b"QUIT NOW\r\n", False),
    ],
)
def test_leaving_means_that_quit_was_the_last(received: bytes, leaving: bool) -> None:
    server = Server()
    server.receive_data(received)
    server.receive_data(b"")
    assert server.leaving == leaving


def test_quit_within_the_content_is_text() -> None:
    server = greeted()
    server.receive_data(ENVELOPE + b"DATA\r\n")
    while (event := server.next_event()) is not None:
        answer(server, event)
    server.receive_data(b"x\r\nQUIT\r\n")
    server.receive_data(b"")
    assert not server.leaving
    assert isinstance(server.next_event(), wire.Content)
    assert server.next_event() == wire.Closed(State.DATA)
