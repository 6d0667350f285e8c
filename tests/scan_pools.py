"""Scan pools for tests: started, used, closed, and afterwards nothing of them is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from lazaretto.frontends.scan_pool import PoolSettings, ScanPool
from lazaretto.scan.job import Scanner

PATIENCE_S = 20.0


@asynccontextmanager
async def running(scanner: Scanner, size: int = 1, **settings: Any) -> AsyncIterator[ScanPool]:
    """A pool; after it there is neither process nor descriptor.  `lines` of it are what it logged."""
    before = set(os.listdir("/proc/self/fd"))
    lines: list[str] = []
    pool = ScanPool(scanner, PoolSettings(size)._replace(**settings), lambda text, _level: lines.append(text))
    pool.lines = lines  # type: ignore[attr-defined]
    pool.start()
    try:
        yield pool
    finally:
        pids = pool.pids
        await pool.close()
        assert pool.pids == []
        assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
        assert set(os.listdir("/proc/self/fd")) == before


async def until(reached: Callable[[], bool]) -> None:
    """Wait for it, with patience, but not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not reached():
            await asyncio.sleep(0.005)
