"""`lazaretto milter`: scan for Sendmail or Postfix through the milter protocol.

    lazaretto milter --listen 127.0.0.1:12200
    lazaretto milter --listen inet:12200@127.0.0.1 --listen unix:/run/lazaretto/milter.sock

No configuration is needed; where there is one, it counts, and the command line above it.

Exit status: 0 stopped by TERM or INT; 1 it could not start; 64 wrong command line; 78 the configuration is wrong.
See:  cli/launch.py, frontends/milter_service.py, docs/processes.md, docs/protocols/milter.md
"""

from __future__ import annotations

from lazaretto.cli import launch, setup
from lazaretto.policy.keys import toml


def run(args: list[str]) -> int:
    """The command line after `milter`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto milter",
        formatter_class=setup.formatter,
        description="Scan messages for Sendmail or Postfix through the milter protocol, until stopped by SIGTERM. SIGHUP reads the "
        "configuration again. Whatever goes wrong here, the mail server is told to try again later.",
        epilog="Exit status: 0 stopped; 1 it could not start; 78 the configuration is wrong.",
    )
    setup.add_options(parser)
    parser.add_argument(
        "--listen", metavar="ADDRESS", action="append", default=[],
        help="HOST:PORT, [IPv6]:PORT, unix:PATH, or as libmilter has it: inet:PORT@HOST, inet6:PORT@HOST, local:PATH; repeatable "
        "(default: [milter] listen)",
    )  # fmt: skip
    launch.add_options(parser)
    options = parser.parse_args(args)

    lines = [f"milter.listen = {toml(options.listen)}"] if options.listen else []
    launch.make_absolute(options)
    return launch.start(lambda: launch.load(options, lines), {"milter"}, options.pid_file or None, daemon=options.daemon)
