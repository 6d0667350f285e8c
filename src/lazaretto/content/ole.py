"""OLE documents: .doc, .xls, .ppt, .msg, .msi and vbaProject.bin.

Gives what rules and other readers can judge: macro source, embedded files and
objects, attachments of messages, and one text of facts in a stable form:

    ole:vba-module NAME            ole:vba-source-missing NAME (compiled code only)
    xls:xlm-macro-sheet STATE NAME xls:xlm-auto-open      xls:dde PROGRAM|TOPIC
    doc:dde INSTRUCTION            doc:field INSTRUCTION (links to outside)

A file whose directory is unreadable is searched for macro source, compressed
or plain: programs repair more than one would think.

Limits:  SCANNED bytes of each stream are searched; members, their bytes and
         what is read here are the meter's.
Errors:  none raised, LimitExceeded from the meter passes.  Problems:
         office.encrypted, ole.broken, ole.entries.
See:     [MS-OVBA], [MS-OLEDS], [MS-DOC] s2.5.2 (FibBase), [MS-PPT] s2.3.2, s2.10.34; cfb, ovba, biff, msg
"""

from __future__ import annotations

from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content import biff, codec, msg, ole1, ovba
from lazaretto.content.cfb import CompoundFile, Stream
from lazaretto.content.container import Member, Problem
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason, Span

SCANNED = 16 * MIB
HEAD = 8192
ENCRYPTED = Problem("office.encrypted", "", Reason.ENCRYPTED)

# What an embedded file begins with.
_FILE = regex.compile(rb"\xd0\xcf\x11\xe0|PK\x03\x04|MZ|%PDF|\{\\rt|MSCF|Rar!|7z\xbc\xaf|\x7fELF|ITSF|L\0\0\0\x01\x14")
_PLAIN_SOURCE = b"Attribute VB_Name"
_FIELD_MARKS = (b"\x13", b"\x14", b"\x15")
_MAX_FIELD = 2048
_DDE = ("dde", "ddeauto")
_OUTSIDE = ("includetext", "includepicture", "link", "import", "database")


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Members of one compound file."""
    file = CompoundFile(source)
    if not file.streams:
        yield from _salvage(source, meter)
        return
    if file.truncated:
        yield Problem("ole.entries", f"more than {len(file.streams)}", Reason.LIMIT)
    if msg.is_message(file):
        yield from msg.walk(file, meter)
    facts: dict[str, None] = {}
    done: set[Stream] = set()
    yield from _macros(file, meter, facts, done)
    encrypted = False
    for stream in file.streams:
        if stream not in done and not stream.name.startswith(msg.PROPERTY):
            for found in _stream(file, stream, meter, facts):
                if found is not ENCRYPTED:
                    yield found
                elif not encrypted:
                    encrypted = True
                    yield found
    yield from _facts(facts, meter)


def walk_workbook(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """A workbook that stands alone, without a compound file around it."""
    facts = dict.fromkeys(biff.facts(source.read_at(0, SCANNED)))
    if biff.ENCRYPTED in facts:
        yield ENCRYPTED
    yield from _facts(facts, meter)


def _facts(facts: dict[str, None], meter: Meter) -> Iterator[Member]:
    if facts:
        text = "".join(line + "\n" for line in facts).encode("utf-8", "replace")
        meter.member()
        yield Member(("facts",), meter.unpack([text], len(text)), is_file=False)


# -- macros


def _macros(file: CompoundFile, meter: Meter, facts: dict[str, None], done: set[Stream]) -> Iterator[Member]:
    """The modules that the dir streams name."""
    by_path = {tuple(part.lower() for part in stream.path): stream for stream in file.streams}
    for path, stream in by_path.items():
        if path[-1] != "dir":
            continue
        packed = _read(file, stream, meter)
        modules = ovba.modules(b"".join(meter.unpack(ovba.decompress(packed), len(packed))))
        if modules:
            done.add(stream)
        for module in modules:
            name = module.name.decode("latin-1")
            facts[f"ole:vba-module {name}"] = None
            names = (module.stream_unicode, module.stream.decode("latin-1"), name)
            entry = next((entry for text in names if (entry := by_path.get((*path[:-1], text.lower())))), None)
            data = _read(file, entry, meter) if entry else b""
            start = module.offset if data[module.offset : module.offset + 1] == b"\x01" else ovba.find_source(data)
            if entry is None or start < 0 or not any(ovba.decompress(data, start)):
                facts[f"ole:vba-source-missing {name}"] = None
                continue
            done.add(entry)
            yield _source(name, data, start, meter)


def _source(name: str, data: bytes, start: int, meter: Meter) -> Member:
    meter.member()
    return Member((name + ".bas",), meter.unpack(ovba.decompress(data, start), len(data) - start), is_file=False)


def _sources(name: str, data: bytes, meter: Meter) -> Iterator[Member]:
    """Every compressed macro source in `data`, whoever may point to it."""
    start = ovba.find_source(data)
    while start >= 0:
        yield _source(name, data, start, meter)
        start = ovba.find_source(data, ovba.container_end(data, start))


def _salvage(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    found = False
    data = source.data
    start = ovba.find_source(data)
    while start >= 0:
        found = True
        end = ovba.container_end(data, start)
        yield _source("salvaged", source.read_at(start, min(end - start, SCANNED)), 0, meter)
        start = ovba.find_source(data, end)
    at = data.find(_PLAIN_SOURCE)
    while at >= 0:
        stop = data.find(b"\0", at)
        stop = stop if stop >= 0 else source.size
        found = True
        meter.member()
        yield Member(("salvaged.bas",), meter.unpack(source.chunks(Span(at, stop)), source.size), is_file=False)
        at = data.find(_PLAIN_SOURCE, stop)
    if not found:
        yield Problem("ole.broken", "no readable directory", Reason.BROKEN)


# -- other streams


def _read(file: CompoundFile, stream: Stream, meter: Meter) -> bytes:
    return b"".join(meter.unpack(file.chunks(stream, 0, SCANNED), stream.size))


def _stream(file: CompoundFile, stream: Stream, meter: Meter, facts: dict[str, None]) -> Iterator[Member | Problem]:
    """What one stream holds.  Its name decides, but only for what it alone can have."""
    name = stream.name.lower()
    head = file.read(stream, HEAD)
    if name == "encryptedpackage":
        yield ENCRYPTED
        return
    if name == "current user" and head[12:16] == b"\xdf\xc4\xd1\xf3":  # s2.3.2: token of an encrypted presentation
        yield ENCRYPTED
    if name == "\x01ole10native":
        package = ole1.parse_package(head, 4, stream.size)
        start, stop = (package.start, package.stop) if package else (4, stream.size)
        meter.member()
        yield Member(package.names if package else (), meter.unpack(file.chunks(stream, start, stop), stream.size))
        return
    if _FILE.match(head) or _is_installer_binary(stream.name):
        meter.member()
        yield Member((), meter.unpack(file.chunks(stream), stream.size))
        return
    data = _read(file, stream, meter)
    yield from _sources(stream.name, data, meter)
    if name in ("workbook", "book"):
        facts.update(dict.fromkeys(biff.facts(data)))
        if biff.ENCRYPTED in facts:
            yield ENCRYPTED
    elif name == "worddocument":
        if data[:2] in (b"\xec\xa5", b"\xdc\xa5") and data[11:12] and data[11] & 1:  # fEncrypted
            yield ENCRYPTED
        else:
            facts.update(dict.fromkeys(fields(data)))
    elif name == "powerpoint document":
        yield from presentation_objects(data, meter)


def _is_installer_binary(name: str) -> bool:
    """In an installer package, names of tables begin with U+4840; the others are the files."""
    return "\u3800" <= name[:1] < "\u4840"


_OBJECT = 0x1011  # RT_ExternalOleObjectStg


def presentation_objects(data: bytes, meter: Meter) -> Iterator[Member]:
    """OLE files inside a presentation: embedded objects, and the macro project.  [MS-PPT] s2.10.34"""
    at = data.find(b"\x11\x10")
    while at >= 0:
        instance = data[at - 2 : at] if at >= 2 else b""
        size = int.from_bytes(data[at + 2 : at + 6], "little")
        start = at + 6
        stop = min(start + size, len(data))
        if instance == b"\x10\0" and size > 8:
            packed = codec.Stream(codec.zlib_frame, codec.feed_from(Source(data), start + 4, stop, meter))
            meter.member()
            yield Member((), meter.unpack(packed, size))
        elif instance == b"\0\0" and data[start : start + 4] == b"\xd0\xcf\x11\xe0":
            meter.member()
            yield Member((), meter.unpack([data[start:stop]], size))
        else:
            stop = at + 1
        at = data.find(b"\x11\x10", stop)


def fields(data: bytes) -> Iterator[str]:
    """Field instructions of a Word document that start programs or fetch from outside; text in either width."""
    for width, charset in ((1, "cp1252"), (2, "utf-16-le")):
        begin, *ends = (mark.ljust(width, b"\0") for mark in _FIELD_MARKS)
        at = data.find(begin)
        while at >= 0:
            start = at + width
            window = data[start : start + _MAX_FIELD * width]
            cuts = [cut for end in (begin, *ends) if (cut := window.find(end)) >= 0]
            if cuts:
                text = " ".join(window[: min(cuts)].decode(charset, "replace").split())
                word = text.partition(" ")[0].lower()
                if word in _DDE:
                    yield f"doc:dde {text}"
                elif word in _OUTSIDE:
                    yield f"doc:field {text}"
            at = data.find(begin, start)
