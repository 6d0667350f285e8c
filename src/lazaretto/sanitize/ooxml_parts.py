"""One XML part of an Office document: what in it acts, taken out.

    Word         fields that start programs or fetch (DDE, INCLUDETEXT ...): the result stays
    Excel        formulas that are DDE commands: the value stays; macro sheets become sheets; Auto_Open
    PowerPoint   actions of shapes that start programs or macros
    all          elements that refer to what is taken out elsewhere; pictures that VML loads by address

Limits:  xml_edit's.
Errors:  Refused.
See:     ECMA-376 part 1 s17.16, s18.3, s19.3; xml_edit.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.sanitize import office_fields
from lazaretto.sanitize.disarmed import Found, Refused
from lazaretto.sanitize.xml_edit import Document, Element

RELATIONSHIPS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
    "urn:schemas-microsoft-com:office:office",  # VML: o:relid
)
MACRO_SHEET = "http://schemas.microsoft.com/office/excel/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

# An element that acts is always written with one of these names; a name cannot be written with escapes.
_CUES = regex.compile(
    rb"(?:fldChar|instrText|delInstrText|fldSimple|ddeLink|oleLink|hlinkClick|hlinkHover|hlinkMouseOver|macrosheet|definedName|connection|queryTable|mailMerge)[\s/>]"
)
_VML = regex.compile(rb"(?:imagedata|image|fill|stroke)[^>]{0,4096}\s(?:src|href|althref)\s{0,16}=")
_COMMAND = regex.compile(rb"(?i)\||&#|webservice|rtd|image\s{0,9}\(")
_FETCHING = regex.compile(r"(?i)(?<![a-z0-9_])(?:_xlfn\.)?(?:webservice|rtd|image)\s*\(")  # functions
_FORMULA = regex.compile(rb"<(?:[\w.-]{1,40}:)?f[\s>]")
_KINDS = {"dde": "office.dde", "field": "office.field"}
_FIELDS = frozenset(("instrText", "delInstrText", "fldSimple", "fldChar"))
_PICTURES = ("imagedata", "image", "fill", "stroke")  # of VML
_NAMES = frozenset((
    *_FIELDS, "AlternateContent", "Choice", "Fallback", "ddeLink", "oleLink", "hlinkClick", "hlinkHover", "hlinkMouseOver",
    "macrosheet", "definedName", "definedNames", "connection", "queryTable", "mailMerge", *_PICTURES,
))  # fmt: skip
_CONTAINERS = {"oleObject": "oleObjects", "control": "controls", "definedName": "definedNames"}
_AROUND = frozenset((*_CONTAINERS, *_CONTAINERS.values(), "graphicFrame", "pic", "timing", "oleObj"))
_AUTO = regex.compile(r"(?i)(?:_xlnm\.)?_?auto_?(?:open|close|activate|deactivate)")
_ACTION = regex.compile(r"(?i)\s*ppaction://(?:macro|program|ole)")
_LITERAL = regex.compile(r"\"[^\"]*+\"")
_XMLNS = regex.compile(rb"\sxmlns(?::([\w.-]{1,40}))?\s{0,16}=\s{0,16}(?:\"([^\"]*)\"|'([^']*)')")


class Task(NamedTuple):
    """What is to be done in one part, besides what acts by itself."""

    dropped: frozenset[str] = frozenset()  # ids of relationships that go
    books: frozenset[int] = frozenset()  # numbers of links to workbooks that go: [1]Sheet!A1


def concerns(data: bytes, task: Task) -> bool:
    """May there be something to do?"""
    if task.dropped or _CUES.search(data) or _VML.search(data):
        return True
    return (bool(task.books) or _COMMAND.search(data) is not None) and _FORMULA.search(data) is not None


def edit(data: bytes, task: Task, part: str, found: Found) -> bytes:
    """The part without what acts."""
    document = Document(data, _Wanted(task))
    elements = document.elements
    _fields(document, part, found)
    _references(document, task.dropped)
    _formulas(document, task.books, part, found)
    for element in elements:
        local = element.local
        if local in ("ddeLink", "oleLink"):
            what = f"{element.get('ddeService')} {element.get('ddeTopic')} {element.get('progId')}"
            found.add("office.dde", f"{part}: {what}")
            document.cut(element)
        elif local in ("hlinkClick", "hlinkHover", "hlinkMouseOver") and _ACTION.match(element.get("action")):
            found.add("office.action", f"{part}: {element.get('action')}")
            document.cut(element)
        elif local == "definedName" and _AUTO.match(element.get("name")):
            found.add("office.excel4-macros", f"{part}: {element.get('name')}")
            document.cut(element)
        elif local == "mailMerge":
            found.add("office.connection", f"{part}: mail merge")
            document.cut(element)
        elif local in ("connection", "queryTable") and element.get("refreshOnLoad").strip() in ("1", "true"):
            found.add("office.connection", f"{part}: {element.get('name')}")
            document.set(element, "refreshOnLoad", "0")
        elif (
            local in _PICTURES
            and "vml" in element.name[0]
            and any(element.attributes.get(("", name)) for name in ("src", "href", "althref"))
        ):
            found.add("office.remote", f"{part}: {element.get('src') or element.get('href') or element.get('althref')}")
            for name in ("src", "href", "althref"):
                if ("", name) in element.attributes:
                    document.set(element, name, None)
        elif local == "macrosheet":
            _as_sheet(document, element)
            found.add("office.excel4-macros", part)
    _empty_containers(document)
    return document.result() if document.changed else data


class _Wanted:
    """Which elements to keep; text of runs only where it stands in a field's instruction."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.code: list[bool] = []  # of each open field: are we in its instruction?

    def __call__(self, namespace: str, local: str, attributes: dict[str, str]) -> bool:
        if local == "fldChar":
            kind = next((value for name, value in attributes.items() if name.endswith("fldCharType")), "")
            if kind == "begin":
                self.code.append(True)
            elif self.code and kind == "separate":
                self.code[-1] = False
            elif self.code and kind == "end":
                self.code.pop()
            return True
        if local == "t":
            return True in self.code[-64:]
        if local == "f":
            return "purl" in namespace or namespace in (_SHEET, MACRO_SHEET) or not namespace
        return local in _NAMES or (bool(self.task.dropped) and (local in _AROUND or self._refers(attributes)))

    def _refers(self, attributes: dict[str, str]) -> bool:
        return any(value in self.task.dropped for value in attributes.values())


def _refers(element: Element, dropped: frozenset[str]) -> bool:
    return any(space in RELATIONSHIPS and value in dropped for (space, _), value in element.attributes.items())


# -- references


def _references(document: Document, dropped: frozenset[str]) -> None:
    """Cut what refers to a relationship that is gone; of an object on a slide, its picture stays."""
    if not dropped:
        return
    pictures = {id(parent): element for element in document.elements if element.local == "pic" for parent in element.parents}
    animated = False
    for element in document.elements:
        if not _refers(element, dropped):
            continue
        if element.local != "oleObj":
            document.cut(element)
            continue
        around = next((parent for parent in element.parents if parent.local in ("graphicFrame", "AlternateContent")), element)
        picture = pictures.get(id(around))
        if picture is None:
            document.cut(around)
        else:
            document.keep_only(around, picture)
        animated = True
    for element in document.elements if animated else ():
        if element.local == "timing":  # animations name shapes by number
            document.cut(element)


def _empty_containers(document: Document) -> None:
    """A list of objects may be missing, but not be empty."""
    left: dict[int, tuple[Element, bool]] = {}
    for element in document.elements:
        name = _CONTAINERS.get(element.local)
        for parent in element.parents if name else ():
            if parent.local == name:
                gone = left.get(id(parent), (parent, True))[1] and document.is_cut(element)
                left[id(parent)] = parent, gone
    for container, gone in left.values():
        if gone:
            document.cut(container)


# -- Word


class _Field:
    __slots__ = ("code", "elements", "in_code")

    def __init__(self, begin: Element) -> None:
        self.elements = [begin]  # that make the field; not its result
        self.code: list[str | None] = []
        self.in_code = True


def _fields(document: Document, part: str, found: Found) -> None:
    events = [element for element in document.elements if element.local in _FIELDS or element.local == "t"]
    complex_ones = [element for element in events if element.local != "fldSimple"]
    for element in events:
        if element.local == "fldSimple" and (kind := office_fields.acts([element.get("instr")])):
            found.add(_KINDS[kind], f"{part}: {element.get('instr')}")
            document.unwrap(element)
    branches = {parent.local for element in complex_ones for parent in element.parents} & {"Choice", "Fallback"}
    acting = False
    doubtful = False
    for left_out in ("", *branches):
        reading = [one for one in complex_ones if not left_out or all(parent.local != left_out for parent in one.parents)]
        for field, complete in _read_fields(reading):
            kind = office_fields.acts(field.code)
            if not kind:
                continue
            acting = True
            doubtful = doubtful or not complete or bool(branches)
            found.add(_KINDS[kind], f"{part}: {''.join(piece or '{}' for piece in field.code)}")
            for element in field.elements:
                document.cut(element)
        doubtful = doubtful or (acting and any(not complete for _, complete in _read_fields(reading)))
    if acting and doubtful:  # where fields begin and end has more than one reading: none is left
        for element in complex_ones:
            if element.local != "t":
                document.cut(element)


def _read_fields(elements: list[Element]) -> Iterator[tuple[_Field, bool]]:
    """Each field, the inner ones first, and whether it has both ends."""
    stack: list[_Field] = []
    for element in elements:
        kind = element.get("fldCharType") if element.local == "fldChar" else ""
        for field in stack[-64:]:
            if field.in_code and kind != "begin":
                field.elements.append(element)  # an instruction goes with all fields inside it
        if element.local != "fldChar":
            if stack and stack[-1].in_code:
                stack[-1].code.append(element.text)
            elif not stack and element.local != "t":
                stray = _Field(element)
                stray.code.append(element.text)
                yield stray, False
        elif kind == "begin":
            for field in stack[-64:]:
                if field.in_code:
                    field.elements.append(element)
            stack.append(_Field(element))
        elif not stack:
            yield _Field(element), False
        elif kind == "separate":
            if element is not stack[-1].elements[-1]:
                stack[-1].elements.append(element)
            stack[-1].in_code = False
        elif kind == "end":
            field = stack.pop()
            if element is not field.elements[-1]:
                field.elements.append(element)
            if stack and stack[-1].in_code:
                stack[-1].code.append(None)
            yield field, True
    for field in stack:
        yield field, False


# -- Excel


def _formulas(document: Document, books: frozenset[int], part: str, found: Found) -> None:
    """Formulas that are commands, or that point into a link that is gone; in a macro sheet, all."""
    macro_sheet = any(element.local == "macrosheet" for element in document.elements)
    shared: set[str] = set()
    formulas = [element for element in document.elements if element.local in ("f", "definedName")]
    for element in formulas:
        text = _LITERAL.sub("", element.text)
        if macro_sheet and element.local == "f":
            document.cut(element)
        elif "|" in text and "!" in text:
            found.add("office.dde", f"{part}: {element.text}")
            document.cut(element)
            shared.add(element.get("si"))
        elif _FETCHING.search(text):
            found.add("office.remote", f"{part}: {element.text}")
            document.cut(element)
            shared.add(element.get("si"))
        elif any(f"[{number}]" in text for number in books):
            document.cut(element)
            shared.add(element.get("si"))
    for element in formulas:
        if element.get("si") in shared - {""}:
            document.cut(element)


def _as_sheet(document: Document, root: Element) -> None:
    """A macro sheet without formulas is a sheet: its root gets the name of one."""
    tag = document.data[root.start : root.open_stop]
    for match in _XMLNS.finditer(tag):
        if (match[2] or match[3]).decode("utf-8", "replace") == _SHEET:
            name = (match[1] + b":" if match[1] else b"") + b"worksheet"
            old = tag[1:].split(None, 1)[0].rstrip(b"/>")
            document.replace(root.start, root.start + 1 + len(old), b"<" + name)
            if root.stop > root.open_stop:
                document.replace(root.tail, root.stop, b"</" + name + b">")
            return
    raise Refused("a macro sheet is written in an unusual way")
