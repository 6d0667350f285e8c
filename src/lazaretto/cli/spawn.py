"""`lazaretto proxy --spawn`: one SMTP session on standard input and output, as Postfix' spawn(8) starts it.

    127.0.0.1:10025 inet n n n - 10 spawn
        user=lazaretto argv=/usr/local/bin/lazaretto proxy --spawn --next-hop 127.0.0.1:10026

All that the client hears is SMTP: where nothing can be started, it is 421, and the reason is in the log. Standard
error is the client, too, there; so without [log] syslog, lines go to /dev/log.

Exit status: 0 the client has gone or been sent away; 75 nothing could be started.
See:  frontends/spawn.py, cli/postfix.py; spawn(8)
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from lazaretto.cli import setup
from lazaretto.errors import ConfigError
from lazaretto.policy.keys import toml
from lazaretto.scan.report import line
from lazaretto.wire.syslog import DEVICE

if TYPE_CHECKING:
    from lazaretto.frontends.spawn import Standard

LOG_ERR = 3
_MAIL = 2  # syslog's facility


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """There is nobody to read a usage."""
        raise ConfigError(f"command line: {message}")


def run(args: list[str]) -> int:
    """The command line after `proxy`, without --spawn; the exit status."""
    from lazaretto.frontends.spawn import Standard

    standard = Standard()  # from here on, nothing that is said by accident reaches the client
    try:
        from lazaretto.cli import launch
        from lazaretto.frontends.smtp_settings import SmtpSettings

        options, lines = _parse(args)
        loaded = launch.load(options, lines)
        if standard.hushed and not loaded.config.settings["log.syslog"]:
            lines.append(f'log.syslog = "{DEVICE}"')
            loaded = launch.load(options, lines)
        config = loaded.config
        settings = SmtpSettings.of(config.settings, config.limits, config.spool_directory)
        scanner = loaded.scanner()
    except ConfigError as error:
        return refuse(standard, "configuration", str(error))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, the message stays with its owner
        return refuse(standard, "system", f"cannot start: {type(error).__name__}: {error}")
    try:
        return standard.serve(scanner, settings, loaded.log)
    finally:
        scanner.close()


def _parse(args: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options, and what they say as lines of configuration.  ConfigError for what is wrong with them."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    setup.add_options(parser)
    parser.add_argument("--next-hop", default="")
    parser.add_argument("--lmtp", action="store_true")
    options = parser.parse_args(args)
    lines = []
    if options.next_hop:
        lines.append(f"smtp.next_hop = {toml(options.next_hop)}")
    if options.lmtp:
        lines.append('smtp.protocol = "lmtp"')
    return options, lines


def refuse(standard: Standard, rule: str, error: str, ident: str = "lazaretto") -> int:
    """421 to the client, and the reason to syslog, as `ident`, or to a standard error that is not the client's; the exit status."""
    status = standard.refuse()
    text = line({"outcome": "deferred", "rule": rule, "error": error})
    if standard.hushed:
        from lazaretto.frontends.syslog import Syslog

        Syslog(DEVICE, ident, _MAIL, LOG_ERR).log(text.removeprefix("lazaretto: "), LOG_ERR)
    else:
        setup.to_stderr(text)
    return status
