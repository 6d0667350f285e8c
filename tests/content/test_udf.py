from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eicar import EICAR
from lazaretto.content.udf import has_udf
from lazaretto.limits import DEFAULT
from lazaretto.mime.source import Source
from lazaretto.model import Reason
from unpacking import unpack

BLOCK = 2048
FIRST = 260  # sector of the partition


def tagged(tag: int, fields: dict[int, bytes], size: int = 512) -> bytes:
    data = bytearray(size)
    data[:2] = struct.pack("<H", tag)
    for at, value in fields.items():
        data[at : at + len(value)] = value
    return bytes(data)


def short(block: int, size: int, kind: int = 0) -> bytes:
    return struct.pack("<LL", size | kind << 30, block)


def entry(allocation: bytes, style: int = 0, is_directory: bool = False, extended: bool = False, attributes: int = 0) -> bytes:
    base = 216 if extended else 176
    fields = {27: b"\4" if is_directory else b"\5", 34: struct.pack("<H", style), base - 8: struct.pack("<LL", attributes, len(allocation))}
    return tagged(266 if extended else 261, {**fields, base + attributes: allocation}, 2048)


def identifier(name: str, block: int, flags: int = 0, wide: bool = False) -> bytes:
    text = (b"\x10" + name.encode("utf-16-be") if wide else b"\x08" + name.encode("latin-1")) if name else b""
    head = tagged(257, {18: bytes((flags, len(text))), 20: struct.pack("<LLH", BLOCK, block, 0)}, 38) + text
    return head + bytes(-len(head) % 4)


def image(blocks: dict[int, bytes], maps: bytes = b"\1\6\1\0\0\0", count: int = 1, root: int = 1, anchor: int = 256) -> bytes:
    volume = tagged(6, {212: struct.pack("<L", BLOCK), 248: struct.pack("<LLH", 512, 0, 0), 268: struct.pack("<L", count), 440: maps}, 2048)
    sectors = {
        16: b"\0BEA01\1",
        17: b"\0NSR02\1",
        32: tagged(5, {22: b"\0\0", 188: struct.pack("<LL", FIRST, 1000)}),
        33: volume,
        34: tagged(8, {}),
        anchor: tagged(2, {16: struct.pack("<LL", 16 * BLOCK, 32)}),
    }
    sectors |= {FIRST + number: content for number, content in blocks.items()}
    sectors.setdefault(FIRST, tagged(256, {400: struct.pack("<LLH", BLOCK, root, 0)}))
    data = bytearray(BLOCK * (max(sectors) + 1))
    for number, content in sectors.items():
        end = number * BLOCK + len(content)
        data.extend(bytes(max(end - len(data), 0)))
        data[number * BLOCK : end] = content
    return bytes(data)


PARENT = identifier("", 1, 8 | 2)
SIMPLE = {
    1: entry(PARENT + identifier("eicar.com", 2) + identifier("sub", 4, 2), 3, True),
    2: entry(short(3, len(EICAR))),
    3: EICAR,
    4: entry(short(5, 200), 0, True),
    5: (PARENT + identifier("ä \u20ac.exe", 6, 0, True) + identifier("gone", 2, 4)).ljust(200, b"\0"),
    6: entry(b"embedded data", 3, extended=True, attributes=16),
}


def test_files_of_a_tree() -> None:
    data = image(SIMPLE)
    assert has_udf(Source(data))
    found = unpack("udf", data)
    assert {got.names: got.data for got in found.members} == {("eicar.com",): EICAR, ("sub/ä \u20ac.exe",): b"embedded data"}
    assert (found.problems, found.errors) == ([], [])


@pytest.mark.parametrize("anchor", [256, 600])
def test_anchors(anchor: int) -> None:
    """At sector 256, or in the last one."""
    data = image(SIMPLE, anchor=anchor)
    assert EICAR in unpack("udf", data).datas


def test_both_views_of_a_bridge_disk() -> None:
    from lazaretto.content import iso9660

    data = bytearray(image(SIMPLE))
    root = bytes((34, 0)) + struct.pack("<L", 20) + bytes(4) + struct.pack("<L", 2048) + bytes(11) + b"\2" + bytes(8)
    data[18 * 2048 : 18 * 2048 + 7] = b"\1CD001\1"
    data[18 * 2048 + 128 : 18 * 2048 + 130] = struct.pack("<H", iso9660.SECTOR)
    data[18 * 2048 + 156 : 18 * 2048 + 190] = root[:34]
    record = bytes((44, 0)) + struct.pack("<L", 21) + bytes(4) + struct.pack("<L", 4) + bytes(11) + b"\0" + bytes(6) + b"\x0aREADME.TXT"
    data[20 * 2048 : 20 * 2048 + len(record)] = record
    data[21 * 2048 : 21 * 2048 + 4] = b"read"
    found = unpack("iso", bytes(data))
    assert (found.names[0], found.datas[0]) == ("README.TXT", b"read")
    assert EICAR in found.datas


def test_several_extents_holes_and_continuations() -> None:
    allocation = short(3, 34) + short(0, 100, 1) + short(7, 600, 3)
    more = tagged(258, {24: short(8, len(EICAR) - 34)})
    blocks = {**SIMPLE, 2: entry(allocation), 7: more, 8: EICAR[34:]}
    assert EICAR[:34] + bytes(100) + EICAR[34:] in unpack("udf", image(blocks)).datas
    long = struct.pack("<LLH6x", len(EICAR), 3, 0)
    assert EICAR in unpack("udf", image({**SIMPLE, 2: entry(long, 1)})).datas


def test_metadata_partition() -> None:
    """Directories live in a file of the physical partition; data is addressed in the latter."""
    identity = b"\2\x40\0\0\0*UDF Metadata Partition"
    maps = b"\1\6\1\0\0\0" + tagged(0, {0: identity.ljust(36, b"\0") + struct.pack("<HHL", 1, 0, 9)}, 64)
    maps = maps[:6] + identity[:1] + maps[7:]
    data = struct.pack("<LLH6x", len(EICAR), 30, 0)
    blocks = {
        0: b"",
        9: entry(short(20, 4 * BLOCK)),
        20: tagged(256, {400: struct.pack("<LLH", BLOCK, 1, 1)}),
        21: entry(PARENT + tagged(257, {18: b"\0\4", 20: struct.pack("<LLH", BLOCK, 2, 1)}, 38) + b"\x08a.b" + bytes(2), 3, True),
        22: entry(data, 1),
        30: EICAR,
    }
    image_data = bytearray(image(blocks, maps, 2))
    at = 33 * BLOCK + 248
    image_data[at : at + 10] = struct.pack("<LLH", 512, 0, 1)
    found = unpack("udf", bytes(image_data))
    assert (found.names, found.datas, found.problems) == (["a.b"], [EICAR], [])


def test_what_is_not_read_is_reported() -> None:
    sparable = image(SIMPLE, (b"\2\x40\0\0\0*UDF Sparable Partition").ljust(64, b"\0"))
    (problem,) = unpack("udf", sparable).problems
    assert (problem.name, problem.reason) == ("udf.unsupported", Reason.UNSUPPORTED)
    for data in (b"", bytes(300 * BLOCK), image(SIMPLE, root=700), image({**SIMPLE, 1: b""})):
        assert unpack("udf", data).problem_names == {"udf.broken"}
    partly = unpack("udf", image({**SIMPLE, 4: b"nothing"}))
    assert (partly.datas, partly.problem_names) == ([EICAR], {"udf.broken"})
    outside = unpack("udf", image({**SIMPLE, 2: entry(short(300, 5000))}))
    assert "udf.truncated" in outside.errors


def test_loops_end() -> None:
    loop = entry(PARENT + identifier("again", 1, 2) + identifier("eicar.com", 2), 3, True)
    assert unpack("udf", image({**SIMPLE, 1: loop})).names == ["eicar.com"]
    chain = tagged(258, {24: short(7, 600, 3)})
    assert unpack("udf", image({**SIMPLE, 2: entry(short(7, 600, 3)), 7: chain})).limit == ""


def test_limits() -> None:
    many = entry(b"".join(identifier(f"{i}", 2) for i in range(20)), 3, True)
    assert unpack("udf", image({**SIMPLE, 1: many}), limits=DEFAULT._replace(max_members=10)).limit == "max_members"
    hole = entry(short(0, 0x3FFFFFFF, 1))
    assert unpack("udf", image({**SIMPLE, 2: hole})).limit == "max_ratio"


@given(st.lists(st.tuples(st.sampled_from([32, 33, 256, *range(FIRST, FIRST + 7)]), st.integers(0, 480), st.integers(0, 255)), max_size=20))
def test_never_raises(changes: list[tuple[int, int, int]]) -> None:
    data = bytearray(image(SIMPLE))
    for sector, at, value in changes:
        data[sector * BLOCK + at] = value
    unpack("udf", bytes(data))
