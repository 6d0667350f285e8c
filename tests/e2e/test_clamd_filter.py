"""The filter with a real clamd: every way in which clamd answers or fails, seen from outside.

No message is lost and none passes unscanned: the exit status is 0 with the whole
message (changed or not) on standard output, or 75 with nothing there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

import peers
import wrappings
from eicar import EICAR

SOURCES = os.path.join(os.path.dirname(__file__), "..", "..", "src")
CLEAN = wrappings.attach(b"nothing to see here", "a.txt", "text/plain")
# Only the test database knows this one, so that clamd alone can have found it.
INFECTED = wrappings.attach(peers.MARKER, "a.bin")


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.RealClamd]:
    daemon = peers.RealClamd(tmp_path_factory.mktemp("clamd"), "StreamMaxLength 1M", "AlertEncrypted yes", "LogSyslog no")
    daemon.start()
    yield daemon
    daemon.stop()


def filtered(state: Path, message: bytes, *options: str, config: str = "") -> subprocess.CompletedProcess[bytes]:
    """One run of the filter; the log line is there, once, whatever happens."""
    file = state / "lazaretto.toml"
    file.write_text(config or "[limits]\nmax_scan_s = 30\n")
    command = [sys.executable, "-m", "lazaretto", "filter", "--config", str(file), "--state-dir", str(state), *options]
    done = subprocess.run(command, input=message, capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": SOURCES})
    assert done.stderr.count(b"lazaretto: outcome=") == 1
    assert done.stderr.count(b"\n") == 1
    return done


def is_unchanged(done: subprocess.CompletedProcess[bytes], message: bytes) -> bool:
    first, _, rest = done.stdout.partition(b"\r\n")
    return first.startswith(b"X-Lazaretto-Status: ") and rest == message


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_clean(clamd: peers.RealClamd, tmp_path: Path, kind: str) -> None:
    done = filtered(tmp_path, CLEAN, "--engine", f"clamd:{getattr(clamd, kind)}")
    assert done.returncode == 0
    assert is_unchanged(done, CLEAN)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_found(clamd: peers.RealClamd, tmp_path: Path, kind: str) -> None:
    done = filtered(tmp_path, INFECTED, "--engine", f"clamd:{getattr(clamd, kind)}")
    assert done.returncode == 0
    assert b"Test.Marker" in done.stderr
    assert wrappings.b64(peers.MARKER) not in done.stdout
    assert b"See attachment." in done.stdout  # the rest of the mail stays


def test_both_engines_find(clamd: peers.RealClamd, tmp_path: Path) -> None:
    done = filtered(tmp_path, wrappings.attach(EICAR, "a.txt"), "--engine", "yara", "--engine", f"clamd:{clamd.unix}")
    assert done.returncode == 0
    assert b"Eicar-Test-Signature(yara" in done.stderr
    assert b"Test.Eicar" in done.stderr


def test_encrypted_passes_and_is_marked(clamd: peers.RealClamd, tmp_path: Path) -> None:
    message = wrappings.attach(wrappings.zipcrypto(b"secret text", b"not in the mail"), "a.zip", "application/zip")
    done = filtered(tmp_path, message, "--engine", f"clamd:{clamd.unix}")
    assert done.returncode == 0
    assert is_unchanged(done, message)
    assert done.stdout.startswith(b"X-Lazaretto-Status: tagged; found=encrypted")


def test_stream_limit_of_clamd_is_a_limit(clamd: peers.RealClamd, tmp_path: Path) -> None:
    """clamd refuses what is over its StreamMaxLength: the part is replaced, for nobody has scanned it."""
    config = f'[engines.clamd]\naddresses = ["{clamd.tcp}"]\n'
    done = filtered(tmp_path, wrappings.attach(os.urandom(3 << 20), "big.bin"), config=config)
    assert done.returncode == 0
    assert b"outcome=cleaned" in done.stderr
    assert b"limit" in done.stderr
    assert len(done.stdout) < 1 << 16


def test_stopped_clamd_is_a_temporary_failure(clamd: peers.RealClamd, tmp_path: Path) -> None:
    clamd.signal(signal.SIGSTOP)
    try:
        done = filtered(tmp_path, CLEAN, "--engine", f"clamd:{clamd.unix}", config="[limits]\nmax_scan_s = 2\n")
    finally:
        clamd.signal(signal.SIGCONT)
    assert done.returncode == 75
    assert done.stdout == b""
    assert filtered(tmp_path, CLEAN, "--engine", f"clamd:{clamd.unix}").returncode == 0


def test_absent_clamd_is_a_temporary_failure_even_for_infected_mail(tmp_path: Path) -> None:
    for message in (CLEAN, wrappings.attach(EICAR, "a.txt")):
        done = filtered(tmp_path, message, "--engine", "yara", "--engine", f"clamd:unix:{tmp_path}/nobody")
        assert done.returncode == 75
        assert done.stdout == b""


def test_killed_in_mid_scan_and_restarted(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The filter has handed over a message that clamd, stopped, does not answer; then clamd is killed."""
    daemon = peers.RealClamd(tmp_path_factory.mktemp("clamd"))
    daemon.start()
    try:
        daemon.signal(signal.SIGSTOP)
        command = [sys.executable, "-m", "lazaretto", "filter", "--engine", f"clamd:{daemon.unix}", "--state-dir", str(tmp_path)]
        running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": SOURCES}
        )
        assert running.stdin is not None
        running.stdin.write(CLEAN)
        running.stdin.close()
        running.stdin = None
        _until_connected(running.pid)
        daemon.stop()
        out, err = running.communicate(timeout=60)
        assert running.returncode == 75
        assert out == b""
        assert err.count(b"\n") == 1
        daemon.start()
        assert filtered(tmp_path, CLEAN, "--engine", f"clamd:{daemon.unix}").returncode == 0
    finally:
        daemon.stop()


def _until_connected(pid: int) -> None:
    """Until the process has an open socket (bounded)."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            links = []
        if any(link.startswith("socket:") for link in links):
            return
        os.sched_yield()
    raise AssertionError("the filter never spoke to clamd")


def test_zip_member_is_found_by_clamd(clamd: peers.RealClamd, tmp_path: Path) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("m.bin", peers.MARKER)
    done = filtered(tmp_path, wrappings.attach(out.getvalue(), "a.zip", "application/zip"), "--engine", f"clamd:{clamd.unix}")
    assert done.returncode == 0
    assert b"Test.Marker" in done.stderr
