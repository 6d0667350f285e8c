"""What a client's commands come to: the next hop hears them, and a transaction is kept.

A relay answers the events of one session (wire/smtp_commands.py) with replies.  The next hop is connected to when the client
says hello, for what is announced is what both sides have; MAIL, RCPT and AUTH go to it as they came, and its replies
come back as they are.  DATA is answered by us: the next hop hears it when the message has been scanned
(smtp_delivery.py).  RSET, and a second hello, reset both sides.

A next hop that has closed the connection is connected to anew at the next MAIL, and told the transaction again in the middle
of one (smtp_onward.py), unless it has learned who the client is (AUTH, XCLIENT): then 421, or 451 within a transaction.  Where
that is of no use, it is 451, until the client begins another transaction.

Limits:  of smtp_settings.py.
Errors:  Gone, if the client has left before its message was handed on.
See:     smtp_session.py; docs/protocols/smtp.md; Postfix' XFORWARD_README and XCLIENT_README
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from lazaretto.frontends.next_hop import NextHopError
from lazaretto.frontends.smtp_delivery import LOG_ERR, LOG_WARNING, NEXT_HOP_GONE, Delivery, Gone, Result, described, refused
from lazaretto.frontends.smtp_onward import Onward
from lazaretto.frontends.smtp_transaction import TROUBLE, Transaction
from lazaretto.frontends.smtp_transaction import refused as refused_now
from lazaretto.model import Envelope
from lazaretto.wire import smtp_commands as wire
from lazaretto.wire.smtp import Reply, extension_lines, offer
from lazaretto.wire.smtp_server import EndOfData
from lazaretto.wire.smtp_xforward import XFORWARD

if TYPE_CHECKING:
    from lazaretto.frontends.next_hop import NextHop
    from lazaretto.frontends.smtp_proxy import SmtpService
    from lazaretto.wire.smtp_server import Server

GO_AHEAD = Reply(354, (b"End data with <CR><LF>.<CR><LF>",))
DOWN = Reply(421, (b"4.3.2 Next hop not available, try again later",))
STOPPING = Reply(421, (b"4.3.2 Service is shutting down, try again later",))
NOT_TRUSTED = Reply(550, (b"5.7.0 Not authorized",))
NOT_THERE = Reply(502, (b"5.5.1 Not available here",))
ONE_EACH = Reply(452, (b"4.5.3 One recipient at a time here",))
TOO_MANY = Reply(452, (b"4.5.3 Too many recipients",))


class Relay:
    """For one session.  `gone` tells whether its client has left; `delivering` and `committed`, what that would mean."""

    def __init__(self, service: SmtpService, machine: Server, client: str, trusted: bool, gone: Callable[[], bool]) -> None:
        self.transaction: Transaction | None = None
        self.delivering = False  # a message is scanned or handed on
        self.committed = False  # the next hop may have taken it
        self._service = service
        self._settings = service.settings  # those of the start, for all the session
        self._machine = machine
        self._client = client
        self._trusted = trusted
        self._gone = gone
        self._onward = Onward(self._settings, service.watch, lambda: machine.xforward)
        self._helo = b""
        self._external: dict[bytes, bytes | None] = {}  # by XCLIENT
        self._again = False  # the next hop wants to be greeted again
        self._handlers: dict[type, Callable[[Any], Awaitable[Reply]]] = {
            wire.Hello: self._hello,
            wire.Mail: self._mail,
            wire.Recipient: self._recipient,
            wire.Data: self._data,
            wire.Reset: self._reset,
            wire.Xforward: self._xforward,
            wire.Xclient: self._xclient,
            wire.Auth: self._auth,
            wire.AuthResponse: self._auth_response,
            wire.Quit: self._goodbye,
        }

    async def answer(self, event: Any) -> tuple[Reply, ...]:
        """The reply to a command; to an end of data, in LMTP, as many as there are recipients."""
        if isinstance(event, EndOfData):
            return await self._end_of_data(event)
        handler = self._handlers.get(type(event))
        return (await handler(event) if handler is not None else cast("Reply", event.reply),)

    async def settle(self) -> None:
        """After the replies: a transaction that came to nothing is reset."""
        self.committed = False
        if self.transaction is None:
            await self._abandon()

    def close(self) -> None:
        """Say good-bye to the next hop."""
        self._onward.quit()

    # -- commands

    async def _hello(self, event: wire.Hello) -> Reply:
        await self._abandon()
        self._helo = event.name
        try:
            hop = await self._onward.connected()
            if self._again:
                self._again = False
                await hop.hello()
        except NextHopError as error:
            self._service.note("next-hop", LOG_ERR, str(error))
            return DOWN
        name = self._settings.hostname
        if event.verb == b"HELO":
            return Reply(250, (name,))
        offered = offer(hop.extensions, self._settings.max_message_bytes if b"SIZE" in hop.extensions else 0)
        if b"PIPELINING" not in hop.extensions:
            offered.pop(b"PIPELINING", None)
        offered.pop(b"XFORWARD", None)
        if self._trusted:
            offered[b"XFORWARD"] = b" ".join(XFORWARD)
            if b"XCLIENT" in hop.extensions:
                offered[b"XCLIENT"] = hop.extensions[b"XCLIENT"]
        return Reply(250, (name, *extension_lines(offered)))

    async def _mail(self, event: wire.Mail) -> Reply:
        if self._service.draining:
            return STOPPING
        self._forget()
        told = event.parameters.get(b"SIZE") or b""
        envelope = self._envelope(event.address)
        refusal = refused_now(self._settings, self._service, int(told) if told.isdigit() and len(told) <= 20 else 0)
        if refusal is not None:
            self._service.done(refused(Transaction(self._settings, self._service, envelope), refusal))
            return refusal.reply
        try:
            reply = await self._onward.mail(b"MAIL FROM:" + event.argument)
        except NextHopError as error:
            self._service.note("next-hop", LOG_ERR, str(error))
            return DOWN if self._onward.bound else NEXT_HOP_GONE
        if reply.positive:
            self.transaction = Transaction(self._settings, self._service, envelope)
        return reply

    async def _recipient(self, event: wire.Recipient) -> Reply:
        transaction = cast("Transaction", self.transaction)
        if transaction.over is not None:
            return transaction.over
        if len(transaction.recipients) >= self._settings.max_recipients:
            return TOO_MANY
        if transaction.recipients and self._settings.next_hop_lmtp and not self._settings.lmtp:
            return ONE_EACH  # one reply of ours cannot say what became of two
        try:
            reply = await self._onward.recipient(b"RCPT TO:" + event.argument)
        except NextHopError as error:
            transaction.trouble, transaction.over = str(error), NEXT_HOP_GONE
            return NEXT_HOP_GONE
        if reply.code == 421:  # after which the session is over
            transaction.trouble = str(reply)
        if reply.positive:
            transaction.recipients.append(event.address)
            transaction.envelope = transaction.envelope._replace(rcpt_to=tuple(transaction.recipients))
        return reply

    async def _data(self, _event: wire.Data) -> Reply:
        transaction = cast("Transaction", self.transaction)
        if transaction.over is not None:
            return transaction.over
        refusal = transaction.begin()
        if refusal is None:
            return GO_AHEAD
        self._service.done(refused(transaction, refusal))
        transaction.over = refusal.reply
        return refusal.reply

    async def _end_of_data(self, event: EndOfData) -> tuple[Reply, ...]:
        transaction = cast("Transaction", self.transaction)
        self.delivering = True
        try:
            self._check_presence()
            delivery = Delivery(self._settings, self._service.pool, transaction, self._commit)
            result = await delivery.run(event, self._onward.data)
        finally:
            self.delivering = False
        if self._onward.replayed:
            result.pairs["replayed"] = self._onward.replayed
        self._end(result)
        count = len(transaction.recipients) if self._settings.lmtp else 1
        return result.replies if len(result.replies) == count else result.replies[:1] * count

    def _commit(self) -> None:
        self._check_presence()
        self.committed = True

    def _check_presence(self) -> None:
        if self._gone():
            raise Gone("the client hung up")

    async def _goodbye(self, event: wire.Quit) -> Reply:
        self._forget()
        return event.reply

    async def _reset(self, event: wire.Reset) -> Reply:
        await self._abandon()
        return event.reply

    async def _xforward(self, event: wire.Xforward) -> Reply:
        if not self._trusted:
            return NOT_TRUSTED
        if self.transaction is not None:
            return Reply(503, (b"5.5.1 Within a transaction",))
        try:
            return await self._onward.forward(await self._onward.connected(), event.attributes)
        except NextHopError as error:
            self._service.note("next-hop", LOG_ERR, str(error))
            return NEXT_HOP_GONE

    async def _xclient(self, event: wire.Xclient) -> Reply:
        if not self._trusted:
            return NOT_TRUSTED
        try:
            hop = await self._onward.connected()
            if b"XCLIENT" not in hop.extensions:
                return NOT_THERE
            reply = await hop.command(event.line)
        except NextHopError as error:
            self._service.note("next-hop", LOG_ERR, str(error))
            return DOWN
        if reply.code == 220:
            self._external.update(event.attributes)
            self._onward.bound = self._again = True
        return reply

    async def _auth(self, event: wire.Auth) -> Reply:
        hop = self._onward.hop
        if hop is None or b"AUTH" not in hop.extensions:
            return NOT_THERE
        return await self._authenticate(hop.command, event.line)

    async def _auth_response(self, event: wire.AuthResponse) -> Reply:
        return await self._authenticate(cast("NextHop", self._onward.hop).respond, event.line)

    async def _authenticate(self, ask: Callable[[bytes], Awaitable[Reply]], line: bytes) -> Reply:
        try:
            reply = await ask(line)
        except NextHopError as error:
            self._service.note("next-hop", LOG_ERR, str(error))
            return DOWN
        self._onward.bound = self._onward.bound or reply.positive
        return reply

    async def _abandon(self) -> None:
        """No transaction, on neither side."""
        self._forget()
        await self._onward.abandon()

    # -- the transaction

    def _envelope(self, sender: bytes) -> Envelope:
        """As far as it is known at MAIL.  XFORWARD counts above XCLIENT, and this above what we see.

        What XFORWARD leaves out is not known: what we see ourselves belongs to somebody else.
        """
        forwarded = self._machine.xforward
        told = forwarded or self._external
        client, helo = ("", b"") if forwarded else (self._client, self._helo)
        if b"ADDR" in told:
            client = (told[b"ADDR"] or b"").decode("ascii", "replace")
            client = client[5:] if client[:5].upper() == "IPV6:" else client
        if b"HELO" in told:
            helo = told[b"HELO"] or b""
        return Envelope(sender, (), client, helo, (told.get(b"IDENT") or b"").decode("ascii", "replace"))

    def _end(self, result: Result) -> None:
        """The final line, and then the transaction is no more: a kill in between costs no line, and makes no second one (control.py)."""
        transaction, self.transaction = self.transaction, None
        handed_over = False
        try:
            handed_over = self._service.done(result, transaction is not None and transaction.in_hand)
        finally:
            if transaction is not None:
                transaction.close(handed_over)  # whatever becomes of the line

    def _forget(self) -> None:
        """The client has thought better of it; that is no message, unless the next hop was at fault."""
        transaction = self.transaction
        if transaction is not None and transaction.trouble:
            self.lose("deferred", f"next hop: {transaction.trouble}")
        elif transaction is not None:
            self.transaction = None
            transaction.close()

    def lose(self, outcome: str, error: str) -> None:
        """The session ends in the middle."""
        transaction = self.transaction
        if transaction is not None and transaction.over is not None and not transaction.trouble:
            self.transaction = None  # it has its line
            transaction.close()
        elif transaction is not None:
            if transaction.trouble:
                outcome, error = "deferred", f"next hop: {transaction.trouble}"
            pairs = described(outcome, "system", transaction.envelope) | {"error": error}
            self._end(Result((TROUBLE,), pairs, LOG_ERR if outcome == "deferred" else LOG_WARNING))
