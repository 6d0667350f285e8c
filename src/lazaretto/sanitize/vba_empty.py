"""Macro modules without code, in exactly the bytes that they had.

A module's stream is compiled code, then compressed source. Emptied, it has no compiled code
(zeros), and a source of which only the lines "Attribute ..." at its beginning are left, which say
what the module is; blanks fill what remains, so that not a byte of the file moves.

    emptied(stream, offset)    the stream, emptied
    pack(text, size)           a compressed container of exactly `size` bytes, text first, then blanks

Office ignores compiled code of another version than its own: project_head() is the beginning of a
_VBA_PROJECT stream that says so.

Errors:  Refused where there is too little room.
See:     [MS-OVBA] s2.3.4.1 (_VBA_PROJECT), s2.3.4.3 (modules), s2.4.1.3 (compression)
"""

from __future__ import annotations

from lazaretto import regex
from lazaretto.content import ovba
from lazaretto.sanitize.disarmed import Refused

CHUNK = 4096
_FULL = CHUNK + 2  # a chunk as it is, with its header
_HEAD = b"\xcc\x61\xff\xff\x00\x00\x00"
_ATTRIBUTES = regex.compile(rb"(?:Attribute VB_\w{1,40} = [^\r\n]{0,400}\r?\n)*")
_UNIT = b" " * 62 + b"\r\n"  # what fills: a line of VBA has 1023 characters, a module 65,534 lines
_LENGTH = 18  # the longest run that is looked for; attributes repeat little
MAX_SOURCE = 16 << 20


def project_head(size: int) -> bytes:
    """A _VBA_PROJECT stream of `size` bytes whose compiled code belongs to no version of Office."""
    if size < len(_HEAD):
        raise Refused("a macro project is too short")
    return _HEAD.ljust(size, b"\0")


def emptied(stream: bytes, offset: int) -> bytes:
    """A module's stream of the same length without code; `offset` is where its source begins."""
    attributes = bytearray()
    for chunk in ovba.decompress(stream, offset):
        attributes += chunk
        if len(attributes) > MAX_SOURCE:
            raise Refused("a macro is too long")
    match = _ATTRIBUTES.match(bytes(attributes))
    text = match[0] if match else b""
    if not attributes[len(text) :].strip():
        return bytes(offset) + stream[offset:]  # there is no code in the source
    return bytes(offset) + pack(text, len(stream) - offset)


def pack(text: bytes, size: int) -> bytes:
    """A container of `size` bytes that unpacks to `text` and blanks."""
    if len(text) > CHUNK:
        raise Refused("a macro has too many attributes")
    room = size - 1  # the first byte is a signature
    if room <= _FULL:
        return b"\x01" + _chunk(text, room)
    out = bytearray(b"\x01" + b"\xff\x3f" + text + _fill(CHUNK - len(text)))  # stored as it is
    room -= _FULL
    while room > _FULL + 3:
        out += b"\xff\x3f" + _fill(CHUNK)
        room -= _FULL
    if room > _FULL or 0 < room < 4:
        # too much for one chunk, too little for another: the last stored one becomes a short one of blanks
        del out[-_FULL:]
        if len(out) == 1:
            out += _full_chunk(text)
        else:
            out += _full_chunk(b"")
        room = size - len(out)
        while room > _FULL:
            step = min(_FULL, room - 4)
            out += b"\xff\x3f" + _fill(CHUNK) if step == _FULL else _full_chunk(b"")
            room = size - len(out)
    if room:
        out += _chunk(b"", room)
    return bytes(out)


def _fill(size: int) -> bytes:
    return (_UNIT * (size // len(_UNIT) + 1))[:size]


def _items(text: bytes) -> list[tuple[bytes, int]]:
    """Text as literals and copies: (bytes, 1 for a copy)."""
    out: list[tuple[bytes, int]] = []
    at = 0
    while at < len(text):
        bits = 16 - max((at - 1).bit_length(), 4) if at else 12
        most = min((1 << bits) + 2, len(text) - at, _LENGTH)
        found, length = -1, 2
        for size in range(most, 2, -1):
            found = text.rfind(text[at : at + size], 0, at + size - 1)
            if found >= 0:
                length = size
                break
        if found >= 0 and at:
            out.append((((at - found - 1) << bits | (length - 3)).to_bytes(2, "little"), 1))
            at += length
        else:
            out.append((text[at : at + 1], 0))
            at += 1
    return out


def _grouped(items: list[tuple[bytes, int]]) -> bytes:
    out = bytearray()
    for start in range(0, len(items), 8):
        group = items[start : start + 8]
        out.append(sum(copy << bit for bit, (_, copy) in enumerate(group)))
        for data, _ in group:
            out += data
    return bytes(out)


def _header(body: bytes) -> bytes:
    return (0xB000 | (len(body) + 2 - 3)).to_bytes(2, "little") + body


def _full_chunk(text: bytes) -> bytes:
    """A chunk of CHUNK bytes, text and blanks, in as few bytes as it takes."""
    items = _items(text)
    at = len(text)
    while at < CHUNK:
        bits = 16 - max((at - 1).bit_length(), 4) if at else 12
        length = min((1 << bits) + 2, CHUNK - at)
        filled = at - len(text)
        if filled >= len(_UNIT) and length >= 3:
            items.append(((len(_UNIT) - 1 << bits | length - 3).to_bytes(2, "little"), 1))
            at += length
        else:
            items.append((_UNIT[filled % len(_UNIT)].to_bytes(1, "little"), 0))
            at += 1
    return _header(_grouped(items))


def _chunk(text: bytes, size: int) -> bytes:
    """The last chunk: `size` bytes with its header, text and as many blanks as it takes."""
    items = _items(text)
    body = size - 2
    for copies in range(3):
        tried = [*items, (b" ", 0), *([((0).to_bytes(2, "little"), 1)] * copies)] if copies else list(items)
        used = len(_grouped(tried))
        filled = 0
        while used < body:
            used += 1 + (len(tried) % 8 == 0)
            tried.append((_UNIT[filled % len(_UNIT)].to_bytes(1, "little"), 0))
            filled += 1
        if used == body and tried:
            return _header(_grouped(tried))
    raise Refused("a macro leaves too little room")
