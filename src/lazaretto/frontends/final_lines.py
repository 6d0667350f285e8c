"""Messages in the hands of a worker's front end, and the final line of each (R5).

    taken()                    its content is to come
    done(result, in_hand)      it has its answer: the line
    released(has_line)         it is not in our hands any more

done() comes before released(), and nothing between them: so a message is in somebody's account at every moment, ours, or
that of the supervisor to whom its line was handed over (control.py).

Errors:  what the log raises; then the message has no line, and is still to be released.
See:     smtp_proxy.py; docs/processes.md "What dies with whom"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from lazaretto.frontends.control import Ledger, Line, NoLedger
from lazaretto.frontends.samples import Samples
from lazaretto.model import Report
from lazaretto.scan import report as reporting

Log = Callable[[str, int], None]


class Answered(Protocol):
    """What became of a message."""

    @property
    def pairs(self) -> Mapping[str, str]:
        """Of the line."""
        ...

    @property
    def level(self) -> int:
        """Of syslog."""
        ...

    @property
    def report(self) -> Report | None:
        """If it was scanned."""
        ...


class FinalLines:
    """See the module.  `jobs`: messages in hand."""

    def __init__(self, log: Log, samples: Samples, frontend: str, ledger: Ledger | None = None) -> None:
        self.jobs = 0
        self.samples = samples
        self._log = log
        self._frontend = frontend
        self._ledger = ledger or NoLedger()

    def taken(self) -> None:
        """The content of a message is to come: it is in our hands until it has its final line."""
        self.jobs += 1
        self._ledger.begun()

    def released(self, has_line: bool) -> None:
        """It is not any more.  `has_line`: its line was handed over, as done() said."""
        self.jobs -= 1
        if not has_line:
            self._ledger.dropped()

    def done(self, answered: Answered, in_hand: bool = False) -> bool:
        """The final line.  Was it handed over?  Only that of a message `in_hand` is."""
        pairs = answered.pairs
        line = Line(reporting.line(pairs), answered.level)
        handed_over = in_hand and self._ledger.final(line)
        if not handed_over:
            self._log(*line)
        if answered.report is not None and pairs["outcome"] == reporting.outcome(answered.report):
            self.samples.report(answered.report, self._frontend)
        else:
            self.samples.message(pairs["outcome"], pairs["rule"], self._frontend)
        return handed_over

    def note(self, event: str, level: int, error: str) -> None:
        """Something happened that is no message."""
        self._log(reporting.line({"event": event, "error": error}), level)
