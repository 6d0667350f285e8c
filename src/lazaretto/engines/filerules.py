"""Engine "filerules": rules about files, asked one after the other until one decides.

    [engines.files]
    kind = "filerules"

    [[engines.files.rules]]
    name = "programs"
    names = ['\\.(exe|scr)$']

    [[engines.files.rules]]
    name = "documents"
    names = ['\\.(docx?|xlsx?)$']
    scanner = {kind = "command", argv = ["/opt/scan/bin/scan", "{file}"]}
    next = ["clean"]

A rule is about the files of which one candidate name (content.candidates) matches
one of `names`; without `names`, about every file.  What comes of it is one of five
outcomes: `matched` if it has no scanner, else `clean`, `disinfected`, `infected`,
`error`.  `next` lists the outcomes after which the following rule is asked ("clean"),
or another ("clean:programs"); any other ends the chain.  `report` lists those that
are told; what a scanner found, and that it failed, is told in any case.

Findings carry the name of the rule in the place of the engine, for [[rule]]s to tell
them apart.  filerule.matched and filerule.clean are BANNED; the others are those of
the scanner, any engine that can be built from a table.

A Content-Description, and a Content-ID up to its "@", is a name, too, where there is a dot in it.
Judged are attachments, as by the engine "lists", but for messages without a name.

Limits:  ctx.deadline is looked at between expressions; MAX_RULES; a chain takes at most
         two steps for each rule.  After a disinfection later scanners see the file as it came.
Errors:  EngineError TIMEOUT; LIMIT if there are more names than are looked at.  ConfigError
         from from_config.
See:     docs/engines.md; lists.py, the two lists that most want
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lazaretto import regex
from lazaretto.content.candidates import MAX_CANDIDATES, Candidates, candidates, expressions, labels, search
from lazaretto.content.names import printable
from lazaretto.engines import registry
from lazaretto.engines.attachments import inside_archive
from lazaretto.engines.base import Engine, EngineInfo, ScanContext
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, EngineError
from lazaretto.model import Finding, Item, Kind, Reason

MAX_RULES = 1000
OUTCOMES = ("matched", "clean", "disinfected", "infected", "error")

_AT_ONCE = 64  # names between two looks at the clock
_NAME = regex.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_OF_CONTENT = frozenset((Reason.LIMIT, Reason.ENCRYPTED, Reason.BROKEN, Reason.UNSUPPORTED))  # as scan/inquiry.py has them
_BAD = frozenset((Kind.MALWARE, Kind.BANNED, Kind.ACTIVE))
_FAILED = frozenset((Kind.ERROR, Kind.UNSCANNABLE))
_NOT_WITHIN = ("filerules", "attachments", "lists")  # they look at names; a chain within a chain could have no end


class FileRule(NamedTuple):
    """One rule.  `following`: outcome -> index of the rule that is asked then; an outcome that is not there ends the chain."""

    name: str
    patterns: tuple[re.Pattern[str], ...] | None  # None: every file
    scanner: Engine | None
    report: frozenset[str]
    following: Mapping[str, int]


class FileRules:
    """See the module.  Keeps nothing of a message; a scanner in it might."""

    by_content = False

    def __init__(self, name: str, rules: Sequence[FileRule], unnamed: str = "unnamed.txt", *, type_names: bool = False) -> None:
        self.name = name
        self.required = True
        self._rules = tuple(rules)
        self._unnamed = unnamed
        self._type_names = type_names

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> FileRules:
        """Options: rules, unnamed, type_names."""
        options = Options(name, table)
        unnamed, type_names = options.text("unnamed", "unnamed.txt"), options.flag("type_names", False)
        if not options.flag("required", True):  # their findings do not bear the engine's name
            raise options.error("required", "expected true: nobody could tell a failure of one rule from that of another")
        tables = options.tables("rules")
        if len(tables) > MAX_RULES:
            raise options.error("rules", f"more than {MAX_RULES} rules")
        options.done()
        names: dict[str, int] = {}
        for number, rule in enumerate(tables):
            label = rule.get("name")
            if not isinstance(label, str) or not _NAME.match(label):
                raise options.error("rules", f"rule {number + 1}: name: expected a name of letters, digits, - and _ (at most 64)")
            if names.setdefault(label, number) != number:
                raise options.error("rules", f"rule {number + 1}: name: {label} is the name of rule {names[label] + 1}")
        made = []
        for number, rule in enumerate(tables):
            try:
                made.append(_rule(rule, number, names))
            except ConfigError as error:
                raise options.error("rules", f"rule {rule['name']}: {error.message.partition('] ')[2] or error.message}") from None
        return cls(name, made, unnamed, type_names=type_names)

    def wants(self, item: Item) -> bool:
        """Attachments; not a message, which is opened and not saved, unless it has a name."""
        if item.is_message or not item.is_file or inside_archive(item):
            return False
        return bool(item.names) or not item.media_type.startswith(("message/", "multipart/"))

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """What the rules tell, in the order in which they were asked."""
        if not self.wants(item):
            return []
        itself = item.trail == ((".".join(map(str, item.part)),) if item.part else ())
        found_labels = labels(ctx.fields.get(item.part, ())) if itself else ()
        named = candidates(item, self._unnamed, type_names=self._type_names, labels=found_labels)
        if not named.complete:
            raise EngineError(Reason.LIMIT, f"more than {MAX_CANDIDATES} names for one file")
        found: list[Finding] = []
        at = 0
        for _ in range(2 * len(self._rules)):
            if at >= len(self._rules):
                break
            rule = self._rules[at]
            detail = _match(rule, named, ctx.deadline)
            if detail is None:
                at += 1
                continue
            outcome, findings = _ask(rule, item, ctx, detail)
            found += findings
            at = rule.following.get(outcome, len(self._rules))
        return found

    def info(self, timeout_s: float) -> EngineInfo:
        """That of the first scanner that cannot be reached; else how many rules there are."""
        for rule in self._rules:
            if rule.scanner is not None:
                info = rule.scanner.info(timeout_s)
                if not info.reachable:
                    return info._replace(detail=f"rule {rule.name}: {info.detail}")
        return EngineInfo("built in", f"{len(self._rules)} rules")

    def close(self) -> None:
        """Give back what the scanners hold."""
        for rule in self._rules:
            if rule.scanner is not None:
                rule.scanner.close()


def _rule(table: Mapping[str, object], number: int, names: Mapping[str, int]) -> FileRule:
    label = str(table["name"])
    options = Options(label, table)
    patterns = None
    if "names" in table:
        try:
            patterns = expressions(options.texts("names"))
        except ValueError as error:
            raise options.error("names", str(error)) from None
        if not patterns:
            raise options.error("names", "expected at least one expression; a rule without this key is about every file")
    scanner = None
    if (scanner_table := options.table("scanner")) is not None:
        scanner = _scanner(options, label, scanner_table)
    report = options.texts("report", ("matched",))
    for word in report:
        if word not in ("matched", "clean"):
            raise options.error("report", f'expected "matched" and "clean", not "{printable(word)}": all others are told in any case')
    following = {}
    for text in options.texts("next", () if scanner is None else ("clean",)):
        outcome, colon, target = text.partition(":")
        if outcome not in OUTCOMES or (colon and target not in names):
            raise options.error(
                "next", f'expected one of {", ".join(OUTCOMES)}, or one with ":" and the name of a rule, not "{printable(text)}"'
            )
        following[outcome] = names[target] if colon else number + 1
    options.done()
    return FileRule(label, patterns, scanner, frozenset(report), following)


def _scanner(options: Options, label: str, table: Mapping[str, object]) -> Engine:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind in _NOT_WITHIN:
        raise options.error(
            "scanner", 'expected a table with the kind of an engine that scans, such as {kind = "command", argv = ["scan", "{file}"]}'
        )
    try:
        return registry.build(kind, label, {key: value for key, value in table.items() if key != "kind"})
    except ConfigError as error:
        raise options.error("scanner", error.message.partition("] ")[2] or error.message) from None


def _match(rule: FileRule, named: Candidates, deadline: float) -> str | None:
    """Which name matches which expression; None if none does."""
    if rule.patterns is None:
        return printable(named.names[0]) if named.names else ""
    for start in range(0, len(named.names), _AT_ONCE):
        if time.monotonic() > deadline:
            raise EngineError(Reason.TIMEOUT, "the time was over before all names were compared")
        if hit := search(rule.patterns, named.names[start : start + _AT_ONCE]):
            return f"{printable(hit[0])} matches {printable(hit[1])}"
    return None


def _ask(rule: FileRule, item: Item, ctx: ScanContext, detail: str) -> tuple[str, Iterable[Finding]]:
    """The outcome, and what is told of it."""
    if rule.scanner is None:
        return "matched", [Finding(rule.name, Kind.BANNED, "filerule.matched", (), detail)] if "matched" in rule.report else []
    item = item._replace(covered=False)  # nobody has shown this scanner the raw message
    said: list[Finding] = []
    if rule.scanner.wants(item):
        try:
            said = [finding._replace(engine=rule.name) for finding in rule.scanner.scan(item, ctx)]
        except EngineError as error:
            kind = Kind.UNSCANNABLE if error.reason in _OF_CONTENT else Kind.ERROR
            said = [Finding(rule.name, kind, f"engine.{error.reason.value}", (), error.detail, error.reason)]
    kinds = {finding.kind for finding in said}
    if kinds & _BAD:
        return "infected", said
    if kinds & _FAILED:
        return "error", said
    if Kind.DISINFECTED in kinds:
        return "disinfected", said
    if "clean" in rule.report:
        said.append(Finding(rule.name, Kind.BANNED, "filerule.clean", (), detail))
    return "clean", said
