"""SMTP's content: no bytes in any pieces make an end of data where there is none, at a strict or a lenient receiver."""

from __future__ import annotations

import re

from lazaretto.wire.smtp_data import Stuffer, Unstuffer

SEEDS = [
    b"Subject: a\r\n\r\n.\r\n..b\r\n",
    b"a\n.\nMAIL FROM:<a@b>\r\n",
    b"a\r\n.\n\r.\r\n\r\n.\r\r\n\n.\r\n",
    b"\r\n\0.\r\n.\0\r\n\n\0\0.\0\n",
    b".",
    b"\r.\r\r\n.",
    b"",
]

_LINE_END = re.compile(rb"\r\n|\r|\n")


def _lenient_end(wire: bytes) -> int:
    start = 0
    for found in _LINE_END.finditer(wire):
        if wire[start : found.start()].replace(b"\0", b"") == b".":
            return found.end()
        start = found.end()
    return -1


def _ends_early(wire: bytes) -> bool:
    bare = wire.replace(b"\0", b"")
    return _lenient_end(wire) != len(wire) or _lenient_end(bare) != len(bare)


def _sizes(data: bytes) -> list[int]:
    """How to cut: fixed small pieces, and pieces that the data itself chooses."""
    least = len(data) // 8192 + 1  # so that long inputs take no longer than they must
    return [len(data) or 1, least, least + 2, data[0] % 61 + least if data else 2]


def _stuff(content: bytes, size: int) -> tuple[bytes, bool]:
    stuffer = Stuffer()
    wire = b"".join([stuffer.feed(content[i : i + size]) for i in range(0, len(content), size)])
    return wire + stuffer.finish(), stuffer.suspicious


def _unstuff(wire: bytes, size: int, end_of_data: str, stray: str) -> tuple[bytes, bytes, Unstuffer]:
    unstuffer = Unstuffer(end_of_data, stray)
    parts = []
    for i in range(0, len(wire), size):
        parts.append(unstuffer.feed(wire[i : i + size]))
        if unstuffer.ended:
            return b"".join(parts), unstuffer.rest + wire[i + size :], unstuffer
    raise AssertionError("no end of data")


def target(data: bytes) -> None:
    """Out and in again gives the same; in and out again is safe; pieces change nothing."""
    wire, suspicious = _stuff(data, len(data) or 1)
    assert not _ends_early(wire)
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3
    for size in _sizes(data):
        assert _stuff(data, size) == (wire, suspicious)
        content, rest, unstuffer = _unstuff(wire + b"REST", size, "reject", "pass")
        assert rest == b"REST"
        assert not unstuffer.suspicious
        if not suspicious:
            assert content == data + (b"" if not data or data.endswith(b"\r\n") else b"\r\n")

    raw = data + b"\r\n.\r\n"
    for end_of_data in ("reject", "normalise"):
        for stray in ("pass", "normalise"):
            content, rest, unstuffer = _unstuff(raw, len(raw), end_of_data, stray)
            used = raw[: len(raw) - len(rest)]
            marks = (unstuffer.suspicious, unstuffer.bare_cr, unstuffer.bare_lf, unstuffer.nul)
            assert (b"\r\n" + used).find(b"\r\n.\r\n") == len(used) - 3
            assert unstuffer.suspicious or not _ends_early(used)
            for size in _sizes(data)[1:]:
                again, rest_again, other = _unstuff(raw, size, end_of_data, stray)
                assert (again, rest_again) == (content, rest)
                assert (other.suspicious, other.bare_cr, other.bare_lf, other.nul) == marks
            sent, lone = _stuff(content, len(content) or 1)
            assert not _ends_early(sent)
            assert not lone or (unstuffer.suspicious and end_of_data == "reject")
            if stray == "normalise":
                assert b"\0" not in content
                assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
