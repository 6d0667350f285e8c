"""What the commands share: where the configuration is, what is read of it, where state lives."""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lazaretto.cli import setup
from lazaretto.errors import ConfigError
from lazaretto.policy.config import parse


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAZARETTO_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(setup, "SYSTEM_CONFIG", str(tmp_path / "etc" / "lazaretto.toml"))


def write(path: Path, text: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    setup.add_options(parser)
    return parser.parse_args(arguments)


def test_options() -> None:
    given = options("--config", "c", "--engine", "yara", "--engine", "clamd:h:1", "--state-dir", "s")
    assert (given.config, given.engine, given.state_dir) == ("c", ["yara", "clamd:h:1"], "s")
    assert options().engine == []
    assert options().engine is not options().engine


def test_the_configuration_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup.config_path(None) is None
    system = write(tmp_path / "etc" / "lazaretto.toml")
    assert setup.config_path(None) == system
    user = write(tmp_path / "home" / ".config" / "lazaretto" / "lazaretto.toml")
    assert setup.config_path(None) == user
    xdg = write(tmp_path / "xdg" / "lazaretto" / "lazaretto.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert setup.config_path(None) == xdg
    monkeypatch.setenv("LAZARETTO_CONFIG", "/from/environment")
    assert setup.config_path(None) == "/from/environment"
    assert setup.config_path("/from/option") == "/from/option"


def test_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert setup.config_path(None) is None


def test_a_configuration_that_cannot_be_seen_is_no_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a filter without the right to look would run with another policy."""

    def denied(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        setup.config_path(None)
    assert caught.value.file.endswith("lazaretto.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_closed_directory(tmp_path: Path) -> None:
    write(tmp_path / "etc" / "lazaretto.toml")
    (tmp_path / "etc").chmod(0)
    try:
        with pytest.raises(ConfigError):
            setup.config_path(None)
    finally:
        (tmp_path / "etc").chmod(0o700)


def test_conf_d_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    main = write(tmp_path / "a.toml", "main")
    for name in ("20-b.toml", "10-a.toml", ".hidden.toml", "readme.txt", "30-c.toml~"):
        write(tmp_path / "conf.d" / name, name)
    assert setup.read_config(main) == [
        (main, "main"),
        (str(tmp_path / "conf.d" / "10-a.toml"), "10-a.toml"),
        (str(tmp_path / "conf.d" / "20-b.toml"), "20-b.toml"),
    ]


def test_without_conf_d(tmp_path: Path) -> None:
    main = write(tmp_path / "a.toml", "main")
    assert setup.read_config(main) == [(main, "main")]
    write(tmp_path / "conf.d", "no directory")
    assert setup.read_config(main) == [(main, "main")]
    assert setup.read_config(None) == []


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        setup.read_config(str(tmp_path / "missing.toml"))
    assert caught.value.file == str(tmp_path / "missing.toml")
    main = write(tmp_path / "a.toml")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "x.toml").write_bytes(b"ok \xff")
    with pytest.raises(ConfigError, match="not UTF-8 \\(byte 3\\)") as caught:
        setup.read_config(main)
    assert caught.value.file.endswith("x.toml")

    def denied(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        setup.read_config(main)
    assert caught.value.file == str(tmp_path / "conf.d")


def test_config(tmp_path: Path) -> None:
    main = write(tmp_path / "a.toml", "[limits]\nmax_parts = 7\n")
    write(tmp_path / "conf.d" / "b.toml", "[limits]\nmax_depth = 8\n")
    limits = setup.config(options("--config", main)).limits
    assert (limits.max_parts, limits.max_depth) == (7, 8)


def test_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup.state_directory(options("--state-dir", "/somewhere")) == "/somewhere"
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert setup.state_directory(options()) == str(tmp_path / "lazaretto")


def test_scanner(tmp_path: Path) -> None:
    made = setup.scanner(options("--config", write(tmp_path / "a.toml"), "--engine", "none", "--state-dir", str(tmp_path)))
    assert [engine.name for engine in made.engines] == ["attachments"]
    assert made.host == os.uname().nodename


def test_the_log_is_one_write(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    write = os.write

    def noted(fd: int, data: bytes) -> int:
        writes.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", noted)
    setup.to_stderr("gr\u00fc\u00df \udcff")
    assert writes == ["gr\u00fc\u00df \\udcff\n".encode()]
    assert capfd.readouterr().err == "gr\u00fc\u00df \\udcff\n"


def test_without_syslog_lines_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    setup.log(parse())("one", 6)
    assert capfd.readouterr().err == "one\n"


def test_lines_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    setup.log(parse([("f", "[log]\nformat = 'json'\n")]))('lazaretto: outcome=clean id=1 error="a \\"b\\""', 6)
    assert json.loads(capfd.readouterr().err) == {"outcome": "clean", "id": "1", "error": 'a "b"'}


def test_a_line_that_syslog_does_not_take_goes_to_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = f"[log]\nsyslog = '{tmp_path}/log'\nlevel = 4\nident = 'scan-mail.pl'\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslogd:
        syslogd.bind(f"{tmp_path}/log")
        log = setup.log(parse([("f", text)]))
        log("lazaretto: outcome=clean", 6)
        assert capfd.readouterr().err == "lazaretto: outcome=clean\n"
        log("lazaretto: outcome=deferred", 3)
        line = syslogd.recv(1000)
        assert line.startswith(b"<19>")
        assert b" scan-mail.pl[%d]: outcome=deferred" % os.getpid() in line
        assert capfd.readouterr().err == ""
    log("lazaretto: outcome=cleaned", 4)
    assert capfd.readouterr().err == "lazaretto: outcome=cleaned\n"


def test_read_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"hello")
    assert setup.read_message(str(path)).read_at(0, 10) == b"hello"
    path.write_bytes(b"")
    assert setup.read_message(str(path)).size == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\0")))
    assert setup.read_message("-").read_at(0, 10) == b"\xff\0"


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_message_that_cannot_be_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        setup.read_message(str(tmp_path / name))
    assert ended.value.code == 66
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"lazaretto: {tmp_path / name}: ")
    assert err.count("\n") == 1
