"""The sanitizer's file rules, as rules of the engine `filerules` and of policy.

    file_list_7 = (?i)\\.exe$           [[engines.sanitizer.rules]]        [[rule]]
    file_list_7_policy = save           name = "file_list_7"              name = "file_list_7"
                                        names = ['(?i)\\.exe$']            engine = "file_list_7"
                                                                          action = "replace", save = true

A policy is one word for all that the pattern finds, or four: for clean, disinfected,
infected and error, as the rule's scanner says.  What decides is an engine's statement
that names the rule; what happens is a [[rule]] of policy.

Of the builtin scanners fpscand and fprotd are engines of Lazaretto, which see every file and not
only those of the pattern; what macro looked for is what they call active.

Errors:  ConfigError: variable, line, what was expected.
See:     anomy.py, perl.py; docs/anomy.md; engines/filerules.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lazaretto import regex
from lazaretto.legacy import perl
from lazaretto.legacy.anomy_values import Value, Values
from lazaretto.legacy.fprot_conf import Expression

MAX_RULES = 999
DEFAULT = "file_default_policy"
OUTCOMES = ("clean", "disinfected", "infected", "error")

# Word -> action, and whether the part is saved.
POLICIES: dict[str, tuple[str, bool]] = {
    "accept": ("pass", False),
    "defang": ("defang", False),
    "mangle": ("mangle", False),
    "drop": ("replace", False),
    "save": ("replace", True),
    "panic": ("replace", False),  # an old word for drop
    "unknown": ("pass", False),
    "warn": ("tag", False),
}
_GOES_ON = frozenset(("unknown", "warn"))
_JUMP = regex.compile(r"\^\s*([0-9]{1,9})\s*\Z")
_PLACEHOLDER = regex.compile(r"(?i)%(?:(FILENAME|ATTNAME|REPLY_TO|ERRORS_TO)\b|HEADER\(\s*([a-z_-]{1,76})\s*\))")
_PLACES = {"FILENAME": "{file}", "ATTNAME": "{name}", "REPLY_TO": "{reply_to}", "ERRORS_TO": "{errors_to}"}
_KINDS = {"infected": ["malware", "active", "banned"], "disinfected": ["disinfected"], "error": ["error", "unscannable"]}
_UNSCANNED = ["down", "timeout", "limit", "broken", "unsupported"]  # what is only encrypted is a decision of its own

Table = dict[str, object]


class Choice(NamedTuple):
    """One policy, read."""

    word: str
    alarm: bool = False  # "!"
    jump: int | None = None  # "^N"


class FileRule(NamedTuple):
    """A rule that is there."""

    name: str
    number: int
    pattern: Expression | None  # None: every file
    choices: tuple[Choice, ...]  # one, or one for each of OUTCOMES
    scanner: Table | None
    origin: str
    builtin: str = ""  # macro, fpscand, fprotd: an engine beside these rules does its work
    macro: int = 1  # of OUTCOMES: which one the macro scanner's status 1 is

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What can come of it."""
        return ("matched",) if self.scanner is None else OUTCOMES


def read(values: Values, skip: frozenset[int] = frozenset()) -> list[FileRule]:
    """The rules in order, the default last; those of the numbers in `skip` are left out.  Of [] there is nothing to ask."""
    most = values.number("file_list_rules", MAX_RULES)
    rules = []
    for number in range(1, most + 1):
        name = f"file_list_{number}"
        pattern = values.value(name)
        if number in skip or not pattern.on:
            continue
        policy = values.value(f"{name}_policy")
        if not policy.text.strip():
            policy = values.value(DEFAULT)
        choices = _choices(f"{name}_policy", policy)
        scanner, builtin, macro = None, "", 1
        if len(choices) == 4:
            scanner, builtin, macro = _scanner(f"{name}_scanner", values.value(f"{name}_scanner"))
        if scanner is None and not builtin:
            choices = choices[:1]  # four without a scanner: nothing finds anything
        origin = next((v.origin for v in (pattern, policy) if v.origin), "the sanitizer's own rule")
        rules.append(FileRule(name, number, _expression(name, pattern), choices, scanner, origin, builtin, macro))
    default = values.value(DEFAULT)
    last = FileRule(DEFAULT, most + 1, None, _choices(DEFAULT, default)[:1], None, default.origin or "default")
    if rules or last.choices[0].word != "accept":
        rules.append(last)
    return rules


def engine_rules(rules: list[FileRule]) -> Iterator[Table]:
    """The tables [[engines.sanitizer.rules]]."""
    for rule in rules:
        if rule.builtin and rule.choices[0] == Choice("unknown"):
            continue  # it says nothing that the following does not
        table: Table = {"name": rule.name}
        if rule.pattern is not None:
            table["names"] = [rule.pattern]
        if rule.scanner is not None:
            table["scanner"] = rule.scanner
        told, following = [], []
        for outcome, choice in zip(rule.outcomes, rule.choices, strict=False):
            if outcome in ("matched", "clean") and (choice.word not in ("accept", "unknown") or choice.alarm):
                told.append(outcome)
            if choice.word in _GOES_ON and (goal := _goal(choice, rules)) is not None:
                following.append(f"{outcome}{goal}")
        table |= {"report": told, "next": following}
        yield table


def policy_rules(rules: list[FileRule]) -> Iterator[Table]:
    """The tables [[rule]]: what is done where a rule has told something."""
    for rule in rules:
        if rule.builtin == "macro":
            yield _policy_rule(rule, "active", rule.choices[rule.macro], {"kind": "active"})
        elif rule.builtin:
            yield _policy_rule(rule, "disinfected", rule.choices[1], {"kind": "disinfected"})
            yield _policy_rule(rule, "infected", rule.choices[2], {"kind": "malware"})
            yield _policy_rule(rule, "error", rule.choices[3], {"kind": _KINDS["error"], "reason": _UNSCANNED})
        for outcome, choice in zip(rule.outcomes, rule.choices, strict=False):
            quiet = choice.word in ("accept", "unknown") and not choice.alarm
            if outcome in ("matched", "clean") and quiet:
                continue
            about: Table = {"engine": rule.name}
            about |= {"finding": f"filerule.{outcome}"} if outcome in ("matched", "clean") else {"kind": _KINDS[outcome]}
            yield _policy_rule(rule, outcome, choice, about)


def _policy_rule(rule: FileRule, outcome: str, choice: Choice, about: Table) -> Table:
    action, save = POLICIES[choice.word]
    if outcome == "disinfected" and action in ("pass", "tag"):
        action = "disinfect"  # what is delivered is what the scanner left
    table: Table = {"name": rule.name if outcome == "matched" else f"{rule.name}.{outcome}", **about, "action": action}
    if action == "replace":
        table["save"] = save
    if choice.alarm:
        table["alarm"] = True
    return table


def _goal(choice: Choice, rules: list[FileRule]) -> str | None:
    """ "" for the following rule, ":NAME" for another; None if there is none, and the chain ends."""
    if choice.jump is None:
        return ""
    if choice.jump == 0:
        return None
    return ":" + next((other for other in rules if other.number >= choice.jump), rules[-1]).name


def _choices(name: str, policy: Value) -> tuple[Choice, ...]:
    pieces = policy.text.split(":")
    return tuple(_choice(name, policy, piece) for piece in (pieces if len(pieces) == 4 else pieces[:1]))


def _choice(name: str, policy: Value, piece: str) -> Choice:
    from lazaretto.policy.forms import did_you_mean

    text, jump = piece.strip().lower(), None
    if (match := _JUMP.search(text)) is not None:
        text, jump = text[: match.start()].rstrip(), int(match[1])
    alarm = text.endswith("!")
    word = text.removesuffix("!").rstrip() or "defang"
    if word not in POLICIES:
        raise policy.error(
            name, f"expected one of {', '.join(POLICIES)}, or four with colons between{did_you_mean(word, POLICIES)}, not {_shown(piece)}"
        )
    return Choice(word, alarm, jump)


def _expression(name: str, pattern: Value) -> Expression:
    """Case counts, unless the expression says otherwise; all of ours are compiled so that it does not."""
    text = pattern.text.strip(" ")
    try:
        return Expression(text, perl.translate(text if text.startswith("(?i)") else f"(?-i:{text})"))
    except ValueError as error:
        raise pattern.error(name, f"the expression cannot be used: {_shown(str(error))}") from None


def _scanner(name: str, value: Value) -> tuple[Table | None, str, int]:
    """The table of a scanner, or the name of a builtin one, or neither; and which outcome the status 1 is."""
    if not value.on:
        return None, "", 1
    groups = value.text.strip().split(":", 3)
    words = groups[3].split() if len(groups) == 4 else []
    if not words:
        raise value.error(
            name, "expected CLEAN:DISINFECTED:INFECTED:COMMAND, with lists of exit statuses, such as 0:1:2:/usr/bin/scan %FILENAME"
        )
    statuses: Mapping[str, list[int]] = _statuses(name, value, groups[:3])
    if words[0].lower().startswith("builtin/"):
        builtin = words[0][8:].lower()
        if builtin in ("macro", "fpscand", "fprotd"):
            return None, builtin, next((OUTCOMES.index(outcome) for outcome, group in statuses.items() if 1 in group), 3)
    elif words[0].lower() == "builtin":
        words[0] = "builtin/"  # an old form, which names no scanner: nothing can be started, so it is an error
    argv = [_PLACEHOLDER.sub(_place, word) for word in words]
    table: Table = {"kind": "command", "argv": argv, **statuses, "result_lines": True}
    if not any("{file}" in word for word in argv):
        table["stdin"] = True
    return table, "", 1


def _place(match: re.Match[str]) -> str:
    return _PLACES[match[1].upper()] if match[1] else f"{{header:{match[2].lower()}}}"


def _statuses(name: str, value: Value, groups: list[str]) -> dict[str, list[int]]:
    """Lists by the option of the engine `command`; a status that is in several counts in the first."""
    found: dict[str, list[int]] = {}
    seen: set[int] = set()
    for option, group in zip(("clean", "disinfected", "infected"), groups, strict=True):
        found[option] = []
        for text in filter(None, (piece.strip() for piece in group.split(","))):
            if not (text.isascii() and text.isdigit() and len(text) < 6):
                raise value.error(name, f"expected exit statuses with commas between, not {_shown(group)}")
            if int(text) not in seen:
                seen.add(int(text))
                found[option].append(int(text))
    return found


def _shown(text: str) -> str:
    return '"' + "".join(c if c.isprintable() else "?" for c in text[:100]) + '"'
