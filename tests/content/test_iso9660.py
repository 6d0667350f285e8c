from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eicar import EICAR
from lazaretto.content.iso9660 import SECTOR
from lazaretto.limits import DEFAULT
from unpacking import unpack


def both(value: int, width: str) -> bytes:
    return struct.pack(f"<{width}", value) + struct.pack(f">{width}", value)


def record(name: bytes, sector: int, size: int, flags: int = 0, use: bytes = b"") -> bytes:
    body = both(sector, "L") + both(size, "L") + bytes(7) + bytes((flags, 0, 0)) + both(1, "H") + bytes((len(name),)) + name
    body += bytes((len(name) + 1) % 2) + use
    body += bytes(len(body) % 2)
    return bytes((len(body) + 2, 0)) + body


def descriptor(kind: int, root: int, escapes: bytes = b"", block: int = SECTOR) -> bytes:
    data = bytearray(SECTOR)
    data[:7] = bytes((kind,)) + b"CD001\1"
    data[88 : 88 + len(escapes)] = escapes
    data[128:132] = both(block, "H")
    data[156:190] = record(b"\0", root, SECTOR, 2)
    return bytes(data)


def directory(*records: bytes) -> bytes:
    return (record(b"\0", 0, 0, 2) + record(b"\1", 0, 0, 2) + b"".join(records)).ljust(SECTOR, b"\0")


def image(sectors: dict[int, bytes]) -> bytes:
    """Sectors by number; what is longer goes on in the next ones."""
    data = bytearray(SECTOR * (max(sectors) + 1))
    for number, content in sectors.items():
        end = number * SECTOR + len(content)
        data.extend(bytes(max(end - len(data), 0)))
        data[number * SECTOR : end] = content
    return bytes(data)


SIMPLE = {16: descriptor(1, 20), 20: directory(record(b"EICAR.COM;1", 22, len(EICAR))), 22: EICAR}


def test_simple_image() -> None:
    found = unpack("iso", image(SIMPLE))
    assert (found.names, found.datas, found.problems) == (["EICAR.COM"], [EICAR], [])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"A.TXT;1", "A.TXT"),
        (b"A.;1", "A"),
        (b"A.B.C", "A.B.C"),
        (b"A;B", "A;B"),
        (b"a.exe", "a.exe"),
        (b"\x84.TXT", "ä.TXT"),
        ("ü".encode(), "ü"),
    ],
)
def test_names(name: bytes, shown: str) -> None:
    assert unpack("iso", image({**SIMPLE, 20: directory(record(name, 22, 3))})).names == [shown]


def test_rock_ridge_names_with_continuation() -> None:
    first = b"NM\x0a\1\1long " + b"CE\x1c\1" + both(23, "L") + both(4, "L") + both(13, "L")
    rest = b"xxxx" + b"NM\x0d\1\0name.exe"
    found = unpack("iso", image({**SIMPLE, 20: directory(record(b"LONG.TXT;1", 22, 3, use=first)), 23: rest}))
    assert found.names == ["long name.exe"]
    loop = b"CE\x1c\1" + both(23, "L") + both(0, "L") + both(28, "L")
    assert unpack("iso", image({**SIMPLE, 20: directory(record(b"A", 22, 3, use=loop)), 23: loop})).names == ["A"]


def test_trees_that_differ() -> None:
    """One file in both trees under two names, one in each tree alone."""
    joliet = directory(record("a long name.txt".encode("utf-16-be"), 22, 68), record("evil.exe".encode("utf-16-be"), 24, 4))
    primary = directory(record(b"A_LONG.TXT;1", 22, 68), record(b"PLAIN.COM;1", 25, 5))
    found = unpack(
        "iso", image({16: descriptor(1, 20), 17: descriptor(2, 21, b"%/E"), 20: primary, 21: joliet, 22: EICAR, 24: b"evil", 25: b"plain"})
    )
    assert [(got.names, got.data) for got in found.members] == [
        (("A_LONG.TXT", "a long name.txt"), EICAR),
        (("evil.exe",), b"evil"),
        (("PLAIN.COM",), b"plain"),
    ]


def test_directories_and_loops() -> None:
    root = directory(record(b"SUB", 21, SECTOR, 2), record(b"A", 22, 1))
    sub = directory(record(b"EICAR.COM;1", 22, 68), record(b"UP", 20, SECTOR, 2))
    found = unpack("iso", image({**SIMPLE, 20: root, 21: sub}))
    assert sorted(found.names) == ["A", "SUB/EICAR.COM"]


def test_file_of_several_extents() -> None:
    root = directory(record(b"A", 22, 34, 0x80), record(b"A", 23, 34))
    assert unpack("iso", image({**SIMPLE, 20: root, 22: EICAR[:34], 23: EICAR[34:]})).datas == [EICAR]


def test_numbers_that_differ_by_byte_order() -> None:
    lying = bytearray(record(b"A", 24, 4))
    lying[6:10] = struct.pack(">L", 22)
    lying[14:18] = struct.pack(">L", len(EICAR))
    found = unpack("iso", image({**SIMPLE, 20: directory(bytes(lying)), 24: b"tame"}))
    assert found.datas == [EICAR, b"tame"]
    half = bytearray(record(b"A", 22, len(EICAR)))
    half[6:10] = half[14:18] = bytes(4)
    assert unpack("iso", image({**SIMPLE, 20: directory(bytes(half))})).datas == [EICAR]


def test_directory_of_several_sectors() -> None:
    records = [record(b"F%03d.TXT;1" % i, 30, 1) for i in range(60)]
    first = directory(*records[:40])
    second = b"".join(records[40:]).ljust(SECTOR, b"\0")
    head = bytearray(descriptor(1, 20))
    head[156 + 10 : 156 + 18] = both(2 * SECTOR, "L")
    found = unpack("iso", image({16: bytes(head), 20: first + second, 30: b"x"}))
    assert len(found.names) == 60


def test_truncated_and_broken() -> None:
    whole = image({**SIMPLE, 20: directory(record(b"A", 22, 5000))})
    cut = unpack("iso", whole)
    assert cut.errors == ["iso.truncated"]
    assert cut.datas[0].startswith(EICAR)
    assert unpack("iso", b"nothing").problem_names == {"iso.broken"}
    assert unpack("iso", image({16: descriptor(1, 20)})).problem_names == {"iso.broken"}
    assert unpack("iso", image({16: descriptor(1, 1 << 30)})).problem_names == {"iso.broken"}


def test_limits() -> None:
    root = directory(*(record(b"%d" % i, 22, 1) for i in range(20)))
    assert unpack("iso", image({**SIMPLE, 20: root}), limits=DEFAULT._replace(max_members=10)).limit == "max_members"


@given(st.lists(st.tuples(st.integers(0x8000, 0x8000 + 7 * SECTOR), st.integers(0, 255)), max_size=20))
def test_never_raises(changes: list[tuple[int, int]]) -> None:
    data = bytearray(image(SIMPLE))
    for at, value in changes:
        data[at % len(data)] = value
    unpack("iso", bytes(data))
