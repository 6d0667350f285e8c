"""The other readings: what clients that disagree with us would find in the same bytes.

The primary reading (mime/scanner.py) marks where clients disagree.  For such a
message this module explores the union of what they do: header blocks split
elsewhere, every Content-Type of several, every value of a boundary parameter,
boundaries guessed from the body, delimiters in the middle of a line, bodies
decoded and not decoded, NUL and bare CR removed or honoured.  Each leaf that
some client could show becomes a Reading; duplicates are the caller's to drop.

Only finding happens here.  A payload that exists in any reading is acted on
in the primary one (scan/job.py), and the result is read again.

Limits:  max_readings entities, max_reading_bytes and
         max_reading_factor of bodies looked at.
Errors:  LimitExceeded, after which the caller must treat the message as not
         fully looked at.
See:     docs/readings.md; RFC 7103 for the repairs that clients make
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.mime import field_readings, fields, filenames, params, transfer
from lazaretto.mime.line_ends import line_end_trouble
from lazaretto.mime.source import Sink, Source
from lazaretto.model import Span

_MAX_BOUNDARIES = 40  # candidates for one multipart; the corpus needs 12
_GUESS_BYTES = 4 << 20  # of a body that are searched for lines that look like delimiters
_HIDDEN_DELIMITERS = 4  # parts of a multipart that may hide the delimiters after them
_OPENS_PARTS = regex.compile(rb"multi|message/|rfc822|boundary", re.IGNORECASE)
_LEADING_JUNK = regex.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n]+|>?From [^\r\n]*(?:\r\n|\n|\r))+")
_GUESS = regex.compile(
    rb"(?:^|[\r\n])[ \t]*--([^\r\n]{0,1000})(?:\r\n|\n|\r)(?=[ \t]*+(?:\r\n|\n|\r)?[ \t]*+(?:content|x|mime)-)", re.IGNORECASE
)
_ENCODING_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (regex.compile(r"gz\w*64|gzip"), "x-gzip64"),
    (regex.compile(r"base\W*64|b64"), "base64"),
    (regex.compile(r"quot|(?<![a-z])qp"), "quoted-printable"),
    (regex.compile(r"uu"), "x-uuencode"),
    (regex.compile(r"yenc"), "x-yenc"),
    (regex.compile(r"binhex|hqx"), "binhex"),
)


ELSEWHERE = ("/external-body", "message/partial")  # types whose content is not in this message
_PAGES = ("text/html", "application/xhtml+xml")

_CUT_COST = 512  # bytes of the budget that one cut costs, so that cuts of nothing are not free

_Delimiters = list[tuple[int, int]]  # start of the delimiter, start of the line after it


class Reading(NamedTuple):
    """A leaf that some client would show: `decode` gives its bytes."""

    label: str
    names: tuple[str, ...]
    media_type: str
    source: Source  # of the still encoded body: the original, or a repaired copy
    span: Span
    encoding: str  # "" for the bytes as they are; with ":variant" if decoded as a careless client would
    decode: Callable[[], Iterator[bytes]]


class _Entity(NamedTuple):
    source: Source
    span: Span
    label: str
    depth: int
    default_type: str


def encodings(values: Iterable[bytes]) -> tuple[str, ...]:
    """Every transfer encoding that some client recognises in these Content-Transfer-Encoding values."""
    text = " ".join(token for value in values for token in params.tokens(value))
    return tuple(name for pattern, name in _ENCODING_NAMES if pattern.search(text))


def explore(
    source: Source, span: Span, sink: Sink, budget: Budget, default_type: str = "text/plain", *, stray: bool = False
) -> Iterator[Reading]:
    """Every leaf of the entity in `span` under every reading.  Copies that readings need are made through `sink`.

    `stray`: it is no entity but a text (a preamble, an epilogue) in which some client may find parts.
    """
    explorer = _Explorer(sink, budget)
    for label, form, within in _forms(source, span, sink):
        explorer.kept.append(form)
        entity = _Entity(form, within, label, 0, default_type)
        explorer.add(entity)
        if stray:
            explorer.segments(entity, form, within, [], default_type, label + "/stray", only_pieces=True)
    return explorer.run()


def _forms(source: Source, span: Span, sink: Sink) -> Iterator[tuple[str, Source, Span]]:
    """The bytes as they are, and as repaired by clients that drop NULs or take CR for a line end."""
    yield "", source, span
    bare, nul = line_end_trouble(source, span)
    base = source, span
    if nul:
        clean = sink(piece.replace(b"\0", b"") for piece in source.chunks(span))
        base = clean, Span(0, clean.size)
        yield "nul-removed", *base
    if bare:
        for label, pattern, into in (("crcrlf", rb"(?<!\r)\r\r++\n", b"\r\n"), ("cr-as-line-end", rb"\r\n|\r", b"\n")):
            copy = sink(_substitute(base[0].chunks(base[1]), re.compile(pattern), into))
            yield label, copy, Span(0, copy.size)


def _substitute(chunks: Iterable[bytes], pattern: re.Pattern[bytes], into: bytes) -> Iterator[bytes]:
    """re.sub over a stream; runs of CR at a chunk's end wait for what follows."""
    held = b""
    for chunk in chunks:
        data = held + chunk
        keep = len(data.rstrip(b"\r"))
        keep = max(keep, len(data) - 4096)  # a longer run of CR is cut: it is no line end to anybody
        held = data[keep:]
        yield pattern.sub(into, data[:keep])
    yield pattern.sub(into, held)


class Budget:
    """What all other readings of one message may cost together.  `size`: of the message, bytes."""

    __slots__ = ("bytes", "entities", "limits", "most")

    def __init__(self, limits: Limits, size: int) -> None:
        self.limits = limits
        self.most = limits.max_reading_bytes + limits.max_reading_factor * size
        self.bytes = self.entities = 0

    def entity(self, size: int) -> None:
        """Count one entity of `size` bytes."""
        self.entities += 1
        if self.entities > self.limits.max_readings:
            raise LimitExceeded("max_readings", f"more than {self.limits.max_readings}")
        self.spend(size)

    def spend(self, size: int) -> None:
        """Count `size` bytes looked at."""
        self.bytes += size
        if self.bytes > self.most:
            raise LimitExceeded("max_reading_bytes", f"more than {self.most}")

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass a decoded body on, counting: gzip64 makes a thousand bytes of one."""
        for chunk in chunks:
            self.spend(len(chunk))
            yield chunk


class _Explorer:
    def __init__(self, sink: Sink, budget: Budget) -> None:
        self.budget = budget
        self.sink = sink
        self.limits = budget.limits
        self.seen: set[tuple[int, Span, str]] = set()
        self.leaves: set[tuple[int, Span, str, tuple[str, ...]]] = set()
        self.todo: list[_Entity] = []
        self.kept: list[Source] = []  # sources must outlive their id() in the sets above

    def add(self, entity: _Entity) -> None:
        key = (id(entity.source), entity.span, entity.default_type)
        if key in self.seen or entity.span.start >= entity.span.stop:
            return
        if entity.depth > self.limits.max_depth:
            raise LimitExceeded("max_depth", "in another reading")
        self.seen.add(key)
        self.budget.entity(entity.span.stop - entity.span.start)
        self.todo.append(entity)

    def run(self) -> Iterator[Reading]:
        while self.todo:
            yield from self._entity(self.todo.pop())

    def _entity(self, entity: _Entity) -> Iterator[Reading]:
        source, (start, stop) = entity.source, entity.span
        junk = _LEADING_JUNK.match(source.data, start, min(stop, start + self.limits.max_field_bytes))
        if junk is not None and junk.end() < stop:
            self.add(entity._replace(span=Span(junk.end(), stop), label=entity.label + "/leading-junk"))
        header = fields.read_header(source, start, stop, self.limits)
        splits = [(header.span, header.body_start), *field_readings.other_splits(source, start, stop)]
        for span, body_start in dict.fromkeys(splits):
            pairs = [(field.name, field.value) for field in header.fields] if span == header.span else []
            pairs += field_readings.other_fields(source, span.start, span.stop)
            yield from self._headed(entity, list(dict.fromkeys(pairs)), Span(min(body_start, stop), stop))

    def _headed(self, entity: _Entity, pairs: list[tuple[str, bytes]], body: Span) -> Iterator[Reading]:
        types = [value for name, value in pairs if name == "content-type"]
        dispositions = [value for name, value in pairs if name == "content-disposition"]
        coded = encodings(value for name, value in pairs if name == "content-transfer-encoding")
        media = list(dict.fromkeys(token for value in types for token in params.tokens(value))) or [entity.default_type]
        text = " ".join(media)
        if "binhex" in text and "binhex" not in coded:
            coded = (*coded, "binhex")
        candidates = dict.fromkeys(boundary for value in (*types, *dispositions) for boundary in params.boundaries(value))
        is_multipart = "multi" in text or bool(candidates)
        is_message = "message/" in text or "rfc822" in text
        names = filenames.all_names(types, dispositions, media)
        bodies: list[tuple[str, Source, Span]] = [("", entity.source, body)]
        if is_multipart or is_message:
            for how, chunks in self._decoded(entity.source, body, coded):
                copy = self.sink(self.budget.counted(chunks))
                self.kept.append(copy)
                bodies.append((how, copy, Span(0, copy.size)))
        if is_message:
            for encoding, source, span in bodies:
                self.add(_Entity(source, span, f"{entity.label}/message{encoding and ':' + encoding}", entity.depth + 1, "text/plain"))
        if is_multipart or not (types or dispositions or coded or entity.depth):
            default = "message/rfc822" if "digest" in text else "text/plain"
            for encoding, source, span in bodies:
                self.segments(entity, source, span, list(candidates), default, f"{entity.label}/parts{encoding and ':' + encoding}")
        yield from self._leaves(entity, body, coded, names, media)

    def _decoded(self, source: Source, body: Span, coded: tuple[str, ...]) -> Iterator[tuple[str, Iterable[bytes]]]:
        """An encoded body in each encoding; where it is damaged, also as careless decoders see it."""
        for encoding in coded:
            yield encoding, transfer.decode(source, body, encoding)
            if transfer.anomalies(source, body, encoding):
                for variant, chunks in transfer.readings(source, body, encoding):
                    yield f"{encoding}:{variant}", chunks

    def _leaves(self, entity: _Entity, body: Span, coded: tuple[str, ...], names: tuple[str, ...], media: list[str]) -> Iterator[Reading]:
        source, label = entity.source, entity.label
        # Of several declared types, the one that does most: content that is elsewhere, then a page.
        media_type = (
            next((kind for kind in media if kind.endswith(ELSEWHERE)), None)
            or next((kind for kind in media if kind.endswith(_PAGES)), None)
            or next((kind for kind in media if "/" in kind), media[0])
        )
        # The body of a multipart or message is looked at piece by piece; as a whole, the scan of the raw message has seen it.
        opened = all(kind.startswith(("multipart/", "message/rfc822")) for kind in media) and not names
        for encoding in coded if opened else ("", *coded):
            key = (id(source), body, encoding, names)
            if key in self.leaves:
                continue
            self.leaves.add(key)
            self.budget.spend(body.stop - body.start)
            how = f"{label}/{encoding or 'as-is'}"
            yield Reading(how, names, media_type, source, body, encoding, lambda e=encoding: transfer.decode(source, body, e))  # type: ignore[misc]
            if encoding and transfer.anomalies(source, body, encoding):
                for variant, chunks in transfer.readings(source, body, encoding):
                    self.budget.spend(body.stop - body.start)
                    yield Reading(f"{how}:{variant}", names, media_type, source, body, f"{encoding}:{variant}", lambda c=chunks: c)  # type: ignore[misc]

    def segments(
        self,
        entity: _Entity,
        source: Source,
        body: Span,
        declared: list[bytes],
        default_type: str,
        label: str,
        *,
        only_pieces: bool = False,
    ) -> None:
        """Queue every piece that some client cuts out of `body`."""
        candidates = dict.fromkeys(declared[:_MAX_BOUNDARIES])
        found = [_delimiters(source, body, boundary, self.limits) for boundary in candidates]
        if not any(closed for _, closed in found):  # nothing declared fits the body well: some clients guess
            first = max(body.start - 1, 0)  # the line end before the body, for a delimiter in its first line
            for match in _GUESS.finditer(source.data, first, min(body.stop, body.start + _GUESS_BYTES)):
                for form in (match.group(1).rstrip(b" \t"), match.group(1).split(b" ")[0]):
                    if form not in candidates and len(candidates) < _MAX_BOUNDARIES:
                        candidates[form] = None
                        found.append(_delimiters(source, body, form, self.limits))
        for sets, closed in found:
            for cut in _pieces(body, sets, closed) if only_pieces else _cuts(source, body, sets):
                self.budget.spend(_CUT_COST)
                self.add(_Entity(source, cut, label, entity.depth + 1, default_type))


def _delimiters(source: Source, body: Span, boundary: bytes, limits: Limits) -> tuple[list[_Delimiters], bool]:
    """Where `boundary` delimits: on lines of its own, on lines that begin with it, anywhere; and is there a proper close delimiter?"""
    data = source.data
    needle = b"--" + boundary
    anywhere: _Delimiters = []
    lines: _Delimiters = []
    exact: _Delimiters = []
    closed = False
    position = data.find(needle, body.start, body.stop)
    while position >= 0:
        if len(anywhere) >= limits.max_parts:
            raise LimitExceeded("max_parts", "in another reading")
        # A line that is longer is no delimiter to anybody, and must not hide those behind it.
        most = min(body.stop, position + len(needle) + 4096)
        end = data.find(b"\n", position + len(needle), most)
        cr = data.find(b"\r", position + len(needle), end if end >= 0 else most)
        after = min((at + 1 for at in (end, cr) if at >= 0), default=most)
        if cr >= 0 and data[cr + 1 : cr + 2] == b"\n":
            after = cr + 2
        anywhere.append((position, after))
        before = data[max(body.start, position - 80) : position].rstrip(b" \t")
        if before[-1:] in (b"", b"\n", b"\r"):
            lines.append((position, after))
            tail = data[position + len(needle) : after].strip(b" \t\r\n\x0b\x0c")
            if tail in (b"", b"--"):
                exact.append((position, after))
                closed = closed or (tail == b"--" and len(exact) > 1)
        position = data.find(needle, max(position + 2, after - 1), body.stop)
    sets: list[_Delimiters] = []
    for found in (exact, lines, anywhere):
        if found and found not in sets:
            sets.append(found)
    return sets, closed


def _pieces(body: Span, sets: list[_Delimiters], closed: bool) -> Iterator[Span]:
    """The pieces between the likeliest delimiters."""
    for found in sets[:1]:
        yield from (Span(after, at) for (_, after), (at, _) in pairwise(found))
        if not closed:
            yield Span(found[-1][1], body.stop)


def _cuts(source: Source, body: Span, sets: list[_Delimiters]) -> Iterator[Span]:
    """The pieces between delimiters, and those that some clients cut besides."""
    data = source.data
    for found in sets:
        for index, (at, after) in enumerate(found):
            yield Span(after, found[index + 1][0] if index + 1 < len(found) else body.stop)
            if index == 0 and at > body.start:
                yield Span(body.start, at)  # the preamble, for those who show it
            if index < _HIDDEN_DELIMITERS and _OPENS_PARTS.search(data, after, min(body.stop, after + 4096)):
                yield Span(after, body.stop)  # the delimiters that follow may be hidden by a multipart that begins here
