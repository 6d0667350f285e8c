"""qmail-queue's side of the conversation: the envelope it reads, the exit status it answers with.

    F<sender> NUL  T<recipient> NUL ...  NUL

qmail-queue has no output: its exit status alone tells the caller what became of the
message, and the caller tells the sender.  11 to 40 are permanent, all others but 0
temporary, so every failure of ours has one of the others.

Limits:  an address has at most MAX_ADDRESS bytes, as with qmail; all of the envelope
         MAX_ENVELOPE_BYTES, because it is kept until the message has been scanned.
Errors:  QueueError, which carries the exit status.
See:     qmail-queue(8); docs/protocols/qmail-queue.md
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto.errors import LazarettoError
from lazaretto.model import Disposition

QUEUED = 0
ADDRESS_TOO_LONG = 11
REFUSED = 31
NO_MEMORY = 51
TIMEOUT = 52
CANNOT_WRITE = 53
CANNOT_READ = 54
CANNOT_CONFIGURE = 55
TEMPORARY = 71
BUG = 81
BAD_ENVELOPE = 91

OF_DISPOSITION = {Disposition.DISCARD: QUEUED, Disposition.TEMPFAIL: TEMPORARY, Disposition.REJECT: REFUSED}
OF_SERVER = {4: REFUSED, 5: QUEUED}  # codes of the scan server that carry no message; of all others TEMPORARY

MAX_ADDRESS = 1002
MAX_ENVELOPE_BYTES = 1 << 24  # a list with two hundred thousand subscribers has a fifth of it


class QueueError(LazarettoError):
    """The message is not queued; `status` is what qmail-queue would end with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Queued(NamedTuple):
    """An envelope: for us, and as it came."""

    sender: bytes
    recipients: tuple[bytes, ...]
    raw: bytes


def is_permanent(status: int) -> bool:
    """Will the caller give the message back to its sender?"""
    return 11 <= status <= 40


class EnvelopeReader:
    """Takes the envelope in pieces, however they are cut."""

    __slots__ = ("_data", "_recipients", "_searched", "_sender", "_start")

    def __init__(self) -> None:
        self._data = bytearray()
        self._start = 0  # of the record that is not complete yet
        self._searched = 0  # up to here, it has no NUL
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []

    def feed(self, data: bytes) -> Queued | None:
        """The envelope, once it is complete; what follows it does not count.  QueueError as soon as it is wrong."""
        self._data += data
        while self._start < len(self._data):
            letter = bytes(self._data[self._start : self._start + 1])
            if letter == b"\0" and self._sender is not None:
                return Queued(self._sender, tuple(self._recipients), bytes(self._data[: self._start + 1]))
            if letter != (b"F" if self._sender is None else b"T"):
                raise QueueError(BAD_ENVELOPE, "the envelope is not what qmail-queue expects")
            first = self._start + 1
            end = self._data.find(b"\0", max(first, self._searched))
            if (end if end >= 0 else len(self._data)) - first > MAX_ADDRESS:
                raise QueueError(ADDRESS_TOO_LONG, f"an address has more than {MAX_ADDRESS} bytes")
            if end < 0:
                self._searched = len(self._data)
                break
            address = bytes(self._data[first:end])
            if self._sender is None:
                self._sender = address
            else:
                self._recipients.append(address)
            self._start = end + 1
        if len(self._data) > MAX_ENVELOPE_BYTES:
            raise QueueError(NO_MEMORY, f"the envelope has more than {MAX_ENVELOPE_BYTES} bytes")
        return None

    def end(self) -> QueueError:
        """What is wrong when nothing more comes, and the envelope was not complete."""
        return QueueError(CANNOT_READ, "the envelope ends too early: the caller has given up")
