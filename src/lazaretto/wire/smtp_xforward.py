"""XFORWARD and XCLIENT, Postfix's extensions that tell a server behind a proxy whom the proxy talks to.

    parse_xforward(b"NAME=mail.example ADDR=IPV6:2001:db8::1")    {b"NAME": b"mail.example", b"ADDR": b"IPV6:2001:db8::1"}
    parse_xclient(b"ADDR=[UNAVAILABLE] LOGIN=a+40b")              {b"ADDR": None, b"LOGIN": b"a@b"}
    xforward_commands(attributes, announced)                      the same again, as commands of at most 512 bytes

Values are xtext on the wire and plain bytes here; None stands for [UNAVAILABLE].

Limits:  MAX_COMMAND_BYTES, MAX_VALUE_BYTES.
Errors:  ValueError, its text says what is wrong; answer 501.
See:     docs/protocols/smtp.md
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from lazaretto import regex
from lazaretto.wire.smtp import xtext_decode, xtext_encode

MAX_COMMAND_BYTES = 512  # with its CRLF
MAX_VALUE_BYTES = 255  # encoded
UNAVAILABLE = b"[UNAVAILABLE]"
XFORWARD = (b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"IDENT", b"SOURCE")  # as announced
XCLIENT = (b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"LOGIN", b"DESTADDR", b"DESTPORT")

Attributes = Mapping[bytes, bytes | None]

_CONTROL = regex.compile(rb"[\x00-\x1f\x7f]")
_VALUES = {
    b"ADDR": regex.compile(rb"(?!ipv6:)[^ ]+|ipv6:[0-9a-f:.]*:[0-9a-f:.]*(?:%[^ ]+)?|\[tempunavail\]", 2),  # re.IGNORECASE
    b"PORT": regex.compile(rb"[0-9]{1,5}"),
    b"SOURCE": regex.compile(rb"local|remote", 2),
}
_VALUES[b"DESTADDR"] = _VALUES[b"ADDR"]
_VALUES[b"DESTPORT"] = _VALUES[b"PORT"]


def parse_xforward(argument: bytes) -> dict[bytes, bytes | None]:
    """What stands behind the word XFORWARD."""
    return _parse(argument, XFORWARD)


def parse_xclient(argument: bytes) -> dict[bytes, bytes | None]:
    """What stands behind the word XCLIENT."""
    return _parse(argument, XCLIENT)


def _parse(argument: bytes, known: tuple[bytes, ...]) -> dict[bytes, bytes | None]:
    attributes: dict[bytes, bytes | None] = {}
    for word in argument.split():
        name, _, text = word.partition(b"=")
        name = name.upper()
        if name not in known:
            raise ValueError("unknown attribute name")
        if name in attributes:
            raise ValueError("attribute given twice")
        if not text or len(text) > MAX_VALUE_BYTES:
            raise ValueError("attribute value missing or too long")
        value = xtext_decode(text)
        if value.upper() == UNAVAILABLE:
            attributes[name] = None
        elif _CONTROL.search(value) or (name in _VALUES and not _VALUES[name].fullmatch(value)):
            raise ValueError(f"bad value of attribute {name.decode('ascii')}")
        else:
            attributes[name] = value
    if not attributes:
        raise ValueError("attribute expected")
    return attributes


def xforward_commands(attributes: Attributes, announced: Container[bytes]) -> list[bytes]:
    """Commands, without CRLF, that tell `attributes` as far as their names are `announced`; none if there is nothing to tell."""
    commands: list[bytes] = []
    for name, value in attributes.items():
        if name not in announced:
            continue
        word = b" %s=%s" % (name, UNAVAILABLE if value is None else xtext_encode(value))
        if commands and len(commands[-1]) + len(word) + 2 <= MAX_COMMAND_BYTES:
            commands[-1] += word
        else:
            commands.append(b"XFORWARD" + word)
    return commands
