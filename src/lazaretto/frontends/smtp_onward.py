"""One session's way to the next hop: its connection, and the transaction on it, which can be told again.

    hop = await onward.connected()              the connection there is, or another
    reply = await onward.mail(b"MAIL FROM:<a@example.org>")
    reply = await onward.recipient(b"RCPT TO:<b@example.net>")
    hop, reply = await onward.data()            after 354 the content can be sent

Next hops hang up on connections that are idle for too long, and they are restarted.  While a client sends a large message, or
a scan takes its time, that costs nothing: as long as no content has been sent, the transaction is *replayed* on another
connection (XFORWARD, MAIL and the RCPTs that were accepted, as they came), and goes on.  A next hop that refuses then
what it had accepted before is not obeyed in part: there is no transaction, and the client brings the message again.

`bound` says that the next hop knows who the client is (AUTH, XCLIENT).  No other connection knows that, so nothing is replayed.

Limits:  MAX_REPLAYS for a transaction, each within next_hop_timeout_s.
Errors:  NextHopError, Changed among them.  A next hop that is silent, or says what it should not, is not asked again.
See:     smtp_relay.py, next_hop.py; RFC 5321 s3.8 and s4.5.3.2 on servers that time out
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lazaretto.frontends.next_hop import NextHop, NextHopError
from lazaretto.frontends.smtp_settings import SmtpSettings
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_xforward import Attributes, xforward_commands

MAX_REPLAYS = 3  # of one transaction: each repeats all its recipients, and a slow client can have a thousand
OK = Reply(250, (b"2.0.0 Ok",))
CLOSING = 421  # after which the server hangs up


class Changed(NextHopError):
    """The next hop refuses what it has accepted before."""


class Onward:
    """See the module.  `xforward` gives what was told of the client for the next transaction, or for this."""

    def __init__(self, settings: SmtpSettings, watch: Callable[[NextHop, bool], None], xforward: Callable[[], Attributes]) -> None:
        self.hop: NextHop | None = None
        self.bound = False
        self.replayed = ""  # why this transaction was told again, the last time
        self._settings = settings
        self._watch = watch
        self._xforward = xforward
        self._told: list[bytes] = []  # MAIL and RCPT, those that were accepted
        self._replays = 0

    async def connected(self) -> NextHop:
        """A usable connection: the one there is, or another, which is told what the client has told of its own."""
        if self.hop is not None:
            if self.hop.usable:
                return self.hop
            if self.bound:
                raise NextHopError(self.hop.reason)
        self.hop = hop = NextHop(self._settings, self._watch)
        await hop.open()
        reply = await self.forward(hop, self._xforward())
        if not reply.positive:
            hop.abort()  # it would take the client for us
            raise Changed(f"XFORWARD was accepted before: {reply}")
        return hop

    async def forward(self, hop: NextHop, attributes: Attributes) -> Reply:
        """Tell the next hop what it wants to know of `attributes`; nothing if it has not announced XFORWARD."""
        for line in xforward_commands(attributes, hop.extensions.get(b"XFORWARD", b"").upper().split()):
            reply = await hop.command(line)
            if not reply.positive:
                return reply
        return OK

    async def mail(self, line: bytes) -> Reply:
        """Begin a transaction; on another connection if the next hop has closed an idle one."""
        self._told.clear()
        self._replays = 0
        self.replayed = ""
        before = self.hop
        try:
            reply = await (await self.connected()).command(line)
        except NextHopError:
            if before is None or before is not self.hop or before.late or self.bound:
                raise
            reply = await (await self.connected()).command(line)
        if reply.positive:
            self._told.append(line)
        return reply

    async def recipient(self, line: bytes) -> Reply:
        """One more."""
        _, reply = await self._ask(lambda hop: hop.command(line))
        if reply.positive:
            self._told.append(line)
        return reply

    async def data(self) -> tuple[NextHop, Reply]:
        """The next hop that has this transaction, and its reply to DATA."""
        return await self._ask(lambda hop: hop.data())

    async def abandon(self) -> None:
        """No transaction."""
        self._told.clear()
        hop = self.hop
        if hop is not None and hop.in_transaction and hop.usable:
            try:
                if not (await hop.command(b"RSET")).positive:
                    hop.abort()  # it may remember recipients, who would get the next message
            except NextHopError:
                pass  # gone, and the transaction with it

    def quit(self) -> None:
        """Say good-bye."""
        if self.hop is not None:
            self.hop.quit()

    # -- replay

    async def _ask(self, ask: Callable[[NextHop], Awaitable[Reply]]) -> tuple[NextHop, Reply]:
        """Within the transaction; after a replay if the connection is gone, or goes instead of an answer."""
        hop = self.hop
        if hop is None:
            raise NextHopError("not connected")
        reply: Reply | None = None
        try:
            reply = await ask(hop)
        except NextHopError:
            if not self._replayable(hop):
                raise
        if reply is not None and not (reply.code == CLOSING and self._replayable(hop)):
            return hop, reply
        try:
            hop = await self._replay(hop.reason)
            return hop, await ask(hop)
        except NextHopError:
            if reply is None:
                raise
            return hop, reply  # the 421 was its last word

    def _replayable(self, hop: NextHop) -> bool:
        return not hop.usable and hop.lost and not self.bound and self._replays < MAX_REPLAYS

    async def _replay(self, reason: str) -> NextHop:
        """The transaction so far, on another connection."""
        self._replays += 1
        self.replayed = reason
        try:
            async with asyncio.timeout(self._settings.next_hop_timeout_s):
                hop = await self.connected()
                for line in self._told:
                    reply = await hop.command(line)
                    if not reply.positive:
                        hop.abort()
                        raise Changed(f"{line[:200].decode('utf-8', 'backslashreplace')} was accepted before: {reply}")
        except TimeoutError:
            if self.hop is not None:
                self.hop.abort()
            raise NextHopError("did not take the transaction again in time") from None
        return hop
