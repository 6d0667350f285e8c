"""The next hop: the SMTP or LMTP server to which mail goes on.

    hop = NextHop(settings); await hop.open()
    reply = await hop.command(b"MAIL FROM:<a@example.org>")
    reply = await hop.data()                354
    await hop.content(chunks)               all but the end
    replies = await hop.end_of_data(1)      from here on it may have taken the message

One command at a time; each reply is waited for under a deadline.  A connection that is
not `usable` any more stays so: make another.  The next hop never sees an end of data but by
end_of_data: whatever goes wrong before is answered by hanging up in the middle.

Limits:  of wire/smtp.py for replies.  Of content, what the socket does not take now is waited for.
Errors:  NextHopError with the reason, after which the connection is gone.  EarlyReply, if it refuses
         the message before its end.
See:     wire/smtp_client.py; RFC 5321 s4.5.3.2 on time-outs, RFC 2033
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from lazaretto.errors import LazarettoError, LocalProtocolError, RemoteProtocolError
from lazaretto.frontends.smtp_settings import SmtpSettings
from lazaretto.frontends.tasks import Deadline
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_client import Client, Closed, State

GOODBYE_S = 5.0  # for the answer to QUIT, for which nobody waits
_QUEUE_S = 0.05  # until we look again whether there is room for one more connection
_LAST_WORDS_BYTES = 1 << 13
_ONE_WRITE = 1 << 16  # what is smaller goes out together with the end of data


class NextHopError(LazarettoError):
    """The next hop cannot be reached, is gone, is late, or said what it should not: a temporary failure of the message."""


class EarlyReply(LazarettoError):
    """A refusal in the middle of a message."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused before the end of the message: {reply}")
        self.reply = reply


class NextHop(asyncio.Protocol):
    """One connection.  `watch` is told when it stands and when it is over."""

    def __init__(self, settings: SmtpSettings, watch: Callable[[NextHop, bool], None] = lambda _hop, _stands: None) -> None:
        self._settings = settings
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._client = Client(lmtp=settings.next_hop_lmtp)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None  # for news, or for room
        self._full = False
        self._leaving = False
        self._pending = bytearray()  # content that is not written yet
        self._deadline = Deadline(self._loop, self._overdue)
        self.reason = ""  # why it is not usable any more
        self.late = False  # because of a time-out
        self.lost = False  # because the server has hung up, or was about to
        self._inode = 0  # of the socket: its number may be somebody else's by the time we look again
        self.greeting: Reply | None = None

    # -- for the session

    @property
    def extensions(self) -> Mapping[bytes, bytes]:
        """As announced."""
        return self._client.extensions

    @property
    def usable(self) -> bool:
        """Can it be given a command?  What came unasked is looked at first, a 421 for example."""
        if not self.reason:
            try:
                event = self._client.next_event()
                if event is not None:
                    closed = isinstance(event, Closed) or self._client.state is State.CLOSED
                    self.lost = closed
                    self._fail(f"closed the connection{_said(event)}" if closed else f"spoke unasked{_said(event)}")
            except RemoteProtocolError as error:
                self._fail(str(error))
        return not self.reason and self._transport is not None

    @property
    def in_transaction(self) -> bool:
        """Is there something to reset?"""
        return self._client.state is State.TRANSACTION

    async def open(self) -> None:
        """Connect, and be greeted."""
        where = self._settings.next_hop
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                if where.path:
                    await self._loop.create_unix_connection(lambda: self, sock=await _unix(where.path))
                else:
                    await self._loop.create_connection(lambda: self, where.host, where.port)
        except TimeoutError:
            self._fail("no connection in time")
        except OSError as error:
            self._fail(f"no connection: {error.strerror or error}")
        except UnicodeError:  # a name that DNS cannot express
            self._fail("no connection: no such name")
        self._check()
        self.greeting = await self._reply(self._settings.next_hop_timeout_s)
        if self.greeting.code != 220:
            self._fail(f"does not want us: {self.greeting}")
        self._check()
        await self._hello()

    async def command(self, line: bytes) -> Reply:
        """The reply to a command, `line` without CRLF."""
        return await self._ask(self._client.command, line)

    async def respond(self, line: bytes) -> Reply:
        """The reply to an answer in AUTH."""
        return await self._ask(self._client.respond, line)

    async def hello(self) -> None:
        """EHLO, again after XCLIENT."""
        await self._hello()

    async def data(self) -> Reply:
        """The reply to DATA; after 354, content."""
        return await self._ask(lambda _line: self._client.data(), b"")

    async def content(self, chunks: Iterable[bytes]) -> None:
        """Send it, but keep back the end.  EarlyReply."""
        pending = self._pending
        small = True
        for chunk in chunks:
            pending += self._client.content(chunk)
            if len(pending) > _ONE_WRITE:
                self._write(bytes(pending))
                pending.clear()
                small = False
                await asyncio.sleep(0)  # others have their turn, and so have refusals
                self._look_for_refusal()
                while self._full:
                    await self._news(self._settings.next_hop_timeout_s)
                    self._look_for_refusal()
        if not small:
            await asyncio.sleep(0)  # a reply that came too early must not pass for the one to the end

    async def end_of_data(self, replies: int) -> list[Reply]:
        """End the message; the replies.  Fewer than wanted: the connection is gone, and what became of the rest is not known."""
        self._check()
        self._look_for_refusal()
        self._write(bytes(self._pending) + self._client.finish())
        self._pending.clear()
        got: list[Reply] = []
        try:
            while len(got) < replies:
                got.append(await self._reply(self._settings.end_of_data_timeout_s))
        except NextHopError:
            pass
        return got

    def quit(self) -> None:
        """Say good-bye, for which nobody waits; in the middle of something, hang up."""
        transport = self._transport
        if transport is None or self.reason:
            return
        if self._client.state in (State.DATA, State.AUTH, State.CLOSED, State.GREETING) or self._client.outstanding:
            self.abort()
            return
        self._leaving = True
        transport.write(self._client.command(b"QUIT"))
        self.reason = "left"
        self._deadline.set(GOODBYE_S)

    def abort(self) -> None:
        """Hang up, at once, whatever is under way.  No end of data has been sent, unless end_of_data was called."""
        self._fail("given up")

    # -- waiting

    async def _hello(self) -> None:
        name = self._settings.hostname
        reply = await self.command((b"LHLO " if self._settings.next_hop_lmtp else b"EHLO ") + name)
        if 500 <= reply.code < 600 and reply.code != 521 and not self._settings.next_hop_lmtp:
            reply = await self.command(b"HELO " + name)
        if not reply.positive:
            self._fail(f"does not want us: {reply}")
            self._check()

    async def _ask(self, command: Callable[[bytes], bytes], line: bytes) -> Reply:
        if not self.usable:
            raise NextHopError(self.reason or "not connected")
        try:
            out = command(line)
        except LocalProtocolError as error:
            self._fail(f"cannot be told: {error}")
            raise NextHopError(self.reason) from None
        self._write(out)
        return await self._reply(self._settings.next_hop_timeout_s)

    async def _reply(self, timeout_s: float) -> Reply:
        until = self._loop.time() + timeout_s  # for all of it, however it drips
        while True:
            try:
                event = self._client.next_event()
            except RemoteProtocolError as error:
                self._fail(str(error))
                event = None
            if event is not None:
                if isinstance(event, Closed):
                    self.lost = True
                    self._fail(f"closed the connection{_said(event)}")
                if event.reply is not None:
                    return event.reply
            self._check()
            await self._news(max(until - self._loop.time(), 0.0))

    async def _news(self, timeout_s: float) -> None:
        """Until something happens.  NextHopError if that is the end."""
        self._check()
        self._waiter = self._loop.create_future()
        self._deadline.set(timeout_s)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline.clear()

    def _look_for_refusal(self) -> None:
        try:
            event = self._client.next_event()
        except RemoteProtocolError as error:
            self._fail(str(error))
            event = None
        if event is not None:
            self._fail(f"refused before the end of the message{_said(event)}")
            if event.reply is not None:
                raise EarlyReply(event.reply)
        self._check()

    def _check(self) -> None:
        if self.reason:
            raise NextHopError(self.reason)

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _fail(self, reason: str) -> None:
        """The end, and why: only the first reason counts."""
        if not self.reason:
            self.reason = reason
        self._deadline.close()
        self._pending.clear()
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _overdue(self) -> None:
        self.late = not self.reason
        self._fail("did not answer in time")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._watch(self, True)
        self._inode = os.fstat(transport.get_extra_info("socket").fileno()).st_ino
        if self.reason:  # given up while connecting
            self._transport.abort()
            return
        self._client.connected()

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            self._fail("left")
            return
        self._client.receive_data(data)
        self._wake()

    def eof_received(self) -> None:
        if not self._leaving:
            self._client.receive_data(b"")
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and not self.reason:
            words = self._last_words()
            if words:
                self._client.receive_data(words)
            self._client.receive_data(b"")
        self._transport = None
        self._deadline.close()
        self._watch(self, False)
        self._wake()

    def _last_words(self) -> bytes:
        """What it said before it hung up on what we were writing: why.  The event loop does not read it any more."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        try:
            fd = sock.fileno() if sock is not None else -1
            return os.read(fd, _LAST_WORDS_BYTES) if os.fstat(fd).st_ino == self._inode else b""
        except OSError:
            return b""

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()


async def _unix(path: str) -> socket.socket:
    """Connected.  asyncio takes EAGAIN, the word of a UNIX socket whose queue is full, for a connection under way."""
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:
            sock.close()
            await asyncio.sleep(_QUEUE_S)
        except BaseException:
            sock.close()
            raise
        else:
            return sock


def _said(event: object) -> str:
    reply = getattr(event, "reply", None)
    return f": {reply}" if reply is not None else ""
