"""Sessions: whole messages, what is sent ahead, clients that say nothing, hang up, or do not listen."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from lazaretto.frontends import peer, smtp_session
from lazaretto.frontends.smtp_session import COMMANDS_IN_A_ROW
from lazaretto.wire.smtp import Reply
from next_hop_double import KEYWORDS, WAIT, NextHop
from smtp_running import InlinePool, Running, settings, stuffed

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


def test_one_message() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        assert client.greeting == b"220 proxy.example ESMTP\r\n"
        replies = client.envelope(b"a@example.net", b"b@example.net")
        assert [reply[:3] for reply in replies] == [b"250"] * 4
        content = b"Subject: x\r\n\r\n.dot\r\n..\r\n\0 \x80\xff\r\nend\r\n"
        assert client.content(content) == b"250 2.0.0 Ok: queued as 1\r\n"
        assert client.say(b"QUIT").startswith(b"221 ")
        assert client.ended()
        (message,) = hop.messages
        assert message == (b"<s@example.org>", (b"<a@example.net>", b"<b@example.net>"), content, ())
        assert hop.commands[0] == b"EHLO proxy.example"
        line = running.line()
        assert line["outcome"] == "clean"
        assert line["next_hop"] == "250 2.0.0 Ok: queued as 1"
        assert line["to"] == "a@example.net,b@example.net"
        assert line["size"] == str(len(content))


@pytest.mark.parametrize("content", [b"", b"\r\n", b"Subject: only a header\r\n", b"\r\n.\r\n", b".\r\n..\r\n", b"x" * 5000 + b"\r\n"])
def test_any_content_arrives_as_it_was(content: bytes) -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        assert client.content(content).startswith(b"250 ")
        assert [message.content for message in hop.messages] == [content]


def test_several_transactions_in_one_session() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.say(b"EHLO client.example")
        for number in range(3):
            client.envelope(b"r%d@example.net" % number, hello=b"")
            assert client.content(b"%d\r\n" % number) == b"250 2.0.0 Ok: queued as %d\r\n" % (number + 1)
            assert client.say(b"RSET").startswith(b"250 ")
        assert [message.content for message in hop.messages] == [b"0\r\n", b"1\r\n", b"2\r\n"]
        assert hop.connections == 1
        assert [line["outcome"] for line in running.final] == ["clean"] * 3


def test_edits_are_carried_out() -> None:
    with NextHop() as hop, Running(settings(hop), InlinePool(prefix=b".X-Lazaretto: yes\r\n")) as running, running.client() as client:
        client.envelope()
        assert client.content(MESSAGE).startswith(b"250 ")
        assert hop.messages[0].content == b".X-Lazaretto: yes\r\n" + MESSAGE


def test_large_message_is_spooled_and_streamed(tmp_path: Path) -> None:
    spool = {"spool_directory": str(tmp_path), "spool_memory_bytes": 1 << 16}
    content = b"".join(b"%08d %b\r\n" % (number, b"." * 90) for number in range(50_000))
    with NextHop() as hop, Running(settings(hop, **spool)) as running, running.client() as client:
        client.envelope()
        assert client.content(content).startswith(b"250 ")
        assert hop.messages[0].content == content


# -- pipelining


def test_pipelined_commands_are_told_one_at_a_time() -> None:
    """The next hop does not announce it; a client that does it all the same is served."""
    without = [keyword for keyword in KEYWORDS if keyword != b"PIPELINING"]
    with NextHop(keywords=without) as hop, Running(settings(hop)) as running, running.client() as client:
        client.send(b"EHLO me\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<a@example.net>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
        assert [client.reply()[:3] for _ in range(5)] == [b"250", b"250", b"250", b"250", b"354"]
        client.send(stuffed(MESSAGE) + b"MAIL FROM:<t@example.org>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n")
        assert [client.reply()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        client.send(stuffed(MESSAGE) + b"QUIT\r\n")
        assert [client.reply()[:3] for _ in range(2)] == [b"250", b"221"]
        assert [message.recipients for message in hop.messages] == [(b"<a@example.net>", b"<b@example.net>"), (b"<c@example.net>",)]


def test_refused_recipients_are_refused_live() -> None:
    answers = {"RCPT": [b"550-5.1.1 Nobody\r\n550 5.1.1 here\r\n", b"250 2.1.5 Ok\r\n", b"451 4.2.2 Full\r\n"]}
    with NextHop(answers) as hop, Running(settings(hop)) as running, running.client() as client:
        replies = client.envelope(b"a@example.net", b"b@example.net", b"c@example.net")
        assert replies[2:] == [b"550-5.1.1 Nobody\r\n550 5.1.1 here\r\n", b"250 2.1.5 Ok\r\n", b"451 4.2.2 Full\r\n"]
        assert client.content().startswith(b"250 ")
        assert hop.messages[0].recipients == (b"<b@example.net>",)
        assert running.line()["to"] == "b@example.net"


def test_too_many_recipients() -> None:
    with NextHop() as hop, Running(settings(hop, max_recipients=2)) as running, running.client() as client:
        replies = client.envelope(b"a@example.net", b"b@example.net", b"c@example.net")
        assert [reply[:9] for reply in replies[2:]] == [b"250 2.1.5", b"250 2.1.5", b"452 4.5.3"]
        assert client.content().startswith(b"250 ")


# -- the client's manners


def test_a_client_that_says_nothing() -> None:
    with NextHop() as hop, Running(settings(hop, command_timeout_s=0.05)) as running, running.client() as client:
        assert client.reply().startswith(b"421 4.4.2 ")
        assert client.ended()
    assert running.lines == []


def test_a_client_that_stops_within_a_transaction() -> None:
    with NextHop() as hop, Running(settings(hop, command_timeout_s=0.3)) as running, running.client() as client:
        client.envelope()
        assert client.reply().startswith(b"421 4.4.2 ")
        assert running.line()["outcome"] == "aborted"


def test_a_client_that_stops_within_a_message() -> None:
    with NextHop() as hop, Running(settings(hop, data_timeout_s=0.05)) as running, running.client() as client:
        client.envelope()
        assert client.say(b"DATA").startswith(b"354 ")
        client.send(b"Subject: x\r\n")
        assert client.reply().startswith(b"421 4.4.2 ")
        line = running.line()
        assert (line["outcome"], line["error"]) == ("aborted", "the client said nothing in time")
        hop.until(lambda: hop.ended == 1)
        assert hop.ends == 0
        assert b"DATA" not in hop.commands


@pytest.mark.parametrize("begun", [b"", b"Subj", b"Subject: x\r\n\r\n.", b"Subject: x\r\n\r\n.\r"])
def test_a_client_that_hangs_up_within_a_message(begun: bytes) -> None:
    with NextHop() as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.envelope()
            assert client.say(b"DATA").startswith(b"354 ")
            client.send(begun)
        assert running.line()["outcome"] == "aborted"
        hop.until(lambda: hop.ended == 1)
        assert (hop.ends, hop.messages) == (0, [])


def test_quit_behind_the_message_and_the_end_of_input_in_one_go() -> None:
    """Exim does so, and waits for both answers.  All of it is there before the session has looked at any."""
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        assert client.say(b"DATA").startswith(b"354 ")
        (session,) = running.service._sessions

        async def at_once() -> None:
            session.data_received(stuffed(MESSAGE) + b"QUIT\r\n")
            session.eof_received()

        running.run(at_once())
        assert client.reply().startswith(b"250 ")
        assert client.reply().startswith(b"221 ")
        assert client.ended()
        assert [message.content for message in hop.messages] == [MESSAGE]
        assert running.line()["outcome"] == "clean"


def test_a_client_that_is_gone_gets_no_message_through_for_its_quit() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        client.say(b"DATA")
        (session,) = running.service._sessions

        async def at_once() -> None:
            session.data_received(stuffed(MESSAGE) + b"QUIT\r\n")
            session.connection_lost(ConnectionResetError())

        transport = session._transport
        running.run(at_once())
        assert running.line()["outcome"] == "aborted"
        assert (hop.ends, hop.messages) == (0, [])
        assert transport is not None
        running.loop.call_soon_threadsafe(transport.abort)


def test_a_client_that_hangs_up_between_commands() -> None:
    with NextHop() as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.envelope()
        assert running.line()["outcome"] == "aborted"
        hop.until(lambda: hop.ended == 1)


def test_a_client_that_hangs_up_while_a_command_is_told() -> None:
    with NextHop({"RCPT": [WAIT + b"250 2.1.5 Ok\r\n"]}) as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.say(b"EHLO client.example")
            client.say(b"MAIL FROM:<s@example.org>")
            client.send(b"RCPT TO:<r@example.net>\r\n")
            hop.heard(b"RCPT")
        hop.go()
        assert running.line()["outcome"] == "aborted"
        hop.until(lambda: hop.ended == 1)


def test_a_client_that_does_not_take_its_replies() -> None:
    with NextHop() as hop, Running(settings(hop, command_timeout_s=0.3)) as running, running.client() as client:
        client.sock.settimeout(0.05)
        try:
            while True:
                client.sock.sendall(b"NOOP\r\n" * 10_000)
        except OSError:  # nobody reads any more, or it has been hung up on already
            pass
        running.until_idle()
        assert running.service.connections == 0


def test_a_client_that_goes_on_after_its_last_word_fills_no_memory() -> None:
    """It has been sent away, and is listened to only so that it hears why."""
    with NextHop() as hop, Running(settings(hop, max_connections=0)) as running, running.client() as client:
        assert client.greeting.startswith(b"421 ")
        (session,) = running.service._sessions
        for _ in range(100):
            client.send(b"x" * 100_000)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.ended()
        running.until_idle()
        assert session._machine.buffered < 1 << 18


def test_a_client_of_many_commands_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are there at once, and are answered without asking anybody: still the event loop goes round."""
    said = 0
    say = smtp_session.Session._say

    def counted(self: smtp_session.Session, reply: Reply) -> None:
        nonlocal said
        said += 1
        say(self, reply)

    async def most_in_a_row() -> int:
        most = before = said
        while running.service.connections:
            most, before = max(most, said - before), said
            await asyncio.sleep(0)
        return most

    monkeypatch.setattr(smtp_session.Session, "_say", counted)
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        most = running.begin(most_in_a_row())
        client.send(b"NOOP\r\n" * COMMANDS_IN_A_ROW * 100 + b"QUIT\r\n")
        while client.reply() != b"221 2.0.0 Bye\r\n":
            pass
        assert most() < 4 * COMMANDS_IN_A_ROW
    assert said == COMMANDS_IN_A_ROW * 100 + 2


def test_a_client_that_takes_no_reply_keeps_no_descriptor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It never reads, and nothing tells us to wait for that.

    Not over TCP: with both directions full, both sides wait for the system's timers.
    """
    monkeypatch.setattr(peer, "LINGER_S", 0.05)
    with Running(settings(f"unix:{tmp_path}/nobody", command_timeout_s=0.3), path=tmp_path / "us") as running, running.client() as client:
        (session,) = running.service._sessions
        transport = session._transport
        assert transport is not None
        transport.set_write_buffer_limits(1 << 30)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while not transport.is_closing() and transport.get_write_buffer_size() < 1 << 18:
            client.send(b"NOOP\r\n" * 1000)
        running.until_idle()

        async def gone() -> None:
            async with asyncio.timeout(10):
                while transport.get_extra_info("socket").fileno() >= 0:
                    await asyncio.sleep(0)

        running.run(gone())


def test_a_client_that_leaves_while_it_takes_no_replies() -> None:
    """Nobody waits until it would have had time to take them."""
    with NextHop() as hop, Running(settings(hop, command_timeout_s=1000.0)) as running:
        with running.client() as client:
            (session,) = running.service._sessions
            client.sock.settimeout(0.05)
            commands, sent = b"NOOP\r\n" * 10_000, 0
            while not session._full:
                try:
                    sent += client.sock.send(commands[sent % 6 :])
                except TimeoutError:
                    pass
        running.until_idle()
