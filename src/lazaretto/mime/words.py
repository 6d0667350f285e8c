"""Encoded words, as header fields and file names carry them.

    decode(text)      what a good modern client shows
    readings(text)    that, and what the others make of it
    text(raw, charset)  bytes to str, the way clients guess

Text comes in and goes out as `str`; bytes that no character set explains are latin-1, so that nothing is lost.  Words inside
quoted strings and inside other words are decoded too: forbidden, and done by every client that matters.

Limits:  MAX_READINGS readings.  Character sets are looked up in a closed list: a name from the mail never reaches the codec
         registry otherwise, which would import modules and remember every failure.
Errors:  none; what cannot be decoded stays as it is.
See:     RFC 2047 s2, s6.2; RFC 2231 s5 (language); docs of params.py
"""

from __future__ import annotations

import binascii
import re

from lazaretto import regex

MAX_READINGS = 12

# '?' ends each piece, so that no byte is looked at twice.  Blanks in the text are illegal and accepted by all.
_WORD = regex.compile(r"=\?([^?\s]{0,80})\?([bBqQ])\?([^?]*)\?=")
_OPEN_WORD = regex.compile(r"=\?([^?\s]{0,80})\?([bBqQ])\?([^?]*)(?:\?=|\??$)")  # cut off at the end
_BETWEEN = regex.compile(r"(\?=)[ \t\r\n]+(?==\?)")
# A '?' inside Q text is illegal, and some clients look for "?=" only.
_GREEDY_WORD = regex.compile(r"=\?([^?\s]{0,80})\?([qQ])\?((?:[^?]|\?(?!=)){0,500})\?=")
_ESCAPE = regex.compile(rb"=([0-9A-Fa-f]{2})")
_NO_BASE64 = regex.compile(rb"[^A-Za-z0-9+/]+")

_CHARSET = regex.compile(
    r"utf-?(?:7|8|(?:16|32)(?:[-_]?[lb]e)?)|us-?ascii|ascii|iso-?8859-?\d{1,2}(?:-[ei])?|latin-?\d{1,2}|(?:windows|cp|ibm)-?\d{3,4}"
    r"|koi8-[rut]|gb(?:2312|k|18030)|big5(?:-?hkscs)?|hz(?:-gb-2312)?|euc-?(?:jp|kr|cn)|shift[-_]?jis|sjis|iso-?2022-(?:jp(?:-[123])?|kr)"
    r"|ks_c_5601-1987|tis-620|mac-?(?:roman|cyrillic|greek|turkish)"
)
_NAME_OF = {"ks_c_5601-1987": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030"}


def text(raw: bytes, charset: str = "") -> str:
    """`raw` as text: in `charset` if it is a known one, else UTF-8 if it is valid, else latin-1."""
    charset = charset.strip().strip("\"'").lower()
    if _CHARSET.fullmatch(charset) and charset not in ("us-ascii", "ascii"):
        name = _NAME_OF.get(charset, charset.replace("windows-", "cp"))
        try:
            return raw.decode(name, "replace")
        except (LookupError, ValueError):
            pass  # "iso-8859-99"
    try:
        return raw.decode("utf-8")
    except ValueError:
        return raw.decode("latin-1")


def is_utf8(raw: bytes) -> bool:
    """Is it UTF-8, ASCII included?"""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def raw8(value: str) -> str:
    """Text made of latin-1 bytes read as the UTF-8 that it may be (RFC 6532 s3.2)."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except ValueError:
        return value


def decode(value: str) -> str:
    """Replace every encoded word in `value`; blanks between two words vanish.  RFC 2047 s6.2"""
    if "=?" not in value:
        return value
    return _joined(_BETWEEN.sub(r"\1", value))


def readings(value: str) -> tuple[str, ...]:
    """Every plausible reading of a text with encoded words, that of a good client first."""
    if "=?" not in value:
        return (value,)
    tight = _BETWEEN.sub(r"\1", value)
    found = dict.fromkeys((_joined(tight), _each(_WORD, tight), _each(_WORD, value), _each(_OPEN_WORD, tight), _each(_GREEDY_WORD, tight)))
    for other in _WIDE:
        found[_joined(tight, other)] = None
    found[_glued(tight)] = None
    for once in list(found):
        if "=?" in once:
            found[_joined(_BETWEEN.sub(r"\1", once))] = None  # a word in a word
    found[value] = None
    return tuple(found)[:MAX_READINGS]


_WIDE = ("utf-16le", "utf-16be", "utf-7")  # clients disagree on byte order without a mark, and on UTF-7 at all


def _octets(encoding: str, content: str) -> bytes:
    """The bytes of one word."""
    raw = content.encode("latin-1", "replace")
    if encoding in "qQ":
        return _ESCAPE.sub(lambda m: binascii.unhexlify(m[1]), raw.replace(b"_", b" "))
    packed = _NO_BASE64.sub(b"", raw)
    if len(packed) % 4 == 1:
        packed = packed[:-1]  # quirk: a lonely digit holds no byte
    return binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))


def _charset(label: str, wide: str) -> str:
    label = label.split("*", 1)[0].lower()  # RFC 2231 s5: a language may follow
    if not wide:
        return label
    if wide == "utf-7":
        return wide if label.startswith("utf-7") else label
    return wide if label.startswith(("utf-16", "utf16")) else label


def _each(pattern: re.Pattern[str], value: str) -> str:
    """Every word by itself: a character split over two words is lost."""
    return pattern.sub(lambda m: text(_octets(m[2], m[3]), _charset(m[1], "")), value)


def _joined(value: str, wide: str = "") -> str:
    """Neighbouring words of one character set are one run of bytes: a character may be split over two of them."""
    out: list[str] = []
    run: list[bytes] = []
    charset = ""
    last = 0
    for m in _WORD.finditer(value):
        here = _charset(m[1], wide)
        if run and (m.start() != last or here != charset):
            out.append(text(b"".join(run), charset))
            run = []
        out.append(value[last : m.start()])
        charset = here
        run.append(_octets(m[2], m[3]))
        last = m.end()
    if run:
        out.append(text(b"".join(run), charset))
    out.append(value[last:])
    return "".join(out)


def _glued(value: str) -> str:
    """Neighbouring base64 words put together before decoding, as if the writer had cut one long word anywhere."""
    return _joined(_SEAM.sub(_unseam, value))


_SEAM = regex.compile(r"=\?([^?\s]{0,80})\?([bB])\?([^?]*)\?=(?:=\?[^?\s]{0,80}\?[bB]\?[^?]*\?=)+")
_CONTENT = regex.compile(r"=\?[^?\s]{0,80}\?[bB]\?([^?]*)\?=")


def _unseam(m: re.Match[str]) -> str:
    return f"=?{m[1]}?b?{''.join(_CONTENT.findall(m[0]))}?="
