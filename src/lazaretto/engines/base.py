"""What an engine is: the contract that every file in this room fulfils.

An engine gets one item at a time, states facts about it as findings, and knows
nothing of policy or of other engines.  It lives for many messages and must not
keep anything of one message for the next.  It must stop at ctx.deadline.

It may raise EngineError(reason, detail); the scan turns that, and any other
exception, into Finding(kind=ERROR).

See: examples/engine_skeleton.py (run by the tests), docs/engines.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from lazaretto.limits import DEFAULT, Limits
from lazaretto.model import Envelope, Field, Finding, Item, Path


class ScanContext(NamedTuple):
    """What an engine may know besides the item."""

    deadline: float  # time.monotonic() seconds; one for the whole message
    envelope: Envelope = Envelope()
    limits: Limits = DEFAULT
    # Takes what an engine made of an item by removing malware; the engine then says Kind.DISINFECTED.
    # None: nobody wants it, so nothing is to be disinfected.
    cleaned: Callable[[Item, Iterable[bytes]], None] | None = None
    # Fields of the message, (), and of each of its parts: what a stranger wrote.
    fields: Mapping[Path, tuple[Field, ...]] = {}


class EngineInfo(NamedTuple):
    """For `lazaretto engines` and the report."""

    version: str  # program and version
    signatures: str = ""  # date or version of the signature database
    reachable: bool = True
    detail: str = ""  # why not reachable; address


class Engine(Protocol):
    """The contract.  `name` labels findings; `required` engines must answer (else temporary failure)."""

    name: str
    required: bool
    by_content: bool  # True: depends on the bytes alone, so identical content is asked once

    def wants(self, item: Item) -> bool:
        """Cheap: is this item worth sending?"""
        ...

    def scan(self, item: Item, ctx: ScanContext) -> Iterable[Finding]:
        """Facts about `item`.  Leave part and trail of the findings empty: the scan fills them in."""
        ...

    def info(self, timeout_s: float) -> EngineInfo:
        """Version and reachability, asked at most for `timeout_s`; raises nothing."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
