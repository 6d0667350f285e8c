"""Formats that libarchive reads: 7z, rar, cab, lha, cpio, ar and deb, rpm, xar, lz4.

libarchive is told the one format that was sniffed and never guesses.  A filter
that would start another program (lzop, lrzip where not built in) counts as
not supported.

Limits:  the meter's.  libarchive's own memory is bounded by the format (rar5:
         64 MiB, 7z: what its header asks for); scan processes are limited and mortal.
Errors:  none raised but LimitExceeded.  Chunks may end in BrokenMember "7z.broken",
         "rar.encrypted"; Problem "7z.unsupported" where libarchive is missing,
         "rar.multivolume" for one volume of a set.
See:     archive_read(3); rar_headers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from zlib import crc32

from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.content.rar_headers import RarInfo, read_rar
from lazaretto.limits import Meter
from lazaretto.mime.source import CHUNK, Source
from lazaretto.model import Reason

ZIP_METHODS = frozenset((98, 99))  # of zip members: PPMd and WinZip's AES, which we leave to libarchive
INSTALL = "install libarchive (Debian: libarchive13) and the Python package libarchive-c: pip install 'lazaretto[archives]'"
BLOCK = 1 << 16
MAX_RETRIES = 100  # headers in a row that libarchive could not read but thinks it may go on from

# type -> formats, filters, both by libarchive's names
_INNER = ("gzip", "bzip2", "xz", "lzma", "zstd")
_FORMATS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "7z": (("7zip",), ()),
    "rar": (("rar", "rar5"), ()),
    "cab": (("cab",), ()),
    "lha": (("lha",), ()),
    "cpio": (("cpio",), ()),
    "ar": (("ar",), ()),
    "xar": (("xar",), ()),
    "rpm": (("cpio",), ("rpm", *_INNER)),
    "lz4": (("raw",), ("lz4",)),
    "lzop": (("raw",), ("lzop",)),
    "lrzip": (("raw",), ("lrzip",)),
}
_MAGIC = {"7z": b"7z\xbc\xaf\x27\x1c", "rar": b"Rar!\x1a\x07", "cab": b"MSCF\0\0\0\0"}
_STREAMS = frozenset(("lz4", "lzop", "lrzip"))
_REGULAR, _TYPE = 0o100000, 0o170000


def available() -> bool:
    """Whether libarchive and libarchive-c are installed."""
    return _library() is not None


def _library() -> Any:
    try:
        from libarchive import ffi
    except (ImportError, OSError, TypeError, AttributeError):  # what libarchive-c raises without its library
        return None
    if not hasattr(ffi, "entry_is_encrypted"):
        try:
            ffi.ffi("entry_is_encrypted", [ffi.c_archive_entry_p], ffi.c_int)
        except AttributeError:
            return None  # older than 3.2, of 2016
        ffi.logger.disabled = True  # it logs each warning about hostile input; we report what matters
    return ffi


def walk(source: Source, meter: Meter, type_id: str, passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """Members of an archive of the given type.  See container.py."""
    ffi = _library()
    if ffi is None:
        yield Problem(f"{type_id}.unsupported", INSTALL, Reason.UNSUPPORTED)
        return
    rar = read_rar(source, _start(source, "rar")) if type_id == "rar" else RarInfo(False, False)
    if rar.volume:
        yield Problem("rar.multivolume", "one volume of a set", Reason.UNSUPPORTED)
    archive = _Archive(ffi, source, meter, type_id)
    archive.encrypted = rar.encrypted
    yield from archive.walk(passwords)


def zip_member(data: bytes, meter: Meter, passwords: Sequence[bytes]) -> Iterator[bytes]:
    """Data of the only member of the zip `data`.  BrokenMember "zip.encrypted" if no password opens it."""
    for item in _Archive(_library(), Source(data), meter, "zip").walk(passwords, count=False):
        if isinstance(item, Problem):
            raise BrokenMember(item.name, item.detail, item.reason or Reason.BROKEN)
        yield from item.chunks
        return
    raise BrokenMember("zip.broken", "libarchive finds no member")


class _Archive:
    """One pass of libarchive over one source."""

    def __init__(self, ffi: Any, source: Source, meter: Meter, type_id: str) -> None:
        self.ffi = ffi
        self.source = source
        self.meter = meter
        self.type_id = type_id
        self.encrypted = False  # what goes wrong does so for want of a password

    def walk(self, passwords: Sequence[bytes], count: bool = True) -> Iterator[Member | Problem]:
        from libarchive.exception import ArchiveError

        ffi, type_id = self.ffi, self.type_id
        formats, filters = _FORMATS.get(type_id, ((type_id,), ()))
        with ExitStack() as stack:
            archive = ffi.read_new()
            stack.callback(ffi.read_free, archive)
            entry = ffi.entry_new()
            stack.callback(ffi.entry_free, entry)
            try:
                for name in formats:
                    ffi.get_read_format_function(name)(archive)
                for name in filters:
                    if ffi.get_read_filter_function(name)(archive) != ffi.ARCHIVE_OK and name == filters[0]:
                        raise ValueError(name)  # ARCHIVE_WARN: it would start a program
            except (ValueError, ArchiveError):
                yield Problem(f"{type_id}.unsupported", "this libarchive was built without it", Reason.UNSUPPORTED)
                return
            for password in passwords[: self.meter.limits.max_passwords]:
                if password and b"\0" not in password:
                    ffi.read_add_passphrase(archive, password)
            callbacks = _callbacks(ffi, self.source, _start(self.source, type_id))
            try:
                ffi.read_set_seek_callback(archive, callbacks[1])
                ffi.read_open(archive, None, ffi.NO_OPEN_CB, callbacks[0], ffi.NO_CLOSE_CB)
            except ArchiveError as exc:
                yield self.problem(exc)
                return
            yield from self.entries(archive, entry, count)

    def entries(self, archive: Any, entry: Any, count: bool) -> Iterator[Member | Problem]:
        from libarchive.exception import ArchiveError

        ffi = self.ffi
        failures = 0
        while True:
            self.meter.tick()
            try:
                if ffi.read_next_header2(archive, entry) == ffi.ARCHIVE_EOF:
                    return
            except ArchiveError as exc:
                failures += 1
                yield self.problem(exc)
                if exc.retcode == ffi.ARCHIVE_FATAL or failures > MAX_RETRIES:
                    return
                continue
            if count:
                self.meter.member()
            if ffi.entry_filetype(entry) & _TYPE not in (0, _REGULAR):
                continue  # directories, links, devices
            raw = self.type_id in _STREAMS
            if raw and ffi.filter_count(archive) < 2:
                yield Problem(f"{self.type_id}.broken", "no header", Reason.BROKEN)
                return
            names = () if raw else _names(ffi, entry)
            encrypted = bool(ffi.entry_is_encrypted(entry))
            yield Member(names, self.meter.unpack(self.data(archive, encrypted), self.source.size))

    def data(self, archive: Any, encrypted: bool) -> Iterator[bytes]:
        from ctypes import create_string_buffer

        from libarchive.exception import ArchiveError

        buffer = create_string_buffer(CHUNK)
        while True:
            try:
                got = self.ffi.read_data(archive, buffer, CHUNK)
            except ArchiveError as exc:
                found = self.problem(exc, encrypted)
                raise BrokenMember(found.name, found.detail, found.reason or Reason.BROKEN) from None
            if got <= 0:
                return
            yield buffer.raw[:got] if got < CHUNK else buffer.raw

    def problem(self, exc: Any, encrypted: bool = False) -> Problem:
        """libarchive's message as a Problem; it has no error codes that would tell these apart."""
        text = exc.msg.decode("utf-8", "replace") if isinstance(exc.msg, bytes) else str(exc.msg or "no details")
        low = text.lower()
        if encrypted or self.encrypted or "encrypt" in low or "passphrase" in low or "password" in low or "decrypt" in low:
            return Problem(f"{self.type_id}.encrypted", text, Reason.ENCRYPTED)
        if "multi-volume" in low or "multivolume" in low or "volume" in low:
            return Problem(f"{self.type_id}.multivolume", text, Reason.UNSUPPORTED)
        if "unsupported" in low or "not supported" in low or "isn't supported" in low:
            return Problem(f"{self.type_id}.unsupported", text, Reason.UNSUPPORTED)
        return Problem(f"{self.type_id}.broken", text, Reason.BROKEN)


def _skip_frames(source: Source) -> int:
    """Past skippable frames of lz4, which old versions of libarchive do not expect at the beginning."""
    offset = 0
    while (head := source.read_at(offset, 8))[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5 and len(head) == 8:
        offset += 8 + int.from_bytes(head[4:], "little")
    return offset


def _callbacks(ffi: Any, source: Source, start: int) -> tuple[Any, Any]:
    """Read and seek functions for libarchive, which sees what begins at `start`.  They must not raise: nobody could catch it."""
    from ctypes import POINTER, c_char_p, c_void_p, cast

    position = start
    current = b""  # libarchive reads from these bytes until it asks for the next ones

    def read(_archive: Any, _context: Any, place: Any) -> int:
        nonlocal position, current
        current = source.read_at(position, BLOCK)
        position += len(current)
        cast(place, POINTER(c_void_p))[0] = cast(c_char_p(current), c_void_p)
        return len(current)

    def seek(_archive: Any, _context: Any, offset: int, whence: int) -> int:
        nonlocal position
        position = min(max(offset + (start, position, source.size)[whence], start), source.size)
        return position - start

    return ffi.READ_CALLBACK(read), ffi.SEEK_CALLBACK(seek)


def _names(ffi: Any, entry: Any) -> tuple[str, ...]:
    """The path as text; the raw bytes where they are no UTF-8."""
    names: dict[str, None] = {}
    wide = ffi.entry_pathname_w(entry)
    if wide:
        names[wide] = None
    raw = ffi.entry_pathname(entry)
    if raw:
        try:
            names[raw.decode()] = None
        except UnicodeDecodeError:
            names[raw.decode("cp437")] = None
    return tuple(names)


def _start(source: Source, type_id: str) -> int:
    """Where the archive begins: after the program, if it extracts itself.  What only looks like a beginning is passed over."""
    if type_id == "lz4":
        return _skip_frames(source)
    magic = _MAGIC.get(type_id, b"")
    start = source.data.find(magic) if magic else -1
    while start >= 0:
        head = source.read_at(start, 32)
        if type_id == "7z":
            found = crc32(head[12:32]) == int.from_bytes(head[8:12], "little")
        elif type_id == "cab":
            found = int.from_bytes(head[8:12], "little") <= source.size - start
        else:
            found = head[6:8] == b"\x01\0" or (head[6:7] == b"\0" and head[9:10] == b"\x73")
        if found:
            return start
        start = source.data.find(magic, start + 1)
    return 0
