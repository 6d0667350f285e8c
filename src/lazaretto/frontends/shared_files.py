"""Files that a client names: the message, and where the result goes.

A client may be any local user, and the server may be able to read what that user
is not. So a file is opened only if it is plainly the client's to give:

- its path is absolute and plain, and below one of the allowed directories;
- no component below that directory is a symbolic link: each is opened on its own, from its parent;
- it exists and is a regular file with one name, for a hard link to a stranger's file is not a gift;
- both files have one owner; who asks is that owner or root, where that is known (UNIX sockets).

The output file is opened at once, so that a refusal costs no scan, and emptied when the
result is ready.

Limits:  MAX_PATH_BYTES.
Errors:  Refused, with a text for the client; OSError for what may be better next time.
Bugs:    Over TCP nobody knows who asks.
See:     docs/protocols/scan-server.md; openat(2), path_resolution(7)
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence

from lazaretto.errors import LazarettoError

MAX_PATH_BYTES = 4095  # PATH_MAX with its NUL

_STEP = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
# Should the file become a FIFO or a device behind our back, opening it must neither wait nor make it our terminal.
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_REFUSALS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "has a component that is no directory, or a symbolic link",
    errno.ELOOP: "has a component that is a symbolic link",
    errno.ENAMETOOLONG: "has a component that is too long",
}


class Refused(LazarettoError):
    """The client may not name this file; the text says why."""


def open_pair(infile: bytes, outfile: bytes, directories: Sequence[str], uid: int | None = None) -> tuple[int, int]:
    """Descriptors for reading the one and writing the other, both the caller's to close.  `uid`: who asks, None if not known."""
    source = _open(infile, directories, os.O_RDONLY)
    try:
        target = _open(outfile, directories, os.O_WRONLY)
        try:
            _check(os.fstat(source), os.fstat(target), uid)
        except BaseException:
            os.close(target)
            raise
    except BaseException:
        os.close(source)
        raise
    return source, target


def _check(source: os.stat_result, target: os.stat_result, uid: int | None) -> None:
    if os.path.samestat(source, target):
        raise Refused("input and output are the same file")
    if source.st_uid != target.st_uid:
        raise Refused("input and output have different owners")
    if uid not in (None, 0, source.st_uid):
        raise Refused("the files belong to another user")


def replace(fd: int, chunks: Iterable[bytes]) -> None:
    """Make `chunks` the whole content of the open file, on the disk; emptied again if that fails."""
    try:
        os.ftruncate(fd, 0)
        for chunk in chunks:
            with memoryview(chunk) as view:
                done = 0
                while done < len(view):
                    done += os.write(fd, view[done:])
        os.fsync(fd)
    except BaseException as error:
        os.ftruncate(fd, 0)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"cannot write the output file: {os.strerror(error.errno or 0)}") from error
        raise


def _open(path: bytes, directories: Sequence[str], flags: int) -> int:
    shown = path[:200].decode("utf-8", "replace")
    directory, names = _allowed(path, directories, shown)
    try:
        return _walk(directory, names, flags, shown)
    except OSError as error:
        if error.errno in _REFUSALS:
            raise Refused(f"{shown} {_REFUSALS[error.errno]}") from None
        raise OSError(error.errno, f"cannot open {shown}: {error.strerror}") from None


def _allowed(path: bytes, directories: Sequence[str], shown: str) -> tuple[bytes, list[bytes]]:
    """The allowed directory that `path` is below, and the way from there."""
    if not path.startswith(b"/") or len(path) > MAX_PATH_BYTES or b"\0" in path:
        raise Refused(f"expected an absolute path: {shown}")
    names = path[1:].split(b"/")
    if any(name in (b"", b".", b"..") for name in names):
        raise Refused(f"expected a plain path, without //, . and ..: {shown}")
    # The longest that fits: the way below it may hold a symbolic link to another of them.
    for directory in sorted(map(os.fsencode, directories), key=len, reverse=True):
        above = directory.rstrip(b"/").split(b"/")[1:]
        if names[: len(above)] == above and len(names) > len(above):
            return directory, names[len(above) :]
    raise Refused(f"not below a directory that is allowed: {shown}")


def _walk(directory: bytes, names: list[bytes], flags: int, shown: str) -> int:
    # The directory itself is the administrator's word, symbolic links in it, too: /var/run is one.
    place = os.open(directory, _STEP & ~os.O_NOFOLLOW)
    try:
        for name in names[:-1]:
            inner = os.open(name, _STEP, dir_fd=place)
            os.close(place)
            place = inner
        # To open a device can have effects; so we look before.
        _plain(os.stat(names[-1], dir_fd=place, follow_symlinks=False), shown)
        fd = os.open(names[-1], flags | _FILE, dir_fd=place)
    finally:
        os.close(place)
    try:
        _plain(os.fstat(fd), shown)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _plain(status: os.stat_result, shown: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise Refused(f"{shown} {_REFUSALS[errno.ELOOP]}")
    if not stat.S_ISREG(status.st_mode):
        raise Refused(f"{shown} is no regular file")
    if status.st_nlink != 1:
        raise Refused(f"{shown} has further names (hard links)")
