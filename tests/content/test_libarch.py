from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eicar import EICAR
from lazaretto.content import libarch
from lazaretto.limits import DEFAULT, Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason
from unpacking import sample, unpack

needs_libarchive = pytest.mark.skipif(not libarch.available(), reason="libarchive is not installed")


def written(archive_format: str, files: dict[str, bytes], filter_name: str | None = None) -> bytes:
    import libarchive

    pieces: list[bytes] = []

    def write(data: Any) -> int:
        pieces.append(bytes(data))
        return len(data)

    with libarchive.custom_writer(write, archive_format, filter_name) as archive:
        for name, data in files.items():
            archive.add_file_from_memory(name, len(data), data)
    return b"".join(pieces)


@needs_libarchive
@pytest.mark.parametrize(
    ("type_id", "archive_format"),
    [("7z", "7zip"), ("cpio", "cpio"), ("cpio", "cpio_newc"), ("ar", "ar_svr4"), ("ar", "ar_bsd"), ("xar", "xar")],
)
def test_formats_that_libarchive_writes(type_id: str, archive_format: str) -> None:
    files = {"eicar.com": EICAR, "a.txt": b"hello" * 10_000}
    found = unpack(type_id, written(archive_format, files))
    assert found.errors == []
    assert found.problems == []
    # libarchive 3.6 puts zeros after the second member of a xar
    datas = {got.names[0].rstrip("/").lower(): got.data.rstrip(b"\0") for got in found.members}
    assert datas == files


@needs_libarchive
@pytest.mark.parametrize(
    ("type_id", "name", "first", "size"),
    [
        ("rar", "read_format_rar.rar", "test.txt", 20),
        ("rar", "read_format_rar_windows.rar", "test.txt", 16),
        ("rar", "read_format_rar5_compressed.rar", "test.bin", 1200),
        ("rar", "read_format_rar_sfx.exe", "test.txt", 16),
        ("7z", "read_format_7zip_sfx_pe.exe", "test.txt", 3),
        ("7z", "read_format_7zip_lzma2.7z", "file1", 2844),
        ("cab", "read_format_cab_1.cab", "empty", 0),
        ("cab", "read_format_cab_2.cab", "empty", 0),
        ("lha", "read_format_lha_header2.lzh", "file1", 60),
        ("lha", "read_format_lha_lh7.lzh", "file1", 60),
        ("rpm", "read_format_cpio_svr4_gzip_rpm.rpm", "./etc/file1", 6),
    ],
)
def test_formats_that_others_write(type_id: str, name: str, first: str, size: int) -> None:
    found = unpack(type_id, sample(name))
    assert found.errors == []
    assert found.problems == []
    sizes = {got.names[0]: len(got.data) for got in found.members}
    assert first in sizes or sizes
    assert size in sizes.values()


@needs_libarchive
def test_lz4_stream_has_no_name() -> None:
    found = unpack("lz4", sample("compat_lz4_1.tar.lz4"))
    assert (found.names, len(found.datas[0])) == ([], 7168)
    skippable = b"\x5f\x2a\x4d\x18\3\0\0\0abc"
    assert unpack("lz4", skippable * 2 + sample("compat_lz4_1.tar.lz4")).datas == found.datas


@needs_libarchive
@pytest.mark.parametrize(
    ("type_id", "name", "readable"),
    [
        ("7z", "read_format_7zip_encryption.7z", ["bar.txt"]),
        ("7z", "read_format_7zip_encryption_header.7z", []),
        ("7z", "read_format_7zip_encryption_partially.7z", ["bar_unencrypted.txt", "bar_encrypted.txt"]),
        ("rar", "read_format_rar_encryption_data.rar", ["foo.txt", "bar.txt"]),
        ("rar", "read_format_rar_encryption_header.rar", []),
        ("rar", "read_format_rar5_encrypted.rar", ["a.txt", "b.txt", "c.txt", "d.txt"]),
        ("rar", "read_format_rar5_encrypted_filenames.rar", []),
    ],
)
def test_encrypted_names_still_count(type_id: str, name: str, readable: list[str]) -> None:
    found = unpack(type_id, sample(name), [b"wrong"])
    assert f"{type_id}.encrypted" in {*found.errors, *found.problem_names}
    assert found.names == readable
    reasons = [got.error.reason for got in found.members if got.error] + [problem.reason for problem in found.problems]
    assert Reason.ENCRYPTED in reasons


@needs_libarchive
@pytest.mark.parametrize("name", ["rar_multivolume_multiple_files.part1.rar", "read_format_rar5_multiarchive.part01.rar"])
def test_volumes(name: str) -> None:
    found = unpack("rar", sample(name))
    assert found.problems[0].name == "rar.multivolume"
    assert found.problems[0].reason is Reason.UNSUPPORTED
    assert found.names


@needs_libarchive
@pytest.mark.parametrize("type_id", ["7z", "rar", "cab", "lha", "cpio", "ar", "xar", "rpm", "lz4"])
def test_damage_is_a_problem(type_id: str) -> None:
    for data in (b"", b"\0", b"no such format" * 1000):
        found = unpack(type_id, data)
        assert all(problem.reason for problem in found.problems)
        assert found.errors or found.problems or not any(found.datas)


@needs_libarchive
@pytest.mark.parametrize(("type_id", "archive_format"), [("7z", "7zip"), ("cpio", "cpio_newc"), ("ar", "ar_svr4")])
def test_truncated(type_id: str, archive_format: str) -> None:
    whole = written(archive_format, {"a": b"0123456789abcdef" * 5000})
    for length in range(0, len(whole), max(len(whole) // 40, 1)):
        found = unpack(type_id, whole[:length])
        assert all((b"0123456789abcdef" * 5000).startswith(data) or not data.strip(b"\0") for data in found.datas)


@needs_libarchive
def test_limits() -> None:
    assert unpack("7z", written("7zip", {str(i): b"x" for i in range(20)}), limits=DEFAULT._replace(max_members=19)).limit == "max_members"
    assert unpack("7z", written("7zip", {"zeros": bytes(40 << 20)})).limit == "max_ratio"
    assert unpack("cpio", written("cpio", {"a": bytes(5000)}), limits=DEFAULT._replace(max_member_bytes=4000)).limit == "max_member_bytes"


@needs_libarchive
def test_behind_a_program() -> None:
    archive = written("7zip", {"eicar.com": EICAR})
    for prefix in (b"MZ" + bytes(500_000), b"7z\xbc\xaf\x27\x1c in the stub" + bytes(100)):
        assert unpack("7z", prefix + archive).datas == [EICAR]


@needs_libarchive
def test_members_that_are_not_used_up() -> None:
    source = Source(written("7zip", {str(i): bytes(1000) for i in range(10)}))
    items = list(libarch.walk(source, Meter(), "7z"))
    assert len(items) == 10


@pytest.mark.parametrize("type_id", ["7z", "rar", "cab"])
def test_without_libarchive(type_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libarch, "_library", lambda: None)
    assert not libarch.available()
    (problem,) = unpack(type_id, b"data").problems
    assert (problem.name, problem.reason, problem.detail) == (f"{type_id}.unsupported", Reason.UNSUPPORTED, libarch.INSTALL)


@needs_libarchive
def test_filters_that_start_programs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """libarchive's answer for those is ARCHIVE_WARN."""
    ffi: Any = libarch._library()

    def filters(_name: str) -> Any:
        return lambda _archive: ffi.ARCHIVE_WARN

    monkeypatch.setattr(ffi, "get_read_filter_function", filters)
    assert unpack("lrzip", b"LRZI").problem_names == {"lrzip.unsupported"}


@needs_libarchive
def test_zip_member_of_nothing() -> None:
    from lazaretto.content.container import BrokenMember

    def chunks() -> Iterator[bytes]:
        return libarch.zip_member(b"PK\5\6" + bytes(18), Meter(), [])

    with pytest.raises(BrokenMember):
        list(chunks())
