"""Our own variants of evasion: the payload is out of reach in what is handed back.

Every EVERY-th variant in each run, all of them with LAZARETTO_ALL_TECHNIQUES=1 (half an
hour).  The corpus' oracle judges where it is at hand; elsewhere only what is plain to see is judged.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

import evasion_corpus as evasion
import scanners
from lazaretto.model import Disposition
from techniques import techniques
from variants import Variant

# What the judge reads and no program does; names of variants, and why.
BEYOND = {
    "zlib": "nothing that people open files with unpacks a bare zlib stream",
    "bzip2-prefix": "bunzip2 wants its signature at the first byte",
    "pdf-header-none": "no viewer takes a file without %PDF for a PDF",
    "pdf-image-stream": "a viewer paints the bytes",
    "html-utf-32-html": "browsers do not read UTF-32",
    "html-utf-32-dat": "browsers do not read UTF-32",
}
EVERY = 1 if os.environ.get("LAZARETTO_ALL_TECHNIQUES") else 19
VARIANTS = list(techniques())


def test_there_are_many_and_each_has_its_own_messages() -> None:
    assert len(VARIANTS) > 5000
    assert len({variant.family for variant in VARIANTS}) >= 8
    assert all(variant.messages and variant.marker for variant in VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS[::EVERY], ids=lambda variant: f"{variant.family}-{variant.name}"[:100].replace("\0", "0"))
def test_payload_is_out_of_reach(variant: Variant, tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path)
    delivered = []
    for message in variant.messages:
        report, output = scanners.through(scanner, message)
        assert report.verdict.disposition is not Disposition.TEMPFAIL
        if report.verdict.disposition is Disposition.ACCEPT:
            delivered.append(output)
    if evasion.available():
        meta = {"kind": "evasion", "markers": [variant.marker.decode("latin-1")], "banned_name": variant.banned, "special": variant.special}
        assert evasion.oracle().judge(meta, delivered)["verdict"] != "BYPASS" or variant.name in BEYOND
    elif variant.banned is None and any(output != message for output, message in zip(delivered, variant.messages, strict=False)):
        changed = b"".join(b"".join(delivered).split())
        if b"cleaned" in changed:
            assert variant.marker not in b"".join(delivered)
            assert base64.b64encode(variant.marker)[:40] not in changed
