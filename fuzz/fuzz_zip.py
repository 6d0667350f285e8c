"""Zips: never an exception but the documented ones, bounded work, stored members come out whole."""

from __future__ import annotations

import io
import zipfile

from lazaretto.content import zip_archive
from lazaretto.content.container import BrokenMember, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime.source import Source

LIMITS = DEFAULT._replace(max_members=300, max_member_bytes=1 << 20, max_unpacked_bytes=4 << 20)


def _zipped(method: int, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


_FILES = {"a.txt": b"hello", "b/c.exe": b"MZ" + bytes(300), "d": bytes(range(256))}
_STORED = _zipped(zipfile.ZIP_STORED, _FILES)
SEEDS: list[bytes] = [
    _STORED,
    _zipped(zipfile.ZIP_DEFLATED, _FILES),
    _zipped(zipfile.ZIP_BZIP2, _FILES),
    _zipped(zipfile.ZIP_LZMA, _FILES),
    _zipped(zipfile.ZIP_STORED, {"inner.zip": _STORED}),
    _STORED + _STORED,
    b"MZ" + bytes(90) + _STORED + b"tail",
    _STORED[: _STORED.index(b"PK\1\2")],
    _STORED.replace(b"PK\3\4\x14\0\0\0", b"PK\3\4\x14\0\1\0"),
    b"PK\3\4" * 50,
    b"PK\5\6" + bytes(18),
]


def target(data: bytes) -> None:
    given = members = 0
    errors: set[str] = set()
    try:
        for found in zip_archive.walk(Source(data), Meter(LIMITS), passwords=[b"x", b"infected"]):
            if isinstance(found, Problem):
                assert found.name.startswith("zip.")
                continue
            members += 1
            assert found.names
            try:
                for chunk in found.chunks:
                    assert chunk
                    given += len(chunk)
            except BrokenMember as exc:
                errors.add(exc.name)
    except LimitExceeded as exc:
        errors.add(exc.limit)
    assert all(error.startswith(("zip.", "max_")) for error in errors)
    assert given <= LIMITS.max_unpacked_bytes + (1 << 20)
    if data == _STORED:
        assert members == len(_FILES)
        assert given == sum(map(len, _FILES.values()))
