"""systemd's two protocols, with a double of its side: sockets handed over, and what is said back."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
import programs
from lazaretto.errors import ConfigError
from lazaretto.frontends import notify
from lazaretto.frontends.notify import Notifier, activated

PATIENCE_S = 20.0


@pytest.fixture
def system(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0lz-{os.urandom(8).hex()}")
        sock.settimeout(PATIENCE_S)
        yield sock


def notifier(system: socket.socket, **more: str) -> Notifier:
    return Notifier.of({"NOTIFY_SOCKET": "@" + system.getsockname()[1:].decode(), **more})


def test_states(system: socket.socket) -> None:
    ours = notifier(system)
    ours.ready("2 workers,\nlistening")
    ours.reloading()
    ours.ready()
    ours.watchdog()
    ours.status("x")
    ours.stopping()
    said = [system.recv(4096).decode() for _ in range(6)]
    assert said[0] == "READY=1\nSTATUS=2 workers, listening"
    assert said[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert int(said[1].rpartition("=")[2]) > 0
    assert said[2:] == ["READY=1", "WATCHDOG=1", "STATUS=x", "STOPPING=1"]


def test_a_socket_with_a_path(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(tmp_path / "n"))
        system.settimeout(PATIENCE_S)
        Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "n")}).ready()
        assert system.recv(100) == b"READY=1"


def test_nobody_is_there(tmp_path: Path, system: socket.socket) -> None:
    """Nothing happens: without the variable, with a strange one, when nobody listens, when it is closed."""
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        Notifier.of(dict(environ)).ready()
    ours = notifier(system)
    ours.close()
    ours.ready()
    ours.close()
    system.setblocking(False)
    with pytest.raises(BlockingIOError):
        system.recv(1)


def test_a_full_socket_does_not_block(system: socket.socket) -> None:
    ours = notifier(system)
    for _ in range(10_000):
        ours.watchdog()
    assert system.recv(100) == b"WATCHDOG=1"


def test_what_is_said_once_waits_for_room(system: socket.socket) -> None:
    """On a busy machine the watchdog's messages had filled the queue, and READY was lost."""
    ours = notifier(system)
    for _ in range(10_000):
        ours.watchdog()
    telling = threading.Thread(target=ours.ready)
    telling.start()
    heard = [system.recv(100)]
    while heard[-1] == b"WATCHDOG=1":
        heard.append(system.recv(100))
    telling.join(PATIENCE_S)
    assert heard[-1] == b"READY=1"


def test_who_takes_nothing_is_not_waited_for_long(system: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PATIENCE_S", 0.01)
    ours = notifier(system)
    for _ in range(10_000):
        ours.watchdog()
    ours.ready()
    system.setblocking(False)
    while select.select([system], [], [], 0)[0]:
        assert system.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("variables", "interval_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": ""}, 0.0),
    ],
)
def test_watchdog(variables: dict[str, str], interval_s: float) -> None:
    environ = {"NOTIFY_SOCKET": "/nowhere", "PATH": "/bin", **variables}
    assert Notifier.of(environ).interval_s == interval_s
    assert environ == {"PATH": "/bin"}


# -- sockets


def descriptors(*socks: socket.socket) -> int:
    """Duplicates in a row, as systemd hands them over: the first number."""
    first = max(int(number) for number in os.listdir("/proc/self/fd")) + 10
    for index, sock in enumerate(socks):
        os.dup2(sock.fileno(), first + index)
    return first


def environment(count: int, names: str | None = None, pid: int | None = None) -> dict[str, str]:
    found = {"LISTEN_PID": str(os.getpid() if pid is None else pid), "LISTEN_FDS": str(count)}
    return found if names is None else {**found, "LISTEN_FDNAMES": names}


def test_activation(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        environ = {"PATH": "/bin", **environment(2, "smtp:server")}
        assert notify.names(environ) == ["smtp", "server"]
        found = activated(environ, descriptors(tcp, unix))
        assert environ == {"PATH": "/bin"}
        assert [name for name, _ in found] == ["smtp", "server"]
        assert [sock.getsockname() for _, sock in found] == [tcp.getsockname(), str(tmp_path / "s")]
        for _, sock in found:
            assert not sock.getblocking()
            assert not sock.get_inheritable()
            sock.close()


@pytest.mark.parametrize(("names", "found"), [(None, ["", ""]), ("smtp", ["smtp", ""]), ("a:b:c", ["a", "b"])])
def test_names(names: str | None, found: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        given = activated(environment(2, names), descriptors(sock, sock))
        assert [each.name for each in given] == found
        for each in given:
            each.sock.close()


@pytest.mark.parametrize(
    "environ", [{}, environment(1, "smtp", pid=1), {"LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid())}, environment(0)]
)
def test_nothing_is_for_us(environ: dict[str, str]) -> None:
    environ = dict(environ)
    assert notify.names(environ) in ([], [""])
    assert activated(environ) == []
    assert environ == {}


def test_of_no_use(tmp_path: Path) -> None:
    for count in ("x", "-1", "65", "²"):
        with pytest.raises(ConfigError, match="LISTEN_FDS: expected a number"):
            activated({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})
    with pytest.raises(ConfigError, match=r"is no socket"):
        activated(environment(1), 900_000)
    with (tmp_path / "f").open("wb") as file, pytest.raises(ConfigError, match=r"\(smtp\) is no socket"):
        activated(environment(1, "smtp"), os.dup(file.fileno()))
    left, right = socket.socketpair()
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right, datagram:
        for sock in (left, datagram):
            with pytest.raises(ConfigError, match="Accept=no"):
                activated(environment(1), descriptors(sock))


def test_the_real_one(tmp_path: Path) -> None:
    """systemd's own program for it starts us with a socket and its name."""
    program = peers.require("systemd-socket-activate")
    says = "import os; from lazaretto.frontends.notify import activated; print([(n, s.getsockname()) for n, s in activated(os.environ)])"
    path = f"/tmp/lz-{os.urandom(6).hex()}"
    started = subprocess.Popen(
        [program, "-l", path, "--fdname=smtp", "-E", f"PYTHONPATH={programs.ROOT}", sys.executable, "-c", says],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        with socket.socket(socket.AF_UNIX) as client:
            peers_ready(client, path)
            out, _ = started.communicate(timeout=PATIENCE_S)
        assert out == f"[('smtp', '{path}')]\n"
    finally:
        started.kill()
        started.wait()
        Path(path).unlink(missing_ok=True)


def peers_ready(client: socket.socket, path: str) -> None:
    """Connect when there is somebody to connect to; that is what starts the program."""
    from serving import eventually

    eventually(lambda: client.connect_ex(path) == 0, "the socket")
