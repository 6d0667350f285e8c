"""Rules: which action a finding calls for.

Every finding has one word: its reason if something was not scanned ("encrypted",
"timeout"), "ambiguous" if clients disagree about the structure of the message itself,
else its kind ("malware").  The [policy] table gives an action for
each word; before it, the [[rule]]s are tried in order, and the first whose
conditions all hold decides.  A rule with action "pass" is an allow rule: it is
named in the verdict like any other, and takes no finding away.

Patterns: `*` stands for any run of characters, `?` for one; case does not matter;
all else stands for itself, brackets too.  Where a list is given, one has to match.

To add a condition, write a function (finding, envelope) -> texts, of which one
has to match, or all, and enter it in CONDITIONS.

Errors:  none.
See:     docs/policy.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from lazaretto.mime.ambiguous import CANONICAL, STRAY
from lazaretto.model import Envelope, Finding, Kind, Reason


class Action(IntEnum):
    """What is done about a finding; a larger one is more severe.

    The last three concern the message as a whole.  Discard outranks tempfail: what
    is to vanish because of one finding need not wait for an engine to come back.
    """

    PASS = 0
    TAG = 1
    CANONICALISE = 2
    DISINFECT = 3
    DISARM = 4
    DEFANG = 5
    MANGLE = 6
    REPLACE = 7
    REPLACE_MESSAGE = 8
    TEMPFAIL = 9
    DISCARD = 10
    REJECT = 11


ACTIONS: dict[str, Action] = {action.name.lower().replace("_", "-"): action for action in Action}

# Word of a finding -> action when no rule matches.
DEFAULT_ACTIONS: dict[str, Action] = {
    "malware": Action.REPLACE,
    "disinfected": Action.DISINFECT,
    "disarmed": Action.DISARM,
    "banned": Action.REPLACE,
    "active": Action.REPLACE,
    "malformed": Action.PASS,
    "ambiguous": Action.CANONICALISE,
    "encrypted": Action.TAG,
    "limit": Action.REPLACE,
    "broken": Action.REPLACE,
    "unsupported": Action.REPLACE,
    "down": Action.TEMPFAIL,
    "timeout": Action.TEMPFAIL,
    "error": Action.TEMPFAIL,
}
_CUTTING = (Action.REPLACE, Action.REPLACE_MESSAGE)
REPLACED = "replaced"  # in the list of what is quarantined: whatever is cut out of a message


class Rule(NamedTuple):
    """One [[rule]].  Conditions are (name in CONDITIONS, patterns in lower case)."""

    name: str
    action: Action
    conditions: tuple[tuple[str, tuple[str, ...]], ...]
    quarantine: bool | None = None  # None: as [policy] quarantine says
    text: str = ""  # for a refusal
    save: bool | None = None  # None: as [policy] save says
    alarm: bool = False


class Policy(NamedTuple):
    """All that decide() needs to know."""

    rules: tuple[Rule, ...] = ()
    actions: Mapping[str, Action] = DEFAULT_ACTIONS
    quarantine: frozenset[str] = frozenset({"malware", "disinfected", "disarmed", "banned", "active", REPLACED})
    announce: bool = True  # our header field on every message, not only where something was found
    status_field: bytes = b"X-Lazaretto-Status"  # b"": none
    optional: frozenset[str] = frozenset()  # engines that need not answer; all others are required
    save: frozenset[str] = frozenset()  # words whose parts, when cut out, are kept in files of their own
    alarm_changes: int = 0  # so many changes to one message are no alarm yet; 0: none is, however many


class Decision(NamedTuple):
    """What one finding calls for, and why."""

    finding: Finding
    action: Action
    rule: str  # name of a rule, "policy.WORD", or "optional" for an engine that need not answer
    quarantine: bool
    text: str = ""
    save: bool = False  # keep the part's content in a file of its own
    alarm: bool = False


def word(finding: Finding) -> str:
    """The key of [policy] that a finding belongs to."""
    if finding.kind is Kind.ERROR:
        # What an engine says about its own failure is never taken for a fact about the content.
        return str(finding.reason.value) if finding.reason in (Reason.DOWN, Reason.TIMEOUT) else "error"
    if finding.kind is Kind.UNSCANNABLE:
        return str(finding.reason.value) if finding.reason is not None else "broken"
    if finding.kind is Kind.MALFORMED and finding.name not in STRAY and has_canonical_form(finding):
        return "ambiguous"
    return str(finding.kind.value)


def has_canonical_form(finding: Finding) -> bool:
    """Do clients disagree about the structure of the message itself, and is there a form in which they do not?"""
    here = (".".join(map(str, finding.part)),) if finding.part else ()
    return finding.name in CANONICAL and finding.trail == here and finding.engine == "reader"


def judge(finding: Finding, envelope: Envelope, policy: Policy) -> Decision:
    """The first rule that matches, else the table."""
    what = word(finding)
    for rule in policy.rules:
        if matches(rule, finding, envelope):
            action = _possible(rule.action, finding)
            keep = rule.quarantine if rule.quarantine is not None else _is_kept(what, action, policy)
            save = rule.save if rule.save is not None else what in policy.save
            return Decision(finding, action, rule.name, keep, rule.text, save and action in _CUTTING, rule.alarm)
    if finding.engine in policy.optional and _no_answer(finding):
        return Decision(finding, Action.PASS, "optional", False)
    action = _possible(policy.actions[what], finding)
    return Decision(finding, action, f"policy.{what}", _is_kept(what, action, policy), save=what in policy.save and action in _CUTTING)


def _possible(action: Action, finding: Finding) -> Action:
    """Only ambiguous structure can be canonicalised.  What is merely odd stays; all else is replaced, for it cannot stay."""
    if action is not Action.CANONICALISE:
        return action
    if finding.kind is not Kind.MALFORMED:
        return Action.REPLACE
    return action if has_canonical_form(finding) else Action.PASS


def matches(rule: Rule, finding: Finding, envelope: Envelope) -> bool:
    """Do all conditions of `rule` hold?"""
    for name, patterns in rule.conditions:
        condition = CONDITIONS[name]
        held = (any(matches_glob(pattern, text) for pattern in patterns) for text in condition.texts(finding, envelope))
        if not (_all_of_some(held) if condition.every else any(held)):
            return False
    return True


class Condition(NamedTuple):
    """`texts` of a finding, of which one has to match; or, if `every`, all, and there must be one."""

    texts: Callable[[Finding, Envelope], Iterable[str]]
    doc: str
    every: bool = False


# A message to three people has one content: what is allowed for one of them only is not allowed.
CONDITIONS: dict[str, Condition] = {
    "kind": Condition(
        lambda f, _: (f.kind.value,), "kind of finding: malware, disinfected, disarmed, banned, active, malformed, unscannable, error"
    ),
    "reason": Condition(
        lambda f, _: () if f.reason is None else (str(f.reason.value),),
        "why it was not scanned: down, timeout, limit, encrypted, broken, unsupported",
    ),
    "finding": Condition(lambda f, _: (f.name,), "name of the finding"),
    "engine": Condition(lambda f, _: (f.engine,), "name of the engine"),
    "detail": Condition(lambda f, _: (f.detail,), "what the engine added"),
    "file": Condition(lambda f, _: f.files, "a file name on the way to the content: of the part, of an archive, of a member"),
    "sender": Condition(lambda _, e: () if e.mail_from is None else (_text(e.mail_from),), 'envelope sender; "" is the null sender'),
    "recipient": Condition(lambda _, e: map(_text, e.rcpt_to), "every envelope recipient", every=True),
    "macro": Condition(
        lambda _, e: (f"{name}={value}" for name, value in e.macros),
        "NAME=VALUE of what a mail server tells the milter: auth_authen=* is any authenticated client",
    ),
    "client": Condition(lambda _, e: (e.client,) if e.client else (), "address or name of the client, as the front end knows it"),
}


def matches_glob(pattern: str, text: str) -> bool:
    """Does `pattern` (lower case) match all of `text`?  At most len(pattern) * len(text) steps, whatever they are."""
    text = text.casefold()
    at = start = 0  # in pattern, in text
    star = retry = -1  # after the last `*`; where in text it stops so far
    while start < len(text):
        if at < len(pattern) and pattern[at] == "*":
            at += 1
            star, retry = at, start
        elif at < len(pattern) and pattern[at] in ("?", text[start]):
            at += 1
            start += 1
        elif star >= 0:
            retry += 1
            at, start = star, retry
        else:
            return False
    return not pattern[at:].strip("*")


def _is_kept(what: str, action: Action, policy: Policy) -> bool:
    """Quarantine follows what happens to the message: what arrives as it was sent needs no copy."""
    if action < Action.CANONICALISE:
        return False
    return what in policy.quarantine or (REPLACED in policy.quarantine and action in _CUTTING)


def _no_answer(finding: Finding) -> bool:
    """It says nothing about the content; a limit of an engine that need not answer is its own affair."""
    return finding.kind is Kind.ERROR or (finding.kind is Kind.UNSCANNABLE and finding.reason is Reason.LIMIT)


def _all_of_some(held: Iterable[bool]) -> bool:
    some = False
    for one in held:
        if not one:
            return False
        some = True
    return some


def _text(address: bytes) -> str:
    return address.decode("utf-8", "replace")
