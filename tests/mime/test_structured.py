"""The primary reading of structured fields."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import params, structured
from lazaretto.mime.structured import AMBIGUOUS, read

CASES: list[tuple[bytes, str, dict[str, str], set[str]]] = [
    # Honest mail: nothing to remark.
    (b" text/plain; charset=us-ascii", "text/plain", {"charset": "us-ascii"}, set()),
    (b' multipart/mixed;\r\n boundary="=_bnd.1:2/3+4"', "multipart/mixed", {"boundary": "=_bnd.1:2/3+4"}, set()),
    (b"TEXT/HTML;CHARSET=UTF-8;;", "text/html", {"charset": "UTF-8"}, set()),
    (b"attachment; filename = a.pdf ; size=3", "attachment", {"filename": "a.pdf", "size": "3"}, set()),
    (b'attachment; filename="a;b (1).pdf"', "attachment", {"filename": "a;b (1).pdf"}, set()),
    (b"a/b; name=\xc3\xa0\xe2\x80\xae; x=y", "a/b", {"name": "à\u202e", "x": "y"}, set()),
    (b"a/b; name=\xe4.pdf", "a/b", {"name": "ä.pdf"}, {"params.raw-8bit"}),
    # Honest, and noted.
    (b"text/plain (a (b) \\) c) ; (d) charset=(e)x (f)", "text/plain", {"charset": "x"}, {"params.comment"}),
    (b"a/b; name*=UTF-8'en'Pr%C3%A4.pdf", "a/b", {"name": "Prä.pdf"}, {"params.rfc2231"}),
    (b"a/b; name*1=b.pdf; name*0*=UTF-8''Pr%C3%A4", "a/b", {"name": "Präb.pdf"}, {"params.rfc2231"}),
    (b"a/b; name=a.txt; name*=us-ascii''b.txt", "a/b", {"name": "b.txt"}, {"params.rfc2231"}),
    (b'a/b; name="=?utf-8?Q?a=2Ejs?="', "a/b", {"name": "a.js"}, {"params.encoded-name"}),
    (b'"base64"', "base64", {}, {"params.quoted-value"}),
    (b"multipart / mixed", "multipart/mixed", {}, {"params.blank-in-value"}),
    # Where clients disagree.
    (b"a/b; boundary=x; boundary=y", "a/b", {"boundary": "x"}, {"params.duplicate"}),
    (b"a/b; boundary=x; boundary*=us-ascii''y", "a/b", {"boundary": "y"}, {"params.duplicate", "params.rfc2231"}),
    (b"a/b; name*0=x; name*2=y", "a/b", {"name": "x"}, {"params.rfc2231", "params.rfc2231-gap"}),
    (b"a/b; name*1=x; name*2=y", "a/b", {"name": "xy"}, {"params.rfc2231", "params.rfc2231-gap"}),
    (b'a/b; boundary="=?us-ascii?Q?x?="', "a/b", {"boundary": "=?us-ascii?Q?x?="}, {"params.encoded-word"}),
    (b'a/b; boundary="x', "a/b", {"boundary": "x"}, {"params.unterminated-quote"}),
    (b"a/b; (boundary", "a/b", {}, {"params.comment", "params.unterminated-comment"}),
    (b'a/b; boundary="x"y', "a/b", {"boundary": "x"}, {"params.junk-after-quote"}),
    (b'a/b; boundary="x\\"y"', "a/b", {"boundary": 'x"y'}, {"params.escape"}),
    (b"a/b boundary=x", "a/b", {"boundary": "x"}, {"params.missing-semicolon"}),
    (b"a/b, boundary=x", "a/b", {"boundary": "x"}, {"params.missing-semicolon"}),
    (b"a/b; boundary=x y", "a/b", {"boundary": "x"}, {"params.missing-semicolon", "params.junk"}),
    (b";a/b; boundary=x", "a/b", {"boundary": "x"}, {"params.semicolon-first"}),
    (b"a/b; bo\0undary=x", "a/b", {"boundary": "x"}, {"params.nul"}),
    (b"a/b; bound\\ary=x", "a/b", {"bound\\ary": "x"}, {"params.odd-name"}),
    (b"a/b; boundary=x(y)z", "a/b", {"boundary": "x(y)z"}, {"params.comment-in-value"}),
    (b"multi(x)part/b", "multipart/b", {}, {"params.comment", "params.comment-in-value"}),
    (b'a/b; x="; boundary=y"', "a/b", {"x": "; boundary=y"}, {"params.hidden-key"}),
    (b"a/b; (boundary=y)", "a/b", {}, {"params.comment", "params.hidden-key"}),
    (b"a/b; boundary='x'", "a/b", {"boundary": "'x'"}, {"params.single-quotes"}),
    (b"a/b; name=a\rboundary=x", "a/b", {"name": "a", "boundary": "x"}, {"params.bare-cr", "params.missing-semicolon"}),
    (b"", "", {}, set()),
]


@pytest.mark.parametrize(("value", "main", "parameters", "anomalies"), CASES)
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_read(value: bytes, main: str, parameters: dict[str, str], anomalies: set[str], newline: bytes) -> None:
    found = read(value.replace(b"\r\n", newline) + newline)
    assert (found.value, dict(found.params), set(found.anomalies)) == (main, parameters, anomalies)
    for key, text in parameters.items():
        assert found.get(key) == text
    assert found.get("absent") is None


def test_every_ambiguity_is_produced_by_a_case() -> None:
    produced = {note for *_, notes in CASES for note in notes} | {"params.too-long", "params.too-many"}
    assert produced >= AMBIGUOUS


def test_max_field_bytes() -> None:
    value = b"a/b; x=y; name=" + b"n" * 100
    found = read(value, Limits(max_field_bytes=50))
    assert found.anomalies == ("params.too-long",)
    assert found.get("name") == "n" * 35


def test_max_params() -> None:
    found = read(b"a/b" + b"".join(b"; k%d=v" % n for n in range(20)), Limits(max_params=5))
    assert found.anomalies == ("params.too-many",)
    assert len(found.params) == 5


@pytest.mark.parametrize("unit", [b";", b"(", b'"', b"\\", b"()", b'";', b"a=", b",;", b"x=y ", b"(\\", b"\r", b"=?"])
def test_big_and_silly(unit: bytes) -> None:
    """Quadratic code would not come back from this in the time of a test."""
    limits = Limits(max_field_bytes=1 << 21, max_params=1 << 20)
    read(b"a/b; " + unit * ((1 << 18) // len(unit)), limits)


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [b";", b"=", b'"', b"(", b")", b"\\", b"*0", b"*", b"''", b"%41", b"name", b" ", b"\r\n ", b"\0", b"\xe4", b"=?", b"?="]
        )
    ).map(b"".join)
)
def test_never_raises(value: bytes) -> None:
    found = read(value)
    keys = [key for key, _ in found.params]
    assert len(set(keys)) == len(keys)
    assert found.value == found.value.lower()


_TOKEN = st.text(alphabet="abcxyz0189-+.!", min_size=1, max_size=8)
_TEXT = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='?"\\%'), max_size=20)


@given(_TOKEN, st.dictionaries(_TOKEN, _TEXT, max_size=4))
def test_round_trip(main: str, parameters: dict[str, str]) -> None:
    parameters = {"k" + key: text for key, text in parameters.items()}
    value = main + "".join(f';\r\n {key}="{text}"' for key, text in parameters.items())
    found = read(value.encode())
    assert (found.value, dict(found.params)) == (main, parameters)


# -- values that have one reading for everybody

_WORDS = ["text/plain", "attachment", "a", "", "x.pdf", "name", "NaMe", "filename", "n", "me", "fi", "boundary", "charset", "utf-8", "7"]
_SIGNS = [*" \t;=,\"'()/*%-_.:<>[]{}@!#$&+^`|~?\\\0", "\r\n ", "\n\t", "\r\n", "\r", "=_", "=?", "\xe9"]


def _param(key: str, value: str, gap: str, quoted: bool) -> str:
    return f';{gap}{key}="{value}"' if quoted else f";{gap}{key}={value}"


_VALUE = st.lists(st.sampled_from(_WORDS) | st.sampled_from(_SIGNS), max_size=4).map("".join)
_PARAM = st.builds(
    _param,
    st.sampled_from(["name", "filename", "FileName", "boundary", "charset", "x", "xname"]) | _VALUE,
    _VALUE,
    st.sampled_from(["", " ", "\r\n\t", "\n ", "  "]),
    st.booleans(),
)
_FIELD = st.builds(
    lambda main, params, end: (main + "".join(params) + end).encode("latin-1"),
    st.sampled_from([" text/plain", "attachment", "multipart/mixed", "a", ""]) | _VALUE,
    st.lists(_PARAM, max_size=4),
    st.sampled_from(["", ";", " ", "; ", "\r\n"]),
)


@settings(max_examples=1000, deadline=None)
@given(_FIELD)
@example(b"attachment; filename=a.pdf;")
@example(b'a/b; boundary="----=_Part_1.2"; name=x')
@example(b'a/b; x="n.a.m.e=y"')
@example(b"a/b; x=name*0*=y")
@example(b'a/b; name=""')
def test_a_plain_value_has_one_reading(value: bytes) -> None:
    plain = structured.plain(value)
    if plain is None:
        return
    assert plain == structured._read(value, DEFAULT)
    assert not plain.anomalies
    keys = ("name", "filename")
    assert params.readings_of(value, keys) == [tuple(text for name, text in plain.params if name == key) for key in keys]


def test_honest_values_are_plain() -> None:
    for value in (
        b" text/plain; charset=us-ascii",
        b' multipart/mixed;\r\n\tboundary="----=_Part_1.2"',
        b'attachment; filename="a b.pdf"; size=3',
    ):
        assert structured.plain(value) is not None


def test_plain_values_keep_the_limits() -> None:
    value = b"a/b; x=1; y=2"
    assert structured.plain(value, DEFAULT._replace(max_params=1)) is None
    assert structured.plain(value, DEFAULT._replace(max_field_bytes=12)) is None
    assert "params.too-many" in read(value, DEFAULT._replace(max_params=1)).anomalies
