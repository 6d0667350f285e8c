"""The service: what its sessions share, how it says no early, how it ends; and that no split of the bytes makes a difference."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Handler
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lazaretto.frontends.samples import sample
from lazaretto.model import Disposition, Verdict
from next_hop_double import OK, WAIT, NextHop
from smtp_running import InlinePool, Running, settings, stuffed

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


# -- bounds


def test_one_connection_too_many() -> None:
    with NextHop() as hop, Running(settings(hop, max_connections=1)) as running:
        with running.client() as first, running.client() as second:
            assert second.greeting.startswith(b"421 4.3.2 ")
            assert second.ended()
            first.envelope()
            assert first.content().startswith(b"250 ")
            assert first.say(b"QUIT").startswith(b"221 ")
            assert first.ended()
        with running.client() as third:
            assert third.greeting.startswith(b"220 ")


def test_a_refused_connection_hears_why_though_it_has_said_much() -> None:
    with NextHop() as hop, Running(settings(hop, max_connections=0)) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as sock:
            sock.sendall(b"EHLO me\r\n" * 1000)
            received = b""
            while data := sock.recv(65536):
                received += data
        assert received.startswith(b"421 4.3.2 ")


def test_one_message_too_many_is_refused_at_mail() -> None:
    pool = InlinePool(hold=True)
    with NextHop() as hop, Running(settings(hop, max_jobs=1), pool) as running, running.client() as first, running.client() as second:
        first.envelope()
        second.envelope(b"late@example.net")
        first.say(b"DATA")
        assert second.say(b"DATA").startswith(b"451 4.3.2 "), "who came to MAIL before"
        assert second.say(b"RCPT TO:<more@example.net>").startswith(b"451 4.3.2 ")
        second.say(b"RSET")
        assert second.say(b"MAIL FROM:<s@example.org>").startswith(b"451 4.3.2 ")
        first.send(stuffed(MESSAGE))
        assert pool.begun.acquire(timeout=10)
        assert running.service.counters()["lazaretto_jobs"] == 1
        pool.go()
        assert first.reply().startswith(b"250 ")
        assert second.say(b"MAIL FROM:<s@example.org>").startswith(b"250 ")
        assert [line["rule"] for line in running.final] == ["busy", "busy", "default"]
        assert running.service.counters()[sample("lazaretto_messages_total", outcome="deferred", reason="busy", frontend="smtp")] == 2


def test_too_many_bytes_of_all_messages() -> None:
    pool = InlinePool(hold=True)
    with (
        NextHop() as hop,
        Running(settings(hop, max_spooled_bytes=1000), pool) as running,
        running.client() as first,
        running.client() as second,
    ):
        first.envelope()
        first.say(b"DATA")
        first.send(stuffed(b"x" * 598 + b"\r\n"))
        assert pool.begun.acquire(timeout=10)
        assert running.service.counters()["lazaretto_spooled_bytes"] == 600
        second.say(b"EHLO client.example")
        assert second.say(b"MAIL FROM:<s@example.org> SIZE=401").startswith(b"452 4.3.1 ")
        second.envelope(hello=b"")
        assert second.content(b"y" * 500 + b"\r\n").startswith(b"452 4.3.1 "), "not told, and found out"
        assert running.service.spooled_bytes == 600
        pool.go()
        assert first.reply().startswith(b"250 ")
        second.envelope(hello=b"")
        second.say(b"DATA")
        second.send(stuffed(b"y" * 500 + b"\r\n"))
        assert pool.begun.acquire(timeout=10)
        pool.go()
        assert second.reply().startswith(b"250 ")


def test_what_a_client_sends_ahead_is_bounded() -> None:
    """It sends for ever while its first command waits: at some point nobody reads any more."""
    with NextHop({"EHLO": [WAIT + b"250 next.hop\r\n"]}) as hop, Running(settings(hop)) as running, running.client() as client:
        client.send(b"EHLO client.example\r\n")
        hop.heard(b"EHLO")
        client.sock.settimeout(0.2)
        sent = 0
        try:
            while sent < 100 << 20:
                sent += client.sock.send(b"NOOP\r\n" * 10_000)
        except TimeoutError:
            pass
        assert sent < 100 << 20
        hop.go()
        client.sock.settimeout(10)
        assert client.reply().startswith(b"250")
        assert client.reply().startswith(b"250 2.0.0 ")


def test_a_client_that_drips_is_cut_off() -> None:
    with NextHop() as hop, Running(settings(hop, data_timeout_s=0.2)) as running, running.client() as client:
        client.envelope()
        client.say(b"DATA")
        client.sock.settimeout(0.01)
        said = b""
        for _ in range(1000):
            client.sock.send(b"x")
            try:
                said = client.sock.recv(1000)
                break
            except TimeoutError:
                pass
        assert said.startswith(b"421 4.4.2 ")
        assert running.line()["outcome"] == "aborted"


# -- the end


def test_drain_lets_messages_finish() -> None:
    pool = InlinePool(hold=True)
    with NextHop() as hop, Running(settings(hop), pool) as running:
        with running.client() as idle, running.client() as busy, running.client() as begun:
            busy.envelope()
            busy.say(b"DATA")
            busy.send(stuffed(MESSAGE))
            begun.envelope()
            assert pool.begun.acquire(timeout=10)
            drained = running.begin(running.service.drain(20))
            assert idle.reply().startswith(b"421 4.3.2 ")
            assert idle.ended()
            pool.go()
            assert busy.reply().startswith(b"250 ")
            assert busy.reply().startswith(b"421 4.3.2 ")
            assert busy.ended()
            begun.say(b"DATA")
            begun.send(stuffed(MESSAGE))
            assert pool.begun.acquire(timeout=10)
            pool.go()
            assert begun.reply().startswith(b"250 "), "a transaction that had begun"
            assert begun.reply().startswith(b"421 ")
        drained()
        assert len(hop.messages) == 2
        with running.client() as late:
            assert late.greeting.startswith((b"220", b"421"))
            assert (late.reply() if late.greeting.startswith(b"220") else late.greeting).startswith(b"421 ")


def test_drain_without_patience_breaks_off() -> None:
    pool = InlinePool(hold=True)
    with NextHop() as hop, Running(settings(hop), pool) as running, running.client() as client:
        client.envelope()
        client.say(b"DATA")
        client.send(stuffed(MESSAGE))
        assert pool.begun.acquire(timeout=10)
        running.run(running.service.drain(0.01))
        assert client.ended()
        assert running.line()["outcome"] == "aborted"
        assert (hop.messages, hop.ends) == ([], 0)


def test_pipelined_mail_while_draining() -> None:
    with NextHop({"dot": [WAIT + OK]}) as hop, Running(settings(hop)) as running, running.client() as client:
        client.envelope()
        client.say(b"DATA")
        client.send(stuffed(MESSAGE) + b"MAIL FROM:<s@example.org>\r\n")
        hop.until(lambda: hop.ends == 1)
        drained = running.begin(running.service.drain(20))
        hop.go()
        assert client.reply() == OK
        assert client.reply().startswith(b"421 4.3.2 ")
        assert client.ended()
        client.sock.close()
        drained()


def test_new_settings_are_for_new_sessions() -> None:
    with NextHop() as hop, Running(settings(hop, max_message_bytes=1000)) as running, running.client() as before:
        running.service.settings = settings(hop, max_message_bytes=2000)
        with running.client() as after:
            assert b"SIZE 1000" in before.say(b"EHLO client.example")
            assert b"SIZE 2000" in after.say(b"EHLO client.example")


def test_a_bug_costs_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    from lazaretto.frontends import smtp_delivery

    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client, running.client() as other:
        client.envelope()
        with monkeypatch.context() as broken:
            broken.setattr(smtp_delivery.Delivery, "run", None)
            assert client.content().startswith(b"421 4.3.0 ")
        assert client.ended()
        other.envelope()
        assert other.content().startswith(b"250 ")
        assert [line["outcome"] for line in running.final] == ["deferred", "clean"]
        assert any("event=crash" in text for text, _ in running.lines)


# -- counting


def test_counters() -> None:
    pool = InlinePool()
    with NextHop({"dot": [OK, b"550 5.7.1 No\r\n"]}) as hop, Running(settings(hop), pool) as running, running.client() as client:
        for _ in range(2):
            client.envelope()
            client.content()
        pool.verdict = Verdict(Disposition.REJECT, rule="exe")
        client.envelope()
        client.content()
        counters = running.service.counters()
        assert counters["lazaretto_connections"] == 1
        for outcome, rule in (("clean", "default"), ("rejected", "default"), ("rejected", "exe")):
            assert counters[sample("lazaretto_messages_total", outcome=outcome, reason=rule, frontend="smtp")] == 1


# -- any split


SCRIPT = (
    b"EHLO client.example\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n",
    b"Subject: x\r\n\r\n..dot\r\n...\r\nend\r\n.\r\nRSET\r\nNOOP\r\nMAIL FROM:<t@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
    b"\r\n.\r\nWHAT\r\nQUIT\r\n",
)
REPLIES = [b"220", b"250", b"250", b"250", b"354", b"250", b"250", b"250", b"250", b"250", b"354", b"250", b"500", b"221"]


@given(st.lists(st.integers(1, sum(map(len, SCRIPT)) - 1), max_size=20), st.booleans())
@hypothesis_settings(max_examples=40)
def test_no_split_makes_a_difference(cuts: list[int], byte_by_byte: bool) -> None:
    whole = b"".join(SCRIPT)
    with NextHop(byte_by_byte=byte_by_byte) as hop, Running(settings(hop)) as running, running.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = [client.greeting[:3]]
        position = 0
        for script in SCRIPT:  # what stands behind DATA has to wait for its reply
            stops = sorted({position + len(script), *(cut for cut in cuts if position < cut < position + len(script))})
            for stop in stops:
                client.send(whole[position:stop])
                position = stop
            replies += [client.reply()[:3] for _ in range(_expected(script))]
        assert replies == REPLIES
        assert [message.content for message in hop.messages] == [b"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n", b"\r\n"]
        assert client.ended()


def _expected(script: bytes) -> int:
    return {SCRIPT[0]: 4, SCRIPT[1]: 6, SCRIPT[2]: 3}[script]


def test_byte_by_byte() -> None:
    with NextHop() as hop, Running(settings(hop)) as running, running.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for script in SCRIPT:
            for index in range(len(script)):
                client.send(script[index : index + 1])
            codes = [client.reply()[:3] for _ in range(_expected(script))]
        assert codes == [b"250", b"500", b"221"]
        assert len(hop.messages) == 2


# -- a next hop that nobody here wrote


class Taken(Handler):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        self.bodies.append(envelope.original_content)  # type: ignore[attr-defined]
        return "250 OK: taken"

    def handle_message(self, message: object) -> None:
        raise NotImplementedError


def test_aiosmtpd_as_next_hop() -> None:
    handler = Taken()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    try:
        with Running(settings(f"127.0.0.1:{port}")) as running, running.client() as client:
            for content in (MESSAGE, b"Subject: \xc3\xbc\r\n\r\n.dot\r\n..\r\n"):
                client.say(b"EHLO client.example")
                assert client.say("MAIL FROM:<jürgen@example.org> SMTPUTF8 BODY=8BITMIME".encode()).startswith(b"250")
                assert client.say(b"RCPT TO:<r@example.net>").startswith(b"250")
                assert client.content(content) == b"250 OK: taken\r\n"
            assert handler.bodies == [MESSAGE, b"Subject: \xc3\xbc\r\n\r\n.dot\r\n..\r\n"]
            assert client.say(b"QUIT").startswith(b"221 ")
    finally:
        controller.stop()


def test_hundred_sessions_at_once() -> None:
    async def one(port: int, number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        said = b""
        for line in (b"HELO me", b"MAIL FROM:<s%d@example.org>" % number, b"RCPT TO:<r@example.net>", b"DATA", b"%d\r\n." % number):
            writer.write(line + b"\r\n")
            said = await reader.readline()
        writer.close()
        return said

    async def all_of_them(port: int) -> list[bytes]:
        return await asyncio.gather(*(one(port, number) for number in range(100)))

    with NextHop() as hop, Running(settings(hop)) as running:
        assert all(reply.startswith(b"250 ") for reply in asyncio.run(all_of_them(running.port)))
        assert {(message.mail, message.content) for message in hop.messages} == {
            (b"<s%d@example.org>" % n, b"%d\r\n" % n) for n in range(100)
        }
        assert len(running.final) == 100
