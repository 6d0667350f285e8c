"""The line between worker and supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

import forked
from lazaretto.frontends import control
from lazaretto.frontends.control import MAX_BYTES, Control, Line, Word, heard


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
    "data", [b"x", b"[1]", b"{", b"\xff", b'{"counters": 1}', b'{"counters": {"a": "b"}}', b'{"counters": {"a": null}}', b"7", b"L", b"Lx"]
)
def test_nonsense(ends: tuple[socket.socket, Control], data: bytes) -> None:
    ours, worker = ends
    worker.sock.send(data)
    worker.ready()
    assert heard(ours) == ([Word(True)], False)


def test_the_tally_outlives_its_process(ends: tuple[socket.socket, Control]) -> None:
    tally = control.tally()
    worker = Control(ends[1].sock, tally)
    pid = forked.fork()
    if not pid:
        for _ in range(3):
            worker.begun()
        worker.dropped()
        os._exit(0)
    os.waitpid(pid, 0)
    assert control.in_hand(tally, 0) == 2
    assert control.in_hand(tally, 1) == 1


# -- final lines


def test_a_line_is_taken_over(ends: tuple[socket.socket, Control]) -> None:
    ours, worker = ends
    lines = [Line("outcome=clean", 6), Line("", 0), Line("\xff\udc80 \n", 3), Line('{"counters": {}}', 7)]
    assert all(map(worker.final, lines))
    worker.ready()
    words, _ = heard(ours)
    assert [word.line for word in words] == [lines[0], lines[1], Line("\xff\\udc80 \n", 3), lines[3], None]
    assert [word.ready for word in words] == [False] * 4 + [True]


def test_what_a_supervisor_has_not_written_the_worker_knows(ends: tuple[socket.socket, Control]) -> None:
    ours, worker = ends
    lines = [Line(f"line {number}", 6) for number in range(5)]
    assert all(map(worker.final, lines[:4]))
    control.written(worker._tally)
    control.written(worker._tally)
    assert worker.final(lines[4])
    assert [*worker._sent] == lines[2:], "what is written is forgotten"
    ours.close()
    assert not worker.final(Line("late", 6)), "nobody takes it"
    assert worker.unwritten() == lines[2:]
    assert worker.unwritten() == []


@pytest.mark.parametrize("text", ["x" * MAX_BYTES, "\xe4" * (MAX_BYTES // 2)])
def test_a_line_that_is_too_long_is_not_taken(text: str, ends: tuple[socket.socket, Control]) -> None:
    assert not ends[1].final(Line(text, 6))
    assert ends[1].unwritten() == []


def test_a_supervisor_without_room_takes_no_line(ends: tuple[socket.socket, Control]) -> None:
    ours, worker = ends
    taken = 0
    while worker.final(Line(f"line {taken}", 6)):
        taken += 1
    words, _ = heard(ours)
    assert [word.line for word in words] == [Line(f"line {number}", 6) for number in range(taken)]
    assert worker.final(Line("there is room again", 6))


def test_nobody_above() -> None:
    nobody: control.Ledger = control.NoLedger()
    nobody.begun()
    nobody.dropped()
    assert not nobody.final(Line("x", 6))
