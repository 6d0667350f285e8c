"""`lazaretto client`: the thin client, started like every other command.

A recipe that runs once for each message should name `lazaretto-client` instead: the same
program without what Python loads at a usual start.

See:  frontends/thin.py, docs/protocols/scan-server.md
"""

from __future__ import annotations

from lazaretto.frontends import thin


def run(args: list[str]) -> int:
    """The command line after `client`; the exit status."""
    return thin.main(args)
