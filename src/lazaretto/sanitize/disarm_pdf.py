"""PDF without what acts.

Taken out:

    pdf.javascript     scripts, wherever they hang
    pdf.launch         actions that start a program or open another file
    pdf.action         further actions that nobody asked for: forms that are sent or filled from
                       files, media that plays, actions on opening, closing, entering
    pdf.embedded-file  embedded files, and the annotations that show them
    pdf.xfa            forms that are programs (XFA); the plain form stays
    pdf.media          3D, film, sound, Flash: their picture stays
    pdf.remote         content that is loaded from elsewhere, addresses that open no page
    pdf.old-revision   what acts and stands where only some readers look

Links to pages and to places in the document stay.

A PDF may be read in several ways: by its last cross-reference table, by an older one, by none. So
nothing is changed in place: the objects that are in use are written as a new file with one revision,
streams as they were packed. What nobody refers to is not written.

A file that is encrypted, signed, or that had to be repaired to be read is refused, if it has
something that acts: its content could be lost, or what a signature says.

Limits:  MAX_OBJECTS, MAX_NESTING; qpdf has no limits on time: call it where the processor's time is limited.
Errors:  LimitExceeded from the meter; Refused inside.
See:     ISO 32000-1 s7.5, s7.7, s12.5, s12.6, s12.7; the library pikepdf (qpdf), the extra "pdf"
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

from lazaretto import regex
from lazaretto.content import pdf as pdf_reader
from lazaretto.content.container import Member
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import office_fields
from lazaretto.sanitize.disarmed import NOTHING, Disarmed, Found, Refused

MAX_OBJECTS = 500_000  # a book of a thousand pages has some 50,000
MAX_NESTING = 100  # arrays and dictionaries in one another, inside of one object
_TICK = 1_000

_LAUNCH = {"/Launch": "pdf.launch", "/GoToR": "pdf.launch", "/GoToE": "pdf.launch"}
_HARMLESS_ACTIONS = frozenset(("/GoTo", "/Named", "/SetOCGState", "/Trans", "/Hide", "/ResetForm"))
_KEYS = {
    "/JS": "pdf.javascript",
    "/JavaScript": "pdf.javascript",
    "/AA": "pdf.action",
    "/XFA": "pdf.xfa",
    "/EmbeddedFiles": "pdf.embedded-file",
    "/EF": "pdf.embedded-file",
    "/RF": "pdf.embedded-file",
    "/AF": "pdf.embedded-file",
    "/Collection": "pdf.embedded-file",
    "/Renditions": "pdf.media",
    "/RichMediaContent": "pdf.media",
    "/RichMediaSettings": "pdf.media",
    "/OnInstantiate": "pdf.javascript",
    "/OPI": "pdf.remote",
}
_NAME_TREES = ("/JavaScript", "/EmbeddedFiles", "/Renditions", "/AlternatePresentations")
_RESOURCES = frozenset(("/Font", "/XObject", "/Form", "/Image", "/ExtGState", "/Pattern"))
_ACTION_KEYS = ("/OpenAction", "/A", "/PA", "/Next", "/AA")
_ANNOTATIONS = {
    **dict.fromkeys(("/RichMedia", "/3D", "/Movie", "/Sound", "/Screen"), "pdf.media"),
    "/FileAttachment": "pdf.embedded-file",
}
_KEPT = frozenset(("/Type", "/Rect", "/P", "/F", "/AP", "/AS", "/NM", "/Contents", "/StructParent", "/BS", "/Border"))
# In one spelling, as content/pdf.py gives all objects, also those that no reader should reach.
_ACTING = regex.compile(
    rb"/(?:JS|JavaScript|AA|XFA|EmbeddedFiles?|EF|RF|Launch|GoToR|GoToE|SubmitForm|ImportData|Rendition|RichMedia\w*|OnInstantiate)(?![\w.-])"
    rb"|/Subtype /(?:3D|Movie|Sound|Screen|FileAttachment)(?![\w.-])"
)
_SIGNED = regex.compile(rb"/ByteRange ?\[|/Type /Sig(?![\w.-])")


def available() -> bool:
    """Is the library there?"""
    from importlib.util import find_spec

    return find_spec("pikepdf") is not None


def prepare() -> None:
    """Load the library."""
    import pikepdf  # noqa: F401


def disarm(source: Source, meter: Meter) -> Disarmed:
    """The document without what acts.  See disarmed.py."""
    text = _text(source, meter)
    acting = _ACTING.search(text)
    found = Found()
    try:
        content = _rewritten(source, meter, found, signed=_SIGNED.search(text) is not None)
        if found:
            left = _ACTING.search(_text(Source(content), meter))
            if left:
                raise Refused(f"{left[0].decode('latin-1')} is left in it")
            return Disarmed(content, found.removed())
        if acting is None:
            return NOTHING
        if not _ACTING.search(_text(Source(content), meter)):
            found.add("pdf.old-revision", acting[0].decode("latin-1"))
            return Disarmed(content, found.removed())
        return NOTHING
    except Refused as why:
        if acting is None and not found:
            return NOTHING
        return Disarmed(None, found.removed(), str(why))


def _text(source: Source, meter: Meter) -> bytes:
    """All objects in one spelling."""
    for member in pdf_reader.walk(source, meter):
        if isinstance(member, Member) and member.names == ("pdf-objects",):
            return b"".join(member.chunks)
    return b""


def _rewritten(source: Source, meter: Meter, found: Found, *, signed: bool) -> bytes:
    import pikepdf

    try:
        with pikepdf.open(io.BytesIO(source.read_at(0, source.size)), suppress_warnings=True, inherit_page_attributes=False) as document:
            _Cleaner(document, meter, found).run()
            if document.is_encrypted:
                raise Refused("it is encrypted")
            if document.get_warnings():
                raise Refused("it is damaged, and readers repair it differently")
            if signed and found:
                raise Refused("it is signed")
            out = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about forms that were odd before
                document.save(
                    out,
                    compress_streams=False,
                    stream_decode_level=pikepdf.StreamDecodeLevel.none,
                    object_stream_mode=pikepdf.ObjectStreamMode.disable,
                    deterministic_id=True,
                    fix_metadata_version=False,
                    preserve_pdfa=False,
                )
            if document.get_warnings():
                raise Refused("it is damaged, and readers repair it differently")
            return out.getvalue()
    except (pikepdf.PasswordError, pikepdf.PdfError, pikepdf.ForeignObjectError) as error:
        raise Refused("it is encrypted" if isinstance(error, pikepdf.PasswordError) else "it cannot be read") from None
    except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError, RecursionError) as error:
        raise Refused(f"it cannot be read: {type(error).__name__}") from None


class _Cleaner:
    """Walks all objects of a document, each with what stands directly in it."""

    def __init__(self, document: Any, meter: Meter, found: Found) -> None:
        import pikepdf

        self.pikepdf = pikepdf
        self.document = document
        self.meter = meter
        self.found = found

    def run(self) -> None:
        self._catalog()
        if len(self.document.objects) > MAX_OBJECTS:
            raise Refused("it has too many objects")
        for number, thing in enumerate([self.document.trailer, *self.document.objects]):
            if number % _TICK == 0:
                self.meter.tick()
            self._look(thing)

    def _catalog(self) -> None:
        """Where readers look whatever is said there."""
        root = self.document.Root
        for place, keys in ((root, ("/AA", "/AF", "/Collection")), (root.get("/AcroForm"), ("/XFA",)), (root.get("/Names"), _NAME_TREES)):
            for key in keys if isinstance(place, self.pikepdf.Dictionary) else ():
                if key in place:
                    self.found.add(_KEYS.get(key, "pdf.action"), key[1:])
                    del place[key]

    def _is_resource(self, value: Any) -> bool:
        """Is it a font, a picture and so on?  Resources may have any name, such as /AA."""
        if isinstance(value, self.pikepdf.Array):
            return len(value) > 0 and isinstance(value[0], self.pikepdf.Name)
        if not isinstance(value, (self.pikepdf.Dictionary, self.pikepdf.Stream)):
            return False
        said = {str(value.get(key)) for key in ("/Type", "/Subtype") if isinstance(value.get(key), self.pikepdf.Name)}
        return bool(said & _RESOURCES) or "/PatternType" in value or "/ShadingType" in value or "/ca" in value or "/CA" in value

    def _look(self, thing: Any) -> None:
        """One object; arrays and dictionaries in it are part of it, references are not followed."""
        stack = [(thing, 0)]
        while stack:
            one, depth = stack.pop()
            if depth > MAX_NESTING:
                raise Refused("it is nested too deeply")
            if isinstance(one, self.pikepdf.Array):
                stack += ((inside, depth + 1) for inside in self._direct(iter(one)))
            elif isinstance(one, (self.pikepdf.Dictionary, self.pikepdf.Stream)):
                self._dictionary(one)
                stack += ((one[key], depth + 1) for key in list(one.keys()) if self._is_direct(one.get(key)))

    def _is_direct(self, one: Any) -> bool:
        return isinstance(one, (self.pikepdf.Array, self.pikepdf.Dictionary)) and not one.is_indirect

    def _direct(self, things: Iterator[Any]) -> Iterator[Any]:
        return (one for one in things if self._is_direct(one))

    def _dictionary(self, one: Any) -> None:
        for key, why in _KEYS.items():
            if key in one and not self._is_resource(one[key]):
                self.found.add(why, key[1:])
                del one[key]
        if "/OpenAction" in one and isinstance(one.OpenAction, self.pikepdf.Dictionary) and self._acts(one.OpenAction):
            self.found.add("pdf.action", "OpenAction")
            del one["/OpenAction"]
        for key in _ACTION_KEYS:
            action = one.get(key)
            if isinstance(action, self.pikepdf.Dictionary) and (why := self._acts(action)):
                self.found.add(why, _said(action))
                del one[key]
        if "/S" in one and (why := self._acts(one)):
            self.found.add(why, _said(one))
            for key in list(one.keys()):  # whoever refers to it finds nothing
                del one[key]
            return
        kind = str(one.get("/Subtype", "")) if isinstance(one.get("/Subtype"), self.pikepdf.Name) else ""
        if kind in _ANNOTATIONS and "/Rect" in one:
            self.found.add(_ANNOTATIONS[kind], kind[1:])
            for key in [key for key in one.keys() if key not in _KEPT]:  # noqa: SIM118 - not a dict
                del one[key]
            one["/Subtype"] = self.pikepdf.Name("/Stamp")  # it has an appearance of its own, and does nothing
        if isinstance(one, self.pikepdf.Stream):
            self._stream(one, kind)
        elif "/Ref" in one and "/ID" in one:
            self.found.add("pdf.remote", "Ref")
            del one["/Ref"]

    def _stream(self, one: Any, kind: str) -> None:
        for key in ("/F", "/FFilter", "/FDecodeParms", "/Ref"):
            if key in one:
                self.found.add("pdf.remote", key[1:])
                del one[key]
        if str(one.get("/Type", "")) == "/EmbeddedFile":
            self.found.add("pdf.embedded-file", "EmbeddedFile")
            one.write(b"")
            for key in [key for key in one.keys() if key != "/Length"]:  # noqa: SIM118
                del one[key]
        elif kind == "/PS":
            self.found.add("pdf.action", "PS")
            one.write(b"")

    def _acts(self, action: Any) -> str:
        """Why an action goes; "" if it stays, or if it is none."""
        kind = action.get("/S")
        if not isinstance(kind, self.pikepdf.Name) or not self._is_action(action, str(kind)):
            return ""
        name = str(kind)
        if name == "/URI":
            address = action.get("/URI")
            text = str(address) if isinstance(address, self.pikepdf.String) else ""
            return "" if office_fields.ordinary(text.strip()) else "pdf.remote"
        if name in _HARMLESS_ACTIONS:
            return ""
        return "pdf.javascript" if name == "/JavaScript" else _LAUNCH.get(name, "pdf.action")

    def _is_action(self, one: Any, kind: str) -> bool:
        """/S names many things; an action is what has no use but as an action."""
        if str(one.get("/Type", "")) == "/StructElem":
            return False
        return kind in _ACTIONS or str(one.get("/Type", "")) == "/Action"


_ACTIONS = frozenset((
    "/URI", "/JavaScript", *_LAUNCH, "/SubmitForm", "/ImportData", "/Rendition", "/RichMediaExecute", "/Sound", "/Movie",
    "/GoTo3DView", "/GoToDp",
))  # fmt: skip


def _said(action: Any) -> str:
    """What an action would do, for people."""
    words = [str(action.get("/S", ""))[1:]]
    for key in ("/F", "/URI", "/Win"):
        value = action.get(key)
        if value is not None:
            words.append(str(value) if key != "/Win" else "a program")
    return " ".join(words)
