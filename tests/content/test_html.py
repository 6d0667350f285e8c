"""content.html: smuggled files, and text that hides from rules."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import members, reaches
from eicar import EICAR
from lazaretto.content import html
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.mime.source import CHUNK

B64 = base64.b64encode(EICAR)
SMUGGLE = b'<html><body><script>var b="%s";var s=atob(b);l.download="eicar.com";l.click();</script></body></html>' % B64
PAGES = {
    "script": SMUGGLE,
    "link": b'<a download=eicar.com href="data:application/octet-stream;base64,%s">open</a>' % B64,
    "concatenated": b"<script>b='%s'</script>" % b"'+'".join(B64[at : at + 9] for at in range(0, len(B64), 9)),
    "utf-16-le": b"\xff\xfe" + SMUGGLE.decode().encode("utf-16-le"),
    "utf-16-be": b"\xfe\xff" + SMUGGLE.decode().encode("utf-16-be"),
    "utf-16 without mark": SMUGGLE.decode().encode("utf-16-le"),
    "utf-7": SMUGGLE.replace(b"<", b"+ADw-").replace(b">", b"+AD4-").replace(b"=", b"+AD0-").replace(b'"', b"+ACI-"),
    "nul": SMUGGLE.replace(b"script", b"scr\0ipt").replace(B64, b"\0".join(B64[at : at + 20] for at in range(0, len(B64), 20))),
    "entities": b'<iframe src="&#100;at&#x61;&colon;text/html;base64,%s">' % B64,
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script><![CDATA[var b="%s"]]></script></svg>' % B64,
    **{
        f"blanks as {entity.decode()}": b'<a href="data:text/plain;base64,%s">'
        % entity.join(B64[at : at + 20] for at in range(0, len(B64), 20))
        for entity in (b"&#10;", b"&#9;", b"&#13;", b"&#32;", b"&#x9;", b"&#xA;", b"&#12;", b"&NewLine;", b"&#00010;")
    },
    "letters with zeros": b'<a href="data:text/plain;base64,%s">' % b"".join(b"&#%010d;" % letter for letter in B64),
    "letters with zeros, hexadecimal": b'<a href="data:text/plain;base64,%s">' % b"".join(b"&#x%09x;" % letter for letter in B64),
    "utf-7 by an old name": b"<meta charset=unicode-2-0-utf-7>+" + base64.b64encode(SMUGGLE.decode().encode("utf-16-be")).rstrip(b"="),
    "utf-7 by IANA's alias": b"<meta charset=csUnicode11UTF7>+" + base64.b64encode(SMUGGLE.decode().encode("utf-16-be")).rstrip(b"="),
    "attribute": b"<div data-x='%s'></div>" % B64,
}


@pytest.mark.parametrize("name", PAGES)
def test_payload_is_reached(name: str) -> None:
    assert reaches(PAGES[name], EICAR, "svg" if name == "svg" else "html")
    assert reaches(PAGES[name] + b"\r\ntrailing\r\n", EICAR, "html")


@pytest.mark.parametrize("name", PAGES)
def test_payload_in_a_page_taken_for_text(name: str) -> None:
    assert reaches(PAGES[name], EICAR, "text") or name == "attribute"


def test_download_names() -> None:
    found = [m for m in members("html", PAGES["link"]) if m.data == EICAR]
    assert [(m.names, m.is_file, m.media_type) for m in found] == [(("eicar.com",), True, "application/octet-stream")]
    found = [m for m in members("html", SMUGGLE) if m.data == EICAR]
    assert [(m.names, m.is_file) for m in found] == [(("eicar.com",), True)]
    (picture,) = members("html", b'<img src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ">')
    assert (picture.names, picture.is_file) == ((), False)


@pytest.mark.parametrize(
    "call", [b'navigator.msSaveOrOpenBlob(blob, "a.exe")', b"saveAs(x,'a.exe')", b'a.setAttribute("download","a.exe")']
)
def test_names_in_calls(call: bytes) -> None:
    (found,) = members("html", b"<script>x='%s';%s</script>" % (B64, call))
    assert found.names == ("a.exe",)


def test_plain_page_gives_nothing() -> None:
    page = b"<html><body><p>Price: 5+-3 &amp; &nbsp;&#8217;&#39; <a href='https://a.example/?x=%s'>x</a></body></html>" % (b"Zm9vYmFy" * 9)
    assert [m for m in members("html", page.replace(b"+-", b"")) if m] == []


def test_normalised_text() -> None:
    (text,) = members("html", "<p>ü</p>".encode("utf-16"))
    assert (text.data.lstrip(b"\xef\xbb\xbf"), text.is_file, text.media_type) == ("<p>ü</p>".encode(), False, "text/html")
    (text,) = members("html", b"<a href='&#106;ava&Tab;script&colon;x'>&lt;&#60;")
    assert text.data == b"<a href='java\tscript:x'>&lt;&#60;"


def test_base64_is_not_taken_for_utf7() -> None:
    page = b'<img src="data:image/png;base64,' + b"AB+ADwAcx+A+AD4/" * 500 + b'">'
    assert [member.names for member in members("html", page)] == [()]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", ""),
        (b"a\0", ""),
        (b"<\0h\0", "utf-16-le"),
        (b"\0<\0h", "utf-16-be"),
        (b"plain", ""),
        (b"\0\0\0\0\0\0", ""),
        (b"\xff\xfe", "utf-16-le"),
    ],
)
def test_utf16(head: bytes, expected: str) -> None:
    assert html.utf16(head) == expected


def test_members_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("html", b'"data:,x"' * 9, Limits(max_members=5))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"<script>", b"&#", b"x41", b";", b"+ADw-", b"\0", b"data:", b",", b'"', b"download=", B64, b"\xff\xfe"]),
        max_size=15,
    )
)
def test_never_raises(parts: list[bytes]) -> None:
    for type_id in ("html", "text", "xml", "hta"):
        members(type_id, b"".join(parts))


def test_contains() -> None:
    assert html.contains(b"x <ScRiPt>", (b"<script",))
    assert not html.contains(b"x", (b"<script",))
    assert html.contains(b"x" * (CHUNK - 3) + b"<SCRIPT>", (b"<script",))


# -- the text itself, exactly


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"+ADw-script+AD4-", b"<script>"),
        (b"+AD4APA-", b"><"),
        (b"+ADwAcwBjAHIAaQBwAHQAPg-", b"<script>"),
        (b"+ACIAPg- +ACcAPg-", b'">' + b" '>"),
        (b"<+AGE- x>", b"<a x>"),
        (b"1+-1=2", b"1+1=2"),
        (b"<meta charset=utf-7>+ADwAYQA+-", b"<meta charset=utf-8><a>"),  # what it says is not true any more
        (b"<meta charset='x-unicode-1-1-utf-7'>+AGE-", b"<meta charset=utf-8'>a"),
        (b'<META CHARSET = " UTF7">x+AGE-y', b'<META charset=utf-8">xay'),
        (b"<meta charset=utf-7>+ADw a+AD4 b", b"<meta charset=utf-8>< a> b"),  # declared: a shift may end without a hyphen
        (b"\xef\xbb\xbf<meta charset=utf-7>\xff+AD4-", b"<meta charset=utf-8>>"),  # what is no UTF-7 is dropped
        (b"<meta charset=utf-7>plain", b"<meta charset=utf-8>plain"),
        (b"+ADw-" + b"x" * CHUNK + b"+AD4-", b"<" + b"x" * CHUNK + b">"),
        (b"+ADw-" + b"x" * (CHUNK - 8) + b"+AGEAYg-", b"<" + b"x" * (CHUNK - 8) + b"ab"),  # a shift across chunks
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_utf7(page: bytes, text: bytes) -> None:
    found = [member for member in members("html", page) if member.names == ("utf-7",)]
    assert [(member.data, member.is_file, member.media_type) for member in found] == [(text, False, "text/html")]
    assert [member for member in members("html", text) if member.names == ("utf-7",)] == []  # nothing is decoded for ever


@pytest.mark.parametrize(
    "page",
    [
        b"plain",
        b"+ADw",
        b"+AGEAYg",
        b"a+-(b)",
        b"+AEE-",  # any word of base64 might be one
        b"a + b - c",
        b"+ADw" + b"A" * 70 + b"-",
        b"<meta charset=utf-8>+ADw",
        b"x" * html.HEAD + b"charset=utf-7",
    ],
)
def test_no_utf7(page: bytes) -> None:
    assert [member.names for member in members("html", page) if member.names == ("utf-7",)] == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("\ufeff<p>\u00fc".encode("utf-16-le"), "<p>\u00fc".encode()),
        ("\ufeff<p>\u00fc".encode("utf-16-be"), "<p>\u00fc".encode()),
        ("<p>hello".encode("utf-16-le"), b"<p>hello"),
        ("<p>hello".encode("utf-16-be"), b"<p>hello"),
        ("<p>hello".encode("utf-16-le") + b"x", b"<p>hello"),  # half a character
        ("\ufeff<meta charset=utf-7>x".encode("utf-16-le"), b"<meta charset=utf-8>x"),
        (b"\xff\xfe" + "\U0001f4a9".encode("utf-16-le"), "\U0001f4a9".encode()),
        (b"\xff\xfe<\0\0\xd8>\0", b"<>"),  # half a pair
        ("<p>".encode("utf-16-le") * CHUNK, b"<p>" * CHUNK),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_utf16_as_utf8(page: bytes, text: bytes) -> None:
    (found,) = members("html", page)
    assert (found.names, found.data, found.is_file, found.media_type) == (("utf-8",), text, False, "text/html")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"&#65;&#x42;&#X43;&#0068;&#x0045;", b"ABCDE"),
        (b"&#65x&#66&#67", b"AxBC"),  # the semicolon may be missing
        (b"&colon;&comma;&sol;&plus;&equals;&semi;&Tab;&NewLine;", b":,/+=;\t\n"),
        (b"&#65;&colon", b"A&colon"),  # there it may not
        (b"&#65;&#60;&#x3e;&#34;&#39;&#38;&lt;&quot;", b"A&#60;&#x3e;&#34;&#39;&#38;&lt;&quot;"),  # markup stays what it is
        (b"&#65;&#1;&#127;&#300;&#x41414141;", b"A&#1;&#127;&#300;&#x41414141;"),
        (b"x" * CHUNK + b"&#65;" + b"y" * CHUNK, b"x" * CHUNK + b"A" + b"y" * CHUNK),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_entities(page: bytes, text: bytes) -> None:
    found = [member for member in members("html", page) if member.names == ("entities",)]
    assert [(member.data, member.is_file, member.media_type) for member in found] == [(text, False, "text/html")]


@pytest.mark.parametrize("page", [b"&", b"&amp;&#38;&nbsp;&#8217;", b"&#;&#x;&#xG;", b"&colon &tab;"])
def test_no_entities(page: bytes) -> None:
    assert members("html", page) == []


def test_nul() -> None:
    (found,) = members("html", b"<scr\0ipt>\0" + b"x" * 9)
    assert (found.names, found.data, found.is_file, found.media_type) == (("without-nul",), b"<script>" + b"x" * 9, False, "text/html")


def test_one_text_may_hide_in_several_ways() -> None:
    found = members("html", b"\0+ADw-&#65;")
    assert [(member.names, member.data) for member in found] == [
        (("without-nul",), b"+ADw-&#65;"),
        (("utf-7",), b"\0<&#65;"),
        (("entities",), b"\0+ADw-A"),
    ]


def test_names_to_save_under() -> None:
    calls = b"".join(b'<a download="%d.exe">' % number for number in range(9))
    assert html._names(calls) == ("0.exe", "1.exe", "2.exe", "3.exe")
    assert len(html._names(calls)) == html.MAX_NAMES
    assert html._names(b"a.download = 'x.js'; a.download=\"x.js\"") == ("x.js",)
    assert html._names(b"downloads = 'x.js'") == ()
