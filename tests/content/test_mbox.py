"""content.mbox: where messages are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import members
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits

FROM = b"From a@b Tue Mar  5 10:11:12 2024\n"
ONE = b"Subject: 1\n\nFirst.\n"
TWO = b"Subject: 2\n\nSecond.\n"


def split(data: bytes) -> list[bytes]:
    found = members("mbox", data)
    assert all(member.media_type == "message/rfc822" and not member.is_file for member in found)
    return [member.data for member in found]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_messages(end: bytes) -> None:
    data = (FROM + ONE + b"\n" + FROM + TWO).replace(b"\n", end)
    assert [message.rstrip() for message in split(data)] == [ONE.replace(b"\n", end).rstrip(), TWO.replace(b"\n", end).rstrip()]


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (FROM + ONE + FROM + TWO, 2),  # no blank line, but a time
        (FROM + ONE + b"\nFrom nobody\n" + TWO, 2),  # no time, but a blank line
        (FROM + ONE + b"We learn\nFrom experience\n", 1),
        (FROM + ONE + b"\n>From a 10:00\n" + TWO, 1),
        (b"\r\n\xef\xbb\xbf" + FROM + ONE, 1),
        (b">" + FROM + ONE, 1),
        (b"", 0),
        (FROM, 0),
        (b"no mailbox", 0),
    ],
)
def test_separators(data: bytes, count: int) -> None:
    assert len(split(data)) == count


def test_members_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("mbox", (FROM + ONE + b"\n") * 9, Limits(max_members=5))


@given(st.lists(st.sampled_from([FROM, ONE, b"\n", b"\r\n", b">", b"From ", b"x"]), max_size=15))
def test_nothing_is_given_twice(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert sum(map(len, split(data))) <= len(data)
