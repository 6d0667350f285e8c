"""`lazaretto proxy`: its command line.  What it starts is tested in test_launch.py and tests/frontends."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.cli import proxy
from lazaretto.errors import ConfigError
from started import Started, watch


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    return watch(monkeypatch, tmp_path, '[smtp]\nlisten = ["unix:/a"]\nnext_hop = "unix:/b"\nnext_hop_protocol = "smtp"\n')


def test_as_configured(started: Started) -> None:
    assert proxy.run([]) == 0
    assert (started.services, started.pid_files, started.daemon) == ({"smtp"}, None, False)
    assert started.setting("smtp.listen") == ("unix:/a",)
    assert started.setting("smtp.next_hop") == "unix:/b"
    assert started.setting("smtp.protocol") == "smtp"


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
    assert started.setting("smtp.listen") == ("127.0.0.1:1", "[::1]:1")
    assert started.setting("smtp.next_hop") == "127.0.0.1:2"
    assert started.setting("smtp.protocol") == "lmtp"
    assert started.setting("smtp.next_hop_protocol") == "smtp"
    assert started.pid_files == [str(tmp_path / "p")]
    scanner = started.loaded.scanner()
    assert [engine.name for engine in scanner.engines] == ["attachments"]
    scanner.close()


def test_without_any_configuration(started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("")
    assert proxy.run(["--listen", "127.0.0.1:1"]) == 0
    assert started.setting("smtp.next_hop") == "127.0.0.1:10026"


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
