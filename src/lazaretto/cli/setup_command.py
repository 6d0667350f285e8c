"""`lazaretto setup`: wires Lazaretto into a mail system.

See:  docs/postfix.md, docs/sendmail.md
"""

from __future__ import annotations

import sys
from importlib import import_module

from lazaretto.errors import EX_OK, EX_USAGE

TARGETS = {"postfix": "lazaretto.cli.setup_postfix", "sendmail": "lazaretto.cli.setup_sendmail"}

_USAGE = f"usage: lazaretto setup {{{','.join(TARGETS)}}} ...\n"


def run(args: list[str]) -> int:
    """The command line after `setup`; the exit status."""
    if args and args[0] in TARGETS:
        return int(import_module(TARGETS[args[0]]).run(args[1:]))
    if args and args[0] in ("-h", "--help"):
        sys.stdout.write(_USAGE)
        return EX_OK
    wanted = f"lazaretto setup: expected one of {', '.join(TARGETS)}" + (f", not {args[0]!r}" if args else "")
    sys.stderr.write(f"{wanted}\n{_USAGE}")
    return EX_USAGE
