"""OpenPGP messages, armoured or binary: what is in them that needs no key.

A message may be merely signed or compressed, and then anybody can read it.
Packets are read as a stream, compressed ones inside out, so that size costs no
memory.  Armour is read leniently: no blank line, no checksum, any line length.

What is armoured as a message but holds no readable packet counts as encrypted:
nobody can look into it.

Limits:  MAX_LEVELS of compression, MAX_COMPRESSED bytes each; MAX_PACKETS; members and bytes are the meter's.
Errors:  none raised, LimitExceeded from the meter passes.  Problem pgp.encrypted.
See:     RFC 9580 s4.2 (packet headers), s5.6 (compressed), s5.9 (literal), s6 (armour)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lazaretto import regex
from lazaretto.content import codec
from lazaretto.content.container import Member, Problem
from lazaretto.content.inline import base64_pieces
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Reason

MAX_LEVELS = 8
MAX_PACKETS = 1000
MAX_COMPRESSED = 64 * MIB  # of one packet, held in memory
ENCRYPTED = "pgp.encrypted"

_COMPRESSED, _LITERAL = 8, 11
_ENCRYPTED = frozenset((1, 3, 9, 18, 20))  # session keys for a key or a password, data in three forms
_KNOWN = frozenset((*range(1, 15), 17, 18, 19, 20, 21))
_ARMOUR = regex.compile(rb"-----BEGIN PGP (?:MESSAGE|ARMORED FILE)[^\r\n-]{0,64}-{0,8}[^\r\n]{0,64}")
_ARMOUR_HEADERS = regex.compile(rb"(?:\s{0,64}[A-Za-z][A-Za-z0-9-]{0,40}:[^\r\n]{0,1000}[\r\n])*")
_CHECKSUM = regex.compile(rb"[\r\n]\s{0,64}=[A-Za-z0-9+/]{4}\s{0,64}\Z")

Chunks = Callable[[], Iterator[bytes]]  # as often as asked, from the start


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Members of a message, armoured (one or several) or binary."""
    if source.read_at(0, 1)[:1] > b"\x7f":
        yield from _packets(source.chunks, meter)
    else:
        yield from walk_text(source, meter)


def walk_text(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Armoured messages anywhere in a text."""
    data = source.data
    at = data.find(b"-----BEGIN PGP ")
    while at >= 0:
        armour = _ARMOUR.match(data, at)
        stop = data.find(b"-----END", at)
        stop = stop if stop >= 0 else source.size
        if armour:
            headers = _ARMOUR_HEADERS.match(data, armour.end(), stop)
            start = headers.end() if headers else armour.end()
            checksum = _CHECKSUM.search(data, max(start, stop - 80), stop)
            span = (start, checksum.start() if checksum else stop)
            yield from _packets(lambda span=span: base64_pieces(data, (span,)), meter)  # type: ignore[misc]
        at = data.find(b"-----BEGIN PGP ", stop)


class _Reader:
    """Bytes of a stream in the portions that are asked for; short at its end."""

    __slots__ = ("_buffer", "_chunks", "_position")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = self.some(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def some(self, most: int) -> bytes:
        """At least one byte, at most `most`, or nothing at the end."""
        while self._position >= len(self._buffer):
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._buffer = chunk
            self._position = 0
        part = self._buffer[self._position : self._position + most]
        self._position += len(part)
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.read(size), "big")


class _Body:
    """The content of one packet: iterate for the rest of it."""

    __slots__ = ("_left", "_partial", "_reader")

    def __init__(self, reader: _Reader, length: int | None, partial: bool) -> None:
        self._reader = reader
        self._left = length  # None: up to the end of the stream
        self._partial = partial

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (part := self._some(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def __iter__(self) -> Iterator[bytes]:
        while part := self._some(CHUNK):
            yield part

    def _some(self, most: int) -> bytes:
        if self._left is None:
            return self._reader.some(most)
        while not self._left and self._partial:
            self._left, self._partial = _new_length(self._reader)
        part = self._reader.some(min(most, self._left)) if self._left else b""
        self._left -= len(part)
        if not part:
            self._left, self._partial = 0, False
        return part


def _new_length(reader: _Reader) -> tuple[int, bool]:
    """Length of a packet in the new format, and whether another follows.  RFC 9580 s4.2.1"""
    first = reader.number(1)
    if first < 192:
        return first, False
    if first < 224:
        return ((first - 192) << 8) + reader.number(1) + 192, False
    if first == 255:
        return reader.number(4), False
    return 1 << (first & 31), True


def _packets(chunks: Chunks, meter: Meter, level: int = 0) -> Iterator[Member | Problem]:
    reader = _Reader(chunks())
    for number in range(MAX_PACKETS):
        first = reader.read(1)
        if not first:
            return
        tag, body = _header(first[0], reader)
        if body is None or tag not in _KNOWN:
            if number == 0 and level == 0:
                yield Problem(ENCRYPTED, "no readable packet", Reason.ENCRYPTED)
            return
        if tag in _ENCRYPTED:
            yield Problem(ENCRYPTED, "", Reason.ENCRYPTED)
            return
        if tag == _LITERAL:
            body.read(1)  # binary, text or UTF-8
            name = body.read(int.from_bytes(body.read(1), "big")).decode("utf-8", "replace")
            body.read(4)  # date
            named = name not in ("", "_CONSOLE")
            meter.member()
            yield Member((name,) if named else (), meter.unpack(body, 1 << 62), is_file=named)
        elif tag == _COMPRESSED:
            if level >= MAX_LEVELS:
                yield Problem("pgp.nesting", f"more than {MAX_LEVELS} levels of compression", Reason.LIMIT)
                return
            yield from _compressed(body, meter, level)
        for _ in body:
            pass


def _header(first: int, reader: _Reader) -> tuple[int, _Body | None]:
    if first & 0xC0 == 0xC0:  # the new format
        length, partial = _new_length(reader)
        return first & 0x3F, _Body(reader, length, partial)
    if first & 0x80:
        size = first & 3
        return first >> 2 & 15, _Body(reader, None if size == 3 else reader.number(1 << size), partial=False)
    return 0, None


def _compressed(body: _Body, meter: Meter, level: int) -> Iterator[Member | Problem]:
    """The packets inside a compressed one."""
    algorithm = body.read(1)
    packed = body.read(MAX_COMPRESSED)
    make = {b"\1": codec.deflate, b"\2": codec.zlib_frame, b"\3": codec.bzip2}.get(algorithm)
    source = Source(packed)
    if algorithm == b"\0":
        yield from _packets(source.chunks, meter, level + 1)
    elif make:
        stream = codec.Stream(make, codec.feed_from(source, 0, source.size, meter))
        yield from _packets(lambda: meter.unpack(stream, source.size), meter, level + 1)
    else:
        yield Problem("pgp.unsupported", f"compression {algorithm.hex()}", Reason.UNSUPPORTED)
    if len(packed) == MAX_COMPRESSED and body.read(1):
        yield Problem("pgp.size", f"more than {MAX_COMPRESSED} bytes compressed", Reason.LIMIT)
