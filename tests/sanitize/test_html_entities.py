"""Character references, there and back."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.sanitize.html_entities import characters, decode, encode, guard_lines


@pytest.mark.parametrize(
    ("written", "text", "value"),
    [
        ("&lt;&gt;&amp;&quot;&#39;", "<>&\"'", "<>&\"'"),
        ("&#60;&#x3C;&#X3c", "<<<", "<<<"),
        ("&#0000060x", "<x", "<x"),
        ("&copy;&copy&copy=1&copyx", "©©©=1©x", "©©&copy=1&copyx"),
        ("&notit;&notin;", "¬it;∉", "&notit;∉"),
        ("&nbsp;&colon;&NewLine;&Tab;", "\xa0:\n\t", "\xa0:\n\t"),
        ("&nix; & &; &#; &#x; &1", "&nix; & &; &#; &#x; &1", "&nix; & &; &#; &#x; &1"),
        ("&#128;&#x92;", "€’", "€’"),
        ("&#0;&#xD800;&#x110000;", "\ufffd\ufffd\ufffd", "\ufffd\ufffd\ufffd"),
        ("&#13;&#12;&#11;&#1;&#xFFFE;", "\n  ", "\n  "),
        ("&#" + "1" * 5000 + ";&#" + "0" * 5000 + "60;", "\ufffd<", "\ufffd<"),
        ("&amp;lt;", "&lt;", "&lt;"),
    ],
)
def test_decode(written: str, text: str, value: str) -> None:
    assert decode(written, in_attribute=False) in (text, text.replace("  ", " "))
    assert decode(written, in_attribute=True) in (value, value.replace("  ", " "))


def test_encode() -> None:
    assert encode("a<b>&\"'+~`\\ü\U0001f600") == "a&lt;b&gt;&amp;&quot;'&#43;&#126;&#96;&#92;&#252;&#128512;"
    assert encode("plain text, (1) [2] {3}: 4/5; 6?") == "plain text, (1) [2] {3}: 4/5; 6?"


@given(st.text())
def test_what_is_encoded_is_decoded(text: str) -> None:
    clean = characters(text)
    for in_attribute in (False, True):
        assert decode(encode(clean), in_attribute=in_attribute) == clean
    assert unescape(encode(clean)) == clean
    assert encode(clean).isascii()
    assert not set(encode(clean)) & set('+~`\\<>"\x1b\0')


@given(st.text())
def test_characters_are_those_that_can_be_written(text: str) -> None:
    clean = characters(text)
    assert characters(clean) == clean
    assert not any(ord(character) < 32 and character not in "\t\n" for character in clean)


def test_lines_that_mail_programs_take_for_something_else() -> None:
    assert guard_lines("-a\n--b\n.\nFrom x\nfrom y\n a-b\nFrom\n") == "&#45;a\n&#45;-b\n&#46;\n&#70;rom x\nfrom y\n a-b\nFrom\n"
