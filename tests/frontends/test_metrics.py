"""/metrics, /health and /ready: what is shown, to whom, and that nobody can keep the loop waiting."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.frontends import metrics
from lazaretto.frontends.metrics import MAX_CLIENTS, MAX_HEAD_BYTES, TIMEOUT_S, Endpoint, render, troubles
from lazaretto.frontends.samples import Samples, sample

parser = pytest.importorskip("prometheus_client.openmetrics.parser")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Served:
    """An endpoint, and the loop that it is in."""

    def __init__(self, address: str) -> None:
        self.clock = Clock()
        self.samples: dict[str, float] = {'lazaretto_messages_total{outcome="clean"}': 3.0}
        self.troubles: list[str] = []
        self.endpoint = Endpoint(address, lambda: self.samples, lambda: self.troubles, self.clock)
        self.where = self.endpoint.listener.sock.getsockname()

    def connect(self, buffer_bytes: int = 0) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX if isinstance(self.where, str) else socket.AF_INET)
        if buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.settimeout(10)
        sock.connect(self.where)
        return sock

    def turn(self) -> bool:
        """Handle what there is to do; False if there is nothing."""
        there, _, _ = select.select([self.endpoint], [], [], 0.05)
        if there:
            self.endpoint.handle()
        return bool(there)

    def ask(self, request: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Status line, fields, body."""
        with self.connect() as sock:
            sock.sendall(request)
            return read(sock, self.turn)


def read(sock: socket.socket, turn: Callable[[], object]) -> tuple[bytes, dict[bytes, bytes], bytes]:
    data = b""
    sock.setblocking(False)
    for _ in range(1000):
        turn()
        try:
            piece = sock.recv(65536)
        except BlockingIOError:
            continue
        data += piece
        if not piece:
            break
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    return status, {name: value for name, _, value in (field.partition(b": ") for field in fields)}, body


@pytest.fixture(params=["127.0.0.1:0", "unix"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    made = Served(request.param if request.param != "unix" else f"unix:{tmp_path}/m")
    yield made
    made.endpoint.close()


GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_metrics(served: Served) -> None:
    status, fields, body = served.ask(GET % b"/metrics")
    assert status == b"HTTP/1.1 200 OK"
    assert fields[b"Content-Type"].startswith(b"application/openmetrics-text; version=1.0.0")
    assert fields[b"Connection"] == b"close"
    assert int(fields[b"Content-Length"]) == len(body)
    families = list(parser.text_string_to_metric_families(body.decode()))
    assert [(family.name, family.type) for family in families] == [("lazaretto_messages", "counter")]
    assert [(one.name, one.labels, one.value) for one in families[0].samples] == [("lazaretto_messages_total", {"outcome": "clean"}, 3.0)]


def test_who_asks_for_the_older_text_gets_it(served: Served) -> None:
    _, fields, body = served.ask(b"GET /metrics HTTP/1.0\r\nACCEPT: text/plain;version=0.0.4\r\n\r\n")
    assert fields[b"Content-Type"].startswith(b"text/plain; version=0.0.4")
    assert b"# EOF" not in body
    assert b'lazaretto_messages_total{outcome="clean"} 3.0\n' in body


def test_health_and_ready(served: Served) -> None:
    assert served.ask(GET % b"/health")[::2] == (b"HTTP/1.1 200 OK", b"ok\n")
    assert served.ask(GET % b"/ready")[::2] == (b"HTTP/1.1 200 OK", b"ready\n")
    served.troubles = ["engine clamd does not answer", "not all workers are up"]
    assert served.ask(GET % b"/health")[0] == b"HTTP/1.1 200 OK"
    status, _, body = served.ask(GET % b"/ready?x=y")
    assert (status, body) == (b"HTTP/1.1 503 Service Unavailable", b"engine clamd does not answer\nnot all workers are up\n")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1", b"404 Not Found"),
        (b"GET /metrics/ HTTP/1.1", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5", b"405 Method Not Allowed"),
        (b"GET /metrics", b"400 Bad Request"),
        (b"GET /metrics HTTP/2", b"400 Bad Request"),
        (b"GET  /metrics HTTP/1.1", b"400 Bad Request"),
        (b"\xff\x00", b"400 Bad Request"),
    ],
)
def test_other_requests(served: Served, request_head: bytes, status: bytes) -> None:
    assert served.ask(request_head + b"\r\n\r\n")[0] == b"HTTP/1.1 " + status


def test_only_the_head(served: Served) -> None:
    status, fields, body = served.ask(b"HEAD /health HTTP/1.1\r\n\r\n")
    assert (status, fields[b"Content-Length"], body) == (b"HTTP/1.1 200 OK", b"3", b"")


def test_byte_by_byte(served: Served) -> None:
    with served.connect() as sock:
        for byte in GET % b"/health":
            sock.send(bytes((byte,)))
            served.turn()
        assert read(sock, served.turn)[2] == b"ok\n"


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD_BYTES, b"200 OK"), (MAX_HEAD_BYTES + 1, b"431 Request Header Fields Too Large")])
def test_a_large_head(served: Served, size: int, status: bytes) -> None:
    request = GET % b"/health"
    padding = b"X: " + b"x" * (size - len(request) - 5) + b"\r\n"
    assert served.ask(request[:-2] + padding + b"\r\n")[0] == b"HTTP/1.1 " + status


def test_a_large_answer_to_somebody_slow(served: Served) -> None:
    served.samples = {sample("lazaretto_messages_total", reason=f"{'r' * 1000}{number}"): 1.0 for number in range(2000)}
    served.endpoint.listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    with served.connect(1 << 16) as sock:
        sock.sendall(GET % b"/metrics")
        while served.turn():
            pass
        assert served.ask(GET % b"/health")[2] == b"ok\n"  # nobody waits for that one
        status, fields, body = read(sock, served.turn)
    assert (status, len(body)) == (b"HTTP/1.1 200 OK", int(fields[b"Content-Length"]))


def test_who_says_nothing_goes_when_the_time_is_over(served: Served) -> None:
    with served.connect() as silent:
        assert served.turn()
        served.clock.now += TIMEOUT_S
        assert served.ask(GET % b"/health")[2] == b"ok\n"
        assert silent.recv(1) == b""


def test_the_oldest_goes_when_there_are_too_many(served: Served) -> None:
    silent = [served.connect() for _ in range(MAX_CLIENTS)]
    while served.turn():
        pass
    assert served.ask(GET % b"/health")[2] == b"ok\n"
    assert silent[0].recv(1) == b""
    silent[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        silent[1].recv(1)
    for sock in silent:
        sock.close()


def test_who_hangs_up_is_forgotten(served: Served) -> None:
    for said in (b"", b"GET /hea"):
        with served.connect() as sock:
            sock.sendall(said)
            served.turn()
        while served.turn():
            pass
    assert served.ask(GET % b"/health")[2] == b"ok\n"


def test_in_a_loop_of_asyncio(served: Served) -> None:
    async def go() -> bytes:
        loop = asyncio.get_running_loop()
        loop.add_reader(served.endpoint.fileno(), served.endpoint.handle)
        if isinstance(served.where, str):
            reader, writer = await asyncio.open_unix_connection(served.where)
        else:
            reader, writer = await asyncio.open_connection(*served.where)
        writer.write(GET % b"/health")
        data = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        loop.remove_reader(served.endpoint.fileno())
        return data

    assert asyncio.run(go()).endswith(b"\r\n\r\nok\n")


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    made = Served(f"unix:{tmp_path}/m")
    with made.connect() as sock:
        made.turn()
        made.endpoint.close()
        assert sock.recv(1) == b""
    assert list(tmp_path.iterdir()) == []


def test_only_this_machine() -> None:
    with pytest.raises(ConfigError, match="of this machine only"):
        Endpoint("0.0.0.0:0", dict, list)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"pip install 'lazaretto\[server\]'"):
        Endpoint("127.0.0.1:0", dict, list)


def test_what_keeps_it_from_being_ready() -> None:
    samples = {'lazaretto_engine_failing{engine="a"}': 0.0, 'lazaretto_engine_failing{engine="b"}': 2.0, "lazaretto_jobs": 7.0}
    assert troubles(samples, workers=True) == ["engine b does not answer"]
    assert troubles(samples, workers=False) == ["not all workers are up", "engine b does not answer"]
    assert troubles({}, workers=True) == []


def test_histograms_and_levels() -> None:
    samples = Samples()
    for engine in ("b", "a"):
        samples.observe("lazaretto_scan_seconds", 0.01, frontend=engine)
    samples.level("lazaretto_jobs", 4)
    samples.values["no name"] = 1.0
    kind, text = render(samples.values)
    assert "openmetrics" in kind
    families = {family.name: family for family in parser.text_string_to_metric_families(text.decode())}
    assert {name: family.type for name, family in families.items()} == {"lazaretto_scan_seconds": "histogram", "lazaretto_jobs": "gauge"}
    assert families["lazaretto_scan_seconds"].documentation == metrics.HELP["lazaretto_scan_seconds"]
    assert families["lazaretto_jobs"].samples[0].value == 4.0


@given(st.dictionaries(st.text(max_size=20), st.integers(0, 10), max_size=5))
def test_labels_come_back(reasons: dict[str, int]) -> None:
    samples = {sample("lazaretto_messages_total", reason=reason): float(count) for reason, count in reasons.items()}
    _, text = render(samples)
    shown = [one for family in parser.text_string_to_metric_families(text.decode("utf-8", "surrogatepass")) for one in family.samples]
    assert {one.labels["reason"]: one.value for one in shown} == reasons


def test_each_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    assert [name for name in metrics.HELP if f"| `{name}` |" not in page] == []
