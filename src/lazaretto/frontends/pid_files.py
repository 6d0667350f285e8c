"""PID files: which process is the daemon, for start scripts and people.

Digits and a newline. The file is locked as long as the daemon lives, so that a file left
over from a crash is told from a living instance without guessing by numbers,
which the system gives to others again.

Errors:  OSError "Can't open pid file ..."; AlreadyRunning.
See:     flock(2)
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable

from lazaretto.errors import LazarettoError

_ATTEMPTS = 100  # an instance that ends may remove the file between our open and our lock


class AlreadyRunning(LazarettoError):
    """Another instance holds the PID file."""


class PidFiles:
    """The files at `paths`, all or none, naming process `pid`.  Make it when the sockets are bound."""

    __slots__ = ("_held", "_owner")

    def __init__(self, paths: Iterable[str], pid: int) -> None:
        self._held: list[tuple[str, int]] = []
        self._owner = pid
        try:
            for path in dict.fromkeys(paths):
                self._held.append((path, _locked(path)))
            for path, fd in self._held:
                try:
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, b"%d\n" % pid, 0)
                except OSError as error:
                    raise _explained(error, path) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove those that are still ours; in a forked child only let go of them, which leaves the lock to the parent."""
        while self._held:
            path, fd = self._held.pop()
            if self._owner == os.getpid():
                try:
                    if os.path.samestat(os.lstat(path), os.fstat(fd)):
                        os.unlink(path)
                except OSError:
                    pass  # gone already, or in a directory that we may not write: then it is stale, which the lock tells
            os.close(fd)


def _locked(path: str) -> int:
    """The open file at `path`, locked.  AlreadyRunning if another has the lock."""
    for _ in range(_ATTEMPTS):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        except OSError as error:
            raise _explained(error, path) from error
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                raise OSError(errno.EEXIST, f"Can't open pid file {path}: it is no plain file")
            if status.st_uid not in (0, os.geteuid()):  # who could write another number, for start scripts to kill
                raise OSError(errno.EEXIST, f"Can't open pid file {path}: it belongs to another user")
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(f"already running (pid {_number(fd)}): {path}") from None
            try:
                if os.path.samestat(os.lstat(path), status):
                    return fd
            except FileNotFoundError:
                pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise OSError(errno.EBUSY, f"Can't open pid file {path}: it comes and goes")


def _number(fd: int) -> str:
    digits = os.pread(fd, 32, 0).strip()
    return digits.decode("ascii") if digits.isdigit() else "not known"


def _explained(error: OSError, path: str) -> OSError:
    return OSError(error.errno, f"Can't open pid file {path}: {error.strerror}")
