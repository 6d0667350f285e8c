"""A connection's time and pipe: waiting, what is sent ahead, who takes nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest

from lazaretto.frontends import peer, tasks
from lazaretto.frontends.peer import BACKLOG_BYTES, Peer
from serving import PATIENCE_S


class Pile:
    """A machine that keeps all it gets."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def buffered(self) -> int:
        return len(self.data)

    def receive_data(self, data: bytes) -> None:
        self.data += data


class Session(Peer):
    _machine: Pile

    def __init__(self) -> None:
        super().__init__()
        self._machine = Pile()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self.lost.set()
        self._wake()


async def connected() -> tuple[Session, socket.socket]:
    """A session, and the other end of its connection, which blocks."""
    ours, theirs = socket.socketpair()
    session = Session()
    ours.setblocking(False)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: session, ours)
    theirs.settimeout(20)
    return session, theirs


def test_waits_for_data_or_for_the_deadline() -> None:
    async def run() -> None:
        session, other = await connected()
        with other:
            other.sendall(b"data")
            await session._wait()
            assert (session._machine.data, session._received, session._late) == (b"data", 4, False)
            session._deadline.set(0.001)
            await session._wait()
            assert session._late
            session._hang_up()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_the_deadline_does_not_count_while_nobody_waits() -> None:
    async def run() -> None:
        session, other = await connected()
        with other:
            session._overdue()
            assert not session._late
            session._hang_up()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_what_is_sent_ahead_is_bounded() -> None:
    """Until somebody asks for more."""

    async def run() -> None:
        session, other = await connected()
        with other:
            other.setblocking(False)
            loop = asyncio.get_running_loop()
            sending = tasks.start(loop.sock_sendall(other, bytes(16 * BACKLOG_BYTES)), "sending")
            while not session._paused:
                await asyncio.sleep(0)
            kept = session._machine.buffered
            assert BACKLOG_BYTES < kept < 8 * BACKLOG_BYTES  # and what came in one piece
            assert not sending.done()
            while not sending.done():
                session._read_on()
                await asyncio.sleep(0)
            session._hang_up()
            await session.lost.wait()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_who_takes_nothing_is_hung_up_on() -> None:
    async def run() -> None:
        session, other = await connected()
        with other:
            assert session._transport is not None
            session._transport.set_write_buffer_limits(1)
            session._send(bytes(1 << 22))
            assert session._full
            assert not await session._heard(0.01)
            await session.lost.wait()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_what_is_taken_was_heard() -> None:
    async def run() -> None:
        session, other = await connected()
        with other:
            assert session._transport is not None
            session._transport.set_write_buffer_limits(1)
            session._send(bytes(1 << 22))
            taking = asyncio.get_running_loop().run_in_executor(None, taken, other, 1 << 22)
            assert await session._heard(20)
            session._hang_up()
            await taking
            session._send(b"more")  # to nobody, and nothing happens

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def taken(sock: socket.socket, size: int) -> None:
    while size:
        size -= len(sock.recv(min(size, 1 << 16)))


def test_a_connection_that_is_closed_does_not_stay_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "LINGER_S", 0.01)

    async def run() -> None:
        session, other = await connected()
        with other:
            session._send(bytes(1 << 22))  # which nobody reads
            session._hang_up()
            await session.lost.wait()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_abort_cancels_the_conversation() -> None:
    async def run() -> None:
        session, other = await connected()
        with other:
            session.abort()  # before it has begun
            session._task = tasks.start(session._wait(), "session")
            await asyncio.sleep(0)
            session.stop()
            await session._task
            session._task = tasks.start(session._wait(), "session")
            await asyncio.sleep(0)
            session.abort()
            with pytest.raises(asyncio.CancelledError):
                await session._task
            session._hang_up()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
