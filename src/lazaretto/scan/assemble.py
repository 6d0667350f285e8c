"""A Scanner from a configuration: which engines, which directories, which words.

Engines: those named by `specs` (`--engine`), else those of the configuration,
else YARA-X and, if one answers at its usual socket, clamd.  The engine for names
and types (`attachments`) and those for lists of names always run.  The spec "none"
alone means no other.

Errors:  ConfigError, with file and line where the configuration is at fault.
See:     docs/engines.md, policy/config.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from lazaretto.engines import registry
from lazaretto.engines.base import Engine
from lazaretto.errors import ConfigError
from lazaretto.policy.config import Config, EngineTable
from lazaretto.sanitize.renaming import Renaming
from lazaretto.sanitize.rewrite import Rewriting
from lazaretto.sanitize.style import Style, Summary
from lazaretto.scan.job import Scanner, Stores
from lazaretto.store.quarantine import Quarantine

if TYPE_CHECKING:
    from lazaretto.sanitize.notices import Template

Closing = Callable[[Collection[str]], Sequence[tuple[bytes, bytes]]]  # as Scanner has it

FPROT_TEXT = "Scanned by F-Prot Antivirus (http://www.f-prot.com)"
_SUMMARY = ("summary", "summary_prefix", "summary_suffix")
_KINDS_BESIDES = ("attachments", "lists", "filerules")  # look at names, not for malware: having them is no choice of a scanner
_FIND_CLAMD_S = 0.5  # a clamd that needs longer for a PONG is no help to a filter that nobody configured


def scanner(config: Config, specs: Sequence[str], state_directory: str, host: str = "") -> Scanner:
    """The scanner that `config` describes.  `state_directory` holds quarantine and cache where the configuration names none."""
    chosen = engines(config, specs, os.path.join(state_directory, "cache"))
    return Scanner(
        config.policy._replace(optional=frozenset(engine.name for engine in chosen if not engine.required)),
        chosen,
        _notices(config),
        config.limits,
        _stores(config, state_directory),
        config.spool_directory or None,
        host,
        _closing(config, specs, chosen),
        _style(config),
        cast("int", config.settings["filter.alarm_status"]),
        str(config.settings["html.profile"]),
        _disarmed(cast("Sequence[str]", config.settings["disarm.formats"])),
    )


def _style(config: Config) -> Style:
    """How what we write looks."""
    settings: Mapping[str, Any] = config.settings
    return Style(
        Renaming(*(settings[f"defang.{name}"] for name in Renaming._fields)),
        settings["headers.append"],
        settings["headers.if_missing"],
        settings["headers.displaced"],
        settings["headers.displaced_prefix"].encode("ascii"),
        Rewriting(*(settings[f"rewrite.{name}"] for name in Rewriting._fields)),
        Summary(*(settings[f"notices.{name}"] for name in _SUMMARY)),
    )


def _disarmed(formats: Sequence[str]) -> Sequence[str]:
    """`formats`, if what they need is there."""
    if "pdf" in formats:
        from lazaretto.sanitize import disarm_pdf

        if not disarm_pdf.available():
            raise ConfigError('disarm.formats: "pdf" needs the Python package pikepdf; install lazaretto[pdf]')
    return formats


def _stores(config: Config, state_directory: str) -> Stores:
    """Where copies go; a store that nothing asks for is not loaded."""
    quarantine = saved = backup = None
    if config.quarantine_enabled:
        quarantine = Quarantine(config.quarantine_directory or os.path.join(state_directory, "quarantine"))
    if config.policy.save or any(rule.save for rule in config.policy.rules):
        from lazaretto.store.saved import SavedFiles

        saved = SavedFiles(str(config.settings["quarantine.save_as"]) or os.path.join(state_directory, "saved", "att-$T-$$$-$F"))
    mode = config.settings["backup.mode"]
    if mode != "off":
        from lazaretto.store.backup import Backup

        directory = str(config.settings["backup.directory"]) or os.path.join(state_directory, "backup")
        file_mode, directory_mode = (cast("int", config.settings[f"backup.{name}"]) for name in ("file_mode", "directory_mode"))
        backup = Backup(directory, file_mode, directory_mode)
    return Stores(quarantine, saved, backup, changed_only=mode == "changed")


def _closing(config: Config, specs: Sequence[str], chosen: Sequence[Engine]) -> Closing:
    """The field that says who scanned: who has not failed.  Where F-PROT's own daemon did, in the words of its mail scanner."""
    name, own = (str(config.settings[f"headers.{key}"]) for key in ("scanned_field", "scanned_text"))
    beside = {"attachments", *(table.name for table in config.engines if table.kind in _KINDS_BESIDES)}
    scanners = [engine.name for engine in chosen if engine.name not in beside]
    tables = (registry.parse_spec(spec) for spec in specs if spec != "none") if specs else config.engines
    by_fprot = {table.name for table in tables if table.kind in ("fpscand", "fprotd")}

    def closing(failed: Collection[str]) -> Sequence[tuple[bytes, bytes]]:
        left = [scanner for scanner in scanners if scanner not in failed]
        if not name or (scanners and not left):
            return ()
        text = own or (FPROT_TEXT if not by_fprot.isdisjoint(left) else "Scanned by Lazaretto" + (f" ({', '.join(left)})" if left else ""))
        return ((name.encode("ascii"), text.encode("ascii")),)

    return closing


def engines(config: Config, specs: Sequence[str], cache_directory: str) -> tuple[Engine, ...]:
    """The engines in the order in which they are asked: the cheapest first."""
    beside = [table for table in config.engines if table.kind in _KINDS_BESIDES]
    scanners = [table for table in config.engines if table not in beside]
    chosen = [_built(table, cache_directory) for table in (config.attachments, *beside)]
    if specs:
        chosen += [_specified(config, spec, cache_directory) for spec in specs if spec != "none"]
    elif scanners:
        chosen += [_built(table, cache_directory) for table in scanners]
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
        engine = _build(table.kind, table.name, table.options, cache_directory)
    except ConfigError as error:
        raise table.located(error) from None
    if table.only is None:
        return engine
    from lazaretto.engines.selection import Selected

    return Selected(engine, table.only)


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
                read = notices.parse(file.read(), path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"notices: cannot be read: {error}", path) from error
        for name, text in texts.items():
            try:
                notices.check(text)
            except ValueError as error:
                raise config.origins[f"notices.{name}"].error(f"{name}: {error}") from None
        return notices.with_texts(read, texts["part"], texts["saved_part"])

    texts = {name: str(config.settings[f"notices.{name}"]) for name in ("part", "saved_part", *_SUMMARY[1:])}
    if config.notice_template or any(texts.values()):
        template()
    return template
