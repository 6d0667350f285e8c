"""The filter as a process: whatever happens, the exit status tells the truth, and one line says why."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import programs
import scanners
import wrappings
from eicar import EICAR
from lazaretto.errors import ConfigError, LimitExceeded
from lazaretto.frontends import stdio
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Report
from lazaretto.policy.rules import Policy
from lazaretto.scan.job import Scanner
from lazaretto.store.spool import Spool

CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
STATUS = b"X-Lazaretto-Status: "
ANNOUNCED = STATUS + b"clean\r\n"
LARGE = wrappings.single(b"Content-Type: text/plain\r\n", b"0123456789abcdef\r\n" * 10_000)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole module: compiled rules are cached in it."""
    return tmp_path_factory.mktemp("home")


def filtered(
    home: Path, message: bytes | None, *arguments: str, engine: str = "none", **options: object
) -> subprocess.CompletedProcess[bytes]:
    given = {"message": message} if message is not None else {}
    return programs.run(home, "filter", "--engine", engine, "--state-dir", str(home / "state"), *arguments, **given, **options)  # type: ignore[arg-type]


def configured(home: Path, text: str) -> tuple[str, str]:
    path = home / f"{abs(hash(text))}.toml"
    path.write_text(text, encoding="utf-8")
    return "--config", str(path)


def command_engine(*argv: str) -> str:
    words = ", ".join("'" + word + "'" for word in (*argv, "{file}"))
    return f"[engines.double]\nkind = 'command'\nargv = [{words}]\n"


def shell(script: str) -> str:
    return command_engine("/bin/sh", "-c", script, "sh")


# -- what goes well


def test_clean_mail_is_identical(home: Path) -> None:
    done = filtered(home, CLEAN, engine="yara")
    assert (done.returncode, done.stdout) == (0, ANNOUNCED + CLEAN)
    assert " rule=default " in programs.final_line(done.stderr)
    assert "outcome=clean " in programs.final_line(done.stderr)


def test_infected_mail_is_replaced(home: Path) -> None:
    done = filtered(
        home, INFECTED, "-f", "<a@example.org>", "-r", "b@example.net", "--client", "192.0.2.1", "--queue-id", "Q1", engine="yara"
    )
    assert done.returncode == 0
    assert done.stdout.startswith(STATUS + b"cleaned; found=malware; rule=policy.malware\r\n")
    assert b"See attachment." in done.stdout
    assert wrappings.b64(EICAR)[:60] not in done.stdout
    line = programs.final_line(done.stderr)
    for part in ("outcome=cleaned ", " queue_id=Q1 ", " from=a@example.org ", " to=b@example.net ", " client=192.0.2.1 ", " replaced=2 "):
        assert part in line
    assert "Eicar-Test-Signature(yara,2)" in line
    (kept,) = (home / "state" / "quarantine").rglob("*.eml")
    assert kept.read_bytes() == INFECTED
    assert f"quarantine={kept.stem} " in line


def test_the_null_sender(home: Path) -> None:
    assert " from=<> " in programs.final_line(filtered(home, CLEAN, "-f", "<>").stderr)


@pytest.mark.parametrize("message", [b"", b"\n", b"\0", b"no header", b"\r\n\r\n\r\n", b"From a b\n"])
def test_what_hardly_is_a_message_goes_through(home: Path, message: bytes) -> None:
    done = filtered(home, message)
    assert (done.returncode, done.stdout) == (0, message)
    assert "outcome=clean " in programs.final_line(done.stderr)


def test_a_megabyte_of_garbage(home: Path) -> None:
    garbage = random.Random(7).randbytes(1 << 20)
    done = filtered(home, garbage, engine="yara")
    assert done.returncode in (0, 75)
    programs.final_line(done.stderr)
    if "outcome=clean " in programs.final_line(done.stderr):
        assert done.stdout == garbage


def test_large_mail_is_spooled(home: Path) -> None:
    message = LARGE + LARGE
    done = filtered(home, message, "--client", "x y", engine="yara")
    assert (done.returncode, done.stdout) == (0, ANNOUNCED + message)
    assert 'client="x y"' in programs.final_line(done.stderr)


def test_standard_input_may_be_a_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(CLEAN)
    with (tmp_path / "mail").open("rb") as file:
        done = filtered(home, None, stdin=file)
    assert (done.returncode, done.stdout) == (0, ANNOUNCED + CLEAN)


# -- rules


RULE = '[[rule]]\nname = "stern"\nkind = "malware"\naction = "{}"\ntext = "go away"\n'


@pytest.mark.parametrize(
    ("action", "status", "word"), [("reject", 69, "rejected"), ("discard", 99, "discarded"), ("tempfail", 75, "deferred")]
)
def test_refused_mail_writes_nothing(home: Path, action: str, status: int, word: str) -> None:
    done = filtered(home, INFECTED, *configured(home, RULE.format(action)), engine="yara")
    assert (done.returncode, done.stdout) == (status, b"")
    line = programs.final_line(done.stderr)
    assert f"outcome={word} " in line
    assert " rule=stern " in line
    clean = filtered(home, CLEAN, *configured(home, RULE.format(action)), engine="yara")
    assert (clean.returncode, clean.stdout) == (0, ANNOUNCED + CLEAN)


# -- what goes wrong before anything is written


def deferred(done: subprocess.CompletedProcess[bytes], *words: str, status: int = 75) -> None:
    """Nothing written, the message stays with the caller, and the line says why."""
    assert (done.returncode, done.stdout) == (status, b""), done.stderr.decode()
    line = programs.final_line(done.stderr)
    assert "outcome=deferred " in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[policy\n", ":1: ",),
        ("[policy]\nmalware = 'nonsense'\n", ":2: ",),
        ("[nonsense]\n", ":1: ",),
        ("\n\n[engines.double]\nkind = 'command'\n", ":3: ",),
        ("[notices]\ntemplate = '/no/such/file'\n", "/no/such/file",),
    ],
)  # fmt: skip
def test_a_wrong_configuration(home: Path, text: str, words: str) -> None:
    arguments = configured(home, text)
    engine = "command:double" if "double" in text else "none"
    deferred(filtered(home, CLEAN, *arguments, engine=engine), "rule=configuration", words, status=78)


def test_a_configuration_that_cannot_be_read(home: Path, tmp_path: Path) -> None:
    deferred(filtered(home, CLEAN, "--config", str(tmp_path / "missing.toml")), "missing.toml", status=78)
    (tmp_path / "latin1.toml").write_bytes(b"# gr\xfcn\n")
    deferred(filtered(home, CLEAN, "--config", str(tmp_path / "latin1.toml")), "UTF-8", status=78)
    deferred(filtered(home, CLEAN, "--config", str(tmp_path)), status=78)
    deferred(filtered(home, CLEAN, engine="nonsense"), "nonsense", status=78)


@pytest.mark.parametrize("arguments", [("--nonsense",), ("--engine",), ("file.eml",), ("-r",)])
def test_a_wrong_option_defers(home: Path, arguments: tuple[str, ...]) -> None:
    """A typing error in a recipe must neither bounce nor lose mail."""
    deferred(filtered(home, CLEAN, *arguments), "rule=command-line")


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (shell("kill -SEGV $$"), "signal 11"),
        (shell("echo something odd; exit 42"), "status 42"),
        (command_engine("/no/such/program"), "cannot be started"),
    ],
    ids=["killed", "unknown status", "missing"],
)
@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_an_engine_that_fails(home: Path, engine: str, words: str, message: bytes) -> None:
    done = filtered(home, message, "--engine", "command:double", *configured(home, engine), engine="yara")
    deferred(done, words, "engine.down(double,")


def test_a_caller_that_ignores_the_end_of_its_children(home: Path) -> None:
    """What it ignores, we inherit: then the status of an engine's program would be lost, and taken for 0."""
    ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    infected = configured(home, shell('! grep -q hello "$1"'))
    done = filtered(home, CLEAN, *infected, engine="command:double", before=(sys.executable, "-c", ignoring))
    assert "outcome=cleaned " in (line := programs.final_line(done.stderr))
    assert "findings=double.infected(double,message)" in line


def test_an_engine_that_takes_too_long(home: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    text = "[limits]\nmax_scan_s = 0.2\n" + shell(f"cat {fifo}")
    deferred(filtered(home, CLEAN, *configured(home, text), engine="command:double"), "engine.timeout(double,")


def test_a_message_that_is_too_large(home: Path) -> None:
    text = "[limits]\nmax_message_bytes = 200\n"
    deferred(filtered(home, LARGE, *configured(home, text)), "max_message_bytes")
    assert filtered(home, CLEAN[:200], *configured(home, text)).returncode == 0


def test_a_quarantine_that_cannot_be_written(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = f"[quarantine]\ndirectory = '{tmp_path}/file'\n"
    deferred(filtered(home, INFECTED, *configured(home, text), engine="yara"), "rule=system", "quarantine")
    assert filtered(home, CLEAN, *configured(home, text), engine="yara").returncode == 0


def test_a_spool_that_cannot_be_written(home: Path, tmp_path: Path) -> None:
    text = f"[filter]\nspool_directory = '{tmp_path}/missing'\n"
    deferred(filtered(home, LARGE + LARGE, *configured(home, text)), "rule=system", str(tmp_path))


def test_a_state_directory_that_cannot_be_written(home: Path, tmp_path: Path) -> None:
    """Rules cannot be cached there, which does no harm; originals cannot be kept, which does."""
    (tmp_path / "file").write_text("")
    arguments = ("filter", "--engine", "yara", "--state-dir", str(tmp_path / "file" / "x"))
    assert programs.run(home, *arguments, message=CLEAN).returncode == 0
    deferred(programs.run(home, *arguments, message=INFECTED), "rule=system")


def test_standard_input_that_cannot_be_read(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(CLEAN)
    with (tmp_path / "mail").open("ab") as file:  # for writing only
        deferred(filtered(home, None, stdin=file), "rule=system")
    deferred(filtered(home, None, before=("/bin/sh", "-c", 'exec "$@" <&-', "sh")))


@pytest.mark.parametrize("mebibytes", [32, 64, 96, 160, 256, 400])
@pytest.mark.parametrize("engine", ["none", "yara"])
def test_too_little_memory(home: Path, mebibytes: int, engine: str) -> None:
    """Either it works, or the message stays with its owner; where the interpreter itself cannot start, that is no success either."""
    message = wrappings.attach(wrappings.zipped(bytes(20 << 20)), "a.zip")
    limited = ("/bin/sh", "-c", f'ulimit -v {mebibytes * 1024}; exec "$@"', "sh")
    arguments = programs.command("filter", "--engine", engine, "--state-dir", str(home / "state"))
    done = subprocess.run(
        [*limited, *arguments], input=message, capture_output=True, env=programs.environment(home), timeout=60, check=False
    )
    if done.returncode == 0:
        assert done.stdout == ANNOUNCED + message
    else:
        assert done.stdout == b""
    # Native code that gets no memory writes about it to standard error, or aborts the process (SIGABRT); ours does neither.
    if engine == "none" or done.returncode >= 0:
        assert done.returncode in (0, 75)
        programs.final_line(done.stderr if engine == "none" else done.stderr[done.stderr.rindex(b"lazaretto: ") :])


# -- what goes wrong while writing


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("message", [CLEAN, LARGE + LARGE], ids=["small", "large"])
def test_a_full_device(home: Path, message: bytes) -> None:
    with open("/dev/full", "wb") as full:
        done = filtered(home, message, stdout=full)
    assert done.returncode == 75
    assert "cannot write standard output: No space left on device" in programs.final_line(done.stderr)


@pytest.mark.parametrize("mode", ["ab", "wb"])
@pytest.mark.parametrize("earlier", [b"", b"what was there before\n"])
def test_a_file_that_cannot_take_all_is_cut_back(home: Path, tmp_path: Path, mode: str, earlier: bytes) -> None:
    path = tmp_path / "mailbox"
    limited = ("/bin/sh", "-c", 'ulimit -f 8; exec "$@"', "sh")
    with path.open(mode) as file:
        file.write(earlier)
        file.flush()
        done = filtered(home, LARGE, stdout=file, before=limited)
    assert done.returncode == 75
    assert "cannot write standard output: File too large" in programs.final_line(done.stderr)
    assert path.read_bytes() == earlier


def test_appending_is_appending(home: Path, tmp_path: Path) -> None:
    """The offset of a descriptor in append mode says nothing about where its bytes go."""
    path = tmp_path / "mailbox"
    path.write_bytes(b"earlier\n")
    for _ in range(2):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            assert filtered(home, CLEAN, stdout=fd).returncode == 0
        finally:
            os.close(fd)
    assert path.read_bytes() == b"earlier\n" + 2 * (ANNOUNCED + CLEAN)


def test_a_file_on_a_full_disk_is_cut_back(home: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount here")
    try:
        path = mounted / "mailbox"
        path.write_bytes(b"earlier\n")
        with path.open("ab") as file:
            done = filtered(home, LARGE, stdout=file)
        assert done.returncode == 75
        assert "No space left on device" in programs.final_line(done.stderr)
        assert path.read_bytes() == b"earlier\n"
    finally:
        subprocess.run(["umount", str(mounted)], capture_output=True, check=True)


def started(home: Path, *arguments: str, **streams: object) -> subprocess.Popen[bytes]:
    process: subprocess.Popen[bytes] = subprocess.Popen(
        programs.command("filter", "--state-dir", str(home / "state"), *arguments),
        env=programs.environment(home),
        stderr=subprocess.PIPE,
        **streams,  # type: ignore[call-overload]
    )
    return process


@pytest.mark.parametrize("message", [CLEAN, LARGE], ids=["small", "large"])
def test_a_reader_that_went_away(home: Path, message: bytes) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = filtered(home, message, stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 75
    assert "cannot write standard output: Broken pipe; do not use what was written" in programs.final_line(done.stderr)


def test_a_reader_that_goes_away_half_way(home: Path) -> None:
    reading, writing = os.pipe()
    with started(home, "--engine", "none", stdin=subprocess.PIPE, stdout=writing) as process:
        os.close(writing)
        assert process.stdin is not None
        process.stdin.write(LARGE)
        process.stdin.close()
        assert os.read(reading, 10) == ANNOUNCED[:10]
        os.close(reading)
        assert process.stderr is not None
        line = programs.final_line(process.stderr.read())
        assert process.wait(60) == 75
    assert "Broken pipe" in line


@pytest.mark.parametrize("message", [CLEAN, LARGE + LARGE], ids=["small", "large"])
def test_standard_output_that_is_closed(home: Path, message: bytes) -> None:
    """No file of ours may get its number and be taken for it."""
    done = filtered(home, message, before=("/bin/sh", "-c", 'exec "$@" >&-', "sh"))
    assert done.returncode == 75
    programs.final_line(done.stderr)


@pytest.mark.parametrize("how", ["2>&-", "2>/dev/full"])
def test_nobody_loses_mail_because_nobody_listens(home: Path, how: str) -> None:
    done = filtered(home, CLEAN, before=("/bin/sh", "-c", f'exec "$@" {how}', "sh"))
    assert (done.returncode, done.stdout, done.stderr) == (0, ANNOUNCED + CLEAN, b"")


# -- signals


@pytest.fixture
def blocked(home: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a filter and returns it once it waits for an engine."""
    begun, never = tmp_path / "begun", tmp_path / "never"
    os.mkfifo(begun)
    os.mkfifo(never)
    config = configured(home, shell(f"echo > {begun}; exec cat {never}"))
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = started(home, "--engine", "command:double", *config, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdin is not None
        process.stdin.write(CLEAN)
        process.stdin.close()
        process.stdin = None
        begun.read_bytes()  # opens when the engine opens it
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
    try:  # a signal in the very moment of the engine's start leaves it running: let it read to the end
        os.close(os.open(never, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_defers(blocked: Callable[[], subprocess.Popen[bytes]], number: signal.Signals) -> None:
    process = blocked()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (75, b"")
    assert f"stopped by {number.name}" in programs.final_line(stderr)


def test_a_second_signal_changes_nothing(blocked: Callable[[], subprocess.Popen[bytes]]) -> None:
    process = blocked()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (75, b"")
    assert "stopped by SIG" in programs.final_line(stderr)


def test_a_signal_while_reading(home: Path) -> None:
    """The sender is slow; whoever waits for us has had enough."""
    reading, writing = os.pipe()
    with started(home, "--engine", "none", stdin=reading, stdout=subprocess.PIPE) as process:
        os.close(reading)
        os.set_blocking(writing, True)
        os.write(writing, b"x" * 65536)
        os.write(writing, b"y")  # goes in only after something was taken out
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stderr is not None
        stdout, stderr = process.stdout.read(), process.stderr.read()
        assert process.wait(60) == 75
        os.close(writing)
    assert stdout == b""
    assert "stopped by SIGTERM" in programs.final_line(stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_writing(home: Path, number: signal.Signals) -> None:
    with started(home, "--engine", "none", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(LARGE + LARGE)
        process.stdin.close()
        os.read(process.stdout.fileno(), 1)  # it has begun, and the pipe cannot take it all
        process.send_signal(number)
        stdout, stderr = process.stdout.read(), process.stderr.read()
        assert process.wait(60) == 75
    assert len(stdout) < len(LARGE)
    assert f"stopped by {number.name}" in programs.final_line(stderr)


# -- in this process: what no caller can bring about


class Failing(Scanner):
    """A scanner with a bug."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(Policy(), (), scanners.template)
        self.error = error

    def scan(self, source: Source, envelope: Envelope = Envelope(), *, dry_run: bool = False, spool: Spool | None = None) -> Report:
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("oops\nlazaretto: outcome=clean"), "internal error, please report: ZeroDivisionError: oops\\\\nlazaretto"),
        (SystemExit(0), "internal error, please report: SystemExit: 0"),
        (GeneratorExit(), "internal error"),
        (RecursionError("deep"), "internal error, please report: RecursionError"),
        (MemoryError(), 'error="out of memory"'),
        (OSError(28, "No space left on device"), "No space left on device"),
        (LimitExceeded("max_parts", "x"), "raise it in [limits]"),
        (ConfigError("wrong"), "error=wrong"),
        (KeyboardInterrupt(), "internal error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_bug_keeps_the_message_with_its_owner(error: BaseException, words: str, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(CLEAN)
    said: list[tuple[str, int]] = []
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)]
    with (tmp_path / "mail").open("rb") as mail, (tmp_path / "out").open("wb") as out:
        assert stdio.run(Failing(error), Envelope(), lambda text, level: said.append((text, level)), mail.fileno(), out.fileno()) == 75
    assert (tmp_path / "out").read_bytes() == b""
    ((line, level),) = said
    assert level == 3
    assert line.startswith("lazaretto: outcome=deferred rule=system error=")
    assert line.isprintable()
    assert words in line
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)] == before


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    with (tmp_path / "out").open("wb") as out:
        stdio._write(out.fileno(), [b"0123456789" * 10, b"", b"end"])
    monkeypatch.undo()
    assert (tmp_path / "out").read_bytes() == b"0123456789" * 10 + b"end"


def test_what_shows_only_when_flushed_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (tmp_path / "out").open("wb") as out:
        out.write(b"earlier")
        out.flush()
        with pytest.raises(OSError, match="cannot write standard output: No space left on device"):
            stdio._write(out.fileno(), [b"new"])
        out.write(b"!")
    assert (tmp_path / "out").read_bytes() == b"earlier!"


def test_a_message_that_breaks_off_is_taken_back(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"some"
        raise stdio.Interrupted("SIGTERM")

    with (tmp_path / "out").open("wb") as out, pytest.raises(stdio.Interrupted):
        stdio._write(out.fileno(), chunks())
    assert (tmp_path / "out").read_bytes() == b""


def test_an_alarm_has_a_status_of_its_own_and_the_whole_message(home: Path) -> None:
    rule = '[[rule]]\nname = "bang"\nkind = "malware"\naction = "replace"\nalarm = true\n'
    done = filtered(home, INFECTED, *configured(home, rule), engine="yara")
    assert done.returncode == 1
    assert EICAR not in done.stdout
    assert done.stdout.endswith(b"--\r\n")
    assert b" alarm=yes " in done.stderr
    assert filtered(home, CLEAN, *configured(home, rule), engine="yara").returncode == 0
    done = filtered(home, INFECTED, *configured(home, "filter.alarm_status = 3\n" + rule), engine="yara")
    assert done.returncode == 3
