"""Immutable random-access bytes: memory, or a file mapped into it.

A Source wraps an object with the buffer interface and `find`: `bytes` for what
is small, `mmap` for what lives in a file.  Mapped pages belong to the page
cache, so a 150 MB message costs address space, not memory.

Whoever opens the file gives its descriptor; this room opens nothing.

Errors:  ValueError from `mmap` if the descriptor cannot be mapped.
See:     store/spool.py, which makes Sources from streams
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

from lazaretto.model import Span

CHUNK = 1 << 18
_LITTLE = 1 << 19  # bytes

Buffer = bytes | mmap.mmap


class Source:
    """Bytes that never change, read at will.

    `data` has `find`, `rfind`, slicing (gives bytes), works with `re` and memoryview.
    `fd` is the open file behind it, or None for memory.
    """

    __slots__ = ("_digest", "data", "fd", "size")

    def __init__(self, data: Buffer, fd: int | None = None) -> None:
        self.data = data
        self.size = len(data)
        self.fd = fd
        self._digest = b""

    @classmethod
    def from_fd(cls, fd: int, size: int) -> Source:
        """Map `size` bytes of an open, regular file; the descriptor stays the caller's."""
        if size == 0:
            return cls(b"")
        return cls(mmap.mmap(fd, size, access=mmap.ACCESS_READ), fd)

    def read_at(self, offset: int, n: int) -> bytes:
        """At most `n` bytes from `offset`; short at the end."""
        return self.data[offset : offset + n]

    def span(self, span: Span) -> bytes:
        """The bytes of `span`: for what is known to be small."""
        return self.data[span.start : span.stop]

    def digest(self) -> bytes:
        """SHA-256 of all; the second time it costs nothing."""
        if not self._digest:
            counted = _sha256(self.size)()
            for chunk in self.chunks():
                counted.update(chunk)
            self._digest = counted.digest()
        return self._digest

    def chunks(self, span: Span | None = None, size: int = CHUNK) -> Iterator[bytes]:
        """The bytes of `span` (default: all) in pieces of at most `size`."""
        start, stop = span if span is not None else (0, self.size)
        for offset in range(start, stop, size):
            yield self.data[offset : min(offset + size, stop)]


_by_the_slow_one = 0  # bytes that this process has counted without hashlib


def _sha256(size: int) -> Any:
    """hashlib's, or, for little, the one that it falls back on: to load OpenSSL takes as long as that one needs for 800 KiB."""
    global _by_the_slow_one  # noqa: PLW0603 - it belongs to the process
    if "hashlib" not in sys.modules:
        _by_the_slow_one += size
        slow = _slow_sha256() if _by_the_slow_one < _LITTLE else None
        if slow is not None:
            return slow
    import hashlib

    return hashlib.sha256


@cache
def _slow_sha256() -> Any:
    for name in ("_sha2", "_sha256"):  # since Python 3.12, and before
        try:
            return import_module(name).sha256
        except (ImportError, AttributeError):  # an interpreter built without it
            pass
    return None


# Something that stores a stream and gives it back as a Source (store.spool.Spool.take).
Sink = Callable[[Iterable[bytes]], Source]
