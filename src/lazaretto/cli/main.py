"""The `lazaretto` command: picks the sub-command, then loads it.

The sub-command is known before any parser is built, so that `lazaretto filter`
imports nothing that only others need.

Errors:  ConfigError ends with exit 78 and one line on standard error; a wrong
         command line with 64 (EX_USAGE), but 75 for the filter: a typing error
         in a recipe must not make the caller bounce or lose the message.
See:     README.md, docs/flow.md; sysexits.h
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import NamedTuple

from lazaretto.errors import EX_CONFIG, EX_OK, EX_USAGE, ConfigError

EX_IOERR = 74


class Command(NamedTuple):
    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    "filter": Command("lazaretto.cli.filter", "read a message on standard input, write a safe one on standard output"),
    "client": Command("lazaretto.cli.client", "have the server filter a message from standard input: what a recipe needs, at little cost"),
    "serve": Command("lazaretto.cli.serve", "scan for others: answer requests on TCP and UNIX sockets"),
    "scan": Command("lazaretto.cli.scan", "scan messages, mailboxes, directories and plain files"),
    "explain": Command("lazaretto.cli.explain", "show how a message is read, what was found, and why it was changed"),
    "check-config": Command("lazaretto.cli.check_config", "check the configuration and show every setting with its origin"),
    "proxy": Command("lazaretto.cli.proxy", "stand in the SMTP path between two mail systems, without any configuration"),
    "milter": Command("lazaretto.cli.milter", "scan for Sendmail or Postfix through the milter protocol, without any configuration"),
    "setup": Command("lazaretto.cli.setup_command", "wire Lazaretto into a mail system: print its lines, or write them"),
    "doctor": Command("lazaretto.cli.doctor", "check engines, directories, the wiring into Postfix or Sendmail, and the way of a message"),
    "migrate": Command("lazaretto.cli.migrate", "write the configuration that an f-prot.conf stands for"),
    "engines": Command("lazaretto.cli.engines", "show which engines are configured, reachable, and how old their signatures are"),
}


def version() -> str:
    """The installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("lazaretto")
    except PackageNotFoundError:
        return "unknown (not installed)"


def usage() -> str:
    """The text of `lazaretto --help`."""
    width = max(map(len, COMMANDS))
    lines = [
        "usage: lazaretto COMMAND [OPTION ...]",
        "",
        "Scans e-mail and makes it safe.",
        "",
        "commands:",
        *(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()),
        "",
        "options:",
        "  -h, --help     this text; after a command, the command's own options",
        "  -V, --version  the version",
        "",
        "Exit status of `filter`: 0 use the output, 75 keep the original and try again later, 78 the configuration is wrong.",
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (default: sys.argv); the exit status."""
    args = sys.argv[1:] if argv is None else argv
    if not args:
        sys.stderr.write(usage() + "\n")
        return EX_USAGE
    name = args[0]
    if name in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
        return EX_OK
    if name in ("-V", "--version"):
        sys.stdout.write(f"lazaretto {version()}\n")
        return EX_OK
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, 1)
        hint = f"; did you mean '{near[0]}'?" if near else "; 'lazaretto --help' lists the commands"
        sys.stderr.write(f"lazaretto: unknown command '{name}'{hint}\n")
        return EX_USAGE
    from importlib import import_module

    # Where it is ignored, and a careless caller hands that on, the status of an engine's program is lost and reads as 0.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names in mail know more characters than many a terminal
    try:
        status = int(import_module(COMMANDS[name].module).run(args[1:]))
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if argv is None and name == "filter":
            os._exit(status)  # the process is ours, and the interpreter would take it down object by object
        return status
    except ConfigError as error:
        sys.stderr.write(f"lazaretto {name}: configuration: {error}\n")
        return EX_CONFIG
    except SystemExit as ended:
        return EX_USAGE if ended.code == 2 else int(ended.code or 0)  # argparse says 2 for a wrong command line
    except OSError as error:  # of standard output, all others are caught where they arise
        if not isinstance(error, BrokenPipeError):  # lazaretto scan ... | head
            sys.stderr.write(f"lazaretto {name}: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the interpreter's last flush
        return EX_IOERR
    except KeyboardInterrupt:
        return 130  # what a shell says of a command ended by SIGINT
