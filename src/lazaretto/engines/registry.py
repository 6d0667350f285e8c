"""Which engines there are, and how to get one.

The table names those that come with Lazaretto; a module is imported when its
engine is built.  Engines of others are found by entry point (group
`lazaretto.engines`), and only for a kind that the table lacks: reading the entry
points costs the stdin filter more than reading its message.

Errors:  ConfigError for an unknown kind, a specification that cannot be read, and
         options that an engine does not accept.
See:     docs/engines.md, examples/engine_skeleton.py
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lazaretto.engines.base import Engine
from lazaretto.errors import ConfigError

# kind: (module, class); the class has from_config(name, options) -> Engine
ENGINES = {
    "attachments": ("lazaretto.engines.attachments", "Attachments"),
    "clamd": ("lazaretto.engines.clamd", "Clamd"),
    "command": ("lazaretto.engines.command", "Command"),
    "filerules": ("lazaretto.engines.filerules", "FileRules"),
    "fpscand": ("lazaretto.engines.fpscand", "Fpscand"),
    "fprotd": ("lazaretto.engines.fprotd", "Fprotd"),
    "lists": ("lazaretto.engines.lists", "Lists"),
    "yara": ("lazaretto.engines.yara", "Yara"),
}
PLANNED = ("icap",)
ENTRY_POINTS = "lazaretto.engines"

# Where packages put clamd's socket: Debian, Debian's old path, Fedora, Arch, Alpine, FreeBSD, ClamAV's own example.
CLAMD_SOCKETS = (
    "/run/clamav/clamd.ctl",
    "/var/run/clamav/clamd.ctl",
    "/run/clamd.scan/clamd.sock",
    "/run/clamav/clamd.sock",
    "/var/run/clamav/clamd.sock",
    "/tmp/clamd.socket",  # noqa: S108 - a stranger could listen there: see find_clamd
)


class EngineSpec(NamedTuple):
    """What to build: the arguments of build()."""

    kind: str
    name: str
    options: Mapping[str, object]


def kinds() -> tuple[str, ...]:
    """The kinds of the table."""
    return tuple(sorted(ENGINES))


def parse_spec(text: str) -> EngineSpec:
    """What `--engine` takes.

    yara, yara:PATH (own rules and those), clamd:unix:PATH, clamd:HOST[:PORT], fpscand
    and fprotd with or without :HOST:PORT (fpscand also :unix:PATH), command:NAME (of the
    configuration, or of a preset), and the kind alone for engines that need no option.
    """
    kind, colon, rest = text.partition(":")
    if kind in PLANNED:
        raise ConfigError(f"--engine {text}: {kind} is not available yet; known are {', '.join(kinds())}")
    if kind == "yara":
        if colon and not rest:
            raise ConfigError(f"--engine {text}: expected yara or yara:PATH")
        return EngineSpec(kind, kind, {"rules": [rest]} if rest else {})
    if kind == "clamd":
        from lazaretto.engines.clamd_connection import parse_address

        if not rest:
            raise ConfigError(f"--engine {text}: expected clamd:unix:PATH or clamd:HOST:PORT")
        return EngineSpec(kind, kind, {"addresses": [str(parse_address(rest))]})
    if kind in ("fpscand", "fprotd") and colon:
        if not rest:
            raise ConfigError(f"--engine {text}: expected {kind}:HOST:PORT, or {kind} alone for its usual address")
        return EngineSpec(kind, kind, {"addresses": [rest]})
    if kind == "command":
        if not rest:
            raise ConfigError(f"--engine {text}: expected command:NAME")
        return EngineSpec(kind, rest, {})
    if colon:
        raise ConfigError(f"--engine {text}: {_unknown(kind) if kind not in ENGINES else f'{kind} takes no argument here'}")
    if kind not in ENGINES and kind not in _foreign_kinds():
        raise ConfigError(f"--engine {text}: {_unknown(kind)}")
    return EngineSpec(kind, kind, {})


def build(kind: str, name: str, options: Mapping[str, object]) -> Engine:
    """The engine, ready to scan.  `name` labels its findings; `options` is its table of the configuration."""
    where = ENGINES.get(kind)
    made: object
    if where is not None:
        from importlib import import_module

        made = getattr(import_module(where[0]), where[1])
    else:
        made = _foreign(kind)
    factory = getattr(made, "from_config", None)
    if factory is None:
        raise ConfigError(f"engine {kind}: its class has no from_config")
    engine: Engine = factory(name, options)
    return engine


def usual_clamd_sockets() -> tuple[str, ...]:
    """Paths at which a clamd may listen, in the order of asking."""
    return CLAMD_SOCKETS


def find_clamd(timeout_s: float, paths: Iterable[str] = CLAMD_SOCKETS) -> str | None:
    """Address of the first clamd that answers a PING ("unix:/path"), or None.  At most `timeout_s` for each.

    Who answers will read mail and vouch for it, so a socket counts only if it belongs
    to a system account or to us: anybody may make a socket in a directory such as /tmp.
    """
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        if not stat.S_ISSOCK(status.st_mode) or not (status.st_uid < 1000 or status.st_uid == os.geteuid()):
            continue
        from lazaretto.engines.clamd_connection import Address, answers

        address = Address(path=path)
        if answers(address, timeout_s):
            return str(address)
    return None


def _unknown(kind: str) -> str:
    return f"unknown engine {kind!r}; known are {', '.join(kinds())}"


def _foreign_kinds() -> set[str]:
    from importlib.metadata import entry_points

    return {point.name for point in entry_points(group=ENTRY_POINTS)}


def _foreign(kind: str) -> object:
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=kind):
        try:
            made: object = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"engine {kind}: cannot be loaded from {point.value}: {error}") from None
        return made
    raise ConfigError(_unknown(kind))
