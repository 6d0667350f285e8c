"""Modules without code in the bytes that they had: unpacked by our own reader and by another."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import vba_compress
from lazaretto.content import ovba
from lazaretto.sanitize import vba_empty
from lazaretto.sanitize.disarmed import Refused
from lazaretto.sanitize.vba_empty import CHUNK, emptied, pack, project_head

ATTRIBUTES = b'Attribute VB_Name = "ThisDocument"\r\nAttribute VB_Base = "1Normal.ThisDocument"\r\nAttribute VB_Creatable = False\r\n'
CODE = ATTRIBUTES + b"Sub AutoOpen()\r\n" + b'Shell "x", 1\r\n' * 400 + b"End Sub\r\n"


def unpacked(data: bytes) -> bytes:
    return b"".join(ovba.decompress(data))


def by_oletools(data: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        from oletools.olevba import decompress_stream

        return bytes(decompress_stream(bytearray(data)))


SIZES = [110, 150, 1000, CHUNK - 1, *range(CHUNK, CHUNK + 12), *range(2 * CHUNK, 2 * CHUNK + 16), 50_001]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", [b"", ATTRIBUTES], ids=["nothing", "attributes"])
def test_exactly_so_many_bytes(text: bytes, size: int) -> None:
    data = pack(text, size)
    assert len(data) == ovba.container_end(data, 0) == size
    assert by_oletools(data) == unpacked(data)
    assert unpacked(data).startswith(text)
    assert not unpacked(data)[len(text) :].strip()
    assert max(map(len, unpacked(data).split(b"\r\n"))) < 1023  # as long as a line of VBA may be


@given(st.integers(4, 30_000))
def test_any_size(size: int) -> None:
    try:
        data = pack(ATTRIBUTES, size)
    except Refused:
        assert size < len(ATTRIBUTES)
        return
    assert len(data) == size
    assert not unpacked(data)[len(ATTRIBUTES) :].strip()


def test_code_goes_attributes_stay() -> None:
    stream = b"compiled" * 9 + vba_compress(CODE)
    result = emptied(stream, 72)
    assert len(result) == len(stream)
    assert result[:72] == bytes(72)
    assert unpacked(result[72:]).startswith(ATTRIBUTES)
    assert not unpacked(result[72:])[len(ATTRIBUTES) :].strip()
    assert emptied(result, 72) == result


def test_a_module_without_code_keeps_its_source() -> None:
    stream = b"compiled" + vba_compress(ATTRIBUTES)
    assert emptied(stream, 8) == bytes(8) + stream[8:]


def test_attributes_of_procedures_are_code() -> None:
    stream = vba_compress(ATTRIBUTES + b'Sub a()\r\nAttribute a.VB_ProcData.VB_Invoke_Func = "x"\r\nEnd Sub\r\n' + b"'\r\n" * 40)
    assert b"Invoke" not in unpacked(emptied(stream, 0))


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="too little room"):
        pack(ATTRIBUTES, 40)
    with pytest.raises(Refused, match="too many attributes"):
        pack(b"x" * (CHUNK + 1), 9000)
    with pytest.raises(Refused, match="too short"):
        project_head(6)
    monkeypatch.setattr(vba_empty, "MAX_SOURCE", 100)
    with pytest.raises(Refused, match="too long"):
        emptied(vba_compress(CODE), 0)


def test_the_project_says_that_its_code_is_of_another_version() -> None:
    assert project_head(10) == b"\xcc\x61\xff\xff\0\0\0\0\0\0"
