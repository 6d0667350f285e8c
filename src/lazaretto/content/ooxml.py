"""Office Open XML: what the members of the zip do not say by themselves.

The archive walker gives the members; here come facts about references to
outside, commands in fields (DDE) and macro sheets, as one text in a stable form:

    ooxml:attached-template TARGET    ooxml:ole-object TARGET     ooxml:frame TARGET
    ooxml:external-link TARGET        ooxml:hyperlink TARGET (only schemes that start programs)
    ooxml:dde COMMAND                 ooxml:field INSTRUCTION     ooxml:xlm-macro-sheet PART

walk_xml() does the same for a single part, so a zip that this reader cannot
open, but another can, gives its facts member by member; and for flat Word and
Excel XML.

Limits:  DIRECTORY bytes of central directory; PART bytes of one part; all is metered.
Errors:  none raised, LimitExceeded from the meter passes.  Problem ooxml.directory.
See:     ECMA-376 part 2 (relationships), part 1 s17.16 (fields); MITRE ATT&CK T1221, T1559.002
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content.container import Member, Problem
from lazaretto.content.html import contains
from lazaretto.content.sourcefile import SourceFile
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason

DIRECTORY = 8 * MIB  # some 80,000 members; Office files have hundreds
PART = 16 * MIB
MAX_FACTS = 1000
MAX_TEXT = 4096

_RELATIONSHIP = regex.compile(r"<(?:[\w.-]{1,64}+:)?Relationship\s((?:[^>\"']|\"[^\"]{0,8192}\"|'[^']{0,8192}'){0,1024}+)")
_ATTRIBUTE = regex.compile(r"([\w:.-]{1,64}+)\s{0,16}=\s{0,16}(?:\"([^\"]{0,8192})\"|'([^']{0,8192})')")
_ENTITY = regex.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_CAMEL = regex.compile(r"(?<=[a-z])(?=[A-Z])")
_HARMLESS = regex.compile(r"(?i)\s*(?:https?:|mailto:|tel:|ftp:|#|[\w.-]*\Z)")  # of hyperlinks: one click opens a browser
_FIELD = regex.compile(
    r"<(?:\w{1,16}+:)?(?:(?P<char>fldChar)\s[^>]{0,512}?fldCharType\s{0,8}=\s{0,8}[\"'](?P<kind>begin|separate|end)"
    r"|(?P<text>instrText)(?:\s[^>]{0,512})?>(?P<instruction>[^<]{0,4096})"
    r"|(?P<simple>fldSimple)\s[^>]{0,512}?instr\s{0,8}=\s{0,8}(?:\"(?P<double>[^\"]{0,4096})|'(?P<single>[^']{0,4096})))"
)
_DDE_LINK = regex.compile(r"<(?:\w{1,16}+:)?ddeLink\s([^>]{0,2048})")
_QUOTE = regex.compile(r"(?i)\s*QUOTE((?:\s+\d{1,5})+)")
_DDE = regex.compile(r"(?i)\s*\"?\s*dde(?:auto)?\b")
_NOTABLE = regex.compile(r"(?i)\s*(?:includetext|includepicture|import|link|database|macrobutton)\b")
_CUES = (b"targetmode", b"instrtext", b"fldsimple", b"ddelink")
_PARTS = regex.compile(r"(?i)(?:.*\.rels|word/[^/]*\.xml|xl/externallinks/[^/]*\.(?:xml|bin)|xl/workbook\.xml)\Z")
_MACRO_SHEET = regex.compile(r"(?i)xl/macrosheets/")


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """The facts of a document that is a zip."""
    import struct
    import zipfile
    import zlib

    broken = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError, KeyError, zlib.error, struct.error)
    found: dict[str, None] = {}
    tail_start = max(source.size - (1 << 16) - 22, 0)
    end = source.data.rfind(b"PK\x05\x06", tail_start)
    if end >= 0 and int.from_bytes(source.read_at(end + 12, 4), "little") > DIRECTORY:
        yield Problem("ooxml.directory", f"more than {DIRECTORY} bytes", Reason.LIMIT)
        return
    try:
        archive = zipfile.ZipFile(SourceFile(source))
        infos = archive.infolist()
    except broken:
        return  # the archive walker says so
    for info in infos:
        name = info.filename.replace("\\", "/").lstrip("/")
        if _MACRO_SHEET.match(name) and not name.lower().endswith(".rels"):
            found[f"ooxml:xlm-macro-sheet {name}"] = None
        if not _PARTS.match(name) or info.flag_bits & 1:
            continue
        try:
            with archive.open(info) as part:
                pieces = iter(lambda part=part: part.read(1 << 16), b"")  # type: ignore[misc]
                data = _take(meter.unpack(pieces, max(info.compress_size, 1)), PART)
        except broken:
            continue
        add = binary_facts(data) if name.lower().endswith(".bin") else facts(_text(data))
        for line in add:
            if len(found) < MAX_FACTS:
                found[line] = None
    yield from _member(found, meter)


def walk_xml(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """The facts of one part, or of a document in one XML file."""
    if contains(source.data, _CUES):
        yield from _member(dict.fromkeys(facts(_text(source.read_at(0, PART)))), meter)


def _member(found: dict[str, None], meter: Meter) -> Iterator[Member]:
    if found:
        text = "".join(line + "\n" for line in found).encode("utf-8", "replace")
        meter.member()
        yield Member(("facts",), meter.unpack([text], len(text)), is_file=False)


def _take(chunks: Iterator[bytes], most: int) -> bytes:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= most:
            break
    return bytes(held[:most])


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
        return data.decode(
            "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace"
        )
    return data.decode("utf-8", "replace")


def facts(text: str) -> Iterator[str]:
    """What one XML part refers to or runs."""
    for match in _RELATIONSHIP.finditer(text):
        attributes = _attributes(match[1])
        target = " ".join(attributes.get("target", "").split())[:MAX_TEXT]
        kind = attributes.get("type", "").rstrip("/").rpartition("/")[2]
        if attributes.get("targetmode", "").strip().lower() != "external" or not target:
            continue
        if kind == "hyperlink" and _HARMLESS.match(target):
            continue
        yield f"ooxml:{_CAMEL.sub('-', kind).lower() or 'reference'} {target}"
    for match in _DDE_LINK.finditer(text):
        attributes = _attributes(match[1])
        yield f"ooxml:dde {attributes.get('ddeservice', '')} {attributes.get('ddetopic', '')}"
    for instruction in _instructions(text):
        plain = " ".join(instruction.split())
        if _DDE.match(plain):
            yield f"ooxml:dde {plain}"
        elif _NOTABLE.match(plain):
            yield f"ooxml:field {plain}"


def _attributes(text: str) -> dict[str, str]:
    return {m[1].rpartition(":")[2].lower(): _resolve(m[2] or m[3] or "") for m in _ATTRIBUTE.finditer(text)}


def _resolve(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[3]:
            return _NAMED[match[3]]
        code = int(match[1]) if match[1] else int(match[2], 16)
        return chr(code) if code < 0x110000 else "?"

    return _ENTITY.sub(one, text)


def _instructions(text: str) -> Iterator[str]:
    """Field instructions, put together from their runs; nested QUOTE fields spell characters.  s17.16.5.51"""
    stack: list[str] = []
    for match in _FIELD.finditer(text):
        if match["simple"]:
            yield _resolve(match["double"] or match["single"] or "")
        elif match["text"]:
            if not stack:
                stack.append("")
            if len(stack[-1]) < MAX_TEXT:
                stack[-1] += _resolve(match["instruction"])
        elif match["kind"] == "begin":
            if len(stack) < 64:
                stack.append("")
        elif stack and match["kind"] == "end":
            instruction = stack.pop()
            quote = _QUOTE.match(instruction)
            if quote and stack:
                stack[-1] += "".join(chr(int(number)) for number in quote[1].split())
            else:
                yield instruction
    yield from stack


# -- binary workbooks

_SUP_BOOK = b"\xe8\x02"  # BrtBeginSupBook, 360 as two bytes of seven bits  [MS-XLSB] s2.4.225
_DDE_KIND = 1


def binary_facts(data: bytes) -> Iterator[str]:
    """The DDE link in an externalLink part of a binary workbook."""
    at = data.find(_SUP_BOOK)
    while at >= 0:
        position = at + 2
        while position < len(data) and data[position] & 0x80 and position < at + 5:
            position += 1
        position += 1
        if int.from_bytes(data[position : position + 2], "little") == _DDE_KIND:
            position += 2
            texts = []
            for _ in range(2):
                length = int.from_bytes(data[position : position + 4], "little")
                if length > MAX_TEXT:
                    break
                texts.append(data[position + 4 : position + 4 + 2 * length].decode("utf-16-le", "replace"))
                position += 4 + 2 * length
            if len(texts) == 2:
                yield f"ooxml:dde {texts[0]} {texts[1]}"
        at = data.find(_SUP_BOOK, at + 2)
