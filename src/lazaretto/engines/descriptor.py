"""Content that lives in a file, for programs that take a path or a descriptor.

The path is /proc/self/fd/N (Linux) or /dev/fd/N: it works for files that have
no name any more, and opening it gives an own read position.

Limits:  only if the open file is exactly the content: a longer file would have
         others scan what is not in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazaretto.mime.source import Source

_LINUX = os.path.isdir("/proc/self/fd")


def path_of(source: Source) -> str | None:
    """A path by which this process (and a child that inherits the descriptor) can open the content, or None."""
    if source.fd is None:
        return None
    try:
        size = os.fstat(source.fd).st_size
    except OSError:
        return None
    if size != source.size:
        return None
    return f"/proc/self/fd/{source.fd}" if _LINUX else f"/dev/fd/{source.fd}"


def reopen(source: Source) -> int | None:
    """A new read-only descriptor at position 0, to be closed by the caller; None if there is no way.

    Not `dup`: whoever gets a duplicate moves the read position of the original (clamd does).
    """
    path = path_of(source)
    if path is None:
        return None
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
