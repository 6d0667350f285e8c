"""Files encoded in a text: only their lines change."""

from __future__ import annotations

import pytest

from lazaretto.mime import scanner
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Span, Treatment
from lazaretto.sanitize import blocks
from lazaretto.sanitize.blocks import Block
from lazaretto.sanitize.renaming import Renaming

TEXT = b"before\nbegin 644 foo.exe\n#0V%T\n`\nend\nafter\n"
START, STOP = TEXT.index(b"begin"), TEXT.index(b"after")
NOTICE = b"Content-Transfer-Encoding: 7bit\n\ngone\nfor good\n"


def block(treatment: Treatment, stop: int = STOP, name: str = "foo.exe") -> Block:
    return Block(Span(START, stop), name, treatment)


def test_a_notice_stands_there() -> None:
    source = Source(TEXT)
    edit = blocks.replaced(source, block(Treatment.REPLACE), NOTICE, b"\n")
    assert b"".join(render(source, [edit])) == b"before\ngone\nfor good\nafter\n"
    edit = blocks.replaced(source, block(Treatment.REPLACE, STOP - 1), NOTICE, b"\n")  # the last line end is the delimiter's
    assert b"".join(render(source, [edit])) == b"before\ngone\nfor good\nafter\n"


def test_what_is_not_ascii_cannot_stand_there() -> None:
    source = Source(TEXT)
    edit = blocks.replaced(source, block(Treatment.REPLACE), b"Content-Transfer-Encoding: quoted-printable\n\n=C3=BC\n", b"\n")
    assert b"".join(render(source, [edit])) == b"before\n(A file was removed here.)\nafter\n"


@pytest.mark.parametrize(
    ("begin", "treatment", "named"),
    [
        (b"begin 644 foo.exe", Treatment.DEFANG, b"begin 644 foo_exe.X-3"),
        (b"begin 644 foo.exe", Treatment.MANGLE, b"begin 644 mangled.X-3"),
        (b"begin-base64 644  foo.exe", Treatment.DEFANG, b"begin-base64 644  foo_exe.X-3"),
        (b"begin 644", Treatment.DEFANG, b"begin 644"),
    ],
)
def test_another_name(begin: bytes, treatment: Treatment, named: bytes) -> None:
    source = Source(TEXT.replace(b"begin 644 foo.exe", begin))
    edits = blocks.renamed(source, block(treatment), Renaming(".X-$N"), 3)
    assert b"".join(render(source, edits)) == TEXT.replace(b"begin 644 foo.exe", named)


def test_what_the_notice_is_about() -> None:
    part = scanner.parse(Source(TEXT))
    assert blocks.part_of(part, block(Treatment.REPLACE)).names == ("foo.exe",)
    assert blocks.part_of(part, block(Treatment.REPLACE, name="")).names == ()
