"""The primary reading: a message as a tree of byte positions.

One pass, no recursion.  `find` jumps to lines that begin with "--"; such a line
is looked up among the boundaries that are open.  Nothing is copied but lines
of headers, and nothing is ever refused: whatever the bytes, a usable tree comes
back, and every deviation is a named anomaly on the part it concerns.

This is what a careful modern client sees.  Where clients disagree, an anomaly
says so and mime/readings.py produces what the others see.

Limits:  max_depth, max_parts, max_header_bytes, max_header_fields.  A part that
         cannot be opened because of one stays a leaf with a "mime.max-..." anomaly.
Errors:  none.
Bugs:    after a close delimiter the same boundary is still honoured, as most
         clients do; "mime.part-after-close" marks it.
See:     RFC 2046 s5.1, RFC 2045 s5 and s6, RFC 6532 s3.7 (message/global)
"""

from __future__ import annotations

import re

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import fields, filenames, structured
from lazaretto.mime.source import Source
from lazaretto.model import Field, Part, Path, Span

IDENTITY = frozenset(("7bit", "8bit", "binary", ""))
MESSAGES = frozenset(("message/rfc822", "message/global", "message/news"))
_HEADERS = frozenset(("text/rfc822-headers",))  # their body is a header
_ENCODINGS = IDENTITY | {"base64", "quoted-printable"}
# Trailing blanks allowed after a boundary before we stop calling the line a delimiter; RFC 2046 says "linear whitespace", no number.
_DELIMITER_PADDING = 512
_BLANK_OR_DASHES = regex.compile(rb"\n(?:\r?\n|--)")
_DASHES = regex.compile(rb"\n--")  # twice as fast as bytes.find
_BLANKS = regex.compile(rb"(?:\r?\n)+")
_CONTENT_FIELD = regex.compile(rb"[ \t]*content-[a-z-]{1,40}[ \t]*:", re.IGNORECASE)
# A header of a part where none belongs: before the first delimiter, after the last, in a text.
_PART_FIELD = regex.compile(rb"[\r\n][ \t]*content-(?:type|transfer-encoding|disposition)[ \t]*:", re.IGNORECASE)
_PARTS_IN_TEXT = regex.compile(rb"\n--[^\r\n]{0,200}\r?\n(?:\r?\n)?[ \t]*(?i:content-(?:type|transfer-encoding|disposition)[ \t]*:)")
# RFC 2045 s6.1 and RFC 5322 s3.2.2: an encoding with comments around it, which say nothing that a reader could take for one.
_COMMENTED = regex.compile(
    rb"(?:\s|\((?![^()]*(?i:64|quot|qp|uu|yenc|hqx|hex|gzip|bit|binary))[^()\\\"\0]*\))*[a-z0-9-]+(?:\s|\((?![^()]*(?i:64|quot|qp|uu|yenc|hqx|hex|gzip|bit|binary))[^()\\\"\0]*\))*",
    re.IGNORECASE,
)
_SINGLETONS = {
    "content-type": "mime.duplicate-content-type",
    "content-transfer-encoding": "mime.duplicate-encoding",
    "content-disposition": "mime.duplicate-disposition",
    "mime-version": "mime.duplicate-version",
}


class _Open:
    """An entity whose end has not been seen yet."""

    __slots__ = (
        "anomalies",
        "body_start",
        "boundary",
        "children",
        "closed",
        "delimiters",
        "encoding",
        "epilogue_start",
        "fields",
        "header",
        "media_type",
        "names",
        "path",
        "preamble_stop",
        "shadowed",
    )

    def __init__(self, path: Path, start: int, header: fields.Header) -> None:
        self.path = path
        self.header = Span(start, header.span.stop)
        self.body_start = header.body_start
        self.fields: tuple[Field, ...] = header.fields
        self.anomalies: dict[str, None] = dict.fromkeys(header.anomalies)
        self.children: list[Part] = []
        self.media_type = "text/plain"
        self.encoding = "7bit"
        self.names: tuple[str, ...] = ()
        self.boundary: bytes | None = None
        self.closed = False
        self.delimiters = 0
        self.preamble_stop = 0
        self.epilogue_start = 0
        self.shadowed: list[tuple[bytes, tuple[_Open, bool] | None]] = []


class _Delimiter:
    __slots__ = ("before", "close", "entity", "next")

    def __init__(self, before: int, after: int, entity: _Open, close: bool) -> None:
        self.before = before  # end of the data before it: the line end that belongs to the delimiter is cut
        self.next = after  # start of the line after it
        self.entity = entity
        self.close = close


class _Scanner:
    def __init__(self, source: Source, limits: Limits, span: Span) -> None:
        self.source = source
        self.data = source.data
        self.limits = limits
        self.start, self.stop = span
        self.stack: list[_Open] = []
        self.known: dict[bytes, tuple[_Open, bool]] = {}  # delimiter line without padding -> multipart, is it the close delimiter
        self.longest = 0
        self.parts = 0

    def run(self, path: Path, default_type: str) -> Part:
        position = self._open(self.start, path, default_type)
        while True:
            delimiter = self._next_delimiter(position)
            if delimiter is None:
                break
            entity = delimiter.entity
            while self.stack[-1] is not entity:
                self._close(delimiter.before)
            entity.delimiters += 1
            if entity.delimiters == 1:
                entity.preamble_stop = delimiter.before
            if delimiter.close:
                if not entity.closed:
                    entity.epilogue_start = delimiter.next
                entity.closed = True
                position = delimiter.next
                continue
            if entity.closed:
                entity.anomalies["mime.part-after-close"] = None
            if self.parts >= self.limits.max_parts:
                entity.anomalies["mime.max-parts"] = None
                break
            default = "message/rfc822" if entity.media_type == "multipart/digest" else "text/plain"  # RFC 2046 s5.1.5
            position = self._open(delimiter.next, (*entity.path, len(entity.children) + 1), default)
        while len(self.stack) > 1:
            self._close(self.stop)
        return self._finish(self.stack.pop(), self.stop)

    # -- entities

    def _open(self, start: int, path: Path, default_type: str) -> int:
        """Read the header at `start`, push the entity (and, for a message, what is inside); where its body begins."""
        is_message = not self.stack
        while True:
            self.parts += 1
            header = self._header(start, is_message)
            entity = _Open(path, start, header)
            self._describe(entity, default_type)
            self.stack.append(entity)
            inner = entity.media_type in MESSAGES and entity.encoding in IDENTITY
            if not inner and entity.boundary is None:
                return entity.body_start
            if len(self.stack) > self.limits.max_depth:
                entity.anomalies["mime.max-depth"] = None
                entity.boundary = None
                return entity.body_start
            if not inner:
                self._listen(entity)
                return entity.body_start
            start, path, default_type, is_message = entity.body_start, (*path, 1), "text/plain", True

    def _header(self, start: int, is_message: bool) -> fields.Header:
        """The header at `start`.

        It ends at the latest at an open delimiter: otherwise a part without a blank line would swallow its successors.
        """
        blank = _BLANKS.match(self.data, start, self.stop) if self.data[start : start + 1] in (b"\r", b"\n") else None
        if blank is not None and not is_message:
            # RFC 2046 s5.1: a body part that begins with a blank line has no header.  Some clients skip it and read on.
            end = start + (2 if self.data[start : start + 1] == b"\r" else 1)
            hidden = _CONTENT_FIELD.match(self.data, blank.end(), self.stop) is not None
            return fields.Header(Span(start, start), end, (), ("mime.header-after-blank",) if hidden else ())
        if self.known and self.data[start : start + 2] == b"--" and self._lookup(start) is not None:
            return fields.Header(Span(start, start), start, (), ())
        position = blank.end() if blank is not None else start
        stop = self.stop
        while True:
            match = _BLANK_OR_DASHES.search(self.data, position, self.stop)
            if match is None:
                break
            if match.group()[-1:] == b"\n":
                stop = match.end()
                break
            if self.known and self._lookup(match.start() + 1) is not None:
                stop = match.start() + 1
                break
            position = match.end() - 2
        return fields.read_header(self.source, start, stop, self.limits)

    def _describe(self, entity: _Open, default_type: str) -> None:
        """Content-Type, Content-Transfer-Encoding and names, by the first field of each kind."""
        values: dict[str, list[bytes]] = {}
        for name, _, value in entity.fields:
            if name in _SINGLETONS:
                values.setdefault(name, []).append(value)
        entity.media_type = default_type
        if not values:
            return
        note = entity.anomalies
        for name, found in values.items():
            if len(found) > 1:
                note[_SINGLETONS[name]] = None
        types = values.get("content-type", [])
        dispositions = values.get("content-disposition", [])
        encodings = values.get("content-transfer-encoding", [])
        if types:
            declared = structured.read(types[0], self.limits)
            if declared.anomalies:
                note.update(dict.fromkeys(declared.anomalies))
            if declared.value.count("/") == 1 and not declared.value.startswith("/") and not declared.value.endswith("/"):
                entity.media_type = declared.value
            else:
                note["mime.bad-content-type"] = None
                if declared.value.startswith("multipart"):
                    entity.media_type = "multipart/mixed"
            boundary = declared.get("boundary")
            if entity.media_type.startswith("multipart/"):
                if declared.anomalies:
                    note["mime.doubtful-boundary"] = None
                self._boundary(entity, boundary)
            elif boundary is not None or "multi" in entity.media_type:
                note["mime.boundary-without-multipart"] = None
        if encodings:
            entity.encoding = encodings[0].strip().lower().decode("latin-1")
            if entity.encoding not in _ENCODINGS:
                from lazaretto.mime import params

                entity.encoding = next(iter(params.tokens(encodings[0])), entity.encoding)
                proper = entity.encoding in _ENCODINGS and _COMMENTED.fullmatch(encodings[0]) is not None
                note["mime.commented-encoding" if proper else "mime.unknown-encoding"] = None
            elif entity.encoding not in IDENTITY and entity.media_type.startswith("multipart/"):
                note["mime.encoded-multipart"] = None  # RFC 2045 s6.4 forbids it, so clients differ
            elif entity.encoding not in IDENTITY and entity.media_type.startswith("message/"):
                note["mime.encoded-message"] = None
        if types or dispositions:
            for value in dispositions[:1]:
                note.update(dict.fromkeys(structured.read(value, self.limits).anomalies))
            entity.names = filenames.all_names(types, dispositions, (entity.media_type,))
        if entity.media_type == "message/partial":
            note["mime.message-partial"] = None
        elif entity.media_type.endswith("/external-body"):
            note["mime.external-body"] = None

    def _boundary(self, entity: _Open, text: str | None) -> None:
        boundary = (text or "").encode("latin-1", "replace").rstrip(b" \t")
        if not boundary:
            entity.anomalies["mime.missing-boundary"] = None
        elif len(boundary) > 1000:
            entity.anomalies["mime.boundary-too-long"] = None
        else:
            if len(boundary) > 70:  # RFC 2046 s5.1.1
                entity.anomalies["mime.long-boundary"] = None
            entity.boundary = boundary

    def _listen(self, entity: _Open) -> None:
        assert entity.boundary is not None
        for key, close in ((b"--" + entity.boundary, False), (b"--" + entity.boundary + b"--", True)):
            before = self.known.get(key)
            if before is not None:
                entity.anomalies["mime.boundary-reused"] = None
            entity.shadowed.append((key, before))
            self.known[key] = (entity, close)
            self.longest = max(self.longest, len(key))

    def _close(self, stop: int) -> None:
        entity = self.stack.pop()
        self.stack[-1].children.append(self._finish(entity, stop))

    def _finish(self, entity: _Open, stop: int) -> Part:
        for key, before in reversed(entity.shadowed):
            if before is None:
                self.known.pop(key, None)
            else:
                self.known[key] = before
        stop = max(stop, entity.body_start)
        note = entity.anomalies
        if entity.boundary is not None:
            if not entity.delimiters:
                note["mime.no-delimiter"] = None
            elif not entity.closed:
                note["mime.no-final-boundary"] = None
            if self._occurrences(b"--" + entity.boundary, entity.body_start, stop) != entity.delimiters and "mime.max-parts" not in note:
                note["mime.stray-delimiter"] = None
            outside = ((entity.body_start, entity.preamble_stop), (entity.epilogue_start or stop, stop))
            if any(_PART_FIELD.search(self.data, max(start - 1, 0), end) for start, end in outside if start < end):
                note["mime.stray-part"] = None
        elif not entity.children and entity.media_type not in _HEADERS:
            head = self.data[entity.body_start : min(entity.body_start + fields.PARAGRAPH_BYTES, stop)]
            if fields.field_follows(head, 0):
                note["mime.header-after-blank"] = None
            if entity.path and entity.encoding in IDENTITY and _PARTS_IN_TEXT.search(self.data, max(entity.body_start - 1, 0), stop):
                note["mime.stray-part"] = None
        return Part(
            entity.path,
            entity.header,
            Span(min(entity.body_start, stop), stop),
            entity.media_type,
            entity.encoding,
            entity.names,
            entity.fields,
            tuple(entity.children),
            tuple(note),
        )

    def _occurrences(self, needle: bytes, start: int, stop: int) -> int:
        """How often `needle` stands in the body, wherever in a line: more than our delimiters means that others may split elsewhere."""
        count = 0
        position = self.data.find(needle, start, stop)
        while position >= 0:
            count += 1
            position = self.data.find(needle, position + len(needle), stop)
        return count

    # -- delimiters

    def _lookup(self, start: int) -> tuple[_Open, bool, int] | None:
        """The open boundary that the line at `start` names, if it is a delimiter, and where the next line begins."""
        most = min(self.stop, start + self.longest + _DELIMITER_PADDING)
        end = self.data.find(b"\n", start, most)
        if end < 0:
            if most < self.stop:
                return None
            end = self.stop
        hit = self.known.get(self.data[start:end].rstrip(b" \t\r"))
        return (*hit, min(end + 1, self.stop)) if hit else None

    def _next_delimiter(self, start: int) -> _Delimiter | None:
        if not self.known:
            return None
        data = self.data
        position = start - 1
        if start == self.start:
            hit = self._lookup(start) if data[start : start + 2] == b"--" else None
            if hit is not None:
                return _Delimiter(start, hit[2], hit[0], hit[1])
            position = start
        while True:
            dashes = _DASHES.search(data, position, self.stop)
            if dashes is None:
                return None
            position = dashes.start()
            hit = self._lookup(position + 1)
            if hit is not None:
                before = position - 1 if data[position - 1 : position] == b"\r" else position
                return _Delimiter(max(before, start) if before >= start else start, hit[2], hit[0], hit[1])
            position += 1


def parse(source: Source, limits: Limits = DEFAULT, span: Span | None = None, path: Path = (), default_type: str = "text/plain") -> Part:
    """The tree of the message in `span` (default: all of `source`).

    `path` becomes the root's path.  Raises nothing; see the module's page for what anomalies mean.
    """
    return _Scanner(source, limits, span or Span(0, source.size)).run(path, default_type)
