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
