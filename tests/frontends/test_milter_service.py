"""The milter of one worker: how it ends, what it counts, and many connections at once."""

from __future__ import annotations

import resource
from pathlib import Path

from lazaretto.frontends.control import Line
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.scan_pool import ScanFailed
from milter_double import MtaClient, packet
from milter_running import EditingPool, MilterRunning
from serving import eventually
from smtp_running import InlinePool

MESSAGE = b"Subject: hello\r\n\r\nNothing.\r\n"


def test_idle_connections_end_when_it_drains() -> None:
    """Those that serve no client of the MTA's at once."""
    with MilterRunning(MilterSettings()) as service, MtaClient(service.address).negotiate() as idle, service.mta() as left:
        left.send(packet("K"))
        assert left.deliver(MESSAGE).letter == "a"
        drained = service.begin(service.service.drain(900.0))
        assert idle.ended()
        assert left.ended()
        drained()


def test_sessions_go_on_after_a_reload() -> None:
    with MilterRunning(MilterSettings()) as service, service.mta() as mta:
        drained = service.begin(service.service.drain(900.0))
        eventually(lambda: service.service.draining, "draining")
        assert mta.deliver(MESSAGE).letter == "a"
        mta.send(packet("Q"))
        drained()
        assert mta.ended()


def test_a_message_comes_to_its_end_and_then_the_session() -> None:
    pool = InlinePool(hold=True)
    with MilterRunning(MilterSettings(), pool) as service, service.mta() as mta:
        assert mta.envelope()[0] == "c"
        for letter, data in mta.mta.content(MESSAGE):
            mta.send(mta.mta.command(letter, data))
        assert pool.begun.acquire(timeout=20)
        drained = service.begin(service.service.drain(20.0))
        eventually(lambda: service.service.hurried, "hurry")
        pool.go()
        assert mta.end(MESSAGE).letter == "a"
        assert mta.ended()
        drained()
        assert service.line()["outcome"] == "clean"


def test_what_does_not_end_is_broken_off() -> None:
    pool = InlinePool(hold=True)
    with MilterRunning(MilterSettings(), pool) as service, service.mta() as mta:
        assert mta.envelope()[0] == "c"
        for letter, data in mta.mta.content(MESSAGE):
            mta.send(mta.mta.command(letter, data))
        assert pool.begun.acquire(timeout=20)
        service.run(service.service.drain(0.05))
        assert mta.ended()
        line = service.line()
        assert (line["outcome"], line["error"]) == ("aborted", "broken off")


def test_counters() -> None:
    with MilterRunning(MilterSettings(), EditingPool()) as service, service.mta() as mta:
        assert mta.deliver(MESSAGE).letter == "a"
        service.service.pool = InlinePool(failure=ScanFailed("gone"))
        assert mta.deliver(MESSAGE).letter == "y"
        service.until(lambda: len(service.final) == 2)
        counters = service.service.counters()
        assert counters['lazaretto_messages_total{frontend="milter",outcome="cleaned",reason="policy.malware"}'] == 1
        assert counters['lazaretto_messages_total{frontend="milter",outcome="deferred",reason="system"}'] == 1
        assert counters["lazaretto_connections"] == 1
        assert counters["lazaretto_jobs"] == 0


class Book:
    """A ledger that takes every line."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begun(self) -> None:
        self.said.append("begun")

    def dropped(self) -> None:
        self.said.append("dropped")

    def final(self, line: Line) -> bool:
        self.said.append(line.text.split()[1])
        return True


def test_its_final_lines_are_handed_over() -> None:
    book = Book()
    with MilterRunning(MilterSettings()) as service, service.mta() as mta:
        service.service._ledger = book
        assert mta.deliver(MESSAGE).letter == "a"
    assert book.said == ["begun", "outcome=clean"]


def test_many_idle_some_active_one_that_stalls_one_that_lies(tmp_path: Path) -> None:
    """The others are served, and what is held is bounded; tests/e2e/test_milter_limits.py does it to real processes."""
    idle, active = 200, 20
    pool = InlinePool()
    with MilterRunning(MilterSettings(data_timeout_s=20.0), pool, path=tmp_path / "s") as service:
        sleeping = [MtaClient(service.address).negotiate() for _ in range(idle)]
        stalled = service.mta()
        assert stalled.envelope()[0] == "c"
        stalled.send(packet("B", b"x" * 60_000) + (65_000).to_bytes(4, "big") + b"B" + b"y" * 1000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for length in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"):
            with MtaClient(service.address).negotiate() as liar:
                liar.send(length)
                assert liar.ended()
        clients = [service.mta() for _ in range(active)]
        for _ in range(3):
            for client in clients:
                assert client.deliver(MESSAGE).letter == "a"
        assert service.service.connections == idle + active + 1
        assert service.service.spooled_bytes < 100_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; a length that is believed would cost 4 GiB
        for client in [*sleeping, *clients, stalled]:
            client.close()
        service.until_idle()
        assert len(pool.contents) == 3 * active
        assert [line["outcome"] for line in service.final].count("aborted") == 1
        assert len(service.lines_of("protocol")) == 3  # two lengths, and half a packet of the one that stalled
