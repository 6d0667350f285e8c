"""Which parts need not go as a whole, because all that is wrong with them is in files encoded in their text.

    blocks = find(source, root, treatments, findings, action, limits)     {(2,): (Block(...), ...)}

A part counts if it is a text without children in an encoding of identity, and every
finding that calls for its treatment is about a uuencode or begin-base64 block in it.  Then
those blocks are treated as these findings want it, and the part is not.

Limits:  limits.max_encoded_blocks: beyond, the part goes as a whole.
Errors:  none.
See:     sanitize/blocks.py; scan/walk.py, which finds the same blocks
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.mime import transfer, tree
from lazaretto.mime.scanner import IDENTITY
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Part, Path, Span, Treatment
from lazaretto.policy.rules import Action
from lazaretto.sanitize.blocks import Block

NONE: Mapping[Path, tuple[Block, ...]] = {}
_KINDS = ("uuencode:", "begin-base64:")
_TREATMENTS = {Action.DEFANG: Treatment.DEFANG, Action.MANGLE: Treatment.MANGLE, Action.REPLACE: Treatment.REPLACE}


def find(
    source: Source,
    root: Part,
    treatments: Mapping[Path, Treatment],
    findings: Iterable[Finding],
    action: Callable[[Finding], Action],
    limits: Limits,
) -> Mapping[Path, tuple[Block, ...]]:
    """The blocks of those parts.  `action`: what policy calls for."""
    wanted: dict[Path, dict[str, Treatment] | None] = {}  # part -> label of a block -> its treatment; None: all of it
    for finding in findings:
        here = finding.part
        if treatments.get(here, Treatment.KEEP) is Treatment.KEEP or (act := action(finding)) < Action.DISINFECT:
            continue
        label = finding.trail[0] if finding.trail and finding.trail[0].startswith(_KINDS) else ""
        labels = wanted.setdefault(here, {})
        if labels is None or not label or act not in _TREATMENTS:
            wanted[here] = None
        else:
            labels[label] = max(_TREATMENTS[act], labels.get(label, Treatment.KEEP))
    texts = {path: labels for path, labels in wanted.items() if labels and _is_text(tree.find(root, path))}
    if not texts:
        return NONE
    found: dict[Path, list[Block]] = {}
    try:
        for block in transfer.find_encoded(source, None, limits):
            name = block.name.decode("utf-8", "replace")
            part = tree.owner(root, block.span.start)
            if treatment := texts.get(part.path, {}).get(f"{block.kind}:{name}"):
                span = Span(block.span.start, min(block.span.stop, part.body.stop))  # its last line end may be the delimiter's
                found.setdefault(part.path, []).append(Block(span, name, treatment))
    except LimitExceeded:
        return NONE
    return {
        path: tuple(blocks)
        for path, blocks in found.items()
        if len({b.name for b in blocks}) == len(texts[path]) and _fit(root, path, blocks)
    }


def _is_text(part: Part | None) -> bool:
    return part is not None and not part.children and part.media_type.startswith("text/") and part.encoding in IDENTITY


def _fit(root: Part, path: Path, blocks: list[Block]) -> bool:
    """Are they all in the body of the part, one behind the other?"""
    part = tree.find(root, path)
    assert part is not None
    last = part.body.start
    for block in blocks:
        if block.span.start < last:
            return False
        last = block.span.stop
    return True
