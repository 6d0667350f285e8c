"""Types by bytes: programs, packages, hidden containers, and how little of a large file is touched."""

from __future__ import annotations

import binascii
import io
import re
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.content import sniff as module
from lazaretto.content.sniff import TYPES, TypeInfo, also, disagreement, sniff
from lazaretto.mime.source import Source

FILES = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "files"
JUNK = b"JUNK" * 100


def zipped(*names: str, first: bytes = b"x", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), first)
            first = b"x"
    return out.getvalue()


def tarred(name: str, content: bytes, fmt: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def program(mark: bytes, behind: bytes = b"") -> bytes:
    """An MZ header, the new header at 0x80, one section of 512 bytes at 0x200, and something behind it."""
    header = bytearray(0x200)
    header[:2] = b"MZ"
    struct.pack_into("<L", header, 0x3C, 0x80)
    header[0x80 : 0x80 + len(mark)] = mark
    struct.pack_into("<H", header, 0x86, 1)  # sections
    struct.pack_into("<H", header, 0x94, 0)  # no optional header: the section table begins at 0x98
    struct.pack_into("<2L", header, 0x98 + 16, 0x200, 0x200)
    return bytes(header) + bytes(0x200) + behind


def elf(behind: bytes = b"") -> bytes:
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 40, 64)
    struct.pack_into("<2H", header, 58, 64, 1)
    return bytes(header) + bytes(64) + behind


def compound(class_id: bytes = bytes(16), *names: str) -> bytes:
    """A compound file as far as its directory, in sector 0."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", header, 30, 9)
    root = bytearray("Root Entry".encode("utf-16-le").ljust(128, b"\0"))
    root[80:96] = class_id
    entries = b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in names)
    return bytes(header) + bytes(root) + entries + bytes(512)


def image(mark: bytes) -> bytes:
    return bytes(32768) + b"\x01" + mark + bytes(2042) + bytes(4096)


CONTENT_TYPES = "[Content_Types].xml"
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n0\n%%EOF\n"

CASES: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("data", b"\x00\x01\x02"),
    ("text", b"hello\n"),
    ("pe", program(b"PE\0\0")),
    ("ne", program(b"NE")),
    ("le", program(b"LE")),
    ("le", program(b"LX")),
    ("mz", b"MZ" + bytes(62)),
    ("mz", b"MZ" + bytes(58) + b"\xff\xff\xff\x7f"),
    ("text", b"MZ is a text"),
    ("elf", elf()),
    ("macho", b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(40)),
    ("class", b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(40)),
    ("ole", compound()),
    ("ole", compound()[:300]),
    ("ole", compound(bytes(16), "WordDocument")),
    ("msi", compound(bytes.fromhex("84100c0000000000c000000000000046"))),
    ("msi", compound(bytes.fromhex("86100c0000000000c000000000000046"))),
    ("msi", compound(bytes(16), "\u4840\u3f3f\u4577")),
    ("msg", compound(bytes.fromhex("0b0d020000000000c000000000000046"))),
    ("msg", compound(bytes(16), "__nameid_version1.0", "__properties_version1.0")),
    ("zip", zipped("a.txt")),
    ("zip", zipped()),
    ("zip", zipped("a.txt")[:60]),
    ("docx", zipped(CONTENT_TYPES, "word/document.xml")),
    ("docm", zipped(CONTENT_TYPES, "word/document.xml", "word/vbaProject.bin")),
    ("docm", zipped(CONTENT_TYPES, "word/document.xml", "word/VBAPROJECT.BIN")),
    ("docm", zipped(CONTENT_TYPES, "word\\document.xml", "\\word\\vbaProject.bin")),
    ("xlsx", zipped(CONTENT_TYPES, "xl/workbook.xml")),
    ("xlsm", zipped(CONTENT_TYPES, "xl/workbook.xml", "xl/vbaProject.bin")),
    ("xlsm", zipped(CONTENT_TYPES, "xl/workbook.xml", "xl/macrosheets/sheet1.xml")),
    ("xlsb", zipped(CONTENT_TYPES, "xl/workbook.bin")),
    ("pptx", zipped(CONTENT_TYPES, "ppt/presentation.xml")),
    ("pptm", zipped(CONTENT_TYPES, "ppt/presentation.xml", "ppt/vbaProject.bin")),
    ("ooxml", zipped(CONTENT_TYPES, "visio/document.xml")),
    ("zip", zipped("word/document.xml")),
    ("odf", zipped("mimetype", "content.xml", first=b"application/vnd.oasis.opendocument.text", method=zipfile.ZIP_STORED)),
    ("odf", zipped("content.xml", "META-INF/manifest.xml")),
    ("epub", zipped("mimetype", "META-INF/container.xml", first=b"application/epub+zip", method=zipfile.ZIP_STORED)),
    ("jar", zipped("META-INF/MANIFEST.MF", "a.class")),
    ("apk", zipped("AndroidManifest.xml", "classes.dex")),
    ("appx", zipped("AppxManifest.xml", CONTENT_TYPES)),
    ("tar", tarred("a.txt", b"x")),
    ("tar", tarred("a.txt", b"x", tarfile.GNU_FORMAT)),
    ("tar", tarred("a.txt", b"x", tarfile.PAX_FORMAT)),
    ("tar", tarred("<html>", b"x")),
    ("iso", image(b"CD001")),
    ("udf", image(b"NSR02")),
    ("dmg", bytes(2048) + b"koly" + bytes(508)),
    ("vhd", bytes(2048) + b"conectix" + bytes(504)),
    ("fat", b"\xeb\x3c\x90MSDOS5.0".ljust(54, b"\0") + b"FAT12   ".ljust(456, b"\0") + b"\x55\xaa" + bytes(512)),
    ("zstd", b"\x50\x2a\x4d\x18\x02\0\0\0xx\x28\xb5\x2f\xfd" + bytes(8)),
    ("lz4", b"\x50\x2a\x4d\x18\x02\0\0\0xx\x5f\x2a\x4d\x18\0\0\0\0\x04\x22\x4d\x18" + bytes(8)),
    ("pdf", PDF),
    ("pdf", b"\r\n" + PDF),
    ("pdf", JUNK + PDF),
    ("pdf", b"\x00\x01" + PDF),
    ("text", b"The header %PDF-1.4 begins each PDF.\n"),
    ("data", b"\0" * 1100 + PDF),
    ("rtf", b"{\\rtf1}"),
    ("html", b"<html>"),
    ("message", b"Received: x\r\nFrom: a\r\n\r\n"),
]

HIDDEN: list[tuple[str, bytes, set[str]]] = [
    ("gif, zip behind it", b"GIF89a" + bytes(100_000) + zipped("a.exe"), {"zip"}),
    ("junk, zip behind it", JUNK + zipped("a.exe"), {"zip"}),
    ("junk and a zip without directory", JUNK + zipped("a.exe", first=bytes(500))[:60], {"zip"}),
    ("zip, junk behind", b"GIF89a" + zipped("a.exe") + bytes(60_000), {"zip"}),
    ("false end records behind", b"GIF89a" + bytes(70_000) + zipped("a.exe") + b"PK\x05\x06" * 5000, {"zip"}),
    ("sfx", program(b"PE\0\0", zipped("a.exe")), {"zip"}),
    ("sfx, signed", program(b"PE\0\0", zipped("a.exe") + bytes(9000)), {"zip"}),
    ("pdf and zip", PDF + zipped("a.exe"), {"zip"}),
    ("rar behind a program", program(b"PE\0\0", b"Rar!\x1a\x07\0"), {"rar"}),
    ("7z far behind a program", program(b"PE\0\0", b"7z\xbc\xaf\x27\x1c").ljust(400_000, b"\0"), {"7z"}),
    ("cabinet behind a program", program(b"PE\0\0", b"MSCF\0\0\0\0"), {"cab"}),
    ("7z behind a Unix program", elf(b"7z\xbc\xaf\x27\x1c"), {"7z"}),
    ("rar behind a jpeg", b"\xff\xd8\xff" + bytes(200_000) + b"Rar!\x1a\x07\x01\0", {"rar"}),
    ("iso with a program at its start", b"MZ" + image(b"CD001")[2:], {"iso"}),
    ("tar that begins as a gif", tarred("GIF89a", b"x"), {"tar"}),
    ("vhd after anything", b"GIF89a" + bytes(2000) + b"conectix" + bytes(504), {"vhd"}),
    ("zip behind a tar", tarred("a.txt", b"x") + zipped("a.exe") + b"x", {"zip"}),
    ("zip at the very end of a compound file", compound() + zipped("a.exe"), {"zip"}),
    ("pdf in a gif", b"GIF89a" + PDF, {"pdf"}),
    ("tnef behind junk", JUNK + b"\x78\x9f\x3e\x22\x01\0\x01", {"tnef"}),
    ("gzip behind junk", JUNK + b"\x1f\x8b\x08\0\0\0\0\0\0\x03", {"gzip"}),
    ("html behind text", b"hello <script>x</script>", {"html"}),
    ("armour behind text", b"hello\r\n-----BEGIN PGP MESSAGE-----\r\n", {"pgp-message"}),
]

CLEAN = [
    b"",
    b"x",
    b"Hello, see PK\x05\x06 and Rar! and 7z.\n" * 20,
    b"GIF89a" + bytes(5000),
    b"\x89PNG\r\n\x1a\n" + bytes(5000),
    PDF,
    zipped("a.txt", "b.html", first=b"<html>", method=zipfile.ZIP_STORED),
    zipped("inner.rar", first=b"Rar!\x1a\x07\0" + bytes(50), method=zipfile.ZIP_STORED),
    tarred("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50)),
    compound(bytes(16), "Package") + zipped("embedded.xml") + bytes(600),  # an Office file in an Office file
    program(b"PE\0\0"),
    elf(),
    b"Received: x\r\nFrom: a\r\n\r\n<html>",
]


@pytest.mark.parametrize(("type_id", "data"), CASES)
def test_sniff(type_id: str, data: bytes) -> None:
    assert sniff(Source(data)) == type_id


@pytest.mark.parametrize(("type_id", "data"), [case for case in CASES if case[0] not in ("empty", "data", "text", "dmg", "vhd", "message")])
def test_trailing_data_changes_nothing(type_id: str, data: bytes) -> None:
    assert sniff(Source(data + bytes(700))) == type_id


@pytest.mark.parametrize(("what", "data", "types"), HIDDEN, ids=[case[0] for case in HIDDEN])
def test_also(what: str, data: bytes, types: set[str]) -> None:
    assert set(also(Source(data))) == types, what
    assert sniff(Source(data)) not in types


@pytest.mark.parametrize("data", CLEAN)
def test_nothing_hidden(data: bytes) -> None:
    assert also(Source(data)) == ()


def test_names_of_directory_and_headers_both_count() -> None:
    """The local header says .txt, the directory says vbaProject.bin, or the other way round: some program believes either."""
    data = zipped(CONTENT_TYPES, "word/document.xml", "word/vbaProject.bin")
    harmless = data.replace(b"vbaProject.bin", b"vbaProject.txt", 1)
    assert sniff(Source(harmless)) == "docm"
    at = data.rfind(b"vbaProject.bin")
    assert sniff(Source(data[:at] + b"vbaProject.txt" + data[at + 14 :])) == "docm"


class Counting:
    """A buffer that notes how many bytes are asked for; searches count their whole range."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.touched = 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> bytes:
        found = self.data[part]
        self.touched += len(found)
        return found

    def find(self, what: bytes, start: int, stop: int) -> int:
        self.touched += stop - start
        return self.data.find(what, start, stop)


class _CountingPattern:
    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern = pattern

    def search(self, buffer: bytes | Counting, start: int, stop: int) -> re.Match[bytes] | None:
        data = buffer if isinstance(buffer, bytes) else buffer.data
        if isinstance(buffer, Counting):
            buffer.touched += min(stop, len(data)) - start
        return self.pattern.search(data, start, stop)

    def finditer(self, data: bytes) -> Iterator[re.Match[bytes]]:
        return self.pattern.finditer(data)


@pytest.mark.parametrize(
    "start",
    [b"", b"GIF89a", b"From: a\r\nTo: b\r\n\r\n", b"PK\x03\x04", program(b"PE\0\0"), b"<html>", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
)
def test_cost_does_not_grow_with_the_size(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_LOCAL_HEADER", "_TNEF", "_GZIP"):
        monkeypatch.setattr(module, name, _CountingPattern(getattr(module, name)))
    costs = []
    for size in (10 << 20, 40 << 20):
        buffer = Counting(start + b"\xa5" * (size - len(start)))
        source = Source(buffer)  # type: ignore[arg-type]
        sniff(source)
        also(source)
        costs.append(buffer.touched)
    assert costs[0] == costs[1]
    assert costs[0] <= 1536 << 10


def test_the_module_offers_the_table() -> None:
    assert isinstance(TYPES["pdf"], TypeInfo)
    assert disagreement("pe", "", ["a.jpg"]) == "type.executable-as-image"


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    check(data)


PIECES = [
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"MZ",
    b"PE\0\0",
    b"%PDF-1",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\x7fELF\x02\x01",
    b"P*M\x18",
]
PIECES += [bytes(22), b"\xff" * 30, b"\x1f\x8b\x08\0", b"koly", b"CD001", b"<html>", b"GIF89a", b"a: b\n"]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=40))
def test_any_pieces(pieces: list[bytes]) -> None:
    check(b"".join(pieces))


@given(st.sampled_from([data for _, data in CASES if data]), st.data())
def test_any_damage(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, min(len(data) - 1, 700)))
    check(data[:at] + draw.draw(st.binary(min_size=1, max_size=8)) + data[at + 1 :])
    check(data[:at])


def check(data: bytes) -> None:
    source = Source(data)
    first = sniff(source)
    assert first in TYPES
    others = also(source)
    assert first not in others
    assert set(others) <= TYPES.keys()
    assert (first == "empty") is (not data)


# -- files of other projects


def uudecode(text: bytes) -> Iterator[bytes]:
    inside = False
    for line in text.splitlines():
        if line.startswith(b"begin "):
            inside = True
        elif line == b"end":
            return
        elif inside and line:
            size = (line[0] - 32) & 63
            whole = (size + 2) // 3  # some writers leave garbage in the last group
            yield binascii.a2b_uu(bytes((32 + 3 * whole,)) + line[1 : 1 + 4 * whole])[:size]


BY_SUFFIX = {
    "7z": "7z",
    "Z": "compress",
    "bz2": "bzip2",
    "cab": "cab",
    "elf": "elf",
    "exe": "pe",
    "gz": "gzip",
    "iso": "iso",
    "lrz": "lrzip",
    "lz": "lzip",
    "lz4": "lz4",
    "lzh": "lha",
    "lzo": "lzop",
    "rar": "rar",
    "rpm": "rpm",
    "tar": "tar",
    "tbz": "bzip2",
    "tgz": "gzip",
    "txz": "xz",
    "xar": "xar",
    "zst": "zstd",
}
# What the name does not say: programs called .7z, and a tar header without a valid checksum.
EXCEPTIONS = ("7zip_issue2765.7z", "7zip_malformed3.7z", "tar_V_negative_size.tar")


def test_archives_of_libarchive() -> None:
    folder = FILES / "libarchive-libarchive" / "data"
    if not folder.is_dir():
        pytest.skip("the archives of libarchive's tests are not here")
    seen = 0
    for path in sorted(folder.glob("*.uu")):
        name = path.name.removesuffix(".uu")
        expected = BY_SUFFIX.get(name.rpartition(".")[2])
        if expected is None or name.endswith(EXCEPTIONS):
            continue
        data = b"".join(uudecode(path.read_bytes()))
        assert sniff(Source(data)) == expected, name
        seen += 1
    assert seen > 200


def test_office_files_of_oletools() -> None:
    folder = FILES / "decalage2-oletools" / "data"
    if not folder.is_dir():
        pytest.skip("the files of oletools' tests are not here")
    seen = 0
    for path in sorted(folder.iterdir()):
        found = sniff(Source(path.read_bytes()))
        suffix = path.suffix[1:]
        if "encrypted" in path.name or suffix in ("doc", "xls", "ppt", "xlt"):
            assert found == "ole", path.name
        elif suffix in ("docx", "xlsx", "xlsb", "pptx", "xml", "zip"):
            assert found == suffix, path.name
        elif suffix in ("docm", "xlsm", "xltm", "pptm"):
            assert found[:3] in ("doc", "xls", "ppt"), path.name  # some have the extension only
        else:
            continue
        seen += 1
    assert seen > 30
