"""The canonical form of one message, step by step, until clients have nothing left to disagree about.

    settle(source, limits, wants, keep, spool)    Settled(edits, left)
    wants(envelope, policy)                       does policy want a part canonicalised because of an anomaly?
    remarks(settled)                              what could not be settled, as findings

Each step reads the message as the last one left it, so that what it brings to light is repaired too: the parts behind a
boundary that had to be guessed, the message that was encoded.  The steps become one set of edits of the original.

At the end every leaf of the original has to be there, byte for byte as the primary reading decodes it.  If one
is missing, none of the edits is taken: better ambiguous than lost.

Limits:  MAX_STEPS.
Errors:  OSError from the spool.
See:     sanitize/structure.py; docs/readings.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lazaretto.limits import Limits
from lazaretto.mime import ambiguous, edits, scanner
from lazaretto.mime.source import Sink, Source
from lazaretto.model import Edit, Envelope, Finding, Part, Path
from lazaretto.policy.rules import Action, Policy, judge
from lazaretto.sanitize import plan, structure, structure_fields
from lazaretto.scan.walk import anomaly
from lazaretto.store.spool import Spool

MAX_STEPS = 8  # the corpora need 3; each may open one more level of messages that are encoded


Wants = Callable[[Part, str], bool]


class Settled(NamedTuple):
    """What came of it.  `left`: anomalies that have no canonical form, or stand in what is signed."""

    edits: tuple[Edit, ...]
    left: tuple[tuple[Path, str], ...]


def settle(
    source: Source, limits: Limits, wants: Wants, keep: Sink, spool: Spool, *, first: Iterable[Edit] = (), most: int = MAX_STEPS
) -> Settled:
    """`first`, which is planned already, and the edits after which nothing is left that `wants` has to do with.

    At most `most` steps.  `wants` is asked about each anomaly of each part.
    `keep` stores new bodies, which outlive this; `spool` what does not.
    """
    first = tuple(first)
    done, current = first, spool.take(edits.render(source, first))
    contents: set[bytes] | None = None
    while True:
        root = scanner.parse(current, limits)
        wanted = _wanted(current, root, wants)
        if contents is None:
            contents = (
                {_digest(chunks, spool) for part, chunks in structure.leaves(current, root) if _stays(current, part)} if wanted else set()
            )
            steps, start = 0, wanted
        step = structure.repair(current, root, wanted, keep) if wanted and steps < most else ()
        if not step:
            break
        steps += 1
        done = edits.compose(source.size, done, step)
        spool.release(current)
        current = spool.take(edits.render(source, done))
    if steps and not contents <= {_digest(chunks, spool) for _, chunks in structure.leaves(current, root)}:
        done, wanted = first, start
    spool.release(current)
    return Settled(done, tuple((path, name) for path, names in sorted(wanted.items()) for name in sorted(names)))


def announced(source: Source, settled: Settled, limits: Limits, tags: plan.Tags, closing: plan.Tags, spool: Spool) -> Settled:
    """With our own fields, for which there was no place in the header as it was."""
    current = spool.take(edits.render(source, settled.edits))
    try:
        more = plan.announce(current, scanner.parse(current, limits), tags, closing)
        return settled._replace(edits=edits.compose(source.size, settled.edits, more))
    finally:
        spool.release(current)


def wants(envelope: Envelope, policy: Policy) -> Wants:
    """Asks policy about one anomaly of one part of the message itself."""

    def asked(part: Part, name: str) -> bool:
        here = (".".join(map(str, part.path)),) if part.path else ()
        found = anomaly(name, part.path, here)._replace(files=() if part.children else part.names)
        return judge(found, envelope, policy).action is Action.CANONICALISE

    return asked


def remarks(settled: Settled) -> Iterator[Finding]:
    """Findings about what is left as it was: rules may say what is to become of such mail."""
    left: dict[Path, list[str]] = {}
    for path, name in settled.left:
        left.setdefault(path, []).append(name)
    for path, names in left.items():
        here = (".".join(map(str, path)),) if path else ()
        yield anomaly("mime.not-canonical", path, here)._replace(detail=", ".join(names))


def without(policy: Policy) -> Policy:
    """`policy` for a message that has no canonical form: it passes where that is all that was wanted."""
    passing = {word: Action.PASS if action is Action.CANONICALISE else action for word, action in policy.actions.items()}
    rules = tuple(rule._replace(action=Action.PASS) if rule.action is Action.CANONICALISE else rule for rule in policy.rules)
    return policy._replace(actions=passing, rules=rules)


def _wanted(source: Source, root: Part, wants: Wants) -> dict[Path, frozenset[str]]:
    found: dict[Path, set[str]] = {}
    for part, name in structure.anomalies(source, root):
        if name in ambiguous.CANONICAL and wants(part, name):
            found.setdefault(part.path, set()).add(name)
    return {path: frozenset(names) for path, names in found.items()}


def _stays(source: Source, part: Part) -> bool:
    """Is the content of this leaf the same in the canonical form?  Of what turns out to hold parts, only these are."""
    if "header.junk-line" in part.anomalies and structure_fields.text_begins(source, part) >= 0:
        return False  # there will be more of it
    if part.media_type.startswith(("multipart/", "message/")):
        return False
    return bool(part.fields) or "mime.header-after-blank" not in part.anomalies


def _digest(chunks: Iterable[bytes], spool: Spool) -> bytes:
    content = spool.take(chunks)
    try:
        return content.digest()
    finally:
        spool.release(content)
