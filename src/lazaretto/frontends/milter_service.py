"""The milter of one worker: sessions, what they share, and how they end.

    service = MilterService(settings, pool, log)
    await loop.create_server(service.protocol, sock=listener)
    await service.drain(30.0)                       finish what is under way

The service counts: connections, messages whose content is here (`jobs`), and their bytes.  What is too much is refused early: a message
with 451 or 452 at MAIL, also of connections over max_connections.  Only over twice as many are hung up on: an
MTA may have been told to do without a filter that it cannot reach.

Draining, sessions end that serve no client of the MTA's; others may go on with theirs, until HURRY_S are left: their MTA
would have to refuse the next message.

Each message gets one final line (R5); see milter_session.py.

Errors:  none.
See:     milter_session.py; docs/logging.md, docs/metrics.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.final_lines import FinalLines, Log
from lazaretto.frontends.milter_session import MilterSession
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.samples import Samples
from lazaretto.frontends.smtp_delivery import Pool

HURRY_S = 30.0  # what a worker has after TERM; after a reload there is more
FRONTEND = "milter"


class MilterService(FinalLines):
    """See the module.  All of it belongs to one event loop."""

    def __init__(
        self, settings: MilterSettings, pool: Pool, log: Log, samples: Samples | None = None, ledger: Ledger | None = None
    ) -> None:
        super().__init__(log, samples if samples is not None else Samples(), FRONTEND, ledger)
        self.settings = settings
        self.pool = pool
        self.spooled_bytes = 0
        self.draining = False
        self.hurried = False
        self._sessions: set[MilterSession] = set()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def protocol(self) -> MilterSession:
        """For one more connection."""
        return MilterSession(self)

    @property
    def connections(self) -> int:
        """MTAs that are connected."""
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Are there too many for more messages?"""
        return len(self._sessions) > self.settings.max_connections

    @property
    def overfull(self) -> bool:
        """Is this one connection too many?"""
        return len(self._sessions) > 2 * self.settings.max_connections

    def counters(self) -> Mapping[str, float]:
        """All there is to count."""
        self.samples.level("lazaretto_jobs", self.jobs)
        self.samples.level("lazaretto_spooled_bytes", self.spooled_bytes)
        self.samples.level("lazaretto_connections", len(self._sessions))
        return self.samples.values

    async def drain(self, grace_s: float) -> None:
        """Begin nothing new.  What is left after `grace_s` is broken off."""
        self.draining = True
        if not await self._end(grace_s - HURRY_S):
            self.hurried = True
            if not await self._end(min(grace_s, HURRY_S)):
                await self.close()

    async def close(self) -> None:
        """Break off everything; no message in hand has been answered, so each stays with its MTA."""
        self.draining = self.hurried = True
        for session in [*self._sessions]:
            session.abort()
        await self._emptied.wait()

    async def finished(self) -> None:
        """Until no connection is left."""
        await self._emptied.wait()

    async def _end(self, patience_s: float) -> bool:
        """Have all sessions come to an end within that time?"""
        for session in [*self._sessions]:
            session.stop()
        try:
            async with asyncio.timeout(max(patience_s, 0.0)):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    # -- for sessions

    def begun(self, session: MilterSession) -> None:
        """One more."""
        self._sessions.add(session)
        self._emptied.clear()

    def ended(self, session: MilterSession) -> None:
        """One less."""
        self._sessions.discard(session)
        if not self._sessions:
            self._emptied.set()
