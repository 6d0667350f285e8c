"""scan-mail as xfilter of the real maildrop: what it passes on, and that a failure leaves the mail with the mail system."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import mail_programs as programs
from mail_programs import CASES, CLEAN, INFECTED, LISTS, mail

RECIPE = programs.recipes()["maildrop"]


def test_clean_mail_passes(tmp_path: Path) -> None:
    site = programs.site(tmp_path, LISTS)
    delivery = programs.maildrop(site, RECIPE, CLEAN)
    assert delivery.status == 0
    programs.assert_unchanged(delivery.inbox, CLEAN)
    assert len(site.log()) == 1
    assert "outcome=clean " in site.log()[0]


@pytest.mark.parametrize(("message", "content", "kept"), CASES.values(), ids=list(CASES))
def test_what_is_dangerous_is_cut_out(tmp_path: Path, message: bytes, content: bytes, kept: bool) -> None:
    site = programs.site(tmp_path, LISTS)
    delivery = programs.maildrop(site, RECIPE, message)
    assert delivery.status == 0
    programs.assert_without(delivery.inbox, content)
    assert site.saved_files() == ([content] if kept else [])
    assert len(site.log()) == 1


@pytest.mark.parametrize("option", ["-backup", "-quarantine"])
def test_copy_is_kept(tmp_path: Path, option: str) -> None:
    site = programs.site(tmp_path)
    assert programs.maildrop(site, RECIPE.replace("scan-mail", f"scan-mail {option}"), INFECTED).status == 0
    (copy,) = site.backups()
    assert copy.read_bytes() == INFECTED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_scanner_is_a_temporary_failure(tmp_path: Path, number: int) -> None:
    with programs.silence() as silence:
        site = programs.site(tmp_path, {"SCANMAIL_ENGINES": silence.spec})
        with programs.started(programs.start_maildrop(site, RECIPE), INFECTED) as process:
            silence.wait()
            programs.kill_scanner(site, number)
            assert programs.ended(process) == 75
    assert programs.inbox(site) == []


def test_failure_is_a_temporary_failure(tmp_path: Path) -> None:
    """A mistake in the recipe, too: maildrop never delivers what was not scanned."""
    site = programs.site(tmp_path)
    delivery = programs.maildrop(site, RECIPE.replace("scan-mail", "scan-mail -nonsense"), CLEAN)
    assert delivery.status == 75
    assert delivery.inbox == []
    assert len(site.log()) == 1


def test_twenty_deliveries_at_once(tmp_path: Path) -> None:
    """Without any lock: each message arrives once, and nothing of one is in another."""
    site = programs.site(tmp_path, LISTS)
    messages = [mail(b"attachment %d" % number, f"{number}.txt") for number in range(20)]
    processes = [programs.start_maildrop(site, RECIPE) for _ in messages]
    for process, message in zip(processes, messages, strict=True):
        programs.hand_over(process, message)
    assert [programs.ended(process) for process in processes] == [0] * 20
    assert sorted(map(programs.without_field, programs.inbox(site))) == sorted(messages)
    assert len(site.log()) == 20
