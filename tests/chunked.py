"""A Source that is read in small pieces, so that every chunk border is somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.mime.source import Source
from lazaretto.model import Span


class Chunked(Source):
    """As Source, but `chunks` gives at most `piece` bytes."""

    __slots__ = ("piece",)

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self.piece = piece

    def chunks(self, span: Span | None = None, size: int = 0) -> Iterator[bytes]:
        return super().chunks(span, size=min(size or self.piece, self.piece))

    @property
    def all(self) -> Span:
        return Span(0, self.size)
