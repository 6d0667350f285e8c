"""What disarming a file gives: the new content, what was taken out, or why it cannot be done.

Each format has one module, disarm_FORMAT, with one pure function

    disarm(source, meter) -> Disarmed

    content   the file without what acts; None if nothing was to be taken out, or if it cannot be done
    removed   each thing that was found, with the name of the finding that it becomes
    refused   why it cannot be done; "" if it was, or if there was nothing to do

A file that is refused is not changed: policy has the part replaced.  The functions are
idempotent: what they give has nothing more to take out.

Errors:  LimitExceeded from the meter.  Refused is raised inside the modules and ends in `refused`.
See:     docs/disarm.md
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MAX_REMOVED = 1000  # things that are told one by one; further ones are taken out all the same
MAX_DETAIL = 200  # characters of what is told of one


class Refused(Exception):
    """Raised where a file cannot be disarmed safely; the text is for people."""


class Removed(NamedTuple):
    """One thing taken out."""

    name: str  # of a finding: "office.macros"
    what: str  # which one: the name of a part, an instruction, an address


class Disarmed(NamedTuple):
    content: bytes | None
    removed: tuple[Removed, ...] = ()
    refused: str = ""


NOTHING = Disarmed(None)


class Found:
    """Collects what is taken out, each thing once, in order."""

    __slots__ = ("things",)

    def __init__(self, things: Iterable[Removed] = ()) -> None:
        self.things: dict[Removed, None] = dict.fromkeys(things)

    def add(self, name: str, what: str) -> None:
        if len(self.things) < MAX_REMOVED:
            text = "".join(char if char.isprintable() else " " for char in what[: 4 * MAX_DETAIL])
            self.things[Removed(name, " ".join(text.split())[:MAX_DETAIL])] = None

    def __bool__(self) -> bool:
        return bool(self.things)

    def removed(self) -> tuple[Removed, ...]:
        return tuple(self.things)
