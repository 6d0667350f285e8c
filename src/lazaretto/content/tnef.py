"""TNEF, the winmail.dat of Outlook and Exchange.

A stream of attributes; those of an attachment follow its attAttachRendData.
Names and content may stand in attributes of their own or in the MAPI properties
of attAttachment, and every name is given.  An attached message is TNEF again,
an embedded object an OLE file: the caller opens them.

Checksums are ignored, the signature may stand behind other bytes, and a length
that leads out of the file ends the last attribute there: clients differ in
what they forgive, so everything is.

Limits:  MAX_PROPERTIES of one attribute; content is never copied; the meter's.
Errors:  none raised, LimitExceeded from the meter passes.  Problem tnef.broken
         if nothing was readable.
See:     [MS-OXTNEF] s2.1.3 (attributes, properties), [MS-OXCMSG] for the property numbers
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.content import lzfu
from lazaretto.content.container import Member, Problem
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason, Span

SIGNATURE = b"\x78\x9f\x3e\x22"
MAX_PROPERTIES = 20_000
MAX_NAME = 4096
MAX_RTF = 32 * MIB  # compressed

# Attributes, by the low half of their number: the high half is a type that writers get wrong.
_MESSAGE, _ATTACHMENT = 1, 2  # levels
_BODY = 0x800C  # attBody
_ATTACH_DATA = 0x800F  # attAttachData
_ATTACH_TITLE = 0x8010  # attAttachTitle
_ATTACH_REND_DATA = 0x9002  # attAttachRendData
_MESSAGE_PROPERTIES = 0x9003  # attMsgProps
_ATTACH_PROPERTIES = 0x9005  # attAttachment
_ATTACH_TRANSPORT_NAME = 0x9001  # attAttachTransportFilename
_CODE_PAGE = 0x9007  # attOemCodepage

# MAPI properties
_NAMES = {0x3707: 0, 0x3704: 1, 0x370C: 2, 0x3001: 3, 0x370D: 4, 0x3708: 5}  # by how usual it is to show them
_MIME_TAG = 0x370E
_DATA = 0x3701
_TEXT, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_INTERFACE_ID = 16  # before the data of an object

_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0xA: 4, 0xB: 4, 0x14: 8, 0x40: 8, 0x48: 16}  # bytes, padded
_STRING8, _UNICODE, _BINARY, _OBJECT = 0x1E, 0x1F, 0x102, 0xD
_VARIABLE = (_STRING8, _UNICODE, _BINARY, _OBJECT)
_MANY = 0x1000


class _Property(NamedTuple):
    number: int
    kind: int
    value: Span


class _Attachment:
    """What is known of one attachment so far."""

    __slots__ = ("contents", "media_type", "names")

    def __init__(self) -> None:
        self.names: list[tuple[int, str]] = []
        self.contents: list[Span] = []
        self.media_type = ""


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Attachments as files, bodies as text."""
    start = source.data.find(SIGNATURE)
    while start >= 0 and not any(_attributes(source, start + 6)):
        start = source.data.find(SIGNATURE, start + 1)
    if start < 0:
        yield Problem("tnef.broken", "no signature or no attributes", Reason.BROKEN)
        return
    attachment = _Attachment()
    charset = "cp1252"
    for name, value in _attributes(source, start + 6):
        meter.tick()
        if name == _ATTACH_REND_DATA:
            yield from _files(source, attachment, meter)
            attachment = _Attachment()
        elif name == _CODE_PAGE:
            charset = _charset(int.from_bytes(source.read_at(value.start, 4), "little"))
        elif name in (_ATTACH_TITLE, _ATTACH_TRANSPORT_NAME):
            attachment.names.append((1, _text(source, value, _STRING8, charset)))
        elif name == _ATTACH_DATA:
            attachment.contents.append(value)
        elif name == _ATTACH_PROPERTIES:
            _take_properties(source, value, attachment, charset)
        elif name == _MESSAGE_PROPERTIES:
            yield from _bodies(source, value, meter)
        elif name == _BODY:
            yield _body(source, value, "text/plain", meter)
    yield from _files(source, attachment, meter)


def _attributes(source: Source, position: int) -> Iterator[tuple[int, Span]]:
    while position + 9 <= source.size:
        head = source.read_at(position, 9)
        length = int.from_bytes(head[5:9], "little")
        if head[0] not in (_MESSAGE, _ATTACHMENT):
            return  # garbage at the end, which is common
        start = position + 9
        yield head[1] | head[2] << 8, Span(start, min(start + length, source.size))
        position = start + length + 2  # checksum


def _files(source: Source, attachment: _Attachment, meter: Meter) -> Iterator[Member]:
    names = tuple(dict.fromkeys(name for _, name in sorted(attachment.names) if name))
    for content in attachment.contents:
        meter.member()
        yield Member(names, meter.unpack(source.chunks(content), source.size), media_type=attachment.media_type)


def _take_properties(source: Source, span: Span, attachment: _Attachment, charset: str) -> None:
    for number, kind, value in _properties(source, span):
        if number in _NAMES and kind in (_STRING8, _UNICODE):
            attachment.names.append((_NAMES[number], _text(source, value, kind, charset)))
        elif number == _MIME_TAG and kind in (_STRING8, _UNICODE):
            attachment.media_type = _text(source, value, kind, charset).lower()
        elif number == _DATA and kind == _OBJECT:
            attachment.contents.append(Span(min(value.start + _INTERFACE_ID, value.stop), value.stop))
        elif number == _DATA and kind == _BINARY:
            attachment.contents.append(value)


def _bodies(source: Source, span: Span, meter: Meter) -> Iterator[Member]:
    for number, kind, value in _properties(source, span):
        if number == _TEXT and kind in (_STRING8, _UNICODE):
            yield _body(source, value, "text/plain", meter)
        elif number == _HTML and kind in (_STRING8, _UNICODE, _BINARY):
            yield _body(source, value, "text/html", meter)
        elif number == _RTF and kind == _BINARY:
            packed = source.read_at(value.start, min(value.stop - value.start, MAX_RTF))
            meter.member()
            yield Member(("body.rtf",), meter.unpack(lzfu.decompress(packed), len(packed)), is_file=False, media_type="text/rtf")


def _body(source: Source, value: Span, media_type: str, meter: Meter) -> Member:
    meter.member()
    name = "body.html" if media_type == "text/html" else "body.txt"
    return Member((name,), meter.unpack(source.chunks(value), source.size), is_file=False, media_type=media_type)


def _properties(source: Source, span: Span) -> Iterator[_Property]:
    """The MAPI properties in an attribute, as far as they can be followed.  s2.1.3.4"""
    position, stop = span.start + 4, span.stop

    def number(size: int = 4) -> int:
        nonlocal position
        position += size
        return int.from_bytes(source.read_at(position - size, size), "little") if position <= stop else 0

    for _ in range(min(int.from_bytes(source.read_at(span.start, 4), "little"), MAX_PROPERTIES)):
        kind, name = number(2), number(2)
        if name >= 0x8000:  # named: a GUID, then a number or a text
            position += 16
            length = 4 if number() == 0 else _padded(number())
            position += length
        many = kind & _MANY
        kind &= ~_MANY
        values = number() if many or kind in _VARIABLE else 1
        if kind not in _FIXED and kind not in _VARIABLE:
            return
        for _ in range(min(values, MAX_PROPERTIES)):
            if position >= stop:
                return
            length = _FIXED[kind] if kind in _FIXED else number()
            yield _Property(name, kind, Span(min(position, stop), min(position + length, stop)))
            position += _padded(length)


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _text(source: Source, span: Span, kind: int, charset: str) -> str:
    raw = source.read_at(span.start, min(span.stop - span.start, MAX_NAME))
    if kind == _UNICODE:
        return raw.decode("utf-16-le", "replace").split("\0")[0]
    return raw.split(b"\0")[0].decode(charset, "replace")


def _charset(code_page: int) -> str:
    name = "utf-8" if code_page == 65001 else f"cp{code_page}"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
