"""Rules: the first that matches decides; patterns match what they say and are never slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.model import Envelope, Finding, Kind, Reason
from lazaretto.policy.rules import ACTIONS, CONDITIONS, DEFAULT_ACTIONS, Action, Decision, Policy, Rule, judge, matches, matches_glob, word

VIRUS = Finding("yara", Kind.MALWARE, "Eicar-Test-Signature", (2,), "offset 7", None, ("2", "Invoice.EXE"), ("a.zip", "Invoice.EXE"))
ENCRYPTED = Finding("reader", Kind.UNSCANNABLE, "zip.encrypted", (3,), "", Reason.ENCRYPTED)
DOWN = Finding("clamd", Kind.ERROR, "engine.down", (), "", Reason.DOWN)
ENVELOPE = Envelope(b"Alice@Example.org", (b"bob@example.net", b"carol@example.net"), "192.0.2.7")
NOBODY = Envelope()


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        (Kind.MALWARE, None, "malware"),
        (Kind.BANNED, None, "banned"),
        (Kind.ACTIVE, None, "active"),
        (Kind.MALFORMED, None, "malformed"),
        (Kind.UNSCANNABLE, None, "broken"),
        *((Kind.UNSCANNABLE, reason, reason.value) for reason in Reason),
        (Kind.ERROR, None, "error"),
        (Kind.ERROR, Reason.DOWN, "down"),
        (Kind.ERROR, Reason.TIMEOUT, "timeout"),
        (Kind.ERROR, Reason.BROKEN, "error"),
        (Kind.ERROR, Reason.LIMIT, "error"),
    ],
)
def test_word(kind: Kind, reason: Reason | None, expected: str) -> None:
    assert word(Finding("e", kind, "n", reason=reason)) == expected
    assert expected in DEFAULT_ACTIONS


ODD = Finding("reader", Kind.MALFORMED, "params.junk", (2,), trail=("2",))


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (ODD, "ambiguous"),
        (Finding("reader", Kind.MALFORMED, "header.junk-line"), "ambiguous"),
        (ODD._replace(trail=("2", "a.eml", "1")), "malformed"),  # in an attached file
        (ODD._replace(name="zip.prefix"), "malformed"),
        (Finding("reader", Kind.MALFORMED, "mime.nul"), "malformed"),
        (ODD._replace(name="params.comment"), "malformed"),
        (ODD._replace(engine="other"), "malformed"),
        (ODD._replace(kind=Kind.BANNED), "banned"),
    ],
)
def test_ambiguous(finding: Finding, expected: str) -> None:
    assert word(finding) == expected


def test_only_what_is_ambiguous_can_be_canonicalised() -> None:
    """What cannot be done must not mean that something dangerous passes."""
    rule = Rule("all", Action.CANONICALISE, (("engine", ("*",)),))
    for policy in (Policy((rule,)), Policy(actions=dict.fromkeys(DEFAULT_ACTIONS, Action.CANONICALISE))):
        assert judge(ODD, NOBODY, policy).action is Action.CANONICALISE
        assert judge(ODD._replace(name="zip.prefix"), NOBODY, policy).action is Action.PASS
        for finding in (VIRUS, ENCRYPTED, DOWN):
            assert judge(finding, NOBODY, policy).action is Action.REPLACE


@pytest.mark.parametrize(
    ("finding", "action", "kept"),
    [
        (ODD, Action.CANONICALISE, False),
        (VIRUS, Action.REPLACE, True),
        (ENCRYPTED, Action.TAG, False),
        (DOWN, Action.TEMPFAIL, False),
        (Finding("e", Kind.BANNED, "name.exe"), Action.REPLACE, True),
        (Finding("e", Kind.ACTIVE, "ole.macro"), Action.REPLACE, True),
        (Finding("e", Kind.MALFORMED, "mime.bare-lf"), Action.PASS, False),
        (Finding("e", Kind.UNSCANNABLE, "zip.ratio", reason=Reason.LIMIT), Action.REPLACE, True),
        (Finding("e", Kind.UNSCANNABLE, "7z.broken", reason=Reason.BROKEN), Action.REPLACE, True),
        (Finding("e", Kind.UNSCANNABLE, "ace", reason=Reason.UNSUPPORTED), Action.REPLACE, True),
    ],
)
def test_default_policy(finding: Finding, action: Action, kept: bool) -> None:
    assert judge(finding, NOBODY, Policy()) == Decision(finding, action, f"policy.{word(finding)}", kept)


@pytest.mark.parametrize(
    ("condition", "patterns", "finding", "envelope", "held"),
    [
        ("kind", ("malware",), VIRUS, NOBODY, True),
        ("kind", ("banned", "malware"), VIRUS, NOBODY, True),
        ("kind", ("banned",), VIRUS, NOBODY, False),
        ("reason", ("encrypted",), ENCRYPTED, NOBODY, True),
        ("reason", ("*",), VIRUS, NOBODY, False),
        ("finding", ("eicar-*",), VIRUS, NOBODY, True),
        ("finding", ("eicar",), VIRUS, NOBODY, False),
        ("engine", ("yara",), VIRUS, NOBODY, True),
        ("detail", ("offset ?",), VIRUS, NOBODY, True),
        ("file", ("*.exe",), VIRUS, NOBODY, True),
        ("file", ("a.zip",), VIRUS, NOBODY, True),
        ("file", ("*.pdf",), VIRUS, NOBODY, False),
        ("file", ("2",), VIRUS, NOBODY, False),  # the part's number is no name
        ("file", ("*",), DOWN, NOBODY, False),
        ("sender", ("*@example.org",), VIRUS, ENVELOPE, True),
        ("sender", ("*@example.net",), VIRUS, ENVELOPE, False),
        ("sender", ("*",), VIRUS, NOBODY, False),
        ("sender", ("",), VIRUS, NOBODY, False),
        ("sender", ("",), VIRUS, Envelope(b""), True),
        ("sender", ("?lice@*",), VIRUS, ENVELOPE, True),
        ("recipient", ("*@example.net",), VIRUS, ENVELOPE, True),
        ("recipient", ("bob@*", "carol@*"), VIRUS, ENVELOPE, True),
        ("recipient", ("bob@*",), VIRUS, ENVELOPE, False),  # what is allowed to bob would reach carol
        ("recipient", ("*",), VIRUS, NOBODY, False),
        ("client", ("192.0.2.*",), VIRUS, ENVELOPE, True),
        ("client", ("*",), VIRUS, NOBODY, False),
        ("macro", ("auth_authen=*",), VIRUS, Envelope(macros=(("auth_authen", "joe"),)), True),
        ("macro", ("auth_authen=ann", "daemon_name=msa"), VIRUS, Envelope(macros=(("auth_authen", "joe"), ("daemon_name", "MSA"))), True),
        ("macro", ("auth_authen=ann",), VIRUS, Envelope(macros=(("auth_authen", "joe"),)), False),
        ("macro", ("*",), VIRUS, NOBODY, False),
    ],
)
def test_conditions(condition: str, patterns: tuple[str, ...], finding: Finding, envelope: Envelope, held: bool) -> None:
    assert condition in CONDITIONS
    assert matches(Rule("r", Action.PASS, ((condition, patterns),)), finding, envelope) == held


def test_all_conditions_must_hold() -> None:
    rule = Rule("r", Action.PASS, (("kind", ("malware",)), ("sender", ("alice@*",))))
    assert matches(rule, VIRUS, ENVELOPE)
    assert not matches(rule, VIRUS, NOBODY)
    assert not matches(rule, ENCRYPTED, ENVELOPE)


def test_first_rule_wins() -> None:
    first = Rule("first", Action.PASS, (("finding", ("eicar*",)),))
    second = Rule("second", Action.REJECT, (("kind", ("malware",)),), text="no")
    assert judge(VIRUS, NOBODY, Policy((first, second))) == Decision(VIRUS, Action.PASS, "first", False)
    assert judge(VIRUS, NOBODY, Policy((second, first))) == Decision(VIRUS, Action.REJECT, "second", True, "no")
    assert judge(DOWN, NOBODY, Policy((first, second))).rule == "policy.down"


@pytest.mark.parametrize(
    ("action", "own", "listed", "kept"),
    [
        (Action.PASS, None, {"malware"}, False),
        (Action.TAG, None, {"malware"}, False),
        (Action.TAG, True, set(), True),
        (Action.DEFANG, None, {"malware"}, True),
        (Action.DEFANG, None, {"replaced"}, False),
        (Action.REPLACE, None, {"replaced"}, True),
        (Action.REPLACE_MESSAGE, None, {"replaced"}, True),
        (Action.REPLACE, None, {"banned"}, False),
        (Action.REPLACE, False, {"malware", "replaced"}, False),
        (Action.REJECT, None, {"replaced"}, False),
        (Action.DISCARD, None, {"malware"}, True),
    ],
)
def test_quarantine(action: Action, own: bool | None, listed: set[str], kept: bool) -> None:
    policy = Policy((Rule("r", action, (("kind", ("malware",)),), own),), quarantine=frozenset(listed))
    assert judge(VIRUS, NOBODY, policy).quarantine == kept


def test_optional_engine() -> None:
    policy = Policy(optional=frozenset({"clamd"}))
    own_limit = Finding("clamd", Kind.UNSCANNABLE, "engine.limit", reason=Reason.LIMIT)
    assert judge(DOWN, NOBODY, policy) == Decision(DOWN, Action.PASS, "optional", False)
    assert judge(own_limit, NOBODY, policy).action is Action.PASS
    assert judge(own_limit, NOBODY, Policy()).action is Action.REPLACE
    # What it does say about the content counts.
    assert judge(VIRUS._replace(engine="clamd"), NOBODY, policy).action is Action.REPLACE
    assert judge(ENCRYPTED._replace(engine="clamd"), NOBODY, policy).action is Action.TAG
    # A rule that speaks of it wins.
    rule = Rule("r", Action.REJECT, (("engine", ("clamd",)),))
    assert judge(DOWN, NOBODY, policy._replace(rules=(rule,))).action is Action.REJECT


def test_action_names() -> None:
    assert list(ACTIONS) == [
        "pass",
        "tag",
        "canonicalise",
        "disinfect",
        "disarm",
        "defang",
        "mangle",
        "replace",
        "replace-message",
        "tempfail",
        "discard",
        "reject",
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        ("", "", True),
        ("*", "", True),
        ("?", "", False),
        ("[external]*.zip", "[EXTERNAL] a.zip", True),
        ("a*b*c", "aXbXbXc", True),
        ("a*b*c", "aXbXbX", False),
        ("straße", "STRASSE", False),  # patterns come case-folded from the configuration
        ("strasse", "Straße", True),
        ("*@*", "a@b\n", True),
        ("a**", "a", True),
    ],
)
def test_glob(pattern: str, text: str, matched: bool) -> None:
    assert matches_glob(pattern, text) == matched


@given(st.text("ab*?[", max_size=8), st.text("ab[", max_size=10))
def test_glob_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    assert matches_glob(pattern, text) == (re.fullmatch(expression, text) is not None)


def test_glob_takes_few_steps() -> None:
    """A backtracking matcher would need ages for this."""
    assert not matches_glob("a*" * 30 + "b", "a" * 2000)
