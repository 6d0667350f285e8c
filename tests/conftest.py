"""Settings of the test run, and fixtures that several rooms use.

Hypothesis measures time only to call a test flaky when the machine is busy: no
deadline.  What is slow is found by benchmarks/.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("lazaretto", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lazaretto")

# A shell starts what runs in its background with SIGINT ignored, and every program of ours would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC; a test may set another TZ and call time.tzset."""
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def pytest_make_parametrize_id(val: object) -> str | None:
    """What is packed a second later is another name, and processes that collect side by side would not agree on the tests."""
    if isinstance(val, bytes) and re.match(rb"PK\x03\x04|\x1f\x8b", val):
        return "packed"
    return None
