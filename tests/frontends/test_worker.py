"""A worker without a supervisor, and what all workers do: accept, drain, run out of descriptors."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import programs
import serving
from echoing import GOODBYE, Client, Service, children, eventually


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Short enough for the address of a socket in it."""
    short = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    short.symlink_to(tmp_path)
    yield short
    short.unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_alone(folder: Path, number: int) -> None:
    with Service(folder, places=0) as service, service.connect() as idle, service.connect() as busy:
        assert idle.pid == service.process.pid
        assert children(service.process.pid) == []
        assert "workers=0" in service.lines("event=started")[0]
        busy.send(f"hold {folder}/go")
        assert busy.ask("x") == "x"
        service.process.send_signal(number)
        assert idle.hear() == GOODBYE
        eventually(lambda: not os.path.lexists(service.socket), "nobody listens")
        (folder / "go").touch()
        assert busy.hear() == "held"
        assert busy.hear() == GOODBYE
        assert service.process.wait(serving.PATIENCE_S) == 0
        assert len(service.lines("event=stopped")) == 1


def test_alone_the_second_stop_is_at_once(folder: Path) -> None:
    with Service(folder, places=0, worker_grace_s=1000.0) as service, service.connect() as busy:
        busy.send("hold /nowhere")
        assert busy.ask("x") == "x"
        service.process.terminate()
        eventually(lambda: not os.path.lexists(service.socket), "the first stop")
        assert service.stop() == 0
        assert busy.hear() == ""


def test_alone_stop_does_not_wait_for_ever(folder: Path) -> None:
    with Service(folder, places=0, worker_grace_s=0.05) as service, service.connect() as busy:
        busy.send("hold /nowhere")
        assert busy.ask("x") == "x"
        assert service.stop() == 0
        assert busy.hear() == ""


def test_alone_reload(folder: Path) -> None:
    with Service(folder, places=0) as service, service.connect() as idle, service.connect() as busy:
        assert idle.ask("x") == "x"
        busy.send(f"hold {folder}/go")
        assert busy.ask("x") == "x"
        service.configure("second")
        assert idle.hear() == GOODBYE
        with service.connect() as client:
            assert client.ask("pid") == f"{service.process.pid} second"
            for text, error in (("wrong", "configuration:1: expected something else"), ("broken", "Input/output error")):
                service.configure(text)
                assert f"the old configuration stays: {error}" in service.lines("event=reload")[-1]
                assert client.ask("pid") == f"{service.process.pid} second"
            (folder / "go").touch()
            assert busy.hear() == "held"
            assert busy.hear() == GOODBYE


def test_alone_an_old_one_that_does_not_finish_is_broken_off(folder: Path) -> None:
    with Service(folder, places=0, worker_retire_s=0.05) as service, service.connect() as busy:
        busy.send("hold /nowhere")
        assert busy.ask("x") == "x"
        service.configure("second")
        assert busy.hear() == ""


def test_alone_counters_outlive_a_reload(folder: Path) -> None:
    def counters() -> dict[str, float]:
        (folder / "counters").unlink(missing_ok=True)
        service.process.send_signal(signal.SIGUSR2)
        eventually((folder / "counters").exists, "the counters")
        found: dict[str, float] = json.loads((folder / "counters").read_text())
        return found

    with Service(folder, places=0) as service, service.connect() as busy:
        busy.send(f"hold {folder}/go")
        assert busy.ask("x") == "x"
        service.configure("second")
        assert counters() == {"lines_total": 2, "sessions": 1}
        (folder / "go").touch()
        assert busy.hear() == "held"
        eventually(lambda: counters() == {"lines_total": 2, "sessions": 0}, "its end")


def test_alone_it_tells_systemd(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(folder / "notify"))
        system.settimeout(serving.PATIENCE_S)

        def heard() -> str:
            return serving.notification(system).splitlines()[0]

        with Service(folder, env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "20000"}, places=0) as service:
            assert heard() == "READY=1"
            for text in ("second", "wrong"):
                (folder / "configuration").write_text(text)
                service.process.send_signal(signal.SIGHUP)
                assert [heard(), heard()] == ["RELOADING=1", "READY=1"]
            for _ in range(3):
                assert system.recv(4096) == b"WATCHDOG=1"
            service.process.terminate()
            assert heard() == "STOPPING=1"


@pytest.mark.parametrize("places", [0, 1])
def test_out_of_descriptors(folder: Path, places: int) -> None:
    """Clients wait, the worker does not spin, and goes on when there are descriptors again."""
    with Service(folder, places=places) as service, ExitStack() as clients:
        first = clients.enter_context(service.connect())
        worker = first.pid
        highest = max(int(number) for number in os.listdir(f"/proc/{worker}/fd"))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (highest + 3, 4096))
        others = [clients.enter_context(service.connect()) for _ in range(8)]
        eventually(lambda: bool(service.lines("event=exhausted")), "the end of the descriptors")
        assert first.ask("x") == "x"
        others[-1].send("y")
        for client in others[:-1]:
            client.close()
        assert others[-1].hear() == "y"
        spent = sum(map(int, Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        assert len(service.lines("event=exhausted")) < 20
        assert spent < 2.0


def test_many_idle_clients(folder: Path) -> None:
    """More than a process may usually have: the worker raises its limit as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("the system allows too few descriptors")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with Service(folder, places=1) as service, ExitStack() as clients:
            with service.connect() as client:
                worker = client.pid
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard == resource.RLIM_INFINITY else min(4096, hard), hard))
            socks = []
            for _ in range(1500):
                sock = clients.enter_context(socket.socket(socket.AF_UNIX))
                sock.connect(service.socket)
                socks.append(sock)
            with service.connect() as client:
                assert client.ask("x") == "x"
            eventually(lambda: len(os.listdir(f"/proc/{worker}/fd")) > 1500, "all of them")
            assert service.lines("event=exhausted") == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("places", [0, 2])
@pytest.mark.parametrize("there", [False, True])
def test_with_and_without_uvloop(folder: Path, places: int, there: bool) -> None:
    env = {}
    if there:
        pytest.importorskip("uvloop")
    else:
        (folder / "uvloop.py").write_text("raise ImportError\n")
        env["PYTHONPATH"] = f"{folder}:{programs.ROOT}"
    with Service(folder, env=env, places=places) as service, service.connect() as idle, service.connect() as busy:
        assert idle.ask("hello") == "hello"
        maps = Path(f"/proc/{idle.pid}/maps").read_text()
        assert ("uvloop" in maps) is there
        busy.send(f"hold {folder}/go")
        assert busy.ask("x") == "x"
        service.configure("second")
        assert idle.hear() == GOODBYE
        (folder / "go").touch()
        assert busy.hear() == "held"
        assert busy.hear() == GOODBYE
        with service.connect() as client:
            assert client.ask("pid").endswith(" second")
        assert service.stop() == 0
        assert service.lines("event=crash") == []


def test_tcp(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Service(folder, places=1, address=f"127.0.0.1:{port}"), socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"hello\n")
        assert sock.recv(100) == b"hello\n"


def test_a_client_that_comes_and_goes_at_once(folder: Path) -> None:
    with Service(folder, places=2) as service:
        for _ in range(200):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(service.socket)
            sock.close()
        with Client(service.socket) as client:
            assert client.ask("hello") == "hello"
        assert service.lines("event=crash") == []
