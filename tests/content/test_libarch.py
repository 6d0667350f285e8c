from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import wrappings
from eicar import EICAR
from lazaretto.content import libarch
from lazaretto.content.container import BrokenMember, Problem
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
    def chunks() -> Iterator[bytes]:
        return libarch.zip_member(b"PK\5\6" + bytes(18), Meter(), [])

    with pytest.raises(BrokenMember):
        list(chunks())


# -- libarchive as it may be, and what it says


def library(monkeypatch: pytest.MonkeyPatch, ffi: object) -> None:
    package = ModuleType("libarchive")
    package.ffi = ffi  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "libarchive", package)


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libarchive", None)
    assert (libarch.available(), libarch._library()) == (False, None)


@pytest.mark.parametrize("exc", [OSError, TypeError, AttributeError, ImportError])
def test_the_package_is_there_without_the_library(exc: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    class Package(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise exc(name)

    monkeypatch.setitem(sys.modules, "libarchive", Package("libarchive"))
    monkeypatch.delitem(sys.modules, "libarchive.ffi", raising=False)
    assert libarch._library() is None


class OldLibrary:
    """What libarchive-c is with a library that may lack a function."""

    c_archive_entry_p = c_int = object()

    def __init__(self, *functions: str) -> None:
        self.functions = functions
        self.logger = SimpleNamespace(disabled=False)

    def ffi(self, name: str, arguments: list[object], result: object) -> None:
        assert (name, arguments, result) == ("entry_is_encrypted", [self.c_archive_entry_p], self.c_int)
        if name not in self.functions:
            raise AttributeError(name)


def test_a_library_of_before_2016(monkeypatch: pytest.MonkeyPatch) -> None:
    library(monkeypatch, OldLibrary())
    assert not libarch.available()


def test_a_library_is_made_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = OldLibrary("entry_is_encrypted")
    library(monkeypatch, newer)
    assert libarch._library() is newer
    assert newer.logger.disabled


@pytest.mark.parametrize(
    ("message", "encrypted", "name", "reason"),
    [
        (b"Truncated 7-Zip file body", False, "7z.broken", Reason.BROKEN),
        ("Damaged cab archive", False, "7z.broken", Reason.BROKEN),
        (None, False, "7z.broken", Reason.BROKEN),
        (b"\xff", False, "7z.broken", Reason.BROKEN),
        (b"Passphrase required for this entry", False, "7z.encrypted", Reason.ENCRYPTED),
        (b"Incorrect passphrase", False, "7z.encrypted", Reason.ENCRYPTED),
        (b"The archive header is encrypted, but currently not supported", False, "7z.encrypted", Reason.ENCRYPTED),
        (b"RAR encryption support unavailable.", False, "7z.encrypted", Reason.ENCRYPTED),
        (b"Decryption is unsupported due to lack of crypto library", False, "7z.encrypted", Reason.ENCRYPTED),
        (b"wrong password", False, "7z.encrypted", Reason.ENCRYPTED),
        (b"Bad CRC", True, "7z.encrypted", Reason.ENCRYPTED),
        (b"RAR Multi-Volume archive", False, "7z.multivolume", Reason.UNSUPPORTED),
        (b"Can't open next volume", False, "7z.multivolume", Reason.UNSUPPORTED),
        (b"Unsupported packing method", False, "7z.unsupported", Reason.UNSUPPORTED),
        (b"Method isn't supported", False, "7z.unsupported", Reason.UNSUPPORTED),
        (b"LZMA codec is NOT SUPPORTED", False, "7z.unsupported", Reason.UNSUPPORTED),
    ],
)
def test_messages_of_libarchive(message: object, encrypted: bool, name: str, reason: Reason) -> None:
    archive = libarch._Archive(None, Source(b""), Meter(), "7z")
    text = "no details" if message is None else message.decode("utf-8", "replace") if isinstance(message, bytes) else message
    exc = SimpleNamespace(msg=message)
    assert archive.problem(exc, encrypted) == Problem(name, str(text), reason)
    archive.encrypted = True  # the headers say so
    assert archive.problem(exc).name == "7z.encrypted"


def cpio(*members: tuple[bytes, int, bytes]) -> bytes:
    """Name, mode and data of each, in the old portable format."""
    out = b""
    for number, (name, mode, data) in enumerate((*members, (b"TRAILER!!!", 0, b"")), 1):
        fields = (0o070707, 0, number, mode, 0, 0, 1, 0)
        out += b"".join(b"%06o" % field for field in fields) + b"%011o%06o%011o" % (0, len(name) + 1, len(data)) + name + b"\0" + data
    return out


@needs_libarchive
def test_what_is_no_file_is_passed_over() -> None:
    found = unpack(
        "cpio",
        cpio(
            (b"dir", 0o040755, b""),
            (b"a", 0o100644, b"file"),
            (b"link", 0o120777, b"a"),
            (b"pipe", 0o010644, b""),
            (b"null", 0o020666, b""),
            (b"b", 0o100755, EICAR),
        ),
    )
    assert (found.names, found.datas, found.problems) == (["a", "b"], [b"file", EICAR], [])


@needs_libarchive
def test_what_is_no_file_counts_as_a_member() -> None:
    data = cpio(*[(b"dir%d" % number, 0o040755, b"") for number in range(5)])
    assert unpack("cpio", data, limits=DEFAULT._replace(max_members=4)).limit == "max_members"
    assert unpack("cpio", data, limits=DEFAULT._replace(max_members=5)).limit == ""


@needs_libarchive
@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"a.exe", "a.exe"),
        (b"d\\a.exe", "d\\a.exe"),
        ("\u00fc.exe".encode(), "\u00fc.exe"),
        (b"\x81.exe", "\u00fc.exe"),
        (b"\xff\xfe.exe", "\xa0\u25a0.exe"),
    ],
)
def test_names_in_old_code_pages(raw: bytes, name: str) -> None:
    (got,) = unpack("cpio", cpio((raw, 0o100644, b"x"))).members
    assert got.names[-1] == name


def test_names_of_both_kinds() -> None:
    def names(wide: str | None, raw: bytes | None) -> tuple[str, ...]:
        ffi = SimpleNamespace(entry_pathname_w=lambda _: wide, entry_pathname=lambda _: raw)
        return libarch._names(ffi, None)

    assert names("a", b"a") == ("a",)
    assert names("\u00fc", b"\x81") == ("\u00fc",)
    assert names("b", b"a") == ("b", "a")
    assert names(None, b"\x81") == ("\u00fc",)
    assert names("", b"") == names(None, None) == ()


SKIPPED = b"\x50\x2a\x4d\x18\x03\0\0\0abc"


@pytest.mark.parametrize(
    ("type_id", "data", "start"),
    [
        ("lz4", b"", 0),
        ("lz4", b"\x04\x22\x4d\x18", 0),
        ("lz4", SKIPPED + b"\x04\x22\x4d\x18", 11),
        ("lz4", SKIPPED + b"\x5f" + SKIPPED[1:] + b"x", 22),
        ("lz4", SKIPPED + b"\x60" + SKIPPED[1:], 11),  # no skippable frame
        ("lz4", SKIPPED[:7], 0),
        ("cpio", b"xx070707", 0),
        ("7z", b"stub7z\xbc\xaf\x27\x1c" + b"x" * 26, 0),  # a beginning that is none
        ("rar", b"MZ Rar!\x1a\x07\x01\0", 3),
        ("rar", b"MZ Rar!\x1a\x07\0\xcf\x90\x73", 3),
        ("rar", b"Rar!\x1a\x07 Rar!\x1a\x07\x01\0", 7),
        ("rar", b"Rar!\x1a\x07\x02\0", 0),
        ("cab", b"stubMSCF\0\0\0\0\x0c\0\0\0", 4),
        ("cab", b"stubMSCF\0\0\0\0\x0d\0\0\0", 0),  # longer than what is there
    ],
)
def test_where_an_archive_begins(type_id: str, data: bytes, start: int) -> None:
    assert libarch._start(Source(data), type_id) == start


@needs_libarchive
def test_zip_member_that_needs_a_password() -> None:
    data = wrappings.zipcrypto(EICAR, b"s3cret")
    assert b"".join(libarch.zip_member(data, Meter(), [b"", b"no\0ne", b"wrong", b"s3cret"])) == EICAR
    with pytest.raises(BrokenMember) as caught:
        list(libarch.zip_member(data, Meter(), [b"wrong"]))
    assert (caught.value.name, caught.value.reason) == ("zip.encrypted", Reason.ENCRYPTED)


@pytest.mark.parametrize(("reason", "raised"), [(Reason.ENCRYPTED, Reason.ENCRYPTED), (None, Reason.BROKEN)])
def test_zip_member_that_is_a_problem(reason: Reason | None, raised: Reason, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libarch._Archive, "walk", lambda *_, count: iter([Problem("zip.odd", "says so", reason)]))
    with pytest.raises(BrokenMember) as caught:
        list(libarch.zip_member(b"", Meter(), []))
    assert (caught.value.name, caught.value.detail, caught.value.reason) == ("zip.odd", "says so", raised)
