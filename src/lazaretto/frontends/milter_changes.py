"""The edits of a message, as what the milter protocol can say: header fields by name and number, a new body.

    changes(source, edits, fields, leading_space)       Changes(header, body, needs)

The new header is rendered, taken apart and compared with the old one; what they have in common, in order, stays.  The MTA
carries out one request after the other, each on what it has by then, so the order matters:

    change, delete      from the last field to the first: numbers count per name, from 1, and a number further
                        up is the same before and after
    add                 what stands behind the last field that stays, or where nothing stays, in order
    insert              on top with index 0, the last one first; elsewhere by position
    new body            at the end, in pieces

A field that gives way to another of the very same name at the same place is changed (Sendmail would keep the letter case).
The one place that every MTA understands alike is the top: Postfix counts its own Received, Sendmail fields that it may yet write.

Limits:  the new header: max_header_bytes of [limits], as the old one.
Errors:  Unsayable: the new header has what the protocol cannot express.  Nothing of it must be sent then.
See:     mime/edits.py, wire/milter_replies.py; docs/protocols/milter.md
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LazarettoError
from lazaretto.limits import DEFAULT
from lazaretto.mime.edits import ordered, render
from lazaretto.mime.source import Source
from lazaretto.model import Edit, Span
from lazaretto.wire import milter_replies as wire
from lazaretto.wire.milter import CHANGE_HEADER, Actions

_LINE = regex.compile(rb"[^\n]*\n?")


class Unsayable(LazarettoError):
    """The milter protocol has no words for it."""


class Changes(NamedTuple):
    """Packets for the header; the new body, None if it stays; what the MTA has to have offered for them."""

    header: tuple[bytes, ...] = ()
    body: Iterator[bytes] | None = None
    needs: Actions = Actions(0)


NOTHING = Changes()


class _Field(NamedTuple):
    name: bytes
    value: bytes

    @property
    def key(self) -> bytes:
        return self.name.lower()


def changes(
    source: Source, edits: Iterable[Edit], fields: Sequence[Span], *, leading_space: bool, max_header_bytes: int = DEFAULT.max_header_bytes
) -> Changes:
    """What to ask for.  `fields`: of the header, one behind the other from the start of `source`; then comes an empty line."""
    planned = ordered(edits, source.size)
    if not planned:
        return NOTHING
    stop = fields[-1].stop if fields else 0  # the empty line
    above = [edit for edit in planned if edit.span.stop <= stop]
    below = planned[len(above) :]
    body: Iterator[bytes] | None = None
    if not below or below[0].span.start >= stop + 2:
        header = b"".join(_rendered(source, above, Span(0, stop))) if above else None
        if below:
            body = _rendered(source, below, Span(stop + 2, source.size))
    else:
        header, body = _divided(render(source, planned), max_header_bytes)
    if header is not None and len(header) > 2 * max_header_bytes:
        raise Unsayable("the new header is too large")
    packets: list[bytes] = []
    needs = Actions(0) if body is None else Actions.CHANGE_BODY
    if header is not None:
        old = [_field(source.span(span)) for span in fields]
        packets = _header(old, [*map(_field, _apart(header))], leading_space)
        needs |= _needed(packets)
    return Changes(tuple(packets), body, needs)


def _needed(packets: Iterable[bytes]) -> Actions:
    needs = Actions(0)
    for packet in packets:
        needs |= Actions.CHANGE_HEADERS if packet[4:5] == CHANGE_HEADER else Actions.ADD_HEADERS
    return needs


def _rendered(source: Source, edits: Sequence[Edit], span: Span) -> Iterator[bytes]:
    """`span` of the source, with the edits in it."""
    position = span.start
    for edit in edits:
        yield from source.chunks(Span(position, edit.span.start))
        yield from (edit.data,) if isinstance(edit.data, bytes) else edit.data.chunks()
        position = edit.span.stop
    yield from source.chunks(Span(position, span.stop))


def _divided(chunks: Iterator[bytes], most: int) -> tuple[bytes, Iterator[bytes]]:
    """Header and body of a message that is new altogether."""
    head = bytearray()
    for chunk in chunks:
        seen = max(len(head) - 3, 0)
        head += chunk
        end = 0 if head.startswith(b"\r\n") else head.find(b"\r\n\r\n", seen) + 2
        if end != 1:
            break
        if len(head) > most:
            raise Unsayable("the new message has no end of its header")
    else:
        return bytes(head), iter(())
    return bytes(head[:end]), _behind(bytes(head[end + 2 :]), chunks)


def _behind(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _apart(header: bytes) -> Iterator[bytes]:
    """Fields, each with its folds."""
    pieces: list[bytes] = []
    for line in _LINE.findall(header):
        if pieces and line[:1] not in (b" ", b"\t"):
            yield b"".join(pieces)
            pieces = []
        if line:
            pieces.append(line)
    if pieces:
        yield b"".join(pieces)


def _field(raw: bytes) -> _Field:
    name, colon, value = raw.removesuffix(b"\n").removesuffix(b"\r").partition(b":")
    return _Field(name, value.replace(b"\r\n", b"\n")) if colon else _Field(b"", raw)  # of no name: it can stay, but not be said


def _header(old: Sequence[_Field], new: Sequence[_Field], leading_space: bool) -> list[bytes]:
    """Packets that make `new` of `old`."""
    kept = _common(old, new)
    staying = {place for _, place in kept}
    changed: dict[int, _Field | None] = {}  # by position in `old`; None: it goes
    last_old = last_new = -1
    for at_old, at_new in (*kept, (len(old), len(new))):
        for position, place in _pairs(old, new, range(last_old + 1, at_old), range(last_new + 1, at_new)):
            changed[position] = None if place is None else new[place]
            staying |= {place} if place is not None else set()
        last_old, last_new = at_old, at_new
    try:
        return [*_said(old, new, changed, staying, leading_space)]
    except ValueError as error:  # of milter_replies
        raise Unsayable(str(error)) from None


def _said(
    old: Sequence[_Field], new: Sequence[_Field], changed: Mapping[int, _Field | None], staying: set[int], leading_space: bool
) -> Iterator[bytes]:
    """The packets, in the order of the module."""
    numbers = _numbers(old)
    for position in sorted(changed, reverse=True):
        field = changed[position]
        value = b"" if field is None else _value(field, leading_space)
        if field is not None and not value:
            raise Unsayable(f"to change a field into one without a value deletes it: {field.name[:60]!r}")
        yield wire.change_header(numbers[position], old[position].name, value)
    first, last = min(staying, default=-1), max(staying, default=-1)
    fresh = [(place, field.name, _value(field, leading_space)) for place, field in enumerate(new) if place not in staying]
    for place, name, value in fresh:
        if place > last:
            yield wire.add_header(name, value)
    for place, name, value in fresh:
        if first < place < last:
            yield wire.insert_header(place - first, name, value)
    for place, name, value in reversed(fresh):
        if place < first:
            yield wire.insert_header(0, name, value)


def _pairs(old: Sequence[_Field], new: Sequence[_Field], gone: range, fresh: range) -> Iterator[tuple[int, int | None]]:
    """Of the old fields of a gap, which new one of the same name takes its place, in order; None: none does."""
    places: dict[bytes, list[int]] = {}
    for place in reversed(fresh):
        places.setdefault(new[place].name, []).append(place)
    last = -1
    for position in gone:
        among = places.get(old[position].name, [])
        while among and among[-1] <= last:
            among.pop()
        if among:
            last = among.pop()
            yield position, last
        else:
            yield position, None


def _common(old: Sequence[_Field], new: Sequence[_Field]) -> list[tuple[int, int]]:
    """Positions of fields that both have, rising in both: as many as there are, if of equal ones the first is the first, and so on."""
    places: dict[_Field, list[int]] = {}
    for position in range(len(old) - 1, -1, -1):
        places.setdefault(old[position], []).append(position)
    found = [(places[field].pop(), place) for place, field in enumerate(new) if places.get(field)]
    # The longest rising sequence: `ends` has, for each length, the smallest last position of one.
    ends: list[int] = []
    chain: list[int] = []  # which of `found` is last there
    before: list[int] = []
    for number, (position, _) in enumerate(found):
        length = bisect_left(ends, position)
        before.append(chain[length - 1] if length else -1)
        ends[length : length + 1] = [position]
        chain[length : length + 1] = [number]
    result = []
    number = chain[-1] if chain else -1
    while number >= 0:
        result.append(found[number])
        number = before[number]
    return result[::-1]


def _numbers(fields: Sequence[_Field]) -> list[int]:
    """Of each field, its number among those of its name."""
    seen: dict[bytes, int] = {}
    numbers = []
    for field in fields:
        seen[field.key] = seen.get(field.key, 0) + 1
        numbers.append(seen[field.key])
    return numbers


def _value(field: _Field, leading_space: bool) -> bytes:
    return field.value if leading_space else field.value.removeprefix(b" ")
