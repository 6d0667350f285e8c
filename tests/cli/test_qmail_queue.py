"""The qmail-queue replacement as qmail's programs run it, with a stand-in for the real one that records what it was given."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import programs
import wrappings
from eicar import EICAR
from lazaretto.cli import qmail_queue
from lazaretto.frontends import thin
from lazaretto.legacy.qmail_queue import QueueError
from scan_server import ANNOUNCED, HANG_UP, SILENCE, ScanServerDouble, answer

CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
LARGE = wrappings.single(b"Content-Type: text/plain\r\n", b"0123456789abcdef\r\n" * 100_000)
ENVELOPE = b"Fa@example.org\0Tb@example.net\0Tc@example.net\0\0"
STAND_IN = '#!/bin/sh\ncat >"{0}/message"\ncat <&1 >"{0}/envelope"\nenv >"{0}/environment"\necho $# >"{0}/arguments"\n{1}\n'


class Done(NamedTuple):
    status: int
    stderr: bytes

    @property
    def line(self) -> str:
        return programs.final_line(self.stderr)


class Installation:
    """As the manual of the old plug-in has it: ours as qmail-queue, the real one renamed beside it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = home / "bin"
        self.records = home / "records"
        self.spool = home / "spool"
        for directory in (self.bin, self.records, self.spool):
            directory.mkdir()
        self.program = self.bin / "qmail-queue"
        self.program.write_text(
            f"#!{sys.executable} -IB\nimport sys\n{PATHS}\nfrom lazaretto.cli.qmail_queue import main\nsys.exit(main())\n"
        )
        self.program.chmod(0o755)
        self.real = self.bin / "qmail-queue.orig"
        self.queue("exit 0")
        self.env = {**programs.environment(home), "LAZARETTO_STATE_DIR": str(home / "state"), "TMPDIR": str(self.spool)}

    def queue(self, end: str) -> None:
        """A stand-in for the real one that records all and ends so."""
        self.real.unlink(missing_ok=True)
        self.real.write_text(STAND_IN.format(self.records, end))
        self.real.chmod(0o711 if os.geteuid() == 0 else 0o755)

    def configure(self, text: str) -> None:
        path = self.home / "lazaretto.toml"
        path.write_text(text)
        self.env["LAZARETTO_CONFIG"] = str(path)

    def start(self, message_fd: int, envelope_fd: int, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self.program], stdin=message_fd, stdout=envelope_fd, stderr=subprocess.PIPE, env={**self.env, **env})

    def run(self, message: bytes = CLEAN, envelope: bytes = ENVELOPE, **env: str) -> Done:
        """As qmail-smtpd does it: two pipes, the whole message, then the envelope."""
        (message_out, message_in), (envelope_out, envelope_in) = os.pipe(), os.pipe()
        process = self.start(message_out, envelope_out, **env)
        os.close(message_out)
        os.close(envelope_out)

        def write() -> None:
            for fd, data in ((message_in, message), (envelope_in, envelope)):
                try:
                    with os.fdopen(fd, "wb") as pipe:
                        pipe.write(data)
                except OSError:
                    pass  # it has seen enough

        writer = threading.Thread(target=write)
        writer.start()
        _, stderr = process.communicate(timeout=60)
        writer.join(60)
        assert b"Traceback" not in stderr, stderr.decode()
        assert not list(self.spool.iterdir()), "something was left over"
        return Done(process.returncode, stderr)

    def recorded(self, what: str) -> bytes:
        return (self.records / what).read_bytes()

    def queued_nothing(self) -> bool:
        return not list(self.records.iterdir())


PATHS = f"sys.path[:0] = {[programs.ROOT, *[path for path in sys.path if path.endswith('site-packages')]]!r}"


@pytest.fixture
def qmail(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def server() -> Iterator[ScanServerDouble]:
    with ScanServerDouble() as double:
        yield double


# -- scanned here


@pytest.mark.parametrize("message", [CLEAN, LARGE, b""], ids=["clean", "large", "empty"])
def test_clean_mail(qmail: Installation, message: bytes) -> None:
    done = qmail.run(message, TCPREMOTEIP="192.0.2.7")
    assert done.status == 0
    assert qmail.recorded("message") == (b"X-Lazaretto-Status: clean\r\n" + message if message else b"")
    assert qmail.recorded("envelope") == ENVELOPE
    assert qmail.recorded("arguments") == b"0\n"
    assert "outcome=clean " in done.line
    assert " from=a@example.org to=b@example.net,c@example.net client=192.0.2.7 " in done.line


def test_infected_mail(qmail: Installation) -> None:
    done = qmail.run(INFECTED)
    assert done.status == 0
    assert wrappings.b64(EICAR)[:60] not in qmail.recorded("message")
    assert b"See attachment." in qmail.recorded("message")
    assert qmail.recorded("envelope") == ENVELOPE
    assert "outcome=cleaned " in done.line
    assert [kept.read_bytes() for kept in (qmail.home / "state").rglob("*.eml")] == [INFECTED]


RULE = '[[rule]]\nname = "stern"\nkind = "malware"\naction = "{}"\n'


@pytest.mark.parametrize(
    ("action", "status", "word"), [("reject", 31, "rejected"), ("discard", 0, "discarded"), ("tempfail", 71, "deferred")]
)
def test_what_policy_does_not_let_pass(qmail: Installation, action: str, status: int, word: str) -> None:
    qmail.configure(RULE.format(action))
    done = qmail.run(INFECTED)
    assert done.status == status
    assert qmail.queued_nothing()
    assert f"outcome={word} " in done.line


@pytest.mark.parametrize(
    ("end", "word"), [("exit 11", "rejected"), ("exit 31", "rejected"), ("exit 53", "deferred"), ("exit 1", "deferred")]
)
def test_the_status_of_the_real_one_is_ours(qmail: Installation, end: str, word: str) -> None:
    """Success is said by the next hop or not at all."""
    qmail.queue(end)
    done = qmail.run()
    assert done.status == int(end.split()[1])
    assert qmail.recorded("message").endswith(CLEAN)
    assert f"outcome={word} rule=qmail-queue id=" in done.line
    assert f"{qmail.real}: exit status {done.status}" in done.line


def test_the_real_one_is_killed(qmail: Installation) -> None:
    qmail.queue("kill -9 $$")
    done = qmail.run()
    assert done.status == 81
    assert "was killed by signal 9" in done.line


def test_it_sees_the_signals_as_any_program(qmail: Installation) -> None:
    """SIGPIPE, which Python ignores, would be ignored there, too."""
    qmail.queue("kill -PIPE $$; exit 0")
    done = qmail.run()
    assert done.status == 81
    assert "was killed by signal 13" in done.line


def test_a_caller_that_ignores_the_end_of_its_children(qmail: Installation) -> None:
    """What it ignores, we inherit: then nobody would know how the real one ended, and a queued message would be sent again."""
    ignoring = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nimport sys\n"
    qmail.program.write_text(qmail.program.read_text().replace("import sys\n", ignoring, 1))
    assert qmail.run().status == 0
    qmail.queue("exit 53")
    assert qmail.run().status == 53


def test_the_real_one_reads_nothing(qmail: Installation) -> None:
    qmail.real.write_text("#!/bin/sh\nexit 53\n")
    assert qmail.run(LARGE).status == 53


def test_its_environment_is_ours(qmail: Installation) -> None:
    qmail.run(RELAYCLIENT="@example.org")
    assert b"RELAYCLIENT=@example.org\n" in qmail.recorded("environment")


# -- the envelope


@pytest.mark.parametrize(
    ("envelope", "status"),
    [
        (b"", 54),
        (ENVELOPE[:-1], 54),
        (ENVELOPE[:-2], 54),
        (b"Fa\0T" + b"x" * 1003 + b"\0\0", 11),
        (b"Tb\0\0", 91),
        (b"\0\0", 91),
    ],
)
def test_wrong_envelopes(qmail: Installation, envelope: bytes, status: int) -> None:
    done = qmail.run(CLEAN, envelope)
    assert done.status == status
    assert qmail.queued_nothing()
    assert "outcome=rejected " in done.line if status == 11 else "outcome=deferred " in done.line


def test_every_cut_of_the_envelope_queues_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """qmail's programs abort a message by ending the envelope early."""
    for cut in range(len(ENVELOPE)):
        pieces = [ENVELOPE[:cut]] if cut else []
        monkeypatch.setattr(qmail_queue, "_read", lambda _fd, _what, pieces=pieces: iter(pieces))
        with pytest.raises(QueueError) as raised:
            qmail_queue._Delivery({}, "x")._envelope()
        assert raised.value.status == 54


@pytest.mark.parametrize(("sender", "shown"), [(b"", " from=<> "), (b"\xff\n", ' from="\\\\xff\\\\n" ')])
def test_odd_senders(qmail: Installation, sender: bytes, shown: str) -> None:
    envelope = b"F" + sender + b"\0Tb@example.net\0\0"
    done = qmail.run(CLEAN, envelope)
    assert done.status == 0
    assert qmail.recorded("envelope") == envelope
    assert shown in done.line


def test_what_follows_the_envelope_is_not_passed_on(qmail: Installation) -> None:
    assert qmail.run(CLEAN, ENVELOPE + b"Tx\0\0").status == 0
    assert qmail.recorded("envelope") == ENVELOPE


def test_files_instead_of_pipes(qmail: Installation, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(CLEAN)
    (tmp_path / "e").write_bytes(ENVELOPE)
    with (tmp_path / "m").open("rb") as message, (tmp_path / "e").open("rb") as envelope:
        process = qmail.start(message.fileno(), envelope.fileno())
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert qmail.recorded("envelope") == ENVELOPE


# -- what goes wrong before


@pytest.mark.parametrize("closed", [0, 1])
def test_closed_descriptors(qmail: Installation, closed: int) -> None:
    command = ["/bin/sh", "-c", f'exec "$0" {closed}<&-', str(qmail.program)]
    done = subprocess.run(command, input=CLEAN, env=qmail.env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 54
    assert qmail.queued_nothing()
    programs.final_line(done.stderr)


def test_the_envelope_cannot_be_read(qmail: Installation, tmp_path: Path) -> None:
    with (tmp_path / "m").open("wb+") as message, (tmp_path / "e").open("wb") as envelope:
        process = qmail.start(message.fileno(), envelope.fileno())
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 54
    assert "cannot read the envelope: Bad file descriptor" in programs.final_line(stderr)


@pytest.mark.parametrize("case", ["missing", "no program", "itself", "a link to itself"])
def test_no_real_one(qmail: Installation, case: str, tmp_path: Path) -> None:
    named = tmp_path / "other"
    if case == "no program":
        named.mkdir()
        named = named / "file"
        named.write_text("")
    elif case == "itself":
        named = qmail.program
    elif case == "a link to itself":
        named.symlink_to(qmail.program)
    done = qmail.run(LAZARETTO_QMAIL_QUEUE=str(named))
    assert done.status == 55
    assert "outcome=deferred rule=configuration " in done.line
    assert "LAZARETTO_QMAIL_QUEUE" in done.line


def test_a_broken_real_one(qmail: Installation) -> None:
    qmail.real.write_text("#!/nonexistent/sh\n")
    done = qmail.run()
    assert done.status == 55
    assert f"cannot run {qmail.real}: " in done.line


def test_the_real_one_by_name(qmail: Installation, tmp_path: Path) -> None:
    other = qmail.real.rename(tmp_path / "other")
    assert qmail.run(LAZARETTO_QMAIL_QUEUE=str(other)).status == 0
    assert qmail.recorded("message").endswith(CLEAN)


def test_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = tmp_path / "system"
    system.write_text("")
    system.chmod(0o755)
    monkeypatch.setattr(qmail_queue, "SYSTEM_QUEUE", str(system))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qmail-queue.orig").touch()
    assert qmail_queue._Delivery({}, "qmail-queue")._real() == str(system), "never in the current directory"
    assert qmail_queue._Delivery({}, "/nonexistent/qmail-queue")._real() == str(system)


def test_the_configuration_is_wrong(qmail: Installation) -> None:
    qmail.configure("nonsense = 1\n")
    done = qmail.run()
    assert done.status == 55
    assert qmail.queued_nothing()
    assert "outcome=deferred rule=configuration " in done.line
    assert "lazaretto.toml" in done.line


def test_an_engine_is_down(qmail: Installation) -> None:
    qmail.configure('[engines.clamd]\naddresses = ["unix:/nonexistent/clamd"]\n')
    done = qmail.run()
    assert done.status == 71
    assert qmail.queued_nothing()
    assert re.search(r"outcome=deferred id=\S+ rule=policy\.down ", done.line)


def test_a_message_too_large(qmail: Installation) -> None:
    qmail.configure("[limits]\nmax_message_bytes = 1000\n")
    done = qmail.run(LARGE)
    assert done.status == 71
    assert qmail.queued_nothing()
    assert "max_message_bytes" in done.line


def test_nowhere_to_write(qmail: Installation) -> None:
    qmail.configure("[filter]\nspool_directory = '/nonexistent'\n")
    for message in (CLEAN, LARGE):
        done = qmail.run(message)
        assert done.status == 53
        assert qmail.queued_nothing()
        assert "/nonexistent" in done.line


@pytest.mark.parametrize(
    ("error", "status"),
    [(MemoryError(), 51), (ZeroDivisionError(), 81), (OSError(28, "No space left"), 53), (KeyboardInterrupt(), 81), (SystemExit(0), 81)],
    ids=lambda value: type(value).__name__,
)
def test_whatever_goes_wrong(error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(qmail_queue._Delivery, "run", fail)
    assert qmail_queue.run({}, "qmail-queue") == status
    assert "outcome=deferred rule=system error=" in programs.final_line(capfd.readouterr().err.encode())


# -- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_the_message_is_complete(qmail: Installation, number: signal.Signals) -> None:
    """It is stopped, says so, and nothing is queued."""
    (message_out, message_in), (envelope_out, envelope_in) = os.pipe(), os.pipe()
    process = qmail.start(message_out, envelope_out)
    os.close(message_out)
    os.close(envelope_out)
    # More than a pipe holds: when all but a pipeful is written, it is reading.
    with os.fdopen(message_in, "wb") as message, os.fdopen(envelope_in, "wb"):
        message.write(LARGE)
        message.flush()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 71
    assert f"stopped by {number.name}" in programs.final_line(stderr)
    assert qmail.queued_nothing()


def test_a_signal_while_the_real_one_runs(qmail: Installation) -> None:
    """To say "not queued" now could send the message twice."""
    qmail.queue("kill -TERM $PPID; exit 0")
    done = qmail.run()
    assert done.status == 0
    assert "outcome=clean " in done.line


def test_a_caller_that_never_comes_to_an_end(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(qmail_queue, "PATIENCE_S", 0.05)
    monkeypatch.setattr(qmail_queue._Delivery, "run", lambda _: signal.pause())
    assert qmail_queue.run({}, "qmail-queue") == 52
    assert "stopped by SIGALRM" in programs.final_line(capfd.readouterr().err.encode())
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# -- scanned by a server


@pytest.mark.parametrize("message", [CLEAN, LARGE, b""], ids=["clean", "large", "empty"])
def test_the_server_scans(qmail: Installation, server: ScanServerDouble, message: bytes) -> None:
    done = qmail.run(message, LAZARETTO_SOCKET=server.address, TCPREMOTEIP="192.0.2.7")
    assert (done.status, done.stderr) == (0, b""), "the server has written the line"
    assert qmail.recorded("message") == ANNOUNCED + message
    assert qmail.recorded("envelope") == ENVELOPE
    (asked,) = server.asked
    assert asked.message == message
    assert asked.attributes == [("from", b"a@example.org"), ("client", b"192.0.2.7"), ("to", b"b@example.net"), ("to", b"c@example.net")]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (answer(1, "modified", b"safe\n"), 0),
        (answer(2, "cannot store"), 71),
        (answer(3, "bad request"), 71),
        (answer(4, "refused"), 31),
        (answer(5, "dropped"), 0),
        (answer(9, "new"), 71),
        (HANG_UP, 71),
        (b"0 5 unchanged\nhe", 71),
        (b"0 0 unchanged\n", 71),
        (b"garbage\n", 71),
    ],
)
def test_the_answers_of_the_server(qmail: Installation, server: ScanServerDouble, said: bytes, status: int) -> None:
    server.reply = lambda _: said
    done = qmail.run(LAZARETTO_SOCKET=server.address)
    assert done.status == status
    if said.startswith(b"1"):
        assert qmail.recorded("message") == b"safe\n"
    else:
        assert qmail.queued_nothing()
    if status == 71:
        assert "outcome=deferred rule=system " in done.line
        assert "scan server at 127.0.0.1:" in done.line
    else:
        assert done.stderr == b""


def test_no_server(qmail: Installation, tmp_path: Path) -> None:
    done = qmail.run(LAZARETTO_SOCKET=f"unix:{tmp_path}/none")
    assert done.status == 71
    assert qmail.queued_nothing()
    assert "No such file or directory" in done.line


def test_a_server_that_falls_silent(server: ScanServerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reply = lambda _: [b"0 5 unch", SILENCE]
    monkeypatch.setattr(thin, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(qmail_queue, "_read", lambda fd, _what: iter([CLEAN, ENVELOPE][fd : fd + 1]))
    with pytest.raises(QueueError, match=r"timed out|in time") as raised:
        qmail_queue._Delivery({}, "x")._by_server("/nonexistent", server.address)
    assert raised.value.status == 71


def test_the_server_has_scanned_and_the_queue_fails(qmail: Installation, server: ScanServerDouble) -> None:
    qmail.queue("exit 53")
    done = qmail.run(LAZARETTO_SOCKET=server.address)
    assert done.status == 53
    assert re.search(r"outcome=deferred rule=qmail-queue from=a@example.org .*exit status 53", done.line)


def test_with_a_server_little_is_loaded(qmail: Installation, server: ScanServerDouble) -> None:
    """It runs for each message: neither the configuration nor the pipeline."""
    done = subprocess.run(
        [sys.executable, "-IS", "-X", "importtime", "-c", f"import sys; {PATHS}; from lazaretto.cli.qmail_queue import main; main()"],
        stdin=subprocess.DEVNULL,
        stdout=os.open(os.devnull, os.O_RDONLY),
        stderr=subprocess.PIPE,
        env={**qmail.env, "LAZARETTO_SOCKET": server.address, "LAZARETTO_QMAIL_QUEUE": str(qmail.real)},
        check=False,
        timeout=60,
    )
    names = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines() if line.startswith("import time:")}
    assert "lazaretto.frontends.thin" in names
    heavy = {"argparse", "subprocess", "tomllib", "json", "yara_x", "lazaretto.scan.job", "lazaretto.policy.config"}
    assert names & heavy == set()


# -- the console scripts


def test_fp_qmail_asks_the_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(environ: dict[str, str], _program: str) -> int:
        seen.append(environ["LAZARETTO_SOCKET"])
        return 71

    monkeypatch.setattr(qmail_queue, "run", note)
    monkeypatch.setattr(sys, "argv", ["qmail-queue"])
    monkeypatch.delenv("LAZARETTO_SOCKET", raising=False)
    assert qmail_queue.fp_qmail() == 71
    monkeypatch.setenv("LAZARETTO_SOCKET", "unix:/s")
    assert qmail_queue.fp_qmail() == 71
    assert seen == ["127.0.0.1:11200", "unix:/s"]


def test_help(qmail: Installation) -> None:
    done = subprocess.run([qmail.program, "--help"], env=qmail.env, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"usage: lazaretto-qmail-queue ")
