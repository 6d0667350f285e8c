"""The whole pipeline: no message raises, and what is not treated comes out byte for byte."""

from __future__ import annotations

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests"))

import scanners
import wrappings
from eicar import EICAR
from lazaretto.limits import DEFAULT
from lazaretto.model import Disposition, Treatment

_STATE = tempfile.mkdtemp(prefix="fuzz-job-")
_SCANNER = scanners.make(_STATE, limits=DEFAULT._replace(max_scan_s=4.0))
_NEEDS_LIBARCHIVE = {"zstd", "7z", "iso", "cpio", "ar", "xar", "zip-in-7z"}

SEEDS: list[bytes] = [make() for name, make in wrappings.messages() if name not in _NEEDS_LIBARCHIVE]


def target(data: bytes) -> None:
    """Scan; compare."""
    report, output = scanners.through(_SCANNER, data)
    if report.verdict.disposition is not Disposition.ACCEPT or any(
        treatment is not Treatment.KEEP for _, treatment in report.verdict.treatments
    ):
        return
    assert EICAR not in output
    ours = [line for line in output.splitlines(keepends=True) if line.startswith(b"X-Lazaretto-Status:")]
    if b"lazaretto-status" not in data.lower():
        assert len(ours) <= 1
        assert output.replace(ours[0], b"", 1) == data if ours else output == data
