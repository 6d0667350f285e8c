"""False ends of data are seen; honest talk about SMTP is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import smuggling
from lazaretto.mime.source import Source

HEAD = b"Subject: x\r\n\r\ntext"


@pytest.mark.parametrize("dot", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
@pytest.mark.parametrize("command", [b"MAIL FROM:<a@b>", b"mail  from:<a@b>", b"EHLO x", b"RSET", b"\r\nDATA"])
def test_false_end_with_a_command(dot: bytes, command: bytes) -> None:
    data = HEAD + dot + command + b"\r\n"
    assert smuggling.attempt(Source(data)) >= len(HEAD) - 1


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"\r\n.\r\nMAIL FROM:<a@b>\r\n",  # was dot-stuffed on the wire
        HEAD + b"\n.\nnot a command\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\n.\nQUIT\n",  # a spool file with LF
        HEAD + b"\n..\nMAIL FROM:<a@b>\r\n",
        b"",
        b".\n",
    ],
)
def test_harmless(data: bytes) -> None:
    assert smuggling.attempt(Source(data)) == -1


def test_too_many_candidates_count_as_an_attempt() -> None:
    assert smuggling.attempt(Source(HEAD + b"\n." * (smuggling.MAX_CANDIDATES + 2) + b"\n")) > 0


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"QUIT"]), max_size=20).map(b"".join))
def test_never_raises_and_points_at_a_dot(data: bytes) -> None:
    position = smuggling.attempt(Source(data))
    assert position == -1 or data[position + 1 : position + 2] == b"."
