"""The SMTP proxy of one worker: sessions, what they share, and how they end.

    service = SmtpService(settings, pool, log)
    await loop.create_server(service.protocol, sock=listener)
    service.settings = others                       for sessions to come
    await service.drain(30.0)                       finish what is under way

The service counts: connections, messages whose content is here (`jobs`), and their bytes.  What is
too much is refused early: 421 to the connection, 451 or 452 to MAIL.

Each message gets one final line (R5): that of scan/report.py, and what the next hop said to it.
One that was begun and not completed has outcome=aborted; without MAIL there is no message, and after
RSET or QUIT there is none any more.

Errors:  none.
See:     smtp_session.py; docs/logging.md, docs/metrics.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.final_lines import FinalLines, Log
from lazaretto.frontends.next_hop import NextHop
from lazaretto.frontends.samples import Samples
from lazaretto.frontends.smtp_delivery import Pool
from lazaretto.frontends.smtp_session import Session
from lazaretto.frontends.smtp_settings import SmtpSettings


class SmtpService(FinalLines):
    """See the module.  All of it belongs to one event loop."""

    def __init__(
        self,
        settings: SmtpSettings,
        pool: Pool,
        log: Log,
        samples: Samples | None = None,
        frontend: str = "smtp",
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(log, samples if samples is not None else Samples(), frontend, ledger)
        self.settings = settings
        self.pool = pool
        self.spooled_bytes = 0
        self.draining = False
        self._sessions: set[Session] = set()
        self._hops: set[NextHop] = set()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def protocol(self) -> Session:
        """For one more connection."""
        return Session(self)

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Is this one connection too many?"""
        return len(self._sessions) > self.settings.max_connections

    def counters(self) -> Mapping[str, float]:
        """All there is to count."""
        self.samples.level("lazaretto_jobs", self.jobs)
        self.samples.level("lazaretto_spooled_bytes", self.spooled_bytes)
        self.samples.level("lazaretto_connections", len(self._sessions))
        return self.samples.values

    async def drain(self, grace_s: float) -> None:
        """Begin nothing new: idle sessions get a 421, the others finish their message.  What is left after `grace_s` is broken off."""
        self.draining = True
        for session in [*self._sessions]:
            session.stop()
        try:
            async with asyncio.timeout(grace_s):
                await self._emptied.wait()
        except TimeoutError:
            await self.close()

    async def close(self) -> None:
        """Break off everything; no message in hand has been answered, so each stays with its client."""
        self.draining = True
        for session in [*self._sessions]:
            session.abort()
        for hop in [*self._hops]:
            hop.abort()
        await self._emptied.wait()

    async def finished(self) -> None:
        """Until no connection is left."""
        await self._emptied.wait()

    # -- for sessions

    def begun(self, session: Session) -> None:
        """One more."""
        self._sessions.add(session)
        self._emptied.clear()

    def ended(self, session: Session) -> None:
        """One less."""
        self._sessions.discard(session)
        self._look()

    def watch(self, hop: NextHop, stands: bool) -> None:
        """A connection to the next hop stands, or is over.  Its good-bye may outlive its session."""
        if stands:
            self._hops.add(hop)
            self._emptied.clear()
        else:
            self._hops.discard(hop)
            self._look()

    def _look(self) -> None:
        if not self._sessions and not self._hops:
            self._emptied.set()
