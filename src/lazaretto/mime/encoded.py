"""Files encoded inside a text: what the finders for uuencode, yEnc and BinHex yield.

Some clients show such a block as an attachment wherever it stands: in a mail
without any MIME header, in a preamble, in HTML.  Each finder yields one Encoded
per reading of a block, so a doubtful block comes more than once, with the same
span.  All of them want scanning.

Limits:  max_encoded_blocks per finder and call; a block costs time that grows
         with its own size only, because a block ends where the next one begins.
Errors:  LimitExceeded("max_encoded_blocks"), after that many have been yielded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Span


class Encoded(NamedTuple):
    """One reading of one encoded file."""

    kind: str  # "uuencode", "begin-base64", "yenc", "binhex"
    name: bytes  # as written there, b"" if none
    span: Span  # the whole block: what an edit would remove
    chunks: Callable[[], Iterator[bytes]]  # the decoded file, from the start at each call; chunks may be empty
    anomalies: tuple[str, ...] = ()


def capped(found: Iterable[Encoded], limits: Limits) -> Iterator[Encoded]:
    """Pass `found` through; raise LimitExceeded instead of the first one too many."""
    for count, block in enumerate(found):
        if count >= limits.max_encoded_blocks:
            raise LimitExceeded("max_encoded_blocks", f"more than {limits.max_encoded_blocks} {block.kind} blocks")
        yield block


class Finder:
    """Finds `token` at or after ascending offsets.

    It keeps what it found, so that asking for each of many blocks where the next
    token is stays linear although there may be none.
    """

    __slots__ = ("_data", "_found", "_search", "_stop")

    def __init__(self, source: Source, token: bytes, stop: int) -> None:
        self._search = re.compile(re.escape(token)).search  # twice as fast as bytes.find
        self._data, self._stop = source.data, stop
        self._found = -1

    def after(self, offset: int) -> int:
        """Where it is, or `stop` if it does not follow."""
        if self._found < offset:
            found = self._search(self._data, offset, self._stop)
            self._found = found.start() if found else self._stop
        return self._found


def batched(pieces: Iterable[bytes], size: int = CHUNK) -> Iterator[bytes]:
    """Join small pieces into chunks of about `size` bytes."""
    held: list[bytes] = []
    total = 0
    for piece in pieces:
        held.append(piece)
        total += len(piece)
        # The count is bounded too: a million empty lines must not pile up.
        if total >= size or len(held) >= size:
            yield b"".join(held)
            held.clear()
            total = 0
    yield b"".join(held)


def cut(chunks: Iterable[bytes], start: int, stop: int | None = None) -> Iterator[bytes]:
    """The bytes [start, stop) of a stream; `stop` None means to its end."""
    offset = 0
    for chunk in chunks:
        left = max(start - offset, 0)
        right = len(chunk) if stop is None else stop - offset
        offset += len(chunk)
        yield chunk[left : max(right, 0)]
        if stop is not None and offset >= stop:
            return
