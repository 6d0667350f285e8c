"""`lazaretto filter`: standard input to standard output, for procmail, maildrop, Sieve and shell pipes.

See:  frontends/stdio.py for what the exit status promises; README.md for recipes
"""

from __future__ import annotations

from lazaretto.cli import setup
from lazaretto.errors import EX_CONFIG, EX_TEMPFAIL, ConfigError
from lazaretto.frontends import stdio
from lazaretto.frontends.stdio import LOG_ERR
from lazaretto.model import Envelope
from lazaretto.scan.report import failure_line, line


def run(args: list[str]) -> int:
    """The command line after `filter`; the exit status."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> None:  # type: ignore[override]
            # A typing error in a recipe must neither bounce nor lose mail: temporary failure.
            setup.to_stderr(line({"outcome": "deferred", "rule": "command-line", "error": message}), LOG_ERR)
            self.exit(EX_TEMPFAIL)

    parser = Parser(
        allow_abbrev=False,
        prog="lazaretto filter",
        formatter_class=setup.formatter,
        description="Read a message on standard input and write a safe one on standard output.",
        epilog="Exit status: 0 use the output; 75 keep the original, try again later; 69 refused and 99 discarded by a rule "
        "(no output); 78 the configuration is wrong.",
    )
    setup.add_options(parser)
    parser.add_argument("-f", "--sender", metavar="ADDRESS", help="envelope sender, for rules and the log")
    parser.add_argument("-r", "--recipient", metavar="ADDRESS", action="append", default=[], help="envelope recipient, repeatable")
    parser.add_argument("--client", metavar="ADDRESS", default="", help="address of the client that sent the message")
    parser.add_argument("--queue-id", metavar="ID", default="", help="the mail system's name for the message, for the log")
    options = parser.parse_args(args)

    try:
        config = setup.config(options)
        log = setup.log(config)
        scanner = setup.scanner(options, config)
    except ConfigError as error:
        setup.to_stderr(line({"outcome": "deferred", "rule": "configuration", "error": str(error)}), LOG_ERR)
        return EX_CONFIG
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, the message stays with its owner
        setup.to_stderr(failure_line(f"cannot start: {type(error).__name__}: {error}"), LOG_ERR)
        return EX_TEMPFAIL
    sender = options.sender.strip("<>").encode("utf-8", "surrogateescape") if options.sender is not None else None
    recipients = tuple(address.encode("utf-8", "surrogateescape") for address in options.recipient)
    try:
        return stdio.run(scanner, Envelope(sender, recipients, options.client, queue_id=options.queue_id), log)
    finally:
        scanner.close()
