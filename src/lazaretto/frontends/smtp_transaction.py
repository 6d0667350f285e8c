"""One mail transaction of an SMTP session, or of a milter's: from MAIL to its end, whatever that is.

A transaction takes the content into a spool, within the service's bounds, and from
the moment on that it must not, only counts: what is refused is refused after the final
dot, and costs neither memory nor disk.  It owns its spool file and its place among the
service's jobs, and gives both back in `close`.

Limits:  max_message_bytes of one message; max_spooled_bytes, max_jobs of all.
Errors:  none; what goes wrong is `refusal`.
See:     smtp_session.py, smtp_delivery.py
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from lazaretto.frontends.failure import reason
from lazaretto.mime.source import Source
from lazaretto.model import Envelope
from lazaretto.store.spool import Intake, Spool
from lazaretto.wire.smtp import Reply

BUSY = Reply(451, (b"4.3.2 Too many messages at the moment, try again later",))
NO_ROOM = Reply(452, (b"4.3.1 No room for this message at the moment, try again later",))
TROUBLE = Reply(451, (b"4.3.0 Local trouble, try again later",))
TOO_BIG = Reply(552, (b"5.3.4 Message is too big",))


class Refusal(NamedTuple):
    """Why we take no message: what the client is told, and what the log says."""

    reply: Reply
    rule: str
    error: str = ""


class Room(Protocol):
    """What a worker has room for: of the settings of a front end."""

    @property
    def max_message_bytes(self) -> int: ...
    @property
    def max_spooled_bytes(self) -> int: ...
    @property
    def max_jobs(self) -> int: ...
    @property
    def spool_directory(self) -> str: ...
    @property
    def spool_memory_bytes(self) -> int: ...


class Bounds(Protocol):
    """What all transactions of a worker share."""

    jobs: int  # messages whose content is coming, being scanned or sent
    spooled_bytes: int

    def taken(self) -> None:
        """One more job."""
        ...

    def released(self, has_line: bool) -> None:
        """One less; `has_line`, if another process has its final line to write."""
        ...


class Transaction:
    """From a MAIL that the next hop has accepted.  `envelope` grows with each recipient it accepts."""

    __slots__ = ("_bounds", "_held", "_intake", "_settings", "_spool", "envelope", "over", "recipients", "refusal", "size", "trouble")

    def __init__(self, settings: Room, bounds: Bounds, envelope: Envelope) -> None:
        self._settings = settings
        self._bounds = bounds
        self._spool: Spool | None = None
        self._intake: Intake | None = None
        self._held = 0  # bytes that count in the bounds
        self.envelope = envelope
        self.recipients: list[bytes] = []
        self.refusal: Refusal | None = None
        self.size = 0
        self.trouble = ""  # what became of the next hop, if that is the end of this
        self.over: Reply | None = None  # what the client is told until it begins another

    def begin(self) -> Refusal | None:
        """The content is to come; or why it is not."""
        refusal = refused(self._settings, self._bounds, 0)
        if refusal is None:
            self._bounds.taken()
            self._spool = Spool(self._settings.spool_directory or None, self._settings.spool_memory_bytes)
            self._intake = self._spool.intake()
        return refusal

    def take(self, data: bytes) -> None:
        """A piece of the content."""
        self.size += len(data)
        if self._intake is None:
            return
        if self.size > self._settings.max_message_bytes:
            self._refuse(Refusal(TOO_BIG, "limit", f"more than {self._settings.max_message_bytes} bytes"))
        elif self._bounds.spooled_bytes + len(data) > self._settings.max_spooled_bytes:
            self._refuse(Refusal(NO_ROOM, "busy", f"more than {self._settings.max_spooled_bytes} bytes of all messages"))
        else:
            self._held += len(data)
            self._bounds.spooled_bytes += len(data)
            try:
                self._intake.write(data)
            except OSError as error:
                self._refuse(Refusal(TROUBLE, "system", reason(error)))

    def content(self) -> Source | None:
        """All of it; None: `refusal` says why not."""
        if self._intake is None:
            return None
        try:
            return self._intake.finish()
        except OSError as error:
            self._refuse(Refusal(TROUBLE, "system", reason(error)))
            return None

    @property
    def in_hand(self) -> bool:
        """Is its content here, or to come?"""
        return self._spool is not None

    def close(self, has_line: bool = False) -> None:
        """Give everything back.  `has_line`: see Bounds."""
        self._let_go()
        if self._spool is not None:
            self._spool.close()
            self._spool = None
            self._bounds.released(has_line)

    def _refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._let_go()

    def _let_go(self) -> None:
        self._bounds.spooled_bytes -= self._held
        self._held = 0
        if self._intake is not None:
            self._intake.abort()
            self._intake = None


def refused(settings: Room, bounds: Bounds, size: int) -> Refusal | None:
    """Why no message of `size` bytes (0: not told) can begin now."""
    if size > settings.max_message_bytes:
        return Refusal(TOO_BIG, "limit", f"SIZE={size} is more than {settings.max_message_bytes}")
    if bounds.jobs >= settings.max_jobs:
        return Refusal(BUSY, "busy", f"{bounds.jobs} messages are being handled")
    if bounds.spooled_bytes + size > settings.max_spooled_bytes:
        return Refusal(NO_ROOM, "busy", f"{bounds.spooled_bytes} bytes of messages are being handled")
    return None
