"""Scanners for tests: the real thing with the embedded engine, state in a temporary directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

from lazaretto.engines import registry
from lazaretto.engines.base import Engine
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Report
from lazaretto.policy.rules import Policy
from lazaretto.sanitize import notices
from lazaretto.scan.job import Scanner, Stores
from lazaretto.store.quarantine import Quarantine
from lazaretto.store.saved import SavedFiles


@cache
def embedded() -> tuple[Engine, ...]:
    """The engines of the default configuration, without a clamd."""
    return tuple(registry.build(kind, kind, {}) for kind in ("attachments", "yara"))


@cache
def template() -> notices.Template:
    with open(notices.shipped("en"), encoding="utf-8") as file:
        return notices.parse(file.read())


def make(
    state: str | os.PathLike[str],
    engines: Sequence[Engine] | None = None,
    policy: Policy = Policy(),
    limits: Limits = DEFAULT,
    *,
    saving: bool = False,
) -> Scanner:
    """A scanner whose quarantine is below `state`; with `saving`, also a place for single parts."""
    quarantine = Quarantine(os.path.join(state, "quarantine"))
    saved = SavedFiles(os.path.join(state, "saved", "att-$T-$$$-$F")) if saving else None
    return Scanner(
        policy, embedded() if engines is None else engines, template, limits, Stores(quarantine, saved), spool_directory=os.fspath(state)
    )


def through(scanner: Scanner, message: bytes) -> tuple[Report, bytes]:
    """The report and what is handed back."""
    source = Source(message)
    report = scanner.scan(source)
    return report, b"".join(render(source, report.edits))
