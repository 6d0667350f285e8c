"""A private copy of an item for a scanner that wants a path, and taking back what it made of it.

    with handover.copied(item.content, place) as path:
        ...                                        # the scanner reads, or disinfects, the file
        changed = handover.take_back(path, item, ctx)

The file is called "content" and lives in a directory of its own, so that nothing a
mail says is in the path.  Only we can read it, unless the place says who else: a
daemon that runs as another user.

Limits:  those of ctx.limits for what is taken back.
Errors:  OSError if the copy cannot be written.  take_back raises what ctx.cleaned raises.
See:     docs/engines.md; engines/command.py, fprotd.py, fpscand.py
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from lazaretto.engines.base import ScanContext
from lazaretto.engines.options import Options
from lazaretto.errors import LimitExceeded
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Item


class Place(NamedTuple):
    """Where copies are made, and for whom."""

    directory: str = ""  # "": the system's for temporary files
    mode: int = 0o600  # of the file; its directory can be entered by whoever may read it
    group: int = -1  # of file and directory; -1: ours


PRIVATE = Place()


def place(options: Options) -> Place:
    """From the options temp_dir, file_mode ("0640") and file_group (a name or number)."""
    text, group = options.text("file_mode", "0600"), options.text("file_group")
    if not 3 <= len(text) <= 4 or not set(text) <= set("01234567") or int(text, 8) & ~0o666 or int(text, 8) & 0o600 != 0o600:
        raise options.error("file_mode", 'expected permissions without execution that leave us reading and writing, such as "0640"')
    number = -1
    if group.isascii() and group.isdigit():
        number = int(group)
    elif group:
        import grp

        try:
            number = grp.getgrnam(group).gr_gid
        except KeyError:
            raise options.error("file_group", f"there is no group {group!r}") from None
    return Place(options.text("temp_dir"), int(text, 8), number)


@contextmanager
def copied(content: Source, where: Place = PRIVATE) -> Iterator[str]:
    """The path of a copy of `content`, which is gone afterwards."""
    import tempfile

    # What a scanner that is somebody else has left there may not be ours to remove: no reason to forget what it said.
    with tempfile.TemporaryDirectory(
        prefix="lazaretto-", dir=where.directory or None, ignore_cleanup_errors=True
    ) as directory:  # mode 0700
        path = os.path.join(directory, "content")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.writelines(content.chunks())
            if where.group >= 0:
                os.chown(file.fileno(), -1, where.group)
                os.chown(directory, -1, where.group)
            if where.mode != 0o600:
                os.chmod(file.fileno(), where.mode)
        if where.mode & 0o077:
            os.chmod(directory, 0o700 | (0o010 if where.mode & 0o070 else 0) | (0o001 if where.mode & 0o007 else 0))
        yield path


def take_back(path: str, item: Item, ctx: ScanContext) -> bool:
    """Hand what the scanner made of the file to ctx.cleaned.

    False if it made nothing of it: the same bytes, no regular file, more than a limit allows; or if nobody wants it.
    """
    if ctx.cleaned is None or item.is_message:
        return False
    fd = _opened(path)
    if fd is None:
        return False
    with open(fd, "rb", buffering=0) as file:
        if _is_same(file, item.content):
            return False
        file.seek(0)
        try:
            ctx.cleaned(item, iter(lambda: file.read(CHUNK), b""))
        except LimitExceeded:
            return False
    return True


def is_changed(path: str, content: Source) -> bool:
    """Is the file no longer what it was, or gone?  Who changes it and says "clean" means what is there now."""
    fd = _opened(path)
    if fd is None:
        return True
    with open(fd, "rb", buffering=0) as file:
        return not _is_same(file, content)


def _opened(path: str) -> int | None:
    """The scanner may have put something else there, so no link is followed and no pipe waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _is_same(file: IO[bytes], content: Source) -> bool:
    if os.fstat(file.fileno()).st_size != content.size:
        return False
    return all(file.read(len(chunk)) == chunk for chunk in content.chunks())
