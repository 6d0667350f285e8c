"""Counting: names of samples, what grows and what does not, and the limit."""

from __future__ import annotations

import json

import pytest

from lazaretto.frontends.control import MAX_BYTES
from lazaretto.frontends.samples import BUCKETS_S, MAX_SAMPLES, Samples, sample
from lazaretto.model import Disposition, Finding, Kind, Reason, Report, Verdict

DOWN = Finding("clamd", Kind.ERROR, "clamd.down", (), "no answer", Reason.DOWN)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({}, "x"), ({"b": "2", "a": "1"}, 'x{a="1",b="2"}'), ({"a": 'q"\\\n'}, 'x{a="q\\"\\\\\\n"}'), ({"a": ""}, 'x{a=""}')],
)
def test_names(labels: dict[str, str], expected: str) -> None:
    assert sample("x", **labels) == expected


def test_growing_and_not() -> None:
    samples = Samples()
    samples.add("a_total", outcome="x")
    samples.add("a_total", 2.5, outcome="x")
    samples.add("a_total", outcome="y")
    samples.level("jobs", 5)
    samples.level("jobs", 3)
    assert samples.values == {'a_total{outcome="x"}': 3.5, 'a_total{outcome="y"}': 1.0, "jobs": 3.0}


def test_how_long() -> None:
    samples = Samples()
    for seconds in (0.001, BUCKETS_S[1], 1000.0):
        samples.observe("t", seconds, engine="e")
    found = {key: value for key, value in samples.values.items() if "_bucket" in key}
    assert list(found.values()) == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0]
    assert samples.values['t_count{engine="e"}'] == 3.0
    assert samples.values['t_sum{engine="e"}'] == pytest.approx(1000.021)


def test_a_report() -> None:
    samples = Samples()
    engines = (("yara", ""), ("clamd", ""))
    samples.report(Report("i", (DOWN,), Verdict(Disposition.TEMPFAIL, rule="policy.down"), (), 20.0, engines), "smtp")
    assert samples.values['lazaretto_messages_total{frontend="smtp",outcome="deferred",reason="policy.down"}'] == 1.0
    assert samples.values['lazaretto_engine_failing{engine="clamd"}'] == 1.0
    assert samples.values['lazaretto_engine_failing{engine="yara"}'] == 0.0
    samples.report(Report("i", (), Verdict(Disposition.ACCEPT), (), 20.0, engines, engine_ms=(("yara", 3.0),)), "smtp")
    assert samples.values['lazaretto_engine_failing{engine="clamd"}'] == 0.0
    assert samples.values['lazaretto_engine_failures_total{engine="clamd"}'] == 1.0
    assert samples.values['lazaretto_scan_seconds_count{frontend="smtp"}'] == 2.0
    assert samples.values['lazaretto_scan_seconds_sum{frontend="smtp"}'] == pytest.approx(0.04)
    assert samples.values['lazaretto_engine_seconds_count{engine="yara"}'] == 1.0
    assert samples.values['lazaretto_engine_seconds_sum{engine="yara"}'] == pytest.approx(0.003)


def test_no_more_than_the_control_line_takes() -> None:
    samples = Samples()
    for number in range(MAX_SAMPLES + 50):
        samples.add("lazaretto_messages_total", outcome="rejected", reason=f"a-rule-of-some-length-{number}", frontend="smtp")
        samples.level("lazaretto_engine_failing", 1.0, engine=str(number))
    assert len(samples.values) == MAX_SAMPLES
    samples.add("lazaretto_messages_total", outcome="rejected", reason="a-rule-of-some-length-0", frontend="smtp")
    assert max(samples.values.values()) == 2.0
    assert len(json.dumps({"counters": samples.values})) < MAX_BYTES
