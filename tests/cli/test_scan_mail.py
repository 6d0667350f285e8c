"""`scan-mail` as a process: what the manual promises of the filter, and that every mistake keeps the message with its owner."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import programs
import wrappings
from eicar import EICAR
from lazaretto.cli import scan_mail, setup
from lazaretto.errors import ConfigError
from lazaretto.frontends import stdio
from lazaretto.legacy import options
from lazaretto.legacy.options import OPTIONS, Invocation
from lazaretto.scan.job import Scanner

PROGRAM = [sys.executable, "-m", "lazaretto.cli.scan_mail"]
FIELD = b"X-Antivirus: Scanned by Lazaretto (yara)"
CLEAN = wrappings.attach(b"nothing to see here", "notes.txt")
INFECTED = wrappings.attach(EICAR, "notes.txt")
STOPPED = wrappings.attach(b"Rem harmless", "script.vbs")
BANNED = wrappings.attach(b"harmless", "holiday.scr")
LISTS = {"SCANMAIL_BANLIST": r"\.scr$", "SCANMAIL_STOPLIST": r"\.exe$;\.vbs$"}
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole module: compiled rules are cached in it."""
    return tmp_path_factory.mktemp("state")


class Site:
    """An f-prot.conf in `root`, with the directories that it names, and a home for the user."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.conf = root / "f-prot.conf"
        self.backup = root / "backup"
        self.saved = root / "quarantine"
        self.environment = {**programs.environment(root), "SCANMAIL_CONFIG": str(self.conf), "LAZARETTO_STATE_DIR": str(state)}
        self.configure()

    def configure(self, **variables: str) -> None:
        usual = {
            "SCANMAIL_LOGHOST": "-",
            "SCANMAIL_ENGINES": "yara",
            "SCANMAIL_BACKUPDIR": str(self.backup),
            "SCANMAIL_QUARANTINEDIR": str(self.saved),
            "SCANMAIL_PIDFILE": str(self.root / "scanmail.pid"),
        }
        self.conf.write_text("".join(f"{name}='{value}'\n" for name, value in {**usual, **variables}.items()))

    def run(
        self, *arguments: str, message: bytes | None = CLEAN, env: dict[str, str] | None = None, before: Sequence[str] = (), **streams: Any
    ) -> subprocess.CompletedProcess[bytes]:
        given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        if message is not None and "stdin" not in streams:
            given["input"] = message
        done = subprocess.run(
            [*before, *PROGRAM, *arguments], env={**self.environment, **(env or {})}, timeout=60, check=False, cwd=self.root, **given
        )
        assert b"Traceback" not in (done.stderr or b""), done.stderr.decode()
        return done

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*PROGRAM, *arguments], env=self.environment, cwd=self.root, **streams)

    def backups(self) -> list[Path]:
        return sorted(path for path in self.backup.rglob("*") if path.is_file())


@pytest.fixture
def site(tmp_path: Path, state: Path) -> Site:
    return Site(tmp_path, state)


def with_field(message: bytes, eol: bytes = b"\r\n") -> bytes:
    """The message with our field at the end of its header."""
    header, blank, body = message.partition(eol + eol)
    return header + eol + FIELD + blank + body


def kept(done: subprocess.CompletedProcess[bytes], *words: str, rule: str = "configuration") -> str:
    """75, nothing written, and the final line says why."""
    assert (done.returncode, done.stdout) == (75, b""), done.stderr.decode()
    line = programs.final_line(done.stderr)
    assert " outcome=deferred " in line
    assert f" rule={rule} " in line
    assert " error=" in line
    for word in words:
        assert word in line
    return line


# -- what goes well


def test_clean_mail_gets_its_field(site: Site) -> None:
    done = site.run()
    assert (done.returncode, done.stdout) == (0, with_field(CLEAN))
    assert "outcome=clean " in programs.final_line(done.stderr)
    assert site.backups() == []


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"SENDER": "a@example.org", "RECIPIENT": "b@example.net"}, " from=a@example.org to=b@example.net "),
        ({"SENDER": "", "RECIPIENT": "b@example.net"}, " from=<> to=b@example.net "),
        ({"RECIPIENT": ""}, None),
        ({}, None),
    ],
)
def test_the_envelope_of_the_environment(env: dict[str, str], told: str | None, site: Site) -> None:
    line = programs.final_line(site.run(env=env).stderr)
    assert told in line if told is not None else " from=" not in line and " to=" not in line


def test_the_from_line_is_kept(site: Site) -> None:
    message = b"From sender@example.org  Sun Nov 22 10:00:00 2026\n" + CLEAN.replace(b"\r\n", b"\n")
    done = site.run(message=message)
    assert (done.returncode, done.stdout) == (0, with_field(message, b"\n"))


def test_the_words_of_the_manual(site: Site) -> None:
    """As they stand in the manual when fpscand scans; the text can be set."""
    site.configure(SCANMAIL_HEADER="Scanned by F-Prot Antivirus (http://www.f-prot.com)")
    done = site.run()
    assert b"\r\nX-Antivirus: Scanned by F-Prot Antivirus (http://www.f-prot.com)\r\n\r\n" in done.stdout


@pytest.mark.parametrize(
    ("message", "content", "saved"),
    [(INFECTED, EICAR, False), (BANNED, b"harmless", False), (STOPPED, b"Rem harmless", True)],
    ids=["infected", "banned", "stopped"],
)
def test_what_is_dangerous_is_cut_out(message: bytes, content: bytes, saved: bool, site: Site) -> None:
    site.configure(**LISTS)
    done = site.run(message=message)
    assert done.returncode == 0
    assert b"See attachment." in done.stdout
    assert FIELD in done.stdout
    assert wrappings.b64(content)[:12] not in done.stdout
    assert "outcome=cleaned " in programs.final_line(done.stderr)
    files = [path.read_bytes() for path in site.saved.glob("att-*")] if site.saved.exists() else []
    assert files == ([content] if saved else [])


@pytest.mark.parametrize("option", ["-b", "-backup", "--backup", "-BACK"])
@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_backup(option: str, message: bytes, site: Site) -> None:
    before = int(time.time())
    assert site.run(option, message=message).returncode == 0
    (copy,) = site.backups()
    assert copy.read_bytes() == message
    assert re.fullmatch(r"\d{4}/\d+\.\d+", str(copy.relative_to(site.backup)))
    assert before <= int(copy.stem) <= time.time()


def test_quarantine(site: Site) -> None:
    assert site.run("-quarantine").returncode == 0
    assert site.backups() == []
    assert site.run("--quarantine", message=INFECTED).returncode == 0
    (copy,) = site.backups()
    assert copy.read_bytes() == INFECTED


def test_without_a_place_for_the_copy(site: Site) -> None:
    site.backup.write_text("in the way")
    assert site.run().returncode == 0
    kept(site.run("-backup"), str(site.backup), rule="system")


@pytest.mark.parametrize("message", [b"", b"\n", b"\0", b"no header", b"\r\n\r\n", b"From a b\n", random.Random(3).randbytes(100_000)])
def test_what_hardly_is_a_message(message: bytes, site: Site) -> None:
    done = site.run(message=message)
    assert done.returncode in (0, 75)
    if done.returncode == 0:
        assert done.stdout.replace(FIELD, b"").replace(b"\r", b"").replace(b"\n", b"") == message.replace(b"\r", b"").replace(b"\n", b"")
    programs.final_line(done.stderr)


def test_no_configuration_at_all(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any file, everything has its default."""
    monkeypatch.setattr(scan_mail, "FPROT_CONF", str(tmp_path / "absent.conf"))
    monkeypatch.setenv("LAZARETTO_CONFIG", str(site.root / "empty.toml"))
    for name in ("SCANMAIL_CONFIG", "SCANMAIL_LOGHOST"):
        monkeypatch.delenv(name, raising=False)
    settings = scan_mail.choose(Invocation()).config.settings
    assert settings["headers.scanned_field"] == "X-Antivirus"
    assert settings["backup.directory"] == "/usr/local/f-prot/backup"
    assert settings["log.ident"] == "scan-mail.pl"
    assert settings["log.syslog"] == "/dev/log"
    assert (settings["log.level"], settings["log.facility"]) == (4, 2)


# -- what counts above what


def test_what_is_later_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """f-prot.conf, then lazaretto.toml, then the command line; the environment above f-prot.conf."""
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    ours = site.root / "empty.toml"

    def level(*arguments: str) -> object:
        return scan_mail.choose(options.parse(arguments)).config.settings["log.level"]

    assert level() == 4
    site.configure(SCANMAIL_LOGLEVEL="3")
    assert level() == 3
    monkeypatch.setenv("SCANMAIL_LOGLEVEL", "2")
    assert level() == 2
    ours.write_text("log.level = 'notice'\n")
    assert level() == 5
    assert level("-verbose") == 6
    assert level("-debug") == 7
    assert level("-debug", "-verbose") == 7


def test_a_rule_of_lazaretto_toml(site: Site) -> None:
    (site.root / "empty.toml").write_text("[[rule]]\nname = 'stern'\nkind = 'malware'\naction = 'reject'\n")
    done = site.run(message=INFECTED)
    assert (done.returncode, done.stdout) == (69, b"")
    assert " rule=stern " in programs.final_line(done.stderr)


def test_engines_by_environment(site: Site) -> None:
    done = site.run(message=INFECTED, env={"SCANMAIL_ENGINES": "none"})
    assert (done.returncode, done.stdout) == (0, with_field(INFECTED).replace(b" (yara)", b""))


# -- mistakes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-bq"], ["no such option: '-bq'"]),
        (["-qpostfix", "127.0.0.1:25"], ["no such option: '-qpostfix'"]),
        (["-ser"], ["ambiguous: -server, -server_port"]),
        (["-server_port", "-daemon"], ["-server_port: expected PORT after it, not '-daemon'"]),
        (["-postfix", "nowhere"], ["-postfix: expected an address"]),
        (["-milter=unix:/s", "-proxy"], ["exclude each other"]),
        (["-b\n-q\u00ff"], ["no such option"]),
    ],
)
def test_a_wrong_command_line(arguments: list[str], words: list[str], site: Site) -> None:
    line = kept(site.run(*arguments), *words, rule="command-line")
    assert "-help shows what there is" in line


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SCANMAIL_LOGLEVEL": "loud"}, ["SCANMAIL_LOGLEVEL", "loud"]),
        ({"SCANMAIL_STOPLIST": r"\.exe$;("}, ["SCANMAIL_STOPLIST", "("]),
        ({"SCANMAIL_ENGINES": "nonsense"}, ["nonsense"]),
        ({"SCANMAIL_BACKUPDIR": "relative"}, ["SCANMAIL_BACKUPDIR"]),
    ],
)
def test_a_wrong_f_prot_conf(variables: dict[str, str], words: list[str], site: Site) -> None:
    site.configure(**variables)
    kept(site.run(), *words)


def test_an_f_prot_conf_that_cannot_be_read(site: Site, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("absent", "No such file"), ("directory", "Is a directory"), ("pipe", "not a plain file")):
        kept(site.run(env={"SCANMAIL_CONFIG": str(tmp_path / name)}), str(tmp_path / name), "cannot be read", reason)
    (tmp_path / "f-prot.conf").write_text("rm -rf $HOME\n")
    kept(site.run(), "f-prot.conf:1", "commands are not run here")
    (tmp_path / "f-prot.conf").write_bytes(b"#" * ((1 << 20) + 1))
    kept(site.run(), "larger than")


def test_a_wrong_lazaretto_toml(site: Site) -> None:
    (site.root / "empty.toml").write_text("[policy]\nmalwear = 1\n")
    kept(site.run(), "empty.toml:2", "malwear")


@pytest.mark.parametrize("error", [ImportError("no yara_x"), OSError(5, "broken"), MemoryError(), KeyboardInterrupt()], ids=repr)
def test_what_goes_wrong_at_the_start(error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_: object) -> object:
        raise error

    monkeypatch.setattr(scan_mail, "choose", fail)
    assert scan_mail.main([]) == 75
    assert programs.final_line(capfd.readouterr().err.encode()).startswith("lazaretto: outcome=deferred rule=system error=")


def test_engines_are_closed_whatever_happens(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    for name, value in {**site.environment, "SCANMAIL_ENGINES": "none"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Scanner, "close", lambda self: closed.append(True))
    monkeypatch.setattr(stdio, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scan_mail.main([])
    assert closed == [True]


# -- standard streams


def test_standard_output_is_closed(site: Site) -> None:
    kept(site.run(before=["/bin/sh", "-c", 'exec "$@" >&-', "sh"]), rule="system")


def test_standard_input_is_closed(site: Site) -> None:
    kept(site.run(before=["/bin/sh", "-c", 'exec "$@" <&-', "sh"], message=None), rule="system")


def test_standard_error_is_closed(site: Site) -> None:
    done = site.run(before=["/bin/sh", "-c", 'exec "$@" 2>&-', "sh"])
    assert (done.returncode, done.stdout) == (0, with_field(CLEAN))


def test_the_disk_is_full(site: Site) -> None:
    with open("/dev/full", "wb") as full:
        done = site.run(stdout=full)
    assert done.returncode == 75
    assert "cannot write standard output" in programs.final_line(done.stderr)


def test_the_reader_has_gone(site: Site) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = site.run(stdout=writer)
    os.close(writer)
    assert done.returncode == 75
    assert "cannot write standard output" in programs.final_line(done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_it_waits_for_its_message(number: int, site: Site) -> None:
    process = site.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"From: a@example.org\n" * 10_000)  # more than a pipe holds: it reads, so its handlers are set
    process.stdin.flush()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout) == (75, b"")
    assert "stopped by SIG" in programs.final_line(stderr)


# -- help


@pytest.mark.parametrize("spelling", ["-h", "--help", "-HELP", "-he"])
def test_help(spelling: str, site: Site) -> None:
    done = site.run(spelling)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text == options.help_text()
    assert all(f"-{option.name}" in text for option in OPTIONS)


def test_help_needs_no_configuration_and_no_reader(site: Site) -> None:
    site.conf.unlink()
    assert site.run("-h").returncode == 0
    assert site.run("-h", before=["/bin/sh", "-c", 'exec "$@" >&-', "sh"]).returncode == 75


def test_help_under_its_own_name(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/f-prot/tools/scan-mail.pl", "-b"])
    assert scan_mail.main(["-h"]) == 0
    assert capfd.readouterr().out.startswith("usage: scan-mail.pl [")


# -- the sanitizer's lines


def test_lines_of_the_sanitizer(site: Site) -> None:
    (site.root / "anomy.conf").write_text("feat_html = 0 # as ever\nfile_list_99 = (?i)\\.exe$\ntry nowhere\n")
    done = site.run("-b", "feat_log_inline = 0", "anomy.conf", "-q")
    kept(done, "Cannot read -q: No such file or directory [0] Error in argument 3.")
    done = site.run("feat_kill_tnef = 1", str(site.root / "anomy.conf"), "var_x += y")
    assert (done.returncode, done.stdout) == (0, with_field(CLEAN))
    warning, final = done.stderr.decode().splitlines()
    assert warning.startswith('lazaretto: warning="sanitizer: feat_kill_tnef (argument 1) has no effect: winmail.dat is always opened')
    assert "outcome=clean " in final


def test_rules_of_the_sanitizer(site: Site) -> None:
    (site.root / "anomy.conf").write_text("file_list_4 = (?i)\\.exe$\nfile_list_4_policy = defang!\nheader_info = X-Own: yes\n")
    done = site.run("anomy.conf", message=wrappings.attach(b"hello", "a.exe"))
    assert done.returncode == 1  # "!"
    assert b'filename="a_exe.DEFANGED-1"' in done.stdout
    assert b"\r\nX-Own: yes\r\n" in done.stdout
    assert b"X-Antivirus" not in done.stdout
    assert " rule=file_list_4 alarm=yes replaced=2 " in programs.final_line(done.stderr)


def test_a_person_sees_the_configuration_as_far_as_it_was_read(site: Site) -> None:
    leader, follower = os.openpty()
    process = site.start("var_mine = 7", "nonsense", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while chunk := os.read(leader, 4096):
            shown += chunk
    os.close(leader)
    assert process.communicate()[0] == b""
    assert process.returncode == 75
    lines = shown.decode().splitlines()
    assert lines[0] == "Current configuration:"
    assert "var_mine = 7" in lines
    assert "feat_html = 0" in lines
    assert "Cannot read nonsense: No such file or directory [0] Error in argument 2." in lines[-1]


def test_wrong_lines_of_the_sanitizer(site: Site) -> None:
    kept(site.run("feat_htlm = 0"), "Unknown configuration variable: feat_htlm (did you mean feat_html?)")
    (site.root / "anomy.conf").write_text("\nanomy.conf\n")
    kept(site.run("anomy.conf"), "Configuration files nested too deep!", "[1] Error in anomy.conf, line 2.")
    kept(site.run("/dev/stdin"), "Cannot read /dev/stdin: not a plain file")  # it would eat the message


def test_options_without_effect(site: Site) -> None:
    done = site.run("-b", "-q", "-server_port", "1")
    assert (done.returncode, done.stdout) == (0, with_field(CLEAN))
    *warnings, final = done.stderr.decode().splitlines()
    assert [warning.startswith('lazaretto: warning="-') for warning in warnings] == [True, True]
    assert "outcome=clean " in final


def test_a_misspelt_variable(site: Site) -> None:
    """The list that was meant is not there; mail goes on, and the log says so."""
    site.configure(SCANMAIL_STOPLST=r"\.vbs$")
    done = site.run()
    warning, final = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert warning.startswith('lazaretto: warning="SCANMAIL_STOPLST (')
    assert "did you mean SCANMAIL_STOPLIST?" in warning
    assert "outcome=clean " in final


# -- the log


@contextlib.contextmanager
def syslog_double(path: Path) -> Iterator[Callable[[], list[bytes]]]:
    """A syslog daemon that writes down what comes; call it for the lines so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)

        def lines() -> list[bytes]:
            found = []
            while True:
                try:
                    found.append(sock.recv(1 << 16))
                except BlockingIOError:
                    return found

        yield lines


def test_one_final_line(site: Site) -> None:
    """In syslog if its level is not masked there, else on standard error; never in both, never in none."""
    path = site.root / "log"
    site.configure(SCANMAIL_LOGHOST=str(path))
    programs.final_line(site.run(message=INFECTED).stderr)  # nobody listens
    with syslog_double(path) as lines:
        assert site.run(message=INFECTED).stderr == b""
        (line,) = lines()
        assert re.match(rb"<20>.{15} scan-mail\.pl\[\d+\]: outcome=cleaned id=", line)  # mail.warning

        programs.final_line(site.run().stderr)  # clean mail is masked by default
        assert lines() == []

        assert site.run("-verbose").stderr == b""
        (line,) = lines()
        assert re.match(rb"<22>.{15} scan-mail\.pl\[\d+\]: outcome=clean ", line)  # mail.info

        site.configure(SCANMAIL_LOGHOST=str(path), SCANMAIL_LOGLEVEL="info", SCANMAIL_LOGFACILITY="local3")
        assert site.run("feat_kill_tnef = 1").stderr == b""
        assert [line[:5] for line in lines()] == [b"<156>", b"<158>"]  # local3.warning for the sanitizer, local3.info


# -- servers


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def ask(port: int, request: bytes) -> bytes:
    """Until the server is there and has answered."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as sock:
                sock.sendall(request)
                return sock.makefile("rb").readline()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def test_server(site: Site) -> None:
    """It answers, keeps its configuration when the new one is wrong, and ends when told so."""
    port = free_port()
    site.configure(SCANMAIL_LOGHOST=str(site.root / "log"))
    with syslog_double(site.root / "log") as lines:
        process = site.start("-server", "-server_port", str(port), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert ask(port, b"PING\n").startswith(b"0 PONG")
            assert not (site.root / "scanmail.pid").exists()  # that is for the daemon
            site.configure(SCANMAIL_LOGLEVEL="loud")
            process.send_signal(signal.SIGHUP)
            said: list[bytes] = []
            end = time.monotonic() + PATIENCE_S
            while not said:
                assert time.monotonic() < end
                time.sleep(0.02)
                said = lines()
            assert b"SCANMAIL_LOGLEVEL" in said[0]
            assert ask(port, b"PING\n").startswith(b"0 PONG")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE_S)
        assert process.returncode == 0


def test_the_server_scans_what_clients_name(site: Site) -> None:
    """The old client's way: two file names, and the answer when the output file is there."""
    port = free_port()
    (site.root / "empty.toml").write_text(f"server.directories = ['{site.root}']\n")
    given, taken = site.root / "in", site.root / "out"
    given.write_bytes(INFECTED)
    taken.write_bytes(b"")
    process = site.start("-s", f"-server_port={port}", "-backup", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert ask(port, f"{given} {taken}\n".encode()).startswith(b"1 ")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert b"See attachment." in taken.read_bytes()
    assert FIELD in taken.read_bytes()
    (copy,) = site.backups()
    assert copy.read_bytes() == INFECTED
    assert int(copy.suffix[1:]) != process.pid  # of the child that scanned it


@contextlib.contextmanager
def stopped_at_the_end(pid_file: Path) -> Iterator[None]:
    """Whatever happens, no daemon is left behind."""
    try:
        yield
    finally:
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        end = time.monotonic() + PATIENCE_S
        while pid_file.exists():
            assert time.monotonic() < end
            time.sleep(0.02)


def test_daemon(site: Site) -> None:
    port = free_port()
    site.configure(SCANMAIL_LOGHOST=str(site.root / "log"), SCANMAIL_SERVERPORT=str(port), SCANMAIL_LOGLEVEL="info")
    with syslog_double(site.root / "log") as lines, stopped_at_the_end(site.root / "scanmail.pid"):
        done = site.run("-daemon", message=b"")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        pid = int((site.root / "scanmail.pid").read_text())
        assert ask(port, b"PING\n").startswith(b"0 PONG")
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        again = site.run("-daemon", message=b"")
        assert (again.returncode, again.stdout) == (1, b"")
        assert str(port).encode() in again.stderr
        (started,) = lines()
        assert f" scan-mail.pl[{pid}]: event=started ".encode() in started


def test_a_server_that_cannot_start(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = site.run("-server", "-server_port", port)
    assert (done.returncode, done.stdout) == (1, b"")
    assert port.encode() in done.stderr
    done = site.run("-daemon")  # its log would be standard error
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"SCANMAIL_LOGHOST" in done.stderr
    site.configure(SCANMAIL_LOGLEVEL="loud")
    for mode in ("-server", "-daemon"):
        done = site.run(mode)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"SCANMAIL_LOGLEVEL" in done.stderr


def test_port_of_the_command_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the place of the configured port; UNIX sockets stay."""
    from lazaretto.cli import serve

    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    seen: list[tuple[object, ...]] = []

    def start(_make: object, settings: Any, *, daemon: bool) -> int:
        seen.append((settings.listen, settings.pid_files, daemon))
        return 0

    monkeypatch.setattr(serve, "start", start)
    site.configure(SCANMAIL_SOCKET="/run/scan.sock", SCANMAIL_SERVERPORT="11201", SCANMAIL_LOGHOST="/dev/null")
    pid_files = (str(site.root / "scanmail.pid"),)
    for arguments in (["-server"], ["-daemon"], ["-daemon", "-server_port", "9"]):
        assert scan_mail.main(arguments) == 0
    assert seen == [
        (("127.0.0.1:11201", "unix:/run/scan.sock"), (), False),
        (("127.0.0.1:11201", "unix:/run/scan.sock"), pid_files, True),
        (("127.0.0.1:9", "unix:/run/scan.sock"), pid_files, True),
    ]


# -- start-up


def test_it_imports_nothing_heavy(site: Site) -> None:
    heavy = "asyncio argparse dataclasses difflib email http importlib.metadata inspect ipaddress json logging multiprocessing socket"
    heavy += " sqlite3 ssl subprocess tarfile unittest urllib.request zipfile"
    site.run()  # the first run may compile and store rules
    done = site.run(before=["/usr/bin/env", "PYTHONPROFILEIMPORTTIME=1"])
    names = set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr.decode(), re.MULTILINE))
    assert "lazaretto.frontends.stdio" in names
    assert names & set(heavy.split()) == set()
    assert not {name for name in names if name.startswith("lazaretto.frontends.") and name.endswith(("server", "daemon", "syslog"))}


def test_what_choose_raises(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    (site.root / "a").write_text("feat_html = 1\n")
    chosen = scan_mail.choose(Invocation(sanitizer=("a",)), str(site.root))
    assert (chosen.specs, chosen.log) == ((), setup.to_stderr)
    with pytest.raises(ConfigError, match="Cannot read b: No such file"):
        scan_mail.choose(Invocation(sanitizer=("b",)), str(site.root))


def test_a_configuration_in_the_style_of_the_manual(site: Site) -> None:
    """With all that an installation had: lines that add up, a scanner of its own, a place for what is saved."""
    avp = site.root / "avp.sh"
    avp.write_text('#!/bin/sh\ngrep -q Macro "$1" && exit 3\nexit 0\n')
    avp.chmod(0o755)
    (site.root / "sanitizer.cfg").write_text(
        rf"""# Anomy sanitizer
feat_log_inline = 1
feat_log_stderr = 0
score_bad = 100
file_name_tpl = {site.root}/quarantine/att-$F-$T.$$
file_list_rules = 4
msg_defanged = FIXED
header_info = X-Sanitizer: This message has been sanitized!
header_url = 0
header_rev = 0
file_list_1 = (?i)(winmail\.dat
file_list_1 += |\.(exe|com|vb[se]|scr|pif))$
file_list_1_policy = save
file_list_2 = (?i)\.(gif|jpe?g|png|txt|html?)$
file_list_2_policy = accept
file_list_3 = ^[^\.]+$
file_list_3_policy = accept
file_list_4 = (?i)\.(doc|xls)$
file_list_4_policy = accept:accept:save:save
file_list_4_scanner = 0:5:3,4:{avp} %FILENAME
"""
    )
    clean = site.run("-quarantine", "--", "sanitizer.cfg")
    header, blank, body = CLEAN.partition(b"\r\n\r\n")
    assert (clean.returncode, clean.stdout) == (0, header + b"\r\nX-Sanitizer: This message has been sanitized!" + blank + body)
    program = site.run("-quarantine", "--", "sanitizer.cfg", message=wrappings.attach(b"program", "a.exe"))
    document = site.run("-quarantine", "--", "sanitizer.cfg", message=wrappings.attach(b"Macro", "a.doc"))
    harmless = site.run("-quarantine", "--", "sanitizer.cfg", message=wrappings.attach(b"letter", "a.doc"))
    infected = site.run("-quarantine", "--", "sanitizer.cfg", message=INFECTED)
    assert [done.returncode for done in (program, document, harmless, infected)] == [0, 0, 0, 0]
    assert b"filerule.matched (file_list_1)" in program.stdout
    assert b"file_list_4.infected (file_list_4)" in document.stdout
    assert "outcome=clean " in programs.final_line(harmless.stderr)
    assert EICAR not in infected.stdout
    saved = sorted(path.read_bytes() for path in (site.root / "quarantine").iterdir())
    assert saved == [b"Macro", b"program"]
    assert len(site.backups()) == 3
