"""A scan server as a process of its own, with the obedient engine; and clients for it.

    with serving.Server(folder) as server:
        server.ask(b"PING\\n")

Also a program: `python serving.py SOURCES TESTS FOLDER SETTINGS` serves until it is stopped.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

PATIENCE_S = 30.0  # until a test is sure that something does not happen any more


class Server:
    """`settings` replace those of server.Settings; `limits` those of limits.Limits."""

    def __init__(self, folder: Path, command: list[str] | None = None, limits: dict[str, float] | None = None, **settings: object) -> None:
        import programs

        self.folder = folder
        self.socket = str(folder / "s.sock")
        self.log_file = folder / "log"
        given = {"listen": [f"unix:{self.socket}"], "directories": [str(folder)], **settings, "limits": limits or {}}
        if command is None:
            command = [sys.executable, __file__, os.path.dirname(__file__), str(folder), json.dumps(given)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=programs.environment(folder), stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL
            )

    def __enter__(self) -> Self:
        try:
            eventually(lambda: "event=started" in self.log or self.process.poll() is not None, "the start")
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def lines(self, word: str) -> list[str]:
        """Those lines of the log that contain `word`."""
        return [line for line in self.log.splitlines() if word in line]

    def connect(self) -> socket.socket:
        return connect(self.socket)

    def ask(self, data: bytes) -> bytes:
        """All that is answered to `data`, until the server has nothing more to say."""
        with self.connect() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return rest(client)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end: the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    @property
    def children(self) -> list[int]:
        """Processes that it has, those included that have ended and were not collected."""
        pid = self.process.pid
        return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]

    @property
    def descriptors(self) -> list[str]:
        """What the parent has open."""
        folder = f"/proc/{self.process.pid}/fd"
        return sorted(filter(None, (_target(f"{folder}/{number}") for number in os.listdir(folder))))


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def connect(path: str) -> socket.socket:
    """A client of the UNIX socket at `path`."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)  # before there is a timeout: only so does it wait while the backlog is full
    client.settimeout(PATIENCE_S)
    return client


def rest(client: socket.socket) -> bytes:
    """What comes until the end of the connection."""
    pieces = []
    try:
        while piece := client.recv(1 << 16):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def line(client: socket.socket) -> bytes:
    """One line of an answer; b"" at the end of the connection."""
    said = b""
    while not said.endswith(b"\n") and (byte := client.recv(1)):
        said += byte
    return said


def answer(client: socket.socket) -> bytes:
    """The whole answer to a STREAM, which a client has to take: its line, and what follows."""
    head = line(client)
    said = bytearray()
    size = int(head.split()[1]) if head else 0
    while len(said) < size and (piece := client.recv(size - len(said))):
        said += piece
    return head + said


def stream(message: bytes, attributes: bytes = b"") -> bytes:
    return b"STREAM %d%s\n%s" % (len(message), attributes, message)


def notification(system: socket.socket) -> str:
    """The next thing that a service tells systemd; but not that it is alive, which it says for ever."""
    said = ["WATCHDOG=1"]

    def heard() -> bool:
        said[0] = system.recv(4096).decode()
        return said[0] != "WATCHDOG=1"

    eventually(heard, "a notification")
    return said[0]


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for it; fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        select.select([], [], [], 0.005)


@contextmanager
def made(path: Path) -> Iterator[None]:
    """A file for orders to wait for, made at the end."""
    try:
        yield
    finally:
        path.touch()


def main(folder: str, given: str) -> int:
    """The program."""
    import obedient
    import scanners
    from lazaretto.errors import ConfigError
    from lazaretto.frontends.server import Served, Settings, serve
    from lazaretto.limits import DEFAULT

    settings: dict[str, Any] = json.loads(given)
    limits = DEFAULT._replace(**settings.pop("limits"))

    def log(text: str, _level: int) -> None:
        os.write(2, text.encode() + b"\n")

    def make() -> Served:
        orders = Path(folder, "configuration")
        text = orders.read_text(encoding="utf-8") if orders.exists() else ""
        if text == "wrong":
            raise ConfigError("expected something else", str(orders), 1)
        if text == "broken":
            raise OSError(5, "Input/output error")
        scanner = scanners.make(folder, [obedient.Obedient()], limits=limits)
        scanner.host = text
        return Served(scanner, (lambda line, level: log(f"{line} host={text}", level)) if text else log)

    keys: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return serve(make, Settings(**keys))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    sys.exit(main(*sys.argv[2:]))
