"""The header of one part, written so that every client reads the same.

    header(source, part, eol, change)    all lines and the empty line
    structured_field(...)                Content-Type or Content-Disposition with plain parameters
    parameter(key, text)                 one parameter, as everybody writes it
    text_begins(source, part)            where the text begins, if it stands in the header

What every client reads alike keeps its bytes.  Of Content-Type, Content-Transfer-Encoding, Content-Disposition and MIME-Version
the first one is kept, which is the one that the primary reading believes, and written anew if clients disagree about
it.  Other fields lose NULs, stray CRs, comments in their name and folds that look like fields.  Lines that are no fields go, but for
parameters that only lack the blank before them.

A file name in ASCII is a quoted string.  Any other is an encoded word in `name`, RFC 2231 in `filename`: what most mail programs write.

Limits:  20 parameters, 250 characters of a name, 16 KiB of a field that is written anew.
Errors:  none.
See:     mime/fields.py, mime/structured.py; RFC 2045 s5.1, RFC 2047, RFC 2183, RFC 2231, RFC 5322 s2.2
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.mime import fields, structured, words
from lazaretto.mime.source import Source
from lazaretto.mime.structured import Structured
from lazaretto.model import Field, Part

MAX_PARAMS = 20
MAX_NAME = 250  # characters; file systems take 255 bytes
MAX_FIELD = 16 << 10

_LINE = 76
_PLAIN_FIELD = regex.compile(rb"[!-9;-~]+:(?:[^\0\r\n]*(?:\r?\n(?=[ \t]+[^ \t\r\n])))*[^\0\r\n]*(?:\r?\n)?")
_NOT_IN_NAME = regex.compile(r"[^!-'*-9;-~]")
_TYPE = regex.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_TOKEN = regex.compile(r"[A-Za-z0-9!#$&^_.+-]{1,200}")
_KEY = regex.compile(r"[a-z][a-z0-9-]{0,60}")
_NOT_PRINTABLE = regex.compile(r"[^ -~]+|[\"\\]")
_PARAMETER_LINE = regex.compile(rb"(?:boundary|name|filename|charset)[*\d]{0,8}[ \t]*=[^\r\n]*", re.IGNORECASE)
_VERSION = regex.compile(rb"[ \t]*1\.0[ \t]*(?:\([^()]*\)[ \t]*)?")
_COLON_MISSING = regex.compile(rb"(?:content-|mime-version|>?From )", re.IGNORECASE)
_KNOWN_NAME = regex.compile(
    r"content-|mime-|x-|dkim-|arc-|list-|received|return-|resent-|reply-|in-reply|references|from$|to$|cc$|bcc$|subject|date|message-id|sender|auth|"
    r"delivered|envelope|importance|priority|thread-|user-agent|organi[sz]ation|errors-|precedence|auto-|disposition-|domainkey"
)
_HIDDEN_KEY = regex.compile(r"(?:boundary|name|charset)[*\d]{0,8}\s*=", re.IGNORECASE)
_MBOX_LINE = regex.compile(rb"From (?![ \t]*:)[^\r\n]*\r?\n")
_BLANKS = regex.compile(rb"[ \t]*(?:\r*\n|\r)[ \t]*|\0")


class Change(NamedTuple):
    """What a header has to say from now on; None: what it says."""

    media_type: str | None = None
    boundary: bytes | None = None
    encoding: str | None = None  # "": no such field


NOTHING = Change()


def header(source: Source, part: Part, eol: bytes, change: Change = NOTHING, *, in_message: bool = False) -> bytes:
    """The header of `part` with its empty line: what is to stand from the start of its header to the start of its body.

    `in_message`: it is the header of a message, where MIME fields want a MIME-Version.
    """
    written: list[bytes] = []
    seen: set[str] = set()
    mbox = _MBOX_LINE.match(source.data) if not part.path else None
    if mbox is not None:
        written.append(mbox[0])
    for number, field in enumerate(part.fields):
        name = field.name
        mime = name.startswith("content-") or name == "mime-version"
        if mime and name in seen:
            continue
        seen.add(name)
        following = part.fields[number + 1].span.start if number + 1 < len(part.fields) else part.header.stop
        if name in ("content-type", "content-disposition"):
            written.append(_described(source, part, field, following, eol, change))
        elif name == "content-transfer-encoding":
            written.append(_encoded(source, part, field, eol, change))
        elif name == "mime-version":
            written.append(_kept(source, field, eol) or b"MIME-Version: 1.0" + eol)
        elif not _PARAMETER_LINE.match(source.data, field.span.start, field.span.stop):
            written.append(_kept(source, field, eol) or _plain_text(source, field, eol))
    if "content-type" not in seen and (change.media_type or change.boundary is not None):
        written.append(structured_field("Content-Type", change.media_type or part.media_type, _bounded((), change.boundary), eol))
    if "content-transfer-encoding" not in seen and change.encoding:
        written.append(b"Content-Transfer-Encoding: " + change.encoding.encode() + eol)
    if in_message and "mime-version" not in seen and any(name.startswith("content-") for name in seen):
        written.append(b"MIME-Version: 1.0" + eol)
    return b"".join(written) + eol


def is_settled(source: Source, field: Field) -> bool:
    """Does every client read this field alike?"""
    raw = source.read_at(field.span.start, len(field.name) + 1)
    if not _is_plain(source, field) or raw.lower() != field.name.encode("latin-1") + b":" or field.value.startswith(b":"):
        return False
    if field.name == "mime-version":
        return _VERSION.fullmatch(field.value) is not None
    if field.name not in ("content-type", "content-disposition"):
        return True
    return structured.AMBIGUOUS.isdisjoint(structured.read(field.value).anomalies)


def text_begins(source: Source, part: Part) -> int:
    """Where the text begins in a header whose empty line was forgotten; -1 if it is a header with a line of junk in it.

    It is a text if, from the first line on that is no field, nothing looks like a field of mail.
    """
    for number, field in enumerate(part.fields):
        stop = part.fields[number + 1].span.start if number + 1 < len(part.fields) else part.header.stop
        between = source.read_at(field.span.stop, min(stop - field.span.stop, MAX_FIELD))
        if between.strip() and not _PARAMETER_LINE.match(between.lstrip()) and not _COLON_MISSING.match(between.lstrip()):
            later = part.fields[number + 1 :]
            return -1 if any(_KNOWN_NAME.match(one.name) for one in later) else field.span.stop
    return -1


def structured_field(name: str, value: str, params: Iterable[tuple[str, str]], eol: bytes) -> bytes:
    """The lines of one field; each parameter that does not fit has a line of its own."""
    lines = [f"{name}: {value}"]
    for key, text in params:
        for one in parameter(key, text):
            if len(lines[-1]) + len(one) + 2 <= _LINE:
                lines[-1] += f"; {one}"
            else:
                lines[-1] += ";"
                lines.append("\t" + one)
    return eol.join(line.encode("ascii") for line in lines) + eol


def parameter(key: str, text: str) -> Iterator[str]:
    """`key` (lower case) with its value; several pieces for a long name.  A name keeps every character that can be seen."""
    if key not in structured.TEXT_KEYS:
        plain = _NOT_PRINTABLE.sub("", words.decode(text)).strip()[:MAX_NAME]
        if key != "boundary" and _HIDDEN_KEY.search(plain):
            plain = plain.rpartition("=")[2]  # charset="charset=utf-8"
        yield f"{key}={plain}" if _TOKEN.fullmatch(plain) else f'{key}="{plain}"'
        return
    name = visible(text)
    quoted = f'{key}="{name}"'
    if name.isascii() and structured.plain(b"x/y; " + quoted.encode()) is not None:
        yield quoted
    elif key == "name":
        yield f'{key}="{_encoded_words(name)}"'
    else:
        yield from _percent_encoded(key, name)


def visible(name: str) -> str:
    """A file name without what breaks a quoted string or a line."""
    seen = "".join("_" if character in '"\\' or not (character.isprintable() or character == " ") else character for character in name)
    return seen.strip()[:MAX_NAME] or "unnamed"


def _encoded_words(text: str) -> str:
    """RFC 2047, of at most 75 characters each, cut between characters."""
    pieces, piece = [], ""
    for character in text:
        if len((piece + character).encode()) > 42:
            pieces.append(piece)
            piece = ""
        piece += character
    return " ".join(f"=?utf-8?B?{b64encode(word.encode()).decode()}?=" for word in (*pieces, piece))


def _percent_encoded(key: str, text: str) -> Iterator[str]:
    pieces, piece = [], ""
    for byte in text.encode():
        character = chr(byte)
        shown = character if character.isascii() and (character.isalnum() or character in "-_.") else f"%{byte:02X}"
        if len(piece) + len(shown) > 600:
            pieces.append(piece)
            piece = ""
        piece += shown
    pieces.append(piece)
    if len(pieces) == 1:
        yield f"{key}*=utf-8''{piece}"
        return
    for number, one in enumerate(pieces):
        yield f"{key}*{number}*=" + ("utf-8''" if number == 0 else "") + one


def _described(source: Source, part: Part, field: Field, following: int, eol: bytes, change: Change) -> bytes:
    """Content-Type or Content-Disposition."""
    is_type = field.name == "content-type"
    stray = [line for line in source.read_at(field.span.stop, min(following - field.span.stop, MAX_FIELD)).splitlines() if line]
    lost = [line for line in stray if _PARAMETER_LINE.fullmatch(line)]
    wanted = is_type and (change.media_type is not None or change.boundary is not None)
    if not lost and not wanted and is_settled(source, field) and (not is_type or _is_proper(structured.read(field.value))):
        return _kept(source, field, eol)
    value = b"; ".join((_flat(field.value).lstrip(b": "), *lost))
    read = structured.read(value)
    if is_type:
        kind = change.media_type or (read.value if _is_type(read.value) else part.media_type)
        if not _is_type(kind) or _is_like_multipart(kind):
            kind = "application/octet-stream"
    else:
        kind = read.value if _TOKEN.fullmatch(read.value) else "attachment"
    params = _params(read, part)
    key = "name" if is_type else "filename"
    if kind != read.value and read.get(key) is None and part.names and re.search(rb"name[*\d]*\s*=", value, re.IGNORECASE):
        params.append((key, part.names[0]))  # all of the field is odd, and yet some client finds a name in it
    if is_type and not kind.startswith("multipart/"):
        params = [(key, text) for key, text in params if key != "boundary"]
    return structured_field(
        "Content-Type" if is_type else "Content-Disposition", kind, _bounded(params, change.boundary if is_type else None), eol
    )


def _params(read: Structured, part: Part) -> list[tuple[str, str]]:
    """What is kept of parameters; a name is the one that the usual client shows, wherever it stands."""
    kept = []
    for key, text in read.params[:MAX_PARAMS]:
        if key in structured.TEXT_KEYS:
            kept.append((key, part.names[0] if part.names else text))
        elif _KEY.fullmatch(key) and next(parameter(key, text)) != f'{key}=""':
            kept.append((key, text))
    return kept


def _bounded(params: Iterable[tuple[str, str]], boundary: bytes | None) -> list[tuple[str, str]]:
    if boundary is None:
        return list(params)
    return [*((key, text) for key, text in params if key != "boundary"), ("boundary", boundary.decode("ascii"))]


def _encoded(source: Source, part: Part, field: Field, eol: bytes, change: Change) -> bytes:
    if change.encoding is None and is_settled(source, field) and _TOKEN.fullmatch(field.value.decode("latin-1").strip()):
        return _kept(source, field, eol)
    encoding = part.encoding if change.encoding is None else change.encoding
    if not _TOKEN.fullmatch(encoding):
        return b""
    return b"Content-Transfer-Encoding: " + encoding.encode() + eol


def _is_proper(read: Structured) -> bool:
    """A type as it should be, and only a multipart has a boundary."""
    if not _is_type(read.value) or _is_like_multipart(read.value):
        return False
    return read.value.startswith("multipart/") or read.get("boundary") is None


def _is_like_multipart(kind: str) -> bool:
    return "multi" in kind and not kind.startswith("multipart/")


def _is_type(value: str) -> bool:
    return _TYPE.fullmatch(value) is not None


def _is_plain(source: Source, field: Field) -> bool:
    return _PLAIN_FIELD.fullmatch(source.data, field.span.start, field.span.stop) is not None and not fields.hides(field)


def _kept(source: Source, field: Field, eol: bytes) -> bytes:
    """The field as it stands there, if that is how everybody reads it; else nothing."""
    if not is_settled(source, field):
        return b""
    raw = source.span(field.span)
    return raw if raw.endswith(b"\n") else raw + eol


def _flat(value: bytes) -> bytes:
    """On one line, without NULs."""
    return _BLANKS.sub(lambda match: b"" if match[0] == b"\0" else b" ", value[:MAX_FIELD])


def _plain_text(source: Source, field: Field, eol: bytes) -> bytes:
    """Any other field, with a proper name, folded only between words."""
    name = _NOT_IN_NAME.sub("_", field.name).encode("ascii")  # to some, a name in 8 bit ends the header
    raw = source.read_at(field.span.start, len(name) + 16)  # in the letters that the mail has
    at = raw.lower().find(name)
    name = raw[at : at + len(name)] if at >= 0 else name
    line = name + b": " + _flat(field.value).lstrip(b": ").rstrip()
    lines = []
    while len(line) > 900:
        at = line.rfind(b" ", len(name) + 2, 900)
        if at <= len(name) + 2 or not line[at:].strip():
            break
        lines.append(line[:at])
        line = line[at:]
    return eol.join((*lines, line)) + eol
