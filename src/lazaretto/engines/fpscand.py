"""Engine "fpscand": F-PROT's daemon (version 6), over TCP or UNIX sockets.

A daemon on this machine gets content as a file (SCAN FILE): a private copy, which
it may also disinfect.  A daemon elsewhere, or one that cannot read our files, gets
a stream (SCAN STREAM), which has a limit and cannot be disinfected.

Every request gets a fresh copy: a daemon that failed half-way may have changed the
one it had, and what is left of it might look clean.

    bits 1, 2       malware (2 alone is a suspicion: `suspicious`)
    4, 16, 32       error
    128             disinfected; malware if nobody wants that, if nothing was changed, or if there was an error too
    0, 8, 64, 72    clean (8 and 64 left something out: `unscannable`)

Limits:  one deadline per message; stream_max_bytes for streams.
Errors:  EngineError DOWN (no connection, closed without answer, an error, nonsense),
         TIMEOUT, LIMIT (too large for a stream), ENCRYPTED or BROKEN or LIMIT if
         `unscannable` is "error".
See:     connection.py, fpscand_connection.py, handover.py, wire/fpscand.py,
         docs/engines.md, docs/protocols/fpscand.md
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from lazaretto.engines import handover
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.engines.connection import Address, Daemons, NoAnswerError, RefusedError, parse_address
from lazaretto.engines.fpscand_connection import DEFAULT_PORT, Connection
from lazaretto.engines.options import Options
from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.model import Finding, Item, Kind, Reason
from lazaretto.wire.fpscand import INTERNAL, MAX_STREAM_BYTES, PLATFORM, SKIPPED, UNSCANNABLE, Meaning, Result, option, worst

_DISINFECT = b"--disinfect"
_MAX_NAME = 200


class Settings(NamedTuple):
    """How to ask, and what to make of the answers; the options of docs/engines.md."""

    mode: str = "auto"
    disinfect: bool = True
    suspicious: bool = True  # is malware
    unscannable: bool = False  # is an error
    arguments: tuple[bytes, ...] = ()
    stream_max_bytes: int = MAX_STREAM_BYTES
    place: handover.Place = handover.PRIVATE


DEFAULTS = Settings()


class Fpscand:
    """See the module.  An instance belongs to one thread of one process; after a fork it connects anew."""

    by_content = True

    def __init__(
        self,
        name: str,
        addresses: Sequence[Address],
        settings: Settings = DEFAULTS,
        *,
        required: bool = True,
        connect_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.required = required
        self._set = settings
        self._daemons = Daemons(addresses, Connection, connect_timeout_s, clock)

    @classmethod
    def from_config(cls, name: str, table: Mapping[str, object]) -> Fpscand:
        """Options: addresses, required, mode, disinfect, suspicious, unscannable, arguments, stream_max_bytes,
        connect_timeout_s, temp_dir, file_mode, file_group.
        """
        options = Options(name, table)
        try:
            addresses = tuple(parse_address(text, DEFAULT_PORT) for text in options.texts("addresses", ("127.0.0.1:10200",)))
        except ConfigError as e:
            raise options.error("addresses", e.message) from None
        if not addresses:
            raise options.error("addresses", 'expected at least one, such as ["127.0.0.1:10200"]')
        engine = cls(
            name,
            addresses,
            _settings(options),
            required=options.flag("required", True),
            connect_timeout_s=options.seconds("connect_timeout_s", 5.0),
        )
        options.done()
        return engine

    def wants(self, item: Item) -> bool:
        """All but the message itself: fpscand hardly knows MIME.  So nothing is covered by the scan of the message."""
        return not item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        """At most one finding: the worst that the daemon says."""
        among = None
        if item.content.size > self._set.stream_max_bytes:
            among = [address for address in self._daemons.addresses if self._by_file(address)]
            if not among:
                raise EngineError(Reason.LIMIT, self._too_long(item))

        def question(connection: Connection) -> list[Finding]:
            return self._ask(connection, item, ctx)

        return self._daemons.first(lambda address: self._daemons.ask(address, question, ctx.deadline), ctx.deadline, among)

    def info(self, timeout_s: float) -> EngineInfo:
        """The version of the first daemon that answers; who does not is in the detail."""
        deadline = time.monotonic() + timeout_s
        silent = []
        for address in self._daemons.addresses:
            try:
                connection = Connection(address, deadline)
                try:
                    version = connection.version(deadline)
                finally:
                    connection.close()
            except (OSError, NoAnswerError, RemoteProtocolError) as e:
                silent.append(f"{address} does not answer: {e or 'timed out'}")
                continue
            program = f"fpscand {version.program}" + (f", engine {version.engine}" if version.engine else "")
            return EngineInfo(program, version.signatures, True, "; ".join([str(address), *silent]))
        return EngineInfo("fpscand", "", False, "; ".join(silent))

    def close(self) -> None:
        """Say goodbye everywhere."""
        self._daemons.close()

    def _by_file(self, address: Address) -> bool:
        return self._set.mode == "file" or (self._set.mode == "auto" and address.local)

    def _too_long(self, item: Item) -> str:
        return f"{item.content.size} bytes, stream_max_bytes is {self._set.stream_max_bytes}"

    # -- asking

    def _ask(self, connection: Connection, item: Item, ctx: ScanContext) -> list[Finding]:
        settings = self._set
        too_long = item.content.size > settings.stream_max_bytes
        refused = False
        if self._by_file(connection.address) and (too_long or settings.mode == "file" or not connection.no_files):
            answer = self._ask_by_file(connection, item, ctx)
            if isinstance(answer, list):
                return answer
            if settings.mode == "file":
                return self._judge(answer)
            refused = True
            if too_long:
                raise EngineError(Reason.LIMIT, f"{self._too_long(item)}, and as a file: {answer.text} (status {answer.code})")
        findings = self._judge(self._worst(connection.scan_stream(item.content, settings.arguments, ctx.deadline)))
        connection.no_files = connection.no_files or refused
        return findings

    def _ask_by_file(self, connection: Connection, item: Item, ctx: ScanContext) -> list[Finding] | Result:
        """Findings, or the answer of a daemon that could not read the file."""
        settings = self._set
        result = Result(0, "")
        disinfects = [True, False] if settings.disinfect and ctx.cleaned and not connection.no_disinfection else [False]
        for disinfect in disinfects:
            with ExitStack() as stack:
                try:
                    path = os.path.abspath(stack.enter_context(handover.copied(item.content, settings.place)))
                except OSError as e:
                    raise EngineError(Reason.DOWN, f"no temporary file: {e}") from None
                arguments = (_DISINFECT, *settings.arguments) if disinfect else settings.arguments
                result = self._worst(connection.scan_file(path, arguments, ctx.deadline))
                if not _refused(result):
                    connection.no_disinfection = connection.no_disinfection or disinfect is not disinfects[0]
                    return self._settle(result, path, item, ctx) if disinfect else self._judge(result)
        return result

    def _settle(self, result: Result, path: str, item: Item, ctx: ScanContext) -> list[Finding]:
        """What to make of an answer, where the daemon was to disinfect the file."""
        meaning = result.meaning(self._set.suspicious)
        if meaning not in (Meaning.CLEAN, Meaning.DISINFECTED):
            return self._judge(result)
        try:
            if meaning is Meaning.DISINFECTED:
                if self._set.unscannable and result.partial:
                    return self._malware(result, f"{result.text}, but part of it could not be scanned")
                if handover.take_back(path, item, ctx):
                    return [Finding(self.name, Kind.DISINFECTED, self._name(result))]
            elif not os.path.exists(path) or handover.take_back(path, item, ctx._replace(cleaned=_nobody)):
                # It says clean, yet the file is not what it was: what we would deliver is not what it means.
                return self._malware(result, "the daemon changed the file without saying so")
        except OSError as e:
            raise EngineError(Reason.DOWN, f"cannot keep what was disinfected: {e}") from None
        return self._judge(result)

    # -- judging

    def _worst(self, results: Iterable[Result]) -> Result:
        """The worst of an answer's lines, with what any of them left out."""
        known = list(results)
        result = worst(known, self._set.suspicious)
        partial = 0
        for other in known:
            partial |= other.code & (SKIPPED | UNSCANNABLE)
        return result._replace(code=result.code | partial)

    def _judge(self, result: Result) -> list[Finding]:
        """Findings of a file as it was sent; so what was disinfected is still malware."""
        meaning = result.meaning(self._set.suspicious)
        if meaning is Meaning.FOUND:
            return self._malware(result, result.text)
        if meaning is Meaning.ERROR:
            if "too long" in result.text.lower():
                raise EngineError(Reason.LIMIT, result.text)
            raise RefusedError(f"{result.text} (status {result.code})")
        if meaning is Meaning.DISINFECTED:
            return self._malware(result, f"{result.text} (not put back)")
        if self._set.unscannable and result.partial:
            encrypted = "encrypt" in result.text.lower()
            reason = Reason.ENCRYPTED if encrypted else Reason.BROKEN if result.code & UNSCANNABLE else Reason.LIMIT
            raise EngineError(reason, f"{result.text} (status {result.code})")
        return []

    def _malware(self, result: Result, detail: str) -> list[Finding]:
        return [Finding(self.name, Kind.MALWARE, self._name(result), detail=detail[:_MAX_NAME])]

    def _name(self, result: Result) -> str:
        return result.malware[:_MAX_NAME] or f"{self.name}.infected"


def _refused(result: Result) -> bool:
    """Could it not read the file, or not take an option?  A crash is something else."""
    return result.meaning() is Meaning.ERROR and bool(result.code & PLATFORM) and not result.code & INTERNAL


def _nobody(_item: Item, _chunks: Iterable[bytes]) -> None:
    """Takes what was cleaned, for those who only ask whether there is any."""


def _settings(options: Options) -> Settings:
    def one_of(key: str, *values: str) -> str:
        text = options.text(key, values[0])
        if text not in values:
            raise options.error(key, "expected " + " or ".join(f'"{value}"' for value in values))
        return text

    arguments = options.texts("arguments")
    try:
        raw = tuple(option(text) for text in arguments)
    except ValueError as e:
        raise options.error("arguments", str(e)) from None
    if any(argument.partition("=")[0].lower() == "--disinfect" for argument in arguments):
        raise options.error("arguments", "--disinfect is the option disinfect = true")
    stream_max_bytes = options.integer("stream_max_bytes", MAX_STREAM_BYTES, 1)
    if stream_max_bytes > MAX_STREAM_BYTES:
        raise options.error("stream_max_bytes", f"at most {MAX_STREAM_BYTES}: the daemon takes no more")
    place = handover.place(options)
    if not place.directory.isprintable() or "->" in place.directory:
        raise options.error("temp_dir", "fpscand's protocol cannot carry this path")
    return Settings(
        one_of("mode", "auto", "file", "stream"),
        options.flag("disinfect", True),
        one_of("suspicious", "malware", "clean") == "malware",
        one_of("unscannable", "clean", "error") == "error",
        raw,
        stream_max_bytes,
        place,
    )
