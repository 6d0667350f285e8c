"""What clamd_connection and fpscand_connection share; their own tests run most of it once more."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lazaretto.engines.connection import Address, Connection, Daemons, NoAnswerError, RefusedError, connect, parse_address
from lazaretto.errors import ConfigError, EngineError, RemoteProtocolError
from lazaretto.model import Reason


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/fpscand", Address(path="/run/fpscand")),
        ("/run/fpscand", Address(path="/run/fpscand")),
        ("10.0.0.1:3311", Address(host="10.0.0.1", port=3311)),
        ("scanner.example.org", Address(host="scanner.example.org", port=99)),
        ("[::1]:3310", Address(host="::1", port=3310)),
        ("[2001:db8::1]", Address(host="2001:db8::1", port=99)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text, 99) == address
    assert parse_address(str(address), 1) == address


@pytest.mark.parametrize("text", ["", "unix:", "unix:x", "host:", ":1", "host:0", "host:65536", "host:x", "::1", "[]:1", "/" + "x" * 200])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(text, 99)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (Address(path="/x"), True),
        (Address(host="127.0.0.1", port=1), True),
        (Address(host="127.8.8.8", port=1), True),
        (Address(host="::1", port=1), True),
        (Address(host="localhost", port=1), True),
        (Address(host="0.0.0.0", port=1), True),
        (Address(host="::", port=1), True),
        (Address(host="10.0.0.1", port=1), False),
        (Address(host="scanner.example.org", port=1), False),
        (Address(host="2001:db8::1", port=1), False),
    ],
)
def test_who_is_on_this_machine(address: Address, local: bool) -> None:
    assert address.local == local


class Echo:
    """A machine of one event: all that came until a line end."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = False

    def receive_data(self, data: bytes) -> None:
        self.got += data
        self.ended = not data

    def next_event(self) -> bytes | None:
        return self.got if self.ended or self.got.endswith(b"\n") else None


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    connection = Connection(Address(host="127.0.0.1", port=listener.getsockname()[1]), soon())
    peer, _ = listener.accept()
    yield connection, peer
    for sock in (connection, peer, listener):
        sock.close()


def test_it_listens_while_it_sends(pair: tuple[Connection, socket.socket]) -> None:
    connection, peer = pair
    peer.sendall(b"enough\n")  # and reads nothing
    assert connection.converse(Echo(), iter((b"x" * 50_000_000,)), soon()) == b"enough\n"
    assert not connection.sent


def test_all_is_sent(pair: tuple[Connection, socket.socket]) -> None:
    connection, peer = pair
    got = bytearray()

    def read() -> None:
        while len(got) < 3_000_000:
            got.extend(peer.recv(65536))
        peer.sendall(b"thanks\n")

    thread = threading.Thread(target=read)
    thread.start()
    assert connection.converse(Echo(), iter((b"abc" * 500_000, b"def" * 500_000)), soon()) == b"thanks\n"
    thread.join(10)
    assert connection.sent
    assert bytes(got) == b"abc" * 500_000 + b"def" * 500_000


def test_last_words_are_heard(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(1)
    connection = Connection(Address(path=str(tmp_path / "s")), soon())
    peer, _ = listener.accept()
    peer.sendall(b"bye")
    peer.close()
    assert connection.converse(Echo(), iter((b"x" * 50_000_000,)), soon()) == b"bye"
    connection.close()
    listener.close()


def test_one_piece_after_the_other(pair: tuple[Connection, socket.socket]) -> None:
    connection, peer = pair
    machine = Echo()
    peer.sendall(b"a")
    connection.receive(machine, soon())
    assert machine.got == b"a"
    for seconds in (-1, 0.1):
        with pytest.raises(TimeoutError):
            connection.receive(machine, soon(seconds))
    peer.close()
    connection.receive(machine, soon())
    assert machine.ended


def test_the_deadline(pair: tuple[Connection, socket.socket]) -> None:
    for seconds in (-1, 0.1):
        with pytest.raises(TimeoutError):
            pair[0].converse(Echo(), iter((b"x",)), soon(seconds))


def test_who_may_be_asked_again(pair: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    connection, peer = pair
    assert connection.usable()
    real = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: real + 1)
    assert not connection.usable()  # a child's
    monkeypatch.undo()
    peer.sendall(b"unasked")
    end = soon()
    while connection.usable():
        assert time.monotonic() < end


def test_nobody_there() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(Address(host="127.0.0.1", port=1), soon())
    with pytest.raises(FileNotFoundError):
        connect(Address(path="/nonexistent/socket"), soon())
    for address in (Address(host="127.0.0.1", port=1), Address(path="/nonexistent/socket")):
        with pytest.raises(TimeoutError):
            connect(address, soon(-1))


# -- several


A, B, C = (Address(host=f"10.0.0.{n}", port=1) for n in (1, 2, 3))


class Fake(Connection):
    """A connection without a socket."""

    __slots__ = ("closed",)

    def __init__(self, address: Address, deadline: float) -> None:
        self.address = address
        self.good = False
        self.closed = False

    def usable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def daemons(clock: Callable[[], float] = time.monotonic) -> Daemons[Fake]:
    return Daemons((A, B, C), Fake, 1.0, clock)


def test_the_first_that_answers() -> None:
    now = [0.0]
    service = daemons(lambda: now[0])
    asked: list[Address] = []
    trouble: dict[Address, Exception] = {A: NoAnswerError("gone"), B: OSError(111, "refused")}

    def ask(address: Address) -> str:
        asked.append(address)
        if address in trouble:
            raise trouble[address]
        return str(address)

    assert service.first(ask, soon()) == str(C)
    assert service.first(ask, soon()) == str(C)
    assert asked == [A, B, C, C]
    now[0] = 31
    trouble.clear()
    assert service.first(ask, soon()) == str(A)
    assert service.first(ask, soon(), among=[B]) == str(B)


@pytest.mark.parametrize(
    ("error", "seconds", "reason"),
    [
        (NoAnswerError("gone"), 10, Reason.DOWN),
        (RefusedError("no"), 10, Reason.DOWN),
        (RemoteProtocolError("nonsense"), 10, Reason.DOWN),
        (OSError(111, "refused"), 10, Reason.DOWN),
        (TimeoutError(), 10, Reason.DOWN),
        (TimeoutError(), -1, Reason.TIMEOUT),
        (NoAnswerError("gone"), -1, Reason.TIMEOUT),
        (EngineError(Reason.LIMIT, "large"), 10, Reason.LIMIT),
    ],
)
def test_when_all_fail(error: Exception, seconds: float, reason: Reason) -> None:
    def ask(_address: Address) -> str:
        raise error

    with pytest.raises(EngineError) as caught:
        daemons().first(ask, soon(seconds))
    assert caught.value.reason is reason


def test_a_refusal_is_no_death() -> None:
    service = daemons()
    asked = []

    def ask(address: Address) -> str:
        asked.append(address)
        if address == A:
            raise RefusedError("no")
        return "yes"

    service.first(ask, soon())
    service.first(ask, soon())
    assert asked == [A, B, A, B]


def test_a_good_connection_is_kept() -> None:
    service = daemons()
    seen: list[Fake] = []

    def good(connection: Fake) -> str:
        assert not connection.good
        seen.append(connection)
        connection.good = True
        return "yes"

    def bad(connection: Fake) -> str:
        seen.append(connection)
        return "no"

    def breaks(connection: Fake) -> str:
        seen.append(connection)
        connection.good = True
        raise RefusedError("no")

    assert service.ask(A, good, soon()) == service.ask(A, good, soon()) == "yes"
    assert service.ask(A, bad, soon()) == "no"
    assert seen[0] is seen[1] is seen[2]
    assert seen[0].closed
    service.ask(A, good, soon())
    with pytest.raises(RefusedError):
        service.ask(A, breaks, soon())
    assert seen[3] is seen[4]
    assert seen[4].closed
    service.ask(A, good, soon())
    service.ask(B, good, soon())
    assert not seen[5].closed
    service.close()
    assert seen[5].closed
    assert seen[6].closed


def test_a_kept_connection_that_is_gone_is_replaced_once() -> None:
    service = daemons()
    seen: list[Fake] = []

    def good(connection: Fake) -> str:
        connection.good = True
        return "yes"

    def gone(connection: Fake) -> str:
        seen.append(connection)
        raise NoAnswerError("gone")

    service.ask(A, good, soon())
    with pytest.raises(NoAnswerError):
        service.ask(A, gone, soon())
    assert len(seen) == 2
    assert all(connection.closed for connection in seen)
