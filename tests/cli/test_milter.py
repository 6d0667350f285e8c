"""`lazaretto milter`: its command line.  What it starts is tested in test_launch.py and tests/frontends."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.cli import milter
from lazaretto.errors import ConfigError
from started import Started, watch


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    return watch(monkeypatch, tmp_path, '[milter]\nlisten = ["unix:/a"]\nhold = true\n')


def test_as_configured(started: Started) -> None:
    assert milter.run([]) == 0
    assert (started.services, started.pid_files, started.daemon) == ({"milter"}, None, False)
    assert started.setting("milter.listen") == ("unix:/a",)


def test_the_command_line_counts(started: Started, tmp_path: Path) -> None:
    arguments = ["--listen", "inet:12200@127.0.0.1", "--listen=[::1]:1", "--pid-file", "p", "--daemon"]
    assert milter.run(arguments) == 0
    assert started.setting("milter.listen") == ("inet:12200@127.0.0.1", "[::1]:1")
    assert started.setting("milter.hold") is True
    assert (started.pid_files, started.daemon) == ([str(tmp_path / "p")], True)


@pytest.mark.parametrize("address", ["12200", "inet:", "inet:12200@", "tcp:1@x", "unix:relative", "local:"])
def test_what_is_no_address(started: Started, address: str) -> None:
    with pytest.raises(ConfigError, match=r"command line:1: milter\.listen: expected a list of addresses"):
        milter.run(["--listen", address])
    assert not hasattr(started, "loaded")
