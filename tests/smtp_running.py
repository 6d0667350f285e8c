"""An SMTP service to test, in a thread of its own, with a pool that scans at once, and a client that says what it is told.

with Running(settings(hop)) as running, running.client() as client:
    assert client.say(b"EHLO me").startswith(b"250")
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from lazaretto.frontends.smtp_proxy import SmtpService
from lazaretto.frontends.smtp_settings import SmtpSettings, address, networks
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Edit, Envelope, Report, Span, Verdict
from next_hop_double import NextHop

T = TypeVar("T")
LIMIT_S = 20.0
CLEAN = Verdict(Disposition.ACCEPT)


def settings(hop: NextHop | str, **others: Any) -> SmtpSettings:
    """Of a proxy in front of `hop`."""
    where = hop if isinstance(hop, str) else hop.address
    lmtp = not isinstance(hop, str) and hop.lmtp
    usual: dict[str, Any] = {"hostname": b"proxy.example", "next_hop_lmtp": lmtp, "trusted": networks(["127.0.0.0/8"])}
    return SmtpSettings(address(where), **{**usual, **others})


class InlinePool:
    """Scans where it is: says `verdict` of each message, puts `prefix` in front.

    With `hold`, a scan lasts until `go` is called; `failure` is raised instead of a report.
    """

    def __init__(self, verdict: Verdict = CLEAN, prefix: bytes = b"", *, hold: bool = False, failure: Exception | None = None) -> None:
        self.verdict = verdict
        self.prefix = prefix
        self.failure = failure
        self.envelopes: list[Envelope] = []
        self.contents: list[bytes] = []
        self.begun = threading.Semaphore(0)
        self.cancelled = threading.Event()
        self._hold = hold
        self._gates: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def scan(self, source: Source, envelope: Envelope = Envelope()) -> Report:
        self.envelopes.append(envelope)
        self.contents.append(b"".join(source.chunks()))
        if self._hold:
            gate = asyncio.Event()
            self._gates.append((asyncio.get_running_loop(), gate))
            self.begun.release()
            try:
                await gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if self.failure is not None:
            raise self.failure
        edits = (Edit(Span(0, 0), self.prefix),) if self.prefix else ()
        return Report("scan-id", (), self.verdict, edits, 1.0, (("double", ""),), "digest")

    def go(self) -> None:
        """Let the scans end that have begun."""
        gates, self._gates = self._gates, []
        for loop, gate in gates:
            loop.call_soon_threadsafe(gate.set)


class Running:
    """A service that listens; `lines` is its log."""

    def __init__(self, settings: Any, pool: Any = None, *, path: Path | None = None) -> None:
        self.pool = pool if pool is not None else InlinePool()
        self.lines: list[tuple[str, int]] = []
        self.troubles: list[dict[str, Any]] = []  # told to the event loop
        self.logged = threading.Condition()
        self.port = 0
        self._path = path
        self._ready = threading.Event()
        self._settings = settings
        self._thread = threading.Thread(target=self._main)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(LIMIT_S)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        assert self.troubles == []
        assert (self.service.jobs, self.service.spooled_bytes, self.service.connections) == (0, 0, 0)

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _loop, context: self.troubles.append(context))
        self._over = asyncio.Event()
        self.service = self._made()
        if self._path is not None:
            server: asyncio.Server = await self.loop.create_unix_server(self.service.protocol, str(self._path))
        else:
            server = await self.loop.create_server(self.service.protocol, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        await self.service.close()

    def _made(self) -> Any:
        return SmtpService(self._settings, self.pool, self._log)

    def _log(self, text: str, level: int) -> None:
        with self.logged:
            self.lines.append((text, level))
            self.logged.notify_all()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it in the service's loop."""
        return self.begin(coroutine)()

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Callable[[], T]:
        """The same, but the result later."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return lambda: future.result(LIMIT_S)

    @property
    def final(self) -> list[dict[str, str]]:
        """Final lines so far, as pairs."""
        return [pairs for pairs in map(pairs_of, [text for text, _ in self.lines]) if "outcome" in pairs]

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the log says so."""
        with self.logged:
            assert self.logged.wait_for(condition, LIMIT_S), self.lines

    def until_idle(self) -> None:
        """Wait until all sessions are over, and all connections to the next hop."""
        self.run(self.service.finished())

    def line(self) -> dict[str, str]:
        """The one final line."""
        self.until(lambda: len(self.final) > 0)
        (only,) = self.final
        return only

    def client(self) -> Client:
        """One connection, greeted."""
        if self._path is not None:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(self._path))
        else:
            sock = socket.create_connection(("127.0.0.1", self.port))
        return Client(sock)


class Client:
    """An SMTP client that checks nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(LIMIT_S)
        self.buffer = b""
        self.greeting = self.reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.sock.close()

    def reply(self) -> bytes:
        """The next whole reply; b"" at the end."""
        while (found := re.match(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r\n", self.buffer)) is None:
            data = self.sock.recv(65536)
            if not data:
                assert self.buffer == b""
                return b""
            self.buffer += data
        self.buffer = self.buffer[found.end() :]
        return found[0]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def say(self, line: bytes) -> bytes:
        self.send(line + b"\r\n")
        return self.reply()

    def envelope(self, *recipients: bytes, sender: bytes = b"s@example.org", hello: bytes = b"EHLO client.example") -> list[bytes]:
        """Replies to hello (b"": not said), MAIL and RCPT."""
        said = [self.say(hello)] if hello else []
        said.append(self.say(b"MAIL FROM:<%b>" % sender))
        return said + [self.say(b"RCPT TO:<%b>" % who) for who in recipients or (b"r@example.net",)]

    def content(self, content: bytes = b"Subject: x\r\n\r\ny\r\n") -> bytes:
        """The reply to DATA, which has to be 354, and then to the message."""
        assert self.say(b"DATA").startswith(b"354 ")
        self.send(stuffed(content))
        return self.reply()

    def ended(self) -> bool:
        """Has the other side hung up, without another word?"""
        return self.buffer == b"" and self.sock.recv(1) == b""


def stuffed(content: bytes) -> bytes:
    """As it is sent after DATA.  RFC 5321 s4.5.2"""
    text = re.sub(rb"(\A|\r\n)\.", rb"\1..", content)
    return text + (b"" if text.endswith(b"\r\n") or not text else b"\r\n") + b".\r\n"


def pairs_of(line: str) -> dict[str, str]:
    """A line of the log, taken apart."""
    return {key: value[1:-1] if value[:1] == '"' else value for key, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line)}
