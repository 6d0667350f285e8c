"""`lazaretto serve`: what the configuration has for others: the scan server of [server], the SMTP proxy of [smtp], the milter of [milter].

With [server] alone, this process is the scan server. If there is more to do, in [smtp], [milter], [metrics] or [process] user,
or if sockets were bound for us, a supervisor does it.

Exit status: 0 stopped by TERM or INT; 1 it could not start; 64 wrong command line; 78 the configuration is wrong.
See:  frontends/server.py, docs/protocols/scan-server.md; cli/launch.py, docs/processes.md
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from lazaretto.cli import launch, setup
from lazaretto.cli.launch import EX_FAILED
from lazaretto.errors import EX_CONFIG, ConfigError, LazarettoError
from lazaretto.policy.keys import toml

if TYPE_CHECKING:
    from lazaretto.frontends.daemon import Tell
    from lazaretto.frontends.server import Served, Settings
    from lazaretto.policy.config import Config


def run(args: list[str]) -> int:
    """The command line after `serve`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto serve",
        formatter_class=setup.formatter,
        description="Serve what the configuration says, until stopped by SIGTERM: scan for clients that name files or send messages "
        "([server]), pass SMTP on to another server ([smtp], if it has addresses), be a milter ([milter], if it has addresses). "
        "SIGHUP reads the configuration again.",
        epilog="Exit status: 0 stopped; 1 it could not start; 78 the configuration is wrong.",
    )
    setup.add_options(parser)
    parser.add_argument(
        "--listen", metavar="ADDRESS", action="append", default=[],
        help="HOST:PORT, [IPv6]:PORT or unix:PATH, repeatable (default: [server] listen)",
    )  # fmt: skip
    launch.add_options(parser)
    options = parser.parse_args(args)

    from lazaretto.frontends.server import Served, Settings

    def make() -> Served:
        config = setup.config(options)
        return Served(setup.scanner(options, config), setup.log(config))

    config = setup.config(options)
    services = _services(config, options.listen)
    if services:
        lines = [f"server.listen = {toml(options.listen)}"] if options.listen else []
        launch.make_absolute(options)
        return launch.start(lambda: launch.load(options, lines), services, options.pid_file or None, daemon=options.daemon)
    settings = Settings.of(config.settings)
    settings = settings._replace(
        listen=tuple(options.listen) or settings.listen,
        pid_files=tuple(map(os.path.abspath, options.pid_file)) or settings.pid_files,
    )
    if options.daemon and not config.settings["log.syslog"]:
        raise ConfigError('log.syslog: expected a place such as "/dev/log": in the background there is no standard error')
    launch.make_absolute(options)
    return start(make, settings, daemon=options.daemon)


def _services(config: Config, listen: list[str]) -> set[str]:
    """What a supervisor is to serve; nothing, if it takes none."""
    from lazaretto.frontends.notify import names

    given = names(os.environ)
    listening = {"smtp": config.settings["smtp.listen"], "milter": config.settings["milter.listen"]}
    services = {name for name, addresses in listening.items() if addresses or name in given}
    if services or given or config.settings["metrics.listen"] or config.settings["process.user"] or config.settings["process.group"]:
        return services | ({"server"} if listen or config.settings["server.listen"] or "server" in given else set())
    return set()


def start(make: Callable[[], Served], settings: Settings, *, daemon: bool) -> int:
    """Serve, in the background if `daemon`; the exit status.  What prevents the start is told on standard error."""
    from lazaretto.frontends import failure, server
    from lazaretto.frontends.daemon import detach

    tell: Tell = launch.complain
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
