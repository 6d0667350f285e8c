"""`lazaretto proxy`: listen for SMTP, pass it on to another server, with each message made safe.

    lazaretto proxy --listen 127.0.0.1:10025 --next-hop 127.0.0.1:10026

No configuration is needed; where there is one, it counts, and the command line above it.

Exit status: 0 stopped by TERM or INT; 1 it could not start; 64 wrong command line; 78 the configuration is wrong.
See:  cli/launch.py, cli/spawn.py, frontends/smtp_proxy.py, docs/processes.md
"""

from __future__ import annotations

from lazaretto.cli import launch, setup
from lazaretto.policy.keys import toml


def run(args: list[str]) -> int:
    """The command line after `proxy`; the exit status."""
    if "--spawn" in args and not {"-h", "--help"} & {*args}:
        from lazaretto.cli import spawn

        return spawn.run([arg for arg in args if arg != "--spawn"])
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto proxy",
        formatter_class=setup.formatter,
        description="Listen for SMTP and pass it on, with each message made safe, until stopped by SIGTERM. SIGHUP reads the configuration "
        "again. A message is acknowledged when the next hop has taken it.",
        epilog="Exit status: 0 stopped; 1 it could not start; 78 the configuration is wrong.",
    )
    setup.add_options(parser)
    parser.add_argument(
        "--listen", metavar="ADDRESS", action="append", default=[],
        help="HOST:PORT, [IPv6]:PORT or unix:PATH, repeatable (default: [smtp] listen)",
    )  # fmt: skip
    parser.add_argument("--next-hop", metavar="ADDRESS", help="where mail goes on (default: [smtp] next_hop, 127.0.0.1:10026)")
    parser.add_argument("--lmtp", action="store_true", help="speak LMTP, on both sides unless [smtp] next_hop_protocol says otherwise")
    parser.add_argument("--spawn", action="store_true", help="serve one client, on standard input and output: for Postfix' spawn(8)")
    launch.add_options(parser)
    options = parser.parse_args(args)

    lines = []
    if options.listen:
        lines.append(f"smtp.listen = {toml(options.listen)}")
    if options.next_hop:
        lines.append(f"smtp.next_hop = {toml(options.next_hop)}")
    if options.lmtp:
        lines.append('smtp.protocol = "lmtp"')
    launch.make_absolute(options)
    return launch.start(lambda: launch.load(options, lines), {"smtp"}, options.pid_file or None, daemon=options.daemon)
