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
    if any(treatment is not Treatment.KEEP for _, treatment in report.verdict.treatments):
        assert report.findings
        assert report.quarantine_id
        return
    lines = output.splitlines(keepends=True)
    ours = [line for line in lines if line.startswith(b"X-Lazaretto-Status: ")]
    assert len(ours) <= 1
    assert b"".join(line for line in lines if line not in ours) == b"".join(message.splitlines(keepends=True))
