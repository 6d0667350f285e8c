"""Decoders of compressed streams behind one interface, and Stream, which runs one.

Stream yields what a stream holds and keeps what it learnt (`ended`, `used`,
`error`).  The C libraries throw away what a failing call had already decoded,
so the failed piece is decoded again byte by byte: a stream that breaks in its
last byte still gives all others.

Limits:  dictionaries of MAX_DICTIONARY bytes; output in pieces of at most CHUNK.
         The feed counts the input and looks at the clock: there may be no output.
Errors:  decoders raise CodecError, Stream none of its own; whatever the feed
         raises (LimitExceeded, BrokenMember) passes through.
See:     RFC 1950 (zlib), RFC 1951 (deflate), RFC 8878 (zstd); compressed, zip_archive
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Source

PIECE = 1 << 14  # input per call: what is decoded again, slowly, where a stream breaks
FIRST_PIECE = 512  # thousands of tiny streams in a row must not each cost a whole piece
MAX_DICTIONARY = 128 << 20  # xz -9 needs 65 MiB; 128 MiB is zstd's own default

Feed = Callable[[], Iterator[bytes]]  # the packed bytes in small pieces, from the start, as often as asked


class CodecError(Exception):
    """The packed bytes are wrong."""


class MemoryLimitError(CodecError):
    """The stream asks for more memory than MAX_DICTIONARY."""


class Decoder(Protocol):
    """The interface of bz2's, lzma's and zstd's decompressors."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater:
    """zlib's decompressor behind that interface; `wbits` as in zlib."""

    __slots__ = ("_full", "_z")

    def __init__(self, wbits: int) -> None:
        self._z = zlib.decompressobj(wbits)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._z.eof

    @property
    def needs_input(self) -> bool:
        return not self._full and not self._z.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._z.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        try:
            out = self._z.decompress(self._z.unconsumed_tail + data, max_length)
        except zlib.error as exc:
            raise CodecError(str(exc)) from None
        self._full = len(out) == max_length  # zlib may hold back more without any input left
        return out


class _Guarded:
    """A decoder of another library, with its exceptions turned into CodecError."""

    __slots__ = ("_decoder", "_error")

    def __init__(self, decoder: Any, error: type[Exception]) -> None:
        self._decoder = decoder
        self._error = error

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._decoder.needs_input)

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._decoder.unused_data
        return unused

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        try:
            out: bytes = self._decoder.decompress(data, max_length)
        except (self._error, ValueError, EOFError) as exc:
            text = str(exc) or type(exc).__name__
            raise (MemoryLimitError if "emory" in text else CodecError)(text) from None
        except MemoryError:
            raise MemoryLimitError("out of memory") from None
        return out


def deflate() -> Decoder:
    """Raw deflate, RFC 1951."""
    return Inflater(-zlib.MAX_WBITS)


def zlib_frame() -> Decoder:
    """Deflate in a zlib frame, RFC 1950."""
    return Inflater(zlib.MAX_WBITS)


def bzip2() -> Decoder:
    import bz2

    return _Guarded(bz2.BZ2Decompressor(), OSError)


def xz() -> Decoder:
    import lzma

    return _Guarded(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY), lzma.LZMAError)


def lzma_alone() -> Decoder:
    """The old .lzma file."""
    import lzma

    return _Guarded(lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_DICTIONARY), lzma.LZMAError)


def lzma_raw(properties: int, dictionary: int) -> Decoder:
    """LZMA1 without a frame.  CodecError if `properties` is no possible value."""
    import lzma

    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    # a liar's dictionary of 4 GiB is not needed for what fits in here
    size = min(max(dictionary, 4096), MAX_DICTIONARY)
    try:
        decoder = lzma.LZMADecompressor(
            lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": lc, "lp": lp, "pb": pb}]
        )
    except (lzma.LZMAError, ValueError):
        raise CodecError("bad LZMA properties") from None
    return _Guarded(decoder, lzma.LZMAError)


def zstd_module() -> Any:
    """Python 3.14's compression.zstd, or the same as a package; None if neither is there."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            return None
    return zstd


def zstd() -> Decoder:
    module = zstd_module()
    if module is None:
        raise CodecError("zstd is not installed")
    return _Guarded(module.ZstdDecompressor(), module.ZstdError)


def feed_from(source: Source, start: int, stop: int, meter: Meter) -> Feed:
    """The bytes of `source` from `start` to `stop` in small pieces, asking the meter for each."""

    def feed() -> Iterator[bytes]:
        offset, size = start, FIRST_PIECE
        while offset < stop:
            meter.tick()
            piece = source.data[offset : min(offset + size, stop)]
            if not piece:
                return
            yield piece
            offset += len(piece)
            size = min(size * 2, PIECE)

    return feed


class Stream:
    """One compressed stream.  Iterate once for its bytes, then look at the rest.

    ended: its end mark was reached.  used: packed bytes up to there.
    error: why it broke, "" if it did not (not ended and no error: the input ran out).
    too_large: it broke because it wants more memory than allowed.
    """

    __slots__ = ("_at", "_feed", "_make", "_salvage", "ended", "error", "too_large", "used")

    def __init__(self, make: Callable[[], Decoder], feed: Feed, *, salvage: bool = True) -> None:
        self._make = make
        self._feed = feed
        self._salvage = salvage
        self._at = 0  # where the piece begins that is being decoded
        self.ended = False
        self.used = 0
        self.error = ""
        self.too_large = False

    def __iter__(self) -> Iterator[bytes]:
        given = 0
        try:
            for out in self._decode(-1):
                given += len(out)
                yield out
            return
        except CodecError as exc:
            self.error = str(exc)
            self.too_large = isinstance(exc, MemoryLimitError)
        if not self._salvage or self.too_large:
            return
        try:
            for out in self._decode(self._at):
                if given < len(out):
                    yield out[given:]
                given = max(given - len(out), 0)
        except CodecError:
            pass  # the same error again

    def _decode(self, slow_at: int) -> Iterator[bytes]:
        decoder = self._make()
        fed = 0
        for piece in self._feed():
            self._at = fed
            step = 1 if fed == slow_at else len(piece)
            for part in [piece[i : i + step] for i in range(0, len(piece), step)] if piece else ():
                fed += len(part)
                out = decoder.decompress(part, CHUNK)
                while out:
                    yield out
                    out = b"" if decoder.eof or decoder.needs_input else decoder.decompress(b"", CHUNK)
                self.used = fed
                if decoder.eof:
                    self.ended = True
                    self.used = fed - len(decoder.unused_data)
                    return
