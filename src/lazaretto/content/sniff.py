"""What bytes are, by their own signatures, whatever their labels say.

    sniff(source)   the one type that most programs would see
    also(source)    other containers hidden in the same bytes: some program opens those

A file can be several things at once.  A zip is found from its end, an ISO image
at 32 KiB, a PDF after a kilobyte of junk, RAR and 7-Zip behind a program: each
of these coexists with whatever stands at the start.

Limits:  looks at the first SEARCH bytes, the last TAIL bytes and a few fixed
         places, so the cost does not grow with the size.  A zip directory is
         read up to DIRECTORY bytes.
Errors:  none.
See:     docs/types.md; PKWARE APPNOTE 4.3 (zip), [MS-CFB] 2.2, ECMA-119 8.1, ISO 32000-1 annex H.3 (PDF header)
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content.markup import later_marks, text_type
from lazaretto.content.signatures import shape, signature
from lazaretto.content.types import TYPES, ZIPPED, TypeInfo, disagreement, ids
from lazaretto.limits import KIB
from lazaretto.mime.source import Source

__all__ = ["TYPES", "TypeInfo", "also", "disagreement", "sniff"]

HEAD = 4 * KIB  # enough for the deepest text mark: mail that we send has 2 KiB of trace fields before it
SEARCH = 256 * KIB  # for RAR and 7-Zip behind something else; their stubs are 80 to 250 KiB, unrar itself looks at 2 MiB
NEAR = 64 * KIB  # for signatures that are less unlikely by chance
TAIL = 128 * KIB  # the end record of a zip may be followed by a 64 KiB comment, and by junk or a signature
DIRECTORY = 256 * KIB  # of a zip's central directory; names of 3000 members
PDF_WITHIN = 1 * KIB

# These may keep their members as they are: what a search finds inside is most likely a member, and comes out as such.
_STORING = ZIPPED | ids(
    "7z rar cab lha tar cpio ar rpm xar arj ace zoo arc sit iso udf fat dmg vhd vhdx wim ole msi msg tnef p7m mbox message mht sqlite pst"
)

# These may also cut their members into pieces, so that a zip inside looks broken from outside: only one that ends
# where the file ends was put behind on purpose.
_SCATTERING = ids("ole msi msg fat vhd vhdx dmg wim sqlite pst")

_LOCAL_HEADER = regex.compile(rb"PK\x03\x04.{4}[\x00-\x63]\0.{16}(?:[\x01-\xff]\0|.[\x01-\x03])", re.DOTALL)
_GZIP = regex.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL)
_TNEF = regex.compile(rb"\x78\x9f\x3e\x22.{2}[\x01\x02]", re.DOTALL)
_PDF = regex.compile(rb"%PDF-[0-9]")
_END_RECORD = struct.Struct("<4s4H2LH")  # PK\5\6: disks, entries, size and offset of the directory, comment length


def sniff(source: Source) -> str:
    """The type id of `source`: a key of TYPES; "data" if unknown, "text" if plain text, "empty"."""
    if not source.size:
        return "empty"
    head = source.read_at(0, HEAD)
    found = _start(source, head)
    if not found:
        found = next(_deep(source, head), "") or text_type(head, whole=source.size <= HEAD)
        if found in ("", "text") and _late_pdf(source, head):
            return "pdf"
    return found or "data"


def also(source: Source) -> tuple[str, ...]:
    """Further container types of the same bytes, never the one that sniff answers.

    zip, rar, 7z, cab, gzip, tar, iso, udf, fat, dmg, vhd, pdf, tnef, html, pgp-message and p7m; in no order.
    """
    if source.size < 12:
        return ()
    head = source.read_at(0, HEAD)
    first = sniff(source)
    found = dict.fromkeys(_deep(source, head))
    storing = first in _STORING or not found.keys().isdisjoint(_STORING)
    scattering = first in _SCATTERING or not found.keys().isdisjoint(_SCATTERING)
    if first not in ZIPPED and (
        _directory(source, exact=scattering)[0] >= 0 or (not storing and _near(b"PK\x03\x04", _LOCAL_HEADER, source))
    ):
        found["zip"] = None  # by its end record, or, for those who read streams, by a header near the start
    if _late_pdf(source, head):
        found["pdf"] = None
    if not storing:
        found.update(dict.fromkeys(_searched(source, first)))
        if first not in ("html", "hta") and TYPES[first].group != "executable":
            found.update(dict.fromkeys(later_marks(head)))
    found.pop(first, None)
    return tuple(found)


# -- at the start


def _start(source: Source, head: bytes) -> str:
    """The type by what stands at offset 0; "" if nothing there decides."""
    type_id = signature(head)
    if type_id == "zip":
        return _zip_kind(source)
    if type_id == "ole":
        return _ole_kind(source, head)
    if type_id:
        return type_id
    if head[:2] in (b"MZ", b"ZM"):
        return _program(source, head)
    if head.startswith(b"\xca\xfe\xba\xbe") and len(head) >= 8:
        # A fat Mach-O counts its architectures where a Java class has its version, which is 45 at least.
        return "class" if head[7] >= 45 else "macho"
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50 and len(head) >= 8:
        return _after_skippable(source)
    return shape(head)


def _after_skippable(source: Source) -> str:
    """Skippable frames belong to zstd and lz4 alike: the first other frame tells."""
    at = 0
    for _ in range(64):  # a writer that needs more is no writer
        frame = source.read_at(at, 8)
        if len(frame) < 8 or frame[1:4] != b"\x2a\x4d\x18" or frame[0] & 0xF0 != 0x50:
            return "lz4" if frame.startswith((b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18")) else "zstd"
        at += 8 + struct.unpack_from("<L", frame, 4)[0]
    return "zstd"


def _program(source: Source, head: bytes) -> str:
    """MZ programs by the new header that the old one points to."""
    if len(head) >= 0x40:
        (offset,) = struct.unpack_from("<L", head, 0x3C)
        mark = source.read_at(offset, 4)
        if mark == b"PE\0\0":
            return "pe"
        if mark[:2] == b"NE":
            return "ne"
        if mark[:2] in (b"LE", b"LX"):
            return "le"
    # Text may well begin with these two letters; a program's header has zeros.
    return "mz" if len(head) >= 4 and b"\0" in head[2:64] else ""


def _ole_kind(source: Source, head: bytes) -> str:
    """ "msi" and "msg" by class id of the root entry, or by the names of the first streams; else "ole"."""
    if len(head) < 512:
        return "ole"
    shift, sector = struct.unpack_from("<H", head, 30)[0], struct.unpack_from("<L", head, 48)[0]
    if shift not in (9, 12) or sector > source.size >> shift:
        return "ole"
    entries = source.read_at((sector + 1) << shift, 1 << shift if shift == 12 else 8 << 9)
    class_id = entries[80:96]
    if class_id[1:2] == b"\x10" and class_id[2:] == b"\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F" and class_id[0] in (0x82, 0x84, 0x86):
        return "msi"
    if class_id == b"\x0b\x0d\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F":
        return "msg"
    if "__properties_version1.0".encode("utf-16-le") in entries:
        return "msg"
    # Tables of an installer database have names that begin with U+4840.
    return "msi" if any(entries[n : n + 2] == b"\x40\x48" for n in range(128, len(entries), 128)) else "ole"


# -- zip and what is made of it


def _zip_kind(source: Source) -> str:
    names = zip_names(source)
    lower = {name.replace(b"\\", b"/").lstrip(b"/").lower() for name in names}
    if b"mimetype" in lower:
        declared = source.read_at(30, 128)
        if b"application/vnd.oasis.opendocument" in declared or b"application/vnd.sun.xml" in declared:
            return "odf"
        if b"application/epub+zip" in declared:
            return "epub"
    if b"androidmanifest.xml" in lower and not lower.isdisjoint((b"classes.dex", b"resources.arsc")):
        return "apk"
    if b"appxmanifest.xml" in lower or b"appxmetadata/appxbundlemanifest.xml" in lower:
        return "appx"
    if b"[content_types].xml" in lower:
        macros = any(name.endswith(b"vbaproject.bin") or name.startswith(b"xl/macrosheets/") for name in lower)
        if b"xl/workbook.bin" in lower:
            return "xlsb"
        for folder, plain, active in ((b"word/", "docx", "docm"), (b"xl/", "xlsx", "xlsm"), (b"ppt/", "pptx", "pptm")):
            if any(name.startswith(folder) for name in lower):
                return active if macros else plain
        return "ooxml"
    if b"meta-inf/manifest.mf" in lower:
        return "jar"
    if b"content.xml" in lower and b"meta-inf/manifest.xml" in lower:
        return "odf"
    return "zip"


def zip_names(source: Source) -> set[bytes]:
    """Raw member names near the start, and of the central directory: the two may differ."""
    head = source.read_at(0, NEAR)
    names = {_name(head, m.start(), 26, 30) for m in _LOCAL_HEADER.finditer(head)}
    position, directory = _directory(source, exact=False)
    if position >= 0:
        offset = 0
        while directory.startswith(b"PK\x01\x02", offset) and offset + 46 <= len(directory):
            names.add(_name(directory, offset, 28, 46))
            offset += 46 + sum(struct.unpack_from("<3H", directory, offset + 28))
    return names


def _name(data: bytes, start: int, length_at: int, name_at: int) -> bytes:
    (length,) = struct.unpack_from("<H", data, start + length_at)
    return data[start + name_at : start + name_at + min(length, 1024)]


def _directory(source: Source, exact: bool) -> tuple[int, bytes]:
    """Where the last sound end record stands, and the start of the directory before it; (-1, b"") if there is none.

    `exact`: only a record whose comment ends where the file ends.
    """
    base = max(source.size - TAIL, 0)
    tail = source.read_at(base, TAIL)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if at + 22 <= len(tail):
            _, _, _, _, entries, size, offset, comment = _END_RECORD.unpack_from(tail, at)
            left = len(tail) - at - 22 - comment
            if left == 0 if exact else left >= 0 or offset:
                # The directory lies right before the record, or where the record says (junk in between, zip64).
                for start in (base + at - size, offset):
                    if 0 <= start < base + at and source.read_at(start, 4) == b"PK\x01\x02":
                        return base + at, source.read_at(start, min(size, DIRECTORY))
                if not entries and not size and base + at == 0:
                    return 0, b""
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return -1, b""


# -- elsewhere


def _deep(source: Source, head: bytes) -> Iterator[str]:
    """Types that fixed places further in give away."""
    if _tar_header(head):
        yield "tar"
    if source.size > 32768 + 8:
        # ECMA-119: descriptors from sector 16 on; some writers put others before the primary one.
        area = source.read_at(32768, 16 * 2048)
        marks = {area[n + 1 : n + 6] for n in range(0, len(area), 2048)}
        if b"CD001" in marks:
            yield "iso"
        elif marks & {b"NSR02", b"NSR03"}:
            yield "udf"
    if source.size >= 512:
        trailer = source.read_at(source.size - 512, 8)
        if trailer.startswith(b"koly"):
            yield "dmg"
        elif trailer == b"conectix":
            yield "vhd"
        if head[510:512] == b"\x55\xaa" and head[:1] in (b"\xeb", b"\xe9") and (head[54:57] == b"FAT" or head[82:85] == b"FAT"):
            yield "fat"


def _tar_header(head: bytes) -> bool:
    """The checksum decides, not the magic: the oldest tars have none, and every reader checks it."""
    if len(head) < 512:
        return False
    digits = head[148:156].strip(b" \0")
    try:
        stated = int(digits, 8)
    except ValueError:
        return False
    unsigned = sum(head[:148]) + sum(head[156:512]) + 8 * 32
    if stated == unsigned:
        return True
    signed = unsigned - 256 * sum(byte > 127 for byte in head[:148] + head[156:512])  # old Suns
    return stated == signed


def _late_pdf(source: Source, head: bytes) -> bool:
    """A PDF header behind up to 1 KiB of something else.  Text may mention one, so more of a PDF has to be there."""
    found = _PDF.search(head, 0, PDF_WITHIN + 5)
    if found is None:
        return False
    if found.start() == 0 or not head[: found.start()].strip(b" \t\r\n\0\xef\xbb\xbf"):
        return True
    end = source.read_at(max(source.size - 2048, 0), 2048)
    return b"startxref" in end or b"%%EOF" in end or b" obj" in head


def _searched(source: Source, first: str) -> Iterator[str]:
    """Archives behind something else, by search."""
    far = min(SEARCH, source.size)
    for magic, type_id in ((b"Rar!\x1a\x07", "rar"), (b"7z\xbc\xaf\x27\x1c", "7z")):
        if source.data.find(magic, 1, far) > 0:
            yield type_id
    if _near(b"\x78\x9f\x3e\x22", _TNEF, source):
        yield "tnef"
    if first in ("data", "text", "script", "batch") and _near(b"\x1f\x8b\x08", _GZIP, source):
        yield "gzip"
    if first in ("pe", "elf"):
        start = _overlay(source, first)
        behind = source.read_at(start, NEAR) if start else b""
        for magic, type_id in ((b"Rar!\x1a\x07", "rar"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"MSCF\0\0\0\0", "cab")):
            if magic in behind:
                yield type_id


def _near(magic: bytes, pattern: re.Pattern[bytes], source: Source) -> bool:
    """Does the pattern, which begins with `magic`, match somewhere near the start?"""
    at = source.data.find(magic, 1, min(NEAR, source.size))
    return at >= 0 and pattern.search(source.data, at, min(NEAR, source.size)) is not None


def _overlay(source: Source, first: str) -> int:
    """Where the data behind the last section of a program begins; 0 if there is none."""
    end = 0
    if first == "elf":
        header = source.read_at(0, 64)
        if len(header) == 64:
            order = ">" if header[5] == 2 else "<"
            table, entry = ("QHH", (40, 58)) if header[4] == 2 else ("LHH", (32, 46))
            (start,) = struct.unpack_from(order + table[0], header, entry[0])
            size, count = struct.unpack_from(order + table[1:], header, entry[1])
            end = start + size * count
        return end if end < source.size else 0
    (offset,) = struct.unpack("<L", source.read_at(0x3C, 4))
    header = source.read_at(offset, 24)
    if len(header) < 24:
        return 0
    count, optional = struct.unpack_from("<H", header, 6)[0], struct.unpack_from("<H", header, 20)[0]
    sections = source.read_at(offset + 24 + optional, 40 * min(count, 96))
    for at in range(0, len(sections) - 39, 40):
        size, start = struct.unpack_from("<2L", sections, at + 16)
        if size:
            end = max(end, start + size)
    return end if end < source.size else 0
