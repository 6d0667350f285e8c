"""The documentation names what the code has: findings, commands, options, engines, limits, RFCs, links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SCRIPTS = TESTS.parent / "scripts"
DOCS = TESTS.parent / "docs"


@pytest.mark.parametrize("script", ["findings.py", "check.py"])
def test_documentation_is_complete(script: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPTS / script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_tests_that_a_page_names_are_there(page: Path) -> None:
    for file, name in re.findall(r"`(\w[\w/]*\.py)::(test_\w+)`", page.read_text(encoding="utf-8")):
        path = TESTS.parent / file
        assert path.is_file(), file
        assert f"def {name}(" in path.read_text(encoding="utf-8"), f"{file}::{name}"


def test_the_points_of_a_proxy_have_tests() -> None:
    text = (DOCS / "protocols" / "smtp.md").read_text(encoding="utf-8").split("## Before the queue, point by point", 1)[1]
    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [row[0] for row in rows] == [f"| {number}" for number in range(1, 21)]
    assert all("::test_" in row[3] for row in rows)
