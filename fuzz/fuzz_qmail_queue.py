"""qmail-queue's envelope: whatever comes, one envelope or one exit status, the same for any cut, and nothing made up."""

from __future__ import annotations

from lazaretto.legacy.qmail_queue import ADDRESS_TOO_LONG, BAD_ENVELOPE, CANNOT_READ, MAX_ADDRESS, EnvelopeReader, Queued, QueueError

SEEDS = [
    b"Fa@example.org\0Tb@example.org\0\0",
    b"F\0Tb\0Tc\0Td\0\0trailing",
    b"F#@[]\0T\0\0",
    b"Fa\0",
    b"F" + b"x" * (MAX_ADDRESS + 1) + b"\0\0",
    b"Tb\0\0",
]


def _read(pieces: list[bytes]) -> Queued | int:
    reader = EnvelopeReader()
    try:
        for piece in pieces:
            if (queued := reader.feed(piece)) is not None:
                return queued
        raise reader.end()
    except QueueError as error:
        return error.status


def target(data: bytes) -> None:
    read = _read([data])
    assert read == _read([data[at : at + 1] for at in range(len(data))])
    if isinstance(read, Queued):
        assert data.startswith(read.raw)
        assert read.raw == b"F" + read.sender + b"\0" + b"".join(b"T" + recipient + b"\0" for recipient in read.recipients) + b"\0"
    else:
        assert read in (ADDRESS_TOO_LONG, CANNOT_READ, BAD_ENVELOPE)
