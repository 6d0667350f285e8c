from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fprotd_double import HEADER, document
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.model import Reason
from lazaretto.wire.fprotd import MAX_HEADER_BYTES, MAX_NAMES, MAX_REPLY_BYTES, MAX_TEXT, Outcome, Reader, Reply, request


def read(data: bytes, size: int = 1 << 20, *, end: bool = True) -> Reply | None:
    """The reply in `data`, fed in pieces of `size` bytes."""
    reader = Reader()
    for start in range(0, len(data), size):
        reader.receive_data(data[start : start + size])
        if (reply := reader.next_event()) is not None:
            assert reader.next_event() is None
            return reply
    if end:
        reader.receive_data(b"")
    return reader.next_event()


def results(inside: str, root: str = '<fprot-results version="1.0">') -> bytes:
    return HEADER + f"{root}{inside}</fprot-results>".encode()


def answered(data: bytes) -> Reply:
    reply = read(data)
    assert reply is not None
    return reply


# -- requests


@pytest.mark.parametrize(
    ("path", "arguments", "out"),
    [
        (b"/tmp/x", (), b"GET /tmp/x HTTP/1.0\r\n\r\n"),
        (b"/tmp/a b.exe", ("-archive", "-ai"), b"GET /tmp/a%20b%2Eexe?-archive%20-ai HTTP/1.0\r\n\r\n"),
        (b"/t/_-~%?&\r\n\xff", ("-id=7",), b"GET /t/_-%7E%25%3F%26%0D%0A%FF?-id%3D7 HTTP/1.0\r\n\r\n"),
    ],
)
def test_request(path: bytes, arguments: tuple[str, ...], out: bytes) -> None:
    assert request(path, arguments) == out


@pytest.mark.parametrize(("path", "arguments"), [(b"", ()), (b"x", ()), (b"/x\0", ()), (b"/x", ("",)), (b"/x", ("a\0",))])
def test_what_cannot_be_asked(path: bytes, arguments: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        request(path, arguments)


@given(
    st.binary(max_size=40).map(lambda raw: b"/" + raw.replace(b"\0", b"")),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters=" \0"), min_size=1, max_size=5), max_size=3),
)
def test_requests_are_one_line_and_can_be_read_back(path: bytes, arguments: list[str]) -> None:
    out = request(path, arguments)
    assert out.endswith(b" HTTP/1.0\r\n\r\n")
    verb, target, _version = out[:-4].split(b" ")
    assert verb == b"GET"
    assert target.isascii()
    raw, _, query = target.partition(b"?")
    assert unquote_to_bytes(raw) == path
    assert unquote_to_bytes(query).decode() == " ".join(arguments)


# -- replies


@pytest.mark.parametrize(
    ("code", "words", "outcome", "reason"),
    [
        (9, "clean", Outcome.CLEAN, None),
        (9, " Clean\n", Outcome.CLEAN, None),
        (9, "", Outcome.CLEAN, None),
        (7, "clean", Outcome.CLEAN, None),
        (7, "innocent", Outcome.CLEAN, None),
        (11, "infected", Outcome.FOUND, None),
        (11, "", Outcome.FOUND, None),
        (13, "disinfected", Outcome.DISINFECTED, None),
        (13, "", Outcome.DISINFECTED, None),
        (0, "unknown", Outcome.ERROR, Reason.UNSUPPORTED),
        (1, "error", Outcome.ERROR, Reason.DOWN),
        (2, "error", Outcome.ERROR, Reason.DOWN),
        (3, "unknown", Outcome.ERROR, Reason.BROKEN),
        (4, "not scanned", Outcome.ERROR, Reason.ENCRYPTED),
        (5, "not scanned", Outcome.ERROR, Reason.DOWN),
        (-2, "error", Outcome.ERROR, Reason.DOWN),
        (6, "", Outcome.ERROR, Reason.DOWN),
        (8, "clean", Outcome.ERROR, Reason.DOWN),
        (99, "clean", Outcome.ERROR, Reason.DOWN),
        # words against the code: never the milder
        (3, "suspicious", Outcome.FOUND, None),
        (9, "infected", Outcome.FOUND, None),
        (9, "disinfected", Outcome.FOUND, None),
        (9, "not scanned", Outcome.ERROR, Reason.DOWN),
        (9, "unknown", Outcome.ERROR, Reason.DOWN),
        (7, "error", Outcome.ERROR, Reason.DOWN),
        (11, "clean", Outcome.FOUND, None),
        (13, "infected", Outcome.FOUND, None),
        (13, "clean", Outcome.FOUND, None),
    ],
)
def test_codes(code: int, words: str, outcome: Outcome, reason: Reason | None) -> None:
    reply = answered(document(code, words))
    assert (reply.outcome, reply.code, reply.reason) == (outcome, code, reason)
    assert reply.server == "fprotd/4.6.8-double"
    assert reply.text.startswith(str(code))


def test_names() -> None:
    assert answered(document(11, "infected", ("A<1>&", "B", "A<1>&"))).names == ("A<1>&", "B")
    assert answered(document(9, "clean", ("A",))).outcome is Outcome.FOUND  # whatever the code
    assert answered(document(4, "not scanned", ("A",))).outcome is Outcome.FOUND
    unnamed = '<detected type="x"><message>could be a virus\n of the kind X</message></detected><detected/><summary code="11"/>'
    assert answered(results(unnamed)).names == ("could be a virus of the kind X",)
    assert answered(results('<detected><name> </name></detected><summary code="11"/>')).names == ()
    deep = '<file><detected><name>A</name></detected></file><summary code="9">clean</summary>'
    assert answered(results(deep)).names == ("A",)
    many = answered(document(11, "infected", tuple(f"V{n}" for n in range(100)))).names
    assert many == tuple(f"V{n}" for n in range(MAX_NAMES))
    (name,) = answered(document(11, "infected", ("\x1b[2J\n\u202ex" + "y" * 10_000,))).names
    assert name.isprintable()
    assert len(name) == MAX_TEXT


def test_errors_make_nothing_clean() -> None:
    reply = answered(document(9, "clean", error="cannot read all of it"))
    assert (reply.outcome, reply.text) == (Outcome.ERROR, "9 clean: cannot read all of it")


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("document_type", [True, False])
def test_in_pieces(size: int, document_type: bool) -> None:
    data = document(11, "infected", ("A",), document_type=document_type)
    assert read(data, size) == answered(data)
    assert read(data, size, end=False) is None  # without a length, the end of the connection is the end


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_length_ends_the_reply(size: int) -> None:
    body = results('<summary code="9">clean</summary>')[len(HEADER) :]
    head = HEADER[:-2] + b"Content-Length: %d\r\n\r\n" % len(body)
    for trailing in (b"", b"HTTP/1.0 200\r\n\r\n", b"<summary"):
        reply = read(head + body + trailing, size, end=False)
        assert reply is not None
        assert reply.outcome is Outcome.CLEAN
    with pytest.raises(RemoteProtocolError, match="cut off"):
        read(head + body[:-1], size)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.0 200", "cut off in its header"),
        (b"16 <Unknown command>\n\n", "unexpected reply: 16 <Unknown command>"),  # an fpscand
        (b"HTTP/1.0 404 Not found\r\n\r\n<fprot-results/>", "unexpected reply: HTTP/1.0 404"),
        (b"HTTP/2 200\r\n\r\n", "unexpected reply"),
        (b"220 mail.example.org ESMTP\r\n\r\n", "unexpected reply"),
        (HEADER, "no document"),
        (HEADER + b"\x00\xff garbage", "text outside"),
        (HEADER + b"<html><body>404</body></html>", "another kind: html"),
        (results('<summary code="9"/>', '<fprot-results version="2.0">'), "unknown version: 2.0"),
        (results(""), "0 summaries"),
        (results('<summary code="9"/><summary code="11"/>'), "2 summaries"),
        (results('<detected><summary code="9"/></detected>'), "0 summaries"),
        (results("<summary>clean</summary>"), "without code"),
        (results('<summary code="nine"/>'), "without code"),
        (results('<summary code="&nine;"/>'), "without code"),
        (results('<summary code="9999999999"/>'), "without code"),
        (results('<summary code="٩"/>'), "without code"),
        (results('<summary code="9"/>')[:-1], "XML"),
        (results('<summary code="9"/>') + results('<summary code="11"/>')[len(HEADER) :], "second document"),
        (HEADER[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", "encoded reply"),
        (HEADER[:-2] + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n<a/>", "doubtful length"),
        (HEADER[:-2] + b"Content-Length: -1\r\n\r\n<a/>", "doubtful length"),
        (HEADER[:-2] + b"Content-Length: 99999999\r\n\r\n<a/>", "longer than"),
    ],
)
def test_what_is_no_reply(data: bytes, message: str) -> None:
    for size in (1, 1 << 20):
        with pytest.raises(RemoteProtocolError) as caught:
            read(data, size)
        assert message in str(caught.value)
        assert str(caught.value).isprintable()


def test_every_cut_of_a_reply_is_no_answer() -> None:
    data = document(9, "clean").rstrip()
    for stop in range(len(data)):
        with pytest.raises(RemoteProtocolError):
            read(data[:stop])
    assert answered(data).outcome is Outcome.CLEAN


def test_bare_line_feeds_and_other_letters() -> None:
    data = document(11, "infected", ("Ä",)).replace(b"\r\n", b"\n")
    assert answered(data).names == ("Ä",)
    assert answered(data.replace("Ä".encode(), b"\xc4")).names == ("Ä",)  # not UTF-8: taken for latin-1
    assert answered(data.replace(b"\n\n", b"\n\n\xef\xbb\xbf")).names == ("Ä",)


def test_a_header_or_reply_without_end() -> None:
    with pytest.raises(RemoteProtocolError, match="no end of the reply's header"):
        read(b"HTTP/1.0 200 " + b"x" * MAX_HEADER_BYTES, 1000, end=False)
    with pytest.raises(RemoteProtocolError, match="longer than"):
        read(HEADER + b"<fprot-results>" + b" " * MAX_REPLY_BYTES, 1 << 16, end=False)
    whole = document(9, "clean")
    assert answered(whole + b" " * (MAX_REPLY_BYTES - len(whole))).outcome is Outcome.CLEAN


@pytest.mark.parametrize("data", [b"16 <Unknown command>\n", b"x" * MAX_TEXT, b"HTTP/2 200\n", b"\n"])
def test_who_speaks_another_language_is_not_waited_for(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="unexpected reply"):
        read(data, 1, end=False)
    assert read(data[:-1], 1, end=False) is None


def test_nothing_after_an_error() -> None:
    reader = Reader()
    reader.receive_data(b"x\n\n")
    with pytest.raises(RemoteProtocolError):
        reader.next_event()
    reader.receive_data(document(9, "clean"))
    reader.receive_data(b"")
    assert reader.next_event() is None
