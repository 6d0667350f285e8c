"""The scan server as a process: many clients, some of them strange, and nothing left behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import obedient
import scanners
import serving
from lazaretto.errors import ConfigError
from lazaretto.frontends import server
from lazaretto.frontends.server import MAX_CONNECTIONS, Settings
from lazaretto.policy.config import parse
from serving import Server, answer, eventually, line, rest, stream

CLEAN = obedient.message("none")
ANSWER = b"0 %d unchanged\n" % (len(CLEAN) + 27) + b"X-Lazaretto-Status: clean\r\n" + CLEAN


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Short enough for the address of a socket in it."""
    short = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    short.symlink_to(tmp_path)
    yield short
    short.unlink()


def test_settings_are_those_of_the_configuration() -> None:
    config = parse([("f", '[server]\nlisten = ["unix:/s"]\nmax_children = 3\nsocket_mode = "0600"\npid_files = ["/p"]\n')])
    settings = Settings.of(config.settings)
    assert settings == Settings(listen=("unix:/s",), max_children=3, socket_mode=0o600, pid_files=("/p",))
    assert Settings.of(parse().settings) == Settings()


def test_requests_one_after_the_other_and_at_once(folder: Path) -> None:
    (folder / "in").write_bytes(CLEAN)
    (folder / "out").touch()
    files = b"SCAN %s/in %s/out\n" % (os.fsencode(folder), os.fsencode(folder))
    with Server(folder) as server:
        with server.connect() as client:
            for _ in range(3):
                client.sendall(b"PING\n")
                assert line(client) == b"0 PONG\n"
            client.sendall(files)
            assert line(client) == b"0 unchanged\n"
            assert (folder / "out").read_bytes() == b"X-Lazaretto-Status: clean\r\n" + CLEAN
            client.sendall(stream(CLEAN) + files + b"PING\nQUIT\n")
            assert rest(client) == ANSWER + b"0 unchanged\n0 PONG\n"
        assert server.ask(b"nonsense\n").startswith(b"3 bad request")
        assert server.stop() == 0
        assert len(server.lines("outcome=clean")) == 3
        assert len(server.lines("outcome=")) == 3
        assert not os.path.lexists(server.socket)


def test_a_client_that_hangs_does_not_hold_up_others(folder: Path) -> None:
    """Silent ones, one that stops in the middle of a line, one in the middle of a message, one that does not read."""
    with Server(folder, max_children=4) as server:
        strange = [server.connect() for _ in range(8)]
        for client, part in zip(strange, (b"PI", b"STREAM 99\nx", stream(CLEAN * 20_000)), strict=False):
            client.sendall(part)
        for _ in range(10):
            assert server.ask(stream(CLEAN)) == ANSWER
        for client in strange:
            client.close()


def test_more_clients_than_children_wait(folder: Path) -> None:
    with Server(folder, max_children=2) as server:
        held = [server.connect() for _ in range(2)]
        for client in held:
            client.sendall(stream(obedient.message(f"wait {folder}/go")))
        eventually(lambda: len(server.children) == 2, "two children")
        waiting = [server.connect() for _ in range(10)]
        for client in waiting:
            client.sendall(stream(CLEAN))
        with server.connect() as silent:
            silent.settimeout(0.1)
            with pytest.raises(TimeoutError):
                silent.recv(1)
        for client in waiting:  # nothing was lost and nothing refused
            client.settimeout(0.001)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(serving.PATIENCE_S)
        assert len(server.children) == 2
        (folder / "go").touch()
        for client in held + waiting:
            assert answer(client).startswith(b"0 ")
            client.close()
        eventually(lambda: len(server.lines("outcome=clean")) == 12, "all final lines")


@pytest.mark.parametrize(("order", "how"), [("kill", "signal 9"), ("exit", "without a reason")])
def test_a_crash_is_one_message_s_failure(folder: Path, order: str, how: str) -> None:
    with Server(folder) as server, server.connect() as other:
        other.sendall(stream(obedient.message(f"wait {folder}/go")))
        assert server.ask(stream(obedient.message(order))) == b""
        eventually(lambda: bool(server.lines("outcome=deferred")), "the final line")
        assert server.lines("outcome=") == [
            f'lazaretto: outcome=deferred rule=system error="the scanning process ended before its time: {how}"'
        ]
        (folder / "go").touch()
        assert answer(other).startswith(b"0 ")
        assert server.ask(stream(CLEAN)) == ANSWER


def test_a_scan_that_never_ends_is_killed_with_its_programs(folder: Path) -> None:
    with Server(folder, limits={"max_scan_s": 0.2}, margin_s=0.1) as server:
        assert server.ask(stream(obedient.message(f"run {folder}/pid"))) == b""
        program = int((folder / "pid").read_text(encoding="ascii"))
        eventually(lambda: not os.path.exists(f"/proc/{program}"), "the end of the program")
        eventually(lambda: bool(server.lines("outcome=deferred")), "the final line")
        assert "killed, it took too long" in server.log
        assert len(server.lines("outcome=")) == 1
        assert server.ask(stream(CLEAN)) == ANSWER


def test_silent_clients_are_let_go(folder: Path) -> None:
    with Server(folder, idle_timeout_s=0.2) as server:
        with server.connect() as silent:
            assert rest(silent) == b""
        with server.connect() as client:
            client.sendall(b"PING\n")
            assert rest(client) == b"0 PONG\n"
        assert server.lines("outcome=") == []


def test_half_a_request_is_given_up(folder: Path) -> None:
    with Server(folder, request_timeout_s=0.2) as server, server.connect() as client:
        client.sendall(b"STREAM 100\nabc")
        assert line(client) == b"2 0 the request did not arrive in time\n"
        client.close()
        eventually(lambda: bool(server.lines("outcome=deferred")), "the final line")


def test_of_too_many_silent_clients_the_first_are_let_go(folder: Path) -> None:
    with Server(folder) as server, ExitStack() as clients:
        silent = [clients.enter_context(server.connect()) for _ in range(MAX_CONNECTIONS + 3)]
        assert server.ask(stream(CLEAN)) == ANSWER
        assert [rest(client) for client in silent[:3]] == [b""] * 3
        silent[-1].sendall(b"PING\n")
        assert line(silent[-1]) == b"0 PONG\n"


def test_a_burst_of_clients_waits_and_nobody_is_refused(folder: Path) -> None:
    """More than there is room for, and all of them have said something: no reason to let one go."""
    with Server(folder, max_children=2) as server, ExitStack() as clients:
        clients.enter_context(serving.made(folder / "go"))
        held = [clients.enter_context(server.connect()) for _ in range(2)]
        for client in held:
            client.sendall(stream(obedient.message(f"wait {folder}/go")))
        eventually(lambda: len(server.children) == 2, "two children")
        burst = [clients.enter_context(server.connect()) for _ in range(MAX_CONNECTIONS + 50)]
        for client in burst:
            client.sendall(b"PING\nQUIT\n")
        (folder / "go").touch()
        assert {rest(client) for client in burst} == {b"0 PONG\n"}


def test_out_of_descriptors(folder: Path) -> None:
    """Clients wait, the server does not spin, and goes on when there are descriptors again."""
    with Server(folder) as server, ExitStack() as clients:
        assert server.ask(b"PING\n") == b"0 PONG\n"
        eventually(lambda: server.children == [], "an idle server")
        highest = max(int(number) for number in os.listdir(f"/proc/{server.process.pid}/fd"))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (highest + 3, 1024))
        silent = [clients.enter_context(server.connect()) for _ in range(6)]
        eventually(lambda: bool(server.lines("event=exhausted")), "the end of the descriptors")
        silent[0].sendall(b"PING\n")
        assert line(silent[0]) == b"0 PONG\n"
        silent[-1].sendall(b"PING\n")
        for client in silent[:-1]:
            client.close()
        assert line(silent[-1]) == b"0 PONG\n"


def test_nothing_is_left_behind(folder: Path) -> None:
    with Server(folder) as server:
        server.ask(b"PING\n")
        eventually(lambda: server.children == [], "an idle server")
        before = server.descriptors
        requests = [b"PING\n", stream(CLEAN), b"nonsense\n", b"STREAM 5\nx", stream(obedient.message("kill")), b"", b"QUIT\n"]
        for _ in range(6):
            for request in requests:
                server.ask(request)
        server.connect().close()
        eventually(lambda: server.children == [] and server.descriptors == before, "no child and no descriptor more than before")


def test_what_children_inherit(folder: Path) -> None:
    """Not the sockets of others: a client whose connection is closed must see that, whoever else is being served."""
    with Server(folder, pid_files=[str(folder / "pid")]) as server, server.connect() as silent, server.connect() as other:
        silent.sendall(b"PING\n")
        assert line(silent) == b"0 PONG\n"
        with server.connect() as client:
            other.sendall(stream(obedient.message(f"wait {folder}/go")))
            client.sendall(stream(obedient.message(f"wait {folder}/go")))

            def one_each() -> bool:
                """The one that has answered PING may still be about to end."""
                sockets = [sum(link.startswith("socket:") for link in _links(child)) for child in server.children]
                return sockets == [1, 1]

            eventually(one_each, "two children with one socket each")
            assert not any(str(folder / "pid") in _links(child) for child in server.children)
            (folder / "go").touch()
            assert answer(client).startswith(b"0 ")


def _links(pid: int) -> list[str]:
    """What it has open; [] if it is gone."""
    folder = f"/proc/{pid}/fd"
    try:
        return [os.readlink(f"{folder}/{number}") for number in os.listdir(folder)]
    except FileNotFoundError:
        return []


# -- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_lets_messages_come_to_their_end(folder: Path, number: int) -> None:
    with Server(folder, pid_files=[str(folder / "pid")]) as server:
        assert (folder / "pid").read_text() == f"{server.process.pid}\n"
        with server.connect() as client, server.connect() as silent:
            client.sendall(stream(obedient.message(f"wait {folder}/go")))
            eventually(lambda: len(server.children) == 1, "a child")
            for pid in (*server.children, server.process.pid):  # as a terminal or an init system does it
                os.kill(pid, number)
            assert rest(silent) == b""
            assert not os.path.lexists(server.socket)
            (folder / "go").touch()
            assert answer(client).startswith(b"0 ")
        assert server.process.wait(serving.PATIENCE_S) == 0
        assert not (folder / "pid").exists()
        assert len(server.lines("outcome=clean")) == 1


def test_stop_does_not_wait_for_ever(folder: Path) -> None:
    with Server(folder, grace_s=0.2) as server, server.connect() as client:
        client.sendall(stream(obedient.message(f"hang {folder}/begun")))
        eventually((folder / "begun").exists, "a message in hand")
        assert server.stop() == 0
        assert rest(client) == b""
        assert "killed, the server stops" in server.lines("outcome=deferred")[0]


def test_second_stop_is_at_once(folder: Path) -> None:
    with Server(folder, grace_s=1000.0) as server, server.connect() as client:
        client.sendall(stream(obedient.message(f"hang {folder}/begun")))
        eventually((folder / "begun").exists, "a message in hand")
        server.process.terminate()
        eventually(lambda: not os.path.lexists(server.socket), "the first stop")
        assert server.stop() == 0
        assert len(server.lines("outcome=deferred")) == 1


def test_hangup_reads_the_configuration_again(folder: Path) -> None:
    configuration = folder / "configuration"
    with Server(folder) as server, server.connect() as client:
        for text, expected in [
            ("first", "host=first"),
            ("wrong", "configuration:1: expected something else"),
            ("broken", "Input/output error"),
        ]:
            configuration.write_text(text)
            reloads = len(server.lines("event=reload"))
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda reloads=reloads: len(server.lines("event=reload")) > reloads, f"the reload of {text}")  # type: ignore[misc]
            assert expected in server.lines("event=reload")[-1]
            client.sendall(stream(CLEAN))  # the connection has outlived it
            assert answer(client) == ANSWER
        eventually(lambda: len(server.lines("outcome=clean")) == 3, "three final lines")
        assert all(logged.endswith("host=first") for logged in server.lines("outcome=clean"))
        assert len(server.lines("the old configuration stays")) == 2


def test_many_hangups_are_one_and_a_stop_comes_first(folder: Path) -> None:
    made: list[int] = []

    def make() -> server.Served:
        made.append(1)
        raise ConfigError("wrong")

    lines: list[str] = []
    served = server.Served(scanners.make(folder, []), lambda text, _level: lines.append(text))
    parent = server._Parent(make, served, Settings(), [])
    try:
        os.write(parent.wake_writer, bytes([signal.SIGHUP, signal.SIGCHLD] * 100))
        parent._signalled()
        assert len(made) == len(lines) == 1
        assert "the old configuration stays: wrong" in lines[0]
        os.write(parent.wake_writer, bytes([signal.SIGHUP] * 100 + [signal.SIGTERM]))
        parent._signalled()
        assert len(made) == 1
        assert parent.stopping
    finally:
        parent.close()


# -- the start


def test_second_instance_on_the_same_socket(folder: Path) -> None:
    with Server(folder) as server:
        again = Server(folder)
        _, _ = again.process.communicate(timeout=serving.PATIENCE_S)
        assert again.process.returncode == 1
        assert "somebody listens there" in server.log
        assert server.ask(b"PING\n") == b"0 PONG\n"


def test_second_instance_with_the_same_pid_file(folder: Path) -> None:
    with Server(folder, pid_files=[str(folder / "pid")]) as server:
        again = Server(folder, listen=[f"unix:{folder}/other.sock"], pid_files=[str(folder / "pid")])
        again.process.communicate(timeout=serving.PATIENCE_S)
        assert re.search(rf"already running \(pid {server.process.pid}\)", server.log)
        assert not os.path.lexists(folder / "other.sock")
        assert server.ask(b"PING\n") == b"0 PONG\n"


def test_tcp_and_an_address_for_others(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Server(folder, listen=[f"0.0.0.0:{port}"]) as server:
        eventually(lambda: "event=open" in server.log, "the warning")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(stream(CLEAN) + b"QUIT\n")
            assert rest(client) == ANSWER
