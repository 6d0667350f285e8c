"""The notice for one part or message: what is known about it, as the text that stands in its place.

Errors:  none.
See:     sanitize/notices.py
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazaretto.mime import scanner, transfer
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Kind, Part
from lazaretto.sanitize import notices
from lazaretto.sanitize.style import Summary

NO_SUMMARY = Summary()
_NAMED = 5  # saved files that one notice names


class Told(NamedTuple):
    """What every notice of one message tells."""

    now: float  # seconds since 1970
    rule: str
    scan_id: str
    quarantine_id: str
    host: str


def about(part: Part, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What a notice for `part` tells of: findings in it, else all; not of mere deviations."""
    weighty = tuple(finding for finding in findings if finding.kind is not Kind.MALFORMED)
    return tuple(finding for finding in weighty if finding.part[: len(part.path)] == part.path) or weighty


def make(
    template: notices.Template,
    told: Told,
    part: Part,
    findings: tuple[Finding, ...],
    saved: Sequence[str],
    eol: bytes,
    whole: bool | None,
    style: Summary = NO_SUMMARY,
) -> bytes:
    """Header lines, empty line, text.  `saved`: paths of the files that keep the part; `whole`: it stands for a whole message.

    whole None: it stands for nothing, but tells what was found in the message.
    """
    file = part.names[0] if part.names and not whole else ""
    names = ", ".join(map(os.path.basename, saved[:_NAMED]))
    facts = notices.Facts(findings, told.now, file, told.rule, told.scan_id, told.quarantine_id, told.host, names)
    if whole is None:
        notice = notices.summary(template, facts, style.prefix, style.suffix, eol)
        return notice.header + eol + notice.body
    notice = (notices.message_notice if whole else notices.part_notice)(template, facts, eol)
    return notice.header + eol + notice.body


def digests(text: bytes, eol: bytes) -> set[bytes]:
    """Of the content of a notice as the scan of the result sees it: with its last line end, or without."""
    source = Source(text)
    content = b"".join(transfer.decode(source, (read := scanner.parse(source)).body, read.encoding))
    return {Source(reading).digest() for reading in (content, content.removesuffix(eol))}
