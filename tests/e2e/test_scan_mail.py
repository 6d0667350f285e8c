"""What the manual of scan-mail promises beside the recipes, with the program itself: options, header field, errors, server, daemon, syslog.

The recipes are in test_procmail.py, test_maildrop.py and test_sieve.py.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mail_programs as programs
from eicar import EICAR
from lazaretto.legacy import fprot_conf, profile
from lazaretto.legacy.options import OPTIONS
from lazaretto.policy import config
from lazaretto.wire.syslog import FACILITIES
from mail_programs import CLEAN, INFECTED, Site, carries, mail

PAGE = b"<html><head><title>A page</title></head><body>Nothing to see here.</body></html>"
NOWHERE = "clamd:127.0.0.1:1"  # a port where nobody listens


def run(site: Site, *arguments: str, message: bytes = CLEAN) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([site.program, *arguments], input=message, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


# -- the command line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-h", "--help", "-help"])
def test_help(tmp_path: Path, option: str) -> None:
    """Shows every option and exits; a message that comes with it is not read."""
    done = run(programs.site(tmp_path), option, "-backup")
    assert done.returncode == 0
    assert done.stderr == b""
    text = done.stdout.decode("ascii")
    assert [name for name in (option.name for option in OPTIONS) if f"-{name}" not in text] == []
    assert CLEAN not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [(["-backup", "feat_log_inline = 0"], 1), (["feat_log_inline = 0", "feat_html = 0"], 0), (["-backup", "--", "feat_html = 0"], 1)],
)
def test_further_arguments_are_for_the_sanitizer(tmp_path: Path, arguments: list[str], kept: int) -> None:
    site = programs.site(tmp_path)
    done = run(site, *arguments)
    assert done.returncode == 0, done.stderr
    programs.assert_unchanged([done.stdout], CLEAN)
    assert len(site.backups()) == kept


@pytest.mark.parametrize(
    "arguments", [["feat_html = 0", "-backup"], ["feat_html = 0", "--backup"], ["nonsense"], ["/nonexistent/anomy.conf"]]
)
def test_an_option_behind_them_is_none(tmp_path: Path, arguments: list[str]) -> None:
    """The sanitizer gets it, and does not know it.  Nothing is filtered, and the original is safe."""
    site = programs.site(tmp_path)
    done = run(site, *arguments)
    assert (done.returncode, done.stdout) == (75, b"")
    assert b"outcome=deferred" in done.stderr
    assert site.backups() == []


# -- the message -------------------------------------------------------------------------------------------------


def test_field_says_who_scanned(tmp_path: Path) -> None:
    """Of other engines than F-PROT's, the field does not claim that it was F-PROT."""
    done = run(programs.site(tmp_path))
    assert b"\nX-Antivirus: Scanned by Lazaretto (yara)\n\n" in done.stdout


def test_field_can_be_the_one_of_old(tmp_path: Path) -> None:
    done = run(programs.site(tmp_path, {"SCANMAIL_HEADER": "Scanned by F-Prot Antivirus (http://www.f-prot.com)"}))
    assert b"\nX-Antivirus: Scanned by F-Prot Antivirus (http://www.f-prot.com)\n\n" in done.stdout


@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_error_while_scanning_saves_the_attachment_and_removes_it(tmp_path: Path, message: bytes) -> None:
    """Nobody answers at the engine's address."""
    site = programs.site(tmp_path, {"SCANMAIL_ENGINES": NOWHERE})
    done = run(site, message=message)
    assert done.returncode == 0
    content = EICAR if message is INFECTED else b"nothing to see here"
    assert not carries(done.stdout, content)
    assert content in site.saved_files()
    (name,) = {file.name for file in site.saved.iterdir() if file.read_bytes() == content}
    assert name.encode() in done.stdout.replace(b"\n", b"")  # the notice names the file
    assert b"Connection refused" in done.stderr
    assert [file.stat().st_mode & 0o077 for file in site.saved.iterdir() if file.is_file()] == [0] * len(site.saved_files())


@pytest.mark.parametrize(
    ("policy", "status", "carried", "name"),
    [
        ("drop", 0, False, b"page_htm.txt"),
        ("defang", 0, True, b"page_htm.txt"),
        ("pass", 0, True, b"page.htm"),
        ("tempfail", 75, False, b""),
    ],
)
def test_other_ways_to_treat_an_error(tmp_path: Path, policy: str, status: int, carried: bool, name: bytes) -> None:
    site = programs.site(tmp_path, {"SCANMAIL_ENGINES": NOWHERE, "SCANMAIL_ERROR_POLICY": policy})
    done = run(site, message=mail(PAGE, "page.htm"))
    assert done.returncode == status
    assert carries(done.stdout, PAGE) == carried
    assert (b'filename="' + name + b'"' in done.stdout) == bool(name)
    assert site.saved_files() == []
    assert done.stderr.count(b"outcome=") == 1


def test_lists_look_at_the_content_too(tmp_path: Path) -> None:
    r"""`\.exe$` finds a program under another name, by its first bytes."""
    program = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(200)
    site = programs.site(tmp_path, {"SCANMAIL_BANLIST": r"\.exe$"})
    done = run(site, message=mail(program, "picture.dat"))
    assert not carries(done.stdout, program)
    assert carries(run(programs.site(tmp_path), message=mail(b"MZ" + b"a" * 100, "picture.dat")).stdout, b"MZ" + b"a" * 100)


# -- copies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-b", "--backup", "-backup", "-q", "--quarantine", "-quarantine"])
def test_copies_are_kept_beside_the_tools(tmp_path: Path, option: str) -> None:
    """backup/ is beside the directory where the program is installed: /usr/local/f-prot/tools/scan-mail.pl has /usr/local/f-prot/backup."""
    site = programs.site(tmp_path, {"SCANMAIL_BACKUPDIR": ""})
    assert profile.prefix("/usr/local/f-prot/tools/scan-mail.pl") + "/backup" == "/usr/local/f-prot/backup"
    assert run(site, option, message=INFECTED).returncode == 0
    (copy,) = site.backups()
    assert re.fullmatch(r"(0[1-9]|1[0-2])[0-3][0-9]/[0-9]{10}\.[0-9]+", str(copy.relative_to(site.backup)))
    assert copy.read_bytes() == INFECTED


# -- server and daemon -------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until_it_listens(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.02)


class Client:
    """A client of the scan server, with a request under way."""

    def __init__(self, port: int, message: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.sendall(b"STREAM %d\n" % len(message) + message)

    def answer(self) -> tuple[bytes, bytes]:
        """Code and message."""
        with self.socket, self.socket.makefile("rb") as reply:
            code, size, _ = reply.readline().split(b" ", 2)
            return code, reply.read(int(size))


@contextmanager
def serving(site: Site, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`scan-mail -server` and its port."""
    port = free_port()
    with (site.root / "server.log").open("ab") as log:
        command = [str(site.program), "-server", "-server_port", str(port), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until_it_listens(port)
        yield process, port
    finally:
        process.terminate()
        try:
            assert process.wait(60) == 0, (site.root / "server.log").read_text()
        finally:
            process.kill()
            process.wait()


def test_server_forks_for_each_request(tmp_path: Path) -> None:
    """Two requests in the middle of their scans at the same time; each has a process of its own, which names its copy."""
    with programs.silence() as silence:
        site = programs.site(tmp_path, {"SCANMAIL_ENGINES": silence.spec, "SCANMAIL_ERROR_POLICY": "tempfail"})
        with serving(site, "-backup") as (server, port):
            clients = [Client(port, message) for message in (CLEAN, INFECTED)]
            silence.wait()
            silence.wait()
            pids = {int(copy.name.partition(".")[2].partition(".")[0]) for copy in site.backups()}
            assert len(pids) == 2
            assert server.pid not in pids
            silence.close()
            assert [client.answer() for client in clients] == [(b"2", b""), (b"2", b"")]
    assert sorted(copy.read_bytes() for copy in site.backups()) == sorted([CLEAN, INFECTED])
    assert len(site.log()) == 2


def test_server_answers_many_requests(tmp_path: Path) -> None:
    site = programs.site(tmp_path)
    with serving(site) as (_, port):
        for _ in range(3):
            code, clean = Client(port, CLEAN).answer()
            assert code == b"0"
            programs.assert_unchanged([clean], CLEAN)
            code, safe = Client(port, INFECTED).answer()
            assert code == b"1"
            programs.assert_without([safe], EICAR)
    assert len(site.log()) == 6


def test_server_takes_the_names_of_two_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the old plug-ins for qmail and sendmail did, in the directory where they did it."""
    folder = tmp_path_factory.mktemp("server")
    if not str(folder.resolve()).startswith(("/tmp/", "/var/tmp/")):
        pytest.skip("temporary files of this test run are not below /tmp or /var/tmp")
    given, wanted = folder / "fi1", folder / "fo1"
    given.write_bytes(INFECTED)
    wanted.write_bytes(b"")
    with serving(programs.site(folder)) as (_, port), socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(f"{given} {wanted}\n".encode())
        assert client.makefile("rb").readline().startswith(b"1 ")
    programs.assert_without([wanted.read_bytes()], EICAR)


def test_daemon_goes_into_the_background(tmp_path: Path) -> None:
    """The program ends when the daemon listens; its PID is in the file; TERM ends it and removes the file."""
    pid_file, log, port = tmp_path / "scanmail.pid", tmp_path / "syslog", free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(log))
        site = programs.site(tmp_path, {"SCANMAIL_PIDFILE": str(pid_file), "SCANMAIL_LOGHOST": str(log)})
        done = subprocess.run([site.program, "-daemon", "-server_port", str(port)], capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, b""), done.stderr
        pid = int(pid_file.read_text())
        try:
            assert os.getsid(pid) == pid
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            code, safe = Client(port, INFECTED).answer()
            assert code == b"1"
            programs.assert_without([safe], EICAR)
        finally:
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 30
        while pid_file.exists() or not has_ended(pid):
            assert time.monotonic() < end
            time.sleep(0.02)


def has_ended(pid: int) -> bool:
    """Is the process gone, or a zombie that nobody has asked about?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


def test_daemon_that_cannot_start_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "syslog"))
        variables = {"SCANMAIL_PIDFILE": str(tmp_path / "scanmail.pid"), "SCANMAIL_LOGHOST": str(tmp_path / "syslog")}
        done = run(programs.site(tmp_path, variables), "-daemon", "-server_port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr
    assert not (tmp_path / "scanmail.pid").exists()


def test_usual_port_and_pid_files() -> None:
    """Port 11200 of this machine only, and the manual's PID file."""
    settings = config.parse([("f-prot.conf", profile.toml(fprot_conf.read(b"", "f-prot.conf", {})))]).settings
    assert settings["server.listen"] == ("127.0.0.1:11200",)
    assert settings["server.pid_files"] == ("/var/run/scanmail.pid", "/var/run/scan-mail.pid")


# -- syslog ------------------------------------------------------------------------------------------------------


@contextmanager
def syslogd(directory: Path) -> Iterator[tuple[str, socket.socket]]:
    """A double of /dev/log: its path, and the socket where datagrams arrive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(directory / "log"))
        listener.settimeout(30)
        yield str(directory / "log"), listener


@pytest.mark.parametrize(
    ("variables", "message", "expected"),
    [
        ({}, INFECTED, r"<20>.* scan-mail\.pl\[[0-9]+\]: outcome=cleaned .*"),  # mail.warning
        ({"SCANMAIL_LOGFACILITY": "local3"}, INFECTED, r"<156>.* scan-mail\.pl\[[0-9]+\]: outcome=cleaned .*"),
        ({"SCANMAIL_LOGLEVEL": "6"}, CLEAN, r"<22>.* scan-mail\.pl\[[0-9]+\]: outcome=clean .*"),
        ({"SCANMAIL_LOGLEVEL": "info", "SCANMAIL_LOGFACILITY": "local0"}, CLEAN, r"<134>.* scan-mail\.pl\[[0-9]+\]: .*"),
        ({"FPROT_LOGLEVEL": "7", "FPROT_LOGFACILITY": "daemon"}, CLEAN, r"<30>.* scan-mail\.pl\[[0-9]+\]: .*"),
    ],
)
def test_syslog_has_the_line(tmp_path: Path, variables: dict[str, str], message: bytes, expected: str) -> None:
    with syslogd(tmp_path) as (path, listener):
        done = run(programs.site(tmp_path, {"SCANMAIL_LOGHOST": path, **variables}), message=message)
        assert re.fullmatch(expected, listener.recv(65536).decode().rstrip("\n\0"))
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(1)
    assert done.stderr == b""


@pytest.mark.parametrize(("level", "message"), [("4", CLEAN), ("3", INFECTED), ("err", CLEAN)])
def test_syslog_does_not_have_what_is_masked(tmp_path: Path, level: str, message: bytes) -> None:
    """Then the line is on standard error: there is one for every message."""
    with syslogd(tmp_path) as (path, listener):
        done = run(programs.site(tmp_path, {"SCANMAIL_LOGHOST": path, "SCANMAIL_LOGLEVEL": level}), message=message)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(1)
    assert done.stderr.count(b"outcome=") == 1


def test_syslog_is_where_it_always_is() -> None:
    settings = config.parse([("f-prot.conf", profile.toml(fprot_conf.read(b"", "f-prot.conf", {})))]).settings
    assert [settings[f"log.{name}"] for name in ("syslog", "ident", "facility")] == ["/dev/log", "scan-mail.pl", FACILITIES["mail"]]
