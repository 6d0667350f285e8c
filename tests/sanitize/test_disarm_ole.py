"""Old Office files: macros and objects are gone, not a byte has moved, other readers agree; the rest is refused."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import olefile
import pytest
from hypothesis import given
from hypothesis import strategies as st

import documents
from disarming_ole import CODE, objects_of, word_file, workbook
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import disarm_ole
from lazaretto.sanitize.disarmed import NOTHING, Disarmed

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "files" / "decalage2-oletools" / "data"


def disarm(data: bytes) -> Disarmed:
    return disarm_ole.disarm(Source(data), Meter())


def macros(data: bytes) -> list[str]:
    """The code of all modules, as oletools finds it, without attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        from oletools import olevba

        parser = olevba.VBA_Parser("x", data=data)
        return (
            [code for *_, text in parser.extract_macros() if (code := olevba.filter_vba(text).strip())]
            if parser.detect_vba_macros()
            else []
        )


MACROS: dict[str, Callable[[dict[str, bytes]], bytes]] = {"Macros/": word_file, "_VBA_PROJECT_CUR/": workbook}


@pytest.mark.parametrize("prefix", MACROS)
def test_macros_and_objects_are_gone(prefix: str) -> None:
    data = MACROS[prefix](documents.vba_project({"ThisDocument": CODE, "Module1": CODE[:400]}, prefix) | objects_of(prefix))
    assert macros(data)
    result = disarm(data)
    assert (result.refused, {thing.name for thing in result.removed}) == ("", {"office.macros", "office.object"})
    assert result.content is not None
    assert len(result.content) == len(data)
    assert macros(result.content) == []
    assert not documents.reaches(result.content, b"calc.exe")
    assert not documents.reaches(result.content, b"MZ")
    assert disarm(result.content) == NOTHING
    with olefile.OleFileIO(io.BytesIO(data)) as before, olefile.OleFileIO(io.BytesIO(result.content)) as after:
        assert before.listdir() == after.listdir()
        for path in before.listdir():
            old, new = before.openstream(path).read(), after.openstream(path).read()
            assert len(old) == len(new)
            assert (old == new) is not (
                ("VBA" in path and path[-1] != "dir") or (path[0] in ("ObjectPool", "MBD0001") and path[-1] != "\x03ObjInfo")
            ), path


def test_compiled_code_goes_too() -> None:
    project = documents.vba_project({"M": CODE}, "Macros/") | {
        "Macros/VBA/_VBA_PROJECT": b"\xcc\x61\xb2\0" + b"p" * 90,
        "Macros/VBA/__SRP_0": b"q" * 90,
    }
    result = disarm(word_file(project))
    assert result.content is not None
    with olefile.OleFileIO(io.BytesIO(result.content)) as file:
        assert file.openstream("Macros/VBA/_VBA_PROJECT").read() == b"\xcc\x61\xff\xff".ljust(94, b"\0")
        assert file.openstream("Macros/VBA/__SRP_0").read() == bytes(90)
        assert file.openstream("Macros/VBA/M").read().startswith(bytes(40))


def test_modules_that_nobody_lists() -> None:
    project = documents.vba_project({"M": CODE}, "Macros/") | {"Macros/VBA/Other": b"junk" + documents.vba_compress(CODE)}
    result = disarm(word_file(project))
    assert result.content is not None
    assert macros(result.content) == []
    assert not documents.reaches(result.content, b"calc.exe")


def test_what_does_not_act_is_left_alone() -> None:
    for data in (word_file({}), workbook({}), b"", b"no compound file", documents.compound_file({"EncryptedPackage": b"x" * 50})):
        assert disarm(data) == NOTHING


def field_table(kind: int) -> bytes:
    return struct.pack("<IIII", 0, 3, 5, 9) + bytes((0x13, kind, 0x14, 0xFF, 0x15, 0x80))


def strings(template: str) -> bytes:
    return b"\xff\xff\x02\0\0\0" + b"".join(struct.pack("<H", len(text)) + text.encode("utf-16-le") for text in ("", template))


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def refusal(data: bytes) -> str:
    result = disarm(data)
    assert result.content is None
    return result.refused


def test_what_is_refused() -> None:
    project = documents.vba_project({"M": CODE}, "Macros/")
    assert "a field that acts: doc:dde DDEAUTO" in refusal(word_file({}, text=b"\x13 DDEAUTO c:\\x \x14shown\x15"))
    assert refusal(word_file(project, tables={16: field_table(0x2E)})) == "it has a field that acts"
    assert refusal(word_file({}, tables={59: field_table(0x44)})) == "it has a field that acts"
    assert "template is elsewhere" in refusal(word_file({}, tables={32: strings("http://192.0.2.1/x.dot")}))
    assert "template is elsewhere" in refusal(word_file({}, tables={32: strings("\\\\192.0.2.1\\x.dot")}))
    assert disarm(word_file({}, tables={16: field_table(0x21), 32: strings("Normal.dot")})) == NOTHING
    auto = record(0x18, struct.pack("<HBBHHHBBBB", 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0) + b"\0\x01")
    assert "Excel 4" in refusal(workbook({}, records=auto))
    assert "ActiveX" in refusal(workbook({"Ctls": b"x" * 20}))
    slides = documents.compound_file({"PowerPoint Document": b"\0\0\x11\x10" + struct.pack("<I", 20) + b"\xd0\xcf\x11\xe0" + bytes(16)})
    assert "presentation" in refusal(slides)
    listed = documents.vba_dir({"M": 40}) + struct.pack("<HI", 0x000E, 4) + b"path"
    assert "belong to no project" in refusal(word_file({"Other": b"junk" + documents.vba_compress(CODE)}))
    assert "another file" in refusal(word_file(project | {"Macros/VBA/dir": documents.vba_compress(listed)}))
    assert "no readable source" in refusal(word_file(project | {"Macros/VBA/M": b"\xca\xfe" * 200}))


def test_streams_that_share_bytes_are_refused() -> None:
    data = bytearray(word_file({"ObjectPool/_1/Big": b"z" * 5000, "Other": b"o" * 5000}))
    name = "Other".encode("utf-16-le")
    place = data.index(name.ljust(64, b"\0"))
    big = data.index("Big".encode("utf-16-le").ljust(64, b"\0"))
    data[place + 116 : place + 120] = data[big + 116 : big + 120]
    assert refusal(bytes(data)) == "its streams share bytes"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus of files here")
def test_real_files() -> None:
    encrypted = (CORPUS / "tests_test-data_encrypted_autostart-encrypt-standardpassword.xls").read_bytes()
    assert macros(encrypted)
    result = disarm(encrypted)  # what is encrypted is the workbook, not the macros
    assert result.content is not None
    assert macros(result.content) == []
    assert disarm(result.content) == NOTHING
    assert disarm((CORPUS / "tests_test-data_msodde_harmless-clean.doc").read_bytes()) == NOTHING
    assert "Excel 4" in refusal((CORPUS / "tests_test-data_excel4-macros_excel4_sample_macro.xls").read_bytes())


@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=16))
def test_damaged_files_are_refused_or_done(at: int, noise: bytes) -> None:
    data = word_file(documents.vba_project({"M": CODE}, "Macros/") | objects_of("Macros/"))
    at %= len(data)
    result = disarm(data[:at] + noise + data[at + len(noise) :])
    if result.content is not None:
        assert disarm(result.content) == NOTHING
