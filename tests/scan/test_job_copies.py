"""Copies besides the quarantine: of every message, and of single parts; on disk before anything is promised."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import scanners
import wrappings
from eicar import EICAR
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Finding, Item, Kind, Treatment
from lazaretto.policy.rules import Action, Policy, Rule
from lazaretto.scan.job import Scanner, Stores
from lazaretto.store.backup import Backup
from lazaretto.store.saved import SavedFiles

CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
SAVING = Policy((Rule("save", Action.REPLACE, (("kind", ("malware",)),), quarantine=False, save=True),))


def with_stores(tmp_path: Path, policy: Policy = Policy(), **stores: object) -> Scanner:
    scanner = scanners.make(tmp_path, policy=policy)
    scanner.stores = scanner.stores._replace(**stores)  # type: ignore[arg-type]
    return scanner


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("message", [CLEAN, INFECTED])
def test_a_backup_of_everything(tmp_path: Path, message: bytes) -> None:
    report = with_stores(tmp_path, backup=Backup(f"{tmp_path}/backup")).scan(Source(message))
    assert files(tmp_path / "backup") == [message]
    assert Path(report.backup).read_bytes() == message
    assert report.backup.endswith(f".{os.getpid()}")


def test_a_backup_of_what_was_changed(tmp_path: Path) -> None:
    scanner = with_stores(tmp_path, backup=Backup(f"{tmp_path}/backup"), changed_only=True)
    report = scanner.scan(Source(CLEAN))
    assert (report.backup, files(tmp_path / "backup")) == ("", [])
    report = scanner.scan(Source(INFECTED))
    assert files(tmp_path / "backup") == [INFECTED]
    assert report.backup


def test_what_has_to_come_again_is_not_changed_yet(tmp_path: Path) -> None:
    policy = Policy((Rule("later", Action.TEMPFAIL, (("kind", ("malware",)),)),))
    scanner = with_stores(tmp_path, policy, backup=Backup(f"{tmp_path}/backup"), changed_only=True)
    assert scanner.scan(Source(INFECTED)).verdict.disposition is Disposition.TEMPFAIL
    assert files(tmp_path / "backup") == []


def test_what_is_refused_is_kept(tmp_path: Path) -> None:
    policy = Policy((Rule("no", Action.REJECT, (("kind", ("malware",)),)),))
    scanner = with_stores(tmp_path, policy, backup=Backup(f"{tmp_path}/backup"), changed_only=True)
    assert scanner.scan(Source(INFECTED)).verdict.disposition is Disposition.REJECT
    assert files(tmp_path / "backup") == [INFECTED]


@pytest.mark.parametrize("message", [CLEAN, INFECTED])
def test_without_the_backup_the_message_waits(tmp_path: Path, message: bytes) -> None:
    (tmp_path / "backup").write_text("in the way")
    report = with_stores(tmp_path, backup=Backup(f"{tmp_path}/backup/x")).scan(Source(message))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert report.edits == ()
    assert any("backup" in finding.detail for finding in report.findings)


def test_a_part_is_saved_as_it_was_decoded(tmp_path: Path) -> None:
    scanner = with_stores(tmp_path, SAVING, saved=SavedFiles(f"{tmp_path}/saved/att-$T-$$$-$F"))
    report, output = scanners.through(scanner, INFECTED)
    (path,) = (tmp_path / "saved").iterdir()
    assert path.read_bytes() == EICAR
    assert path.name.endswith("-a.txt")
    assert report.saved == (str(path),)
    assert f"This part was saved as {path.name}." in " ".join(output.decode().split())
    assert files(tmp_path / "quarantine") == []


def test_a_message_of_one_part(tmp_path: Path) -> None:
    scanner = with_stores(tmp_path, SAVING, saved=SavedFiles(f"{tmp_path}/saved/att-$T-$$$-$F"))
    scanner.scan(Source(wrappings.single(b"Content-Type: text/plain\r\n", EICAR + b"\r\n")))
    assert files(tmp_path / "saved") == [EICAR + b"\r\n"]


def test_a_file_that_cannot_be_saved_is_not_cut_out(tmp_path: Path) -> None:
    (tmp_path / "saved").write_text("in the way")
    report = with_stores(tmp_path, SAVING, saved=SavedFiles(f"{tmp_path}/saved/att-$T-$$$-$F")).scan(Source(INFECTED))
    assert report.verdict.disposition is Disposition.TEMPFAIL
    assert report.edits == ()


def test_no_place_to_save_to(tmp_path: Path) -> None:
    assert with_stores(tmp_path, SAVING).scan(Source(INFECTED)).verdict.disposition is Disposition.TEMPFAIL


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    stores = {"saved": SavedFiles(f"{tmp_path}/saved/att-$T-$$$-$F"), "backup": Backup(f"{tmp_path}/backup")}
    with_stores(tmp_path, SAVING, **stores).scan(Source(INFECTED), dry_run=True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name in ("saved", "backup", "quarantine")) == []


def test_stores_are_nothing_by_default() -> None:
    assert Stores() == (None, None, None, False)


def test_a_list_that_matches_our_own_notices(tmp_path: Path) -> None:
    """The name of a notice ends in .txt, and a nameless one is unnamed.txt: neither is a reason to remove it."""
    from lazaretto.engines.lists import Lists

    banned = Lists.from_config("lists", {"banlist": [r"\.txt$"]})
    scanner = scanners.make(tmp_path, [*scanners.embedded(), banned])
    report, output = scanners.through(scanner, wrappings.attach(b"hello", "a.txt"))
    assert report.verdict.disposition is Disposition.ACCEPT
    assert b"not allowed here" in b" ".join(output.split())


RENAMING = Policy((Rule("rename", Action.DEFANG, (("kind", ("banned",)),), quarantine=False),), quarantine=frozenset())


@pytest.mark.parametrize(
    "message",
    [
        wrappings.attach(b"hello", "a.vbs").replace(b"multipart/mixed", b"multipart/signed"),
        wrappings.single(b'Content-Type: application/octet-stream; name="a.vbs"\r\n', b"hello"),
    ],
    ids=["signed", "alone"],
)
def test_what_should_be_renamed_and_cannot_is_saved(message: bytes, tmp_path: Path) -> None:
    scanner = with_stores(tmp_path, RENAMING, saved=SavedFiles(f"{tmp_path}/saved/att-$T-$$$-$F"))
    report, output = scanners.through(scanner, message)
    assert b"hello" not in output.split()
    assert [saved.strip() for saved in files(tmp_path / "saved")] == [b"hello"]
    assert len(report.saved) == 1


def test_what_can_be_renamed_is_not_saved(tmp_path: Path) -> None:
    scanner = with_stores(tmp_path, RENAMING, saved=SavedFiles(f"{tmp_path}/saved/att-$T-$$$-$F"))
    assert scanner.scan(Source(wrappings.attach(b"hello", "a.vbs"))).saved == ()
    assert files(tmp_path / "saved") == []


class Fussy:
    """Finds malware in a message that has its text, but no longer its attachment."""

    name, required, by_content = "fussy", True, True

    def wants(self, item: Item) -> bool:
        return item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        raw = item.content.read_at(0, item.content.size)
        return [Finding(self.name, Kind.MALWARE, "Evil")] if b"See attachment." in raw and b"WDVPIVAl" not in raw else []

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("double")

    def close(self) -> None:
        pass


def test_where_all_has_to_go_because_of_one_part_all_is_saved(tmp_path: Path) -> None:
    """Without its attachment the mail is worse than with it.  Policy had nothing against the rest, so that must not be lost."""
    scanner = scanners.make(tmp_path, [*scanners.embedded(), Fussy()], Policy(quarantine=frozenset()), saving=True)
    report, output = scanners.through(scanner, INFECTED)
    assert b"See attachment." not in output
    assert files(tmp_path / "saved") == [INFECTED]
    assert report.verdict.treatments == (((), Treatment.REPLACE),)  # what was done, not what was planned
