"""SMTP sessions and scan processes in one worker, with a whole supervisor above: who is killed, and what is left."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import serving
from eicar import EICAR
from listening import HANG_UP
from serving import eventually
from smtp_service import Service, alive, children
from smtp_session import Session, attempt
from smtp_sink import Sink

MESSAGE = b"Subject: hello\r\n\r\nNothing to see here.\r\n"


@pytest.fixture
def hop() -> Iterator[Sink]:
    with Sink() as hop:
        yield hop


class Late:
    """An answer to the end of data that waits until it is told to go.  Use it as a twist of a Sink."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.go = threading.Event()

    def __call__(self, step: str, _line: bytes, honest: bytes) -> bytes:
        if step == "END":
            self.there.set()
            self.go.wait(serving.PATIENCE_S)
        return honest

    def awaited(self) -> None:
        assert self.there.wait(serving.PATIENCE_S)


def delivered(service: Service) -> None:
    """One more message goes through."""
    outcome = attempt(service.address, MESSAGE)
    assert outcome.answer is not None
    assert outcome.answer.code == 250, outcome


def gone(*pids: int) -> None:
    eventually(lambda: not any(map(alive, pids)), f"the end of {pids}")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_message(hop: Sink, workers: int) -> None:
    with Service(hop.address, process__workers=workers) as service:
        delivered(service)
        assert hop.messages[0].data == MESSAGE
        family = service.family()
        assert len(family) == {0: 3, 1: 4, 2: 7}[workers]
        assert service.stop() == 0
        gone(*family)
        (line,) = service.final_lines()
        assert "outcome=clean" in line


def test_what_is_infected(hop: Sink) -> None:
    with Service(hop.address, engine="yara") as service:
        assert attempt(service.address, MESSAGE + EICAR + b"\r\n").answer is not None
        assert EICAR not in hop.messages[0].data
        assert "outcome=cleaned" in service.final_lines()[0]


def test_a_killed_worker_takes_its_scan_processes_with_it(hop: Sink) -> None:
    with Service(hop.address) as service:
        (worker,) = service.workers
        eventually(lambda: len(service.scanners) == 2, "scan processes")
        scanners = service.scanners
        with Session(service.address) as client:
            client.greet()
            os.kill(worker, signal.SIGKILL)
            assert client.rest() == b""
        gone(worker, *scanners)
        delivered(service)


def test_a_killed_worker_s_message_gets_its_line(hop: Sink) -> None:
    late = hop.twist = Late()
    with Service(hop.address) as service, Session(service.address) as client:
        client.greet()
        client.begin()
        client.send(MESSAGE + b".\r\n")
        late.awaited()
        os.kill(service.workers[0], signal.SIGKILL)
        eventually(lambda: len(service.final_lines()) == 1, "the final line")
        assert 'outcome=deferred rule=system error="the worker ended before its time: signal 9"' in service.final_lines()[0]
        assert client.rest() == b""
        late.go.set()


def test_everything_ends_when_the_supervisor_is_killed(hop: Sink) -> None:
    with Service(hop.address, process__workers=2) as service:
        eventually(lambda: len(service.scanners) == 4, "scan processes")
        family = service.family()
        service.supervisor.kill()
        gone(*family)


def test_reload_lets_a_message_come_to_its_end(hop: Sink) -> None:
    """It was begun under the old configuration, with the old next hop; the next one goes to the new."""
    late = hop.twist = Late()
    with Sink() as other, Service(hop.address) as service, Session(service.address) as client:
        (worker,) = service.workers
        client.greet()
        client.begin()
        client.send(MESSAGE + b".\r\n")
        late.awaited()
        service.configure(smtp__next_hop=other.address)
        service.supervisor.send_signal(signal.SIGHUP)
        eventually(lambda: "event=reload" in service.log, "the reload")
        eventually(lambda: attempt(service.address, MESSAGE).answer is not None and len(other.messages) > 0, "the new next hop")
        assert alive(worker)
        late.go.set()
        assert client.answer().code == 250
        gone(worker)
        assert len(hop.messages) == 1


def test_a_reload_with_an_error_changes_nothing(hop: Sink) -> None:
    with Service(hop.address) as service:
        before = service.workers
        service.configure(smtp__next_hop="nonsense")
        service.supervisor.send_signal(signal.SIGHUP)
        eventually(lambda: "event=reload" in service.log, "the reload")
        assert "the old configuration stays" in service.log
        assert service.workers == before
        delivered(service)


def test_a_next_hop_that_hangs_up_is_no_worker_s_end(hop: Sink) -> None:
    with Service(hop.address) as service:
        before = service.workers
        hop.twist = lambda step, _line, honest: HANG_UP if step == "CONNECT" else honest
        outcome = attempt(service.address, MESSAGE)
        assert outcome.answer is not None
        assert 400 <= outcome.answer.code < 500
        hop.twist = lambda _step, _line, honest: honest
        delivered(service)
        assert service.workers == before
        assert [pid for worker in before for pid in children(worker)] == service.scanners


@pytest.mark.parametrize("workers", [0, 2])
def test_metrics(hop: Sink, tmp_path: Path, workers: int) -> None:
    pytest.importorskip("prometheus_client")
    link = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    link.symlink_to(tmp_path)

    def page(name: str) -> str:
        with serving.connect(f"{link}/m") as client:
            client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % name.encode())
            return serving.rest(client).decode()

    counted = 'lazaretto_messages_total{frontend="smtp",outcome="clean",reason="default"} 1.0\n'
    try:
        with Service(hop.address, metrics__listen=f"unix:{link}/m", process__workers=workers) as service:
            assert page("ready").startswith("HTTP/1.1 200 ")
            delivered(service)
            eventually(lambda: counted in page("metrics"), "the count")
            if workers:
                assert 'lazaretto_workers{process="smtp"} 2.0\n' in page("metrics")
            assert service.stop() == 0
        assert not (tmp_path / "m").exists()
    finally:
        link.unlink()
