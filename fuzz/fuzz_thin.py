"""The thin client's reading of answers and arguments: one meaning or one line of complaint, never success by accident."""

from __future__ import annotations

import re

from lazaretto.frontends import thin

SEEDS = [
    b"0 812 unchanged",
    b"1 5 modified",
    b"4 0 Message refused",
    b"0 PONG",
    b"-f\0a@example.org\0-r\0b@example.org\0--connect=unix:/s",
    b"--timeout-s\05\0-rx\0--help",
]


def target(data: bytes) -> None:
    try:
        code, size, text = thin.reply(data)
        assert re.match(rb"%d 0*%d( |\Z)" % (code, size), data)
        assert text.isprintable()
    except thin.Trouble:
        assert not re.match(rb"[0-9] [0-9]{1,19}( |\Z)", data)
    try:
        settings, attributes = thin.parse([arg.decode("utf-8", "surrogateescape") for arg in data.split(b"\0")])
    except thin.Trouble:
        return
    assert set(settings) <= {"connect", "timeout_s", "help"}
    line = thin.request(1, attributes)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert len(line) <= thin.MAX_LINE or b" to=" not in line
