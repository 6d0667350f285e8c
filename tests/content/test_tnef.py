"""content.tnef: attributes, MAPI properties, samples of other projects."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import mapi_properties as properties
from documents import members, problems, tnef_attribute, tnef_file
from eicar import EICAR
from lazaretto.content import tnef
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason

REND, TITLE, DATA, ATTACHMENT, MESSAGE, BODY = 0x00069002, 0x00018010, 0x0006800F, 0x00069005, 0x00069003, 0x0002800C
ONE = tnef_file(tnef_attribute(2, REND, bytes(14)), tnef_attribute(2, TITLE, b"a.com\0"), tnef_attribute(2, DATA, EICAR))
SAMPLES = Path(__file__).parents[3] / "shared/corpus/messages/jstedfast-MimeKit/data"
PREFIX = "UnitTests_TestData_tnef_"


def test_attachment() -> None:
    (found,) = members("tnef", ONE)
    assert (found.names, found.data, found.is_file) == (("a.com",), EICAR, True)


@pytest.mark.parametrize(
    "data",
    [
        b"junk\x78\x9f\x3e\x22" + b"\xff" * 20 + ONE,
        ONE + b"garbage at the end",
        ONE[:-2],  # no checksum
        ONE[:-2] + b"\xff\xff",  # wrong checksum
        ONE.replace(struct.pack("<I", TITLE), struct.pack("<I", 0x00078010)),  # wrong type of attribute
    ],
    ids=["junk", "garbage", "cut", "checksum", "type"],
)
def test_forgives(data: bytes) -> None:
    assert [(m.names, m.data) for m in members("tnef", data)] == [(("a.com",), EICAR)]


def test_truncated_content_is_given() -> None:
    assert members("tnef", ONE[:-20])[0].data == EICAR[:-18]


def test_names_and_content_from_properties() -> None:
    props = properties(
        (0x3707, 0x1F, "lang.exe".encode("utf-16-le") + b"\0\0"),
        (0x3704, 0x1E, b"LANG~1.EXE\0"),
        (0x370E, 0x1E, b"Application/X\0"),
        (0x3701, 0x102, b"bin"),
    )
    (found,) = members("tnef", tnef_file(tnef_attribute(2, REND, bytes(14)), tnef_attribute(2, ATTACHMENT, props)))
    assert found.names == ("lang.exe", "LANG~1.EXE")
    assert (found.data, found.media_type) == (b"bin", "application/x")


def test_data_before_the_name_and_two_attachments() -> None:
    data = tnef_file(
        tnef_attribute(2, REND, bytes(14)), tnef_attribute(2, DATA, b"one"), tnef_attribute(2, TITLE, b"1.txt\0"),
        tnef_attribute(2, REND, bytes(14)), tnef_attribute(2, DATA, b"two"), tnef_attribute(2, TITLE, b"2.txt\0"),
    )  # fmt: skip
    assert [(m.names, m.data) for m in members("tnef", data)] == [(("1.txt",), b"one"), (("2.txt",), b"two")]


def test_attached_message_is_tnef_again() -> None:
    props = properties((0x3701, 0x0D, bytes(16) + ONE))
    (found,) = members("tnef", tnef_file(tnef_attribute(2, REND, bytes(14)), tnef_attribute(2, ATTACHMENT, props)))
    assert found.data == ONE


def test_named_and_multivalued_properties_are_stepped_over() -> None:
    named = struct.pack("<HH16sII", 0x1E, 0x8001, bytes(16), 1, 6) + b"a\0b\0\0\0\0\0" + struct.pack("<II", 1, 2) + b"x\0\0\0"
    many = struct.pack("<HHI", 0x1003, 0x1234, 2) + struct.pack("<II", 7, 8)
    html = struct.pack("<HHII", 0x102, 0x1013, 1, 8) + b"<b>x</b>"
    blob = struct.pack("<I", 3) + named + many + html
    (found,) = members("tnef", tnef_file(tnef_attribute(1, MESSAGE, blob)))
    assert (found.data, found.media_type, found.is_file) == (b"<b>x</b>", "text/html", False)


def test_bodies() -> None:
    rtf = b"\x0e\0\0\0\x02\0\0\0MELA\0\0\0\0{}"
    data = tnef_file(tnef_attribute(1, BODY, b"text\0"), tnef_attribute(1, MESSAGE, properties((0x1009, 0x102, rtf))))
    assert [(m.media_type, m.data) for m in members("tnef", data)] == [("text/plain", b"text\0"), ("text/rtf", b"{}")]


@pytest.mark.parametrize("data", [b"", b"no", tnef.SIGNATURE, tnef.SIGNATURE * 5])
def test_broken(data: bytes) -> None:
    assert [p.reason for p in problems("tnef", data)] == [Reason.BROKEN]


def test_members_are_counted() -> None:
    many = tnef_file(*[tnef_attribute(2, DATA, b"x")] * 9)
    with pytest.raises(LimitExceeded, match="max_members"):
        members("tnef", many, Limits(max_members=3))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(ONE)))
def test_never_raises(noise: bytes, at: int) -> None:
    members("tnef", ONE[:at] + noise + ONE[at:])
    members("tnef", tnef_file(tnef_attribute(2, ATTACHMENT, noise), tnef_attribute(1, MESSAGE, noise)))


# What the project that collected them found inside.
EXPECTED = {
    "MAPI_ATTACH_DATA_OBJ": ["VIA_Nytt_1402.doc", "VIA_Nytt_1402.pdf", "VIA_Nytt_14021.htm", "body.rtf"],
    "attachments": ["bookmark.htm", "zappa_av1.jpg", "body.rtf"],
    "body": ["body.html"],
    "data-before-name": ["AUTOEXEC.BAT", "CONFIG.SYS", "boot.ini", "body.rtf"],
    "missing-filenames": ["generpts.src", "TechlibDEC99.doc", "TechlibDEC99-JAN00.doc", "TechlibNOV99.doc", "body.rtf"],
    "multi-value-attribute": ["208225__5_seconds__Voice_Mail.mp3", "body.rtf"],
    "panic": ["image001.jpg", "image002.jpg", "image003.png", "body.html"],
    "two-files": ["AUTHORS", "README"],
    "unicode-mapi-attr-name": ["spaconsole2.cfg", "image001.png", "image002.png", "image003.png", "body.html"],
}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the shared corpus")
@pytest.mark.parametrize("name", EXPECTED)
def test_samples(name: str) -> None:
    found = members("tnef", (SAMPLES / f"{PREFIX}{name}.tnef").read_bytes())
    assert sorted(m.names[0] for m in found) == sorted(EXPECTED[name])
    for member in found:
        unpacked = SAMPLES / f"{PREFIX}{name}_{member.names[0].replace('body.', 'message.')}"
        if unpacked.is_file():
            assert member.data.replace(b"\r\n", b"\n") == unpacked.read_bytes().replace(b"\r\n", b"\n")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the shared corpus")
def test_all_samples_and_their_prefixes() -> None:
    for sample in SAMPLES.glob(f"{PREFIX}*.tnef"):
        data = sample.read_bytes()
        for size in (len(data), len(data) // 2, 100, 7):
            members("tnef", data[:size])
