"""The evasion corpus through scan-mail as it is installed: f-prot.conf of the package, the embedded engine.

The lists go by the names of attachments, not of members of archives, and have F-PROT's extensions: what is
about another name is not asked here (tests/test_evasion.py does, for Lazaretto's own policy).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import evasion_corpus as evasion
import scanners
from lazaretto.legacy import fprot_conf, profile
from lazaretto.model import Disposition
from lazaretto.policy import config
from lazaretto.scan import assemble
from lazaretto.scan.job import Scanner
from test_evasion import SLOW_TO_JUDGE

SHIPPED = Path(__file__).parent.parent / "packaging" / "f-prot.conf.default"
FIELD = b"X-Antivirus: Scanned by Lazaretto (yara)"
BY_NAME = ("img", "jar", "library-ms", "theme")  # extensions that are not on F-PROT's list

EVERY = 2
EVASIONS = [meta for meta in evasion.cases("evasion") if meta["id"] not in SLOW_TO_JUDGE][::EVERY]
CONTROLS = evasion.cases("control")


def is_ours(meta: dict[str, Any]) -> bool:
    """Is it about content, or about a name that the shipped list has, of an attachment?"""
    name = meta["banned_name"]
    return name is None or (not meta["id"].startswith("X-zip") and not any(extension in name for extension in BY_NAME))


def scan_mail(root: Path) -> Scanner:
    own = f'\nSCANMAIL_ENGINES="yara"\nSCANMAIL_LOGHOST="-"\nSCANMAIL_QUARANTINEDIR="{root}/saved"\n'
    conf = fprot_conf.read(SHIPPED.read_bytes() + own.encode(), "f-prot.conf", {})
    return assemble.scanner(config.parse([("profile", profile.toml(conf, str(root)))]), (), str(root))


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Scanner:
    return scan_mail(tmp_path_factory.mktemp("scan-mail"))


@pytest.mark.parametrize("meta", [meta for meta in EVASIONS if is_ours(meta)], ids=lambda meta: meta["id"])
def test_payload_is_out_of_reach(meta: dict[str, Any], scanner: Scanner) -> None:
    delivered = []
    for message in evasion.originals(meta):
        report, output = scanners.through(scanner, message)
        assert report.verdict.disposition is Disposition.ACCEPT, "scan-mail refuses nothing, and this mail will not get better"
        delivered.append(output)
    assert evasion.oracle().judge(meta, delivered)["verdict"] in ("BLOCKED", "NEUTRALISED")


@pytest.mark.parametrize("meta", CONTROLS, ids=lambda meta: meta["id"])
def test_honest_mail_only_gets_its_field(meta: dict[str, Any], scanner: Scanner) -> None:
    (message,) = evasion.originals(meta)
    _, output = scanners.through(scanner, message)
    assert output.count(FIELD) == 1
    before, _, after = output.partition(FIELD)
    assert before + after.lstrip(b"\r").removeprefix(b"\n") == message
