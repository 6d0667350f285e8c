"""Header blocks: what other readers see.  tests/mime/test_fields.py compares with the judge of the evasion corpus."""

from __future__ import annotations

import pytest

from lazaretto.limits import DEFAULT
from lazaretto.mime import field_readings, fields
from lazaretto.mime.source import Source
from lazaretto.model import Span


def other_fields(data: bytes) -> tuple[tuple[str, bytes], ...]:
    return field_readings.other_fields(Source(data), 0, len(data))


def splits(data: bytes) -> tuple[tuple[Span, int], ...]:
    return field_readings.other_splits(Source(data), 0, len(data))


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"A: b\r\n \r\nContent-Type: x\r\n\r\nbody", b"Content-Type: x\r\n\r\nbody"),  # blanks end the header
        (b"A: b\r\njunk\r\nC: d\r\n\r\nbody", b"junk\r\nC: d\r\n\r\nbody"),  # junk begins the body
        (b"A: b\r\rContent: d\r\n\r\nbody", b"Content: d\r\n\r\nbody"),  # CR CR
        (b"A: b\r\n\r\nContent-Type: x\r\n\r\nbody", b"body"),  # a reader that had no MIME field yet goes on
        (b"\r\nA: b\r\n\r\nbody", b"A: b\r\n\r\nbody"),  # an empty line is an empty header
        (b"A: b\r\nContent-Transfer-Encoding base64\r\n\r\nbody", b"Content-Transfer-Encoding base64\r\n\r\nbody"),
    ],
)
def test_other_splits(data: bytes, body: bytes) -> None:
    header = fields.read_header(Source(data), 0, len(data))
    bodies = [data[at:] for _, at in splits(data)]
    assert body in bodies
    assert data[header.body_start :] not in bodies


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Transfer-Encoding: base64",
        b"CONTENT-TRANSFER-ENCODING:base64",
        b"Content-Transfer-Encoding\0: base64",
        b"Content-Transfer-\0Encoding: base64",
        b"Content-Transfer-Encoding : base64",
        b"Content-Transfer-Encoding (x): base64",
        b"Content-Transfer-Encoding:: base64",
        b"Content-Transfer-Encoding base64",
        b"X: y\r\n Content-Transfer-Encoding: base64",
        b"X: y\rContent-Transfer-Encoding: base64",
        b"X: y\r\n \r\nContent-Transfer-Encoding: base64",
        b"junk\r\nContent-Transfer-Encoding: base64",
        b"\xef\xbb\xbfContent-Transfer-Encoding: base64",
        b"\x1aContent-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding:\r\n \r\n base64",
        b"Content-Transfer-Encoding:\r\r\n base64",
    ],
)
def test_other_fields(header: bytes) -> None:
    for data in (header, header + b"\r\nZ: z\r\n", b"A: b\r\n" + header + b"\r\n"):
        values = [value.replace(b"\0", b"").strip() for name, value in other_fields(data) if name == "content-transfer-encoding"]
        assert b"base64" in values


def test_unindented_parameters() -> None:
    data = b"Content-Type: multipart/mixed;\r\nboundary=foo\r\nSubject: x\r\n"
    assert ("content-type", b" multipart/mixed;\r\n boundary=foo") in other_fields(data)
    assert ("content-type", b" multipart/mixed;") in other_fields(data)


def test_other_fields_are_bounded() -> None:
    data = b"".join(b"Content-Type: a/%d\r\n" % n for n in range(1000))
    assert len(other_fields(data)) == field_readings.MAX_OTHER_FIELDS


def test_other_splits_are_bounded() -> None:
    assert len(splits(b" \r\n" * 50 + b"A: b\r\n \r\n" * 50)) <= field_readings.MAX_OTHER_SPLITS


# -- exactly which places, exactly which fields


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # (header, body) of every other place
        (b"A: b\r\n\r\nbody", []),
        (b"A: b\r\n\r\nC: d\r\n\r\nbody", []),  # an ordinary body may look like a field
        (b"", []),
        (b"A: b", []),
        (b"A: b\r\n \r\nC: d\r\n\r\nbody", [(b"A: b", b"C: d\r\n\r\nbody")]),
        (b"A: b\r\n\t\x0c \r\nbody", [(b"A: b", b"body"), (b"A: b\r\n\t\x0c \r\n", b"body")]),
        (b"A: b\r\njunk\r\nC: d\r\n\r\nbody", [(b"A: b\r\n", b"junk\r\nC: d\r\n\r\nbody")]),
        (b"A: b\n\x0b\nC: d\n\nbody", [(b"A: b", b"C: d\n\nbody"), (b"A: b\n", b"\x0b\nC: d\n\nbody")]),
        (b"\r\nA: b\r\n\r\nbody", [(b"", b"A: b\r\n\r\nbody")]),
        (b"\nA: b\n\nbody", [(b"", b"A: b\n\nbody")]),
        (b"\rA: b\n\nbody", [(b"", b"A: b\n\nbody")]),
        (b"From x y\r\n\r\nA: b\r\n\r\nbody", [(b"From x y", b"A: b\r\n\r\nbody")]),
        (
            b"\xef\xbb\xbf\r\n\r\nA: b\r\n\r\nbody",
            [(b"\xef\xbb\xbf", b"A: b\r\n\r\nbody"), (b"", b"\xef\xbb\xbf\r\n\r\nA: b\r\n\r\nbody")],
        ),
        (b"A: b\r\rC: d\r\rbody", [(b"A: b", b"C: d\r\rbody"), (b"A: b\r\rC: d\r\r", b"body")]),
    ],
)
def test_other_splits_exactly(data: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert [(data[header.start : header.stop], data[body:]) for header, body in splits(data)] == expected


def test_other_splits_are_places_in_the_source() -> None:
    alone, before = b"A: b\r\n \r\nC: d\r\n\r\nbody", b"A: z\r\n \r\n"
    found = field_readings.other_splits(Source(before + alone + b"more"), len(before), len(before) + len(alone))
    assert [(Span(h.start - len(before), h.stop - len(before)), at - len(before)) for h, at in found] == list(splits(alone))
    assert splits(alone) == ((Span(0, 4), 9),)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"Subject: Content-Type\r\nX-Content-Type: a/b\r\n", []),
        (b"MIME-Version: 1.0\r\nSubject: x", [("mime-version", b" 1.0")]),
        (b"Content-Type: a/b\r\n c\r\nX: y\r\n", [("content-type", b" a/b\r\n c")]),
        (b"Content-Type: a/b\r\n \r\n c=d\r\n", [("content-type", b" a/b\r\n c=d")]),  # blanks do not end it
        (b"Con\0tent-Type: a/b", [("content-type", b" a/b")]),
        (b"Content-Type\x0b:a/b", [("content-type", b"a/b")]),
        (b"Content-Type\x0c a/b", [("content-type", b"a/b")]),
        (b"Content-Type = a/b", [("content-type", b" a/b")]),
        (b"Content-Type; a/b", [("content-type", b" a/b")]),
        (b"Content-Type (c): a/b", [("content-type", b" a/b")]),
        (b"Content-Type:: a/b", [("content-type", b": a/b"), ("content-type", b"a/b")]),
        (b"X: y\rContent-Type: a/b\rZ: z", [("content-type", b" a/b")]),  # CR is a line end to the lenient one
        (b"Content-Type:\r\na/b\r\nX: y", [("content-type", b""), ("content-type", b"\r\n a/b")]),
        (b"Content-Type: a\r\njunk\r\n b\r\n", [("content-type", b" a"), ("content-type", b" a\r\n b")]),
        (b"Content-Type: a\r\nX: y\r\n b\r\n", [("content-type", b" a")]),  # the fold belongs to X
        (b"Content-Type: a;\r\nboundary*0*=x\r\n", [("content-type", b" a;"), ("content-type", b" a;\r\n boundary*0*=x")]),
        (b"Content-Type: a;\nboundary=x:y\n", [("content-type", b" a;"), ("content-type", b" a;\n boundary=x:y")]),
        (
            b"Content-Type: a;\r\nname=x\r\nContent-Id: 1\r\n",
            [("content-type", b" a;"), ("content-id", b" 1"), ("content-type", b" a;\r\n name=x")],
        ),
        (b" " * 64 + b"Content-Type: a", [("content-type", b" a")]),
        (b" " * 65 + b"Content-Type: a", []),
        (b"\x80\xff\x1aContent-Type: a", [("content-type", b" a")]),
        (b"x Content-Type: a", []),
        (b"Content-Typ\xe9: a", []),
    ],
)
def test_other_fields_exactly(data: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert list(other_fields(data)) == expected


def test_other_fields_keep_to_the_block_and_its_limit() -> None:
    data = b"Content-Id: 1\r\nContent-Type: a/b\r\nContent-Language: c\r\n"
    first, second = data.index(b"Content-Type"), data.index(b"Content-Language")
    assert field_readings.other_fields(Source(data), first, second) == (("content-type", b" a/b"),)
    assert field_readings.other_fields(Source(data), second, first) == ()
    assert field_readings.other_fields(Source(data), 0, len(data), DEFAULT._replace(max_header_bytes=first)) == (("content-id", b" 1"),)
