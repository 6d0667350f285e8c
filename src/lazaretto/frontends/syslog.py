"""Syslog: hands log lines to a syslog daemon, local or remote.

    log = Syslog("/dev/log", "scan-mail.pl", facility=2, level=4)
    log.log("disk full", 3) or print("disk full", file=sys.stderr)

Local daemons are spoken to in datagrams, or over a stream if that is what they
offer (a NUL ends each line, as with the C library); /dev/log stands for the
other usual places too.  TCP lines end with a newline.  A daemon that was started anew is
connected to anew, and a process that was forked makes a connection of its own.

log() says whether the line went out: False means that it is masked, or that there
is nobody to take it, and that the caller still has it.  True from UDP means
"sent", from the others "taken by the kernel for a daemon that was there".

Limits:  timeout_s for a line, connecting included, and after one that took so long no other is tried for ten
         times that; wire/syslog.py for its length.
Errors:  ConfigError for an address that means nothing.  log() raises nothing.
BUGS:    Looking up a host name may take longer than timeout_s; what it finds is kept.
See:     wire/syslog.py; RFC 3164, RFC 6587 s3.4.2
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lazaretto.wire.syslog import DEVICE, MAX_LOCAL_BYTES, MAX_REMOTE_BYTES, format_3164, parse_address

if TYPE_CHECKING:
    import socket

_OTHER_DEVICES = ("/var/run/syslog", "/var/run/log")
_PAUSES = 10  # times timeout_s that one who is stuck is left alone: an event loop may wait for each line
_MAX_CHATTER = 16  # reads of what the daemon says, which it should not


class Syslog:
    """One daemon to log to.  `facility` 0..23; lines of a level number above `level` are masked.

    Nothing is opened before the first line.  `clock` gives seconds since 1970.
    """

    __slots__ = (
        "_address",
        "_clock",
        "_facility",
        "_hostname",
        "_ident",
        "_level",
        "_owner",
        "_resolved",
        "_silent_until",
        "_sock",
        "_stream",
        "_timeout_s",
    )

    def __init__(
        self, address: str, ident: str, facility: int, level: int, *, clock: Callable[[], float] = time.time, timeout_s: float = 2.0
    ) -> None:
        self._address = parse_address(address)
        self._hostname = "" if self._address.path else os.uname().nodename.partition(".")[0]  # RFC 3164 s4.1.2: without its domain
        self._ident = ident
        self._facility = facility
        self._level = level
        self._clock = clock
        self._timeout_s = timeout_s
        self._sock: socket.socket | None = None
        self._stream = False
        self._silent_until = 0.0
        self._owner = 0  # the process that made the socket
        self._resolved: list[tuple[int, Any]] = []  # family and address of the host

    def log(self, text: str, level: int) -> bool:
        """Log one line.  False: masked or not delivered."""
        now = time.monotonic()
        if level > self._level or now < self._silent_until:
            return False
        deadline = now + self._timeout_s
        payload = format_3164(
            text,
            level=level,
            facility=self._facility,
            ident=self._ident,
            pid=os.getpid(),
            moment=time.localtime(self._clock()),
            hostname=self._hostname,
            max_bytes=MAX_LOCAL_BYTES if self._address.path else MAX_REMOTE_BYTES,
        )
        was_open = self._sock is not None
        # The second time for a daemon that was started anew: the old socket shows that only when it is used.
        return self._try(payload, deadline) or (was_open and self._try(payload, deadline))

    def close(self) -> None:
        """Hang up.  The next line connects again."""
        if self._sock is not None:
            sock, self._sock = self._sock, None
            try:
                sock.close()
            except OSError:
                pass  # what it may complain about is the past

    def _try(self, payload: bytes, deadline: float) -> bool:
        import socket

        try:
            sock = self._connected(deadline)
            sock.settimeout(_left(deadline))
            if self._stream:
                # Over all parts of a line the timeout counts once.
                sock.sendall(payload + (b"\0" if self._address.path else b"\n"), socket.MSG_NOSIGNAL)
            else:
                sock.send(payload, socket.MSG_NOSIGNAL)
        except (OSError, ValueError) as error:  # ValueError: a host name that DNS cannot express
            self.close()  # in a stream half a line may have gone: nothing may follow it
            if isinstance(error, TimeoutError):
                self._silent_until = time.monotonic() + _PAUSES * self._timeout_s
            return False
        return True

    def _connected(self, deadline: float) -> socket.socket:
        if self._sock is not None and (self._owner != os.getpid() or self._hung_up(self._sock)):
            self.close()
        if self._sock is None:
            self._owner = os.getpid()
            self._sock = self._connect(deadline)
        return self._sock

    def _hung_up(self, sock: socket.socket) -> bool:
        """Has the daemon ended the stream?  Writing would seem to succeed once more."""
        if not self._stream:
            return False
        try:
            sock.setblocking(False)
            for _ in range(_MAX_CHATTER):
                if not sock.recv(4096):
                    return True
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _connect(self, deadline: float) -> socket.socket:
        """OSError of the last way that was tried."""
        import socket

        ways: list[tuple[int, int, Any]]  # family, type, address
        path = self._address.path
        if path:
            paths = (path, *_OTHER_DEVICES) if path == DEVICE else (path,)
            ways = [(socket.AF_UNIX, kind, each) for each in paths for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        else:
            transport = socket.SOCK_STREAM if self._address.kind == "tcp" else socket.SOCK_DGRAM
            if not self._resolved:
                found = socket.getaddrinfo(self._address.host, self._address.port, type=transport)
                self._resolved = [(family, where) for family, _, _, _, where in found]
            ways = [(family, transport, where) for family, where in self._resolved]
        failure: OSError = TimeoutError("timed out")
        for family, kind, where in ways:
            sock = socket.socket(family, kind)
            try:
                sock.settimeout(_left(deadline))
                sock.connect(where)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                self._stream = kind == socket.SOCK_STREAM
                return sock
        raise failure


def _left(deadline: float) -> float:
    """Seconds until then, never 0, which would mean not to wait at all."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
