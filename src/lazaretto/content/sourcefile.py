"""A Source as a file object, for libraries that want one (zipfile).

Errors:  ValueError for a seek to before the start, as files have it.
"""

from __future__ import annotations

import io

from lazaretto.mime.source import Source


class SourceFile(io.RawIOBase):
    """Reads and seeks; keeps its own position, so that several can share a Source."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._source.size)[whence]
        if base + offset < 0:
            raise ValueError("seek to before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._source.size - self._position, 0)
        data = self._source.read_at(self._position, left if size is None or size < 0 else min(size, left))
        self._position += len(data)
        return data
