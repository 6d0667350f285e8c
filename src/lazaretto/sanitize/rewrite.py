"""Small changes to what stays: fields that are too long, and scripts at the top of a text.

    long_fields      a Subject over 256 that may hold a file name keeps its end, a Date over 65 is split,
                     in a word over 256 there is a break after each 256 characters
    shell_scripts    three lines before a line "#!..." at the top make it a script that ends at once

They are for programs of old that such things have hurt; without configuration nothing is changed.  Where
something is, the marker says so: "DEFANGED[1]", with the number of the change.

Signed and encrypted parts stay as they came.  So do fields that are signatures or traces
(DKIM-, ARC-, Received, Authentication-Results, X-), MIME fields, and fields that
clients read differently.

Limits:  TOP bytes of a text, and the first LINES lines with something in them; in base64, texts of MAX_BASE64 bytes.
Errors:  none.
See:     plan.py; RFC 5322 s2.1.1; docs/anomy.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from lazaretto import regex
from lazaretto.mime import compose, transfer, tree
from lazaretto.mime.scanner import IDENTITY, MESSAGES
from lazaretto.mime.source import Source
from lazaretto.model import Edit, Field, Part, Span

MAX_SUBJECT, KEPT_SUBJECT = 256, 150
MAX_DATE = 65
MAX_WORD = 256
TOP = 8 << 10
LINES = 5
MAX_BASE64 = 8 << 20

_NOT_OURS = ("content-", "mime-version", "dkim-", "arc-", "x-", "received", "authentication-results", "domainkey-")
_SCRIPTS = frozenset(("application/octet-stream", "application/x-sh", "application/x-shellscript", "application/pgp"))
_FILE_NAME = regex.compile(rb"\.[A-Za-z0-9]")
_LONG_WORD = regex.compile(rb"[^ \t\r\n]{257,}")
_BROKEN_WORD = b'" "'
_PLAIN = regex.compile(rb"[!-9;-~]+:[ \t]*")


class Rewriting(NamedTuple):
    """The section [rewrite] of the configuration."""

    long_fields: bool = False
    shell_scripts: bool = False
    marker: str = "DEFANGED"


class Change(NamedTuple):
    """`what`: long-subject, long-date, long-word, shell-script."""

    what: str
    edits: tuple[Edit, ...]


def changes(
    source: Source, root: Part, rewriting: Rewriting, stays: Callable[[Part], bool], names: frozenset[str], eol: bytes
) -> Iterator[Change]:
    """All changes, outermost first.

    `stays`: is the part to be left alone (it is gone, renamed or signed)?  `names`: fields that something else is done to.
    """
    if not (rewriting.long_fields or rewriting.shell_scripts):
        return
    count = 0
    parents = {child.path: part for part in tree.walk(root) for child in part.children}
    for part in tree.walk(root):
        if stays(part):
            continue
        is_message = part is root or parents[part.path].media_type in MESSAGES
        for field in part.fields if rewriting.long_fields and is_message else ():
            change = _field(source, field, rewriting.marker, count + 1, eol) if field.name not in names else None
            if change is not None:
                count += 1
                yield change
        if rewriting.shell_scripts and not part.children and (part.media_type.startswith("text/") or part.media_type in _SCRIPTS):
            edit = _script(
                source, part, b"#!/bin/sh%becho %b.%d%bexit%b" % (eol, rewriting.marker.encode("ascii"), count + 1, eol, eol), eol
            )
            if edit is not None:
                count += 1
                yield Change("shell-script", (edit,))


def _field(source: Source, field: Field, marker: str, number: int, eol: bytes) -> Change | None:
    if field.name.startswith(_NOT_OURS) or field.span.stop - field.span.start <= MAX_DATE:
        return None
    head = _PLAIN.match(source.data, field.span.start, field.span.stop)
    raw = source.span(field.span)
    if head is None or b"\0" in raw or b"\r" in raw.replace(b"\r\n", b""):
        return None
    mark = b"%b[%d]" % (marker.encode("ascii"), number)
    text = b" ".join(field.value.split())
    ending = Span(head.end(), field.span.start + len(raw.rstrip(b"\r\n")))
    if field.name == "subject" and len(text) > MAX_SUBJECT and _FILE_NAME.search(text):
        return Change("long-subject", (Edit(ending, mark + b" " + _end(text)),))
    if field.name == "date" and len(text) > MAX_DATE:
        rest = b"%bX-%b-Date: [%d] %b" % (eol, marker.encode("ascii"), number, text[MAX_DATE:].strip())
        return Change("long-date", (Edit(ending, text[:MAX_DATE].rstrip() + rest),))
    edits: list[Edit] = []
    for word in _LONG_WORD.finditer(source.data, head.end(), field.span.stop):
        edits.append(Edit(Span(word.start(), word.start()), mark + b":"))
        edits += (Edit(Span(at, at), _BROKEN_WORD) for at in range(word.start() + MAX_WORD, word.end(), MAX_WORD))
    return Change("long-word", tuple(edits)) if edits else None


def _end(text: bytes) -> bytes:
    """The last words, so many as there is room for; of a single long one its end."""
    end = text[-KEPT_SUBJECT:]
    return end if b" " not in end or text[-KEPT_SUBJECT - 1 : -KEPT_SUBJECT] == b" " else end.partition(b" ")[2]


def _script(source: Source, part: Part, lines: bytes, eol: bytes) -> Edit | None:
    """`lines` before the line that begins a script, in the encoding of the part."""
    if part.encoding in IDENTITY or part.encoding == "quoted-printable":
        at = _top(source.read_at(part.body.start, min(TOP, part.body.stop - part.body.start)), part.encoding == "quoted-printable")
        return None if at is None else Edit(Span(part.body.start + at, part.body.start + at), lines)
    if part.encoding != "base64" or part.body.stop - part.body.start > MAX_BASE64:
        return None
    content = b"".join(transfer.decode(source, part.body, part.encoding))
    at = _top(content[:TOP], quoted=False)
    if at is None:
        return None
    line = len(source.read_at(part.body.start, compose.MAX_LINE + 2).split(b"\n", 1)[0].rstrip())
    encoded = compose.encode((content[:at], lines, content[at:]), part.encoding, eol, line)
    assert encoded is not None  # base64 is one that compose knows
    ends = (eol,) if source.read_at(part.body.stop - 1, 1) == b"\n" else ()
    return Edit(part.body, b"".join(chain(encoded, ends)))


def _top(text: bytes, quoted: bool) -> int | None:
    """Where the line "#!" begins among the first LINES that are not empty; `quoted`: lines are quoted-printable."""
    at = seen = 0
    continued = False
    while at < len(text) and seen < LINES:
        stop = text.find(b"\n", at) + 1 or len(text)
        line = text[at:stop].strip(b"\r\n")
        if quoted:
            line = line.rstrip(b" \t")
        begins = line.replace(b"=23", b"#").replace(b"=21", b"!") if quoted else line
        if begins.startswith(b"#!") and not continued:
            return at
        seen += bool(line.strip())
        continued = quoted and line.endswith(b"=")
        at = stop
    return None
