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


def test_a_few_texts_are_read() -> None:
    """And the subject, whatever stands before it."""
    parts = b"".join(b"--b\r\n\r\nword%dx\r\n" % number for number in range(passwords.TEXTS + 2))
    source = Source(b"Subject: subject1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n")
    expected = [b"word%dx" % number for number in range(passwords.TEXTS)] + [b"subject1"]
    assert list(passwords.passwords(source, scanner.parse(source), 99)) == expected


def test_other_parts_are_no_texts() -> None:
    part = b"--b\r\nContent-Type: %s\r\n\r\n%s\r\n"
    body = part % (b"application/x", b"no1") + part % (b"text/csv", b"no2") + part % (b"text/html", b"<b>yes3</b>") + part % (b"x", b"yes4")
    source = Source(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n")
    assert list(passwords.passwords(source, scanner.parse(source), 99)) == [b"yes3", b"yes4"]


def of_text(text: bytes) -> list[bytes]:
    """The words of a message that has nothing else."""
    source = Source(TEXT + b"\r\n" + text)
    return list(passwords.passwords(source, scanner.parse(source), 99))


def test_the_beginning_of_a_text_is_read() -> None:
    filler = b" ." * ((passwords.TEXT_BYTES - 10) // 2)
    assert of_text(b"first1 " + filler + b" second2 third3") == [b"first1"]
    assert of_text(b"first1 " + filler[4:] + b" second2 third3") == [b"first1", b"second"]


@pytest.mark.parametrize(
    ("chunks", "most", "expected"),
    [
        ([], 5, []),
        ([b"abc"], 5, [b"abc"]),
        ([b"abc", b"de"], 5, [b"abc", b"de"]),
        ([b"abc", b"defg", b"hij"], 5, [b"abc", b"de"]),
        ([b"abcdefg", b"h"], 5, [b"abcde"]),
        ([b"", b"", b"abc"], 2, [b"", b"", b"ab"]),
    ],
)
def test_first(chunks: list[bytes], most: int, expected: list[bytes]) -> None:
    given = iter(chunks)
    assert list(passwords._first(given, most)) == expected
    assert len(list(given)) == len(chunks) - len(expected)  # no more is decoded than needed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"password: abc. Then other", [b"abc.", b"abc", b"Then", b"other", b"password"]),
        (b"words b2c and Z9! then", [b"b2c", b"Z9!", b"Z9", b"words", b"and", b"then"]),
        (b"pin: 1234", [b"1234", b"pin"]),
        (b"to: no", []),  # shorter than a password
        (b"x" * 41, [b"x" * 40]),
        (b"<b>one</b><i two>two", [b"one", b"two"]),
        ("Kennwort: gr\u00fcn".encode(), ["gr\u00fcn".encode(), b"Kennwort"]),
        (b"the same the same", [b"the", b"same"]),
    ],
)
def test_the_order_of_words(text: bytes, expected: list[bytes]) -> None:
    assert of_text(text) == expected
