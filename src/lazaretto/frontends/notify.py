"""What systemd hands to a service, and what it wants to hear from it.

    activated(os.environ)                 sockets that were bound for us: [("smtp", socket), ...]
    Notifier.of(os.environ).ready("...")  READY=1; reloading, stopping, status, watchdog likewise

Both are plain protocols of environment variables and one datagram socket, which other init systems and
supervisors speak, too.  Without the variables nothing happens.

Limits:  who has started us gets PATIENCE_S to take a notification; then it is dropped.  One that comes again, the watchdog's, is not waited
         with: a full socket shows that it was heard often enough.
Errors:  ConfigError for sockets that are of no use: what was promised in a unit file is not there.
See:     sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3); docs/processes.md
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple, Self

from lazaretto.errors import ConfigError

FIRST = 3  # SD_LISTEN_FDS_START
PATIENCE_S = 2.0  # without READY a service is taken for one that did not start; we do nothing else meanwhile
_MAX_SOCKETS = 64
WATCHDOG = "WATCHDOG=1"
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Activated(NamedTuple):
    """A listening socket that somebody else has bound, and its FileDescriptorName=."""

    name: str
    sock: socket.socket


def names(environ: Mapping[str, str]) -> list[str]:
    """What the sockets are called that were bound for this process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "")
    found = environ.get("LISTEN_FDNAMES", "").split(":")
    return found if count not in ("", "0") else []


def activated(environ: MutableMapping[str, str], first: int = FIRST) -> list[Activated]:
    """The sockets that were bound for this process.  The variables are taken out of `environ`: no child is to believe them."""
    pid, count, names = (environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count:
        return []
    if not count.isascii() or not count.isdigit() or int(count) > _MAX_SOCKETS:
        raise ConfigError(f"LISTEN_FDS: expected a number up to {_MAX_SOCKETS}, not {count!r}")
    called = names.split(":") if names else []
    taken = []
    for number in range(int(count)):
        name = called[number] if number < len(called) else ""
        taken.append(Activated(name, _listening(first + number, name or "no name")))
    return taken


def _listening(fd: int, name: str) -> socket.socket:
    """The socket at `fd`, not blocking and not for programs that we start."""
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError(f"LISTEN_FDS: descriptor {fd} ({name}) is no socket: {error.strerror}") from None
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise ConfigError(
            f"LISTEN_FDS: descriptor {fd} ({name}) is no listening stream socket; in the .socket unit: ListenStream=, Accept=no"
        )
    sock.setblocking(False)
    return sock


class Notifier:
    """The way to who has started us.  `interval_s`: how often the watchdog wants to hear of us, 0: never."""

    __slots__ = ("_address", "interval_s")

    def __init__(self, address: str = "", interval_s: float = 0.0) -> None:
        self.interval_s = interval_s
        self._address = "\0" + address[1:] if address.startswith("@") else address if address.startswith("/") else ""

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Self:
        """As the variables say, which are taken out of `environ`.  Half of the watchdog's time is the interval."""
        address = environ.pop("NOTIFY_SOCKET", "")
        pid, text = environ.pop("WATCHDOG_PID", ""), environ.pop("WATCHDOG_USEC", "")
        ours = pid in ("", str(os.getpid())) and text.isascii() and text.isdigit()
        return cls(address, int(text) / 2e6 if ours else 0.0)

    def ready(self, status: str = "") -> None:
        """Clients may connect; also at the end of a reload."""
        self._send("READY=1", status)

    def reloading(self) -> None:
        """ready() follows, whatever comes of it."""
        self._send("RELOADING=1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def stopping(self, status: str = "") -> None:
        """No more clients."""
        self._send("STOPPING=1", status)

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._send("", text)

    def watchdog(self) -> None:
        """Still alive."""
        self._send(WATCHDOG)

    def close(self) -> None:
        """No more to say; also in a forked child, which is not who is waited for."""
        self._address = ""

    def _send(self, state: str, status: str = "", **more: str) -> None:
        if not self._address:
            return
        lines = [state] if state else []
        lines += [f"{name}={value}" for name, value in more.items()]
        if status:
            lines.append("STATUS=" + " ".join(status.split()))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(PATIENCE_S if state != WATCHDOG else 0)
                sock.connect(self._address)  # or a full queue would not be waited for, but asked again and again
                sock.send("\n".join(lines).encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # nobody is there, or has no time: nothing of ours depends on it
