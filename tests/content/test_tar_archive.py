from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eicar import EICAR
from lazaretto.content.tar_archive import BLOCK, read_header, read_pax
from lazaretto.limits import DEFAULT
from lazaretto.mime.source import Source
from unpacking import sample, unpack


def tarred(files: dict[str, bytes], tar_format: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def header(name: bytes, size: int, kind: bytes = b"0", more: dict[int, bytes] | None = None) -> bytes:
    block = bytearray(BLOCK)
    block[: len(name)] = name
    block[124:136] = b"%011o\0" % size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for at, value in (more or {}).items():
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def pax(*records: tuple[str, str], kind: bytes = b"x") -> bytes:
    text = b""
    for key, value in records:
        body = f" {key}={value}\n".encode()
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length += 1
        text += b"%d" % length + body
    return header(b"PaxHeaders/x", len(text), kind) + padded(text)


END = bytes(2 * BLOCK)
LONG = "a/" * 120 + "eicar.com"


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_honest_files(tar_format: int) -> None:
    files = {"a.txt": b"hello", "empty": b"", "d/eicar.com": EICAR, "x" * 90 + "/" + "y" * 90: b"long", "block": bytes(512)}
    if tar_format != tarfile.USTAR_FORMAT:
        files |= {LONG: EICAR, "ünï/ä.txt": b"text"}
    found = unpack("tar", tarred(files, tar_format))
    assert {got.names[0]: got.data for got in found.members} == files
    assert (found.problems, found.errors) == ([], [])
    assert all(len(got.names) == 1 for got in found.members)


def test_links_devices_and_directories_are_no_members() -> None:
    blocks = [header(b"x%d" % i, 0, b"%d" % i) for i in range(1, 7)] + [header(b"old/", 0, b"\0"), header(b"label", 0, b"V")]
    assert unpack("tar", b"".join(blocks) + header(b"a", 3) + padded(b"abc") + END).names == ["a"]


def test_link_with_a_size_that_means_nothing() -> None:
    data = header(b"link", 3, b"1") + header(b"a", 3) + padded(b"abc") + END
    found = unpack("tar", data)
    assert (found.names, found.errors) == (["a"], [])


def test_every_name() -> None:
    data = pax(("path", "a.js")) + header(b"a.txt", 3) + padded(b"abc") + END
    found = unpack("tar", data)
    assert found.members[0].names == ("a.js", "a.txt")
    assert found.problem_names == {"tar.name-mismatch"}
    gnu = header(b"././@LongLink", 5, b"L") + padded(b"b.js\0") + pax(("path", "a.js")) + header(b"a.txt", 0) + END
    assert unpack("tar", gnu).members[0].names == ("a.js", "b.js", "a.txt")


def test_sizes_that_differ_hide_nothing() -> None:
    """The pax record covers the next header, or the header does: readers that trust the other one see a file more."""
    hidden = header(b"eicar.com", len(EICAR)) + padded(EICAR)
    for first in (
        pax(("size", str(len(hidden)))) + header(b"a", 0),
        pax(("size", "0")) + header(b"a", len(hidden)),
        header(b"a", len(hidden), b"5"),
        header(b"a", len(hidden), b"2"),
    ):
        found = unpack("tar", first + hidden + header(b"last", 2) + padded(b"zz") + END)
        assert "eicar.com" in found.names
        assert EICAR in found.datas
        assert found.names.count("last") == 1
        assert "tar.size-mismatch" in found.problem_names


def test_after_bad_headers_and_after_the_end() -> None:
    member = header(b"eicar.com", len(EICAR)) + padded(EICAR)
    broken = unpack("tar", header(b"a", 0) + b"\x01" * 700 + bytes(324) + member + END)
    assert EICAR in broken.datas
    assert "tar.checksum" in broken.problem_names
    behind = unpack("tar", header(b"a", 0) + END + bytes(5 * BLOCK) + member)
    assert EICAR in behind.datas
    assert "tar.suffix" in behind.problem_names
    assert unpack("tar", header(b"a", 0) + END + b"trailing bytes").problems == []


@pytest.mark.parametrize("cut", [1, 100, 500])
def test_truncated(cut: int) -> None:
    found = unpack("tar", (header(b"a", 600) + b"x" * 600)[:-cut])
    assert (found.datas, found.errors) == ([b"x" * (600 - cut)], ["tar.truncated"])


def test_huge_and_negative_sizes() -> None:
    member = header(b"eicar.com", len(EICAR)) + padded(EICAR)
    for field in (b"77777777777\0", b"\x80" + b"\0" * 3 + b"\x7f" * 8, b"\xff" * 12, b"9999"):
        found = unpack("tar", header(b"a", 0, more={124: field}) + member)
        assert EICAR in b"".join(found.datas)
    lying = unpack("tar", header(b"x", 1 << 32, b"g") + member)
    assert (lying.datas, lying.problem_names) == ([EICAR], {"tar.truncated"})


def test_sparse_files_have_their_holes() -> None:
    def pair(offset: int, length: int) -> bytes:
        return b"%011o\0%011o\0" % (offset, length)

    text = b"a" * BLOCK + b"b" * 100
    expected = bytes(1024) + b"a" * BLOCK + bytes(BLOCK) + b"b" * 100
    gnu = header(b"s", len(text), b"S", {386: pair(1024, BLOCK) + pair(2048, 100)}) + padded(text)
    inline = "1024,512,2048,100"
    numbers = padded(b"2\n1024\n512\n2048\n100\n")
    for data in (
        gnu,
        pax(("GNU.sparse.map", inline), ("GNU.sparse.name", "s")) + header(b"s", len(text)) + padded(text),
        pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "s"))
        + header(b"GNUSparseFile.0/s", len(numbers + text))
        + numbers
        + padded(text),
    ):
        found = unpack("tar", data + END)
        assert found.datas == [expected]
        assert found.members[0].names == ("s",)
    tail = [pair(BLOCK * 2 * i, BLOCK) for i in range(6)]
    more = header(b"s", 6 * BLOCK, b"S", {386: b"".join(tail[:4]), 482: b"\1"}) + padded(b"".join(tail[4:]))
    assert unpack("tar", more + b"x" * 6 * BLOCK + END).datas == [(b"x" * BLOCK + bytes(BLOCK)) * 5 + b"x" * BLOCK]
    assert unpack("tar", sample("read_format_gtar_sparse_1_13.tar")).limit == "max_ratio"


def test_old_checksums_are_signed() -> None:
    block = bytearray(header(b"\xe4\xf6", 0))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % (sum(block) - 256 * 2)
    assert read_header(Source(bytes(block)), 0) is not None
    block[0] ^= 1
    assert read_header(Source(bytes(block)), 0) is None


def test_read_pax() -> None:
    assert read_pax(b"9 a=bcde\n12 path=x=y\n") == {b"a": b"bcde", b"path": b"x=y"}
    for bad in (b"", b"x", b"3", b"0 a=b\n", b"-1 a=b\n", b"99999999999999 a", b"2 a=b\n"):
        assert read_pax(bad) in ({}, {b"a": b""})


def test_global_records() -> None:
    data = pax(("path", "all.js"), kind=b"g") + header(b"a", 0) + header(b"b", 0) + END
    assert [got.names[0] for got in unpack("tar", data).members] == ["all.js", "all.js"]


def test_no_tar_at_all() -> None:
    for data in (b"", b"x" * 2000, bytes(5000)):
        found = unpack("tar", data)
        assert found.members == []
        assert "tar.broken" in found.problem_names


def test_limits() -> None:
    data = tarred({str(i): b"x" for i in range(30)})
    assert unpack("tar", data, limits=DEFAULT._replace(max_members=29)).limit == "max_members"
    assert unpack("tar", data, limits=DEFAULT._replace(max_members=30)).limit == ""
    hole = header(b"s", 0, b"S", {386: b"%011o\0%011o\0" % (1 << 32, 1)})
    assert unpack("tar", hole).limit == "max_ratio"
    # every header offers two continuations: each block is still read once
    chain = b"".join(header(b"d%d" % i, BLOCK * (i % 7), b"5") for i in range(2000))
    found = unpack("tar", chain)
    assert found.limit == ""
    assert len(found.members) < 2000


@given(st.binary(max_size=1200), st.integers(0, 4000), st.integers(0, 1))
def test_never_raises(noise: bytes, at: int, keep: int) -> None:
    base = tarred({"a": b"hello", LONG: EICAR}, tarfile.PAX_FORMAT if keep else tarfile.GNU_FORMAT)
    unpack("tar", base[:at] + noise + base[at + len(noise) * keep :])
    unpack("tar", noise)


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=48, max_codepoint=0x2FF), min_size=1, max_size=150), st.binary(max_size=1500), max_size=4
    )
)
def test_round_trip(files: dict[str, bytes]) -> None:
    found = unpack("tar", tarred(files, tarfile.PAX_FORMAT) if files else END)
    assert {got.names[0]: got.data for got in found.members} == files
