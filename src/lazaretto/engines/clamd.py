"""Engine "clamd": ClamAV's daemon, over UNIX or TCP sockets.

Several addresses are tried in order; one that failed is asked last for a while.
Sessions (IDSESSION) stay open from item to item and message to message; a kept
one that turns out closed is replaced once, if nothing was answered in it.
Content in a file goes over a UNIX socket as a descriptor (FILDES), all else as a
stream (INSTREAM).

Limits:  one deadline per message for all that happens here, and connect_timeout_s
         per connection.  A connection is closed when its time is up, so that the
         daemon notices and scans do not pile up.
         stream_max_bytes: larger items are not sent.  clamd's own StreamMaxLength
         may be lower; its answer to that is the same error.
Errors:  EngineError DOWN (no connection, closed without answer, an error reply),
         TIMEOUT, LIMIT.  Only FOUND is a detection.
BUGS:    clamd answers OK for what exceeds its MaxFileSize or MaxScanSize, unless
         AlertExceedsMax is on.  Keep stream_max_bytes at or below MaxFileSize.
See:     connection.py, clamd_connection.py, wire/clamd.py, docs/engines.md, docs/protocols/clamd.md
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping

from lazaretto.engines import descriptor
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.clamd_connection import Connection, ask_version, parse_address
from lazaretto.engines.connection import Address, Daemons, NoAnswerError, RefusedError
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.limits import MIB
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.wire.clamd import Client, Reply, ReplyKind, unscannable

_CHUNK = 1 << 18
_SMALL = 1 << 16  # content up to this size is joined into one write

# clamd looks for uuencode in the body of what it takes for a mail, and tells that by the first line.
# Of 23 usual first lines only these three did (clamd 1.4.6, tests/engines/test_clamd_real.py).
_MAIL_STARTS = (b"Received: ", b"From: ", b"From ")
_MAIL_START = b"Received: from localhost by localhost; Thu, 1 Jan 1970 00:00:00 +0000\r\n"


def _stream(client: Client, item: Item) -> Iterator[bytes]:
    """What INSTREAM sends for `item`, in pieces."""
    opening = _opening(item)
    head = [client.instream()]
    if opening:
        head += [client.chunk(len(opening)), opening]
    for chunk in item.content.chunks(size=_CHUNK):
        head += [client.chunk(len(chunk)), chunk]
        if item.content.size > _SMALL:
            yield b"".join(head)
            head = []
    head.append(client.finish())
    yield b"".join(head)


def _opening(item: Item) -> bytes:
    """The line that makes clamd see a mail."""
    return _MAIL_START if item.is_message and not item.content.read_at(0, 16).startswith(_MAIL_STARTS) else b""


def _findings(engine: str, reply: Reply) -> list[Finding]:
    if reply.kind is ReplyKind.CLEAN:
        return []
    reason = unscannable(reply.signature)
    if reason is not None:
        return [Finding(engine, Kind.UNSCANNABLE, f"clamd.{reason.value}", detail=reply.signature, reason=reason)]
    # AlertOLE2Macros: a fact about the document, not a detection.
    kind = Kind.ACTIVE if reply.signature.startswith("Heuristics.OLE2.ContainsMacros") else Kind.MALWARE
    return [Finding(engine, kind, reply.signature)]


class Clamd:
    """See the module.  An instance belongs to one thread of one process; after a fork it connects anew."""

    by_content = True

    def __init__(
        self,
        name: str,
        addresses: tuple[Address, ...],
        *,
        required: bool = True,
        pass_descriptors: bool = True,
        stream_max_bytes: int = 100 * MIB,
        connect_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.required = required
        self._daemons = Daemons(addresses, Connection, connect_timeout_s, clock)
        self._pass = pass_descriptors
        self._max = stream_max_bytes
        self._no_fildes: set[Address] = set()

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Clamd:
        """Options: addresses, required, pass_descriptors, stream_max_bytes, connect_timeout_s."""
        options = Options(name, table)
        texts = options.texts("addresses")
        if not texts:
            raise options.error("addresses", 'expected at least one, such as ["unix:/run/clamav/clamd.ctl", "10.0.0.2:3310"]')
        try:
            addresses = tuple(parse_address(text) for text in texts)
        except ConfigError as e:
            raise options.error("addresses", e.message) from None
        engine = cls(
            name,
            addresses,
            required=options.flag("required", True),
            pass_descriptors=options.flag("pass_descriptors", True),
            stream_max_bytes=options.integer("stream_max_bytes", 100 * MIB, 1),
            connect_timeout_s=options.seconds("connect_timeout_s", 5.0),
        )
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """All but what the raw message showed it already: clamd is the slowest engine, and unpacks mail itself."""
        return not item.covered

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """At most one finding: clamd stops at the first."""
        if item.content.size + len(_opening(item)) > self._max:
            raise EngineError(Reason.LIMIT, f"{item.content.size} bytes, stream_max_bytes is {self._max}")
        return self._daemons.first(lambda address: self._answer(address, item, ctx.deadline), ctx.deadline)

    def info(self, timeout_s: float) -> EngineInfo:
        """The version of the first daemon that answers; who does not is in the detail."""
        deadline = time.monotonic() + timeout_s
        silent = []
        for address in self._daemons.addresses:
            try:
                text = ask_version(address, deadline)
            except (OSError, NoAnswerError, RemoteProtocolError) as e:
                silent.append(f"{address} does not answer: {e or 'timed out'}")
                continue
            version, _, signatures = text.partition("/")
            return EngineInfo(version, signatures, True, "; ".join([str(address), *silent]))
        return EngineInfo("clamd", "", False, "; ".join(silent))

    def close(self) -> None:
        """Hang up everywhere."""
        self._daemons.close()

    def _answer(self, address: Address, item: Item, deadline: float) -> list[Finding]:
        reply = self._scan_at(address, item, deadline)
        if reply.kind in (ReplyKind.CLEAN, ReplyKind.FOUND):
            return _findings(self.name, reply)
        if reply.reason not in (Reason.DOWN, None):
            raise EngineError(reply.reason, f"{address}: {reply.text}")
        raise RefusedError(reply.text)

    def _scan_at(self, address: Address, item: Item, deadline: float) -> Reply:
        fd = None
        if address.path and self._pass and address not in self._no_fildes and not _opening(item):
            fd = descriptor.reopen(item.content)
        if fd is not None:
            try:
                reply = self._daemons.ask(address, lambda c: c.ask_fildes(fd, deadline), deadline)
            finally:
                os.close(fd)
            if reply.reason is not Reason.DOWN:
                return reply
            # AppArmor or SELinux may forbid clamd what we passed: then it gets the bytes, now and from now on.
            reply = self._daemons.ask(address, lambda c: c.ask(_stream(c.client, item), deadline), deadline)
            if reply.kind is not ReplyKind.ERROR:
                self._no_fildes.add(address)
            return reply
        return self._daemons.ask(address, lambda c: c.ask(_stream(c.client, item), deadline), deadline)
