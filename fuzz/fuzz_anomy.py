"""Any message under the sanitizer's own rules, with all that rewrites: nothing raises, and what is left would not be cut a second time."""

from __future__ import annotations

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests"))

import wrappings
from lazaretto.legacy import anomy
from lazaretto.legacy.anomy_values import STANDALONE, settle
from lazaretto.legacy.sanitizer_lines import parse
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Treatment
from lazaretto.policy import config
from lazaretto.scan import assemble

_STATE = tempfile.mkdtemp(prefix="fuzz-anomy-")
_LINES = (
    "file_list_2 = (?i)\\.(bat|doc)$",
    "file_list_2_policy = drop",
    "feat_log_inline = 2",
    "force_headers = 3",
    "msg_log_prefix = Changed",
)
_TEXT = anomy.toml(settle(parse(_LINES, lambda _name: b"", 0.0), STANDALONE, standalone=True))
_OURS = """
quarantine.enabled = false
policy.quarantine = []
limits.max_scan_s = 4.0
limits.max_readings = 20
"""
_CONFIG = config.parse([("lines", _TEXT), ("ours", _OURS)])
_SCANNER = assemble.scanner(_CONFIG, ("none",), _STATE)

# Few and plain: what ambiguous structure costs is the affair of fuzz_job.
SEEDS: list[bytes] = [
    wrappings.attach(b"hello", "a.xyz"),
    wrappings.attach(b"MZ", "a.txt.exe"),
    b"Subject: "
    + b"a" * 400
    + b".exe\r\nDate: "
    + b"d" * 80
    + b"\r\nLines: 3\r\n\r\n#!/bin/sh\r\nbegin 644 a.bat\r\n'<&%Y;&]A9```\r\n`\r\nend\r\n",
]


def target(data: bytes) -> None:
    """Scan, and scan what came out."""
    source = Source(data)
    report = _SCANNER.scan(source)
    if report.verdict.disposition is not Disposition.ACCEPT:
        return
    output = Source(b"".join(render(source, report.edits)))
    if any(treatment is not Treatment.KEEP for _, treatment in report.verdict.treatments):
        again = _SCANNER.scan(output).verdict
        assert again.disposition is Disposition.ACCEPT
