"""What a part is called that keeps its content: the names and types are harmless, whatever they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import scanner, tree
from lazaretto.mime.source import Source
from lazaretto.model import Part
from lazaretto.sanitize.renaming import Renaming

ANOMY = Renaming(".DEFANGED-$N", "application/DEFANGED-$N", "BLACKLISTED", "DEFANGED-$N")


def part(*names: str) -> Part:
    root = scanner.parse(Source(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"))
    found = tree.find(root, (1,))
    assert found is not None
    return found._replace(names=names)


@pytest.mark.parametrize(
    ("names", "plain", "anomy"),
    [
        (("foo.exe",), b"foo_exe.txt", b"foo_exe.DEFANGED-7"),
        (("../a b.scr", "x"), b"a b_scr.txt", b"a b_scr.DEFANGED-7"),
        ((), b"attachment.txt", b"attachment.DEFANGED-7"),
        (("x.DEFANGED-7",), b"x_DEFANGED-7.txt", b"x.DEFANGED-7"),
        (('a";x="b.exe',), b"a__x=_b_exe.txt", b"a__x=_b_exe.DEFANGED-7"),
        (("r\u00e9sum\u00e9.exe",), b"r?sum?_exe.txt", b"r?sum?_exe.DEFANGED-7"),
    ],
)
def test_defanged(names: tuple[str, ...], plain: bytes, anomy: bytes) -> None:
    assert Renaming().fields(part(*names), 1) == {
        "content-type": b'Content-Type: application/octet-stream; name="' + plain + b'"',
        "content-disposition": b'Content-Disposition: attachment; filename="' + plain + b'"',
    }
    assert ANOMY.fields(part(*names), 7) == {
        "content-type": b'Content-Type: application/DEFANGED-7; name="' + anomy + b'"',
        "content-disposition": b'Content-Disposition: attachment; filename="' + anomy + b'"',
        "content-id": b"Content-ID: <DEFANGED-7>",
    }


def test_mangled() -> None:
    assert Renaming().fields(part("foo.exe"), 1, mangle=True)["content-type"].endswith(b'name="mangled.txt"')
    assert ANOMY.fields(part("foo.exe"), 2, mangle=True)["content-type"].endswith(b'name="BLACKLISTED.DEFANGED-2"')


@given(st.text(), st.booleans())
def test_nothing_of_a_name_is_syntax(name: str, mangle: bool) -> None:
    for field in ANOMY.fields(part(name), 1, mangle=mangle).values():
        assert field.isascii()
        assert field.count(b'"') in (0, 2)
        assert not {*field} & {*b"\r\n\0\\"}
        assert b".exe" not in field
