"""The scan pool: every message gets its answer or a failure, and costs nobody else his."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import scanners
import wrappings
from lazaretto.frontends import scan_pool
from lazaretto.frontends.scan_pool import Busy, PoolSettings, ScanFailed, ScanPool
from lazaretto.frontends.tasks import start
from lazaretto.limits import DEFAULT, MIB
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Report, Verdict
from lazaretto.policy import config
from lazaretto.policy.rules import Policy
from lazaretto.scan import work as scan_work
from lazaretto.scan.job import Scanner
from lazaretto.store.spool import Spool
from obedient import message
from scan_pools import running, until
from wilful import Wilful

QUIET = Policy(status_field=b"")
REPORT = Report("id", (), Verdict(Disposition.ACCEPT), (), 1.0, ())


@pytest.fixture
def scanner(tmp_path: Path) -> Scanner:
    return scanners.make(tmp_path, [Wilful()], QUIET)


def mail(order: str = "", body: bytes = b"Hello.\r\n") -> Source:
    return Source(message(order, body))


def said(report: Report) -> str:
    return report.findings[0].detail


def found(report: Report) -> str:
    return report.findings[0].name


def scanning(pool: ScanPool, source: Source, envelope: Envelope = Envelope()) -> asyncio.Task[Report]:
    return start(pool.scan(source, envelope), "test")


async def begun(path: Path) -> None:
    """Until the engine has come to `touch PATH` or `run PATH`."""
    await until(path.exists)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


# -- what comes back


@pytest.mark.parametrize("size", [100, 70_000, 1_000_000])
@pytest.mark.parametrize("in_file", [False, True])
def test_the_report_is_the_scanners(tmp_path: Path, size: int, in_file: bool) -> None:
    policy = Policy()
    evil = scanners.make(tmp_path, [Wilful()], policy)
    content = message("find Evil", b"All is well with all of us.\r\n" * (size // 29))
    report, output = scanners.through(evil, content)

    async def test() -> None:
        async with running(scanners.make(tmp_path, [Wilful()], policy)) as pool:
            with Spool(str(tmp_path), 0 if in_file else 1 << 30) as spool:
                source = spool.take([content])
                got = await pool.scan(source, Envelope(b"a@example.org"))
                assert got.verdict == report.verdict
                assert got.findings == report.findings
                assert got.digest == report.digest
                ours = b"".join(render(source, got.edits))
                assert re.sub(rb"[0-9a-f]{8}-[0-9a-f]{8}|\d\d:\d\d:\d\d", b"", ours) == re.sub(
                    rb"[0-9a-f]{8}-[0-9a-f]{8}|\d\d:\d\d:\d\d", b"", output
                )
            assert pool.counters.bytes == len(content)

    run(test())


def test_with_yara_in_uvloop(tmp_path: Path) -> None:
    """The engine that does not survive a fork once it was used, and the loop that servers run on."""
    uvloop = pytest.importorskip("uvloop")
    from eicar import EICAR

    async def test() -> None:
        async with running(scanners.make(tmp_path), 2) as pool:
            reports = await asyncio.gather(*(pool.scan(Source(wrappings.attach(EICAR, f"{number}.com"))) for number in range(8)))
            assert all("Eicar" in " ".join(finding.name for finding in report.findings) for report in reports)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


def test_two_hundred_over_four(scanner: Scanner) -> None:
    async def test() -> None:
        async with running(scanner, 4, max_jobs=200) as pool:
            reports = await asyncio.gather(*(pool.scan(mail(f"find Evil-{number}")) for number in range(200)))
            assert [found(report) for report in reports] == [f"Evil-{number}" for number in range(200)]
            assert (pool.counters.jobs, pool.counters.forks, pool.counters.joined) == (200, 4, 0)
            assert (pool.waiting, pool.scanning) == (0, 0)
            said_pids = {said(report) for report in await asyncio.gather(*(pool.scan(mail("say pid", b"%d" % n)) for n in range(100)))}
            assert said_pids <= {str(pid) for pid in pool.pids}
            assert len(pool.pids) == 4

    run(test())


def test_answers_of_engines_are_remembered(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanners.make(tmp_path, [Wilful("1")], QUIET)) as pool:
            for _ in range(3):
                await pool.scan(mail())
            assert pool.counters.cache_hits == 2

    run(test())


# -- what goes wrong


@pytest.mark.parametrize(
    ("order", "how"),
    [("kill", "it died of SIGKILL, perhaps for want of memory"), ("abort", "it died of SIGABRT"), ("exit", "it ended with 3")],
)
def test_a_crash_is_one_messages_failure(scanner: Scanner, tmp_path: Path, order: str, how: str) -> None:
    async def test() -> None:
        async with running(scanner, 2) as pool:
            path = tmp_path / "go"
            other = scanning(pool, mail(f"wait {path}"))
            await until(lambda: pool.scanning == 1)
            with pytest.raises(ScanFailed, match=f"^the scan process failed: {how}$"):
                await pool.scan(mail(order))
            assert found(await pool.scan(mail("find Evil"))) == "Evil"
            path.touch()
            assert (await other).findings == ()
            assert (pool.counters.crashes, pool.counters.failed, pool.counters.forks) == (1, 1, 3)
            assert [line for line in pool.lines if "event=crash" in line and how.rsplit(maxsplit=1)[-1] in line]  # type: ignore[attr-defined]

    run(test())


def test_too_long_is_killed_with_its_programs(tmp_path: Path) -> None:
    async def test() -> None:
        limits = DEFAULT._replace(max_scan_s=0.3)
        async with running(scanners.make(tmp_path, [Wilful()], QUIET, limits), margin_s=0.2) as pool:
            path = tmp_path / "pid"
            late = scanning(pool, mail(f"run {path}"))
            await begun(path)
            watch = os.pidfd_open(int(path.read_text(encoding="ascii")))
            with pytest.raises(ScanFailed, match=r"^the scan took too long$"):
                await late
            ended = asyncio.Event()
            asyncio.get_running_loop().add_reader(watch, ended.set)
            async with asyncio.timeout(20):
                await ended.wait()
            asyncio.get_running_loop().remove_reader(watch)
            os.close(watch)
            assert found(await pool.scan(mail("find Evil"))) == "Evil"
            await until(lambda: len(pool.pids) == 1)
            assert (pool.counters.timeouts, pool.counters.crashes, pool.counters.forks) == (1, 0, 2)

    run(test())


def test_an_engine_that_fails_is_in_the_report(scanner: Scanner) -> None:
    async def test() -> None:
        async with running(scanner) as pool:
            report = await pool.scan(mail("fail"))
            assert report.verdict.disposition is Disposition.TEMPFAIL
            assert pool.counters.failed == 0

    run(test())


def test_after_a_bug_comes_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = scanners.make(tmp_path, [Wilful()], QUIET)
    real = scanner.scan

    def scan(source: Source, envelope: Envelope, **named: Any) -> Report:
        if b"bug" in source.read_at(0, 100):
            raise ZeroDivisionError("x")
        return real(source, envelope, **named)

    monkeypatch.setattr(scanner, "scan", scan)

    async def test() -> None:
        async with running(scanner) as pool:
            before = pool.pids
            with pytest.raises(ScanFailed, match=r"^internal error, please report: ZeroDivisionError: x \(test_scan_pool.py:\d+\)$"):
                await pool.scan(mail("bug"))
            assert said(await pool.scan(mail("say pid"))) not in map(str, before)

    run(test())


def test_a_message_that_cannot_be_handed_over(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path, [Wilful()], QUIET)
    scanner.spool_directory = str(tmp_path / "later")

    async def test() -> None:
        async with running(scanner) as pool:
            with pytest.raises(ScanFailed, match=r"^the message cannot be handed over: .*cannot create a spool file"):
                await pool.scan(mail("", b"x" * 100_000))
            assert (await pool.scan(mail())).findings == ()
            assert pool.counters.forks == 1

    run(test())


def test_an_idle_process_that_dies_is_replaced(scanner: Scanner) -> None:
    async def test() -> None:
        async with running(scanner, 2) as pool:
            await pool.scan(mail())
            before = set(pool.pids)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            await until(lambda: pool.counters.crashes == 2)
            assert int(said(await pool.scan(mail("say pid")))) not in before
            await until(lambda: len(set(pool.pids) - before) == 2)
            assert pool.counters.failed == 0

    run(test())


def test_processes_that_die_at_once_are_not_forked_without_end(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_work, "work", lambda *_arguments: os._exit(7))

    async def test() -> None:
        async with running(scanner, 2, max_wait_s=0.7) as pool:
            await until(lambda: pool.counters.crashes >= 2)
            with pytest.raises(ScanFailed, match=r"^(no scan process was free within 0.7 s|the scan process failed: it ended with 7)$"):
                await pool.scan(mail())
            assert pool.counters.forks < 20

    run(test())


def test_no_process_can_be_made(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(scan_pool, "_RETRY_S", 0.01)

    async def test() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fork", fails)
            pool = ScanPool(scanner, PoolSettings(2))
            with pytest.raises(OSError, match="no scan process"):
                pool.start()
            await pool.close()
        async with running(scanner) as pool:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fork", fails)
                with pytest.raises(ScanFailed):
                    await pool.scan(mail("kill"))
                waits = scanning(pool, mail("find Evil"))
                await until(lambda: len(pool.lines) > 3)  # type: ignore[attr-defined]
                assert "fork: Resource temporarily unavailable" in pool.lines[-1]  # type: ignore[attr-defined]
            assert found(await waits) == "Evil"

    run(test())


@pytest.mark.parametrize("what", ["junk", "another number", "twice"])
def test_what_nobody_has_asked_for(scanner: Scanner, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    from lazaretto.scan import parcels
    from lazaretto.scan.work import Answer

    def work(sock: Any, *_arguments: object) -> None:
        (number, _, _), _ = parcels.receive(sock) or ((0, 0, 0), 0)
        if what == "junk":
            sock.send(b"junk")
        for _ in range(2):
            parcels.send(sock, (tuple(Answer(number + (what == "another number"), REPORT)), ()))
        signal.pause()

    monkeypatch.setattr(scan_work, "work", work)

    async def test() -> None:
        async with running(scanner) as pool:
            if what == "twice":
                assert await pool.scan(mail()) == REPORT
            else:
                with pytest.raises(ScanFailed, match=r"killed, (what it answered was not under|it answered what)"):
                    await pool.scan(mail())
            await until(lambda: pool.counters.forks == 2 and len(pool.pids) == 1)

    run(test())


def test_processes_killed_all_the_time(tmp_path: Path) -> None:
    """Each message gets its own answer or a failure; new configurations come in between."""
    made = iter(range(1 << 30))

    def another() -> Scanner:
        return scanners.make(tmp_path, [Wilful("1" if next(made) % 2 else "")], QUIET)

    async def test() -> None:
        async with running(another(), 3, recycle_messages=20, max_jobs=1000) as pool:
            rng = random.Random(4)
            failed = 0

            async def client(number: int) -> None:
                nonlocal failed
                for each in range(15):
                    name = f"Evil-{number}-{each}"
                    body = b"x" * rng.choice((10, 10, 70_000))
                    while True:  # as a mail server does
                        try:
                            assert found(await pool.scan(mail(f"find {name}", body))) == name
                            break
                        except ScanFailed:
                            failed += 1

            async def trouble() -> None:
                while True:
                    await asyncio.sleep(0.03)
                    if pool.pids:
                        os.kill(rng.choice(pool.pids), signal.SIGKILL)
                    if rng.random() < 0.1:
                        pool.replace(another())

            troubling = start(trouble(), "trouble")
            await asyncio.gather(*(client(number) for number in range(20)))
            troubling.cancel()
            assert failed == pool.counters.failed
            assert pool.counters.jobs == 300 + failed
            await until(lambda: len(pool.pids) == 3)
            assert found(await pool.scan(mail("find Evil"))) == "Evil"

    run(test())


# -- replaced in time


def test_replaced_after_so_many(scanner: Scanner) -> None:
    async def test() -> None:
        async with running(scanner, recycle_messages=5) as pool:
            pids = [said(await pool.scan(mail("say pid"))) for _ in range(15)]
            assert [pids.index(pid) for pid in pids] == [0] * 5 + [5] * 5 + [10] * 5
            await until(lambda: len(pool.pids) == 1)
            assert (pool.counters.recycled, pool.counters.crashes) == (3, 0)

    run(test())


def test_replaced_when_grown(scanner: Scanner) -> None:
    async def test() -> None:
        async with running(scanner, recycle_growth_bytes=50 * MIB) as pool:
            first = said(await pool.scan(mail("say pid")))
            for grown in (15, 15):
                await pool.scan(mail(f"grow {grown}"))
                assert said(await pool.scan(mail("say pid"))) == first
            await pool.scan(mail("grow 30"))
            assert said(await pool.scan(mail("say pid"))) != first
            assert pool.counters.recycled == 1

    run(test())


# -- the same message twice


def test_the_same_message_is_scanned_once(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner, 4) as pool:
            path = tmp_path / "go"
            tasks = [scanning(pool, mail(f"wait {path}"), Envelope(b"a@example.org")) for _ in range(3)]
            others = [scanning(pool, mail(f"wait {path}"), Envelope(b"b@example.org")), scanning(pool, mail(f"wait {path}", b"Hallo.\r\n"))]
            await until(lambda: pool.scanning == 3)
            path.touch()
            reports = await asyncio.gather(*tasks)
            assert len({report.scan_id for report in reports}) == 1
            assert len({report.scan_id for report in await asyncio.gather(*others)} | {reports[0].scan_id}) == 3
            assert (pool.counters.joined, pool.counters.jobs) == (2, 3)
            # Who comes afterwards is scanned anew.
            assert (await pool.scan(mail(f"wait {path}"), Envelope(b"a@example.org"))).scan_id != reports[0].scan_id

    run(test())


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1 << 30), (1 << 30, 0)], ids=["files", "file, memory", "memory, file"])
def test_the_same_large_message_after_its_sender_went_away(tmp_path: Path, first: int, second: int) -> None:
    """A retry after a time-out; the first client's spool is gone."""
    scanner = scanners.make(tmp_path, [Wilful()], QUIET)

    async def test() -> None:
        async with running(scanner, 2) as pool:
            path = tmp_path / "go"
            size = 6_000_000
            content = message(f"wait {path}", b"x" * size)
            with Spool(str(tmp_path), first) as spool:
                leaves = scanning(pool, spool.take([content]))
                await until(lambda: pool.scanning == 1)
                leaves.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await leaves
            with Spool(str(tmp_path), second) as spool:
                again = scanning(pool, spool.take([content]))
                unlike = scanning(pool, spool.take([content[:-1] + b"y"]))
                await until(lambda: pool.counters.joined == 1 and pool.scanning == 2)
                path.touch()
                assert (await again).findings == (await unlike).findings == ()
                assert (await again).scan_id != (await unlike).scan_id
            assert (pool.counters.joined, pool.counters.jobs, pool.counters.dropped) == (1, 2, 0)

    run(test())


def test_who_joins_fails_with_the_first(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner, 2) as pool:
            path = tmp_path / "begun"
            tasks = [scanning(pool, mail(f"touch {path}")) for _ in range(3)]
            await begun(path)
            assert pool.counters.joined == 2
            for pid in pool.pids:
                os.kill(pid, signal.SIGKILL)
            for task in tasks:
                with pytest.raises(ScanFailed):
                    await task
            assert pool.counters.failed == 1

    run(test())


# -- cancelled


def test_a_scan_that_has_begun_goes_on(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner) as pool:
            path = tmp_path / "go"
            task = scanning(pool, mail(f"wait {path}"))
            await until(lambda: pool.scanning == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert pool.scanning == 1
            path.touch()
            await until(lambda: pool.scanning == 0)
            assert (pool.counters.dropped, pool.counters.failed) == (1, 0)
            assert found(await pool.scan(mail("find Evil"))) == "Evil"

    run(test())


def test_one_that_has_not_begun_is_dropped(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner) as pool:
            path = tmp_path / "go"
            first = scanning(pool, mail(f"wait {path}"))
            with Spool(str(tmp_path), 0) as spool:
                second = scanning(pool, spool.take([message("kill")]))
                await until(lambda: pool.waiting == 1)
                third = scanning(pool, Source(message("kill")))
                await until(lambda: pool.counters.joined == 1)
                second.cancel()
                await asyncio.gather(second, return_exceptions=True)
                assert pool.waiting == 1  # the other one still waits for it
                third.cancel()
                await asyncio.gather(third, return_exceptions=True)
            assert pool.waiting == 0
            path.touch()
            await first
            assert (pool.counters.jobs, pool.counters.crashes) == (1, 0)

    run(test())


# -- too many


def test_too_many_are_refused_at_once(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner, 1, max_jobs=2) as pool:
            path = tmp_path / "go"
            tasks = [scanning(pool, mail(f"wait {path}", b"%d" % number)) for number in range(2)]
            await until(lambda: pool.waiting == 1)
            with pytest.raises(Busy, match=r"^2 messages are waiting or being scanned$"):
                await pool.scan(mail("find Evil"))
            joins = scanning(pool, mail(f"wait {path}", b"0"))  # costs nothing
            await until(lambda: pool.counters.joined == 1)
            path.touch()
            await asyncio.gather(*tasks, joins)
            assert found(await pool.scan(mail("find Evil"))) == "Evil"
            assert pool.counters.busy == 1

    run(test())


def test_nobody_waits_for_ever(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner, 1, max_wait_s=0.1) as pool:
            path = tmp_path / "go"
            first = scanning(pool, mail(f"wait {path}"))
            await until(lambda: pool.scanning == 1)
            with pytest.raises(ScanFailed, match=r"^no scan process was free within 0\.1 s$"):
                await pool.scan(mail("find Evil"))
            path.touch()
            await first

    run(test())


# -- another configuration


def test_who_is_being_scanned_finishes_under_the_old_one(tmp_path: Path) -> None:
    old = scanners.make(tmp_path, [Wilful()], QUIET)
    new = scanners.make(tmp_path, [Wilful()], Policy(status_field=b"X-New"))

    async def test() -> None:
        async with running(old, 2) as pool:
            before = set(pool.pids)
            path = tmp_path / "go"
            running_ = [scanning(pool, mail(f"wait {path}", b"%d" % number)) for number in range(2)]
            await until(lambda: pool.scanning == 2)
            waits = scanning(pool, mail("say pid"))
            await until(lambda: pool.waiting == 1)
            pool.replace(new)
            report = await waits  # need not wait for the old ones
            assert int(said(report)) not in before
            assert report.verdict.tags[0][0] == b"X-New"
            assert len(pool.pids) == 4
            joins_not = scanning(pool, mail(f"wait {path}", b"0"))  # other rules
            await until(lambda: pool.scanning == 3)
            path.touch()
            assert [report.verdict.tags for report in await asyncio.gather(*running_)] == [(), ()]
            assert (await joins_not).verdict.tags != ()
            await until(lambda: not before & set(pool.pids))
            assert len(pool.pids) == 2
            assert (pool.counters.crashes, pool.counters.joined, pool.counters.failed) == (0, 0, 0)

    run(test())


def test_many_reloads_do_not_pile_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanners.make(tmp_path, [Wilful()], QUIET), 2) as pool:
            path = tmp_path / "go"
            tasks = []
            for number in range(5):
                tasks += [scanning(pool, mail(f"wait {path}", b"%d %d" % (number, each))) for each in range(2)]
                await asyncio.sleep(0)
                pool.replace(scanners.make(tmp_path, [Wilful()], QUIET))
                assert len(pool.pids) <= 4
            path.touch()
            await asyncio.gather(*tasks)
            assert pool.counters.failed == 0
            await until(lambda: len(pool.pids) == 2)

    run(test())


# -- the end


def test_messages_get_their_time(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner) as pool:
            path = tmp_path / "go"
            tasks = [scanning(pool, mail(f"wait {path}", b"%d" % number)) for number in range(3)]
            await until(lambda: pool.waiting == 2)
            closing = start(pool.close(60), "close")
            await asyncio.sleep(0)
            with pytest.raises(ScanFailed, match=r"^shutting down$"):
                await pool.scan(mail())
            path.touch()
            await closing
            assert [report.findings for report in await asyncio.gather(*tasks)] == [()] * 3

    run(test())


def test_and_not_more(scanner: Scanner, tmp_path: Path) -> None:
    async def test() -> None:
        async with running(scanner) as pool:
            path = tmp_path / "pid"
            tasks = [scanning(pool, mail(f"run {path}")), scanning(pool, mail("find Evil"))]
            await begun(path)
            started = time.monotonic()
            await pool.close(0.1)
            assert time.monotonic() - started < 15
            for task in tasks:
                with pytest.raises(ScanFailed, match=r"^shutting down$"):
                    await task
            program = int(path.read_text(encoding="ascii"))
            await until(lambda: not os.path.exists(f"/proc/{program}") or "\nState:\tZ" in Path(f"/proc/{program}/status").read_text())
            assert pool.counters.crashes == 0
            await pool.close()  # a second time does no harm

    run(test())


def test_settings_of_a_configuration() -> None:
    settings = PoolSettings.of(config.parse().settings)
    assert settings.size == 2 * (os.cpu_count() or 1)
    assert settings == PoolSettings(settings.size)
    assert PoolSettings.of({**config.parse().settings, "process.scanners": 7, "smtp.max_jobs": 3})[:4] == (7, 1000, 256 * MIB, 3)


def test_counters_by_name() -> None:
    counters = scan_pool.Counters()
    counters.jobs += 2
    assert counters.as_dict()["jobs"] == 2
    assert set(counters.as_dict()) == set(scan_pool.Counters.__slots__)
