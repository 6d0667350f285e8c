"""The connection to the next hop on its own: commands, content, the end of data, and that it ends when it has failed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from lazaretto.frontends.next_hop import EarlyReply, NextHop, NextHopError
from next_hop_double import HANG_UP, OK, SILENCE, WAIT
from next_hop_double import NextHop as Double
from smtp_running import settings

BIG = (b"x" * 998 + b"\r\n") * 20_000  # more than the kernel keeps for somebody who does not read


def using(double: Double | str, talk: Callable[[NextHop], Awaitable[None]], **others: float) -> None:
    """Let `talk` have an open connection."""

    async def main() -> None:
        hop = NextHop(settings(double, **others))
        await hop.open()
        try:
            await talk(hop)
        finally:
            hop.abort()
            await asyncio.sleep(0)

    asyncio.run(main())


async def begin(hop: NextHop) -> None:
    assert (await hop.command(b"MAIL FROM:<s@example.org>")).positive
    assert (await hop.command(b"RCPT TO:<r@example.net>")).positive
    assert (await hop.data()).code == 354


def test_one_message() -> None:
    async def talk(hop: NextHop) -> None:
        assert hop.usable
        assert b"SMTPUTF8" in hop.extensions
        assert not hop.in_transaction
        await begin(hop)
        await hop.content([b"Subject: x\r\n\r\n", b".dot", b"\r\n..\r\n"])
        (reply,) = await hop.end_of_data(1)
        assert reply.code == 250
        assert not hop.in_transaction
        assert hop.usable

    with Double() as double:
        using(double, talk)
        assert double.messages[0].content == b"Subject: x\r\n\r\n.dot\r\n..\r\n"


def test_nothing_ends_the_message_before_end_of_data() -> None:
    async def talk(hop: NextHop) -> None:
        await begin(hop)
        await hop.content([b"x\r\n.", b"\r\n", b"\r\n.\r\n"])

    with Double() as double:
        using(double, talk)
        double.until(lambda: double.ended == 1)
        assert (double.ends, double.messages) == (0, [])


@pytest.mark.parametrize("sender", ["abort", "cancel"])
def test_a_message_that_is_broken_off(sender: str) -> None:
    async def talk(hop: NextHop) -> None:
        await begin(hop)
        if sender == "abort":
            await hop.content([BIG[: 1 << 20]])
            hop.abort()
            assert not hop.usable
            return
        sending = asyncio.ensure_future(hop.content([BIG] * 10))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    with Double() as double:
        using(double, talk)
        double.until(lambda: double.ended == 1)
        assert (double.ends, double.messages) == (0, [])


def test_content_is_taken_only_as_fast_as_it_goes() -> None:
    """Of what the next hop does not read, only so much is held."""
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield BIG[: 1 << 20]

    async def talk(hop: NextHop) -> None:
        await begin(hop)
        with pytest.raises(NextHopError, match="in time"):
            await hop.content(pieces())

    with Double({"DATA": [b"354 Go on\r\n" + SILENCE]}) as double:
        using(double, talk, next_hop_timeout_s=0.2)
    assert taken < 100


def test_early_refusal() -> None:
    async def talk(hop: NextHop) -> None:
        await begin(hop)
        with pytest.raises(EarlyReply) as caught:
            await hop.content([BIG] * 20)
        assert caught.value.reply.code == 552
        assert not hop.usable

    with Double({"content": [b"552 5.3.4 Too big\r\n"]}) as double:
        using(double, talk)


def test_replies_that_do_not_come() -> None:
    async def talk(hop: NextHop) -> None:
        await begin(hop)
        await hop.content([b"x\r\n"])
        assert [reply.code for reply in await hop.end_of_data(3)] == [250]
        assert not hop.usable
        assert "closed" in hop.reason

    with Double({"dot": [OK + HANG_UP]}) as double:
        using(double, talk)


def test_a_reply_that_drips_does_not_take_for_ever() -> None:
    """The time is for the whole reply, not for each of its lines."""

    async def talk(hop: NextHop) -> None:
        asked = asyncio.ensure_future(hop.command(b"NOOP"))
        while not asked.done():
            await asyncio.sleep(0.02)
            hop.data_received(b"250-and another line\r\n")
        with pytest.raises(NextHopError, match="in time"):
            await asked

    with Double({"NOOP": [SILENCE]}) as double:
        using(double, talk, next_hop_timeout_s=0.3)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"greeting": [b"554 5.3.2 No\r\n"]}, "does not want us: 554 5.3.2 No"),
        ({"greeting": [HANG_UP]}, "closed the connection"),
        ({"greeting": [SILENCE]}, "did not answer in time"),
        ({"greeting": [b"hello\r\n"]}, "not a reply"),
        ({"EHLO": [b"421 4.3.2 Busy\r\n"]}, "does not want us: 421"),
        ({"EHLO": [b"502 No\r\n"], "HELO": [b"502 No\r\n"]}, "does not want us: 502"),
    ],
)
def test_no_connection(answers: dict[str, list[bytes]], reason: str) -> None:
    async def main() -> None:
        hop = NextHop(settings(double, next_hop_timeout_s=0.2))
        with pytest.raises(NextHopError, match=reason):
            await hop.open()
        assert not hop.usable
        with pytest.raises(NextHopError):
            await hop.command(b"NOOP")
        await asyncio.sleep(0)

    with Double(answers) as double:
        asyncio.run(main())
        if SILENCE not in answers.get("greeting", []):
            double.until(lambda: double.ended == 1)


@pytest.mark.parametrize("address", ["unix:/nonexistent/socket", "127.0.0.1:1", "no-such-host.invalid:25", "a..b:25"])
def test_nobody_there(address: str) -> None:
    async def main() -> None:
        with pytest.raises(NextHopError, match="no connection"):
            await NextHop(settings(address)).open()

    asyncio.run(main())


def test_time_to_connect(tmp_path: Path) -> None:
    """A socket whose queue is full: connecting waits."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "full"))
        listener.listen(0)
        waiting = []
        for _ in range(3):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            waiting.append(sock)
            sock.connect_ex(str(tmp_path / "full"))

        async def main() -> None:
            with pytest.raises(NextHopError, match="no connection in time"):
                await NextHop(settings(f"unix:{tmp_path}/full", connect_timeout_s=0.05)).open()

        asyncio.run(main())
        for sock in waiting:
            sock.close()


def test_a_connection_that_is_closed_while_nothing_is_asked() -> None:
    async def talk(hop: NextHop) -> None:
        assert (await hop.command(b"NOOP")).positive
        double.say_everywhere(b"421 4.4.2 Idle\r\n")
        double.hang_up()
        while hop.usable:
            await asyncio.sleep(0.001)
        assert hop.reason == "closed the connection: 421 4.4.2 Idle"

    with Double() as double:
        using(double, talk)


def test_bad_commands_never_go_out() -> None:
    async def talk(hop: NextHop) -> None:
        with pytest.raises(NextHopError, match="cannot be told"):
            await hop.command(b"NOOP\r\nMAIL FROM:<>")

    with Double() as double:
        using(double, talk)
        double.until(lambda: double.ended == 1)
        assert double.commands == [b"EHLO proxy.example"]


def test_quit_waits_for_its_answer_and_nobody_for_quit() -> None:
    seen: list[bool] = []

    async def main() -> None:
        hop = NextHop(settings(double), lambda _hop, stands: seen.append(stands))
        await hop.open()
        hop.quit()
        hop.quit()
        assert not hop.usable
        assert seen == [True]
        double.go()
        while seen != [True, False]:
            await asyncio.sleep(0.001)

    with Double({"QUIT": [WAIT + b"221 2.0.0 Bye\r\n"]}) as double:
        asyncio.run(main())
        assert double.commands[-1] == b"QUIT"


def test_a_refusal_is_heard_though_nobody_reads() -> None:
    """First the socket is full, then comes the reply."""

    async def talk(hop: NextHop) -> None:
        await begin(hop)
        full, pause = asyncio.Event(), hop.pause_writing

        def pause_writing() -> None:
            pause()
            full.set()

        hop.pause_writing = pause_writing  # type: ignore[method-assign]
        sending = asyncio.ensure_future(hop.content([BIG] * 10))
        await asyncio.wait_for(full.wait(), 10)
        double.go()
        with pytest.raises(EarlyReply):
            await asyncio.wait_for(sending, 10)

    with Double({"content": [WAIT + b"552 5.3.4 Too big\r\n" + SILENCE]}) as double:
        using(double, talk)
