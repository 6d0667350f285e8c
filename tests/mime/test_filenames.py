"""Names of attachments."""

from __future__ import annotations

import pytest

from lazaretto.mime import filenames


def test_usual_client_first() -> None:
    found = filenames.names([b"a/b; name=type.txt"], [b"attachment; filename=disposition.txt"], ["begin.txt"])
    assert found == ("disposition.txt", "type.txt", "begin.txt")


def test_wrong_keys_count_too() -> None:
    assert filenames.names([b"a/b; filename=a"], [b"attachment; name=b"]) == ("b", "a")


def test_no_names() -> None:
    assert filenames.names([b"text/plain"], [b"inline"]) == ()
    assert filenames.names([], []) == ()
    assert filenames.names([b'a/b; name=""'], []) == ()


@pytest.mark.parametrize(
    "disposition",
    [
        b"attachment; filename=a.js",
        b'attachment; FILENAME = "a.js"',
        b"attachment; filename=a.txt; filename=a.js",
        b"attachment; filename*=utf-8''a.txt; filename=a.js",
        b"attachment; filename*=utf-8''%3D%3Futf-8%3FQ%3Fa%2Ejs%3F%3D",
        b'attachment; filename="=?us-ascii?B?YS5qcw==?="',
        b'attachment; filename="a.=?utf-8?Q?js?="',
        b'attachment; filename="=?utf-8?Q?a=2E?= =?utf-8?Q?js?="',
        b'attachment; filename="=?utf-16be?B?AGEALgBqAHM=?="',
        b'attachment; filename="=?utf-7?Q?a+AC4-js?="',
        b"attachment; filename*=utf-16le''a%00.%00j%00s%00",
        b"attachment; filename*0*=utf-8''a%2; filename*1*=Ej; filename*2=s",
        b"attachment; filename*1=js; filename*0=a.",
        b"attachment; filename*1=a.; filename*2=js",
        b"attachment; filename=a.(x)js",
        b"attachment; filename=(x)a.js",
        b"attachment; (filename=a.js)",
        b"attachment; filename=\r\n a.js",
        b"attachment, filename=a.js",
        b'attachment; filename="a.js"x',
        b'attachment; filename="a.js',
        b"attachment; filename='a.js'",
        b"attachment; filename=a.js\0.txt",
        b"attachment; filename*=utf-8''a.js%00.txt",
        b"attachment; file\0name=a.js",
        b'attachment; x="; filename=a.js"',
    ],
)
def test_every_disguise_is_seen_through(disposition: bytes) -> None:
    assert "a.js" in filenames.names([b"application/octet-stream; name=a.txt"], [disposition])


def test_hostile_names_stay_as_they_are() -> None:
    """Judging them is the policy's business."""
    for name in ("C:\\temp\\a.js", "../../a.js", "a.js::$DATA", "invoice_\u202etxt.js", "a.j\u200bs", "a.js. "):
        quoted = name.replace("\\", "\\\\")
        assert filenames.names([], [f'attachment; filename="{quoted}"'.encode()])[0] == name


def test_bounded_and_fair() -> None:
    hostile = b"attachment" + b"".join(b"; filename=%d.txt" % n for n in range(200))
    found = filenames.names([b"a/b; name=a.js"], [hostile] * 20)
    assert len(found) <= filenames.MAX_NAMES
    assert "a.js" in found[:2]


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("text/javascript", "untitled.js"),
        (" Application/HTA ", "untitled.hta"),
        ("application/x-msdownload", "untitled.exe"),
        ("text/vbscript", "untitled.vbs"),
        ("text/plain", ""),
        ("", ""),
    ],
)
def test_implied_name(media_type: str, name: str) -> None:
    assert filenames.implied_name(media_type) == name
