"""`lazaretto proxy --spawn`: a session on standard input and output, and nothing but SMTP there."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

import programs
from smtp_session import Session, connect
from smtp_sink import Sink

MESSAGE = b"Subject: hello\r\n\r\nNothing to see here.\r\n"


class Spawned(Session):
    """A client of the program; as in Postfix, all its standard streams are the connection, or `log` is standard error."""

    def __init__(self, home: Path, *arguments: str, log: Path | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.sock = connect(f"127.0.0.1:{listener.getsockname()[1]}")
            ours, _ = listener.accept()
        self.buffer = bytearray()
        command = programs.command("proxy", "--spawn", "--engine", "none", *arguments)
        with ours:
            error = os.open(log, os.O_WRONLY | os.O_CREAT) if log is not None else os.dup(ours.fileno())
            self.process = subprocess.Popen(
                command, env=programs.environment(home), stdin=ours.fileno(), stdout=ours.fileno(), stderr=error
            )
            os.close(error)

    def close(self) -> None:
        super().close()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_session(tmp_path: Path, log: Path) -> None:
    with Sink() as sink, Spawned(tmp_path, "--next-hop", sink.address, log=log) as client:
        client.greet()
        assert client.deliver(MESSAGE).code == 250
        assert client.deliver(MESSAGE).code == 250
        assert client.say(b"QUIT").code == 221
        assert client.process.wait(30) == 0
        assert [one.data.partition(b"\r\n")[2] for one in sink.messages] == [MESSAGE, MESSAGE]
    assert log.read_text().count("outcome=clean") == 2


def test_standard_error_is_the_client(tmp_path: Path) -> None:
    with Sink() as sink, Spawned(tmp_path, "--next-hop", sink.address) as client:
        client.greet()
        assert client.deliver(MESSAGE).code == 250
        assert client.say(b"QUIT").code == 221
        assert client.rest() == b""


def test_lmtp(tmp_path: Path, log: Path) -> None:
    with Sink(lmtp=True) as sink, Spawned(tmp_path, "--next-hop", sink.address, "--lmtp", log=log) as client:
        client.greet(b"LHLO client.example")
        assert client.deliver(MESSAGE).code == 250


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--what"], "unrecognized arguments: --what"),
        (["--next-hop", "nowhere"], "expected"),
        (["--config", "/nowhere/lazaretto.toml"], "/nowhere/lazaretto.toml"),
        (["--listen", "127.0.0.1:1"], "unrecognized arguments: --listen"),
    ],
)
def test_what_cannot_start_is_421(tmp_path: Path, log: Path, arguments: list[str], why: str) -> None:
    with Spawned(tmp_path, *arguments, log=log) as client:
        assert client.rest() == b"421 4.3.0 Service not available, try again later\r\n"
        assert client.process.wait(30) == 75
    (line,) = log.read_text().splitlines()
    assert "outcome=deferred rule=configuration" in line
    assert why in line
    with Spawned(tmp_path, *arguments) as client:  # nothing else to the client, either
        assert client.rest() == b"421 4.3.0 Service not available, try again later\r\n"
