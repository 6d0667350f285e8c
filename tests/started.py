"""What a command would have started, instead of starting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lazaretto.cli import launch
from lazaretto.cli.launch import Loaded


class Started:
    """Filled by launch.start."""

    loaded: Loaded
    services: set[str]
    pid_files: list[str] | None
    daemon: bool

    def setting(self, name: str) -> object:
        return self.loaded.config.settings[name]


def watch(monkeypatch: pytest.MonkeyPatch, folder: Path, configuration: str) -> Started:
    """In `folder`, under that configuration."""
    found = Started()

    def start(load: Any, services: set[str], pid_files: list[str] | None, *, daemon: bool) -> int:
        found.loaded, found.services, found.pid_files, found.daemon = load(), services, pid_files, daemon
        return 0

    monkeypatch.setattr(launch, "start", start)
    (folder / "c.toml").write_text(configuration)
    monkeypatch.setenv("LAZARETTO_CONFIG", str(folder / "c.toml"))
    monkeypatch.chdir(folder)
    return found
