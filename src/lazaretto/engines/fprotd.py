"""Engine "fprotd": f-protd, the daemon of F-PROT 4.

    [engines.fprotd]
    addresses = ["127.0.0.1"]          # ports 10200 to 10204; or "127.0.0.1:10200"

A daemon that was started again, or brought up to date, takes the next free port: the
addresses are tried one after the other, beginning with the one that answered last.
When a whole round found nobody there is one more, after a pause, unless a
scan found nobody a short while ago.

The daemon gets the path of a private copy.  It has to be able to read the copy, and
to write it for disinfection: if it runs as somebody else, `file_mode` and
`file_group` say so.  Each daemon that is asked gets a copy of its own, so that one
which dies over a half disinfected file leaves nothing to the next.

Limits:  ctx.deadline for all that happens here, pauses included; connect_timeout_s
         for one connection; those of wire.fprotd.
Errors:  EngineError DOWN (nobody answers, or in another language; I/O errors of the
         daemon), TIMEOUT, and UNSUPPORTED, BROKEN, ENCRYPTED for content that it
         cannot look into.  Only codes 7 and 9 are clean.
See:     wire/fprotd.py, docs/protocols/fprotd.md, docs/engines.md, connection.py, handover.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

from lazaretto import regex
from lazaretto.engines import handover
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.connection import Address, Connection, Machine, NoAnswerError
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.wire.fprotd import Outcome, Reader, Reply, request

PORTS = (10200, 10204)
ARGUMENTS = ("-archive", "-ai", "-dumb")  # into archives, heuristics, whatever the file's name
_ALWAYS = ("-remote-dtd",)  # or each reply brings its document type along
SILENT_S = 30.0  # how long after a scan that found nobody there is no second round
_MAX_ADDRESSES = 64

_ADDRESS = regex.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/\s]+))(?::(\d{1,5})(?:-(\d{1,5}))?)?\Z")


def parse_addresses(text: str) -> tuple[Address, ...]:
    """ "host" (all its usual ports), "host:10200", "host:10200-10204", "[::1]:10200".  ConfigError for anything else."""
    found = _ADDRESS.match(text)
    if found is not None:
        first = int(found[3] or PORTS[0])
        last = int(found[4] or found[3] or PORTS[1])
        if 0 < first <= last < 65536 and last - first < _MAX_ADDRESSES:
            return tuple(Address(host=found[1] or found[2], port=port) for port in range(first, last + 1))
    raise ConfigError(f"expected host, host:port, host:first-last or [address]:port, not {text!r}")


class Fprotd:
    """See the module.  Nothing is kept between scans but which address answered last."""

    by_content = True

    def __init__(
        self,
        name: str,
        addresses: tuple[Address, ...],
        *,
        required: bool = True,
        arguments: tuple[str, ...] = ARGUMENTS,
        disinfect: bool = True,
        place: handover.Place = handover.PRIVATE,
        connect_timeout_s: float = 5.0,
        retry_pause_s: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.required = required
        self._addresses = addresses
        self._arguments = arguments
        self._disinfect = disinfect
        self._place = place
        self._connect_timeout_s = connect_timeout_s
        self._retry_pause_s = retry_pause_s
        self._sleep = sleep
        self._silent_until = 0.0

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Fprotd:
        """Options: addresses, required, arguments, disinfect, temp_dir, file_mode, file_group, connect_timeout_s, retry_pause_s."""
        options = Options(name, table)
        addresses: dict[Address, None] = {}
        for text in options.texts("addresses", ("127.0.0.1",)):
            try:
                addresses.update(dict.fromkeys(parse_addresses(text)))
            except ConfigError as e:
                raise options.error("addresses", e.message) from None
        if not addresses or len(addresses) > _MAX_ADDRESSES:
            raise options.error("addresses", f'expected at least one, such as ["127.0.0.1"], and at most {_MAX_ADDRESSES}')
        arguments = options.texts("arguments", ARGUMENTS)
        if not all(word.startswith("-") and word.isascii() and word.isprintable() and " " not in word for word in arguments):
            raise options.error("arguments", 'expected options of the scanner, such as ["-archive", "-ai", "-dumb"]')
        if "-disinf" in arguments:
            raise options.error("arguments", "-disinf is given when somebody can use what it makes; see disinfect")
        engine = cls(
            name,
            tuple(addresses),
            required=options.flag("required", True),
            arguments=arguments,
            disinfect=options.flag("disinfect", True),
            place=handover.place(options),
            connect_timeout_s=options.seconds("connect_timeout_s", 5.0),
            retry_pause_s=options.seconds("retry_pause_s", 5.0),
        )
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """All but the message itself: f-protd hardly knows MIME.  So nothing is covered by the scan of the message."""
        return not item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """One finding for each name that the daemon gives."""
        failures: dict[Address, str] = {}
        for address in self._attempts(ctx.deadline):
            try:
                with closing(self._connected(address, ctx.deadline)) as connection, handover.copied(item.content, self._place) as path:
                    return self._scan_at(connection, path, item, ctx)
            except TimeoutError:
                self._addresses = (*(other for other in self._addresses if other != address), address)
                if time.monotonic() >= ctx.deadline:
                    raise EngineError(Reason.TIMEOUT, f"{address}: no answer in time") from None
                failures[address] = f"no connection in {self._connect_timeout_s:g} s"
            except (NoAnswerError, RemoteProtocolError) as e:
                failures[address] = str(e)
        self._silent_until = time.monotonic() + SILENT_S
        reason = Reason.TIMEOUT if time.monotonic() >= ctx.deadline else Reason.DOWN
        raise EngineError(reason, "; ".join(f"{address}: {failure}" for address, failure in failures.items()) or "no time left")

    def info(self, timeout_s: float) -> EngineInfo:
        """What the first daemon that answers calls itself, asked about an empty file."""
        deadline = time.monotonic() + timeout_s
        failures = []
        for address in self._addresses:
            try:
                with closing(self._connected(address, deadline)) as connection:
                    reply = _ask(connection, b"/dev/null", (), deadline)
            except (NoAnswerError, RemoteProtocolError, TimeoutError) as e:
                failures.append(f"{address} does not answer: {str(e) or 'timed out'}")
            else:
                return EngineInfo(reply.server or "f-protd", "", True, str(address))
        return EngineInfo("f-protd", "", False, "; ".join(failures))

    def close(self) -> None:
        """Nothing is kept."""

    def _attempts(self, deadline: float) -> Iterator[Address]:
        """Whom to ask, until somebody answers: a round, and another after a pause."""
        addresses = self._addresses
        yield from addresses
        now = time.monotonic()
        if now >= self._silent_until and now + self._retry_pause_s < deadline:
            self._sleep(self._retry_pause_s)
            yield from addresses

    def _connected(self, address: Address, deadline: float) -> Connection:
        """TimeoutError, or NoAnswerError: an OSError would look like trouble with our copy."""
        try:
            return Connection(address, min(deadline, time.monotonic() + self._connect_timeout_s))
        except TimeoutError:
            raise
        except OSError as e:
            raise NoAnswerError(e.strerror or str(e)) from None

    def _scan_at(self, connection: Connection, path: str, item: Item, ctx: ScanContext) -> list[Finding]:
        address = connection.address
        disinfect = self._disinfect and ctx.cleaned is not None
        arguments = (*self._arguments, "-disinf") if disinfect else self._arguments
        reply = _ask(connection, os.fsencode(os.path.abspath(path)), arguments, ctx.deadline)
        self._addresses = (address, *(other for other in self._addresses if other != address))
        self._silent_until = 0.0
        if reply.outcome is Outcome.CLEAN and not (disinfect and handover.is_changed(path, item.content)):
            return []
        if reply.outcome is Outcome.ERROR:
            hint = " (may it read our copy? see file_mode and file_group)" if reply.code < 0 or reply.code == 1 else ""
            raise EngineError(reply.reason or Reason.DOWN, f"{address}: {reply.text}{hint}")
        disinfected = reply.outcome is Outcome.DISINFECTED and disinfect and handover.take_back(path, item, ctx)
        kind = Kind.DISINFECTED if disinfected else Kind.MALWARE
        return [Finding(self.name, kind, name) for name in reply.names or (f"{self.name}.infected",)]


def _ask(connection: Connection, path: bytes, arguments: Sequence[str], deadline: float) -> Reply:
    """One request and its reply; errors as of a Connection."""
    reader: Machine[Reply] = Reader()
    reply = connection.converse(reader, iter((request(path, (*arguments, *_ALWAYS)),)), deadline)
    if not connection.sent:
        raise RemoteProtocolError("an answer before the question")
    return reply
