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


UNPACKED = Path(__file__).resolve().parents[1] / ".venv" / "debian"  # by scripts/debian-unpack


def unpacked(path: str, folder: Path, *users: str) -> tuple[str, dict[str, str]]:
    """A program of a Debian package that is unpacked, not installed, and the environment that it runs in; or see missing().

    `path` is where the package has it: "usr/sbin/exim4".  To the program it seems as if there were `users`, whom the package
    would have made, each with a group of the same name; the files that say so are written to `folder`.
    """
    program = UNPACKED / path
    libraries = sorted(UNPACKED.glob("usr/lib/*-linux-*"))
    wrapper = [file for library in libraries for file in library.glob("libnss_wrapper.so")]
    if not program.exists() or not wrapper:
        missing(f"{path} is not unpacked: see scripts/debian-unpack")
    for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
        own = [line.format(user, number) for number, user in enumerate(users, 64000)]
        (folder / name).write_text(Path("/etc", name).read_text() + "".join(own))
        (folder / name).chmod(0o644)
    return str(program), {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "LD_PRELOAD": wrapper[0].name,
        "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
        "NSS_WRAPPER_GROUP": str(folder / "group"),
    }


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
