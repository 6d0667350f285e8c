"""What a worker does when it speaks SMTP: sessions, and the processes that scan for them.

    worker.work(smtp_worker.duty(config, scanner, log), ...)

Errors:  begin: OSError if no scan process can be started.
See:     worker.py; smtp_proxy.py and scan_pool.py, which are put together here
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.samples import sample
from lazaretto.frontends.scan_pool import PoolSettings, ScanPool
from lazaretto.frontends.smtp_proxy import SmtpService
from lazaretto.frontends.smtp_settings import SmtpSettings
from lazaretto.frontends.worker import Begin
from lazaretto.scan.job import Scanner

Log = Callable[[str, int], None]


class Service(Protocol):
    """Sessions that share a pool."""

    def protocol(self) -> asyncio.BaseProtocol: ...
    async def drain(self, grace_s: float) -> None: ...
    def counters(self) -> Mapping[str, float]: ...
    async def close(self) -> None: ...


class PooledDuty:
    """A worker's Duty (worker.py), SMTP's or the milter's."""

    def __init__(self, service: Service, pool: ScanPool) -> None:
        self._service = service
        self._pool = pool

    def protocol(self) -> asyncio.BaseProtocol:
        """For one more client."""
        return self._service.protocol()

    async def drain(self, grace_s: float) -> None:
        """Until there is no client any more."""
        await self._service.drain(grace_s)

    def counters(self) -> Mapping[str, float]:
        """The service's, and the pool's."""
        counters = self._pool.counters
        return {
            **self._service.counters(),
            "lazaretto_cache_hits_total": counters.cache_hits,
            sample("lazaretto_restarts_total", process="scan"): counters.crashes + counters.timeouts,
        }

    async def close(self) -> None:
        """Whatever is still there is broken off."""
        await self._service.close()
        await self._pool.close()


def duty(settings: SmtpSettings, pool_settings: PoolSettings, scanner: Scanner, log: Log) -> Begin:
    """How to begin."""

    async def begin(ledger: Ledger) -> PooledDuty:
        pool = ScanPool(scanner, pool_settings, log)
        pool.start()
        return PooledDuty(SmtpService(settings, pool, log, ledger=ledger), pool)

    return begin
