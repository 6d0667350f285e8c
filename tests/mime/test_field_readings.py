"""Header blocks: what other readers see.  tests/mime/test_fields.py compares with the judge of the evasion corpus."""

from __future__ import annotations

import pytest

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
