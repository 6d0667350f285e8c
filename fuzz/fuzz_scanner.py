"""The reader: any bytes give a sound tree, and other readings end with leaves or a limit."""

from __future__ import annotations

from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT
from lazaretto.mime import readings, smuggling, tree
from lazaretto.mime.scanner import parse
from lazaretto.mime.source import Source
from lazaretto.model import Span

LIMITS = DEFAULT._replace(max_readings=300, max_reading_bytes=1 << 20, max_reading_factor=50)

SEEDS: list[bytes] = [
    (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n"
    ),
    b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: y\n\ntext\n--d--\n",
    b'Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/alternative; boundary="b b"\r\n\r\n--b b\r\n\r\nx\r\n--b b--\r\n',
    (
        b"From x Mon\r\nContent-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n"
        b"--z\r\rContent-Type: text/html\r\n\r\n<b>\0\r\n.\r\nMAIL FROM:<>\r\n"
    ),
    (
        b"content-type: multipart/mixed; boundary*0=a; boundary*1=b\r\n"
        b"content-transfer-encoding: quoted-printable\r\n\r\n--ab\r\n\r\n=41=\r\n\r\n--ab--"
    ),
]


def target(data: bytes) -> None:
    """Spans nest, every reading decodes, nothing else is raised."""
    source = Source(data)
    root = parse(source)
    for part in tree.walk(root):
        assert 0 <= part.header.start <= part.header.stop <= part.body.start <= part.body.stop <= len(data)
        for child in part.children:
            assert part.body.start <= child.header.start
            assert child.body.stop <= part.body.stop
            assert child.path[:-1] == part.path
    position = smuggling.attempt(source)
    assert position == -1 or data[position + 1 : position + 2] == b"."
    try:
        for reading in readings.explore(
            source, Span(0, len(data)), lambda chunks: Source(b"".join(chunks)), readings.Budget(LIMITS, len(data))
        ):
            for _ in reading.decode():
                pass
    except LimitExceeded:
        pass
