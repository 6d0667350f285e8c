"""The configuration: TOML texts in, one checked Config out.

    parse([("/etc/lazaretto/lazaretto.toml", text), (".../conf.d/10-local.toml", text)])

Without any text everything has its default, and the TOML reader is not loaded.
How several files are merged: document.py.  Options of engines are passed on as
they are, with their places; EngineTable.located puts them on an engine's errors.

Errors:  ConfigError: file, line, key, what was expected; the first one found.
See:     keys.py for every key, listing.py for `check-config`, docs/policy.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from lazaretto.errors import ConfigError
from lazaretto.limits import Limits
from lazaretto.policy.document import Document, Place, Table, read
from lazaretto.policy.forms import FORMS
from lazaretto.policy.keys import KEYS
from lazaretto.policy.rules import ACTIONS, CONDITIONS, DEFAULT_ACTIONS, Policy, Rule


class EngineTable(NamedTuple):
    """One [engines.NAME], or [attachments].  `options`: what its from_config gets, `required` among them if it was written."""

    name: str
    kind: str
    required: bool
    options: Mapping[str, object]
    places: Mapping[str, Place]  # of each key
    place: Place  # of the table
    only: tuple[str, ...] | None = None  # expressions of the names that it is to see; None: all

    def located(self, error: ConfigError) -> ConfigError:
        """An engine's error "[engines.NAME] KEY: ..." with file and line of the key, or of the table."""
        if error.file:
            return error
        key = re.match(r"\[[^]]*\] ([^:\s]+):", error.message)
        return (self.places.get(key[1], self.place) if key is not None else self.place).error(error.message)


class Config(NamedTuple):
    """All settings.  Paths are absolute, or "" for the default that keys.py describes."""

    limits: Limits
    policy: Policy
    engines: tuple[EngineTable, ...]  # (): none configured, so choose by what there is
    attachments: EngineTable
    notice_language: str
    notice_template: str
    quarantine_enabled: bool
    quarantine_directory: str
    spool_directory: str
    settings: Mapping[str, object]  # full name of each key -> as the program wants it
    values: Mapping[str, object]  # full name of each key -> as a file writes it
    origins: Mapping[str, Place]  # of those that a file has set
    rule_places: tuple[Place, ...]  # beside policy.rules


def parse(texts: Sequence[tuple[str, str]] = ()) -> Config:
    """Read, merge and check `texts`, pairs of file name and content."""
    document = read(texts)
    written = {key.full: key.default for key in KEYS} | {name: entry.written for name, entry in document.settings.items()}
    checked = {key.full: FORMS[key.form](key.default) for key in KEYS} | {name: entry.value for name, entry in document.settings.items()}

    def value(section: str, name: str) -> object:
        return checked[f"{section}.{name}"]

    engines = tuple(_engine(name, table) for name, table in document.engines.items() if _get(table, "enabled", True))
    keeps = bool(value("quarantine", "enabled"))
    return Config(
        Limits(**{name: cast("int", value("limits", name)) for name in Limits._fields}),
        Policy(
            _rules(document, keeps),
            {word: ACTIONS[str(value("policy", word))] for word in DEFAULT_ACTIONS},
            frozenset(cast("list[str]", value("policy", "quarantine"))) if keeps else frozenset(),
            bool(value("headers", "announce")),
            str(value("headers", "status_field")).encode("ascii"),
            frozenset(engine.name for engine in engines if not engine.required),
            frozenset(cast("list[str]", value("policy", "save"))),
            cast("int", value("policy", "alarm_changes")),
        ),
        engines,
        EngineTable("attachments", "attachments", True, *_options(document.attachments), document.attachments.place),
        str(value("notices", "language")),
        str(value("notices", "template")),
        keeps,
        str(value("quarantine", "directory")),
        str(value("filter", "spool_directory")),
        checked,
        written,
        {name: entry.place for name, entry in document.settings.items()},
        tuple(table.place for table in document.rules),
    )


def _get(table: Table, name: str, default: object) -> object:
    entry = table.entries.get(name)
    return default if entry is None else entry.value


def _options(table: Table) -> tuple[dict[str, object], dict[str, Place]]:
    options = {name: entry.written for name, entry in table.entries.items() if name not in ("kind", "enabled", "only")}
    return options, {name: entry.place for name, entry in table.entries.items()}


def _engine(name: str, table: Table) -> EngineTable:
    kind, required = str(_get(table, "kind", name)), bool(_get(table, "required", True))
    only = cast("tuple[str, ...] | None", _get(table, "only", None))
    return EngineTable(name, kind, required, *_options(table), table.place, only)


def _rules(document: Document, keeps: bool) -> tuple[Rule, ...]:
    first: dict[str, Place] = {}
    rules = []
    for table in document.rules:
        rule = _rule(table, keeps)
        if rule.name in first:
            raise table.place.error(f"rule {rule.name}: the name is taken by the rule at {first[rule.name]}")
        first[rule.name] = table.place
        rules.append(rule)
    return tuple(rules)


def _rule(table: Table, keeps: bool) -> Rule:
    for name in ("name", "action"):
        if name not in table.entries:
            raise table.place.error(f"rule.{name}: expected one, it is missing")
    name = str(_get(table, "name", ""))
    conditions = tuple((key, cast("tuple[str, ...]", entry.value)) for key, entry in table.entries.items() if key in CONDITIONS)
    if not conditions:
        raise table.place.error(f"rule {name}: expected at least one condition: {', '.join(CONDITIONS)}")
    quarantine = cast("bool | None", _get(table, "quarantine", None))
    if quarantine and not keeps:
        raise table.entries["quarantine"].place.error("rule.quarantine: expected false, for [quarantine] is not enabled")
    return Rule(
        name,
        ACTIONS[str(_get(table, "action", ""))],
        conditions,
        quarantine,
        str(_get(table, "text", "")),
        cast("bool | None", _get(table, "save", None)),
        bool(_get(table, "alarm", False)),
    )
