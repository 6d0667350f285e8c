"""One message from Source to Report: the promises that hold whatever goes wrong."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import scanners
import wrappings
from eicar import EICAR
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.errors import EngineError
from lazaretto.limits import DEFAULT
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Finding, Item, Kind, Reason, Report, Treatment
from lazaretto.policy.rules import DEFAULT_ACTIONS, Action, Policy, Rule
from lazaretto.scan import job, walk
from lazaretto.scan.job import NO_STORES
from lazaretto.scan.report import outcome
from lazaretto.store.quarantine import Quarantine

STATUS = b"X-Lazaretto-Status: "
CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
B64 = base64.b64encode(EICAR)


class EngineDouble:
    """Says what it was told to say about each item."""

    by_content = False

    def __init__(self, say: Callable[[Item], Iterable[Finding]], name: str = "double", required: bool = True) -> None:
        self.name = name
        self.required = required
        self.say = say
        self.closed = 0

    def wants(self, item: Item) -> bool:
        return True

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        return self.say(item)

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("double")

    def close(self) -> None:
        self.closed += 1


def knows(marker: bytes, name: str = "Evil") -> EngineDouble:
    """An engine that finds `marker` in whatever is decoded, and in nothing else."""

    def say(item: Item) -> Iterable[Finding]:
        if not item.is_message and item.content.data.find(marker) >= 0:
            yield Finding("double", Kind.MALWARE, name)

    return EngineDouble(say)


def failing(reason: Reason, where: Callable[[Item], bool] = lambda item: True, required: bool = True) -> EngineDouble:
    def say(item: Item) -> Iterable[Finding]:
        if where(item):
            raise EngineError(reason, "as told")
        return ()

    return EngineDouble(say, "failing", required)


def kept(state: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((state / "quarantine").rglob("*.eml"))] if (state / "quarantine").exists() else []


def ours(output: bytes) -> bytes:
    """The value of our field on top."""
    first = output.partition(b"\n")[0].rstrip(b"\r")
    assert first.startswith(STATUS)
    return first[len(STATUS) :]


def names(report: Report) -> set[str]:
    return {finding.name for finding in report.findings}


# -- clean mail


@pytest.mark.parametrize(
    "message",
    [
        CLEAN,
        CLEAN.replace(b"\r\n", b"\n"),
        wrappings.attach(b"\x89PNG\r\n\x1a\n", "a.png", "image/png"),
        b"Subject: x\r\nTo: undisclosed-recipients:;\r\n\r\n",
        b"Subject: x",
        b"Subject: gr\xfc\xdfe\r\n\r\n\xff\xfe 8 bit\r\n",
        b"Subject: x\r\n\r\nlong " + b"x" * 300_000 + b"\r\n",
        b"Subject: x\r\n\r\nno line end at the end",
    ],
)
def test_a_clean_message_is_identical_apart_from_our_field(message: bytes, tmp_path: Path) -> None:
    report, output = scanners.through(scanners.make(tmp_path), message)
    eol = b"\r\n" if b"\r\n" in message or b"\n" not in message else b"\n"
    assert output == STATUS + b"clean" + eol + message
    assert outcome(report) == "clean"
    assert kept(tmp_path) == []


def test_an_mbox_line_stays_first(tmp_path: Path) -> None:
    mbox = b"From a@example.org Sun Nov 22 10:00:00 2026\n"
    _, output = scanners.through(scanners.make(tmp_path), mbox + b"Subject: x\n\nhello\n")
    assert output == mbox + STATUS + b"clean\nSubject: x\n\nhello\n"


@pytest.mark.parametrize(
    "message", [b"", b"\r\n", b"\r\nSubject: x\r\n\r\nhi\r\n", b"no header\r\n", b"\xef\xbb\xbfSubject: x\r\n\r\n", b" a: b\n\nc\n"]
)
def test_nothing_is_announced_where_the_header_begins_oddly(message: bytes, tmp_path: Path) -> None:
    policy = Policy(actions={**DEFAULT_ACTIONS, "ambiguous": Action.PASS})
    _, output = scanners.through(scanners.make(tmp_path, policy=policy), message)
    assert output == message


def test_without_announcing_a_clean_message_is_identical(tmp_path: Path) -> None:
    quiet = Policy(announce=False)
    assert scanners.through(scanners.make(tmp_path, policy=quiet), CLEAN)[1] == CLEAN
    assert ours(scanners.through(scanners.make(tmp_path, policy=quiet), INFECTED)[1]).startswith(b"cleaned")


def test_a_forged_status_is_removed(tmp_path: Path) -> None:
    forged = CLEAN.replace(b"Subject:", b"X-Lazaretto-Status: clean; trust me\r\nSubject:")
    assert scanners.through(scanners.make(tmp_path), forged)[1] == STATUS + b"clean\r\n" + CLEAN
    report, output = scanners.through(scanners.make(tmp_path), INFECTED.replace(b"Subject:", b"X-Lazaretto-Status: clean\r\nSubject:"))
    assert outcome(report) == "cleaned"
    assert output.count(STATUS) == 1


def test_a_forged_status_that_hides_something_stays(tmp_path: Path) -> None:
    """Cut out, it would leave a header that clients read otherwise.  As it came, every reading was looked at."""
    message = b"X-Lazaretto-Status: a\rhello\nContent-Transfer-Encoding: base64\r\n" + B64 + b"\n"
    policy = Policy(actions={**DEFAULT_ACTIONS, "ambiguous": Action.PASS})
    report, output = scanners.through(scanners.make(tmp_path, policy=policy), message)
    assert outcome(report) == "clean"
    assert (report.edits, output) == ((), message)
    without = message.partition(b"\n")[2]
    assert outcome(scanners.make(tmp_path).scan(Source(without))) == "cleaned"


# -- infected mail


def test_malware_is_replaced_and_the_original_kept(tmp_path: Path) -> None:
    report, output = scanners.through(scanners.make(tmp_path), INFECTED)
    assert report.verdict.treatments == (((2,), Treatment.REPLACE),)
    assert outcome(report) == "cleaned"
    assert B64[:60] not in output.replace(b"\r\n", b"")
    assert ours(output) == b"cleaned; found=malware; rule=policy.malware"
    assert kept(tmp_path) == [INFECTED]
    assert report.quarantine_id.encode() in output
    (sidecar,) = (tmp_path / "quarantine").rglob("*.json")
    meta = json.loads(sidecar.read_text())
    assert meta["rule"] == "policy.malware"
    assert meta["sha256"] == report.digest
    assert meta["id"] == report.quarantine_id


def test_the_original_is_kept_before_anything_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    put, prove = Quarantine.put, job._Job._prove

    def noted(self: Quarantine, *args: Any, **more: Any) -> str:
        given = put(self, *args, **more)
        order.append("kept")
        return given

    def proving(self: Any, *args: Any) -> Any:
        order.append("proving")
        return prove(self, *args)

    monkeypatch.setattr(Quarantine, "put", noted)
    monkeypatch.setattr(job._Job, "_prove", proving)
    scanners.make(tmp_path).scan(Source(INFECTED))
    assert order == ["kept", "proving"]


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    report = scanners.make(tmp_path).scan(Source(INFECTED), dry_run=True)
    assert outcome(report) == "cleaned"
    assert report.edits
    assert report.quarantine_id == ""
    assert kept(tmp_path) == []


def test_two_infected_parts(tmp_path: Path) -> None:
    message = wrappings.single(
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + B64 + b"\r\n--b\r\n\r\ngood\r\n--b\r\n\r\n" + EICAR + b"\r\n--b--\r\n",
    )
    report, output = scanners.through(scanners.make(tmp_path), message)
    assert dict(report.verdict.treatments) == {(1,): Treatment.REPLACE, (3,): Treatment.REPLACE}
    assert b"\r\n\r\ngood\r\n--b\r\n" in output
    assert kept(tmp_path) == [message]


def test_defanging(tmp_path: Path) -> None:
    policy = Policy(actions={**DEFAULT_ACTIONS, "malware": Action.DEFANG})
    report, output = scanners.through(scanners.make(tmp_path, [knows(EICAR)], policy), INFECTED)
    assert report.verdict.treatments == (((2,), Treatment.DEFANG),)
    assert b"application/octet-stream" in output
    assert B64[:60] in output
    assert ours(output).startswith(b"changed")
    assert kept(tmp_path) == [INFECTED]


# -- refusing


@pytest.mark.parametrize(
    ("action", "disposition", "is_kept"),
    [
        (Action.REJECT, Disposition.REJECT, True),
        (Action.DISCARD, Disposition.DISCARD, True),
        (Action.TEMPFAIL, Disposition.TEMPFAIL, False),
    ],
)
def test_refused_mail_is_not_edited(action: Action, disposition: Disposition, is_kept: bool, tmp_path: Path) -> None:
    rule = Rule("stern", action, (("kind", ("malware",)),), text="no")
    report = scanners.make(tmp_path, policy=Policy((rule,))).scan(Source(INFECTED))
    assert report.verdict.disposition is disposition
    assert report.verdict.rule == "stern"
    assert report.edits == ()
    assert kept(tmp_path) == ([INFECTED] if is_kept else [])


def test_what_is_allowed_for_one_member_is_not_allowed_for_the_next(tmp_path: Path) -> None:
    """Two findings of one name in one part; a rule looks at the file names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("harmless.txt", EICAR)
        made.writestr("evil.doc", b"x" + EICAR)
    allow = Rule("harmless", Action.PASS, (("file", ("harmless.txt",)),))
    report, output = scanners.through(
        scanners.make(tmp_path, [knows(EICAR)], Policy((allow,))), wrappings.attach(packed.getvalue(), "a.zip", "application/zip")
    )
    assert dict(report.verdict.treatments) == {(2,): Treatment.REPLACE}
    assert b"PK" not in base64.b64decode(output.rpartition(b"\r\n\r\n")[2][:40] + b"==", validate=False)


def test_a_rule_knows_a_part_by_its_own_name(tmp_path: Path) -> None:
    """Of an attachment that is in no archive, and is the only one of that name."""
    message = wrappings.single(
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"--b\r\nContent-Disposition: attachment; filename=harmless.txt\r\n\r\n" + EICAR + b"\r\n"
        b"--b\r\nContent-Disposition: attachment; filename=evil.doc\r\n\r\nx" + EICAR + b"\r\n--b--\r\n",
    )
    allow = Rule("harmless", Action.PASS, (("file", ("harmless.txt",)),))
    report = scanners.make(tmp_path, [knows(EICAR)], Policy((allow,))).scan(Source(message))
    assert dict(report.verdict.treatments) == {(2,): Treatment.REPLACE}


# -- failures


def down_for_the_second_part(item: Item) -> bool:
    return item.part == (2,)


@pytest.mark.parametrize("reason", [Reason.DOWN, Reason.TIMEOUT])
def test_a_failed_engine_outranks_malware_elsewhere(reason: Reason, tmp_path: Path) -> None:
    """To cut out part 1 does not make up for part 2, which nobody looked at."""
    message = wrappings.single(
        b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\n" + EICAR + b"\r\n--b\r\n\r\nwhat is this?\r\n--b--\r\n"
    )
    engines = [*scanners.embedded(), failing(reason, down_for_the_second_part)]
    report = scanners.make(tmp_path, engines).scan(Source(message))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert {"Eicar-Test-Signature", f"engine.{reason.value}"} <= names(report)
    assert report.edits == ()
    assert kept(tmp_path) == []


def test_an_engine_that_need_not_answer(tmp_path: Path) -> None:
    engines = [*scanners.embedded(), failing(Reason.DOWN, required=False)]
    policy = Policy(optional=frozenset(("failing",)))
    report, output = scanners.through(scanners.make(tmp_path, engines, policy), CLEAN)
    assert report.verdict.disposition is Disposition.ACCEPT
    assert output.endswith(CLEAN)
    assert outcome(scanners.make(tmp_path, engines, policy).scan(Source(INFECTED))) == "cleaned"


def test_a_crash_of_an_engine_is_a_failure(tmp_path: Path) -> None:
    def crash(item: Item) -> Iterable[Finding]:
        raise ZeroDivisionError("oops")

    report = scanners.make(tmp_path, [EngineDouble(crash)]).scan(Source(CLEAN))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert "engine.crash" in names(report)


def test_an_engine_that_fails_only_when_asked_again(tmp_path: Path) -> None:
    """While proving: nothing can be shown then, so nothing goes out."""
    asked: list[Item] = []

    def say(item: Item) -> Iterable[Finding]:
        if item.is_message:
            asked.append(item)
            if len(asked) > 1:
                raise EngineError(Reason.DOWN, "went away")
        return ()

    report = scanners.make(tmp_path, [*scanners.embedded(), EngineDouble(say)]).scan(Source(INFECTED))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert report.verdict.rule == "system"
    assert "system.not-proven" in names(report)
    assert len(asked) == 4  # the original, the part replaced, the message replaced, the bare message


def test_quarantine_that_cannot_keep_defers(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("a file where a directory should be")
    report = scanners.make(tmp_path).scan(Source(INFECTED))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    (trouble,) = [finding for finding in report.findings if finding.name == "system.error"]
    assert (trouble.kind, trouble.reason) == (Kind.ERROR, Reason.DOWN)
    assert "quarantine" in trouble.detail
    assert "Eicar-Test-Signature" in names(report)
    assert report.edits == ()
    assert report.quarantine_id == ""
    assert outcome(scanners.make(tmp_path).scan(Source(CLEAN))) == "clean"


def test_quarantine_that_is_not_there_defers(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path)
    scanner.stores = NO_STORES
    report = scanner.scan(Source(INFECTED))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert "disabled" in next(finding.detail for finding in report.findings if finding.name == "system.error")


def test_a_spool_that_cannot_be_written_defers(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path, limits=DEFAULT._replace(spool_memory_bytes=10))
    scanner.spool_directory = str(tmp_path / "missing")
    report = scanner.scan(Source(INFECTED))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    (trouble,) = [finding for finding in report.findings if finding.name == "system.error"]
    assert str(tmp_path / "missing") in trouble.detail


def test_a_bug_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The front end keeps the message then; to go on as if nothing had happened would be a guess."""

    def bug(*_: object) -> Any:
        raise AssertionError("a bug")

    monkeypatch.setattr(walk.Walker, "message", bug)
    with pytest.raises(AssertionError, match="a bug"):
        scanners.make(tmp_path).scan(Source(CLEAN))


def test_the_deadline_defers(tmp_path: Path) -> None:
    def slow(item: Item) -> Iterable[Finding]:
        raise EngineError(Reason.TIMEOUT, "no time left")

    contexts: list[ScanContext] = []

    class Noting(EngineDouble):
        def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
            contexts.append(ctx)
            return super().scan(item, ctx)

    before = time.monotonic()
    report = scanners.make(tmp_path, [Noting(slow)], limits=DEFAULT._replace(max_scan_s=5.0)).scan(Source(CLEAN), Envelope(b"a@b"))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert before + 3.75 <= contexts[0].deadline <= time.monotonic() + 3.75  # the rest is for the proof
    assert contexts[0].envelope == Envelope(b"a@b")


def test_what_takes_all_the_time_costs_one_part(tmp_path: Path) -> None:
    """There must be time left to show that the rest is safe."""

    class Hanging(EngineDouble):
        by_content = True

        def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
            if item.names != ("slow.bin",):
                return ()
            while time.monotonic() <= ctx.deadline:
                pass
            raise EngineError(Reason.TIMEOUT, "no answer")

    quick = b"--=_w\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--=_w\r\nContent-Type: application/octet-stream\r\n"
    message = wrappings.attach(b"\0" * 50, "slow.bin").replace(b"--=_w\r\nContent-Type: application/octet-stream\r\n", quick)
    policy = Policy(actions={**DEFAULT_ACTIONS, "timeout": Action.REPLACE}, quarantine=frozenset())
    scanner = scanners.make(tmp_path, [Hanging(lambda _: ())], policy, DEFAULT._replace(max_scan_s=1.0))
    report, output = scanners.through(scanner, message)
    assert report.verdict.treatments == (((3,), Treatment.REPLACE),)
    assert b"See attachment." in output
    assert b"AAEC" in output


def test_max_scan_s_of_zero_is_over_at_once(tmp_path: Path) -> None:
    limits = DEFAULT._replace(max_scan_s=-1.0)
    report = scanners.make(tmp_path, [], limits=limits).scan(Source(wrappings.attach(wrappings.zipped(b"x"), "a.zip")))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert "limit.max-scan-s" in names(report)


# -- proving


def hidden_twice() -> bytes:
    """The payload is a part in the usual reading, and once more where only a client with another boundary sees it."""
    part = b"Content-Transfer-Encoding: base64\r\n\r\n" + B64 + b"\r\n"
    return wrappings.single(
        b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n",
        b"--a\r\n" + part + b"--a\r\n\r\nhello\r\n--a--\r\n--b\r\n" + part + b"--b--\r\n",
    )


def test_a_payload_that_another_reading_still_shows_costs_the_whole_message(tmp_path: Path) -> None:
    report, output = scanners.through(scanners.make(tmp_path), hidden_twice())
    assert outcome(report) == "cleaned"
    assert B64[:60] not in output
    assert b"hello" not in output
    assert b"Subject: wrapped" in output
    assert kept(tmp_path) == [hidden_twice()]


def test_what_is_proven_is_what_is_handed_out(tmp_path: Path) -> None:
    """Once more through the same scanner: nothing is left to treat."""
    for message in (INFECTED, hidden_twice()):
        _, output = scanners.through(scanners.make(tmp_path), message)
        again, twice = scanners.through(scanners.make(tmp_path), output)
        assert not any(treatment for _, treatment in again.verdict.treatments)
        assert outcome(again) == "clean"
        assert twice.partition(b"\r\n")[2] == output.partition(b"\r\n")[2]


def test_a_header_that_is_at_fault_goes_too(tmp_path: Path) -> None:
    """The engine finds its marker in the raw message, in a field that would be kept."""

    def say(item: Item) -> Iterable[Finding]:
        if item.is_message and item.content.data.find(b"evil-marker") >= 0:
            yield Finding("double", Kind.MALWARE, "Evil")

    message = b"From: a@example.org\r\nSubject: evil-marker\r\n\r\nhello\r\n"
    report, output = scanners.through(scanners.make(tmp_path, [EngineDouble(say)]), message)
    assert outcome(report) == "cleaned"
    assert report.verdict.treatments == (((), Treatment.REPLACE),)
    assert b"evil-marker" not in output
    assert output.startswith(STATUS + b"cleaned; found=malware; rule=policy.malware\r\nSubject: (message removed)\r\n")
    assert kept(tmp_path) == [message]


def test_an_engine_that_finds_something_in_everything(tmp_path: Path) -> None:
    report = scanners.make(tmp_path, [EngineDouble(lambda item: [Finding("double", Kind.MALWARE, "Evil")])]).scan(Source(CLEAN))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert {"Evil", "system.not-proven"} <= names(report)
    assert report.edits == ()


def test_clean_mail_is_looked_at_once(tmp_path: Path) -> None:
    seen: list[Item] = []

    def say(item: Item) -> Iterable[Finding]:
        seen.append(item)
        return ()

    scanners.make(tmp_path, [EngineDouble(say)]).scan(Source(CLEAN))
    assert sum(item.is_message for item in seen) == 1


# -- findings


def test_max_findings(tmp_path: Path) -> None:
    def many(item: Item) -> Iterable[Finding]:
        return [Finding("double", Kind.UNSCANNABLE, f"odd.{number}", reason=Reason.ENCRYPTED) for number in range(40)]

    limits = DEFAULT._replace(max_findings=30)
    report, output = scanners.through(scanners.make(tmp_path, [EngineDouble(many)], limits=limits), CLEAN)
    assert "limit.max-findings" in names(report)
    # Nobody knows what the rest was, so the message does not go out as it is.
    assert report.verdict.disposition is Disposition.TEMPFAIL or not output.endswith(b"hello\r\n")
    few = scanners.make(tmp_path, [EngineDouble(lambda item: many(item)[:20])], limits=limits)  # type: ignore[index]
    assert outcome(few.scan(Source(CLEAN))) == "passed"


def test_remarks_that_change_nothing_are_not_all_kept(tmp_path: Path) -> None:
    odd = EngineDouble(lambda item: [Finding("double", Kind.MALFORMED, f"odd.{number}") for number in range(40)])
    report, output = scanners.through(scanners.make(tmp_path, [odd], limits=DEFAULT._replace(max_findings=30)), CLEAN)
    assert outcome(report) == "clean"
    assert len(report.findings) == 30
    assert output.endswith(CLEAN)


def test_what_is_said_again_and_again_counts_once(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for number in range(50):
            made.writestr(f"{number}.txt", b"odd %d" % number)
    odd = EngineDouble(lambda item: [Finding("double", Kind.MALFORMED, "odd")])
    message = wrappings.attach(packed.getvalue(), "a.zip", "application/zip")
    report = scanners.make(tmp_path, [odd], limits=DEFAULT._replace(max_findings=10)).scan(Source(message))
    assert "limit.max-findings" not in names(report)


def test_what_raw_message_and_part_show_is_the_parts(tmp_path: Path) -> None:
    report = scanners.make(tmp_path).scan(Source(wrappings.attach(b"hello", "b.txt").replace(b"See attachment.", EICAR)))
    assert [finding.part for finding in report.findings if finding.kind is Kind.MALWARE] == [(1,)]


# -- the report


def test_the_report_is_complete(tmp_path: Path) -> None:
    import hashlib
    import pickle

    report = scanners.make(tmp_path).scan(Source(INFECTED))
    assert report.digest == hashlib.sha256(INFECTED).hexdigest()
    assert report.engines == (("attachments", ""), ("yara", ""))
    assert report.elapsed_ms > 0
    assert report.scan_id != scanners.make(tmp_path).scan(Source(CLEAN)).scan_id
    assert pickle.loads(pickle.dumps(report)) == report


def test_look_gives_items_with_their_answers(tmp_path: Path) -> None:
    found = list(scanners.make(tmp_path).look(Source(INFECTED)))
    answers = {one[0].trail: {finding.name for finding in one[1]} for one in found if not isinstance(one, Finding)}
    assert answers[("2",)] == {"Eicar-Test-Signature"}
    assert answers[("1",)] == set()


def test_look_file(tmp_path: Path) -> None:
    found = [one for one in scanners.make(tmp_path).look_file(Source(wrappings.zipped(EICAR)), "a.zip") if not isinstance(one, Finding)]
    assert [(item.trail, [f.name for f in findings]) for item, findings in found] == [
        (("a.zip",), []),
        (("a.zip", "a.txt"), ["Eicar-Test-Signature"]),
    ]


def test_closing_closes_all_engines(tmp_path: Path) -> None:
    class Stubborn(EngineDouble):
        def close(self) -> None:
            raise OSError("no")

    last = EngineDouble(lambda item: ())
    scanners.make(tmp_path, [Stubborn(lambda item: ()), last]).close()
    assert last.closed == 1


@pytest.mark.parametrize(
    ("required", "failed", "closed"),
    [(False, {"failing"}, True), (True, set(), False), (None, set(), True)],
    ids=["optional", "required", "none fails"],
)
def test_the_closing_field_names_who_scanned(required: bool | None, failed: set[str], closed: bool, tmp_path: Path) -> None:
    """An engine that has to answer and did not, while policy lets the message go on: nobody scanned that."""
    engines = [knows(b"evil"), *([failing(Reason.DOWN, required=required)] if required is not None else [])]
    optional = frozenset({"failing"} if required is False else ())
    scanner = scanners.make(tmp_path, engines, Policy(actions={**DEFAULT_ACTIONS, "down": Action.PASS}, optional=optional))
    told = []

    def closing(names: Collection[str]) -> tuple[tuple[bytes, bytes], ...]:
        told.append(set(names))
        return ((b"X-Antivirus", b"Scanned"),)

    scanner.closing = closing
    _, output = scanners.through(scanner, b"Subject: x\r\n\r\ny\r\n")
    assert (b"\r\nX-Antivirus: Scanned\r\n\r\n" in output) == closed
    assert told == ([failed] if closed else [])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path, limits=DEFAULT._replace(spool_memory_bytes=10))
    scanner.scan(Source(INFECTED))
    before = len(os.listdir("/proc/self/fd"))
    for message in (INFECTED, CLEAN, hidden_twice(), wrappings.attach(wrappings.zipped(EICAR), "a.zip")):
        scanner.scan(Source(message))
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_message_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path)
    first = scanner.scan(Source(CLEAN))
    scanner.scan(Source(INFECTED))
    second = scanner.scan(Source(CLEAN))
    own = {"scan_id": "", "elapsed_ms": 0.0, "engine_ms": ()}
    assert second._replace(**own) == first._replace(**own)  # type: ignore[arg-type]


# -- whatever the bytes

PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/plain; name=a.exe\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Subject: x\r\n",
    b"X-Lazaretto-Status: forged\r\n",
    b"\r\n",
    b"\n",
    b"--b\r\n",
    b"--b--\r\n",
    B64,
    EICAR,
    b"begin 644 a\r\n#86)C\r\n`\r\nend\r\n",
    b"\0",
    b"\r",
    b"From a b\r\n",
]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=20).map(b"".join))
@example(b"")
@example(INFECTED)
def test_whatever_the_bytes(tmp_path_factory: pytest.TempPathFactory, message: bytes) -> None:
    """scan() raises nothing; what needs no treatment is identical but for our field; what goes out holds no payload any more."""
    scanner = scanners.make(tmp_path_factory.getbasetemp(), limits=DEFAULT._replace(max_readings=200, max_reading_bytes=1 << 18))
    source = Source(message)
    report = scanner.scan(source, dry_run=True)
    if report.verdict.disposition is not Disposition.ACCEPT:
        assert report.edits == ()
        return
    output = b"".join(render(source, report.edits))
    if not any(treatment for _, treatment in report.verdict.treatments):
        if b"X-Lazaretto" not in message:  # how forged fields go: tests/sanitize/test_plan.py
            assert re.sub(rb"X-Lazaretto-Status: [^\r\n]*\r?\n", b"", output, count=1) == message
    else:
        assert EICAR not in output
