"""What the manual says of mail that fpscand scans, with a double of fpscand, through the real procmail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mail_programs as programs
from doubles import HANG_UP, SILENCE
from eicar import EICAR
from fpscand_double import FpscandDouble
from mail_programs import CLEAN, INFECTED, carries, mail

RECIPE = programs.recipes()["failed"]
FIELD = b"\nX-Antivirus: Scanned by F-Prot Antivirus (http://www.f-prot.com)\n\n"


@pytest.fixture
def fpscand() -> Iterator[FpscandDouble]:
    double = FpscandDouble()
    yield double
    double.close()


def deliver(root: Path, fpscand: FpscandDouble, message: bytes, **variables: str) -> tuple[programs.Site, bytes]:
    """The site, and the one message in the mailbox."""
    site = programs.site(root, {"SCANMAIL_ENGINES": "", "SCANMAIL_FPSCAND": fpscand.address, **variables})
    delivery = programs.procmail(site, site.here(RECIPE), message, "-m")
    assert delivery.status == 0
    (delivered,) = delivery.inbox
    assert site.failed() == []
    assert len(site.log()) == 1
    return site, delivered


@pytest.mark.parametrize("message", [CLEAN, INFECTED, mail(b"CURABLE document", "a.doc")], ids=["clean", "infected", "disinfected"])
def test_the_field_of_old(tmp_path: Path, fpscand: FpscandDouble, message: bytes) -> None:
    """Once, at the end of the header, to the letter."""
    _, delivered = deliver(tmp_path, fpscand, message)
    assert FIELD in delivered
    assert delivered.index(FIELD) + len(FIELD) == delivered.index(b"\n\n") + 2
    assert delivered.count(b"X-Antivirus") == 1
    if message is CLEAN:
        assert delivered.replace(FIELD, b"\n\n") == message


def test_each_attachment_is_scanned(tmp_path: Path, fpscand: FpscandDouble) -> None:
    """Extracted and decoded; the text of the message, too."""
    deliver(tmp_path, fpscand, CLEAN)
    assert b"nothing to see here" in fpscand.contents
    assert b"See attachment." in fpscand.contents


def test_fpscand_is_where_its_own_variable_says(tmp_path: Path, fpscand: FpscandDouble) -> None:
    _, delivered = deliver(tmp_path, fpscand, INFECTED, SCANMAIL_FPSCAND="", FPSCAND_LISTENADDRESS=fpscand.address)
    assert FIELD in delivered
    assert not carries(delivered, EICAR)


def test_disinfected_content_goes_back_into_the_message(tmp_path: Path, fpscand: FpscandDouble) -> None:
    """Everything else stays as it was."""
    message = mail(b"CURABLE document", "a.doc")
    site, delivered = deliver(tmp_path, fpscand, message)
    assert delivered == mail(b" document", "a.doc").replace(b"\n\n", FIELD, 1)
    assert "outcome=cleaned" in site.log()[0]
    assert "Double.Curable" in site.log()[0]


def test_disinfected_attachment_is_then_asked_for_its_name(tmp_path: Path, fpscand: FpscandDouble) -> None:
    site, delivered = deliver(tmp_path, fpscand, mail(b"CURABLE document", "a.vbs"), SCANMAIL_STOPLIST=r"\.vbs$")
    programs.assert_without([delivered], b" document")
    assert not carries(delivered, b"CURABLE document")
    assert len(site.saved_files()) == 1


@pytest.mark.parametrize(
    ("content", "variables"),
    [(EICAR, {}), (b"CURABLE and EVIL", {}), (b"PACKED", {}), (b"MAYBE", {}), (b"CURABLE document", {"SCANMAIL_DISINFECT": "no"})],
)
def test_what_cannot_be_disinfected_is_removed(tmp_path: Path, fpscand: FpscandDouble, content: bytes, variables: dict[str, str]) -> None:
    site, delivered = deliver(tmp_path, fpscand, mail(content, "a.doc"), **variables)
    programs.assert_without([delivered], content)
    assert not carries(delivered, content.replace(b"CURABLE", b""))
    assert site.saved_files() == []


def test_list_goes_by_name_where_fpscand_finds_nothing(tmp_path: Path, fpscand: FpscandDouble) -> None:
    site, delivered = deliver(tmp_path, fpscand, mail(b"harmless", "a.scr"), SCANMAIL_BANLIST=r"\.scr$", SCANMAIL_STOPLIST=r"\.scr$")
    programs.assert_without([delivered], b"harmless")
    assert b"harmless" in fpscand.contents
    assert site.saved_files() == []  # the ban list comes first, and keeps nothing


def test_what_is_not_in_the_scan_list_is_not_scanned(tmp_path: Path, fpscand: FpscandDouble) -> None:
    deliver(tmp_path, fpscand, CLEAN, SCANMAIL_SCANLIST=r"\.exe$;\.doc$")
    assert b"nothing to see here" not in fpscand.contents
    deliver(tmp_path / "other", fpscand, mail(b"letter", "a.DOC"), SCANMAIL_SCANLIST=r"\.exe$;\.doc$")
    assert b"letter" in fpscand.contents


@pytest.mark.parametrize(
    "answer",
    [HANG_UP, SILENCE, b"16 <out of memory>\n", b"32 <internal error>\n", b"0 <cle" + HANG_UP, b"What?\n", b""],
    ids=["hangs-up", "silent", "error", "internal", "half", "nonsense", "nothing"],
)
def test_fpscand_that_fails_saves_the_attachment(tmp_path: Path, fpscand: FpscandDouble, answer: bytes) -> None:
    """A run-time error: saved to disk, removed from the mail.  Whatever fpscand does, nothing passes unscanned."""
    fpscand.twist = lambda _request, honest: answer if fpscand.contents and fpscand.contents[-1] == EICAR else honest
    site, delivered = deliver(tmp_path, fpscand, INFECTED, SCANMAIL_TIMEOUT="2")
    assert not carries(delivered, EICAR)
    assert EICAR in site.saved_files()
    assert "saved=" in site.log()[0]
    assert "error=" in site.log()[0]
    assert "outcome=cleaned" in site.log()[0]


def test_fpscand_that_is_down_saves_the_attachment(tmp_path: Path, fpscand: FpscandDouble) -> None:
    fpscand.close()
    site, delivered = deliver(tmp_path, fpscand, INFECTED)
    assert not carries(delivered, EICAR)
    assert EICAR in site.saved_files()
    assert "Connection refused" in site.log()[0]
