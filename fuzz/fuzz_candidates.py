"""Names for the lists: bounded, never empty, and judged without an exception."""

from __future__ import annotations

import time

from lazaretto.content.candidates import MAX_CANDIDATES, MAX_LENGTH, candidates, expressions, matches_all, search
from lazaretto.content.sniff import sniff
from lazaretto.engines.base import ScanContext
from lazaretto.engines.lists import Lists
from lazaretto.mime.source import Source
from lazaretto.model import Item

# name, NUL NUL, name, NUL NUL, ... and after an empty one the content
SEEDS: list[bytes] = [
    b"a.js::$DATA\0\0a.png\0\0\0\0\x89PNG\r\n\x1a\n",
    b"C:\\temp\\..\\a.exe. . \0\0\0\0MZ\x90\0\x03",
    "invoice_\u202efdp.\u200bexe".encode() + b"\0\0\0\0<html><body>",
    b"=?utf-8?Q?a=2Ehtml?=\0\0\0\0hello",
    b"\n\0\0\0\0GIF89a",
    b"a\0b%2etxt\0\0\0\0II*\0",
]
_TYPES = ("", "text/plain", "text/html", "image/png", "application/x-msdownload", "message/rfc822", "application/octet-stream")
_LISTS = Lists("lists", expressions([r"\.exe$"]), expressions([r"^filetype\.(wmf|js)$"]))
_EVERYTHING = expressions([".*"])


def target(data: bytes) -> None:
    *raw, content = data.split(b"\0\0", 8)
    names = tuple(name.decode("utf-8", "surrogateescape") for name in raw if name)
    source = Source(content)
    for media_type in _TYPES:
        item = Item((1,), ("1",), names, media_type, source, sniff(source))
        found = candidates(item)
        assert found.complete == (len(found.names) <= MAX_CANDIDATES)
        assert all(0 < len(name) <= MAX_LENGTH for name in found.names)
        assert set(found.given) <= set(found.names)
        assert not found.names or search(_EVERYTHING, found.names)
        findings = _LISTS.scan(item, ScanContext(time.monotonic() + 60))
        assert len(findings) <= 1
        assert all(finding.detail.isprintable() and finding.detail for finding in findings)
        if any(name.endswith(".exe") for name in found.given):
            assert findings[0].name == "name.banlist"
    matches_all(data.decode("latin-1")[:200])
