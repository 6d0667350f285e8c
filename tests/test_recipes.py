"""The recipe of README.md, as it is written there, in the real procmail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from eicar import EICAR

ROOT = Path(__file__).resolve().parent.parent
PROCMAIL = shutil.which("procmail")
HEAD = b"From: ada@example.org\nTo: bob@example.net\nSubject: hello\nMIME-Version: 1.0\nContent-Type: text/plain\n\n"

pytestmark = pytest.mark.skipif(PROCMAIL is None, reason="procmail is not installed")


def recipe() -> str:
    """The indented block of README.md that begins with ":0 fw"."""
    found = re.search(r"^    :0 fw\n(?:(?:    .*)?\n)+", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return textwrap.dedent(found[0])


def deliver(folder: Path, message: bytes, *options: str) -> tuple[int, bytes]:
    """Exit status of procmail, and what it put into the mailbox."""
    command = f"{sys.executable} -m lazaretto filter --state-dir {folder}/state --engine yara {' '.join(options)}"
    inbox, rc = folder / "inbox", folder / "procmailrc"
    text = recipe()
    assert "lazaretto filter" in text
    rc.write_text(f"MAILDIR={folder}\nDEFAULT={inbox}\nPYTHONPATH={ROOT}/src\nSHELL=/bin/sh\n\n{text.replace('lazaretto filter', command)}")
    rc.chmod(0o600)
    assert PROCMAIL
    done = subprocess.run([PROCMAIL, "-m", str(rc)], input=message, capture_output=True, check=False)
    return done.returncode, inbox.read_bytes() if inbox.exists() else b""


def test_clean_mail_is_delivered_as_it_came(tmp_path: Path) -> None:
    status, inbox = deliver(tmp_path, HEAD + b"just text\n")
    assert status == 0
    assert HEAD + b"just text\n" in inbox


def test_infected_mail_is_delivered_without_the_virus(tmp_path: Path) -> None:
    status, inbox = deliver(tmp_path, HEAD + EICAR + b"\n")
    assert status == 0
    assert b"Subject: hello" in inbox
    assert EICAR not in inbox


def test_trouble_hands_the_message_back(tmp_path: Path) -> None:
    for options in (["--config", "/nonexistent/lazaretto.toml"], ["--engine", "clamd:unix:/nonexistent/clamd"]):
        assert deliver(tmp_path, HEAD + b"just text\n", *options) == (75, b"")
