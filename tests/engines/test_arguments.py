"""Arguments that a stranger writes: each is one word, and none is an option."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.engines.arguments import MAX_LENGTH, are_fixed, are_from_mail, fill
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Field

HEADER = (
    b'From: A <a@example.org>\r\nReply-To: "B, C" <b@example.org>, c@x\r\nReturn-Path: <d@example.org>\r\n'
    b"Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\r\n folded\r\nX-Y: -rf\x07\r\nX-Y: second\r\n"
)


def fields(header: bytes = HEADER) -> tuple[Field, ...]:
    return scanner.parse(Source(header + b"\r\ntext\r\n")).fields


@pytest.mark.parametrize(
    ("word", "filled"),
    [
        ("{file}", b"/tmp/x/content"),
        ("--name={name}", b"--name=a b.exe"),
        ("{reply_to}", b"b@example.org"),
        ("{errors_to}", b"d@example.org"),
        ("{header:subject}", "grüße folded".encode()),
        ("{header:X-Y}", b"_rf"),  # no option
        ("-{header:X-Y}", b"--rf"),  # that was the administrator's dash
        ("{header:x_y}", b"_rf"),
        ("{header:nothing}", b""),
        ("{other} {", b"{other} {"),
    ],
)
def test_places(word: str, filled: bytes) -> None:
    assert fill((word,), "/tmp/x/content", "a\r\n b.exe", fields()) == (filled,)


def test_addresses_that_are_not_there() -> None:
    assert fill(("{reply_to}", "{errors_to}"), "", "", fields(b"From: a@example.org\r\n")) == (b"a@example.org",) * 2
    assert fill(("{reply_to}", "{errors_to}"), "", "", fields(b"From: nobody\r\n")) == (b"", b"")


def test_what_the_arguments_hold() -> None:
    assert not are_from_mail(("scan", "{file}", "{other}"))
    assert are_from_mail(("scan", "x{name}"))
    assert are_from_mail(("scan", "{header:Subject}"))
    assert are_fixed("/usr/bin/{x}")
    assert not are_fixed("/usr/bin/{file}")


def test_limit() -> None:
    (filled,) = fill(("{name}",), "", "x" * 9999, ())
    assert len(filled) == MAX_LENGTH


@given(st.text(), st.binary(max_size=100))
def test_no_stranger_writes_options_or_control_characters(name: str, value: bytes) -> None:
    header = fields(b"Subject: " + value.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n")
    for filled in fill(("{name}", "{header:subject}", "{reply_to}"), "", name, header):
        assert not filled.startswith(b"-")
        assert not {*filled} & {*range(32), 127}
