"""`lazaretto serve`: its command line, and what is said if it cannot start.  The server is tested in tests/frontends/test_server.py."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import programs
import serving
from lazaretto.cli import serve as command
from lazaretto.cli.main import main
from lazaretto.errors import ConfigError, LazarettoError
from lazaretto.frontends import server
from lazaretto.frontends.server import Settings

CONFIG = """
[log]
syslog = "/dev/log"
[server]
listen = ["unix:/run/a.sock"]
pid_files = ["/run/a.pid"]
max_children = 7
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings of the servers that would have been started; each is made, and would have been ready."""
    settings: list[Settings] = []

    def fake(make: object, given: Settings, ready: object) -> int:
        settings.append(given)
        served = make()  # type: ignore[operator]
        assert served.scanner.engines
        served.scanner.close()
        ready()  # type: ignore[operator]
        return 0

    monkeypatch.setattr(server, "serve", fake)
    return settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("LAZARETTO_CONFIG", str(path))
    return path


def test_settings_of_the_configuration(asked: list[Settings], config: Path) -> None:
    assert command.run(["--engine", "none"]) == 0
    assert asked == [Settings(listen=("unix:/run/a.sock",), pid_files=("/run/a.pid",), max_children=7)]


def test_options_come_first(asked: list[Settings], config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--engine", "none", "--listen", "[::1]:1", "--listen=unix:/s", "--pid-file", "p"]
    assert command.run(arguments) == 0
    assert asked[0][:1] == (("[::1]:1", "unix:/s"),)
    assert asked[0].pid_files == (str(tmp_path / "p"),)


def test_daemon_needs_somebody_to_write_to(asked: list[Settings], config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("")
    assert main(["serve", "--daemon"]) == 78
    assert "log.syslog: expected" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (OSError(98, "cannot listen on 127.0.0.1:1: Address already in use"), 1, "cannot listen on 127.0.0.1:1: Address already in use"),
        (LazarettoError("already running (pid 5)"), 1, "already running (pid 5)"),
        (ConfigError("expected x", "f", 2), 78, "configuration: f:2: expected x"),
    ],
)
def test_what_prevents_the_start(
    monkeypatch: pytest.MonkeyPatch, config: Path, capfd: pytest.CaptureFixture[str], error: Exception, status: int, text: str
) -> None:
    def fails(make: object, given: Settings, ready: object) -> int:
        raise error

    monkeypatch.setattr(server, "serve", fails)
    assert command.run(["--engine", "none"]) == status
    assert capfd.readouterr().err == f"lazaretto: {text}\n"


@pytest.mark.parametrize("arguments", [["--listne", "x"], ["file"], ["--listen"]])
def test_wrong_command_line(asked: list[Settings], arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 64
    assert asked == []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Short enough for the address of a socket in it."""
    short = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    short.symlink_to(tmp_path)
    yield short
    short.unlink()


def daemon(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "c.toml").write_text(f'[log]\nsyslog = "{folder}/log.sock"\n')
    options = ["--engine", "none", "--listen", f"unix:{folder}/s.sock", "--state-dir", f"{folder}/state", "--config", "c.toml"]
    started = programs.command("serve", "--daemon", *options, "--pid-file", "scanmail.pid", *arguments)
    return subprocess.run(started, env=programs.environment(folder), cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def logged(log: socket.socket, word: str) -> str:
    """The next line with that word."""
    while word not in (text := log.recv(4096).decode()):
        pass
    return text


def test_daemon(folder: Path) -> None:
    """When the command returns the server listens; a second one says so; the first ends with its files."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(folder / "log.sock"))
        log.settimeout(serving.PATIENCE_S)
        done = daemon(folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        pid = int((folder / "scanmail.pid").read_text())
        watch = os.pidfd_open(pid)
        try:
            with serving.connect(str(folder / "s.sock")) as client:
                client.sendall(serving.stream(b"Subject: x\r\n\r\nHello.\r\n") + b"QUIT\n")
                assert serving.rest(client).startswith(b"0 ")
            assert "outcome=clean" in logged(log, "outcome=")
            again = daemon(folder, "--listen", f"unix:{folder}/other.sock")
            assert again.returncode == 1
            assert again.stderr == f"lazaretto: cannot listen on unix:{folder}/s.sock: somebody listens there\n"
            os.kill(pid, signal.SIGHUP)  # the configuration is found again, though the directory is another
            assert "error" not in logged(log, "event=reload")
        finally:
            signal.pidfd_send_signal(watch, signal.SIGTERM)
            serving.eventually(lambda: not (folder / "scanmail.pid").exists(), "the end")
            os.close(watch)
        logged(log, "event=stopped")
    assert not os.path.lexists(folder / "s.sock")


def test_daemon_that_cannot_write_its_pid_file(folder: Path) -> None:
    done = daemon(folder, "--pid-file", "no/such/directory/p")
    assert done.returncode == 1
    assert f"Can't open pid file {folder.resolve()}/no/such/directory/p: No such file or directory" in done.stderr
    assert not os.path.lexists(folder / "s.sock")
    assert not os.path.lexists(folder / "scanmail.pid")


def test_daemon_with_a_wrong_engine(folder: Path) -> None:
    done = daemon(folder, "--engine", "yara:/no/such/rules.yar")
    assert done.returncode == 78
    assert "/no/such/rules.yar" in done.stderr
