"""SMTP sessions and scan processes in one worker, with a whole supervisor above: who is killed, and what is left."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Self, cast

import pytest

import serving
from eicar import EICAR
from lazaretto.frontends import processes
from lazaretto.frontends.control import Control
from lazaretto.frontends.processes import Role
from lazaretto.frontends.smtp_delivery import Pool, Result
from lazaretto.frontends.smtp_proxy import SmtpService
from lazaretto.frontends.smtp_relay import Relay
from lazaretto.frontends.smtp_settings import Address, SmtpSettings
from lazaretto.frontends.smtp_transaction import Transaction
from lazaretto.model import Envelope
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_server import Server
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


def test_ipv6_on_both_sides() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            ours = f"[::1]:{free.getsockname()[1]}"
    except OSError:
        pytest.skip("no IPv6")
    with Sink(listener=listener) as hop, Service(hop.address, smtp__listen=[ours]) as service:
        assert hop.address.startswith("[::1]:")
        outcome = attempt(ours, MESSAGE)
        assert str(outcome) == "250 END"
        assert [message.data for message in hop.messages] == [MESSAGE]
        eventually(lambda: len(service.final_lines()) == 1, "the line")
        assert "client=::1" in service.final_lines()[0]


def test_what_is_infected(hop: Sink) -> None:
    with Service(hop.address, engine="yara") as service:
        assert attempt(service.address, MESSAGE + EICAR + b"\r\n").answer is not None
        assert EICAR not in hop.messages[0].data
        eventually(lambda: len(service.final_lines()) == 1, "the line")
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


def test_a_supervisor_that_stops_has_written_all_lines(hop: Sink) -> None:
    with Service(hop.address, process__workers=2) as service:
        for _ in range(50):
            delivered(service)
        assert service.stop() == 0
        assert len(service.final_lines()) == 50


def test_lines_that_a_killed_supervisor_has_not_written_are_the_worker_s(hop: Sink) -> None:
    """It stands still, and so takes lines without writing any, until it is killed."""
    with Service(hop.address) as service:
        service.supervisor.send_signal(signal.SIGSTOP)
        for _ in range(5):
            delivered(service)
        assert service.final_lines() == []
        service.supervisor.kill()
        eventually(lambda: "event=orphan" in service.log, "the worker's notice")
        assert len(service.final_lines()) == 5


def test_nobody_waits_for_a_supervisor_that_stands_still(hop: Sink) -> None:
    """When it has no room for more lines, the worker writes them; in the end each message has its one."""
    with Service(hop.address) as service:
        service.supervisor.send_signal(signal.SIGSTOP)
        messages = 0
        with Session(service.address) as client:
            client.greet()
            while not service.final_lines():
                assert client.deliver(MESSAGE).code == 250
                messages += 1
        service.supervisor.send_signal(signal.SIGCONT)
        eventually(lambda: len(service.final_lines()) == messages, "all lines")
        assert service.stop() == 0
        assert len(service.final_lines()) == messages


class _Killed:
    """Counts what the interpreter does in the front ends, and kills this process, as kill -9 does, before step `at`."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Self | None:
        if "/lazaretto/frontends/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def killed_at(step: int) -> tuple[int, list[str]]:
    """A worker with one message is killed at that step of its end: its exit status, and the lines that there are then."""
    settings = SmtpSettings(Address("127.0.0.1", 1))
    result = Result((Reply(250, (b"Ok",)),), {"outcome": "clean", "rule": "default"}, 6)

    def no_log(_text: str, _level: int) -> None:
        raise AssertionError("the supervisor writes the lines")

    def work(control: Control) -> int:
        service = SmtpService(settings, cast("Pool", None), no_log, ledger=control)
        relay = Relay(service, Server(), "", True, lambda: False)
        relay.transaction = Transaction(settings, service, Envelope())
        relay.transaction.begin()
        sys.settrace(_Killed(step))
        relay._end(result)
        sys.settrace(None)
        return 0

    lines: list[str] = []
    process = processes.start(Role("smtp", 1, lambda _control, _listeners: 0), work, 0.0)
    with process.line:
        _, status = os.waitpid(process.pid, 0)
        process.hear(lambda text, _level: lines.append(text))
    return os.waitstatus_to_exitcode(status), lines + ["lost"] * process.in_hand


def test_a_kill_at_any_point_leaves_exactly_one_line() -> None:
    """Before the line is handed over it is the supervisor's, who says that the message was lost; after that it is the true one."""
    seen = []
    for step in itertools.count(1):
        status, lines = killed_at(step)
        assert lines in (["lost"], ["lazaretto: outcome=clean rule=default"]), f"step {step}: {lines}"
        seen.append(lines[0])
        if status != -signal.SIGKILL:
            break
    assert status == 0
    first = seen.index("lazaretto: outcome=clean rule=default")
    assert 20 < first < len(seen) - 20, "there are steps before and behind"
    assert "lost" not in seen[first:]


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
