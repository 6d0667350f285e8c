"""A scanner that sees only some files: the key `only` of any engine.

    Selected(engine, ["\\.(exe|zip)$"])

The engine gets the items of which one candidate name (content.candidates) matches
one of the expressions, and all that comes out of such an item: the members of an
archive that was chosen are not looked up again.

The raw message holds everything, chosen or not.  The engine gets it only if an
expression is sure to match every name (content.candidates.matches_all, ".*" for
one).  Else nothing counts as covered by the scan of the raw message, and the
chosen items go in one by one.

Limits:  those of content.candidates; an item with more names than are looked at is chosen.
Errors:  ConfigError from the constructor; those of the engine.
See:     docs/engines.md; engines/base.py, whose contract this fulfils for any engine
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazaretto.content.candidates import candidates, expressions, matches_all, search
from lazaretto.engines.base import Engine, EngineInfo, ScanContext
from lazaretto.errors import ConfigError
from lazaretto.model import Finding, Item


class Selected:
    """`engine`, for the items whose names match.

    Items come container first, then what is in it: `_chosen` is the trail of the last item
    that was chosen by name.  The raw message, the first item of every message, resets it.
    """

    def __init__(self, engine: Engine, only: Sequence[str]) -> None:
        self.engine = engine
        self.name = engine.name
        self.required = engine.required
        self.by_content = engine.by_content
        if not only:
            raise ConfigError(f'[engines.{engine.name}] only: expected at least one expression, such as [".*"]')
        try:
            self._patterns = expressions(only)
        except ValueError as e:
            raise ConfigError(f"[engines.{engine.name}] only: {e}") from None
        self._all = any(map(matches_all, only))
        self._chosen: tuple[str, ...] | None = None

    def wants(self, item: Item) -> bool:
        """Is it, or what it came out of, one of the chosen files; and does the engine want it?"""
        if self._all:
            return self.engine.wants(item)
        if item.is_message:
            self._chosen = None
            return False
        if self._chosen is None or not _is_inside(item.trail, self._chosen):
            self._chosen = item.trail if self._matches(item) else None
        if self._chosen is None:
            return False
        return self.engine.wants(item._replace(covered=False))

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        """What the engine says."""
        return self.engine.scan(item if self._all else item._replace(covered=False), ctx)

    def info(self, timeout_s: float) -> EngineInfo:
        """That of the engine."""
        return self.engine.info(timeout_s)

    def close(self) -> None:
        """Give back what the engine holds."""
        self.engine.close()

    def _matches(self, item: Item) -> bool:
        named = candidates(item)
        return not named.complete or search(self._patterns, named.names) is not None


def _is_inside(trail: tuple[str, ...], container: tuple[str, ...]) -> bool:
    return len(trail) > len(container) and trail[: len(container)] == container
