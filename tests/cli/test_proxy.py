"""`lazaretto proxy`: its command line.  What it starts is tested in test_launch.py and tests/frontends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lazaretto.cli import launch, proxy
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
    (tmp_path / "c.toml").write_text('[smtp]\nlisten = ["unix:/a"]\nnext_hop = "unix:/b"\nnext_hop_protocol = "smtp"\n')
    monkeypatch.setenv("LAZARETTO_CONFIG", str(tmp_path / "c.toml"))
    monkeypatch.chdir(tmp_path)
    return found


def setting(started: Started, name: str) -> object:
    return started.loaded.config.settings[name]


def test_as_configured(started: Started) -> None:
    assert proxy.run([]) == 0
    assert (started.services, started.pid_files, started.daemon) == ({"smtp"}, None, False)
    assert setting(started, "smtp.listen") == ("unix:/a",)
    assert setting(started, "smtp.next_hop") == "unix:/b"
    assert setting(started, "smtp.protocol") == "smtp"


def test_the_command_line_counts(started: Started, tmp_path: Path) -> None:
    arguments = [
        "--listen",
        "127.0.0.1:1",
        "--listen=[::1]:1",
        "--next-hop",
        "127.0.0.1:2",
        "--lmtp",
        "--pid-file",
        "p",
        "--engine",
        "none",
    ]
    assert proxy.run(arguments) == 0
    assert setting(started, "smtp.listen") == ("127.0.0.1:1", "[::1]:1")
    assert setting(started, "smtp.next_hop") == "127.0.0.1:2"
    assert setting(started, "smtp.protocol") == "lmtp"
    assert setting(started, "smtp.next_hop_protocol") == "smtp"
    assert started.pid_files == [str(tmp_path / "p")]
    scanner = started.loaded.scanner()
    assert [engine.name for engine in scanner.engines] == ["attachments"]
    scanner.close()


def test_without_any_configuration(started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("")
    assert proxy.run(["--listen", "127.0.0.1:1"]) == 0
    assert setting(started, "smtp.next_hop") == "127.0.0.1:10026"


def test_a_daemon_finds_its_files_again(started: Started, tmp_path: Path) -> None:
    assert proxy.run(["--daemon", "--config", "c.toml", "--pid-file", "p"]) == 0
    assert started.daemon
    assert started.pid_files == [str(tmp_path / "p")]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [(["--listen", "here"], "smtp.listen"), (["--next-hop", "here"], "smtp.next_hop"), (["--next-hop", 'a"b'], "smtp.next_hop")],
)
def test_no_address(started: Started, arguments: list[str], key: str) -> None:
    with pytest.raises(ConfigError, match=f"command line:1: {key}: expected"):
        proxy.run(arguments)


@pytest.mark.parametrize("arguments", [["--listne", "x"], ["file"], ["--listen"], ["--lmtp=1"]])
def test_a_wrong_command_line(started: Started, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        proxy.run(arguments)
    assert ended.value.code == 2
    assert "usage: lazaretto proxy" in capsys.readouterr().err
