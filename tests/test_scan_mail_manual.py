"""docs/scan-mail.md holds every sentence of the old manual: each is in its table, with tests that exist; its recipes are the manual's.

The manual itself is not part of this repository.  It is looked for beside it (or where
$SCAN_MAIL_MANUAL says); without it, the table is checked for itself.
"""

from __future__ import annotations

import ast
import os
import re
import textwrap
from pathlib import Path

import pytest

import mail_programs
from lazaretto.legacy import fprot_conf, options

ROOT = Path(__file__).resolve().parent.parent
MANUAL = Path(os.environ.get("SCAN_MAIL_MANUAL", ROOT.parent / "shared" / "spec" / "scan-mail.8.txt"))
# Headings, sentences and recipes of each section.
SECTIONS = {"DESCRIPTION": 8, "OPTIONS": 31, "LOGGING": 2, "USING WITH MILTER": 3, "PROCMAILRC EXAMPLES": 18}
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`\Z")


def page() -> str:
    return mail_programs.PAGE.read_text(encoding="utf-8")


def part(section: str) -> str:
    """What the page has under "### SECTION"."""
    found = re.search(rf"^### {section}\n(.*?)(?=^#|\Z)", page(), re.MULTILINE | re.DOTALL)
    assert found, f"no part {section} in the page"
    return found[1]


def rows(section: str) -> list[list[str]]:
    """The cells of the table of a section: number, first words, what holds it."""
    lines = [line for line in part(section).splitlines() if line.startswith("|")]
    assert lines[:2] == ["| no. | begins | held by |", "| --- | --- | --- |"]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def holders(cell: str) -> list[str]:
    return [one.strip() for one in cell.split(",")]


def manual() -> str:
    if not MANUAL.exists():
        pytest.skip("the old manual is not here: name its text in $SCAN_MAIL_MANUAL")
    return MANUAL.read_text(encoding="utf-8")


def units(section: str) -> list[str]:
    """Headings, sentences and recipes of a section of the manual, in their order."""
    found = re.search(rf"^{section}\s*\n(.*?)(?=^[A-Z][A-Z ]+\s*$|\Z)", manual(), re.MULTILINE | re.DOTALL)
    assert found, f"no section {section} in the manual"
    units: list[str] = []
    for paragraph in re.findall(r"(?:^ {4}.*\n(?:\s*\n(?= {4}))?)+|^\S.*\n", found[1], re.MULTILINE):
        if paragraph.startswith("    "):
            units.append(textwrap.dedent(paragraph).rstrip() + "\n")
        else:
            units += re.split(r"(?<=[.!?])\s+(?=[A-Z]|scan-mail\.pl can )", paragraph.strip())
    return units


# -- the page by itself


@pytest.mark.parametrize("section", SECTIONS)
def test_each_row_is_whole(section: str) -> None:
    table = rows(section)
    assert [cells[0] for cells in table] == [str(number) for number in range(1, SECTIONS[section] + 1)]
    for cells in table:
        assert len(cells) == 3
        assert all(cells), cells
        for holder in holders(cells[2]):
            assert TEST.match(holder), holder


@pytest.mark.parametrize("section", SECTIONS)
def test_each_named_test_exists(section: str) -> None:
    named = {holder for cells in rows(section) for holder in holders(cells[2])}
    missing = []
    for holder in sorted(named):
        match = TEST.match(holder)
        assert match
        file = ROOT / match[1]
        names = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)} if file.exists() else set()
        if match[2] not in names:
            missing.append(holder)
    assert missing == []


def test_every_option_and_variable_is_on_the_page() -> None:
    text = page()
    assert [option.name for option in options.OPTIONS if f"`-{option.name}" not in text] == []
    assert [name for name in fprot_conf.VARIABLES if f"`{name}`" not in text] == []


# -- the page and the manual


@pytest.mark.parametrize("section", SECTIONS)
def test_each_sentence_of_the_manual_has_its_row(section: str) -> None:
    sentences = units(section)
    assert len(sentences) == SECTIONS[section]
    for cells, sentence in zip(rows(section), sentences, strict=True):
        words = " ".join(sentence.split())
        shown = cells[1].replace("\\|", "|")
        if shown.startswith("`"):
            shown = shown.strip("`").strip() if not shown.startswith("`` ") else shown[3:-3]
        if shown.endswith(" ..."):
            assert words.startswith(shown.removesuffix("...")), cells[0]
            assert len(shown.split()) > 6, cells[0]
        else:
            assert words == shown, cells[0]


def test_the_recipes_are_those_of_the_manual() -> None:
    """Character by character; the one with the lock file but for the pipe sign that is missing there."""
    ours = mail_programs.recipes()
    printed = [unit for unit in units("PROCMAILRC EXAMPLES") if unit.startswith(":0")]
    assert printed == [ours[name] for name in ("plain", "backup", "quarantine", "failed")] + [mail_programs.as_printed(ours["lock"])]
