"""Encoded words: RFC 2047 as written, and as clients read it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime import words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("=?us-ascii?Q?a?=", "a"),
        ("=?US-ASCII*EN?q?a_b?=", "a b"),  # RFC 2231 s5
        ("=?ISO-8859-1?Q?a?= b", "a b"),  # RFC 2047 s8
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        ("=?utf-8?B?w6Q=?=", "ä"),
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=", "ä"),  # a character over two words
        ("=?utf-8?B?w6Q?=", "ä"),  # padding forgotten
        ("=?utf-8?B?w6Qx!?=", "ä1"),
        ("=?utf-16be?B?AGEALgBqAHM=?=", "a.js"),
        ("=?utf-16?B?YQAuAGoAcwA=?=", "a.js"),
        ("=?utf-7?Q?a+AC4-js?=", "a.js"),
        ("a.=?utf-8?Q?js?=", "a.js"),
        ("=?x-unknown?Q?=E4?=", "ä"),
        ("=?unicode_escape?Q?=5Cx41?=", "\\x41"),
        ("=?iso-8859-99?Q?=E4?=", "ä"),
        ("=?windows-1252?Q?=80?=", "€"),
        ("=?gb2312?B?1tA=?=", "中"),
        ("=?utf-8?Q?a", "=?utf-8?Q?a"),
        ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
    ],
)
def test_decode(value: str, expected: str) -> None:
    assert words.decode(value) == expected
    assert words.readings(value)[0] == expected


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("=?utf-8?Q?a=2E?= =?utf-8?Q?js?=", "a. js"),  # the blank kept
        ("=?utf-8?Q?a.js", "a.js"),  # cut off
        ("=?utf-8?Q?a?b.js?=", "a?b.js"),
        ("=?utf-8?B?YS5?= =?utf-8?B?qcw==?=", "a.js"),  # base64 cut anywhere
        ("=?utf-16?B?AGEALgBqAHM=?=", "a.js"),  # no mark, big-endian
        ("=?utf-8?Q?=3D=3Futf-8=3FQ=3Fa.js=3F=3D?=", "a.js"),  # a word in a word
        ("=?utf-8?Q?a.js?=", "=?utf-8?Q?a.js?="),  # not decoded at all
    ],
)
def test_other_readings(value: str, reading: str) -> None:
    assert reading in words.readings(value)


def test_one_reading_without_words() -> None:
    assert words.readings("a = b ? c") == ("a = b ? c",)


def test_readings_are_bounded() -> None:
    value = "".join(f"=?utf-16?B?{base64.b64encode(bytes([n])).decode()}?= ?=" for n in range(200))
    assert len(words.readings(value)) <= words.MAX_READINGS


def test_raw8() -> None:
    assert words.raw8("\xc3\xa4") == "ä"
    assert words.raw8("\xe4") == "\xe4"
    assert words.raw8("中") == "中"


@given(st.text(), st.sampled_from(["utf-8", "utf-16", "UTF-16LE"]))
def test_round_trip(value: str, charset: str) -> None:
    coded = base64.b64encode(value.encode(charset, "surrogatepass")).decode()
    if value.isascii():
        assert words.decode(f"=?{charset}?b?{coded}?=") == value


@given(st.text(alphabet="=?bBqQutf-8167_ \t\r\nAa+/%\xe4\0"))
def test_never_raises(value: str) -> None:
    found = words.readings(value)
    assert found[0] == words.decode(value)
    assert len(set(found)) == len(found) <= words.MAX_READINGS


def test_unclosed_words_are_not_quadratic() -> None:
    """Steps, not seconds: each start of a word may look at a bounded number of characters behind it."""
    from lazaretto.mime.words import _GREEDY_WORD

    assert _GREEDY_WORD.search("=?x?q?" + "a" * 500 + "?=") is not None
    assert _GREEDY_WORD.search("=?x?q?" + "a" * 501 + "?=") is None
