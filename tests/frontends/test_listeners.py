"""Listening sockets: addresses, permissions, what is left over from others."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazaretto.errors import ConfigError
from lazaretto.frontends import listeners
from lazaretto.frontends.listeners import Listener


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """Short enough for sun_path wherever the tests run."""
    folder = f"/tmp/lz-{os.urandom(6).hex()}"
    os.symlink(tmp_path, folder)
    yield f"{folder}/s.sock"
    os.unlink(folder)


def connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.connect(address.removeprefix("unix:"))
        return client
    return socket.create_connection(listeners.split(address))


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:11200", ("127.0.0.1", 11200)), ("[::1]:1", ("::1", 1)), ("localhost:65535", ("localhost", 65535)), ("h:0", ("h", 0))],
)
def test_split(address: str, expected: tuple[str, int]) -> None:
    assert listeners.split(address) == expected


@pytest.mark.parametrize(
    "address", ["", "host", "11200", ":1", "host:", "host:x", "host:65536", "host:-1", "::1:1", "[::1]", "host:\u0662"]
)
def test_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.listen: expected HOST:PORT"):
        listeners.split(address)


@pytest.mark.parametrize("path", ["relative.sock", "", "/" + "x" * 107])
def test_no_socket_path(path: str) -> None:
    with pytest.raises(ConfigError, match="unix:/absolute/path"):
        Listener(f"unix:{path}")


@pytest.mark.parametrize(("address", "ours"), [
    ("inet:12200@127.0.0.1", "127.0.0.1:12200"), ("inet:12200@[127.0.0.1]", "127.0.0.1:12200"),
    ("inet:12200@mx.example", "mx.example:12200"),
    ("inet:12200", "127.0.0.1:12200"), ("inet6:12200", "[::1]:12200"), ("inet6:12200@::1", "[::1]:12200"), ("inet6:1@[::]", "[::]:1"),
    ("inet:smtp@localhost", "localhost:25"), ("local:/run/x", "unix:/run/x"), ("unix:/run/x", "unix:/run/x"),
    ("127.0.0.1:1", "127.0.0.1:1"), ("[::1]:1", "[::1]:1"), ("inet.example:1", "inet.example:1"),
])  # fmt: skip
def test_addresses_of_libmilter(address: str, ours: str) -> None:
    assert listeners.native(address) == ours


def test_a_service_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="inet:no-such-service@h: expected a port or the name of a service"):
        listeners.native("inet:no-such-service@h")


def test_group_of_a_socket(path: str) -> None:
    group = 1 if os.geteuid() == 0 else os.getgid()
    (listener,) = listeners.listen([f"local:{path}"], 0o660, str(group))
    assert (listener.address, listener.gid, os.stat(path).st_gid) == (f"unix:{path}", group, group)
    listener.close()
    with pytest.raises(ConfigError, match="there is no 'no-such-group'"):
        listeners.listen([f"unix:{path}"], 0o660, "no-such-group")
    assert not os.path.lexists(path)


def test_tcp() -> None:
    listener = Listener("127.0.0.1:0")
    with connect(f"127.0.0.1:{listener.sock.getsockname()[1]}"):
        served, _ = listener.sock.accept()
        assert listeners.peer_uid(served) is None
        served.close()
    assert not listener.shared
    with pytest.raises(BlockingIOError):
        listener.sock.accept()
    listener.close()


def test_address_for_others_is_known() -> None:
    listener = Listener("0.0.0.0:0")
    assert listener.shared
    listener.close()


def test_address_in_use_is_named() -> None:
    first = Listener("127.0.0.1:0")
    address = f"127.0.0.1:{first.sock.getsockname()[1]}"
    with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in use"):
        Listener(address)
    first.close()


def test_all_or_none(path: str) -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        listeners.listen([f"unix:{path}", f"unix:{path}.no/s.sock"])
    assert not os.path.lexists(path)
    two = listeners.listen([f"unix:{path}", "127.0.0.1:0"])
    assert [listener.address for listener in two] == [f"unix:{path}", "127.0.0.1:0"]
    for listener in two:
        listener.close()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_unix_socket_has_its_permissions_and_goes(path: str, mode: int) -> None:
    before = os.umask(0o077)
    try:
        listener = Listener(f"unix:{path}", mode)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == mode
    with connect(listener.address):
        served, _ = listener.sock.accept()
        assert listeners.peer_uid(served) == os.getuid()
        served.close()
    listener.close()
    assert not os.path.lexists(path)
    listener.close()  # a second time is harmless


def test_left_over_socket_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()
    listener = Listener(f"unix:{path}")
    connect(listener.address).close()
    listener.close()


def is_locked(directory: str) -> bool:
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_one_after_the_other_looks_and_binds(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two that start at once would each remove the other's new socket for a left-over one."""
    folder = os.path.dirname(path)
    real, seen = listeners._remove_stale, []

    def remove_stale(there: str) -> None:
        real(there)
        seen.append(is_locked(folder))

    monkeypatch.setattr(listeners, "_remove_stale", remove_stale)
    listener = Listener(f"unix:{path}")
    assert seen == [True]
    assert not is_locked(folder)
    listener.close()


def test_a_lock_of_strangers_does_not_stop_us(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "LOCK_S", 0.05)
    fd = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    listener = Listener(f"unix:{path}")
    connect(listener.address).close()
    listener.close()
    os.close(fd)


def test_living_socket_stays(path: str) -> None:
    first = Listener(f"unix:{path}")
    with pytest.raises(OSError, match="somebody listens there"):
        Listener(f"unix:{path}")
    connect(first.address).close()
    first.close()


def test_living_socket_with_a_full_backlog_stays(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        waiting = []
        while True:
            client = socket.socket(socket.AF_UNIX)
            waiting.append(client)
            client.setblocking(False)
            if client.connect_ex(path):
                break
        with pytest.raises(OSError, match="somebody listens there"):
            Listener(f"unix:{path}")
        for client in waiting:
            client.close()
    assert os.path.lexists(path)


@pytest.mark.parametrize("kind", ["file", "symlink", "directory"])
def test_what_is_no_socket_stays(path: str, kind: str) -> None:
    if kind == "file":
        with open(path, "w", encoding="ascii"):
            pass
    elif kind == "symlink":
        os.symlink("/nowhere", path)
    else:
        os.mkdir(path)
    with pytest.raises(OSError, match="it is no socket"):
        Listener(f"unix:{path}")
    assert os.path.lexists(path)


def test_the_socket_of_a_successor_stays(path: str) -> None:
    first = Listener(f"unix:{path}")
    os.rename(path, path + ".old")
    second = Listener(f"unix:{path}")
    first.close()
    connect(second.address).close()
    second.close()


def test_a_forked_child_does_not_remove_the_name(path: str) -> None:
    listener = Listener(f"unix:{path}")
    pid = os.fork()
    if pid == 0:
        listener.close()
        os._exit(0)
    os.waitpid(pid, 0)
    connect(listener.address).close()
    listener.close()
