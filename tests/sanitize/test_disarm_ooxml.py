"""Office Open XML: what acts is gone, what it showed is there, the rest has not moved, and other readers agree."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import disarming
import documents
from disarming import CLEAN, DISGUISED, OFFICE, TEXT, relation, relations, unpacked, word
from lazaretto.content.sniff import sniff
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits, Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import disarm_ooxml
from lazaretto.sanitize.disarmed import NOTHING, Disarmed

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "files" / "decalage2-oletools" / "data"
_RELATION = re.compile(r'<Relationship Id="([^"]*)"[^>]*? Target="([^"]*)"')


def disarm(data: bytes) -> Disarmed:
    return disarm_ooxml.disarm(Source(data), Meter())


def disarmed(data: bytes) -> dict[str, bytes]:
    result = disarm(data)
    assert not result.refused
    assert result.content is not None
    return unpacked(result.content)


def macros_by_oletools(data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        from oletools import olevba

        return bool(olevba.VBA_Parser("x", data=data).detect_vba_macros())


@pytest.mark.parametrize("name", OFFICE)
def test_what_acts_is_gone(name: str) -> None:
    make, expected = OFFICE[name]
    data = make()
    result = disarm(data)
    assert {thing.name for thing in result.removed} == expected
    assert result.content is not None
    assert disarm(result.content) == NOTHING  # a second time changes nothing
    assert sniff(Source(result.content)) == sniff(Source(data)).replace("docm", "docx").replace("xlsm", "xlsx")
    assert not macros_by_oletools(result.content)
    kind = sniff(Source(result.content))
    assert not [line for line in documents.facts(kind, result.content) if not line.endswith(" NULL")]


@pytest.mark.parametrize("name", OFFICE)
def test_the_package_is_consistent(name: str) -> None:
    """Every relationship leads to a part, every part that is named has a type, every reference has its relationship."""
    result = disarm(OFFICE[name][0]())
    assert result.content is not None
    parts = unpacked(result.content)
    for part, data in parts.items():
        if part.endswith((".xml", ".rels", ".vml")):
            ET.fromstring(data)
    for part in re.findall(r'PartName="/([^"]+)"', parts["[Content_Types].xml"].decode()):
        assert part in parts
    for part, data in parts.items():
        if not part.endswith(".rels"):
            continue
        folder, _, owner = part.replace("_rels/", "").removesuffix(".rels").rpartition("/")
        known = set()
        for number, target in _RELATION.findall(data.decode()):
            known.add(number)
            if 'Target="' + target + '" TargetMode="External"' not in data.decode():
                path = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}".lstrip("/")
                path = re.sub(r"[^/]+/\.\./", "", path)
                assert path in parts, (part, target)
        used = set(re.findall(r'r:id="(rId\d+)"', parts[f"{folder}/{owner}".lstrip("/")].decode())) if owner else set()
        assert used <= known


@pytest.mark.parametrize("name", OFFICE)
def test_other_members_stay_byte_for_byte(name: str) -> None:
    data = OFFICE[name][0]()
    result = disarm(data)
    assert result.content is not None
    before, after = unpacked(data), unpacked(result.content)
    changed = {part for part in after if after[part] != before.get(part)}
    for info in zipfile.ZipFile(io.BytesIO(result.content)).infolist():
        if info.filename not in changed:
            packed = result.content[info.header_offset : info.header_offset + 30 + len(info.filename) + info.compress_size]
            assert packed in data


@pytest.mark.parametrize("name", CLEAN)
def test_what_does_not_act_is_left_alone(name: str) -> None:
    assert disarm(CLEAN[name]()) == NOTHING


def test_macros_go_and_the_type_stays() -> None:
    parts = disarmed(disarming.word_macros())
    assert not [name for name in parts if "vba" in name]
    assert b"macroEnabled.main+xml" in parts["[Content_Types].xml"]
    assert b"vba" not in parts["[Content_Types].xml"]
    assert b"Relationship " not in parts["word/_rels/document.xml.rels"]


def test_fields_leave_their_result() -> None:
    text = disarmed(disarming.word_fields())["word/document.xml"].decode()
    assert all(shown in text for shown in (TEXT, "shown last", "shown simply", " PA"))
    assert "DDE" not in text
    assert text.count("<w:fldChar ") == 3  # of the page number


def test_links_that_open_pages_stay() -> None:
    parts = disarmed(disarming.word_links())
    rels = parts["word/_rels/document.xml.rels"].decode()
    assert 'Target="https://example.org/?a=1&amp;b=2"' in rels
    assert 'Target="#"' in rels
    assert 'Target="NULL"' in rels
    assert "javascript" not in rels
    assert "192.0.2.1" not in rels + parts["word/_rels/settings.xml.rels"].decode()
    assert b"attachedTemplate" not in parts["word/settings.xml"]
    assert b"zoom" in parts["word/settings.xml"]
    assert b"subDoc" not in parts["word/document.xml"]
    assert b"link 2" in parts["word/document.xml"]
    assert b"link 3" in parts["word/document.xml"]


def test_formulas_that_are_commands_leave_their_value() -> None:
    parts = disarmed(disarming.excel_dde())
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    assert '<c r="A2"><v>7</v></c>' in sheet
    assert '<c r="A3"><v>8</v></c>' in sheet
    assert 'LEN("a|b!")+1' in sheet
    assert "xl/calcChain.xml" not in parts  # or Excel would look for formulas that are gone
    assert b"calcChain" not in parts["[Content_Types].xml"] + parts["xl/_rels/workbook.xml.rels"]
    assert b"ddeLink" not in parts["xl/externalLinks/externalLink1.xml"]


def test_a_macro_sheet_becomes_a_sheet() -> None:
    parts = disarmed(disarming.excel_macro_sheet())
    sheet = parts["xl/worksheets_/sheet1.xml"].decode()
    assert sheet.startswith("<worksheet ")
    assert sheet.endswith("</worksheet>")
    assert '<c r="A1" t="b"><v>0</v></c>' in sheet
    assert b"definedName" not in parts["xl/workbook.xml"]
    assert b"acrosheet" not in parts["[Content_Types].xml"] + parts["xl/_rels/workbook.xml.rels"]


def test_a_document_inside_is_disarmed_and_stays() -> None:
    parts = disarmed(disarming.excel_package())
    inner = unpacked(parts["xl/embeddings/inner.docm"])
    assert "word/document.xml" in inner
    assert "word/vbaProject.bin" not in inner


def test_documents_too_deep_inside_go() -> None:
    data = disarming.word_macros()
    for _ in range(disarm_ooxml.MAX_DEPTH + 1):
        data = word("", (relation(1, "package", "embeddings/x.docx"),), {"word/embeddings/x.docx": data})
    result = disarm(data)
    assert [thing.name for thing in result.removed] == ["office.package"]
    assert result.content is not None
    assert disarm(result.content) == NOTHING


def test_of_an_object_on_a_slide_the_picture_stays() -> None:
    slide = disarmed(disarming.slides())["ppt/slides/slide1.xml"].decode()
    assert "<p:pic>" in slide
    for gone in ("graphicFrame", "oleObj", "p:timing", "ppaction"):
        assert gone not in slide


@pytest.mark.parametrize("name", DISGUISED)
def test_fields_in_disguise(name: str) -> None:
    result = disarm(word(DISGUISED[name]))
    assert {thing.name for thing in result.removed} == {"office.dde"}
    assert result.content is not None
    assert b"instrText" not in unpacked(result.content)["word/document.xml"]
    assert disarm(result.content) == NOTHING


def refusal(data: bytes) -> str:
    result = disarm(data)
    assert result.content is None
    return result.refused


def test_what_is_refused() -> None:
    data = disarming.word_macros()
    assert "more than one reading: zip.prefix" in refusal(b"x" + data)
    assert "more than one reading: zip.suffix" in refusal(data + b"x")
    assert "more than one reading: zip.duplicate-name" in refusal(_with(data, "WORD/document.xml", b"<x/>"))
    assert "more than one reading" in refusal(_with(data, "word\\x.xml", b"<x/>"))
    assert "document type" in refusal(word("", parts={"word/settings.xml": b"<!DOCTYPE x [<!ENTITY a 'b'>]><x><w:instrText/></x>"}))
    assert "not well-formed" in refusal(word("", parts={"word/settings.xml": b"<x><w:instrText/></y>"}))
    assert "UTF-8" in refusal(word("", parts={"word/settings.xml": "<x><instrText/></x>".encode("utf-16")}))
    assert "no content types" in refusal(documents.zip_file({"word/document.xml": b"<x/>"}))
    two = data.replace(b"word/vbaData.xml", b"word/vbaDatb.xml", 1)  # the local header says another name
    assert "more than one reading: zip.name-mismatch" in refusal(two)


def _with(data: bytes, name: str, content: bytes) -> bytes:
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def test_binary_workbooks_whose_sheets_would_change_are_refused() -> None:
    binary = (
        ("xl/macrosheets/sheet1.bin", "application/vnd.ms-excel.macrosheet"),
        ("xl/worksheets/sheet1.bin", "application/vnd.ms-excel.worksheet"),
    )
    data = word("", (), {"xl/macrosheets/sheet1.bin": b"\x81\x01\0"}, binary)
    assert refusal(data) == "a binary workbook has macro sheets"
    parts = {
        "xl/worksheets/sheet1.bin": b"\x81\x01\0",
        "xl/worksheets/_rels/sheet1.bin.rels": relations(relation(1, "oleObject", "../embeddings/a.bin")),
    }
    assert (
        refusal(word("", (), {**parts, "xl/embeddings/a.bin": disarming.OBJECT}, binary))
        == "a binary part refers to what would be taken out"
    )


def test_a_target_outside_is_outside_whatever_it_says() -> None:
    result = disarm(word("", (relation(1, "attachedTemplate", "http://192.0.2.1/x.dotm"), relation(2, "frame", "\\\\192.0.2.1\\x"))))
    assert {thing.name for thing in result.removed} == {"office.template", "office.link"}


def test_a_template_on_the_own_disk_stays() -> None:
    """Every document made from a template has one."""
    for path in ("file:///C:\\Users\\a\\x.dotx", "Normal.dotm"):
        assert disarm(word("", (relation(1, "attachedTemplate", path, external=True),))) == NOTHING


def test_an_archive_that_nobody_refers_to() -> None:
    result = disarm(word("", (), {"word/x.dat": documents.zip_file({"a.exe": b"MZ"})}))
    assert [thing.name for thing in result.removed] == ["office.package"]


def test_parts_in_pieces_are_refused() -> None:
    assert "two parts have the name" in refusal(word("", (), {"word/document.xml/[0].piece": b"<x/>"}))


def test_a_bomb_is_the_meters() -> None:
    data = word("", parts={"word/settings.xml": b"<x>" + bytes(4 << 20)})
    with pytest.raises(LimitExceeded):
        disarm_ooxml.disarm(Source(data), Meter(Limits(max_member_bytes=1 << 20)))


def _corpus() -> list[Path]:
    return sorted(
        path for path in CORPUS.glob("*") if path.suffix in (".docx", ".docm", ".xlsx", ".xlsm", ".xlsb", ".xltm", ".pptx", ".pptm")
    )


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus of files here")
def test_real_files() -> None:
    seen = 0
    for path in _corpus():
        data = path.read_bytes()
        if not data.startswith(b"PK"):
            continue  # encrypted
        seen += 1
        result = disarm(data)
        if path.suffix == ".xlsb":
            assert result.refused
        elif "clean" in path.name:
            assert result == NOTHING
        else:
            assert result.content is not None
            assert disarm(result.content) == NOTHING
    assert seen >= 8


@given(st.binary(max_size=64), st.integers(0, 4000), st.sampled_from(sorted(OFFICE)))
def test_damaged_files_are_refused_or_done(noise: bytes, at: int, name: str) -> None:
    data = OFFICE[name][0]()
    at %= len(data)
    result = disarm(data[:at] + noise + data[at + len(noise) :])
    if result.content is not None:
        assert disarm(result.content) == NOTHING
