"""PDF: what acts is gone in every revision, pages and links are there."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import documents
from disarming_pdf import ACTING, CASES, D, N, S, annotate, launch, make, open_action, page_action, pikepdf, script
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import disarm_pdf
from lazaretto.sanitize.disarmed import NOTHING, Disarmed


def disarm(data: bytes) -> Disarmed:
    return disarm_pdf.disarm(Source(data), Meter())


def disarmed(data: bytes) -> bytes:
    result = disarm(data)
    assert not result.refused
    assert result.content is not None
    return result.content


def objects(data: bytes) -> str:
    """All objects as our own reader sees them, whatever the tables say."""
    return "".join(found.data.decode("latin-1") for found in documents.members("pdf", data) if found.names == ("pdf-objects",))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "object streams"])
@pytest.mark.parametrize("name", CASES)
def test_what_acts_is_gone(name: str, packed: bool) -> None:
    change, finding = CASES[name]
    mode = pikepdf.ObjectStreamMode.generate if packed else pikepdf.ObjectStreamMode.disable
    result = disarm(make(change, object_stream_mode=mode))
    assert finding in {thing.name for thing in result.removed}
    assert result.content is not None
    assert disarm(result.content) == NOTHING
    text = objects(result.content)
    assert not [word for word in ACTING if word in text]
    assert "https://example.org/" in text
    assert {found.names for found in documents.members("pdf", result.content)} == {("pdf-objects",), ("pdf-streams",)}


def test_what_does_not_act_is_left_alone() -> None:
    assert disarm(make()) == NOTHING
    assert disarm(b"no PDF") == NOTHING
    assert disarm(b"") == NOTHING


def test_resources_may_have_any_name() -> None:
    """A font called /AA is a font."""

    def change(document: Any, page: Any) -> None:
        page.Resources.Font.AA = D(Type=N.Font, Subtype=N.Type1, BaseFont=N.Courier)
        page.Resources.XObject = D(JS=document.make_stream(b"", Type=N.XObject, Subtype=N.Form))

    assert disarm(make(change)) == NOTHING


def test_what_is_no_action() -> None:
    """Structure elements have /S, too, and the document may open at a place."""

    def change(document: Any, page: Any) -> None:
        document.Root.StructTreeRoot = D(Type=N.StructTreeRoot, K=D(Type=N.StructElem, S=N.Sound, A=D(O=N.Layout)))
        document.Root.OpenAction = D(S=N.GoTo, D=pikepdf.Array([page, N.Fit]))

    assert disarm(make(change)) == NOTHING


def test_an_action_under_any_key_is_gone() -> None:
    def change(document: Any, page: Any) -> None:
        page.Zz = D(Yy=pikepdf.Array([D(S=N.Launch, F=S("cmd.exe"))]))

    assert "cmd.exe" not in objects(disarmed(make(change)))


def test_an_annotation_keeps_its_picture() -> None:
    content = disarmed(make(CASES["media"][0]))
    with pikepdf.open(io.BytesIO(content)) as document:
        kinds = [str(one.Subtype) for one in document.pages[0].Annots]
        assert kinds == ["/Link", "/Stamp", "/Stamp", "/Stamp"]
        assert "/AP" in document.pages[0].Annots[1]


def test_an_older_revision_is_gone() -> None:
    """The newest revision has replaced the catalog; a reader that repairs the file finds the old one."""
    data = make(CASES["name tree"][0], object_stream_mode=pikepdf.ObjectStreamMode.disable)
    with pikepdf.open(io.BytesIO(data)) as document:
        number, pages, size = document.Root.objgen[0], document.Root.Pages.objgen[0], len(document.objects) + 1
    start = len(data)
    before = data.rpartition(b"startxref")[2].split()[0].decode()
    table = f"xref\n{number} 1\n{start:010d} 00000 n \ntrailer\n<</Size {size}/Root {number} 0 R/Prev {before}>>\n"
    new = f"{number} 0 obj\n<</Type/Catalog/Pages {pages} 0 R>>\nendobj\n"
    update = data + new.encode() + table.encode() + f"startxref\n{start + len(new)}\n%%EOF\n".encode()
    with pikepdf.open(io.BytesIO(update)) as document:
        assert "/Names" not in document.Root
    result = disarm(update)
    assert (result.refused, [thing.name for thing in result.removed]) == ("", ["pdf.old-revision"])
    assert result.content is not None
    assert "JavaScript" not in objects(result.content)
    assert disarm(result.content) == NOTHING


def sign(document: Any, page: Any) -> None:
    annotate(page, document, Subtype=N.Widget, FT=N.Sig, V=D(Type=N.Sig, ByteRange=pikepdf.Array([0, 1, 2, 3]), Contents=S("x")))
    document.Root.AcroForm = D(Fields=pikepdf.Array([page.Annots[-1]]))


def test_what_is_refused() -> None:
    def signed(document: Any, page: Any) -> None:
        open_action(document, page)
        sign(document, page)

    assert disarm(make(signed)).refused == "it is signed"
    locked = make(launch, encryption=pikepdf.Encryption(owner="a", user="b"))
    assert disarm(locked).refused in ("it is encrypted", "")
    readable = make(launch, encryption=pikepdf.Encryption(owner="a", user=""))
    assert disarm(readable).refused == "it is encrypted"
    broken = make(launch, object_stream_mode=pikepdf.ObjectStreamMode.disable).replace(b"startxref", b"startxxxx")
    assert disarm(broken).refused in ("it is damaged, and readers repair it differently", "it cannot be read")

    def deep(document: Any, page: Any) -> None:
        nested = pikepdf.Array([])
        for _ in range(disarm_pdf.MAX_NESTING + 2):
            nested = pikepdf.Array([nested])
        page.Zz = nested
        page_action(document, page)

    assert disarm(make(deep)).refused == "it is nested too deeply"


def test_too_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disarm_pdf, "MAX_OBJECTS", 3)
    assert disarm(make(launch)).refused == "it has too many objects"


def test_the_time_is_the_meters() -> None:
    with pytest.raises(LimitExceeded):
        disarm_pdf.disarm(Source(make(launch)), Meter(deadline=1.0, clock=lambda: 2.0))


def test_a_signature_is_not_touched_for_nothing() -> None:
    assert disarm(make(sign)) == NOTHING


@given(st.integers(0, 5000), st.binary(max_size=32), st.sampled_from(sorted(CASES)))
def test_damaged_files_are_refused_or_done(at: int, noise: bytes, name: str) -> None:
    data = make(CASES[name][0], object_stream_mode=pikepdf.ObjectStreamMode.disable, deterministic_id=True)
    at %= len(data)
    result = disarm(data[:at] + noise + data[at + len(noise) :])
    if result.content is not None:
        assert not [word for word in ACTING[:10] if word in objects(result.content)]
        assert disarm(result.content) == NOTHING


def test_available() -> None:
    assert disarm_pdf.available()
    disarm_pdf.prepare()
    assert N.JavaScript == script().S
