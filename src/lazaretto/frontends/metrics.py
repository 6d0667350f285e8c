"""/metrics, /health and /ready over HTTP, for Prometheus and for those who restart what is not well.

    GET /metrics   all samples, as OpenMetrics text, or as Prometheus' older one for who asks for text/plain
    GET /health    200 as long as somebody answers
    GET /ready     200 when mail is taken; 503 with the reasons when it is not

An Endpoint is served by the loop of somebody else: its fileno() can be read when there is something
to do, and handle() then does it without waiting.  So the process that answers is the one whose health is asked for.

Loopback or a UNIX socket only: nobody is asked who he is.  One request a connection; no body is read.

Limits:  MAX_HEAD_BYTES of a request; MAX_CLIENTS at a time, then the oldest has to go; TIMEOUT_S for a request and its
         answer, looked at whenever there is something to do.
Errors:  ConfigError for an address that others can reach, or if prometheus-client is missing (extra `server`); OSError that names it.
See:     samples.py, supervisor.py; docs/metrics.md; RFC 9112
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.frontends.listeners import Listener

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

MAX_HEAD_BYTES = 8192
MAX_CLIENTS = 16
TIMEOUT_S = 10.0

HELP = {
    "lazaretto_messages": "Messages that have got their final line, by what was done and by the rule that decided.",
    "lazaretto_scan_seconds": "How long a message was scanned.",
    "lazaretto_engine_seconds": "How long an engine took for all of a message.",
    "lazaretto_engine_failures": "Messages for which an engine did not answer as it should.",
    "lazaretto_engine_failing": "Processes in which the engine failed on the last message it was asked about.",
    "lazaretto_jobs": "Messages that are spooled, scanned, or waiting for it.",
    "lazaretto_spooled_bytes": "Bytes of the messages that are here now.",
    "lazaretto_connections": "Clients that are connected.",
    "lazaretto_cache_hits": "Verdicts that were known already.",
    "lazaretto_restarts": "Processes that had to be replaced, by kind.",
    "lazaretto_workers": "Workers that accept mail.",
}

_SAMPLE = regex.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?s:.*))\})?\Z")
_LABEL = regex.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?s:[^"\\]|\\.)*)"(?:,|\Z)')
_ESCAPE = regex.compile(r"\\(.)")
_SUFFIXES = ("_total", "_bucket", "_count", "_sum")
_PLAIN = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What is sent back."""

    status: str
    body: bytes
    kind: str = _PLAIN
    fields: tuple[str, ...] = ()


class _Client:
    __slots__ = ("head", "out", "since", "sock")

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.since = now
        self.head = bytearray()
        self.out = memoryview(b"")


class Endpoint:
    """Listens at `address`. `samples` is what /metrics shows, `troubles` why mail is not taken: nothing, and it is ready."""

    def __init__(
        self,
        address: str,
        samples: Callable[[], Mapping[str, float]],
        troubles: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require()
        self._samples = samples
        self._troubles = troubles
        self._clock = clock
        self._clients: dict[int, _Client] = {}  # the oldest first
        self.listener = Listener(address, 0o660)
        if self.listener.shared:
            self.listener.close()
            raise ConfigError(f"metrics.listen: expected an address of this machine only (127.0.0.1, [::1], unix:), not {address!r}")
        self._selector = selectors.DefaultSelector()  # one with a descriptor, which another loop can watch
        self._selector.register(self.listener.sock, selectors.EVENT_READ)

    def fileno(self) -> int:
        """To be watched for reading."""
        fileno = getattr(self._selector, "fileno", None)
        assert fileno is not None, "epoll, kqueue and /dev/poll have one"
        return int(fileno())

    def handle(self) -> None:
        """Do what there is to do, without waiting."""
        for key, events in self._selector.select(0):
            client = self._clients.get(key.fd)
            if key.fileobj is self.listener.sock:
                self._accept()
            elif client is not None:
                self._go_on(client, events)
        now = self._clock()
        for client in [client for client in self._clients.values() if client.since + TIMEOUT_S <= now]:
            self._drop(client)

    def close(self) -> None:
        """Let go of all of it.  In a forked child, the parent's goes on: nothing is unregistered, only closed."""
        self._selector.close()
        for client in self._clients.values():
            client.sock.close()
        self._clients.clear()
        self.listener.close()

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.sock.accept()
        except OSError:
            return  # gone again, or no descriptors: it will be asked for again
        sock.setblocking(False)
        while len(self._clients) >= MAX_CLIENTS:
            self._drop(next(iter(self._clients.values())))
        self._clients[sock.fileno()] = _Client(sock, self._clock())
        self._selector.register(sock, selectors.EVENT_READ)

    def _drop(self, client: _Client) -> None:
        del self._clients[client.sock.fileno()]
        self._selector.unregister(client.sock)
        client.sock.close()

    def _go_on(self, client: _Client, events: int) -> None:
        try:
            if client.out:
                if events & selectors.EVENT_WRITE:
                    client.out = client.out[client.sock.send(client.out) :]
                if not client.out:
                    self._drop(client)
                return
            data = client.sock.recv(MAX_HEAD_BYTES + 1 - len(client.head))
            client.head += data
            if not data:
                self._drop(client)
                return
            end = client.head.find(b"\r\n\r\n")
            if 0 <= end <= MAX_HEAD_BYTES - 4:
                self._answer(client, self.respond(bytes(client.head[:end])))
            elif len(client.head) > MAX_HEAD_BYTES:
                self._answer(client, (Answer("431 Request Header Fields Too Large", b"too large\n"), False))
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)

    def respond(self, head: bytes) -> tuple[Answer, bool]:
        """The answer to a request, and whether only its head is wanted."""
        line, *fields = head.decode("latin-1").split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return Answer("400 Bad Request", b"expected GET /metrics HTTP/1.1\n"), False
        if words[0] not in ("GET", "HEAD"):
            return Answer("405 Method Not Allowed", b"GET or HEAD\n", fields=("Allow: GET, HEAD",)), False
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        return self._page(words[1].partition("?")[0], headers.get("accept", "")), words[0] == "HEAD"

    def _page(self, path: str, accept: str) -> Answer:
        if path == "/metrics":
            kind, text = render(self._samples(), accept)
            return Answer("200 OK", text, kind)
        if path == "/health":
            return Answer("200 OK", b"ok\n")
        if path == "/ready":
            troubles = self._troubles()
            if troubles:
                return Answer("503 Service Unavailable", "".join(f"{trouble}\n" for trouble in troubles).encode("utf-8", "replace"))
            return Answer("200 OK", b"ready\n")
        return Answer("404 Not Found", b"there are /metrics, /health, /ready\n")

    def _answer(self, client: _Client, answer: tuple[Answer, bool]) -> None:
        what, head_only = answer
        lines = (f"HTTP/1.1 {what.status}", f"Content-Type: {what.kind}", f"Content-Length: {len(what.body)}", "Cache-Control: no-store")
        head = "\r\n".join((*lines, *what.fields, "Connection: close", "", "")).encode("latin-1")
        client.out = memoryview(head + (b"" if head_only else what.body))
        self._selector.modify(client.sock, selectors.EVENT_WRITE)


def require() -> None:
    """ConfigError unless prometheus-client can be imported."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise ConfigError("metrics.listen needs the package prometheus-client: pip install 'lazaretto[server]'") from None


def troubles(samples: Mapping[str, float], workers: bool) -> list[str]:
    """Why mail is not taken as it should be: for /ready.  `workers`: are they all there?"""
    found = [] if workers else ["not all workers are up"]
    failing = (_read(key) for key, value in samples.items() if value > 0 and key.startswith("lazaretto_engine_failing{"))
    return found + [f"engine {labels.get('engine', '?')} does not answer" for _, labels in failing]


def render(samples: Mapping[str, float], accept: str = "") -> tuple[str, bytes]:
    """(media type, text) of `samples`, as the client would like it: without a wish, OpenMetrics."""
    from prometheus_client.exposition import choose_encoder

    wish = accept if "text/plain" in accept else "application/openmetrics-text; version=1.0.0"
    encoder, kind = choose_encoder(wish)
    return kind, encoder(_Collector(samples))


class _Collector:
    def __init__(self, samples: Mapping[str, float]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Families of samples, those of the table first and always."""
        from prometheus_client.metrics_core import Metric

        families: dict[str, Metric] = {}
        for key, value in self._samples.items():
            name, labels = _read(key)
            family, kind = _family(name)
            if not family:
                continue
            metric = families.get(family)
            if metric is None:
                metric = families[family] = Metric(family, HELP.get(family, family), kind)
            metric.add_sample(name, labels, value)
        for family in sorted(families):
            families[family].samples.sort(key=_order)
            yield families[family]


def _order(one: tuple[object, ...]) -> tuple[object, ...]:
    """Buckets of one histogram stand together, by their limits, and before its count and sum."""
    name, labels = str(one[0]), one[1]
    assert isinstance(labels, dict)
    others = sorted((key, value) for key, value in labels.items() if key != "le")
    return others, name, float(labels.get("le", "inf"))


def _family(name: str) -> tuple[str, str]:
    if name.endswith("_total"):
        return name.removesuffix("_total"), "counter"
    for suffix in _SUFFIXES[1:]:
        if name.endswith(suffix):
            return name.removesuffix(suffix), "histogram"
    return name, "gauge"


def _read(key: str) -> tuple[str, dict[str, str]]:
    """Name and labels; an empty name if `key` is none of ours."""
    found = _SAMPLE.match(key)
    if found is None:
        return "", {}
    labels = {label[1]: _unescaped(label[2]) for label in _LABEL.finditer(found[2] or "")}
    return found[1], labels


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], value)
