"""A Scanner from a configuration: which engines, which directories, which words.

Engines: those named by `specs` (`--engine`), else those of the configuration,
else YARA-X and, if one answers at its usual socket, clamd.  The engine for names
and types (`attachments`) always runs.  The spec "none" alone means no other.

Errors:  ConfigError, with file and line where the configuration is at fault.
See:     docs/engines.md, policy/config.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from lazaretto.engines import registry
from lazaretto.engines.base import Engine
from lazaretto.errors import ConfigError
from lazaretto.policy.config import Config, EngineTable
from lazaretto.scan.job import Scanner
from lazaretto.store.quarantine import Quarantine

if TYPE_CHECKING:
    from lazaretto.sanitize.notices import Template

_FIND_CLAMD_S = 0.5  # a clamd that needs longer for a PONG is no help to a filter that nobody configured


def scanner(config: Config, specs: Sequence[str], state_directory: str, host: str = "") -> Scanner:
    """The scanner that `config` describes.  `state_directory` holds quarantine and cache where the configuration names none."""
    quarantine = (
        Quarantine(config.quarantine_directory or os.path.join(state_directory, "quarantine")) if config.quarantine_enabled else None
    )
    chosen = engines(config, specs, os.path.join(state_directory, "cache"))
    return Scanner(
        config.policy._replace(optional=frozenset(engine.name for engine in chosen if not engine.required)),
        chosen,
        _notices(config),
        config.limits,
        quarantine,
        config.spool_directory or None,
        host,
    )


def engines(config: Config, specs: Sequence[str], cache_directory: str) -> tuple[Engine, ...]:
    """The engines in the order in which they are asked: the cheapest first."""
    chosen = [_built(config.attachments, cache_directory)]
    if specs:
        chosen += [_specified(config, spec, cache_directory) for spec in specs if spec != "none"]
    elif config.engines:
        chosen += [_built(table, cache_directory) for table in config.engines]
    else:
        chosen.append(_build("yara", "yara", {}, cache_directory))
        address = registry.find_clamd(_FIND_CLAMD_S)
        if address is not None:
            chosen.append(_build("clamd", "clamd", {"addresses": [address]}, cache_directory))
    names = [engine.name for engine in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two engines are called {twice!r}; give each its own name in the configuration ([engines.NAME])")
    return tuple(chosen)


def _specified(config: Config, text: str, cache_directory: str) -> Engine:
    """What `--engine` names: a table of the configuration by its name, else a kind with its address."""
    spec = registry.parse_spec(text)
    table = next((table for table in config.engines if table.name == spec.name and table.kind == spec.kind), None)
    if table is None:
        return _build(spec.kind, spec.name, spec.options, cache_directory)
    return _built(table._replace(options={**table.options, **spec.options, "required": True}), cache_directory)


def _built(table: EngineTable, cache_directory: str) -> Engine:
    try:
        return _build(table.kind, table.name, table.options, cache_directory)
    except ConfigError as error:
        raise table.located(error) from None


def _build(kind: str, name: str, options: Mapping[str, object], cache_directory: str) -> Engine:
    table = dict(options)
    if kind == "yara":
        table.setdefault("cache_dir", cache_directory)
    return registry.build(kind, name, table)


def _notices(config: Config) -> Callable[[], Template]:
    """The template: a configured one is read now, to complain in time; one of ours when the first notice is wanted."""

    @cache
    def template() -> Template:
        from lazaretto.sanitize import notices

        path = config.notice_template or notices.shipped(config.notice_language)
        try:
            with open(path, encoding="utf-8") as file:
                return notices.parse(file.read(), path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"notices: cannot be read: {error}", path) from error

    if config.notice_template:
        template()
    return template
