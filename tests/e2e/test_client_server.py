"""The thin client and the qmail-queue replacement with the real scan server: for each message one answer, and one line in its log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import programs
import wrappings
from eicar import EICAR
from lazaretto.frontends import thin

PROGRAM = str(Path(thin.__file__).resolve())
CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
LARGE = wrappings.single(b"Content-Type: text/plain\r\n", b"0123456789abcdef\r\n" * 100_000)
INFECTED = wrappings.attach(EICAR, "a.txt")
CONFIGURATION = """
[limits]
max_message_bytes = 5_000_000
[[rule]]
name = "refused"
recipient = "refused@example.org"
kind = "malware"
action = "reject"
text = "no thanks"
[[rule]]
name = "dropped"
recipient = "dropped@example.org"
kind = "malware"
action = "discard"
"""


class Server:
    """`lazaretto serve` on a UNIX socket and a port, with its log."""

    def __init__(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.tcp = f"127.0.0.1:{free.getsockname()[1]}"
        self.unix = f"unix:{home}/s"
        self.path = home / "log"
        config = home / "lazaretto.toml"
        config.write_text(CONFIGURATION)
        options = ["--config", str(config), "--engine", "yara", "--state-dir", str(home / "state")]
        command = programs.command("serve", *options, "--listen", self.tcp, "--listen", self.unix)
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=programs.environment(home))

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 30
        while thin_client(self.unix, CLEAN).returncode:
            assert self.process.poll() is None, self.path.read_text()
            assert time.monotonic() < end, self.path.read_text()
            time.sleep(0.05)

    def lines(self, client: str, count: int = 1) -> list[str]:
        """The final lines of messages from `client`, once there are `count`: the server writes them after its answer."""
        end = time.monotonic() + 30
        while True:
            found = [line for line in self.path.read_text().splitlines() if f" client={client} " in line]
            if len(found) >= count or time.monotonic() > end:
                return found
            time.sleep(0.01)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    serving = Server(tmp_path_factory.mktemp("server"))
    try:
        serving.wait_until_ready()
        yield serving
    finally:
        serving.stop()


def thin_client(address: str, message: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-IS", PROGRAM, "--connect", address, *arguments]
    return subprocess.run(command, input=message, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("message", [CLEAN, LARGE, b"", b"\n"], ids=["clean", "large", "empty", "hardly anything"])
@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_clean_mail(server: Server, way: str, message: bytes) -> None:
    """Byte for byte, but for what is announced."""
    mark = f"clean-{way}-{len(message)}"
    done = thin_client(getattr(server, way), message, "--client", mark, "--queue-id", "Q 1", "-f", "<>", "-r", "b@example.net")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(message)
    assert done.stdout.removesuffix(message) in (b"X-Lazaretto-Status: clean\r\n", b"")
    (line,) = server.lines(mark)
    assert "outcome=clean " in line
    assert ' queue_id="Q 1" from=<> to=b@example.net ' in line


def test_infected_mail(server: Server) -> None:
    done = thin_client(server.unix, INFECTED, "--client", "infected")
    assert done.returncode == 0
    assert wrappings.b64(EICAR)[:60] not in done.stdout
    assert b"See attachment." in done.stdout
    (line,) = server.lines("infected")
    assert "outcome=cleaned " in line


@pytest.mark.parametrize(
    ("recipient", "status", "error", "word"),
    [("refused", 69, b"lazaretto-client: server says 4 no thanks\n", "rejected"), ("dropped", 99, b"", "discarded")],
)
def test_what_rules_do_not_let_pass(server: Server, recipient: str, status: int, error: bytes, word: str) -> None:
    done = thin_client(server.unix, INFECTED, "-r", f"{recipient}@example.org", "--client", recipient)
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", error)
    (line,) = server.lines(recipient)
    assert f"outcome={word} " in line


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_message_that_the_server_does_not_take(server: Server, way: str) -> None:
    done = thin_client(getattr(server, way), bytes(6_000_000))
    assert (done.returncode, done.stdout) == (75, b"")
    assert done.stderr.count(b"\n") == 1


def test_more_recipients_than_fit(server: Server) -> None:
    """The rule for one of them must not be missed and must not be met by accident: nobody is told, and the server takes the message."""
    arguments = [argument for number in range(2000) for argument in ("-r", f"r{number}@example.org")]
    done = thin_client(server.unix, CLEAN, *arguments, "--client", "many")
    assert done.returncode == 0
    (line,) = server.lines("many")
    assert " to=" not in line


def test_many_at_once(server: Server) -> None:
    """None gets another's message."""
    bodies = [b"message %d\r\n" % number * (1 + number * 500) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        everything = list(
            pool.map(
                lambda body: thin_client(server.unix, wrappings.single(b"Content-Type: text/plain\r\n", body), "--client", "crowd"), bodies
            )
        )
    assert [done.returncode for done in everything] == [0] * 40
    assert all(done.stdout.endswith(b"\r\n\r\n" + body) for done, body in zip(everything, bodies, strict=True))
    assert len(server.lines("crowd", 40)) == 40


@pytest.mark.parametrize(
    ("message", "recipient", "status"), [(CLEAN, "b", 0), (INFECTED, "b", 0), (INFECTED, "refused", 31), (INFECTED, "dropped", 0)]
)
def test_qmail_queue(server: Server, message: bytes, recipient: str, status: int, tmp_path: Path) -> None:
    real = tmp_path / "qmail-queue.orig"
    real.write_text(f'#!/bin/sh\ncat >"{tmp_path}/message"\ncat <&1 >"{tmp_path}/envelope"\n')
    real.chmod(0o755)
    envelope = b"Fa@example.org\0T%b@example.org\0\0" % recipient.encode()
    (tmp_path / "given").write_bytes(envelope)
    mark = f"qmail-{recipient}-{len(message)}"
    with (tmp_path / "given").open("rb") as given:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from lazaretto.cli.qmail_queue import main; sys.exit(main())"],
            input=message,
            stdout=given,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            env={
                **programs.environment(tmp_path),
                "LAZARETTO_SOCKET": server.unix,
                "LAZARETTO_QMAIL_QUEUE": str(real),
                "TCPREMOTEIP": mark,
            },
        )
    assert (done.returncode, done.stderr) == (status, b"")
    (line,) = server.lines(mark)
    assert f" from=a@example.org to={recipient}@example.org " in line
    if recipient == "b":
        assert (tmp_path / "envelope").read_bytes() == envelope
        assert wrappings.b64(EICAR)[:60] not in (tmp_path / "message").read_bytes()
    else:
        assert not os.path.exists(tmp_path / "message")


def test_the_server_goes_away(tmp_path: Path) -> None:
    """Killed while it scans: the message stays with its owner."""
    config = tmp_path / "slow.toml"
    config.write_text(
        "[engines.slow]\nkind = 'command'\nargv = ['/bin/sh', '-c', 'touch \"$0\"; exec sleep 60', '"
        + str(tmp_path / "scanning")
        + "', '{file}']\n"
    )
    command = programs.command("serve", "--config", str(config), "--state-dir", str(tmp_path), "--listen", f"unix:{tmp_path}/s")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=programs.environment(tmp_path), start_new_session=True)
    try:
        end = time.monotonic() + 30
        while not (tmp_path / "s").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        arguments = [sys.executable, "-IS", PROGRAM, "--connect", f"unix:{tmp_path}/s"]
        client = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert client.stdin is not None
        client.stdin.write(CLEAN)
        client.stdin.close()
        while not (tmp_path / "scanning").exists():
            assert client.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        assert client.wait(60) == 75
        assert client.stdout is not None
        assert client.stderr is not None
        with client.stdout, client.stderr:
            assert client.stdout.read() == b""
            assert client.stderr.read().startswith(b"lazaretto-client: ")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
