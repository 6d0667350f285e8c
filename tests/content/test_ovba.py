"""content.ovba: compression and the dir stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import vba_compress, vba_dir
from lazaretto.content import ovba

SOURCE = b'Attribute VB_Name = "Module1"\r\nSub AutoOpen()\r\nEnd Sub\r\n'

# [MS-OVBA] s3.2.1 to s3.2.3
EXAMPLES = [
    ("0119b000616263646566676800696a6b6c6d6e6f70007172737475762e", b"abcdefghijklmnopqrstuv."),
    (
        "012fb00023616161626364658266007061676869" + "6a013808616b6c00306d6e6f7006710270041072737475761077787" + "97a003c",
        b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa",
    ),
    ("0103b00261450 0".replace(" ", ""), b"a" * 73),
]


@pytest.mark.parametrize(("packed", "text"), EXAMPLES)
def test_examples_of_the_specification(packed: str, text: bytes) -> None:
    data = bytes.fromhex(packed)
    assert b"".join(ovba.decompress(data)) == text
    assert b"".join(ovba.decompress(b"xyz" + data + b"trailing", 3)).startswith(text)
    assert ovba.container_end(b"xyz" + data, 3) == 3 + len(data)


def test_uncompressed_chunk() -> None:
    assert b"".join(ovba.decompress(b"\x01\xff\x3f" + b"x" * 4096)) == b"x" * 4096


@given(st.binary(max_size=9000))
def test_round_trip(text: bytes) -> None:
    assert b"".join(ovba.decompress(vba_compress(text))) == text


@given(st.binary(max_size=200))
def test_never_raises(data: bytes) -> None:
    list(ovba.decompress(b"\x01" + data))
    list(ovba.decompress(data))
    ovba.modules(data)
    ovba.find_source(data)


@given(st.binary(min_size=2, max_size=300))
def test_chunks_are_bounded(data: bytes) -> None:
    assert all(len(chunk) <= ovba.CHUNK_SIZE for chunk in ovba.decompress(b"\x01" + data[:1] + b"\xb0" + data))


def test_find_source() -> None:
    packed = vba_compress(SOURCE)
    assert ovba.find_source(b"\xca" * 30 + packed) == 30
    assert ovba.find_source(b"xx\x00Attribut" + packed) == 11
    assert ovba.find_source(b"no Attribute here") == -1


def test_modules() -> None:
    found = ovba.modules(vba_dir({"Module1": 40, "Täst": 0}))
    assert [(m.name, m.stream_unicode, m.offset) for m in found] == [(b"Module1", "Module1", 40), (b"T\xe4st", "Täst", 0)]
    assert [m.name for m in ovba.modules(vba_dir({"A": 1, "B": 2})[:-3])] == [b"A"]


def test_module_count_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ovba, "MAX_MODULES", 3)
    assert len(ovba.modules(vba_dir({f"M{n}": n for n in range(9)}))) == 3
