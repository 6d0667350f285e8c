"""Lazaretto as a mail filter of Sendmail: the lines of sendmail.mc, the equal ones of sendmail.cf, of lazaretto.toml, and why.

    lines(places)  ->  Lines     mc_text, cf_text, ours_text  ->  str

A macro definition extends what stands before it, so that what other filters need stays. Nothing here looks at files: see
setup_sendmail.py and sendmail_config.py.

Errors:  ValueError for an address or expression that does not fit.
See:     docs/sendmail.md (made from this); cf/README of Sendmail; Sendmail Installation and Operation Guide s5.12, s5.14
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lazaretto.cli import milter_address
from lazaretto.cli.postfix import CLIENT_S, SCAN_S, comment
from lazaretto.cli.postfix_milter import SCAN_ONLY

NAME = "lazaretto"
LISTEN = "127.0.0.1:12200"

# Who waits for whom. E counts from the end of the message to the last answer; signs of progress do not start it anew, only R.
CONNECT_S = 30
WRITE_S = 30
READ_S = 120  # longer than SCAN_S, so that nothing depends on signs of progress
END_S = 480  # longer than SCAN_S, shorter than CLIENT_S
TIMEOUTS = {"C": CONNECT_S, "S": WRITE_S, "R": READ_S, "E": END_S}
USUAL = {"C": 300, "S": 10, "R": 10, "E": 300}  # without T=

FLAG = "T"

# Of Milter.macros.STAGE: what Sendmail 8.17 sends if its m4 files have made the configuration, and what Lazaretto makes use of.
MACROS: dict[str, tuple[str, ...]] = {
    "connect": ("j", "_", "{daemon_name}", "{if_name}", "{if_addr}"),
    "envfrom": ("i", "{auth_type}", "{auth_authen}", "{auth_ssf}", "{auth_author}", "{mail_mailer}", "{mail_host}", "{mail_addr}"),
    "envrcpt": ("{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"),
}
NEEDED: dict[str, tuple[str, ...]] = {
    "connect": ("{daemon_name}", "{client_addr}", "v"),
    "envfrom": ("i", "{auth_type}", "{auth_authen}", "{mail_addr}"),
    "envrcpt": ("{rcpt_addr}",),
}
MAX_MACROS = 50  # MAXFILTERMACROS: Sendmail refuses longer lists

_WHY = {
    "connect": "Which daemon it was (MTA or MSA), who the client is, which Sendmail: for rules and the log.",
    "envfrom": f"Recipients whose mail is scanned ({SCAN_ONLY} below).",
    "envrcpt": "The recipient as it was resolved.",
}
_FILTER_WHY = (
    "F=T: while Lazaretto does not answer, mail is refused for the time being; without F=, Sendmail would take it unscanned. "
    f"T=: E, from the end of the message to the last answer, is longer than the {SCAN_S} s that a scan may take and shorter than the "
    f"{CLIENT_S} s that clients wait; R and S, for one answer and one write, are 10 s otherwise."
)
_ONLY_WHY = "Only mail to these recipients is scanned: regular expressions, separated by colons; all other mail passes unscanned."


class Lines(NamedTuple):
    """What is to be there."""

    where: milter_address.Address
    scan_only: str = ""

    @property
    def equates(self) -> str:
        """What describes the filter, in both files."""
        return f"S={self.where.sendmail}, F={FLAG}, T={';'.join(f'{key}:{_time(value)}' for key, value in TIMEOUTS.items())}"

    @property
    def macros(self) -> dict[str, tuple[str, ...]]:
        """What Lazaretto makes use of, by stage."""
        told = {"envfrom": (*NEEDED["envfrom"], SCAN_ONLY)} if self.scan_only else {}
        return {**NEEDED, **told}


def lines(listen: str = "", scan_only: str = "") -> Lines:
    """The lines for a filter that listens there."""
    where = milter_address.read(listen or LISTEN)
    if where.path and not where.path.startswith("/"):
        raise ValueError("expected the whole path of the socket, unix:/PATH")
    if any(character in scan_only for character in "\n`'"):
        raise ValueError("m4 can hand on no expression with ` or ': expected none of them, or rules of the policy instead")
    return Lines(where, scan_only)


def missing(wanted: Lines, there: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Macros that have to be added to what `there` sends, by stage."""
    lacking = {stage: [name for name in names if name not in there.get(stage, MACROS[stage])] for stage, names in wanted.macros.items()}
    return {stage: names for stage, names in lacking.items() if names}


def mc_text(wanted: Lines, others: Sequence[str] = (), there: Mapping[str, Sequence[str]] = MACROS) -> str:
    """The lines of sendmail.mc, in addition to a list of filters and macros that are there.

    They belong behind all that others define; a section such as LOCAL_CONFIG does not matter to them.
    """
    word = "MAIL_FILTER" if NAME in others else "INPUT_MAIL_FILTER"  # which adds to the list, even if it is there
    made = [*_dnl(_FILTER_WHY), f"{word}(`{NAME}', `{wanted.equates}')dnl"]
    for stage, names in missing(wanted, there).items():
        name = f"confMILTER_MACROS_{stage.upper()}"
        made += [*_dnl(_WHY[stage]), f"define(`{name}', defn(`{name}')`, {', '.join(names)}')dnl"]
    if wanted.scan_only:
        made += [*_dnl(_ONLY_WHY), "LOCAL_CONFIG", f"D{SCAN_ONLY}{_literal(wanted.scan_only)}"]
    return "".join(f"{line}\n" for line in made)


def cf_text(wanted: Lines, others: Sequence[str] = (), there: Mapping[str, Sequence[str]] = MACROS) -> str:
    """The lines of sendmail.cf, in addition to a list of filters and macros that are there."""
    made = [*comment(_FILTER_WHY), f"X{NAME}, {wanted.equates}"]
    made += [*comment("All filters, in the order in which they are asked: those that are there, Lazaretto, and then one that signs.")]
    made += [f"O InputMailFilters={', '.join([*others, *[NAME] * (NAME not in others)])}"]
    for stage, names in missing(wanted, there).items():
        made += [*comment(_WHY[stage]), f"O Milter.macros.{stage}={', '.join([*there.get(stage, MACROS[stage]), *names])}"]
    if wanted.scan_only:
        made += [*comment(_ONLY_WHY), f"D{SCAN_ONLY}{_literal(wanted.scan_only)}"]
    return "".join(f"{line}\n" for line in made)


def ours_text(wanted: Lines) -> str:
    """The lines of lazaretto.toml."""
    return f'[milter]\nlisten = ["{wanted.where.ours}"]\n'


def text(wanted: Lines, configuration: str = "/etc/lazaretto/lazaretto.toml") -> str:
    """Everything, ready to be read and pasted."""
    return (
        f"# /etc/mail/sendmail.mc, at its end\n\n{mc_text(wanted)}\n"
        f"# or, where there is no sendmail.mc: /etc/mail/sendmail.cf, at its end\n\n{cf_text(wanted)}\n"
        f"# {configuration}\n\n{ours_text(wanted)}"
    )


def _literal(value: str) -> str:
    """For a D line, where $ begins a macro."""
    return value.replace("$", "$$")


def _time(seconds: int) -> str:
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _dnl(why: str) -> list[str]:
    return [f"dnl {line}" for line in comment(why)]
