"""`lazaretto serve`: scan for clients, as the [server] part of the configuration says.

Exit status: 0 stopped by TERM or INT; 1 it could not start; 64 wrong command line; 78 the configuration is wrong.
See:  frontends/server.py, docs/protocols/scan-server.md
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from lazaretto.cli import setup
from lazaretto.errors import EX_CONFIG, ConfigError, LazarettoError

if TYPE_CHECKING:
    from lazaretto.frontends.daemon import Tell
    from lazaretto.frontends.server import Served, Settings

EX_FAILED = 1


def run(args: list[str]) -> int:
    """The command line after `serve`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto serve",
        formatter_class=setup.formatter,
        description="Scan for clients that name files or send messages, until stopped by SIGTERM. SIGHUP reads the configuration again.",
        epilog="Exit status: 0 stopped; 1 it could not start; 78 the configuration is wrong.",
    )
    setup.add_options(parser)
    parser.add_argument(
        "--listen", metavar="ADDRESS", action="append", default=[],
        help="HOST:PORT, [IPv6]:PORT or unix:PATH, repeatable (default: [server] listen)",
    )  # fmt: skip
    parser.add_argument("--pid-file", metavar="FILE", action="append", default=[], help="repeatable (default: [server] pid_files)")
    parser.add_argument("--daemon", action="store_true", help="go into the background, once everything is ready")
    options = parser.parse_args(args)

    from lazaretto.frontends.server import Served, Settings

    def make() -> Served:
        config = setup.config(options)
        return Served(setup.scanner(options, config), setup.log(config))

    config = setup.config(options)
    settings = Settings.of(config.settings)
    settings = settings._replace(
        listen=tuple(options.listen) or settings.listen,
        pid_files=tuple(map(os.path.abspath, options.pid_file)) or settings.pid_files,
    )
    if options.daemon and not config.settings["log.syslog"]:
        raise ConfigError('log.syslog: expected a place such as "/dev/log": in the background there is no standard error')
    if options.daemon:
        named = options.config or os.environ.get("LAZARETTO_CONFIG")  # the daemon leaves this directory
        options.config = os.path.abspath(named) if named else None
        options.state_dir = os.path.abspath(options.state_dir) if options.state_dir else None
    return start(make, settings, daemon=options.daemon)


def start(make: Callable[[], Served], settings: Settings, *, daemon: bool) -> int:
    """Serve, in the background if `daemon`; the exit status.  What prevents the start is told on standard error."""
    from lazaretto.frontends import failure, server
    from lazaretto.frontends.daemon import detach

    tell: Tell = _complain
    if daemon:
        tell = detach()
    try:
        return server.serve(make, settings, lambda: tell(""))
    except ConfigError as error:
        tell(f"configuration: {error}", EX_CONFIG)
        return EX_CONFIG
    except (OSError, LazarettoError) as error:
        tell(failure.reason(error))
        return EX_FAILED


def _complain(problem: str, status: int = EX_FAILED) -> None:
    if problem and status:
        setup.to_stderr(f"lazaretto: {problem}")
