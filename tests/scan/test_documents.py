"""Documents are disarmed where policy asks for it, put back as they were encoded, and shown to be harmless."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

import disarming
import scanners
from disarming import OFFICE, RTF, TEXT, unpacked
from lazaretto.limits import DEFAULT, Limits, Meter
from lazaretto.mime import scanner, transfer, tree
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Item, Kind, Reason, Report, Treatment
from lazaretto.policy.rules import DEFAULT_ACTIONS, Action, Policy
from lazaretto.sanitize import disarm
from lazaretto.sanitize.disarmed import Disarmed
from lazaretto.scan.documents import Documents
from lazaretto.scan.report import final_pairs, outcome
from lazaretto.store.spool import Spool

QUIET = Policy(status_field=b"", actions=DEFAULT_ACTIONS | {"active": Action.DISARM})
ALL = frozenset(disarm.FORMATS)


def mail(data: bytes, name: str, before: bytes = b"") -> bytes:
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
    kind = b'Content-Type: application/octet-stream; name="' + name.encode() + b'"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head + before + kind + base64.encodebytes(data).replace(b"\n", b"\r\n") + b"--b--\r\n"


def through(
    state: Path, message: bytes, formats: frozenset[str] = ALL, policy: Policy = QUIET, limits: Limits = DEFAULT, yara: bool = False
) -> tuple[Report, bytes]:
    machine = scanners.make(state, [one for one in scanners.embedded() if one.name == "yara"] if yara else [], policy, limits)
    machine.disarmed = formats
    report, output = scanners.through(machine, message)
    if report.verdict.disposition is Disposition.ACCEPT:
        assert scanners.through(machine, output)[1] == output  # a second time changes nothing
    return report, output


def content_of(message: bytes) -> bytes:
    source = Source(message)
    part = tree.find(scanner.parse(source), (2,))
    assert part is not None
    return b"".join(transfer.decode(source, part.body, part.encoding))


@pytest.mark.parametrize("name", OFFICE)
def test_a_document_is_disarmed_and_put_back(tmp_path: Path, name: str) -> None:
    make, expected = OFFICE[name]
    message = mail(make(), name)
    report, output = through(tmp_path, message)
    assert outcome(report) == "cleaned"
    assert {finding.name for finding in report.findings if finding.engine == "disarm"} == expected
    assert report.verdict.treatments == (((2,), Treatment.DISARM),)
    assert unpacked(content_of(output))
    assert output.startswith(message[: message.index(b"UEs")])  # up to the content, not a byte has changed
    assert [path.read_bytes() for path in (tmp_path / "quarantine").rglob("*.eml")] == [message]


@pytest.mark.parametrize("name", RTF)
def test_rtf(tmp_path: Path, name: str) -> None:
    report, output = through(tmp_path, mail(RTF[name], "a.rtf"))
    assert outcome(report) == "cleaned"
    assert TEXT.encode() in content_of(output)
    assert b"obj" not in content_of(output)


def test_a_pdf_is_disarmed_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from disarming_pdf import launch, make

    report, output = through(tmp_path, mail(make(launch), "a.pdf"))
    assert report.verdict.treatments == (((2,), Treatment.DISARM),)
    assert b"cmd.exe" not in content_of(output)
    assert final_pairs(report, Envelope())["disarmed"] == "2"

    def crash(*_: object) -> Disarmed:
        os._exit(9)

    monkeypatch.setattr(disarm, "disarm", crash)
    report, output = through(tmp_path, mail(make(launch), "a.pdf"))
    assert report.verdict.treatments == (((2,), Treatment.REPLACE),)
    assert {finding.name for finding in report.findings if finding.engine == "disarm"} == {"disarm.refused"}


def test_what_is_refused_is_replaced(tmp_path: Path) -> None:
    report, output = through(tmp_path, mail(disarming.word_macros() + b"x", "a.docm"))
    assert report.verdict.treatments == (((2,), Treatment.REPLACE),)
    assert "more than one reading" in next(finding.detail for finding in report.findings if finding.name == "disarm.refused")
    assert b"UEs" not in output


def test_nothing_is_looked_at_unasked(tmp_path: Path) -> None:
    message = mail(disarming.word_macros(), "a.docm")
    for formats in (frozenset[str](), frozenset(("rtf",))):
        report, output = through(tmp_path, message, formats)
        assert output == message
        assert outcome(report) == "clean"


def test_clean_documents_leave_byte_for_byte(tmp_path: Path) -> None:
    for name, make in disarming.CLEAN.items():
        message = mail(make(), name)
        report, output = through(tmp_path, message)
        assert output == message
        assert report.edits == ()


def test_what_engines_find_in_a_document_goes_with_it(tmp_path: Path) -> None:
    """With active = "disarm"; without it, what acts is a reason to replace the part."""
    message = mail(disarming.word_fields(), "a.docx")
    report, output = through(tmp_path, message, yara=True)
    assert "office-dde" in {finding.name for finding in report.findings}
    assert report.verdict.treatments == (((2,), Treatment.DISARM),)
    assert b"shown last" in unpacked(content_of(output))["word/document.xml"]
    report, _ = through(tmp_path, message, policy=Policy(status_field=b""), yara=True)
    assert report.verdict.treatments == (((2,), Treatment.REPLACE),)


def test_a_banned_file_inside(tmp_path: Path) -> None:
    """It goes with the object that holds it, if policy says so; as an attachment it is replaced."""
    machine = scanners.make(tmp_path, None, QUIET._replace(actions=dict(QUIET.actions) | {"banned": Action.DISARM}))
    machine.disarmed = ALL
    for message, treatment in ((mail(disarming.word_object(), "a.docx"), Treatment.DISARM), (mail(b"MZ" * 50, "a.exe"), Treatment.REPLACE)):
        report, output = scanners.through(machine, message)
        assert "name.banned-extension" in {finding.name for finding in report.findings}
        assert report.verdict.treatments == (((2,), treatment),)
        assert output != message


def test_an_active_document_that_is_not_looked_at_is_replaced(tmp_path: Path) -> None:
    report, _ = through(tmp_path, mail(disarming.word_fields(), "a.docx"), frozenset(("rtf",)), yara=True)
    assert report.verdict.treatments == (((2,), Treatment.REPLACE),)


def test_members_of_archives_are_left_to_the_engines(tmp_path: Path) -> None:
    import documents

    message = mail(documents.zip_file({"a.docm": disarming.word_macros()}), "a.zip")
    report, output = through(tmp_path, message)
    assert output == message
    assert outcome(report) == "clean"


def test_signed_mail_is_replaced_not_changed(tmp_path: Path) -> None:
    inner = mail(disarming.word_macros(), "a.docm").partition(b"\r\nMIME-Version: 1.0\r\n")[2]
    signed = b"Subject: x\r\nMIME-Version: 1.0\r\n"
    signed += b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=s\r\n\r\n--s\r\n' + inner
    signed += b"--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
    report, output = through(tmp_path, signed)
    assert Treatment.DISARM not in dict(report.verdict.treatments).values()
    assert b"UEs" not in output


def test_max_disarm_bytes(tmp_path: Path) -> None:
    data = disarming.word_macros()
    report, _ = through(tmp_path, mail(data, "a.docm"), limits=DEFAULT._replace(max_disarm_bytes=len(data) - 1))
    (finding,) = [finding for finding in report.findings if finding.engine == "disarm"]
    assert (finding.name, finding.kind, finding.reason) == ("limit.max-disarm-bytes", Kind.UNSCANNABLE, Reason.LIMIT)
    assert report.verdict.treatments == (((2,), Treatment.REPLACE),)


def item(data: bytes, found: str, **changes: bool) -> Item:
    return Item((2,), ("2",), ("x",), "", Source(data), found)._replace(**changes)  # type: ignore[arg-type]


def test_which_items(tmp_path: Path) -> None:
    with Spool(str(tmp_path)) as spool:
        looked = Documents(ALL)
        for other in (item(RTF["dde"], "text"), item(RTF["dde"], "rtf", is_file=False), item(RTF["dde"], "rtf", is_message=True)):
            assert list(looked.look(other, Meter(), spool)) == []
        (finding,) = looked.look(item(RTF["dde"], "rtf", doubtful=True), Meter(), spool)
        assert (finding.kind, finding.name, finding.part) == (Kind.DISARMED, "rtf.dde", (2,))
        assert looked.acting == {(2,)}
        assert looked.content == {}  # of another reading there is no new content
        assert list(looked.look(item(RTF["dde"], "rtf"), Meter(), spool))
        assert TEXT.encode() in looked.content[(2,)].read_at(0, 99)


def test_a_finding_names_the_first_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lazaretto.sanitize.disarmed import Removed

    monkeypatch.setattr(disarm, "disarm", lambda *_: Disarmed(b"", tuple(Removed("rtf.object", f"o{n}") for n in range(7))))
    with Spool(str(tmp_path)) as spool:
        (finding,) = Documents(ALL).look(item(b"", "rtf"), Meter(), spool)
    assert finding.detail == "o0, o1, o2, o3, o4 (7 in all)"
