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

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.final_lines import Log
from lazaretto.frontends.milter_session import MilterSession
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.samples import Samples
from lazaretto.frontends.service import Service
from lazaretto.frontends.smtp_delivery import Pool

HURRY_S = 30.0  # what a worker has after TERM; after a reload there is more
FRONTEND = "milter"


class MilterService(Service[MilterSession]):
    """See the module."""

    def __init__(
        self, settings: MilterSettings, pool: Pool, log: Log, samples: Samples | None = None, ledger: Ledger | None = None
    ) -> None:
        super().__init__(pool, log, samples, FRONTEND, ledger)
        self.settings = settings
        self.hurried = False

    def protocol(self) -> MilterSession:
        """For one more connection."""
        return MilterSession(self)

    @property
    def full(self) -> bool:
        """Are there too many for more messages?"""
        return self.connections > self.settings.max_connections

    @property
    def overfull(self) -> bool:
        """Is this one connection too many?"""
        return self.connections > 2 * self.settings.max_connections

    async def drain(self, grace_s: float) -> None:
        """Begin nothing new.  What is left after `grace_s` is broken off."""
        self.draining = True
        if not await self.let_go(grace_s - HURRY_S):
            self.hurried = True
            if not await self.let_go(min(grace_s, HURRY_S)):
                await self.close()

    async def close(self) -> None:
        """Break off everything."""
        self.hurried = True
        await super().close()
