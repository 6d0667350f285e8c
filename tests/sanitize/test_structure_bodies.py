"""Content encoded anew: the same bytes, in an encoding that has one reading."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import scanner, transfer
from lazaretto.mime.source import Source
from lazaretto.model import Span
from lazaretto.sanitize import structure_bodies as writing


def stored(chunks: Iterable[bytes]) -> Source:
    return Source(b"".join(chunks))


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from([b"--b", b"-", b".", b"From x", b"=\r\n", b"\r\n", b" ", b"long " * 30])).map(b"".join),
    ),
    st.sampled_from(["7bit", "base64", "quoted-printable", "x-uuencode"]),
    st.sampled_from(["text/plain", "image/png"]),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_the_content_stays_and_has_one_reading(body: bytes, encoding: str, kind: str, eol: bytes) -> None:
    source = Source(b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (kind.encode(), encoding.encode(), body))
    part = scanner.parse(source)
    found = writing.recoded(source, part, eol, stored)
    if found is None:
        assert encoding == "x-uuencode"
        return
    target, fresh = found
    whole = Span(0, fresh.size)
    assert b"".join(transfer.decode(fresh, whole, target)) == b"".join(writing.content(source, part))
    assert transfer.anomalies(fresh, whole, target) == ()
    lines = fresh.span(whole).split(eol)
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith((b"-", b".", b"From ")) for line in lines)


@pytest.mark.parametrize(
    ("field", "body", "encoding"),
    [
        (b"base-64", b"aGVsbG8=", "base64"),
        (b"base-64", b"no! base", ""),
        (b"x-base64; quoted-printable", b"=C3=A4", "quoted-printable"),
        (b"something", b"x", ""),
        (b"7bit", b"x", "7bit"),
    ],
)
def test_an_encoding_that_nobody_knows(field: bytes, body: bytes, encoding: str) -> None:
    source = Source(b"Content-Transfer-Encoding: " + field + b"\r\n\r\n" + body)
    assert writing.encoding(source, scanner.parse(source)) == encoding


def test_text_around_a_file_would_be_lost() -> None:
    source = Source(b"Content-Transfer-Encoding: x-uuencode\r\n\r\nA text.\r\nbegin 644 a\r\n#86)C\r\n`\r\nend\r\n")
    assert writing.recoded(source, scanner.parse(source), b"\r\n", stored) is None


@pytest.mark.parametrize("encoding", [b"x-gzip64", b"binhex", b"gzip-64"])
def test_what_is_compressed_as_well_is_not_blown_up(encoding: bytes) -> None:
    packed = base64.encodebytes(gzip.compress(bytes(1 << 20)))
    source = Source(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + packed)
    part = scanner.parse(source)
    assert writing.recoded(source, part, b"\r\n", stored) is None
    assert b"".join(writing.content(source, part)) == packed


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (b"hello\r\n", b"hello\r\n"),
        (b"Content-Type: a/b\r\n\r\n", b"Q29udGVudC1UeXBlOiBhL2INCg0K\r\n"),
        (b"a\rb\r\n", b"YQ1iDQo=\r\n"),
        (b"--b\r\n", b"=2D-b\r\n"),
    ],
)
def test_text_stays_readable_where_it_can(body: bytes, written: bytes) -> None:
    source = Source(b"Content-Type: text/plain\r\n\r\n" + body)
    found = writing.recoded(source, scanner.parse(source), b"\r\n", stored)
    assert found is not None
    assert found[1].span(Span(0, found[1].size)) == written


def test_what_must_not_be_encoded_is_decoded_with_the_line_ends_of_the_message() -> None:
    source = Source(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nSubject: =C3=A4=0D=0A=0D=0Ahello\n")
    encoding, body = writing.unwrapped(source, scanner.parse(source), b"\n", stored)
    assert (encoding, body.span(Span(0, body.size))) == ("8bit", "Subject: ä\n\nhello\n".encode())
