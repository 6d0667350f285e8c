"""CMS, the form of S/MIME messages that hides them in one part (smime.p7m).

Signed, authenticated and digested data hold a MIME entity that anybody can read
without a key; compressed data one that zlib unpacks; only enveloped and
encrypted data are closed.  The encoding is BER: lengths may be indefinite and
the content be cut into any number of strings.  PEM armour and plain base64 are
taken too, and bytes before the structure skipped.

Limits:  MAX_DEPTH of nested strings; nothing is copied but what PEM encodes or
         zlib packed.
Errors:  none raised, LimitExceeded from the meter passes.  Problems
         smime.encrypted, smime.broken.
See:     RFC 5652 s3, s5, s6; RFC 3274 (compressed data); RFC 8551; X.690 s8 (BER)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.content import codec
from lazaretto.content.container import Member, Problem
from lazaretto.content.inline import base64_pieces
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Reason

MAX_DEPTH = 32
MAX_ELEMENTS = 100_000  # passed over in one structure: certificates, revocation lists
MAX_PEM = 64 * MIB
SEARCH = 64 << 10

_OCTETS, _OID, _SEQUENCE, _CONTEXT_0 = 0x04, 0x06, 0x30, 0xA0
_CONSTRUCTED = 0x20

# Content types: 1.2.840.113549.1.7.N and 1.2.840.113549.1.9.16.1.N
_TYPE = regex.compile(
    rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x02-\x06]|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01[\x02\x09\x17])"
)
_CLOSED = (b"\x01\x07\x03", b"\x01\x07\x04", b"\x01\x07\x06", b"\x10\x01\x17")  # enveloped, signed and enveloped, encrypted, AuthEnveloped
_COMPRESSED = b"\x10\x01\x09"
_BEGIN = b"-----BEGIN "
_BORDER = regex.compile(rb"-----(?:BEGIN|END)")
_PEM = regex.compile(rb"-----BEGIN (?:PKCS ?#?7(?: SIGNED DATA)?|CMS|SMIME|PKCS7 MESSAGE)-----")
_BASE64 = regex.compile(rb"[A-Za-z0-9+/=\s]{64,}\Z")
_FIELD = regex.compile(rb"(?i)\A[\s\xef\xbb\xbf]{0,64}[!-9;-~]{1,128}[ \t]{0,16}:|[\r\n]content-")


class _Element(NamedTuple):
    """One BER element: its tag, and where its content lies; stop None if its length is indefinite."""

    tag: int
    start: int
    stop: int | None


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """The entity inside, or why it cannot be reached; nothing for detached signatures."""
    armoured = source.data.find(_BEGIN, 0, SEARCH) >= 0  # which a binary structure may contain, too
    if armoured:
        yield from walk_text(source, meter)
    if _BASE64.match(source.read_at(0, 4096)):
        source = Source(b"".join(base64_pieces(source.data, ((0, min(source.size, MAX_PEM)),))))
    if _TYPE.search(source.data, 0, SEARCH):
        yield from _content_info(source, meter)
    elif not armoured:
        yield Problem("smime.broken", "no content type", Reason.BROKEN)


def walk_text(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """PEM-armoured structures anywhere in a text; each ends where another begins, if not before."""
    data = source.data
    for armour in _PEM.finditer(data):
        end = _BORDER.search(data, armour.end(), armour.end() + MAX_PEM)
        stop = end.start() if end is not None else min(source.size, armour.end() + MAX_PEM)
        blob = b"".join(base64_pieces(data, ((armour.end(), stop),)))
        yield from _content_info(Source(blob), meter)


def _content_info(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """RFC 5652 s3, beginning at the content type: what stands before it is of no interest."""
    kind = _TYPE.search(source.data, 0, SEARCH)
    if kind is None:
        return
    if kind[0].endswith(_CLOSED):
        yield Problem("smime.encrypted", "", Reason.ENCRYPTED)
        return
    outer = _read(source, kind.end(), source.size)
    body = _read(source, outer.start, source.size) if outer and outer.tag == _CONTEXT_0 else None
    if outer is None or body is None or body.tag != _SEQUENCE:
        yield Problem("smime.broken", "no content", Reason.BROKEN)
        return
    try:
        content = _encapsulated(source, body)
    except ValueError:
        yield Problem("smime.broken", "no encapsulated content", Reason.BROKEN)
        return
    if content is None:
        return
    if kind[0].endswith(_COMPRESSED):
        packed = b"".join(_octets(source, content))
        stream = codec.Stream(codec.zlib_frame, codec.feed_from(Source(packed), 0, len(packed), meter))
        meter.member()
        yield Member((), meter.unpack(stream, len(packed)), is_file=False, media_type="message/rfc822")
        return
    entity = _FIELD.search(next(_octets(source, content), b"")[:4096])
    meter.member()
    yield Member((), meter.unpack(_octets(source, content), source.size), is_file=False, media_type="message/rfc822" if entity else "")


def _encapsulated(source: Source, body: _Element) -> _Element | None:
    """The content in EncapsulatedContentInfo: a type and [0]; an AlgorithmIdentifier has no [0].  s5.2

    None if there is only a type, as in a detached signature; ValueError if there is not even that.
    """
    detached = False
    for element in _children(source, body):
        if element.tag != _SEQUENCE:
            continue
        inner = _children(source, element)
        first, second = next(inner, None), next(inner, None)
        if first is None or first.tag != _OID:
            continue
        if second is None:
            detached = True
        elif second.tag == _CONTEXT_0:
            return _read(source, second.start, source.size)
    if not detached:
        raise ValueError
    return None


def _read(source: Source, position: int, end: int) -> _Element | None:
    """The element at `position`; None if there is none.  Tags of one byte: CMS has no others."""
    head = source.read_at(position, 2 + 127)
    if len(head) < 2 or position >= end:
        return None
    tag, length = head[0], head[1]
    if length == 0x80:
        return _Element(tag, position + 2, None)
    if length < 0x80:
        return _Element(tag, position + 2, min(position + 2 + length, source.size))
    size = length & 0x7F
    start = position + 2 + size
    if start > source.size:
        return None
    return _Element(tag, start, min(start + int.from_bytes(head[2 : 2 + size], "big"), source.size))


def _children(source: Source, parent: _Element) -> Iterator[_Element]:
    """The elements in `parent`."""
    position = parent.start
    end = source.size if parent.stop is None else parent.stop
    for _ in range(MAX_ELEMENTS):
        element = _read(source, position, end)
        if element is None or (element.tag == 0 and element.stop == element.start):
            return
        yield element
        position = element.stop if element.stop is not None else _end(source, element)


def _end(source: Source, element: _Element) -> int:
    """Behind the end mark of an element of indefinite length."""
    position = element.start
    open_elements = 1
    for _ in range(MAX_ELEMENTS):
        inner = _read(source, position, source.size)
        if inner is None:
            return source.size
        if inner.stop is None:
            open_elements += 1
            position = inner.start
            continue
        position = inner.stop
        if inner.tag == 0 and inner.stop == inner.start:
            open_elements -= 1
            if not open_elements:
                return position
    return source.size


def _octets(source: Source, content: _Element) -> Iterator[bytes]:
    """The bytes of an OCTET STRING, however it is cut; of anything else, its whole content (PKCS #7 1.5)."""
    if content.tag != _OCTETS | _CONSTRUCTED:
        yield from _slices(source, content.start, source.size if content.stop is None else content.stop)
        return
    small: list[bytes] = []
    held = 0
    position = content.start
    ends = [content.stop]
    while ends:
        end = source.size if ends[-1] is None else ends[-1]
        element = _read(source, position, end)
        if element is None or (element.tag == 0 and element.stop == element.start):
            last = ends.pop()
            position = max(position, last) if last is not None else position + 2  # never back: parts may reach over the end
            continue
        position = element.start
        if element.tag & _CONSTRUCTED and len(ends) < MAX_DEPTH:
            ends.append(element.stop)
            continue
        stop = source.size if element.stop is None else element.stop
        for chunk in _slices(source, element.start, stop):
            small.append(chunk)
            held += len(chunk)
            if held >= CHUNK:
                yield b"".join(small)
                small.clear()
                held = 0
        position = stop
    yield b"".join(small)


def _slices(source: Source, start: int, stop: int) -> Iterator[bytes]:
    for offset in range(start, stop, CHUNK):
        yield source.read_at(offset, min(CHUNK, stop - offset))
