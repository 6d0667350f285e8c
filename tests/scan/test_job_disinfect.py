"""An engine takes malware out of a part: what it made goes back into the message, if that can be shown to be safe."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

import pytest

import scanners
import wrappings
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.errors import EngineError
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Finding, Item, Kind, Reason
from lazaretto.policy.rules import DEFAULT_ACTIONS, Action, Policy, Rule
from lazaretto.scan.report import outcome

EVIL, GOOD = b"[evil]", b"[good]"
QUIET = Policy(status_field=b"")


class Disinfector:
    """Takes EVIL out of whatever is decoded, and puts GOOD, or something else, in its place."""

    name = "doctor"
    required = True
    by_content = True

    def __init__(self, remedy: bytes = GOOD) -> None:
        self.remedy = remedy
        self.asked: list[bytes] = []

    def wants(self, item: Item) -> bool:
        return not item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        content = item.content.read_at(0, item.content.size)
        self.asked.append(content)
        if EVIL not in content:
            return
        if ctx.cleaned is None:
            yield Finding(self.name, Kind.MALWARE, "Evil")
            return
        ctx.cleaned(item, iter([content.replace(EVIL, self.remedy)]))
        yield Finding(self.name, Kind.DISINFECTED, "Evil")

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("double")

    def close(self) -> None:
        pass


def disinfected(tmp_path: Path, message: bytes, engine: Disinfector | None = None, policy: Policy = QUIET) -> tuple[str, bytes]:
    report, output = scanners.through(scanners.make(tmp_path, [engine or Disinfector()], policy), message)
    assert report.verdict.disposition is Disposition.ACCEPT
    return outcome(report), output


@pytest.mark.parametrize("width", [76, 60, 72])
@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_base64_keeps_its_lines(tmp_path: Path, width: int, eol: bytes) -> None:
    def message(content: bytes) -> bytes:
        text = base64.b64encode(content)
        body = b"".join(text[at : at + width] + b"\r\n" for at in range(0, len(text), width))
        return wrappings.attach(b"", "a.doc").replace(b'"a.doc"\r\n\r\n', b'"a.doc"\r\n\r\n' + body).replace(b"\r\n", eol)

    filling = bytes(range(256))
    assert disinfected(tmp_path, message(EVIL + filling)) == ("cleaned", message(GOOD + filling))


@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"binary", b"quoted-printable"])
def test_other_encodings(tmp_path: Path, encoding: bytes) -> None:
    def message(content: bytes) -> bytes:
        return wrappings.single(
            b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding + b"\r\n", b"one\r\n" + content + b"\r\ntwo\r\n"
        )

    assert disinfected(tmp_path, message(EVIL)) == ("cleaned", message(GOOD))


def test_every_copy_and_nothing_else(tmp_path: Path) -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\n"
    message = wrappings.single(
        b"Content-Type: multipart/mixed; boundary=b\r\n", part + b"a [evil]\r\n" + part + b"b\r\n" + part + b"a [evil]\r\n--b--\r\n"
    )
    assert disinfected(tmp_path, message) == ("cleaned", message.replace(EVIL, GOOD))


def test_a_member_of_an_archive_is_not_put_back(tmp_path: Path) -> None:
    word, output = disinfected(tmp_path, wrappings.attach(wrappings.zipped(EVIL, "a.txt"), "a.zip"))
    assert word == "cleaned"
    assert b"Evil (doctor)" in output
    assert b"UEsDB" not in output


def test_content_that_would_be_a_delimiter_is_not_put_back(tmp_path: Path) -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\n"
    message = wrappings.single(b"Content-Type: multipart/mixed; boundary=b\r\n", part + b"[evil]\r\n--b--\r\n")
    for remedy in (b"x\r\n--b--\r\n", b"x\r\n--b\r\nContent-Type: text/html\r\n\r\nhello"):
        _, output = disinfected(tmp_path, message, Disinfector(remedy))
        assert b"was removed, because it contained malware" in output
        assert b"hello" not in output


def test_a_remedy_that_is_no_better_is_not_put_back(tmp_path: Path) -> None:
    _, output = disinfected(tmp_path, wrappings.attach(EVIL, "a.doc"), Disinfector(b"still " + EVIL))
    assert b"was removed" in output
    assert base64.b64encode(EVIL)[:6] not in output


def test_the_original_is_kept(tmp_path: Path) -> None:
    message = wrappings.attach(EVIL, "a.doc")
    disinfected(tmp_path, message)
    assert [path.read_bytes() for path in (tmp_path / "quarantine").rglob("*.eml")] == [message]


def test_policy_may_want_it_replaced_all_the_same(tmp_path: Path) -> None:
    policy = Policy(status_field=b"", actions={**DEFAULT_ACTIONS, "disinfected": Action.REPLACE})
    _, output = disinfected(tmp_path, wrappings.attach(EVIL, "a.doc"), policy=policy)
    assert b"was removed, because it contained malware" in output


def test_a_renamed_part_gets_its_new_content_too(tmp_path: Path) -> None:
    policy = Policy((Rule("rename", Action.DEFANG, (("engine", ("doctor",)),)),), status_field=b"")
    _, output = disinfected(tmp_path, wrappings.attach(EVIL, "a.doc"), policy=policy)
    assert base64.b64encode(GOOD) in output
    assert b'filename="a.doc"' not in output


def test_a_dry_run_shows_the_same(tmp_path: Path) -> None:
    source = Source(wrappings.attach(EVIL, "a.doc"))
    report = scanners.make(tmp_path, [Disinfector()]).scan(source, dry_run=True)
    assert outcome(report) == "cleaned"
    assert not (tmp_path / "quarantine").exists()


# -- an engine that fails, where policy cuts out what could not be scanned


class Failing(Disinfector):
    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        raise EngineError(Reason.DOWN, "nobody there")

    def wants(self, item: Item) -> bool:
        return True


def test_what_could_not_be_scanned_is_cut_out_without_the_engine(tmp_path: Path) -> None:
    policy = Policy(actions={**DEFAULT_ACTIONS, "down": Action.REPLACE}, save=frozenset({"down"}))
    message = wrappings.attach(EVIL, "a.doc", body=b"the text")
    scanner = scanners.make(tmp_path, [Failing()], policy, saving=True)
    report, output = scanners.through(scanner, message)
    assert report.verdict.disposition is Disposition.ACCEPT
    assert b" ".join(output.split()).count(b"because the scanner could not be reached") == 2
    assert b"the text" not in output
    assert base64.b64encode(EVIL) not in output
    assert sorted(path.read_bytes() for path in (tmp_path / "saved").iterdir()) == [EVIL, b"the text"]


def test_nobody_says_that_it_was_scanned_when_it_was_not(tmp_path: Path) -> None:
    policy = Policy(actions={**DEFAULT_ACTIONS, "down": Action.TAG})
    for engine, said in ((Disinfector(), True), (Failing(), False)):
        scanner = scanners.make(tmp_path, [engine], policy)
        scanner.closing = lambda _failed: ((b"X-Antivirus", b"Scanned"),)
        _, output = scanners.through(scanner, wrappings.attach(b"hello", "a.txt"))
        assert (b"X-Antivirus: Scanned\r\n" in output) is said


def test_by_default_it_waits(tmp_path: Path) -> None:
    report = scanners.make(tmp_path, [Failing()]).scan(Source(wrappings.attach(EVIL, "a.doc")))
    assert report.verdict.disposition is Disposition.TEMPFAIL


def test_what_is_saved_is_disinfected(tmp_path: Path) -> None:
    policy = Policy((Rule("cut", Action.REPLACE, (("engine", ("doctor",)),), save=True),))
    scanners.make(tmp_path, [Disinfector()], policy, saving=True).scan(Source(wrappings.attach(EVIL, "a.doc")))
    assert [path.read_bytes() for path in (tmp_path / "saved").iterdir()] == [GOOD]


def test_what_is_renamed_and_cannot_be_cured_costs_that_part_only(tmp_path: Path) -> None:
    """What the engine made of it is evil once more, so the part goes; it must not stay as it came, under another name."""
    rename = Policy((Rule("rename", Action.DEFANG, (("finding", ("name.*",)),)),), status_field=b"")
    engine = Disinfector(remedy=EVIL + b"!")
    scanner = scanners.make(tmp_path, [*scanners.embedded(), engine], rename)
    report, output = scanners.through(scanner, wrappings.attach(EVIL, "a.vbs"))
    assert report.verdict.disposition is Disposition.ACCEPT
    assert base64.b64encode(EVIL)[:6] not in output
    assert wrappings.attach(b"", "x").split(b"--")[1] in output  # the text of the mail
