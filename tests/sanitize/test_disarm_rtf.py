"""RTF: what acts is gone, what it showed is there; what is hidden where nobody should look is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import documents
from disarming import RTF, TEXT
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize import disarm_rtf
from lazaretto.sanitize.disarmed import NOTHING, Disarmed

EXPECTED = {
    "object": ("rtf.object", rb" {{\pard shown\par}} end\par}"),
    "update": ("rtf.object", rb" \par}"),
    "dde": ("rtf.dde", rb" {shown last} {\field{\*\fldinst PAGE }{\fldrslt 1}}\par}"),
    "nested": ("rtf.dde", rb" {shown last}\par}"),
    "template": ("rtf.template", rb"\par}"),
    "picture": ("rtf.remote", rb"{\shp{\*\shpinst {\sp{\sn pibFlags}{\sv 14}}}}\par}"),
    "data": ("rtf.data", rb"\par}"),
}


def disarm(data: bytes) -> Disarmed:
    return disarm_rtf.disarm(Source(data), Meter())


@pytest.mark.parametrize("name", RTF)
def test_what_acts_is_gone(name: str) -> None:
    finding, rest = EXPECTED[name]
    result = disarm(RTF[name])
    assert (result.refused, {thing.name for thing in result.removed}) == ("", {finding})
    assert result.content == rb"{\rtf1\ansi " + TEXT.encode() + rest
    assert disarm(result.content) == NOTHING
    assert documents.members("rtf", result.content) == []


@pytest.mark.parametrize(
    "text",
    [
        rb"{\rtf1\ansi plain \{ \\object \par}",
        rb'{\rtf1 {\field{\*\fldinst HYPERLINK "https://example.org/link"}{\fldrslt x}}}',
        rb"{\rtf1 {\field{\*\fldinst { IF {\field{\*\fldinst PAGE}} = 1 a b}}{\fldrslt x}}}",
        rb"{\rtf1 {\*\objectwise x}{\pict\bin4 {{{{}}",
        rb"{\rtf1{\*\template C:\\Users\\a\\Normal.dotm}x}",
        rb"{\rtf1{\*\template Normal.dotm}x}",
        b"no text at all",
        b"",
    ],
)
def test_what_does_not_act_is_left_alone(text: bytes) -> None:
    assert disarm(text) == NOTHING


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (rb"{\rtf1 {\pict\bin9 {\objdata 01}}}", "binary"),
        (rb"{\rtf1 \objdata 01}", "outside of all groups"),
        (rb"{\rtf1 {\object{\*\objdata 01", "ends inside"),
        (rb"{\rtf1 a}{\*\objdata 01}", "outside of all groups"),
        (rb"{\rtf1 a}\template http://x", "where it should not"),
        (rb"{\rtf1 a}\objdata 01", "where it should not"),
        (rb"junk {\rtf1 {\object{\*\objdata 01}}}", "where it should not"),
        (b"{\\rtf1" + b"{" * 3000 + rb"\objdata", "nested too deeply"),
    ],
)
def test_what_is_refused(text: bytes, why: str) -> None:
    result = disarm(text)
    assert result.content is None
    assert why in result.refused


@pytest.mark.parametrize(
    "text",
    [
        rb"{\rtf1 {\b not first \objdata 0105} end}",
        rb"{\rtf1 {\OBJDATA 0105} end}",
        rb"{\rtf1 {{\*\objdata 01{\object 05}}} end}",
        rb"{\rtf1 {\field{\*\fldinst DD}{\*\fldinst E x}{\fldrslt end}}}",
        rb"{\rtf1 {\b\field{\*\fldinst \u68?\u68?\u69?AUTO x}{\fldrslt end}}}",
        rb"{\rtf1 {\*\fldinst DDEAUTO x} end}",
        rb"{\rtf1 {\object{\result {\object{\*\objdata 01}{\result end}}}}}",
    ],
)
def test_disguises(text: bytes) -> None:
    result = disarm(text)
    assert result.content is not None
    assert b"end" in result.content
    assert b"obj" not in result.content.lower()
    assert b"fldinst" not in result.content
    assert disarm(result.content) == NOTHING


def test_limits() -> None:
    assert "too many words" in disarm(b"{\\rtf1 {\\object}" + b"{}" * disarm_rtf.MAX_TOKENS).refused
    with pytest.raises(LimitExceeded):
        disarm_rtf.disarm(Source(b"{\\rtf1 {\\object}" + b"{}" * 20_000), Meter(deadline=1.0, clock=lambda: 2.0))


PIECES = [
    b"{",
    b"}",
    b"\\object",
    b"\\objdata ",
    b"\\field",
    b"{\\*\\fldinst ",
    b"DDEAUTO x",
    b"{\\fldrslt ",
    b"{\\result ",
    b"\\bin3 ",
    b"\\'41",
]
PIECES += [b"\\u68?", b"text", b"\\par ", b"\\*", b"\\\\", b"{\\sp{\\sn pibName}", b"\\template", b" ", b"PAGE"]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_whatever_is_done_is_done(pieces: list[bytes]) -> None:
    result = disarm(b"{\\rtf1 " + b"".join(pieces) + b"}")
    assert result.content is None or not result.refused
    if result.content is not None:
        assert result.removed
        assert disarm(result.content) == NOTHING
