"""Every cap in one place: name, default, reason, and the meter that counts.

Input is hostile.  A cap that is reached never means "clean": the reader raises
LimitExceeded (or records an anomaly), it becomes a finding with Reason.LIMIT,
and policy decides.  All caps are keys of the [limits] table.

Errors:  LimitExceeded from Meter, with the name of the cap.
See:     docs/policy.md (the same table for users), tests/test_limits.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lazaretto.errors import LimitExceeded

KIB = 1 << 10
MIB = 1 << 20


class Limits(NamedTuple):
    """Caps for one message.  Units are in the names; the reason is beside each."""

    # -- reading the message
    max_message_bytes: int = 256 * MIB  # above what any MTA accepts by default (Postfix 10 MiB, Gmail 150 MiB)
    max_depth: int = 50  # multiparts in multiparts; honest mail stays under 12, clients give up near 100
    max_parts: int = 5_000  # honest digests reach some hundreds; amavis' MAXFILES is 1500
    max_header_bytes: int = 1 * MIB  # one header block; Postfix header_size_limit is 100 KiB, Sendmail 32 KiB
    max_header_fields: int = 10_000  # one header block; the evasion corpus uses 5000, honest mail under 300
    max_field_bytes: int = 64 * KIB  # of one structured field that we take apart into parameters
    max_params: int = 256  # parameters of one field; honest mail has under 10
    max_readings: int = 3_000  # entities in the other readings of one ambiguous message; the MIME torture test has 900
    max_reading_bytes: int = 256 * MIB  # bytes looked at for all of them: 3 s; and besides ...
    max_reading_factor: int = 24  # ... this many times the size of the message: large honest mail has flaws too, a list footer costs 15
    max_encoded_blocks: int = 1_000  # uuencode, yEnc or BinHex in one text; each begin line may start one; a news digest has dozens
    # -- looking inside
    max_container_depth: int = 32  # zip in zip in message; amavis' MAXLEVELS is 14, the corpus nests 27
    max_members: int = 10_000  # of all containers of a message together; Office files hold hundreds
    max_member_bytes: int = 256 * MIB  # unpacked, one member
    max_unpacked_bytes: int = 1024 * MIB  # unpacked, all members of a message
    max_ratio: int = 250  # unpacked to packed, once past ratio_floor_bytes; deflate's own ceiling is 1032
    ratio_floor_bytes: int = 32 * MIB  # small files of zeros are honest (sparse logs, bitmaps)
    max_unpack_s: float = 15.0  # processor time of libarchive for one archive; it unpacks 100 MB/s, and some files keep it for ever
    max_disarm_bytes: int = 64 * MIB  # of one document that is to be disarmed; it is held in memory several times
    max_html_bytes: int = 8 * MIB  # of one page that is to be sanitised, 5 s; honest ones stay under 1 MiB, but for pictures in them
    max_passwords: int = 64  # words of the mail tried on encrypted archives
    # -- engines and verdict
    max_findings: int = 1_000  # kept per message; later ones only repeat
    max_scan_s: float = 60.0  # for the whole message; Postfix gives a proxy 100 s, Sendmail a milter 300 s
    # -- memory
    spool_memory_bytes: int = 256 * KIB  # larger content lives in a file, not in memory
    max_cached_answers: int = 10_000  # of engines about content, kept by each scan process for five minutes: 4 MB


DEFAULT = Limits()


class Meter:
    """Counts what one message costs, for all its containers together.

    `clock` gives seconds on the same scale as `deadline` (a monotonic clock).
    """

    __slots__ = ("clock", "deadline", "limits", "members", "message_bytes", "unpacked")

    def __init__(
        self,
        limits: Limits = DEFAULT,
        deadline: float = float("inf"),
        clock: Callable[[], float] = lambda: 0.0,
        message_bytes: int = 1 << 62,  # not known: only single members have a ratio
    ) -> None:
        self.message_bytes = message_bytes
        self.limits = limits
        self.deadline = deadline
        self.clock = clock
        self.members = 0
        self.unpacked = 0

    def tick(self) -> None:
        """Raise LimitExceeded("max_scan_s") once the deadline has passed."""
        if self.clock() > self.deadline:
            raise LimitExceeded("max_scan_s")

    def member(self) -> None:
        """Count one member of a container."""
        self.tick()
        self.members += 1
        if self.members > self.limits.max_members:
            raise LimitExceeded("max_members", f"more than {self.limits.max_members}")

    def unpack(self, chunks: Iterable[bytes], packed_bytes: int) -> Iterator[bytes]:
        """Pass `chunks` of one member through, counting.

        `packed_bytes` is what the member (or, if unknown, its whole container) occupies.
        Raises LimitExceeded after the chunk that crosses max_member_bytes,
        max_unpacked_bytes or max_ratio (of this member; of all to the message, past four
        times ratio_floor_bytes) has been counted, before it is passed on.
        """
        limits = self.limits
        size = 0
        for chunk in chunks:
            self.tick()
            size += len(chunk)
            self.unpacked += len(chunk)
            if size > limits.max_member_bytes:
                raise LimitExceeded("max_member_bytes", f"more than {limits.max_member_bytes} bytes")
            if self.unpacked > limits.max_unpacked_bytes:
                raise LimitExceeded("max_unpacked_bytes", f"more than {limits.max_unpacked_bytes} bytes")
            if size > limits.ratio_floor_bytes and size > limits.max_ratio * max(packed_bytes, 1):
                raise LimitExceeded("max_ratio", f"{size} bytes from {packed_bytes}")
            if self.unpacked > 4 * limits.ratio_floor_bytes and self.unpacked > limits.max_ratio * self.message_bytes:
                raise LimitExceeded("max_ratio", f"{self.unpacked} bytes from a message of {self.message_bytes}")
            yield chunk
