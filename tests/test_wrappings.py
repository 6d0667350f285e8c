"""EICAR in every wrapping is found, cut out, and out of reach in what is handed back."""

from __future__ import annotations

import base64
import email
import email.policy
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import evasion_corpus as evasion
import scanners
import wrappings
from eicar import EICAR
from lazaretto.model import Disposition
from lazaretto.scan.report import outcome

ALL = list(wrappings.messages())


def test_there_are_at_least_forty() -> None:
    assert len({name for name, _ in ALL}) >= 40


@pytest.mark.parametrize(("name", "make"), ALL, ids=[name for name, _ in ALL])
def test_payload_is_out_of_reach(name: str, make: Callable[[], bytes], tmp_path: Path) -> None:
    message = make()
    report, output = scanners.through(scanners.make(tmp_path), message)
    assert report.verdict.disposition is Disposition.ACCEPT
    assert outcome(report) == "cleaned"
    assert "Eicar-Test-Signature" in {finding.name for finding in report.findings}
    # Our own words about the output, which hold on every machine ...
    assert EICAR not in output
    assert base64.b64encode(EICAR)[:60] not in output.replace(b"\r\n", b"")
    parsed = email.message_from_bytes(output, policy=email.policy.compat32)
    assert parsed["Subject"] in ("wrapped", "x")
    for part in parsed.walk():
        assert EICAR not in (part.get_payload(decode=True) or b"")
    # ... and the independent judge's, where it is at hand.
    if evasion.available():
        assert evasion.reachable(EICAR, [output]) == "NEUTRALISED"
    # The original is kept, byte for byte.
    kept = [os.path.join(folder, file) for folder, _, files in os.walk(tmp_path / "quarantine") for file in files if file.endswith(".eml")]
    assert len(kept) == 1
    with open(kept[0], "rb") as copy:
        assert copy.read() == message


@pytest.mark.skipif(not evasion.available(), reason=evasion.MISSING)
@pytest.mark.parametrize(("name", "make"), ALL, ids=[name for name, _ in ALL])
def test_the_judge_sees_the_payload_in_the_input(name: str, make: Callable[[], bytes]) -> None:
    """Otherwise its silence about the output would mean nothing.  What it cannot open, we judge alone."""
    beyond = {"7z", "iso", "cpio", "ar", "xar", "lha", "rar", "zip-in-7z", "zstd", "zip-lzma", "cab"}
    if name in beyond:
        pytest.skip("the judge does not open this format")
    assert evasion.reachable(EICAR, [make()]) == "BYPASS"


def test_the_rest_of_the_mail_stays(tmp_path: Path) -> None:
    message = wrappings.attach(wrappings.zipped(EICAR), "a.zip", "application/zip")
    _, output = scanners.through(scanners.make(tmp_path), message)
    start, stop = message.index(b"--=_w\r\n"), message.index(b"--=_w\r\nContent-Type: application/zip")
    assert message[start:stop] in output
    assert output.endswith(b"\r\n--=_w--\r\n")
    assert message[: message.index(b"\r\n\r\n")] in output
