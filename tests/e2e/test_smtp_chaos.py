"""Processes are killed and the configuration is read again while many clients bring mail: nothing is lost, nothing arrives in part.

With LAZARETTO_LONG=1, ten thousand messages. benchmarks/smtp_chaos.py does it, and says what it has counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "smtp_chaos.py"
LONG = ["--messages", "10000"]
SHORT = ["--messages", "1000", "--kill", "0.2", "--reload", "0.4"]


def test_chaos() -> None:
    options = LONG if os.environ.get("LAZARETTO_LONG") else SHORT
    done = subprocess.run([sys.executable, str(PROGRAM), *options], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = dict(line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:])
    assert counted["lost"] == counted["not whole"] == "0"
    assert " x worker" in counted["troubles"]
