"""`lazaretto check-config`: is the configuration right, and what does it say?

Exit status: 0, or 78 with file, line, and what was expected.
See:  docs/policy.md
"""

from __future__ import annotations

import sys

from lazaretto.cli import setup
from lazaretto.errors import EX_OK
from lazaretto.policy.listing import describe


def run(args: list[str]) -> int:
    """The command line after `check-config`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="lazaretto check-config", description="Check the configuration and show every setting with its origin."
    )
    setup.add_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="only say whether it is right")
    options = parser.parse_args(args)
    config = setup.config(options)
    setup.scanner(options).close()  # builds every engine: their options are checked too
    if not options.quiet:
        sys.stdout.write(describe(config).rstrip("\n") + "\n")
    files = [name for name, _ in setup.read_config(setup.config_path(options.config))]
    sys.stdout.write(f"configuration is right: {', '.join(files) or 'no file, built-in defaults'}\n")
    return EX_OK
