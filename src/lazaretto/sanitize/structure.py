"""The canonical form: what clients read differently, written so that they all read it alike.

    repair(source, root, wanted, sink)    edits for the parts in `wanted`, one step
    anomalies(source, root)               every anomaly of the message's own structure, by part
    leaves(source, root)                  every leaf with its content
    located(source, root)                 where bare CRs and NULs are: the parts concerned

A step writes headers anew (structure_fields.py), puts in an empty line that was forgotten after one, gives multiparts a fresh
boundary, with nothing before the first part and after the last, and encodes bodies anew (structure_bodies.py).  Parts on which
nobody disagrees keep their bytes.  What a step brings to light, such as the parts of a multipart whose boundary had to be guessed,
is for the next one (scan/canonical.py).

The canonical form shows what the primary reading shows.  Only where that shows nothing but raw text, because a multipart has no
boundary that occurs, the best of the other boundaries is taken: the one whose delimiters are there.

A fresh boundary is made of the hash of the message, so that the same message gets the same, and nobody can foresee it in the message.

Limits:  GUESS_BYTES of a body are searched for a boundary, MAX_CANDIDATES are tried.
Errors:  none.  What has no canonical form gets no edit.
See:     docs/readings.md; RFC 2045, RFC 2046 s5.1, RFC 1847
"""

from __future__ import annotations

import itertools
import re
from binascii import hexlify
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from lazaretto import regex
from lazaretto.mime import ambiguous, field_readings, fields, params, transfer, tree
from lazaretto.mime.line_ends import line_end_trouble
from lazaretto.mime.scanner import IDENTITY, MESSAGES
from lazaretto.mime.source import Sink, Source
from lazaretto.model import Edit, Part, Path, Span
from lazaretto.sanitize import structure_bodies, structure_fields
from lazaretto.sanitize.plan import ENVELOPES, line_end
from lazaretto.sanitize.structure_fields import Change

GUESS_BYTES = 4 << 20
MAX_CANDIDATES = 40

Wanted = Mapping[Path, frozenset[str]]

_GUESS = regex.compile(rb"(?:^|[\r\n])--([^\r\n]{1,200}?)[ \t]*(?:\r\n|\n)(?=content-)", re.IGNORECASE)
_LINES = frozenset(("mime.bare-cr", "mime.nul"))
_TOUCHES_TYPE = ambiguous.DELIMITERS | {"mime.duplicate-content-type", "mime.encoded-multipart"}


def repair(source: Source, root: Part, wanted: Wanted, sink: Sink) -> tuple[Edit, ...]:
    """Edits that write the parts in `wanted` anew, each with the anomalies that are to go.  `sink` stores new bodies."""
    step = _Step(source, root, sink)
    for part in step.known.values():
        names = wanted.get(part.path)
        if names and not step.is_sealed(part):
            step.part(part, names & ambiguous.CANONICAL)
    return step.edits()


def located(source: Source, root: Part) -> Iterator[tuple[Part, str]]:
    """The parts that hold a bare CR ("mime.bare-cr") or a NUL ("mime.nul") outside of their own parts."""
    for part in tree.walk(root):
        found = [line_end_trouble(source, span) for span in _own(part) if span.start < span.stop]
        for index, name in enumerate(("mime.bare-cr", "mime.nul")):
            if any(trouble[index] for trouble in found):
                yield part, name


def _own(part: Part) -> Iterator[Span]:
    """The bytes of a part that are in none of its children."""
    yield Span(part.header.start, part.body.start)
    position = part.body.start
    for child in part.children:
        yield Span(position, child.header.start)
        position = child.body.stop
    yield Span(position, part.body.stop)


class _Step:
    def __init__(self, source: Source, root: Part, sink: Sink) -> None:
        self.source = source
        self.known = {part.path: part for part in tree.walk(root)}
        self.sink = sink
        self.eol = line_end(source)
        self.prefix = b""  # of all fresh boundaries
        self.opening: list[Edit] = []
        self.closing: list[Edit] = []  # of parts that end at the same place, the inner one first

    def edits(self) -> tuple[Edit, ...]:
        edits = (*self.opening, *reversed(self.closing))
        return (*self._versions(edits), *edits) if edits else ()

    def above(self, part: Part) -> Iterator[Part]:
        """The parts that hold `part`, outermost first."""
        return (self.known[part.path[:length]] for length in range(len(part.path)))

    def is_sealed(self, part: Part) -> bool:
        """Is it signed or encrypted, or inside something that is?  (plan.is_sealed, without looking through the tree.)"""
        return part.media_type in ENVELOPES or any(outer.media_type in ENVELOPES for outer in self.above(part))

    def is_message(self, part: Part) -> bool:
        return not part.path or self.known[part.path[:-1]].media_type in MESSAGES

    def _versions(self, edits: Iterable[Edit]) -> Iterator[Edit]:
        """A MIME-Version for messages in which something is edited, and that have none, but other MIME fields.

        Some clients believe those only with it.  RFC 2045 s4
        """
        rewritten = sorted(edit.span for edit in edits)
        for part in self.known.values():
            names = [field.name for field in part.fields]
            if not self.is_message(part) or "mime-version" in names or not any(name.startswith("content-") for name in names):
                continue
            at = bisect_left(rewritten, Span(part.header.start, 0))
            if at == len(rewritten) or rewritten[at].stop > max(part.body.stop, part.body.start) or self.is_sealed(part):
                continue
            first = next(field for field in part.fields if field.name.startswith("content-"))
            written_anew = rewritten[at].start < part.body.start and rewritten[at].stop == part.body.start
            if not written_anew and structure_fields.is_settled(self.source, first):
                yield Edit(Span(first.span.start, first.span.start), b"MIME-Version: 1.0" + self.eol)

    def part(self, part: Part, names: frozenset[str]) -> None:
        """What `part` needs; `names` are the anomalies that are to go."""
        if not part.path and not part.fields:
            return  # a text without any header: nobody could say what it is
        if "header.junk-line" in names and (at := structure_fields.text_begins(self.source, part)) >= 0:
            self.opening.append(Edit(Span(at, at), self.eol))
            return  # the next step sees a header and a text
        lines = names & _LINES
        odd_header, *odd_rest = (bool(lines) and any(line_end_trouble(self.source, span)) for span in _own(part))
        if not any(odd_rest):
            names -= _LINES
        header = odd_header or bool(names & ambiguous.HEADER)
        change: Change | None = structure_fields.NOTHING if header else None
        if part.media_type.startswith("multipart/"):
            if names & (_TOUCHES_TYPE | _LINES) or self._has_doubtful_type(part, names):
                change = self._multipart(part)
        elif part.media_type in MESSAGES and part.children:
            if "mime.header-after-blank" in names:
                self._message(part)
        elif part.media_type.startswith("message/") and part.encoding in IDENTITY:
            pass  # a report: what looks like a header is its content, and no encoding is allowed
        elif names & ambiguous.BODY or "mime.unknown-encoding" in names or "mime.duplicate-encoding" in names or self._might_be_cut(part):
            change = self._body(part, names, change)
        if change is not None:
            text = structure_fields.header(self.source, part, self.eol, change, in_message=self.is_message(part))
            self._edit(Span(part.header.start, part.body.start), text)

    def _edit(self, span: Span, data: bytes) -> None:
        if self.source.read_at(span.start, span.stop - span.start) != data:
            self.opening.append(Edit(span, data))

    # -- multiparts

    def _has_doubtful_type(self, part: Part, names: frozenset[str]) -> bool:
        types = [field for field in part.fields if field.name == "content-type"]
        return bool(names & ambiguous.HEADER) and not (types and structure_fields.is_settled(self.source, types[0]))

    def _multipart(self, part: Part) -> Change:
        """A fresh boundary; without any delimiter it is a text."""
        if part.encoding not in IDENTITY and not part.children:
            plain, body = structure_bodies.unwrapped(self.source, part, self.eol, self.sink)
            self.opening.append(Edit(part.body, body))
            return Change(encoding=plain)
        fresh = self._fresh(part)
        encoding = None if part.encoding in IDENTITY else ""
        if part.children:
            self._delimiters(part, fresh)
            return Change(boundary=fresh, encoding=encoding)
        boundary = self._likeliest(part)
        if boundary is None:
            return Change(media_type="text/plain", encoding=encoding)
        self._guessed(part, boundary, fresh)
        return Change(boundary=fresh, encoding=encoding)

    def _delimiters(self, part: Part, fresh: bytes) -> None:
        """All that stands between the children becomes a delimiter."""
        delimiter = b"--" + fresh + self.eol
        self.opening.append(Edit(Span(part.body.start, part.children[0].header.start), delimiter))
        for before, after in zip(part.children, part.children[1:], strict=False):
            self.opening.append(Edit(Span(before.body.stop, after.header.start), self.eol + delimiter))
        self._close(part, Span(part.children[-1].body.stop, part.body.stop), fresh)

    def _close(self, part: Part, span: Span, fresh: bytes) -> None:
        """The close delimiter; the line end after it belongs to the delimiter of an outer multipart, if there is one.

        That of an empty part has none: its empty line is the end of the header, and serves for both.
        """
        outer = any(above.media_type.startswith("multipart/") for above in self.above(part))
        ended = self.source.read_at(span.stop, 1) in (b"\r", b"\n") or (outer and span.stop == self.source.size)
        self.closing.append(Edit(span, self.eol + b"--" + fresh + b"--" + (b"" if ended else self.eol)))

    def _guessed(self, part: Part, boundary: bytes, fresh: bytes) -> None:
        """Every line that delimits by `boundary` gets the fresh one; what stands outside goes."""
        start, stop = part.body
        last = start
        first = True
        for match in _lines(boundary).finditer(self.source.data, max(start - 1, 0), stop):
            at, after = match.start(1), match.end()
            if match[2] and not first:
                self._close(part, Span(max(self._before(at, start), last), stop), fresh)
                return
            self.opening.append(Edit(Span(start if first else at, after), b"--" + fresh + self.eol))
            first, last = False, after
        self._close(part, Span(stop, stop), fresh)

    def _before(self, at: int, start: int) -> int:
        """Where the line end before `at` begins: it belongs to the delimiter."""
        if at > start and self.source.read_at(at - 1, 1) == b"\n":
            at -= 1
            if at > start and self.source.read_at(at - 1, 1) == b"\r":
                at -= 1
        return at

    def _likeliest(self, part: Part) -> bytes | None:
        """A boundary whose delimiters stand in the body: one that some client takes from the header, else one that looks like it."""
        values = [field.value for field in part.fields if field.name in ("content-type", "content-disposition")]
        values += [value for _, value in field_readings.other_fields(self.source, part.header.start, part.header.stop)]
        found = dict.fromkeys(boundary for value in values for boundary in params.boundaries(value))
        start, stop = max(part.body.start - 1, 0), min(part.body.stop, part.body.start + GUESS_BYTES)
        for match in _GUESS.finditer(self.source.data, start, stop):
            if len(found) >= MAX_CANDIDATES:
                break
            found[match[1]] = None
        return next((one for one in found if one and _lines(one).search(self.source.data, start, part.body.stop)), None)

    def _fresh(self, part: Part) -> bytes:
        """A boundary that stands nowhere in the message: of one length, so that none begins like another."""
        if not self.prefix:
            hashes = (blake2b(self.source.digest(), digest_size=8, salt=b"%d" % number).digest() for number in itertools.count())
            prefixes = (b"=_" + hexlify(digest) for digest in hashes)
            self.prefix = next(prefix for prefix in prefixes if self.source.data.find(prefix) < 0)
        return self.prefix + hexlify(blake2b(repr(part.path).encode(), digest_size=8).digest())

    # -- leaves

    def _might_be_cut(self, part: Part) -> bool:
        """Something that is no multipart, with a boundary or a type like one: are there delimiters to split it?"""
        if "mime.boundary-without-multipart" not in part.anomalies or part.children:
            return False
        return part.encoding in IDENTITY and self.source.data.find(b"--", part.body.start, part.body.stop) >= 0

    def _body(self, part: Part, names: frozenset[str], change: Change | None) -> Change | None:
        if not part.fields and part.header.stop < part.body.start and "mime.header-after-blank" in names:
            self._late_header(part)
            return None
        if part.media_type.startswith("message/") and part.encoding not in IDENTITY:
            encoding, body = structure_bodies.unwrapped(self.source, part, self.eol, self.sink)
        else:
            found = structure_bodies.recoded(self.source, part, self.eol, self.sink)
            if found is None:
                return change
            encoding, body = found
        self.opening.append(Edit(part.body, body))
        return (change or structure_fields.NOTHING)._replace(encoding=encoding)

    def _late_header(self, part: Part) -> None:
        """The fields stand after an empty line; without it they are the header."""
        text = self.source.read_at(part.header.start, fields.PARAGRAPH_BYTES)
        blank = len(text) - len(text.lstrip(b"\r\n"))
        self.opening.append(Edit(Span(part.header.start, part.header.start + blank), b""))

    def _message(self, part: Part) -> None:
        """A message of a digest begins with an empty line, which is the end of no header: now it has one."""
        if not part.fields and part.header.stop < part.body.start:
            self.opening.append(Edit(Span(part.header.stop, part.header.stop), b"Content-Type: message/rfc822" + self.eol))


def _lines(boundary: bytes) -> re.Pattern[bytes]:
    """Lines that delimit by `boundary`; group 1 is the delimiter, group 2 what makes it the last one."""
    return re.compile(rb"(?:^|(?<=[\r\n]))(--" + re.escape(boundary) + rb"(--)?)[ \t]{0,512}(?:\r\n|\n|\r|\Z)")


def leaves(source: Source, root: Part) -> Iterator[tuple[Part, Iterable[bytes]]]:
    """Every leaf with its content, decoded."""
    for part in tree.walk(root):
        if not part.children:
            yield part, structure_bodies.content(source, part)


def anomalies(source: Source, root: Part) -> Iterator[tuple[Part, str]]:
    """Every anomaly of the message's own structure, with the part that it is about."""
    for part in tree.walk(root):
        for name in part.anomalies:
            yield part, name
        if not part.children and part.encoding not in IDENTITY:
            for name in transfer.anomalies(source, part.body, part.encoding):
                yield part, name
    yield from located(source, root)
