"""A relay in front of a next hop that is well: what is announced, what goes on, who may say what, connections that are closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from next_hop_double import HANG_UP, KEYWORDS, XFORWARD, NextHop
from smtp_running import InlinePool, Running, settings

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


def announced(reply: bytes) -> set[bytes]:
    return {line[4:] for line in reply.splitlines()[1:]}


# -- what is announced


def test_announced_is_what_both_sides_have() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        expected = {b"PIPELINING", b"SIZE 52428800", b"ENHANCEDSTATUSCODES", b"8BITMIME", b"DSN", b"SMTPUTF8", XFORWARD}
        assert announced(client.say(b"EHLO client.example")) == expected


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_what_the_next_hop_lacks_is_not_announced(keyword: bytes) -> None:
    others = [each for each in KEYWORDS if each != keyword]
    with NextHop(keywords=others) as hop, Running(settings(hop)) as running, running.client() as client:
        said = announced(client.say(b"EHLO client.example"))
        assert keyword not in said
        assert said <= {*others, XFORWARD}
        client.envelope(hello=b"")
        assert client.content().startswith(b"250 ")


def test_the_smaller_size_is_announced_and_kept() -> None:
    with NextHop() as hop, Running(settings(hop, max_message_bytes=1000)) as running, running.client() as client:
        assert b"SIZE 1000" in announced(client.say(b"EHLO client.example"))
        assert client.say(b"MAIL FROM:<s@example.org> SIZE=1001").startswith(b"552 5.3.4 ")
        assert not any(line.startswith(b"MAIL") for line in hop.commands)
        assert running.line()["rule"] == "limit"
        assert client.say(b"MAIL FROM:<s@example.org> SIZE=1000").startswith(b"250 ")
        assert client.say(b"RCPT TO:<r@example.net>").startswith(b"250 ")
        assert client.content(b"x" * 1000 + b"\r\n").startswith(b"552 5.3.4 ")
        client.envelope(hello=b"")
        assert client.content(b"x" * 998 + b"\r\n").startswith(b"250 ")
        assert [line["outcome"] for line in running.final] == ["rejected", "rejected", "clean"]
        assert len(hop.messages) == 1


def test_helo_has_no_extensions() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        assert client.say(b"HELO client.example") == b"250 proxy.example\r\n"
        client.envelope(hello=b"")
        assert client.content().startswith(b"250 ")
        assert hop.commands[0] == b"EHLO proxy.example"


def test_next_hop_that_knows_no_ehlo() -> None:
    hop_of_old = NextHop({"EHLO": [b"500 5.5.1 What?\r\n"]})
    with hop_of_old as hop, Running(settings(hop)) as running, running.client() as client:
        assert announced(client.say(b"EHLO client.example")) == {XFORWARD}
        client.envelope(hello=b"")
        assert client.content().startswith(b"250 ")
        assert hop.commands[:2] == [b"EHLO proxy.example", b"HELO proxy.example"]


# -- arguments


@pytest.mark.parametrize(
    ("mail", "rcpt"),
    [
        (b"<> SIZE=100 BODY=8BITMIME", b"<r@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r+2Bx@example.net"),
        (b"<s@example.org> RET=HDRS ENVID=a+20b AUTH=<>", b'<"quoted > local"@example.net>'),
        ("<jürgen@exämple.org> SMTPUTF8 REQUIRETLS".encode(), "<ρ@παράδειγμα.δοκιμή>".encode()),
        (b"<@a.example,@b.example:s@example.org> MT-PRIORITY=3", b"<r@[IPv6:2001:db8::1]>"),
        (b"<" + b"s" * 200 + b"@example.org> X-FLAG", b"<" + b"r" * 300 + b"@example.net>"),
    ],
)
def test_arguments_go_on_as_they_came(mail: bytes, rcpt: bytes) -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.say(b"EHLO client.example")
        assert client.say(b"MAIL FROM:" + mail).startswith(b"250 ")
        assert client.say(b"RCPT TO:" + rcpt).startswith(b"250 ")
        assert client.content().startswith(b"250 ")
        assert hop.messages[0][:2] == (mail, (rcpt,))


# -- commands that need no next hop, or are wrong


def test_small_talk() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        for line, code in (
            (b"MAIL FROM:<s@example.org>", b"503"),
            (b"NOOP", b"250"),
            (b"EHLO client.example", b"250"),
            (b"RCPT TO:<r@example.net>", b"503"),
            (b"DATA", b"503"),
            (b"VRFY postmaster", b"252"),
            (b"HELP", b"214"),
            (b"STARTTLS", b"502"),
            (b"AUTH PLAIN AGEAYg==", b"502"),
            (b"XCLIENT ADDR=192.0.2.1", b"502"),
            (b"FROBNICATE", b"500"),
            (b"RSET", b"250"),
            (b"MAIL FROM:<s@example.org>", b"250"),
            (b"MAIL FROM:<s@example.org>", b"503"),
            (b"DATA", b"503"),
        ):
            assert client.say(line)[:3] == code, line
        assert [line[:4] for line in hop.commands] == [b"EHLO", b"MAIL"]


def test_too_many_errors() -> None:
    with NextHop() as hop, Running(settings(hop, max_errors=2)) as running, running.client() as client:
        assert [client.say(b"WHAT")[:3] for _ in range(3)] == [b"500", b"500", b"421"]
        assert client.ended()


def test_reset_resets_both_sides() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        assert client.say(b"RSET").startswith(b"250 ")
        assert hop.commands[-1] == b"RSET"
        client.envelope(b"other@example.net", hello=b"")
        assert client.content().startswith(b"250 ")
        assert hop.messages[0].recipients == (b"<other@example.net>",)
        assert client.say(b"RSET").startswith(b"250 "), "a probe, between transactions"
        assert hop.commands.count(b"RSET") == 1


@pytest.mark.parametrize("answer", [b"451 4.3.0 Not now\r\n", b"502 5.5.1 What?\r\n"])
def test_a_next_hop_that_refuses_to_reset_is_left(answer: bytes) -> None:
    """It may still have the first recipient, and would give him the second message."""
    with NextHop({"RSET": [answer]}) as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        assert client.say(b"RSET").startswith(b"250 ")
        client.envelope(b"other@example.net", hello=b"")
        assert client.content().startswith(b"250 ")
        assert hop.connections == 2
        assert hop.messages[0].recipients == (b"<other@example.net>",)


def test_a_next_hop_that_leaves_at_a_recipient_is_named_in_the_line() -> None:
    with NextHop({"RCPT": [b"421 4.3.2 Going\r\n"] * 2}) as hop, Running(settings(hop)) as running, running.client() as client:
        assert client.envelope()[-1] == b"421 4.3.2 Going\r\n"
        assert client.ended()
        line = running.line()
        assert (line["outcome"], line["error"]) == ("deferred", "next hop: 421 4.3.2 Going")


def test_a_line_that_cannot_be_logged_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with NextHop() as hop, Running(settings(hop, max_jobs=1)) as running:
        with running.client() as client, monkeypatch.context() as broken:
            broken.setattr(running.service, "_log", _no_log)
            client.envelope()
            client.say(b"DATA")
            client.send(b".\r\n")
            assert client.ended()
        assert (running.service.jobs, running.service.spooled_bytes) == (0, 0)
        running.troubles.clear()


def _no_log(_text: str, _level: int) -> None:
    raise OSError("no room")


def test_a_second_hello_ends_the_transaction() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        assert client.say(b"EHLO client.example").startswith(b"250-")
        assert client.say(b"RCPT TO:<r@example.net>").startswith(b"503 ")
        assert hop.commands[-1] == b"RSET"
        assert hop.connections == 1


def test_no_message_no_line() -> None:
    with NextHop() as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.envelope()
            client.say(b"RSET")
            client.envelope(hello=b"")
            client.say(b"QUIT")
            assert client.ended()
        assert running.lines == []


# -- XFORWARD, XCLIENT, AUTH


def test_xforward_is_used_and_told() -> None:
    pool = InlinePool()
    keywords = [*KEYWORDS, b"XFORWARD NAME ADDR HELO"]
    with NextHop(keywords=keywords) as hop, Running(settings(hop), pool) as running, running.client() as client:
        client.say(b"EHLO client.example")
        assert client.say(b"XFORWARD NAME=mail.example ADDR=IPV6:2001:db8::1 PORT=4711").startswith(b"250 ")
        assert client.say(b"xforward HELO=he+20lo IDENT=4bX PROTO=[UNAVAILABLE] SOURCE=REMOTE").startswith(b"250 ")
        client.envelope(hello=b"")
        assert client.say(b"XFORWARD NAME=late.example").startswith(b"503 ")
        assert client.content().startswith(b"250 ")
        (envelope,) = pool.envelopes
        assert (envelope.client, envelope.helo, envelope.queue_id) == ("2001:db8::1", b"he lo", "4bX")
        assert hop.messages[0].xforward == (b"XFORWARD NAME=mail.example ADDR=IPV6:2001:db8::1", b"XFORWARD HELO=he+20lo")
        assert running.line()["queue_id"] == "4bX"
        client.envelope(hello=b"")
        client.content()
        assert pool.envelopes[1].client == "127.0.0.1", "the values are those of one message"


def test_xforward_is_ours_to_use_where_the_next_hop_lacks_it() -> None:
    """A trusted client is asked to tell who the real one was, for rules and the log; a next hop that has not asked is not told."""
    pool = InlinePool()
    with NextHop() as hop, Running(settings(hop), pool) as running, running.client() as client:
        assert XFORWARD in announced(client.say(b"EHLO client.example"))
        assert client.say(b"XFORWARD ADDR=192.0.2.1 HELO=real.example IDENT=4bX").startswith(b"250 ")
        client.envelope(hello=b"")
        hop.hang_up()
        hop.until(lambda: hop.ended == 1)
        assert client.content().startswith(b"250 "), "nor when it is told the transaction again"
        (envelope,) = pool.envelopes
        assert (envelope.client, envelope.helo, envelope.queue_id) == ("192.0.2.1", b"real.example", "4bX")
        assert (running.line()["client"], running.line()["queue_id"]) == ("192.0.2.1", "4bX")
        assert [line[:4] for line in hop.commands] == [b"EHLO", b"MAIL", b"RCPT"] * 2 + [b"DATA"]


def test_what_xforward_leaves_out_is_not_what_we_see() -> None:
    """The address that we see, and the HELO, are those of the server in between."""
    pool = InlinePool()
    with NextHop() as hop, Running(settings(hop), pool) as running, running.client() as client:
        client.say(b"EHLO proxy.in.between")
        for line in (b"XFORWARD NAME=mail.example", b"XFORWARD ADDR=[UNAVAILABLE] HELO=[unavailable]", b"XFORWARD HELO=real.example"):
            assert client.say(line).startswith(b"250 ")
            client.envelope(hello=b"")
            client.content()
        client.envelope(hello=b"")
        client.content()
        assert [(envelope.client, envelope.helo) for envelope in pool.envelopes] == [
            ("", b""),
            ("", b""),
            ("", b"real.example"),
            ("127.0.0.1", b"proxy.in.between"),
        ]


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"XFORWARD", b"501"), (b"XFORWARD WHAT=x", b"501"), (b"XFORWARD NAME=" + b"x" * 256, b"501"), (b"XFORWARD NAME=a+2", b"501")],
)
def test_bad_xforward(line: bytes, code: bytes) -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.say(b"EHLO client.example")
        assert client.say(line)[:3] == code


def test_strangers_tell_nothing() -> None:
    with NextHop(keywords=[*KEYWORDS, XFORWARD, b"XCLIENT ADDR"]) as hop, Running(settings(hop, trusted=())) as running:
        with running.client() as client:
            assert not announced(client.say(b"EHLO client.example")) & {XFORWARD, b"XCLIENT ADDR"}
            assert client.say(b"XFORWARD NAME=mail.example").startswith(b"550 ")
            assert client.say(b"XCLIENT ADDR=192.0.2.1").startswith(b"550 ")
            client.envelope(hello=b"")
            client.content()
        assert running.line()["client"] == "127.0.0.1"
        assert not any(line.startswith((b"XF", b"XC")) for line in hop.commands)


def test_xclient() -> None:
    pool = InlinePool()
    with NextHop(keywords=[*KEYWORDS, b"XCLIENT NAME ADDR"]) as hop, Running(settings(hop), pool) as running, running.client() as client:
        assert b"XCLIENT NAME ADDR" in announced(client.say(b"EHLO client.example"))
        assert client.say(b"XCLIENT ADDR=192.0.2.1 NAME=other.example").startswith(b"220 ")
        client.envelope()
        assert client.content().startswith(b"250 ")
        assert hop.commands[1:3] == [b"XCLIENT ADDR=192.0.2.1 NAME=other.example", b"EHLO proxy.example"]
        assert pool.envelopes[0].client == "192.0.2.1"


def test_auth_is_passed_through() -> None:
    answers = {"AUTH": [b"334 VXNlcm5hbWU6\r\n"], "DXNLCG==": [b"334 UGFzc3dvcmQ6\r\n"], "CGFZCW==": [b"235 2.7.0 In\r\n"]}
    with NextHop(answers, keywords=[*KEYWORDS, b"AUTH LOGIN PLAIN"]) as hop, Running(settings(hop)) as running, running.client() as client:
        assert b"AUTH LOGIN PLAIN" in announced(client.say(b"EHLO client.example"))
        assert client.say(b"AUTH LOGIN") == b"334 VXNlcm5hbWU6\r\n"
        assert client.say(b"dXNlcg==") == b"334 UGFzc3dvcmQ6\r\n"
        assert client.say(b"cGFzcw==") == b"235 2.7.0 In\r\n"
        client.envelope(hello=b"")
        assert client.content().startswith(b"250 ")


# -- the next hop goes away in between


@pytest.mark.parametrize("last", [b"", b"421 4.4.2 Idle for too long\r\n"])
def test_an_idle_connection_that_is_closed_is_made_anew(last: bytes) -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        client.content()
        hop.say_everywhere(last)
        hop.hang_up()
        hop.until(lambda: hop.ended == 1)
        client.envelope(b"again@example.net", hello=b"")
        assert client.content().startswith(b"250 ")
        assert hop.connections == 2
        assert hop.messages[1].recipients == (b"<again@example.net>",)


def test_a_connection_that_closes_on_mail_is_made_anew() -> None:
    with NextHop({"MAIL": [b"250 2.1.0 Ok\r\n", HANG_UP]}) as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        client.content()
        assert client.say(b"MAIL FROM:<s@example.org>").startswith(b"250 ")
        assert hop.connections == 2


def test_an_authenticated_connection_is_not_made_anew() -> None:
    with NextHop(keywords=[*KEYWORDS, b"AUTH PLAIN"]) as hop, Running(settings(hop)) as running, running.client() as client:
        client.say(b"EHLO client.example")
        assert client.say(b"AUTH PLAIN AGEAYg==").startswith(b"235 ")
        hop.hang_up()
        hop.until(lambda: hop.ended == 1)
        assert client.say(b"MAIL FROM:<s@example.org>").startswith(b"421 ")
        assert client.ended()
        assert hop.connections == 1


def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    pool = InlinePool()
    with NextHop(path=tmp_path / "hop") as hop, Running(settings(hop, trusted=()), pool, path=tmp_path / "us") as running:
        with running.client() as client:
            client.say(b"EHLO client.example")
            assert client.say(b"XFORWARD ADDR=192.0.2.9").startswith(b"250 "), "only who may can open it"
            client.envelope(hello=b"")
            assert client.content().startswith(b"250 ")
        assert pool.envelopes[0].client == "192.0.2.9"
