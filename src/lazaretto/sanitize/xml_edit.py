"""Elements of an XML document cut out or changed, all else copied byte for byte.

Document reads a document with expat, which knows namespaces, and keeps those
elements that the caller wants, with the places of their tags.  Edits are spans
of the document; `result()` gives it with all of them done.

    document = Document(data, wanted)
    for element in document.elements:
        document.cut(element)
        document.set(element, "Target", "NULL")
    document.result()

A document type is refused, as is any encoding but UTF-8: expat and Office
would not be sure to read the same.

Limits:  MAX_BYTES of one document, MAX_ELEMENTS that are wanted; linear time.
Errors:  Refused for what is not well-formed.
See:     XML 1.0; Namespaces in XML; ECMA-376 part 2 s9 (no DTD, UTF-8 or UTF-16)
"""

from __future__ import annotations

from collections.abc import Callable
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from lazaretto import regex
from lazaretto.limits import MIB
from lazaretto.sanitize.disarmed import Refused

MAX_BYTES = 32 * MIB  # a sheet of a million cells; 3 s
MAX_ELEMENTS = 200_000
MAX_DEPTH = 1_000  # Office gives up near 256
MAX_AROUND = 64  # wanted elements around another
MAX_TEXT = 64 << 10  # of the text that is kept of one element
_SEPARATOR = "\x01"
_ATTRIBUTE = regex.compile(rb"\s([\w:.\-\x80-\xff]{1,200})\s{0,64}=\s{0,64}(?:\"([^\"]*)\"|'([^']*)')")
_TAG_END = regex.compile(rb"(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>")
_DECLARED = regex.compile(rb"\A<\?xml[^>]{0,200}?encoding\s{0,16}=\s{0,16}[\"']([\w.-]{1,40})[\"']")

Name = tuple[str, str]  # (namespace, local name)


class Element:
    """One wanted element; `attributes` by (namespace, local name)."""

    __slots__ = ("attributes", "depth", "name", "open_stop", "parents", "start", "stop", "tail", "text")

    def __init__(self, name: Name, attributes: dict[Name, str], parents: tuple[Element, ...], start: int, open_stop: int) -> None:
        self.name = name
        self.attributes = attributes
        self.parents = parents  # wanted elements around it, the outermost first
        self.start = start
        self.open_stop = open_stop  # behind the start tag
        self.tail = open_stop  # where the end tag begins; open_stop for an empty element
        self.stop = open_stop  # behind the end tag
        self.text = ""  # its own text, without that of elements inside

    @property
    def local(self) -> str:
        return self.name[1]

    def get(self, local: str) -> str:
        """The first attribute with this local name, whatever its namespace."""
        return next((value for (_, name), value in self.attributes.items() if name == local), "")


Wanted = Callable[[str, str, dict[str, str]], bool]  # namespace, local name, attributes as expat names them


class Document:
    """`elements`: the wanted ones in the order of their start tags."""

    def __init__(self, data: bytes, wanted: Wanted) -> None:
        if len(data) > MAX_BYTES:
            raise Refused(f"an XML part has more than {MAX_BYTES} bytes")
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
            raise Refused("an XML part is not in UTF-8")
        declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
        if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
            raise Refused("an XML part is not in UTF-8")
        self.data = data
        self.elements: list[Element] = []
        self._edits: dict[tuple[int, int], bytes] = {}
        self._tags: dict[int, dict[str, str | None]] = {}  # start -> attributes to change
        self._wanted = wanted
        self._parse()

    def _parse(self) -> None:
        parser = expat.ParserCreate("utf-8", _SEPARATOR)
        parser.buffer_text = False
        stack: list[Element | None] = []
        open_ones: list[Element] = []
        data, wanted, elements = self.data, self._wanted, self.elements
        split = _split

        def start(tag: str, attributes: dict[str, str]) -> None:
            namespace, _, local = tag.rpartition(_SEPARATOR)
            if len(stack) > MAX_DEPTH:
                raise Refused("an XML part is nested too deeply")
            if not wanted(namespace, local, attributes):
                stack.append(None)
                return
            if len(elements) >= MAX_ELEMENTS or len(open_ones) > MAX_AROUND:
                raise Refused("an XML part has too many elements to look at")
            at = parser.CurrentByteIndex
            close = _TAG_END.match(data, at)
            if close is None:
                raise Refused("an XML part is not well-formed")
            named = {split(name): value for name, value in attributes.items()}
            element = Element((namespace, local), named, tuple(open_ones), at, close.end())
            elements.append(element)
            stack.append(element)
            open_ones.append(element)

        def end(_tag: str) -> None:
            element = stack.pop()
            if element is None:
                return
            open_ones.pop()
            if data[element.open_stop - 2 : element.open_stop] == b"/>":
                return
            element.tail = parser.CurrentByteIndex
            element.stop = data.index(b">", element.tail) + 1

        def text(piece: str) -> None:
            if stack and (element := stack[-1]) is not None and len(element.text) < MAX_TEXT:
                element.text += piece

        def refuse(*_: object) -> None:
            raise Refused("an XML part has a document type")

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = refuse
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, UnicodeError, ValueError) as error:
            raise Refused(f"an XML part is not well-formed: {error}") from None

    # -- edits

    def cut(self, element: Element) -> None:
        """Take the element out, with all that is inside."""
        self._edits[element.start, element.stop] = b""

    def is_cut(self, element: Element) -> bool:
        """Has this very element been cut, or one around it that was looked at?"""
        return any(self._edits.get((one.start, one.stop)) == b"" for one in (element, *element.parents))

    def unwrap(self, element: Element) -> None:
        """Take out the tags, keep what is between them."""
        self._edits[element.start, element.open_stop] = b""
        if element.stop > element.open_stop:
            self._edits[element.tail, element.stop] = b""

    def keep_only(self, element: Element, inside: Element) -> None:
        """Take the element out, but for one inside it."""
        self._edits[element.start, inside.start] = b""
        self._edits[inside.stop, element.stop] = b""

    def replace(self, start: int, stop: int, new: bytes) -> None:
        self._edits[start, stop] = new

    def set(self, element: Element, attribute: str, value: str | None) -> None:
        """Change an attribute, by its name without prefix; None takes it out."""
        self._tags.setdefault(element.start, {})[attribute] = value
        tag = self.data[element.start : element.open_stop]
        out = bytearray()
        position = 0
        for match in _ATTRIBUTE.finditer(tag):
            local = match[1].decode("utf-8", "replace").rpartition(":")[2]
            if tag[position : match.start()].strip() and position:
                raise Refused("an XML part has a tag that is not rewritten")
            if local in self._tags[element.start] and not match[1].startswith(b"xmlns"):
                new = self._tags[element.start][local]
                out += tag[position : match.start()]
                if new is not None:
                    out += b" " + match[1] + b"=" + quoteattr(new).encode("utf-8")
                position = match.end()
        out += tag[position:]
        self._edits[element.start, element.open_stop] = bytes(out)

    @property
    def changed(self) -> bool:
        return bool(self._edits)

    def result(self) -> bytes:
        """The document with all edits done; an edit inside another that is wider does not count."""
        out: list[bytes] = []
        position = 0
        for (start, stop), new in sorted(self._edits.items(), key=lambda edit: (edit[0][0], -edit[0][1])):
            if start < position:
                continue
            out += (self.data[position:start], new)
            position = stop
        out.append(self.data[position:])
        return b"".join(out)


def _split(name: str) -> Name:
    namespace, _, local = name.rpartition(_SEPARATOR)
    return namespace, local
