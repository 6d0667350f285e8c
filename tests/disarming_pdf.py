"""PDF files with something that acts, for tests of disarming: a page with TEXT and a link, and what is done to it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from disarming import TEXT

pikepdf: Any = pytest.importorskip("pikepdf")
D, N, S = pikepdf.Dictionary, pikepdf.Name, pikepdf.String
ACTING = (
    "JavaScript",
    "/JS",
    "Launch",
    "EmbeddedFile",
    "/XFA",
    "RichMedia",
    "SubmitForm",
    "ImportData",
    "GoToR",
    "GoToE",
    "/AA",
    "app.alert",
    "cmd.exe",
)


def make(change: Callable[[Any, Any], None] = lambda document, page: None, **options: Any) -> bytes:
    """A page with TEXT and a link, then what `change` does to it."""
    document = pikepdf.new()
    page = document.add_blank_page()
    page.Contents = document.make_stream(f"BT /F1 24 Tf 72 720 Td ({TEXT}) Tj ET".encode())
    page.Resources = D(Font=D(F1=D(Type=N.Font, Subtype=N.Type1, BaseFont=N.Helvetica)))
    link = D(Type=N.Annot, Subtype=N.Link, Rect=[0, 0, 9, 9], A=D(S=N.URI, URI=S("https://example.org/")))
    page.Annots = pikepdf.Array([document.make_indirect(link)])
    change(document, page.obj)
    out = io.BytesIO()
    document.save(out, **options)
    return out.getvalue()


def annotate(page: Any, document: Any, **keys: Any) -> None:
    page.Annots.append(document.make_indirect(D(Type=N.Annot, Rect=[0, 0, 9, 9], **keys)))


def script(text: str = "app.alert(1)") -> Any:
    return D(S=N.JavaScript, JS=S(text))


def open_action(document: Any, page: Any) -> None:
    document.Root.OpenAction = document.make_indirect(D(S=N.JavaScript, JS=document.make_stream(b"app.alert(1)")))


def tree(document: Any, page: Any) -> None:
    document.Root.Names = D(JavaScript=D(Names=pikepdf.Array([S("x"), script()])))


def page_action(document: Any, page: Any) -> None:
    page.AA = D(O=script())


def field_action(document: Any, page: Any) -> None:
    document.Root.AcroForm = D(Fields=pikepdf.Array([document.make_indirect(D(FT=N.Tx, T=S("f"), AA=D(K=script())))]))


def chained(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.Link, A=D(S=N.GoTo, D=S("x"), Next=pikepdf.Array([D(S=N.Launch, F=S("cmd.exe")), script()])))


def launch(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.Link, A=D(S=N.Launch, Win=D(F=S("cmd.exe"))))


def go_to_remote(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.Link, A=D(S=N.GoToR, F=S("\\\\192.0.2.1\\x.pdf")))
    annotate(page, document, Subtype=N.Link, A=D(S=N.GoToE, T=D(R=N.C, N=S("x"))))


def forms(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.Link, A=D(S=N.SubmitForm, F=S("http://192.0.2.1/")))
    annotate(page, document, Subtype=N.Link, A=D(S=N.ImportData, F=S("x.fdf")))


def file_attached(document: Any, page: Any) -> None:
    specification = document.make_indirect(D(Type=N.Filespec, F=S("cmd.exe"), EF=D(F=document.make_stream(b"MZ", Type=N.EmbeddedFile))))
    annotate(page, document, Subtype=N.FileAttachment, FS=specification)
    document.Root.Names = D(EmbeddedFiles=D(Names=pikepdf.Array([S("x"), specification])))
    document.Root.AF = pikepdf.Array([specification])


def xfa(document: Any, page: Any) -> None:
    document.Root.AcroForm = D(Fields=pikepdf.Array([]), XFA=document.make_stream(b"<xdp:xdp/>", Subtype=N.Form))


def media(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.RichMedia, RichMediaContent=D(), AP=D(N=document.make_stream(b"", Subtype=N.Form)))
    annotate(
        page,
        document,
        Subtype=pikepdf.Name("/3D"),
        **{"3DD": document.make_stream(b"", OnInstantiate=document.make_stream(b"app.alert(1)"))},
    )
    annotate(page, document, Subtype=N.Screen, A=D(S=N.Rendition, JS=S("app.alert(1)")))


def remote(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.Link, A=D(S=N.URI, URI=S("javascript:app.alert(1)")))
    page.Resources.XObject = D(X=document.make_stream(b"", Type=N.XObject, Subtype=N.Image, F=S("http://192.0.2.1/x")))


CASES: dict[str, tuple[Callable[[Any, Any], None], str]] = {
    "open action": (open_action, "pdf.action"),
    "name tree": (tree, "pdf.javascript"),
    "page": (page_action, "pdf.action"),
    "field": (field_action, "pdf.action"),
    "chained": (chained, "pdf.launch"),
    "launch": (launch, "pdf.launch"),
    "remote document": (go_to_remote, "pdf.launch"),
    "forms": (forms, "pdf.action"),
    "file": (file_attached, "pdf.embedded-file"),
    "xfa": (xfa, "pdf.xfa"),
    "media": (media, "pdf.media"),
    "remote": (remote, "pdf.remote"),
}
