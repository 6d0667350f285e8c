"""A file encoded in a text (uuencode, begin-base64): treated on its own, the text around it stays.

    replace        the notice stands where the block stood, as lines of the text
    defang, mangle the name in its begin line becomes a harmless one

Errors:  none.
See:     plan.py; scan/encoded_files.py, which says where they are; mime/uuencode.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.model import Edit, Part, Span, Treatment
from lazaretto.sanitize import names
from lazaretto.sanitize.renaming import Renaming

_NAME = regex.compile(rb"begin(?:-base64)?[ \t]+[0-7]+[ \t]+([^\r\n]*)")
_REMOVED = b"(A file was removed here.)"


class Block(NamedTuple):
    """One file in a text."""

    span: Span  # begin line to end line
    name: str
    treatment: Treatment


def replaced(source: Source, block: Block, notice: bytes, eol: bytes) -> Edit:
    """`notice`: header, empty line, text; of which only ASCII can stand in a text whose charset is anything."""
    header, _, text = notice.partition(eol + eol)
    lines = text.rstrip(b"\r\n") if b"7bit" in header else _REMOVED
    ends = source.read_at(block.span.stop - 1, 1) == b"\n"
    return Edit(block.span, lines + (eol if ends else b""))


def renamed(source: Source, block: Block, renaming: Renaming, number: int) -> Iterator[Edit]:
    """A harmless name in the begin line; nothing where there is none."""
    match = _NAME.match(source.data, block.span.start, block.span.stop)
    if match is not None:
        suffix = renaming.suffix.replace("$N", str(number))
        name = renaming.mangled_name if block.treatment is Treatment.MANGLE else block.name or "attachment"
        yield Edit(Span(match.start(1), match.end(1)), names.defang(name, suffix).encode("ascii", "replace"))


def part_of(part: Part, block: Block) -> Part:
    """What the notice is about: the part, called like the file in it."""
    return part._replace(names=(block.name,) if block.name else ())
