"""What a program says in lines of its output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.engines.resultlines import MAX_LENGTH, NO_STATUS, Said, read


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", Said()),
        ("scanning\nnothing found\n", Said()),
        ("Anomy-FileScan-VirusName: Eicar\n", Said(name="Eicar")),
        ("ANOMY-filescan-virusname:Eicar \r\n", Said(name="Eicar")),
        ("x\nAnomy-FileScan-Result: 512\ny", Said(status=2)),
        ("Anomy-FileScan-Result: 0", Said(status=0)),
        ("Anomy-FileScan-Result: 2", Said(status=NO_STATUS)),  # ended by a signal, as wait(2) has it
        ("Anomy-FileScan-Result: -1", Said(status=NO_STATUS)),
        ("Anomy-FileScan-Result: ", Said(status=NO_STATUS)),
        ("Anomy-FileScan-Summary: S\nAnomy-FileScan-Description: D\n", Said(detail="S: D")),
        ("Anomy-FileScan-Description: D\n", Said(detail="D")),
        ("Anomy-FileScan-NewFile: /tmp/a b\n", Said(new_file="/tmp/a b")),
        ("Anomy-FileScan-VirusName: a\nAnomy-FileScan-VirusName: b", Said(name="b")),
        (" Anomy-FileScan-VirusName: a", Said()),  # not at the beginning of a line
        ("Anomy-FileScan-Colour: red", Said()),
    ],
)
def test_lines(output: str, said: Said) -> None:
    assert read(output) == said


def test_limit() -> None:
    assert read("Anomy-FileScan-VirusName: " + "x" * 9999).name == "x" * MAX_LENGTH
    assert read("Anomy-FileScan-VirusName: " + " " * 60_000 + "x").name == "x"


@given(st.text())
def test_any_text(text: str) -> None:
    said = read(f"Anomy-FileScan-VirusName: {text}")
    assert said.name.isprintable()
