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

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.final_lines import Log
from lazaretto.frontends.next_hop import NextHop
from lazaretto.frontends.samples import Samples
from lazaretto.frontends.service import Service
from lazaretto.frontends.smtp_delivery import Pool
from lazaretto.frontends.smtp_session import Session
from lazaretto.frontends.smtp_settings import SmtpSettings


class SmtpService(Service[Session]):
    """See the module."""

    def __init__(
        self,
        settings: SmtpSettings,
        pool: Pool,
        log: Log,
        samples: Samples | None = None,
        frontend: str = "smtp",
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(pool, log, samples, frontend, ledger)
        self.settings = settings
        self._hops: set[NextHop] = set()

    def protocol(self) -> Session:
        """For one more connection."""
        return Session(self)

    @property
    def full(self) -> bool:
        """Is this one connection too many?"""
        return self.connections > self.settings.max_connections

    async def drain(self, grace_s: float) -> None:
        """Begin nothing new: idle sessions get a 421, the others finish their message.  What is left after `grace_s` is broken off."""
        self.draining = True
        if not await self.let_go(grace_s):
            await self.close()

    # -- for sessions

    def watch(self, hop: NextHop, stands: bool) -> None:
        """A connection to the next hop stands, or is over.  Its good-bye may outlive its session."""
        if stands:
            self._hops.add(hop)
            self._emptied.clear()
        else:
            self._hops.discard(hop)
            self._look()

    def _abort(self) -> None:
        super()._abort()
        for hop in [*self._hops]:
            hop.abort()

    def _look(self) -> None:
        if not self._hops:
            super()._look()
