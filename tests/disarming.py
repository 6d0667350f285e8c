"""Documents with something that acts, for tests of disarming: built here, harmless, and small.

Each builder gives a document whose text holds TEXT, in the way that programs of Office write it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import documents

TEXT = "Quarterly figures"
_MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_FORMAT = "application/vnd.openxmlformats-officedocument"
OBJECT = documents.compound_file({"\x01Ole10Native": b"\x10\0\0\0" + documents.ole_package(b"a.exe", b"MZ" + b"x" * 90)})
MACROS = documents.compound_file(
    documents.vba_project({"ThisDocument": b'Attribute VB_Name = "ThisDocument"\r\nSub AutoOpen()\r\nShell "x"\r\nEnd Sub\r\n'})
)

Parts = dict[str, bytes]


def relation(number: int, kind: str, target: str, external: bool = False, base: str = _REL) -> str:
    mode = ' TargetMode="External"' if external else ""
    return f'<Relationship Id="rId{number}" Type="{base}/{kind}" Target="{target}"{mode}/>'


def relations(*lines: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Relationships xmlns="{_PACKAGE}/relationships">{"".join(lines)}</Relationships>'.encode()


def content_types(*overrides: tuple[str, str]) -> bytes:
    lines = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in overrides)
    defaults = "".join(
        f'<Default Extension="{extension}" ContentType="{kind}"/>'
        for extension, kind in (
            ("rels", "application/vnd.openxmlformats-package.relationships+xml"),
            ("xml", "application/xml"),
            ("bin", f"{_FORMAT}.oleObject"),
            ("vml", f"{_FORMAT}.vmlDrawing"),
            ("png", "image/png"),
        )
    )
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Types xmlns="{_PACKAGE}/content-types">{defaults}{lines}</Types>'.encode()


def word(
    body: str = "",
    rels: tuple[str, ...] = (),
    parts: Parts | None = None,
    overrides: tuple[tuple[str, str], ...] = (),
    macros: bool = False,
) -> bytes:
    """A .docx (or .docm): one paragraph with TEXT, then `body`."""
    form = "application/vnd.ms-word.document.macroEnabled.main+xml" if macros else f"{_FORMAT}.wordprocessingml.document.main+xml"
    main = (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<w:document xmlns:w="{_MAIN}" xmlns:r="{_REL}" xmlns:o="urn:schemas-microsoft-com:office:office"'
        ' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<w:body><w:p><w:r><w:t>{TEXT}</w:t></w:r></w:p>{body}<w:sectPr/></w:body></w:document>"
    )
    files = {
        "[Content_Types].xml": content_types(("word/document.xml", form), *overrides),
        "_rels/.rels": relations(relation(1, "officeDocument", "word/document.xml")),
        "word/document.xml": main.encode(),
        "word/_rels/document.xml.rels": relations(*rels),
    }
    return documents.zip_file(files | (parts or {}))


def word_macros() -> bytes:
    base = "http://schemas.microsoft.com/office/2006/relationships"
    kinds = (("word/vbaProject.bin", "application/vnd.ms-office.vbaProject"), ("word/vbaData.xml", "application/vnd.ms-word.vbaData+xml"))
    parts = {
        "word/vbaProject.bin": MACROS,
        "word/vbaData.xml": b"<x/>",
        "word/_rels/vbaProject.bin.rels": relations(relation(1, "wordVbaData", "vbaData.xml", base=base)),
    }
    return word("", (relation(1, "vbaProject", "vbaProject.bin", base=base),), parts, kinds, macros=True)


def field(instruction: str, result: str) -> str:
    """A complex field, its instruction in two runs."""
    half = len(instruction) // 2
    code = "".join(
        f'<w:r><w:instrText xml:space="preserve">{piece}</w:instrText></w:r>' for piece in (instruction[:half], instruction[half:])
    )
    mark = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'.format
    return f"<w:p>{mark('begin')}{code}{mark('separate')}<w:r><w:t>{result}</w:t></w:r>{mark('end')}</w:p>"


def word_fields() -> bytes:
    simple = '<w:p><w:fldSimple w:instr=" DDE&#65;UTO c:\\\\x.exe y "><w:r><w:t>shown simply</w:t></w:r></w:fldSimple></w:p>'
    return word(field(" DDEAUTO c:\\\\x.exe &quot;y&quot; ", "shown last") + simple + field(" PAGE ", "1"))


def word_object() -> bytes:
    shape = '<w:p><w:r><w:object><v:shape id="s" style="width:9pt;height:9pt"/><o:OLEObject Type="Embed" ProgID="Package" ShapeID="s" r:id="rId1"/></w:object></w:r></w:p>'
    control = '<w:p><w:r><w:object><v:shape id="c"/><w:control r:id="rId2" w:name="c" w:shapeid="c"/></w:object></w:r></w:p>'
    parts = {"word/embeddings/oleObject1.bin": OBJECT, "word/activeX/activeX1.xml": b"<x/>", "word/activeX/activeX1.bin": OBJECT}
    kinds = (
        ("word/activeX/activeX1.xml", "application/vnd.ms-office.activeX+xml"),
        ("word/activeX/activeX1.bin", "application/vnd.ms-office.activeX"),
    )
    return word(
        shape + control,
        (relation(1, "oleObject", "embeddings/oleObject1.bin"), relation(2, "control", "activeX/activeX1.xml")),
        parts,
        kinds,
    )


def word_links() -> bytes:
    """A template, a frame and a picture from elsewhere, two links."""
    settings = (
        f'<w:settings xmlns:w="{_MAIN}" xmlns:r="{_REL}"><w:attachedTemplate r:id="rId1"/><w:zoom w:percent="100"/></w:settings>'.encode()
    )
    body = "".join(f'<w:p><w:hyperlink r:id="rId{n}"><w:r><w:t>link {n}</w:t></w:r></w:hyperlink></w:p>' for n in (2, 3))
    body += '<w:subDoc r:id="rId4"/>'
    rels = (
        relation(1, "settings", "settings.xml"),
        relation(2, "hyperlink", "https://example.org/?a=1&amp;b=2", external=True),
        relation(3, "hyperlink", "javascript:x", external=True),
        relation(4, "subDocument", "http://192.0.2.1/x.docx", external=True),
        relation(5, "image", "http://192.0.2.1/x.png", external=True),
    )
    parts = {
        "word/settings.xml": settings,
        "word/_rels/settings.xml.rels": relations(relation(1, "attachedTemplate", "http://192.0.2.1/x.dotm", external=True)),
    }
    return word(body, rels, parts, (("word/settings.xml", f"{_FORMAT}.wordprocessingml.settings+xml"),))


def excel(
    sheet: str = "", workbook: str = "", rels: tuple[str, ...] = (), parts: Parts | None = None, overrides: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """An .xlsx: TEXT in A1, then `sheet` as further rows."""
    row = f'<row r="1"><c r="A1" t="inlineStr"><is><t>{TEXT}</t></is></c></row>'
    files = {
        "[Content_Types].xml": content_types(
            ("xl/workbook.xml", f"{_FORMAT}.spreadsheetml.sheet.main+xml"),
            ("xl/worksheets/sheet1.xml", f"{_FORMAT}.spreadsheetml.worksheet+xml"),
            *overrides,
        ),
        "_rels/.rels": relations(relation(1, "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_REL}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/>{workbook}</workbook>'.encode(),
        "xl/_rels/workbook.xml.rels": relations(relation(1, "worksheet", "worksheets/sheet1.xml"), *rels),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SHEET}" xmlns:r="{_REL}"><sheetData>{row}{sheet}</sheetData></worksheet>'.encode(),
    }
    return documents.zip_file(files | (parts or {}))


def excel_dde() -> bytes:
    """A DDE link that a cell uses, and a formula that is a command."""
    sheet = (
        '<row r="2"><c r="A2"><f>[1]!x</f><v>7</v></c></row><row r="3"><c r="A3"><f>cmd|\' /C calc\'!A0</f><v>8</v></c></row>'
        '<row r="4"><c r="A4"><f>LEN("a|b!")+1</f><v>5</v></c></row>'
    )
    link = f'<externalLink xmlns="{_SHEET}"><ddeLink ddeService="cmd" ddeTopic="/c calc"><ddeItems><ddeItem name="x"/></ddeItems></ddeLink></externalLink>'
    parts = {
        "xl/externalLinks/externalLink1.xml": link.encode(),
        "xl/calcChain.xml": f'<calcChain xmlns="{_SHEET}"><c r="A2" i="1"/></calcChain>'.encode(),
    }
    kinds = (
        ("xl/externalLinks/externalLink1.xml", f"{_FORMAT}.spreadsheetml.externalLink+xml"),
        ("xl/calcChain.xml", f"{_FORMAT}.spreadsheetml.calcChain+xml"),
    )
    rels = (relation(2, "externalLink", "externalLinks/externalLink1.xml"), relation(3, "calcChain", "calcChain.xml"))
    return excel(sheet, '</sheets><externalReferences><externalReference r:id="rId2"/></externalReferences>', rels, parts, kinds)


def excel_macro_sheet() -> bytes:
    macros = (
        f'<xm:macrosheet xmlns="{_SHEET}" xmlns:r="{_REL}" xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="b"><f>EXEC("calc")</f><v>0</v></c></row></sheetData></xm:macrosheet>'
    )
    names = '<sheet name="M" sheetId="2" r:id="rId2"/></sheets><definedNames><definedName name="_xlnm.Auto_Open">M!$A$1</definedName></definedNames>'
    base = "http://schemas.microsoft.com/office/2006/relationships"
    return excel(
        "", names, (relation(2, "xlMacrosheet", "macrosheets/sheet1.xml", base=base),),
        {"xl/macrosheets/sheet1.xml": macros.encode()}, (("xl/macrosheets/sheet1.xml", "application/vnd.ms-excel.macrosheet+xml"),),
    )  # fmt: skip


def excel_package() -> bytes:
    """A workbook with a document with macros inside."""
    parts = {
        "xl/embeddings/inner.docm": word_macros(),
        "xl/worksheets/_rels/sheet1.xml.rels": relations(relation(1, "package", "../embeddings/inner.docm")),
    }
    return excel("", "</sheets>", (), parts, (("xl/embeddings/inner.docm", "application/vnd.ms-word.document.macroEnabled.12"),))


def slides() -> bytes:
    """One slide with TEXT, an embedded object with a picture, and a shape that starts a program."""
    text = f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="t"><a:hlinkClick r:id="" action="ppaction://program"/></p:cNvPr><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{TEXT}</a:t></a:r></a:p></p:txBody></p:sp>'
    picture = (
        '<p:pic><p:nvPicPr><p:cNvPr id="0" name="p"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill><a:blip/></p:blipFill><p:spPr/></p:pic>'
    )
    frame = (
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="4" name="o"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm/>'
        f'<a:graphic><a:graphicData uri="x"><p:oleObj r:id="rId2" progId="Package"><p:embed/>{picture}</p:oleObj></a:graphicData></a:graphic></p:graphicFrame>'
    )
    namespaces = f'xmlns:p="{_SLIDE}" xmlns:a="{_DRAWING}" xmlns:r="{_REL}"'
    tree = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
    files = {
        "[Content_Types].xml": content_types(
            ("ppt/presentation.xml", f"{_FORMAT}.presentationml.presentation.main+xml"),
            ("ppt/slides/slide1.xml", f"{_FORMAT}.presentationml.slide+xml"),
        ),
        "_rels/.rels": relations(relation(1, "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f'<p:presentation {namespaces}><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst><p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>'.encode(),
        "ppt/_rels/presentation.xml.rels": relations(relation(1, "slide", "slides/slide1.xml")),
        "ppt/slides/slide1.xml": f"<p:sld {namespaces}><p:cSld><p:spTree>{tree}{text}{frame}</p:spTree></p:cSld><p:timing/></p:sld>".encode(),
        "ppt/slides/_rels/slide1.xml.rels": relations(relation(2, "oleObject", "../embeddings/oleObject1.bin")),
        "ppt/embeddings/oleObject1.bin": OBJECT,
    }
    return documents.zip_file(files)


DISGUISED = {
    "text": '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:t>DDEAUTO c:\\x</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>',
    "nested": (
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/><w:fldChar w:fldCharType="begin"/><w:instrText>QUOTE 68 68 69</w:instrText><w:fldChar w:fldCharType="separate"/>'
        '<w:t>DDE</w:t><w:fldChar w:fldCharType="end"/><w:instrText> c:\\x</w:instrText><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    ),
    "alternatives": (
        '<w:p><w:r><mc:AlternateContent><mc:Choice Requires="v"><w:fldChar w:fldCharType="begin"/></mc:Choice><mc:Fallback><w:fldChar w:fldCharType="begin"/>'
        '</mc:Fallback></mc:AlternateContent><w:instrText>DDEAUTO c:\\x</w:instrText><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    ),
    "deleted": "<w:p><w:r><w:delInstrText>DDEAUTO c:\\x</w:delInstrText></w:r></w:p>",
    "never ends": '<w:p><w:r><w:fldChar w:fldCharType="begin"/><w:instrText>D</w:instrText><w:instrText><![CDATA[DE]]>&#x41;UTO x</w:instrText></w:r></w:p>',
}

OFFICE: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "macros.docm": (word_macros, {"office.macros"}),
    "fields.docx": (word_fields, {"office.dde"}),
    "object.docx": (word_object, {"office.object", "office.activex"}),
    "links.docx": (word_links, {"office.template", "office.link", "office.hyperlink", "office.remote"}),
    "dde.xlsx": (excel_dde, {"office.dde"}),
    "macrosheet.xlsm": (excel_macro_sheet, {"office.excel4-macros"}),
    "package.xlsx": (excel_package, {"office.macros"}),
    "slides.pptx": (slides, {"office.object", "office.action"}),
}
CLEAN: dict[str, Callable[[], bytes]] = {"clean.docx": word, "clean.xlsx": lambda: excel("", "</sheets>")}


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


# -- RTF

_PACKAGE_OBJECT = documents.ole1_object(b"Package", documents.ole_package(b"a.exe", b"MZ" + b"x" * 90)).hex().encode()
RTF = {
    "object": rb"{\rtf1\ansi "
    + TEXT.encode()
    + rb" {\object\objemb\objw10\objh10{\*\objclass Package}{\*\objdata "
    + _PACKAGE_OBJECT
    + rb"}{\result {\pard shown\par}}} end\par}",
    "update": rb"{\rtf1\ansi " + TEXT.encode() + rb" {\object\objautlink\objupdate{\*\objdata " + _PACKAGE_OBJECT + rb"}}\par}",
    "dde": rb"{\rtf1\ansi "
    + TEXT.encode()
    + rb' {\field{\*\fldinst { DDE\'41UTO c:\\x.exe "y" }}{\fldrslt shown last}} {\field{\*\fldinst PAGE }{\fldrslt 1}}\par}',
    "nested": rb"{\rtf1\ansi "
    + TEXT.encode()
    + rb" {\field{\*\fldinst {\field{\*\fldinst QUOTE 68 68 69}{\fldrslt DDE}} c:\\x }{\fldrslt shown last}}\par}",
    "template": rb"{\rtf1\ansi{\*\template http://192.0.2.1/x.dotm}" + TEXT.encode() + rb"\par}",
    "picture": rb"{\rtf1\ansi "
    + TEXT.encode()
    + rb"{\shp{\*\shpinst{\sp{\sn pibName}{\sv http://192.0.2.1/x.png}}{\sp{\sn pibFlags}{\sv 14}}}}\par}",
    "data": rb"{\rtf1\ansi " + TEXT.encode() + rb"{\*\datastore 0105}\par}",
}
