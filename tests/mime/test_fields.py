"""Header blocks: the primary reading, its anomalies, and what other readers see."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import field_readings, fields
from lazaretto.mime.source import Source
from lazaretto.model import Span

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "evasion"


def read(data: bytes, limits: Limits | None = None) -> fields.Header:
    return fields.read_header(Source(data), 0, len(data), limits or Limits())


def other_fields(data: bytes) -> tuple[tuple[str, bytes], ...]:
    return field_readings.other_fields(Source(data), 0, len(data))


def splits(data: bytes) -> tuple[tuple[Span, int], ...]:
    return field_readings.other_splits(Source(data), 0, len(data))


HONEST = b'From: a@b\r\nSubject: x\r\n\ty\r\nContent-Type: multipart/mixed;\r\n boundary="foo"\r\n\r\nbody: x\r\n\r\n'


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_honest(newline: bytes) -> None:
    data = HONEST.replace(b"\r\n", newline)
    header = read(data)
    assert header.anomalies == ()
    assert [(field.name, field.value) for field in header.fields] == [
        ("from", b" a@b"),
        ("subject", b" x" + newline + b"\ty"),
        ("content-type", b" multipart/mixed;" + newline + b' boundary="foo"'),
    ]
    assert data[header.body_start :].startswith(b"body: x")
    assert header.span == (0, header.body_start - len(newline))
    # What a deletion removes: whole lines, and together all of the header.
    assert b"".join(Source(data).span(field.span) for field in header.fields) == data[: header.span.stop]
    assert splits(data) == ()
    assert set(other_fields(data[: header.span.stop])) == {(field.name, field.value) for field in header.fields[2:]}


def test_trailing_data_and_offset_change_nothing() -> None:
    header = read(HONEST)
    data = b"zzzz" + HONEST + b"more\r\n\r\n" * 1000
    moved = fields.read_header(Source(data), 4, len(data))
    assert moved.body_start == header.body_start + 4
    assert [(field.name, field.value) for field in moved.fields] == [(field.name, field.value) for field in header.fields]


def test_every_cut_gives_a_header() -> None:
    for stop in range(len(HONEST)):
        header = fields.read_header(Source(HONEST), 0, stop)
        assert header.body_start <= stop
        complete = stop >= HONEST.index(b"body")
        if header.fields:
            assert ("header.no-end" in header.anomalies) != complete


CASES: list[tuple[bytes, list[tuple[str, bytes]], set[str]]] = [
    (b"", [], set()),
    (b"\r\nbody", [], set()),
    (b"\nbody", [], set()),
    (b"A: b\r\n", [("a", b" b")], {"header.no-end"}),
    (b"A:\r\n\r\n", [("a", b"")], set()),
    (b"From x@y Tue Mar 5\r\nA: b\r\n\r\n", [("a", b" b")], {"header.mbox-from"}),
    (b">From x@y Tue Mar 5\r\nA: b\r\n\r\n", [("a", b" b")], {"header.mbox-from"}),
    (b"From : x\r\n\r\n", [("from", b" x")], {"header.space-before-colon"}),
    (b"\r\n\r\nA: b\r\n\r\n", [("a", b" b")], {"header.leading-lines"}),
    (b"\xef\xbb\xbfA: b\r\n\r\n", [("a", b" b")], {"header.bom"}),
    (b" A: b\r\n\r\n", [("a", b" b")], {"header.leading-blank"}),
    (b"A: b\r\njunk\r\nC: d\r\n\r\n", [("a", b" b"), ("c", b" d")], {"header.junk-line"}),
    (b"A: b\r\n \t\r\n c\r\nD: e\r\n\r\n", [("a", b" b\r\n \t\r\n c"), ("d", b" e")], {"header.blank-line-with-space"}),
    (b"A : b\r\n\r\n", [("a", b" b")], {"header.space-before-colon"}),
    (b"A:: b\r\n\r\n", [("a", b": b")], {"header.double-colon"}),
    (b"A (x): b\r\n\r\n", [("a", b" b")], {"header.name-comment"}),
    (b"A(x): b\r\n\r\n", [("a", b" b")], {"header.name-comment"}),
    (b"A\0: b\r\n\r\n", [("a", b" b")], {"header.nul"}),
    (b"\xc4: b\r\n\r\n", [("ä", b" b")], {"header.name-8bit"}),
    (b"A: b\rC: d\r\n\r\n", [("a", b" b\rC: d")], {"header.bare-cr"}),
    (b"A: b\r\r\nC: d\r\r\n\r\r\nbody", [("a", b" b"), ("c", b" d")], {"header.cr-cr-lf"}),
    (b"A: b\nC: d\r\n\r\n", [("a", b" b"), ("c", b" d")], {"header.mixed-line-ends"}),
    (b"A: b\r\nContent-Type text/plain\r\n\r\n", [("a", b" b")], {"header.colon-missing"}),
    (b"A: b\r\n Content-Type: text/plain\r\n\r\n", [("a", b" b\r\n Content-Type: text/plain")], {"header.hidden-field"}),
    (b"A: b\r\nboundary=x\r\n\r\n", [("a", b" b")], {"header.unindented-parameter", "header.junk-line"}),
    (b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n", [("content-type", b" a/b"), ("content-type", b" c/d")], {"header.duplicate"}),
    (b"Just text.\r\nMore of it.\r\n\r\n", [], {"header.no-fields", "header.junk-line"}),
    (b"A: b\r\n(((: c\r\n\r\n", [("a", b" b")], {"header.name-comment"}),
]


@pytest.mark.parametrize(("data", "expected", "anomalies"), CASES)
def test_primary(data: bytes, expected: list[tuple[str, bytes]], anomalies: set[str]) -> None:
    header = read(data)
    assert [(field.name, field.value) for field in header.fields] == expected
    assert set(header.anomalies) == anomalies
    assert 0 <= header.span.start <= header.span.stop <= header.body_start <= len(data)
    for field in header.fields:
        assert data[field.span.start : field.span.stop].rstrip(b"\r\n").endswith(field.value)


def test_every_ambiguity_is_produced_by_a_case() -> None:
    produced = {note for *_, notes in CASES for note in notes} | {"header.too-long", "header.too-many-fields"}
    assert produced >= fields.AMBIGUOUS


def test_signatures_list_field_names_and_hide_none() -> None:
    for value in (
        b"h=from:\r\n\tcontent-type:mime-version;",
        b"h=date:\r\n content-type;\r\n b=x",
        b"h=\r\n content-type:from:content-transfer-encoding;",
    ):
        assert read(b"DKIM-Signature: v=1; " + value + b"\r\n\r\n").anomalies == ()
    assert read(b"DKIM-Signature: v=1\r\n Content-Type: multipart/mixed\r\n\r\n").anomalies == ("header.hidden-field",)


def test_text_without_header_is_body() -> None:
    header = read(b"Just text.\r\n\r\nMore.")
    assert (header.span, header.body_start) == ((0, 0), 0)


def test_leading_empty_line_before_text_ends_the_header() -> None:
    assert read(b"\r\nHello there\r\n\r\nMore").body_start == 2


def test_what_is_skipped_is_outside_the_span() -> None:
    data = b"From x\r\n\r\nA: b\r\n\r\n"
    header = read(data)
    assert data[header.span.start : header.span.stop] == b"A: b\r\n"


def test_max_header_bytes() -> None:
    data = b"A: b\r\n" * 100
    header = read(data, Limits(max_header_bytes=100))
    assert "header.too-long" in header.anomalies
    assert header.span == (0, 96)
    assert header.body_start == 96
    assert len(header.fields) == 16
    huge = b"A: " + b"b" * 5000 + b"\r\n\r\n"
    assert read(huge, Limits(max_header_bytes=100)).body_start == 100
    assert read(b"A: b\r\n\r\n" + b"x" * 1000, Limits(max_header_bytes=100)).anomalies == ()


def test_max_header_fields_keeps_mime_fields() -> None:
    data = b"A: b\r\n" * 50 + b"Content-Type: a/b\r\n" + b"C: d\r\n" * 50 + b"content-disposition: x\r\n\r\n"
    header = read(data, Limits(max_header_fields=10))
    assert header.anomalies == ("header.too-many-fields",)
    assert [field.name for field in header.fields[10:]] == ["content-type", "content-disposition"]
    assert len(read(b"Content-X: y\r\n" * 1000, Limits(max_header_fields=10)).fields) <= 10 + fields.LATE_FIELDS


def test_header_longer_than_the_window() -> None:
    for size in range(fields.WINDOW - 8, fields.WINDOW + 8):
        data = b"A: " + b"x" * size + b"\r\n\r\nbody"
        header = read(data)
        assert (header.anomalies, data[header.body_start :]) == ((), b"body")


@pytest.mark.parametrize(
    "unit",
    [b"\r", b"\n ", b"\0", b" ", b"(", b"()", b":", b";", b"a:b\n", b"junk\n", b"From x\n", b"\r\r\n", b"content-type ", b"a:b\r\r\n \r"],
)
def test_big_and_silly(unit: bytes) -> None:
    """Quadratic code would not come back from this in the time of a test."""
    for lead in (b"", b"A: b\r\n", b"content-type"):
        data = lead + unit * ((1 << 18) // len(unit))
        read(data)
        splits(data)
        other_fields(data)


@given(
    st.lists(
        st.sampled_from(
            [
                b"A",
                b":",
                b" ",
                b"\t",
                b"\r",
                b"\n",
                b"\r\n",
                b"\0",
                b"(",
                b")",
                b"\xe4",
                b"From ",
                b"Content-Type",
                b"content-disposition",
                b"name=",
                b"x/y",
                b"\xef\xbb\xbf",
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
def test_never_raises(data: bytes) -> None:
    header = read(data)
    assert 0 <= header.span.start <= header.span.stop <= header.body_start <= len(data)
    at = header.span.start
    for field in header.fields:
        assert at <= field.span.start < field.span.stop <= header.span.stop
        at = field.span.stop
        assert field.name
    for span, body in splits(data):
        assert 0 <= span.start <= span.stop <= body <= len(data)
    for name, _ in other_fields(data):
        assert name.startswith(("content-", "mime-version"))


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


def test_oracle_sees_no_field_and_no_split_that_we_miss(oracle: ModuleType) -> None:
    checked = 0
    for path in sorted((SHARED / "cases").glob("[ADEFGHJ]-*.eml")):
        data = path.read_bytes()[:20_000]
        entities = [data, *[segment for boundary in (b"foo", b"bar") for segment, _ in oracle.segments(data, boundary)][:8]]
        for entity in filter(bytes.strip, entities):
            source = Source(entity)
            header = read(entity)
            if not header.fields:
                continue  # text, or the rest of a cut
            ours = {entity[at:].lstrip() for _, at in ((header.span, header.body_start), *splits(entity))}
            for judged_header, judged_body in oracle.splits(entity):
                if len(judged_header) > header.span.stop or judged_body.startswith(b"\nSubject"):
                    continue  # a second empty line of a body; CR CR within CRCRLF
                checked += 1
                assert judged_body.lstrip() in ours, path.stem
                found = {
                    (name, _plain(value.decode("latin-1"))) for name, value in field_readings.other_fields(source, 0, len(judged_header))
                }
                for name, value in oracle.header_fields(judged_header):
                    if name.strip("\0") == name and name.startswith("content-") and not value.startswith("\0"):
                        assert (name, _plain(value)) in found, (path.stem, name, value)
    assert checked > 300


def _plain(value: str) -> str:
    return re.sub(r"\s+", " ", value).strip(": ")


# -- the fast way and the slow way

_LINES = [b"Subject: x\r\n", b"a\n", b" fold\r\n", b"\tfold: y\n", b"Content-Type: text/plain\r\n", b"content-type:: a\n", b"(x)a: b\r\n"]
_LINES += [
    b"a (b): c\n",
    b" : x\r\n",
    b"X\0: y\n",
    b"\xe9: 1\n",
    b"a: b\r\r\n",
    b"a: b\rc\n",
    b"x",
    b":",
    b"\r\n",
    b"MIME-Version : 1\n",
    b"h[]: \n",
]


@given(st.lists(st.sampled_from(_LINES) | st.binary(max_size=4), max_size=12).map(b"".join), st.integers(0, 5))
@example(b"a: b", 0)
@example(b"a: b\n\nc: d", 0)
@example(b"\n", 0)
def test_small_blocks_are_read_like_large_ones(block: bytes, first: int) -> None:
    block = block.lstrip(b"\n")
    fast: dict[str, None] = {}
    slow: dict[str, None] = {}
    assert fields._fields(block, first, DEFAULT, fast) == fields._many_fields(block, first, DEFAULT, slow)
    assert list(fast) == list(slow)


@given(st.lists(st.sampled_from(_LINES) | st.binary(max_size=4), max_size=12).map(b"".join))
def test_lines_are_looked_at_where_there_is_something_to_see(block: bytes) -> None:
    found: dict[str, None] = {}
    fields._note_lines(block, fields._many_fields(block, 0, DEFAULT, {}), found)
    assert not found or fields._ODD_LINE.search(block) or fields._ODD_START.match(block)
