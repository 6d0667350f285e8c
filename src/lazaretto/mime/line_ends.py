"""Bytes on which clients disagree about lines: a bare CR, a NUL.

Errors:  none.
See:     RFC 5322 s2.3; mime/readings.py, which repairs them as clients do
"""

from __future__ import annotations

from lazaretto import regex
from lazaretto.mime.source import Source
from lazaretto.model import Span

_BARE_CR = regex.compile(rb"\r(?!\n)")


def line_end_trouble(source: Source, span: Span | None = None) -> tuple[bool, bool]:
    """(bare CR somewhere, NUL somewhere)."""
    start, stop = span if span is not None else (0, source.size)
    return _BARE_CR.search(source.data, start, stop) is not None, source.data.find(b"\0", start, stop) >= 0
