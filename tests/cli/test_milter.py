"""`lazaretto milter`: its command line.  What it starts is tested in test_launch.py and tests/frontends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lazaretto.cli import launch, milter
from lazaretto.cli.launch import Loaded
from lazaretto.errors import ConfigError


class Started:
    """What would have been started."""

    loaded: Loaded
    services: set[str]
    pid_files: list[str] | None
    daemon: bool


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    found = Started()

    def start(load: Any, services: set[str], pid_files: list[str] | None, *, daemon: bool) -> int:
        found.loaded, found.services, found.pid_files, found.daemon = load(), services, pid_files, daemon
        return 0

    monkeypatch.setattr(launch, "start", start)
    (tmp_path / "c.toml").write_text('[milter]\nlisten = ["unix:/a"]\nhold = true\n')
    monkeypatch.setenv("LAZARETTO_CONFIG", str(tmp_path / "c.toml"))
    monkeypatch.chdir(tmp_path)
    return found


def test_as_configured(started: Started) -> None:
    assert milter.run([]) == 0
    assert (started.services, started.pid_files, started.daemon) == ({"milter"}, None, False)
    assert started.loaded.config.settings["milter.listen"] == ("unix:/a",)


def test_the_command_line_counts(started: Started, tmp_path: Path) -> None:
    arguments = ["--listen", "inet:12200@127.0.0.1", "--listen=[::1]:1", "--pid-file", "p", "--daemon"]
    assert milter.run(arguments) == 0
    assert started.loaded.config.settings["milter.listen"] == ("inet:12200@127.0.0.1", "[::1]:1")
    assert started.loaded.config.settings["milter.hold"] is True
    assert (started.pid_files, started.daemon) == ([str(tmp_path / "p")], True)


@pytest.mark.parametrize("address", ["12200", "inet:", "inet:12200@", "tcp:1@x", "unix:relative", "local:"])
def test_what_is_no_address(started: Started, address: str) -> None:
    with pytest.raises(ConfigError, match=r"command line:1: milter\.listen: expected a list of addresses"):
        milter.run(["--listen", address])
    assert not hasattr(started, "loaded")
