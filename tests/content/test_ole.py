"""content.ole: macros, embedded files, encryption, broken files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import Found, compound_file, facts, members, ole_package, problems, vba_compress, vba_project, zip_file
from eicar import EICAR
from lazaretto.content import cfb, ole
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason

SAMPLES = Path(__file__).parents[3] / "shared/corpus/files/decalage2-oletools/data"
MACRO = b'Attribute VB_Name = "Module1"\r\nSub AutoOpen()\r\n\' MARKER\r\nEnd Sub\r\n'
PROJECT = vba_project({"Module1": MACRO, "ThisDocument": b'Attribute VB_Name = "ThisDocument"\r\n'}, "Macros/")
FIB = b"\xec\xa5\xc1\x00" + bytes(6)


def by_name(type_id: str, data: bytes) -> dict[tuple[str, ...], Found]:
    return {member.names: member for member in members(type_id, data)}


def test_modules_by_the_dir_stream() -> None:
    found = by_name("ole", compound_file(PROJECT))
    assert found["Module1.bas",].data == MACRO
    assert not found["Module1.bas",].is_file
    assert "ole:vba-module Module1" in facts("ole", compound_file(PROJECT))


@pytest.mark.parametrize("directory", [None, b"", b"\x01\x00", vba_compress(b"nonsense")])
def test_modules_without_a_dir_stream(directory: bytes | None) -> None:
    streams = {name: data for name, data in PROJECT.items() if not name.endswith("/dir")}
    if directory is not None:
        streams["Macros/VBA/dir"] = directory
    assert by_name("ole", compound_file(streams))["Module1.bas",].data == MACRO


def test_dir_stream_with_wrong_offsets() -> None:
    streams = vba_project({"Module1": MACRO}, code=b"\xca\xfe" * 20)
    streams["VBA/Module1"] = b"longer code than the dir says " * 9 + vba_compress(MACRO)
    assert by_name("ole", compound_file(streams))["Module1.bas",].data == MACRO


def test_module_without_source() -> None:
    streams = vba_project({"Module1": MACRO}) | {"VBA/Module1": b"\xca\xfe" * 400}
    assert facts("ole", compound_file(streams)) == ["ole:vba-module Module1", "ole:vba-source-missing Module1"]


@pytest.mark.parametrize("body", [bytes(600) + MACRO, bytes(77) + vba_compress(MACRO), b"\xff" * 600 + MACRO + b"\0" + MACRO])
def test_broken_file_with_macros(body: bytes) -> None:
    data = cfb.MAGIC + body
    assert any(b"MARKER" in member.data for member in members("ole", data))
    assert problems("ole", data) == []


def test_broken_file() -> None:
    assert [(p.name, p.reason) for p in problems("ole", cfb.MAGIC + bytes(900))] == [("ole.broken", Reason.BROKEN)]


def test_package_is_a_file_with_its_name() -> None:
    package = ole_package(b"eicar.com", EICAR)
    data = compound_file({"ObjectPool/_1/\x01Ole10Native": struct.pack("<I", len(package)) + package})
    (found,) = members("ole", data)
    assert (found.names, found.data, found.is_file) == (("eicar.com",), EICAR, True)


def test_native_data_that_is_no_package() -> None:
    (found,) = members("ole", compound_file({"\x01Ole10Native": b"\x04\0\0\0MZab"}))
    assert (found.names, found.data) == ((), b"MZab")


@pytest.mark.parametrize("content", [compound_file({"x": b"y"}), zip_file({"a": b"b"}), b"MZ" + bytes(5000), b"%PDF-1.4", b"{\\rtf1}"])
def test_streams_that_are_files(content: bytes) -> None:
    (found,) = members("ole", compound_file({"a/Package": content, "Other": b"nothing"}))
    assert (found.data, found.is_file) == (content, True)


def test_installer_files() -> None:
    data = compound_file({"\u4840\u3f3f\u4577": b"a table", "\u430b\u4131": b"a script"})
    assert [member.data for member in members("msi", data)] == [b"a script"]


def test_presentation_objects() -> None:
    inner = compound_file(vba_project({"Module1": MACRO}))
    packed = struct.pack("<I", len(inner)) + zlib.compress(inner)
    records = struct.pack("<HHI", 0x10, 0x1011, len(packed)) + packed + struct.pack("<HHI", 0, 0x1011, len(inner)) + inner
    found = members("ole", compound_file({"PowerPoint Document": b"\x0f\0\xe8\x03" + bytes(8) + records}))
    assert [member.data for member in found if member.is_file] == [inner, inner]


def test_presentation_object_that_is_cut() -> None:
    inner = compound_file({"x": b"y" * 9000})
    packed = zlib.compress(inner)
    record = struct.pack("<HHII", 0x10, 0x1011, len(packed) + 4, len(inner)) + packed[: len(packed) // 2]
    (found,) = members("ole", compound_file({"PowerPoint Document": record}))
    assert inner.startswith(found.data)


@pytest.mark.parametrize(
    "streams",
    [
        {"EncryptedPackage": bytes(99), "EncryptionInfo": b""},
        {"WordDocument": FIB + b"\x00\x01" + bytes(99)},
        {"Workbook": struct.pack("<HHHH", 0x809, 4, 0x600, 5) + struct.pack("<HHH", 0x2F, 2, 1)},
        {"Current User": bytes(12) + b"\xdf\xc4\xd1\xf3", "PowerPoint Document": b""},
    ],
)
def test_encrypted(streams: dict[str, bytes]) -> None:
    assert [(p.name, p.reason) for p in problems("ole", compound_file(streams))] == [("office.encrypted", Reason.ENCRYPTED)]


@pytest.mark.parametrize("charset", ["cp1252", "utf-16-le"])
@pytest.mark.parametrize(
    ("instruction", "fact"),
    [
        (' DDEAUTO c:\\\\x\\\\cmd.exe  "/k calc" ', 'doc:dde DDEAUTO c:\\\\x\\\\cmd.exe "/k calc"'),
        (" dde a b ", "doc:dde dde a b"),
        (' INCLUDEPICTURE "http://x/y" ', 'doc:field INCLUDEPICTURE "http://x/y"'),
        (" PAGE ", ""),
        (" DDESIGN ", ""),
    ],
)
def test_fields(charset: str, instruction: str, fact: str) -> None:
    text = f"before \x13{instruction}\x14 result \x15 after".encode(charset)
    assert facts("ole", compound_file({"WordDocument": FIB + b"\0\0" + bytes(500) + text})) == ([fact] if fact else [])


def test_workbook_alone() -> None:
    record = struct.pack("<HHHH", 0x809, 4, 0x600, 5) + struct.pack("<HHIBBBB", 0x85, 10, 0, 2, 1, 2, 0) + b"M1"
    assert facts("biff", record) == ["xls:xlm-macro-sheet very-hidden M1"]


def test_members_are_limited() -> None:
    streams = {f"s{number}": b"MZ" + bytes(10) for number in range(9)}
    with pytest.raises(LimitExceeded):
        members("ole", compound_file(streams), Limits(max_members=5))


def test_bytes_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("ole", compound_file({"a": bytes(9000)}), Limits(max_unpacked_bytes=5000))


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cfb, "MAX_ENTRIES", 8)
    assert "ole.entries" in [p.name for p in problems("ole", compound_file({f"s{n}": b"x" for n in range(40)}))]


WHOLE = compound_file(PROJECT | {"WordDocument": FIB + bytes(5000), "Workbook": struct.pack("<HHHH", 0x809, 4, 0x600, 5)})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4)), max_size=20), st.integers(0, len(WHOLE)))
def test_never_raises(changes: list[tuple[int, bytes]], size: int) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at : at + len(value)] = value
    members("ole", bytes(data))
    members("ole", bytes(data[:size]))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the shared corpus")
def test_samples() -> None:
    for sample in sorted(SAMPLES.iterdir()):
        data = sample.read_bytes()
        if not data.startswith(cfb.MAGIC):
            continue
        found = [p.name for p in problems("ole", data)]
        assert found == (["office.encrypted"] if "_encrypted_" in sample.name or "encrypted." in sample.name else []), sample.name
        if "excel4" in sample.name:
            assert {"xls:xlm-macro-sheet visible Macro1", "xls:xlm-auto-open"} <= set(facts("ole", data)), sample.name


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the shared corpus")
def test_real_macros() -> None:
    sample = SAMPLES / "tests_test-data_encrypted_autostart-encrypt-standardpassword.xls"
    assert b"Sub Auto_Open()" in by_name("ole", sample.read_bytes())["Modul1.bas",].data


def test_facts_are_stable_text() -> None:
    assert ole.ENCRYPTED.name == "office.encrypted"
