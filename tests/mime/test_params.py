"""All readings of parameters and main values; the evasion corpus' oracle is an independent judge of them."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.limits import Limits
from lazaretto.mime import params

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "evasion"


@pytest.mark.parametrize(
    ("value", "readings"),
    [
        (b' multipart/mixed; boundary="=_bnd.1:2/3+4"', ("=_bnd.1:2/3+4",)),
        (b"multipart/mixed;\r\n boundary=foo;\r\n type=x", ("foo",)),
        (b'multipart/related; type="text/html"; boundary="a b"', ("a b",)),
        (b"text/plain; charset=utf-8", ()),
    ],
)
def test_an_honest_boundary_has_one_reading(value: bytes, readings: tuple[str, ...]) -> None:
    assert params.readings(value, "boundary") == readings


@pytest.mark.parametrize(
    ("value", "readings"),
    [
        (b"x; boundary=a; boundary=b", {"a", "b"}),
        (b"x; boundary=a; boundary*=us-ascii''b", {"a", "b"}),
        (b"x; boundary*0=a; boundary*1=b", {"ab"}),
        (b"x; boundary*1=b; boundary*0=a", {"ab", "ba"}),
        (b"x; boundary*1=a; boundary*2=b", {"ab"}),
        (b"x; boundary*0=a; boundary*2=b", {"ab", "a"}),
        (b"x; boundary*0*=utf-8''a%2; boundary*1*=Eb", {"a.b", "a%2Eb"}),
        (b"x; boundary*=a%2Eb", {"a.b", "a%2Eb"}),
        (b"x; boundary*=utf-16le''a%00b%00", {"ab"}),
        (b"x; boundary*=utf-16''%00a%00b", {"ab"}),
        (b'x; boundary="=?us-ascii?Q?a?="', {"a", "=?us-ascii?Q?a?="}),
        (b"x; boundary==?us-ascii?Q?a?=", {"a"}),
        (b"x; =?us-ascii?Q?boundary=3Da?=", {"a"}),
        (b"x; boundary=(y)a", {"a", "(y)a"}),
        (b"x; boundary=a(y)b", {"ab", "a(y)b", "a"}),
        (b'x; boundary="a(y)b"', {"ab", "a(y)b"}),
        (b"x; boundary(y)=a", {"a"}),
        (b"x; (boundary=a)", {"a"}),
        (b'x; y="; boundary=a; z"', {"a"}),
        (b'x; boundary="a\\b"', {"ab", "a\\b"}),
        (b'x; boundary="a\\"b"', {'a"b', 'a\\"b', "a\\", "a"}),
        (b"x; boundary=a\\; boundary=b", {"a\\", "a", "b"}),
        (b'x; boundary="a', {"a"}),
        (b'x; boundary="a\r\n', {"a"}),
        (b'x; boundary="a"b', {"a", "ab", 'a"b'}),
        (b'x; boundary="a;b"', {"a;b", "a"}),
        (b"x; boundary=a;b", {"a", "a;b", "ab"}),
        (b"x, boundary=a", {"a"}),
        (b"x; boundary=a,b", {"a", "a,b"}),
        (b"x; boundary=a b", {"a", "a b"}),
        (b'x; boundary=" a "', {" a ", "a"}),
        (b"x; boundary='a'", {"a", "'a'"}),
        (b"x; boundary = a", {"a"}),
        (b"x; boundary=\r\n a", {"a"}),
        (b'x; boundary="a\r\n b"', {"a b", "ab"}),
        (b"x; boundary=a\0b", {"ab", "a"}),
        (b"x; boun\0dary=a", {"a"}),
        (b"x; bound\\ary=a", {"a"}),
        (b"x; boundary\0=a", {"a"}),
        (b"x\rboundary=a", {"a"}),
    ],
)
def test_disagreements(value: bytes, readings: set[str]) -> None:
    found = params.readings(value, "boundary")
    assert readings <= set(found)
    primary = params.read(value).get("boundary")
    assert primary is None or found[0] == primary
    # A folded value must read the same whatever the line end.
    assert readings <= set(params.readings(value.replace(b"\r\n", b"\n"), "boundary"))


def test_key_is_not_looked_for_in_longer_keys() -> None:
    assert params.readings(b"x; filename=a", "name") == ()


def test_text_keys_are_text() -> None:
    assert params.readings(b"x; name=\xc3\xa4", "name") == ("ä", "\xc3\xa4")
    assert params.readings(b'x; name="a%2Ejs"', "name") == ("a%2Ejs", "a.js")
    assert params.readings(b"x; boundary=\xc3\xa4", "boundary") == ("\xc3\xa4",)


def test_boundaries() -> None:
    assert params.boundaries(b"x; boundary=a") == (b"a",)
    assert params.boundaries(b'x; boundary="a "') == (b"a", b'"a"')
    assert params.boundaries(b'x; boundary=""')[0] == b""
    assert params.boundaries(b"x; boundary*=utf-8''%C3%A4")[0] == b"\xe4"
    assert "中".encode() in params.boundaries(b"x; boundary*=utf-8''%E4%B8%AD")
    assert params.boundaries(b"x") == ()


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (b" base64", ("base64",)),
        (b"7BIT\r\n", ("7bit",)),
        (b"text/plain; charset=base64", ("text/plain",)),
        (b'application/pdf; name="a/b.pdf"', ("application/pdf",)),
        (b"quoted-printable, base64", ("quoted-printable", "base64")),
        (b"quoted-printable base64", ("quoted-printable", "base64")),
        (b'"base64"', ("base64",)),
        (b"=?us-ascii?Q?base64?=", ("=?us-ascii?q?base64?=", "base64")),
        (b"=?us-ascii?B?YmFzZTY0?=", ("=?us-ascii?b?ymfzzty0?=", "base64")),
        (b"base\x0064", ("base64",)),
        (b"base64 \x0b\x0c", ("base64",)),
        (b"base64; charset=x", ("base64",)),
        (b"base-64", ("base-64", "base64")),
        (b"x-uue", ("x-uue", "x-uuencode")),
        (b"", ()),
    ],
)
def test_tokens(value: bytes, tokens: tuple[str, ...]) -> None:
    assert params.tokens(value) == tokens


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"7bit (base64)", "base64"),
        (b"ba(x)se64", "base64"),
        (b"base\r\n 64", "base64"),
        (b"x; encoding=base64", "base64"),
        (b"quoted printable", "quoted-printable"),
        (b"multi(x)part/mixed", "multipart/mixed"),
        (b"multi\r\n part/mixed; boundary=x", "multipart/mixed"),
        (b"=?us-ascii?Q?multipart/mixed?=; boundary=x", "multipart/mixed"),
        (b";multipart/mixed", "multipart/mixed"),
        (b"text/plain, multipart/mixed", "multipart/mixed"),
    ],
)
def test_hidden_tokens(value: bytes, token: str) -> None:
    assert token in params.tokens(value)


def test_limits_are_hit() -> None:
    many = b"x" + b"".join(b"; boundary=b%d" % n for n in range(200))
    found = params.readings(many, "boundary")
    assert len(found) <= params.MAX_READINGS
    assert found[:2] == ("b0", "b199")  # first and last, whatever lies between
    hostile = b'boundary=(x)\\"=?a?q?%d?=\r\n \0' * 2000
    assert len(params.readings(hostile, "boundary")) == params.MAX_READINGS
    assert len(params.tokens(b"x " + b" ".join(b"t%d" % n for n in range(100)))) == params.MAX_TOKENS
    assert params.readings(b"x; y=z; boundary=a", "boundary", Limits(max_field_bytes=8)) == ()


@pytest.mark.parametrize(
    "unit", [b"boundary", b"boundary=", b"boundary(", b"(", b'"', b"\\", b"b...", b"boundary*1=", b"=?a?q?x", b";", b"\0"]
)
def test_big_and_silly(unit: bytes) -> None:
    """Quadratic code would not come back from this in the time of a test."""
    value = unit * ((1 << 19) // len(unit))
    limits = Limits(max_field_bytes=1 << 20)
    params.readings(value, "boundary", limits)
    params.tokens(value, limits)


@given(
    st.lists(
        st.sampled_from(
            [
                b";",
                b"=",
                b'"',
                b"(",
                b")",
                b"\\",
                b"*0",
                b"*1*",
                b"*",
                b"''",
                b"%41",
                b"boundary",
                b" ",
                b"\r\n ",
                b"\r",
                b"\0",
                b"\xe4",
                b"=?a?q?",
                b"?=",
                b"a",
                b"/",
            ]
        ),
        max_size=25,
    ).map(b"".join)
)
def test_never_raises(value: bytes) -> None:
    for key in ("boundary", "name"):
        found = params.readings(value, key)
        assert len(set(found)) == len(found) <= params.MAX_READINGS
        primary = params.read(value).get(key)
        assert primary is None or found[0] == primary
    params.boundaries(value)
    main = params.read(value).value
    assert params.tokens(value)[:1] == ((main,) if main else params.tokens(value)[:1])


# -- the judge -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    path = SHARED / "oracle.py"
    if not path.exists():
        pytest.skip("the evasion corpus is not beside this checkout")
    spec = importlib.util.spec_from_file_location("evasion_oracle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    recursion = sys.getrecursionlimit()
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
        sys.setrecursionlimit(recursion)
    return module


def _values(oracle: ModuleType) -> Iterator[tuple[str, str, str]]:
    """(case, field name, value) of each MIME field that the oracle sees in the first layers of each case."""
    seen = set()
    for path in sorted((SHARED / "cases").glob("*.eml")):
        data = path.read_bytes()[:20_000]
        entities = [data, *[segment for boundary in (b"foo", b"bar") for segment, _ in oracle.segments(data, boundary)][:8]]
        for entity in entities:
            for header, _ in oracle.splits(entity)[:2]:
                for name, value in oracle.header_fields(header):
                    if name.startswith("content-") and (name, value) not in seen:
                        seen.add((name, value))
                        yield path.stem, name, value


def _plain(value: str) -> str:
    """Quotes, blanks and the choice between UTF-8 and latin-1 apart."""
    try:
        value = value.encode("latin-1").decode("utf-8")
    except ValueError:
        pass
    return re.sub(r"[\r\n\"]", "", value).strip(" \t;").strip("'")


def test_oracle_parameters(oracle: ModuleType) -> None:
    checked = 0
    for case, _, value in _values(oracle):
        for key, pattern in (("boundary", r"bound\W*ary"), ("name", r"(?<![a-z])name"), ("filename", r"(?<![a-z])filename")):
            ours = {_plain(found) for found in params.readings(value.encode("latin-1"), key)}
            for judged in map(_plain, oracle.values(value, pattern)):
                if re.search(rf";\s*{key}", judged):
                    continue  # the oracle also takes all the rest of the field for the value
                checked += 1
                assert judged in ours, (case, value, key)
    assert checked > 100


def test_oracle_tokens(oracle: ModuleType) -> None:
    recognised = (r"base\W*64|b64", r"quot|qp", r"uu", r"yenc", r"binhex|hqx", r"gzip")
    checked = 0
    for case, name, value in _values(oracle):
        if name == "content-disposition":
            continue
        patterns = recognised if name == "content-transfer-encoding" else ("multi", "message/")
        ours = " ".join(params.tokens(value.encode("latin-1")))
        judged = oracle.norm(value)
        if name == "content-type":
            judged = judged.split(";")[0] or judged
        for pattern in patterns:
            if re.search(pattern, judged):
                checked += 1
                assert re.search(pattern, ours), (case, value)
    assert checked > 50
