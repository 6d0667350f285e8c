from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.fingerprints import FINGERPRINTS, HEAD, by_content, by_media_type, contradiction, wants_extension
from lazaretto.content.sniff import sniff
from lazaretto.mime.source import Source

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20
EXE = b"MZ\x90\0\x03" + b"\0" * 60
HTML = b"<!DOCTYPE html>\n<HTML><head></head></HTML>"
TEXT = b"Dear all,\nnothing here.\n"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (EXE, ("exe",)),
        (b"MZ", ("exe",)),
        (b"\xd7\xcd\xc6\x9a", ("wmf",)),
        (b"\x01\0\x09\0", ("wmf",)),
        (b"\x02\0\x09\0", ("wmf",)),
        (JPEG, ("jpeg",)),
        (b"GIF87a", ("gif",)),
        (PNG, ("png",)),
        (b"MM\0*", ("tiff",)),
        (b"II*\0", ("tiff",)),
        (HTML, ()),
        (TEXT, ()),
        (b"mz", ()),
        (b" MZ", ()),
        (b"M", ()),
        (b"", ()),
    ],
)
def test_by_content(head: bytes, found: tuple[str, ...]) -> None:
    assert by_content(head) == found


@pytest.mark.parametrize(
    ("media_type", "type_id"),
    [
        ("application/x-msdownload", "exe"),
        ("application/x-ms-dos-executable", "exe"),
        ("image/x-wmf", "wmf"),
        ("image/jpeg", "jpeg"),
        ("image/gif", "gif"),
        ("image/png", "png"),
        ("image/tiff", "tiff"),
        ("text/javascript", "js"),
        ("text/html", "html"),
        ("text/plain", "txt"),
        ("application/octet-stream", ""),
        ("", ""),
    ],
)
def test_by_media_type(media_type: str, type_id: str) -> None:
    assert by_media_type(media_type) == type_id


@pytest.mark.parametrize(
    ("names", "content", "fault"),
    [
        # several types, and not all are harmless
        (["a.txt"], EXE, "exe content claims to be txt"),
        (["a.jpg"], EXE, "exe content claims to be jpeg"),
        (["a.js"], b"<html>", "html content claims to be js"),
        (["a.wmf"], EXE, "exe content claims to be wmf"),
        (["a.exe", "a.txt"], TEXT, "is exe and txt at once"),
        (["a.exe"], PNG, "png content claims to be exe"),
        # a harmless type without its signature
        (["a.png"], TEXT, "content is not png"),
        (["a.jpg"], PNG, "content is not jpeg"),
        (["a.gif"], b"<b>hello</b>", "content is not gif"),
        (["a.tif"], TEXT, "content is not tiff"),
        (["a.html"], TEXT, "content is not html"),
        (["a.html"], b"a" * HEAD + b"<html>", "content is not html"),
        # all is well
        (["a.exe"], EXE, ""),
        (["a.scr"], EXE, ""),
        (["a.bat"], TEXT, ""),
        (["a.wmf"], TEXT, ""),
        (["a.png"], PNG, ""),
        (["a.jfif"], JPEG, ""),
        (["a.html"], HTML, ""),
        (["a.shtml"], b"see </A >", ""),
        (["a.html"], "<html>".encode("utf-16"), ""),  # content.sniff knows better
        (["a.html"], b"<div>hello</div>", ""),
        (["a.txt"], HTML, ""),
        (["a.txt"], TEXT, ""),
        (["a.js"], TEXT, ""),
        (["a.pdf"], EXE, ""),  # of which F-PROT knew nothing
        (["a"], EXE, ""),
        ([], EXE, ""),
        (["a.png"], b"", ""),
        (["a.txt"], b"", ""),
    ],
)
def test_contradiction(names: list[str], content: bytes, fault: str) -> None:
    assert contradiction(names, content[:HEAD], sniff(Source(content))) == fault


def test_names_that_nobody_gave_need_no_signature() -> None:
    assert contradiction(["unnamed.png"], TEXT, "text", claims_only=True) == ""
    assert contradiction(["unnamed.html"], b"hello", "text", claims_only=True) == ""
    assert contradiction(["unnamed.txt"], EXE, "mz", claims_only=True) == "exe content claims to be txt"


@pytest.mark.parametrize(
    ("media_type", "names", "wanted"),
    [
        ("image/png", ["a.png"], ()),
        ("image/png", ["a.txt", "a.png"], ()),  # one reading of the name suffices
        ("image/png", ["a.vbs"], ("png",)),
        ("image/png", ["a"], ("png",)),
        ("image/jpeg", ["a.jpe"], ()),
        ("image/jpeg", ["a.png"], ("jpg", "jpe", "jpeg", "jfif")),
        ("audio/x-ms-wma", ["a.wmf"], ()),
        ("audio/x-wav", ["a.exe"], ("wav",)),
        ("audio/x-midi", ["a.midi"], ()),
        ("text/html", ["a.png"], ()),
        ("", ["a.png"], ()),
    ],
)
def test_wants_extension(media_type: str, names: list[str], wanted: tuple[str, ...]) -> None:
    assert wants_extension(media_type, names) == wanted


@given(st.binary(max_size=HEAD), st.lists(st.text(max_size=12), max_size=4))
def test_every_fault_can_be_shown_and_names_known_types(head: bytes, names: list[str]) -> None:
    fault = contradiction(names, head, "data")
    assert fault.isprintable()
    if fault:
        assert any(type_id in fault for type_id in FINGERPRINTS)
    assert set(by_content(head)) <= set(FINGERPRINTS)


def test_no_type_claims_what_another_claims() -> None:
    for attribute in ("extensions", "media_types"):
        values = [value for known in FINGERPRINTS.values() for value in getattr(known, attribute)]
        assert len(values) == len(set(values))
