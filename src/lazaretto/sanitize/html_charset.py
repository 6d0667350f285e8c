"""Bytes of a page as text: as most clients read them, and as some would.

    readings(data, ("shift_jis",))    Reading("", "<p>..."), Reading("swallowed", ...)

The first reading is what is shown: a byte order mark counts first, then the
charset of the field, then that of a meta element, then UTF-8 if it is valid, else
windows-1252.  The others are those in which markup may stand that the first does not have.

Markup is ASCII.  A charset in which ASCII bytes always mean themselves shows the same markup
as any other such, so nothing else is read where only those are concerned.

Limits:  linear; MAX_READINGS.
Errors:  none: what cannot be decoded becomes U+FFFD.
See:     Encoding Living Standard s4.2; RFC 2152 (UTF-7), RFC 1843 (HZ), RFC 1468 (ISO 2022)
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.content.html import utf16

MAX_READINGS = 12
HEAD = 4096  # where a meta element counts; browsers look at 1024

_META = regex.compile(rb"(?i)<meta\b[^>]{0,400}?charset\s{0,8}=\s{0,8}[\"']?\s{0,8}([A-Za-z0-9_:.+-]{1,40})")
_XML = regex.compile(rb"(?i)<\?xml\b[^>]{0,200}?encoding\s{0,8}=\s{0,8}[\"']([A-Za-z0-9_:.+-]{1,40})")
_UTF7 = regex.compile(rb"\+[A-Za-z0-9+/]{2,}")
_BASE64 = regex.compile(rb"base64,[A-Za-z0-9+/=%\s]*")
_MARKUP = "<>\"'=&`"
_OVERLONG = regex.compile(rb"\xc0[\x80-\xbf]|\xc1[\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf]|\xf0\x80[\x80\x81][\x80-\xbf]")
_SWALLOWED = regex.compile(rb"[\x80-\xff][\"'<>=`]")
_MARKS: tuple[tuple[bytes, str], ...] = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"))
_MARKS += ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))

# Labels that browsers read otherwise than they say.
_ALIASES = {
    **dict.fromkeys(("us-ascii", "ascii", "ansi_x3.4-1968", "iso-8859-1", "latin1", "iso_8859-1", "iso8859-1", "x-ansi"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "euc-cn"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("ks_c_5601-1987", "euc-kr", "ksc5601"), "cp949"),
    **dict.fromkeys(("unicode-1-1-utf-7", "unicode-2-0-utf-7", "csunicode11utf7", "x-unicode-2-0-utf-7"), "utf-7"),
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "big5": "big5hkscs",
    "unicode": "utf-16-le",
    "utf-16": "utf-16-le",
    "ucs-2": "utf-16-le",
    "utf-32": "utf-32-le",
    "utf8": "utf-8",
}
_NO_CHARSETS = frozenset(
    ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")
)  # codecs for other things
_WIDE = ("utf-16", "utf-32")
# ASCII bytes mean themselves, whatever stands before them.
_TRANSPARENT = ("utf-8", "cp125", "cp874", "iso8859", "koi8", "mac-", "cp8", "euc_", "latin", "kz1048", "ptcp154", "tis-620", "hp-roman8")
_PROBE = bytes(range(0x20, 0x7F)).replace(b"+", b"").replace(b"~", b"").replace(b"\\", b"")


class Reading(NamedTuple):
    """`label` says which client reads it so; "" is everybody's."""

    label: str
    text: str


def readings(data: bytes, declared: Iterable[str]) -> Iterator[Reading]:
    """The usual reading and those that differ in markup.  `declared`: every charset that the fields of the part name."""
    said = tuple(dict.fromkeys(codec for label in declared if (codec := lookup(label))))
    inside = tuple(dict.fromkeys(codec for codec in map(lookup, _inside(data)) if codec))
    mark = next((codec for start, codec in _MARKS if data.startswith(start)), "")
    wide = utf16(data)
    primary = mark or _usual(data, said, inside, wide)
    yield Reading("", _decoded(data, primary))
    named = (*said, *inside, *((wide,) if wide else ()))
    others = {codec: codec for codec in named if codec != primary and not (_is_transparent(codec) and _is_transparent(primary))}
    if not _is_transparent(primary):
        others["cp1252"] = "cp1252"  # without knowing about it
    if b"\x1b" in data:
        others |= {"iso-2022-jp": "iso2022_jp_2", "iso-2022-kr": "iso2022_kr"}
    if b"~{" in data:
        others["hz"] = "hz"
    for number, (label, codec) in enumerate(others.items()):
        if number >= MAX_READINGS:
            return
        yield Reading(label, _decoded(data, codec))
    # Nobody says so, and a very old client guesses.  Pictures in base64 are full of what looks like shifts.
    if "utf-7" not in (primary, *others) and _UTF7.search(data) and _has_other_markup(bare := _BASE64.sub(b"base64,", data)):
        yield Reading("utf-7", _decoded(bare, "utf-7"))
    if data.isascii():
        return
    if _OVERLONG.search(data):
        yield Reading("overlong", _decoded(_OVERLONG.sub(lambda match: bytes((_value(match[0]) & 0x7F,)), data), "cp1252"))
    if any(label.lower() in ("us-ascii", "ascii") for label in (*declared, *_inside(data))):
        yield Reading("seven-bit", bytes(byte & 0x7F for byte in data).decode("ascii"))
    if _SWALLOWED.search(data) and not _is_utf8(data):
        yield Reading("swallowed", _decoded(_SWALLOWED.sub(b"?", data), "cp1252"))


def _has_other_markup(data: bytes) -> bool:
    """Is there markup in shifts of UTF-7?  Telephone numbers have none."""
    text = _decoded(data, "utf-7")
    return any(text.count(character) > data.count(character.encode()) for character in _MARKUP)


def lookup(label: str) -> str:
    """The codec that a client takes for `label`, "" if none that makes text of bytes."""
    name = label.strip().strip("\"'").lower()
    name = _ALIASES.get(name, name)
    try:
        info = codecs.lookup(name)
        if not getattr(info, "_is_text_encoding", True) or info.name.replace("-", "_") in _NO_CHARSETS:
            return ""
    except (LookupError, ValueError, UnicodeError):
        return ""
    return _ALIASES.get(info.name, info.name)


def keeps_ascii(label: str) -> bool:
    """Do the ASCII bytes that html_filter writes mean themselves in this charset?  An unknown one counts as such."""
    codec = lookup(label)
    try:
        return not codec or _PROBE.decode(codec) == _PROBE.decode("ascii")
    except UnicodeError:
        return False


def _usual(data: bytes, said: tuple[str, ...], inside: tuple[str, ...], wide: str) -> str:
    for codec in (*said[:1], *inside[:1]):
        if not codec.startswith(_WIDE):
            return codec
        if wide:
            return wide if wide[:6] == codec[:6] else codec
        if codec.startswith("utf-32") and data.count(0, 0, HEAD) * 2 > len(data[:HEAD]):
            return codec
    return wide or ("utf-8" if _is_utf8(data) else "cp1252")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_transparent(codec: str) -> bool:
    return codec.startswith(_TRANSPARENT)


def _inside(data: bytes) -> tuple[str, ...]:
    """Charsets that the page itself names."""
    head = data[:HEAD].replace(b"\0", b"")
    return tuple(match.decode("ascii") for pattern in (_META, _XML) for match in pattern.findall(head)[:4])


def _decoded(data: bytes, codec: str) -> str:
    """Text without byte order mark and NUL, which some readers skip."""
    try:
        text = data.decode(codec, "replace")
    except (UnicodeError, ValueError):  # some codecs know no "replace"
        text = data.decode("cp1252", "replace")
    return text.removeprefix("\ufeff").replace("\0", "")


def _value(sequence: bytes) -> int:
    """The code point of an overlong sequence of UTF-8."""
    value = 0
    for byte in sequence[-2:]:
        value = value << 6 | byte & 0x3F
    return value
