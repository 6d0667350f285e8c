"""What is kept of a part: decoded, and under which name."""

from __future__ import annotations

from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Path, Span, Treatment
from lazaretto.sanitize.blocks import Block
from lazaretto.scan import saving

MESSAGE = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: x/y; name=a.exe\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"cGF5bG9hZA==\r\n--b\r\n\r\nbegin 644 b.exe\r\n'<&%Y;&]A9```\r\n`\r\nend\r\n--b--\r\n"
)


def kept(path: Path, *blocks: Block) -> list[tuple[Path, str, bytes]]:
    source = Source(MESSAGE)
    return [(key, name, b"".join(chunks)) for key, name, chunks in saving.contents(source, scanner.parse(source), path, blocks)]


def test_a_part() -> None:
    assert kept((1,)) == [((1,), "a.exe", b"payload")]
    assert kept((2,))[0][1] == "unnamed"


def test_the_message() -> None:
    assert kept(()) == [((), "message.eml", MESSAGE)]


def test_files_in_a_text() -> None:
    span = Span(MESSAGE.index(b"begin"), MESSAGE.index(b"\r\n--b--"))
    assert kept((2,), Block(span, "b.exe", Treatment.REPLACE)) == [((2, -1), "b.exe", b"payload")]
    assert kept((2,), Block(span, "", Treatment.REPLACE))[0][1] == "unnamed"
    assert kept((2,), Block(span, "b.exe", Treatment.DEFANG)) == []  # it stays where it is
