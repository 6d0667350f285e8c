"""Settings of the test run.

Hypothesis measures time only to call a test flaky when the machine is busy: no
deadline.  What is slow is found by benchmarks/.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("lazaretto", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lazaretto")
