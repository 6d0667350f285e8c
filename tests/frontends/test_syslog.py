"""Syslog over real sockets: datagrams, streams, UDP, TCP; daemons that restart, hang, vanish; forked children; rsyslogd."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from forked import in_processes
from lazaretto.errors import ConfigError
from lazaretto.frontends import syslog
from lazaretto.frontends.syslog import Syslog

NOW = 1_782_900_003.75
PATIENCE_S = 20.0
FIELDS = "%hostname%|%syslogtag%|%msg%|"
HOST = os.uname().nodename.partition(".")[0]

pytestmark = pytest.mark.usefixtures("utc")


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    path = Path(tempfile.mkdtemp(prefix="syslog-"))
    yield path
    shutil.rmtree(path)


def logger(address: object, level: int = 4, timeout_s: float = PATIENCE_S) -> Syslog:
    return Syslog(str(address), "scan-mail.pl", 2, level, clock=lambda: NOW, timeout_s=timeout_s)


def expected(text: str, level: int = 4, host: str = "", pid: int | None = None) -> bytes:
    return f"<{16 + level}>Jul  1 10:00:03 {host}scan-mail.pl[{pid or os.getpid()}]: {text}".encode()


def datagram_daemon(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.settimeout(PATIENCE_S)
    return sock


def stream_daemon(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen()
    sock.settimeout(PATIENCE_S)
    return sock


def accepted(daemon: socket.socket) -> socket.socket:
    connection, _ = daemon.accept()
    connection.settimeout(PATIENCE_S)
    return connection


def read_frames(connection: socket.socket, count: int, end: bytes) -> list[bytes]:
    data = b""
    while data.count(end) < count:
        chunk = connection.recv(65536)
        assert chunk, f"the end after {data!r}"
        data += chunk
    *frames, rest = data.split(end)
    assert (len(frames), rest) == (count, b"")
    return frames


def nothing_waits(sock: socket.socket) -> bool:
    return not select.select([sock], [], [], 0)[0]


def test_datagrams(directory: Path) -> None:
    with datagram_daemon(directory / "log") as daemon:
        log = logger(directory / "log")
        assert log.log("one\ntwo 100%", 4)
        assert log.log("trouble", 3)
        assert [daemon.recv(9999) for _ in range(2)] == [expected(r"one\x0atwo 100\x25"), expected("trouble", 3)]
        log.close()
        log.close()
        assert log.log("after close", 4)
        assert daemon.recv(9999) == expected("after close")
        log.close()


@pytest.mark.parametrize("level", range(8))
def test_mask(directory: Path, level: int) -> None:
    with datagram_daemon(directory / "log") as daemon:
        log = logger(directory / "log", level)
        assert [log.log("text", each) for each in range(8)] == [each <= level for each in range(8)]
        assert [daemon.recv(9999) for _ in range(level + 1)] == [expected("text", each) for each in range(level + 1)]
        assert nothing_waits(daemon)
        log.close()


def test_masked_lines_open_nothing(directory: Path) -> None:
    with stream_daemon(directory / "log") as daemon:
        assert not logger(directory / "log").log("text", 5)
        assert nothing_waits(daemon)


def test_long_lines(directory: Path) -> None:
    with datagram_daemon(directory / "log") as daemon:
        log = logger(directory / "log")
        assert log.log("x" * 100_000, 4)
        got = daemon.recv(99_999)
        assert (len(got), got[-4:]) == (8192, b"x...")
        log.close()


def test_streams(directory: Path) -> None:
    with stream_daemon(directory / "log") as daemon:
        log = logger(directory / "log")
        assert log.log("one", 4)
        assert log.log("two", 4)
        with accepted(daemon) as connection:
            assert read_frames(connection, 2, b"\0") == [expected("one"), expected("two")]
            assert nothing_waits(daemon)  # one connection for both
        log.close()


def test_nobody(directory: Path) -> None:
    (directory / "file").write_bytes(b"")
    datagram_daemon(directory / "stale").close()
    for name in ("missing", "file", "stale", "missing/log"):
        assert not logger(directory / name).log("text", 4)


@pytest.mark.parametrize("places", [0b001, 0b010, 0b100, 0b110, 0b011])
def test_usual_places(directory: Path, monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    """/dev/log stands for the others too; the first that answers gets the line."""
    paths = [directory / name for name in ("dev", "syslog", "log")]
    monkeypatch.setattr(syslog, "DEVICE", str(paths[0]))
    monkeypatch.setattr(syslog, "_OTHER_DEVICES", tuple(map(str, paths[1:])))
    daemons = [datagram_daemon(path) for number, path in enumerate(paths) if places >> number & 1]
    log = logger(paths[0])
    assert log.log("text", 4)
    assert daemons[0].recv(9999) == expected("text")
    log.close()
    assert not logger(directory / "own").log("text", 4)  # another path stands for itself
    for daemon in daemons:
        assert nothing_waits(daemon)
        daemon.close()


def test_datagram_daemon_restarts(directory: Path) -> None:
    log = logger(directory / "log")
    for round_ in range(3):
        with datagram_daemon(directory / "log") as daemon:
            assert log.log(f"round {round_}", 4)
            assert daemon.recv(9999) == expected(f"round {round_}")
        (directory / "log").unlink()
    assert not log.log("nobody", 4)
    with datagram_daemon(directory / "log") as daemon:
        assert log.log("again", 4)
        assert daemon.recv(9999) == expected("again")
    log.close()


def test_stream_daemon_restarts(directory: Path) -> None:
    """Not a line is lost to the dead connection, though the kernel would take one."""
    log = logger(directory / "log")
    for round_ in range(3):
        with stream_daemon(directory / "log") as daemon:
            assert log.log(f"round {round_}", 4)
            with accepted(daemon) as connection:
                assert read_frames(connection, 1, b"\0") == [expected(f"round {round_}")]
        (directory / "log").unlink()
    assert not log.log("nobody", 4)


def test_daemon_becomes_another_kind(directory: Path) -> None:
    log = logger(directory / "log")
    with datagram_daemon(directory / "log") as daemon:
        assert log.log("one", 4)
        assert daemon.recv(9999) == expected("one")
    (directory / "log").unlink()
    with stream_daemon(directory / "log") as daemon:
        assert log.log("two", 4)
        with accepted(daemon) as connection:
            assert read_frames(connection, 1, b"\0") == [expected("two")]
    log.close()


def test_daemon_that_talks(directory: Path) -> None:
    """It should not; the end of the stream behind it is seen all the same."""
    log = logger(directory / "log")
    with stream_daemon(directory / "log") as daemon:
        assert log.log("one", 4)
        with accepted(daemon) as connection:
            connection.sendall(b"hello\n" * 10)
            assert log.log("two", 4)
            assert read_frames(connection, 2, b"\0") == [expected("one"), expected("two")]
            connection.sendall(b"bye\n")
        assert log.log("three", 4)
        with accepted(daemon) as connection:
            assert read_frames(connection, 1, b"\0") == [expected("three")]
            connection.sendall(b"x" * 200_000)  # without an end: taken for broken
            assert log.log("four", 4)
        with accepted(daemon) as connection:
            assert read_frames(connection, 1, b"\0") == [expected("four")]
    log.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_udp(family: int) -> None:
    host, address = ("127.0.0.1", "127.0.0.1") if family == socket.AF_INET else ("::1", "[::1]")
    with socket.socket(family, socket.SOCK_DGRAM) as daemon:
        try:
            daemon.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        daemon.settimeout(PATIENCE_S)
        port = daemon.getsockname()[1]
        log = logger(f"udp:{address}:{port}")
        assert log.log("one", 4)
        assert log.log("x" * 5000, 4)
        assert daemon.recv(9999) == expected("one", host=HOST + " ")
        assert len(daemon.recv(9999)) == 1024
        daemon.close()
        log.log("into the void", 4)  # may be True: nobody can know
        with socket.socket(family, socket.SOCK_DGRAM) as restarted:
            restarted.bind((host, port))
            restarted.settimeout(PATIENCE_S)
            assert log.log("again", 4)  # the refusal of the one before comes back now, and is not its own
            assert restarted.recv(9999) == expected("again", host=HOST + " ")
        log.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_tcp(family: int) -> None:
    host, address = ("127.0.0.1", "127.0.0.1") if family == socket.AF_INET else ("::1", "[::1]")
    try:
        daemon = socket.create_server((host, 0), family=socket.AddressFamily(family))
    except OSError:
        pytest.skip(f"no {host} here")
    with daemon:
        daemon.settimeout(PATIENCE_S)
        log = logger(f"tcp:{address}:{daemon.getsockname()[1]}")
        assert log.log("one", 4)
        assert log.log("x" * 5000, 4)
        with accepted(daemon) as connection:
            frames = read_frames(connection, 2, b"\n")
            assert frames[0] == expected("one", host=HOST + " ")
            assert len(frames[1]) == 1024
            assert nothing_waits(daemon)
        assert log.log("again", 4)
        with accepted(daemon) as connection:
            assert read_frames(connection, 1, b"\n") == [expected("again", host=HOST + " ")]
    assert not log.log("gone", 4)
    assert not log.log("gone", 4)


def test_host_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as daemon:
        daemon.settimeout(PATIENCE_S)
        log = logger(f"tcp:localhost:{daemon.getsockname()[1]}")
        assert log.log("one", 4)  # ::1 may be tried first, and refuses
        with accepted(daemon) as connection:
            assert read_frames(connection, 1, b"\n") == [expected("one", host=HOST + " ")]
        log.close()


@pytest.mark.parametrize("host", ["host.invalid", "x" * 64 + ".example", "a..b"])
def test_hosts_that_are_none(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    looked_up = []
    real = socket.getaddrinfo

    def getaddrinfo(name: str, *rest: object, **named: object) -> object:
        looked_up.append(name)
        if name == "host.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")  # no test asks the network
        return real(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert not logger(f"udp:{host}:514").log("text", 4)
    assert looked_up == [host]  # and not twice for one line


def test_full_queue_of_a_daemon_that_hangs(directory: Path) -> None:
    """Its queue takes some lines; then each waits for timeout_s at most, and says so."""
    with datagram_daemon(directory / "log") as daemon:
        log = logger(directory / "log", timeout_s=0.02)
        sent = 0
        while log.log(f"line {sent}", 4):
            sent += 1
            assert sent < 100_000
        assert not log.log("still full", 4)
        assert [daemon.recv(9999) for _ in range(sent)] == [expected(f"line {number}") for number in range(sent)]
        log = logger(directory / "log")
        assert log.log("empty again", 4)
        assert daemon.recv(9999) == expected("empty again")
        log.close()


@pytest.mark.parametrize(("pauses", "heard"), [(1_000_000, False), (0, True)])
def test_who_hangs_is_left_alone_for_a_while(directory: Path, monkeypatch: pytest.MonkeyPatch, pauses: int, heard: bool) -> None:
    """Or each message would cost all others the time-out."""
    monkeypatch.setattr(syslog, "_PAUSES", pauses)
    with datagram_daemon(directory / "log") as daemon:
        log = logger(directory / "log", timeout_s=0.02)
        while log.log("line", 4):
            pass
        while select.select([daemon], [], [], 0)[0]:
            daemon.recv(9999)
        assert log.log("there is room again", 4) == heard
        log.close()


def test_stream_daemon_that_hangs(directory: Path) -> None:
    """A line of which half has gone is not continued by the next one."""
    with stream_daemon(directory / "log") as daemon:
        log = logger(directory / "log", timeout_s=0.02)
        assert log.log("first", 4)
        connection = accepted(daemon)
        sent = 1
        while log.log(f"{sent} " + "x" * 8000, 4):
            sent += 1
            assert sent < 100_000
        data = b""
        while chunk := connection.recv(1 << 20):  # its end: the logger has hung up
            data += chunk
        connection.close()
        *frames, rest = data.split(b"\0")
        assert len(frames) == sent
        assert b"\0" not in rest
        log.close()


def test_backlog_of_a_tcp_daemon_is_full() -> None:
    with socket.socket() as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.listen(0)
        address = daemon.getsockname()
        waiting = []
        for _ in range(10):  # until the kernel answers no more
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            waiting.append(sock)
        assert not logger(f"tcp:127.0.0.1:{address[1]}", timeout_s=0.05).log("text", 4)
        for sock in waiting:
            sock.close()


def test_no_descriptors_left(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", refused)
    assert not logger(directory / "log").log("text", 4)


def test_no_descriptor_leaks(directory: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = logger(directory / "log")
    for _ in range(20):
        assert not log.log("nobody", 4)
        with stream_daemon(directory / "log"):
            assert log.log("text", 4)
        (directory / "log").unlink()
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("stream", [False, True], ids=["datagrams", "stream"])
def test_forked_children(directory: Path, stream: bool) -> None:
    """The parent has logged before: each child has its own pid in its lines, and on a stream its own connection."""
    path = directory / "log"
    with (stream_daemon if stream else datagram_daemon)(path) as daemon:
        log = logger(path)
        assert log.log("parent", 4)
        children: list[tuple[int, int]] = []
        read, write = os.pipe()

        def work(number: int) -> None:
            os.write(write, f"{number} {os.getpid()}\n".encode())
            if not all(log.log(f"child {number} line {each}", 4) for each in range(2)):
                raise AssertionError("not delivered")

        in_processes(3, work)
        assert log.log("parent again", 4)
        log.close()
        os.close(write)
        with os.fdopen(read) as lines:
            children = [(int(number), int(pid)) for number, _, pid in (each.partition(" ") for each in lines)]
        wanted = {(expected("parent"), expected("parent again"))}
        wanted |= {(expected(f"child {n} line 0", pid=pid), expected(f"child {n} line 1", pid=pid)) for n, pid in children}
        if stream:
            got = set()
            for _ in range(4):
                with accepted(daemon) as connection:
                    first, second = read_frames(connection, 2, b"\0")
                    got.add((first, second))
            assert got == wanted
        else:
            assert sorted(daemon.recv(9999) for _ in range(8)) == sorted(line for pair in wanted for line in pair)
        assert nothing_waits(daemon)


@pytest.mark.parametrize("address", ["", "log", "udp:", "tcp:::1:514"])
def test_addresses_that_mean_nothing(address: str) -> None:
    with pytest.raises(ConfigError):
        logger(address)


def wait_for(path: Path, content: bytes = b"") -> bytes:
    """The file, once it is there and holds `content`."""
    end = time.monotonic() + PATIENCE_S
    while not path.exists() or (path.is_file() and content not in path.read_bytes()):
        assert time.monotonic() < end, f"{path.name} does not come"
        time.sleep(0.01)
    return path.read_bytes() if path.is_file() else b""


@pytest.fixture
def rsyslogd(directory: Path) -> Iterator[dict[str, str]]:
    """A private rsyslogd; addresses by kind.  What it gets is in the file `out`: facility, level, host, tag, message."""
    program = peers.require("rsyslogd")
    ports = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    (directory / "conf").write_text(
        f"""
        global(workDirectory="{directory}")
        module(load="imuxsock" SysSock.Use="off")
        module(load="imudp")
        module(load="imtcp")
        input(type="imuxsock" Socket="{directory}/log" UseSysTimeStamp="off" IgnoreTimestamp="off")
        input(type="imudp" Address="127.0.0.1" Port="{ports[0]}")
        input(type="imtcp" Address="127.0.0.1" Port="{ports[1]}")
        template(name="all" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%timereported%|{FIELDS}\\n")
        action(type="omfile" file="{directory}/out" template="all")
        """
    )
    with (directory / "errors").open("wb") as errors:
        daemon = subprocess.Popen(
            [program, "-n", "-f", str(directory / "conf"), "-i", str(directory / "pid")],
            stdout=errors,
            stderr=errors,
            stdin=subprocess.DEVNULL,
        )
    try:
        end = time.monotonic() + PATIENCE_S
        ready = logger(f"tcp:127.0.0.1:{ports[1]}")
        while not ready.log("ready", 4) or not (directory / "log").exists():
            assert daemon.poll() is None, (directory / "errors").read_text()
            assert time.monotonic() < end, "rsyslogd does not listen"
            time.sleep(0.01)
        ready.close()
        yield {"local": str(directory / "log"), "udp": f"udp:127.0.0.1:{ports[0]}", "tcp": f"tcp:127.0.0.1:{ports[1]}"}
    finally:
        daemon.kill()
        daemon.wait(PATIENCE_S)


def test_rsyslogd_reads_it(rsyslogd: dict[str, str], directory: Path) -> None:
    for kind, address in rsyslogd.items():
        log = logger(address)
        assert log.log(f"{kind}: 100% größe\nforged", 4)
        assert log.log(f"{kind}: trouble", 3)
        log.close()
        wait_for(directory / "out", f"{kind}: trouble".encode())
    pid = os.getpid()
    lines = [each for each in wait_for(directory / "out").decode().splitlines() if "ready" not in each]
    assert lines == [
        line
        for kind in rsyslogd
        for line in (
            rf"mail|warning|Jul  1 10:00:03|{HOST}|scan-mail.pl[{pid}]:| {kind}: 100\x25 größe\x0aforged|",
            f"mail|err|Jul  1 10:00:03|{HOST}|scan-mail.pl[{pid}]:| {kind}: trouble|",
        )
    ]
