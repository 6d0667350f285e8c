"""`scan-mail -milter P|C`: the old command line in front of the milter, with an address or a sendmail.cf."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

import serving
from eicar import EICAR
from lazaretto.cli import launch, scan_mail
from lazaretto.cli.launch import Loaded
from milter_double import session
from scan_mail_site import Site, free_address
from serving import eventually
from smtp_service import alive

MESSAGE = b"Subject: hello\r\n\r\nNothing to see here.\r\n"
SENDMAIL_CF = "V10/Berkeley\n# remark\nO InputMailFilters={name}\nX{name}, S={address}, F=T, T=E:8m;C:5m;R:4m;S:2m\nMlocal, P=/x\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def libmilter(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"inet:{port}@{host}"


@pytest.mark.parametrize("written", ["P", "C"])
def test_the_manuals_command_line(site: Site, written: str) -> None:
    """In the foreground: no PID file, also if one is configured."""
    address = free_address()
    (site.root / "sendmail.cf").write_text(SENDMAIL_CF.format(name="fp-milter", address=libmilter(address)))
    process = site.start("-milter", libmilter(address) if written == "P" else str(site.root / "sendmail.cf"), "-backup")
    try:
        eventually(lambda: "workers=" in site.log.read_text() or process.poll() is not None, "the start")
        with session(address) as mta:
            clean = mta.deliver(MESSAGE)
            assert clean.message == MESSAGE.replace(b"\r\n\r\n", b"\r\nX-Antivirus: Scanned by Lazaretto (yara)\r\n\r\n", 1)
            cleaned = mta.deliver(MESSAGE + EICAR + b"\r\n")
            assert cleaned.letter == "a"
            assert EICAR not in cleaned.message
            passed = mta.deliver(MESSAGE + EICAR + b"\r\n", FP_SCANONLY=b"^nobody@")
            assert EICAR in passed.message
        assert len([path for path in (site.root / "backup").rglob("*") if path.is_file()]) == 2
        assert not site.pid_file.exists()
        process.terminate()
        assert process.wait(serving.PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    lines = [line for line in site.log.read_text().splitlines() if "outcome=" in line]
    assert [line.partition("outcome=")[2].split()[0] for line in lines] == ["clean", "cleaned", "passed"]


def test_daemon(site: Site) -> None:
    address = free_address()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        link = Path(f"/tmp/lz-{os.urandom(6).hex()}")
        log.bind(str(link))
        log.settimeout(serving.PATIENCE_S)
        try:
            site.configure(SCANMAIL_LOGHOST=str(link))
            started = site.start("-daemon", "-milter", libmilter(address))
            assert started.wait(serving.PATIENCE_S) == 0
            pid = int(site.pid_file.read_text())
            try:
                assert b" scan-mail.pl[%d]: event=started " % pid in log.recv(4096)
                with session(address) as mta:
                    assert mta.deliver(MESSAGE).letter == "a"
                assert b"outcome=clean" in log.recv(4096)
                os.kill(pid, signal.SIGHUP)
                assert b"event=reload" in log.recv(4096)
            finally:
                os.kill(pid, signal.SIGTERM)
                eventually(lambda: not alive(pid), "the end")
            assert not site.pid_file.exists()
        finally:
            link.unlink()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, site: Site) -> list[Loaded]:
    """What would have been started."""
    found: list[Loaded] = []

    def start(load: Any, services: set[str], _pid_files: Any, *, daemon: bool) -> int:
        assert (services, daemon) == ({"milter"}, False)
        found.append(load())
        return 0

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.chdir(site.root)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.mark.parametrize("address", ["inet:12200@127.0.0.1", "inet:12200", "inet6:12200@::1", "unix:/run/x", "local:/run/x"])
def test_addresses(started: list[Loaded], address: str) -> None:
    assert scan_mail.main(["-milter", address]) == 0
    assert started[0].config.settings["milter.listen"] == (address,)


@pytest.mark.parametrize(("text", "address", "warning"), [
    (SENDMAIL_CF.format(name="fp-milter", address="inet:1@127.0.0.1"), "inet:1@127.0.0.1", ""),
    (SENDMAIL_CF.format(name="other", address="/run/bare"), "unix:/run/bare", "taking the only one, other"),
    ("Xfp-milter, S=unix:/run/x\nO InputMailFilters=fp-milter\n", "unix:/run/x", "has no F=T"),
])  # fmt: skip
def test_a_sendmail_cf(started: list[Loaded], site: Site, capfd: pytest.CaptureFixture[str], text: str, address: str, warning: str) -> None:
    (site.root / "x.cf").write_text(text)
    assert scan_mail.main(["-milter", str(site.root / "x.cf")]) == 0
    assert started[0].config.settings["milter.listen"] == (address,)
    said = capfd.readouterr().err
    assert warning in said
    assert ("warning=" in said) == bool(warning)


@pytest.mark.parametrize(("content", "complaint"), [
    (None, "cannot be read"), ("Dmx\n", "there is no line X"), ("Xfp-milter\n", "x.cf:1"), ("Xfp-milter, S=nonsense\n", "milter.listen"),
    ("#" * ((4 << 20) + 1), "larger than"),
])  # fmt: skip
def test_a_wrong_sendmail_cf(
    started: list[Loaded], site: Site, capfd: pytest.CaptureFixture[str], content: str | None, complaint: str
) -> None:
    if content is not None:
        (site.root / "x.cf").write_text(content)
    assert scan_mail.main(["-milter", str(site.root / "x.cf")]) == 1
    assert started == []
    assert complaint in capfd.readouterr().err
