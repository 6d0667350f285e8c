"""Office files before 2007 (.doc, .xls) without macros and objects.

    office.macros   modules lose their code, compiled and source; the project stays, so the file stays valid
    office.object   embedded and linked objects: their data becomes zeros, their picture stays

Every byte stays where it is, or is overwritten: no stream grows, shrinks or moves.

Refused, because nobody could say what Office does with what is left: fields that start programs or
fetch, templates from elsewhere, Excel 4 macros, DDE links, ActiveX controls in workbooks, macro
projects that use others, and presentations with objects or macros.

Limits:  SCANNED bytes of each stream.
Errors:  LimitExceeded from the meter.  Refused for these, and for streams that share their bytes.
See:     [MS-CFB]; [MS-OVBA]; [MS-DOC] s2.5.1 (Fib), s2.8.25 (PlcFld), s2.9.90 (flt); [MS-XLS]; vba_empty.py
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lazaretto.content import biff, ole, ovba
from lazaretto.content.cfb import CompoundFile, Stream
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import office_fields, vba_empty
from lazaretto.sanitize.disarmed import NOTHING, Disarmed, Found, Refused

SCANNED = 64 * MIB
_CLSID = 80  # of a storage, in its entry of the directory
_POOLS = ("objectpool",)
_OBJECTS = ("mbd", "lnk")  # storages of objects in a workbook begin so
_SHOWN = ("\x03pic", "\x03meta", "\x03epic", "\x03print", "\x03eprint", "\x03objinfo", "\x02olepres")
_REFERENCE_PROJECT = 0x000E
# Fields of Word, [MS-DOC] s2.9.90: INCLUDE, DDE, DDEAUTO, IMPORT, LINK, INCLUDEPICTURE, INCLUDETEXT
_ACTING_FIELDS = frozenset((0x24, 0x2D, 0x2E, 0x37, 0x38, 0x43, 0x44))
_FIB = 0x9A  # where the table of places begins
_FIELD_TABLES = (16, 17, 18, 19, 20, 48, 57, 59)  # main text, headers, notes, comments, macros, endnotes, text boxes
_ASSOCIATED = 32  # strings: the second one is the template
_MAX_FIELDS = 100_000


def disarm(source: Source, meter: Meter) -> Disarmed:
    """The file without what acts.  See disarmed.py."""
    file = CompoundFile(source)
    names = {stream.name.lower() for stream in file.streams}
    if not file.streams or "encryptedpackage" in names:
        return NOTHING
    found = Found()
    try:
        editor = _Editor(file, source, meter, found)
        editor.run()
        if not editor.writes and not editor.zeroed:
            return NOTHING
        return Disarmed(editor.result(), found.removed())
    except Refused as why:
        return Disarmed(None, found.removed(), str(why))


class _Editor:
    def __init__(self, file: CompoundFile, source: Source, meter: Meter, found: Found) -> None:
        self.file = file
        self.source = source
        self.meter = meter
        self.found = found
        self.writes: dict[Stream, bytes] = {}
        self.zeroed: list[int] = []  # entries whose class goes
        self.projects: set[tuple[str, ...]] = set()  # storages of macros
        self.paths = {tuple(step.lower() for step in stream.path): stream for stream in file.streams}

        self.beside: dict[tuple[str, ...], list[tuple[str, Stream]]] = {}  # streams by their storage
        for path, stream in self.paths.items():
            self.beside.setdefault(path[:-1], []).append((path[-1], stream))

    def run(self) -> None:
        for path in self.paths:
            if path[-1] == "dir" and len(path) > 1:
                self._project(path[:-1])
        self._objects()
        for why in self._beyond():
            raise Refused(why)
        if self.file.truncated:
            raise Refused("it has too many entries")
        if self.writes or self.zeroed:
            if len(self.paths) != len(self.file.streams):
                raise Refused("two of its streams have one name")
            self._check_places()

    def _read(self, stream: Stream) -> bytes:
        data = b"".join(self.meter.unpack(self.file.chunks(stream, 0, SCANNED), stream.size))
        return data[: stream.size]

    def _write(self, stream: Stream, old: bytes, new: bytes, why: str, told: tuple[str, ...] = ()) -> None:
        if len(old) != stream.size or len(new) != len(old):
            raise Refused("a stream is not complete")
        if new != old:
            self.writes[stream] = new
            self.found.add(why, "/".join(told or stream.path))

    # -- macros

    def _project(self, storage: tuple[str, ...]) -> None:
        """One project of macros: the streams beside its `dir`."""
        packed = self._read(self.paths[(*storage, "dir")])
        listed = b"".join(self.meter.unpack(ovba.decompress(packed), len(packed)))
        modules = ovba.modules(listed)
        if not modules:
            return  # if there is source all the same, _beyond finds it
        self.projects.add(storage)
        if _has_record(listed, _REFERENCE_PROJECT):
            raise Refused("its macros use those of another file")
        offsets: dict[str, int] = {}
        for module in modules:
            for name in (module.stream_unicode, module.stream.decode("latin-1"), module.name.decode("latin-1")):
                if name and (*storage, name.lower()) in self.paths:
                    offsets[name.lower()] = module.offset
                    break
        for name, stream in self.beside[storage]:
            if name == "dir":
                continue
            old = self._read(stream)
            if name == "_vba_project":
                self._write(stream, old, vba_empty.project_head(len(old)), "office.macros", stream.path[:-1])
            elif name.startswith("__srp_"):
                self._write(stream, old, bytes(len(old)), "office.macros", stream.path[:-1])
            elif name in offsets or ovba.find_source(old) >= 0:
                offset = offsets.get(name, -1)
                if not 0 <= offset < len(old) or old[offset] != 1:
                    offset = ovba.find_source(old)
                if offset < 0:
                    raise Refused("a macro has no readable source")
                self._write(stream, old, vba_empty.emptied(old, offset), "office.macros")

    # -- objects

    def _objects(self) -> None:
        workbook = ("workbook",) in self.paths or ("book",) in self.paths
        for path, stream in self.paths.items():
            if _is_object(path[:-1], workbook=workbook) and not path[-1].startswith(_SHOWN):
                old = self._read(stream)
                self._write(stream, old, bytes(len(old)), "office.object", stream.path[:-1])
        for storage, place in self.file.storages:
            if _is_object(tuple(step.lower() for step in storage), workbook=workbook):
                at = place + _CLSID
                if any(self.source.read_at(at, 16)):
                    self.zeroed.append(at)
                    self.found.add("office.object", "/".join(storage))

    # -- what is not done here

    def _beyond(self) -> Iterator[str]:
        """Why the file is left to be replaced."""
        for path, stream in self.paths.items():
            if path[:-1] not in self.projects and stream not in self.writes and ovba.find_source(self._read(stream)) >= 0:
                yield "it has macros that belong to no project"
            if len(path) > 1:
                continue
            name = path[0]
            if name in ("workbook", "book"):
                facts = [fact for fact in biff.facts(self._read(stream)) if fact != biff.ENCRYPTED]
                if facts:
                    yield f"it has Excel 4 macros or links to programs: {facts[0]}"
            elif name == "ctls" and stream.size:
                yield "it has ActiveX controls"
            elif name == "powerpoint document":
                if any(True for _ in ole.presentation_objects(self._read(stream), self.meter)):
                    yield "it is a presentation with objects or macros"
            elif name == "worddocument":
                yield from self._word(self._read(stream))

    def _word(self, data: bytes) -> Iterator[str]:
        if data[:2] not in (b"\xec\xa5", b"\xdc\xa5") or len(data) < _FIB or data[11] & 1:  # another version; encrypted
            return
        acting = next(ole.fields(data), "")
        if acting:
            yield f"it has a field that acts: {acting}"
        table = self.paths.get(("1table" if data[11] & 2 else "0table",))
        if table is None or data[:1] == b"\xdc":  # Word 95 has its tables elsewhere
            return
        places = self._read(table)
        for number in _FIELD_TABLES:
            part = _place(data, places, number)
            count = (len(part) - 4) // 6
            kinds = part[4 * (count + 1) :] if 0 < count <= _MAX_FIELDS else b""
            if any(kinds[at] & 31 == 0x13 and kinds[at + 1] in _ACTING_FIELDS for at in range(0, len(kinds) - 1, 2)):
                yield "it has a field that acts"
        template = _template(_place(data, places, _ASSOCIATED))
        if template and not office_fields.local(template):
            yield f"its template is elsewhere: {template}"

    # -- result

    def _check_places(self) -> None:
        """No two streams may share bytes: what is overwritten in one must not show in another."""
        taken: list[tuple[int, int]] = []
        for stream in self.file.streams:
            left = stream.size
            for offset, length in self.file.pieces(stream):
                taken.append((offset, offset + min(length, left)))
                left -= min(length, left)
        taken.sort()
        if any(first[1] > second[0] for first, second in itertools.pairwise(taken)):
            raise Refused("its streams share bytes")

    def result(self) -> bytes:
        data = bytearray(self.source.read_at(0, self.source.size))
        for stream, new in self.writes.items():
            at = 0
            for offset, length in self.file.pieces(stream):
                piece = new[at : at + length]
                data[offset : offset + len(piece)] = piece
                at += len(piece)
        for place in self.zeroed:
            data[place : place + 16] = bytes(16)
        return bytes(data)


def _is_object(storage: tuple[str, ...], *, workbook: bool) -> bool:
    """Is this the storage of an object in a document, or inside one?"""
    if not storage:
        return False
    return (storage[0] in _POOLS and len(storage) > 1) or (workbook and storage[0].startswith(_OBJECTS))


def _has_record(listed: bytes, wanted: int) -> bool:
    """Does a dir stream have such a record?  [MS-OVBA] s2.3.4.2"""
    position = 0
    while position + 6 <= len(listed):
        kind = int.from_bytes(listed[position : position + 2], "little")
        size = int.from_bytes(listed[position + 2 : position + 6], "little")
        if kind == wanted:
            return True
        position += 6 + (6 if kind == 0x0009 else size)
    return False


def _place(data: bytes, places: bytes, number: int) -> bytes:
    """What an entry of a Word file's table of places points to."""
    at = _FIB + 8 * number
    offset, size = (int.from_bytes(data[start : start + 4], "little") for start in (at, at + 4))
    return places[offset : offset + size]


def _template(part: bytes) -> str:
    """The second of the strings associated with a Word file.  [MS-DOC] s2.9.281"""
    if part[:2] != b"\xff\xff":
        return ""
    position = 6
    for number in range(2):
        length = int.from_bytes(part[position : position + 2], "little")
        if number:
            return part[position + 2 : position + 2 + 2 * length].decode("utf-16-le", "replace")
        position += 2 + 2 * length
    return ""
