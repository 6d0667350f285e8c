from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dialogue import CLOSE, Step, dialogues, steps
from doubles import HANG_UP, SILENCE, ClamdDouble, context, item_in_file, item_of
from lazaretto.engines.clamd import Clamd
from lazaretto.engines.clamd_connection import Address, parse_address
from lazaretto.errors import ConfigError, EngineError
from lazaretto.model import Finding, Item, Kind, Reason


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[ClamdDouble]:
    double = ClamdDouble(tmp_path / "s")
    yield double
    double.close()


@pytest.fixture
def tcp() -> Iterator[ClamdDouble]:
    double = ClamdDouble()
    yield double
    double.close()


_ENGINES: list[Clamd] = []


@pytest.fixture(autouse=True)
def _close_engines() -> Iterator[None]:
    yield
    while _ENGINES:
        _ENGINES.pop().close()


def keep(engine: Clamd) -> Clamd:
    """Closed at the end of the test."""
    _ENGINES.append(engine)
    return engine


def engine_at(*addresses: str, **options: object) -> Clamd:
    return keep(Clamd.from_config("clamd", {"addresses": list(addresses), **options}))


def names(engine: Clamd, item: Item, seconds: float = 10) -> list[str]:
    return [finding.name for finding in engine.scan(item, context(seconds))]


# -- dialogues: the files of tests/wire/test_clamd.py once more, over a socket


class Player(threading.Thread):
    """Plays the daemon's side of a dialogue."""

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
        for verb, data in self.script:
            if verb == "connection":
                sock.close()
                sock, _ = self.listener.accept()
            elif verb == "C:":
                got = b""
                while len(got) < len(data) and (more := sock.recv(len(data) - len(got))):
                    got += more
                self.received.append(got)
            elif verb == "S:" and data != CLOSE:
                sock.sendall(data)
            elif verb == "S:":
                sock.close()
        sock.close()
        self.listener.close()


@pytest.mark.parametrize("path", dialogues("clamd"), ids=lambda path: path.stem)
def test_dialogue_over_a_socket(path: Path, tmp_path: Path) -> None:
    script = steps(path)
    player = Player(tmp_path / "s", script)
    engine = engine_at(f"unix:{tmp_path / 's'}")
    told = ""
    for verb, data in script:
        if verb == "scan":
            try:
                findings = engine.scan(item_of(data), context())
                told = "clean"
                for finding in findings:
                    told = f"unscannable {finding.reason.value}" if finding.reason else f"found {finding.name}"
            except EngineError as error:
                told = f"error {error.reason.value}"
        elif verb == "=":
            assert told == data.decode()
    engine.close()
    player.join(10)
    assert not player.is_alive()
    assert player.received == [data for verb, data in script if verb == "C:"]


# -- what it finds


def test_found_and_clean_in_one_session(clamd: ClamdDouble) -> None:
    engine = engine_at(clamd.address)
    assert engine.scan(item_of(b"so EVIL"), context()) == [Finding("clamd", Kind.MALWARE, "Double.Evil")]
    assert names(engine, item_of(b"good")) == []
    assert names(engine, item_of(b"")) == []
    assert clamd.contents == [b"so EVIL", b"good", b""]
    assert clamd.connections == 1


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 900_000])
def test_content_arrives_whole(tcp: ClamdDouble, size: int) -> None:
    content = os.urandom(size)
    assert names(engine_at(tcp.address), item_of(content)) == (["Double.Evil"] if b"EVIL" in content else [])
    assert tcp.contents == [content]


def test_a_macro_alert_is_no_malware(clamd: ClamdDouble) -> None:
    clamd.twist = lambda _command, _honest: b"1: stream: Heuristics.OLE2.ContainsMacros.VBA FOUND\0"
    (finding,) = engine_at(clamd.address).scan(item_of(b"x"), context())
    assert (finding.kind, finding.reason) == (Kind.ACTIVE, None)


def test_encrypted_is_not_malware(clamd: ClamdDouble) -> None:
    clamd.twist = lambda _command, _honest: b"1: stream: Heuristics.Encrypted.Zip FOUND\0"
    (finding,) = engine_at(clamd.address).scan(item_of(b"x"), context())
    assert finding == Finding("clamd", Kind.UNSCANNABLE, "clamd.encrypted", (), "Heuristics.Encrypted.Zip", Reason.ENCRYPTED)


def test_covered_items_are_not_wanted() -> None:
    engine = engine_at("127.0.0.1:1")
    assert engine.wants(item_of(b"x"))
    assert not engine.wants(item_of(b"x", covered=True))


@pytest.mark.parametrize(
    ("start", "prepended"),
    [
        (b"Received: from a", False),
        (b"From: a", False),
        (b"From a@b", False),
        (b"Return-Path: <a>", True),
        (b"received: x", True),
        (b"", True),
    ],
)
def test_a_message_begins_with_a_line_that_says_so(clamd: ClamdDouble, start: bytes, prepended: bool) -> None:
    engine = engine_at(clamd.address)
    content = start + b"\r\n\r\nbody"
    assert names(engine, item_of(content, is_message=True)) == []
    assert names(engine, item_of(content)) == []
    assert clamd.contents[0].endswith(content)
    assert clamd.contents[0].startswith(b"Received: from localhost") == prepended
    assert (clamd.contents[0] == content) != prepended
    assert clamd.contents[1] == content


# -- descriptors


def test_a_descriptor_is_passed_over_unix(clamd: ClamdDouble, tmp_path: Path) -> None:
    with item_in_file(tmp_path, b"x" * 100_000 + b"EVIL") as item:
        assert item.content.fd is not None
        os.lseek(item.content.fd, 77, os.SEEK_SET)
        engine = engine_at(clamd.address)
        assert names(engine, item) == ["Double.Evil"]
        assert names(engine, item) == ["Double.Evil"]
        assert os.lseek(item.content.fd, 0, os.SEEK_CUR) == 77  # clamd read by a descriptor of its own
    assert clamd.commands == ["zIDSESSION", "zFILDES", "zFILDES"]


def test_no_descriptor_where_it_cannot_or_must_not(clamd: ClamdDouble, tcp: ClamdDouble, tmp_path: Path) -> None:
    with item_in_file(tmp_path, b"so EVIL") as item:
        assert names(engine_at(tcp.address), item) == ["Double.Evil"]
        assert names(engine_at(clamd.address, pass_descriptors=False), item) == ["Double.Evil"]
        # clamd would not see a mail in it: the line that says so can only be sent
        assert names(engine_at(clamd.address), item._replace(is_message=True)) == ["Double.Evil"]
        # the file has grown: it is not the content any more
        path = f"/proc/self/fd/{item.content.fd}"
        os.chmod(path, 0o600)
        with open(path, "ab") as file:
            file.write(b"more")
        assert names(engine_at(clamd.address), item) == ["Double.Evil"]
    assert "zFILDES" not in tcp.commands + clamd.commands
    assert clamd.contents[-1] == b"so EVIL"


def test_falls_back_to_the_stream_when_the_descriptor_is_refused(clamd: ClamdDouble, tmp_path: Path) -> None:
    clamd.twist = lambda command, honest: b"1: fd[9]: Can't read file ERROR\0" if command == "zFILDES" else honest
    engine = engine_at(clamd.address)
    with item_in_file(tmp_path, b"so EVIL") as item:
        assert names(engine, item) == ["Double.Evil"]
        assert names(engine, item) == ["Double.Evil"]
    assert clamd.commands.count("zFILDES") == 1  # not tried again


# -- limits


def test_what_is_too_large_is_not_sent(clamd: ClamdDouble) -> None:
    engine = engine_at(clamd.address, stream_max_bytes=100)
    assert names(engine, item_of(b"x" * 100)) == []
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"x" * 101), context())
    assert caught.value.reason is Reason.LIMIT
    assert clamd.contents == [b"x" * 100]
    with pytest.raises(EngineError) as caught:  # the line in front counts
        engine.scan(item_of(b"x" * 100, is_message=True), context())
    assert caught.value.reason is Reason.LIMIT


@pytest.mark.parametrize("unix", [True, False])
def test_the_daemons_own_limit_is_heard_while_sending(clamd: ClamdDouble, tcp: ClamdDouble, unix: bool) -> None:
    double = clamd if unix else tcp
    double.limit = 100_000
    engine = engine_at(double.address)
    for _ in range(3):
        with pytest.raises(EngineError) as caught:
            engine.scan(item_of(b"x" * 20_000_000), context())
        assert caught.value.reason is Reason.LIMIT
        assert names(engine, item_of(b"small EVIL")) == ["Double.Evil"]


# -- trouble


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (HANG_UP, Reason.DOWN),
        (b"1: stream: Can't allocate memory ERROR\0", Reason.DOWN),
        (b"1: stream: Access denied. ERROR\0", Reason.DOWN),
        (b"1: stream: Time limit reached ERROR\0", Reason.TIMEOUT),
        (b"7: stream: OK\0", Reason.DOWN),
        (b"stream: OK\0", Reason.DOWN),
        (b"x" * 100_000, Reason.DOWN),
        (b"\xff\xfe\0", Reason.DOWN),
        (b"\0", Reason.DOWN),
    ],
)
def test_anything_else_is_an_error(clamd: ClamdDouble, reply: bytes, reason: Reason) -> None:
    clamd.twist = lambda _command, _honest: reply
    engine = engine_at(clamd.address)
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            engine.scan(item_of(b"x"), context())
        assert caught.value.reason is reason
        assert clamd.address in caught.value.detail


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        engine_at(f"unix:{tmp_path}/none").scan(item_of(b"x"), context())
    assert caught.value.reason is Reason.DOWN
    assert "No such file" in caught.value.detail


def test_silence_ends_at_the_deadline(clamd: ClamdDouble) -> None:
    clamd.twist = lambda _command, _honest: SILENCE
    engine = engine_at(clamd.address)
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"x"), context(0.2))
    assert caught.value.reason is Reason.TIMEOUT
    clamd.twist = lambda _command, honest: honest
    assert names(engine, item_of(b"EVIL")) == ["Double.Evil"]  # by a new connection: no answer to the old question
    assert clamd.connections == 2


def test_a_deadline_in_the_past_asks_nobody(clamd: ClamdDouble) -> None:
    with pytest.raises(EngineError) as caught:
        engine_at(clamd.address).scan(item_of(b"x"), context(-1))
    assert caught.value.reason is Reason.TIMEOUT
    assert clamd.connections == 0


def test_a_daemon_that_does_not_accept_is_left_at_the_deadline(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(0)
    waiting = []
    for _ in range(4):  # fill the backlog
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(str(tmp_path / "s"))
        except BlockingIOError:
            pass
        waiting.append(sock)
    with pytest.raises(EngineError) as caught:
        engine_at(f"unix:{tmp_path / 's'}").scan(item_of(b"x"), context(0.2))
    assert caught.value.reason is Reason.TIMEOUT
    for sock in [*waiting, listener]:
        sock.close()


def test_a_closed_session_is_replaced_once(clamd: ClamdDouble) -> None:
    engine = engine_at(clamd.address)
    assert names(engine, item_of(b"x")) == []
    clamd.hang_up()
    assert names(engine, item_of(b"EVIL")) == ["Double.Evil"]
    assert clamd.connections == 2
    clamd.twist = lambda _command, _honest: HANG_UP  # the kept session, and the new one too
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"y"), context())
    assert caught.value.reason is Reason.DOWN
    assert clamd.connections == 3


def test_an_answer_is_never_asked_for_twice(clamd: ClamdDouble) -> None:
    """A kept session that answers nonsense is an error, not a reason to ask again."""
    engine = engine_at(clamd.address)
    assert names(engine, item_of(b"x")) == []
    clamd.twist = lambda _command, _honest: b"9: stream: OK\0"
    with pytest.raises(EngineError):
        engine.scan(item_of(b"y"), context())
    assert clamd.connections == 1


def test_a_session_is_not_shared_with_a_child(clamd: ClamdDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_at(clamd.address)
    assert names(engine, item_of(b"x")) == []
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert names(engine, item_of(b"EVIL")) == ["Double.Evil"]
    assert clamd.connections == 2


# -- several daemons


def test_fail_over_and_memory(clamd: ClamdDouble, tcp: ClamdDouble, tmp_path: Path) -> None:
    now = [1000.0]
    first = parse_address(clamd.address)
    addresses = (Address(path=str(tmp_path / "none")), first, parse_address(tcp.address))
    engine = keep(Clamd("clamd", addresses, clock=lambda: now[0]))
    assert names(engine, item_of(b"1")) == []
    assert (clamd.contents, tcp.contents) == ([b"1"], [])
    clamd.twist = lambda _command, _honest: HANG_UP
    assert names(engine, item_of(b"2")) == []
    assert tcp.contents == [b"2"]
    clamd.twist = lambda _command, honest: honest
    assert names(engine, item_of(b"3")) == []
    assert tcp.contents == [b"2", b"3"]  # the first is still remembered as dead
    now[0] += 31
    assert names(engine, item_of(b"4")) == []
    assert clamd.contents[-1] == b"4"


def test_the_dead_are_asked_when_nobody_else_is_left(clamd: ClamdDouble) -> None:
    engine = keep(Clamd("clamd", (parse_address(clamd.address),), clock=lambda: 1000.0))
    clamd.twist = lambda _command, _honest: HANG_UP
    with pytest.raises(EngineError):
        engine.scan(item_of(b"x"), context())
    clamd.twist = lambda _command, honest: honest
    assert names(engine, item_of(b"EVIL")) == ["Double.Evil"]


def test_who_was_too_slow_is_asked_last_next_time(clamd: ClamdDouble, tcp: ClamdDouble) -> None:
    engine = engine_at(clamd.address, tcp.address)
    clamd.twist = lambda _command, _honest: SILENCE
    with pytest.raises(EngineError) as caught:
        engine.scan(item_of(b"x"), context(0.2))
    assert caught.value.reason is Reason.TIMEOUT
    assert names(engine, item_of(b"EVIL")) == ["Double.Evil"]
    assert tcp.contents == [b"EVIL"]


def test_a_limit_is_not_a_reason_to_ask_the_next(clamd: ClamdDouble, tcp: ClamdDouble) -> None:
    clamd.limit = 10
    with pytest.raises(EngineError) as caught:
        engine_at(clamd.address, tcp.address).scan(item_of(b"x" * 11), context())
    assert caught.value.reason is Reason.LIMIT
    assert tcp.connections == 0


# -- information and configuration


def test_info(clamd: ClamdDouble, tmp_path: Path) -> None:
    info = engine_at(f"unix:{tmp_path}/none", clamd.address).info(5)
    assert (info.version, info.signatures, info.reachable) == ("ClamAV 1.0.0-double", "26000/Sun Nov  1 00:00:00 2026", True)
    assert clamd.address in info.detail
    assert "none does not answer" in info.detail
    info = engine_at(f"unix:{tmp_path}/none").info(5)
    assert not info.reachable
    clamd.twist = lambda _command, _honest: b"UNKNOWN COMMAND\0"
    assert not engine_at(clamd.address).info(5).reachable
    clamd.twist = lambda _command, _honest: SILENCE
    assert not engine_at(clamd.address).info(0.2).reachable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "addresses: expected at least one"),
        ({"addresses": "unix:/x"}, "addresses: expected a list"),
        ({"addresses": ["host:x"]}, "addresses: expected unix:/path"),
        ({"addresses": ["/x"], "stream_max_bytes": 0}, "stream_max_bytes: expected"),
        ({"addresses": ["/x"], "stream_max_bytes": True}, "stream_max_bytes: expected"),
        ({"addresses": ["/x"], "connect_timeout_s": 0}, "connect_timeout_s: expected"),
        ({"addresses": ["/x"], "pass_descriptors": 1}, "pass_descriptors: expected true or false"),
        ({"addresses": ["/x"], "adresses": []}, "adresses: unknown option; known are addresses"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=r"engines\.av") as caught:
        Clamd.from_config("av", options)
    assert message in str(caught.value)
