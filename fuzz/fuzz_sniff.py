"""Types by bytes: never an exception, always known ids, and nothing hidden twice."""

from __future__ import annotations

import bz2
import gzip
import lzma

from lazaretto.content.markup import later_marks, text_type
from lazaretto.content.sniff import TYPES, also, sniff
from lazaretto.content.types import disagreement
from lazaretto.mime.source import Source

SEEDS: list[bytes] = [
    b"PK\x03\x04\x14\0\0\0\0\0" + bytes(16) + b"\x05\0\0\0a.txtPK\x01\x02" + bytes(42) + b"PK\x05\x06" + bytes(18),
    b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x4c\x01\x01\0" + bytes(80),
    b"\x7fELF\x02\x01" + bytes(60),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(22) + b"\x09\0" + bytes(1200),
    gzip.compress(b"x"),
    bz2.compress(b"x"),
    lzma.compress(b"x", format=lzma.FORMAT_ALONE),
    b"P*M\x18\x02\0\0\0xx\x28\xb5\x2f\xfd",
    b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'b'>]><svg>",
    b"junk %PDF-1.4 1 0 obj endobj startxref %%EOF",
    "<html><script>".encode("utf-16"),
    b"From a Tue Mar  5 10:11:12 2024\nFrom: a\nTo: b\n\nx",
]


def target(data: bytes) -> None:
    source = Source(data)
    found = sniff(source)
    others = also(source)
    assert found in TYPES
    assert found not in others
    assert len(set(others)) == len(others)
    assert set(others) <= TYPES.keys()
    assert (found == "empty") is (not data)
    assert text_type(data[:4096]) in TYPES.keys() | {""}
    later_marks(data[:4096])
    finding = disagreement(found, "image/png", [data[:40].decode("latin-1")])
    assert finding is None or finding.startswith("type.")
