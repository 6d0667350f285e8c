from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eicar import EICAR
from lazaretto.content import codec
from lazaretto.content.compressed import MAX_SEPARATE, OPENERS
from lazaretto.limits import DEFAULT
from lazaretto.model import Reason
from unpacking import sample, unpack


def named(name: bytes, data: bytes = EICAR, flags: int = 0, more: bytes = b"") -> bytes:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    head = b"\x1f\x8b\x08" + bytes((flags | (8 if name else 0),)) + bytes(6) + more + (name + b"\0" if name else b"")
    return head + packed + struct.pack("<LL", zlib.crc32(data), len(data))


def lzipped(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    raw = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    return b"LZIP\1\x10" + raw + struct.pack("<LQQ", zlib.crc32(data), len(data), len(raw) + 26)


def zstd(data: bytes) -> bytes:
    module = codec.zstd_module()
    if module is None:
        pytest.skip("zstd is not installed")
    packed: bytes = module.compress(data)
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "lzip": lzipped,
    "zstd": zstd,
}


def test_every_type_has_a_test() -> None:
    assert PACKERS.keys() | {"compress"} == OPENERS.keys()


@pytest.mark.parametrize("type_id", PACKERS)
@pytest.mark.parametrize("data", [EICAR, b"", bytes(300_000)], ids=["eicar", "empty", "zeros"])
def test_one_stream(type_id: str, data: bytes) -> None:
    found = unpack(type_id, PACKERS[type_id](data))
    assert (found.datas, found.problems, found.errors) == ([data], [], [])
    assert found.members[0].names == ()


@pytest.mark.parametrize("type_id", [name for name in PACKERS if name != "lzma"])
def test_several_streams_joined_and_apart(type_id: str) -> None:
    pack = PACKERS[type_id]
    found = unpack(type_id, pack(b"first") + pack(EICAR) + pack(b"last"))
    assert found.datas == [b"first" + EICAR + b"last", EICAR, b"last"]
    assert found.problems == []


def test_only_some_streams_are_given_apart() -> None:
    found = unpack("gzip", b"".join(gzip.compress(b"%d," % i) for i in range(100)))
    assert found.datas[0] == b"".join(b"%d," % i for i in range(100))
    assert len(found.members) == 1 + MAX_SEPARATE


@pytest.mark.parametrize("type_id", [name for name in PACKERS if name not in ("lzma", "zlib")])
def test_suffix_and_padding(type_id: str) -> None:
    packed = PACKERS[type_id](EICAR)
    padded = unpack(type_id, packed + bytes(100))
    assert (padded.datas, padded.problems) == ([EICAR], [])
    followed = unpack(type_id, packed + b"something else")
    assert (followed.datas, followed.problem_names) == ([EICAR], {f"{type_id}.suffix"})


@pytest.mark.parametrize("type_id", PACKERS)
def test_truncated(type_id: str) -> None:
    data = b"".join(b"%d " % (i * i) for i in range(30_000))
    packed = PACKERS[type_id](data)
    found = unpack(type_id, packed[:-5])
    assert found.errors == [f"{type_id}.truncated"]
    assert data.startswith(found.datas[0])
    half = unpack(type_id, packed[: len(packed) * 3 // 4])
    assert half.errors == [f"{type_id}.truncated"]
    assert data.startswith(half.datas[0])


@pytest.mark.parametrize("type_id", PACKERS)
def test_broken(type_id: str) -> None:
    packed = bytearray(PACKERS[type_id](b"".join(b"%d " % (i * i) for i in range(30_000))))
    packed[len(packed) // 2 : len(packed) // 2 + 200] = b"\x55" * 200
    found = unpack(type_id, bytes(packed))
    assert found.errors
    assert set(found.errors) <= {f"{type_id}.broken", f"{type_id}.crc", f"{type_id}.truncated"}
    none = unpack(type_id, b"\xff\xff not at all")
    assert none.problem_names == {f"{type_id}.broken"}
    assert none.members == []


@pytest.mark.parametrize("type_id", ["gzip", "lzip"])
def test_wrong_checksum_still_gives_the_data(type_id: str) -> None:
    packed = bytearray(PACKERS[type_id](EICAR))
    packed[-8 if type_id == "gzip" else -20] ^= 1
    found = unpack(type_id, bytes(packed) + PACKERS[type_id](b"more"))
    assert found.datas[0] == EICAR + b"more"
    assert found.errors == [f"{type_id}.crc"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [(b"eicar.com", ("eicar.com",)), ("ä".encode(), ("ä", "Ã¤")), (b"\xe4", ("ä",)), (b"../../a", ("../../a",)), (b"", ())],
)
def test_names_of_gzip(name: bytes, expected: tuple[str, ...]) -> None:
    assert unpack("gzip", named(name)).members[0].names == expected


def test_all_fields_of_a_gzip_header() -> None:
    data = named(b"a", flags=2 | 4 | 16, more=b"\3\0xyz")
    end = data.index(b"a\0") + 2
    data = data[:end] + b"a comment\0" + b"\x12\x34" + data[end:]
    assert unpack("gzip", data).datas == [EICAR]
    assert unpack("gzip", b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * 5000).problem_names == {"gzip.broken"}


def test_gzip_behind_a_script() -> None:
    assert unpack("gzip", b"#!/bin/sh\ntail -n +3 $0 | gunzip\n\x1f\x8b\x08\xff" + named(b"a")).datas == [EICAR]


def test_zstd_skippable_frame() -> None:
    assert unpack("zstd", b"\x50\x2a\x4d\x18\4\0\0\0abcd" + zstd(EICAR)).datas[0] == EICAR


def test_compress() -> None:
    found = unpack("compress", sample("compat_mac-1.tar.Z"))
    assert (len(found.datas[0]), found.errors, found.problems) == (20480, [], [])
    assert unpack("compress", b"\x1f\x9d\x90\xff\xff\xff").errors == ["compress.broken"]


@pytest.mark.parametrize(
    "name", ["compat_lzip_1", "compat_lzip_3", "compat_bzip2_1", "compat_xz_1", "compat_zstd_1", "compat_lzma_1", "compat_gzip_1"]
)
def test_files_of_other_writers(name: str) -> None:
    found = unpack(name.split("_")[1], sample(name))
    assert found.errors == []
    assert len(found.datas[0]) >= 5000


def test_limits() -> None:
    bomb = gzip.compress(bytes(40 << 20))
    assert unpack("gzip", bomb).limit == "max_ratio"
    assert unpack("gzip", bomb, limits=DEFAULT._replace(max_member_bytes=1 << 20)).limit == "max_member_bytes"
    assert unpack("gzip", gzip.compress(b"a") * 5, limits=DEFAULT._replace(max_members=3)).limit == "max_members"
    large = bytearray(lzma.compress(EICAR, lzma.FORMAT_ALONE))
    large[1:5] = b"\xff\xff\xff\xff"
    (got,) = unpack("lzma", bytes(large)).members
    assert got.error is not None
    assert got.error.reason is Reason.LIMIT


def test_without_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "zstd_module", lambda: None)
    (problem,) = unpack("zstd", b"\x28\xb5\x2f\xfd").problems
    assert (problem.name, problem.reason) == ("zstd.unsupported", Reason.UNSUPPORTED)
    assert "backports.zstd" in problem.detail


def test_tiny_streams_in_large_number() -> None:
    out = io.BytesIO()
    for _ in range(5000):
        out.write(gzip.compress(b"", mtime=0))
    assert unpack("gzip", out.getvalue()).datas[0] == b""


@given(st.sampled_from(sorted(OPENERS)), st.binary(max_size=200), st.integers(0, 60))
def test_never_raises(type_id: str, noise: bytes, keep: int) -> None:
    base = PACKERS[type_id](EICAR) if type_id in PACKERS else b"\x1f\x9d\x90" + EICAR
    unpack(type_id, base[:keep] + noise)
    unpack(type_id, base + noise)


@given(st.sampled_from(sorted(PACKERS)), st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_round_trip(type_id: str, datas: list[bytes]) -> None:
    if type_id == "lzma":
        datas = datas[:1]
    found = unpack(type_id, b"".join(map(PACKERS[type_id], datas)))
    assert found.datas == [b"".join(datas), *datas[1:]]
