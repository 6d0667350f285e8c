"""The lists of dangerous extensions and their page in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.content.extensions import (
    AMAVIS,
    DANGEROUS_EXTENSIONS,
    DECOY_EXTENSIONS,
    EXECUTABLE_EXTENSIONS,
    GMAIL,
    LEFT_OUT,
    OUTLOOK,
    OWN,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "names.md"


def rows() -> list[str]:
    """The tables of docs/names.md: what is banned and by whom, then what is left out and why."""
    lines = []
    for extension in sorted(DANGEROUS_EXTENSIONS):
        marks = ["x" if extension in source else "" for source in (GMAIL, OUTLOOK, AMAVIS)]
        lines.append(f"| `{extension}` | {' | '.join(marks)} | {OWN.get(extension, '')} |")
    lines += [f"| `{extension}` | {reason} |" for extension, reason in sorted(LEFT_OUT.items())]
    return lines


def test_documentation_shows_the_lists() -> None:
    lists = PAGE.read_text("utf-8").partition("## Dangerous extensions")[2]
    assert [line for line in lists.splitlines() if line.startswith("| `")] == rows()


@pytest.mark.parametrize(
    "extension",
    "exe scr com pif bat cmd js jse vbs vbe wsf hta lnk chm img iso vhd jar library-ms theme one xll msc ps1 url cpl appx rdp".split(),
)
def test_dangerous(extension: str) -> None:
    assert extension in DANGEROUS_EXTENSIONS


@pytest.mark.parametrize(
    "extension",
    "doc docx xlsm pdf zip rar 7z tar gz jpg html svg eml msg p7m p7s asc ics vcf cer crt py pl mat wmf cab mht csv xml dat".split(),
)
def test_left_alone(extension: str) -> None:
    assert extension not in DANGEROUS_EXTENSIONS


def test_lists_are_consistent() -> None:
    lists = GMAIL | OUTLOOK | AMAVIS
    assert all(extension == extension.lower() and "." not in extension for extension in lists | OWN.keys())
    assert lists.isdisjoint(OWN)
    assert LEFT_OUT.keys() <= lists
    assert EXECUTABLE_EXTENSIONS <= DANGEROUS_EXTENSIONS
    assert EXECUTABLE_EXTENSIONS.isdisjoint(DECOY_EXTENSIONS)
