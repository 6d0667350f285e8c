from __future__ import annotations

import io
import struct
import warnings
import zipfile

import pytest

from lazaretto.content.container import Problem
from lazaretto.content.zip_records import read_layout
from lazaretto.content.zipcheck import check
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason


def zipped(names: list[str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # about equal names
        for name in names:
            archive.writestr(name, name * 10)
    return out.getvalue()


def problems(data: bytes) -> list[Problem]:
    source = Source(data)
    return list(check(source, read_layout(source, Meter())))


def changed(data: bytes, signature: bytes, at: int, value: bytes, which: int = 0) -> bytes:
    start = -1
    for _ in range(which + 1):
        start = data.index(signature, start + 1)
    return data[: start + at] + value + data[start + at + len(value) :]


HONEST = zipped(["a.txt", "b.txt"])
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
CASES: dict[str, tuple[bytes, list[str]]] = {
    "honest": (HONEST, []),
    "honest, stored": (zipped(["a", "b"], zipfile.ZIP_STORED), []),
    "empty": (zipped([]), []),
    "comment": (HONEST[:-2] + b"\3\0abc", []),
    "name": (changed(HONEST, CENTRAL, 46, b"x"), ["zip.name-mismatch"]),
    "method": (changed(HONEST, LOCAL, 8, b"\0"), ["zip.method-mismatch"]),
    "size": (changed(HONEST, CENTRAL, 24, struct.pack("<L", 7)), ["zip.size-mismatch"]),
    "stored sizes": (
        changed(changed(zipped(["a"], zipfile.ZIP_STORED), CENTRAL, 24, struct.pack("<L", 7)), LOCAL, 22, struct.pack("<L", 7)),
        ["zip.size-mismatch"],
    ),
    "letter case": (zipped(["a.txt", "A.TXT"]), ["zip.duplicate-name"]),
    "same name": (zipped(["a.txt", "a.txt"]), ["zip.duplicate-name"]),
    "prefix": (b"#!/bin/sh\n" + HONEST, ["zip.prefix"]),
    "suffix": (HONEST + b"xyz", ["zip.suffix"]),
    "no directory": (HONEST[: HONEST.index(CENTRAL)], ["zip.no-directory"]),
    "hidden": (changed(HONEST, END, 4, bytes(16)).replace(CENTRAL, b"xxxx", 1), ["zip.hidden-member"]),
    "volume": (changed(HONEST, END, 4, b"\1"), ["zip.multivolume"]),
    "overlap": (changed(changed(HONEST, CENTRAL, 20, b"\x40"), LOCAL, 18, b"\x40"), ["zip.overlap"]),
    "marker of a set of one": (b"PK00" + HONEST, []),
}


@pytest.mark.parametrize("case", CASES)
def test_contradictions(case: str) -> None:
    data, expected = CASES[case]
    assert [problem.name for problem in problems(data)] == expected


def test_each_kind_once_with_the_number_of_cases() -> None:
    data = zipped([f"{i}.txt" for i in range(20)])
    for i in range(20):
        data = changed(data, CENTRAL, 46, b"x", i)
    found = [problem for problem in problems(data) if problem.name == "zip.name-mismatch"]
    assert [problem.detail for problem in found] == ["'0.txt' / 'x.txt' and 19 more"]


def test_contradictions_have_no_reason_but_what_was_not_read_has() -> None:
    for data, _ in CASES.values():
        for problem in problems(data):
            expected = {"zip.overlap": Reason.BROKEN, "zip.multivolume": Reason.UNSUPPORTED}.get(problem.name)
            assert problem.reason is expected


def test_names_in_details_are_harmless() -> None:
    data = changed(HONEST, CENTRAL, 46, b"\x1b\xff\n")
    (problem,) = problems(data)
    assert problem.detail.isascii()
    assert problem.detail.isprintable()
