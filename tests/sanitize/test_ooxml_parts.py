"""Single XML parts: what in them acts."""

from __future__ import annotations

import pytest

from lazaretto.sanitize.disarmed import Found, Refused
from lazaretto.sanitize.ooxml_parts import RELATIONSHIPS, Task, concerns, edit

R = RELATIONSHIPS[0]
X = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
NOTHING_MORE = Task()


def edited(text: str, task: Task = NOTHING_MORE) -> tuple[str, set[str]]:
    found = Found()
    data = f'<x xmlns="{X}" xmlns:r="{R}">{text}</x>'.encode()
    assert concerns(data, task)
    out = edit(data, task, "part", found).decode()
    assert not found or edit(out.encode(), NOTHING_MORE, "part", Found()).decode() == out
    return out.removeprefix(f'<x xmlns="{X}" xmlns:r="{R}">').removesuffix("</x>"), {thing.name for thing in found.removed()}


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ("<a><hlinkClick action='ppaction://macro?name=x'/>t</a>", "<a>t</a>", "office.action"),
        ("<hlinkHover action='pp&#97;ction://program'/>", "", "office.action"),
        ("<hlinkClick action='ppaction://hlinkshowjump?jump=nextslide'/>", None, ""),
        ("<connection name='c' refreshOnLoad='1'/>", "<connection name='c' refreshOnLoad=\"0\"/>", "office.connection"),
        ("<connection name='c' refreshOnLoad='0'/>", None, ""),
        ("<definedNames><definedName name='Auto_Open'>x</definedName></definedNames>", "", "office.excel4-macros"),
        ("<definedNames><definedName name='_xlnm.Auto_Close'>x</definedName><definedName name='b'>y</definedName></definedNames>",
         "<definedNames><definedName name='b'>y</definedName></definedNames>", "office.excel4-macros"),
        ("<v:imagedata xmlns:v='urn:schemas-microsoft-com:vml' src='http://192.0.2.1/x' title='t'/>",
         "<v:imagedata xmlns:v='urn:schemas-microsoft-com:vml' title='t'/>", "office.remote"),
        ("<imagedata src='x'/>", None, ""),
        ("<queryTable refreshOnLoad='true' name='q'/>", "<queryTable refreshOnLoad=\"0\" name='q'/>", "office.connection"),
        ("<settings><mailMerge><connectString/></mailMerge></settings>", "<settings></settings>", "office.connection"),
        ("<c><f>_xlfn.WEBSERVICE(\"http://192.0.2.1\")</f><v>1</v></c>", "<c><v>1</v></c>", "office.remote"),
        ("<c><f>START(\"webservice(\")</f></c>", None, ""),
        ("<oleLink progId='p'/>", "", "office.dde"),
        ("<c><f>cmd&#124;x!y</f><v>1</v></c>", "<c><v>1</v></c>", "office.dde"),
        ("<c><f>\"|!\"&amp;1</f><v>1</v></c>", None, ""),
        ("<c><f t='shared' si='3' ref='A1'>a|b!c</f></c><c><f t='shared' si='3'/></c><c><f t='shared' si='4'/></c>",
         "<c></c><c></c><c><f t='shared' si='4'/></c>", "office.dde"),
        ("<fldSimple instr='DDE x'><t>y</t></fldSimple>", "<t>y</t>", "office.dde"),
        ("<fldSimple instr='PAGE'><t>y</t></fldSimple>", None, ""),
        ("<macrosheet/>", "<worksheet/>", "office.excel4-macros"),
    ],
)  # fmt: skip
def test_what_acts(before: str, after: str | None, name: str) -> None:
    if "<macrosheet" in before:
        found = Found()
        assert (
            edit(f'<macrosheet xmlns="{X}"><f>x</f></macrosheet>'.encode(), NOTHING_MORE, "p", found)
            == f'<worksheet xmlns="{X}"></worksheet>'.encode()
        )
        assert found
        return
    assert edited(before) == (before if after is None else after, {name} - {""})


def test_references_go_with_their_relationship() -> None:
    task = Task(frozenset(("r1",)))
    assert edited("<a r:id='r1'><b/></a><a r:id='r2'/><a id='r1'/>", task) == ("<a r:id='r2'/><a id='r1'/>", set())
    assert edited("<controls><control r:id='r1'/></controls>", task)[0] == ""
    assert edited("<controls><control r:id='r1'/><control r:id='r2'/></controls>", task)[0] == "<controls><control r:id='r2'/></controls>"
    assert edited("<oleObjects><z><oleObject r:id='r1'/></z></oleObjects>", task)[0] == ""
    assert edited("<graphicFrame><oleObj r:id='r1'/></graphicFrame>", task)[0] == ""
    frame = "<graphicFrame><oleObj r:id='r1'>{}</oleObj></graphicFrame>"
    two = f"<AlternateContent><Choice>{frame.format('')}</Choice><Fallback>{frame.format('<pic>p</pic>')}</Fallback></AlternateContent>"
    assert edited(two, task)[0] == "<pic>p</pic>"


def test_formulas_that_point_into_a_link_that_is_gone() -> None:
    task = Task(books=frozenset((2,)))
    assert edited('<f>[1]!a</f><f>[2]!a</f><f>"[2]"</f>', task) == ('<f>[1]!a</f><f>"[2]"</f>', set())


def test_what_does_not_concern_us_is_not_parsed() -> None:
    assert not concerns(b"<x>not even well-formed", NOTHING_MORE)
    assert not concerns(b"<x><f>A1</f></x>", NOTHING_MORE)
    assert concerns(b"<x><f>A1</f></x>", Task(books=frozenset((1,))))
    assert concerns(b"<x/>", Task(frozenset(("r1",))))


def test_an_unusual_macro_sheet_is_refused() -> None:
    with pytest.raises(Refused, match="unusual"):
        edit(b"<macrosheet xmlns='urn:x'/>", NOTHING_MORE, "p", Found())


def test_many_objects_take_linear_time() -> None:
    """Twenty thousand of everything: a square of that would not end."""
    text = "<graphicFrame><oleObj r:id='r1'><pic/></oleObj></graphicFrame><definedNames><definedName name='Auto_Open'/></definedNames>"
    assert edited(text * 20_000, Task(frozenset(("r1",))))[0] == "<pic/>" * 20_000
