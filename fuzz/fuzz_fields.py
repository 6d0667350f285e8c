"""Header blocks: never raise, spans nest and lie inside, other readings stay bounded."""

from __future__ import annotations

from lazaretto.limits import Limits
from lazaretto.mime import field_readings, fields
from lazaretto.mime.source import Source

SEEDS: list[bytes] = [
    b'From: a@b\r\nSubject: x\r\n\ty\r\nContent-Type: multipart/mixed;\r\n boundary="foo"\r\n\r\nbody\r\n\r\nmore',
    b"From x@y\r\n\r\n\xef\xbb\xbfA : b\r\nContent-Type (x):: a/b\r\n \r\nContent-Transfer-Encoding base64\r\n\r\nbody",
    b"A: b\r\rContent-Disposition\0: x\r\r\n\r\r\nbody",
    b"DKIM-Signature: h=from:\r\n\tcontent-type:date\nboundary=foo\njunk\n\n",
    b"\r\nContent-Type: a/b\r\n\r\nContent-Type: c/d\r\n\r\n",
]
LIMITS = Limits(max_header_bytes=2048, max_header_fields=20)


def target(data: bytes) -> None:
    source = Source(data)
    for start, stop in ((0, len(data)), (len(data) // 3, len(data) // 3 * 2)):
        header = fields.read_header(source, start, stop, LIMITS)
        assert start <= header.span.start <= header.span.stop <= header.body_start <= stop
        assert len(header.fields) <= LIMITS.max_header_fields + fields.LATE_FIELDS
        at = header.span.start
        for field in header.fields:
            assert at <= field.span.start < field.span.stop <= header.span.stop
            assert field.name == field.name.lower()
            assert field.value in source.span(field.span)
            at = field.span.stop
        splits = field_readings.other_splits(source, start, stop, LIMITS)
        assert len(splits) <= field_readings.MAX_OTHER_SPLITS
        for span, body in splits:
            assert start <= span.start <= span.stop <= body <= stop
            assert body != header.body_start
        others = field_readings.other_fields(source, start, stop, LIMITS)
        assert len(others) <= field_readings.MAX_OTHER_FIELDS
