"""Asking the engines, nothing twice.

Identical content is asked once per engine: answers are kept by SHA-256, for one
message and its second reading.  What the scan of the raw message has covered
is not sent again, unless the engine could not take the raw message whole, or
found something in it.

Errors:  none.  EngineError and any other exception of an engine become a finding
         of Kind.ERROR; a bug in one engine is the failure of that engine.
See:     engines/base.py; docs/engines.md
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from lazaretto.engines.base import Engine, ScanContext
from lazaretto.errors import EngineError
from lazaretto.model import Finding, Item, Kind, Reason

# Reasons that lie in the content, not in the engine: asking again later would not help.
_OF_CONTENT = frozenset((Reason.LIMIT, Reason.ENCRYPTED, Reason.BROKEN, Reason.UNSUPPORTED))


class Inquiry:
    """Asks `engines` about items and remembers what they said about content."""

    def __init__(self, engines: Sequence[Engine], ctx: ScanContext) -> None:
        self.engines = engines
        self.ctx = ctx
        self.known: dict[tuple[str, bool, bytes], tuple[Finding, ...]] = {}
        # Engines that could not take the raw message, or found something in it: what it covers is theirs to see again,
        # in the second case to learn which part is to blame.
        self.again: set[str] = set()
        self.asked = 0
        self.spent_ms: dict[str, float] = {}  # by engines that were asked

    def ask(self, item: Item) -> Iterator[Finding]:
        """All that the engines say about `item`, with its part, trail and files filled in."""
        for engine in self.engines:
            seen = item._replace(covered=False) if item.covered and engine.name in self.again else item
            # An engine may say less about the raw message than about a part with the same bytes.
            key = (engine.name, item.is_message, item.digest)
            answer = self._answer(engine, seen, key)
            if item.is_message and answer:
                self.again.add(engine.name)
            for finding in answer:
                if item.is_message and finding.kind is Kind.UNSCANNABLE and finding.reason is Reason.LIMIT:
                    # The scan of the raw message is a second look; its parts are all still sent one by one.
                    yield finding._replace(kind=Kind.MALFORMED, name="engine.raw-too-large", reason=None, detail=finding.detail)
                    continue
                yield finding._replace(part=item.part, trail=item.trail, files=item.files)

    def _answer(self, engine: Engine, item: Item, key: tuple[str, bool, bytes]) -> tuple[Finding, ...]:
        """What is known, or else what the engine says now."""
        try:
            if not engine.wants(item):
                return ()
            answer = self.known.get(key) if engine.by_content else None
            if answer is None:
                self.asked += 1
                started = time.monotonic()
                try:
                    answer = tuple(engine.scan(item, self.ctx))
                finally:
                    spent = (time.monotonic() - started) * 1000
                    self.spent_ms[engine.name] = self.spent_ms.get(engine.name, 0.0) + spent
        except EngineError as error:
            kind = Kind.UNSCANNABLE if error.reason in _OF_CONTENT else Kind.ERROR
            answer = (Finding(engine.name, kind, f"engine.{error.reason.value}", (), error.detail, error.reason),)
        except KeyboardInterrupt:  # somebody wants us to stop
            raise
        except BaseException as error:  # noqa: BLE001 - the one place where an engine's bug is caught: a panic and sys.exit() are no answer
            answer = (Finding(engine.name, Kind.ERROR, "engine.crash", (), f"{type(error).__name__}: {error}", Reason.DOWN),)
        if engine.by_content:
            self.known[key] = answer
        return answer
