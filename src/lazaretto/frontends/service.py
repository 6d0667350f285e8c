"""The sessions of one worker's front end, and how they come to an end.

    class SmtpService(Service[Session]): ...
    service.begun(session) ... service.ended(session)
    await service.let_go(30.0)                   have all ended within that time?
    await service.close()                        break off what has not

It counts what all sessions share: connections, messages whose content is here (`jobs`, see final_lines.py), and their bytes.

Errors:  none.
See:     smtp_proxy.py, milter_service.py; docs/metrics.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Generic, TypeVar

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.final_lines import FinalLines, Log
from lazaretto.frontends.peer import Peer
from lazaretto.frontends.samples import Samples
from lazaretto.frontends.smtp_delivery import Pool

S = TypeVar("S", bound=Peer)


class Service(FinalLines, Generic[S]):
    """See the module.  All of it belongs to one event loop."""

    def __init__(self, pool: Pool, log: Log, samples: Samples | None, frontend: str, ledger: Ledger | None) -> None:
        super().__init__(log, samples if samples is not None else Samples(), frontend, ledger)
        self.pool = pool
        self.spooled_bytes = 0
        self.draining = False
        self._sessions: set[S] = set()
        self._emptied = asyncio.Event()
        self._emptied.set()

    @property
    def connections(self) -> int:
        """Those who are connected."""
        return len(self._sessions)

    def counters(self) -> Mapping[str, float]:
        """All there is to count."""
        self.samples.level("lazaretto_jobs", self.jobs)
        self.samples.level("lazaretto_spooled_bytes", self.spooled_bytes)
        self.samples.level("lazaretto_connections", len(self._sessions))
        return self.samples.values

    async def let_go(self, patience_s: float) -> bool:
        """Have all sessions come to an end within that time?"""
        for session in [*self._sessions]:
            session.stop()
        try:
            async with asyncio.timeout(max(patience_s, 0.0)):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Break off everything; no message in hand has been answered, so each stays with who has brought it."""
        self.draining = True
        self._abort()
        await self._emptied.wait()

    async def finished(self) -> None:
        """Until no connection is left."""
        await self._emptied.wait()

    # -- for sessions

    def begun(self, session: S) -> None:
        """One more."""
        self._sessions.add(session)
        self._emptied.clear()

    def ended(self, session: S) -> None:
        """One less."""
        self._sessions.discard(session)
        self._look()

    def _abort(self) -> None:
        for session in [*self._sessions]:
            session.abort()

    def _look(self) -> None:
        if not self._sessions:
            self._emptied.set()
