"""Notices: the text that stands where something dangerous stood.

A template is a text file (notices/en.txt is one) with four sections, each begun
by a line "%% NAME": `part` and `message` are the texts, `finding` is the form of
one entry of ${findings}, `reasons` gives a phrase for each kind of finding.  One
line of it is one paragraph: it is wrapped here, and it is left out when a
variable in it is empty.  So "kept as ${quarantine_id}" disappears when nothing was
kept.  Of the lines of `finding`, the first with all its variables filled is used.

Values never become syntax: they are shown by names.display(), put in once, and a
line that could be taken for a boundary, for mbox' "From " or for the SMTP dot is
sent as quoted-printable.

`${name:-text}` is the text where the variable is empty; then the line is not left out.

A text of the configuration may stand in the place of `part`, another in its place for
parts that were saved (with_texts).

Limits:  10 findings are listed; output lines of at most 76 characters (a long name in
         Content-Disposition apart: under 700).
Errors:  ConfigError(file, line) from parse.  Rendering raises nothing.
See:     RFC 2045 s6.7, RFC 2231 s4, RFC 2183; RFC 5321 s4.5.2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.model import Finding, Kind, Reason
from lazaretto.sanitize.names import defang, display

LANGUAGES = ("de", "en")  # shipped

_WIDTH = 72
_QP_WIDTH = 76  # RFC 2045 s6.7 (5)
_MAX_FINDINGS = 10
_VARIABLE = regex.compile(r"\$\{([^{}\n]*?)(?:(:-)([^{}\n]*))?\}")
_TEXT_VARIABLES = frozenset(
    {
        "detail",
        "file",
        "finding",
        "findings",
        "malware",
        "matched",
        "host",
        "quarantine_id",
        "reason",
        "rule",
        "saved_as",
        "scan_id",
        "time",
    }
)
_FINDING_VARIABLES = frozenset({"detail", "engine", "finding", "place", "reason"})
_MALWARE = (Kind.MALWARE, Kind.DISINFECTED, Kind.ACTIVE)
_ORDER = (
    Kind.MALWARE,
    Kind.DISINFECTED,
    Kind.BANNED,
    Kind.ACTIVE,
    Kind.DISARMED,
    Kind.UNSCANNABLE,
    Kind.ERROR,
    Kind.MALFORMED,
)  # what the reader should hear first
_REASONS = tuple(word.value for word in (*Kind, *Reason))
_ENDINGS = (b"\r\n", b"\n")
_RISKY_START = (ord("-"), ord("."), ord("F"))  # boundary, SMTP dot, "From " of an mbox


class Template(NamedTuple):
    """A parsed template; lines, because each line stands or falls with its variables."""

    part: tuple[str, ...]
    message: tuple[str, ...]
    finding: tuple[str, ...]
    reasons: Mapping[str, str]
    saved: tuple[str, ...] = ()  # instead of `part` for one that was saved; (): `part`


class Facts(NamedTuple):
    """What a notice may tell.  `findings` are those of the removed part or message, in any order."""

    findings: tuple[Finding, ...]
    now: float  # seconds since 1970
    file: str = ""  # name of the removed part, as its sender wrote it
    rule: str = ""
    scan_id: str = ""
    quarantine_id: str = ""
    host: str = ""
    saved_as: str = ""  # name of the file that keeps the removed part


class Notice(NamedTuple):
    """A complete MIME entity, which the caller puts together: header, blank line, body."""

    header: bytes  # Content-* fields, complete lines
    body: bytes  # complete lines


def shipped(language: str) -> str:
    """Path of the template for one of LANGUAGES; the caller reads it."""
    return f"{__file__.rpartition('/')[0]}/notices/{language}.txt"


def parse(text: str, file: str = "") -> Template:
    """Read a template; ConfigError says which line is wrong."""
    sections: dict[str, list[str]] = {"part": [], "message": [], "finding": [], "reasons": []}
    starts: dict[str, int] = {}
    current = ""
    reasons: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.rstrip()
        if line.startswith("%%"):
            current = line[2:].strip()
            if current not in sections:
                raise ConfigError(f"no section {display(current)!r} in a notice; there are {', '.join(sections)}", file, number)
            if current in starts:
                raise ConfigError(f"second section {current!r}; the first is on line {starts[current]}", file, number)
            starts[current] = number
        elif current == "reasons":
            if line:
                word, equals, phrase = (piece.strip() for piece in line.partition("="))
                if not equals or not phrase or word not in _REASONS:
                    raise ConfigError(f"expected REASON = phrase, with one of {', '.join(_REASONS)}", file, number)
                reasons[word] = phrase
        elif current:
            allowed = _FINDING_VARIABLES if current == "finding" else _TEXT_VARIABLES
            if wrong := _unknown(line, allowed):
                raise ConfigError(wrong, file, number)
            sections[current].append(line)
        elif line and not line.startswith("#"):
            raise ConfigError("expected a comment (#) or a section (%% part)", file, number)
    for name, lines in sections.items():
        if name not in starts or (name != "reasons" and not any(lines)):
            raise ConfigError(f"section {name!r} is missing or empty", file, starts.get(name, 1))
    missing = [word for word in _REASONS if word not in reasons]
    if missing:
        raise ConfigError(f"no phrase for {', '.join(missing)}", file, starts["reasons"])
    return Template(tuple(sections["part"]), tuple(sections["message"]), tuple(filter(None, sections["finding"])), reasons)


def _unknown(line: str, allowed: frozenset[str]) -> str:
    """What is wrong with the variables of `line`, or ""."""
    for match in _VARIABLE.finditer(line):
        if match[1] not in allowed:
            return f"unknown variable ${{{display(match[1])}}}; there are {', '.join(sorted(allowed))}"
    return ""


def with_texts(template: Template, part: str, saved: str) -> Template:
    """`template` with these texts for a part, and for one that was saved; "": its own.  ValueError for a variable that is none."""
    check(part, saved)
    return template._replace(part=tuple(part.splitlines()) or template.part, saved=tuple(saved.splitlines()))


def check(*texts: str) -> None:
    """ValueError for a variable that is none."""
    for text in texts:
        for line in text.splitlines():
            if wrong := _unknown(line, _TEXT_VARIABLES):
                raise ValueError(wrong)


def part_notice(template: Template, facts: Facts, eol: bytes) -> Notice:
    """What replaces one part; it carries the part's name, made harmless."""
    lines = _text(template, template.saved if facts.saved_as and template.saved else template.part, facts)
    return _entity(lines, eol, (b"Content-Disposition: inline;" + eol + b" " + _filename(defang(facts.file)),) if facts.file else ())


def message_notice(template: Template, facts: Facts, eol: bytes) -> Notice:
    """What replaces the content of a whole message: its Content-* fields and its body.  It has no name."""
    return _entity(_text(template, template.message, facts), eol, ())


def summary(template: Template, facts: Facts, prefix: str, suffix: str, eol: bytes) -> Notice:
    """What was found in a message, for a part of its own; `prefix` and `suffix` stand before and behind, with the variables of a notice."""
    lines = [*prefix.splitlines(), "${findings}", *suffix.splitlines()]
    return _entity(_text(template, lines, facts), eol, (b"Content-Disposition: inline",))


def _text(template: Template, form: Iterable[str], facts: Facts) -> list[str]:
    """The wrapped lines; no blank lines at either end, nor two in a row."""
    import textwrap

    findings = sorted(facts.findings, key=lambda finding: _ORDER.index(finding.kind))
    values = {
        "detail": display(findings[0].detail) if findings else "",
        "file": display(facts.file),
        "finding": display(findings[0].name) if findings else "",
        "host": display(facts.host),
        "malware": next((display(f.name) for f in findings if f.kind in _MALWARE), ""),
        "matched": next((display(f.detail.rpartition(" matches ")[0]) for f in findings if " matches " in f.detail), display(facts.file)),
        "quarantine_id": display(facts.quarantine_id),
        "reason": _reason(template, findings[0]) if findings else template.reasons["unscannable"],
        "rule": display(facts.rule),
        "saved_as": display(facts.saved_as),
        "scan_id": display(facts.scan_id),
        "time": _utc(facts.now),
    }
    lines: list[str] = []
    for line in form:
        if line.strip() == "${findings}":
            filled: Iterable[str] = _findings(template, findings)
        else:
            one = _fill(line, values | {"findings": ""})
            filled = () if one is None else (one,)
        for paragraph in filled:
            if not paragraph:
                if lines and lines[-1]:
                    lines.append("")
                continue
            indent = paragraph[: len(paragraph) - len(paragraph.lstrip())]
            lines += textwrap.wrap(
                paragraph,
                _WIDTH,
                subsequent_indent=indent + ("  " if indent else ""),
                break_long_words=False,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _findings(template: Template, findings: Iterable[Finding]) -> list[str]:
    entries: dict[str, None] = {}
    for finding in findings:
        values = {
            "detail": display(finding.detail),
            "engine": display(finding.engine),
            "finding": display(finding.name),
            "place": display(" / ".join(finding.trail), 200),
            "reason": _reason(template, finding),
        }
        for form in template.finding:
            entry = _fill(form, values)
            if entry is not None:
                if entry not in entries and len(entries) == _MAX_FINDINGS:
                    entries["  ..."] = None
                    return list(entries)
                entries[entry] = None
                break
    return list(entries)


def _reason(template: Template, finding: Finding) -> str:
    return template.reasons[(finding.reason or finding.kind).value]


def _utc(seconds: float) -> str:
    """2026-07-01 10:00 UTC.  By hand, because this room does not touch the clock's module."""
    days, rest = divmod(int(seconds), 86_400)
    # Counted from 1 March of year 0, leap days come last: 146097 days are 400 years, 1461 are 4, 153 are 5 months from March.
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month = month + 3 if month < 10 else month - 9
    return f"{era * 400 + year + (month < 3):04d}-{month:02d}-{day + 1:02d} {rest // 3600:02d}:{rest % 3600 // 60:02d} UTC"


def _fill(line: str, values: Mapping[str, str]) -> str | None:
    """`line` with its variables, or None when one of them is empty."""
    if not all(values[match[1]] or match[2] for match in _VARIABLE.finditer(line)):
        return None
    return _VARIABLE.sub(lambda match: values[match[1]] or match[3] or "", line)


def _entity(lines: list[str], eol: bytes, fields: tuple[bytes, ...]) -> Notice:
    if eol not in _ENDINGS:
        raise ValueError(f"not a line ending: {eol!r}")
    encoded = [line.encode("utf-8", "replace") for line in lines]
    plain = all(map(_is_plain, lines))
    body = encoded if plain else [piece for line in encoded for piece in _quoted_printable(line)]
    header = (
        *fields,
        b"Content-Type: text/plain; charset=" + (b"us-ascii" if plain else b"utf-8"),
        b"Content-Transfer-Encoding: " + (b"7bit" if plain else b"quoted-printable"),
    )
    return Notice(b"".join(line + eol for line in header), b"".join(line + eol for line in body))


def _is_plain(line: str) -> bool:
    return line.isascii() and line.isprintable() and len(line) <= _QP_WIDTH and not line.startswith(("-", ".", "From "))


def _quoted_printable(line: bytes) -> list[bytes]:
    """One line of text as lines of quoted-printable, none of which begins like a boundary, a dot or "From "."""
    pieces: list[bytes] = []
    current = b""
    last = len(line) - 1
    for at, byte in enumerate(line):
        literal = (33 <= byte <= 126 and byte != ord("=")) or (byte in b" \t" and at != last)
        if literal and not current and byte in _RISKY_START:
            literal = False
        token = bytes((byte,)) if literal else b"=%02X" % byte
        if len(current) + len(token) > _QP_WIDTH - 1:  # room for the "=" of the soft line break
            pieces.append(current + b"=")
            current = b"=%02X" % byte if byte in _RISKY_START else token
            continue
        current += token
    pieces.append(current)
    return pieces


def _filename(name: str) -> bytes:
    """The parameter; `name` comes from defang(), so there is nothing to quote in it."""
    if name.isascii():
        return b'filename="' + name.encode("ascii") + b'"'
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
    return b"filename*=utf-8''" + b"".join(bytes((byte,)) if byte in safe else b"%%%02X" % byte for byte in name.encode("utf-8"))
