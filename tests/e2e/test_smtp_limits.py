"""Many, slow, greedy and endless clients: others are served all the same, and each limit has its answer.

With LAZARETTO_LONG=1, two thousand idle connections and half a gigabyte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from serving import eventually
from smtp_service import Service, descriptors_for, high_water
from smtp_session import RECIPIENT, SENDER, Closed, Session, attempt
from smtp_sink import Sink

LONG = bool(os.environ.get("LAZARETTO_LONG"))
IDLE = 2000 if LONG else 300
HUGE = 500_000_000 if LONG else 40_000_000
LIMIT = 1_000_000
MESSAGE = b"Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough of them for the clients."""
    with descriptors_for(IDLE):
        yield


def test_idle_and_dripping_clients_delay_nobody(sink: Sink, descriptors: None) -> None:
    with Service(sink.address, smtp__max_connections=IDLE + 10) as proxy, ExitStack() as stack:
        idle = [stack.enter_context(Session(proxy.address)) for _ in range(IDLE)]
        assert {client.answer().code for client in idle} == {220}
        slow = stack.enter_context(Session(proxy.address))
        slow.greet()
        slow.begin()
        for byte in MESSAGE[:20]:
            slow.send_apart(bytes([byte]))
            assert str(attempt(proxy.address, MESSAGE)) == "250 END"
        slow.send(MESSAGE[20:] + b".\r\n")
        assert slow.answer().code == 250
        assert idle[-1].say(b"NOOP").code == 250
        assert len(sink.messages) == 21


def test_client_that_says_nothing_is_sent_away(sink: Sink) -> None:
    with Service(sink.address, smtp__command_timeout_s=0.2, smtp__data_timeout_s=0.2) as proxy:
        with Session(proxy.address) as client:
            assert client.answer().code == 220
            assert client.answer().code == 421
            assert client.rest() == b""
        with Session(proxy.address) as client:
            client.greet()
            client.begin()
            client.send(b"half a mess")
            assert client.answer().code == 421
            assert client.rest() == b""
    assert sink.messages == []


def test_one_connection_too_many(sink: Sink) -> None:
    with Service(sink.address, smtp__max_connections=2) as proxy:
        with Session(proxy.address) as one, Session(proxy.address) as two:
            assert one.answer().code == two.answer().code == 220
            with Session(proxy.address) as three:
                assert three.answer().code == 421
                assert three.rest() == b""
        eventually(lambda: str(attempt(proxy.address, MESSAGE)) == "250 END", "room")


def test_one_message_too_many(sink: Sink) -> None:
    with Service(sink.address, smtp__max_jobs=1) as proxy, Session(proxy.address) as one:
        one.greet()
        one.begin()
        one.send(b"half a mess")
        assert str(attempt(proxy.address, MESSAGE)) == "451 MAIL"
        one.send(b"age\r\n.\r\n")
        assert one.answer().code == 250
        assert str(attempt(proxy.address, MESSAGE)) == "250 END"


def test_recipients_and_errors(sink: Sink) -> None:
    with Service(sink.address, smtp__max_recipients=3, smtp__max_errors=5) as proxy, Session(proxy.address) as client:
        client.greet()
        assert client.say(b"MAIL FROM:" + SENDER).code == 250
        assert [client.say(b"RCPT TO:" + RECIPIENT).code for _ in range(5)] == [250, 250, 250, 452, 452]
        codes: list[int] = []
        try:
            while len(codes) < 10:
                codes.append(client.say(b"WHAT").code)
        except Closed:
            pass
        assert codes[-1] == 421
        assert set(codes[:-1]) == {500}
        assert len(codes) <= 6


def test_huge_message_fills_nothing(sink: Sink, tmp_path: Path) -> None:
    """It is read to its end and refused; neither memory nor disk has seen all of it."""
    with Service(sink.address, limits__max_message_bytes=LIMIT) as proxy, Session(proxy.address) as client:
        answer = client.greet()
        assert any(re.fullmatch(rb"SIZE \d+", line) for line in answer.lines)
        (worker,) = proxy.workers
        before = high_water(worker)
        assert client.say(b"MAIL FROM:" + SENDER + b" SIZE=%d" % HUGE).code == 552
        client.begin()
        piece = (b"x" * 998 + b"\r\n") * 1000
        largest = 0
        for _ in range(HUGE // len(piece)):
            client.send(piece)
            largest = max(largest, spooled(worker))
        client.send(b".\r\n")
        assert client.answer().code == 552
        assert largest <= 2 * LIMIT
        assert high_water(worker) - before < 20_000_000
        assert client.deliver(MESSAGE).code == 250
    assert [one.data for one in sink.messages] == [MESSAGE]


def spooled(pid: int) -> int:
    """Bytes in files that the process has open and that have no name."""
    total = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}").endswith(" (deleted)"):
                total += os.stat(f"/proc/{pid}/fd/{fd}").st_size
        except FileNotFoundError:
            pass
    return total
