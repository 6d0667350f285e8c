"""One SMTP or LMTP session: the client's connection, its bytes, its time.

What the client says goes through wire/smtp_server.py and comes out as events, one at a time; smtp_relay.py answers
them. The content of a message goes into its transaction as it comes.

A client that hangs up ends all: the next hop is hung up on, and has not seen an end of data.  Only when it
has been sent one, its answer is waited for, for the log.  In a socket, end of input and hanging up cannot be told apart: while
a message is scanned or handed on, the one is taken for the other, for nobody may be there to hear that it was taken; but
not if QUIT was the last that came: so does Exim, who waits for the answers to both.

Who is sent away hears why: what it still sends is taken in for peer.LINGER_S, because a connection that is closed over unread
data takes back what was said last.

Limits:  of smtp_settings.py and peer.py.  A client that does not
         take its replies is not heard.
Errors:  none; a bug here costs one session a 421 and a line in the log.
See:     smtp_proxy.py; RFC 5321 s4.5.3.2.7
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast

from lazaretto.frontends import peer, tasks
from lazaretto.frontends.failure import reason
from lazaretto.frontends.peer import Peer
from lazaretto.frontends.smtp_delivery import LOG_ERR, LOG_WARNING, Gone
from lazaretto.frontends.smtp_relay import STOPPING, Relay
from lazaretto.frontends.smtp_settings import MIN_PIECE_BYTES
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_commands import Quit, State
from lazaretto.wire.smtp_server import Content, EndOfData, Server

if TYPE_CHECKING:
    from lazaretto.frontends.smtp_proxy import SmtpService

COMMANDS_IN_A_ROW = 16  # of one client, then others have their turn
FULL = Reply(421, (b"4.3.2 Too many connections, try again later",))
LATE = Reply(421, (b"4.4.2 Timeout",))
ERRORS = Reply(421, (b"4.7.0 Too many errors",))
BROKEN = Reply(421, (b"4.3.0 Internal error, try again later",))


class Session(Peer):
    """See the module.  `half_close`: the end of input says nothing about whether somebody waits for answers."""

    _machine: Server

    def __init__(self, service: SmtpService, *, half_close: bool = False) -> None:
        super().__init__()
        self._service = service
        self._settings = settings = service.settings  # for all its life
        self._machine = Server(lmtp=settings.lmtp, end_of_data=settings.end_of_data, stray=settings.stray)
        self._relay: Relay
        self._half_close = half_close
        self._armed = False  # the deadline is that of the command that comes now
        self._ended = False  # no more input
        self._lost = False  # nobody is at the other end
        self._quit = False

    # -- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        address = transport.get_extra_info("peername")
        sock = transport.get_extra_info("socket")
        client = ""
        trusted = sock is None or sock.family == socket.AF_UNIX  # who may open it decides who may connect
        if not trusted and isinstance(address, tuple):
            client = str(address[0]).removeprefix("::ffff:")
            trusted = self._settings.trusts(client)
        self._relay = Relay(self._service, self._machine, client, trusted, self._is_gone)
        self._service.begun(self)
        self._task = tasks.start(self._run(), "smtp session")
        self._task.add_done_callback(self._over)

    def eof_received(self) -> bool:
        self._ended = True
        self._machine.receive_data(b"")
        if self._relay.delivering:
            self._leave()
        self._wake()
        return True  # our side stays open, for answers to what has come

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._ended = self._lost = True
        self._machine.receive_data(b"")
        self._leave()
        self._wake()

    def _is_gone(self) -> bool:
        # Whether QUIT was the last can only be seen where the content ends, so when somebody wants to know.
        self._half_close = self._half_close or (self._ended and self._machine.leaving)
        return self._lost or (self._ended and not self._half_close)

    def _leave(self) -> None:
        """Nobody waits for an answer: stop what is under way, if that can still be done."""
        if self._task is not None and self._is_gone() and not self._relay.committed and self._waiter is None:
            self._task.cancel()

    # -- the conversation

    async def _run(self) -> None:
        try:
            await self._converse()
            self._deadline.clear()
            self._relay.close()
            await self._linger()
        except (asyncio.CancelledError, Gone):
            pass  # the client has gone, or the service closes
        except Exception as error:  # noqa: BLE001 - a bug ends one session; its message stays with the client
            self._relay.lose("deferred", reason(error))
            self._service.note("crash", LOG_ERR, reason(error))
            self._write(BROKEN)

    def _over(self, _task: object) -> None:
        """Also if the task was cancelled before it began."""
        self._relay.lose("aborted", "the client hung up")
        self._relay.close()
        self._hang_up()
        self._service.ended(self)

    async def _converse(self) -> None:
        if self._service.full:
            self._service.note("full", LOG_WARNING, f"{self._service.connections} connections")
            self._write(FULL)
            return
        machine, relay = self._machine, self._relay
        commands = 0
        self._say(Reply(220, (self._settings.hostname + (b" LMTP" if self._settings.lmtp else b" ESMTP"),)))
        while machine.state is not State.CLOSED:
            event = machine.next_event()
            if isinstance(event, Content):
                if relay.transaction is not None:
                    relay.transaction.take(event.data)
            elif event is None:
                if self._service.draining and relay.transaction is None:
                    self._write(STOPPING)
                    return
                await self._more()
                if self._late:
                    relay.lose("aborted", "the client said nothing in time")
                    self._write(LATE)
                    return
            elif machine.waiting:
                self._armed = False
                self._quit = isinstance(event, Quit)
                replies = await relay.answer(event)
                for reply in replies if machine.errors <= self._settings.max_errors else (ERRORS,):
                    self._say(reply)
                if isinstance(event, EndOfData):
                    await relay.settle()
                if self._full and not await self._heard(self._settings.command_timeout_s):  # as long as it has for a command
                    return
                commands += 1
                if commands % COMMANDS_IN_A_ROW == 0:
                    await asyncio.sleep(0)  # what we answer ourselves makes nobody wait

    async def _more(self) -> None:
        """Until there is more to look at.  A command has to arrive within its time, of a message a piece."""
        self._read_on()
        in_data = self._machine.state is State.DATA
        if not self._armed or (in_data and self._received >= MIN_PIECE_BYTES):
            self._armed = True
            self._received = 0
            self._deadline.set(self._settings.data_timeout_s if in_data else self._settings.command_timeout_s)
        await self._wait()

    def _say(self, reply: Reply) -> None:
        self._send(self._machine.reply(reply))

    def _write(self, reply: Reply) -> None:
        """Say what nobody has asked for, at the end: what still comes is not kept."""
        self._send(self._machine.hang_up(reply))

    async def _linger(self) -> None:
        transport = self._transport
        if transport is None or self._ended or self._quit or not transport.can_write_eof():
            return
        try:
            transport.write_eof()
        except OSError:  # it has gone without waiting
            return
        self._read_on()
        self._late = False
        self._deadline.set(peer.LINGER_S)
        while not self._ended and not self._late:
            await self._wait()
