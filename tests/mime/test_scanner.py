"""The primary reading: trees, spans, anomalies, limits; never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.limits import DEFAULT
from lazaretto.mime import tree
from lazaretto.mime.scanner import parse
from lazaretto.mime.source import Source
from lazaretto.model import Part, Span


def outline(part: Part) -> object:
    """Media types as nested tuples."""
    return (part.media_type, *map(outline, part.children)) if part.children else part.media_type


def read(text: str, eol: str = "\r\n") -> tuple[Part, bytes]:
    data = text.replace("\n", eol).encode("latin-1")
    return parse(Source(data)), data


MIXED = """From: a@example.com
Content-Type: multipart/mixed; boundary="b"

preamble
--b
Content-Type: text/plain

hello
--b
Content-Type: application/zip; name=a.zip
Content-Transfer-Encoding: base64

UEsDBA==
--b--
epilogue
"""


@pytest.mark.parametrize("eol", ["\r\n", "\n"])
def test_multipart_spans_are_exact(eol: str) -> None:
    root, data = read(MIXED, eol)
    assert outline(root) == ("multipart/mixed", "text/plain", "application/zip")
    first, second = root.children
    assert data[first.body.start : first.body.stop] == b"hello"
    assert data[second.body.start : second.body.stop] == b"UEsDBA=="
    assert second.names == ("a.zip",)
    assert second.encoding == "base64"
    assert data[first.header.start : first.body.start].decode() == f"Content-Type: text/plain{eol}{eol}"
    assert root.anomalies == first.anomalies == second.anomalies == ()


def test_every_byte_of_a_part_lies_between_its_delimiters() -> None:
    root, data = read(MIXED)
    for part in root.children:
        assert data[: part.header.start].endswith(b"--b\r\n")
        assert data[part.body.stop :].startswith(b"\r\n--b")


def test_nested_message_is_opened() -> None:
    root, data = read("""Content-Type: multipart/mixed; boundary=o

--o
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=i

--i

one
--i
Content-Type: text/html

two
--i--

--o--
""")
    assert outline(root) == ("multipart/mixed", ("message/rfc822", ("multipart/alternative", "text/plain", "text/html")))
    html = tree.find(root, (1, 1, 2))
    assert html is not None
    assert data[html.body.start : html.body.stop] == b"two"


def test_digest_defaults_to_message() -> None:
    root, _ = read("""Content-Type: multipart/digest; boundary=d

--d

Subject: one

text
--d--
""")
    assert outline(root) == ("multipart/digest", ("message/rfc822", "text/plain"))


def test_boundary_that_is_a_prefix_of_a_nested_one() -> None:
    root, _ = read("""Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=b_alt

--b_alt

one
--b_alt--
--b
Content-Type: text/html

two
--b--
""")
    assert outline(root) == ("multipart/mixed", ("multipart/alternative", "text/plain"), "text/html")


ANOMALIES = [
    ("mime.no-final-boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n"),
    ("mime.no-delimiter", "Content-Type: multipart/mixed; boundary=b\n\n--c\n\nx\n"),
    ("mime.missing-boundary", "Content-Type: multipart/mixed\n\n--c\n\nx\n"),
    ("mime.part-after-close", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b\n\ny\n--b--\n"),
    ("mime.stray-delimiter", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx --b y\n--b--\n"),
    ("mime.stray-delimiter", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--junk\n--b--\n"),
    ("mime.long-boundary", f"Content-Type: multipart/mixed; boundary={'b' * 71}\n\n--{'b' * 71}\n\nx\n--{'b' * 71}--\n"),
    ("mime.duplicate-content-type", "Content-Type: text/plain\nContent-Type: text/html\n\nx\n"),
    ("mime.duplicate-encoding", "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\nx\n"),
    ("mime.duplicate-disposition", "Content-Disposition: inline\nContent-Disposition: attachment\n\nx\n"),
    ("mime.unknown-encoding", "Content-Transfer-Encoding: x-strange\n\nx\n"),
    ("mime.encoded-multipart", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n"),
    ("mime.encoded-message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp4\n"),
    ("mime.bad-content-type", "Content-Type: plain\n\nx\n"),
    ("mime.message-partial", "Content-Type: message/partial; id=x; number=1\n\nx\n"),
    ("mime.external-body", "Content-Type: message/external-body; access-type=url\n\nx\n"),
    ("mime.header-after-blank", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nContent-Type: text/html\n\nx\n--b--\n"),
    (
        "mime.boundary-reused",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
    ),
]


@pytest.mark.parametrize(("name", "text"), ANOMALIES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(ANOMALIES)])
@pytest.mark.parametrize("eol", ["\r\n", "\n"])
def test_anomalies_have_names(name: str, text: str, eol: str) -> None:
    root, _ = read(text, eol)
    assert name in {anomaly for part in tree.walk(root) for anomaly in part.anomalies}


def test_delimiter_inside_a_header_ends_it() -> None:
    root, data = read("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\n\nx\n--b--\n")
    assert outline(root) == ("multipart/mixed", "text/html", "text/plain")
    assert root.children[0].body.start == root.children[0].body.stop
    assert data[root.children[1].body.start : root.children[1].body.stop] == b"x"


def test_depth_is_capped() -> None:
    limits = DEFAULT._replace(max_depth=5)
    text = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(10)) + "\r\nx"
    root = parse(Source(text.encode()), limits)
    depths = [len(part.path) for part in tree.walk(root)]
    assert max(depths) == 5
    assert "mime.max-depth" in {name for part in tree.walk(root) for name in part.anomalies}


def test_parts_are_capped() -> None:
    limits = DEFAULT._replace(max_parts=10)
    text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 50
    root = parse(Source(text.encode()), limits)
    assert len(list(tree.walk(root))) == 10
    assert "mime.max-parts" in root.anomalies


def test_nested_messages_are_capped() -> None:
    text = "Content-Type: message/rfc822\r\n\r\n" * 10_000
    root = parse(Source(text.encode()))
    assert len(list(tree.walk(root))) == DEFAULT.max_depth + 1


def assert_sound(part: Part, inside: Span, path: tuple[int, ...]) -> None:
    assert part.path == path
    assert inside.start <= part.header.start <= part.header.stop <= part.body.start <= part.body.stop <= inside.stop
    last = part.body.start
    for number, child in enumerate(part.children, 1):
        assert child.header.start >= last
        assert_sound(child, part.body, (*path, number))
        last = child.body.stop


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"--b",
        b"--b--",
        b"--bb",
        b" ",
        b"x",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: message/rfc822",
        b"Content-Type: multipart/digest; boundary=bb",
        b"Content-Transfer-Encoding: base64",
        b"From x",
        b"\0",
        b":",
        b'"',
    ]
)


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_any_bytes_give_a_sound_tree(data: bytes) -> None:
    assert_sound(parse(Source(data)), Span(0, len(data)), ())


@given(st.binary(max_size=400))
def test_noise_gives_a_sound_tree(data: bytes) -> None:
    assert_sound(parse(Source(data)), Span(0, len(data)), ())


@given(st.lists(PIECES, max_size=20).map(b"".join), st.binary(max_size=20), st.binary(max_size=20))
def test_a_span_reads_like_the_bytes_alone(data: bytes, before: bytes, after: bytes) -> None:
    """Nothing outside the span changes how it is read."""
    alone = parse(Source(data))
    start = len(before)
    embedded = parse(Source(before + data + after), span=Span(start, start + len(data)))

    def shape(part: Part, offset: int) -> object:
        spans = [(span.start - offset, span.stop - offset) for span in (part.header, part.body)]
        return (part.media_type, part.encoding, part.anomalies, spans, [shape(child, offset) for child in part.children])

    assert shape(embedded, start) == shape(alone, 0)


# -- exact readings: header and body of each part, and what is odd about it

MULTIPART = "Content-Type: multipart/mixed; boundary=b\n\n"
Outline = list[tuple[tuple[int, ...], str, str, str, tuple[str, ...]]]


def parts(text: str, eol: str) -> Outline:
    """(path, type, header, body, anomalies) of all parts, with LF."""
    root, data = read(text, eol)

    def at(span: Span) -> str:
        return data[span.start : span.stop].decode("latin-1").replace(eol, "\n")

    return [(part.path, part.media_type, at(part.header), at(part.body), part.anomalies) for part in tree.walk(root)]


@pytest.mark.parametrize("eol", ["\r\n", "\n"])
@pytest.mark.parametrize(
    ("body", "anomalies", "children"),
    [
        # body of MULTIPART, anomalies of the multipart, (header, body, anomalies) of its parts
        ("--b\n\nx\n--b--\n", (), [("", "x", ())]),
        ("--b\n--b\n\ny\n--b--\n", (), [("", "", ()), ("", "y", ())]),  # a delimiter right after a delimiter
        ("--b", ("mime.no-final-boundary",), [("", "", ())]),
        ("--b\n\nx\n--b--", (), [("", "x", ())]),  # no line end after the last line
        ("--b \t\n\nx\n--b-- \n", (), [("", "x", ())]),
        # after the close delimiter
        ("--b\n\nx\n--b--\n--b\n\ny\n--b--\nz", ("mime.part-after-close",), [("", "x", ()), ("", "y", ())]),
        ("--b\n\nx\n--b--\n--b--\nz", (), [("", "x", ())]),
        ("--b--\nepilogue\n--b\n\ny\n", ("mime.part-after-close",), [("", "y\n", ())]),
        ("--b\n\nx\n--b--\nb\n--c\n--b", ("mime.part-after-close",), [("", "x", ()), ("", "", ())]),
        # headers of parts where none belong
        ("Content-Type: x/y\n\n--b\n\nx\n--b--\n", ("mime.stray-part",), [("", "x", ())]),
        ("\n Content-Disposition : x\n\n--b\n\nx\n--b--\n", ("mime.stray-part",), [("", "x", ())]),
        ("Content-Language: de\n--b\n\nx\n--b--\n", (), [("", "x", ())]),
        ("a content-type: x\n--b\n\nx\n--b--\n", (), [("", "x", ())]),
        ("--b\n\nx\n--b--\nContent-Transfer-Encoding: base64\n\nx", ("mime.stray-part",), [("", "x", ())]),
        ("--b\n\nx\n--b--\n\n--c\nCONTENT-TYPE: x/y\n\nx\n--c--\n", ("mime.stray-part",), [("", "x", ())]),
        # the same in a part
        ("--b\n\nx\n--c\n\n content-type : x\n\ny\n--b--\n", (), [("", "x\n--c\n\n content-type : x\n\ny", ("mime.stray-part",))]),
        (
            "--b\n\n--c\nContent-Disposition: x\n\ny\n--b--\n",
            (),
            [("", "--c\nContent-Disposition: x\n\ny", ("mime.header-after-blank", "mime.stray-part"))],
        ),
        ("--b\n\nx\n--c\nSubject: x\n\ny\n--b--\n", (), [("", "x\n--c\nSubject: x\n\ny", ())]),
        (
            "--b\nContent-Transfer-Encoding: base64\n\n--c\n\ncontent-type: x\n\ny\n--b--\n",
            (),  # to see a part in an encoded body, a client would have to leave it encoded
            [("Content-Transfer-Encoding: base64\n", "--c\n\ncontent-type: x\n\ny", ())],
        ),
        ("--b\n\n\ncontent-id: x\n\ny\n--b--\n", (), [("", "\ncontent-id: x\n\ny", ("mime.header-after-blank",))]),
        # what is no delimiter
        ("--b\n\nx\n --b\n--b--\n", ("mime.stray-delimiter",), [("", "x\n --b", ())]),
        ("--b\n\nx\n--bb\n--b--\n", ("mime.stray-delimiter",), [("", "x\n--bb", ())]),
        ("--b\n\nx\n--b" + " " * 520 + "\n--b--\n", ("mime.stray-delimiter",), [("", "x\n--b" + " " * 520, ())]),  # too long a line
        ("--b\n\nx\n--b--\n--" + "y" * 2000, (), [("", "x", ())]),
        (
            "--b\n\n--b" + " " * 509 + "\nx\n",
            ("mime.no-final-boundary",),
            [("", "", ()), ("", "x\n", ("header.no-end", "header.junk-line", "header.no-fields"))],
        ),
    ],
)
def test_parts_of_a_multipart(body: str, anomalies: tuple[str, ...], children: list[tuple[str, str, tuple[str, ...]]], eol: str) -> None:
    expected = [((number,), "text/plain", *child) for number, child in enumerate(children, 1)]
    assert parts(MULTIPART + body, eol) == [((), "multipart/mixed", MULTIPART[:-1], body, anomalies), *expected]


@pytest.mark.parametrize(
    ("value", "media_type", "anomalies", "children"),
    [
        ("multipart; boundary=b", "multipart/mixed", ("mime.bad-content-type",), 1),
        ("multipart/; boundary=b", "multipart/mixed", ("mime.bad-content-type",), 1),
        ("multipart", "multipart/mixed", ("mime.bad-content-type", "mime.missing-boundary"), 0),
        ("/mixed; boundary=b", "text/plain", ("mime.bad-content-type", "mime.boundary-without-multipart"), 0),
        ("text/plain; boundary=b", "text/plain", ("mime.boundary-without-multipart",), 0),
        ("x-multi/mixed", "x-multi/mixed", ("mime.boundary-without-multipart",), 0),
        ("text", "text/plain", ("mime.bad-content-type",), 0),
        ("", "text/plain", ("mime.bad-content-type",), 0),
    ],
)
def test_types_that_are_none(value: str, media_type: str, anomalies: tuple[str, ...], children: int) -> None:
    root, _ = read(f"Content-Type: {value}\n\n--b\n\nx\n--b--\n")
    assert (root.media_type, root.anomalies, len(root.children)) == (media_type, anomalies, children)


def test_an_inner_multipart_of_the_same_boundary_takes_it() -> None:
    found = parts(MULTIPART + "--b\n" + MULTIPART + "--b\n\nx\n--b--\n--b--\n", "\n")
    assert [(path, anomalies) for path, _, _, _, anomalies in found] == [
        ((), ("mime.no-final-boundary", "mime.stray-delimiter")),
        ((1,), ("mime.boundary-reused",)),
        ((1, 1), ()),
    ]
    assert found[2][3] == "x"


def test_an_empty_message_in_a_digest() -> None:
    found = parts("Content-Type: multipart/digest; boundary=o\n\n--o\n--o\n\nSubject: y\n\nz\n--o--", "\n")
    assert [one[:4] for one in found[1:]] == [
        ((1,), "message/rfc822", "", ""),
        ((1, 1), "text/plain", "", ""),
        ((2,), "message/rfc822", "", "Subject: y\n\nz"),
        ((2, 1), "text/plain", "Subject: y\n", "z"),
    ]
