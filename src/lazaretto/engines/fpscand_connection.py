"""A connection to fpscand: one conversation over a socket.

Errors:  TimeoutError at the deadline, NoAnswerError if the connection ends without
         an answer, RemoteProtocolError for nonsense, OSError if there is nobody.
See:     connection.py, which has the socket; wire/fpscand.py, which knows what the
         bytes mean; docs/protocols/fpscand.md
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lazaretto.engines import connection as base
from lazaretto.engines.connection import Address, NoAnswerError
from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.fpscand import Client, Closed, Meaning, Result, State, Version

if TYPE_CHECKING:
    from lazaretto.mime.source import Source

DEFAULT_PORT = 10200
_CHUNK = 1 << 18
_SMALL = 1 << 16  # content up to this size is joined into one write


class Connection(base.Connection):
    """One socket and its conversation, with what was learnt about the daemon at its other end."""

    __slots__ = ("client", "no_disinfection", "no_files")

    def __init__(self, address: Address, deadline: float) -> None:
        super().__init__(address, deadline)
        self.client = Client()
        self.no_files = False  # it cannot read the files we name
        self.no_disinfection = False  # it does not take that option

    def close(self) -> None:
        """Say goodbye if that is in order, and hang up."""
        if self.owner == os.getpid() and self.client.state is State.IDLE:
            try:
                self.sock.send(self.client.quit())
            except OSError:
                pass  # it went first
        super().close()

    def scan_file(self, path: str, options: Sequence[bytes], deadline: float) -> list[Result]:
        """What the daemon says about the file of that path."""
        return self._results(iter((self.client.scan_file(os.fsencode(path), options),)), deadline)

    def scan_stream(self, content: Source, options: Sequence[bytes], deadline: float) -> list[Result]:
        """What it says about these bytes; at most wire.fpscand.MAX_STREAM_BYTES."""
        return self._results(self._stream(content, options), deadline)

    def version(self, deadline: float) -> Version:
        """What it is, by HELP."""
        machine: base.Machine[Result | Version | Closed] = self.client
        event = self.converse(machine, iter((self.client.help(),)), deadline)
        if isinstance(event, Version):
            return event
        raise NoAnswerError((event.text if isinstance(event, Closed) else "") or "connection closed without an answer")

    def _stream(self, content: Source, options: Sequence[bytes]) -> Iterator[bytes]:
        client = self.client
        head = client.scan_stream(b"lazaretto-" + os.urandom(12).hex().encode(), content.size, options)
        for chunk in content.chunks(size=_CHUNK):
            if head and len(chunk) > _SMALL:
                yield head
                head = b""
            yield head + client.chunk(chunk)
            head = b""
        if head:
            yield head

    def _results(self, out: Iterator[bytes], deadline: float) -> list[Result]:
        """All lines of an answer that are here when its first one is."""
        client = self.client
        machine: base.Machine[Result | Version | Closed] = client
        results: list[Result] = []
        event: Result | Version | Closed | None = self.converse(machine, out, deadline)
        while True:
            while isinstance(event, Result):
                results.append(event)
                event = client.next_event()
            if not self.sent and any(result.meaning() < Meaning.ERROR for result in results):
                raise RemoteProtocolError("clean, said before the content was sent")
            if isinstance(event, Version):
                raise RemoteProtocolError("the answer to another question")
            if isinstance(event, Closed) and (event.text or not results):
                raise NoAnswerError(event.text or "connection closed without an answer")
            if client.state is State.CLOSED or not self.sent:
                return results
            if not client.halfway and not self.readable():
                self.good = True
                return results
            self.receive(machine, deadline)
            event = client.next_event()
