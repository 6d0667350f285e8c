"""Backup: each message as it came in, one file a message, one directory a day.

    DIR/0701/1782900000.4711      MMDD/<unix time>.<pid>; the day is local time
    DIR/0701/1782900000.4711.1    the second one of that process in that second

Whoever finds such a file finds the whole message, and once put() has returned it
outlives a power cut.  discard() takes a message away again (-quarantine: it came
out unchanged), and the directory of its day with the last one.  Processes may do
both at the same time: one whose directory is taken away makes it again.

A file is never readable for others, whatever `file_mode` says.  `directory_mode` is for
DIR and the days; parents of DIR that are missing get it too, but nobody else's right
to write.  A DIR that several users write to needs the sticky bit, 01777: without it, each could
remove the mail of the others.

Limits:  1000 messages of one pid in one second; a directory taken away 1000 times.
Errors:  OSError: "Unable to create backup basedir ...", "Unable to create backup subdir ...",
         "backup: cannot write ..."; then nothing is left under a final name.
         ValueError from discard for a path that put() cannot have given.
See:     scan-mail(8) -backup, -quarantine; store/durable.py
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.store import durable
from lazaretto.store.durable import Writing

_TRIES = 1000
_GIVEN = regex.compile(r"[0-9]{4}/[0-9]+\.[0-9]+(?:\.[0-9]+)?")


class Backup:
    """A directory of messages as received.  Nothing is opened before the first put."""

    __slots__ = ("_directory", "_directory_mode", "_file_mode")

    def __init__(self, directory: str, file_mode: int = 0o600, directory_mode: int = 0o700) -> None:
        self._directory = directory
        self._file_mode = file_mode & 0o660
        self._directory_mode = directory_mode & 0o1777

    def put(self, source: Source, now: float, pid: int) -> str:
        """Store `source` durably; the path of its file.  `now`: seconds since 1970 of its reception, by `pid`."""
        day = os.path.join(self._directory, time.strftime("%m%d", time.localtime(now)))
        for _ in range(_TRIES):
            self._make_directories(day)
            with Writing("backup") as writing:
                try:
                    path, fd = writing.reserve(_paths(day, now, pid), mode=self._file_mode)
                except FileNotFoundError:
                    continue  # another process has discarded the last message of the day, and the day with it
                hidden = durable.hidden(path)
                durable.fill(fd, hidden, source.chunks())
                writing.publish(hidden, path)
                durable.flush_directory(day, parents=1)
            return path
        raise OSError(errno.ENOENT, f"Unable to create backup subdir {day}: it is always removed again")

    def discard(self, path: str) -> None:
        """Remove what put() gave as `path`, and its day if that was the last; no error if it is gone already."""
        if not _GIVEN.fullmatch(os.path.relpath(path, self._directory)):
            raise ValueError(f"not a backup of {self._directory}: {path!r}")
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise OSError(error.errno, f"backup: cannot remove {path}: {error.strerror}") from error
        day = os.path.dirname(path)
        try:
            os.rmdir(day)
            day = self._directory
        except OSError:
            pass  # usually: it is not empty
        try:
            durable.flush_directory(day)
        except OSError:
            pass  # if the lights go out, there is one copy too many

    def _make_directories(self, day: str) -> None:
        mode = self._directory_mode
        for directory, what in ((self._directory, "basedir"), (day, "subdir")):
            try:
                durable.make_directory(directory, mode, mode & 0o755)
            except OSError as error:
                reason = os.strerror(error.errno or errno.EIO)
                raise OSError(error.errno, f"Unable to create backup {what} {directory}: {reason}") from error


def _paths(day: str, now: float, pid: int) -> Iterator[str]:
    for number in range(_TRIES):
        yield os.path.join(day, f"{int(now)}.{pid}" + (f".{number}" if number else ""))
    raise OSError(errno.EEXIST, f"cannot store in {day}: {_TRIES} messages of process {pid} in one second")
