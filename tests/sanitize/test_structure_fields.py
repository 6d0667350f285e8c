"""Headers written anew: plain fields keep their bytes, and what is written has one reading."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.mime import params, scanner, structured
from lazaretto.mime.source import Source
from lazaretto.sanitize import structure_fields as writing
from lazaretto.sanitize.structure_fields import Change


def written(header: bytes, change: Change = writing.NOTHING) -> bytes:
    source = Source(header + b"\r\n")
    return writing.header(source, scanner.parse(source), b"\r\n", change)


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: x\r\n",
        b"subject:x\r\n y\r\n\tz\r\n",
        b"From a@b Sun Nov 22 2026\r\nSubject: x\r\n",
        b"Content-Type: text/plain (a comment); charset=utf-8\r\n",
        b"Content-Type: a/b; name*=utf-8''%C3%A4\r\n",
        b'Content-Type: a/b; name="=?utf-8?Q?=C3=A4?="\r\n',
        b"Content-Transfer-Encoding: BASE64\r\n",
        b"Mime-version: 1.0 (Apple Message framework v1)\r\n",
        b"DKIM-Signature: h=from:\r\n content-type:date;\r\n b=x\r\n",
    ],
)
def test_what_everybody_reads_alike_keeps_its_bytes(header: bytes) -> None:
    assert written(header) == header + b"\r\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"MIME-Version: 2.0\r\n", b"MIME-Version: 1.0\r\n"),
        (b"Content-Type: multi-part/mixed; boundary=x\r\n", b"Content-Type: application/octet-stream\r\n"),
        (b"Content-Type: text/plain; boundary=x\r\n", b"Content-Type: text/plain\r\n"),
        (b"Content-Disposition: (a) ; filename=b\r\n", b'Content-Disposition: attachment; filename="b"\r\n'),
        (b"Content-Transfer-Encoding: \"base64\"\r\n", b"Content-Transfer-Encoding: base64\r\n"),
        (b"Content-Transfer-Encoding: =?x?\r\n", b""),
        (b"X-\xe4: b\0\r\n c\r\n", b"x-_: b c\r\n"),
        (b"name=a: b\r\nX: y\r\n", b"X: y\r\n"),
        (b"X-A:: " + b"word " * 300 + b"\r\n", b"X-A: " + (b"word " * 179)[:-1] + b"\r\n" + b" word" * 121 + b"\r\n"),
    ],
)  # fmt: skip
def test_what_is_written_anew(header: bytes, expected: bytes) -> None:
    assert written(header) == expected + b"\r\n"


def test_a_change() -> None:
    header = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=x; charset=y\r\nContent-Transfer-Encoding: base64\r\n"
    assert written(header, Change(boundary=b"fresh", encoding="")) == (
        b"Subject: x\r\nContent-Type: multipart/mixed; charset=y; boundary=fresh\r\n\r\n"
    )
    assert written(header, Change(media_type="text/plain", encoding="7bit")) == (
        b"Subject: x\r\nContent-Type: text/plain; charset=y\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    )
    assert written(b"Subject: x\r\n", Change(encoding="base64")) == b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert written(b"Subject: x\r\n", Change(boundary=b"f", media_type="multipart/mixed")) == (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n"
    )


def test_a_message_with_mime_fields_gets_a_version() -> None:
    source = Source(b"Content-Type: text/plain\r\n\r\n")
    text = writing.header(source, scanner.parse(source), b"\r\n", in_message=True)
    assert text == b"Content-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\n"


@given(st.text(max_size=300))
@example("a.txt")
@example("x boundary=y")
@example('quo"te \\ back.txt')
@example("\u202etxt.exe")
@example("ä" * 300)
def test_a_name_has_one_reading(name: str) -> None:
    seen = writing.visible(name)
    for key, field in (("name", "Content-Type: a/b"), ("filename", "Content-Disposition: attachment")):
        value = ("; ".join((field.partition(": ")[2], *writing.parameter(key, name)))).encode("ascii")
        read = structured.read(value)
        assert structured.AMBIGUOUS.isdisjoint(read.anomalies)
        assert read.get(key) == seen
        assert max(map(len, writing.structured_field("Content-Type", "a/b", [(key, name)], b"\r\n").split(b"\r\n"))) <= 998


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_other_parameter_has_one_reading(text: str) -> None:
    value = "a/b; " + "; ".join(writing.parameter("charset", text))
    assert structured.AMBIGUOUS.isdisjoint(structured.read(value.encode("ascii")).anomalies)


def test_max_params_and_max_name() -> None:
    many = b"Content-Type: a/b; x" + b"".join(b"; k%d=v" % number for number in range(100)).replace(b"; k", b"; k") + b"\r\n"
    assert written(many).count(b"=v") == writing.MAX_PARAMS
    assert len(writing.visible("n" * 1000)) == writing.MAX_NAME


def test_max_field() -> None:
    """Beyond that of a field that is written anew, the rest goes."""
    assert len(written(b"X-A:: " + b"x " * 20_000 + b"\r\n")) < writing.MAX_FIELD + 200


def test_the_name_that_is_written_is_one_of_those_that_were_judged() -> None:
    value = b"Content-Disposition: attachment; filename=a.txt; filename=b.exe\r\n"
    assert b'filename="a.txt"' in written(value)
    assert "a.txt" in params.readings(value.partition(b": ")[2], "filename")
