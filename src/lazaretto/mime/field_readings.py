"""What other readers make of a header block.

    other_splits(source, start, stop)    other places where the header may end
    other_fields(source, start, stop)    MIME fields that other readers see in these bytes

Asked for ambiguous mail only; the primary reading is in fields.py.

Limits:  max_header_bytes, MAX_OTHER_FIELDS, MAX_OTHER_SPLITS.
Errors:  none.
See:     docs/readings.md; RFC 5322 s2.2, s4.5; RFC 7103 s7
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import fields
from lazaretto.mime.source import Source
from lazaretto.model import Span

MAX_OTHER_FIELDS = 200
MAX_OTHER_SPLITS = 16

_ANY_END = regex.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\n\r+\n")
_BLANKS_END = regex.compile(rb"(?:\r\n|\n|\r)[ \t\x0b\x0c]+(?:\r\n|\n|\r)")
_LEADING_JUNK = regex.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n]+|>?From [^\r\n]*(?:\r\n|\n|\r))+")
_LINE = regex.compile(rb"[^\r\n]*(?:\r\n|\n|\r|$)")
_FIELD_LIKE = regex.compile(rb"[!-'*-9;-~\0\x80-\xff]++[ \t\0]*+(?:\([^\r\n()]*\))?[ \t]*+:|[ \t\r\n]|>?From ")


def other_splits(source: Source, start: int, stop: int, limits: Limits = DEFAULT) -> tuple[tuple[Span, int], ...]:
    """(header, start of body) for every other place where a client may end the header; () for nearly all mail."""
    header = fields.read_header(source, start, stop, limits)
    limit = header.body_start - start
    size = max(0, min(stop - start, limit + fields.WINDOW))
    block = source.read_at(start, size)
    if not header.anomalies and block[:1] not in (b"\r", b"\n") and not fields.field_follows(block, limit):
        return ()
    found: dict[tuple[int, int], None] = {}
    for _, match in zip(range(4), _ANY_END.finditer(block), strict=False):
        found[match.start(), match.end()] = None
        if not fields.field_follows(block, match.end()):
            break  # text follows: nobody takes it for more of the header
    for _, match in zip(range(3), _BLANKS_END.finditer(block, 0, limit), strict=False):
        found[match.start(), match.end()] = None
    if block[:1] in (b"\r", b"\n"):
        found[0, 2 if block[:2] == b"\r\n" else 1] = None
    if header.anomalies:
        found.update(dict.fromkeys(_junk(block)))
    junk = _LEADING_JUNK.match(block)
    if junk is not None:
        for match in [m for _, m in zip(range(2), _ANY_END.finditer(block, junk.end()), strict=False)]:
            found[match.start(), match.end()] = None
    primary = header.body_start
    splits: dict[tuple[Span, int], None] = {}
    for end, body in found:
        if start + body != primary or start + end < header.span.start:
            splits[Span(start, start + end), start + body] = None
    return tuple(splits)[:MAX_OTHER_SPLITS]


def _junk(block: bytes) -> Iterator[tuple[int, int]]:
    """The first line that is neither field nor fold, for readers to whom it begins the body."""
    for match in _LINE.finditer(block):
        if not match[0]:
            return
        if not _FIELD_LIKE.match(match[0]):
            yield match.start(), match.start()
            return


_MIME_LINE = regex.compile(
    rb"[^!-~]{0,64}(content-[a-z-]{1,60}|mime-version)(?=[ \t\v\f:(=;])[ \t\v\f]*+(?:\([^\r\n()]*\)[ \t]*+)?(?:[:=;]|(?=[^\s:=]))",
    re.IGNORECASE,
)
_PARAMETER = regex.compile(rb"[ \t]*(?:boundary|name|filename|charset)[*\d]{0,8}\s*=", re.IGNORECASE)


def other_fields(source: Source, start: int, stop: int, limits: Limits = DEFAULT) -> tuple[tuple[str, bytes], ...]:
    """MIME fields (Content-*, MIME-Version) that some reader sees in the header block `start` to `stop`, whatever the primary one sees.

    NULs dropped, a bare CR taken for a line end, indented or colon-less fields, unindented parameters, folds over lines of
    blanks.  Ordinary fields are in it too, with their folds kept, so that the union with Header.fields is small.
    """
    block = source.read_at(start, max(0, min(stop - start, limits.max_header_bytes)))
    found: dict[tuple[str, bytes], None] = {}
    forms = [block]
    if b"\0" in block:
        forms.append(block.replace(b"\0", b""))
    for form in forms:
        for lenient in (False, True):
            for name, value in _mime_fields(form, lenient):
                found[name, value] = None
                if value.startswith(b":"):
                    found[name, value.lstrip(b": \t")] = None
                if len(found) >= MAX_OTHER_FIELDS:
                    return tuple(found)
    return tuple(found)


def _mime_fields(block: bytes, lenient: bool) -> Iterator[tuple[str, bytes]]:
    """Fields of `block`; the `lenient` reader takes bare CR for a line end and parameters without a blank before them for a fold."""
    name = ""
    value: list[bytes] = []
    for match in (_LINE if lenient else _LF_LINE).finditer(block):
        line = match[0]
        field = _MIME_LINE.match(line)
        if field is not None:
            if name:
                yield name, b"".join(value).rstrip(b"\r\n")
            name = field[1].decode("ascii").lower()
            value = [line[field.end() :]]
        elif not name or not line.strip():
            continue
        elif line[:1] in (b" ", b"\t"):
            value.append(line)
        elif lenient and (_PARAMETER.match(line) or (b":" not in line and not b"".join(value).strip())):
            value += (b" ", line)
        elif b":" in line or not lenient:
            yield name, b"".join(value).rstrip(b"\r\n")
            name = ""
        # A lenient reader skips junk, and what follows still belongs to the field.
    if name:
        yield name, b"".join(value).rstrip(b"\r\n")


_LF_LINE = regex.compile(rb"[^\n]*(?:\n|$)")
