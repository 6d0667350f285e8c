from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles import HANG_UP, SILENCE
from fpscand_double import FpscandDouble
from lazaretto.engines.connection import Machine, NoAnswerError, parse_address
from lazaretto.engines.fpscand_connection import Connection
from lazaretto.errors import RemoteProtocolError
from lazaretto.mime.source import Source
from lazaretto.wire.fpscand import Closed, Result, State, Version


@pytest.fixture(params=["unix", "tcp"])
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FpscandDouble]:
    double = FpscandDouble(tmp_path / "s" if request.param == "unix" else None)
    yield double
    double.close()


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


def connect(daemon: FpscandDouble) -> Connection:
    return Connection(parse_address(daemon.address, 1), soon())


def test_several_questions_on_one_connection(daemon: FpscandDouble, tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"EVIL")
    connection = connect(daemon)
    path = str(tmp_path / "a b")
    for _ in range(2):
        assert connection.scan_file(path, (b"--adware",), soon()) == [Result(1, "infected: Double.Evil", path.encode())]
        assert connection.good
        (result,) = connection.scan_stream(Source(b"x" * 300_000), (), soon())
        assert result.text == "clean"
        assert connection.good
        assert connection.sent
        assert connection.usable()
        assert connection.version(soon()).program == "6.3.3.5015"
        machine: Machine[Result | Version | Closed] = connection.client
        while machine.next_event() is None and connection.client.state is not State.IDLE:  # the second line of HELP
            connection.receive(machine, soon())
    connection.close()
    assert daemon.connections == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (HANG_UP, NoAnswerError),
        (b"0 <clean> na" + HANG_UP, NoAnswerError),
        (b"0 <clean> another\n", RemoteProtocolError),
        (b"nonsense\n", RemoteProtocolError),
        (SILENCE, TimeoutError),
        (b"0 <clean> na" + SILENCE, TimeoutError),
    ],
)
def test_what_goes_wrong(daemon: FpscandDouble, reply: bytes, error: type[Exception]) -> None:
    daemon.twist = lambda _request, _honest: reply
    connection = connect(daemon)
    with pytest.raises(error):
        connection.scan_stream(Source(b"x"), (), soon(0.2 if error is TimeoutError else 10))
    assert not connection.good
    connection.close()


def test_an_early_answer_stops_the_stream(daemon: FpscandDouble) -> None:
    """What we sent on would be read as requests."""
    connection = connect(daemon)
    content = b"SCAN --disinfect FILE /x\n" * 400_000
    machine: Machine[Result | Version | Closed] = connection.client
    connection.client.scan_stream(b"n", len(content))
    connection.client.receive_data(b"16 <Stream is too long>\n")
    assert connection.converse(machine, iter((content,)), soon()) == Result(16, "Stream is too long")
    assert not connection.sent
    assert connection.client.state is State.CLOSED
    connection.close()


def test_a_queue_answered_in_another_order(daemon: FpscandDouble, tmp_path: Path) -> None:
    """The engine asks one thing at a time; the machine can do this too."""
    (tmp_path / "a").write_bytes(b"EVIL")
    (tmp_path / "b").write_bytes(b"good")
    connection = connect(daemon)
    client = connection.client
    machine: Machine[Result | Version | Closed] = client
    a, b = str(tmp_path / "a").encode(), str(tmp_path / "b").encode()
    out = [client.queue(), client.scan_file(a), client.scan_stream(b"s", 4), client.chunk(b"EVIL"), client.scan_file(b), client.start()]
    results = [connection.converse(machine, iter(out if not n else ()), soon()) for n in range(3)]
    assert results == [Result(0, "clean", b), Result(1, "infected: Double.Evil", b"s"), Result(1, "infected: Double.Evil", a)]
    assert client.state is State.IDLE
    connection.close()


@pytest.mark.parametrize("reply", [b"HTTP/1.0 400\r\n", HANG_UP])
def test_no_version(daemon: FpscandDouble, reply: bytes) -> None:
    daemon.twist = lambda _request, _honest: reply
    connection = connect(daemon)
    with pytest.raises((RemoteProtocolError, NoAnswerError)):
        connection.version(soon())
    connection.close()
