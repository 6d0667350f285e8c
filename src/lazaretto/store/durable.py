"""Files that are whole or not there, and that outlive a power cut: what the stores have in common.

    with Writing("backup") as writing:
        stem, fd = writing.reserve(iter(["/q/1", "/q/1.1"]))  # /q/.1 exists now and is ours
        fill(fd, hidden(stem), chunks)                        # written and flushed
        writing.publish(hidden(stem), stem)                   # /q/1 is there at once and whole
        flush_directory("/q")                                 # and stays

A file gets its name by link(2), which never overwrites, after its content is on the
disk; until then its name begins with a dot.  That hidden name is created exclusively
and so reserves the visible one between processes.  Whatever exception ends the `with`
block, signals included: what was made in it is removed.

Limits:  a kill between two calls leaves a hidden file behind, nothing else.  A file
         system without hard links gets rename(2): there, a program that keeps to no
         reservation and takes the same name in the same instant loses its file.
Errors:  OSError that names action and path; a Writing adds who it was.
See:     link(2), fsync(2), mkdir(2)
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_PRIVATE = 0o700


def explained(error: OSError, action: str, path: str) -> OSError:
    """The same error, of the same class, saying what could not be done to which file."""
    return OSError(error.errno, f"cannot {action} {path}: {error.strerror}")


def hidden(path: str) -> str:
    """The temporary name of `path`, in the same directory."""
    directory, name = os.path.split(path)
    return os.path.join(directory, "." + name)


def make_directory(directory: str, mode: int = _PRIVATE, parents_mode: int = _PRIVATE) -> None:
    """Create it and the parents that are missing, each made known to its parent for good.

    The modes hold whatever the umask.  One that exists, or that another process creates (or removes again)
    meanwhile, is no error and keeps its mode.
    """
    missing = []
    path = directory
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        try:
            _make_one(path, mode if path == directory else parents_mode)
        except OSError as error:
            raise explained(error, "create", path) from error
        _flush_parent(path)


def _make_one(path: str, mode: int) -> None:
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        try:
            is_directory = stat.S_ISDIR(os.stat(path).st_mode)
        except FileNotFoundError:
            is_directory = not os.path.islink(path)  # it was one a moment ago, and another process has removed it
        if not is_directory:
            raise OSError(errno.ENOTDIR, "something else has this name") from None
        return
    if mode == _PRIVATE:
        return  # nothing in it for a umask to take away
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        has = stat.S_IMODE(os.fstat(fd).st_mode)
        if has & ~stat.S_ISGID != mode:
            os.fchmod(fd, mode | has & stat.S_ISGID)  # which a directory inherits, and a plain chmod would take away
    finally:
        os.close(fd)


def flush_directory(directory: str, parents: int = 0) -> None:
    """Make the names in it durable, and those in so many of its parents.

    Another process may have made a directory and not have flushed its parent yet: who puts a file there and promises
    that it stays flushes the parent too.  A parent that we may not read is left out.
    """
    _flush(directory)
    for _ in range(parents):
        directory = _flush_parent(directory)


def _flush_parent(path: str) -> str:
    parent = os.path.dirname(path) or "."
    try:
        _flush(parent)
    except PermissionError:
        pass  # a directory that one may pass through, or write to, but not read
    return parent


def _flush(directory: str) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise explained(error, "flush", directory) from error


def fill(fd: int, path: str, chunks: Iterable[bytes], also: Callable[[bytes], object] | None = None) -> None:
    """Write `chunks`, flush them to the disk and close `fd`, in any case.  `path` is for the error, `also` sees each chunk."""
    try:
        try:
            for chunk in chunks:
                if also is not None:
                    also(chunk)
                with memoryview(chunk) as view:
                    done = 0
                    while done < len(view):
                        done += os.write(fd, view[done:])
            os.fsync(fd)
        finally:
            os.close(fd)  # may report a late write error, on NFS for one
    except OSError as error:
        raise explained(error, "write", path) from error


class Writing:
    """One attempt to put files somewhere.  When it fails, none of them is left and the OSError begins with `who`."""

    __slots__ = ("_made", "_who")

    def __init__(self, who: str) -> None:
        self._who = who
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            return
        for path in reversed(self._made):
            try:
                os.unlink(path)
            except OSError:
                pass  # the disk is in trouble: the first error tells more
        if isinstance(error, OSError):
            raise OSError(error.errno or errno.EIO, f"{self._who}: {error.strerror or error}") from error

    def reserve(self, stems: Iterator[str], endings: Sequence[str] = ("",), mode: int = 0o600) -> tuple[str, int]:
        """The first free path of `stems`, and its hidden file (with the first of `endings`), open for writing.

        Free: no file has it, with any of `endings`.  `stems` goes on until it raises what is to be said after so many.
        FileNotFoundError if the directory is not there.
        """
        for stem in stems:
            path = hidden(stem) + endings[0]
            try:
                fd = self.create(path, mode)
            except FileExistsError:
                continue
            # Whoever had the name before either still holds the hidden one or has the visible one: publish leaves no gap.
            if not any(os.path.lexists(stem + ending) for ending in endings):
                return stem, fd
            os.close(fd)
            os.unlink(path)
            self._made.remove(path)
        raise FileExistsError(errno.EEXIST, "no name is free")

    def create(self, path: str, mode: int = 0o600, how: int = os.O_EXCL) -> int:
        """An empty file with exactly these permissions, open for writing.  FileExistsError; a symbolic link is never followed."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how, 0o600)
            self._made.append(path)
            if mode != 0o600:
                try:
                    os.fchmod(fd, mode)
                except OSError:
                    os.close(fd)
                    raise
        except OSError as error:
            raise explained(error, "create", path) from error
        return fd

    def publish(self, hidden_path: str, path: str) -> None:
        """Give the hidden file its name.  FileExistsError if something has it: nothing is overwritten."""
        try:
            try:
                os.link(hidden_path, path, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if os.path.lexists(path):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
                os.rename(hidden_path, path)
                self._made.append(path)
            else:
                self._made.append(path)
                os.unlink(hidden_path)
        except OSError as error:
            raise explained(error, "create", path) from error
        self._made.remove(hidden_path)  # from now on that name may be another process's
