"""What the commands share: options, configuration files, a Scanner built from them.

The configuration is --config FILE, else $LAZARETTO_CONFIG, else the user's
lazaretto/lazaretto.toml under $XDG_CONFIG_HOME (~/.config), else
/etc/lazaretto/lazaretto.toml; beside it, conf.d/*.toml in the order of their
names.  No file at all is fine: every setting has a default.

Errors:  ConfigError.
See:     docs/policy.md, policy/config.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from lazaretto.errors import EX_NOINPUT, ConfigError
from lazaretto.mime.source import Source

if TYPE_CHECKING:
    import argparse

    from lazaretto.policy.config import Config
    from lazaretto.scan.job import Scanner

SYSTEM_CONFIG = "/etc/lazaretto/lazaretto.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every scanning command has."""
    parser.add_argument("--config", metavar="FILE", help=f"configuration file (default: the user's, else {SYSTEM_CONFIG}, else built-in)")
    parser.add_argument(
        "--engine",
        metavar="SPEC",
        action="append",
        default=[],
        help="engine to use, repeatable: yara, yara:RULES, clamd:unix:PATH, clamd:HOST:PORT, fpscand:HOST:PORT, command:NAME, none; "
        "an engine named here must answer (default: those configured, else yara and a clamd at its usual socket)",
    )
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        help="where copies and caches live (default: $LAZARETTO_STATE_DIR, else /var/lib/lazaretto, or the user's)",
    )


def formatter(prog: str) -> argparse.HelpFormatter:
    """Help in lines of $COLUMNS, else 100.  Left to itself, argparse loads shutil for each option, with compressors and all."""
    import argparse

    columns = os.environ.get("COLUMNS", "")
    return argparse.HelpFormatter(prog, width=(int(columns) if columns.isdecimal() else 100) - 2)


def read_message(path: str) -> Source:
    """The file at `path`, or standard input for "-".  SystemExit with 66 (EX_NOINPUT) and a line on standard error if it cannot be read."""
    import sys

    try:
        if path == "-":
            return Source(sys.stdin.buffer.read())
        with open(path, "rb") as file:
            return Source.from_fd(file.fileno(), os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"lazaretto: {path}: {getattr(error, 'strerror', None) or error}\n")
        raise SystemExit(EX_NOINPUT) from None


def config_path(chosen: str | None) -> str | None:
    """The configuration file to read, or None for the defaults."""
    named = chosen or os.environ.get("LAZARETTO_CONFIG")
    if named:
        return named
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME", "/nonexistent"), ".config")
    for path in (os.path.join(home, "lazaretto", "lazaretto.toml"), SYSTEM_CONFIG):
        if _exists(path):
            return path
    return None


def _exists(path: str) -> bool:
    """Is it there?  If that cannot be seen, ConfigError: to go on without the configuration would be another policy."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    return True


def read_config(path: str | None) -> list[tuple[str, str]]:
    """(file name, text) of the configuration and its conf.d, in the order in which they count."""
    if path is None:
        return []
    folder = os.path.join(os.path.dirname(path), "conf.d")
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", folder) from error
    files = [path, *sorted(os.path.join(folder, name) for name in names if name.endswith(".toml") and not name.startswith("."))]
    return [(file, _text(file)) for file in files]


def _text(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as handle:
            return handle.read()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 (byte {error.start})", file) from error


def config(options: argparse.Namespace) -> Config:
    """The configuration that the command line chooses."""
    from lazaretto.policy.config import parse

    return parse(read_config(config_path(options.config)))


def state_directory(options: argparse.Namespace) -> str:
    """--state-dir, else the usual place."""
    from lazaretto.store.quarantine import default_state_dir

    return options.state_dir or default_state_dir(os.environ, os.geteuid())


def scanner(options: argparse.Namespace, chosen: Config | None = None) -> Scanner:
    """A scanner as the command line and the configuration (`chosen`, if it has been read) want it."""
    from lazaretto.scan import assemble

    return assemble.scanner(chosen or config(options), options.engine, state_directory(options), os.uname().nodename)


def to_stderr(text: str, _level: int = 6) -> None:
    """One line on standard error, in one write.  Nobody loses mail because nobody listens there."""
    try:
        os.write(2, text.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        pass


def log(config: Config) -> Callable[[str, int], None]:
    """Where final lines go as [log] says: to syslog, or to standard error if there is none, or if syslog does not take it."""
    send = _sender(config)
    if config.settings["log.format"] == "text":
        return send
    from lazaretto.scan.report import json_line

    return lambda text, level: send(json_line(text), level)


def _sender(config: Config) -> Callable[[str, int], None]:
    address = str(config.settings["log.syslog"])
    if not address:
        return to_stderr
    from lazaretto.frontends.syslog import Syslog

    facility, level = (int(str(config.settings[f"log.{name}"])) for name in ("facility", "level"))
    syslog = Syslog(address, str(config.settings["log.ident"]), facility, level)

    def send(text: str, level: int) -> None:
        if not syslog.log(text.removeprefix("lazaretto: "), level):
            to_stderr(text)

    return send
