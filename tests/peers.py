"""Real programs that tests talk to."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NoReturn

import pytest

from eicar import EICAR
from lazaretto.engines.clamd_connection import answers, parse_address

MARKER = b"An inert marker that only the test database of tests/peers.py knows."


def missing(what: str) -> NoReturn:
    """Skip on a user's machine; fail where CI is set, because there everything must be installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI is set")
    pytest.skip(what)


def require(binary: str) -> str:
    """Path of a program, or the test ends: see missing()."""
    path = shutil.which(binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return path if path is not None else missing(f"{binary} is not installed")


class RealClamd:
    """A private clamd with a database of two lines: EICAR anywhere, and MARKER as a whole file.

    `unix` and `tcp` are its addresses.  Extra lines for clamd.conf may be given.
    """

    def __init__(self, directory: Path, *lines: str) -> None:
        self.binary = require("clamd")
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.unix, self.tcp = f"unix:{directory}/s", f"127.0.0.1:{port}"
        database = directory / "database"
        database.mkdir()
        (database / "test.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
        (database / "test.hdb").write_text(f"{hashlib.md5(MARKER).hexdigest()}:{len(MARKER)}:Test.Marker\n")
        own = [f"DatabaseDirectory {database}", f"TemporaryDirectory {directory}", f"LocalSocket {directory}/s"]
        own += [f"TCPSocket {port}", "TCPAddr 127.0.0.1", "Foreground yes", "FixStaleSocket yes"]
        self.configuration = directory / "clamd.conf"
        self.configuration.write_text("\n".join([*own, *lines, ""]))

    def start(self) -> None:
        """Until it answers; skips (CI: fails) if it does not within 30 s."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([self.binary, "-c", str(self.configuration)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not answers(parse_address(self.unix), 5):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                missing("clamd does not start here: " + (self.directory / "log").read_text(errors="replace")[-500:])
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill it, also if it was stopped."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None
