"""clamd's replies: whatever the daemon sends, it is one of few events, and clean only in the exact words."""

from __future__ import annotations

import re

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.clamd import MAX_REPLY_BYTES, Client, Closed, Reply, ReplyKind, State

SEEDS = [
    b"1: stream: OK\0",
    b"1: stream: Eicar-Test-Signature FOUND\0",
    b"1: fd[10]: OK\0002: stream: OK\0",
    b"1: INSTREAM size limit exceeded. ERROR\0",
    b"COMMAND READ TIMED OUT\n",
    b"1: stream: Heuristics.Encrypted.Zip FOUND\0",
    b"UNKNOWN COMMAND\0",
]


def _events(chunks: list[bytes]) -> list[Reply | Closed | str]:
    client = Client()
    client.instream()
    client.chunk(1)
    client.finish()
    events: list[Reply | Closed | str] = []
    for chunk in [*chunks, b""]:
        client.receive_data(chunk)
        try:
            while (event := client.next_event()) is not None:
                events.append(event)
        except RemoteProtocolError as error:
            assert client.state is State.CLOSED
            return [*events, str(error)]
    return events


def target(data: bytes) -> None:
    """Same events for any cut; never two answers to one question; clean only if the bytes say so."""
    events = _events([data] if data else [])
    assert events == _events([data[i : i + 3] for i in range(0, len(data), 3)])
    replies = [event for event in events if isinstance(event, Reply)]
    assert len(replies) <= 1
    for reply in replies:
        assert len(reply.text) <= MAX_REPLY_BYTES
        assert reply.text.isprintable()
        if reply.kind is ReplyKind.CLEAN:
            assert re.match(rb"0*1: (stream|fd\[\d+\]): OK\0", data)
        if reply.kind is ReplyKind.FOUND:
            assert b" FOUND" in data
