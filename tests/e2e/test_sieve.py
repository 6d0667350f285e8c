"""scan-mail as a filter of Dovecot's Sieve (vnd.dovecot.filter), with the real delivery agent.

Sieve knows no temporary failure: it goes on when a filter fails, with the message as
it came.  So the recipe asks whether the filter succeeded.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import mail_programs as programs
from mail_programs import CASES, CLEAN, INFECTED, LISTS, Dovecot

RECIPES = programs.recipes()
SCRIPTS = ["sieve", "sieve-bare"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_clean_mail_passes(tmp_path: Path, script: str) -> None:
    site = programs.site(tmp_path, LISTS)
    delivery = Dovecot(site).deliver(RECIPES[script], CLEAN)
    assert delivery.status == 0
    programs.assert_unchanged(delivery.inbox, CLEAN)
    assert len(site.log()) == 1
    assert "outcome=clean " in site.log()[0]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(("message", "content", "kept"), CASES.values(), ids=list(CASES))
def test_what_is_dangerous_is_cut_out(tmp_path: Path, script: str, message: bytes, content: bytes, kept: bool) -> None:
    site = programs.site(tmp_path, LISTS)
    dovecot = Dovecot(site)
    delivery = dovecot.deliver(RECIPES[script], message)
    assert delivery.status == 0
    programs.assert_without(delivery.inbox, content)
    assert dovecot.messages("FAILED") == []
    assert site.saved_files() == ([content] if kept else [])
    assert len(site.log()) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_scanner_delivers_the_original_to_the_failed_folder(tmp_path: Path, number: int) -> None:
    assert after_killing(tmp_path, "sieve", number) == ([], [INFECTED])


def test_killed_scanner_without_the_question_lets_the_original_through(tmp_path: Path) -> None:
    """Nothing that a filter does can change it, so docs/scan-mail.md warns of it."""
    assert after_killing(tmp_path, "sieve-bare", signal.SIGKILL) == ([INFECTED], [])


def after_killing(root: Path, script: str, number: int) -> tuple[list[bytes], list[bytes]]:
    """What is in INBOX and in FAILED, when the scanner was killed in the middle of a scan."""
    with programs.silence() as silence:
        site = programs.site(root, {"SCANMAIL_ENGINES": silence.spec})
        dovecot = Dovecot(site)
        with programs.started(dovecot.start(RECIPES[script]), INFECTED) as process:
            silence.wait()
            programs.kill_scanner(site, number)
            assert programs.ended(process) == 0
    return dovecot.messages(), dovecot.messages("FAILED")


def test_options_are_arguments(tmp_path: Path) -> None:
    site = programs.site(tmp_path)
    script = RECIPES["sieve"].replace('filter "scan-mail"', 'filter "scan-mail" ["-quarantine"]')
    dovecot = Dovecot(site)
    assert dovecot.deliver(script, CLEAN).status == 0
    assert site.backups() == []
    assert dovecot.deliver(script, INFECTED).status == 0
    (copy,) = site.backups()
    assert copy.read_bytes().replace(b"\r\n", b"\n") == INFECTED  # Sieve filters get CRLF


def test_mistake_delivers_the_original_to_the_failed_folder(tmp_path: Path) -> None:
    site = programs.site(tmp_path)
    dovecot = Dovecot(site)
    delivery = dovecot.deliver(RECIPES["sieve"].replace('"scan-mail"', '"scan-mail" ["-nonsense"]'), INFECTED)
    assert delivery.inbox == []
    assert dovecot.messages("FAILED") == [INFECTED]
    assert len(site.log()) == 1
