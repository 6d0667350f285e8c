"""The canonical form, read again by three parsers that know nothing of us: they agree on structure, names and content.

Over messages of other projects where the shared corpus stands beside the checkout: every EVERY-th in each run, all of them with
LAZARETTO_LONG=1.  Everywhere: one message for each class of ambiguity.  `pytest -s` shows the table.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

import evasion_corpus as evasion
import peers
import scanners
import three_parsers
from ambiguous_mail import MAIL
from lazaretto.policy.rules import Action, Policy, Rule
from lazaretto.scan.report import outcome

POLICY = Policy((Rule("stray", Action.CANONICALISE, (("finding", ("mime.bare-cr", "mime.nul")),)),), status_field=b"")
FOLDER = os.path.join(evasion.SHARED, "corpus", "messages")
EVERY = 1 if os.environ.get("LAZARETTO_LONG") else 7

# What the parsers disagree on for reasons of their own.
BEYOND = {
    "tests_fixtures_messages_enclosed-endless.eml": "three thousand parts: reformime stops before the last",
    "tests_fixtures_messages_torture.eml": "a picture in quoted-printable with blanks at line ends, which decoders drop or keep",
}


@pytest.fixture(autouse=True)
def _peer() -> None:
    peers.require("reformime")


def canonical(message: bytes, folder: Path) -> bytes | None:
    """The canonical form; None for a message that has it already, or none at all.  No engine: nothing is cut out."""
    report, output = scanners.through(scanners.make(folder, (), POLICY), message)
    return output if outcome(report) == "canonicalised" else None


@pytest.mark.parametrize("message", [message for _, message in MAIL], ids=[name for name, _ in MAIL])
def test_each_class(message: bytes, tmp_path: Path) -> None:
    output = canonical(message, tmp_path)
    assert output is not None
    assert three_parsers.disagreements(output) == []


def _paths() -> list[str]:
    found = [os.path.join(folder, name) for folder, _, names in os.walk(FOLDER) for name in names if name != "MANIFEST.tsv"]
    return sorted(found)[::EVERY]


@pytest.mark.skipif(not evasion.available(), reason=evasion.MISSING)
def test_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    wrong = []
    for path in _paths():
        with open(path, "rb") as file:
            message = file.read()
        output = canonical(message, tmp_path)
        if output is None or os.path.basename(path) in BEYOND:
            continue
        before.update(three_parsers.disagreements(message) or ["nothing"])
        different = three_parsers.disagreements(output)
        after.update(different or ["nothing"])
        if different:
            wrong.append((os.path.basename(path), different))
    with capsys.disabled():
        print(f"\n{'the parsers disagree on':<26}{'as it came':>12}{'canonical':>12}")  # noqa: T201
        for aspect in ("nothing", *three_parsers.Read._fields, "error"):
            print(f"{aspect:<26}{before[aspect]:>12}{after[aspect]:>12}")  # noqa: T201
    assert sum(after.values()) >= 100 // EVERY
    assert before["nothing"] < after["nothing"]
    assert wrong == []
