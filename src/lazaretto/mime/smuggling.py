"""A second message hidden behind a false end of data.

Some servers take a dot between bare CRs or LFs for the end of DATA.  What
follows is then SMTP: MAIL FROM, and a message that no scanner has seen.  Mail
that is relayed after us must not hold such a sequence; a dot line in the line
ends of the rest of the message is stuffed by every sender and is harmless, as is
one that no command follows.

Limits:  MAX_CANDIDATES odd dot lines are looked at; more of them count as an attempt.
Errors:  none.
See:     RFC 5321 s2.3.8 and s4.5.2; CVE-2023-51764
"""

from __future__ import annotations

import re

from lazaretto import regex
from lazaretto.mime.source import Source

MAX_CANDIDATES = 10_000
# What either pair of needles begins with: a search for a pattern is twice as fast as one for three bytes, and hardly any mail has one.
_NEEDLES = (
    (regex.compile(rb"\n\.[\r\n]"), (b"\n.\n", b"\n.\r")),
    (regex.compile(rb"\r\.[\r\n]"), (b"\r.\n", b"\r.\r")),
)
_COMMAND = regex.compile(
    rb"[\r\n]*[ \t]*(?:mail[ \t]+from|rcpt[ \t]+to|ehlo|helo|lhlo|rset|data|bdat|xclient|xforward|quit|noop)\b", re.IGNORECASE
)


def attempt(source: Source) -> int:
    """Where a dot that some server would take for the end of the message is followed by an SMTP command; -1 if nowhere."""
    data = source.data
    first = data.find(b"\n", 0, 1 << 16)
    usual = b"\r\n" if data[first - 1 : first] == b"\r" else b"\n"
    for needle in (needle for pattern, needles in _NEEDLES if pattern.search(data) for needle in needles):
        position = data.find(needle)
        for _ in range(MAX_CANDIDATES):
            if position < 0:
                break
            before = b"\r\n" if data[max(position - 1, 0) : position + 1] == b"\r\n" else needle[:1]
            after = data[position + 2 : position + 4]
            after = after if after == b"\r\n" else after[:1]
            if not before == after == usual and _COMMAND.match(data, position + 2) is not None:
                return position
            position = data.find(needle, position + 1)
        else:
            return position
    return -1
