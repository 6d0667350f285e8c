"""CSS cut into tokens, and tokens written so that every reader reads them alike.

    tokens("u\\72l(x) /**/ red")    URL "x", SPACE " ", NAME "red"

Escapes are resolved, comments count as SPACE with no text.  What is written is
ASCII; "+" and "~" and all that is not a letter of a name become escapes.

Limits:  linear; MAX_TOKENS.
Errors:  none.
See:     CSS Syntax Module Level 3 s4; html_css.py
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from lazaretto import regex

MAX_TOKENS = 200_000  # 20 MB of memory; honest sheets have 20,000

_ESCAPE = r"\\(?:[0-9A-Fa-f]{1,6}[ \t\n]?|[^\n0-9A-Fa-f])"
# A group with alternatives is not repeated possessively: Pythons before 3.11.5 match too much then (Debian 12 has 3.11.2).
_LETTERS = rf"(?:[A-Za-z0-9_-]++|[^\x00-\x7f]++|{_ESCAPE})"
_WORD = rf"(?:--|-?(?:[A-Za-z_]|[^\x00-\x7f]|{_ESCAPE})){_LETTERS}*"
_TOKEN = regex.compile(
    r"(?P<space>(?:[ \t\n]++|/\*(?s:.*?)(?:\*/|\Z)|<!--|-->)+)"
    r"|(?P<string>\"(?:[^\"\\\n]++|\\(?s:.))*\"?|'(?:[^'\\\n]++|\\(?s:.))*'?)"
    rf"|(?P<number>[+-]?+(?:[0-9]*+\.)?[0-9]++(?:[eE][+-]?[0-9]++)?(?:%|[A-Za-z]++)?)"
    rf"|(?P<name>{_WORD})(?P<call>\()?"
    rf"|@(?P<at>{_WORD})"
    rf"|\#(?P<hash>{_LETTERS}+)"
    r"|(?P<other>(?s:.))"
)
_COMMENT = regex.compile(r"/\*(?s:.*?)(?:\*/|\Z)")
_ONE_ESCAPE = regex.compile(r"\\(?:([0-9A-Fa-f]{1,6})[ \t\n]?|\n|((?s:.)))")
_URL = regex.compile(r"[ \t\n]*+(?:\"((?:[^\"\\\n]++|\\(?s:.))*)\"|'((?:[^'\\\n]++|\\(?s:.))*)'|([^)]*+))[^)]*+\)?")
_ODD_LETTER = regex.compile(r"[^A-Za-z0-9_-]")
_NO_START = regex.compile(r"-?[0-9]|-\Z")
_IN_STRINGS = regex.compile(r"[\"'\\;{}<>()\[\]\n]")
_NOT_PLAIN = regex.compile(r"[+~&`]|[^ -~]")
_IN_URLS = regex.compile(r"[\"'\\<>(){}\[\]` ]")


class Kind(Enum):
    """Of a token."""

    SPACE = "space"  # text: " ", or "" where there was only a comment
    STRING = "string"
    URL = "url"  # the address
    NUMBER = "number"  # with its unit
    NAME = "name"
    FUNCTION = "function"  # the name; "(" is part of it
    AT = "at"  # the name, in lower case
    HASH = "hash"
    DELIMITER = "delimiter"  # one character


class CssToken(NamedTuple):
    """One piece; `text` is without escapes and quotes."""

    kind: Kind
    text: str


def tokens(text: str) -> list[CssToken]:
    """All of `text`, or its first MAX_TOKENS tokens."""
    found: list[CssToken] = []
    at = 0
    while len(found) < MAX_TOKENS and (match := _TOKEN.match(text, at)) is not None:
        at = match.end()
        group = match.lastgroup
        piece = match[0]
        if group == "space":
            found.append(CssToken(Kind.SPACE, " " if _COMMENT.sub("", piece).strip("<!->") else ""))
        elif group == "call":
            name = unescaped(match["name"])
            if name.lower() in ("url", "url-prefix"):
                inner = _URL.match(text, at)
                assert inner is not None, "it matches anything"
                found.append(CssToken(Kind.URL, unescaped(inner[1] or inner[2] or (inner[3] or "").strip())))
                at = inner.end()
            else:
                found.append(CssToken(Kind.FUNCTION, name))
        elif group == "name":
            found.append(CssToken(Kind.NAME, unescaped(piece)))
        elif group == "string":
            closed = len(piece) > 1 and piece[-1] == piece[0]
            found.append(CssToken(Kind.STRING, unescaped(piece[1 : len(piece) - closed])))
        elif group == "number":
            found.append(CssToken(Kind.NUMBER, piece))
        elif group == "at":
            found.append(CssToken(Kind.AT, unescaped(match["at"]).lower()))
        elif group == "hash":
            found.append(CssToken(Kind.HASH, unescaped(match["hash"])))
        else:
            found.append(CssToken(Kind.DELIMITER, piece))
    return found


def unescaped(text: str) -> str:
    """`text` with its escapes resolved."""
    return _ONE_ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"
    return match[2] or ""


def squeezed(text: str) -> str:
    """Lower case without comments and escapes, full-width letters narrow: what the most lenient reader would join."""
    joined = unescaped(_COMMENT.sub("", text) if "/*" in text else text)
    if not joined.isascii():
        joined = joined.translate(_NARROW)
    return joined.lower()


_NARROW = {code + 0xFEE0: code for code in range(0x21, 0x7F)}


def identifier(text: str, *, whole: bool = True) -> str:
    """A name as CSS writes it; `whole` False: the rest of one, which may begin with a digit."""
    out = _ODD_LETTER.sub(_hexadecimal, text) if _ODD_LETTER.search(text) else text
    if whole and _NO_START.match(out):
        at = 1 if out[0] == "-" and len(out) > 1 else 0
        out = out[:at] + f"\\{ord(out[at]):x} " + out[at + 1 :]
    return out


def quoted(text: str) -> str:
    """A string.  Quotes and whatever else a careless rewriter would let out are left out."""
    return '"' + _NOT_PLAIN.sub(_hexadecimal, _IN_STRINGS.sub("", text)) + '"'


def quoted_url(text: str) -> str:
    """An address."""
    encoded = _IN_URLS.sub(lambda match: f"%{ord(match[0]):02X}", text)
    return 'url("' + _NOT_PLAIN.sub(_hexadecimal, encoded) + '")'


def _hexadecimal(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):x} "
