"""From a configuration to processes: sockets that were handed over, both services at once, another user, the background."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest

import peers
import programs
import serving
from lazaretto.policy.keys import toml
from milter_double import session
from serving import eventually
from smtp_service import alive, children
from smtp_session import attempt
from smtp_sink import Sink

MESSAGE = b"Subject: hello\r\n\r\nNothing to see here.\r\n"
COMMAND = "import sys; from importlib import import_module as m; sys.exit(m('lazaretto.cli.' + sys.argv[1]).run(sys.argv[2:]))"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Short enough for the address of a socket in it."""
    short = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    short.symlink_to(tmp_path)
    yield short
    short.unlink()


@pytest.fixture
def hop() -> Iterator[Sink]:
    with Sink() as hop:
        yield hop


NOTHING: Mapping[str, object] = {}


class Running:
    """`lazaretto NAME ARGUMENTS` with a configuration of these keys."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *arguments: str,
        before: tuple[str, ...] = (),
        keys: Mapping[str, object] = NOTHING,
        mark: str = "workers=",
        python: str = sys.executable,
    ) -> None:
        self.folder = folder
        self.log_file = folder / "log"
        self.mark = mark
        command = [*before, python, "-c", COMMAND, name, "--engine", "none", "--state-dir", f"{folder}/state", *arguments]
        configuration = folder / "c.toml"
        configuration.write_text("".join(f"{key} = {toml(value)}\n" for key, value in keys.items()))
        environment = programs.environment(folder, LAZARETTO_CONFIG=str(configuration))
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        eventually(lambda: self.mark in self.log or self.process.poll() is not None, "the start")
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(serving.PATIENCE_S)

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def failed(self) -> tuple[int, str]:
        """It does not start: exit status and what it says."""
        return self.process.wait(serving.PATIENCE_S), self.log


def test_both_services_from_one_configuration(folder: Path, hop: Sink) -> None:
    keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/smtp"], "smtp.next_hop": hop.address, "process.scanners": 1}
    with Running(
        folder, "serve", keys={**keys, "server.listen": [f"unix:{folder}/scan"], "server.pid_files": [f"{folder}/pid"]}
    ) as running:
        assert "workers=2" in running.log
        assert (folder / "pid").read_text() == f"{running.process.pid}\n"
        assert attempt(f"unix:{folder}/smtp", MESSAGE).answer is not None
        assert hop.messages[0].data.endswith(MESSAGE)
        with serving.connect(f"{folder}/scan") as client:
            client.sendall(serving.stream(MESSAGE))
            assert serving.answer(client).startswith(b"0 ")
            workers = children(running.process.pid)
            assert len(workers) == 2
            running.process.send_signal(signal.SIGHUP)
            eventually(lambda: running.log.count("event=reload") == 2, "both reloads")  # the supervisor's and the server's own
            client.sendall(serving.stream(MESSAGE))  # which has not lost its clients
            assert serving.answer(client).startswith(b"0 ")
            assert len({*workers} & {*children(running.process.pid)}) >= 1
        server = next(pid for pid in children(running.process.pid) if pid in workers)
        os.kill(server, signal.SIGKILL)
        with serving.connect(f"{folder}/scan") as client:
            client.sendall(b"PING\nQUIT\n")
            assert serving.rest(client) == b"0 PONG\n"
        family = children(running.process.pid)
        running.process.terminate()
        assert running.process.wait(serving.PATIENCE_S) == 0
        assert not any(map(alive, family))
        assert {path.name for path in folder.iterdir()} & {"smtp", "scan", "pid"} == set()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_proxy_that_is_its_own_next_hop(folder: Path, workers: int) -> None:
    keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/smtp"], "smtp.next_hop": f"unix:{folder}/smtp", "process.workers": workers}
    status, log = Running(folder, "serve", keys=keys, mark="").failed()
    assert status == 78
    assert f"smtp.next_hop: unix:{folder}/smtp is where the proxy itself listens" in log
    assert not (folder / "smtp").exists()


def test_all_three_services_from_one_configuration(folder: Path, hop: Sink) -> None:
    keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/smtp"], "smtp.next_hop": hop.address, "process.scanners": 1}
    keys |= {"server.listen": [f"unix:{folder}/scan"], "milter.listen": [f"local:{folder}/milter"], "headers.status_field": ""}
    with Running(folder, "serve", keys=keys) as running:
        assert "workers=3" in running.log
        assert attempt(f"unix:{folder}/smtp", MESSAGE).answer is not None
        with session(f"unix:{folder}/milter") as mta:
            assert mta.deliver(MESSAGE).message == MESSAGE
        with serving.connect(f"{folder}/scan") as client:
            client.sendall(serving.stream(MESSAGE))
            assert serving.answer(client).startswith(b"0 ")
        running.process.terminate()
        assert running.process.wait(serving.PATIENCE_S) == 0
        assert {path.name for path in folder.iterdir()} & {"smtp", "scan", "milter"} == set()


@pytest.mark.parametrize("workers", [0, 1])
def test_the_milter_by_itself(folder: Path, workers: int) -> None:
    keys = {"milter.listen": [f"unix:{folder}/milter"], "process.workers": workers, "process.scanners": 2}
    with Running(folder, "serve", keys={**keys, "server.listen": []}) as running:
        with session(f"unix:{folder}/milter") as mta:
            assert mta.deliver(MESSAGE).letter == "a"
        family = children(running.process.pid)
        assert [bool(children(pid)) for pid in family] == ([True] if workers else [False] * 2)


def test_a_milter_s_socket_that_was_handed_over(folder: Path) -> None:
    with Activated(folder, "milter", "milter", {"process.scanners": 1}):
        with session(f"unix:{folder}/given") as mta:
            assert mta.deliver(MESSAGE).letter == "a"
        assert os.path.lexists(folder / "given")


def test_the_scan_server_ends_with_its_supervisor(folder: Path, hop: Sink) -> None:
    keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/smtp"], "smtp.next_hop": hop.address, "process.scanners": 1}
    with Running(folder, "serve", keys={**keys, "server.listen": [f"unix:{folder}/scan"]}) as running:
        family = children(running.process.pid)
        running.process.kill()
        running.process.wait()
        eventually(lambda: not any(map(alive, family)), "the end of all")


def test_only_the_scan_server_needs_no_supervisor(folder: Path) -> None:
    with Running(folder, "serve", keys={"server.listen": [f"unix:{folder}/scan"]}, mark="event=started") as running:
        assert children(running.process.pid) == []
        with serving.connect(f"{folder}/scan") as client:
            client.sendall(b"PING\nQUIT\n")
            assert serving.rest(client) == b"0 PONG\n"


class Activated(Running):
    """By systemd's own program, which starts us when the first client comes: `client`."""

    def __init__(self, folder: Path, name: str, fd_name: str, keys: Mapping[str, object]) -> None:
        passed = [word for name in ("PYTHONPATH", "LAZARETTO_CONFIG", "HOME", "PYTHONDONTWRITEBYTECODE") for word in ("-E", name)]
        before = (peers.require("systemd-socket-activate"), "-l", f"{folder}/given", f"--fdname={fd_name}", *passed)
        super().__init__(folder, name, before=before, keys=keys)
        self.client = socket.socket(socket.AF_UNIX)
        eventually(lambda: self.client.connect_ex(f"{folder}/given") == 0, "the socket")

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        super().__exit__(*exception)


@pytest.mark.parametrize("workers", [0, 1])
def test_sockets_that_were_handed_over(folder: Path, hop: Sink, workers: int) -> None:
    """Whatever their name, if there is one service only. The socket in the file system is not ours to remove."""
    keys = {"smtp.next_hop": hop.address, "process.workers": workers}
    with Activated(folder, "proxy", "anything", keys) as running:
        assert f"listen=unix:{folder}/given" in running.log
        assert attempt(f"unix:{folder}/given", MESSAGE).answer is not None
        assert len(hop.messages) == 1
        running.process.terminate()
        assert running.process.wait(serving.PATIENCE_S) == 0
        assert os.path.lexists(folder / "given")


def test_sockets_by_name(folder: Path, hop: Sink) -> None:
    """That of one service is handed over, the other one's is in the configuration."""
    keys: dict[str, object] = {"smtp.next_hop": hop.address, "server.listen": [f"unix:{folder}/scan"]}
    with Activated(folder, "serve", "smtp", keys):
        assert attempt(f"unix:{folder}/given", MESSAGE).answer is not None
        assert len(hop.messages) == 1
        with serving.connect(f"{folder}/scan") as client:
            client.sendall(b"PING\nQUIT\n")
            assert serving.rest(client) == b"0 PONG\n"


def test_a_socket_without_a_use(folder: Path) -> None:
    keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/s"], "server.listen": [f"unix:{folder}/t"]}
    with Activated(folder, "serve", "other", keys) as running:
        status, said = running.failed()
    assert status == 78
    assert "LISTEN_FDNAMES: expected FileDescriptorName=server or FileDescriptorName=smtp, not 'other'" in said


def test_nowhere_to_listen(folder: Path) -> None:
    status, said = Running(folder, "proxy").failed()
    assert (status, said) == (78, "lazaretto: configuration: [smtp] listen: expected at least one address\n")


def test_somebody_listens_there(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, said = Running(folder, "proxy", "--listen", f"unix:{folder}/s", "--listen", address).failed()
        assert (status, said) == (1, f"lazaretto: cannot listen on {address}: Address already in use\n")
        assert not os.path.lexists(folder / "s")


@pytest.mark.parametrize("workers", [0, 1])
def test_what_else_prevents_the_start(folder: Path, workers: int) -> None:
    keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/s"], "process.workers": workers}
    status, said = Running(folder, "proxy", "--pid-file", f"{folder}/no/such", keys=keys).failed()
    assert status == 1
    assert "Can't open pid file" in said
    (folder / "log").unlink()
    status, said = Running(folder, "proxy", "--engine", "yara:/no/such.yar", keys=keys).failed()
    assert status == 78
    assert "/no/such.yar" in said
    (folder / "log").unlink()
    status, said = Running(folder, "proxy", keys={**keys, "process.user": "no-such-user"}).failed()
    assert status == 78
    assert "process.user" in said
    assert not os.path.lexists(folder / "s")


def readable_interpreter() -> str:
    """One that nobody can use, too: what is loaded later is loaded by him."""
    question = "import sys, asyncio, signal, lazaretto.frontends.smtp_worker; sys.exit(sys.version_info < (3, 11))"

    def answers(python: str) -> bool:
        try:
            asked = [python, "-c", question]
            return not subprocess.run(asked, user="nobody", env={"PYTHONPATH": programs.ROOT}, capture_output=True, check=False).returncode
        except OSError:
            return False

    found = next((python for python in (sys.executable, "/usr/bin/python3") if answers(python)), None)
    if found is None:
        peers.missing("there is no interpreter that others may use")
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_another_user(hop: Sink, workers: int) -> None:
    if os.geteuid() != 0:
        peers.missing("only root can become another")
    nobody = pwd.getpwnam("nobody")
    python = readable_interpreter()
    folder = Path(f"/tmp/lz-{os.urandom(6).hex()}")
    folder.mkdir(mode=0o755)
    (folder / "state").mkdir()
    os.chown(folder / "state", nobody.pw_uid, nobody.pw_gid)
    keys: dict[str, object] = {
        "smtp.listen": [f"unix:{folder}/s"],
        "smtp.next_hop": hop.address,
        "process.user": "nobody",
        "process.workers": workers,
    }
    try:
        with Running(folder, "proxy", "--pid-file", f"{folder}/pid", keys=keys, python=python) as running:
            assert str(attempt(f"unix:{folder}/s", MESSAGE)) == "250 END"
            assert len(hop.messages) == 1
            family = [running.process.pid, *children(running.process.pid)]
            family += [pid for worker in family[1:] for pid in children(worker)]
            assert len(family) > 2
            for pid in family:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
                assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
                assert status["Groups"].split() == [str(nobody.pw_gid)]
            assert (folder / "s").stat().st_uid == nobody.pw_uid
            running.process.send_signal(signal.SIGHUP)
            eventually(lambda: "event=reload" in running.log, "the reload")
            # Whom the old worker has still greeted may hear 421 at MAIL, and comes again.
            eventually(lambda: str(attempt(f"unix:{folder}/s", MESSAGE)) == "250 END", "a message under the new configuration")
            assert len(hop.messages) == 2
    finally:
        import shutil

        shutil.rmtree(folder)


def test_in_the_background(folder: Path, hop: Sink) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(folder / "dev-log"))
        log.settimeout(serving.PATIENCE_S)
        keys: dict[str, object] = {"smtp.listen": [f"unix:{folder}/s"], "smtp.next_hop": hop.address}
        arguments = ["--daemon", "--pid-file", f"{folder}/pid"]
        status, said = Running(folder, "proxy", *arguments, keys=keys).failed()
        assert status == 78
        assert "log.syslog: expected a place" in said
        (folder / "log").unlink()
        assert Running(folder, "proxy", *arguments, keys={**keys, "log.syslog": f"{folder}/dev-log"}).failed() == (0, "")
        pid = int((folder / "pid").read_text())
        try:
            assert str(attempt(f"unix:{folder}/s", MESSAGE)) == "250 END"
            assert len(hop.messages) == 1
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            again = Running(
                folder, "proxy", *arguments, keys={**keys, "smtp.listen": [f"unix:{folder}/t"], "log.syslog": f"{folder}/dev-log"}
            ).failed()
            assert again == (1, f"lazaretto: already running (pid {pid}): {folder}/pid\n")
        finally:
            os.kill(pid, signal.SIGTERM)
            eventually(lambda: not alive(pid), "the end")
        assert not (folder / "pid").exists()
