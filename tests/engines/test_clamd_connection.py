from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles import HANG_UP, SILENCE, ClamdDouble
from lazaretto.engines.clamd_connection import Address, Connection, NoAnswerError, answers, ask_version, parse_address
from lazaretto.errors import ConfigError, RemoteProtocolError
from lazaretto.wire.clamd import ReplyKind


@pytest.fixture(params=["unix", "tcp"])
def clamd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ClamdDouble]:
    double = ClamdDouble(tmp_path / "s" if request.param == "unix" else None)
    yield double
    double.close()


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


def test_several_questions_on_one_connection(clamd: ClamdDouble) -> None:
    connection = Connection(parse_address(clamd.address), soon())
    for _ in range(3):
        assert connection.usable()
        assert connection.ask(iter((connection.client.ping(),)), soon()).kind is ReplyKind.PONG
    connection.close()
    assert clamd.connections == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (HANG_UP, NoAnswerError),
        (b"PONG\0", NoAnswerError),
        (b"2: PONG\0", RemoteProtocolError),
        (SILENCE, TimeoutError),
        (b"1: PON", TimeoutError),
    ],
)
def test_what_goes_wrong(clamd: ClamdDouble, reply: bytes, error: type[Exception]) -> None:
    clamd.twist = lambda _command, _honest: reply
    connection = Connection(parse_address(clamd.address), soon())
    with pytest.raises(error):
        connection.ask(iter((connection.client.ping(),)), soon(0.2 if error is TimeoutError else 10))
    connection.close()


def test_a_closed_connection_is_not_usable(clamd: ClamdDouble) -> None:
    connection = Connection(parse_address(clamd.address), soon())
    assert connection.ask(iter((connection.client.ping(),)), soon()).kind is ReplyKind.PONG
    clamd.hang_up()
    end = soon()
    while connection.usable():
        assert time.monotonic() < end
    connection.close()


def test_the_version(clamd: ClamdDouble) -> None:
    assert ask_version(parse_address(clamd.address), soon()).startswith("ClamAV 1.0.0-double/")
    clamd.twist = lambda _command, _honest: b"UNKNOWN COMMAND\0"
    with pytest.raises(NoAnswerError, match="UNKNOWN COMMAND"):
        ask_version(parse_address(clamd.address), soon())


def test_no_connection(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Connection(Address(path=str(tmp_path / "none")), soon())
    with pytest.raises(ConnectionRefusedError):
        Connection(Address(host="127.0.0.1", port=1), soon())
    for address in (Address(path=str(tmp_path / "none")), Address(host="127.0.0.1", port=1)):
        with pytest.raises(TimeoutError):
            Connection(address, soon(-1))


def test_answers(clamd: ClamdDouble, tmp_path: Path) -> None:
    address = parse_address(clamd.address)
    assert answers(address, 5)
    assert not answers(Address(path=str(tmp_path / "none")), 5)
    for reply in (b"PONG", b"NO\0", HANG_UP, b"x" * 10_000):
        clamd.twist = lambda _command, _honest, reply=reply: reply  # type: ignore[misc]
        assert not answers(address, 5)
    clamd.twist = lambda _command, _honest: SILENCE
    assert not answers(address, 0.2)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/clamav/clamd.ctl", Address(path="/run/clamav/clamd.ctl")),
        ("/run/clamd", Address(path="/run/clamd")),
        ("10.0.0.1:3311", Address(host="10.0.0.1", port=3311)),
        ("scanner.example.org", Address(host="scanner.example.org", port=3310)),
        ("[::1]:3310", Address(host="::1", port=3310)),
        ("[2001:db8::1]", Address(host="2001:db8::1", port=3310)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "unix:", "unix:relative", "host:", ":3310", "host:0", "host:65536", "host:x", "::1", "[]:1", "/" + "x" * 200]
)
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(text)
