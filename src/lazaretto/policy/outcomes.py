"""What each disposition means to those who wait for our answer: one table.

Postfix' pipe(8) and procmail bounce on EX_UNAVAILABLE; qmail-command(8) takes 99
as "done, deliver no further".  A filter that discards or refuses writes nothing.

See:  sysexits.h; RFC 5321 s4.2.2; RFC 3463 s3.8 (X.7.1: refused by policy); docs/policy.md
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto.errors import EX_OK, EX_TEMPFAIL
from lazaretto.model import Disposition, Verdict

EX_UNAVAILABLE = 69
EX_DISCARD = 99

MAX_TEXT = 200  # of a reply line, which has room for 512 octets (RFC 5321 s4.5.3.1.5)


class Outcome(NamedTuple):
    """`text` is what a stranger is told when no rule says something else; it names nothing that was found."""

    exit_status: int
    smtp_code: int
    enhanced: str
    text: str


OUTCOMES: dict[Disposition, Outcome] = {
    Disposition.ACCEPT: Outcome(EX_OK, 250, "2.0.0", "Ok"),
    Disposition.DISCARD: Outcome(EX_DISCARD, 250, "2.0.0", "Ok"),
    Disposition.TEMPFAIL: Outcome(EX_TEMPFAIL, 451, "4.7.1", "Message could not be checked, try again later"),
    Disposition.REJECT: Outcome(EX_UNAVAILABLE, 554, "5.7.1", "Message refused by content policy"),
}


def reply(verdict: Verdict) -> str:
    """The text of a reply: the rule's own, made fit for one line of SMTP, or the table's."""
    outcome = OUTCOMES[verdict.disposition]
    own = verdict.text if verdict.disposition in (Disposition.TEMPFAIL, Disposition.REJECT) else ""
    return printable(own)[:MAX_TEXT] or outcome.text


def printable(text: str) -> str:
    """`text` with a "?" for all that is not printable ASCII: no line ends, no control characters."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)
