"""Listening sockets: TCP and UNIX, bound safely and cleared away.

    127.0.0.1:11200    [::1]:11200    unix:/run/lazaretto/scan.sock
    inet:12200@127.0.0.1    inet6:12200@::1    local:/run/lazaretto/milter.sock      as libmilter has them: native() makes ours of them

A UNIX socket gets its permissions before anybody can connect. One that is left over
from a crash is replaced if nobody answers there; whatever else has the name stays. Of a host
name the first address is taken.

Errors:  ConfigError for an address that is none; OSError that names the address.
See:     unix(7), tcp(7); docs/protocols/scan-server.md
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from lazaretto.errors import ConfigError

LOCK_S = 2.0  # to look at a left-over socket and to bind takes no time: who holds the lock for longer is not one of us
BACKLOG = 1024  # connections that the kernel keeps for us; more wait in connect(), or fail if that does not block


class Listener:
    """One listening socket, not blocking.  `shared`: other machines may reach it."""

    __slots__ = ("_identity", "_owner", "address", "gid", "shared", "sock")

    def __init__(self, address: str, mode: int = 0o660, gid: int = -1) -> None:
        self.address = address
        self.gid = gid  # of the file of a UNIX socket; -1: as it comes
        self._owner = os.getpid()
        self._identity: tuple[int, int] | None = None
        self.shared = False
        try:
            self.sock = self._bound(mode)
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {address}: {error.strerror or error}") from error
        self.sock.setblocking(False)

    @classmethod
    def given(cls, sock: socket.socket) -> Self:
        """One that somebody else has bound, and will clear away."""
        listener = cls.__new__(cls)
        listener.sock, listener._owner, listener._identity, listener.gid = sock, os.getpid(), None, -1  # noqa: SLF001 - it is one of ours
        name = sock.getsockname()
        if isinstance(name, str | bytes):
            listener.address, listener.shared = f"unix:{os.fsdecode(name)}", False
        else:
            host, port = name[:2]
            listener.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            listener.shared = _is_shared(host)
        return listener

    def close(self) -> None:
        """Stop listening; the name of a UNIX socket goes if it is still ours, and not in a forked child."""
        if self._identity is not None and self._owner == os.getpid():
            path = self.address.removeprefix("unix:")
            identity, self._identity = self._identity, None  # once: then the number may be another's
            try:
                status = os.lstat(path)
                if (status.st_dev, status.st_ino) == identity:
                    os.unlink(path)
            except OSError:
                pass  # it is gone already, or its directory is not ours any more
        self.sock.close()

    def _bound(self, mode: int) -> socket.socket:
        if self.address.startswith("unix:"):
            return self._bound_unix(self.address.removeprefix("unix:"), mode)
        host, port = split(self.address)
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
            sock.bind(where)
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        self.shared = _is_shared(str(where[0]))
        return sock

    def _bound_unix(self, path: str, mode: int) -> socket.socket:
        if not path.startswith("/") or len(os.fsencode(path)) > 107:  # sun_path
            raise ConfigError(f"server.listen: expected unix:/absolute/path of at most 107 bytes, not {self.address!r}")
        with _alone(os.path.dirname(path)):
            _remove_stale(path)
            sock = socket.socket(socket.AF_UNIX)
            before = os.umask(0o777 & ~mode)
            try:
                sock.bind(path)
                status = os.lstat(path)
                self._identity = status.st_dev, status.st_ino
                if self.gid >= 0:
                    os.chown(path, -1, self.gid, follow_symlinks=False)
                sock.listen(BACKLOG)
            except BaseException:
                sock.close()
                raise
            finally:
                os.umask(before)
        return sock


def split(address: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT" or "[IPv6]:PORT"; ConfigError for anything else."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ConfigError(f"server.listen: expected HOST:PORT, [IPv6]:PORT or unix:PATH, not {address!r}")
    return host, int(port)


def native(address: str) -> str:
    """An address of ours for one of libmilter's; ours stay as they are.  ConfigError.

    Without a host it is this one: libmilter would listen to the whole network, and the protocol asks nobody who he is.
    """
    family, colon, rest = address.partition(":")
    if family == "local":
        return f"unix:{rest}"
    if family not in ("inet", "inet6") or not colon:
        return address
    service, at, host = rest.partition("@")
    port = service if service.isascii() and service.isdigit() else _service(service, address)
    host = host.removeprefix("[").removesuffix("]") if at else "::1" if family == "inet6" else "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _service(name: str, address: str) -> str:
    try:
        return str(socket.getservbyname(name, "tcp"))
    except (OSError, UnicodeError):
        raise ConfigError(f"{address}: expected a port or the name of a service, there is no {name!r}") from None


def _is_shared(host: str) -> bool:
    return not (host.startswith("127.") or host == "::1")


def listen(addresses: Iterable[str], mode: int = 0o660, group: str = "") -> list[Listener]:
    """A Listener for each address, or none and the error.  `group`: who owns UNIX sockets, by name or number; ConfigError."""
    gid = _gid(group) if group else -1
    made: list[Listener] = []
    try:
        made.extend(Listener(native(address), mode, gid) for address in addresses)  # keeps those before the one that fails
    except BaseException:
        for listener in made:
            listener.close()
        raise
    return made


def _gid(group: str) -> int:
    import grp

    try:
        return (grp.getgrgid(int(group)) if group.isdigit() else grp.getgrnam(group)).gr_gid
    except (KeyError, OverflowError):
        raise ConfigError(f"socket_group: expected the name of a group, there is no {group!r}") from None


def peer_uid(sock: socket.socket) -> int | None:
    """Who is at the other end of a UNIX socket; None where that is not known."""
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """While no other of us binds in `directory`: else two that find the same left-over socket remove each other's new one.

    A convention among servers that start, no protection: where there is no lock to be had, it goes without.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield  # not ours to read; or not there, which bind says better
        return
    try:
        deadline = time.monotonic() + LOCK_S
        while time.monotonic() < deadline:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        os.close(fd)


def _remove_stale(path: str) -> None:
    """Unlink a socket at `path` where nobody answers.  OSError EADDRINUSE if somebody does, or if it is no socket."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EADDRINUSE, "there is a file of that name, and it is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        failed = probe.connect_ex(path)
    if failed == errno.ENOENT:
        return
    if failed != errno.ECONNREFUSED:  # answered, or busy (EAGAIN), or not ours to ask
        raise OSError(errno.EADDRINUSE, "somebody listens there")
    os.unlink(path)
