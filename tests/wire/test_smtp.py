from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.smtp import (
    MAX_REPLY_LINE_BYTES,
    MAX_REPLY_LINES,
    Path,
    Reply,
    ReplyReader,
    extension_lines,
    offer,
    parse_extensions,
    parse_parameters,
    parse_path,
    xtext_decode,
    xtext_encode,
)


def replies(data: bytes, size: int = 1) -> list[Reply]:
    reader = ReplyReader()
    found = []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (reply := reader.next_reply()) is not None:
            found.append(reply)
    return found


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"250 ok\r\n", Reply(250, (b"ok",))),
        (b"250\r\n", Reply(250, (b"",))),
        (b"250 \r\n", Reply(250, (b"",))),
        (b"250 ok\n", Reply(250, (b"ok",))),
        (b"250-a\r\n250-\r\n250 c\r\n", Reply(250, (b"a", b"", b"c"))),
        (b"250-a\r\n250\r\n", Reply(250, (b"a", b""))),
        (b"354-a\n354 b\r\n", Reply(354, (b"a", b"b"))),
        (b"550 \xc3\xa4\tb\r\n", Reply(550, (b"\xc3\xa4\tb",))),
        (b"550 a\0b\rc\x1b[1m\r\n", Reply(550, (b"a?b?c?[1m",))),
        (b"550 " + b"x" * (MAX_REPLY_LINE_BYTES - 5) + b"\r\n", Reply(550, (b"x" * (MAX_REPLY_LINE_BYTES - 5),))),
        (b"250-x\r\n" * (MAX_REPLY_LINES - 1) + b"250 x\r\n", Reply(250, (b"x",) * MAX_REPLY_LINES)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_replies(data: bytes, reply: Reply) -> None:
    for size in (1, 3, 10_000):
        assert replies(data + b"220 next\r\n", size) == [reply, Reply(220, (b"next",))]


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\r\n",
            b"hello\r\n",
            b"25 ok\r\n",
            b"2500 ok\r\n",
            b"250ok\r\n",
            b"250_ok\r\n",
            b" 250 ok\r\n",
            b"150 x\r\n",
            b"600 x\r\n",
            b"+OK\r\n",
        ),
        *(b"250-a\r\n251 b\r\n", b"250-a\r\nhello\r\n", b"\xb2\xb5\xb0 x\r\n", b"HTTP/1.1 400 Bad\r\n"),
        b"250 " + b"x" * MAX_REPLY_LINE_BYTES + b"\r\n",
        b"250 " + b"x" * MAX_REPLY_LINE_BYTES,
        b"250-x\r\n" * MAX_REPLY_LINES,
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_reply(data: bytes) -> None:
    for size in (1, 10_000):
        with pytest.raises(RemoteProtocolError):
            replies(data, size)


def test_pending() -> None:
    reader = ReplyReader()
    assert not reader.pending
    for part in (b"250", b"-a\r\n", b"250 b\r"):
        reader.feed(part)
        assert reader.next_reply() is None
        assert reader.pending
    reader.feed(b"\n250 c\r\n")
    assert reader.next_reply() == Reply(250, (b"a", b"b"))
    assert reader.pending
    assert reader.next_reply() == Reply(250, (b"c",))
    assert not reader.pending


def test_reply_as_bytes() -> None:
    assert Reply(250, (b"ok",)).to_bytes() == b"250 ok\r\n"
    assert Reply(250, (b"a", b"b", b"c")).to_bytes() == b"250-a\r\n250-b\r\n250 c\r\n"
    assert Reply(250, ()).to_bytes() == b"250 \r\n"
    assert Reply(550, (b"a\r\n250 b\0",)).to_bytes() == b"550 a??250 b?\r\n"
    assert str(Reply(550, (b"a\r\n", b"\xc3\xa4\xff"))) == "550 a?? \u00e4\ufffd"


@given(st.integers(200, 599), st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_replies_read_back(code: int, lines: list[bytes]) -> None:
    data = Reply(code, tuple(lines)).to_bytes()
    (reply,) = replies(data)
    assert reply.code == code
    assert reply.to_bytes() == data
    assert len(reply.lines) == len(lines)


@pytest.mark.parametrize(
    ("reply", "enhanced"),
    [
        (Reply(250, (b"2.0.0 ok",)), b"2.0.0"),
        (Reply(550, (b"5.7.123",)), b"5.7.123"),
        (Reply(550, (b"5.7.1234 x",)), b""),
        (Reply(550, (b"4.7.1 x",)), b""),
        (Reply(550, (b"5.7.1x",)), b""),
        (Reply(354, (b"3.0.0 x",)), b""),
        (Reply(250, ()), b""),
    ],
)
def test_enhanced(reply: Reply, enhanced: bytes) -> None:
    assert reply.enhanced == enhanced


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        (b"<a@b>", b"a@b", {}),
        (b"<>", b"", {}),
        (b" <a@b> ", b"a@b", {}),
        (b"< a@b >", b"a@b", {}),
        (b"a@b", b"a@b", {}),
        (b"a@b SIZE=1", b"a@b", {b"SIZE": b"1"}),
        (b"<Postmaster>", b"Postmaster", {}),
        (b'<"a b"@c>', b'"a b"@c', {}),
        (b'<"a> SIZE=1 <b"@c> SIZE=2', b'"a> SIZE=1 <b"@c', {b"SIZE": b"2"}),
        (b'<"a\\"> \\\\"@c> X', b'"a\\"> \\\\"@c', {b"X": None}),
        (b"<a\\>b@c>", b"a\\>b@c", {}),
        (b"<@x,@y:a@b>", b"a@b", {}),
        (b'<@x:"a:b"@c>', b'"a:b"@c', {}),
        (b"<\xe5\x95\x86@\xe5\x95\x86.example> SMTPUTF8", b"\xe5\x95\x86@\xe5\x95\x86.example", {b"SMTPUTF8": None}),
        (b"<a@[IPv6:2001:db8::1]>", b"a@[IPv6:2001:db8::1]", {}),
        (b"<" + b"a" * 900 + b"@b>", b"a" * 900 + b"@b", {}),
        (
            b"<a@b> size=10 Body=8BITMIME  RET=FULL ENVID=a+2Bb AUTH=<> REQUIRETLS mt-priority=-4 BY=10;R",
            b"a@b",
            {
                b"SIZE": b"10",
                b"BODY": b"8BITMIME",
                b"RET": b"FULL",
                b"ENVID": b"a+2Bb",
                b"AUTH": b"<>",
                b"REQUIRETLS": None,
                b"MT-PRIORITY": b"-4",
                b"BY": b"10;R",
            },
        ),
        (b"<a@b> ORCPT=utf-8;\xc3\xa4=x NOTIFY=SUCCESS,DELAY", b"a@b", {b"ORCPT": b"utf-8;\xc3\xa4=x", b"NOTIFY": b"SUCCESS,DELAY"}),
    ],
)
def test_paths(argument: bytes, address: bytes, parameters: dict[bytes, bytes | None]) -> None:
    assert parse_path(argument) == Path(address, parameters)


@pytest.mark.parametrize(
    "argument",
    [
        *(
            b"",
            b"  ",
            b"<",
            b">",
            b"<a",
            b"a>",
            b"<a@b>SIZE=1",
            b"<a@b>>",
            b"<<a@b>>",
            b"<a<b@c>",
            b'<"a@b>',
            b'<a"b@c>',
            b"<a\\>",
            b"<@x>",
        ),
        *(b'<@x"y:a@b>', b"<a@b> =", b"<a@b> A=", b"<a@b> -A=1", b"<a@b> A_B=1", b"<a@b> <c@d>", b"<a@b> A=1 a=1", b"a b@c <"),
    ],
)
def test_bad_paths(argument: bytes) -> None:
    with pytest.raises(ValueError, match=r"address|parameter"):
        parse_path(argument)


def test_hostile_paths_take_linear_time() -> None:
    for unit in (b'"', b"\\", b'"\\', b"<", b'""', b"@:"):
        with pytest.raises(ValueError, match=r"address|parameter"):
            parse_path(b"<" + unit * 100_001)
    assert len(parse_parameters(b"".join(b"K%d " % i for i in range(10_000)))) == 10_000


def test_extensions() -> None:
    lines = (
        b"mx.example SIZE 5",
        b"SIZE 10240000",
        b"8bitmime",
        b"AUTH PLAIN  LOGIN ",
        b"AUTH=PLAIN",
        b"XFORWARD NAME ADDR",
        b"SIZE 1",
        b"",
        b"? x",
    )
    extensions = parse_extensions(Reply(250, lines))
    assert extensions == {b"SIZE": b"10240000", b"8BITMIME": b"", b"AUTH": b"PLAIN  LOGIN", b"XFORWARD": b"NAME ADDR"}
    assert parse_extensions(Reply(250, (b"SIZE 10",))) == {}


def test_only_what_we_forward_is_offered() -> None:
    forwarded = b"PIPELINING SIZE AUTH ENHANCEDSTATUSCODES 8BITMIME DSN SMTPUTF8 XFORWARD MT-PRIORITY".split()
    others = b"VRFY ETRN STARTTLS CHUNKING BINARYMIME BURL XCLIENT REQUIRETLS LIMITS X-UNKNOWN".split()
    assert set(offer(dict.fromkeys(forwarded + others, b""))) == set(forwarded)
    assert offer({}) == {b"PIPELINING": b""}


@pytest.mark.parametrize(
    ("theirs", "ours", "size"),
    [
        ({b"SIZE": b"100"}, 0, b"100"),
        ({b"SIZE": b"100"}, 50, b"50"),
        ({b"SIZE": b"100"}, 200, b"100"),
        ({b"SIZE": b"0"}, 200, b"200"),
        ({b"SIZE": b""}, 200, b"200"),
        ({b"SIZE": b"0"}, 0, b""),
        ({b"SIZE": b"huge"}, 0, b""),
        ({b"SIZE": b"9" * 30}, 7, b"7"),
        ({}, 200, b"200"),
        ({}, 0, None),
    ],
)
def test_size_is_the_smaller_one(theirs: dict[bytes, bytes], ours: int, size: bytes | None) -> None:
    assert offer(theirs, ours).get(b"SIZE") == size


def test_extension_lines() -> None:
    assert extension_lines({b"SIZE": b"10", b"DSN": b""}) == (b"SIZE 10", b"DSN")


@given(st.binary(max_size=100))
def test_xtext_round_trip(data: bytes) -> None:
    text = xtext_encode(data)
    assert text.isascii()
    assert not set(text) & set(b" =\r\n\0")
    assert xtext_decode(text) == data


@pytest.mark.parametrize("text", [b"+", b"a+2", b"+2b", b"+GG", b"a b", b"a=b", b"\xff", b"a\n", b"++"])
def test_bad_xtext(text: bytes) -> None:
    with pytest.raises(ValueError, match="xtext"):
        xtext_decode(text)
