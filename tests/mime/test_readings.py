"""Other readings: each technique of ambiguity gives up what it hides, and limits hold."""

from __future__ import annotations

import base64
import gzip
import quopri
import re
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import wrappings
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import readings
from lazaretto.mime.source import Source
from lazaretto.model import Span

HIDDEN = b"What nobody was meant to see \x00\xff and scanners least of all"
B64 = base64.b64encode(HIDDEN)
TEXT = b"Hidden words of plain text"


def keep(chunks: Iterable[bytes]) -> Source:
    return Source(b"".join(chunks))


def explored(message: bytes, limits: Limits = DEFAULT, default_type: str = "text/plain") -> list[tuple[readings.Reading, bytes]]:
    source = Source(message)
    found = readings.explore(source, Span(0, source.size), keep, readings.Budget(limits, source.size), default_type)
    return [(reading, b"".join(reading.decode())) for reading in found]


def leaves(message: bytes, limits: Limits = DEFAULT) -> list[bytes]:
    return [content for _, content in explored(message, limits)]


def crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


PART = b"Content-Transfer-Encoding: base64\n\n" + B64 + b"\n"


def multipart(content_type: bytes, body: bytes) -> bytes:
    return b"Subject: x\nMIME-Version: 1.0\nContent-Type: " + content_type + b"\n\n" + body


# name -> (message with LF, what some client shows)
TECHNIQUES: dict[str, tuple[bytes, bytes]] = {
    # several Content-Types: first, last, merged
    "duplicate type, first is multipart": (
        multipart(b"multipart/mixed; boundary=b\nContent-Type: text/plain", b"--b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    "duplicate type, last is multipart": (
        multipart(b"text/plain\nContent-Type: multipart/mixed; boundary=b", b"--b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    "two boundaries in two fields": (
        multipart(
            b"multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b", b"--a\n\nhi\n--a--\n--b\n" + PART + b"--b--\n"
        ),
        HIDDEN,
    ),
    "boundary in Content-Disposition": (
        multipart(b"multipart/mixed\nContent-Disposition: x; boundary=b", b"--b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    # several values of one parameter
    "boundary twice": (
        multipart(b"multipart/mixed; boundary=a; boundary=b", b"--a\n\nhi\n--a--\n--b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    "boundary with a comment": (multipart(b"multipart/mixed; boundary=b(c)", b"--b\n" + PART + b"--b--\n"), HIDDEN),
    "boundary in RFC 2231 pieces": (
        multipart(b"multipart/mixed; boundary=a; boundary*0=b; boundary*1=c", b"--bc\n" + PART + b"--bc--\n"),
        HIDDEN,
    ),
    "boundary percent-encoded": (multipart(b"multipart/mixed; boundary*=us-ascii''%62", b"--b\n" + PART + b"--b--\n"), HIDDEN),
    "boundary with NUL": (multipart(b"multipart/mixed; boundary=b\0c", b"--b\n" + PART + b"--b--\n"), HIDDEN),
    "boundary in single quotes": (multipart(b"multipart/mixed; boundary='b'", b"--b\n" + PART + b"--b--\n"), HIDDEN),
    "boundary quotes kept": (multipart(b'multipart/mixed; boundary="b"', b'--"b"\n' + PART + b'--"b"--\n'), HIDDEN),
    "boundary with blanks at its end": (multipart(b'multipart/mixed; boundary="b  "', b"--b\n" + PART + b"--b--\n"), HIDDEN),
    # no usable boundary: guessed from the body
    "missing boundary": (multipart(b"multipart/mixed", b"preamble\n--q\n" + PART + b"--q--\n"), HIDDEN),
    "missing boundary, delimiter in the first line": (multipart(b"multipart/mixed", b"--q\n" + PART), HIDDEN),
    "missing boundary, indented delimiter": (multipart(b"multipart/mixed", b"x\n \t--q\n" + PART), HIDDEN),
    "missing boundary, blank line before the header": (multipart(b"multipart/mixed", b"x\n--q\n\n" + PART), HIDDEN),
    "wrong boundary": (multipart(b"multipart/mixed; boundary=b", b"x\n--other\n" + PART + b"--other--\n"), HIDDEN),
    "no MIME header at all": (b"Subject: x\n\nhello\n--q\n" + PART, HIDDEN),
    # delimiters
    "delimiter in the middle of a line": (
        multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\nand then --b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    "delimiter with text behind it": (multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\n--b or not\n" + PART + b"--b--\n"), HIDDEN),
    "delimiter in a line that is too long hides no other": (
        multipart(b"multipart/mixed; boundary=b", b"--b" + b"x" * 5000 + b"\n\nhi\nand --b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    "delimiter longer than the boundary": (multipart(b"multipart/mixed; boundary=b", b"--bb\n" + PART + b"--bb--\n"), HIDDEN),
    "part after the close delimiter": (multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\n--b--\n\n--b\n" + PART + b"--b--\n"), HIDDEN),
    "no close delimiter": (multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\n--b\n" + PART), HIDDEN),
    "preamble": (multipart(b"multipart/mixed; boundary=b", TEXT + b"\n--b\n\nhi\n--b--\n"), TEXT),
    "epilogue": (multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\n--b--\n" + TEXT), TEXT),
    "outer delimiter hides the inner multipart": (
        multipart(
            b"multipart/mixed; boundary=o",
            b"--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nhi\n--o\n\nx\n--i\n" + PART + b"--i--\n--o--\n",
        ),
        HIDDEN,
    ),
    # transfer encodings
    "two encodings": (
        b"Subject: x\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\n" + B64 + b"\n",
        HIDDEN,
    ),
    "a list of encodings": (b"Subject: x\nContent-Transfer-Encoding: 8bit, base64\n\n" + B64 + b"\n", HIDDEN),
    "an encoding misspelt": (b"Subject: x\nContent-Transfer-Encoding: x-base-64\n\n" + B64 + b"\n", HIDDEN),
    "quoted-printable abbreviated": (
        b"Subject: x\nContent-Transfer-Encoding: qp\n\n" + quopri.encodestring(TEXT, quotetabs=True) + b"\n",
        TEXT,
    ),
    "damaged base64": (b"Subject: x\nContent-Transfer-Encoding: base64\n\nA===" + B64 + b"\n", HIDDEN),
    "encoded multipart": (
        multipart(
            b"multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64", base64.b64encode(b"--b\n\n" + TEXT + b"\n--b--\n") + b"\n"
        ),
        TEXT,
    ),
    "multipart not encoded although it says so": (
        multipart(b"multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64", b"--b\n" + PART + b"--b--\n"),
        HIDDEN,
    ),
    "encoded message": (
        multipart(b"message/rfc822\nContent-Transfer-Encoding: base64", base64.b64encode(b"Subject: y\n" + PART) + b"\n"),
        HIDDEN,
    ),
    "message in message": (multipart(b"message/rfc822", b"Subject: y\n" + PART), HIDDEN),
    # header
    "header after a blank line": (b"Subject: x\n\nContent-Transfer-Encoding: base64\n\n" + B64 + b"\n", HIDDEN),
    "header after leading blank lines": (b"\n\nSubject: x\n" + PART, HIDDEN),
    "line of blanks ends the header": (b"Subject: x\n \n" + TEXT + b"\n\nmore\n", TEXT),
    "indented field": (b"Subject: x\n Content-Transfer-Encoding: base64\n\n" + B64 + b"\n", HIDDEN),
    "field name with a blank": (b"Subject: x\nContent-Transfer-Encoding : base64\n\n" + B64 + b"\n", HIDDEN),
    "field without a colon": (b"Subject: x\nContent-Transfer-Encoding base64\n\n" + B64 + b"\n", HIDDEN),
    "NUL in a field name": (b"Subject: x\nContent-Transfer\0-Encoding: base64\n\n" + B64 + b"\n", HIDDEN),
    "NUL in a delimiter": (multipart(b"multipart/mixed; boundary=b", b"--\0b\n" + PART + b"--b--\n"), HIDDEN),
}


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("ends", ["crlf", "lf"])
def test_what_a_technique_hides_is_seen(technique: str, ends: str) -> None:
    message, hidden = TECHNIQUES[technique]
    contents = leaves(crlf(message) if ends == "crlf" else message)
    assert any(hidden in content for content in contents)


@pytest.mark.parametrize("technique", [name for name, (_, hidden) in TECHNIQUES.items() if hidden == HIDDEN and "NUL" not in name])
def test_the_same_with_cr_for_line_ends(technique: str) -> None:
    message, hidden = TECHNIQUES[technique]
    found = explored(message.replace(b"\n", b"\r"))
    assert any(hidden in content for _, content in found)
    assert any(reading.label.startswith("cr-as-line-end") for reading, _ in found)


def test_cr_cr_lf_is_one_line_end_to_some() -> None:
    message, hidden = TECHNIQUES["duplicate type, last is multipart"]
    found = explored(message.replace(b"\n", b"\r\r\n"))
    assert any(hidden in content for reading, content in found if reading.label.startswith("crcrlf"))


def test_a_reading_tells_where_it_is_from() -> None:
    message = multipart(
        b"multipart/mixed; boundary=a; boundary=b",
        b"--b\nContent-Type: image/png; name=a.png\nContent-Disposition: x; filename=b.exe\n" + PART + b"--b--\n",
    )
    reading = next(reading for reading, content in explored(message) if content == HIDDEN and reading.media_type == "image/png")
    assert {"a.png", "b.exe"} <= set(reading.names)
    assert reading.encoding == "base64"
    assert reading.label.endswith("/base64")
    assert reading.source.span(reading.span).strip() == B64


def test_variants_of_a_damaged_encoding_are_labelled() -> None:
    message = b"Subject: x\nContent-Transfer-Encoding: base64\n\nA===" + B64 + b"\n"
    assert any(":" in reading.encoding and reading.label.endswith(reading.encoding) for reading, _ in explored(message))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"base64", ("base64",)),
        (b"BASE64", ("base64",)),
        (b"x-base64", ("base64",)),
        (b"b64", ("base64",)),
        (b"quoted-printable", ("quoted-printable",)),
        (b"Quoted_Printable", ("quoted-printable",)),
        (b"qp", ("quoted-printable",)),
        (b"x-uuencode", ("x-uuencode",)),
        (b"x-gzip64", ("x-gzip64",)),
        (b"yenc", ("x-yenc",)),
        (b"mac-binhex40", ("binhex",)),
        (b"7bit", ()),
        (b"", ()),
        (b"quoted-printable base64", ("base64", "quoted-printable")),
    ],
)
def test_encodings(value: bytes, expected: tuple[str, ...]) -> None:
    assert readings.encodings([value]) == expected


@pytest.mark.parametrize("missing", [1, 2, 3])
@pytest.mark.parametrize("kind", [b"multipart/mixed; boundary=b", b"message/rfc822"])
def test_a_damaged_encoding_around_parts(missing: int, kind: bytes) -> None:
    """A decoder that begins anew on each line sees the parts all the same."""
    inner = b"--b\nContent-Type: text/plain\n\nsome text for a whole line or two, so that others are whole\n--b\n" + PART + b"--b--\n"
    if kind.startswith(b"message"):
        inner = b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n" + inner
    damaged = base64.encodebytes(inner)[missing:]
    assert HIDDEN in leaves(multipart(kind + b"\nContent-Transfer-Encoding: base64", damaged))


def test_encodings_of_several_fields_are_put_together() -> None:
    assert set(readings.encodings([b"7bit", b"base64", b"qp"])) == {"base64", "quoted-printable"}


def test_default_type_of_a_digest() -> None:
    message = multipart(b"multipart/digest; boundary=b; boundary=c", b"--b\n\nSubject: y\n" + PART + b"--b--\n")
    assert HIDDEN in leaves(message)


# -- repaired copies


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\0", b"bc"]), max_size=40).map(b"".join), st.integers(1, 9))
@example(b"\r" * 40 + b"\n", 3)
def test_chunks_are_repaired_as_one_piece(data: bytes, chunk: int) -> None:
    pieces = list(Source(data).chunks(size=chunk))
    for pattern, into in ((rb"(?<!\r)\r\r++\n", b"\r\n"), (rb"\r\n|\r", b"\n")):
        compiled = re.compile(pattern)
        assert b"".join(readings._substitute(pieces, compiled, into)) == compiled.sub(into, data)


@pytest.mark.parametrize("chunk", [1, 4096, 1 << 20])
def test_a_million_crs_cost_no_square(chunk: int) -> None:
    """Would take hours if each of them were looked at from each of them."""
    data = b"a\n" + b"\r" * ((1 << 20) if chunk > 1 else 1 << 13) + b"b\n"
    assert leaves(data)
    assert b"".join(readings._substitute(Source(data).chunks(size=chunk), re.compile(rb"\r\n|\r"), b"\n")) == data.replace(b"\r", b"\n")


def test_blanks_behind_a_delimiter_cost_no_square() -> None:
    message = multipart(b"multipart/mixed", b"x\n--q\n" + b" " * (1 << 20) + b"\n--r\nContent-Transfer-Encoding: 8bit\n\n" + TEXT)
    assert TEXT in leaves(message)


# -- limits


def limit_of(message: bytes, limits: Limits) -> str:
    with pytest.raises(LimitExceeded) as caught:
        explored(message, limits)
    return caught.value.limit


def test_max_readings() -> None:
    message = multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\n" * 50)
    assert limit_of(message, DEFAULT._replace(max_readings=20)) == "max_readings"


def test_max_reading_bytes() -> None:
    message = multipart(b"multipart/mixed; boundary=b", b"--b\n\nhi\n" * 200)
    assert limit_of(message, DEFAULT._replace(max_reading_bytes=1, max_reading_factor=1)) == "max_reading_bytes"


def test_max_reading_bytes_counts_what_an_encoding_unpacks() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(8 << 20)))
    message = multipart(b"multipart/mixed; boundary=b\nContent-Transfer-Encoding: x-gzip64", bomb)
    assert limit_of(message, DEFAULT._replace(max_reading_bytes=1 << 20)) == "max_reading_bytes"


def test_max_depth() -> None:
    message = b"Subject: x\nContent-Type: message/rfc822\n\n" * 200 + b"hi\n"
    assert limit_of(message, DEFAULT._replace(max_depth=4)) == "max_depth"


def test_max_parts() -> None:
    message = multipart(b"multipart/mixed; boundary=b", b"--b\n" * 50)
    assert limit_of(message, DEFAULT._replace(max_parts=20)) == "max_parts"


def test_max_encoded_blocks() -> None:
    message = b"Subject: x\nContent-Transfer-Encoding: x-uuencode\n\njunk\n" + b"begin 644 a\n#86)C\n`\nend\n" * (
        DEFAULT.max_encoded_blocks + 1
    )
    assert limit_of(message, DEFAULT) == "max_encoded_blocks"


# -- whatever the bytes

WORDS = [
    b"Content-Type: ",
    b"Content-Transfer-Encoding: ",
    b"Content-Disposition: ",
    b"multipart/mixed",
    b"message/rfc822",
    b"text/html",
    b"; boundary=",
    b"b",
    b'"b"',
    b"; name=a.exe",
    b"base64",
    b"quoted-printable",
    b"x-gzip64",
    b"x-uuencode",
    b"--b",
    b"--b--",
    b"--",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r",
    b"\0",
    b" ",
    b"QUJD",
    b"=41",
    b"begin 644 a\n#86)C\n`\nend\n",
    b"From a@b c\n",
    b"\xef\xbb\xbf",
]
SMALL = DEFAULT._replace(max_readings=300, max_reading_bytes=1 << 20)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=50).map(b"".join))
def test_nothing_but_limits_is_raised_and_everything_decodes(data: bytes) -> None:
    source = Source(data)
    try:
        for reading in readings.explore(source, Span(0, source.size), keep, readings.Budget(SMALL, source.size)):
            size = sum(map(len, reading.decode()))
            assert 0 <= reading.span.start <= reading.span.stop <= reading.source.size
            assert reading.encoding or size == reading.span.stop - reading.span.start
    except LimitExceeded:
        pass


def test_the_same_message_gives_the_same_readings() -> None:
    message = TECHNIQUES["outer delimiter hides the inner multipart"][0]
    assert [(r.label, r.span, r.encoding, c) for r, c in explored(message)] == [
        (r.label, r.span, r.encoding, c) for r, c in explored(message)
    ]


def test_no_leaf_comes_twice() -> None:
    found = explored(crlf(TECHNIQUES["boundary twice"][0]))
    keys = [(id(r.source), r.span, r.encoding, r.names) for r, _ in found if ":" not in r.encoding]
    assert len(keys) == len(set(keys))


# -- which pieces are cut out of a body


def cut(body: bytes, *boundaries: bytes, only_pieces: bool = False) -> list[bytes]:
    """What is queued for `body`, in the order in which it is found."""
    data = b"outside\n" + body + b" outside"
    source, span = Source(data), Span(8, 8 + len(body))
    explorer = readings._Explorer(keep, readings.Budget(DEFAULT, source.size))
    entity = readings._Entity(source, span, "", 0, "text/plain")
    explorer.segments(entity, source, span, list(boundaries), "text/plain", "/parts", only_pieces=only_pieces)
    assert {(one.label, one.depth, one.default_type) for one in explorer.todo} <= {("/parts", 1, "text/plain")}
    return [data[one.span.start : one.span.stop] for one in explorer.todo]


@pytest.mark.parametrize(
    ("body", "boundary", "pieces", "others"),
    [
        # body, declared boundary, the likeliest pieces, what some client cuts besides
        (b"no delimiter", b"b", [], []),
        (b"--b\n1\n--b--\n", b"b", [b"1\n"], []),
        (b"pre\n--b\n1\n--b\n2\n--b--\nepi", b"b", [b"1\n", b"2\n"], [b"pre\n", b"epi"]),
        (b"pre\n--b\n1\n--b\n2", b"b", [b"1\n", b"2"], [b"pre\n"]),  # never closed
        (b"\r--b\r1\r--b--\r", b"b", [b"1\r"], [b"\r"]),
        (b"--b \x0b\x0c\n1\n--b--", b"b", [b"1\n"], []),
        (b"--b--\n1\n--b--\n", b"b", [b"1\n"], []),
        (b"text --b\n1\n--b--\n", b"b", [], [b"text --b\n1\n", b"1\n", b"text "]),
        (b"--bb\n1\n--bb--\n", b"b", [b"1\n"], []),
        (
            b"--b\nContent-Type: multipart/x\n\n1\n--b\n2\n--b--\n",
            b"b",
            [b"Content-Type: multipart/x\n\n1\n", b"2\n"],
            [b"Content-Type: multipart/x\n\n1\n--b\n2\n--b--\n"],  # what follows may belong to that multipart
        ),
        # guessed, because what is declared is not there or is not closed
        (b"pre\n--q\nContent-Type: a/b\n\n1\n--q--\n", b"b", [b"Content-Type: a/b\n\n1\n"], [b"pre\n"]),
        (b"--q\nX-A: a/b\n\n1\n", b"b", [b"X-A: a/b\n\n1\n"], []),
        (b"--q\nSubject: a/b\n\n1\n", b"b", [], []),  # no part begins like this
        (b"--b\n1\n--b--\n--q\nContent-Type: a/b\n\n2\n", b"b", [b"1\n"], [b"--q\nContent-Type: a/b\n\n2\n"]),  # closed: no guess
    ],
)
def test_segments(body: bytes, boundary: bytes, pieces: list[bytes], others: list[bytes]) -> None:
    assert cut(body, boundary, only_pieces=True) == pieces
    assert sorted(cut(body, boundary)) == sorted(pieces + others)


def test_every_declared_boundary_cuts() -> None:
    body = b"--a\n1\n--a--\n--b\n2\n--b--\n"
    assert cut(body, b"a", b"b", b"c", only_pieces=True) == [b"1\n", b"2\n"]
    assert cut(body, *[b"x%d" % number for number in range(readings._MAX_BOUNDARIES)], b"a") == []


def test_a_multipart_may_hide_the_delimiters_behind_only_a_few_times() -> None:
    part = b"--b\nContent-Type: multipart/x\n\n1\n"
    body = part * 9 + b"--b--\n"
    long = [piece for piece in cut(body, b"b") if piece.count(b"--b") > 0]
    assert long == [body[len(part) * number + 4 :] for number in range(readings._HIDDEN_DELIMITERS)]


@pytest.mark.parametrize(
    ("body", "sets", "closed"),
    [
        (b"none", [], False),
        (b"--b\n1\n--b--\n", [[(0, 4), (6, 12)]], True),
        (b"--b\r\n1\r\n--b--\r\n", [[(0, 5), (8, 15)]], True),
        (b"--b\r1\r--b--\r", [[(0, 4), (6, 12)]], True),
        (b"--b--\n", [[(0, 6)]], False),  # a close delimiter closes something
        (b"--b--\n--b--\n", [[(0, 6), (6, 12)]], True),
        (b"--bx\n1\n--b--\n", [[(7, 13)], [(0, 5), (7, 13)]], False),
        (b"a --b\n--b\n", [[(6, 10)], [(2, 6), (6, 10)]], False),
        (b" \t--b\r1", [[(2, 6)]], False),
        (b"--b", [[(0, 3)]], False),
        (b"--b" + b"x" * 5000 + b"\n--b\n", [[(5004, 5008)], [(0, 4099), (5004, 5008)]], False),
    ],
)
def test_delimiters(body: bytes, sets: list[list[tuple[int, int]]], closed: bool) -> None:
    assert readings._delimiters(Source(body), Span(0, len(body)), b"b", DEFAULT) == (sets, closed)


# -- parts in a text that is none


def strays(text: bytes) -> list[tuple[str, bytes]]:
    source = Source(text)
    found = readings.explore(source, Span(0, source.size), keep, readings.Budget(DEFAULT, source.size), stray=True)
    return [(reading.label, b"".join(reading.decode())) for reading in found]


def test_stray_parts_are_cut_out_of_a_text() -> None:
    text = b"prose\n--q\n" + PART + b"--q--\nmore prose\n"
    assert ("/stray/base64", HIDDEN) in strays(text)
    assert {label for label, _ in strays(text)} >= {"/as-is", "/stray/base64", "/stray/as-is"}
    assert strays(b"prose\n--q\nmore prose\n") == [("/as-is", b"prose\n--q\nmore prose\n")]


def test_a_stray_header_without_any_delimiter() -> None:
    assert ("/base64", HIDDEN) in strays(PART)
    assert ("/base64", HIDDEN) in strays(b"\n\n" + PART)


def test_stray_parts_in_repaired_forms() -> None:
    text = b"prose\n--q\n" + PART + b"--q--\n"
    assert ("cr-as-line-end/stray/base64", HIDDEN) in strays(text.replace(b"\n", b"\r"))
    assert ("crcrlf/stray/base64", HIDDEN) in strays(text.replace(b"\n", b"\r\r\n"))
    assert ("nul-removed/stray/base64", HIDDEN) in strays(text.replace(b"--q\n", b"-\0-q\n", 1))


def test_binhex_as_a_media_type_is_an_encoding_too() -> None:
    data = wrappings.binhexed(HIDDEN, "a.bin")
    assert {reading.encoding for reading, _ in explored(b"Content-Type: application/mac-binhex40\n\n" + data)} >= {"", "binhex"}
    assert HIDDEN in leaves(b"Content-Type: application/mac-binhex40\n\n" + data)
    assert "binhex" not in {reading.encoding for reading, _ in explored(b"Content-Type: application/x\n\n" + data)}


# -- what it may cost


def test_budget_counts_entities_and_bytes() -> None:
    budget = readings.Budget(DEFAULT._replace(max_readings=2, max_reading_bytes=100, max_reading_factor=3), 10)
    assert budget.most == 130
    budget.entity(60)
    budget.spend(69)
    assert (budget.entities, budget.bytes) == (1, 129)
    budget.entity(1)
    assert (budget.entities, budget.bytes) == (2, 130)  # exactly as much as allowed
    with pytest.raises(LimitExceeded, match="more than 130") as caught:
        budget.spend(1)
    assert caught.value.limit == "max_reading_bytes"
    with pytest.raises(LimitExceeded, match="more than 2") as caught:
        budget.entity(0)
    assert caught.value.limit == "max_readings"


def test_budget_counts_a_body_while_it_passes() -> None:
    budget = readings.Budget(DEFAULT._replace(max_reading_bytes=5, max_reading_factor=0), 1000)
    passed = budget.counted([b"ab", b"", b"cde", b"f", b"never asked for"])
    assert [next(passed), next(passed), next(passed)] == [b"ab", b"", b"cde"]
    assert budget.bytes == 5
    with pytest.raises(LimitExceeded):
        next(passed)


def test_budget_is_shared_by_explorations() -> None:
    message = multipart(b"multipart/mixed; boundary=b", b"--b\n" + PART + b"--b--\n")
    budget = readings.Budget(DEFAULT, len(message))
    costs = []
    for _ in range(2):
        list(readings.explore(Source(message), Span(0, len(message)), keep, budget))
        costs.append((budget.entities, budget.bytes))
    (entities, size), twice = costs
    assert twice == (2 * entities, 2 * size)
    assert entities > 1
    assert size > len(message)


def test_cuts_of_nothing_are_not_free() -> None:
    body = b"--b\n" * 100
    source = Source(body)
    budget = readings.Budget(DEFAULT, source.size)
    explorer = readings._Explorer(keep, budget)
    explorer.segments(
        readings._Entity(source, Span(0, len(body)), "", 0, "text/plain"), source, Span(0, len(body)), [b"b"], "text/plain", ""
    )
    assert explorer.todo == []
    assert budget.bytes == 100 * readings._CUT_COST
