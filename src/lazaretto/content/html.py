"""HTML, SVG, HTML applications, XML and plain text: what a program makes of it.

First the text itself, where it does not stand there as rules would read it
(UTF-16, UTF-7, NULs, entities that hide letters), as UTF-8; then every data: URI
and every long encoded string: the payloads of HTML smuggling.  What is in the
normalised text comes out when the caller walks that in turn.

Whether a page is evil is not decided here: rules judge.

Limits:  one pass for each kind of thing; up to JOINABLE bytes of text have their
         string concatenations undone; members and bytes are the meter's.
Errors:  none raised, LimitExceeded from the meter passes.
See:     RFC 2152 (UTF-7), RFC 2397; MITRE ATT&CK T1027.006; inline
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.content import inline
from lazaretto.content.container import Member, Problem
from lazaretto.limits import MIB, Meter
from lazaretto.mime.source import CHUNK, Buffer, Source

JOINABLE = 8 * MIB  # pages that assemble a payload from many short strings are small
HEAD = 4096
MAX_NAMES = 4
# What makes a page of a text: two patterns that begin with one fixed letter, which a search finds at the speed of memory.
_TAGS = regex.compile(rb"<(?:script|a[ \r\n]|iframe|object|embed|svg|html|body|img|meta|form|\?xml)", re.IGNORECASE)
_SCHEMES = regex.compile(rb":(?:(?<=data:)|(?<=javascript:))", re.IGNORECASE)

# "<", ">", quotes or a letter, up to the hyphen that ends a shift: without it, any base64 would look like it.
_UTF7 = (regex.compile(rb"\+A(?:Dw|D4|CI|Cc|G[A-Z])[0-9A-Za-z+/]{0,64}+-"), regex.compile(rb"\+-[\w+)]"))
_CHARSET_UTF7 = regex.compile(rb"(?i)charset\s{0,8}=\s{0,8}[\"']?\s{0,8}(?:x-)?(?:unicode-[12]-[01]-|csunicode11)?utf-?7")
_ENTITY = regex.compile(
    rb"&(?:#0*+([0-9]{1,7})(?![0-9])|#[xX]0*+([0-9A-Fa-f]{1,6})(?![0-9A-Fa-f])"
    rb"|(colon|comma|sol|plus|equals|semi|Tab|NewLine)(?=;));?"
)
_NAMED = {b"colon": b":", b"comma": b",", b"sol": b"/", b"plus": b"+", b"equals": b"=", b"semi": b";", b"Tab": b"\t", b"NewLine": b"\n"}
_KEPT = frozenset(b"\"'<>&")  # resolving these would change the structure
_BLANKS = frozenset(b"\t\n\f\r")
_JOIN = regex.compile(rb"[\"'`]\s{0,100}+\+\s{0,100}+[\"'`]")
_DOWNLOAD = regex.compile(
    rb"(?i)\bdownload[\"']?\s{0,8}[=:,]\s{0,8}(?:[\"']([^\"'<>\r\n]{1,255})|([^\"'<>\s;)]{1,255}))"
    rb"|(?:mssaveoropenblob|mssaveblob|saveas)\s{0,8}\([^\"'<>()]{0,80}[\"']([^\"'<>\r\n]{1,255})"
)


def walk(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Members of a page or of any text with markup."""
    yield from normalised(source, meter)
    data = source.data
    if utf16(data):
        return
    for uri in inline.data_uris(data):
        names = _names(data[max(0, uri.start - 512) : uri.start].rpartition(b"<")[2] + data[uri.stop : uri.stop + 512].partition(b">")[0])
        yield from uri.members(names, meter, is_file=bool(names))
    names = ()
    if contains(data, (b"download", b"mssave", b"saveas")):
        names = _names(data)
    if source.size <= JOINABLE:
        data = _JOIN.sub(b"", data)
    for found in inline.strings(data):
        yield from found.members(names, meter, is_file=bool(names))


def walk_text(source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Members of plain text, which some client may take for a page."""
    data = source.data
    if _TAGS.search(data) or _SCHEMES.search(data):
        yield from walk(source, meter)
    else:
        yield from normalised(source, meter)


# -- the text itself


def normalised(source: Source, meter: Meter) -> Iterator[Member]:
    """The text as UTF-8, once for each thing that hides it from rules."""
    data = source.data
    encoding = utf16(data)
    if encoding:
        meter.member()
        yield Member(("utf-8",), meter.unpack(_decoded(source, encoding), source.size), is_file=False, media_type="text/html")
        return
    if data.find(b"\0") >= 0:
        meter.member()
        without = (chunk.translate(None, b"\0") for chunk in source.chunks())
        yield Member(("without-nul",), meter.unpack(without, source.size), is_file=False, media_type="text/html")
    if _CHARSET_UTF7.search(data, 0, HEAD) or any(pattern.search(data) for pattern in _UTF7):
        meter.member()
        yield Member(("utf-7",), meter.unpack(_decoded(source, "utf-7"), source.size), is_file=False, media_type="text/html")
    if data.find(b"&") >= 0 and any(_letter(match) is not None for match in _ENTITY.finditer(data)):
        meter.member()
        yield Member(("entities",), meter.unpack(_resolved(data), source.size), is_file=False, media_type="text/html")


def utf16(data: Buffer) -> str:
    """Which UTF-16 the text is in: by its byte order mark, or by the NULs among ASCII; "" if neither."""
    head = data[:HEAD]
    if head[:2] == b"\xff\xfe":
        return "utf-16-le"
    if head[:2] == b"\xfe\xff":
        return "utf-16-be"
    half = len(head) // 2
    if half >= 2:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if odd > half * 0.6 and even * 4 < odd:
            return "utf-16-le"
        if even > half * 0.6 and odd * 4 < even:
            return "utf-16-be"
    return ""


def _decoded(source: Source, encoding: str) -> Iterator[bytes]:
    import codecs

    # Not "replace": what is no UTF-7 would become three times as long, and so again each time that the result still looks like it.
    decoder = codecs.getincrementaldecoder(encoding)("ignore")
    for number, chunk in enumerate(source.chunks()):
        text = decoder.decode(chunk).encode("utf-8", "replace")
        if number == 0:  # the mark would hide what follows it, and the result is no UTF-7 any more, whatever it says
            text = _CHARSET_UTF7.sub(b"charset=utf-8", text.removeprefix(b"\xef\xbb\xbf"))
        yield text
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _letter(match: re.Match[bytes]) -> bytes | None:
    """The ASCII character that an entity stands for; None: leave it as it is."""
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1]) if match[1] else int(match[2], 16)
    return bytes((code,)) if (32 <= code < 127 and code not in _KEPT) or code in _BLANKS else None


def _resolved(data: Buffer) -> Iterator[bytes]:
    position = 0
    for match in _ENTITY.finditer(data):
        letter = _letter(match)
        if letter is not None:
            for start in range(position, match.start(), CHUNK):
                yield data[start : min(start + CHUNK, match.start())]
            yield letter
            position = match.end()
    for start in range(position, len(data), CHUNK):
        yield data[start : start + CHUNK]


# -- reading it


def contains(data: Buffer, words: tuple[bytes, ...]) -> bool:
    """Is one of `words` (lower case) in the text, in any case?"""
    longest = max(map(len, words))
    for start in range(0, len(data), CHUNK):
        chunk = data[start : start + CHUNK + longest].lower()
        if any(word in chunk for word in words):
            return True
    return False


def _names(text: Buffer) -> tuple[str, ...]:
    """Names under which a page would save something."""
    names: dict[str, None] = {}
    for match in _DOWNLOAD.finditer(text):
        names[(match[1] or match[2] or match[3]).decode("utf-8", "replace")] = None
        if len(names) >= MAX_NAMES:
            break
    return tuple(names)
