"""`lazaretto setup sendmail`: prints the lines that make Lazaretto a mail filter of Sendmail, writes them, or checks those there.

Without --apply nothing is touched. With it, our lines stand at the end of the file, between two marked ones; the old file is kept
beside it with the date in its name. What others have defined is not changed: their filters are asked as before, in their order, and
Lazaretto after them.

Exit status: 0 done, or nothing to do; 1 something is in the way and nothing was changed, or --check has found something; 64 wrong
command line.
See:  sendmail.py, the lines; sendmail_config.py; docs/sendmail.md
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lazaretto import regex
from lazaretto.cli import milter_audit, sendmail
from lazaretto.cli.postfix_audit import FAIL, OK
from lazaretto.cli.sendmail_config import Filters, read_cf, read_mc
from lazaretto.cli.setup_postfix import InTheWayError, diff, put, read
from lazaretto.errors import EX_OK, EX_USAGE, LazarettoError

if TYPE_CHECKING:
    import argparse

EX_FAILED = 1
MC, CF = "/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf"

BEGIN = "BEGIN lazaretto: what follows is replaced by `lazaretto setup sendmail`"
END = "END lazaretto"
# From the last beginning before an end: if somebody has taken out an end, what he has written since stays.
_BLOCK = regex.compile(r"(?ms)^(?:dnl )?# BEGIN lazaretto\b(?:(?!^(?:dnl )?# BEGIN lazaretto\b).)*?^(?:dnl )?# END lazaretto$\n?")
_MC_WORDS = ("OSTYPE(", "INPUT_MAIL_FILTER(", "MAILER(", "VERSIONID(", "FEATURE(", "divert(", "define(", "dnl")


def run(args: list[str]) -> int:
    """The command line after `setup sendmail`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto setup sendmail",
        description="Print the lines of sendmail.mc, sendmail.cf and lazaretto.toml that make Lazaretto a mail filter of Sendmail; "
        "write the first or the second, or say what is wrong with those that are there.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--apply", action="store_true", help="change the file; the old one is kept")
    what.add_argument("--diff", action="store_true", help="show what --apply would change")
    what.add_argument("--remove", action="store_true", help="take back what --apply has changed")
    what.add_argument("--check", action="store_true", help="say what is missing or wrong in the file")
    parser.add_argument("--file", metavar="PATH", default="", help=f"sendmail.mc or sendmail.cf (default: {MC} if there is one, else {CF})")
    parser.add_argument("--listen", metavar="ADDRESS", default="", help=f"where Lazaretto listens (default: {sendmail.LISTEN})")
    parser.add_argument("--scan-only", metavar="EXPR[:EXPR]", default="", help="scan only mail to recipients that match (default: all)")
    options = parser.parse_args(args)
    try:
        wanted = sendmail.lines(options.listen, options.scan_only)
    except ValueError as error:
        sys.stderr.write(f"lazaretto setup sendmail: {error}\n")
        return EX_USAGE
    if not (options.apply or options.diff or options.remove or options.check):
        sys.stdout.write(sendmail.text(wanted))
        return EX_OK
    path = options.file or (MC if os.path.exists(MC) else CF)
    try:
        before = read(path)
        if options.check:
            return _check(path, before, wanted)
        return _change(path, before, wanted, options)
    except OSError as error:
        sys.stderr.write(f"lazaretto setup sendmail: {error.filename or path}: {error.strerror}\n")
    except LazarettoError as error:
        sys.stderr.write(f"lazaretto setup sendmail: {path}: {error}\nNothing was changed.\n")
    return EX_FAILED


def is_mc(path: str, text: str) -> bool:
    """Is it input of m4?  By its name, else by what stands in it."""
    if path.endswith((".mc", ".m4", ".cf")):
        return not path.endswith(".cf")
    return any(line.startswith(_MC_WORDS) for line in text.splitlines())


def prepare(path: str, before: str, wanted: sendmail.Lines | None) -> str:
    """What the file would become; without `wanted`, as it is without our lines.  InTheWayError."""
    rest = _BLOCK.sub("", before)
    mc = is_mc(path, before)
    filters = read_mc(rest) if mc else read_cf(rest)
    if wanted is None:
        return rest
    if sendmail.NAME in filters.filters:
        raise InTheWayError(f"there is a filter {sendmail.NAME} of somebody else; if that can go, take it out first")
    if one := milter_audit.filter_of_sendmail(filters, [wanted.where]):
        raise InTheWayError(f"there is a filter {one.name} that leads to {one.socket}; if that can go, take it out first")
    comment = "dnl # " if mc else "# "
    return f"{rest.rstrip(chr(10))}\n{comment}{BEGIN}\n{_lines(filters, wanted, mc=mc)}{comment}{END}\n"


def _lines(filters: Filters, wanted: sendmail.Lines, *, mc: bool) -> str:
    """Ours, in addition to what is there."""
    if mc:
        return sendmail.mc_text(wanted, filters.order, filters.macros)
    return sendmail.cf_text(wanted, filters.order, {**dict.fromkeys(sendmail.MACROS, ()), **filters.macros})


def _change(path: str, before: str, wanted: sendmail.Lines, options: argparse.Namespace) -> int:
    after = prepare(path, before, None if options.remove else wanted)
    sys.stdout.writelines(diff(before, after, path))
    if before == after:
        sys.stdout.write(f"Nothing to do: {path} is as it should be.\n")
    elif not options.diff:
        kept = put(path, after)
        sys.stdout.write(f"# written: {path}; the old one is {kept}\n")
    if not options.remove:
        sys.stdout.write(f"\n# now, in /etc/lazaretto/lazaretto.toml:\n\n{sendmail.ours_text(wanted)}")
    if before != after and not options.diff:
        made = "make sendmail.cf from it (`make -C /etc/mail`, or m4), " if is_mc(path, before) else ""
        sys.stdout.write(f"\n# then: start Lazaretto, {made}restart Sendmail, `lazaretto doctor`\n")
        if not made and not options.remove:
            sys.stdout.write("# Who makes sendmail.cf anew from a sendmail.mc loses these lines: let them stand there, too.\n")
    return EX_OK


def _check(path: str, text: str, wanted: sendmail.Lines) -> int:
    """What the doctor says, without asking anybody."""
    filters: Filters = read_mc(text) if is_mc(path, text) else read_cf(text)
    worst = EX_OK
    for check in milter_audit.of_sendmail(filters, [wanted.where]):
        worst = max(worst, EX_OK if check.level == OK else EX_FAILED)
        sys.stdout.write(f"{check.level:4}  {check.about}: {check.text}\n" + f"      -> {check.advice}\n" * bool(check.advice))
        if check.level == FAIL and check.about == "milter" and check.text.startswith("no mail comes"):
            sys.stdout.write(f"\n# missing in {path}:\n\n{_lines(filters, wanted, mc=is_mc(path, text))}")
    return worst
