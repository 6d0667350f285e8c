"""Bytes as text: what is shown, and what else there might be to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.sanitize.html_charset import MAX_READINGS, Reading, keeps_ascii, lookup, readings


def all_of(data: bytes, *declared: str) -> dict[str, str]:
    return {reading.label: reading.text for reading in readings(data, declared)}


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (b"abc", (), "abc"),
        ("ü".encode(), (), "ü"),
        ("ü".encode(), ("utf-8",), "ü"),
        (b"\xfc", (), "ü"),
        (b"\x80", ("iso-8859-1",), "€"),  # as browsers read it
        (b"\xfc", ("utf-8",), "\ufffd"),
        ("ü".encode(), ("iso-8859-1",), "Ã¼"),
        (b"<meta charset=iso-8859-7>\xe1", (), "<meta charset=iso-8859-7>α"),
        (b"<meta charset=iso-8859-7>\xe1", ("iso-8859-1",), "<meta charset=iso-8859-7>á"),
        (
            b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>\xc1",
            (),
            "<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>а",
        ),
        (b"\xef\xbb\xbf\xc3\xbc", ("iso-8859-1",), "ü"),
        (b"\xff\xfeh\0i\0", ("utf-8",), "hi"),
        (b"\xfe\xff\0h\0i", (), "hi"),
        ("hi there".encode("utf-16-le"), (), "hi there"),
        ("hi there".encode("utf-16-be"), ("utf-16",), "hi there"),
        (b"hi there", ("utf-16",), "hi there"),  # it is none, whatever is said
        ("日".encode("shift_jis"), ("shift_jis",), "日"),
        ("日".encode("gbk"), ("gb2312",), "日"),
        (b"h\0i", (), "hi"),
        (b"abc", ("x-unknown",), "abc"),
        (b"abc", ("rot13", "hex", "idna", ""), "abc"),
        (b"+AGEAYg-", ("utf-7",), "ab"),
    ],
)
def test_what_is_shown(data: bytes, declared: tuple[str, ...], text: str) -> None:
    assert next(readings(data, declared)) == Reading("", text)


@pytest.mark.parametrize(
    ("data", "declared", "label", "text"),
    [
        (b"+ADw-p+AD4-", ("utf-8",), "utf-7", "<p>"),
        (b"<meta charset=utf-7>+ADw-p+AD4-", ("utf-8",), "utf-7", "<meta charset=utf-7><p>"),
        (b"\xc0\xbcp\xc0\xbe", ("utf-8",), "overlong", "<p>"),
        (b"\xe0\x80\xbcp\xf0\x80\x80\xbe", ("utf-8",), "overlong", "<p>"),
        (b"\xbcp\xbe", ("us-ascii",), "seven-bit", "<p>"),
        (b"a='\xe0'b", ("utf-8",), "swallowed", "a='?b"),
        (b"~{<:~}", ("utf-8",), "hz", "己"),
        (b"\x1b$B<:\x1b(B", ("utf-8",), "iso-2022-jp", "失"),
        (b"\x81\x40", ("utf-8", "shift_jis"), "cp932", "\u3000"),
        (b"\x81\x40", ("shift_jis",), "cp1252", "\ufffd@"),
        ("<p>hello".encode("utf-16-le"), ("iso-8859-7",), "utf-16-le", "<p>hello"),
    ],
)
def test_what_else_there_might_be(data: bytes, declared: tuple[str, ...], label: str, text: str) -> None:
    found = all_of(data, *declared)
    assert found[label] == text


@pytest.mark.parametrize(
    "data",
    [
        "Grüße".encode(),
        b"plain",
        b"+49 30 1234567",
        b"a+b=c 1+1",
        b"<img src='data:image/png;base64,+ADw+AD4+ACI/AAA='>",
        "日本語、<b>".encode(),
    ],
)
def test_honest_text_is_read_once(data: bytes) -> None:
    assert list(all_of(data, "utf-8")) == [""]
    assert list(all_of(data, "utf-8", "iso-8859-1")) == [""]


def test_readings_have_an_end() -> None:
    names = (
        "big5",
        "gb18030",
        "shift_jis",
        "euc-kr",
        "cp949",
        "johab",
        "hz",
        "utf-16",
        "utf-32",
        "cp037",
        "cp500",
        "cp1140",
        "iso-2022-jp",
        "iso-2022-kr",
        "utf-7",
    )
    found = list(readings(b"+ADw-\x1b~{\xc0\xbc'\xe0'", names))
    assert MAX_READINGS <= len(found) <= MAX_READINGS + 6


def test_keeps_ascii() -> None:
    assert all(
        map(keeps_ascii, ("utf-8", "us-ascii", "iso-8859-1", "shift_jis", "gb2312", "big5", "iso-2022-jp", "utf-7", "hz", "x-unknown", ""))
    )
    assert not any(map(keeps_ascii, ("utf-16", "UTF-16LE", "utf-32", "cp037", "cp500")))


def test_lookup() -> None:
    assert [lookup(name) for name in ("unicode_escape", "raw-unicode-escape", "idna", "punycode", "rot13", "zlib", "undefined")] == [""] * 7
    assert [lookup(name) for name in ("Latin1", "US-ASCII", '"utf-8"', "GB2312", "nonsense", "base64", "unicode")] == [
        "cp1252", "cp1252", "utf-8", "gb18030", "", "", "utf-16-le",
    ]  # fmt: skip


@given(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(["utf-8", "utf-7", "hz", "utf-16", "utf-32", "shift_jis", "cp037", "euc-jp", "x", "punycode", "unicode_escape"])
    ),
)
def test_any_bytes(data: bytes, declared: list[str]) -> None:
    found = list(readings(data, declared))
    assert found[0].label == ""
    assert len({reading.label for reading in found}) == len(found)
    assert not any("\0" in reading.text for reading in found)
