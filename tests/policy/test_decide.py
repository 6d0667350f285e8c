"""decide: the most severe wins, failures outrank silence, order does not matter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.model import Disposition, Envelope, Finding, Kind, Path, Reason, Treatment, Verdict
from lazaretto.policy.decide import decide
from lazaretto.policy.rules import ACTIONS, DEFAULT_ACTIONS, Action, Policy, Rule

NOBODY = Envelope()


def found(word: str, part: Path = (), engine: str = "yara") -> Finding:
    """A finding with that key of [policy]."""
    if word in {kind.value for kind in Kind}:
        return Finding(engine, Kind(word), f"test.{word}", part)
    reason = Reason(word)
    return Finding(engine, Kind.ERROR if reason in (Reason.DOWN, Reason.TIMEOUT) else Kind.UNSCANNABLE, f"test.{word}", part, reason=reason)


def policy(**actions: str) -> Policy:
    return Policy(actions={**DEFAULT_ACTIONS, **{word: ACTIONS[action] for word, action in actions.items()}})


def tag(value: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"X-Lazaretto-Status", value.encode()),)


def test_silence() -> None:
    assert decide([]) == Verdict(Disposition.ACCEPT, tags=tag("clean"))


def test_anomalies_alone_are_clean() -> None:
    assert decide([found("malformed", (1,))]) == Verdict(Disposition.ACCEPT, tags=tag("clean"))


def test_malware_in_a_part() -> None:
    assert decide([found("malformed"), found("malware", (2,))]) == Verdict(
        Disposition.ACCEPT,
        (((2,), Treatment.REPLACE),),
        quarantine=True,
        tags=tag("cleaned; found=malware; rule=policy.malware"),
        rule="policy.malware",
    )


def test_encrypted_is_tagged() -> None:
    assert decide([found("encrypted", (2,))]) == Verdict(
        Disposition.ACCEPT, tags=tag("tagged; found=encrypted; rule=policy.encrypted"), rule="policy.encrypted"
    )


def test_engine_trouble() -> None:
    for word in ("down", "timeout", "error"):
        assert decide([found(word)]) == Verdict(Disposition.TEMPFAIL, rule=f"policy.{word}")


def test_replacing_one_part_does_not_make_up_for_another_unscanned() -> None:
    verdict = decide([found("malware", (1,)), found("down", (2,), "clamd")])
    assert verdict == Verdict(Disposition.TEMPFAIL, rule="policy.down")


@pytest.mark.parametrize(("action", "disposition"), [("reject", Disposition.REJECT), ("discard", Disposition.DISCARD)])
def test_final_detections_outrank_failures(action: str, disposition: Disposition) -> None:
    verdict = decide([found("down", (2,), "clamd"), found("malware", (1,))], NOBODY, policy(malware=action))
    assert verdict == Verdict(disposition, quarantine=True, rule="policy.malware")


def test_what_will_come_again_is_not_kept() -> None:
    assert not decide([found("malware")], NOBODY, policy(malware="tempfail")).quarantine


def test_optional_engine_that_failed() -> None:
    optional = Policy(optional=frozenset({"clamd"}))
    verdict = decide([found("down", (), "clamd")], NOBODY, optional)
    assert verdict.disposition is Disposition.ACCEPT
    assert verdict.rule == "optional"
    assert verdict.tags == tag("passed; found=down; rule=optional")
    assert decide([found("down", (), "clamd"), found("down", (), "yara")], NOBODY, optional).disposition is Disposition.TEMPFAIL


def test_allow_rule_shows() -> None:
    allow = Rule("macros-of-alice", Action.PASS, (("kind", ("active",)), ("sender", ("alice@*",))))
    verdict = decide([found("malformed"), found("active", (2,))], Envelope(b"alice@example.org"), Policy((allow,)))
    assert verdict == Verdict(Disposition.ACCEPT, tags=tag("passed; found=active; rule=macros-of-alice"), rule="macros-of-alice")


def test_rule_text_reaches_the_refusal() -> None:
    rule = Rule("no-macros", Action.REJECT, (("kind", ("active",)),), text="No macros here")
    verdict = decide([found("active", (2,))], NOBODY, Policy((rule,)))
    assert verdict == Verdict(Disposition.REJECT, quarantine=True, rule="no-macros", text="No macros here")


@pytest.mark.parametrize(
    ("findings", "treatments"),
    [
        ([found("active", (2,))], [((2,), Treatment.DEFANG)]),
        ([found("active", (2,)), found("malware", (2,))], [((2,), Treatment.REPLACE)]),
        ([found("active", (2, 1)), found("malware", (2,))], [((2,), Treatment.REPLACE)]),
        ([found("malware", (2, 1)), found("active", (2,))], [((2,), Treatment.DEFANG), ((2, 1), Treatment.REPLACE)]),
        ([found("malware", (2,)), found("malware", (21,))], [((2,), Treatment.REPLACE), ((21,), Treatment.REPLACE)]),
        ([found("malware"), found("malware", (2,))], [((), Treatment.REPLACE)]),
        ([found("banned", (3,)), found("malware", (2,))], [((), Treatment.REPLACE)]),
    ],
)
def test_treatments(findings: list[Finding], treatments: list[tuple[Path, Treatment]]) -> None:
    verdict = decide(findings, NOBODY, policy(active="defang", banned="replace-message"))
    assert list(verdict.treatments) == treatments
    assert verdict.tags[0][1].startswith(b"changed" if all(t is Treatment.DEFANG for _, t in treatments) else b"cleaned")


def test_announce() -> None:
    silent = Policy(announce=False)
    assert decide([], NOBODY, silent).tags == ()
    assert decide([found("malformed")], NOBODY, silent).tags == ()
    assert decide([found("encrypted")], NOBODY, silent).tags == tag("tagged; found=encrypted; rule=policy.encrypted")
    assert decide([found("encrypted")], NOBODY, Policy(status_field=b"")).tags == ()


def test_no_header_injection() -> None:
    rule = Rule("a\r\nX-Evil: 1\u202e", Action.TAG, (("kind", ("malware",)),))
    assert decide([found("malware")], NOBODY, Policy((rule,))).tags == tag("tagged; found=malware; rule=a??X-Evil: 1?")


# -- properties

SEVERITY = [Disposition.ACCEPT, Disposition.TEMPFAIL, Disposition.DISCARD, Disposition.REJECT]  # as decide.py orders them

paths = st.lists(st.integers(1, 3), max_size=3).map(tuple)
some_findings = st.builds(
    Finding,
    st.sampled_from(["yara", "clamd"]),
    st.sampled_from(Kind),
    st.sampled_from(["a", "b"]),
    paths,
    st.sampled_from(["", "d"]),
    st.none() | st.sampled_from(Reason),
    st.lists(st.sampled_from(["2", "b.exe"]), max_size=2).map(tuple),
    st.lists(st.sampled_from(["a.zip", "b.exe"]), max_size=2).map(tuple),
)
some_actions = st.sampled_from(Action)
some_rules = st.builds(
    Rule,
    st.sampled_from(["r1", "r2", "policy-like"]),
    some_actions,
    st.lists(
        st.sampled_from([("kind", ("malware", "error")), ("finding", ("a",)), ("engine", ("clamd",)), ("file", ("*.exe",))]),
        min_size=1,
        max_size=2,
    ).map(tuple),
    st.none() | st.booleans(),
    st.sampled_from(["", "text"]),
)
policies = st.builds(
    Policy,
    st.lists(some_rules, max_size=3).map(tuple),
    st.fixed_dictionaries(dict.fromkeys(DEFAULT_ACTIONS, some_actions)),
    st.frozensets(st.sampled_from([*DEFAULT_ACTIONS, "replaced"])),
    st.booleans(),
    st.sampled_from([b"X-S", b""]),
    st.frozensets(st.sampled_from(["yara", "clamd"])),
)


def treatment_of(verdict: Verdict, path: Path) -> Treatment:
    """What happens to a part, by itself or because of a part around it."""
    wanted = dict(verdict.treatments)
    around = [wanted.get(path[:length], Treatment.KEEP) for length in range(len(path))]
    return Treatment.REPLACE if Treatment.REPLACE in around else wanted.get(path, Treatment.KEEP)


def milder(one: Verdict, other: Verdict) -> bool:
    """Is `one` milder than `other` in any respect?"""
    if one.disposition is not other.disposition:
        return SEVERITY.index(one.disposition) < SEVERITY.index(other.disposition)
    return any(treatment_of(one, path) < treatment for path, treatment in other.treatments) or (other.quarantine and not one.quarantine)


@given(st.lists(some_findings, max_size=6), some_findings, policies)
def test_one_more_finding_is_never_milder(findings: list[Finding], more: Finding, rules: Policy) -> None:
    assert not milder(decide([*findings, more], NOBODY, rules), decide(findings, NOBODY, rules))


@given(st.lists(some_findings, min_size=1, max_size=6), policies, st.data())
def test_a_sterner_action_is_never_milder(findings: list[Finding], rules: Policy, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(sorted(DEFAULT_ACTIONS)))
    sterner = data.draw(st.sampled_from([action for action in Action if action >= rules.actions[word]]))
    other = rules._replace(actions={**rules.actions, word: sterner})
    # Quarantine is no severity: a tempfail is kept by the sender, a refusal only where the policy says so.
    stern, mild = (decide(findings, NOBODY, one)._replace(quarantine=False) for one in (other, rules))
    assert not milder(stern, mild)


@given(st.lists(some_findings, max_size=8), policies, st.randoms(use_true_random=False))
def test_order_does_not_matter(findings: list[Finding], rules: Policy, generator: random.Random) -> None:
    shuffled = list(findings)
    generator.shuffle(shuffled)
    assert decide(findings, NOBODY, rules) == decide(shuffled, NOBODY, rules) == decide(findings * 2, NOBODY, rules)


@given(st.lists(some_findings, min_size=1, max_size=6), policies)
def test_what_is_treated_is_a_part_with_a_finding(findings: list[Finding], rules: Policy) -> None:
    verdict = decide(findings, NOBODY, rules)
    assert {path for path, _ in verdict.treatments} <= {finding.part for finding in findings} | {()}
    assert verdict.disposition is Disposition.ACCEPT or (verdict.treatments == () and verdict.tags == ())
    assert len({path for path, _ in verdict.treatments}) == len(verdict.treatments)
    for _, value in verdict.tags:
        assert value.isascii()
        assert b"\n" not in value


# -- saved parts, disinfected parts


def test_what_is_cut_out_may_be_saved() -> None:
    policy = Policy(save=frozenset({"malware", "banned", "encrypted"}))
    verdict = decide([found("malware", (1,)), found("encrypted", (2,)), found("banned", (3,)), found("active", (4,))], policy=policy)
    assert verdict.saved == ((1,), (3,))  # what is encrypted passes
    rule = Rule("kept", Action.REPLACE, (("kind", ("banned",)),), save=False)
    assert decide([found("banned", (3,))], policy=policy._replace(rules=(rule,))).saved == ()
    rule = Rule("renamed", Action.DEFANG, (("kind", ("banned",)),), save=True)
    assert decide([found("banned", (3,))], policy=policy._replace(rules=(rule,))).saved == ()


def test_disarmed() -> None:
    verdict = decide([found("disarmed", (1,)), found("disarmed", (2,)), found("disinfected", (2,)), found("active", (3,))])
    assert verdict.treatments == (((1,), Treatment.DISARM), ((2,), Treatment.DISARM), ((3,), Treatment.REPLACE))
    assert verdict.quarantine
    alone = decide([found("disarmed", (1,))])
    assert alone.tags == tag("changed; found=disarmed; rule=policy.disarmed")
    assert (alone.quarantine, alone.rule) == (True, "policy.disarmed")


def test_disinfected() -> None:
    verdict = decide([found("disinfected", (1,)), found("disinfected", (2,)), found("malware", (2,))])
    assert verdict.treatments == (((1,), Treatment.DISINFECT), ((2,), Treatment.REPLACE))
    assert verdict.quarantine
    assert decide([found("disinfected", (1,))]).tags == tag("cleaned; found=disinfected; rule=policy.disinfected")


@pytest.mark.parametrize(
    ("findings", "rules", "most", "alarm"),
    [
        ([found("malware", (2,))], (), 0, False),
        ([found("malware", (2,))], (Rule("a", Action.REPLACE, (("kind", ("malware",)),), alarm=True),), 0, True),
        ([found("active", (2,))], (Rule("a", Action.REPLACE, (("kind", ("malware",)),), alarm=True),), 0, False),
        ([found("malware", (2,)), found("active", (3,))], (), 2, False),
        ([found("malware", (2,)), found("active", (3,))], (), 1, True),
        ([found("malware", (2,)), found("active", (2,))], (), 1, False),  # one part, one change
        ([found("malware", (2,)), found("encrypted", (3,))], (), 1, False),
        ([found("malware", (2,)), found("encrypted", (3,))], (Rule("a", Action.TAG, (("reason", ("encrypted",)),)),), 1, True),
        ([], (), 1, False),
    ],
)
def test_alarm(findings: list[Finding], rules: tuple[Rule, ...], most: int, alarm: bool) -> None:
    assert decide(findings, NOBODY, Policy(rules, alarm_changes=most)).alarm is alarm
