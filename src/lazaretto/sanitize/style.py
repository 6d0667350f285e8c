"""How what we write looks: the parts of the configuration that no verdict depends on.

Errors:  none.
See:     plan.py, which carries it out; policy/keys.py, the sections [headers] and [defang]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lazaretto.sanitize.renaming import Renaming
from lazaretto.sanitize.rewrite import Rewriting


class Summary(NamedTuple):
    """A text in each message that something was done to: what was found in it."""

    wanted: bool = False
    prefix: str = ""
    suffix: str = ""


class Style(NamedTuple):
    """One for all messages."""

    renaming: Renaming = Renaming()
    append: tuple[tuple[bytes, bytes], ...] = ()  # fields for the end of every header
    if_missing: tuple[tuple[bytes, bytes], ...] = ()  # those that a header gets if it has none of the name
    displaced: frozenset[str] = frozenset()  # names, in lower case, of fields that get another: prefix and name
    prefix: bytes = b"X-Old-"
    rewriting: Rewriting = Rewriting()
    summary: Summary = Summary()

    def closing(self, present: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
        """What a header is to end with that has the fields `present` (names in lower case)."""
        names = frozenset(present) if self.if_missing else frozenset()
        return (*self.append, *((name, value) for name, value in self.if_missing if name.decode("ascii").lower() not in names))


DEFAULT = Style()
