"""Elements cut and changed by their places; what has two readings is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.sanitize import xml_edit
from lazaretto.sanitize.disarmed import Refused
from lazaretto.sanitize.xml_edit import Document, Element


def document(data: bytes, *names: str) -> Document:
    return Document(data, lambda _space, local, _attributes: local in names)


def first(of: Document, local: str) -> Element:
    return next(element for element in of.elements if element.local == local)


def test_places_names_and_text() -> None:
    data = b"<?xml version='1.0'?><!-- <b> --><a xmlns:p='urn:p'><p:b p:c='1&#x32;' d=\">\">x<i/>&amp;<![CDATA[y]]></p:b><b/></a>"
    of = document(data, "b")
    one, two = of.elements
    assert one.name == ("urn:p", "b")
    assert one.attributes == {("urn:p", "c"): "12", ("", "d"): ">"}
    assert (one.get("c"), one.get("d"), one.get("e")) == ("12", ">", "")
    assert one.text == "x&y"
    assert data[one.start : one.stop].endswith(b"</p:b>")
    assert data[one.tail : one.stop] == b"</p:b>"
    assert data[two.start : two.stop] == b"<b/>"
    assert not of.changed
    assert of.result() == data


def test_edits() -> None:
    data = b"<a><b x='1' y=\"2\"><c>t</c>u</b><d>v<e/></d></a>"
    of = document(data, "b", "c", "d", "e")
    of.cut(first(of, "c"))
    of.set(first(of, "b"), "y", "<\"'&>")
    of.set(first(of, "b"), "x", None)
    of.unwrap(first(of, "d"))
    assert of.changed
    assert of.result() == b"<a><b y='&lt;\"&apos;&amp;&gt;'>u</b>v<e/></a>".replace(b"'&lt;\"&apos;", b"\"&lt;&quot;'").replace(
        b"&gt;'>u", b'&gt;">u'
    )
    assert of.is_cut(first(of, "c"))
    assert not of.is_cut(first(of, "b"))


def test_an_edit_inside_a_wider_one_does_not_count() -> None:
    of = document(b"<a><b><c/>x</b>y</a>", "b", "c")
    of.cut(first(of, "c"))
    of.cut(first(of, "b"))
    assert of.result() == b"<a>y</a>"
    assert of.is_cut(first(of, "c"))
    of = document(b"<a><b>x<c><d/></c>y</b></a>", "b", "c", "d")
    of.keep_only(first(of, "b"), first(of, "c"))
    of.cut(first(of, "d"))
    assert of.result() == b"<a><c></c></a>"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<a><b></a>", "not well-formed"),
        (b"", "not well-formed"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "not in UTF-8"),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><a/>", "not in UTF-8"),
        ("<a/>".encode("utf-16"), "not in UTF-8"),
        (b"<a>\xff</a>", "not well-formed"),
        (b"<a>" * 2000, "nested too deeply"),
        (b"<b>" * 100, "too many elements"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        document(data, "b")


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_edit, "MAX_ELEMENTS", 2)
    with pytest.raises(Refused, match="too many elements"):
        document(b"<a><b/><b/><b/></a>", "b")
    monkeypatch.setattr(xml_edit, "MAX_BYTES", 3)
    with pytest.raises(Refused, match="more than 3 bytes"):
        document(b"<a/>", "b")


NAMES = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.text("x<&>'\"é", max_size=4).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")),
    lambda inside: st.tuples(NAMES, st.lists(inside, max_size=3)).map(lambda pair: f"<{pair[0]} n='>'>{''.join(pair[1])}</{pair[0]}>"),
    max_leaves=12,
)


@given(TREES)
def test_cutting_all_of_a_name_leaves_none(inside: str) -> None:
    of = document(f"<r>{inside}</r>".encode(), "b")
    for element in of.elements:
        of.cut(element)
    assert document(of.result(), "b").elements == []
