"""What engines said about content, remembered from message to message.

The same logo, the same newsletter, the same message sent again after a time-out: content that
an engine has answered for within MAX_AGE_S is not sent to it again.

    answers = AnswerCache(10_000)
    engines = [Remembering(engine, answers) if engine.by_content else engine for engine in engines]

Remembered are only statements about content, or silence; never a failure, never what could not be
looked into, never that something was disinfected (the cleaned content is not here).

An entry counts as long as the engine's version and signatures are those under which it was
made; they are asked for every TOKEN_S. An engine that does not say which signatures it has is
not remembered at all.

Limits:  max_entries (limits.max_cached_answers), who has not been asked for longest goes first; MAX_AGE_S.
Bugs:    signatures that an engine loads without saying so count after MAX_AGE_S only. clamd tells those on
         its disk, which may be seconds ahead of those in its memory.
See:     inquiry.py, which asks nothing twice within one message; work.py
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from lazaretto.engines.base import Engine, EngineInfo, ScanContext
from lazaretto.model import Finding, Item, Kind

MAX_AGE_S = 300.0  # so much longer may something pass that new signatures would stop
TOKEN_S = 30.0  # how often an engine is asked for its version
_ASK_S = 1.0  # and how long it may think about it

_STATEMENTS = frozenset((Kind.MALWARE, Kind.BANNED, Kind.ACTIVE, Kind.MALFORMED))

Key = tuple[str, bool, bytes]  # engine, is it a raw message, SHA-256
Token = tuple[str, str]  # version, signatures


class _Entry(NamedTuple):
    token: Token
    until: float
    findings: tuple[Finding, ...]


class AnswerCache:
    """Answers by content.  `max_entries` 0: nothing is kept."""

    def __init__(self, max_entries: int, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.hits = 0
        self._max = max_entries
        self._max_age_s = max_age_s
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()  # who has not been asked for longest first

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, token: Token) -> tuple[Finding, ...] | None:
        """What was said under this token, not too long ago; None: nothing is known."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.token != token or entry.until <= self.clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry.findings

    def put(self, key: Key, token: Token, findings: tuple[Finding, ...]) -> None:
        """Keep `findings`, if they are statements about content."""
        if self._max < 1 or any(finding.kind not in _STATEMENTS for finding in findings):
            return
        self._entries.pop(key, None)
        if len(self._entries) >= self._max:
            self._entries.popitem(last=False)
        self._entries[key] = _Entry(token, self.clock() + self._max_age_s, findings)


class Remembering:
    """`engine`, asked only for what is not known.  It must be one that goes by content (engines.base)."""

    by_content = True

    def __init__(self, engine: Engine, answers: AnswerCache) -> None:
        self.engine = engine
        self.name = engine.name
        self.required = engine.required
        self._answers = answers
        self._token: Token | None = None
        self._asked = float("-inf")

    def wants(self, item: Item) -> bool:
        """What the engine wants."""
        return self.engine.wants(item)

    def scan(self, item: Item, ctx: ScanContext) -> tuple[Finding, ...]:
        """What is known, else what the engine says now.  Raises what the engine raises."""
        token = self._current(ctx.deadline) if item.digest else None
        if token is None:
            return tuple(self.engine.scan(item, ctx))
        key = (self.name, item.is_message, item.digest)
        known = self._answers.get(key, token)
        if known is None:
            known = tuple(self.engine.scan(item, ctx))
            self._answers.put(key, token, known)
        return known

    def info(self, timeout_s: float) -> EngineInfo:
        """That of the engine."""
        return self.engine.info(timeout_s)

    def close(self) -> None:
        """Give back what the engine holds."""
        self.engine.close()

    def _current(self, deadline: float) -> Token | None:
        """Which version and signatures answer, as of at most TOKEN_S ago.  None: it does not say."""
        now = self._answers.clock()
        if now >= self._asked + TOKEN_S:
            self._asked = now
            # Before the content is sent: what is then said under newer signatures is at worst forgotten too early.
            info = self.engine.info(max(min(_ASK_S, deadline - time.monotonic()), 0.01))
            self._token = (info.version, info.signatures) if info.reachable and info.signatures else None
        return self._token
