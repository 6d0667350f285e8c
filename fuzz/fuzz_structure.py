"""The canonical form: it never raises, is not rewritten a second time, and has no anomaly left that asked for it."""

from __future__ import annotations

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests"))

import scanners
from ambiguous_mail import MAIL
from lazaretto.limits import DEFAULT
from lazaretto.mime import ambiguous, scanner
from lazaretto.mime.source import Source
from lazaretto.policy.rules import Policy
from lazaretto.sanitize import structure
from lazaretto.scan.report import outcome

_STATE = tempfile.mkdtemp(prefix="fuzz-structure-")
_SCANNER = scanners.make(_STATE, (), Policy(status_field=b""), DEFAULT._replace(max_scan_s=2.0, max_readings=300))

SEEDS: list[bytes] = [message for _, message in MAIL]


def target(data: bytes) -> None:
    """Write it anew; look again."""
    report, output = scanners.through(_SCANNER, data)
    if outcome(report) != "canonicalised":
        assert report.edits or output == data
        return
    if any(finding.name == "mime.not-canonical" for finding in report.findings):
        return
    source = Source(output)
    left = {name for _, name in structure.anomalies(source, scanner.parse(source))}
    assert left.isdisjoint(ambiguous.CANONICAL - ambiguous.STRAY), left
    assert scanners.through(_SCANNER, output)[1] == output
