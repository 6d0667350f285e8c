"""content.biff: facts from workbook records."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import biff

BOF8 = struct.pack("<HHHH", 0x809, 4, 0x600, 5)
BOF5 = struct.pack("<HHHH", 0x809, 4, 0x500, 5)
EOF = struct.pack("<HH", 0x0A, 0)


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def sheet(state: int, kind: int, name: bytes) -> bytes:
    return record(0x85, struct.pack("<IBBBB", 0, state, kind, len(name), 0) + name)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (sheet(0, 0, b"Sheet1"), []),
        (sheet(2, 1, b"Macro1"), ["xls:xlm-macro-sheet very-hidden Macro1"]),
        (record(0x18, b"\x20\0\0\x01" + bytes(10) + b"\0\x01"), ["xls:xlm-auto-open"]),
        (record(0x18, b"\x20\0\0\x01" + bytes(10) + b"\0\x06"), []),  # a print area
        (record(0x18, b"\0\0\0\x09" + bytes(10) + b"\0Auto_Open"), ["xls:xlm-auto-open"]),
        (record(0x1AE, struct.pack("<HHB", 1, 15, 0) + b"cmd\x03/c calc.exe"), ["xls:dde cmd|/c calc.exe"]),
        (record(0x1AE, struct.pack("<HHB", 1, 8, 0) + b"Book.xls"), []),
        (record(0x2F, b"\1\0"), [biff.ENCRYPTED]),
        (EOF + sheet(0, 1, b"M"), []),  # behind the globals
    ],
)
def test_records(records: bytes, expected: list[str]) -> None:
    assert list(biff.facts(BOF8 + records + EOF)) == expected


def test_older_workbooks() -> None:
    link = record(0x17, b"\x0bcmd\x03/c calc")
    old_sheet = record(0x85, struct.pack("<IBBB", 0, 0, 1, 2) + b"M1")
    assert list(biff.facts(BOF5 + link + old_sheet)) == ["xls:dde cmd|/c calc", "xls:xlm-macro-sheet visible M1"]


def test_records_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(biff, "MAX_RECORDS", 5)
    assert list(biff.facts(BOF8 + record(0x99, b"") * 9 + sheet(0, 1, b"M"))) == []


@given(st.binary(max_size=100))
def test_never_raises(data: bytes) -> None:
    for kind in (0x85, 0x18, 0x1AE, 0x17):
        for bof in (BOF5, BOF8):
            list(biff.facts(bof + record(kind, data) + data))
            list(biff.facts((bof + record(kind, data))[: -len(data) // 2]))
