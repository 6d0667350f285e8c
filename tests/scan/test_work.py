"""A scan process's work, without the process: jobs in, answers out, nothing left."""

from __future__ import annotations

import base64
import os
import select
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import scanners
import wrappings
from forked import fork
from lazaretto.engines.base import Engine, EngineInfo, ScanContext
from lazaretto.limits import DEFAULT
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Finding, Item, Kind, Report, Verdict
from lazaretto.policy.rules import Policy
from lazaretto.scan import parcels, work
from lazaretto.scan.job import Scanner
from lazaretto.scan.parcels import MAX_DESCRIPTORS, ParcelError
from lazaretto.scan.work import MESSAGE_BYTES, Answer
from lazaretto.store.spool import Spool
from wilful import Wilful

ENVELOPE = Envelope(b"a@example.org", (b"b@example.org", b"\xff@example.org"), "::1", b"helo", "4F2K1")
QUIET = Policy(status_field=b"")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def answered(scanner: Scanner, *messages: bytes | Source, envelope: Envelope = ENVELOPE) -> list[Answer]:
    """Hand all messages over, then let `work` do its work, then hear its answers."""
    ours, theirs = parcels.pair()
    with ours, theirs:
        for number, message in enumerate(messages):
            if isinstance(message, bytes):
                work.send_job(ours, number, envelope, message)
            else:
                work.send_job(ours, number, envelope, None, message.fd if message.fd is not None else -1)
        ours.shutdown(socket.SHUT_WR)
        work.work(theirs, scanner, lambda error: f"{type(error).__name__}: {error}")
        theirs.close()
        answers = []
        while (answer := work.receive_answer(ours)) is not None:
            answers.append(answer)
    return answers


def text(size: int) -> bytes:
    return wrappings.single(b"Content-Type: text/plain\r\n", b"All is well with all of us.\r\n" * (size // 29 + 1))


def unlike(report: Report) -> Report:
    """Without what differs from scan to scan."""
    return report._replace(scan_id="", elapsed_ms=0.0, engine_ms=())


# -- there and back


@pytest.mark.parametrize("size", [10, MESSAGE_BYTES - 500, MESSAGE_BYTES, 300_000])
def test_the_report_is_the_scanners(tmp_path: Path, size: int) -> None:
    scanner = scanners.make(tmp_path)
    message = text(size)
    direct = scanner.scan(Source(message), ENVELOPE)
    (answer,) = answered(scanners.make(tmp_path), message)
    assert (answer.number, answer.error) == (0, "")
    assert answer.report is not None
    assert unlike(answer.report) == unlike(direct)
    assert isinstance(answer.report.verdict.disposition, Disposition)


def test_what_lies_in_a_file(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path)
    with Spool(str(tmp_path), 0) as spool:
        source = spool.take([text(100_000)])
        direct = scanner.scan(source, ENVELOPE)
        (answer,) = answered(scanners.make(tmp_path), source)
        assert answer.report is not None
        assert unlike(answer.report) == unlike(direct)
        assert b"".join(render(source, answer.report.edits)) == b"".join(render(source, direct.edits))


def test_the_envelope_arrives(tmp_path: Path) -> None:
    seen: list[Envelope] = []

    class Curious(Wilful):
        def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
            seen.append(ctx.envelope)
            return []

    large = ENVELOPE._replace(rcpt_to=tuple(b"%05d@example.org" % number for number in range(5000)))
    for envelope in (ENVELOPE, Envelope(), large):
        (answer,) = answered(scanners.make(tmp_path, [Curious()]), text(10), envelope=envelope)
        assert answer.report is not None
    assert seen == [ENVELOPE, Envelope(), large]


def test_one_job_after_the_other(tmp_path: Path) -> None:
    answers = answered(scanners.make(tmp_path, [Wilful()]), *(wrappings_order(f"find Evil-{number}") for number in range(50)))
    assert [answer.number for answer in answers] == [*range(50)]
    found = [answer.report.findings[0].name for answer in answers if answer.report is not None]
    assert found == [f"Evil-{number}" for number in range(50)]


def wrappings_order(order: str) -> bytes:
    return b"X-Order: " + order.encode() + b"\r\n" + text(10)


# -- edits


class Cleaner:
    """Puts something else in the place of what is evil."""

    name = "cleaner"
    required = True
    by_content = True

    def __init__(self, size: int) -> None:
        self.size = size
        self.cleaned = 0

    def wants(self, item: Item) -> bool:
        return not item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        if item.content.read_at(0, 4) == b"evil":
            assert ctx.cleaned is not None
            self.cleaned += 1
            ctx.cleaned(item, [b"good"] * (self.size // 4))
            yield Finding(self.name, Kind.DISINFECTED, "Evil")

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("cleaner", "1")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [40, 40_000, 4_000_000])
def test_edits_of_any_size(tmp_path: Path, size: int) -> None:
    message = wrappings.attach(b"evil" + b" " * 100, "a.doc")
    limits = DEFAULT._replace(spool_memory_bytes=10_000)
    cleaner = Cleaner(size)
    answers = answered(scanners.make(tmp_path, [cleaner], QUIET, limits), message, message)
    good = base64.b64encode(b"good" * (size // 4))
    assert cleaner.cleaned == 2  # the second time it is not taken for known
    for answer in answers:
        assert answer.report is not None
        assert [finding.kind for finding in answer.report.findings] == [Kind.DISINFECTED]
        output = b"".join(render(Source(message), answer.report.edits))
        assert good in output.replace(b"\r\n", b"")
        assert all(isinstance(edit.data, bytes) or edit.data.fd is None for edit in answer.report.edits)


def test_more_files_than_can_be_handed_over(tmp_path: Path) -> None:
    part = b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    parts = [part + base64.encodebytes(b"evil%d" % number) for number in range(MAX_DESCRIPTORS + 1)]
    message = wrappings.single(b"Content-Type: multipart/mixed; boundary=b\r\n", b"".join(parts) + b"--b--\r\n")
    limits = DEFAULT._replace(spool_memory_bytes=10_000)
    first, second = answered(scanners.make(tmp_path, [Cleaner(20_000)], QUIET, limits), message, text(10))
    assert first.report is None
    assert first.error == f"the report cannot be handed over: {MAX_DESCRIPTORS + 1} descriptors at once"
    assert second.report is not None


# -- what goes wrong


def test_a_bug_is_one_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = scanners.make(tmp_path, [])
    real = scanner.scan

    def scan(source: Source, *arguments: object, **named: object) -> Report:
        if b"bug" in source.read_at(0, 1000):
            raise ZeroDivisionError("x")
        if b"stop" in source.read_at(0, 1000):
            raise SystemExit(0)
        return real(source)

    monkeypatch.setattr(scanner, "scan", scan)
    answers = answered(scanner, b"Subject: bug\r\n\r\n", b"Subject: stop\r\n\r\n", text(10))
    assert [answer.error for answer in answers] == ["ZeroDivisionError: x", "SystemExit: 0", ""]
    assert [answer.report is None for answer in answers] == [True, True, False]


def test_nobody_listens_any_more(tmp_path: Path) -> None:
    closed = []

    class Closing(Wilful):
        def close(self) -> None:
            closed.append(True)

    ours, theirs = parcels.pair()
    with theirs:
        work.send_job(ours, 1, ENVELOPE, text(10))
        ours.close()
        work.work(theirs, scanners.make(tmp_path, [Closing()]))
    assert closed == [True]


@pytest.mark.parametrize("record", [b"", b"junk"])
def test_no_job(tmp_path: Path, record: bytes) -> None:
    ours, theirs = parcels.pair()
    with ours, theirs:
        if record:
            ours.send(record)
        ours.shutdown(socket.SHUT_WR)
        work.work(theirs, scanners.make(tmp_path, []))
        theirs.close()
        assert work.receive_answer(ours) is None


REPORT = Report("id", (), Verdict(Disposition.ACCEPT), (), 1.0, ())


@pytest.mark.parametrize(
    "value",
    [1, (), ((1, REPORT), ()), ((1, REPORT, "", 0, 0), ((1, 2, 0),)), ((1, REPORT, "", 0, 0), (1,)), ((1, 5, "", 0, 0), ())],
    ids=repr,
)
def test_no_answer(value: object) -> None:
    ours, theirs = parcels.pair()
    with ours, theirs:
        parcels.send(theirs, value)
        if value == ((1, REPORT), ()):  # what is missing has its default
            assert work.receive_answer(ours) == Answer(1, REPORT)
            return
        with pytest.raises(ParcelError, match="no answer"):
            work.receive_answer(ours)


def test_the_alarm_clock_ends_what_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody watches: its worker is gone."""
    monkeypatch.setattr(work, "PATIENCE_S", 0.1)
    ours, theirs = parcels.pair()
    scanner = scanners.make(tmp_path, [Wilful()], limits=DEFAULT._replace(max_scan_s=0.1))
    child = fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        ours.close()
        work.work(theirs, scanner)
        os._exit(0)
    with ours, theirs:
        watch = os.pidfd_open(child)
        work.send_job(ours, 1, ENVELOPE, wrappings_order("hang"))
        ours.close()
        assert select.select([watch], [], [], 20)[0]
        os.close(watch)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGALRM


# -- what is remembered, and what is measured


def test_engines_are_not_asked_again(tmp_path: Path) -> None:
    message = wrappings_order("find Evil")
    answers = answered(scanners.make(tmp_path, [Wilful("1")], QUIET), message, message, text(20), message)
    # The message itself, and what replaces it.
    assert answers[0].hits == 0
    assert [answer.hits > 0 for answer in answers] == [False, True, False, True]
    assert [len(answer.report.findings) for answer in answers if answer.report is not None] == [1, 1, 0, 1]


def test_engines_that_look_at_names_are_asked_again(tmp_path: Path) -> None:
    class ByName(Wilful):
        by_content = False

    engine: Engine = ByName("1")
    message = wrappings_order("find Evil")
    assert [answer.hits for answer in answered(scanners.make(tmp_path, [engine]), message, message)] == [0, 0]


def test_growth_is_told(tmp_path: Path) -> None:
    before, after = answered(scanners.make(tmp_path, [Wilful()]), text(10), wrappings_order("grow 20"))
    assert 20 << 20 <= after.grown_bytes - before.grown_bytes < 40 << 20
    assert work.own_bytes() > 20 << 20


def test_mapped_files_are_no_growth(tmp_path: Path) -> None:
    before = work.own_bytes()
    with Spool(str(tmp_path), 0) as spool:
        source = spool.take([bytes(1 << 20)] * 50)
        started = time.process_time()
        assert not any(b"x" in chunk for chunk in source.chunks())
        assert time.process_time() >= started
        assert work.own_bytes() - before < 20 << 20
