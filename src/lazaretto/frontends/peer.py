"""One connection of a front end: what any session of a mail protocol has to do with its time and its pipe.

    class Session(Peer):                     data_received() feeds self._machine
        await self._wait()                   until something has come, or the deadline has passed: then self._late
        self._send(data)
        await self._heard(timeout_s)         has the other side taken it?

Only while the session waits for the other side does the deadline count: for what others do, others have deadlines.

Limits:  BACKLOG_BYTES that the other side sends ahead, then nothing more is read until `_read_on`.  LINGER_S for a connection that
         is closed to take what was said last.
Errors:  none.
See:     smtp_session.py, milter_session.py; tasks.Deadline
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from lazaretto.frontends import tasks

BACKLOG_BYTES = 1 << 16
LINGER_S = 3.0


class Machine(Protocol):
    """A machine of wire/."""

    @property
    def buffered(self) -> int:
        """Bytes that have come and were not handed out."""
        ...

    def receive_data(self, data: bytes) -> None:
        """b"" is the end of input."""
        ...


class Peer(asyncio.Protocol):
    """See the module.  A session makes its `_machine`, and sets `_transport` and `_task` when the connection is made."""

    _machine: Machine

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None  # for the other side, not for anybody else
        self._deadline = tasks.Deadline(self._loop, self._overdue)
        self._late = False
        self._received = 0  # bytes since the deadline was set
        self._paused = False  # reading
        self._full = False  # the other side does not take what we send

    def stop(self) -> None:
        """The service drains: look whether something is under way."""
        self._wake()

    def abort(self) -> None:
        """The service closes: at once."""
        if self._task is not None:
            self._task.cancel()

    # -- for the event loop

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self._machine.receive_data(data)
        if self._waiter is not None:
            self._wake()
        elif not self._paused and self._transport is not None and self._machine.buffered > BACKLOG_BYTES:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    # -- for the session

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():  # else asyncio logs each piece
            self._transport.write(data)

    def _read_on(self) -> None:
        """There is room again for what is sent ahead."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    async def _heard(self, timeout_s: float) -> bool:
        """Has the other side taken what was sent, within that time?"""
        self._deadline.set(timeout_s)
        while self._full and not self._late and self._transport is not None:
            await self._wait()
        if self._late and self._transport is not None:
            self._transport.abort()
        return not self._late

    def _hang_up(self) -> None:
        """At the end.  Whoever takes nothing would keep the descriptor for ever."""
        self._deadline.close()
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(LINGER_S, self._transport.abort)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _overdue(self) -> None:
        if self._waiter is not None:
            self._late = True
            self._wake()
