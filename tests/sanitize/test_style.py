"""How what we write looks: without configuration as it always did."""

from __future__ import annotations

from lazaretto.sanitize.renaming import Renaming
from lazaretto.sanitize.style import DEFAULT, Style


def test_default() -> None:
    assert Style(Renaming(".txt", "application/octet-stream", "mangled", "")) == DEFAULT
