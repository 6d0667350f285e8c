"""Findings and envelope in, one verdict out.

Each finding is judged on its own (rules.judge); then the most severe action wins:

    pass < tag < canonicalise < disinfect < disarm < defang < mangle < replace < replace-message < tempfail < discard < reject

So a detection that refuses or discards the message outranks an engine that
failed; but where the message would go out, changed or not, a required engine that
failed makes it wait: replacing the bad part A does not make up for a part B that
nobody looked at.  And failure outranks silence: no answer is never "clean".

A part gets the most severe treatment of its findings; a part inside a replaced
one needs none.  A finding without a part (path ()) is about the whole message,
so "replace" there replaces the message.

The verdict does not depend on the order of the findings, and one more finding
never makes it milder (tests/policy/test_decide.py).

Errors:  none.
See:     docs/policy.md; docs/architecture.md "How a verdict is reached"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazaretto.model import Disposition, Envelope, Finding, Path, Treatment, Verdict
from lazaretto.policy.outcomes import printable
from lazaretto.policy.rules import Action, Decision, Policy, judge, word

DEFAULT = Policy()
NOBODY = Envelope()

_DISPOSITIONS = {Action.TEMPFAIL: Disposition.TEMPFAIL, Action.DISCARD: Disposition.DISCARD, Action.REJECT: Disposition.REJECT}
_TREATMENTS = {
    Action.CANONICALISE: Treatment.CANONICALISE,
    Action.DISINFECT: Treatment.DISINFECT,
    Action.DISARM: Treatment.DISARM,
    Action.DEFANG: Treatment.DEFANG,
    Action.MANGLE: Treatment.MANGLE,
    Action.REPLACE: Treatment.REPLACE,
    Action.REPLACE_MESSAGE: Treatment.REPLACE,
}
# First word of the status field, by the most severe action.
_CHANGING = (Action.CANONICALISE, Action.DISARM, Action.DEFANG, Action.MANGLE)
_STATES = {Action.PASS: "passed", Action.TAG: "tagged", **dict.fromkeys(_CHANGING, "changed")}


def decide(findings: Iterable[Finding], envelope: Envelope = NOBODY, policy: Policy = DEFAULT) -> Verdict:
    """What is to be done with the message and with each of its parts."""
    decisions = sorted((judge(finding, envelope, policy) for finding in findings), key=_weight, reverse=True)
    if not decisions or _is_noise(decisions[0]):
        return Verdict(Disposition.ACCEPT, (), any(decision.quarantine for decision in decisions), _tags(decisions, policy))
    worst = decisions[0]
    disposition = _DISPOSITIONS.get(worst.action, Disposition.ACCEPT)
    if disposition is not Disposition.ACCEPT:
        # Mail that will come again is kept when it does; a copy for each attempt would fill the disk.
        keep = disposition is not Disposition.TEMPFAIL and any(decision.quarantine for decision in decisions)
        return Verdict(disposition, quarantine=keep, rule=worst.rule, text=worst.text)
    treatments = _treatments(decisions)
    return Verdict(
        disposition,
        treatments,
        any(decision.quarantine for decision in decisions),
        _tags(decisions, policy),
        worst.rule,
        saved=tuple(sorted({decision.finding.part for decision in decisions if decision.save})),
        alarm=_alarms(decisions, len(treatments), policy),
    )


def status(decisions: Sequence[Decision]) -> str:
    """Value of the status field: "clean", or what was done and why: "cleaned; found=banned,malware; rule=policy.malware".

    `decisions`: the most severe first.
    """
    telling = [decision for decision in decisions if not _is_noise(decision)]
    if not telling:
        return "clean"
    words = ",".join(sorted({word(decision.finding) for decision in telling}))
    state = _STATES.get(telling[0].action, "cleaned")
    return printable(f"{state}; found={words}; rule={telling[0].rule}")


def _alarms(decisions: Iterable[Decision], treated: int, policy: Policy) -> bool:
    """Does a rule say so, or were there more changes than usual?  What a rule marks is one, too."""
    marked = set()  # a finding that comes twice is one
    for decision in decisions:
        if decision.alarm:
            return True
        if decision.action is Action.TAG and not decision.rule.startswith("policy."):
            marked.add(decision.finding)
    return 0 < policy.alarm_changes < treated + len(marked)


def _weight(decision: Decision) -> tuple[object, ...]:
    """Severity first; then what makes the order total, so that equal sets of findings give equal verdicts.

    Among equals a rule of the administrator is worth telling more than the table, and the table more than noise.
    """
    finding = decision.finding
    return (
        decision.action,
        not _is_noise(decision),
        not decision.rule.startswith(("policy.", "optional")),
        decision.rule,
        decision.text,
        finding.part,
        finding.engine,
        finding.kind.value,
        finding.name,
        finding.detail,
        finding.trail,
        finding.files,
        finding.reason.value if finding.reason else "",
    )


def _is_noise(decision: Decision) -> bool:
    """Deviations that no rule of the administrator speaks about, and that pass: honest mail is full of them."""
    return decision.action is Action.PASS and decision.rule.startswith("policy.") and word(decision.finding) in ("malformed", "ambiguous")


def _treatments(decisions: Iterable[Decision]) -> tuple[tuple[Path, Treatment], ...]:
    worst: dict[Path, Treatment] = {}
    for decision in decisions:
        treatment = _TREATMENTS.get(decision.action, Treatment.KEEP)
        if treatment is not Treatment.KEEP:
            path = () if decision.action is Action.REPLACE_MESSAGE else decision.finding.part
            worst[path] = max(treatment, worst.get(path, Treatment.KEEP))
    gone = {path for path, treatment in worst.items() if treatment is Treatment.REPLACE}
    return tuple(
        (path, treatment) for path, treatment in sorted(worst.items()) if not any(path[:length] in gone for length in range(len(path)))
    )


def _tags(decisions: Sequence[Decision], policy: Policy) -> tuple[tuple[bytes, bytes], ...]:
    if not policy.status_field:
        return ()
    value = status(decisions)
    if not policy.announce and value == "clean":
        return ()
    return ((policy.status_field, value.encode("ascii")),)
