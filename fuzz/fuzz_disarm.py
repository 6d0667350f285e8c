"""Disarming: whatever the bytes, a file is left alone, refused, or done; what is done has nothing more to take out.

PDF is not here: what reads it is a library, which the scan runs in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import disarming
import disarming_ole
import documents
from lazaretto.errors import LimitExceeded
from lazaretto.limits import MIB, Limits, Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import disarm, ooxml_parts, vba_empty
from lazaretto.sanitize.disarmed import NOTHING, Found, Refused
from lazaretto.sanitize.ooxml_parts import Task

LIMITS = Limits(max_unpacked_bytes=16 * MIB, max_members=500)
TYPES = ("docx", "rtf", "ole", "xml", "vba")
TASK = Task(frozenset(("rId1", "rId2")), frozenset((1,)))
_PROJECT = documents.vba_project({"ThisDocument": disarming_ole.CODE}, "Macros/")
SEEDS = (
    *(b"\0" + make() for make, _ in disarming.OFFICE.values()),
    *(b"\1" + data for data in disarming.RTF.values()),
    *(b"\3" + part for make, _ in disarming.OFFICE.values() for part in disarming.unpacked(make()).values() if part.startswith(b"<")),
    *(b"\3" + disarming.unpacked(disarming.word(text))["word/document.xml"] for text in disarming.DISGUISED.values()),
    b"\4\x20" + b"x" * 32 + documents.vba_compress(disarming_ole.CODE),
    b"\2" + disarming_ole.word_file(_PROJECT | disarming_ole.objects_of("Macros/")),
)


def part(data: bytes) -> None:
    """One XML part of a document."""
    found = Found()
    clean = ooxml_parts.edit(data, TASK, "x", found)
    again = Found()
    assert ooxml_parts.edit(clean, TASK, "x", again) == clean
    assert not again


def module(data: bytes) -> None:
    """One macro module: where its source begins, then its stream."""
    offset = data[0] if data else 0
    stream = data[1:].ljust(offset, b"\0")
    clean = vba_empty.emptied(stream, offset)
    assert len(clean) == len(stream)
    assert vba_empty.emptied(clean, offset) == clean


def target(data: bytes) -> None:
    """The first byte chooses the type, so that each seed stays with its format."""
    if not data:
        return
    type_id = TYPES[data[0] % len(TYPES)]
    if type_id in ("xml", "vba"):
        try:
            part(data[1:]) if type_id == "xml" else module(data[1:])
        except Refused:
            pass
        return
    try:
        result = disarm.disarm(type_id, Source(data[1:]), Meter(LIMITS))
        if result.content is None:
            return
        assert result.removed
        assert not result.refused
        assert disarm.disarm(type_id, Source(result.content), Meter(LIMITS)) == NOTHING
    except LimitExceeded:
        pass
