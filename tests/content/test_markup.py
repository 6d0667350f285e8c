"""Text by its first KiB: what is sure, what must stay plain text, what is no text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.markup import _SCRIPT_HOST, later_marks, text_type
from lazaretto.content.types import TYPES

MAIL = b"Received: from a by b\r\n\twith SMTP\r\nFrom: a@example.org\r\nSubject: x\r\n\r\nbody\r\n"

SAMPLES = [
    ("rtf", b"{\\rtf1\\ansi x}"),
    ("rtf", b"{\\rt x}"),
    ("postscript", b"%!PS-Adobe-3.0\n"),
    ("encoded-script", b"#@~^BgAAAA==x\x7fYbV1AAA==^#~@"),
    ("pgp-message", b"-----BEGIN PGP MESSAGE-----\n\nxxx"),
    ("pgp-signed", b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n"),
    ("pgp-signature", b"-----BEGIN PGP SIGNATURE-----\n"),
    ("pgp-key", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
    ("p7m", b"-----BEGIN PKCS7-----\nMII"),
    ("pem", b"-----BEGIN CERTIFICATE-----\nMII"),
    ("ics", b"\r\nBEGIN:VCALENDAR\r\nVERSION:2.0\r\n"),
    ("vcf", b"begin:vcard\r\nversion:3.0\r\n"),
    ("binhex", b"(This file must be converted with BinHex 4.0)\n:"),
    ("reg", b"Windows Registry Editor Version 5.00\r\n"),
    ("reg", "\ufeffWindows Registry Editor Version 5.00\r\n".encode("utf-16-le")),
    ("url", b"[InternetShortcut]\r\nURL=file://x\r\n"),
    ("sylk", b"ID;PWXL;N;E\r\n"),
    ("script", b"#!/bin/sh\nexit\n"),
    ("script", b"<?php echo 1;"),
    ("batch", b"@ECHO OFF\r\ncls\r\n"),
    ("powershell", b"$x = New-Object Net.WebClient\n"),
    ("powershell", b"Set-ExecutionPolicy Bypass\n"),
    ("vbscript", b'Dim a\r\nSet a = CreateObject("WScript.Shell")\r\n'),
    ("vbscript", b"On Error Resume Next\r\n"),
    ("jscript", b"var s = new ActiveXObject('WScript.Shell');"),
    ("jscript", b"x = 1; WScript.Quit(1);"),
    ("html", b"<!DOCTYPE html><html></html>"),
    ("html", b"  \r\n<HTML><body>"),
    ("html", b"<!-- saved -->\n<html>"),
    ("html", b"<div>x</div>"),
    ("html", b"<script>x</script>"),
    ("html", b"\xef\xbb\xbf<html>"),
    ("html", "\ufeff<html>".encode("utf-16-le")),
    ("html", "\ufeff<html>".encode("utf-16-be")),
    ("html", "<html><body>".encode("utf-16-le")),
    ("html", "<html><body>".encode("utf-16-be")),
    ("html", b"+ADw-html+AD4-+ADw-script+AD4-"),
    ("html", b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x"><html xmlns="y">'),
    ("html", b'<?xml version="1.0"?><html xmlns="y">'),
    ("hta", b"<html><head><HTA:APPLICATION id=x></head>"),
    ("hta", b"<!doctype html><title>x</title><hta:application>"),
    ("hta", b"<hta:application icon=x>"),
    ("svg", b"<svg xmlns='x'>"),
    ("svg", b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C" [ <!ENTITY a "b>"> ]><svg:svg>'),
    ("wsf", b'<job id="x"><script language="JScript">'),
    ("wsf", b"<?xml version='1.0'?><package><job><script>"),
    ("scriptlet", b"<?XML version='1.0'?><scriptlet><registration progid='x'>"),
    ("scriptlet", b"<component><registration>"),
    ("xml", b'<?xml version="1.0"?><a/>'),
    ("xml", b'<feed xmlns="http://www.w3.org/2005/Atom">'),
    ("message", MAIL),
    ("message", b"\r\n\r\n" + MAIL),
    ("message", b"\xef\xbb\xbfFrom: a@example.org\nTo: b@example.org\n\nx"),
    ("message", b"Content-Type: text/html\nMIME-Version: 1.0\n\nx"),
    ("mht", b"From: <Saved by Browser>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x"),
    ("mbox", b"From a@example.org Tue Mar  5 10:11:12 2024\n" + MAIL),
    ("mbox", b">From a@example.org Tue Mar  5 10:11:12 2024\n" + MAIL),
]

PLAIN = [
    b"Hello,\r\n\r\nplease see the attached file.\r\n",
    b"From the beginning: this is prose\nnot a mailbox\n",
    b"From here on, all is well.\nSubject: only one field known\n\nx",
    b"To: do\nmilk\nbread\n",
    b"Note: a colon\nAnother: one\n\ntext",
    b"MZ is how programs begin",
    b"The <html> tag comes first.",
    b"<none of your business> he said",
    b"<https://example.org/> is a link",
    b"< 5 apples",
    b"<!-- only a comment",
    b'Dear all, use CreateObject("x") in VBScript.',
    b"a,b;c\r\n1,2;3\r\n",
    b'{"json": true}',
    b"// inert script\nvar a = 1;\n",
    "Grüße aus Köln".encode(),
    "Grüße".encode("latin-1"),
    "Plain text in UTF-16".encode("utf-16"),
    "日本語".encode("iso2022_jp"),
    b"end of DOS text\x1a",
    b"",
]


@pytest.mark.parametrize(("type_id", "head"), SAMPLES)
def test_sure(type_id: str, head: bytes) -> None:
    assert text_type(head) == type_id


@pytest.mark.parametrize("head", PLAIN)
def test_plain(head: bytes) -> None:
    assert text_type(head) == "text"


@pytest.mark.parametrize("head", [b"a\0b", bytes(range(32)), b"\x01\x02", b"text\x00", b"\x7fx"])
def test_no_text(head: bytes) -> None:
    assert text_type(head) == ""


def test_a_cut_line_counts_only_at_the_end() -> None:
    head = b"From: a@example.org\nTo: b@example.org\nSubje"
    assert text_type(head, whole=False) == "message"
    assert text_type(head, whole=True) == "text"


def test_later_marks() -> None:
    assert later_marks(b"junk junk <html><body>") == ("html",)
    assert later_marks(b"hello\n-----BEGIN PGP MESSAGE-----\n") == ("pgp-message",)
    assert later_marks(b"hello\r\n-----BEGIN PKCS7-----\n") == ("p7m",)
    assert later_marks(b"we talk of -----BEGIN PGP MESSAGE----- and of <htmlx>") == ()


@given(st.binary(max_size=600))
def test_any_bytes(data: bytes) -> None:
    assert text_type(data) in TYPES.keys() | {""}
    assert text_type(data, whole=False) in TYPES.keys() | {""}
    assert set(later_marks(data)) <= {"html", "pgp-message", "p7m"}


@given(
    st.lists(
        st.sampled_from([b"<!--", b"-->", b"<?", b"<!doctype", b"[", b"]", b">", b"<a", b"\n", b"From: x", b"xmlns", b"\xff\xfe", b"\0"]),
        max_size=60,
    )
)
def test_any_markup(pieces: list[bytes]) -> None:
    assert text_type(b"".join(pieces)) in TYPES.keys() | {""}


@pytest.mark.parametrize("unit", [b"<!--", b"<!-->", b"<?>", b"<!doctype>", b"<!doctype[", b"a:\n", b" \n", b"iex", b"$a=", b"<"])
def test_repeated_openings(unit: bytes) -> None:
    """Much more than sniff ever passes: a scan that starts over at each opening would not end."""
    assert text_type(unit * (1_000_000 // len(unit))) in TYPES


@given(st.data())
def test_one_of_the_words_is_in_whatever_the_pattern_matches(data: st.DataObject) -> None:
    for words, pattern, type_id in _SCRIPT_HOST:
        found = data.draw(st.from_regex(re.compile(pattern.pattern)))
        assert any(word in found for word in words), type_id


ENDS = ("\r\n", "\n")


@pytest.mark.parametrize("encode", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("type_id", "text"),
    [
        ("html", "<html><body>some text"),
        ("rtf", "{\\rtf1 some text"),
        ("script", "#!/bin/sh\necho"),
        ("batch", "@echo off\ncls\n"),
        ("svg", "<svg xmlns='x'>"),
        ("message", "From: a@example.org\nTo: b@example.org\n\nx"),
        ("text", "some plain text"),
    ],
)
def test_spelt_in_another_charset(type_id: str, text: str, encode: str) -> None:
    assert text_type(text.encode(encode)) == type_id


@pytest.mark.parametrize(
    ("head", "type_id"),
    [
        (b"+ADw-html+AD4-", "html"),
        (b" +ADw-script+AD4-", "html"),
        (b"+ADw-svg xmlns='x'+AD4-", "svg"),
        (b"x+ADw-html+AD4-", "text"),  # behind other text: later_marks
        (b"+ADw html", "text"),
        (b"<\0h\0t\0", ""),  # too short to be told from what is no text
        (b"<\0p\0>\0x\0", "html"),
        (b"\0<\0p\0>\0x", "html"),
        (b"<\0h\0t\0m\0x\0\0\0y\0", ""),  # a NUL among the letters
        (b"{\0\\\0r\0t\0f\0\0\0", ""),
        (b"\xff\xfe", "text"),
        (b"\xff\xfe<\0h\0t\0m\0l\0>\0\0\xd8", "html"),  # cut in the middle of a pair
        (b"\xef\xbb\xbf", "text"),
        (b"\xef\xbb\xbf+ADw-html+AD4-", "text"),
        (b"\x1a\x1b\x07\x0b\x0c", "text"),
        (b"\x0e", ""),
    ],
)
def test_charset_tricks(head: bytes, type_id: str) -> None:
    assert text_type(head) == type_id


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"x +ADw-html+AD4-", ("html",)),
        ("xx <svg>".encode("utf-16"), ("html",)),
        ("hello\n-----BEGIN CMS-----".encode("utf-16-le"), ("p7m",)),
        (b"\xef\xbb\xbfx <IFRAME src=x>", ("html",)),
        (b"x </body >", ("html",)),
        (b"x <p><a>", ()),
        (b"x\n-----begin pgp message-----\n<script>", ("pgp-message", "html")),
    ],
)
def test_later_marks_in_another_charset(head: bytes, expected: tuple[str, ...]) -> None:
    assert later_marks(head) == expected


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("lines", "type_id"),
    [
        ("From: a|>From b c|To: d||x", "message"),  # an mbox line among the fields
        (">From b c|From: a|>From d e|To: d||x", "mbox"),
        ("From: a| folded|To: d||x", "message"),
        (" folded|From: a|To: d||x", "text"),
        ("From: a|junk|To: d||x", "text"),
        ("From: a||To: d||x", "text"),
        ("From a@b 10:11|To: d||x", "mbox"),  # a time of day
        ("From a@b|To: d||x", "text"),
        ("From a@b|To: d|Cc: d||x", "mbox"),
        ("Content-Type: multipart/related|MIME-Version: 1.0||x", "mht"),
        ("Content-Type: multipart/related|MIME-Version: 1.0|To: a||x", "message"),
        ("Content-Type: text/html|X-MimeOLE: x|MIME-Version: 1.0||x", "mht"),
    ],
)
def test_headers(lines: str, type_id: str, end: str) -> None:
    assert text_type(lines.replace("|", end).encode()) == type_id
