"""The documentation names what the code has: findings, commands, options, engines, limits, RFCs, links."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.mark.parametrize("script", ["findings.py", "check.py"])
def test_documentation_is_complete(script: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPTS / script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
