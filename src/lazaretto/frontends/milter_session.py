"""One connection of an MTA: its packets, its time, many messages one after the other.

What comes goes through wire/milter_filter.py and comes out as events.  Content goes into its message as it comes; at the end
milter_answer.py says what to send.  While that lasts, PROGRESS goes out every progress_s, for an MTA gives up after a while.

An MTA that hangs up has given up its messages; one that was begun gets its final line, outcome=aborted.  A message that the MTA
takes back before any content has come (RSET, or nobody who wants it) is none.

Limits:  of milter_settings.py and peer.py.
Errors:  none; a bug here costs one connection, and its message, a temporary failure and a line in the log.
See:     milter_service.py, docs/protocols/milter.md
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from lazaretto.errors import LazarettoError, RemoteProtocolError
from lazaretto.frontends import tasks
from lazaretto.frontends.failure import reason
from lazaretto.frontends.milter_answer import Answer, answer, of_reply, refused
from lazaretto.frontends.milter_message import Message, envelope
from lazaretto.frontends.peer import Peer
from lazaretto.frontends.smtp_delivery import LOG_ERR, LOG_WARNING, described
from lazaretto.frontends.smtp_settings import MIN_PIECE_BYTES
from lazaretto.frontends.smtp_transaction import BUSY, TROUBLE, Refusal
from lazaretto.frontends.smtp_transaction import refused as refused_now
from lazaretto.wire import milter as wire
from lazaretto.wire import milter_commands as told
from lazaretto.wire.milter import Steps, packet
from lazaretto.wire.milter_filter import Closed, Event, Filter, Negotiated, State

if TYPE_CHECKING:
    from lazaretto.frontends.milter_service import MilterService
    from lazaretto.model import Envelope

EVENTS_IN_A_ROW = 256  # of one MTA, then others have their turn


class Gone(LazarettoError):
    """The MTA has hung up."""


class MilterSession(Peer):
    """See the module."""

    _machine: Filter

    def __init__(self, service: MilterService) -> None:
        super().__init__()
        self._service = service
        self._settings = service.settings  # for all its life
        self._machine = Filter(self._settings.wanted)
        self._message: Message | None = None
        self._client: told.Connect | None = None
        self._helo = b""
        self._peer = ""
        self._ticking: asyncio.TimerHandle
        self._armed = State.START  # the deadline is that of this state
        self._busy = False  # a message is scanned or answered
        self._ended = False  # no more input

    @property
    def idle(self) -> bool:
        """No client of the MTA's is known, so closing harms none."""
        return self._message is None and self._client is None

    # -- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else "unix"
        self._service.begun(self)
        self._task = tasks.start(self._run(), "milter session")
        self._task.add_done_callback(self._over)

    def eof_received(self) -> bool:
        self._leave()
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._leave()

    def _leave(self) -> None:
        if not self._ended:
            self._ended = True
            self._machine.receive_data(b"")
        if self._busy and self._task is not None:
            self._task.cancel()
        self._wake()

    # -- the conversation

    async def _run(self) -> None:
        try:
            await self._converse()
        except (asyncio.CancelledError, Gone):
            pass  # the MTA has gone, or the service closes
        except RemoteProtocolError as error:
            self._lose("aborted", str(error))
            self._service.note("protocol", LOG_WARNING, f"{self._peer}: {error}")
        except Exception as error:  # noqa: BLE001 - a bug ends one session; its message stays with the MTA
            self._service.note("crash", LOG_ERR, reason(error))
            self._lose("deferred", reason(error))
            if self._machine.waiting:
                self._send(self._machine.send(packet(wire.TEMPFAIL)))

    def _over(self, _task: object) -> None:
        """Also if the task was cancelled before it began."""
        self._lose("aborted", "the mail server hung up" if self._ended else "broken off")
        self._hang_up()
        self._service.ended(self)

    async def _converse(self) -> None:
        if self._service.overfull:
            self._service.note("full", LOG_WARNING, f"{self._service.connections} connections")
            return
        events = 0
        while True:
            event = self._machine.next_event()
            if event is None:
                if self._service.draining and self._message is None and (self.idle or self._service.hurried):
                    return
                await self._more()
                if self._late:
                    self._lose("aborted", "the mail server said nothing in time")
                    return
                continue
            if isinstance(event, Closed | told.Quit):
                self._end_early(event)
                return
            await self._serve(event)
            events += 1
            if events % EVENTS_IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def _serve(self, event: Event) -> None:
        """One event, and its answer, if somebody waits for one."""
        match event:
            case told.Header():
                self._begun().header(event.name, event.value)
            case told.Body():
                message = self._begun()
                message.body(event.data)
                if message.refusal is not None and self._machine.waiting and self._machine.steps & Steps.SKIP:
                    self._send(self._machine.send(packet(wire.SKIP)))
            case told.EndOfBody():
                await self._end_of_body(event)
            case told.Mail():
                self._mail(event)
            case told.Recipient():
                self._begun().recipient(event)
            case told.Data() | told.EndOfHeaders():
                self._begun()
            case told.Connect():
                self._client = event
            case told.Helo():
                self._helo = event.name
            case told.Abort():
                self._end_early(event)
            case told.NewConnection():
                self._end_early(event)
                self._client, self._helo = None, b""
            case Negotiated():
                self._negotiated(event)
        self._send(self._machine.proceed())
        if self._full:
            await self._taken()

    def _negotiated(self, event: Negotiated) -> None:
        self._send(event.reply)
        if event.missing:
            names = ", ".join(str(flag.name) for flag in wire.Actions if flag & event.missing)
            self._service.note("negotiation", LOG_WARNING, f"{self._peer} does not offer {names}: messages that need it are deferred")

    # -- one message

    def _begun(self) -> Message:
        if self._message is None:
            leading = bool(self._machine.steps & Steps.LEADING_SPACE)
            self._message = Message(self._settings, self._service, leading_space=leading)
        return self._message

    def _mail(self, event: told.Mail) -> None:
        """A message begins; or it does not, if there is no room, and the MTA hears that if it waits."""
        self._begun().mail(event)
        refusal = refused_now(self._settings, self._service, 0)
        if self._service.full:
            refusal = Refusal(BUSY, "busy", f"{self._service.connections} connections")
        if refusal is not None and self._machine.waiting:
            self._conclude(refused(refusal, self._envelope()))

    async def _end_of_body(self, event: told.EndOfBody) -> None:
        message = self._begun()
        message.body(event.data)
        self._busy = True
        self._ticking = self._loop.call_later(self._settings.progress_s, self._progress)
        try:
            found = await answer(self._settings, self._service.pool, self._machine, message, self._envelope())
        finally:
            self._ticking.cancel()
            self._busy = False
        try:
            for change in found.changes:
                self._send(self._machine.send(change))
                if self._full:
                    await self._taken()
        except (OSError, ValueError) as error:  # of the spool; what has been sent counts for nothing without a verdict
            found = found._replace(final=of_reply(TROUBLE), level=LOG_ERR)
            found.pairs.update(verdict=found.pairs["outcome"], outcome="deferred", error=reason(error))
        if self._machine.changing and found.final != packet(wire.ACCEPT):
            found = found._replace(final=packet(wire.TEMPFAIL))
        if self._ended or self._transport is None:
            raise Gone
        self._conclude(found)

    def _progress(self) -> None:
        """Again and again, until the timer is cancelled."""
        if not self._full:
            self._send(self._machine.send(packet(wire.PROGRESS)))
        self._ticking = self._loop.call_later(self._settings.progress_s, self._progress)

    def _envelope(self) -> Envelope:
        return envelope(self._begun(), self._client, self._helo, self._machine.macros)

    def _conclude(self, found: Answer) -> None:
        """The last packet of its answer, after the line: who has the answer finds the line."""
        final = self._machine.send(found.final)
        self._finish(found)
        self._send(final)

    def _finish(self, found: Answer) -> None:
        """It has got its answer: the final line, and then it is not in our hands any more (final_lines.py)."""
        message, self._message = self._message, None
        handed_over = False
        try:
            handed_over = self._service.done(found, message is not None and message.in_hand)
        finally:
            if message is not None:
                message.close(handed_over)  # whatever becomes of the line

    def _end_early(self, event: Event) -> None:
        """The MTA takes its message back."""
        message = self._message
        if message is None:
            return
        if message.begun or isinstance(event, Closed):
            self._lose("aborted", "the mail server hung up" if isinstance(event, Closed) else "the mail server gave it up")
        else:
            self._message = None
            message.close()

    def _lose(self, outcome: str, error: str) -> None:
        """It ends in the middle."""
        if self._message is not None:
            pairs = described(outcome, "system", self._envelope()) | {"error": error}
            self._finish(Answer(iter(()), b"", pairs, LOG_ERR if outcome == "deferred" else LOG_WARNING))

    # -- the connection

    async def _more(self) -> None:
        """Until there is more to look at.  Between messages an MTA waits for its clients; content comes at once."""
        self._read_on()
        state = self._machine.state
        in_content = state in (State.HEADERS, State.BODY)
        if self._armed is not state or not in_content or self._received >= MIN_PIECE_BYTES:
            self._armed = state
            self._received = 0
            self._deadline.set(self._settings.data_timeout_s if in_content else self._settings.timeout_s)
        await self._wait()

    async def _taken(self) -> None:
        """Gone, if the MTA does not take what was sent."""
        if not await self._heard(self._settings.data_timeout_s) or self._transport is None:
            raise Gone
