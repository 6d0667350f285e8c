"""The program as its callers run it: a process of its own, and a careful reader of what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lazaretto

ROOT = str(Path(lazaretto.__file__).resolve().parent.parent)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lazaretto", *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user with an empty home, whatever the machine has under /etc."""
    config = home / "empty.toml"
    if not config.exists():
        config.write_text("")
    usual = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**usual, "HOME": str(home), "LAZARETTO_CONFIG": str(config), "PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1", **more}


def run(
    home: Path, *arguments: str, message: bytes = b"", env: Mapping[str, str] | None = None, before: Sequence[str] = (), **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run `lazaretto ARGUMENTS`; `before` is put before the command (a shell with limits, for one)."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    if "stdin" not in streams:
        streams["input"] = message
    done = subprocess.run([*before, *command(*arguments)], env={**environment(home), **(env or {})}, timeout=60, check=False, **streams)
    assert b"Traceback" not in (done.stderr or b""), done.stderr.decode()
    return done


def final_line(stderr: bytes) -> str:
    """The one line on standard error; fails if there is another, or if it is not complete."""
    text = stderr.decode("utf-8")
    assert text.startswith("lazaretto: outcome="), text
    assert text.endswith("\n"), text
    assert text.count("\n") == 1, text
    assert text[:-1].isprintable(), text
    return text[:-1]
