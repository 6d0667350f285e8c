r"""Rich Text Format: objects in hexadecimal, and what it fetches from outside.

\objdata is read as Word reads it: white space, control words, groups and
\'hh between the digits do not count, \binN gives raw bytes, and digits may begin
in the middle of a byte.  The bytes are an OLE 1.0 object: a package gives its
file, another object its native data.

Facts in a stable form come as text, for rules to match:

    rtf:template TARGET     rtf:field INSTRUCTION     rtf:object-class CLASS [LINK]
    rtf:object-update       rtf:object-link           rtf:object-html

Limits:  one pass; an object is held in memory, up to MAX_OBJECT; MAX_FACTS lines.
Errors:  none raised, LimitExceeded from the meter passes.
See:     RTF 1.9.1 "Objects", "Fields"; [MS-OLEDS]; ole1
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content import ole1
from lazaretto.content.container import Member, Problem
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import CHUNK, Buffer, Source
from lazaretto.model import Reason

MAX_FACTS = 1000
MAX_TEXT = 4096  # of one destination that becomes a fact
MAX_SPAN = 64 << 10  # in which its text must stand
MAX_OBJECT = 64 * MIB  # the RTF around it is more than twice as large
_NOT_HEX = bytes(byte for byte in range(256) if byte not in b"0123456789ABCDEFabcdef")

_TOKEN = regex.compile(
    rb"(?P<hex>[0-9A-Fa-f\s]{1,65536}+)"
    rb"|\\(?P<word>[A-Za-z]{1,64}+)(?P<number>-?\d{1,12}+)?(?: |\r?\n)?"
    rb"|\\'(?P<char>[0-9A-Fa-f]{2})|\\(?P<symbol>[^A-Za-z])"
    rb"|(?P<open>\{)|(?P<close>\})|[^\\{}0-9A-Fa-f\s]{1,65536}+|.",
    re.DOTALL,
)
_DESTINATION = regex.compile(rb"\\(template|fldinst|objclass|objupdate|objautlink|objlink|objhtml|objdata)(?![A-Za-z])")
_TEXTS = {b"template": "rtf:template", b"fldinst": "rtf:field", b"objclass": "rtf:object-class"}
_FLAGS = {b"objupdate": "rtf:object-update", b"objautlink": "rtf:object-link", b"objlink": "rtf:object-link", b"objhtml": "rtf:object-html"}
_NOTABLE = regex.compile(r"(?i)\b(?:dde|ddeauto|includetext|includepicture|import|link|database|macrobutton)\b")
_MAGIC = regex.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|PK\x03\x04|%PDF|\{\\rt|MZ[\x00-\xff]\0")


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Objects of a document, and the facts."""
    data = source.data
    facts: dict[str, None] = {}
    covered = dict.fromkeys(_TEXTS, 0)  # no text is read twice, however the words are nested
    starts: list[int] = []
    for match in _DESTINATION.finditer(data):
        word = match[1]
        if word == b"objdata":
            starts.append(match.end())
            if len(starts) > meter.limits.max_members:
                yield Problem("rtf.objects", f"more than {meter.limits.max_members}", Reason.LIMIT)
                break
        elif word in _FLAGS:
            facts[_FLAGS[word]] = None
        elif len(facts) < MAX_FACTS and match.start() >= covered[word]:
            meter.tick()
            text, covered[word] = destination(data, match.end())
            text = " ".join(text.split())
            if text and (word != b"fldinst" or _NOTABLE.search(text)):
                facts[f"{_TEXTS[word]} {text}"] = None
    yield from _facts(facts, meter)
    for start, stop in itertools.pairwise([*starts, source.size]):
        meter.tick()
        readings, complete = objdata(data, start, stop, meter)
        for blob in readings:
            yield from _object(blob, meter)
        if not complete:
            yield Problem("rtf.object-size", f"more than {MAX_OBJECT} bytes", Reason.LIMIT)


def _facts(facts: dict[str, None], meter: Meter) -> Iterator[Member]:
    if facts:
        text = "".join(line + "\n" for line in facts).encode("utf-8", "replace")
        meter.member()
        yield Member(("facts",), meter.unpack([text], len(text)), is_file=False)


def destination(data: Buffer, start: int) -> tuple[str, int]:
    """The text from `start` to the end of its group, with its escapes resolved, and where that is."""
    out: list[str] = []
    depth = length = 0
    skip = False
    position = start
    for match in _TOKEN.finditer(data, start, min(start + MAX_SPAN, len(data))):
        position = match.end()
        text = ""
        if match["close"]:
            depth -= 1
            if depth < 0:
                break
        elif match["open"]:
            depth += 1
        elif match["word"]:
            if match["word"] == b"u" and match["number"]:
                out.append(chr(int(match["number"]) & 0xFFFF))
                skip = True  # the character for readers without Unicode follows
                continue
        elif match["char"]:
            text = bytes((int(match["char"], 16),)).decode("cp1252", "replace")
        elif match["symbol"]:
            text = match["symbol"].decode("latin-1") if match["symbol"] in b"\\{}" else ""
        else:
            text = match[0].decode("latin-1")
        out.append(text[skip:])
        skip = False
        length += len(text)
        if length > MAX_TEXT:
            break
    return "".join(out), position


# -- objects


class _Digits:
    """Collects hexadecimal digits; a digit without partner waits for the next."""

    __slots__ = ("blob", "rest")

    def __init__(self, blob: bytearray, rest: bytes) -> None:
        self.blob = blob
        self.rest = rest

    def take(self, text: bytes) -> None:
        digits = self.rest + text.translate(None, _NOT_HEX)
        whole = len(digits) // 2 * 2
        self.blob += bytes.fromhex(digits[:whole].decode("ascii"))
        self.rest = digits[whole:]

    def finish(self) -> bytearray:
        if self.rest:
            self.take(b"0")
        return self.blob

    def raw(self, data: bytes) -> None:
        self.blob += data
        self.rest = b""


def objdata(data: Buffer, start: int, stop: int, meter: Meter) -> tuple[list[bytearray], bool]:
    """The bytes of an object's data, in one or two readings; False if they were too many.

    Readers disagree about digits in groups inside, so where there are such, the
    second reading is without them.
    """
    every = _Digits(bytearray(), b"")
    outer: _Digits | None = None
    depth = 0
    position = start
    while position < stop and len(every.blob) < MAX_OBJECT and (match := _TOKEN.match(data, position, stop)):
        position = match.end()
        if match["hex"]:
            if depth and outer is None and not match["hex"].isspace():
                outer = _Digits(every.blob[:], every.rest)
            every.take(match["hex"])
            if not depth and outer:
                outer.take(match["hex"])
        elif match["word"] == b"bin" and match["number"]:
            size = min(max(int(match["number"]), 0), stop - position, MAX_OBJECT)
            for reading in (every, outer):
                if reading:
                    reading.raw(data[position : position + size])
            position += size
        elif match["open"]:
            meter.tick()
            depth += 1
        elif match["close"]:
            depth -= 1
            if depth < 0:
                break
    readings = [reading.finish() for reading in (every, outer) if reading]
    return readings, len(every.blob) < MAX_OBJECT


def _object(blob: bytearray, meter: Meter) -> Iterator[Member]:
    found = ole1.parse_object(blob)
    if found is None and len(blob) > 16:
        # quirk: one digit too many in front shifts all bytes by half; Word finds its way back
        digits = blob[: 2 * MIB].hex()
        shifted = bytearray.fromhex(digits[1 : len(digits) - 1])
        found = ole1.parse_object(shifted)
        if found or _MAGIC.search(shifted):
            blob = shifted
    if found is None:
        magic = _MAGIC.search(blob)
        if magic or len(blob) >= 64:
            yield _member((), blob, magic.start() if magic else 0, len(blob), meter, is_file=magic is not None)
        return
    yield from _facts({f"rtf:object-class {found.class_name.decode('latin-1')} {found.topic.decode('latin-1')}".rstrip(): None}, meter)
    package = ole1.parse_package(blob, found.start, found.stop)
    if package:
        yield _member(package.names, blob, package.start, package.stop, meter)
    elif found.stop > found.start:
        yield _member((), blob, found.start, found.stop, meter)


def _member(names: tuple[str, ...], blob: bytearray, start: int, stop: int, meter: Meter, *, is_file: bool = True) -> Member:
    meter.member()
    chunks = (bytes(blob[offset : min(offset + CHUNK, stop)]) for offset in range(start, stop, CHUNK))
    return Member(names, meter.unpack(chunks, len(blob)), is_file)
