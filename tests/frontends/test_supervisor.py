"""The supervisor and its workers as processes: stopped, reloaded, killed, and nothing left behind."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import serving
from echoing import GOODBYE, Client, Service, alive, eventually
from lazaretto.frontends.supervisor import BACK_OFF_S


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Short enough for the address of a socket in it."""
    short = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    short.symlink_to(tmp_path)
    yield short
    short.unlink()


def pids(service: Service, count: int) -> set[int]:
    """The workers, when there are so many."""
    eventually(lambda: len(service.children) == count, f"{count} workers")
    return set(service.children)


def spread(service: Service, clients: ExitStack) -> dict[int, Client]:
    """A client of every worker: connections are taken by whoever is first, so stop the others."""
    found: dict[int, Client] = {}
    for pid in service.children:
        for other in service.children:
            os.kill(other, signal.SIGSTOP if other != pid else signal.SIGCONT)
        client = found[pid] = clients.enter_context(service.connect())
        assert client.pid == pid
    for pid in service.children:
        os.kill(pid, signal.SIGCONT)
    return found


def crashes(service: Service, count: int = 1) -> list[str]:
    """The lines about so many of them, when they are there."""
    eventually(lambda: len(service.lines("event=crash")) >= count, f"{count} crashes")
    return service.lines("event=crash")


def gone(*processes: int) -> None:
    eventually(lambda: not any(alive(pid) for pid in processes), f"the end of {processes}")


# -- workers


def test_all_workers_accept_from_the_same_socket(folder: Path) -> None:
    with Service(folder, places=3) as service, ExitStack() as clients:
        workers = pids(service, 3)
        assert set(spread(service, clients)) == workers
        assert "workers=3" in service.lines("event=started")[0]
        assert service.stop() == 0
        gone(*workers)
        assert not os.path.lexists(service.socket)
        assert len(service.lines("event=stopped")) == 1
        assert service.lines("event=crash") == []


def test_a_worker_that_dies_is_replaced_and_others_do_not_notice(folder: Path) -> None:
    with Service(folder, places=2) as service, ExitStack() as clients:
        before = pids(service, 2)
        first, second = spread(service, clients).items()
        second[1].send(f"hold {folder}/go")
        os.kill(first[0], signal.SIGKILL)
        assert first[1].hear() == ""
        eventually(lambda: len(set(service.children) - before) == 1, "another one")
        assert f'process=smtp worker={first[0]} error="signal 9"' in crashes(service)[0]
        (folder / "go").touch()
        assert second[1].hear() == "held"
        with service.connect() as client:
            assert client.ask("hello") == "hello"


def test_messages_of_a_worker_that_dies_get_their_final_lines(folder: Path) -> None:
    with Service(folder, places=2) as service, ExitStack() as clients:
        pids(service, 2)
        first, second = spread(service, clients).items()
        for client in (first[1], first[1], second[1]):
            client.send("hold /nowhere")
        assert first[1].ask("x") == "x"
        os.kill(first[0], signal.SIGKILL)
        crashes(service)
        line = 'lazaretto: outcome=deferred rule=system error="the worker ended before its time: signal 9" level=3'
        assert service.lines("outcome=") == [line] * 2


def test_what_a_worker_has_started_dies_with_it(folder: Path) -> None:
    with Service(folder) as service, service.connect() as client:
        program = int(client.ask("start"))
        assert alive(program)
        os.kill(client.pid, signal.SIGKILL)
        gone(program)


def test_a_worker_that_ends_by_itself_is_replaced(folder: Path) -> None:
    with Service(folder) as service:
        with service.connect() as client:
            client.send("end")
            assert client.hear() == ""
        with service.connect() as client:
            assert client.ask("hello") == "hello"
        assert 'error="ended without being asked to"' in crashes(service)[0]


def test_a_worker_that_is_stuck_is_replaced(folder: Path) -> None:
    with Service(folder, stuck_s=0.5, worker_beat_s=0.02) as service:
        with service.connect() as client:
            client.send("stall")
            assert client.hear() == ""
        assert 'error="killed, it does not respond"' in crashes(service)[0]
        with service.connect() as client:
            assert client.ask("hello") == "hello"


def test_nobody_is_killed_because_the_machine_stood_still(folder: Path) -> None:
    with Service(folder, stuck_s=0.4, margin_s=0.3, worker_beat_s=0.02) as service, service.connect() as client:
        family = [service.process.pid, client.pid]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        select.select([], [], [], 1.0)  # what is tested is time that passes
        for pid in family:
            os.kill(pid, signal.SIGCONT)
        assert client.pid == family[1]
        assert service.lines("event=crash") == []


def test_back_off(folder: Path) -> None:
    """The third time takes long: there is nobody, and the supervisor does not try."""
    with Service(folder, back_off_s=[0.0, 0.0, 1000.0]) as service:
        for _ in range(2):
            with service.connect() as client:
                os.kill(client.pid, signal.SIGKILL)
                assert client.hear() == ""
        with service.connect() as client:
            os.kill(client.pid, signal.SIGKILL)
            assert client.hear() == ""
        assert len(crashes(service, 3)) == 3
        assert service.children == []
        assert service.stop() == 0
    assert BACK_OFF_S[0] == 0
    assert list(BACK_OFF_S) == sorted(BACK_OFF_S)


def test_health_takes_the_back_off_away(folder: Path) -> None:
    with Service(folder, back_off_s=[0.0, 1000.0], healthy_s=0.0) as service:
        for _ in range(4):
            with service.connect() as client:
                os.kill(client.pid, signal.SIGKILL)
                assert client.hear() == ""
        with service.connect() as client:
            assert client.ask("hello") == "hello"


def test_counters_outlive_the_worker(folder: Path) -> None:
    def counters() -> dict[str, float]:
        (folder / "counters").unlink(missing_ok=True)
        service.process.send_signal(signal.SIGUSR2)
        eventually((folder / "counters").exists, "the counters")
        found: dict[str, float] = json.loads((folder / "counters").read_text())
        return found

    with Service(folder, places=2, worker_beat_s=0.01) as service, ExitStack() as clients:
        pids(service, 2)
        first, second = spread(service, clients).values()
        for _ in range(3):
            first.ask("x")
            second.ask("x")
        eventually(lambda: counters()["lines_total"] == 8, "all that was counted")
        assert counters()["sessions"] == 2
        assert counters()['lazaretto_workers{process="smtp"}'] == 2
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: counters()['lazaretto_restarts_total{process="smtp"}'] == 1, "the restart")
        assert counters()["lines_total"] in (8, 9)  # the question for its number may have been reported, or not
        eventually(lambda: counters()["sessions"] == 1, "what is gone is not counted")


def test_what_workers_inherit(folder: Path) -> None:
    """One socket to listen, one control line: no worker keeps another's line open, nor the supervisor's wake-up pipe."""
    with Service(folder, places=3) as service:
        for pid in pids(service, 3):
            links = _links(pid)
            unix = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if line.endswith("/s.sock")}
            listening = [link for link in links if link.removeprefix("socket:[").removesuffix("]") in unix]
            assert len(listening) == 1
            # beside those, what the event loop has for itself: two ends of a pair
            assert len([link for link in links if link.startswith("socket:")]) <= 4
            shared = {*links} & {*_links(service.process.pid)} - {*_links(service.process.pid, range(3))}
            assert [link for link in shared if link.startswith("pipe:")] == []


def _links(pid: int, numbers: Iterable[int] | None = None) -> list[str]:
    folder = f"/proc/{pid}/fd"
    return [os.readlink(f"{folder}/{number}") for number in (numbers or os.listdir(folder))]


# -- the start


def test_a_worker_that_cannot_start(folder: Path) -> None:
    (folder / "configuration").write_text("broken")
    with Service(folder, places=2) as service:
        assert service.process.wait(serving.PATIENCE_S) == 1
        assert "Input/output error" in service.log
        assert "start: smtp: a worker ended before it was ready (status 1)" in service.log
        assert not os.path.lexists(service.socket)
        assert service.lines("event=started") == []


# -- reload


def test_reload(folder: Path) -> None:
    """New connections meet the new configuration; what is running ends under the old; who is idle is told to go."""
    with Service(folder, places=2) as service, service.connect() as idle, service.connect() as busy:
        before = pids(service, 2)
        assert idle.ask("pid").split()[1:] == []
        busy.send(f"hold {folder}/go")
        service.configure("second")
        assert idle.hear() == GOODBYE
        with service.connect() as client:
            assert client.ask("pid").split()[1:] == ["second"]
            (folder / "go").touch()
            assert busy.hear() == "held"
            assert busy.hear() == GOODBYE
            gone(*before)
            assert client.ask("hello") == "hello"
        assert len(pids(service, 2) & before) == 0
        assert service.lines("event=crash") == []


@pytest.mark.parametrize("again", ["third", "wrong"])
def test_a_wrong_configuration_changes_nothing(folder: Path, again: str) -> None:
    with Service(folder, places=2) as service, service.connect() as client:
        before = pids(service, 2)
        service.configure("wrong")
        assert "the old configuration stays: configuration:1: expected something else" in service.lines("event=reload")[0]
        assert "level=3" in service.lines("event=reload")[0]
        assert client.ask("hello") == "hello"
        assert set(service.children) == before
        service.configure(again)
        with service.connect() as another:
            assert another.ask("pid").split()[1:] == (["third"] if again == "third" else [])


def test_new_workers_that_do_not_get_ready_replace_nobody(folder: Path) -> None:
    with Service(folder, places=1, back_off_s=[0.0, 0.01]) as service, service.connect() as client:
        (folder / "configuration").write_text("broken")
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(service.lines("event=crash")) > 3, "attempts")
        assert service.lines("event=reload") == []
        assert client.ask("hello") == "hello"
        with service.connect() as another:
            assert another.ask("hello") == "hello"
        service.configure("better")
        assert client.hear() == GOODBYE
        with service.connect() as another:
            assert another.ask("pid").split()[1:] == ["better"]


def test_an_old_worker_that_does_not_finish_is_ended(folder: Path) -> None:
    with Service(folder, places=1, worker_retire_s=0.05) as service, service.connect() as client:
        old = client.pid
        client.send("hold /nowhere")
        service.configure("second")
        assert client.hear() == ""
        gone(old)


def test_many_reloads_leave_no_crowd(folder: Path) -> None:
    """Each old worker has a client that does not end; of those that are too many the first are ended."""
    with Service(folder, places=1, grace_s=0.0, worker_grace_s=0.0) as service, ExitStack() as clients:
        held: list[Client] = []
        for number in range(20):
            client = clients.enter_context(service.connect())
            while held and client.ask("pid").split()[1:] != [str(number - 1)]:  # an old one that has not heard of it yet
                client = clients.enter_context(service.connect())
            client.send("hold /nowhere")
            assert client.ask("x") == "x"
            held.append(client)
            service.configure(str(number))
        assert [client.hear() for client in held[:4]] == [""] * 4
        eventually(lambda: len(service.children) == 17, "sixteen old ones and a new one")
        assert held[-1].ask("x") == "x"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(serving.PATIENCE_S) == 0


# -- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_lets_transactions_come_to_their_end(folder: Path, number: int) -> None:
    with Service(folder, places=2) as service, service.connect() as idle, service.connect() as busy:
        workers = pids(service, 2)
        busy.send(f"hold {folder}/go")
        assert idle.ask("x") == "x"
        service.process.send_signal(number)
        assert idle.hear() == GOODBYE
        eventually(lambda: not os.path.lexists(service.socket), "nobody listens")
        (folder / "go").touch()
        assert busy.hear() == "held"
        assert busy.hear() == GOODBYE
        assert service.process.wait(serving.PATIENCE_S) == 0
        gone(*workers)
        assert service.lines("event=crash") == []


def test_nobody_is_left_waiting_by_a_stop(folder: Path) -> None:
    """While a worker finishes what it has, who connects is refused: it would wait for somebody who never accepts."""

    def listening() -> bool:
        table = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return any(row[-1] == service.socket and row[3] == "00010000" for row in table)  # __SO_ACCEPTCON

    with Service(folder, places=2) as service, service.connect() as busy:
        assert listening()
        busy.send(f"hold {folder}/go")
        assert busy.ask("x") == "x"
        service.process.terminate()
        eventually(lambda: not listening(), "the end of all listening sockets")
        (folder / "go").touch()
        assert busy.hear() == "held"
        assert service.process.wait(serving.PATIENCE_S) == 0


def test_the_second_stop_is_at_once(folder: Path) -> None:
    with Service(folder, grace_s=1000.0, worker_grace_s=1000.0) as service, service.connect() as busy:
        worker = busy.pid
        busy.send("hold /nowhere")
        assert busy.ask("x") == "x"
        service.process.terminate()
        eventually(lambda: not os.path.lexists(service.socket), "the first stop")
        assert service.stop() == 0
        assert busy.hear() == ""
        gone(worker)


def test_stop_does_not_wait_for_ever(folder: Path) -> None:
    with Service(folder, worker_grace_s=0.05) as service, service.connect() as busy:
        busy.send("hold /nowhere")
        assert busy.ask("x") == "x"
        assert service.stop() == 0
        assert busy.hear() == ""


def test_a_stuck_worker_does_not_hold_up_the_end(folder: Path) -> None:
    with Service(folder, grace_s=0.05, margin_s=0.05) as service, service.connect() as client:
        client.send("stall")
        assert service.stop() == 0
        assert 'error="killed, it did not finish in time"' in crashes(service)[0]


def test_when_the_supervisor_is_killed_its_workers_finish_and_end(folder: Path) -> None:
    with Service(folder, places=2) as service, service.connect() as idle, service.connect() as busy:
        workers = pids(service, 2)
        assert idle.ask("x") == "x"
        busy.send(f"hold {folder}/go")
        assert busy.ask("x") == "x"
        service.process.kill()
        assert idle.hear() == GOODBYE
        (folder / "go").touch()
        assert busy.hear() == "held"
        gone(*workers)
        assert service.lines("event=orphan")


def test_the_signal_of_a_terminal_is_the_supervisors_alone(folder: Path) -> None:
    with Service(folder, places=2) as service:
        for pid in pids(service, 2):
            assert os.getpgid(pid) == pid
            for number in (signal.SIGINT, signal.SIGHUP):
                os.kill(pid, number)
        with service.connect() as client:
            assert client.ask("hello") == "hello"
        assert service.lines("event=crash") == []


# -- who has started us


def test_it_tells_systemd(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(folder / "notify"))
        system.settimeout(serving.PATIENCE_S)

        def heard() -> dict[str, str]:
            return dict(line.split("=", 1) for line in serving.notification(system).splitlines())

        with Service(folder, env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "20000"}) as service:
            assert heard() == {"READY": "1", "STATUS": f"1 workers, listening on unix:{service.socket}"}
            for text in ("second", "wrong"):
                (folder / "configuration").write_text(text)
                service.process.send_signal(signal.SIGHUP)
                said = heard()
                assert said["RELOADING"] == "1"
                assert int(said["MONOTONIC_USEC"]) > 0
                assert heard()["READY"] == "1"
            for _ in range(3):
                assert system.recv(4096) == b"WATCHDOG=1"
            service.process.terminate()
            assert heard() == {"STOPPING": "1"}
