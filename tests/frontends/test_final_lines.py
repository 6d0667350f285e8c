"""Who writes the final line, and that a message is in exactly one account until it has it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from lazaretto.frontends.control import Line
from lazaretto.frontends.final_lines import FinalLines
from lazaretto.frontends.samples import Samples, sample
from lazaretto.model import Disposition, Report, Verdict

CLEAN = Report("scan-id", (), Verdict(Disposition.ACCEPT), (), 1.0, (("double", ""),), "digest")


class Answered(NamedTuple):
    pairs: dict[str, str]
    level: int = 6
    report: Report | None = None


class Book:
    """A ledger that takes lines, or does not."""

    def __init__(self, takes: bool) -> None:
        self.takes = takes
        self.said: list[str] = []
        self.lines: list[Line] = []

    def begun(self) -> None:
        self.said.append("begun")

    def dropped(self) -> None:
        self.said.append("dropped")

    def final(self, line: Line) -> bool:
        self.said.append("final")
        if self.takes:
            self.lines.append(line)
        return self.takes


class Desk(NamedTuple):
    lines: FinalLines
    book: Book
    log: list[tuple[str, int]]


def desk(takes: bool = True) -> Desk:
    book, log = Book(takes), list[tuple[str, int]]()
    return Desk(FinalLines(lambda text, level: log.append((text, level)), Samples(), "smtp", book), book, log)


DEFERRED = Answered({"outcome": "deferred", "rule": "busy"}, 3)
TEXT = "lazaretto: outcome=deferred rule=busy"


@pytest.mark.parametrize("takes", [True, False])
def test_a_message_in_hand(takes: bool) -> None:
    lines, book, log = desk(takes)
    lines.taken()
    assert lines.jobs == 1
    handed_over = lines.done(DEFERRED, in_hand=True)
    lines.released(handed_over)
    assert lines.jobs == 0
    assert handed_over is takes
    assert book.said == (["begun", "final"] if takes else ["begun", "final", "dropped"])
    assert [*book.lines, *log] == [(TEXT, 3)]


def test_a_message_that_is_not_in_hand_has_its_line_from_us() -> None:
    lines, book, log = desk()
    assert not lines.done(DEFERRED)
    assert (book.said, log) == ([], [(TEXT, 3)])


def test_a_message_that_needs_no_line() -> None:
    lines, book, log = desk()
    lines.taken()
    lines.released(has_line=False)
    assert (book.said, log) == (["begun", "dropped"], [])


def test_a_line_that_cannot_be_written() -> None:
    def no_log(_text: str, _level: int) -> None:
        raise OSError("no room")

    book = Book(False)
    lines = FinalLines(no_log, Samples(), "smtp", book)
    lines.taken()
    with pytest.raises(OSError, match="no room"):
        lines.done(DEFERRED, in_hand=True)
    lines.released(has_line=False)
    assert (lines.jobs, book.said) == (0, ["begun", "final", "dropped"])


@pytest.mark.parametrize(
    ("answered", "outcome", "reason"),
    [
        (DEFERRED, "deferred", "busy"),
        (Answered({"outcome": "clean", "rule": "default"}, report=CLEAN), "clean", "default"),
        (Answered({"outcome": "rejected", "rule": "default"}, report=CLEAN), "rejected", "default"),
    ],
)
def test_each_is_counted_once(answered: Answered, outcome: str, reason: str) -> None:
    lines, _, _ = desk()
    lines.done(answered, in_hand=True)
    counted = {name: value for name, value in lines.samples.values.items() if name.startswith("lazaretto_messages_total")}
    assert counted == {sample("lazaretto_messages_total", outcome=outcome, reason=reason, frontend="smtp"): 1}


def test_what_is_no_message() -> None:
    lines, book, log = desk()
    lines.note("full", 4, "too many")
    assert (book.said, log) == ([], [('lazaretto: event=full error="too many"', 4)])
