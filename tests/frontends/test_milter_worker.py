"""The milter as processes, with a whole supervisor above: who is killed, and what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

import serving
from eicar import EICAR
from lazaretto.frontends import milter_worker
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.scan_pool import PoolSettings
from milter_double import Held, Mta, MtaClient, packet, session
from milter_process import MilterProcess
from serving import eventually
from smtp_service import alive, children

MESSAGE = b"Subject: hello\r\n\r\nNothing to see here.\r\n"
SLOW = '[engines.slow]\nkind = "command"\nargv = ["sh", "-c", "exec sleep 600", "{file}"]\n'


def gone(*pids: int) -> None:
    eventually(lambda: not any(map(alive, pids)), f"the end of {pids}")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_message(workers: int) -> None:
    with MilterProcess(process__workers=workers) as service:
        for address in (service.address, service.tcp):
            with session(address) as mta:
                told = mta.deliver(MESSAGE)
                assert (told.letters, told.message) == ("a", MESSAGE)
        family = service.family()
        assert len(family) == {0: 3, 1: 4, 2: 7}[workers]
        assert service.stop() == 0
        gone(*family)
        eventually(lambda: len(service.final_lines()) == 2, "the final line")
        assert ["outcome=clean" in line for line in service.final_lines()] == [True, True]


@pytest.mark.parametrize("mta", [Mta(), Mta(2, 0x3F, 0x7F)], ids=["6", "2"])
def test_what_is_infected(mta: Mta) -> None:
    message = MESSAGE + EICAR + b"\r\n"
    with MilterProcess(engine="yara", headers__status_field="X-Lazaretto-Status") as service, session(service.address, mta) as client:
        told = client.deliver(message)
        assert told.letter == "a"
        assert EICAR not in told.message
        assert told.message.startswith(b"X-Lazaretto-Status: cleaned; found=malware; rule=policy.malware\r\nSubject: hello\r\n")
        eventually(lambda: len(service.final_lines()) == 1, "the final line")
        line = service.final_lines()[0]
        assert "outcome=cleaned" in line
        assert " quarantine=" in line
        assert " queue_id=4Q1" in line


def test_it_listens_on_ipv6() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            port = free.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no ::1")
    with MilterProcess(milter__listen=[f"inet6:{port}@::1"]) as service, session(f"[::1]:{port}") as mta:
        assert mta.deliver(MESSAGE).letter == "a"
        assert f"listen=[::1]:{port}" in service.log


def test_rules_that_read_macros() -> None:
    rules = '[[rule]]\nname = "submission"\nmacro = "auth_authen=*"\nkind = "malware"\naction = "reject"\ntext = "You send malware"\n'
    with MilterProcess(engine="yara", rules=rules) as service, session(service.address) as mta:
        infected = MESSAGE + EICAR + b"\r\n"
        assert mta.deliver(infected).letter == "a"
        assert mta.deliver(infected, auth_authen=b"joe").text == b"554 5.7.1 You send malware\0"
        eventually(lambda: len(service.final_lines()) == 2, "the final line")
        assert "rule=submission" in service.final_lines()[1]


def test_a_killed_worker_s_message_gets_its_line() -> None:
    with MilterProcess() as service, session(service.address) as mta:
        assert mta.envelope()[0] == "c"
        mta.send(packet("B", b"half a message"))
        mta.send(packet("U", b"NOOP\0"))  # which nobody answers
        worker = service.workers[0]
        with session(service.address) as other:
            assert other.deliver(MESSAGE).letter == "a"  # so the first one has arrived: one worker, in order
        os.kill(worker, signal.SIGKILL)
        assert mta.ended()
        eventually(lambda: len(service.final_lines()) == 2, "the final line")
        assert 'outcome=deferred rule=system error="the worker ended before its time: signal 9"' in service.final_lines()[1]
        eventually(lambda: service.workers not in ([], [worker]), "another worker")
        with session(service.address) as other:
            assert other.deliver(MESSAGE).letter == "a"


def test_a_killed_scan_process_is_a_temporary_failure() -> None:
    with MilterProcess(rules=SLOW, engine="command:slow") as service, session(service.address) as mta:
        assert mta.envelope()[0] == "c"
        for letter, data in mta.mta.content(MESSAGE):
            mta.send(mta.mta.command(letter, data))
        eventually(lambda: any(map(children, service.scanners)), "a scan")
        for pid in service.scanners:
            if children(pid):
                os.kill(pid, signal.SIGKILL)
        told = mta.end(MESSAGE)
        assert told.text.startswith(b"451 4.3.0")
        eventually(lambda: len(service.final_lines()) == 1, "the final line")
        assert "outcome=deferred" in service.final_lines()[0]


def test_an_engine_that_does_not_answer_in_time() -> None:
    settings = {"limits__max_scan_s": 1.0, "milter__progress_s": 0.1}
    with MilterProcess(rules=SLOW, engine="command:slow", **settings) as service, session(service.address) as mta:
        told = mta.deliver(MESSAGE)
        assert told.letters.strip("p") == "y"
        assert told.letters.count("p") >= 3
        assert told.text.startswith(b"451 4.")
        eventually(lambda: len(service.final_lines()) == 1, "the final line")
        assert "outcome=deferred" in service.final_lines()[0]


def test_everything_ends_when_the_supervisor_is_killed() -> None:
    with MilterProcess(process__workers=2) as service:
        eventually(lambda: len(service.scanners) == 4, "scan processes")
        family = service.family()
        service.supervisor.kill()
        gone(*family)


def test_reload_leaves_sessions_to_their_end() -> None:
    with MilterProcess() as service, session(service.address) as mta, MtaClient(service.address).negotiate() as idle:
        (worker,) = service.workers
        assert mta.deliver(MESSAGE).letter == "a"
        service.configure(headers__status_field="X-New")
        service.supervisor.send_signal(signal.SIGHUP)
        eventually(lambda: "event=reload" in service.log, "the reload")
        assert idle.ended()
        assert mta.deliver(MESSAGE).message == MESSAGE  # under what it has begun with
        with session(service.address) as new:
            assert new.deliver(MESSAGE).message.startswith(b"X-New: clean\r\n")
        assert alive(worker)
        mta.send(packet("Q"))
        gone(worker)


def test_stop_lets_nobody_wait() -> None:
    """TERM: who serves no message is hung up on at once."""
    with MilterProcess() as service, session(service.address) as mta:
        assert mta.deliver(MESSAGE).letter == "a"
        assert service.stop() == 0
        assert mta.ended()


def test_the_socket_has_its_mode_and_group() -> None:
    with MilterProcess(milter__socket_mode="0600", milter__socket_group="0") as service:
        status = os.stat(service.address.removeprefix("unix:"))
        assert (status.st_mode & 0o7777, status.st_gid) == (0o600, 0)


def test_metrics(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    link = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    link.symlink_to(tmp_path)

    def page(name: str) -> str:
        with serving.connect(f"{link}/m") as client:
            client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % name.encode())
            return serving.rest(client).decode()

    try:
        with MilterProcess(metrics__listen=f"unix:{link}/m") as service, session(service.address) as mta:
            assert page("ready").startswith("HTTP/1.1 200 ")
            assert mta.deliver(MESSAGE).letter == "a"
            counted = 'lazaretto_messages_total{frontend="milter",outcome="clean",reason="default"} 1.0\n'
            eventually(lambda: counted in page("metrics"), "the count")
            assert 'lazaretto_workers{process="milter"} 1.0\n' in page("metrics")
    finally:
        link.unlink()


def test_the_double_holds_what_it_is_told() -> None:
    """Of the double: positions count an MTA's own field, deleted ones count on in one of the two manners."""
    for ghosts, left in ((True, b"A: 2"), (False, b"A: 1")):
        held = Held(b"A: 1\r\nA: 2\r\n\r\n", own=1, ghosts=ghosts)
        held.apply("m", b"\0\0\0\x01A\0\0")
        held.apply("m", b"\0\0\0\x01A\0 new\0")
        assert held.message == (b"A: new\r\nA: 2\r\n\r\n" if ghosts else b"A: new\r\n\r\n"), left
    held.apply("i", b"\0\0\0\x02B\0 1\0")
    assert held.message == b"A: new\r\nB: 1\r\n\r\n"


def test_who_waits_has_an_answer_within_ten_seconds_of_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if a scan process does not react: what the pool is told."""
    made: list[PoolSettings] = []

    class Pool:
        def __init__(self, _scanner: object, settings: PoolSettings, _log: object) -> None:
            made.append(settings)

        def start(self) -> None:
            pass

    monkeypatch.setattr(milter_worker, "ScanPool", Pool)
    begin = milter_worker.duty(MilterSettings(max_jobs=7), PoolSettings(size=3), None, lambda _text, _level: None)  # type: ignore[arg-type]
    asyncio.run(begin(lambda _messages: None))  # type: ignore[arg-type]
    (settings,) = made
    assert (settings.size, settings.max_jobs) == (3, 7)
    assert 1.0 < settings.margin_s < 10.0
