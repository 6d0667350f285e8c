"""Documents of the outer message, and what is left of them without what acts.

    look(item)    what acts in a document, as findings of the engine "disarm"
    content       part -> the document without it

Only documents that are parts of the outer message: nothing else can be put back. In another
reading of a part, what acts is a finding, and the part gets no new content because of it.

What a library in C does is done in a process of its own, which may crash (jail.py).

Limits:  max_disarm_bytes of one document; max_unpack_s of processor time where it is done outside.
Errors:  OSError from the spool, or if no process can be made.
See:     sanitize/disarm.py; docs/disarm.md
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item, Kind, Path
from lazaretto.sanitize import disarm
from lazaretto.sanitize.disarmed import Disarmed, Removed
from lazaretto.scan.walk import over
from lazaretto.store.spool import Spool

ENGINE = "disarm"  # in findings
REFUSED = "disarm.refused"


class Documents:
    """Of one message.  `formats`: those of sanitize.disarm.FORMATS that are wanted."""

    def __init__(self, formats: frozenset[str]) -> None:
        self.formats = formats
        self.acting: set[Path] = set()  # parts in which something acts
        self.content: dict[Path, Source] = {}  # those that can get new content
        self.planned = False  # what comes now is our own output

    def look(self, item: Item, meter: Meter, spool: Spool) -> Iterator[Finding]:
        """What acts in `item`, a part of the outer message or another reading of one."""
        wanted = disarm.format_of(item.type)
        if wanted not in self.formats or item.is_message or not item.is_file:
            return
        try:
            most = meter.limits.max_disarm_bytes
            if item.content.size > most:
                raise LimitExceeded("max_disarm_bytes", f"more than {most} bytes")
            result = _outside(item, meter) if wanted in disarm.OUTSIDE else disarm.disarm(item.type, item.content, meter)
        except LimitExceeded as limit:
            yield over(limit, item.part, item.trail)._replace(engine=ENGINE)
            return
        if not result.removed and not result.refused:
            return
        self.acting.add(item.part)
        if result.content is not None and not self.planned and not item.doubtful:
            self.content[item.part] = spool.take([result.content])
        for name, details in _by_name(result).items():
            shown = ", ".join(details[:5]) + (f" ({len(details)} in all)" if len(details) > 5 else "")
            yield Finding(ENGINE, Kind.DISARMED, name, item.part, shown, None, item.trail)


def _by_name(result: Disarmed) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for thing in result.removed:
        found.setdefault(thing.name, []).append(thing.what)
    if result.refused:
        found[REFUSED] = [result.refused]
    return found


def _outside(item: Item, meter: Meter) -> Disarmed:
    """Disarmed in a child process; a crash is a refusal."""
    from lazaretto.scan import jail

    def inner() -> Iterator[Member | Problem]:
        result = disarm.disarm(item.type, item.content, meter)
        for thing in result.removed:
            yield Problem(thing.name, thing.what)
        if result.refused:
            yield Problem(REFUSED, result.refused)
        if result.content is not None:
            yield Member(("content",), [result.content])

    disarm.prepare(item.type)
    content = None
    removed: list[Removed] = []
    refused = ""
    for found in jail.walk(item.type, inner, meter):
        if isinstance(found, Problem):
            if found.name == REFUSED or found.reason is not None:  # the latter is a crash
                refused = found.detail
            else:
                removed.append(Removed(found.name, found.detail))
            continue
        try:
            content = b"".join(found.chunks)
        except BrokenMember as broken:
            refused = broken.args[0]
    return Disarmed(None if refused else content, tuple(removed), refused)
