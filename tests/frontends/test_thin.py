"""The thin client as its callers run it: exit status and output, against a double of the scan server that can misbehave."""

from __future__ import annotations

import os
import posix
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.frontends import thin
from scan_server import ANNOUNCED, HANG_UP, SILENCE, Asked, ScanServerDouble, answer

PROGRAM = str(Path(thin.__file__).resolve())
MESSAGE = b"From: a@example.org\r\n\r\nhello\r\n"
LARGE = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 100_000


@pytest.fixture
def server() -> Iterator[ScanServerDouble]:
    with ScanServerDouble() as double:
        yield double


def client(
    address: str, *arguments: str, message: bytes = MESSAGE, program: Sequence[str] = (sys.executable, "-IS", PROGRAM), **options: Any
) -> subprocess.CompletedProcess[bytes]:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {"PATH": os.environ["PATH"]}, **options}
    if "stdin" not in given:
        given["input"] = message
    chosen = ("--connect", address) if address else ()
    done = subprocess.run([*program, *chosen, *arguments], timeout=60, check=False, **given)
    assert b"Traceback" not in (done.stderr or b""), done.stderr
    return done


def deferred(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that says why there is no output."""
    assert done.returncode == 75
    assert not done.stdout
    text = done.stderr.decode()
    assert text.startswith("lazaretto-client: ")
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    return text[len("lazaretto-client: ") : -1]


@pytest.mark.parametrize("message", [MESSAGE, LARGE, b""], ids=["small", "large", "empty"])
@pytest.mark.parametrize("kind", ["tcp", "unix", "path"])
def test_a_message(kind: str, message: bytes, tmp_path: Path) -> None:
    with ScanServerDouble(None if kind == "tcp" else tmp_path / "s") as server:
        done = client(server.address.removeprefix("unix:") if kind == "path" else server.address, message=message)
    assert (done.returncode, done.stdout, done.stderr) == (0, ANNOUNCED + message, b"")
    assert server.asked == [Asked(b"STREAM %d\n" % len(message), [], message)]


@pytest.mark.parametrize("offset", [0, 100, len(LARGE)])
def test_standard_input_is_a_file(server: ScanServerDouble, offset: int, tmp_path: Path) -> None:
    """From where it stands: procmail and mail readers have often read a first line."""
    path = tmp_path / "m"
    path.write_bytes(LARGE)
    with path.open("rb") as file:
        file.seek(offset)
        done = client(server.address, stdin=file)
    assert (done.returncode, done.stdout) == (0, ANNOUNCED + LARGE[offset:])


@pytest.mark.parametrize(
    ("said", "status", "output", "error"),
    [
        (answer(0, "unchanged", b"same"), 0, b"same", b""),
        (answer(1, "modified", b"safe\n"), 0, b"safe\n", b""),
        (b"0 4\nsame", 0, b"same", b""),
        ([b"1", b" 5 modi", b"fied\ns", b"afe", b"\n"], 0, b"safe\n", b""),
        (answer(2, "cannot store"), 75, b"", b"lazaretto-client: server says 2 cannot store\n"),
        (answer(3, "bad request"), 75, b"", b"lazaretto-client: server says 3 bad request\n"),
        (answer(4, "Message refused"), 69, b"", b"lazaretto-client: server says 4 Message refused\n"),
        (answer(5, "discarded"), 99, b"", b""),
        (answer(6, "new"), 75, b"", b"lazaretto-client: server says 6 new\n"),
        (answer(2, "no\x1b[1m\x7f\r \xff"), 75, b"", b"lazaretto-client: server says 2 no?[1m?? ??\n"),
        (answer(4, "refused", b"an unwanted text"), 69, b"", b"lazaretto-client: server says 4 refused\n"),
    ],
)
def test_the_answers(server: ScanServerDouble, said: bytes | list[bytes], status: int, output: bytes, error: bytes) -> None:
    server.reply = lambda _: said
    done = client(server.address)
    assert (done.returncode, done.stdout, done.stderr) == (status, output, error)


FAULTS: dict[str, tuple[bytes | list[bytes], str]] = {
    "nothing": (HANG_UP, "hung up"),
    "half a line": (b"0 5", "hung up"),
    "no bytes": (b"0 5 unchanged\n", "hung up"),
    "half a message": (b"1 1000000 modified\n" + b"x" * 700_000, "hung up"),
    "all but one": (answer(0, "ok", MESSAGE)[:-1], "hung up"),
    "one too many": (answer(0, "ok", MESSAGE) + b"x", "more than it said"),
    "two answers": (answer(0, "ok", MESSAGE) * 2, "more than it said"),
    "an empty message": (b"0 0 unchanged\n", "sent back nothing"),
    "a reply to SCAN": (b"0 unchanged\n", "protocol"),
    "PONG": (b"0 PONG\n", "protocol"),
    "another protocol": (b"220 mail.example.org ESMTP\r\n", "protocol"),
    "a long code": (b"00 3 x\nabc", "protocol"),
    "no code": (b" 3 x\nabc", "protocol"),
    "a sign": (b"0 -3 x\nabc", "protocol"),
    "a huge size": (b"0 99999999999999999999 x\nabc", "protocol"),
    "an underscore": (b"0 1_0 x\n0123456789", "protocol"),
    "an empty line": (b"\n", "protocol"),
    "no end of line": (b"0 " * 5000, "protocol"),
    "garbage": (bytes(range(256)) * 100, "protocol"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_server(server: ScanServerDouble, fault: str) -> None:
    said, reason = FAULTS[fault]
    server.reply = lambda _: said
    assert reason in deferred(client(server.address))


@pytest.mark.parametrize("said", [[SILENCE], [b"0 5 unch", SILENCE], [b"0 5 unchanged\nhe", SILENCE]], ids=["all", "line", "message"])
def test_a_server_that_falls_silent(server: ScanServerDouble, said: list[bytes]) -> None:
    server.reply = lambda _: said
    assert deferred(client(server.address, "--timeout-s", "0.3")) in ("timed out", "no answer in time")


def test_a_server_that_drips(server: ScanServerDouble) -> None:
    """The time is for everything together: each byte alone comes soon enough."""
    dripping: Callable[[Asked], list[bytes]] = lambda _: [b"0 99999 unchanged\n", *[b"x"] * 99_998, SILENCE]  # noqa: E731
    server.reply = dripping
    assert deferred(client(server.address, "--timeout-s", "1")) in ("timed out", "no answer in time")


def test_a_server_that_answers_before_it_has_seen_all(tmp_path: Path) -> None:
    """And hangs up.  Its reason is what the line shows, where the system hands it over."""
    with ScanServerDouble(tmp_path / "s") as server:
        server.early = answer(2, "message too large")
        assert deferred(client(server.address, message=LARGE)) in ("server says 2 message too large", "Connection reset by peer")


def test_no_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    assert deferred(client(address)) == f"cannot connect to {address}: Connection refused"
    assert deferred(client(f"unix:{tmp_path}/none")) == f"cannot connect to unix:{tmp_path}/none: No such file or directory"


@pytest.mark.parametrize(
    "address",
    ["unix:relative", "localhost", "localhost:", ":1", "h:0", "h:65536", "h:1x", "::1:1", "[::1]", "h:\u0661", "h:99999999999", "x"],
)
def test_wrong_addresses(address: str) -> None:
    assert deferred(client(address)) == f"expected unix:/PATH, HOST:PORT or [IPV6]:PORT, not {address!r}"


def test_other_addresses() -> None:
    """Names and IPv6."""
    with ScanServerDouble() as server:
        assert client(server.address.replace("127.0.0.1", "localhost")).returncode == 0
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6")
    with ScanServerDouble(listener=listener) as server:
        assert client(f"[::1]:{listener.getsockname()[1]}").returncode == 0


def test_a_name_that_nobody_knows() -> None:
    assert deferred(client("host.invalid:1"))


def test_the_address_from_the_environment(server: ScanServerDouble) -> None:
    environment = {"PATH": os.environ["PATH"], "LAZARETTO_SOCKET": server.address}
    assert client("", env=environment).returncode == 0
    assert "h:x" in deferred(client("h:x", env=environment)), "the option comes first"


def test_the_usual_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(thin, "SYSTEM_SOCKET", str(tmp_path / "s"))
    monkeypatch.setattr(posix, "environ", {})
    assert thin.default_address() == "127.0.0.1:11200"
    (tmp_path / "s").touch()
    assert thin.default_address() == f"unix:{tmp_path}/s"
    monkeypatch.setattr(posix, "environ", {b"LAZARETTO_SOCKET": b""})
    assert thin.default_address() == f"unix:{tmp_path}/s"
    monkeypatch.setattr(posix, "environ", {b"LAZARETTO_SOCKET": b"/\xff"})
    assert thin.default_address() == "/\udcff"


@pytest.mark.parametrize(
    ("arguments", "line", "attributes"),
    [
        (["-f", "a@b"], b"from=a@b", [("from", b"a@b")]),
        (["-fa@b"], b"from=a@b", [("from", b"a@b")]),
        (["--sender=a@b"], b"from=a@b", [("from", b"a@b")]),
        (["-f", ""], b"from=", [("from", b"")]),
        (["-f", "<>"], b"from=", [("from", b"")]),
        (["--sender="], b"from=", [("from", b"")]),
        (["-f", "-h"], b"from=-h", [("from", b"-h")]),
        (["-r", "--help"], b"to=--help", [("to", b"--help")]),
        (["-f", "a", "-f", "b"], b"from=b", [("from", b"b")]),
        (["-r", "<c@d>", "--recipient", "e@f"], b"to=c@d to=e@f", [("to", b"c@d"), ("to", b"e@f")]),
        (["-f", "a b%\n=+\x7f"], b"from=a%20b%25%0A=+%7F", [("from", b"a b%\n=+\x7f")]),
        (["-f", "gr\u00fc\u00df"], b"from=gr%C3%BC%C3%9F", [("from", "gr\u00fc\u00df".encode())]),
        (["-f", "\udcff"], b"from=%FF", [("from", b"\xff")]),
        (["--client", "192.0.2.1", "--queue-id", "4F2"], b"client=192.0.2.1 id=4F2", [("client", b"192.0.2.1"), ("id", b"4F2")]),
    ],
)
def test_the_envelope(server: ScanServerDouble, arguments: list[str], line: bytes, attributes: list[tuple[str, bytes]]) -> None:
    done = client(server.address, *arguments)
    assert (done.returncode, done.stdout) == (0, ANNOUNCED + MESSAGE)
    assert server.asked == [Asked(b"STREAM %d %b\n" % (len(MESSAGE), line), attributes, MESSAGE)]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_the_bytes_of_an_address_do_not_depend_on_the_locale(server: ScanServerDouble, locale: str) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": locale}
    client(server.address, "-f", os.fsdecode(b"\xc3\xbc\xff"), env=environment)
    assert server.asked[0].attributes == [("from", b"\xc3\xbc\xff")]


def test_recipients_that_do_not_fit() -> None:
    """Rules look at all recipients: none are better than some."""
    some = [("from", b"a"), *[("to", b"r%d" % number) for number in range(thin.MAX_RECIPIENTS - 1)]]
    assert thin.request(1, some).count(b" to=") == thin.MAX_RECIPIENTS - 1
    assert thin.request(1, [*some, ("to", b"x")]) == b"STREAM 1 from=a\n"
    fitting = [("to", b"x" * (thin.MAX_LINE - len("STREAM 1 to=\n")))]
    assert len(thin.request(1, fitting)) == thin.MAX_LINE
    assert thin.request(1, [("to", fitting[0][1] + b"x"), ("client", b"c")]) == b"STREAM 1 client=c\n"


@given(st.binary(max_size=100))
def test_quoting(value: bytes) -> None:
    quoted = thin.quoted(value)
    assert unquote_to_bytes(quoted) == value
    assert all("!" <= character <= "~" for character in quoted)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--nonsense"], "unknown argument '--nonsense'; --help lists the options"),
        (["-x"], "unknown argument '-x'; --help lists the options"),
        (["-"], "unknown argument '-'; --help lists the options"),
        (["message"], "unknown argument 'message'; --help lists the options"),
        (["\n"], r"unknown argument '\n'; --help lists the options"),
        (["--"], "unknown argument '--'; --help lists the options"),
        (["-f"], "-f needs a value"),
        (["--recipient"], "--recipient needs a value"),
        (["--timeout-s", "soon"], "--timeout-s needs a number of seconds, not 'soon'"),
        (["--timeout-s=0"], "--timeout-s needs a number of seconds, not '0'"),
        (["--timeout-s=nan"], "--timeout-s needs a number of seconds, not 'nan'"),
        (["--timeout-s=inf"], "--timeout-s needs a number of seconds, not 'inf'"),
        (["--timeout-s=-1"], "--timeout-s needs a number of seconds, not '-1'"),
    ],
)
def test_wrong_command_lines(server: ScanServerDouble, arguments: list[str], reason: str) -> None:
    assert deferred(client(server.address, *arguments)) == reason
    assert not server.asked


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    done = client("", option)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: lazaretto-client ")
    names = [*thin.ATTRIBUTES, *thin.SETTINGS, "-h", "--help"]
    assert [name for name in names if name.encode() not in done.stdout] == []


def test_more_than_memory_should_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thin, "MAX_PIPED_BYTES", 10)
    for size, fits in ((10, True), (11, False)):
        out, into = os.pipe()
        os.write(into, b"x" * size)
        os.close(into)
        try:
            if fits:
                assert thin.message(out) == (size, [b"x" * size])
            else:
                with pytest.raises(thin.Trouble, match="more than 10 bytes"):
                    thin.message(out)
        finally:
            os.close(out)


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(LARGE)
    with path.open("r+b") as file:
        size, chunks = thin.message(file.fileno())
        assert size == len(LARGE)
        file.truncate(size - 1)
        with pytest.raises(thin.Trouble, match="became shorter"):
            list(chunks)


@pytest.mark.parametrize("closed", [0, 1])
def test_closed_descriptors(server: ScanServerDouble, closed: int) -> None:
    """The socket must not get the number of one of them."""
    redirection = f'exec "$0" "$@" {closed}>&-'
    done = client(server.address, program=["/bin/sh", "-c", redirection, sys.executable, "-IS", PROGRAM])
    assert deferred(done) == "Bad file descriptor"
    assert not server.asked


def test_nobody_hears_the_complaint(server: ScanServerDouble) -> None:
    server.reply = lambda _: HANG_UP
    done = client(server.address, program=["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-IS", PROGRAM])
    assert (done.returncode, done.stdout) == (75, b"")


def test_nobody_reads_the_output(server: ScanServerDouble) -> None:
    """EPIPE, not death by SIGPIPE without a word."""
    out, into = os.pipe()
    os.close(out)
    with os.fdopen(into, "wb") as pipe:
        done = client(server.address, message=LARGE, stdout=pipe)
    assert (done.returncode, done.stderr) == (75, b"lazaretto-client: Broken pipe\n")


def test_a_full_disk(server: ScanServerDouble) -> None:
    with open("/dev/full", "wb") as full:
        done = client(server.address, stdout=full)
    assert (done.returncode, done.stderr) == (75, b"lazaretto-client: No space left on device\n")


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_failed_write_is_taken_back(server: ScanServerDouble, mode: str, tmp_path: Path) -> None:
    """A file may grow to a limit only: what fits is written, the rest fails."""
    path = tmp_path / "out"
    path.write_bytes(b"before")
    with path.open(mode) as file:
        if mode == "wb":
            file.write(b"before")
            file.flush()
        limited = ["/bin/sh", "-c", 'ulimit -f 8; exec "$0" "$@"', sys.executable, "-IS", PROGRAM]
        done = client(server.address, message=LARGE, stdout=file, program=limited)
    assert (done.returncode, done.stderr) == (75, b"lazaretto-client: File too large\n")
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(server: ScanServerDouble, number: signal.Signals) -> None:
    """Whoever stops it gets no output and no success."""
    stopped: list[subprocess.Popen[bytes]] = []

    def stop(_: Asked) -> bytes:
        stopped[0].send_signal(number)
        return SILENCE

    server.reply = stop
    arguments = [sys.executable, "-IS", PROGRAM, "--connect", server.address]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    stopped.append(process)
    output, _ = process.communicate(MESSAGE, timeout=60)
    assert output == b""
    assert process.returncode in (75, -number)


# -- the program as it is installed


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """As pip puts it: the program beside an interpreter, the module compiled in the library."""
    program = tmp_path / "venv" / "bin" / "lazaretto-client"
    program.parent.mkdir(parents=True)
    program.write_bytes(Path(PROGRAM).read_bytes())
    program.chmod(0o755)
    (program.parent / "python3").symlink_to(sys.executable)
    library = tmp_path / "venv" / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages" / "lazaretto" / "frontends"
    library.mkdir(parents=True)
    (library / "thin.py").write_bytes(Path(PROGRAM).read_bytes())
    return program


def test_the_program_is_this_module() -> None:
    """One source: what pip installs as lazaretto-client is this file; sh and any Python can read it."""
    program = Path(__file__).resolve().parent.parent.parent / "bin" / "lazaretto-client"
    assert program.read_bytes() == Path(PROGRAM).read_bytes()
    assert stat.S_IMODE(program.stat().st_mode) & 0o111 == 0o111
    assert program.read_bytes().isascii()
    assert subprocess.run(["/bin/sh", "-n", "-c", program.read_text().split("\n\n")[0]], check=False).returncode == 0


def test_the_module_in_the_library_is_preferred(server: ScanServerDouble, installed: Path) -> None:
    """Compiled by its first run, where pip has not done it."""
    (module,) = installed.parent.parent.rglob("thin.py")
    module.write_text(module.read_text().replace("lazaretto-client: {reason}", "from the library: {reason}"))
    assert client(server.address, program=[str(installed)]).stdout == ANNOUNCED + MESSAGE
    assert client("x", program=[str(installed)]).stderr.startswith(b"from the library: ")
    module.unlink()
    assert client("x", program=[str(installed)]).stderr.startswith(b"lazaretto-client: ")
    assert client(server.address, program=[str(installed)]).stdout == ANNOUNCED + MESSAGE


@pytest.mark.parametrize(
    ("pointers", "found"),
    [
        ({"__editable__.lazaretto-0.1.0.pth": "{0}\n"}, True),
        ({"__editable__.lazaretto-0.1.0.pth": "import __editable___lazaretto_0_1_0_finder; f()\n"}, False),
        ({"__editable__.lazaretto-0.1.0.pth": "{0}\n", "__editable__.lazaretto-0.2.0.pth": "/nonexistent\n"}, False),
        ({"__editable__.lazaretto-0.1.0.pth": "\udcff"}, False),
        ({"__editable__.other-0.1.0.pth": "{0}\n"}, False),
        ({}, False),
    ],
)
def test_an_editable_installation(server: ScanServerDouble, installed: Path, pointers: dict[str, str], found: bool, tmp_path: Path) -> None:
    """The module is where the checkout is; if that is not plain to see, the program compiles itself."""
    site = installed.parent.parent / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    (site / "lazaretto").rename(tmp_path / "lazaretto")
    (module,) = (tmp_path / "lazaretto").rglob("thin.py")
    module.write_text(module.read_text().replace("lazaretto-client: {reason}", "from the checkout: {reason}"))
    for name, text in pointers.items():
        (site / name).write_bytes(os.fsencode(text.format(tmp_path)))
    assert client(server.address, program=[str(installed)]).stdout == ANNOUNCED + MESSAGE
    assert client("x", program=[str(installed)]).stderr.startswith(b"from the checkout: " if found else b"lazaretto-client: ")


@pytest.mark.parametrize("case", ["symbolic link", "sh", "no interpreter beside it", "a broken one", "relative", "blank in the path"])
def test_ways_to_start_it(server: ScanServerDouble, installed: Path, case: str, tmp_path: Path) -> None:
    program = [str(installed)]
    options: dict[str, Any] = {}
    if case == "symbolic link":
        (tmp_path / "link").symlink_to(installed)
        program = [str(tmp_path / "link")]
    elif case == "sh":
        program, options = ["/bin/sh", "lazaretto-client"], {"cwd": installed.parent}
    elif case == "no interpreter beside it":
        (installed.parent / "python3").unlink()
    elif case == "a broken one":
        (installed.parent / "python3").unlink()
        (installed.parent / "python3").symlink_to("/nonexistent/python3")
    elif case == "relative":
        program, options = ["./lazaretto-client"], {"cwd": installed.parent}
    else:
        (tmp_path / "a b").symlink_to(installed.parent)
        program = [str(tmp_path / "a b" / "lazaretto-client")]
    done = client(server.address, "-f", "a b", program=program, **options)
    assert (done.returncode, done.stdout, done.stderr) == (0, ANNOUNCED + MESSAGE, b"")
    assert server.asked[0].attributes == [("from", b"a b")]


def test_no_interpreter_at_all(installed: Path) -> None:
    (installed.parent / "python3").unlink()
    done = client("x:1", program=["/bin/sh", str(installed)], env={"PATH": "/nonexistent"})
    assert deferred(done) == f"no python3 beside {installed} or in PATH"


def test_it_loads_next_to_nothing(server: ScanServerDouble, installed: Path) -> None:
    """Names, not milliseconds: what Python loads for `-I -S -c pass`, and the little that is needed."""

    def loaded(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-IS", "-X", "importtime", *arguments], input=MESSAGE, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0
        return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()[1:]}

    more = loaded(str(installed), "--connect", server.address) - loaded("-c", "pass")
    assert more - {"_socket", "posix", "time"} == set()
