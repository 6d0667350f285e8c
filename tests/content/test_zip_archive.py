from __future__ import annotations

import bz2
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from email import message_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eicar import EICAR
from lazaretto.content import codec, libarch
from lazaretto.limits import DEFAULT, Meter
from lazaretto.model import Reason
from unpacking import CORPUS, sample, unpack

NAME = b"eicar.com"


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def local(
    packed: bytes, *, name: bytes = NAME, method: int = 8, data: bytes = EICAR, flags: int = 0, sizes: tuple[int, int] | None = None
) -> bytes:
    small, large = sizes if sizes is not None else (len(packed), len(data))
    return struct.pack("<4s5H3L2H", b"PK\3\4", 20, flags, method, 0, 33, zlib.crc32(data), small, large, len(name), 0) + name + packed


def central(
    packed: bytes,
    *,
    name: bytes = NAME,
    method: int = 8,
    data: bytes = EICAR,
    flags: int = 0,
    offset: int = 0,
    sizes: tuple[int, int] | None = None,
) -> bytes:
    small, large = sizes if sizes is not None else (len(packed), len(data))
    fields = (20, 20, flags, method, 0, 33, zlib.crc32(data), small, large, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + name


def end(directory: bytes, offset: int, count: int = 1, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), offset, len(comment)) + comment


def single(packed: bytes, there: dict[str, int] | None = None, here: dict[str, int] | None = None, data: bytes = EICAR) -> bytes:
    """A zip of one member; `here` changes its local header, `there` its entry."""
    body = local(packed, data=data, **(here or {}))  # type: ignore[arg-type]
    entry = central(packed, data=data, **(there or {}))  # type: ignore[arg-type]
    return body + entry + end(entry, len(body))


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_honest_zip_has_members_and_no_problems(method: int) -> None:
    files = {"a.txt": b"hello", "dir/eicar.com": EICAR, "empty": b"", "big": b"0123456789" * 100_000}
    found = unpack("zip", zipped(files, method))
    assert {got.names[0]: got.data for got in found.members} == files
    assert found.problems == []
    assert found.errors == []


def test_directories_are_no_members() -> None:
    assert unpack("zip", zipped({"dir/": b"", "dir/a": b"x"})).names == ["dir/a"]


def test_written_to_a_pipe() -> None:
    """Sizes are in descriptors after the data."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", method) as archive:
            archive.writestr("a.txt", b"first")
            archive.writestr("eicar.com", EICAR)
        data = bytes(pipe.data)
        found = unpack("zip", data)
        assert (found.datas, found.problems) == ([b"first", EICAR], [])
        without_directory = unpack("zip", data[: data.index(b"PK\1\2")])
        assert without_directory.datas == [b"first", EICAR]
        assert without_directory.problem_names == {"zip.no-directory"}


PACKED = deflated(EICAR)
# what lies -> (file, problems that tell)
LIES: dict[str, tuple[bytes, set[str]]] = {
    "both say stored": (single(PACKED, {"method": 0}, {"method": 0}), {"zip.method-mismatch"}),
    "local says stored": (single(PACKED, {}, {"method": 0}), {"zip.method-mismatch"}),
    "directory says stored": (single(PACKED, {"method": 0}, {}), {"zip.method-mismatch"}),
    "stored, both say deflate": (single(EICAR), {"zip.method-mismatch"}),
    "stored, says nobody's method": (single(EICAR, {"method": 77}, {"method": 77}), {"zip.method-mismatch"}),
    "flag says encrypted, deflated": (single(PACKED, {"flags": 1}, {"flags": 1}), {"zip.false-encryption"}),
    "flag says encrypted, stored": (single(EICAR, {"flags": 1, "method": 0}, {"flags": 1, "method": 0}), {"zip.false-encryption"}),
    "flag in directory only": (single(PACKED, {"flags": 1}, {}), {"zip.false-encryption"}),
    "sizes too small": (single(PACKED, {"sizes": (3, 2)}, {"sizes": (3, 2)}), {"zip.size-mismatch"}),  # type: ignore[dict-item]
    "sizes zero": (single(PACKED, {"sizes": (0, 0)}, {"sizes": (0, 0)}), {"zip.size-mismatch"}),  # type: ignore[dict-item]
    "sizes too large": (single(PACKED, {"sizes": (1 << 31, 1 << 31)}, {"sizes": (1 << 31, 1 << 31)}), {"zip.size-mismatch"}),  # type: ignore[dict-item]
    "stored, sizes too small": (
        single(EICAR, {"method": 0, "sizes": (2, 68)}, {"method": 0, "sizes": (2, 68)}),  # type: ignore[dict-item]
        {"zip.size-mismatch"},
    ),
    "no end record": (local(PACKED) + central(PACKED), set()),
    "no directory": (local(PACKED), {"zip.no-directory"}),
    "prefix": (b"MZ program" * 100 + single(PACKED), {"zip.prefix"}),
    "suffix": (single(PACKED) + b"-- \nsignature", {"zip.suffix"}),
    "two in a row": (zipped({"a": b"harmless"}) + single(PACKED), {"zip.several-ends"}),
    "two in a row, other order": (single(PACKED) + zipped({"a": b"harmless"}), {"zip.several-ends"}),
    "end record in the comment": (local(PACKED) + central(PACKED) + end(central(PACKED), len(local(PACKED)), 1, end(b"", 0, 0)), set()),
    "unlisted member in front": (local(PACKED) + zipped({"a": b"harmless"}), {"zip.name-mismatch"}),
    "unlisted member": (
        local(b"x", name=b"a", method=0, data=b"x")
        + local(PACKED)
        + (entry := central(b"x", name=b"a", method=0, data=b"x"))
        + end(entry, len(local(b"x", name=b"a")) + len(local(PACKED))),
        {"zip.hidden-member"},
    ),
    "checksum": (single(PACKED).replace(struct.pack("<L", zlib.crc32(EICAR)), b"\1\2\3\4"), {"zip.crc"}),
}


@pytest.mark.parametrize("case", LIES)
def test_lies_do_not_hide(case: str) -> None:
    data, problems = LIES[case]
    found = unpack("zip", data)
    assert any(EICAR in got.data for got in found.members)
    assert "eicar.com" in found.names
    assert found.problem_names >= problems


def test_truncated_members_give_what_is_there() -> None:
    text = bytes(range(256)) * 40
    stored = unpack("zip", local(text, method=0, data=text)[:5000])
    assert text.startswith(stored.datas[0])
    assert len(stored.datas[0]) > 4900
    assert stored.errors == ["zip.truncated"]
    noise = b"".join(zlib.crc32(bytes((i % 256, i // 256))).to_bytes(4, "big") for i in range(5000))
    cut = unpack("zip", local(deflated(noise), data=noise)[:9000])
    assert noise.startswith(cut.datas[0])
    assert len(cut.datas[0]) > 8000
    assert cut.errors == ["zip.truncated"]


def test_member_after_the_end_of_a_stream() -> None:
    """Claimed by a member that does not use it: streaming readers find it."""
    inside = local(PACKED)
    packed = deflated(b"harmless") + inside
    found = unpack("zip", single(packed, data=b"harmless", there={"name": b"a"}, here={"name": b"a"}))  # type: ignore[dict-item]
    assert found.datas == [b"harmless", EICAR]
    assert "zip.slack" in found.problem_names


def test_zip_stored_in_a_zip_is_left_to_the_next_level() -> None:
    inner = zipped({"eicar.com": EICAR})
    found = unpack("zip", zipped({"inner.zip": inner}, zipfile.ZIP_STORED))
    assert (found.datas, found.problems) == ([inner], [])


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        (b"a.txt", 0, ["a.txt"]),
        ("ä.txt".encode(), 1 << 11, ["ä.txt", "├ñ.txt"]),
        ("ä.txt".encode(), 0, ["ä.txt", "├ñ.txt"]),
        (b"\x84.txt", 0, ["ä.txt"]),
        (b"..\\..\\a.exe", 0, ["..\\..\\a.exe"]),
        (b"a.exe\0.txt", 0, ["a.exe\0.txt"]),
        (b"", 0, [""]),
    ],
)
def test_names(name: bytes, flags: int, expected: list[str]) -> None:
    data = single(PACKED, {"name": name, "flags": flags}, {"name": name, "flags": flags})  # type: ignore[dict-item]
    assert unpack("zip", data).names == expected


def test_names_of_both_headers_and_of_the_unicode_field() -> None:
    found = unpack("zip", single(PACKED, {"name": b"a.js"}, {"name": b"a.txt"}))  # type: ignore[dict-item]
    assert found.members[0].names == ("a.js", "a.txt")
    assert "zip.name-mismatch" in found.problem_names
    extra = struct.pack("<HHBL", 0x7075, 5 + 4, 1, 0) + b"x.js"
    body = bytearray(local(b"", data=b"", method=0) + extra)
    body[28:30] = struct.pack("<H", len(extra))
    assert unpack("zip", bytes(body)).names == ["x.js", "eicar.com"]


@pytest.mark.parametrize(
    ("method", "pack"),
    [
        (12, bz2.compress),
        (95, lzma.compress),
        (93, lambda data: codec.zstd_module().compress(data)),
        (20, lambda data: codec.zstd_module().compress(data)),
    ],
)
def test_other_methods(method: int, pack: Callable[[bytes], bytes]) -> None:
    if method in (20, 93) and codec.zstd_module() is None:
        pytest.skip("zstd is not installed")
    packed = pack(EICAR)
    found = unpack("zip", single(packed, {"method": method}, {"method": method}))
    assert (found.datas, found.problems) == ([EICAR], [])


@pytest.mark.parametrize("method", [1, 6, 9, 97, 200])
def test_methods_that_nobody_here_reads(method: int) -> None:
    found = unpack("zip", single(b"no such thing", {"method": method}, {"method": method}))
    assert found.names[0] == "eicar.com"
    error = found.members[-1].error
    assert error is not None
    assert (error.name, error.reason) == ("zip.unsupported", Reason.UNSUPPORTED)


def test_zip64() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("eicar.com", "w", force_zip64=True) as member:
        member.write(EICAR)
    assert unpack("zip", out.getvalue()).datas == [EICAR]
    for name in ("read_format_zip_zip64a", "read_format_zip_zip64b"):
        found = unpack("zip", sample(name))
        assert (found.names, found.problems) == (["-"], []) or found.datas == [b"file0\n"]


def encrypted(password: bytes, data: bytes, method: int = 8) -> bytes:
    """Traditional encryption, straight from APPNOTE s6.1, for one member."""
    table = [zlib.crc32(bytes((i,)), 0xFFFFFFFF) ^ 0xFFFFFFFF ^ 0 for i in range(256)]
    table = []
    for i in range(256):
        value = i
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = keys[0] >> 8 ^ table[(keys[0] ^ byte) & 255]
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) % (1 << 32)
        keys[2] = keys[2] >> 8 ^ table[(keys[2] ^ keys[1] >> 24) & 255]

    for byte in password:
        update(byte)
    packed = deflated(data) if method == 8 else data
    out = bytearray()
    for byte in bytes(range(11)) + bytes((zlib.crc32(data) >> 24,)) + packed:
        temp = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ (temp * (temp ^ 1) >> 8 & 255))
        update(byte)
    both = {"flags": 1, "method": method}
    return single(bytes(out), both, both, data)


@pytest.mark.parametrize("method", [0, 8])
def test_passwords(method: int) -> None:
    data = encrypted(b"infected", EICAR * 3, method)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # the test's own writer is right
        assert archive.read("eicar.com", b"infected") == EICAR * 3
    found = unpack("zip", data, [b"wrong", b"infected", b"other"])
    assert (found.datas, found.errors, found.problems) == ([EICAR * 3], [], [])
    for passwords in ([], [b"wrong"]):
        closed = unpack("zip", data, passwords)
        assert closed.names == ["eicar.com"]
        assert closed.errors == ["zip.encrypted"]
        assert closed.members[0].error is not None
        assert closed.members[0].error.reason is Reason.ENCRYPTED


def test_number_of_passwords_is_limited() -> None:
    data = encrypted(b"last", EICAR)
    words = [b"word%d" % i for i in range(5)] + [b"last"]
    assert unpack("zip", data, words, DEFAULT._replace(max_passwords=6)).datas == [EICAR]
    assert unpack("zip", data, words, DEFAULT._replace(max_passwords=5)).errors == ["zip.encrypted"]


@pytest.mark.skipif(not libarch.available(), reason="libarchive is not installed")
def test_aes_and_ppmd_by_libarchive() -> None:
    aes = sample("read_format_zip_winzip_aes256.zip")
    assert unpack("zip", aes).errors == ["zip.encrypted"]
    assert unpack("zip", aes, [b"wrong"]).errors == ["zip.encrypted"]
    opened = unpack("zip", aes, [b"wrong", b"password"])
    assert (opened.errors, len(opened.datas[0])) == ([], 6818)
    ppmd = unpack("zip", sample("read_format_zip_ppmd8.zipx"))
    assert ppmd.errors == []
    assert max(map(len, ppmd.datas)) > 900


def test_bomb_of_one_member_ends_by_ratio() -> None:
    found = unpack("zip", zipped({"zeros": bytes(40 << 20)}))
    assert found.limit == "max_ratio"


def test_overlapping_bomb_ends_soon() -> None:
    """All entries point into the same bytes: each stream quotes the headers of the ones after it."""
    count = 2000
    kernel = deflated(bytes(1 << 15)) * 1
    body = kernel
    headers = []
    for i in range(count):
        name = b"%06d" % i
        # a stored block that holds the next header, as in the quoted-overlap construction
        if i:
            head = local(b"", name=b"%06d" % (i - 1), sizes=(len(body), 1 << 15))
            body = b"\0" + struct.pack("<HH", len(head), len(head) ^ 0xFFFF) + head + body
        headers.append((name, len(body)))
    first = local(b"", name=b"%06d" % (count - 1), sizes=(len(body), 1 << 15))
    data = first + body
    directory = b""
    for name, length in headers:
        directory += central(b"", name=name, sizes=(length, 1 << 15), offset=len(data) - length - len(first))
    data += directory + end(directory, len(data), count)
    read = 0

    class Counting(Meter):
        __slots__ = ()

        def unpack(self, chunks, packed_bytes):  # type: ignore[no-untyped-def]
            nonlocal read
            for chunk in super().unpack(chunks, packed_bytes):
                read += len(chunk)
                yield chunk

    found = unpack("zip", data, meter=Counting())
    overlap = [problem for problem in found.problems if problem.name == "zip.overlap"]
    assert overlap
    assert overlap[0].reason is Reason.BROKEN
    assert len(found.members) < count / 2
    assert read < 20 * len(data) + (64 << 20)


def test_entries_that_share_a_member_read_it_once() -> None:
    body = local(PACKED)
    directory = b"".join(central(PACKED, name=b"%d.exe" % i) for i in range(500))
    found = unpack("zip", body + directory + end(directory, len(body), 500))
    assert found.datas == [EICAR]
    assert len(found.names) == 501
    assert "zip.name-mismatch" in found.problem_names


def test_entry_without_a_member_keeps_its_name() -> None:
    entry = central(PACKED, name=b"ghost.exe", offset=12345)
    found = unpack("zip", local(PACKED) + entry + end(entry, len(local(PACKED))))
    assert "ghost.exe" in found.names
    assert "zip.broken" in found.errors
    assert EICAR in found.datas


def test_many_members_and_many_signatures_end_by_limit() -> None:
    limits = DEFAULT._replace(max_members=100)
    many = unpack("zip", zipped({str(i): b"x" for i in range(101)}), limits=limits)
    assert many.limit == "max_members"
    assert len(many.members) == 100
    exact = unpack("zip", zipped({str(i): b"x" for i in range(100)}), limits=limits)
    assert exact.limit == ""
    fakes = unpack("zip", local(PACKED) + b"PK\3\4" * 100_000, limits=limits)
    assert fakes.limit == "max_members"
    assert fakes.datas[0] == EICAR


def test_neither_member_nor_directory() -> None:
    assert unpack("zip", b"PK\3\4").problem_names == {"zip.broken"}
    assert unpack("zip", b"").problem_names == {"zip.broken"}
    assert unpack("zip", end(b"", 0, 0)).problems == []  # an empty zip is honest


def test_method_lzma_without_end_mark() -> None:
    for name in ("read_format_zip_lzma.zipx", "read_format_zip_lzma_stream_end", "read_format_zip_7z_lzma"):
        found = unpack("zip", sample(name))
        assert found.errors == []
        assert found.problems == []


EVASION = sorted((CORPUS / "evasion/cases").glob("*zip*.json")) if CORPUS.exists() else []


@pytest.mark.parametrize("path", EVASION, ids=lambda path: path.stem)
def test_evasion_cases(path) -> None:  # type: ignore[no-untyped-def]
    """Markers come out of zips that are attached plainly, however deep; the 40 MB bomb ends by its limit."""
    case = json.loads(path.read_bytes())
    if case["kind"] != "evasion" or case["payload"] != "eicar" or not path.with_suffix(".eml").exists():
        pytest.skip("not a case of EICAR in a zip")
    message = message_from_bytes(path.with_suffix(".eml").read_bytes())
    parts = [part.get_payload(decode=True) for part in message.walk()]
    waiting = [part for part in parts if isinstance(part, bytes) and b"PK\3\4" in part]
    if not waiting:
        pytest.skip("the zip is in a wrapping that is not this room's")
    seen = []
    while waiting:
        found = unpack("zip", waiting.pop(), [b"infected", b"1234"])
        seen += found.datas
        waiting += [data for data in found.datas if data[:4] == b"PK\3\4"]
        if found.limit:
            assert path.stem == "I-zip-ratio"
            return
    assert any(case["markers"][0].encode() in data for data in seen)


@given(st.binary(max_size=600), st.integers(0, 600))
@settings(max_examples=200)
def test_never_raises(noise: bytes, at: int) -> None:
    base = zipped({"a.txt": b"hello", "eicar.com": EICAR})
    unpack("zip", base[:at] + noise + base[at:], [b"x"])
    unpack("zip", noise + base[at:])
    unpack("zip", noise)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12))
@settings(max_examples=200)
def test_never_raises_on_damage(changes: list[tuple[int, int]]) -> None:
    base = bytearray(zipped({"a.txt": b"hello", "eicar.com": EICAR}) + encrypted(b"x", EICAR))
    for at, value in changes:
        base[at % len(base)] = value
    unpack("zip", bytes(base), [b"x"])


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", exclude_characters="\0/\\"), min_size=1, max_size=20), st.binary(max_size=300), max_size=6
    )
)
def test_round_trip(files: dict[str, bytes]) -> None:
    found = unpack("zip", zipped(files))
    assert {got.names[0]: got.data for got in found.members} == files
    assert found.problems == [] or {problem.name for problem in found.problems} == {"zip.duplicate-name"}
