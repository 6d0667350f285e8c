"""The line between worker and supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

import forked
from lazaretto.frontends import control
from lazaretto.frontends.control import MAX_BYTES, Control, Word, heard


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Control]]:
    ours, theirs = control.pair()
    with ours, theirs:
        yield ours, Control(theirs, control.tally())


def test_words(ends: tuple[socket.socket, Control]) -> None:
    ours, worker = ends
    assert heard(ours) == ([], False)
    worker.ready()
    worker.counters({})
    worker.counters({"a_total": 2, 'b{c="d"}': 0.5})
    assert heard(ours) == ([Word(True), Word(), Word(False, {"a_total": 2.0, 'b{c="d"}': 0.5})], False)
    assert not worker.over()
    worker.close()
    assert heard(ours) == ([], True)


def test_the_end_of_the_supervisor(ends: tuple[socket.socket, Control]) -> None:
    ours, worker = ends
    assert not worker.over()
    ours.close()
    assert worker.over()
    worker.ready()  # nobody hears it


def test_a_supervisor_that_has_no_time(ends: tuple[socket.socket, Control]) -> None:
    """What does not fit is dropped, and the worker goes on; the next one gets through."""
    ours, worker = ends
    for number in range(10_000):
        worker.counters({"x": number})
    words, over = heard(ours)
    assert not over
    assert 0 < len(words) < 10_000
    assert [word.counters["x"] for word in words] == list(range(len(words)))
    worker.counters({"x": -1})
    assert heard(ours)[0] == [Word(False, {"x": -1.0})]


def test_too_much_to_tell(ends: tuple[socket.socket, Control]) -> None:
    ours, worker = ends
    worker.counters({"x" * MAX_BYTES: 1})
    worker.counters({"x" * (MAX_BYTES - 100): 1})
    (word,) = heard(ours)[0]
    assert len(next(iter(word.counters))) == MAX_BYTES - 100


@pytest.mark.parametrize(
    "data", [b"x", b"[1]", b"{", b"\xff", b'{"counters": 1}', b'{"counters": {"a": "b"}}', b'{"counters": {"a": null}}', b"7"]
)
def test_nonsense(ends: tuple[socket.socket, Control], data: bytes) -> None:
    ours, worker = ends
    worker.sock.send(data)
    worker.ready()
    assert heard(ours) == ([Word(True)], False)


def test_the_tally_outlives_its_process(ends: tuple[socket.socket, Control]) -> None:
    cell = control.tally()
    worker = Control(ends[1].sock, cell)
    pid = forked.fork()
    if not pid:
        worker.in_hand(3)
        os._exit(0)
    os.waitpid(pid, 0)
    assert cell[0] == 3
