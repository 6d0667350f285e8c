"""Run `lazaretto filter` as a mail system does, for the other scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple


class Filtered(NamedTuple):
    status: int
    output: bytes
    log: str


@contextmanager
def state() -> Iterator[Path]:
    """A folder for what the filter keeps; it goes away afterwards."""
    with TemporaryDirectory(prefix="lazaretto-") as folder:
        yield Path(folder)


def run_filter(message: bytes, folder: Path, timeout_s: float = 120) -> Filtered:
    """One message through one process of the filter, embedded engine.  A timeout is status -9."""
    command = [sys.executable, "-I", "-m", "lazaretto", "filter"]
    command += ["--config", os.devnull, "--state-dir", str(folder), "--engine", "yara"]
    try:
        done = subprocess.run(command, input=message, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return Filtered(-9, b"", "timeout")
    return Filtered(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
