"""`lazaretto explain`: how a message is read, what each engine says, what is decided, what is changed.

Nothing is changed and nothing goes to quarantine.

Exit status: 0, or 75 when an engine that must answer did not.
See:  docs/flow.md
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from lazaretto.cli import setup
from lazaretto.errors import EX_OK, EX_TEMPFAIL
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope, Finding, Item, Report
from lazaretto.policy.rules import judge
from lazaretto.scan.job import Scanner
from lazaretto.scan.report import as_json, finding_json, outcome


class Note(NamedTuple):
    """One item as it is shown: no content."""

    part: str
    trail: tuple[str, ...]
    names: tuple[str, ...]
    media_type: str
    type: str
    size: int
    doubtful: bool
    is_message: bool
    asked: tuple[str, ...]
    findings: tuple[Finding, ...]


def run(args: list[str]) -> int:
    """The command line after `explain`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="lazaretto explain", description="Show how a message is read, what was found, and why it was changed."
    )
    parser.add_argument("file", metavar="FILE", help="a message; - is standard input")
    setup.add_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--diff", action="store_true", help="show the bytes of every edit")
    options = parser.parse_args(args)
    source = setup.read_message(options.file)
    scanner = setup.scanner(options)
    try:
        notes, facts = _look(scanner, source)
        report = scanner.scan(source, dry_run=True)
    finally:
        scanner.close()
    if options.json:
        _json(notes, facts, report)
    else:
        _text(scanner, source, notes, facts, report, diff=options.diff)
    return EX_TEMPFAIL if report.verdict.disposition is Disposition.TEMPFAIL else EX_OK


def _look(scanner: Scanner, source: Source) -> tuple[list[Note], list[Finding]]:
    notes: list[Note] = []
    facts: list[Finding] = []
    for found in scanner.look(source):
        if isinstance(found, Finding):
            facts.append(found)
            continue
        item, findings = found
        asked = tuple(engine.name for engine in scanner.engines if engine.wants(item))
        notes.append(
            Note(
                _dotted(item),
                item.trail,
                item.names,
                item.media_type,
                item.type,
                item.content.size,
                item.doubtful,
                item.is_message,
                asked,
                findings,
            )
        )
    return notes, facts


def _dotted(item: Item) -> str:
    return ".".join(map(str, item.part))


def _text(scanner: Scanner, source: Source, notes: list[Note], facts: list[Finding], report: Report, *, diff: bool) -> None:
    out: list[str] = []
    waiting = list(facts)
    for note in notes:
        depth = 0 if note.is_message else max(len(note.trail), 1)
        pad = "  " * depth
        label = "message" if note.is_message else note.trail[-1] if note.trail else "body"
        names = f" {', '.join(note.names)}" if note.names and note.names != (label,) else ""
        declared = f"{note.media_type} " if note.media_type and not note.is_message else ""
        doubt = " (other reading)" if note.doubtful else ""
        out.append(f"{pad}{label}:{names} {declared}[{note.type}, {note.size} bytes]{doubt}")
        mine = [fact for fact in waiting if fact.trail == note.trail]
        waiting = [fact for fact in waiting if fact.trail != note.trail]
        out.extend(f"{pad}    {_line(scanner, finding)}" for finding in (*mine, *note.findings))
        silent = [name for name in note.asked if not any(finding.engine == name for finding in note.findings)]
        if silent:
            out.append(f"{pad}    nothing found by {', '.join(silent)}")
    out.extend(_line(scanner, fact, where=True) for fact in waiting)
    verdict = report.verdict
    out += ["", f"outcome: {outcome(report)}, by rule {verdict.rule}"]
    out.extend(f"  part {'.'.join(map(str, path)) or '(message)'}: {treatment.name.lower()}" for path, treatment in verdict.treatments)
    if verdict.quarantine:
        out.append("  the original would go to quarantine")
    for edit in report.edits:
        data = edit.data if isinstance(edit.data, bytes) else edit.data.read_at(0, 4096)
        out.append(f"  edit: bytes {edit.span.start} to {edit.span.stop} become {len(data)} bytes")
        if diff:
            out.extend(f"    - {line!r}" for line in source.span(edit.span)[:4096].splitlines()[:40])
            out.extend(f"    + {line!r}" for line in data.splitlines()[:40])
    if not report.edits:
        out.append("  no edits: the message goes on byte for byte")
    sys.stdout.write("\n".join("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line) for line in out) + "\n")


def _line(scanner: Scanner, finding: Finding, *, where: bool = False) -> str:
    decision = judge(finding, Envelope(), scanner.policy)
    reason = f"/{finding.reason.value}" if finding.reason else ""
    place = f" at {' > '.join(finding.trail)}" if where and finding.trail else ""
    detail = f": {finding.detail}" if finding.detail else ""
    action = decision.action.name.lower()
    return f"{finding.name} [{finding.kind.value}{reason}, {finding.engine}]{place}{detail} -> {action} ({decision.rule})"


def _json(notes: list[Note], facts: list[Finding], report: Report) -> None:
    import json

    items = [
        {
            "part": note.part,
            "where": list(note.trail),
            "names": list(note.names),
            "media_type": note.media_type,
            "type": note.type,
            "bytes": note.size,
            "other_reading": note.doubtful,
            "engines": list(note.asked),
            "findings": [finding_json(finding) for finding in note.findings],
        }
        for note in notes
    ]
    sys.stdout.write(
        json.dumps({"items": items, "facts": [finding_json(fact) for fact in facts], "report": as_json(report)}, indent=1) + "\n"
    )
