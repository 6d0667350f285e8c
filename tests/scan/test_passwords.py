"""Passwords: what a person would try comes first."""

from __future__ import annotations

import base64

import pytest

import wrappings
from lazaretto.limits import DEFAULT
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.scan import passwords

TEXT = b"Content-Type: text/plain\r\n"


def words(text: bytes, fields: bytes = TEXT, most: int = DEFAULT.max_passwords) -> list[bytes]:
    source = Source(wrappings.single(fields, text))
    return list(passwords.passwords(source, scanner.parse(source), most))


@pytest.mark.parametrize(
    "text",
    [
        b"The archive is attached.  Password: s3cret\r\n",
        b"password is s3cret.",
        b"Das Kennwort lautet: s3cret",
        b"PIN = s3cret",
        b"mot de passe : s3cret",
        b"pw: s3cret",
    ],
)
def test_the_word_after_a_cue_comes_first(text: bytes) -> None:
    assert b"s3cret" in words(text)[:3]


def test_words_with_digits_come_before_others() -> None:
    found = words(b"Some words and then abc123 and more words")
    assert found[0] == b"abc123"
    assert b"words" in found


def test_passwords_from_html_and_encoded_parts() -> None:
    assert words(b"<p>Password: <b>s3cret</b></p>", b"Content-Type: text/html\r\n")[0] == b"s3cret"
    encoded = base64.b64encode(b"Password: s3cret")
    assert words(encoded, TEXT + b"Content-Transfer-Encoding: base64\r\n")[0] == b"s3cret"


def test_max_passwords() -> None:
    many = b" ".join(b"word%d" % number for number in range(500))
    assert len(words(many, most=7)) == 7


def test_the_subject_counts() -> None:
    source = Source(b"Subject: archive, password s3cret\r\n\r\nhello\r\n")
    assert b"s3cret" in passwords.passwords(source, scanner.parse(source), 5)
