"""`scan-mail -proxy`: the old command line in front of the new proxy."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import serving
from eicar import EICAR
from lazaretto.cli import launch, scan_mail
from lazaretto.cli.launch import Loaded
from scan_mail_site import Site, free_address
from serving import eventually
from smtp_service import alive
from smtp_session import attempt
from smtp_sink import Sink

MESSAGE = b"Subject: hello\r\n\r\nNothing to see here.\r\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def hop() -> Iterator[Sink]:
    with Sink() as hop:
        yield hop


def test_the_manuals_command_line(site: Site, hop: Sink) -> None:
    """In the foreground: no PID file, also if one is configured."""
    address = free_address()
    process = site.start("-proxy", "-proxy_address", address, "-smtp_address", hop.address, "-backup")
    try:
        eventually(lambda: "workers=" in site.log.read_text() or process.poll() is not None, "the start")
        assert attempt(address, MESSAGE).answer is not None
        assert attempt(address, MESSAGE + EICAR + b"\r\n").answer is not None
        clean, cleaned = (message.data for message in hop.messages)
        assert clean == MESSAGE.replace(b"\r\n\r\n", b"\r\nX-Antivirus: Scanned by Lazaretto (yara)\r\n\r\n", 1)
        assert EICAR not in cleaned
        assert len([path for path in (site.root / "backup").rglob("*") if path.is_file()]) == 2
        assert not site.pid_file.exists()
        process.terminate()
        assert process.wait(serving.PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    assert len([line for line in site.log.read_text().splitlines() if "outcome=" in line]) == 2


def test_daemon(site: Site, hop: Sink) -> None:
    """As the manual starts it: -daemon -proxy -proxy_address A -smtp_address B."""
    address = free_address()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        link = Path(f"/tmp/lz-{os.urandom(6).hex()}")
        log.bind(str(link))
        log.settimeout(serving.PATIENCE_S)
        try:
            site.configure(SCANMAIL_LOGHOST=str(link))
            started = site.start("-daemon", "-proxy", "-proxy_address", address, "-smtp_address", hop.address)
            assert started.wait(serving.PATIENCE_S) == 0
            pid = int(site.pid_file.read_text())
            try:
                assert b" scan-mail.pl[%d]: event=started " % pid in log.recv(4096)
                assert attempt(address, MESSAGE).answer is not None
                assert len(hop.messages) == 1
                assert b"outcome=clean" in log.recv(4096)
                os.kill(pid, signal.SIGHUP)
                assert b"event=reload" in log.recv(4096)
                again = site.start("-daemon", "-proxy", "-proxy_address", address, "-smtp_address", hop.address)
                assert again.wait(serving.PATIENCE_S) == 1
                assert f"cannot listen on {address}" in site.log.read_text()
            finally:
                os.kill(pid, signal.SIGTERM)
                eventually(lambda: not alive(pid), "the end")
            assert not site.pid_file.exists()
        finally:
            link.unlink()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, site: Site) -> list[tuple[Loaded, Any, bool]]:
    """What would have been started, and how."""
    found: list[tuple[Loaded, Any, bool]] = []

    def start(load: Any, services: set[str], pid_files: Any, *, daemon: bool) -> int:
        assert services == {"smtp"}
        found.append((load(), pid_files, daemon))
        return 0

    monkeypatch.setattr(launch, "start", start)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.mark.parametrize(
    ("arguments", "listen", "next_hop"),
    [
        ([], "0.0.0.0:25", "127.0.0.1:26"),
        (["-proxy_address", "[::1]:10025"], "[::1]:10025", "127.0.0.1:26"),
        (["-smtp_address=127.0.0.1:10026"], "0.0.0.0:25", "127.0.0.1:10026"),
        (["-postfix", "127.0.0.1:10027"], "0.0.0.0:25", "127.0.0.1:10027"),  # the synopsis has them so
    ],
)
def test_addresses(started: list[tuple[Loaded, Any, bool]], arguments: list[str], listen: str, next_hop: str) -> None:
    assert scan_mail.main(["-proxy", *arguments]) == 0
    ((loaded, pid_files, daemon),) = started
    assert loaded.config.settings["smtp.listen"] == (listen,)
    assert loaded.config.settings["smtp.next_hop"] == next_hop
    assert (pid_files, daemon) == ((), False)


def test_daemon_has_its_pid_file(started: list[tuple[Loaded, Any, bool]], site: Site) -> None:
    site.configure(SCANMAIL_LOGHOST="/dev/log")
    assert scan_mail.main(["-proxy", "-daemon"]) == 0
    assert started[0][1:] == ((str(site.pid_file),), True)


@pytest.mark.parametrize("mode", [["-proxy"], ["-proxy", "-daemon"]])
def test_a_proxy_that_cannot_start(site: Site, mode: list[str]) -> None:
    site.configure(SCANMAIL_LOGLEVEL="loud")
    assert site.start(*mode).wait(serving.PATIENCE_S) == 1
    assert "SCANMAIL_LOGLEVEL" in site.log.read_text()


def test_a_daemon_without_a_log(site: Site) -> None:
    assert site.start("-proxy", "-daemon").wait(serving.PATIENCE_S) == 1
    assert "SCANMAIL_LOGHOST" in site.log.read_text()
