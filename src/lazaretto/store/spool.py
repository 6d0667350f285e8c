"""Spool: streams become Sources, small ones in memory, large ones in private files.

A Spool belongs to one message.  It owns every file that it made: `release`
gives one back early, `close` gives back the rest; a Source must not be read
after that.  The files have no name, so nothing is left over after a crash.

The descriptor of a Source is open for reading only where /proc allows it, so an
engine that is handed the descriptor cannot change what is delivered; its
position is the start.

Limits:  max_bytes, if given; memory_bytes plus one chunk are held in memory.
Errors:  LimitExceeded(limit) when a stream is longer than max_bytes; OSError that
         names the directory when it cannot be written (full, missing, no permission,
         no descriptors left); whatever the stream raises.  In each case nothing is
         left open.
See:     open(2) O_TMPFILE; mime/source.py
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable, Iterable
from typing import Self

from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime.source import CHUNK, Source

# What open(2) says where the kernel or the file system has no O_TMPFILE.
_NO_TMPFILE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})


def default_directory() -> str:
    """$TMPDIR, else /var/tmp: /tmp is often a tmpfs, where a spool file would cost the memory it should save."""
    for directory in (os.environ.get("TMPDIR", ""), "/var/tmp"):  # noqa: S108 - the files in it are unnamed and private
        if directory and os.path.isdir(directory):
            return directory
    return "/tmp"  # noqa: S108


class Spool:
    """Takes streams, gives Sources; closes what it opened.

    `directory` None means default_directory().  Streams of up to `memory_bytes` stay in memory.
    """

    __slots__ = ("_directory", "_memory_bytes", "_open")

    def __init__(self, directory: str | None = None, memory_bytes: int = DEFAULT.spool_memory_bytes) -> None:
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._open: dict[int, Source] = {}  # by descriptor

    def take(self, chunks: Iterable[bytes], max_bytes: int | None = None, limit: str = "max_message_bytes") -> Source:
        """Store a stream.  More than `max_bytes` raises LimitExceeded(`limit`) as soon as that is known."""
        source, problem = self._store(chunks, (), max_bytes, limit)
        if problem is not None:
            raise problem
        return source

    def take_partial(
        self,
        chunks: Iterable[bytes],
        kept: tuple[type[Exception], ...] = (),
        max_bytes: int | None = None,
        limit: str = "max_message_bytes",
    ) -> tuple[Source, Exception | None]:
        """Like take, but what came before LimitExceeded or one of the types in `kept` is stored,
        and the exception is returned beside it.  With `max_bytes`, exactly that many bytes are kept.
        """
        return self._store(chunks, (LimitExceeded, *kept), max_bytes, limit)

    def another(self) -> Spool:
        """A second Spool in the same place, to be closed on its own."""
        return Spool(self._directory, self._memory_bytes)

    def release(self, source: Source) -> None:
        """Give back the file behind `source` now; harmless for a Source in memory or released before."""
        if source.fd is None or self._open.get(source.fd) is not source:
            return
        del self._open[source.fd]
        _close(source)

    def close(self) -> None:
        """Give back all files."""
        while self._open:
            _close(self._open.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def intake(self) -> Intake:
        """For a stream that comes in pieces: write each, then finish."""
        return Intake(self._directory, self._memory_bytes, self._open.__setitem__)

    def _store(
        self, chunks: Iterable[bytes], kept: tuple[type[Exception], ...], max_bytes: int | None, limit: str
    ) -> tuple[Source, Exception | None]:
        intake = self.intake()
        problem: Exception | None = None
        try:
            try:
                for chunk in chunks:
                    if max_bytes is not None and intake.size + len(chunk) > max_bytes:
                        problem = LimitExceeded(limit, f"more than {max_bytes} bytes")
                        if not kept:
                            raise problem
                        intake.write(chunk[: max_bytes - intake.size])
                        break
                    intake.write(chunk)
            except kept as caught:
                problem = caught
            return intake.finish(), problem
        except BaseException:
            intake.abort()
            raise


class Intake:
    """One stream on its way into a Spool.  Whoever began it ends it, with finish or abort.

    OSError of write and finish as in the module; then it is to be aborted.
    """

    __slots__ = ("_adopt", "_directory", "_fd", "_full", "_pending", "size")

    def __init__(self, directory: str | None, memory_bytes: int, adopt: Callable[[int, Source], None]) -> None:
        self._directory = directory
        self._adopt = adopt
        self._fd = -1
        self._pending = bytearray()
        self._full = memory_bytes
        self.size = 0  # bytes so far

    def write(self, chunk: bytes) -> None:
        """The next piece."""
        self._pending += chunk
        self.size += len(chunk)
        if len(self._pending) > self._full:
            if self._fd < 0:
                self._fd = self._create()
                self._full = CHUNK
            self._write(self._fd, self._pending)
            self._pending.clear()

    def finish(self) -> Source:
        """All of it; the Spool owns the file behind it."""
        if self._fd < 0:
            return Source(bytes(self._pending))
        self._write(self._fd, self._pending)
        self._pending.clear()
        os.lseek(self._fd, 0, os.SEEK_SET)  # for whoever is handed the descriptor
        self._fd = _read_only(self._fd)
        source = self._map(self._fd, self.size)
        self._adopt(self._fd, source)
        self._fd = -1
        return source

    def abort(self) -> None:
        """Give back what it holds; harmless after finish."""
        self._pending.clear()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _create(self) -> int:
        directory = self._directory or default_directory()
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            try:
                return os.open(directory, flags | os.O_TMPFILE | os.O_EXCL, 0o600)
            except (OSError, AttributeError) as error:
                if isinstance(error, OSError) and error.errno not in _NO_TMPFILE:
                    raise
            path = os.path.join(directory, f".lazaretto-{os.urandom(12).hex()}")
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                os.unlink(path)
            except OSError:
                os.close(fd)
                raise
            return fd
        except OSError as error:
            raise self._explained(error, "create a spool file in") from error

    def _write(self, fd: int, data: bytearray) -> None:
        try:
            with memoryview(data) as view:
                done = 0
                while done < len(view):
                    done += os.write(fd, view[done:])
        except OSError as error:
            raise self._explained(error, "write a spool file in") from error

    def _map(self, fd: int, size: int) -> Source:
        try:
            return Source.from_fd(fd, size)
        except OSError as error:
            raise self._explained(error, "map a spool file in") from error

    def _explained(self, error: OSError, action: str) -> OSError:
        directory = self._directory or default_directory()
        return OSError(error.errno, f"cannot {action} {directory}: {error.strerror}")


def _read_only(fd: int) -> int:
    """The same file, open for reading only; `fd` itself where there is no /proc."""
    try:
        other = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return fd
    os.close(fd)
    return other


def _close(source: Source) -> None:
    if isinstance(source.data, mmap.mmap):
        try:
            source.data.close()
        except BufferError:
            pass  # somebody still holds a memoryview: the mapping goes when that goes
    if source.fd is not None:
        os.close(source.fd)
