"""What an MTA tells a filter: each packet taken apart, odd and malformed ones, macros."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.milter import Actions, Packet, Steps
from lazaretto.wire.milter_commands import (
    MAX_MACRO_BYTES,
    MAX_MACROS,
    MAX_STEPS,
    Abort,
    Body,
    Command,
    Connect,
    Data,
    EndOfBody,
    EndOfHeaders,
    Header,
    Helo,
    MacroList,
    Macros,
    Mail,
    Negotiate,
    NewConnection,
    Quit,
    Recipient,
    Unknown,
    bare,
    parse,
)


@pytest.mark.parametrize(("code", "data", "event"), [
    (b"O", b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff", Negotiate(6, Actions(0x1FF), Steps(0x1FFFFF))),
    (b"O", b"\0\0\0\x02\0\0\0\x3f\0\0\0\x7fmore", Negotiate(2, Actions(0x3F), Steps(0x7F), b"more")),
    (b"C", b"mail.example\x004\0\x19192.0.2.1\0", Connect(b"mail.example", b"4", 25, b"192.0.2.1")),
    (b"C", b"[v6]\x006\xff\xffIPv6:2001:db8::1\0", Connect(b"[v6]", b"6", 65535, b"IPv6:2001:db8::1")),
    (b"C", b"h\x004\0\x19192.0.2.1", Connect(b"h", b"4", 25, b"192.0.2.1")),  # its NUL is missing
    (b"C", b"localhost\0L\0\0/run/x\0", Connect(b"localhost", b"L", 0, b"/run/x")),
    (b"C", b"unknown\0U", Connect(b"unknown", b"U")),
    (b"C", b"odd\0X\0\x19y\0", Connect(b"odd", b"U")),
    (b"H", b"me.example\0", Helo(b"me.example")),
    (b"M", b"<a@b>\0SIZE=1\0BODY=8BITMIME\0", Mail(b"<a@b>", (b"SIZE=1", b"BODY=8BITMIME"))),
    (b"M", b"<>\0", Mail(b"<>")),
    (b"R", b"<\xc3\xa4@b>\0NOTIFY=NEVER\0", Recipient(b"<\xc3\xa4@b>", (b"NOTIFY=NEVER",))),
    (b"T", b"", Data()),
    (b"L", b"Subject\0 a\n b\0", Header(b"Subject", b" a\n b")),
    (b"L", b"X\0\0", Header(b"X", b"")),
    (b"L", b"\0\0", Header(b"", b"")),
    (b"N", b"", EndOfHeaders()),
    (b"B", b"a\0b\r\n", Body(b"a\0b\r\n")),
    (b"E", b"", EndOfBody()),
    (b"E", b"last", EndOfBody(b"last")),
    (b"A", b"", Abort()),
    (b"K", b"", NewConnection()),
    (b"Q", b"", Quit()),
    (b"U", b"HELP\0", Unknown(b"HELP")),
    (b"D", b"C", MacroList(b"C", ())),
    (b"D", b"Mi\0Q1\0{x}\0\0", MacroList(b"M", ((b"i", b"Q1"), (b"{x}", b"")))),
    (b"D", b"Mi\0", MacroList(b"M", ((b"i", b""),))),
    (b"D", b"Mi\0Q1", MacroList(b"M", ((b"i", b"Q1"),))),
])  # fmt: skip
def test_events(code: bytes, data: bytes, event: Command) -> None:
    assert parse(Packet(code, data)) == event


@pytest.mark.parametrize(("code", "data"), [
    (b"O", b"\0" * 11), (b"C", b""), (b"C", b"host"), (b"C", b"host\0"), (b"H", b""), (b"H", b"a"), (b"H", b"a\0b\0"),
    (b"M", b""), (b"M", b"<a@b>"), (b"R", b"<a@b>\0x"), (b"L", b"a\0"), (b"L", b"a\0b"), (b"L", b"a\0b\0c\0"), (b"U", b"x"), (b"D", b""),
    (b"a", b""),
])  # fmt: skip
def test_malformed(code: bytes, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse(Packet(code, data))


@given(st.sampled_from([bytes([code]) for code in b"ABCDEHKLMNOQRTU"]), st.binary(max_size=40))
def test_an_event_or_an_error_of_the_peers(code: bytes, data: bytes) -> None:
    try:
        event = parse(Packet(code, data))
    except RemoteProtocolError:
        return
    assert isinstance(event, tuple)


@pytest.mark.parametrize(
    ("written", "name"), [(b"{mail_addr}", b"mail_addr"), (b"i", b"i"), (b"{i}", b"i"), (b"{", b"{"), (b"{}", b""), (b"", b"")]
)
def test_names_without_braces(written: bytes, name: bytes) -> None:
    assert bare(written) == name


def told(command: bytes, **values: bytes) -> MacroList:
    return MacroList(command, tuple((b"{%b}" % name.encode(), value) for name, value in values.items()))


def test_macros_by_step() -> None:
    macros = Macros()
    macros.take(told(b"C", a=b"1", b=b"1"))
    assert macros.get(b"a") is None
    macros.settle()
    macros.take(told(b"M", b=b"2"))
    macros.settle()
    assert (macros.get(b"a"), macros.get(b"b"), macros.get(b"c")) == (b"1", b"2", None)
    assert dict(macros) == {b"a": b"1", b"b": b"2"}
    macros.take(told(b"C", b=b"3"))  # told again: the new list takes the place of the old one, and is the last
    macros.settle()
    assert dict(macros) == {b"b": b"3"}
    assert macros.get(b"a") is None
    macros.end_message()
    assert dict(macros) == {b"b": b"3"}
    macros.clear()
    assert dict(macros) == {}


def test_an_empty_value_is_a_value() -> None:
    macros = Macros()
    macros.take(told(b"M", auth_authen=b""))
    macros.settle()
    assert macros.get(b"auth_authen") == b""


def test_macros_have_bounds() -> None:
    many = parse(Packet(b"D", b"M" + b"".join(b"{%d}\0x\0" % number for number in range(1000))))
    assert isinstance(many, MacroList)
    assert len(many.pairs) == MAX_MACROS
    macros = Macros()
    macros.take(told(b"M", long=b"x" * 10_000))
    macros.settle()
    assert len(macros.get(b"long") or b"") == MAX_MACRO_BYTES
    for code in range(256):
        macros.take(told(bytes([code]), x=b"%d" % code))
        macros.settle()
    assert len({value for _, value in macros}) <= MAX_STEPS
