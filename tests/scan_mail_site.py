"""Where scan-mail runs as a server: an f-prot.conf, what it names, and the program."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import programs

PROGRAM = [sys.executable, "-m", "lazaretto.cli.scan_mail"]


class Site:
    """An f-prot.conf, and what it names, in `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pid_file = root / "scanmail.pid"
        self.log = root / "log"
        self.environment = {
            **programs.environment(root),
            "SCANMAIL_CONFIG": str(root / "f-prot.conf"),
            "LAZARETTO_STATE_DIR": str(root / "state"),
        }
        self.configure()

    def configure(self, **variables: str) -> None:
        usual = {"SCANMAIL_LOGHOST": "-", "SCANMAIL_ENGINES": "yara", "SCANMAIL_PIDFILE": str(self.pid_file), "SCANMAIL_LOGLEVEL": "info"}
        usual["SCANMAIL_BACKUPDIR"], usual["SCANMAIL_QUARANTINEDIR"] = str(self.root / "backup"), str(self.root / "quarantine")
        (self.root / "f-prot.conf").write_text("".join(f"{name}='{value}'\n" for name, value in {**usual, **variables}.items()))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen([*PROGRAM, *arguments], env=self.environment, cwd=self.root, stdin=subprocess.DEVNULL, stderr=log)


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"127.0.0.1:{sock.getsockname()[1]}"
