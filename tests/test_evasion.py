"""The evasion corpus: no client reaches a payload in what we hand back, and honest oddities stay as they are.

Runs where the shared corpus stands beside the checkout; tests/test_wrappings.py
and tests/test_techniques.py hold elsewhere.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import evasion_corpus as evasion
import scanners
from lazaretto.model import Disposition

# The judge takes minutes over the rest of these messages; `make evasion` asks it all the same.
SLOW_TO_JUDGE = ("E-manyparts", "E-deep150")

EVASIONS, CONTROLS = evasion.cases("evasion"), evasion.cases("control")


@pytest.mark.skipif(not evasion.available(), reason=evasion.MISSING)
def test_the_corpus_is_whole() -> None:
    assert len(EVASIONS) >= 200
    assert len(CONTROLS) >= 20


@pytest.mark.parametrize("meta", EVASIONS, ids=lambda meta: meta["id"])
def test_payload_is_out_of_reach(meta: dict[str, Any], tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path)
    delivered = []
    for message in evasion.originals(meta):
        report, output = scanners.through(scanner, message)
        assert report.verdict.disposition is not Disposition.TEMPFAIL, "deferring for ever is no answer to the content of a mail"
        if report.verdict.disposition is Disposition.ACCEPT:
            delivered.append(output)
    if meta["id"] in SLOW_TO_JUDGE:
        text = b"".join(b"".join(delivered).split())
        for marker in meta["markers"]:
            assert base64.b64encode(marker.encode("latin-1"))[:40] not in text
            assert marker.encode("latin-1") not in text
        return
    assert evasion.oracle().judge(meta, delivered)["verdict"] in ("BLOCKED", "NEUTRALISED")


@pytest.mark.parametrize("meta", CONTROLS, ids=lambda meta: meta["id"])
def test_honest_mail_is_not_changed(meta: dict[str, Any], tmp_path: Path) -> None:
    (message,) = evasion.originals(meta)
    report, output = scanners.through(scanners.make(tmp_path), message)
    field, _, rest = output.partition(b"\n")
    assert field.startswith(b"X-Lazaretto-Status: ")
    assert rest == message
    assert report.quarantine_id == ""
