"""`lazaretto engines`: which engines are configured, reachable, and how old their signatures are.

Exit status: 0 all answer, 75 one that must answer does not.
See:  docs/engines.md
"""

from __future__ import annotations

import sys

from lazaretto.cli import setup
from lazaretto.errors import EX_OK, EX_TEMPFAIL


def run(args: list[str]) -> int:
    """The command line after `engines`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="lazaretto engines", description="Show the engines: reachable, version, date of the signatures."
    )
    setup.add_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object an engine, a line each")
    parser.add_argument("--timeout-s", type=float, default=5.0, metavar="SECONDS", help="how long to wait for each (default: 5)")
    options = parser.parse_args(args)
    scanner = setup.scanner(options)
    missing = False
    try:
        for engine in scanner.engines:
            info = engine.info(options.timeout_s)
            missing = missing or (engine.required and not info.reachable)
            if options.json:
                import json

                entry = {"name": engine.name, "required": engine.required, **info._asdict()}
                sys.stdout.write(json.dumps(entry) + "\n")
                continue
            state = "answers" if info.reachable else "DOES NOT ANSWER" + ("" if engine.required else " (need not)")
            facts = ", ".join(
                fact for fact in (info.version, f"signatures {info.signatures}" if info.signatures else "", info.detail) if fact
            )
            sys.stdout.write(f"{engine.name}: {state}{', ' + facts if facts else ''}\n")
    finally:
        scanner.close()
    return EX_TEMPFAIL if missing else EX_OK
