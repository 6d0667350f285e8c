"""A double of the receiver that SMTP smuggling needs: a dot alone between any two line ends ends the data, and it may drop NULs."""

from __future__ import annotations

import re

_LINE_END = re.compile(rb"\r\n|\r|\n")


def end_of_data(wire: bytes, drop_nul: bool) -> int:
    """Bytes up to and with what this receiver takes for the end of data, NULs not counted if dropped; -1 if there is none."""
    if drop_nul:
        wire = wire.replace(b"\0", b"")
    start = 0
    for found in _LINE_END.finditer(wire):
        if wire[start : found.start()].replace(b"\0", b"") == b".":
            return found.end()
        start = found.end()
    return -1


def ends_early(wire: bytes) -> bool:
    """Does any such receiver see an end before the last byte?"""
    return end_of_data(wire, drop_nul=False) != len(wire) or end_of_data(wire, drop_nul=True) != len(wire) - wire.count(b"\0")
