"""Archives and compressed streams that are read in Python: never an exception but the documented ones, bounded output.

libarchive is left out: it has fuzzers of its own, and its crashes are not ours to find here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib

from lazaretto.content import archive
from lazaretto.content.container import BrokenMember, Problem
from lazaretto.content.rar_headers import read_rar
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime.source import Source

TYPES = ("gzip", "zlib", "bzip2", "xz", "lzma", "lzip", "zstd", "compress", "tar", "iso", "udf")
LIMITS = DEFAULT._replace(max_members=300, max_member_bytes=1 << 20, max_unpacked_bytes=4 << 20)
_TEXT = b"".join(b"%d," % (i * i) for i in range(300))


def _tarred(tar_format: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for name in ("a.txt", "x/" * 70 + "long.exe", "ü"):
            info = tarfile.TarInfo(name)
            info.size = len(_TEXT)
            tar.addfile(info, io.BytesIO(_TEXT))
    return out.getvalue()[:9000]


def _disk() -> bytes:
    """ISO 9660: one file in the root directory."""
    sector = 2048
    record = bytes((34, 0)) + b"\x12\0\0\0\0\0\0\x12" + b"\0\x08\0\0\0\0\x08\0" + bytes(7) + b"\2" + bytes(6) + b"\1\0"
    file = bytes((44, 0)) + b"\x13\0\0\0\0\0\0\x13" + b"\x05\0\0\0\0\0\0\x05" + bytes(7) + b"\0" + bytes(6) + b"\x0aA.TXTNM\x06\1b"
    head = b"\1CD001\1".ljust(128, b"\0") + b"\0\x08\x08\0".ljust(28, b"\0") + record
    return bytes(16 * sector) + head.ljust(sector, b"\0") + b"\0NSR02".ljust(sector, b"\0") + file.ljust(sector, b"\0") + b"hello"


SEEDS: list[bytes] = [
    gzip.compress(_TEXT),
    gzip.compress(b"a") + gzip.compress(_TEXT),
    b"\x1f\x8b\x08\x1e" + bytes(6) + b"\2\0xxname\0comment\0\0\0" + gzip.compress(b"a")[10:],
    zlib.compress(_TEXT),
    bz2.compress(_TEXT),
    lzma.compress(_TEXT),
    lzma.compress(_TEXT, lzma.FORMAT_ALONE),
    b"LZIP\1\x10" + lzma.compress(_TEXT, lzma.FORMAT_ALONE)[13:] + bytes(20),
    b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello",
    b"\x1f\x9d\x90" + bytes(range(1, 120)),
    b"Rar!\x1a\x07\x01\0" + bytes(4) + b"\5\1\0\0\0\0" + bytes(4) + b"\x0a\2\3\4\0name\3\1xx",
    _tarred(tarfile.GNU_FORMAT),
    _tarred(tarfile.PAX_FORMAT),
    _disk(),
]


def target(data: bytes) -> None:
    source = Source(data)
    read_rar(source, 0)
    for type_id in TYPES:
        given = 0
        errors: set[str] = set()
        try:
            for found in archive.walk(type_id, source, Meter(LIMITS)):
                if isinstance(found, Problem):
                    assert found.name.startswith((f"{type_id}.", "udf."))
                    continue
                try:
                    for chunk in found.chunks:
                        given += len(chunk)
                except BrokenMember as exc:
                    errors.add(exc.name)
        except LimitExceeded as exc:
            errors.add(exc.limit)
        assert all(error.startswith((f"{type_id}.", "udf.", "max_")) for error in errors)
        assert given <= LIMITS.max_unpacked_bytes + (1 << 20)
