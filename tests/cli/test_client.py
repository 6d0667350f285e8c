"""`lazaretto client`: the thin client by its long name.  What it does is tested in tests/frontends/test_thin.py."""

from __future__ import annotations

from pathlib import Path

import pytest

import programs
from lazaretto.cli import client
from lazaretto.frontends import thin
from scan_server import ANNOUNCED, HANG_UP, Asked, ScanServerDouble, answer

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("said", "status"),
    [(answer(0, "unchanged", ANNOUNCED + MESSAGE), 0), (answer(2, "no"), 75), (answer(4, "no"), 69), (answer(5, "no"), 99), (HANG_UP, 75)],
)
def test_the_command(said: bytes, status: int, tmp_path: Path) -> None:
    with ScanServerDouble(tmp_path / "s") as server:
        server.reply = lambda _: said
        done = programs.run(tmp_path, "client", "--connect", server.address, "-f", "a@b", "-r", "c@d", message=MESSAGE)
    assert done.returncode == status
    assert done.stdout == (ANNOUNCED + MESSAGE if status == 0 else b"")
    assert server.asked == [Asked(b"STREAM %d from=a@b to=c@d\n" % len(MESSAGE), [("from", b"a@b"), ("to", b"c@d")], MESSAGE)]


def test_a_wrong_option(tmp_path: Path) -> None:
    """Not 64 as other commands: the caller must keep the message."""
    done = programs.run(tmp_path, "client", "--nonsense", message=MESSAGE)
    assert (done.returncode, done.stdout) == (75, b"")


def test_the_arguments_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thin, "main", lambda args: 99 if args == ["-f", "x"] else 75)
    assert client.run(["-f", "x"]) == 99
