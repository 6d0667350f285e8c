"""The XML that f-protd writes: elements, attributes, text, and nothing clever.

    read(text)    the root element

A document type is passed over unread, with whatever it declares: an entity of its
own stands in the text as it is written, "&name;".  So there is nothing to expand
and nothing to fetch.  Names that are no elements of ours are read like any other.

Limits:  MAX_DEPTH, MAX_ELEMENTS.  Linear in the text.
Errors:  RemoteProtocolError for what is not well formed, and at a limit.
See:     docs/protocols/fprotd.md; https://www.w3.org/TR/xml/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lazaretto import regex
from lazaretto.errors import RemoteProtocolError

MAX_DEPTH = 16  # f-protd's own documents have three levels
MAX_ELEMENTS = 20_000  # five for each infected member of an archive

_NAME = r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}"
_ATTRIBUTE = regex.compile(rf"""\s+({_NAME})\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")
_OPEN = regex.compile(f"<({_NAME})")
_CLOSE = regex.compile(rf"</({_NAME})\s*>")
_END_OF_TAG = regex.compile(r"\s*(/?)>")
_REFERENCE = regex.compile(r"&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|(lt|gt|amp|quot|apos));")
# A remark without an end must not be looked for again at its next character, so that a "<" of one is no piece.
_TYPE_PIECE = regex.compile(r"""[^\[\]<>"']+|"[^"]*"|'[^']*'|<!--.*?-->|<\?.*?\?>|<(?!!--|\?)|[\[\]>]""", re.DOTALL)
_PREDEFINED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


class Element:
    """One element; `text` is all text directly in it."""

    __slots__ = ("attributes", "children", "name", "pieces")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        """Without the text of its children."""
        return "".join(self.pieces)

    def descendants(self) -> Iterator[Element]:
        """All elements in it, at any depth, in the order of the document."""
        for child in self.children:
            yield child
            yield from child.descendants()


def read(text: str) -> Element:
    """The root element of the document; before and after it only remarks may stand."""
    root: Element | None = None
    stack: list[Element] = []
    elements = at = 0
    while at < len(text):
        start = text.find("<", at)
        if start != at:
            stop = start if start >= 0 else len(text)
            _take_text(stack, _plain(text[at:stop]))
            at = stop
        elif text.startswith("<!--", at):
            at = _after(text, "-->", at + 4)
        elif text.startswith("<![CDATA[", at):
            stop = _after(text, "]]>", at)
            _take_text(stack, text[at + 9 : stop - 3])
            at = stop
        elif text.startswith("<?", at):
            at = _after(text, "?>", at)
        elif text.startswith("<!DOCTYPE", at) and root is None:
            at = _after_type(text, at + len("<!DOCTYPE"))
        elif text.startswith("</", at):
            tag = _CLOSE.match(text, at)
            if tag is None or not stack or stack.pop().name != tag[1]:
                raise RemoteProtocolError("XML: an end tag that ends nothing")
            at = tag.end()
        else:
            element, closed, at = _start_tag(text, at)
            elements += 1
            if elements > MAX_ELEMENTS or len(stack) >= MAX_DEPTH:
                raise RemoteProtocolError(f"XML: more than {MAX_ELEMENTS} elements, or deeper than {MAX_DEPTH}")
            if stack:
                stack[-1].children.append(element)
            elif root is None:
                root = element
            else:
                raise RemoteProtocolError("XML: a second document")
            if not closed:
                stack.append(element)
    if root is None or stack:
        raise RemoteProtocolError("XML: the document is cut off" if stack else "XML: no document")
    return root


def _take_text(stack: list[Element], text: str) -> None:
    if stack:
        stack[-1].pieces.append(text)
    elif text.strip(" \t\r\n\0"):
        raise RemoteProtocolError("XML: text outside the document")


def _start_tag(text: str, at: int) -> tuple[Element, bool, int]:
    """The element, whether it is empty, and where its tag ends."""
    tag = _OPEN.match(text, at)
    if tag is None:
        raise RemoteProtocolError("XML: a < that begins nothing")
    attributes: dict[str, str] = {}
    at = tag.end()
    while found := _ATTRIBUTE.match(text, at):
        if found[1] in attributes:
            raise RemoteProtocolError("XML: an attribute twice")
        attributes[found[1]] = _plain(found[2] if found[2] is not None else found[3])
        at = found.end()
    end = _END_OF_TAG.match(text, at)
    if end is None:
        raise RemoteProtocolError("XML: a tag that does not end")
    return Element(tag[1], attributes), bool(end[1]), end.end()


def _after(text: str, mark: str, at: int) -> int:
    """Where `mark` ends."""
    stop = text.find(mark, at)
    if stop < 0:
        raise RemoteProtocolError(f"XML: no {mark}")
    return stop + len(mark)


def _after_type(text: str, at: int) -> int:
    """Where a document type ends: at the ">" outside all brackets and quotes."""
    inside = declarations = 0
    while piece := _TYPE_PIECE.match(text, at):
        at = piece.end()
        match piece[0]:
            case "[":
                inside += 1
            case "]":
                inside -= 1
            case "<":
                declarations += 1
            case ">" if declarations:
                declarations -= 1
            case ">" if not inside:
                return at
    raise RemoteProtocolError("XML: a document type that does not end")


def _plain(text: str) -> str:
    """Character references and the five predefined entities resolved, once; all others as they are written."""
    return _REFERENCE.sub(_resolved, text) if "&" in text else text


def _resolved(m: re.Match[str]) -> str:
    if m[3]:
        return _PREDEFINED[m[3]]
    number = int(m[1]) if m[1] else int(m[2], 16)
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
