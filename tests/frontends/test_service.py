"""Sessions of a front end, and how they end."""

from __future__ import annotations

import asyncio

from lazaretto.frontends.peer import Peer
from lazaretto.frontends.service import Service
from serving import PATIENCE_S
from smtp_running import InlinePool


class Session(Peer):
    """Ends when it is told to, in one way or both."""

    def __init__(self, service: Service[Session], *, polite: bool) -> None:
        super().__init__()
        self._service = service
        self._polite = polite
        self.told: list[str] = []

    def stop(self) -> None:
        self.told.append("stop")
        if self._polite:
            self._service.ended(self)

    def abort(self) -> None:
        self.told.append("abort")
        self._loop.call_soon(self._service.ended, self)


def made() -> Service[Session]:
    return Service(InlinePool(), lambda _text, _level: None, None, "double", None)


def test_polite_sessions_end_in_time() -> None:
    async def run() -> None:
        service = made()
        await service.finished()
        sessions = [Session(service, polite=True) for _ in range(3)]
        for session in sessions:
            service.begun(session)
        assert service.connections == 3
        assert service.counters()["lazaretto_connections"] == 3
        assert await service.let_go(20)
        assert service.connections == 0
        assert [session.told for session in sessions] == [["stop"]] * 3

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_others_are_broken_off() -> None:
    async def run() -> None:
        service = made()
        one, two = Session(service, polite=True), Session(service, polite=False)
        service.begun(one)
        service.begun(two)
        assert not await service.let_go(0)
        assert service.connections == 1
        assert not service.draining
        await service.close()
        assert service.draining
        assert service.connections == 0
        assert (one.told, two.told) == (["stop"], ["stop", "abort"])
        await service.finished()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
