"""A Postfix configuration to set up, for those who test that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazaretto.cli import setup_postfix
from peers import require
from postfix_files import MAIN, MASTER, Run


@pytest.fixture
def etc() -> Iterator[Path]:
    """Postfix' configuration directory."""
    with tempfile.TemporaryDirectory() as name:
        etc = Path(name) / "etc"
        etc.mkdir()
        (etc / "main.cf").write_text(MAIN)
        (etc / "master.cf").write_text(MASTER)
        yield etc


@pytest.fixture
def run(etc: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`lazaretto setup postfix` there: exit status and all that was said."""
    program = require("postconf")

    def go(*args: str) -> tuple[int, str]:
        status = setup_postfix.run([*args, "--postfix-config", str(etc), "--postconf", program])
        out, err = capsys.readouterr()
        return status, out + err

    return go
