"""Office Open XML (.docx, .xlsx, .pptx and their forms with macros) without what acts.

Taken out, with the relationships and content types that belong to it:

    office.macros          VBA projects, with their signatures and key assignments
    office.excel4-macros   macro sheets become sheets with the values of their cells; Auto_Open names
    office.activex         ActiveX controls
    office.object          embedded and linked OLE objects (their picture stays), files of other formats
    office.package         Office documents inside that cannot be disarmed themselves; others are, and stay
    office.dde             DDE fields, links and formulas: what they showed last stays
    office.field           fields that fetch or link: the result stays
    office.template        templates from elsewhere
    office.link            frames, sub-documents, links and whatever else is loaded from elsewhere
    office.remote          pictures and media from elsewhere: the reference points to nothing
    office.hyperlink       links that open no page: the text stays
    office.action          shapes that start a program or a macro
    office.interface       user interface that calls macros; office.add-in: add-ins from the web
    office.connection      data that is fetched when the file is opened

Ordinary hyperlinks stay.  The type stays: a .docm without macros is a .docm, because Office does
not open a .docx under that name.  All other members of the zip stay byte for byte.

Limits:  MAX_DEPTH documents in one another; xml_edit's; the meter's.
Errors:  LimitExceeded from the meter.  Refused for a zip with two readings, a document type, binary
         workbooks whose sheets would have to change, and what is not well-formed.
See:     ECMA-376 part 1, part 2 (packages); docs/disarm.md
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from lazaretto import regex
from lazaretto.content.ooxml import binary_facts
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import office_fields, ooxml_parts
from lazaretto.sanitize.disarmed import NOTHING, Disarmed, Found, Refused
from lazaretto.sanitize.ooxml_parts import Task
from lazaretto.sanitize.xml_edit import Document, Element
from lazaretto.sanitize.zip_edit import Archive

MAX_DEPTH = 3
TYPES_PART = "[Content_Types].xml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_NOWHERE = "NULL"  # as Office itself writes it for a picture that is lost

# Last step of a relationship's type -> what goes with it.
_DROPPED = {
    **dict.fromkeys(("vbaproject", "wordvbadata", "vbaprojectsignature", "keymapcustomizations", "attachedtoolbars"), "office.macros"),
    **dict.fromkeys(("vbaprojectsignatureagile", "vbaprojectsignaturev3"), "office.macros"),
    **dict.fromkeys(("control", "activexcontrolbinary", "activexcontrol"), "office.activex"),
    **dict.fromkeys(("oleobject", "afchunk"), "office.object"),
    **dict.fromkeys(("extensibility", "usercustomization"), "office.interface"),
    **dict.fromkeys(("webextension", "webextensiontaskpanes"), "office.add-in"),
    **dict.fromkeys(("attachedtemplate",), "office.template"),
}
_DROPPED_TYPES = (
    ("application/vnd.ms-office.vbaproject", "office.macros"),
    ("application/vnd.ms-word.vbadata", "office.macros"),
    ("application/vnd.ms-word.keymapcustomizations", "office.macros"),
    ("application/vnd.ms-word.attachedtoolbars", "office.macros"),
    ("application/vnd.ms-office.activex", "office.activex"),
    ("application/vnd.openxmlformats-officedocument.oleobject", "office.object"),
    ("application/vnd.ms-office.webextension", "office.add-in"),
)
_DROPPED_NAMES = (
    (regex.compile(r"(?i)(?:.*/)?vba(?:project|data)[^/]*\Z"), "office.macros"),
    (regex.compile(r"(?i)(?:.*/)?activex/"), "office.activex"),
    (regex.compile(r"(?i)(?:.*/)?customui\d*/[^/]*\.xml\Z"), "office.interface"),
)
_IMPLICIT = frozenset(("office.macros", "office.interface"))  # nothing refers to these but the relationship
_REMOTE = frozenset(("image", "audio", "video", "media"))
_OUTSIDE = regex.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:|[\\/]{2})")
_PIECE = regex.compile(r"/\[\d+\](?:\.last)?\.piece\Z")  # parts may be cut into members; nobody writes that
_MACRO_SHEET = regex.compile(r"(?i)xl/macrosheets/")
_MACRO_SHEET_TYPES = frozenset(("application/vnd.ms-excel.macrosheet+xml", "application/vnd.ms-excel.intlmacrosheet+xml"))
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
_PROGRAMS = (b"\xd0\xcf\x11\xe0", b"MZ", b"\x7fELF", b"{\\rt", b"%PDF")  # no part of a document begins so


class Relationship(NamedTuple):
    element: Element
    rels: str  # the part in which it stands
    owner: str  # the part whose relationship it is; "" for the package
    id: str
    kind: str  # last step of its type, in lower case
    target: str  # name of a part, or the address outside
    external: bool


def disarm(source: Source, meter: Meter, depth: int = 0) -> Disarmed:
    """The document without what acts.  See disarmed.py."""
    found = Found()
    try:
        package = _Package(source, meter, found, depth)
        content = package.disarm()
    except Refused as why:
        return Disarmed(None, found.removed(), str(why))
    return Disarmed(content, found.removed()) if content is not None else NOTHING


class _Package:
    def __init__(self, source: Source, meter: Meter, found: Found, depth: int) -> None:
        self.archive = Archive(source, meter)
        self.meter = meter
        self.found = found
        self.depth = depth
        self.parts: dict[str, str] = {}  # name as compared -> name in the zip
        for name in self.archive.names:
            if self.parts.setdefault(_key(name), name) != name or _PIECE.search(name):
                raise Refused(f"two parts have the name {name!r}, or one comes in pieces")
        if _key(TYPES_PART) not in self.parts:
            raise Refused("it has no content types")
        self.types = Document(self._read(TYPES_PART), lambda _, local, __: local in ("Default", "Override"))
        self.rels: dict[str, Document] = {}
        self.relationships: list[Relationship] = []
        for name in self.archive.names:
            if name.lower().endswith(".rels"):
                self._relationships(name)
        self.dropped: dict[str, str] = {}  # part -> name of the finding
        self.changes: dict[str, bytes | None] = {}
        self.renamed: dict[str, str] = {}

    def _read(self, name: str) -> bytes:
        return self.archive.read(self.parts[_key(name)])

    def _relationships(self, name: str) -> None:
        folder, _, last = name.rpartition("/")
        base = folder.rpartition("/")[0] if folder.lower().endswith("_rels") else folder
        owner = f"{base}/{last[:-5]}" if base else last[:-5]
        document = self.rels[name] = Document(self.archive.read(name), lambda _, local, __: local == "Relationship")
        for element in document.elements:
            target = element.get("Target")
            external = element.get("TargetMode").strip().lower() == "external" or _OUTSIDE.match(target) is not None
            kind = element.get("Type").strip().rstrip("/").rpartition("/")[2].lower()
            place = target.strip() if external else _resolve(base, target)
            self.relationships.append(Relationship(element, name, _key(owner), element.get("Id"), kind, place, external))

    def disarm(self) -> bytes | None:
        self._choose()
        ids = self._cut_relationships()
        books = self._books()
        edited = self._edit_parts(ids, books)
        if edited:
            self._drop_calculation_chain()
        self._macro_sheets()
        self._content_types()
        for name, document in self.rels.items():
            if _key(name) in self.dropped:
                self.changes[name] = None
            elif document.changed:
                self.changes[name] = document.result()
        for key in self.dropped:
            self.changes[self.parts[key]] = None
        if not self.changes and not self.renamed:
            return None
        for name in self.renamed:
            self.changes.setdefault(name, self._read(name))
        return self.archive.rebuild(self.changes, self.renamed)

    # -- which parts go

    def _choose(self) -> None:
        types = self._content_type_of
        for key, name in self.parts.items():
            if key.endswith(".rels") or name.endswith("/") or key == _key(TYPES_PART):
                continue
            kind = types(key)
            why = next((why for start, why in _DROPPED_TYPES if kind.startswith(start)), "")
            why = why or next((why for pattern, why in _DROPPED_NAMES if pattern.match(name)), "")
            if not why and self.archive.head(name).startswith(_PROGRAMS):
                why = "office.object"
            if why:
                self._drop(key, why)
        for one in self.relationships:
            if not one.external and one.kind in _DROPPED and one.target in self.parts:
                self._drop(one.target, _DROPPED[one.kind])
        embedded = {one.target for one in self.relationships if not one.external and one.kind == "package"}
        for key, name in self.parts.items():
            inside = key in embedded or "/embeddings/" in f"/{key}" or self.archive.head(name).startswith(b"PK\x03\x04")
            if inside and key not in self.dropped and not key.endswith((".rels", "/")):
                self._package(key)

    def _drop(self, key: str, why: str) -> None:
        if key not in self.dropped:
            self.dropped[key] = why
            self.found.add(why, self.parts[key])

    def _package(self, key: str) -> None:
        """A document inside: disarmed like this one."""
        name = self.parts[key]
        if name in self.changes:
            return
        if self.depth >= MAX_DEPTH or not self.archive.head(name).startswith(b"PK\x03\x04"):
            self._drop(key, "office.package")
            return
        inner = disarm(Source(self._read(name)), self.meter, self.depth + 1)
        if inner.refused:
            self._drop(key, "office.package")
            return
        for thing in inner.removed:
            self.found.add(thing.name, f"{name}: {thing.what}")
        if inner.content is not None:
            self.changes[name] = inner.content

    def _content_type_of(self, key: str) -> str:
        if not hasattr(self, "_overrides"):
            self._overrides: dict[str, str] = {}
            self._defaults: dict[str, str] = {}
            for element in self.types.elements:
                kind = element.get("ContentType").partition(";")[0].strip().lower()
                if element.local == "Override":
                    self._overrides[_key(element.get("PartName"))] = kind
                else:
                    self._defaults[element.get("Extension").strip().lower()] = kind
        return self._overrides.get(key) or self._defaults.get(key.rpartition(".")[2], "")

    # -- relationships

    def _cut_relationships(self) -> dict[str, set[str]]:
        """Ids of relationships that are gone, by the part whose they were."""
        ids: dict[str, set[str]] = {}
        for key in [key for key in self.parts if key.endswith(".rels")]:
            owner = key.replace("_rels/", "", 1) if key.startswith("_rels/") else key.replace("/_rels/", "/", 1)
            if owner.removesuffix(".rels") in self.dropped:
                self.dropped[key] = self.dropped[owner.removesuffix(".rels")]
        for one in self.relationships:
            if _key(one.rels) in self.dropped:
                continue
            why = self.dropped.get(one.target, "") if not one.external else self._outside(one)
            if why:
                self.rels[one.rels].cut(one.element)
                ids.setdefault(one.owner, set()).add(one.id)
                if one.owner.endswith(".bin") and why not in _IMPLICIT:
                    raise Refused("a binary part refers to what would be taken out")
        return ids

    def _outside(self, one: Relationship) -> str:
        """Why a relationship to outside goes; "" if it stays, perhaps with another target."""
        target = one.target
        if one.kind == "hyperlink":
            if not office_fields.ordinary(target):
                self.found.add("office.hyperlink", target)
                self.rels[one.rels].set(one.element, "Target", "#")
            return ""
        if not target or target == _NOWHERE or (one.kind == "attachedtemplate" and office_fields.local(target)):
            return ""
        if one.kind in _REMOTE or one.kind.startswith("externallink") or one.kind.startswith("xl"):
            self.found.add("office.remote" if one.kind in _REMOTE else "office.link", f"{one.kind} {target}")
            self.rels[one.rels].set(one.element, "Target", _NOWHERE)
            return ""
        why = _DROPPED.get(one.kind, "office.link")
        self.found.add(why, f"{one.kind} {target}")
        return why

    # -- parts

    def _books(self) -> frozenset[int]:
        """Numbers under which formulas know links that are DDE or OLE."""
        acting = set()
        for key, name in self.parts.items():
            if "externallink" not in self._content_type_of(key) or key in self.dropped:
                continue
            data = self.archive.read(name)
            if key.endswith(".bin"):
                if any(binary_facts(data)):
                    raise Refused("a binary workbook has a DDE link")
            elif b"ddeLink" in data or b"oleLink" in data:
                acting.add(key)
        if not acting:
            return frozenset()
        numbers = set()
        for key, name in self.parts.items():
            if not key.endswith("workbook.xml"):
                continue
            ids = [e.get("id") for e in Document(self.archive.read(name), lambda _, local, __: local == "externalReference").elements]
            targets = {one.id: one.target for one in self.relationships if one.owner == key}
            numbers |= {number for number, id_ in enumerate(ids, 1) if targets.get(id_) in acting}
        return frozenset(numbers)

    def _edit_parts(self, ids: dict[str, set[str]], books: frozenset[int]) -> bool:
        """Edit what has to be; True if cells have changed."""
        cells = False
        for key, name in self.parts.items():
            if key in self.dropped or key == _key(TYPES_PART) or key.endswith((".rels", "/")):
                continue
            kind = self._content_type_of(key)
            if _MACRO_SHEET.match(name) and key.endswith(".bin"):
                raise Refused("a binary workbook has macro sheets")
            if not (kind.endswith("xml") or key.endswith((".xml", ".vml"))):
                continue
            data = self.archive.read(name)
            if not key.endswith((".xml", ".vml")) and data[:1] not in (b"<", b"\xef"):
                raise Refused(f"{name!r} is no XML")
            task = Task(frozenset(ids.get(key, ())), books)
            if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
                raise Refused("an XML part is not in UTF-8")
            if not ooxml_parts.concerns(data, task):
                continue
            new = ooxml_parts.edit(data, task, name, self.found)
            if new != data:
                self.changes[name] = new
                cells = cells or "sheet" in kind or "sheet" in key
        return cells

    def _drop_calculation_chain(self) -> None:
        """The list of cells with formulas: Excel makes it anew, and must not find cells in it that have none."""
        for one in self.relationships:
            if one.kind == "calcchain" and not one.external and one.target in self.parts:
                self.dropped[one.target] = ""
                self.rels[one.rels].cut(one.element)

    def _macro_sheets(self) -> None:
        """What is a sheet now is called one: its type, its relationship, its folder."""
        sheets = {key for key in self.parts if self._content_type_of(key) in _MACRO_SHEET_TYPES and key not in self.dropped}
        sheets |= {key for key, name in self.parts.items() if _MACRO_SHEET.match(name) and not key.endswith(".rels")} - self.dropped.keys()
        for key in sheets:
            if self.parts[key] not in self.changes:
                raise Refused("a macro sheet is written in an unusual way")
        for name in self.archive.names:
            if _MACRO_SHEET.match(name) and sheets:
                self.renamed[name] = "xl/worksheets_/" + name[15:]
        for one in self.relationships:
            if not one.external and one.target in sheets:
                document = self.rels[one.rels]
                document.set(one.element, "Type", f"{_OFFICE}/worksheet")
                if (name := self.parts[one.target]) in self.renamed:
                    document.set(one.element, "Target", "/" + self.renamed[name])
        for element in self.types.elements if sheets else ():
            key = _key(element.get("PartName"))
            if element.local == "Override" and key in self.parts and (key in sheets or self.parts[key] in self.renamed):
                if key in sheets:
                    self.types.set(element, "ContentType", _SHEET_TYPE)
                if (name := self.parts[key]) in self.renamed:
                    self.types.set(element, "PartName", "/" + self.renamed[name])

    def _content_types(self) -> None:
        for element in self.types.elements:
            kind = element.get("ContentType").strip().lower()
            if (element.local == "Override" and _key(element.get("PartName")) in self.dropped) or (
                element.local == "Default" and any(kind.startswith(start) for start, _ in _DROPPED_TYPES)
            ):
                self.types.cut(element)
        if self.types.changed and (self.found or self.dropped):
            self.changes[self.parts[_key(TYPES_PART)]] = self.types.result()


def _key(name: str) -> str:
    """A part's name as it is compared."""
    return unquote(name.strip()).lstrip("/").lower()


def _resolve(base: str, target: str) -> str:
    """The part to which a relationship points, as a key."""
    path = unquote(target.strip().partition("#")[0].replace("\\", "/"))
    steps: list[str] = [] if path.startswith("/") else base.split("/")
    for step in path.split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(filter(None, steps)).lower()
