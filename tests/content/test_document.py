"""content.document: the table, and the evasion cases that documents make."""

from __future__ import annotations

import base64
import email
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents import (
    compound_file,
    everything,
    mapi_properties,
    members,
    ole1_object,
    ole_package,
    problems,
    reaches,
    tnef_attribute,
    tnef_file,
    vba_project,
    zip_file,
)
from eicar import EICAR
from lazaretto.content import document
from lazaretto.content.sniff import sniff
from lazaretto.content.types import TYPES
from lazaretto.limits import Meter
from lazaretto.mime.source import Source

CASES = Path(__file__).parents[3] / "shared/corpus/evasion/cases"
SEEN = (
    "I-docm I-docm-docx I-dotm I-html I-html-exe I-html-u7 I-htmlbody I-pdf-embed I-pdf-jshex I-rtf-obf I-tnef I-tnef-oct I-tnef-sum "
    "I-tnef-zip I-mbox J-p7m J-pgp-lit"
).split()
CONTROLS = "Z-ics Z-smime-opq Z-datauri Z-pgp-sig".split()


def decoded(raw: bytes) -> Iterator[bytes]:
    for part in email.message_from_bytes(raw).walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield payload


@pytest.mark.parametrize("type_id", sorted(document.TYPES))
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 100, b"(" * 100, b"A" * 100, b"<" * 100])
def test_every_walker_takes_anything(type_id: str, data: bytes) -> None:
    members(type_id, data)


def test_types_are_known() -> None:
    assert set(TYPES) >= document.TYPES


def test_other_types_give_nothing() -> None:
    assert list(document.walk("png", Source(b"x"), Meter())) == []


MACRO = b'Attribute VB_Name = "M"\r\nSub AutoOpen()\r\n\' MARKER\r\nEnd Sub\r\n'
PACKAGE = ole_package(b"eicar.com", EICAR)
MHT = b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Location: a.htm\r\n"
NESTED = {
    "macro project under another name": (zip_file({"word/printer.dat": compound_file(vba_project({"M": MACRO}))}), b"MARKER"),
    "object in a workbook": (
        zip_file({"xl/embeddings/o.bin": compound_file({"\x01Ole10Native": struct.pack("<I", len(PACKAGE)) + PACKAGE})}),
        EICAR,
    ),
    "page in a page archive": (
        MHT + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"<script>" + EICAR + b"</script>") + b"--b--",
        EICAR,
    ),
    "document in an object in a document": (
        b"{\\rt{\\objdata " + ole1_object(b"Word.Document.8", compound_file(vba_project({"M": MACRO}))).hex().encode() + b"}}",
        b"MARKER",
    ),
    "picture that is a page": (b'<svg xmlns="x"><a href="data:text/html;base64,' + base64.b64encode(b"<p>" + EICAR) + b'"/></svg>', EICAR),
    "message as TNEF in a message": (
        tnef_file(
            tnef_attribute(2, 0x00069005, mapi_properties((0x3701, 0x0D, bytes(16) + tnef_file(tnef_attribute(2, 0x0006800F, EICAR)))))
        ),
        EICAR,
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_things_in_things(name: str) -> None:
    data, marker = NESTED[name]
    assert reaches(data, marker)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared corpus")
@pytest.mark.parametrize("case", SEEN)
def test_payload_of_an_evasion_case_is_reached(case: str) -> None:
    markers = [marker.encode("latin-1") for marker in json.loads((CASES / f"{case}.json").read_text())["markers"]]
    pieces = [piece for payload in decoded((CASES / f"{case}.eml").read_bytes()) for piece in everything(payload)]
    pieces += [inner for piece in pieces for inner in decoded(piece)]
    assert any(marker in piece for piece in pieces for marker in markers)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared corpus")
@pytest.mark.parametrize("case", CONTROLS)
def test_controls_make_no_trouble(case: str) -> None:
    for payload in decoded((CASES / f"{case}.eml").read_bytes()):
        assert problems(sniff(Source(payload)), payload) == []
