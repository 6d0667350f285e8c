"""One way of reading a zip member's data: by which method, from which bytes.

Limits:  Budget: bytes read from the file over all readings of all members.
Errors:  Reading's iteration may end in BrokenMember "zip.truncated", "zip.broken",
         "zip.overlap"; LimitExceeded from the meter passes through.
See:     APPNOTE s4.4.5 (methods), s5.8 (LZMA); codec
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from lazaretto.content import codec
from lazaretto.content.codec import CodecError, Decoder, Feed, Stream
from lazaretto.content.container import BrokenMember
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason

STORED, DEFLATE, BZIP2, LZMA, OLD_ZSTD, ZSTD, XZ, AES = 0, 8, 12, 14, 20, 93, 95, 99
PROBE_BYTES = 1 << 20  # of output: what decodes that far is no accident
ACCIDENT = 64  # bytes of output: one random file in some hundreds is a valid stream of a few bytes


class Budget:
    """Counts the bytes read, so that members which share bytes cannot multiply the work."""

    __slots__ = ("left", "meter", "source", "spent")

    def __init__(self, source: Source, meter: Meter, allowed: int) -> None:
        self.source = source
        self.meter = meter
        self.left = allowed
        self.spent = False

    def feed(self, start: int, stop: int) -> Feed:
        """As codec.feed_from; the feed raises BrokenMember once more than allowed has been read."""
        pieces = codec.feed_from(self.source, start, stop, self.meter)

        def feed() -> Iterator[bytes]:
            for piece in pieces():
                self.left -= len(piece)
                if self.left < 0:
                    self.spent = True
                    raise BrokenMember("zip.overlap", "members share their bytes: more was read than there is")
                yield piece

        return feed


class _ZipLzma:
    """LZMA1 behind zip's own header: version, length of properties, properties."""

    __slots__ = ("_head", "_raw")

    def __init__(self) -> None:
        self._head = b""
        self._raw: Decoder | None = None

    @property
    def eof(self) -> bool:
        return self._raw is not None and self._raw.eof

    @property
    def needs_input(self) -> bool:
        return self._raw is None or self._raw.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._raw.unused_data if self._raw else b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if self._raw is not None:
            return self._raw.decompress(data, max_length)
        self._head += data
        if len(self._head) < 9:
            return b""
        length = int.from_bytes(self._head[2:4], "little")
        if length != 5:
            raise CodecError("bad LZMA header")
        self._raw = codec.lzma_raw(self._head[4], int.from_bytes(self._head[5:9], "little"))
        return self._raw.decompress(self._head[9:], max_length)


# method -> decoder; True: the stream itself tells where it ends, whatever the header says
_METHODS: dict[int, tuple[Callable[[], Decoder], bool]] = {
    DEFLATE: (codec.deflate, True),
    BZIP2: (codec.bzip2, True),
    LZMA: (_ZipLzma, False),
    OLD_ZSTD: (codec.zstd, True),
    ZSTD: (codec.zstd, True),
    XZ: (codec.xz, True),
}


def readable(method: int) -> bool:
    """Whether Reading knows `method` here and now."""
    return method == STORED or (method in _METHODS and (method not in (ZSTD, OLD_ZSTD) or codec.zstd_module() is not None))


def self_ending(method: int) -> bool:
    """Whether data of `method` may be read past its declared size."""
    return method in _METHODS and _METHODS[method][1]


class Reading:
    """The data of one member.  Iterate once, then look at what came out.

    complete: all of it was read without an error.  size, crc: of what came out.
    used: packed bytes up to the end of the stream.
    """

    __slots__ = ("_feed", "_method", "_missing", "complete", "crc", "size", "used")

    def __init__(self, method: int, feed: Feed, missing: int = 0) -> None:
        self._method = method  # a readable one
        self._feed = feed
        self._missing = missing  # bytes that stored data should have after the end of the file
        self.complete = False
        self.crc = 0
        self.size = 0
        self.used = 0

    def __iter__(self) -> Iterator[bytes]:
        stream = Stream(_METHODS[self._method][0], self._feed) if self._method != STORED else None
        for chunk in self._feed() if stream is None else stream:
            self.crc = zlib.crc32(chunk, self.crc)
            self.size += len(chunk)
            yield chunk
        if stream is None:
            self.used = self.size
            if self._missing > 0:
                raise BrokenMember("zip.truncated", f"{self._missing} bytes are missing")
        else:
            self.used = stream.used
            if stream.error:
                raise BrokenMember("zip.broken", stream.error, Reason.LIMIT if stream.too_large else Reason.BROKEN)
            if not stream.ended and (self._method != LZMA or self._missing > 0):  # LZMA may go without an end mark
                raise BrokenMember("zip.truncated", f"after {self.size} bytes")
        self.complete = True


def looks_deflated(feed: Feed, packed: int, sums: set[int]) -> int:
    """Whether data that is said to be something else is a deflate stream: 0 no, 1 perhaps, 2 certainly.

    packed: how long the data is said to be.  sums: CRC-32s it is said to have.
    """
    stream = Stream(codec.deflate, feed, salvage=False)
    crc = size = 0
    for chunk in stream:
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        if size > PROBE_BYTES:
            return 1
    if not stream.ended or not size:
        return 0
    if crc in sums or (stream.used == packed and packed >= ACCIDENT):
        return 2
    return 1 if size >= ACCIDENT else 0


def has_checksum(feed: Feed, sums: set[int]) -> bool:
    """Whether the bytes as they stand have one of the CRC-32s."""
    crc = 0
    for piece in feed():
        crc = zlib.crc32(piece, crc)
    return crc in sums
