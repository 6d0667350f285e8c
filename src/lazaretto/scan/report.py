"""A Report as text: the one final log line, as pairs or as JSON, and all of it for programs.

The line is `key=value` pairs; values with blanks or quotes are quoted, and
whatever is not printable is escaped, so that a message cannot forge a line.

    lazaretto: outcome=cleaned id=69217f3a-1b2c3d4e rule=malware replaced=2
      findings="Eicar-Test-Signature(yara,2)" quarantine=... size=1234 ms=17.2 ...

Limits:  20 findings are named; values are cut at 500 characters.
See:     docs/logging.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lazaretto import regex
from lazaretto.model import Disposition, Envelope, Finding, Kind, Report, Treatment

_NAMED = 20
_WIDTH = 500
# What is a fact of many honest mails: worth showing in `explain`, not in each log line.
_QUIET = frozenset((Kind.MALFORMED,))
_SPACED = frozenset(("findings", "saved"))  # lists whose items may hold commas
_PAIR = regex.compile(r'([a-z_0-9]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "=\\]+))(?= |\Z)')
_BY_NAME = {Treatment.DISARM: "disarmed", Treatment.CANONICALISE: "canonicalised"}  # all others are told as "replaced"
_ESCAPED = regex.compile(r"\\(.)")


def outcome(report: Report) -> str:
    """One word: clean, passed (something was found, and policy lets it go), canonicalised, cleaned, discarded, deferred, rejected."""
    verdict = report.verdict
    if verdict.disposition is not Disposition.ACCEPT:
        return {Disposition.DISCARD: "discarded", Disposition.TEMPFAIL: "deferred", Disposition.REJECT: "rejected"}[verdict.disposition]
    worst = max((treatment for _, treatment in verdict.treatments), default=Treatment.KEEP)
    if worst > Treatment.CANONICALISE:
        return "cleaned"
    if report.rewritten:
        return "cleaned"
    if worst is Treatment.CANONICALISE and not noteworthy(report.findings):
        return "canonicalised"
    return "clean" if not noteworthy(report.findings) else "passed"


def is_changed(report: Report) -> bool:
    """Was something done to it besides our fields?  Of a message that has to come again, nothing yet."""
    verdict = report.verdict
    if verdict.disposition is Disposition.TEMPFAIL:
        return False
    return (
        verdict.disposition is not Disposition.ACCEPT
        or bool(report.rewritten)
        or any(treatment is not Treatment.KEEP for _, treatment in verdict.treatments)
    )


def noteworthy(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that are more than a remark about form."""
    return [finding for finding in findings if finding.kind not in _QUIET]


def final_line(report: Report, envelope: Envelope) -> str:
    """The line that says what was done with the message and why (promise R5)."""
    return line(final_pairs(report, envelope))


def final_pairs(report: Report, envelope: Envelope) -> dict[str, str]:
    """What that line says, by key, for front ends that have more to say."""
    return {key: _plain(key, value) for key, value in _facts(report, envelope).items()}


def final_json(report: Report, envelope: Envelope, more: Mapping[str, str] | None = None) -> str:
    """The same facts, under the same names, as one JSON object on one line; `more` are those of a front end."""
    return _json({**_facts(report, envelope), **(more or {})})


def _facts(report: Report, envelope: Envelope) -> dict[str, str | float | list[str]]:
    """What the final line says, by key."""
    verdict = report.verdict
    found = noteworthy(report.findings)
    named = list(dict.fromkeys(f"{f.name}({f.engine},{'.'.join(map(str, f.part)) or 'message'})" for f in found))
    replaced = [path for path, treatment in verdict.treatments if treatment not in _BY_NAME and treatment is not Treatment.KEEP]
    facts: dict[str, str | float | list[str]] = {"outcome": outcome(report), "id": report.scan_id, "rule": verdict.rule}
    if envelope.queue_id:
        facts["queue_id"] = envelope.queue_id
    if envelope.mail_from is not None:
        facts["from"] = _text(envelope.mail_from)
    if envelope.rcpt_to:
        facts["to"] = [*map(_text, envelope.rcpt_to)]
    if envelope.client:
        facts["client"] = envelope.client
    if verdict.alarm:
        facts["alarm"] = "yes"
    by_name = ((key, [path for path, one in verdict.treatments if one is treatment]) for treatment, key in _BY_NAME.items())
    for key, paths in (("replaced", replaced), *by_name):
        if paths:
            facts[key] = [".".join(map(str, path)) or "message" for path in paths]
    if report.rewritten:
        facts["rewritten"] = [*dict.fromkeys(report.rewritten)]
    if named:
        facts["findings"] = named[:_NAMED] + ([f"and {len(named) - _NAMED} more"] if len(named) > _NAMED else [])
    troubles = [f for f in found if f.kind is Kind.ERROR and f.detail]
    if troubles:
        ours = (f for f in troubles if f.name.startswith("system."))  # why a message is deferred, whatever failed before
        facts["error"] = next(ours, troubles[0]).detail
    if report.quarantine_id:
        facts["quarantine"] = report.quarantine_id
    if report.saved:
        facts["saved"] = [*report.saved[:_NAMED]]
    if report.backup:
        facts["backup"] = report.backup
    facts["sha256"] = report.digest
    facts["engines"] = [name for name, _ in report.engines]
    facts["ms"] = round(report.elapsed_ms, 1)
    return facts


def _plain(key: str, value: str | float | list[str]) -> str:
    if isinstance(value, list):
        return (" " if key in _SPACED else ",").join(value)
    return value if isinstance(value, str) else f"{value:.1f}"


def json_line(text: str) -> str:
    """A line that line() has made, as one JSON object on one line: every value a text."""
    pairs = {match[1]: _ESCAPED.sub(r"\1", match[2]) if match[2] is not None else match[3] for match in _PAIR.finditer(text)}
    return _json(pairs)


def _json(facts: Mapping[str, str | float | list[str]]) -> str:
    import json

    return json.dumps({key: _cut(value) for key, value in facts.items()})  # in ASCII: nothing in it can break the line


def _cut(value: str | float | list[str]) -> str | float | list[str]:
    """Short enough for syslog: what does not fit there any more is no JSON."""
    if isinstance(value, str):
        return value[:_WIDTH]
    if not isinstance(value, list):
        return value
    left, items = _WIDTH, 0
    while items < len(value) and len(value[items]) <= left:
        left -= len(value[items])
        items += 1
    return value[:items] + ([f"and {len(value) - items} more"] if items < len(value) else [])


def severity(report: Report) -> int:
    """The line's level in syslog: 3 err for deferred, 4 warning where something was found, 6 info for clean mail."""
    word = outcome(report)
    return 3 if word == "deferred" else 6 if word in ("clean", "canonicalised") else 4


def failure_line(reason: str) -> str:
    """The final line of a message that could not be scanned at all."""
    return line({"outcome": "deferred", "rule": "system", "error": reason})


def line(pairs: Mapping[str, str]) -> str:
    """`lazaretto: key=value ...`, one line, printable."""
    return "lazaretto: " + " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace") or "<>"


def _quoted(value: str) -> str:
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value[:_WIDTH])
    if safe and not any(c in safe for c in ' "=\\'):
        return safe
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'


def finding_json(finding: Finding) -> dict[str, object]:
    """One finding, ready for JSON."""
    return {
        "engine": finding.engine,
        "kind": finding.kind.value,
        "name": finding.name,
        "part": ".".join(map(str, finding.part)),
        "where": list(finding.trail),
        "detail": finding.detail,
        "reason": finding.reason.value if finding.reason else None,
    }


def as_json(report: Report) -> dict[str, object]:
    """The whole report, ready for JSON; edits by span and size only."""
    verdict = report.verdict
    return {
        "id": report.scan_id,
        "outcome": outcome(report),
        "sha256": report.digest,
        "disposition": verdict.disposition.name.lower(),
        "rule": verdict.rule,
        "treatments": {".".join(map(str, path)): treatment.name.lower() for path, treatment in verdict.treatments},
        "quarantine": report.quarantine_id or None,
        "saved": list(report.saved),
        "backup": report.backup or None,
        "findings": [finding_json(finding) for finding in report.findings],
        "edits": [
            {"start": edit.span.start, "stop": edit.span.stop, "bytes": len(edit.data) if isinstance(edit.data, bytes) else edit.data.size}
            for edit in report.edits
        ],
        "engines": [name for name, _ in report.engines],
        "elapsed_ms": round(report.elapsed_ms, 1),
    }
