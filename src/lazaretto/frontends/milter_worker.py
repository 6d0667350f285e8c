"""What a worker does when it is a milter: sessions, and the processes that scan for them.

    worker.work(milter_worker.duty(settings, pool_settings, scanner, log), ...)

Errors:  begin: OSError if no scan process can be started.
See:     worker.py; milter_service.py and scan_pool.py, which are put together here
"""

from __future__ import annotations

from collections.abc import Callable

from lazaretto.frontends.control import Ledger
from lazaretto.frontends.milter_service import MilterService
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.scan_pool import PoolSettings, ScanPool
from lazaretto.frontends.smtp_worker import PooledDuty
from lazaretto.frontends.worker import Begin
from lazaretto.scan.job import Scanner

Log = Callable[[str, int], None]
MARGIN_S = 8.0  # over max_scan_s: whoever waits has its answer within 10 s of the deadline, also if a scan process does not react


def duty(settings: MilterSettings, pool_settings: PoolSettings, scanner: Scanner, log: Log) -> Begin:
    """How to begin."""

    async def begin(ledger: Ledger) -> PooledDuty:
        pool = ScanPool(scanner, pool_settings._replace(max_jobs=settings.max_jobs, margin_s=MARGIN_S), log)
        pool.start()
        return PooledDuty(MilterService(settings, pool, log, ledger=ledger), pool)

    return begin
