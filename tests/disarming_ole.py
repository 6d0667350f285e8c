"""Old Office files with macros and objects, for tests of disarming."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import documents

CODE = b'Attribute VB_Name = "ThisDocument"\r\nAttribute VB_Base = "1Normal.ThisDocument"\r\nSub AutoOpen()\r\n'
CODE += b'Shell "calc.exe", 1\r\n' * 30 + b"End Sub\r\n"
_FIB = 0x9A


def objects_of(prefix: str) -> dict[str, bytes]:
    """An embedded file, for a document or a workbook."""
    storage = "ObjectPool/_1234/" if prefix == "Macros/" else "MBD0001/"
    package = documents.ole_package(b"a.exe", b"MZ" * 99)
    return {f"{storage}\x01Ole10Native": struct.pack("<I", len(package)) + package, f"{storage}\x03ObjInfo": b"info"}


def word_file(streams: dict[str, bytes], text: bytes = b"Text", tables: Mapping[int, bytes] = {}) -> bytes:
    """A .doc as far as we read it: a Fib with the places of `tables`, by their number, and text."""
    fib = bytearray(_FIB + 8 * 93)
    fib[0:2], fib[11] = b"\xec\xa5", 2  # tables are in 1Table
    table = b""
    for number, part in tables.items():
        struct.pack_into("<II", fib, _FIB + 8 * number, len(table), len(part))
        table += part
    return documents.compound_file({"WordDocument": bytes(fib) + text, "1Table": table or b"t", **streams})


def workbook(streams: dict[str, bytes], records: bytes = b"") -> bytes:
    book = struct.pack("<HHHH12x", 0x0809, 16, 0x0600, 0x0005) + records + struct.pack("<HH", 0x000A, 0)
    return documents.compound_file({"Workbook": book, **streams})
