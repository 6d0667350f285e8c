"""HTML text cut into tokens, as the tokenizer of the living standard cuts it.

    for token in tokens('<p class=a>Hi<script>x</script>'):
        START p (("class", "a"),), TEXT "Hi", RAW script "x"

There is no tree: what is left out or added here is decided token by token
(html_filter.py).  The one context that changes how text is cut is the content of
elements such as script, style and title: one RAW token has start tag, content
and end tag.  Inside svg and math browsers cut otherwise; whoever judges tokens
has to judge those two elements, too.

A tag that the text ends in is a token with `closed` False: browsers drop it,
other programs do not.

Limits:  linear: each character is looked at a fixed number of times, also in text of nothing but "<" or open quotes.
Errors:  none.
See:     HTML Living Standard s13.2.5
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from lazaretto import regex

_BLANK = "\\t\\n\\f\\r "
_NAME = regex.compile(rf"</?([A-Za-z][^{_BLANK}/>]*+)")
# One attribute, or the end of the tag.  A value that begins with a quote and has no end is left to the last alternative.
_ATTRIBUTE = regex.compile(
    rf"[{_BLANK}/]*+(?:(>)|([^{_BLANK}/>][^{_BLANK}/>=]*+)"
    rf"(?:[{_BLANK}]*+=[{_BLANK}]*+(?:\"([^\"]*+)\"|'([^']*+)'|(?=>)|([^{_BLANK}>]++))?)?)"
)
_COMMENT_END = regex.compile(r"--!?>")
_IN_SCRIPT = regex.compile(rf"<!--|-->|<(/?)script(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII)
RAW_TEXT = frozenset(("script", "style", "xmp", "iframe", "noembed", "noframes", "title", "textarea", "plaintext"))
_ENDS = {name: regex.compile(rf"</{name}(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII) for name in RAW_TEXT}

Attributes = tuple[tuple[str, str], ...]  # names in lower case, values as written, without their quotes


class Kind(Enum):
    """Of a token.  `name` and `text` of each:"""

    TEXT = "text"  # "", the text, character references as they stand
    START = "start"  # the element as written
    END = "end"  # the element as written
    RAW = "raw"  # the element as written, its content
    COMMENT = "comment"  # the opening "<!--", "<!", "<?" or "</", the content
    DOCTYPE = "doctype"  # "", what stands between "<!doctype" and ">"


class Token(NamedTuple):
    """One piece of the text."""

    kind: Kind
    name: str
    text: str = ""
    attributes: Attributes = ()
    closed: bool = True  # it has its end (the tag its ">", the comment its "-->", the raw text its end tag)
    self_closing: bool = False


def tokens(text: str) -> Iterator[Token]:
    """All of `text`, in order.  "\\0" has no meaning here: take it out before."""
    at = kept = 0
    size = len(text)
    while (start := text.find("<", at)) >= 0:
        token, at = _markup(text, start)
        if token is None:  # a "<" that begins nothing
            continue
        if kept < start:
            yield Token(Kind.TEXT, "", text[kept:start])
        if token.kind is Kind.START and (name := token.name.lower()) in RAW_TEXT and token.closed:
            token, at = _raw(text, at, token, name)
        yield token
        kept = at
    if kept < size:
        yield Token(Kind.TEXT, "", text[kept:])


def _markup(text: str, start: int) -> tuple[Token | None, int]:
    """The token at "<", if it begins one, and where to go on."""
    match = _NAME.match(text, start)
    if match is not None:
        return _tag(text, match.end(), Kind.END if text[start + 1] == "/" else Kind.START, match[1])
    following = text[start + 1 : start + 2]
    if following == "!":
        if text.startswith("--", start + 2):
            return _comment(text, start)
        if text[start + 2 : start + 9].lower() == "doctype":
            end = text.find(">", start)
            stop = end if end >= 0 else len(text)
            return Token(Kind.DOCTYPE, "", text[start + 9 : stop], closed=end >= 0), min(stop + 1, len(text))
        return _bogus(text, start, 2)
    if following == "?":
        return _bogus(text, start, 2)
    if following == "/" and len(text) > start + 2:
        return _bogus(text, start, 2)
    return None, start + 1


def _bogus(text: str, start: int, opening: int) -> tuple[Token, int]:
    """What is read as a comment up to the next ">"."""
    end = text.find(">", start + opening)
    stop = end if end >= 0 else len(text)
    return Token(Kind.COMMENT, text[start : start + opening], text[start + opening : stop], closed=end >= 0), min(stop + 1, len(text))


def _comment(text: str, start: int) -> tuple[Token, int]:
    for empty in (">", "->"):
        if text.startswith(empty, start + 4):
            return Token(Kind.COMMENT, "<!--", empty, closed=False), start + 4 + len(empty)
    end = _COMMENT_END.search(text, start + 4)
    if end is None:
        return Token(Kind.COMMENT, "<!--", text[start + 4 :], closed=False), len(text)
    return Token(Kind.COMMENT, "<!--", text[start + 4 : end.start()], closed=end[0] == "-->"), end.end()


def _tag(text: str, at: int, kind: Kind, name: str) -> tuple[Token, int]:
    attributes: list[tuple[str, str]] = []
    while (match := _ATTRIBUTE.match(text, at)) is not None:
        at = match.end()
        if match[1]:
            return Token(kind, name, "", tuple(attributes), self_closing=text[at - 2] == "/"), at
        value = match[3] or match[4] or match[5] or ""
        if match[5] and value[0] in "\"'":  # a quote without end: all that follows is this value
            attributes.append((match[2].lower(), text[match.start(5) + 1 :]))
            return Token(kind, name, "", tuple(attributes), closed=False), len(text)
        attributes.append((match[2].lower(), value))
    return Token(kind, name, "", tuple(attributes), closed=False), len(text)


def _raw(text: str, at: int, start: Token, name: str) -> tuple[Token, int]:
    """`start` with its content, and where the end tag ends."""
    if name in ("plaintext", "script"):
        end = _script_end(text, at) if name == "script" else -1
    else:
        match = _ENDS[name].search(text, at)
        end = match.start() if match is not None else -1
    if end < 0:
        return start._replace(kind=Kind.RAW, text=text[at:], closed=False), len(text)
    close, stop = _tag(text, end + 2 + len(name), Kind.END, name)
    return start._replace(kind=Kind.RAW, text=text[at:end], closed=close.closed), stop


def _script_end(text: str, at: int) -> int:
    """Where "</script" begins, past those inside "<!-- <script"; -1: nowhere."""
    depth = 0  # 1 inside "<!--", 2 after "<script" in there
    while (match := _IN_SCRIPT.search(text, at)) is not None:
        at = match.end()
        if match[0] == "<!--":
            depth = max(depth, 1)
            at -= 2  # "<!-->" ends at once
        elif match[0] == "-->":
            depth = 0
        elif match[1]:
            if depth < 2:
                return match.start()
            depth = 1
        elif depth == 1:
            depth = 2
    return -1
