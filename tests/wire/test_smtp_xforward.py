from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.wire.smtp_xforward import MAX_COMMAND_BYTES, MAX_VALUE_BYTES, XFORWARD, parse_xclient, parse_xforward, xforward_commands


@pytest.mark.parametrize(
    ("argument", "attributes"),
    [
        (b"NAME=a.example", {b"NAME": b"a.example"}),
        (b"name=a  aDdR=192.0.2.1", {b"NAME": b"a", b"ADDR": b"192.0.2.1"}),
        (b"ADDR=IPV6:2001:db8::1", {b"ADDR": b"IPV6:2001:db8::1"}),
        (b"ADDR=ipv6:::ffff:192.0.2.1", {b"ADDR": b"ipv6:::ffff:192.0.2.1"}),
        (b"ADDR=IPv6:fe80::1%eth0", {b"ADDR": b"IPv6:fe80::1%eth0"}),
        (b"NAME=[UNAVAILABLE] ADDR=[unavailable] PORT=[Unavailable]", {b"NAME": None, b"ADDR": None, b"PORT": None}),
        (b"SOURCE=[UNAVAILABLE] PROTO=[unavailable]", {b"SOURCE": None, b"PROTO": None}),
        (b"HELO=+5BUNAVAILABLE+5D", {b"HELO": None}),
        (b"HELO=a+20b+2Bc+3D IDENT=4bXyz", {b"HELO": b"a b+c=", b"IDENT": b"4bXyz"}),
        (b"HELO=+C3+A4", {b"HELO": b"\xc3\xa4"}),
        (b"SOURCE=local", {b"SOURCE": b"local"}),
        (b"PORT=65535 PROTO=ESMTP", {b"PORT": b"65535", b"PROTO": b"ESMTP"}),
        (b"NAME=" + b"a" * MAX_VALUE_BYTES, {b"NAME": b"a" * MAX_VALUE_BYTES}),
    ],
)
def test_attributes(argument: bytes, attributes: dict[bytes, bytes | None]) -> None:
    assert parse_xforward(argument) == attributes


@pytest.mark.parametrize(
    "argument",
    [
        *(b"", b" ", b"NAME", b"NAME=", b"=a", b"NAME=a NAME=b", b"LOGIN=a", b"NAME=a+", b"NAME=a+2", b"NAME=a+2b", b"NAME=a=b"),
        *(
            b"HELO=a+0D+0Ab",
            b"HELO=a+00",
            b"PORT=smtp",
            b"PORT=123456",
            b"PORT=-1",
            b"SOURCE=HERE",
            b"ADDR=IPV6:xyz",
            b"ADDR=IPV6:",
            b"NAME=\xff",
        ),
        b"NAME=" + b"a" * (MAX_VALUE_BYTES + 1),
    ],
)
def test_bad_attributes(argument: bytes) -> None:
    with pytest.raises(ValueError, match=r"attribute|xtext"):
        parse_xforward(argument)


def test_xclient_has_others() -> None:
    attributes = parse_xclient(b"LOGIN=a+40b DESTADDR=IPV6:::1 DESTPORT=25 NAME=[TEMPUNAVAIL] ADDR=[TEMPUNAVAIL]")
    assert attributes == {
        b"LOGIN": b"a@b",
        b"DESTADDR": b"IPV6:::1",
        b"DESTPORT": b"25",
        b"NAME": b"[TEMPUNAVAIL]",
        b"ADDR": b"[TEMPUNAVAIL]",
    }
    with pytest.raises(ValueError, match="unknown"):
        parse_xclient(b"IDENT=a")


def test_only_what_is_announced_is_told() -> None:
    attributes = {b"NAME": b"a b", b"ADDR": None, b"SOURCE": b"LOCAL"}
    assert xforward_commands(attributes, (b"NAME", b"ADDR")) == [b"XFORWARD NAME=a+20b ADDR=[UNAVAILABLE]"]
    assert xforward_commands(attributes, ()) == []
    assert xforward_commands({}, XFORWARD) == []


VALUES = st.none() | st.binary(min_size=1, max_size=85).filter(lambda v: not set(v) & {*range(32), 127} and v.upper() != b"[UNAVAILABLE]")


@given(st.dictionaries(st.sampled_from([b"NAME", b"PROTO", b"HELO", b"IDENT"]), VALUES))
def test_round_trip(attributes: dict[bytes, bytes | None]) -> None:
    read: dict[bytes, bytes | None] = {}
    for command in xforward_commands(attributes, XFORWARD):
        assert len(command) + 2 <= MAX_COMMAND_BYTES
        assert command.startswith(b"XFORWARD ")
        read.update(parse_xforward(command.removeprefix(b"XFORWARD")))
    assert read == attributes
