"""One session on standard input and output: nothing but SMTP ever comes out, whatever goes wrong, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import programs
import wrappings
from eicar import EICAR
from next_hop_double import WAIT, NextHop
from smtp_running import Client, pairs_of, stuffed

PROGRAM = [sys.executable, "-m", "lazaretto.cli.scan_mail"]
MESSAGE = b"Subject: x\r\n\r\ny\r\n"
ADDED = b"Subject: x\r\nX-Antivirus: Scanned by Lazaretto (yara)\r\n\r\ny\r\n"
INFECTED = wrappings.attach(EICAR, "notes.txt").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole module: compiled rules are cached in it."""
    return tmp_path_factory.mktemp("state")


class Site:
    """What scan-mail finds around it: its files, and a syslog daemon that keeps what it is told."""

    def __init__(self, root: Path, state: Path) -> None:
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(str(root / "log"))
        self.syslog.settimeout(LIMIT_S)
        self.toml = root / "lazaretto.toml"
        self.toml.write_text(f'log.syslog = "{root}/log"\nlog.level = "debug"\n')
        conf = root / "f-prot.conf"
        conf.write_text(f"SCANMAIL_ENGINES=yara\nSCANMAIL_BACKUPDIR={root}/backup\n")
        self.environment = {**programs.environment(root), "SCANMAIL_CONFIG": str(conf), "LAZARETTO_STATE_DIR": str(state)}
        self.environment["LAZARETTO_CONFIG"] = str(self.toml)

    def lines(self) -> list[dict[str, str]]:
        """Final lines so far; at least one has to come."""
        found = [self.syslog.recv(65536)]
        self.syslog.setblocking(False)
        try:
            while True:
                found.append(self.syslog.recv(65536))
        except BlockingIOError:
            self.syslog.settimeout(LIMIT_S)
        return [pairs for pairs in (pairs_of(line.decode()) for line in found) if "outcome" in pairs]

    def spawn(self, *arguments: str) -> Spawned:
        return Spawned(self, arguments)


class Spawned(Client):
    """As spawn(8) does it: one socket is standard input, output and error."""

    def __init__(self, site: Site, arguments: tuple[str, ...]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        with theirs:
            streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
            self.process = subprocess.Popen([*PROGRAM, *arguments], env=site.environment, **streams)  # type: ignore[call-overload]
        super().__init__(mine)

    def status(self) -> int:
        return int(self.process.wait(LIMIT_S))

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.process.kill()
        self.process.wait(LIMIT_S)


@pytest.fixture
def site(tmp_path: Path, state: Path) -> Iterator[Site]:
    made = Site(tmp_path, state)
    yield made
    made.syslog.close()


def test_a_session(site: Site) -> None:
    with NextHop() as hop, site.spawn("-postfix", hop.address) as client:
        assert client.greeting.startswith(b"220 ")
        client.envelope()
        assert client.content(MESSAGE) == b"250 2.0.0 Ok: queued as 1\r\n"
        client.envelope(hello=b"")
        assert client.content(INFECTED) == b"250 2.0.0 Ok: queued as 2\r\n"
        assert client.say(b"QUIT").startswith(b"221 ")
        assert client.ended()
        assert client.status() == 0
        assert hop.messages[0].content == ADDED
        assert EICAR not in hop.messages[1].content
        assert [line["outcome"] for line in site.lines()] == ["clean", "cleaned"]


def test_the_next_hop_is_told_who_the_client_is(site: Site) -> None:
    with NextHop(keywords=[b"XFORWARD ADDR"]) as hop, site.spawn("-postfix", hop.address) as client:
        client.say(b"EHLO client.example")
        assert client.say(b"XFORWARD ADDR=192.0.2.1").startswith(b"250 ")
        client.envelope(hello=b"")
        client.content()
        assert hop.messages[0].xforward == (b"XFORWARD ADDR=192.0.2.1",)
        assert site.lines()[0]["client"] == "192.0.2.1"


def test_a_next_hop_that_is_not_there(site: Site) -> None:
    with site.spawn("-postfix", "127.0.0.1:1") as client:
        assert client.say(b"EHLO client.example").startswith(b"421 4.3.2 ")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.ended()
        assert client.status() == 0


@pytest.mark.parametrize("arguments", [("-postfix", "nowhere"), ("-postfix", "127.0.0.1:25", "-frobnicate"), ("-postfix",)])
def test_a_wrong_command_line(site: Site, arguments: tuple[str, ...]) -> None:
    with site.spawn(*arguments) as client:
        assert client.greeting == b"421 4.3.0 Service not available, try again later\r\n"
        assert client.ended()
        assert client.status() == 75


@pytest.mark.parametrize("text", ["no such thing = 1\n", "smtp.next_hop = 7\n", "[[["])
def test_a_wrong_configuration(site: Site, text: str) -> None:
    site.toml.write_text(text)
    with site.spawn("-postfix", "127.0.0.1:25") as client:
        assert client.greeting.startswith(b"421 4.3.0 ")
        assert client.ended()
        assert client.status() == 75


def test_a_program_that_breaks_while_it_starts(site: Site) -> None:
    site.environment["LAZARETTO_STATE_DIR"] = "/dev/null/nowhere"
    site.toml.write_text('engines.yara.rules = ["/nonexistent/rules.yar"]\n')
    with NextHop() as hop, site.spawn("-postfix", hop.address) as client:
        assert client.greeting[:3] == b"421"
        assert client.ended()
        assert client.status() == 75


def test_nothing_is_said_without_a_place_for_the_log(site: Site) -> None:
    site.toml.write_text('log.syslog = ""\n')
    with NextHop() as hop, site.spawn("-postfix", hop.address) as client:
        client.envelope()
        assert client.content(INFECTED).startswith(b"250 ")
        assert client.say(b"QUIT").startswith(b"221 ")
        assert client.ended()
        assert client.status() == 0


def test_standard_error_that_is_somebody_else_has_the_log(site: Site) -> None:
    site.toml.write_text('log.syslog = ""\n')
    dialogue = b"EHLO me\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<r@example.net>\r\nDATA\r\n"
    with NextHop() as hop:
        command = [*PROGRAM, "-postfix", hop.address]
        with subprocess.Popen(command, env=site.environment, stdin=-1, stdout=-1, stderr=-1, bufsize=0) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(dialogue)
            said = b""
            while b"354 " not in said:
                said += process.stdout.read(1)
            output, error = process.communicate(stuffed(MESSAGE), LIMIT_S)
        said += output
        assert process.returncode == 0
        assert [line[:3] for line in said.splitlines() if line[3:4] == b" "] == [b"220", b"250", b"250", b"250", b"354", b"250"]
        assert hop.messages[0].content == ADDED
        assert programs.final_line(error).startswith("lazaretto: outcome=clean ")


def test_a_dialogue_in_a_file(site: Site, tmp_path: Path) -> None:
    """DATA is answered when it is read; what stands behind it in the file is the message."""
    dialogue = tmp_path / "dialogue"
    dialogue.write_bytes(b"HELO me\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<r@example.net>\r\nDATA\r\n" + stuffed(MESSAGE) + b"QUIT\r\n")
    with NextHop() as hop, dialogue.open("rb") as file:
        done = subprocess.run(
            [*PROGRAM, "-postfix", hop.address], env=site.environment, stdin=file, capture_output=True, timeout=60, check=False
        )
        assert [line[:3] for line in done.stdout.splitlines()] == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
        assert (done.returncode, done.stderr) == (0, b"")
        assert hop.messages[0].content == ADDED


def test_a_client_that_hangs_up(site: Site) -> None:
    with NextHop() as hop, site.spawn("-postfix", hop.address) as client:
        client.envelope()
        client.say(b"DATA")
        client.send(b"Subject: x\r\n")
        client.sock.close()
        assert client.status() == 0
        assert site.lines()[0]["outcome"] == "aborted"
        assert hop.ends == 0


def test_sigterm_lets_the_message_finish(site: Site) -> None:
    with NextHop({"dot": [WAIT + b"250 2.0.0 Ok\r\n"]}) as hop, site.spawn("-postfix", hop.address) as client:
        client.envelope()
        client.say(b"DATA")
        client.send(stuffed(MESSAGE))
        hop.until(lambda: hop.ends == 1)
        client.process.send_signal(signal.SIGTERM)
        hop.go()
        assert client.reply() == b"250 2.0.0 Ok\r\n"
        assert client.reply().startswith(b"421 4.3.2 ")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.status() == 0


def test_a_scan_process_that_is_killed_costs_one_message(site: Site) -> None:
    with NextHop() as hop, site.spawn("-postfix", hop.address) as client:
        client.envelope()
        assert client.content().startswith(b"250 ")
        for pid in children(client.process.pid):
            os.kill(pid, signal.SIGKILL)
        codes = set()
        for _ in range(2):
            client.envelope(hello=b"")
            codes.add(client.content()[:3])
        assert codes <= {b"250", b"451"}
        client.say(b"QUIT")
        assert client.status() == 0
        assert len(hop.messages) == [line["outcome"] for line in site.lines()].count("clean")


def test_nobody_is_left_behind(site: Site) -> None:
    with NextHop() as hop, site.spawn("-postfix", hop.address) as client:
        client.envelope()
        client.content()
        family = children(client.process.pid)
        assert family
        client.say(b"QUIT")
        assert client.status() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in family)


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
