from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.fprotd_xml import MAX_DEPTH, MAX_ELEMENTS, Element, read


def shape(element: Element) -> object:
    return (element.name, element.attributes, element.text, [shape(child) for child in element.children])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a/>", ("a", {}, "", [])),
        ("<a></a >", ("a", {}, "", [])),
        ("\r\n<a/>\n\0", ("a", {}, "", [])),
        ("<?xml version='1.0'?><a>x<b/>y</a>", ("a", {}, "xy", [("b", {}, "", [])])),
        ('<a x="1"\n y = \'&lt;2"\' />', ("a", {"x": "1", "y": '<2"'}, "", [])),
        ("<a>&lt;&amp;lt;&#65;&#x42;&quot;&apos;</a>", ("a", {}, "<&lt;AB\"'", [])),
        ("<a>&#0;&#xD800;&#x110000;</a>", ("a", {}, "\ufffd\ufffd\ufffd", [])),
        ("<a>R&D &unknown; &#; &;</a>", ("a", {}, "R&D &unknown; &#; &;", [])),
        ("<a><!-- <b> --><![CDATA[<summary code='9'>&lt;]]><?x <y> ?></a><!-- end -->", ("a", {}, "<summary code='9'>&lt;", [])),
        ("<!DOCTYPE a><a/>", ("a", {}, "", [])),
        ('<!DOCTYPE a SYSTEM "http://example.org/x>y" [<!ENTITY e "]>"> <!-- ]> \' --> <?p ]> ?> ]><a>&e;</a>', ("a", {}, "&e;", [])),
    ],
)
def test_read(text: str, expected: object) -> None:
    assert shape(read(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "text",
        "<a>",
        "<a><b></a></b>",
        "<a></b>",
        "</a>",
        "<a/>text",
        "text<a/>",
        "<a/><a/>",
        "<a",
        "<a x>",
        "<a x=1/>",
        '<a x="1" x="2"/>',
        '<a x="<"/>',
        '<a x="1"y="2"/>',
        "<a>< b/></a>",
        "<1/>",
        "<!-- <a/>",
        "<a><![CDATA[</a>",
        "<?xml <a/>",
        "<!DOCTYPE a [ <a/>",
        '<!DOCTYPE a [<!ENTITY e "]><a/>',
        "<a/><!DOCTYPE a>",
        "<!ENTITY e 'x'><a/>",
        "<![CDATA[x]]><a/>",
        "<" + "a" * 65 + "/>",
    ],
)
def test_not_well_formed(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="XML: "):
        read(text)


def test_entities_are_never_expanded() -> None:
    """The billion laughs: nothing is laughed."""
    bombs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 20))
    assert read(f'<!DOCTYPE a [<!ENTITY e0 "ha">{bombs}<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&e19;&f;</a>').text == "&e19;&f;"


def test_descendants() -> None:
    assert [element.name for element in read("<a><b><c/></b><d/></a>").descendants()] == ["b", "c", "d"]


def test_depth_and_number() -> None:
    def nested(n: int) -> str:
        return "<a>" * n + "</a>" * n

    assert read(nested(MAX_DEPTH)).name == "a"
    with pytest.raises(RemoteProtocolError, match="deeper"):
        read(nested(MAX_DEPTH + 1))
    assert len(read("<r>" + "<a/>" * (MAX_ELEMENTS - 1) + "</r>").children) == MAX_ELEMENTS - 1
    with pytest.raises(RemoteProtocolError, match="more than"):
        read("<r>" + "<a/>" * MAX_ELEMENTS + "</r>")


@pytest.mark.parametrize(
    "piece", ["<!--", "<!DOCTYPE a [ <!--", "<", "<a ", '"', "<?", "<![CDATA[", "<!DOCTYPE a ['", "&", "<a x='", " ", "]"]
)
def test_long_nonsense_is_read_once(piece: str) -> None:
    """It ends, and that within the test's time: benchmarks would show what is quadratic, here a megabyte would take hours."""
    text = "<!DOCTYPE a [" + piece * (1_000_000 // len(piece))
    with pytest.raises(RemoteProtocolError):
        read(text)
    with pytest.raises(RemoteProtocolError):
        read(piece * (1_000_000 // len(piece)) + "x")


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=8)
NAMES = st.sampled_from(["a", "b-c", "d.e", "_f"])


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(NAMES)
    attributes = "".join(f" {key}={quoteattr(draw(TEXT))}" for key in draw(st.lists(NAMES, unique=True, max_size=2)))
    inside = "".join(draw(st.lists(TEXT.map(escape) | (trees(depth=depth - 1) if depth else TEXT.map(escape)), max_size=3)))
    return f"<{name}{attributes}>{inside}</{name}>"


def reference(node: ET.Element) -> object:
    text = (node.text or "") + "".join(child.tail or "" for child in node)
    return (node.tag, dict(node.attrib), text, [reference(child) for child in node])


@given(trees())
def test_the_same_as_a_real_parser(text: str) -> None:
    assert shape(read(text)) == reference(ET.fromstring(text))


@given(st.text(alphabet="<>/!-[]'\"ab=& ?;#x1DOCTYPEA", max_size=60))
def test_whatever_comes_it_is_read_or_refused(text: str) -> None:
    try:
        root = read(text)
    except RemoteProtocolError:
        return
    assert root.name in text
