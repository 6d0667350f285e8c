from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import codec
from lazaretto.content.codec import Decoder, Stream
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Source

TEXT = b"".join(b"line %d\n" % (i * i) for i in range(4000))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def compress_zstd(data: bytes) -> bytes:
    module = codec.zstd_module()
    if module is None:
        pytest.skip("zstd is not installed")
    packed: bytes = module.compress(data)
    return packed


CODECS: list[tuple[Callable[[], Decoder], Callable[[bytes], bytes]]] = [
    (codec.deflate, raw_deflate),
    (codec.zlib_frame, zlib.compress),
    (codec.bzip2, bz2.compress),
    (codec.xz, lzma.compress),
    (codec.lzma_alone, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
    (codec.zstd, compress_zstd),
]
IDS = ["deflate", "zlib", "bzip2", "xz", "lzma", "zstd"]


def stream(make: Callable[[], Decoder], data: bytes, step: int = 0) -> Stream:
    if not step:
        return Stream(make, codec.feed_from(Source(data), 0, len(data), Meter()))
    return Stream(make, lambda: (data[i : i + step] for i in range(0, len(data), step)))


@pytest.mark.parametrize(("make", "pack"), CODECS, ids=IDS)
@pytest.mark.parametrize("step", [0, 1, 1000])
def test_whole_and_in_pieces_with_trailing_data(make: Callable[[], Decoder], pack: Callable[[bytes], bytes], step: int) -> None:
    packed = pack(TEXT)
    trailing = b"" if make is codec.lzma_alone else b"trailing bytes"  # .lzma files end where the file ends
    reading = stream(make, packed + trailing, step)
    assert b"".join(reading) == TEXT
    assert (reading.ended, reading.used, reading.error) == (True, len(packed), "")


@pytest.mark.parametrize(("make", "pack"), CODECS, ids=IDS)
def test_truncated_gives_a_prefix_and_no_error(make: Callable[[], Decoder], pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT * 20)
    reading = stream(make, packed[:-6])
    data = b"".join(reading)
    assert (TEXT * 20).startswith(data)
    assert not reading.ended
    assert not reading.error


@pytest.mark.parametrize(
    ("make", "pack"),
    [pair for pair, name in zip(CODECS, IDS, strict=True) if name not in ("zstd", "lzma")],
    ids=["deflate", "zlib", "bzip2", "xz"],
)
def test_bytes_before_an_error_are_not_lost(make: Callable[[], Decoder], pack: Callable[[bytes], bytes]) -> None:
    """All is in one call of the C library, which fails at the checksum (deflate: at the block after)."""
    packed = pack(TEXT)
    if make is codec.deflate:
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(TEXT) + packer.flush(zlib.Z_SYNC_FLUSH) + b"\xff\xff\xff"
    elif make is codec.xz:
        at = len(packed) - 12 - 12 - 8  # before footer and index: the CRC-64 of the block
        packed = packed[:at] + bytes(b ^ 1 for b in packed[at : at + 8]) + packed[at + 8 :]
    else:
        packed = packed[:-3] + b"\x55\x55\x55"
    reading = stream(make, packed)
    assert b"".join(reading) == TEXT
    assert reading.error


def test_chunks_are_bounded() -> None:
    reading = stream(codec.deflate, raw_deflate(bytes(3 << 20)))
    sizes = [len(chunk) for chunk in reading]
    assert sum(sizes) == 3 << 20
    assert max(sizes) <= CHUNK


def test_lzma_with_too_large_a_dictionary() -> None:
    packed = bytearray(lzma.compress(TEXT, lzma.FORMAT_ALONE))
    packed[1:5] = (0xFFFFFFFF).to_bytes(4, "little")
    reading = stream(codec.lzma_alone, bytes(packed))
    assert list(reading) == []
    assert reading.too_large


@pytest.mark.parametrize("properties", [225, 255, 8 + 9 * 4])
def test_lzma_raw_properties_that_cannot_be(properties: int) -> None:
    with pytest.raises(codec.CodecError):
        codec.lzma_raw(properties, 1 << 16).decompress(b"\0" * 20, 10)


def test_feed_looks_at_the_clock() -> None:
    now = iter(range(100))
    meter = Meter(deadline=2, clock=lambda: next(now))
    with pytest.raises(LimitExceeded, match="max_scan_s"):
        list(codec.feed_from(Source(bytes(1 << 20)), 0, 1 << 20, meter)())


def test_exceptions_of_the_feed_pass() -> None:
    def feed() -> Iterator[bytes]:
        yield raw_deflate(TEXT)[:100]
        raise LimitExceeded("max_unpacked_bytes")

    with pytest.raises(LimitExceeded):
        list(Stream(codec.deflate, feed))


@given(st.sampled_from([make for make, _ in CODECS if make is not codec.zstd]), st.binary(max_size=200), st.integers(1, 40))
def test_never_raises(make: Callable[[], Decoder], data: bytes, step: int) -> None:
    reading = stream(make, data, step)
    list(reading)
    assert 0 <= reading.used <= len(data)


@given(st.binary(max_size=3000), st.integers(0, 3000), st.integers(0, 255))
def test_damage_never_loses_what_zlib_gives_bytewise(data: bytes, at: int, value: int) -> None:
    packed = bytearray(raw_deflate(data))
    packed[at % len(packed)] = value
    expected = bytearray()
    plain = zlib.decompressobj(-15)
    try:
        for byte in packed:
            expected += plain.decompress(bytes((byte,)))
    except zlib.error:
        pass
    assert b"".join(stream(codec.deflate, bytes(packed))) == expected


# -- libraries that fail, or are not there


class Failing:
    """A decompressor of another library that ends in an exception."""

    eof = False
    needs_input = True
    unused_data = b""

    def __init__(self, exc: Exception) -> None:
        self.exc = exc

    def decompress(self, data: bytes, max_length: int) -> bytes:
        raise self.exc


class ZstdError(Exception):
    pass


@pytest.mark.parametrize(
    ("exc", "kind", "text"),
    [
        (ZstdError("bad frame"), codec.CodecError, "bad frame"),
        (ZstdError(), codec.CodecError, "ZstdError"),
        (EOFError("already at end"), codec.CodecError, "already at end"),
        (ValueError("no"), codec.CodecError, "no"),
        (ZstdError("Frame requires too much memory for decoding"), codec.MemoryLimitError, "Frame requires too much memory for decoding"),
        (ZstdError("Memory usage limit exceeded"), codec.MemoryLimitError, "Memory usage limit exceeded"),
        (MemoryError(), codec.MemoryLimitError, "out of memory"),
    ],
)
def test_errors_of_libraries(exc: Exception, kind: type[Exception], text: str) -> None:
    with pytest.raises(codec.CodecError) as caught:
        codec._Guarded(Failing(exc), ZstdError).decompress(b"x", 10)
    assert (type(caught.value), str(caught.value)) == (kind, text)
    reading = Stream(lambda: codec._Guarded(Failing(exc), ZstdError), lambda: iter([b"x"]))
    assert list(reading) == []
    assert (reading.error, reading.too_large, reading.ended) == (text, kind is codec.MemoryLimitError, False)


def test_other_errors_of_libraries_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        codec._Guarded(Failing(ZeroDivisionError()), ZstdError).decompress(b"x", 10)


@pytest.mark.parametrize(
    ("there", "expected"),
    [(("compression", "backports"), "compression"), (("compression",), "compression"), (("backports",), "backports"), ((), None)],
)
def test_which_zstd(there: tuple[str, ...], expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression", "backports"):
        package = ModuleType(name)
        package.zstd = name  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, package if name in there else None)
    assert codec.zstd_module() == expected


def test_without_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "zstd_module", lambda: None)
    with pytest.raises(codec.CodecError, match="zstd is not installed"):
        codec.zstd()
    reading = stream(codec.zstd, b"(\xb5/\xfd data")
    assert list(reading) == []
    assert (reading.error, reading.ended, reading.used, reading.too_large) == ("zstd is not installed", False, 0, False)


def test_lzma_raw() -> None:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    packed = lzma.compress(TEXT, lzma.FORMAT_RAW, filters=filters)
    for dictionary in (1 << 16, 0xFFFFFFFF):  # a liar's
        assert b"".join(stream(lambda d=dictionary: codec.lzma_raw(93, d), packed)) == TEXT  # type: ignore[misc]


@pytest.mark.parametrize("size", [0, 1, codec.FIRST_PIECE, codec.FIRST_PIECE + 1, 5 * codec.PIECE + 7])
def test_feed_from(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    source = Source(b"before" + data + b"after")
    feed = codec.feed_from(source, 6, 6 + size, Meter())
    for _ in range(2):  # as often as asked
        pieces = list(feed())
        assert b"".join(pieces) == data
        assert [len(piece) for piece in pieces[:1]] == [min(size, codec.FIRST_PIECE)] * bool(size)
        assert max(map(len, pieces), default=0) <= codec.PIECE
    assert b"".join(codec.feed_from(source, 6, 10**9, Meter())()) == data + b"after"


def test_stream_without_salvage() -> None:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"first") + packer.flush(zlib.Z_SYNC_FLUSH) + b"\xff" * 9
    feed = codec.feed_from(Source(packed), 0, len(packed), Meter())
    assert b"".join(Stream(codec.deflate, feed)) == b"first"
    assert b"".join(Stream(codec.deflate, feed, salvage=False)) == b""
