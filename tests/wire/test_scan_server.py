"""The scan server's protocol, as docs/protocols/scan-server.md has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import RemoteProtocolError
from lazaretto.model import Envelope
from lazaretto.wire import scan_server as wire
from lazaretto.wire.scan_server import Bad, Code, Data, Event, Ping, Quit, Reply, Requests, ScanFiles, Stream

MAX_STREAM = 1000


def events(chunks: list[bytes], max_stream_bytes: int = MAX_STREAM) -> list[Event]:
    """All events; Data that follow each other are joined, for where they are cut says nothing."""
    requests = Requests(max_stream_bytes)
    found: list[Event] = []
    for chunk in chunks:
        requests.receive_data(chunk)
        while (event := requests.next_event()) is not None:
            if isinstance(event, Data) and found and isinstance(found[-1], Data):
                found[-1] = Data(found[-1].data + event.data)
            else:
                found.append(event)
    return found


def bad(text: str, *, sized: bool = False) -> Bad:
    return Bad(f"bad request: {text}", Code.BAD, sized)


PATHS = "expected two paths; names with blanks need the verb SCAN"
VERBS = "expected SCAN, STREAM, PING, QUIT or two absolute paths"
SECOND = "expected the absolute path of the output file on a line of its own"
DIGITS = "expected two hexadecimal digits after %"

DIALOGUES: list[tuple[bytes, list[Event]]] = [
    (b"PING\n", [Ping()]),
    (b"ping\r\n", [Ping()]),
    (b"PING", []),
    (b"\n \r\n\t\nPING\n", [Ping()]),
    (b"PING\nPING\n", [Ping(), Ping()]),
    (b"QUIT\n", [Quit()]),
    (b"QUIT\nPING\n", [Quit()]),
    (b"PING now\n", [bad(VERBS)]),
    (b"QUIT 1\n", [bad(VERBS)]),
    # files
    (b"SCAN /a /b\n", [ScanFiles(b"/a", b"/b")]),
    (b"scan\t/a  /b \r\n", [ScanFiles(b"/a", b"/b")]),
    (b"SCAN /a%20b /%41%2f%e9\n", [ScanFiles(b"/a b", b"/A/\xe9")]),
    (b"SCAN /a%00 /b\n", [ScanFiles(b"/a\0", b"/b")]),
    (b"SCAN relative /b\n", [ScanFiles(b"relative", b"/b")]),
    (b"SCAN /a\n", [bad("expected SCAN infile outfile")]),
    (b"SCAN\n", [bad("expected SCAN infile outfile")]),
    (b"SCAN /a% /b\n", [bad(DIGITS)]),
    (b"SCAN /a%4 /b\n", [bad(DIGITS)]),
    (b"SCAN /a%%41 /b\n", [bad(DIGITS)]),
    (b"SCAN /a%+1 /b\n", [bad(DIGITS)]),
    (b"SCAN /a%\xff\xff /b\n", [bad(DIGITS)]),
    (b"SCAN /a /b id=7 from= to=x%40y TO=z\n", [ScanFiles(b"/a", b"/b", Envelope(b"", (b"x@y", b"z"), queue_id="7"))]),
    (b"SCAN /a /b /c\n", [bad("expected attributes of the form name=value")]),
    (b"/a /b\n", [ScanFiles(b"/a", b"/b")]),
    (b"  /a%20 /b\xff\r\n", [ScanFiles(b"/a%20", b"/b\xff")]),
    (b"/a\n/b\n", [ScanFiles(b"/a", b"/b")]),
    (b"/a\r\n\r\n/b\r\nPING\n", [ScanFiles(b"/a", b"/b"), Ping()]),
    (b"/a\n", []),
    (b"/a\nPING\n", [bad(SECOND)]),
    (b"/a\n/b /c\n", [bad(SECOND)]),
    (b"/a\nb\n", [bad(SECOND)]),
    (b"/a /b /c\n", [bad(PATHS)]),
    (b"/a b\n", [ScanFiles(b"/a", b"b")]),
    (b"a /b\n", [bad(VERBS)]),
    # streams
    (b"STREAM 5\nhello", [Stream(5), Data(b"hello")]),
    (b"STREAM 5\nhelloPING\n", [Stream(5), Data(b"hello"), Ping()]),
    (b"stream 005\nPING\n", [Stream(5), Data(b"PING\n")]),
    (b"STREAM 0\nPING\n", [Stream(0), Ping()]),
    (b"STREAM 3\nab", [Stream(3), Data(b"ab")]),
    (
        b"STREAM 1 from=a@b to=c to=d id=4F2 client=::1 helo=x\n.",
        [Stream(1, Envelope(b"a@b", (b"c", b"d"), "::1", b"x", "4F2")), Data(b".")],
    ),
    (b"STREAM 1 To= later=%20 FROM=%00\n.", [Stream(1, Envelope(b"\0", (b"",))), Data(b".")]),
    (b"STREAM 1 id=%ff\n.", [Stream(1, Envelope(queue_id="\\xff")), Data(b".")]),
    (b"STREAM 1000\n", [Stream(1000)]),
    (b"STREAM 1001\nabc", [Bad("max_message_bytes reached: more than 1000 bytes", Code.TEMPFAIL, sized=True)]),
    (b"STREAM 9999999999999999999\n", [Bad("max_message_bytes reached: more than 1000 bytes", Code.TEMPFAIL, sized=True)]),
    (b"STREAM\n", [bad("expected STREAM size", sized=True)]),
    (b"STREAM -1\n", [bad("expected STREAM size", sized=True)]),
    (b"STREAM +1\n", [bad("expected STREAM size", sized=True)]),
    (b"STREAM 1_0\n", [bad("expected STREAM size", sized=True)]),
    (b"STREAM \xb2\n", [bad("expected STREAM size", sized=True)]),
    (b"STREAM 10000000000000000000\n", [bad("expected STREAM size", sized=True)]),
    (b"STREAM 1 id\n", [bad("expected attributes of the form name=value", sized=True)]),
    (b"STREAM 1 =id\n", [bad("expected attributes of the form name=value", sized=True)]),
    (b"STREAM 1 id=1 ID=2\n", [bad("an attribute is there twice", sized=True)]),
    (b"STREAM 1 id=%g0\n", [bad(DIGITS, sized=True)]),
    # neither
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", [bad(VERBS)]),
    (b"\x16\x03\x01\x02\0\n", [bad(VERBS)]),
    (b"\0\n", [bad(VERBS)]),
]


@pytest.mark.parametrize(("data", "expected"), DIALOGUES)
def test_dialogue(data: bytes, expected: list[Event]) -> None:
    assert events([data]) == expected
    assert events([data[i : i + 1] for i in range(len(data))]) == expected
    assert events([data, b""]) == expected


def test_line_limit() -> None:
    most = b"SCAN /" + b"a" * (wire.MAX_LINE_BYTES - 10) + b" /b\n"
    assert len(most) == wire.MAX_LINE_BYTES
    assert events([most]) == [ScanFiles(most[5:-4], b"/b")]
    too_long = bad("line longer than 8192 bytes")
    assert events([b"a" + most]) == [too_long]
    assert events([b"/" * (wire.MAX_LINE_BYTES - 1)]) == []
    assert events([b"/" * wire.MAX_LINE_BYTES]) == [too_long]
    assert events([b"STREAM 1 x=" + b"/" * wire.MAX_LINE_BYTES]) == [too_long._replace(sized=True)]


def test_nothing_is_kept_after_the_end() -> None:
    requests = Requests(MAX_STREAM)
    requests.receive_data(b"nonsense\nPING\n")
    assert isinstance(requests.next_event(), Bad)
    requests.receive_data(b"PING\n" * 1000)
    assert requests.next_event() is None
    assert not requests.begun


@pytest.mark.parametrize(
    ("data", "begun"),
    [
        (b"", False),
        (b"\r\n\n", False),
        (b"PING\n", False),
        (b"P", True),
        (b" ", True),
        (b"/a\n", True),
        (b"/a\n/b\n", False),
        (b"STREAM 2\nx", True),
        (b"STREAM 2\nxx", False),
        (b"STREAM 2\nxxP", True),
    ],
)
def test_begun(data: bytes, begun: bool) -> None:
    requests = Requests(MAX_STREAM)
    requests.receive_data(data)
    while requests.next_event() is not None:
        pass
    assert requests.begun is begun


def test_replies() -> None:
    assert wire.reply(Code.UNCHANGED, "unchanged") == b"0 unchanged\n"
    assert wire.stream_reply(Code.MODIFIED, 12, "modified") == b"1 12 modified\n"
    assert wire.bad_reply(Bad("no")) == b"3 no\n"
    assert wire.bad_reply(Bad("no", Code.TEMPFAIL, sized=True)) == b"2 0 no\n"
    assert wire.reply(Code.TEMPFAIL, "a\r\n0 unchanged\0é") == b"2 a??0 unchanged??\n"
    assert wire.reply(Code.TEMPFAIL, "x" * 999) == b"2 " + b"x" * wire.MAX_TEXT + b"\n"


@pytest.mark.parametrize(
    ("line", "sized", "expected"),
    [
        (b"0 PONG\n", False, Reply(Code.UNCHANGED, 0, "PONG")),
        (b"0 unchanged", False, Reply(Code.UNCHANGED, 0, "unchanged")),
        (b"5 \r\n", False, Reply(Code.DISCARDED, 0, "")),
        (b"1 27 modified\n", True, Reply(Code.MODIFIED, 27, "modified")),
        (b"1 27\n", True, Reply(Code.MODIFIED, 27, "")),
        (b"2 0 later \xe9\n", True, Reply(Code.TEMPFAIL, 0, "later é")),
    ],
)
def test_parse_reply(line: bytes, sized: bool, expected: Reply) -> None:
    assert wire.parse_reply(line, sized=sized) == expected


@pytest.mark.parametrize(
    ("line", "sized"),
    [
        *((line, False) for line in (b"", b"6 x\n", b"00 x\n", b"0\n", b"0 a\n1 b\n", b"x")),
        *((line, True) for line in (b"0 unchanged\n", b"0 -1 x\n", b"2 5 later\n", b"0 " + b"1" * 20 + b"\n", b"\0\n")),
    ],
)
def test_no_reply(line: bytes, sized: bool) -> None:
    with pytest.raises(RemoteProtocolError, match=r"no reply of a scan server|output with code 2"):
        wire.parse_reply(line, sized=sized)


def test_requests_of_a_client() -> None:
    envelope = Envelope(b"", (b"a b", b"c%d"), "::1", b"h", "Q\xe9")
    assert wire.scan_request(b"/tmp/a b", b"/tmp/\xff%") == b"SCAN /tmp/a%20b /tmp/%FF%25\n"
    assert wire.stream_request(3, envelope) == b"STREAM 3 from= client=::1 helo=h id=Q%C3%A9 to=a%20b to=c%25d\n"


def test_all_recipients_or_none() -> None:
    many = tuple(b"user%d@example.org" % number for number in range(1000))
    assert wire.stream_request(3, Envelope(b"a@b", many)) == b"STREAM 3 from=a@b\n"
    with pytest.raises(ValueError, match="longer than 8192"):
        wire.stream_request(3, Envelope(b"a" * 8192))


@given(st.binary(max_size=60), st.binary(max_size=60), st.none() | st.binary(max_size=40), st.lists(st.binary(max_size=20), max_size=3))
def test_what_a_client_says_is_understood(infile: bytes, outfile: bytes, sender: bytes | None, recipients: list[bytes]) -> None:
    envelope = Envelope(sender, tuple(recipients), "192.0.2.1", b"h\n", "id")
    if infile and outfile:
        assert events([wire.scan_request(infile, outfile, envelope)]) == [ScanFiles(infile, outfile, envelope)]
    assert events([wire.stream_request(len(infile), envelope)]) == [Stream(len(infile), envelope)]


@given(st.lists(st.sampled_from([data for data, _ in DIALOGUES]) | st.binary(max_size=30), max_size=4).map(b"".join), st.integers(1, 9))
def test_cuts_do_not_matter(data: bytes, size: int) -> None:
    assert events([data]) == events([data[i : i + size] for i in range(0, len(data), size)])


@given(st.sampled_from(list(Code)), st.integers(0, 1 << 60), st.text(max_size=300))
def test_replies_are_one_line(code: Code, size: int, text: str) -> None:
    assert wire.parse_reply(wire.reply(code, text))[:2] == (code, 0)
    size = size if code <= Code.MODIFIED else 0
    assert wire.parse_reply(wire.stream_reply(code, size, text), sized=True)[:2] == (code, size)
