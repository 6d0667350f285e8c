from __future__ import annotations

import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dialogue import CLOSE, Step, dialogues, steps
from doubles import HANG_UP, SILENCE, context, item_of
from eicar import EICAR
from fpscand_double import STREAM_LIMIT, FpscandDouble
from lazaretto.engines.base import ScanContext
from lazaretto.engines.connection import Address, parse_address
from lazaretto.engines.fpscand import Fpscand
from lazaretto.errors import ConfigError, EngineError, LimitExceeded
from lazaretto.model import Finding, Item, Kind, Reason


@pytest.fixture
def daemon() -> Iterator[FpscandDouble]:
    double = FpscandDouble()
    yield double
    double.close()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[FpscandDouble]:
    double = FpscandDouble(tmp_path / "s")
    yield double
    double.close()


_ENGINES: list[Fpscand] = []


@pytest.fixture(autouse=True)
def _close_engines() -> Iterator[None]:
    yield
    while _ENGINES:
        _ENGINES.pop().close()


def engine_at(*addresses: str, **options: object) -> Fpscand:
    _ENGINES.append(Fpscand.from_config("fpscand", {"addresses": list(addresses), **options}))
    return _ENGINES[-1]


class Cleaned:
    """Keeps what engines give to ScanContext.cleaned."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def __call__(self, item: Item, chunks: Iterable[bytes]) -> None:
        self.contents.append(b"".join(chunks))

    def context(self, seconds: float = 10) -> ScanContext:
        return context(seconds)._replace(cleaned=self)


def names(engine: Fpscand, content: bytes, seconds: float = 10) -> list[str]:
    return [finding.name for finding in engine.scan(item_of(content), context(seconds))]


def said(engine: Fpscand, content: bytes = b"x", ctx: ScanContext | None = None) -> str:
    """In one word and a name."""
    try:
        findings = engine.scan(item_of(content), ctx or context())
    except EngineError as error:
        return f"error {error.reason.value}"
    return " ".join(f"{finding.kind.value} {finding.name}" for finding in findings) or "clean"


def answer(double: FpscandDouble, template: bytes) -> None:
    """Answer each scan like this; NAME is what was asked about."""

    def twist(request: str, _honest: bytes) -> bytes:
        name = re.sub(r"^SCAN (?:--\S+ )*(?:FILE (.*)|STREAM (.*) SIZE \d+)$", r"\1\2", request)
        return template.replace(b"NAME", os.fsencode(name))

    double.twist = twist


# -- dialogues: the files of tests/wire/test_fpscand.py once more, over a socket


class Player(threading.Thread):
    """Plays the daemon's side of a dialogue; NAME is the name that our side chose."""

    def __init__(self, path: Path, script: list[Step]) -> None:
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(4)
        self.script = script
        self.received: list[bytes] = []
        self.start()

    def run(self) -> None:
        sock, _ = self.listener.accept()
        name = b""
        for verb, data in self.script:
            if verb == "connection":
                sock.close()
                sock, _ = self.listener.accept()
            elif verb == "C:":
                size = len(data) - len(b"NAME") + len("lazaretto-") + 24
                got = b""
                while len(got) < size and (more := sock.recv(size - len(got))):
                    got += more
                name = got.split(b" ")[2]
                self.received.append(got.replace(name, b"NAME"))
            elif verb == "S:" and data != CLOSE:
                sock.sendall(data.replace(b"NAME", name))
            elif verb == "S:":
                sock.close()
        sock.close()
        self.listener.close()


@pytest.mark.parametrize("path", dialogues("fpscand"), ids=lambda path: path.stem)
def test_dialogue_over_a_socket(path: Path, tmp_path: Path) -> None:
    script = steps(path)
    player = Player(tmp_path / "s", script)
    engine = engine_at(f"unix:{tmp_path / 's'}", mode="stream")
    told = ""
    for verb, data in script:
        if verb == "scan":
            told = said(engine, data).replace("malware ", "found ")
        elif verb == "=":
            assert told == data.decode()
    engine.close()
    player.join(10)
    assert not player.is_alive()
    assert player.received == [data for verb, data in script if verb == "C:"]


# -- what it finds


@pytest.mark.parametrize("mode", ["file", "stream"])
@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"good", None),
        (b"", None),
        (EICAR, Finding("fpscand", Kind.MALWARE, "EICAR_Test_File", detail="infected: EICAR_Test_File")),
        (b"so EVIL", Finding("fpscand", Kind.MALWARE, "Double.Evil", detail="infected: Double.Evil")),
        (b"PACKED", Finding("fpscand", Kind.MALWARE, "Double.Packed", detail="contains infected objects: Double.Packed")),
        (b"MAYBE", Finding("fpscand", Kind.MALWARE, "Double.Maybe", detail="suspicious: Double.Maybe")),
        (b"CURABLE", Finding("fpscand", Kind.MALWARE, "Double.Curable", detail="infected: Double.Curable")),
        (b"DEEP", None),
        (b"LOCKED", None),
    ],
)
def test_findings(daemon: FpscandDouble, mode: str, content: bytes, finding: Finding | None) -> None:
    engine = engine_at(daemon.address, mode=mode)
    assert engine.scan(item_of(content), context()) == ([finding] if finding else [])
    assert daemon.contents == [content]


@pytest.mark.parametrize("mode", ["file", "stream"])
@pytest.mark.parametrize("code", [0, 1, 2, 4, 8, 16, 20, 32, 48, 64, 72, 80, 128, 129, 130, 132, 144, 160, 192, 200, 208, 255])
def test_every_status(daemon: FpscandDouble, mode: str, code: int) -> None:
    answer(daemon, b"%d <text: Name> NAME\n" % code)
    if code in (0, 8, 64, 72):
        expected = "clean"
    elif code & (1 | 2 | 128):
        expected = "malware Name"
    else:
        expected = "error down"
    assert said(engine_at(daemon.address, mode=mode)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0 <clean> NAME\n", "clean"),
        (b"0 <CLEAN> NAME\r\n", "clean"),
        (b"1 <infected: W32/Sobig.F@mm> NAME\n", "malware W32/Sobig.F@mm"),
        (b"1 <contains infected objects: A: B> NAME->x->y\n", "malware B"),
        (b"1 <infected> NAME\n", "malware fpscand.infected"),
        (b"1 <infected: X>\n", "malware X"),
        (b"0 <suspicious: X> NAME\n", "malware X"),
        (b"0 <unwanted: X> NAME\n", "malware X"),
        (b"4 <interrupted> NAME\n", "error down"),
        (b"16 <Stream is too long>\n", "error limit"),
        (b"16 <Unknown command>\n", "error down"),
        (b"0 <clean>\n", "error down"),
        (b"0 <clean> NAMEx\n", "error down"),
        (b"0 clean NAME\n", "error down"),
        (b"\n", "error down"),
        (b"\0\0\0\n", "error down"),
        (b"0 <clean> NAME\n1 <infected: Y> NAME\n", "malware Y"),
        (b"0 <clean> NAME\n16 <Out of memory>\n", "error down"),
        (b"8 <clean> NAME->a\n0 <clean> NAME\n", "clean"),
        (b"0 <clean> NAME\ngarbage\n", "error down"),
        (b"1 <infected: " + b"x" * 500 + b"> NAME\n", "malware " + "x" * 200),
        (b"1 <infected: X> NAME->" + b"y" * 300_000 + b"\n", "malware X"),
        (b"1 <infected: X\x1b[2J\xff> NAME\n", "malware X?[2J\ufffd"),
        (b"0 <clean> NAM" + HANG_UP, "error down"),
        (b"0 <clean> NAME" + HANG_UP, "error down"),
        (b"0 <clean> NAME\n" + HANG_UP, "clean"),
        (HANG_UP, "error down"),
        (b"x" * 300_000 + HANG_UP, "error down"),
        (b"HTTP/1.0 400 Bad Request\r\n", "error down"),
    ],
)
@pytest.mark.parametrize("mode", ["file", "stream"])
def test_every_text_and_fault(daemon: FpscandDouble, mode: str, text: bytes, expected: str) -> None:
    answer(daemon, text)
    engine = engine_at(daemon.address, mode=mode)
    for _ in range(2):  # no fault leaves something behind for the next item
        assert said(engine) == expected
    daemon.twist = lambda _request, honest: honest
    assert names(engine, b"EVIL") == ["Double.Evil"]


@pytest.mark.parametrize("answer_begun", [b"", b"0 <clean> NA", b"0 <clean> NAME"])
@pytest.mark.parametrize("mode", ["file", "stream"])
def test_silence_ends_at_the_deadline(daemon: FpscandDouble, mode: str, answer_begun: bytes) -> None:
    answer(daemon, answer_begun + SILENCE)
    engine = engine_at(daemon.address, mode=mode)
    assert said(engine, ctx=context(0.2)) == "error timeout"
    daemon.twist = lambda _request, honest: honest
    assert names(engine, b"EVIL") == ["Double.Evil"]  # by a new connection: no answer to the old question
    assert daemon.connections == 2


@pytest.mark.parametrize("mode", ["file", "stream"])
def test_answers_split_over_segments(daemon: FpscandDouble, mode: str) -> None:
    daemon.piece = 1
    engine = engine_at(daemon.address, mode=mode)
    for _ in range(3):
        assert names(engine, b"EVIL") == ["Double.Evil"]
        assert names(engine, b"good") == []
    assert daemon.connections == 1


@pytest.mark.parametrize("size", [65535, 65536, 65537, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 900_000])
@pytest.mark.parametrize("mode", ["file", "stream"])
def test_content_arrives_whole(daemon: FpscandDouble, mode: str, size: int) -> None:
    content = b"good" + os.urandom(size - 4).replace(b"MAYBE", b"maybe")
    engine = engine_at(daemon.address, mode=mode)
    assert said(engine, content) in ("clean", "malware Double.Evil")
    assert daemon.contents == [content]


def test_what_is_wanted() -> None:
    engine = engine_at("127.0.0.1:1")
    assert engine.wants(item_of(b"x"))
    assert engine.wants(item_of(b"x", covered=True))  # the raw message, which covers it, is not sent
    assert not engine.wants(item_of(b"x", is_message=True))
    assert engine.by_content


def test_arguments(daemon: FpscandDouble) -> None:
    arguments = ["--scanlevel=2", "--archive=2", "--heurlevel=2", "--adware", "--applications"]
    for mode in ("file", "stream"):
        assert names(engine_at(daemon.address, mode=mode, arguments=arguments), b"good") == []
    for request, kind in zip((request for request in daemon.requests if request != "QUIT"), ("FILE", "STREAM"), strict=True):
        assert request.startswith(f"SCAN {' '.join(arguments)} {kind} ")


# -- options about what an answer means


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2 <suspicious: X> NAME\n", "clean"),
        (b"0 <suspicious: X> NAME\n", "clean"),
        (b"3 <suspicious: X> NAME\n", "malware X"),
        (b"18 <suspicious: X> NAME\n", "error down"),
        (b"2 <suspicious: X> NAME\n1 <infected: Y> NAME\n", "malware Y"),
    ],
)
def test_suspicion_can_be_let_go(daemon: FpscandDouble, text: bytes, expected: str) -> None:
    answer(daemon, text)
    assert said(engine_at(daemon.address, suspicious="clean", mode="stream")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0 <clean> NAME\n", "clean"),
        (b"8 <clean> NAME\n", "error limit"),
        (b"64 <not scanned> NAME\n", "error broken"),
        (b"72 <not scanned> NAME\n", "error broken"),
        (b"64 <file is encrypted> NAME->x\n", "error encrypted"),
        (b"64 <x> NAME->x\n0 <clean> NAME\n", "error broken"),
        (b"0 <clean> NAME\n8 <x> NAME->x\n", "error limit"),
        (b"65 <infected: X> NAME\n", "malware X"),
        (b"192 <disinfected: X> NAME\n", "malware X"),
        (b"80 <x> NAME\n", "error down"),
    ],
)
def test_what_was_left_out_can_be_an_error(daemon: FpscandDouble, text: bytes, expected: str) -> None:
    answer(daemon, text)
    for mode in ("file", "stream"):
        assert said(engine_at(daemon.address, unscannable="error", mode=mode)) == expected


# -- files


def test_a_file_for_a_daemon_on_this_machine(daemon: FpscandDouble, second: FpscandDouble, tmp_path: Path) -> None:
    (tmp_path / "temp dir").mkdir()
    for double in (daemon, second):
        engine = engine_at(double.address, temp_dir=str(tmp_path / "temp dir"))
        assert names(engine, b"EVIL") == ["Double.Evil"]
        (path,) = double.paths
        assert path.startswith(str(tmp_path / "temp dir") + "/")
        assert double.requests == [f"SCAN FILE {path}"]
    assert list((tmp_path / "temp dir").iterdir()) == []


def test_a_stream_for_a_daemon_elsewhere(daemon: FpscandDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Address, "local", False)
    assert names(engine_at(daemon.address), b"EVIL") == ["Double.Evil"]
    assert re.fullmatch(r"SCAN STREAM lazaretto-[0-9a-f]{24} SIZE 4", daemon.requests[0])
    assert daemon.paths == []


def test_the_file_is_private_unless_the_options_say_for_whom(daemon: FpscandDouble) -> None:
    seen: list[tuple[int, int, int, int]] = []

    def look(_request: str, honest: bytes) -> bytes:
        file, directory = os.stat(daemon.paths[-1]), os.stat(os.path.dirname(daemon.paths[-1]))
        seen.append((stat.S_IMODE(file.st_mode), file.st_gid, stat.S_IMODE(directory.st_mode), directory.st_gid))
        return honest

    daemon.twist = look
    assert names(engine_at(daemon.address), b"x") == []
    ours = os.getegid()
    assert seen == [(0o600, ours, 0o700, seen[0][3])]
    assert names(engine_at(daemon.address, file_mode="0640", file_group=str(ours)), b"x") == []
    assert seen[1] == (0o640, ours, 0o710, ours)


def test_falls_back_to_the_stream_when_it_may_not_read_the_file(daemon: FpscandDouble) -> None:
    daemon.readable = False
    engine = engine_at(daemon.address)
    assert names(engine, b"EVIL") == ["Double.Evil"]
    assert names(engine, b"good") == []
    assert [request.split()[1] for request in daemon.requests] == ["FILE", "STREAM", "STREAM"]  # not tried again
    assert daemon.connections == 1
    daemon.readable = True
    daemon.hang_up()  # a restart, perhaps as another user
    assert names(engine, b"good") == []
    assert daemon.requests[-1].startswith("SCAN FILE")


def test_a_daemon_of_another_user_reads_what_its_group_may(daemon: FpscandDouble) -> None:
    daemon.group = 4711
    assert names(engine_at(daemon.address), b"EVIL") == ["Double.Evil"]
    assert [request.split()[1] for request in daemon.requests] == ["FILE", "STREAM"]
    if os.geteuid() == 0:
        assert names(engine_at(daemon.address, file_mode="0640", file_group="4711"), b"EVIL") == ["Double.Evil"]
        assert daemon.requests[-1].startswith("SCAN FILE")
    assert names(engine_at(daemon.address, file_mode="0644"), b"EVIL") == ["Double.Evil"]
    assert daemon.requests[-1].startswith("SCAN FILE")


def test_mode_file_has_no_fall_back(daemon: FpscandDouble) -> None:
    daemon.readable = False
    engine = engine_at(daemon.address, mode="file")
    with pytest.raises(EngineError, match="Permission denied") as caught:
        engine.scan(item_of(b"EVIL"), context())
    assert caught.value.reason is Reason.DOWN


def test_no_place_for_the_file(daemon: FpscandDouble, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no temporary file") as caught:
        engine_at(daemon.address, temp_dir=str(tmp_path / "none")).scan(item_of(b"EVIL"), context())
    assert caught.value.reason is Reason.DOWN
    assert not any(request.startswith("SCAN") for request in daemon.requests)


# -- limits of streams


def test_what_is_too_long_for_a_stream_goes_as_a_file(daemon: FpscandDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"EVIL" + bytes(STREAM_LIMIT - 4)
    engine = engine_at(daemon.address)
    assert names(engine, large) == ["Double.Evil"]
    daemon.readable = False
    assert names(engine, large[:-1]) == ["Double.Evil"]
    for _ in range(2):
        with pytest.raises(EngineError, match="Permission denied") as caught:
            engine.scan(item_of(large), context())
        assert caught.value.reason is Reason.LIMIT
    assert [request.split()[1] for request in daemon.requests if request != "QUIT"] == ["FILE", "FILE", "STREAM", "FILE", "FILE"]
    assert said(engine_at(daemon.address, mode="stream"), large) == "error limit"
    monkeypatch.setattr(Address, "local", False)
    connections = daemon.connections
    assert said(engine_at(daemon.address), large) == "error limit"
    assert daemon.connections == connections  # nobody is asked


def test_the_limit_can_be_lower(daemon: FpscandDouble) -> None:
    engine = engine_at(daemon.address, mode="stream", stream_max_bytes=100)
    assert said(engine, b"x" * 100) == "clean"
    assert said(engine, b"x" * 101) == "error limit"


# -- disinfection


def test_disinfection(daemon: FpscandDouble) -> None:
    engine, cleaned = engine_at(daemon.address), Cleaned()
    assert engine.scan(item_of(b"a CURABLE b"), cleaned.context()) == [Finding("fpscand", Kind.DISINFECTED, "Double.Curable")]
    assert cleaned.contents == [b"a  b"]
    assert said(engine, b"EVIL CURABLE", cleaned.context()) == "malware Double.Evil"
    assert said(engine, b"EVIL", cleaned.context()) == "malware Double.Evil"
    assert said(engine, b"good", cleaned.context()) == "clean"
    assert cleaned.contents == [b"a  b"]
    assert all(request.startswith("SCAN --disinfect FILE ") for request in daemon.requests)


def test_nothing_is_disinfected_that_nobody_wants(daemon: FpscandDouble) -> None:
    cleaned = Cleaned()
    assert said(engine_at(daemon.address), b"CURABLE") == "malware Double.Curable"
    assert said(engine_at(daemon.address, disinfect=False), b"CURABLE", cleaned.context()) == "malware Double.Curable"
    assert said(engine_at(daemon.address, mode="stream"), b"CURABLE", cleaned.context()) == "malware Double.Curable"
    assert not any("--disinfect" in request for request in daemon.requests)
    assert cleaned.contents == []


def test_a_daemon_that_does_not_take_the_option(daemon: FpscandDouble) -> None:
    daemon.knows_disinfect = False
    engine, cleaned = engine_at(daemon.address), Cleaned()
    assert said(engine, b"CURABLE", cleaned.context()) == "malware Double.Curable"
    assert said(engine, b"good", cleaned.context()) == "clean"
    assert [request.rpartition(" ")[0] for request in daemon.requests] == ["SCAN --disinfect FILE", "SCAN FILE", "SCAN FILE"]
    assert cleaned.contents == []


def test_a_daemon_that_takes_neither_option_nor_file(daemon: FpscandDouble) -> None:
    daemon.knows_disinfect = daemon.readable = False
    engine, cleaned = engine_at(daemon.address), Cleaned()
    assert said(engine, b"CURABLE", cleaned.context()) == "malware Double.Curable"
    assert said(engine, b"good", cleaned.context()) == "clean"
    assert [request.split()[-2 if "FILE" in request else 1] for request in daemon.requests] == ["FILE", "FILE", "STREAM", "STREAM"]


def test_each_request_gets_a_fresh_copy(daemon: FpscandDouble) -> None:
    """A daemon that fails half-way may have changed the file: what is left must not be what is judged."""

    def spoil(request: str, honest: bytes) -> bytes:
        if "--disinfect" in request:
            Path(daemon.paths[-1]).write_bytes(b"")
            return b"16 <I/O error> %s\n" % daemon.paths[-1].encode()
        return honest

    daemon.twist = spoil
    cleaned = Cleaned()
    assert said(engine_at(daemon.address), b"EVIL", cleaned.context()) == "malware Double.Evil"
    assert len(set(daemon.paths)) == 2

    def die(_request: str, honest: bytes) -> bytes:
        Path(daemon.paths[-1]).write_bytes(b"")
        daemon.twist = lambda _request, honest: honest
        return HANG_UP

    engine = engine_at(daemon.address)
    assert said(engine, b"good", cleaned.context()) == "clean"
    daemon.twist = die
    assert said(engine, b"EVIL", cleaned.context()) == "malware Double.Evil"


@pytest.mark.parametrize(
    ("make", "code", "expected"),
    [
        ("nothing", 128, "malware X"),  # says so, and changed nothing
        ("gone", 128, "malware X"),
        ("link", 128, "malware X"),
        ("directory", 128, "malware X"),
        ("pipe", 128, "malware X"),
        ("replaced", 128, "disinfected X"),
        ("replaced", 192, "disinfected X"),
        ("replaced", 129, "malware X"),
        ("replaced", 130, "malware X"),
        ("replaced", 144, "malware X"),  # disinfected, and then an error: nobody knows what is left
        ("replaced", 0, "malware X"),  # changed without saying so
        ("gone", 0, "malware X"),
        ("nothing", 0, "clean"),
        ("nothing", 64, "clean"),
    ],
)
def test_what_a_daemon_makes_of_the_file(daemon: FpscandDouble, tmp_path: Path, make: str, code: int, expected: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")

    def meddle(_request: str, _honest: bytes) -> bytes:
        path = Path(daemon.paths[-1])
        if make != "nothing":
            path.unlink()
        if make == "link":
            path.symlink_to(secret)
        elif make == "directory":
            path.mkdir()
            (path / "more").write_bytes(b"x")
        elif make == "pipe":
            os.mkfifo(path)
        elif make == "replaced":
            path.write_bytes(b"clean now")
        return b"%d <text: X> %s\n" % (code, daemon.paths[-1].encode())

    daemon.twist = meddle
    cleaned = Cleaned()
    (tmp_path / "temp").mkdir()
    assert said(engine_at(daemon.address, temp_dir=str(tmp_path / "temp")), b"bad", cleaned.context()) == expected
    assert cleaned.contents == ([b"clean now"] if expected.startswith("disinfected") else [])
    assert list((tmp_path / "temp").iterdir()) == []
    assert secret.read_bytes() == b"secret"


def test_partly_scanned_is_not_disinfected_where_that_is_an_error(daemon: FpscandDouble) -> None:
    cleaned = Cleaned()
    daemon.twist = lambda _request, honest: honest.replace(b"128", b"192")
    assert said(engine_at(daemon.address, unscannable="error"), b"CURABLE", cleaned.context()) == "malware Double.Curable"
    assert cleaned.contents == []


def test_what_cannot_be_kept(daemon: FpscandDouble) -> None:
    def full(_item: Item, chunks: Iterable[bytes]) -> None:
        raise OSError(28, "No space left on device")

    def too_large(_item: Item, chunks: Iterable[bytes]) -> None:
        raise LimitExceeded("max_member_bytes")

    engine = engine_at(daemon.address)
    with pytest.raises(EngineError, match="No space left") as caught:
        engine.scan(item_of(b"CURABLE"), context()._replace(cleaned=full))
    assert caught.value.reason is Reason.DOWN
    assert said(engine, b"CURABLE", context()._replace(cleaned=too_large)) == "malware Double.Curable"


# -- connections


def test_one_connection_for_all(daemon: FpscandDouble) -> None:
    engine = engine_at(daemon.address)
    for content in (b"a", b"EVIL", b"c"):
        said(engine, content)
    assert daemon.connections == 1
    engine.close()
    engine.close()
    assert names(engine, b"EVIL") == ["Double.Evil"]  # closed is not dead


def test_goodbye(second: FpscandDouble) -> None:
    engine = engine_at(second.address)
    assert names(engine, b"good") == []
    engine.close()
    end = time.monotonic() + 10
    while second.requests[-1] != "QUIT":
        assert time.monotonic() < end


@pytest.mark.parametrize("mode", ["file", "stream"])
def test_a_closed_connection_is_replaced_once(daemon: FpscandDouble, mode: str) -> None:
    engine = engine_at(daemon.address, mode=mode)
    assert names(engine, b"x") == []
    daemon.hang_up()
    assert names(engine, b"EVIL") == ["Double.Evil"]
    assert daemon.connections == 2
    daemon.twist = lambda _request, _honest: HANG_UP  # the kept connection, and the new one too
    assert said(engine, b"y") == "error down"
    assert daemon.connections == 3


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_daemon_that_closes_after_some_requests(daemon: FpscandDouble, after: int) -> None:
    daemon.close_after = after
    engine = engine_at(daemon.address)
    for _ in range(4):
        assert names(engine, b"EVIL") == ["Double.Evil"]
        assert names(engine, b"good") == []


def test_a_connection_is_not_shared_with_a_child(daemon: FpscandDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_at(daemon.address)
    assert names(engine, b"x") == []
    real = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: real + 1)
    assert names(engine, b"EVIL") == ["Double.Evil"]
    assert daemon.connections == 2
    assert "QUIT" not in daemon.requests  # that would end the parent's


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="No such file") as caught:
        engine_at(f"unix:{tmp_path}/none").scan(item_of(b"x"), context())
    assert caught.value.reason is Reason.DOWN
    assert said(engine_at("127.0.0.1:1")) == "error down"


def test_a_deadline_in_the_past_asks_nobody(daemon: FpscandDouble) -> None:
    assert said(engine_at(daemon.address), ctx=context(-1)) == "error timeout"
    assert daemon.connections == 0


def test_fail_over(daemon: FpscandDouble, second: FpscandDouble, tmp_path: Path) -> None:
    now = [1000.0]
    engine = Fpscand(
        "fpscand", [parse_address(text, 1) for text in (f"{tmp_path}/none", daemon.address, second.address)], clock=lambda: now[0]
    )
    _ENGINES.append(engine)
    assert names(engine, b"1") == []
    assert (daemon.contents, second.contents) == ([b"1"], [])
    daemon.twist = lambda _request, _honest: HANG_UP
    assert names(engine, b"2") == []
    assert second.contents == [b"2"]
    daemon.twist = lambda _request, honest: honest
    assert names(engine, b"3") == []
    assert second.contents == [b"2", b"3"]  # the first is still remembered as dead
    now[0] += 31
    assert names(engine, b"4") == []
    assert daemon.contents[-1] == b"4"


def test_an_error_makes_us_ask_another(daemon: FpscandDouble, second: FpscandDouble) -> None:
    answer(daemon, b"32 <internal error> NAME\n")
    engine = engine_at(daemon.address, second.address)
    assert names(engine, b"EVIL") == ["Double.Evil"]
    answer(second, b"48 <crashed> NAME\n")
    with pytest.raises(EngineError, match=r"internal error.*crashed"):
        engine.scan(item_of(b"x"), context())


# -- information and configuration


def test_info(daemon: FpscandDouble, tmp_path: Path) -> None:
    info = engine_at(f"unix:{tmp_path}/none", daemon.address).info(5)
    assert (info.version, info.signatures, info.reachable) == ("fpscand 6.3.3.5015, engine 4.6.2.117", "2011-02-13 07:48", True)
    assert daemon.address in info.detail
    assert "none does not answer" in info.detail
    assert not engine_at(f"unix:{tmp_path}/none").info(5).reachable
    for reply in (b"HTTP/1.0 400 Bad Request\r\n", HANG_UP, b"16 <Unknown command>\n"):
        daemon.twist = lambda _request, _honest, reply=reply: reply  # type: ignore[misc]
        assert not engine_at(daemon.address).info(5).reachable
    daemon.twist = lambda _request, _honest: SILENCE
    assert not engine_at(daemon.address).info(0.2).reachable


def test_defaults() -> None:
    engine = Fpscand.from_config("f", {})
    assert engine.required
    assert engine._daemons.addresses == (Address(host="127.0.0.1", port=10200),)
    assert engine._set.disinfect
    assert Fpscand.from_config("f", {"addresses": ["av.example.org"]})._daemons.addresses == (Address(host="av.example.org", port=10200),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"addresses": []}, "addresses: expected at least one"),
        ({"addresses": ["host:x"]}, "addresses: expected unix:/path"),
        ({"mode": "tcp"}, 'mode: expected "auto" or "file" or "stream"'),
        ({"suspicious": "maybe"}, 'suspicious: expected "malware" or "clean"'),
        ({"unscannable": True}, "unscannable: expected a text"),
        ({"unscannable": "malware"}, 'unscannable: expected "clean" or "error"'),
        ({"disinfect": "yes"}, "disinfect: expected true or false"),
        ({"arguments": ["--x y"]}, "arguments: expected --name or --name=value"),
        ({"arguments": ["FILE"]}, "arguments: expected --name or --name=value"),
        ({"arguments": ["--Disinfect"]}, "arguments: --disinfect is the option"),
        ({"stream_max_bytes": STREAM_LIMIT}, "stream_max_bytes: at most 10485759"),
        ({"stream_max_bytes": 0}, "stream_max_bytes: expected"),
        ({"connect_timeout_s": 0}, "connect_timeout_s: expected"),
        ({"temp_dir": "/tmp/a->b"}, "temp_dir: "),
        ({"temp_dir": "/tmp/a\nb"}, "temp_dir: "),
        ({"file_mode": "0066"}, "file_mode: expected"),
        ({"adresses": []}, "adresses: unknown option; known are addresses"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=r"engines\.av") as caught:
        Fpscand.from_config("av", options)
    assert message in str(caught.value)
