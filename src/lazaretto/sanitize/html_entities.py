"""Character references, to characters and back.

    decode("a&lt;b&copy=1", in_attribute=True)   "a<b&copy=1"
    text("1+1 < ü")                              "1&#43;1 &lt; &#252;"

What comes back is ASCII, and means the same in whatever charset a client reads
it: nothing in it shifts into UTF-7 ("+"), HZ ("~") or ISO 2022 (ESC), and no line of it looks
like a delimiter, an mbox line or SMTP's dot.

Limits:  linear.
Errors:  none.
See:     HTML Living Standard s13.2.5.72; RFC 2152, RFC 1843
"""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5

from lazaretto import regex

_REFERENCE = regex.compile(r"&(?:#(?:[xX][0-9A-Fa-f]++|[0-9]++);?|([A-Za-z][A-Za-z0-9]{1,31}+)(;?))")
_DIGITS = 7  # of the largest code point, in decimal
_WINDOWS = dict(enumerate(bytes(range(0x80, 0xA0)).decode("cp1252", "replace"), 0x80))
# What no document means: controls, and code points that references cannot name.
_DROPPED = dict.fromkeys((*range(9), *range(0x0E, 0x20), 0x7F, *range(0xFDD0, 0xFDF0)))
_DROPPED |= {plane + last: None for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF)}
_CLEAN = {**_DROPPED, **{code: char if char != "\ufffd" else None for code, char in _WINDOWS.items()}, 0x0B: " ", 0x0C: " ", 0x0D: "\n"}
_ODD = regex.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef\\ufffe\\uffff\U0001fffe-\U0001ffff\U0002fffe-\U0010ffff]"
)
_SPECIAL = regex.compile(r"[^\t\n !#$%'()*,\-./0-9:;=?@A-Z\[\]^_a-z{|}]")
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_LINE_START = regex.compile(r"^(?:[-.]|From )", re.MULTILINE)


def characters(text: str) -> str:
    """`text` without what cannot be written as a reference, line ends as "\\n"."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if _ODD.search(text):
        text = text.translate(_CLEAN)
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def decode(text: str, *, in_attribute: bool) -> str:
    """`text` with its references resolved; in attributes, "&copy=1" and "&copy1" are none."""
    if "&" not in text:
        return characters(text)
    size = len(text)

    def one(match: re.Match[str]) -> str:
        name, end = match[1], match[2]
        if not name:
            # Python refuses to make a number of thousands of digits; past seven, there is no such character anyway.
            mark, digits = ("x", match[0][3:]) if match[0][2] in "xX" else ("", match[0][2:])
            digits = digits.rstrip(";").lstrip("0")
            return unescape(f"&#{mark}{digits or 0};") if len(digits) <= _DIGITS else "\ufffd"
        if name + ";" in html5 and end:
            return html5[name + ";"]
        if in_attribute:
            follows = text[match.end() : match.end() + 1] if match.end() < size else ""
            if end or name not in html5 or follows == "=":
                return match[0]
            return html5[name]
        return unescape(match[0])

    return characters(_REFERENCE.sub(one, text))


def encode(text: str) -> str:
    """Text or the value of an attribute, as ASCII."""
    return _SPECIAL.sub(_reference, text) if _SPECIAL.search(text) else text


def _reference(match: re.Match[str]) -> str:
    return _NAMES.get(match[0]) or f"&#{ord(match[0])};"


def guard_lines(markup: str) -> str:
    """`markup` with no line that begins with "-", "." or "From ": as text and values of attributes may."""
    return _LINE_START.sub(lambda match: f"&#{ord(match[0][0])};" + match[0][1:], markup)
