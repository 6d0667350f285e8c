"""content.onenote: embedded files."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import members
from eicar import EICAR
from lazaretto.content import onenote
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits

MAGIC = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")


def blob(data: bytes, size: int | None = None) -> bytes:
    padding = bytes(-len(data) % 8)
    return onenote._HEADER + struct.pack("<Q12x", len(data) if size is None else size) + data + padding + onenote._FOOTER


def name(text: str) -> bytes:
    raw = text.encode("utf-16-le") + b"\0\0"
    return struct.pack("<I", len(raw)) + raw


SECTION = MAGIC + bytes(100) + name("invoice.hta") + bytes(20) + blob(EICAR) + bytes(50)


def test_file_and_name() -> None:
    (found,) = members("onenote", SECTION)
    assert (found.data, found.names, found.is_file) == (EICAR, ("invoice.hta",), True)


def test_pictures_have_no_name() -> None:
    found = members("onenote", SECTION + blob(b"\x89PNG picture"))
    assert [(member.names, member.data) for member in found] == [(("invoice.hta",), EICAR), ((), b"\x89PNG picture")]


@pytest.mark.parametrize("size", [1 << 40, 100_000])
def test_lying_length(size: int) -> None:
    found = members("onenote", MAGIC + blob(b"first", size) + blob(EICAR))
    assert found[0].data.startswith(b"first")
    assert found[1].data == EICAR


def test_section_inside_a_file() -> None:
    assert SECTION in [member.data for member in members("onenote", MAGIC + blob(SECTION))]


@pytest.mark.parametrize("text", ["see invoice.hta for more", "invoice"])
def test_what_is_no_name(text: str) -> None:
    assert onenote._names(name(text)[:4] + b"\x01\0" + name(text)[4:]) == ()


def test_names_are_limited() -> None:
    assert len(onenote._names(b"".join(name(f"{number}.txt") + b"\1\1" for number in range(99)))) == onenote.MAX_NAMES


def test_members_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("onenote", blob(b"x") * 9, Limits(max_members=5))


@given(st.binary(max_size=50), st.integers(0, len(SECTION)))
def test_never_raises(noise: bytes, at: int) -> None:
    members("onenote", SECTION[:at] + noise + SECTION[at:])
    members("onenote", SECTION[:at])
    onenote._names(noise + b".\0" + noise)
