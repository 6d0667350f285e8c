"""Files written into text: data: URIs and long encoded strings.

HTML smuggling, pictures in mail, binData in flat Office XML, photos in contacts:
somewhere in a text stand base64, hexadecimal digits, escapes or lists of
numbers, and a program makes bytes of them.  Readers here are lenient: what is
not in the alphabet is skipped, padding may be missing or doubled.

Limits:  one pass; decodes in pieces; the number of members is the meter's.
Errors:  none raised, LimitExceeded from the meter passes.
See:     RFC 2397 (data: URIs), RFC 4648 (base64); html, calendar, cms, pgp use it
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence

from lazaretto import regex
from lazaretto.content import codec
from lazaretto.content.container import Member
from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Buffer, Source

MIN_STRING = 40  # shorter ones are colours, identifiers and words
Spans = Sequence[tuple[int, int]]
Decode = Callable[[Buffer, Spans], Iterator[bytes]]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_NOT_BASE64 = bytes(byte for byte in range(256) if byte not in _ALPHABET)
_NOT_HEX = bytes(byte for byte in range(256) if byte not in b"0123456789ABCDEFabcdef")

# What a file that matters begins with.
MAGIC = regex.compile(
    rb"MZ|PK[\x01\x03\x05]|%PDF|\x7fELF|\xd0\xcf\x11\xe0|Rar!|7z\xbc\xaf|\x1f\x8b|MSCF|\{\\rt|ITSF|L\0\0\0\x01\x14|\xca\xfe\xba\xbe"
    rb"|ActiveMime|X5O!|(?:\xef\xbb\xbf)?\s{0,16}<|#!|#@~\^|[\xff\xfe]{2}|-----BEGIN|BZh|\xfd7zXZ"
)


def base64_pieces(data: Buffer, spans: Spans) -> Iterator[bytes]:
    """The bytes that the base64 in `spans`, joined, stands for, in either alphabet.

    Everything outside the alphabet is skipped, "=" too.
    """
    rest = b""
    for start, stop in spans:
        for offset in range(start, stop, CHUNK):
            digits = rest + data[offset : min(offset + CHUNK, stop)].translate(_URL_SAFE, _NOT_BASE64)
            whole = len(digits) // 4 * 4
            if whole:
                yield binascii.a2b_base64(digits[:whole])
            rest = digits[whole:]
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"=" * (4 - len(rest)))


def percent_base64_pieces(data: Buffer, spans: Spans) -> Iterator[bytes]:
    """base64_pieces of a text some of whose letters are escapes: %3D at the end is common, browsers take them anywhere."""
    rest = b""
    for text in percent_pieces(data, spans):
        digits = rest + text.translate(_URL_SAFE, _NOT_BASE64)
        whole = len(digits) // 4 * 4
        if whole:
            yield binascii.a2b_base64(digits[:whole])
        rest = digits[whole:]
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"=" * (4 - len(rest)))


def decode_base64(text: bytes) -> bytes:
    """base64_pieces of a text that is small."""
    return b"".join(base64_pieces(text, ((0, len(text)),)))


def hex_pieces(data: Buffer, spans: Spans) -> Iterator[bytes]:
    """The bytes that hexadecimal digits stand for; everything else is skipped."""
    rest = b""
    for start, stop in spans:
        for offset in range(start, stop, CHUNK):
            digits = rest + data[offset : min(offset + CHUNK, stop)].translate(None, _NOT_HEX)
            whole = len(digits) // 2 * 2
            if whole:
                yield binascii.unhexlify(digits[:whole])
            rest = digits[whole:]


_ESCAPE = regex.compile(rb"%([0-9A-Fa-f]{2})")


def percent_pieces(data: Buffer, spans: Spans) -> Iterator[bytes]:
    """The text in `spans` with its %XX resolved."""
    for start, stop in spans:
        while start < stop:
            end = min(start + CHUNK, stop)
            if end < stop:  # no cut inside an escape
                cut = data.rfind(b"%", end - 2, end)
                end = cut if cut >= 0 else end
            yield _ESCAPE.sub(lambda m: bytes((int(m[1], 16),)), data[start:end])
            start = end


_NUMBER = regex.compile(rb"0[xX][0-9A-Fa-f]{1,2}|\d{1,3}")


def number_pieces(data: Buffer, spans: Spans) -> Iterator[bytes]:
    """The bytes of lists such as 77,90,0x90,0."""
    out = bytearray()
    for start, stop in spans:
        for match in _NUMBER.finditer(data, start, stop):
            digits = match[0]
            out.append((int(digits, 16) if digits[1:2] in b"xX" and len(digits) > 2 else int(digits)) & 255)
            if len(out) >= CHUNK:
                yield bytes(out)
                out.clear()
    yield bytes(out)


class Encoded:
    """A file in a text: where it stands, what is declared, how to get its bytes."""

    __slots__ = ("_data", "_decode", "_spans", "media_type", "start", "stop")

    def __init__(self, data: Buffer, start: int, spans: Spans, decode: Decode, media_type: str = "") -> None:
        self._data = data
        self._spans = spans
        self._decode = decode
        self.start = start
        self.stop = spans[-1][1]
        self.media_type = media_type

    def chunks(self) -> Iterator[bytes]:
        return self._decode(self._data, self._spans)

    def head(self) -> bytes:
        """The first bytes, enough to recognise them."""
        start, stop = self._spans[0]
        return b"".join(self._decode(self._data, ((start, min(stop, start + 96)),)))

    def members(self, names: tuple[str, ...], meter: Meter, *, is_file: bool) -> Iterator[Member]:
        """The file as a member; ActiveMime (macros in Office XML and web archives) is opened too."""
        packed = self.stop - self.start
        meter.member()
        yield Member(names, meter.unpack(self.chunks(), packed), is_file, self.media_type)
        head = self.head()
        if head.startswith(b"ActiveMime"):
            meter.member()
            yield Member(("editdata.ole",), meter.unpack(_active_mime(self.chunks(), meter), packed), is_file=False)


def _active_mime(chunks: Iterable[bytes], meter: Meter) -> Iterator[bytes]:
    """What the zlib stream behind a header of some fifty bytes holds: an OLE file."""
    blob = b"".join(chunks)
    start = blob.find(b"\x78", 10, 256)
    if start > 0:
        yield from codec.Stream(codec.zlib_frame, codec.feed_from(Source(blob), start, len(blob), meter))


# -- data: URIs

_URI = regex.compile(rb"[\w!#$&.+^/;=%*\s\"-]{0,256},")
_CLOSER = {0x22: b'"', 0x27: b"'", 0x28: b")", 0x60: b"`"}
_BARE_END = regex.compile(rb"[\s\"'<>)\\]")


def data_uris(data: Buffer) -> Iterator[Encoded]:
    """All data: URIs of `data`, none inside another."""
    done = 0
    for start in find_all(data, b"data:"):
        match = _URI.match(data, start + 5) if start >= done else None
        if not match:
            continue
        head = b"".join(match[0][:-1].lower().split())
        before = data[max(0, start - 8) : start].rstrip()
        closer = _CLOSER.get(before[-1]) if before else None
        if closer:
            stop = data.find(closer, match.end())
        else:
            end = _BARE_END.search(data, match.end())
            stop = end.start() if end else -1
        done = stop if stop >= 0 else len(data)
        decode = percent_pieces if b";base64" not in head else _base64_of(data, match.end(), done)
        yield Encoded(data, start, ((match.end(), done),), decode, head.split(b";", 1)[0].decode("latin-1"))


def _base64_of(data: Buffer, start: int, stop: int) -> Decode:
    return base64_pieces if data.find(b"%", start, stop) < 0 else percent_base64_pieces


def find_all(data: Buffer, word: bytes) -> Iterator[int]:
    """Where `word` (lower case) stands, in any case."""
    for offset in range(0, len(data), CHUNK):
        chunk = data[offset : offset + CHUNK + len(word) - 1].lower()
        at = chunk.find(word)
        while at >= 0:
            yield offset + at
            at = chunk.find(word, at + 1)


# -- long encoded strings


def _classes(members: bytes) -> bytes:
    return bytes(0x41 if byte in members else 0x20 for byte in range(256))


_DIGITS = _classes(_ALPHABET)
_NUMBERS = _classes(b"0123456789ABCDEFabcdefxX,\"' \t\r\n")
_BYTE = rb"(?:0[xX][0-9A-Fa-f]{1,2}+|\d{1,3}+)(?![\w.])"
_LIST = regex.compile(rb"(?:%s[\s\"']{0,3}+,[\s\"']{0,3}+){%d,}+(?:%s)?" % (_BYTE, MIN_STRING, _BYTE))
_ESCAPES = tuple(regex.compile(mark + rb"[0-9A-Fa-f]{2}(?:%s[0-9A-Fa-f]{2}){%d,}+" % (mark, MIN_STRING)) for mark in (b"%", rb"\\x"))
# A string goes on after line ends, and after "+" between quotes: var b = "TVqQ..." +\n "AAMA..."; not if code follows.
_MORE = regex.compile(rb"([\s\\]{1,80}+|[\s\"'`,\\]{0,40}\+[\s\"'`\\]{0,40})([A-Za-z0-9+/_-]{4,}+)(?![:.(])")
_HEX = regex.compile(rb"[0-9A-Fa-f]+")


def strings(data: Buffer) -> Iterator[Encoded]:
    """What the long encoded strings of `data` stand for, where it may be a file."""
    yield from _base64_strings(data)
    done = 0
    for start, stop in _runs(data, _NUMBERS, 2 * MIN_STRING):
        if start >= done and (match := _LIST.search(data, start, stop)):
            done = match.end()
            yield Encoded(data, match.start(), (match.span(),), number_pieces)
    for pattern in _ESCAPES:  # "%", "\" and "x" are outside the hexadecimal alphabet
        for match in pattern.finditer(data):
            yield Encoded(data, match.start(), (match.span(),), hex_pieces)


def _base64_strings(data: Buffer) -> Iterator[Encoded]:
    """Base64 and hexadecimal.

    A string that begins at a quote, bracket, blank or tag end is taken as it is;
    one that begins elsewhere (a long token in a link) only if what it decodes to
    begins like a file.
    """
    done = 0
    for start, stop in _runs(data, _DIGITS, MIN_STRING):
        if start < done:
            continue
        done = stop
        spans = [(start, stop)]
        while data[done : done + 1] != b"=" and (more := _MORE.match(data, done)):
            if more[1].isspace():  # one span: lines are many
                spans[-1] = (spans[-1][0], more.end())
            else:
                spans.append(more.span(2))
            done = more.end()
        before = data[max(0, start - 48) : start]
        if b"data:" in before.lower():
            continue  # data_uris has it
        found = Encoded(data, start, spans, base64_pieces)
        if not before or before[-1] in b"\"'`(,>; \t\r\n\\" or MAGIC.match(found.head()):
            yield found
        if _HEX.fullmatch(data[start : min(start + 2 * MIN_STRING, spans[0][1])]):
            yield Encoded(data, start, spans, hex_pieces)


def _runs(data: Buffer, classes: bytes, minimum: int) -> Iterator[tuple[int, int]]:
    """Where at least `minimum` bytes of a class stand together.

    A regular expression does this at 20 MB/s; translating and finding is fifty times as fast.
    """
    needle = b"A" * minimum
    size = len(data)
    start = 0
    while start < size:
        chunk = data[start : start + CHUNK].translate(classes)
        at = 0
        while (at := chunk.find(needle, at)) >= 0:
            stop = chunk.find(b" ", at)
            if stop < 0:
                break
            yield start + at, start + stop
            at = stop
        if at >= 0:  # goes on in the next chunks
            begin = start + at
            start += len(chunk)
            while start < size:
                chunk = data[start : start + CHUNK].translate(classes)
                stop = chunk.find(b" ")
                if stop >= 0:
                    start += stop
                    break
                start += len(chunk)
            yield begin, start
        elif start + len(chunk) >= size:
            return
        else:
            start += len(chunk.rstrip(b"A"))
