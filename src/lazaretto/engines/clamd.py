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
See:     clamd_connection.py, wire/clamd.py, docs/engines.md, docs/protocols/clamd.md
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping

from lazaretto.engines import descriptor
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.clamd_connection import Address, Connection, NoAnswerError, ask_version, parse_address
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.limits import MIB
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.wire.clamd import Client, Reply, ReplyKind, State, unscannable

RETRY_DEAD_S = 30.0  # how long an address that failed is asked last; about one restart of clamd with a full database
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
        self._addresses = addresses
        self._pass = pass_descriptors
        self._max = stream_max_bytes
        self._connect_timeout_s = connect_timeout_s
        self._clock = clock
        self._kept: dict[Address, Connection] = {}
        self._dead: dict[Address, float] = {}  # until when it is asked last
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
        failures = []
        for address in self._order():
            try:
                reply = self._scan_at(address, item, ctx.deadline)
            except (NoAnswerError, RemoteProtocolError) as e:
                failures.append(f"{address}: {e}")
                self._bury(address)
            except TimeoutError:
                self._bury(address)
                if time.monotonic() >= ctx.deadline:
                    raise EngineError(Reason.TIMEOUT, f"{address}: no answer in time") from None
                failures.append(f"{address}: no connection in {self._connect_timeout_s:g} s")
            except OSError as e:
                failures.append(f"{address}: {e.strerror or e}")
                self._bury(address)
            else:
                self._dead.pop(address, None)
                if reply.kind in (ReplyKind.CLEAN, ReplyKind.FOUND):
                    return _findings(self.name, reply)
                if reply.reason is not Reason.DOWN:
                    raise EngineError(reply.reason or Reason.DOWN, f"{address}: {reply.text}")
                failures.append(f"{address}: {reply.text}")
        raise EngineError(Reason.TIMEOUT if time.monotonic() >= ctx.deadline else Reason.DOWN, "; ".join(failures))

    def info(self, timeout_s: float) -> EngineInfo:
        """The version of the first daemon that answers; who does not is in the detail."""
        deadline = time.monotonic() + timeout_s
        silent = []
        for address in self._addresses:
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
        for connection in self._kept.values():
            connection.close()
        self._kept.clear()

    def _order(self) -> list[Address]:
        """As configured, but who failed lately last: never nobody."""
        now = self._clock()
        return sorted(self._addresses, key=lambda address: self._dead.get(address, 0.0) > now)

    def _bury(self, address: Address) -> None:
        self._dead[address] = self._clock() + RETRY_DEAD_S

    def _scan_at(self, address: Address, item: Item, deadline: float) -> Reply:
        fd = None
        if address.path and self._pass and address not in self._no_fildes and not _opening(item):
            fd = descriptor.reopen(item.content)
        if fd is not None:
            try:
                reply = self._ask(address, lambda c: c.ask_fildes(fd, deadline), deadline)
            finally:
                os.close(fd)
            if reply.reason is not Reason.DOWN:
                return reply
            # AppArmor or SELinux may forbid clamd what we passed: then it gets the bytes, now and from now on.
            reply = self._ask(address, lambda c: c.ask(_stream(c.client, item), deadline), deadline)
            if reply.kind is not ReplyKind.ERROR:
                self._no_fildes.add(address)
            return reply
        return self._ask(address, lambda c: c.ask(_stream(c.client, item), deadline), deadline)

    def _ask(self, address: Address, question: Callable[[Connection], Reply], deadline: float) -> Reply:
        """Put `question` to a kept session if it is good, else to a new one."""
        kept = self._kept.pop(address, None)
        if kept is not None:
            if kept.usable():
                try:
                    return self._put(address, kept, question)
                except NoAnswerError:
                    pass  # closed between our look and our question
            else:
                kept.close()
        connection = Connection(address, min(deadline, time.monotonic() + self._connect_timeout_s))
        return self._put(address, connection, question)

    def _put(self, address: Address, connection: Connection, question: Callable[[Connection], Reply]) -> Reply:
        """A connection is kept only after a whole answer in an orderly state."""
        kept = False
        try:
            reply = question(connection)
            # An error may leave clamd about to hang up; a new connection is cheap.
            kept = reply.kind is not ReplyKind.ERROR and connection.client.state is State.IDLE
            if kept:
                self._kept[address] = connection
            return reply
        finally:
            if not kept:
                connection.close()
