"""The notice for a part: what it tells, and by which digest it is known again."""

from __future__ import annotations

import scanners
from lazaretto.mime import scanner, transfer, tree
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Kind
from lazaretto.scan import noticing

MESSAGE = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: x/y; name=a.exe\r\n\r\nx\r\n--b--\r\n"
EVIL = (Finding("yara", Kind.MALWARE, "Evil", (1,)),)
TOLD = noticing.Told(1_782_900_000.0, "policy.malware", "S1", "Q1", "mx.example.org")


def test_it_tells_and_is_known_again() -> None:
    root = scanner.parse(Source(MESSAGE))
    part = tree.find(root, (1,))
    assert part is not None
    saved = [f"/var/saved/att-{number}" for number in range(7)]
    text = noticing.make(scanners.template(), TOLD, part, EVIL, saved, b"\r\n", False)
    for word in (b"a.exe", b"Evil", b"Q1", b"att-0, att-1", b"att-4", b"filename="):
        assert word in text
    assert b"att-5" not in text
    source = Source(text)
    read = scanner.parse(source)
    content = b"".join(transfer.decode(source, read.body, read.encoding))
    assert {Source(content).digest(), Source(content.removesuffix(b"\r\n")).digest()} == noticing.digests(text, b"\r\n")


def test_of_a_whole_message_it_has_no_name() -> None:
    root = scanner.parse(Source(MESSAGE))
    assert b"filename" not in noticing.make(scanners.template(), TOLD, root, EVIL, (), b"\n", True)


def test_what_it_is_about() -> None:
    root = scanner.parse(Source(MESSAGE))
    part = tree.find(root, (1,))
    assert part is not None
    odd, here, there = (
        Finding("x", kind, "n", path) for kind, path in ((Kind.MALFORMED, (1,)), (Kind.BANNED, (1, 2)), (Kind.ACTIVE, (2,)))
    )
    assert noticing.about(part, (odd, here, there)) == (here,)
    assert noticing.about(part, (odd, there)) == (there,)
    assert noticing.about(root, (odd, here, there)) == (here, there)
