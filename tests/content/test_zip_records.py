from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content.zip_records import (
    MAX_ENDS,
    Layout,
    extra_field,
    locals_between,
    read_central,
    read_end,
    read_layout,
    read_local,
)
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime.source import Source
from lazaretto.model import Span


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def layout(data: bytes, **limits: int) -> Layout:
    return read_layout(Source(data), Meter(DEFAULT._replace(**limits)))


def test_records_of_an_honest_file() -> None:
    data = zipped({"a.txt": b"hello", "b": b""}, comment=b"a comment")
    source = Source(data)
    header = read_local(source, 0)
    assert header is not None
    assert (header.name, header.method, header.packed, header.size) == (b"a.txt", 0, 5, 5)
    assert data[header.start : header.start + 5] == b"hello"
    entry = read_central(source, data.index(b"PK\1\2"))
    assert entry is not None
    assert (entry.name, entry.local, entry.crc) == (b"a.txt", 0, header.crc)
    end = read_end(source, data.index(b"PK\5\6"))
    assert end is not None
    assert end.stop == len(data)
    assert end.directories == ((data.index(b"PK\1\2"), 0),)
    for reader in (read_local, read_central, read_end):
        assert reader(source, 1) is None
        assert reader(source, len(data) - 3) is None


def test_layout_of_an_honest_file() -> None:
    data = zipped({"a.txt": b"hello", "inner.zip": zipped({"x": b"y"})})
    found = layout(data)
    assert [header.name for header in found.locals.values()] == [b"a.txt", b"inner.zip"]
    assert len(found.centrals) == 2
    assert len(found.ends) == 1
    assert len(found.claimed) == 2
    assert (found.orphans, found.overlapping, found.overflow) == ([], 0, False)


@pytest.mark.parametrize("prefix", [b"", b"x", b"MZ" + bytes(5000)])
def test_prefix_shifts_offsets(prefix: bytes) -> None:
    found = layout(prefix + zipped({"a": b"1", "b": b"2"}))
    assert sorted(found.references) == sorted(found.locals)
    assert not found.orphans


def test_concatenated_files_give_all_members() -> None:
    first, second = zipped({"a": b"1"}), zipped({"b": b"2"})
    for data in (first + second, second + b"junk" + first):
        found = layout(data)
        assert {header.name for header in found.locals.values()} == {b"a", b"b"}
        assert len([end for end in found.ends if end.directories]) == 2


def test_offsets_that_lead_nowhere() -> None:
    data = bytearray(zipped({"a": b"1"}))
    at = data.index(b"PK\1\2") + 42
    data[at : at + 4] = struct.pack("<L", 12345)
    found = layout(bytes(data))
    assert [entry.name for entry in found.orphans] == [b"a"]
    assert len(found.locals) == 1


def test_overlap_is_counted_and_claims_nothing() -> None:
    data = bytearray(zipped({"a": b"x" * 10, "b": b"y" * 10}))
    for at in (18, data.index(b"PK\1\2") + 20):  # packed size of the first, in both places
        data[at : at + 4] = struct.pack("<L", 30)
    found = layout(bytes(data))
    assert found.overlapping == 1
    assert all(span.start for span in found.claimed)


def test_limits() -> None:
    data = zipped({str(i): b"x" for i in range(50)})
    assert not layout(data, max_members=50).overflow
    assert layout(data, max_members=48).overflow
    assert len(layout(data, max_members=20).centrals) <= 22
    assert layout(b"PK\3\4" * 3000, max_members=10).overflow
    many_ends = b"".join(b"PK\5\6" + bytes(18) for _ in range(3 * MAX_ENDS))
    assert len(layout(many_ends).ends) <= MAX_ENDS


def test_deadline() -> None:
    with pytest.raises(LimitExceeded, match="max_scan_s"):
        read_layout(Source(zipped({"a": b"1"}) + b"PK\3\4"), Meter(deadline=-1))


def test_extra_fields() -> None:
    extra = struct.pack("<HH", 7, 2) + b"ab" + struct.pack("<HH", 1, 100) + b"cut"
    assert (extra_field(extra, 7), extra_field(extra, 1), extra_field(extra, 9), extra_field(b"\1", 1)) == (b"ab", b"cut", b"", b"")


def test_locals_between() -> None:
    data = b"x" * 10 + zipped({"a": b"1", "b": b"2"})
    assert [header.name for header in locals_between(Source(data), Span(0, len(data)), Meter())] == [b"a", b"b"]
    assert [header.name for header in locals_between(Source(data), Span(11, len(data)), Meter())] == [b"b"]


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 400))
def test_never_raises(before: bytes, middle: bytes, at: int) -> None:
    base = zipped({"a": b"1", "b": b"2"})
    found = layout(before + base[:at] + middle + base[at:])
    for offset in found.references:
        assert offset in found.locals
