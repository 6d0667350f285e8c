"""Messages of other projects: a sample of the shared corpus through the filter's pipeline.

`make corpus` runs all of it.  What has no finding comes out byte for byte, and
nothing raises.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import evasion_corpus as evasion
import scanners
from lazaretto.model import Disposition, Treatment
from lazaretto.scan.report import outcome

FIELD = b"X-Lazaretto-Status: "
FOLDER = os.path.join(evasion.SHARED, "corpus", "messages")
EVERY = 7  # of the thousand messages


def _sample() -> list[str]:
    found = [os.path.join(folder, name) for folder, _, names in os.walk(FOLDER) for name in names if name != "MANIFEST.tsv"]
    return sorted(found)[::EVERY]


SAMPLE = _sample()


@pytest.mark.skipif(not SAMPLE, reason=evasion.MISSING)
def test_the_sample_is_large_enough() -> None:
    assert len(SAMPLE) > 100


@pytest.mark.parametrize("path", SAMPLE, ids=os.path.basename)
def test_message(path: str, tmp_path: Path) -> None:
    with open(path, "rb") as file:
        message = file.read()
    report, output = scanners.through(scanners.make(tmp_path), message)
    assert report.verdict.disposition is Disposition.ACCEPT
    if outcome(report) == "canonicalised":
        again, twice = scanners.through(scanners.make(tmp_path), output)
        assert outcome(again) in ("clean", "passed")
        assert unmarked(twice) == unmarked(output)
        return
    if any(treatment > Treatment.CANONICALISE for _, treatment in report.verdict.treatments):
        assert report.findings
        assert report.quarantine_id
        return
    assert sum(line.startswith(FIELD) for line in output.splitlines()) <= 1
    assert unmarked(output) == message


def unmarked(message: bytes) -> bytes:
    """Without the field that we announce."""
    return b"".join(line for line in message.splitlines(keepends=True) if not line.startswith(FIELD))
