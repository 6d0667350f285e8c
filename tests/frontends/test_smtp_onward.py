"""A next hop that hangs up before it has been sent any content: the transaction goes on, on another connection, or the message is a 4xx."""

from __future__ import annotations

import pytest

from lazaretto.frontends.smtp_onward import MAX_REPLAYS
from next_hop_double import HANG_UP, KEYWORDS, SILENCE, WAIT, XFORWARD, NextHop
from smtp_running import Client, InlinePool, Running, settings, stuffed

MESSAGE = b"Subject: x\r\n\r\ny\r\n"
IDLE = b"421 4.4.2 Idle for too long\r\n"
BYE = pytest.mark.parametrize("bye", [b"", IDLE], ids=["silent", "421"])


def leave(hop: NextHop, bye: bytes = b"") -> None:
    """The next hop hangs up on everybody."""
    ended = hop.ended
    hop.say_everywhere(bye)
    hop.hang_up()
    hop.until(lambda: hop.ended == ended + 1)


def rest(client: Client) -> bytes:
    """The message behind a 354, and the reply to it."""
    client.send(stuffed(MESSAGE))
    return client.reply()


@BYE
def test_while_the_client_sends_its_message(bye: bytes) -> None:
    answers = {"RCPT": [b"250 2.1.5 Ok\r\n", b"550 5.1.1 Nobody\r\n"]}
    with NextHop(answers, keywords=[*KEYWORDS, XFORWARD]) as hop, Running(settings(hop)) as running, running.client() as client:
        client.say(b"EHLO client.example")
        client.say(b"XFORWARD ADDR=192.0.2.1 IDENT=4bX")
        assert client.say(b"MAIL FROM:<s@example.org> SIZE=100 BODY=8BITMIME").startswith(b"250 ")
        assert client.say(b"RCPT TO:<a@example.net> NOTIFY=NEVER").startswith(b"250 ")
        assert client.say(b"RCPT TO:<nobody@example.net>").startswith(b"550 ")
        assert client.say(b"RCPT TO:<c@example.net>").startswith(b"250 ")
        assert client.say(b"DATA").startswith(b"354 ")
        client.send(b"Subject: a slow one\r\n")
        leave(hop, bye)
        assert rest(client).startswith(b"250 ")
        told = [
            b"XFORWARD ADDR=192.0.2.1 IDENT=4bX",
            b"MAIL FROM:<s@example.org> SIZE=100 BODY=8BITMIME",
            b"RCPT TO:<a@example.net> NOTIFY=NEVER",
            b"RCPT TO:<c@example.net>",
            b"DATA",
        ]
        assert hop.commands[-len(told) :] == told
        (message,) = hop.messages
        assert message.content == b"Subject: a slow one\r\n" + MESSAGE
        line = running.line()
        assert line["outcome"] == "clean"
        assert line["replayed"].startswith("closed the connection")
        assert ("Idle" in line["replayed"]) == bool(bye)
        client.envelope(hello=b"")
        client.content()
        assert "replayed" not in running.final[-1], "that was another message"


@BYE
def test_while_the_message_is_scanned(bye: bytes) -> None:
    pool = InlinePool(hold=True)
    with NextHop() as hop, Running(settings(hop), pool) as running, running.client() as client:
        client.envelope(b"a@example.net", b"b@example.net")
        client.say(b"DATA")
        client.send(stuffed(MESSAGE))
        assert pool.begun.acquire(timeout=10)
        leave(hop, bye)
        pool.go()
        assert client.reply().startswith(b"250 ")
        assert [(message.recipients, message.content) for message in hop.messages] == [((b"<a@example.net>", b"<b@example.net>"), MESSAGE)]


@BYE
def test_between_two_recipients(bye: bytes) -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope(b"a@example.net")
        leave(hop, bye)
        assert client.say(b"RCPT TO:<b@example.net>").startswith(b"250 ")
        assert client.content().startswith(b"250 ")
        assert hop.messages[0].recipients == (b"<a@example.net>", b"<b@example.net>")


@pytest.mark.parametrize("answer", [HANG_UP, b"42" + HANG_UP, IDLE, IDLE + HANG_UP])
@pytest.mark.parametrize("step", ["RCPT", "DATA"])
def test_instead_of_an_answer(step: str, answer: bytes) -> None:
    """As we speak it hangs up: what it had said was on its way already."""
    with NextHop({step: [answer]}) as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        assert client.content().startswith(b"250 ")
        assert hop.connections == 2
        assert [message.content for message in hop.messages] == [MESSAGE]


@pytest.mark.parametrize("answer", [b"what?\r\n", b"250 2.0.0 Ok\r\n", SILENCE, b"451 4.3.0 Later\r\n", b"554 5.7.1 Never\r\n"])
def test_any_other_answer_to_data_is_the_last(answer: bytes) -> None:
    with NextHop({"DATA": [answer]}) as hop, Running(settings(hop, next_hop_timeout_s=0.2)) as running, running.client() as client:
        client.envelope()
        assert client.content()[:3] == (answer[:3] if answer[:1] in b"45" else b"451")
        assert (hop.connections, hop.messages) == (1, [])
        assert "replayed" not in running.line()


# -- where the replay does not do


@pytest.mark.parametrize("refusal", [b"550 5.1.1 Nobody any more\r\n", b"451 4.2.2 Full\r\n"])
@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("MAIL", [b"250 2.1.0 Ok\r\n"]),
        ("RCPT", [b"250 2.1.5 Ok\r\n"] * 2),
        ("RCPT", [b"250 2.1.5 Ok\r\n"] * 3),
        ("XFORWARD", [b"250 Ok\r\n"]),
    ],
)
def test_a_next_hop_that_refuses_what_it_had_accepted(step: str, before: list[bytes], refusal: bytes) -> None:
    """Were one recipient left out, nobody would tell the sender."""
    with (
        NextHop({step: [*before, refusal]}, keywords=[*KEYWORDS, XFORWARD]) as hop,
        Running(settings(hop)) as running,
        running.client() as client,
    ):
        client.say(b"EHLO client.example")
        client.say(b"XFORWARD ADDR=192.0.2.1")
        client.envelope(b"a@example.net", b"b@example.net", hello=b"")
        client.say(b"DATA")
        leave(hop)
        assert rest(client).startswith(b"451 4.4.2 ")
        assert (hop.messages, hop.ends) == ([], 0)
        assert b"DATA" not in hop.commands
        line = running.line()
        assert line["outcome"] == "deferred"
        assert f"was accepted before: {refusal.decode().strip()}" in line["error"]
        client.envelope(b"a@example.net", b"b@example.net", hello=b"")
        assert client.content().startswith(b"250 ")
        assert [message.recipients for message in hop.messages] == [(b"<a@example.net>", b"<b@example.net>")]


def test_a_next_hop_that_cannot_be_reached_any_more() -> None:
    with (
        NextHop({"greeting": [b"220 next.hop\r\n", b"421 4.3.2 Busy\r\n"]}) as hop,
        Running(settings(hop)) as running,
        running.client() as client,
    ):
        client.envelope()
        client.say(b"DATA")
        leave(hop)
        assert rest(client).startswith(b"451 4.4.2 ")
        assert running.line()["error"] == "does not want us: 421 4.3.2 Busy"


def test_a_replay_has_its_time() -> None:
    with (
        NextHop({"RCPT": [b"250 2.1.5 Ok\r\n", SILENCE]}) as hop,
        Running(settings(hop, next_hop_timeout_s=0.3)) as running,
        running.client() as client,
    ):
        client.envelope()
        client.say(b"DATA")
        leave(hop)
        assert rest(client).startswith(b"451 4.4.2 ")
        assert "in time" in running.line()["error"]


def test_replays_have_a_limit() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        for number in range(MAX_REPLAYS):
            leave(hop)
            assert client.say(b"RCPT TO:<r%d@example.net>" % number).startswith(b"250 ")
        leave(hop)
        assert client.say(b"RCPT TO:<last@example.net>").startswith(b"451 4.4.2 ")
        assert client.say(b"DATA").startswith(b"451 4.4.2 ")
        assert hop.connections == MAX_REPLAYS + 1
        assert client.say(b"RSET").startswith(b"250 ")
        client.envelope(hello=b"")
        assert client.content().startswith(b"250 ")
        assert running.final[-1]["outcome"] == "clean"


@pytest.mark.parametrize("who", [b"AUTH PLAIN AGEAYg==", b"XCLIENT ADDR=192.0.2.1"])
def test_a_next_hop_that_knows_the_client_is_not_told_again(who: bytes) -> None:
    with (
        NextHop(keywords=[*KEYWORDS, b"AUTH PLAIN", b"XCLIENT ADDR"]) as hop,
        Running(settings(hop)) as running,
        running.client() as client,
    ):
        client.say(b"EHLO client.example")
        assert client.say(who).startswith(b"2")
        client.envelope()
        client.say(b"DATA")
        leave(hop)
        assert rest(client).startswith(b"451 4.4.2 ")
        assert (hop.connections, hop.messages) == (1, [])
        assert running.line()["outcome"] == "deferred"


def test_nothing_is_told_again_once_content_has_begun() -> None:
    """The next hop may have taken it."""
    for answers in ({"dot": [HANG_UP]}, {"dot": [IDLE]}, {"content": [HANG_UP]}):
        with NextHop(answers) as hop, Running(settings(hop)) as running, running.client() as client:
            client.envelope()
            assert client.content()[:3] in (b"451", b"421")
            assert (hop.connections, hop.messages) == (1, [])


def test_a_client_that_leaves_during_the_replay() -> None:
    with NextHop({"MAIL": [b"250 2.1.0 Ok\r\n", WAIT + b"250 2.1.0 Ok\r\n"]}) as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.envelope()
            client.say(b"DATA")
            leave(hop)
            client.send(stuffed(MESSAGE))
            hop.heard(b"MAIL", 2)
        assert running.line()["outcome"] == "aborted"
        hop.go()
        hop.until(lambda: hop.ended == 2)
        assert (hop.ends, hop.messages) == (0, [])


def test_lmtp_has_its_replies_in_the_same_order() -> None:
    dots = [b"250 2.1.5 a\r\n", b"452 4.2.2 b\r\n"]
    with NextHop({"dot": dots}, lmtp=True) as hop, Running(settings(hop, lmtp=True)) as running, running.client() as client:
        client.envelope(b"a@example.net", b"b@example.net", hello=b"LHLO client.example")
        client.say(b"DATA")
        leave(hop)
        assert [rest(client), client.reply()] == dots
        assert running.line()["refused"] == "b@example.net(452)"
