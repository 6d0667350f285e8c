"""What a container gives: members and problems.

Each format has one walker, `walk(source, meter, ...) -> Iterator[Member | Problem]`.
A walker yields a Member for every piece of content that some program could get
out of the container, and a Problem for whatever it could not open.  It never
raises for bad input; LimitExceeded (from the meter) may pass through it.

A member's chunks must be used up before the next member is asked for; they may
yield a prefix and then raise BrokenMember or LimitExceeded: the prefix counts.

See: docs/architecture.md "Looking inside"; limits.Meter
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lazaretto.model import Reason


class BrokenMember(Exception):
    """Raised by Member.chunks after the last readable byte: `reason` says why it ended early."""

    def __init__(self, name: str, detail: str = "", reason: Reason = Reason.BROKEN) -> None:
        super().__init__(detail)
        self.name = name  # finding name: "zip.crc", "gzip.truncated"
        self.detail = detail
        self.reason = reason


class Member(NamedTuple):
    """One piece of content inside a container."""

    names: tuple[str, ...]  # every name some program shows for it, the usual one first
    chunks: Iterable[bytes]
    is_file: bool = True  # False: something we made, such as macro text: no name policy
    media_type: str = ""  # if the container declares one


class Problem(NamedTuple):
    """Something in the container that could not be looked into, or that contradicts itself.

    reason None means a contradiction (Kind.MALFORMED), else Kind.UNSCANNABLE.
    """

    name: str  # finding name: "zip.encrypted", "7z.unsupported", "zip.overlap"
    detail: str = ""
    reason: Reason | None = None
