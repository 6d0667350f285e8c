"""{FP_SCANONLY}: which messages are to be scanned, as F-PROT's milter let Sendmail say.

The value of the macro is regular expressions with colons between them.  A message is scanned if one of its recipients
matches one of them, or if there is no such macro.  An expression that is none, or an empty list, means: scan.

Only the configuration of the MTA can set it: it is no part of any mail.

Limits:  MAX_EXPRESSIONS; an address is matched up to MAX_ADDRESS characters.
Errors:  none.
See:     docs/scan-mail.md
"""

from __future__ import annotations

import re
from functools import lru_cache

from lazaretto.model import Envelope

MAX_EXPRESSIONS = 100
MAX_ADDRESS = 320  # 64 and 255 characters and the @; RFC 5321 s4.5.3.1


def wanted(expressions: bytes | None, envelope: Envelope) -> bool:
    """Is the message to be scanned?  `expressions`: the macro; None: it was not told."""
    if expressions is None:
        return True
    patterns = _compiled(expressions)
    addresses = [address[:MAX_ADDRESS].decode("utf-8", "replace") for address in envelope.rcpt_to]
    if not patterns or not addresses:
        return True
    return any(pattern.search(address) for pattern in patterns for address in addresses)


@lru_cache(16)
def _compiled(expressions: bytes) -> tuple[re.Pattern[str], ...]:
    """Nothing, if one of them is no expression."""
    parts = [part for part in expressions.decode("utf-8", "replace").split(":") if part]
    if len(parts) > MAX_EXPRESSIONS:
        return ()
    try:
        return tuple(re.compile(part, re.IGNORECASE) for part in parts)
    except (re.error, RecursionError, OverflowError):
        return ()
