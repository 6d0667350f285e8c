"""What a process counts: samples by their OpenMetrics name, such as

    lazaretto_messages_total{frontend="smtp",outcome="clean",reason="default"}    1234.0

A flat dict that goes through a control line as it is.  Names that end in _total, _bucket, _count, _sum only grow, and
may be added up over processes that have ended; all others are levels, of processes that are there.

Limits:  MAX_SAMPLES different ones; more labels than that are a mistake, and are not counted.
See:     metrics.py, which shows them; docs/metrics.md; https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from lazaretto.model import Kind, Report
from lazaretto.scan import report as reporting

MAX_SAMPLES = 500  # of 100 bytes, they fit into one message of the control line
BUCKETS_S = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)  # a small message takes 1 ms, the deadline is 60 s


def sample(name: str, **labels: str) -> str:
    """The name of one sample."""
    if not labels:
        return name
    return name + "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in sorted(labels.items())) + "}"


class Samples:
    """Of one process, since its start."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def add(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """For what only grows."""
        self._add(sample(name, **labels), amount)

    def level(self, name: str, value: float, /, **labels: str) -> None:
        """For what rises and falls."""
        key = sample(name, **labels)
        if key in self.values or len(self.values) < MAX_SAMPLES:
            self.values[key] = value

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """For how long something took."""
        for limit in BUCKETS_S:
            self._add(sample(f"{name}_bucket", **labels, le=str(limit)), float(seconds <= limit))
        self._add(sample(f"{name}_bucket", **labels, le="+Inf"), 1.0)
        self._add(sample(f"{name}_count", **labels), 1.0)
        self._add(sample(f"{name}_sum", **labels), seconds)

    def message(self, outcome: str, reason: str, frontend: str) -> None:
        """One message more that has got its final line."""
        self.add("lazaretto_messages_total", outcome=outcome, reason=reason, frontend=frontend)

    def report(self, report: Report, frontend: str) -> None:
        """The same for a message that was scanned, and what that tells of the engines."""
        self.message(reporting.outcome(report), report.verdict.rule, frontend)
        self.observe("lazaretto_scan_seconds", report.elapsed_ms / 1000, frontend=frontend)
        for name, spent_ms in report.engine_ms:
            self.observe("lazaretto_engine_seconds", spent_ms / 1000, engine=name)
        failed = {finding.engine for finding in report.findings if finding.kind is Kind.ERROR}
        for name, _ in report.engines:
            self.add("lazaretto_engine_failures_total", float(name in failed), engine=name)
            self.level("lazaretto_engine_failing", float(name in failed), engine=name)

    def _add(self, key: str, amount: float) -> None:
        if key in self.values:
            self.values[key] += amount
        elif len(self.values) < MAX_SAMPLES:
            self.values[key] = amount


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
