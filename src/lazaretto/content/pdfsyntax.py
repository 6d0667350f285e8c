"""The text of a PDF: segments between streams, in a form that rules can match.

segments() cuts a file at its streams, wherever they are: no cross-reference table
is believed, since readers rebuild it when it is wrong, and nothing that looks
like an object is passed over, not even inside the data of a stream.

tidy() writes objects in one spelling: names without #hh escapes, one blank
between tokens, no comments, hexadecimal strings as literal ones.  Strings keep
their bytes.

Limits:  one pass; all streams together are at most OVERLAP times as long as the file.
Errors:  LimitExceeded if streams overlap more than that; else none.
See:     ISO 32000-1 s7.2 (lexical), s7.3 (objects), annex H.3 (what readers forgive)
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LimitExceeded
from lazaretto.mime.source import Buffer

OVERLAP = 4
MAX_DICTIONARY = 64 << 10  # of one stream, before its data
MAX_OBJECT = 1 << 20  # longer ones are read in pieces
_BLANKS = b"\0\t\n\f\r "
_LENGTH = regex.compile(rb"/Length[\0\t\n\f\r ]{1,16}(\d{1,12})(?![\0\t\n\f\r ]{1,16}\d{1,10}[\0\t\n\f\r ]{1,16}R)")
_OBJECT = regex.compile(rb"(?<!\d)(\d{1,10})[\0\t\n\f\r ]{1,16}\d{1,10}[\0\t\n\f\r ]{1,16}obj")


_COMMENT = regex.compile(rb"%[^\r\n]*+")


class Segment(NamedTuple):
    """Text up to a stream, and the stream; the last one of a file has no stream."""

    start: int  # of the text
    stop: int
    number: int  # of the object that the stream is; -1 if unknown
    dictionary: bytes  # of the stream, raw
    data_start: int
    data_stop: int


def segments(data: Buffer) -> Iterator[Segment]:
    """The file, cut behind each stream's dictionary.  LimitExceeded if streams overlap too much."""
    size = len(data)
    text = position = 0
    claimed = 0
    last_end = -2  # where "endstream" was found last; -1: there is none any more
    while (at := data.find(b"stream", position)) >= 0:
        position = at + 6
        before = data[max(0, at - 64) : at].rstrip(_BLANKS)
        if not before.endswith(b">>") and not _COMMENT.sub(b"", before).rstrip(_BLANKS).endswith(b">>"):
            continue
        start = at + 6
        start += 2 if data[start : start + 2] == b"\r\n" else 1 if data[start : start + 1] in (b"\r", b"\n", b" ") else 0
        head = data[max(text, at - MAX_DICTIONARY) : at]
        objects = list(_OBJECT.finditer(head))
        dictionary = head[objects[-1].end() :] if objects else head
        if last_end != -1 and last_end < start:
            last_end = data.find(b"endstream", start)
        stop = last_end if last_end >= 0 else size
        length = _LENGTH.search(dictionary)
        if length:
            end = start + int(length[1])
            if data[end : end + 24].lstrip(_BLANKS).startswith(b"endstream"):
                stop = end
        claimed += stop - start
        if claimed > OVERLAP * size:
            raise LimitExceeded("max_unpacked_bytes", "streams of a PDF overlap")
        yield Segment(text, at, int(objects[-1][1]) if objects else -1, dictionary, start, stop)
        inside = next(_objects_in(data, start, stop), -1)
        # An object inside the data can be what a reader takes for the real one: its text is read as well.
        text = position = inside if inside >= 0 else stop
    yield Segment(text, size, -1, b"", size, size)


def _objects_in(data: Buffer, start: int, stop: int) -> Iterator[int]:
    at = data.find(b" obj", start, stop)
    while at >= 0:
        head = data[max(start, at - 24) : at + 4]
        for match in _OBJECT.finditer(head):
            if match.end() == len(head):
                yield max(start, at - 24) + match.start()
        at = data.find(b" obj", at + 1, stop)


def objects(data: Buffer, start: int, stop: int) -> Iterator[bytes]:
    """data[start:stop] object by object, raw.

    A parenthesis that nobody closes must not swallow the objects behind it.
    """
    position = start
    for match in _OBJECT.finditer(data, start, stop):
        yield from _cut(data, position, match.start())
        position = match.start()
    yield from _cut(data, position, stop)


def _cut(data: Buffer, start: int, stop: int) -> Iterator[bytes]:
    for at in range(start, stop, MAX_OBJECT):
        yield data[at : min(at + MAX_OBJECT, stop)]


# -- one spelling

_HASH = regex.compile(rb"#([0-9A-Fa-f]{2})")
_HEX_STRING = regex.compile(rb"(?<!<)<([0-9A-Fa-f\0\t\n\f\r ]*+)>")
_DELIMITER = regex.compile(rb"(<<|>>|[\[\]{}])")
_SPACE = regex.compile(rb"[\0\t\n\f\r ]+")
_PAREN = regex.compile(rb"[()]|\\[\0-\xff]|%[^\r\n]*+")


def tidy(text: bytes) -> bytes:
    """Objects in one spelling."""
    out: list[bytes] = []
    for code, string in pieces(text):
        out.append(code)
        if string:
            out.append(b"(" + string + b")")
    return b" ".join(part.strip() for part in out if part).strip()


def pieces(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(tidied code, the literal string after it or b"") in turn."""
    position = 0
    while position < len(text):
        start, stop = _next_string(text, position)
        yield tidy_code(text[position:start]), text[start + 1 : stop - 1] if stop > start else b""
        position = max(stop, start)


def _next_string(text: bytes, position: int) -> tuple[int, int]:
    """Where the next literal string begins and ends, its parentheses included; both the end if there is none."""
    begin = -1
    depth = 0
    while match := _PAREN.search(text, position):
        position = match.end()
        mark = match[0]
        if begin < 0:
            if mark == b"(":
                begin, depth = match.start(), 1
            elif mark[:1] == b"\\":
                position = match.start() + 1
        elif mark[:1] == b"%":
            position = match.start() + 1
        elif mark == b"(":
            depth += 1
        elif mark == b")":
            depth -= 1
            if not depth:
                return begin, position
    return (begin, len(text) + 1) if begin >= 0 else (len(text), len(text))


def tidy_code(code: bytes) -> bytes:
    if b"%" in code:
        code = _COMMENT.sub(b" ", code)
    if b"<" in code:
        code = _HEX_STRING.sub(_literal, code)
    code = _SPACE.sub(b" ", _DELIMITER.sub(rb" \1 ", code).replace(b"/", b" /")).strip()
    if b"#" in code:  # last: an escape may stand for a delimiter, which then is none
        code = _HASH.sub(lambda m: bytes((int(m[1], 16),)), code)
    return code


def _literal(match: re.Match[bytes]) -> bytes:
    """A hexadecimal string as a literal one, if it is text."""
    raw = unhex(match[1])
    plain = raw.isascii() and raw.translate(None, b"()\\\0") == raw
    return b" (" + raw.replace(b"/", b"\\057") + b") " if plain else b" " + match[0] + b" "


def unhex(digits: bytes) -> bytes:
    """The bytes of a hexadecimal string; a missing last digit is 0."""
    digits = _SPACE.sub(b"", digits)
    return binascii.unhexlify(digits + b"0" * (len(digits) % 2))


_STRING_ESCAPE = regex.compile(rb"\\(?:([0-7]{1,3})|(\r\n|\r|\n)|([\0-\xff]))")
_SIMPLE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def unescape(string: bytes) -> bytes:
    """The bytes of a literal string without its parentheses.  s7.3.4.2"""

    def one(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes((int(match[1], 8) & 255,))
        return b"" if match[2] else _SIMPLE.get(match[3], match[3])

    return _STRING_ESCAPE.sub(one, string) if b"\\" in string else string


def to_text(raw: bytes) -> str:
    """A text string: UTF-16 or UTF-8 by its mark, else nearly Latin-1.  s7.9.2.2"""
    if raw.startswith(b"\xfe\xff"):
        return raw[2:].decode("utf-16-be", "replace")
    if raw.startswith(b"\xff\xfe"):
        return raw[2:].decode("utf-16-le", "replace")
    if raw.startswith(b"\xef\xbb\xbf"):
        return raw[3:].decode("utf-8", "replace")
    return raw.decode("latin-1")
