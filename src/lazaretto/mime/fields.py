"""A header block: where it ends, and its fields.  What other readers make of it: field_readings.py.

    read_header(source, start, stop, limits)    the primary reading, with anomalies
    field_follows(block, at)                    does something that some client takes for a header stand there?

The primary reading is a lenient client's.  Lines end in CRLF, LF or CRs and LF; a line without a field name is skipped, as
Thunderbird does, and the header goes on to the empty line.  (Exchange ends the header there: field_readings.py.)  A line of blanks is
a fold, not the end.  Leading empty lines, a byte order mark and an mbox line are skipped if a field follows.

Limits:  max_header_bytes: what lies beyond is body ("header.too-long").  max_header_fields: of what lies beyond only MIME
         fields are kept ("header.too-many-fields").
         Cost is linear in the header, not in `stop - start`; but a part without an empty line is read up to `stop`, so pass the
         next delimiter where there are many parts.
Errors:  none: whatever the bytes, a Header comes back.
See:     RFC 5322 s2.2, s3.6.8, s4.5; RFC 6532; RFC 7103 s7
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime.source import Source
from lazaretto.model import Field, Span

WINDOW = 1 << 13  # nearly every header fits; doubled until it does
LATE_FIELDS = 100  # MIME fields kept after max_header_fields

# Those that make clients disagree about fields or about the end of the header.  The rest is only odd.
AMBIGUOUS = frozenset(
    (
        "header.bare-cr",
        "header.blank-line-with-space",
        "header.bom",
        "header.colon-missing",
        "header.double-colon",
        "header.duplicate",
        "header.hidden-field",
        "header.junk-line",
        "header.leading-blank",
        "header.leading-lines",
        "header.mbox-from",
        "header.name-8bit",
        "header.name-comment",
        "header.no-fields",
        "header.nul",
        "header.space-before-colon",
        "header.too-long",
        "header.too-many-fields",
        "header.unindented-parameter",
    )
)


class Header(NamedTuple):
    span: Span  # the fields, without the empty line and without what was skipped before them
    body_start: int  # after the empty line
    fields: tuple[Field, ...]
    anomalies: tuple[str, ...]


_MIME_NAMES = ("content-", "mime-v")
_NO_NAME = ("", False)
_new = tuple.__new__  # what a NamedTuple's own constructor calls: it is a Python function, and half of the time of a field
_END = regex.compile(rb"\n\r*\n")
_LEADING = regex.compile(rb"(?P<bom>\xef\xbb\xbf)|(?P<lines>[ \t]*+\r*\n|\r++(?!\n))|(?P<mbox>>?From (?![ \t]*:)[^\r\n]*\r*\n)")
_PROPER_NAME = regex.compile(rb"[!-'*-9;-~]+")
_FIELD_END = regex.compile(rb"\n(?![ \t])")
_FIELD = regex.compile(rb"([!-9;-~]+)(:?)")
_COMMENT = regex.compile(rb"\([^()\r\n]*\)")
_BARE_CR = regex.compile(rb"(?<!\r)\r++(?!\n)")  # without the look-behind, a run of CRs would cost its square
_BLANK_LINE = regex.compile(rb"(?:^|\n)[ \t\x0b\x0c]+\r*(?=\n)")
_HIDDEN = regex.compile(rb"\n[ \t]+content-[a-z-]{1,60}[ \t]*(?:\([^\r\n()]*\)[ \t]*)?:", re.IGNORECASE)
_HIDDEN_VALUE = regex.compile(
    rb"\n[ \t]+content-[a-z-]{1,60}[ \t]*+:[ \t]*+\"?(?:[a-z-]{1,60}/|[78]bit|binary|quoted-p|base64|x-uu|attachment|inline|.{0,80}=)",
    re.IGNORECASE,
)
_PARAMETER_LINE = regex.compile(rb"(?:^|\n)(?:boundary|name|filename|charset)[*\d]{0,8}[ \t]*=", re.IGNORECASE)
# Without one of these, _note_lines has nothing to note.
_ODD = rb"(?:[ \t\x0b\x0c]+\r*\n|[ \t]+content-|(?:boundary|name|filename|charset)[*\d]{0,8}[ \t]*=)"
_ODD_START = regex.compile(_ODD, re.IGNORECASE)
_ODD_LINE = regex.compile(rb"\n" + _ODD, re.IGNORECASE)
_MIME_NAME = regex.compile(rb"\n[ \t]*(?=content-[a-z-]{1,60}[^a-z\r\n-]|mime-version)", re.IGNORECASE)
_NOT_IN_NAME = regex.compile(rb"[\x00-\x20\x7f()]")
_COLON_MISSING = regex.compile(rb"content-(?:type|transfer-encoding|disposition)(?:[ \t]+[^\s:]|[=;])", re.IGNORECASE)


def read_header(source: Source, start: int, stop: int, limits: Limits = DEFAULT) -> Header:
    """The header that begins at `start`; it and its empty line end at or before `stop`."""
    notes: dict[str, None] = {}
    first = _skip_leading(source, start, stop, notes)
    block, size = _block(source, first, stop, limits.max_header_bytes)
    if size < 0:
        size = len(block)
        body_start = first + size
        if body_start < stop:
            notes["header.too-long"] = None
        elif size:
            notes["header.no-end"] = None
    else:
        body_start = first + len(block)
        block = block[:size]
    _note_bytes(block, notes)
    fields = _fields(block, first, limits, notes)
    if _ODD_LINE.search(block) or _ODD_START.match(block):
        _note_lines(block, fields, notes)
    if not fields and block.strip():
        # No field at all: these lines are the text of a part whose empty line was forgotten.
        return Header(Span(first, first), first, (), (*notes, "header.no-fields"))
    return Header(Span(first, first + size), body_start, tuple(fields), tuple(notes))


def _skip_leading(source: Source, start: int, stop: int, notes: dict[str, None]) -> int:
    """Where the fields begin: after byte order mark, empty lines and mbox line, if anything like a field follows them."""
    if start >= stop or source.data[start] not in b"\r\n\xef>F \t":
        return start
    head = source.read_at(start, min(WINDOW, stop - start))
    position = 0
    seen: list[str] = []
    while match := _LEADING.match(head, position):
        seen.append({"bom": "header.bom", "lines": "header.leading-lines", "mbox": "header.mbox-from"}[match.lastgroup or "lines"])
        position = match.end()
    if not position:
        return start
    if not _name(head[position : head.find(b":", position) + 1].rstrip(b":"))[0]:
        return start
    notes.update(dict.fromkeys(seen))
    return start + position


def _block(source: Source, first: int, stop: int, cap: int) -> tuple[bytes, int]:
    """(header with its empty line, size of the header alone), or (all bytes up to the cap or `stop`, -1) if no empty line comes.

    The window doubles, so that a header of 400 bytes does not cost a search through a body of 100 MB.
    """
    if first < stop and source.data[first] in b"\r\n" and source.read_at(first, min(3, stop - first)).lstrip(b"\r")[:1] == b"\n":
        end = source.data.find(b"\n", first, stop) + 1
        return source.read_at(first, end - first), 0
    window = WINDOW
    searched = 0
    while True:
        size = min(window, cap, stop - first)
        block = source.read_at(first, max(size, 0))
        match = _END.search(block, searched)
        if match is not None:
            return block[: match.end()], match.start() + 1
        if size < window:
            break
        searched = max(block.rfind(b"\n"), 0)
        window *= 2
    if first + size < stop:
        cut = block.rfind(b"\n") + 1
        block = block[:cut] if cut else block
    return block, -1


def _note_bytes(block: bytes, notes: dict[str, None]) -> None:
    if b"\0" in block:
        notes["header.nul"] = None
    if b"\r" not in block:
        return
    others = block.replace(b"\r\n", b"")
    if b"\r" in others:
        if b"\r\r\n" in block:
            notes["header.cr-cr-lf"] = None
        if _BARE_CR.search(block):
            notes["header.bare-cr"] = None
    if len(others) < len(block) and b"\n" in others:
        notes["header.mixed-line-ends"] = None


def _note_lines(block: bytes, fields: list[Field], notes: dict[str, None]) -> None:
    if _BLANK_LINE.search(block):
        notes["header.blank-line-with-space"] = None
    if _HIDDEN.search(block) and any(hides(field) for field in fields):
        notes["header.hidden-field"] = None
    if _PARAMETER_LINE.search(block):
        notes["header.unindented-parameter"] = None


def hides(field: Field) -> bool:
    """A fold that begins like a MIME field.  Signatures list field names, and fold the list anywhere: h=from:\\n content-type:date"""
    if "dkim" in field.name or "arc-" in field.name or "domainkey" in field.name:
        return _HIDDEN_VALUE.search(field.value) is not None
    return _HIDDEN.search(field.value) is not None


def _fields(block: bytes, first: int, limits: Limits, notes: dict[str, None]) -> list[Field]:
    lines = _FIELD_END.split(block) if len(block) <= WINDOW else []
    if not 0 < len(lines) <= limits.max_header_fields:
        return _many_fields(block, first, limits, notes)
    fields: list[Field] = []
    mime: list[str] = []
    if not lines[-1]:
        lines.pop()
    start = first
    for line in lines:
        stop = start + len(line) + 1
        raw, colon, value = line.partition(b":")
        name, is_mime = _proper_name(raw) if colon else _NO_NAME
        if not name:
            name, value = _improper(line, notes)
            is_mime = name.startswith(_MIME_NAMES)
        if name:
            if value[:1] == b":":
                notes["header.double-colon"] = None
            fields.append(_new(Field, (name, _new(Span, (start, stop)), value.rstrip(b"\r\n"))))
            if is_mime:
                mime.append(name)
        start = stop
    end = first + len(block)
    if fields and fields[-1].span.stop > end:  # the last line has no end
        fields[-1] = fields[-1]._replace(span=Span(fields[-1].span.start, end))
    if len(set(mime)) < len(mime):
        notes["header.duplicate"] = None
    return fields


@lru_cache(maxsize=256)
def _proper_name(raw: bytes) -> tuple[str, bool]:
    """What stands before the colon, in lower case, and is it MIME's; _NO_NAME if it is not a name as it should be."""
    if not _PROPER_NAME.fullmatch(raw):
        return _NO_NAME
    name = raw.decode("ascii").lower()
    return name, name.startswith(_MIME_NAMES)


def _many_fields(block: bytes, first: int, limits: Limits, notes: dict[str, None]) -> list[Field]:
    """_fields for a block of any size, line by line, with max_header_fields."""
    fields: list[Field] = []
    mime: set[str] = set()
    duplicate = False
    at = 0
    late = 0
    while at < len(block):
        if len(fields) >= limits.max_header_fields + late:
            notes["header.too-many-fields"] = None
            match = _MIME_NAME.search(block, at - 1 if at else 0)
            if match is None or late >= LATE_FIELDS:
                break
            at = match.start() + 1
            late += 1
        ending = _FIELD_END.search(block, at)
        end = ending.end() if ending is not None else len(block)
        name, value = _improper(block[at:end], notes)
        if name:
            if value[:1] == b":":
                notes["header.double-colon"] = None
            fields.append(Field(name, Span(first + at, first + end), value))
            if name in mime:
                duplicate = True
            if name.startswith(_MIME_NAMES):
                mime.add(name)
        at = end
    if duplicate:
        notes["header.duplicate"] = None
    return fields


def _improper(line: bytes, notes: dict[str, None]) -> tuple[str, bytes]:
    """(name, value) of any line; name "" if it is no field.  Says what is wrong with it."""
    match = _FIELD.match(line)
    if match is not None and match[2]:
        name, colon = match[1].decode("ascii").lower(), match.end()
        if "(" in name:  # legal in a name, but nobody has one: it is a comment without a blank before it
            name = _name(match[1])[0]
            notes["header.name-comment"] = None
    else:
        name, colon = _loose(line, notes)
    return name, line[colon:].rstrip(b"\r\n")


def _loose(line: bytes, notes: dict[str, None]) -> tuple[str, int]:
    """(name, offset of the value) of a line that is no proper field; name "" if it is none at all.  Says what is wrong with it."""
    colon = line.find(b":")
    raw = line[: max(colon, 0)]
    name, odd = _name(raw)
    if not name:
        missing = _COLON_MISSING.match(line) is not None
        notes["header.colon-missing" if missing else "header.junk-line"] = None
        return "", 0
    if raw[:1] in (b" ", b"\t"):
        notes["header.leading-blank"] = None
    if odd:
        notes[odd] = None
    elif raw[-1:] in (b" ", b"\t"):
        notes["header.space-before-colon"] = None
    return name, colon + 1


def _name(raw: bytes) -> tuple[str, str]:
    """(field name as a lenient client reads it, anomaly): comments, NULs and blanks at the ends are dropped; ("", "") if it is none."""
    name = _COMMENT.sub(b"", raw) if b"(" in raw else raw
    odd = "header.name-comment" if name != raw else ""
    name = name.replace(b"\0", b"").strip(b" \t\x0b\x0c")
    if not name or len(name) > 998 or _NOT_IN_NAME.search(name):
        return "", ""
    return name.decode("latin-1").lower(), odd or ("" if name.isascii() else "header.name-8bit")


_MIME_FIELD = regex.compile(
    rb"(?:^|[\r\n])[ \t]*(?:content-[a-z-]{1,60}|mime-version)[ \t\0]*(?:\([^\r\n()]*\)[ \t]*)?:", re.IGNORECASE | re.MULTILINE
)
_PARAGRAPH_END = regex.compile(rb"[^\s](?:\r\n[ \t]*\r\n|\n[ \t]*\n|\r\r)")
PARAGRAPH_BYTES = 1 << 12


def field_follows(block: bytes, at: int) -> bool:
    """Does the paragraph at `at` (or after the empty lines there) hold a MIME field?  Then some client takes it for a header."""
    head = block[at : at + PARAGRAPH_BYTES]
    if b"content-" not in (lower := head.lower()) and b"mime-version" not in lower:
        return False
    end = _PARAGRAPH_END.search(head)
    return _MIME_FIELD.search(head, 0, end.end() if end is not None else len(head)) is not None
