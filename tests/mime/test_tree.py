"""Walking the tree."""

from __future__ import annotations

from lazaretto.mime import tree
from lazaretto.mime.scanner import parse
from lazaretto.mime.source import Source

NESTED = (
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\n\r\none\r\n"
    b"--a\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ntwo\r\n--i--\r\n--a--\r\nepilogue\r\n"
)


def test_parents_come_before_children() -> None:
    assert [part.path for part in tree.walk(parse(Source(NESTED)))] == [(), (1,), (2,), (2, 1)]


def test_find() -> None:
    root = parse(Source(NESTED))
    found = tree.find(root, (2, 1))
    assert found is not None
    assert NESTED[found.body.start : found.body.stop] == b"two"
    assert tree.find(root, (9,)) is None


def test_owner_is_the_innermost_part() -> None:
    root = parse(Source(NESTED))
    for text, path in ((b"preamble", ()), (b"one", (1,)), (b"two", (2, 1)), (b"epilogue", ()), (b"boundary=i", (2,))):
        assert tree.owner(root, NESTED.index(text)).path == path


def test_ancestors() -> None:
    root = parse(Source(NESTED))
    assert [part.path for part in tree.ancestors(root, (2, 1))] == [(), (2,)]
