"""Fuzz every document walker: none may raise but LimitExceeded, and all members must be readable."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib

from lazaretto.content import document
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import MIB, Limits, Meter
from lazaretto.mime.source import Source

LIMITS = Limits(max_unpacked_bytes=16 * MIB, max_members=500)
TYPES = sorted(document.TYPES)


def target(data: bytes) -> None:
    """The first byte chooses the type, so that each seed stays with its reader."""
    if not data:
        return
    type_id = TYPES[data[0] % len(TYPES)]
    try:
        for member in document.walk(type_id, Source(data[1:]), Meter(LIMITS)):
            if isinstance(member, Problem):
                assert member.name.islower(), member
                continue
            assert isinstance(member, Member)
            assert all(isinstance(name, str) for name in member.names)
            try:
                for chunk in member.chunks:
                    assert isinstance(chunk, bytes)
            except BrokenMember:
                pass
    except LimitExceeded:
        pass


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


_B64 = base64.b64encode(b"MZ" + bytes(60))
_OLE_HEADER = (
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    + bytes(16)
    + struct.pack("<HHHHH6xIIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0)
).ljust(512, b"\xff")
_RELS = b'<Relationships><Relationship Type="a/attachedTemplate" Target="http://a/b.dotm" TargetMode="External"/></Relationships>'
_PACKAGE = struct.pack("<H", 2) + b"a.txt\0c:\\a.txt\0\0\0\3\0" + struct.pack("<I", 4) + b"a.t\0" + struct.pack("<I", 3) + b"abc"
_OLE1 = struct.pack("<III", 0x501, 2, 8) + b"Package\0" + struct.pack("<III", 0, 0, len(_PACKAGE)) + _PACKAGE
_PDF_OBJECTS = zlib.compress(b"4 0 5 20 <</S/JavaScript>> <</JS(app.alert\\(1\\))>>")
_SAMPLES: list[tuple[str, bytes]] = [
    ("tnef", b"\x78\x9f\x3e\x22\0\0" + b"\x02\x02\x90\x06\0\x02\0\0\0\0\0\0\0" + b"\x02\x0f\x80\x06\0\x03\0\0\0abc\0\0"),
    ("tnef", b"\x78\x9f\x3e\x22\0\0\x02\x05\x90\x06\0\x18\0\0\0\1\0\0\0\x1f\0\x07\x37\1\0\0\0\x08\0\0\0a\0b\0c\0\0\0\0\0"),
    ("ole", _OLE_HEADER + (struct.pack("<II", 0xFFFFFFFD, 0xFFFFFFFE)).ljust(512, b"\xff") + bytes(512)),
    ("ole", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + b"\x01\x19\xb0\0Attribut\0e VB_Name"),
    ("biff", struct.pack("<HHHH", 0x809, 4, 0x600, 5) + struct.pack("<HHIBBB", 0x85, 9, 0, 2, 1, 2) + b"\0ab" + b"\x0a\0\0\0"),
    (
        "docx",
        _zip(
            {
                "[Content_Types].xml": b"<Types/>",
                "word/_rels/settings.xml.rels": _RELS,
                "word/document.xml": b"<w:instrText>DDE x</w:instrText>",
            }
        ),
    ),
    ("pdf", b"%PDF-1.7\n1 0 obj<</Type/Filespec/F(a.exe)/EF<</F 2 0 R>>>>endobj 2 0 obj<</Filter/AHx>>stream\n4142>\nendstream endobj\n"),
    ("pdf", b"1 0 obj<</Type/ObjStm/N 2/First 9/Filter/Fl>>stream\n" + _PDF_OBJECTS + b"\nendstream trailer<</Encrypt 3 0 R>>"),
    (
        "pdf",
        b"1 0 obj<</Filter[/A85/LZW]/DecodeParms<</Predictor 12/Columns 4>>>>stream\n<~J..)6T`?p&<!J9%_[umg~>\nendstream",
    ),
    ("rtf", b"{\\rt{\\*\\template http://a}{\\object{\\objdata " + _OLE1.hex().encode() + b"}}{\\fldinst DDE \\u65? \\'41}}"),
    ("html", b'<a download="a.exe" href="data:;base64,' + _B64 + b'">&#106;</a><script>b="' + _B64 + b'"+"AAAA";[1,2,' + b"3," * 50 + b"]"),
    ("html", "<script>\u00e9</script>".encode("utf-16")),
    ("text", b"+ADw-script+AD4- begin:vcard\nPHOTO;ENCODING=b:" + _B64 + b"\n\nEND:VCARD"),
    ("xml", b'<w:fldChar w:fldCharType="begin"/><w:instrText>DDE</w:instrText><w:fldChar w:fldCharType="end"/>' + _RELS),
    (
        "p7m",
        bytes.fromhex(
            "308006092a864886f70d010702a0803080020101310030800609"
            "2a864886f70d010701a0802480040341 3a42 0403 0d0a41 0000 0000 0000 0000 0000".replace(" ", "")
        ),
    ),
    (
        "pgp-message",
        b"-----BEGIN PGP MESSAGE-----\n\n"
        + base64.b64encode(b"\xcb\x0bb\5a.exe\0\0\0\0" + b"\xa3\x02" + zlib.compress(b"\xcb\x07b\0\0\0\0\0A"))
        + b"\n-----END",
    ),
    ("ics", b"BEGIN:VCALENDAR\nATTACH;FILENAME=a.exe;ENCODING=BASE64:" + _B64 + b"\nATTACH:data:a/b;base64," + _B64 + b"\nEND:VCALENDAR"),
    ("onenote", bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + struct.pack("<Q12x", 4) + b"abcd" + b"\x0c\0\0\0a\0.\0t\0x\0t\0\0\0"),
    ("mbox", b"From a 12:00\nA: b\n\nc\n\nFrom b 12:00\nA: b\n\nd\n"),
]
SEEDS = [bytes((TYPES.index(type_id),)) + data for type_id, data in _SAMPLES]
