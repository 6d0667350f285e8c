"""content.calendar: iCalendar and vCard."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import members
from eicar import EICAR
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits

B64 = base64.b64encode(EICAR)


def fold(line: bytes, width: int = 40, end: bytes = b"\r\n ") -> bytes:
    return end.join(line[at : at + width] for at in range(0, len(line), width))


def event(line: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join((b"BEGIN:VCALENDAR", b"BEGIN:VEVENT", b"SUMMARY:Meet; at 10:00", line, b"END:VEVENT", b"END:VCALENDAR", b""))


def card(line: bytes) -> bytes:
    return b"\r\n".join((b"BEGIN:VCARD", b"VERSION:3.0", line, b"END:VCARD", b""))


ATTACH = b"ATTACH;FMTTYPE=application/x-foo;FILENAME=eicar.com;ENCODING=BASE64;VALUE=BINARY:" + B64


@pytest.mark.parametrize(
    "data",
    [
        event(ATTACH),
        event(fold(ATTACH)),
        event(fold(ATTACH, 7, b"\n\t"), b"\n"),
        event(fold(ATTACH, 9, b"\r "), b"\r"),
        event(ATTACH.replace(b"FILENAME=eicar.com", b'X-FILENAME="eicar.com"')),
        event(ATTACH.replace(b"ENCODING=BASE64;", b"")),
        event(ATTACH.lower().replace(B64.lower(), B64)),
        event(ATTACH.replace(b"application/x-foo", b'"application/x-foo:a;b"')),
        event(ATTACH)[: -len(b"END:VEVENT\r\nEND:VCALENDAR\r\n")],
        b"text before\r\n" + event(ATTACH) + b"text after",
    ],
    ids=["plain", "folded", "lf", "cr", "x-name", "value", "lower", "quoted", "cut", "in-text"],
)
def test_attachment(data: bytes) -> None:
    for type_id in ("ics", "text"):
        (found,) = [member for member in members(type_id, data) if member.is_file]
        assert (found.data, found.names) == (EICAR, ("eicar.com",))


@pytest.mark.parametrize(
    "line",
    [
        b"PHOTO;ENCODING=b;TYPE=JPEG:" + fold(B64, 30),
        b"PHOTO;JPEG;BASE64:\r\n " + fold(B64, 30),
        b"PHOTO;ENCODING=BASE64:" + fold(B64, 30, b"\r\n") + b"\r\n",  # vCard 2.1 without blanks
        b"item1.KEY;ENCODING=B:" + B64,
        b"PHOTO:data:image/jpeg;base64," + fold(B64, 30),
        b"PHOTO;VALUE=uri:" + fold(b"data:image/jpeg;base64," + B64, 10),
        b"PHOTO:data:text/plain," + fold(b"".join(b"%%%02X" % byte for byte in EICAR), 30),
    ],
)
def test_photo(line: bytes) -> None:
    assert [member.data for member in members("vcf", card(line))] == [EICAR]


def test_html_description() -> None:
    line = b"X-ALT-DESC;FMTTYPE=text/html:<p>a\\, b\\;\\n" + b"\r\n " + b"c</p>"
    (found,) = members("ics", event(line))
    assert (found.data, found.media_type, found.is_file) == (b"<p>a, b;\nc</p>", "text/html", False)


def test_ordinary_ones_give_nothing() -> None:
    assert members("ics", event(b"ATTACH:https://a.example/file;x=base64")) == []
    assert members("vcf", card(b"NOTE;CHARSET=utf-8:ENCODING=BASE64")) == []


def test_members_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("ics", event(b"\r\n".join([ATTACH] * 9)), Limits(max_members=5))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"ATTACH", b";", b":", b'"', b"ENCODING=BASE64", b"\r\n", b"\n ", b"\r", B64[:8], b"data:", b",", b"\0", b"=", b"."]
        ),
        max_size=20,
    )
)
def test_never_raises(parts: list[bytes]) -> None:
    members("ics", b"".join(parts))
    members("vcf", card(b"".join(parts)))
