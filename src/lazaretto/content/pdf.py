"""PDF: its objects in a form that rules can match, its script, its embedded files.

Members, in this order:

    pdf-objects   text of all objects, those in object streams too, in one spelling (pdfsyntax.tidy)
    javascript    each script, from strings and streams, decoded
    NAME          each embedded file
    (no name)     each other stream whose content begins like a file
    pdf-streams   all other streams decoded, but pictures and fonts, joined

Nothing depends on the cross-reference table or on the header: readers repair
both.  An encrypted file is read all the same, in case it only says so.

Limits:  several passes over the file, each linear; MAX_NOTES file names, scripts
         and references are kept; MAX_OBJECT_STREAM bytes of one object stream.
Errors:  none raised, LimitExceeded from the meter passes.  Problems
         pdf.encrypted, pdf.object-stream, pdf.notes.
See:     ISO 32000-1 s7.5 (file structure), s7.11 (file specifications), s12.6.4.16 (JavaScript)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content import pdffilter, pdfsyntax
from lazaretto.content.container import Member, Problem
from lazaretto.content.inline import MAGIC
from lazaretto.content.pdfsyntax import Segment
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import Buffer, Source
from lazaretto.model import Reason

MAX_NOTES = 10_000
MAX_SCRIPT_BYTES = 32 * MIB
MAX_OBJECT_STREAM = 32 * MIB  # writers put 200 objects into one; this is some 100,000
MAX_PREDICTED = 16 * MIB
_GROUP = 64 << 10

_FILTER = regex.compile(rb"/(?:Filter|F) (?:\[ ?([^\[\]]{0,256})\]|/([^\s/<>\[\]()]{1,64}))")
_NUMBER_KEY = regex.compile(rb"/(Predictor|Columns|Colors|BitsPerComponent|First|N) (\d{1,8})")
_FONT = regex.compile(rb"/Length[123] |/Subtype /(?:Type1C|CIDFontType0C|OpenType)\b")
_IMAGE = regex.compile(rb"/Subtype /Image\b")
_EMBEDDED = regex.compile(rb"/Type /EmbeddedFile\b")
_OBJECT_STREAM = regex.compile(rb"/Type /ObjStm\b")
_XREF = regex.compile(rb"/Type /XRef\b")
_MEDIA_TYPE = regex.compile(rb"/Subtype /([\w.+/ -]{3,128}?)(?= [/<>]|$)")
_ENCRYPT = regex.compile(rb"/Encrypt (?:\d{1,10} \d{1,10} R|<<)")
_EMBED_REFERENCES = regex.compile(rb"/EF << ([^<>]{0,512}) ?>>")
_REFERENCE = regex.compile(rb"(\d{1,10}) \d{1,10} R")
_SCRIPT_REFERENCE = regex.compile(rb"/JS (\d{1,10}) \d{1,10} R")
_SCRIPT_IN_CODE = regex.compile(rb"/JS (?:\(([^()]*)\)|<([0-9A-Fa-f ]*)>)")
_NAME_KEYS = (b"/F", b"/UF", b"/DOS", b"/Mac", b"/Unix")


class _Notes:
    """What the objects say about streams, collected while their text is given."""

    __slots__ = ("encrypted", "files", "full", "problems", "script_bytes", "script_streams", "scripts")

    def __init__(self) -> None:
        self.files: dict[int, tuple[str, ...]] = {}  # object number -> names
        self.scripts: dict[bytes, None] = {}
        self.script_bytes = 0
        self.script_streams: set[int] = set()
        self.encrypted = False
        self.full = False
        self.problems: list[Problem] = []

    def take(self, raw: bytes) -> bytes:
        """Note what one object says; its text in one spelling."""
        if b"(" not in raw:
            text = pdfsyntax.tidy_code(raw)
            self._code(text)
            return text
        names: dict[str, None] = {}
        out: list[bytes] = []
        for code, string in pdfsyntax.pieces(raw):
            out.append(code)
            if string:
                out.append(b"(" + string + b")")
                key = code.rpartition(b" ")[2]
                if key == b"/JS":
                    self._script(pdfsyntax.unescape(string))
                elif key in _NAME_KEYS:
                    names[pdfsyntax.to_text(pdfsyntax.unescape(string))] = None
        text = b" ".join(filter(None, out))
        self._code(text, tuple(names))
        return text

    def _code(self, text: bytes, names: tuple[str, ...] = ()) -> None:
        if b"/JS" in text:
            self.script_streams.update(int(m[1]) for m in _SCRIPT_REFERENCE.finditer(text))
            for match in _SCRIPT_IN_CODE.finditer(text):
                self._script(pdfsyntax.unescape(match[1]) if match[2] is None else pdfsyntax.unhex(match[2]))
        if b"/EF" in text:
            for match in _EMBED_REFERENCES.finditer(text):
                for reference in _REFERENCE.finditer(match[1]):
                    number = int(reference[1])
                    self.files[number] = tuple(dict.fromkeys((*self.files.get(number, ()), *names)))[:16]
        if b"/Encrypt" in text and _ENCRYPT.search(text):
            self.encrypted = True
        self.full = self.full or len(self.files) + len(self.scripts) + len(self.script_streams) > MAX_NOTES

    def _script(self, raw: bytes) -> None:
        if self.script_bytes + len(raw) > MAX_SCRIPT_BYTES or len(self.scripts) > MAX_NOTES:
            self.full = True
            return
        self.script_bytes += len(raw)
        self.scripts[pdfsyntax.to_text(raw).encode("utf-8", "replace")] = None


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Members of a PDF."""
    data = source.data
    notes = _Notes()
    text = _objects(data, notes, meter)
    meter.member()
    yield Member(("pdf-objects",), meter.unpack(text, source.size), is_file=False)
    for _ in text:  # a caller who stopped early must not cost us the notes
        pass
    if notes.encrypted:
        yield Problem("pdf.encrypted", "", Reason.ENCRYPTED)
    if notes.full:
        yield Problem("pdf.notes", "too many scripts or embedded files", Reason.LIMIT)
    yield from notes.problems
    for script in notes.scripts:
        meter.member()
        yield Member(("javascript",), meter.unpack([script], source.size), is_file=False)
    for segment, dictionary in _streams(data, meter):
        yield from _stream(data, segment, dictionary, notes, meter)
    meter.member()
    yield Member(("pdf-streams",), meter.unpack(_other_streams(data, notes, meter), source.size), is_file=False)


# -- objects


def _objects(data: Buffer, notes: _Notes, meter: Meter) -> Iterator[bytes]:
    """The text of all objects, those in object streams behind the stream's dictionary."""
    for segment in pdfsyntax.segments(data):
        meter.tick()
        yield from _tidied(pdfsyntax.objects(data, segment.start, segment.stop), notes)
        if b"ObjStm" in segment.dictionary or b"#" in segment.dictionary:
            dictionary = pdfsyntax.tidy(segment.dictionary)
            if _OBJECT_STREAM.search(dictionary):
                yield from _tidied(_object_stream(data, segment, dictionary, notes, meter), notes)


def _tidied(objects: Iterator[bytes], notes: _Notes) -> Iterator[bytes]:
    """Objects in one spelling; those without strings many at a time, for speed."""
    group: list[bytes] = []
    held = 0
    for raw in objects:
        if b"(" in raw or b"%" in raw:
            if group:
                yield notes.take(b"\n".join(group)) + b"\n"
                group.clear()
                held = 0
            yield notes.take(raw) + b"\n"
            continue
        group.append(raw)
        held += len(raw)
        if held > _GROUP:
            yield notes.take(b"\n".join(group)) + b"\n"
            group.clear()
            held = 0
    if group:
        yield notes.take(b"\n".join(group)) + b"\n"


def _object_stream(data: Buffer, segment: Segment, dictionary: bytes, notes: _Notes, meter: Meter) -> Iterator[bytes]:
    """The objects in an object stream, by the offsets at its beginning; raw.  s7.5.7"""
    held = bytearray()
    for chunk in meter.unpack(_decoded(data, segment, dictionary, meter), segment.data_stop - segment.data_start):
        held += chunk
        if len(held) > MAX_OBJECT_STREAM:
            notes.problems.append(Problem("pdf.object-stream", f"more than {MAX_OBJECT_STREAM} bytes", Reason.LIMIT))
            break
    blob = bytes(held)
    first = _numbers(dictionary).get(b"First", 0)
    offsets = sorted({first + int(number) for number in blob[:first].split()[1::2] if number.isdigit() and len(number) < 10})
    starts = [0, *(offset for offset in offsets if 0 < offset < len(blob))]
    for start, stop in itertools.pairwise([*starts, len(blob)]):
        for at in range(start, stop, pdfsyntax.MAX_OBJECT):
            yield blob[at : min(at + pdfsyntax.MAX_OBJECT, stop)]


# -- streams


def _streams(data: Buffer, meter: Meter) -> Iterator[tuple[Segment, bytes]]:
    """Each stream with its dictionary in one spelling."""
    for segment in pdfsyntax.segments(data):
        meter.tick()
        if segment.data_stop > segment.data_start:
            yield segment, pdfsyntax.tidy(segment.dictionary)


def _stream(data: Buffer, segment: Segment, dictionary: bytes, notes: _Notes, meter: Meter) -> Iterator[Member]:
    """A stream as a member of its own, if it deserves that."""
    packed = segment.data_stop - segment.data_start
    if _EMBEDDED.search(dictionary) or segment.number in notes.files:
        media_type = _MEDIA_TYPE.search(dictionary)
        declared = media_type[1].replace(b" ", b"").decode("latin-1").lower() if media_type else ""
        for number in range(len(_filters(dictionary))):
            meter.member()
            chunks = _decoded(data, segment, dictionary, meter, number)
            yield Member(notes.files.get(segment.number, ()), meter.unpack(chunks, packed), media_type=declared)
    elif segment.number in notes.script_streams:
        for number in range(len(_filters(dictionary))):
            meter.member()
            yield Member(("javascript",), meter.unpack(_decoded(data, segment, dictionary, meter, number), packed), is_file=False)
    elif not _uninteresting(dictionary) and _like_file(data, segment, dictionary, meter):
        meter.member()
        yield Member((), meter.unpack(_decoded(data, segment, dictionary, meter), packed), is_file=False)


def _other_streams(data: Buffer, notes: _Notes, meter: Meter) -> Iterator[bytes]:
    for segment, dictionary in _streams(data, meter):
        if segment.number in notes.files or segment.number in notes.script_streams or _uninteresting(dictionary):
            continue
        if not _EMBEDDED.search(dictionary) and not _like_file(data, segment, dictionary, meter):
            yield from _decoded(data, segment, dictionary, meter)
            yield b"\n"


def _uninteresting(dictionary: bytes) -> bool:
    """Pictures, fonts, tables; and object streams, which _objects has."""
    return any(pattern.search(dictionary) for pattern in (_IMAGE, _FONT, _XREF, _OBJECT_STREAM))


def _like_file(data: Buffer, segment: Segment, dictionary: bytes, meter: Meter) -> bool:
    head = b""
    for chunk in _decoded(data, segment._replace(data_stop=min(segment.data_stop, segment.data_start + 512)), dictionary, meter):
        head += chunk
        if len(head) >= 64:
            break
    return MAGIC.match(head) is not None and not head.lstrip(b"\xef\xbb\xbf").startswith((b"<?xpacket", b"<x:xmpmeta"))


def _filters(dictionary: bytes) -> list[list[str]]:
    """The lists of filters that a dictionary names; a key given twice is read differently by different readers."""
    found = [(m[2] if m[1] is None else m[1]).decode("latin-1").replace("/", " ").split() for m in _FILTER.finditer(dictionary)]
    return [names for at, names in enumerate(found) if names not in found[:at]][:3] or [[]]


def _numbers(dictionary: bytes) -> dict[bytes, int]:
    return {m[1]: int(m[2]) for m in _NUMBER_KEY.finditer(dictionary)}


def _decoded(data: Buffer, segment: Segment, dictionary: bytes, meter: Meter, which: int = 0) -> Iterator[bytes]:
    """The bytes of a stream, its filters and predictor undone."""
    names = _filters(dictionary)[which]
    start, stop = segment.data_start, segment.data_stop
    if not names and data[start : start + 1] == b"\x78" and int.from_bytes(data[start : start + 2], "big") % 31 == 0:
        names = ["FlateDecode"]  # named by reference, or lost
    chunks = pdffilter.decode(data, start, stop, names, meter)
    numbers = _numbers(dictionary)
    predictor = numbers.get(b"Predictor", 1)
    if predictor < 2 or not names:
        return chunks
    return _unpredicted(chunks, predictor, numbers)


def _unpredicted(chunks: Iterator[bytes], predictor: int, numbers: dict[bytes, int]) -> Iterator[bytes]:
    bits = numbers.get(b"Colors", 1) * numbers.get(b"BitsPerComponent", 8)
    row = max(1, min((numbers.get(b"Columns", 1) * bits + 7) // 8, MIB))
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) > MAX_PREDICTED:
            break
    raw = bytes(held)
    if predictor == 2:  # TIFF: each byte is the difference to its left neighbour
        raw = b"".join(b"\x01" + raw[at : at + row] for at in range(0, len(raw), row))
    yield pdffilter.unpredict(raw, row, max(1, bits // 8))
