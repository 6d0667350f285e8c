"""CSS cut into tokens and written again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.sanitize.html_css_tokens import CssToken, Kind, identifier, quoted, quoted_url, squeezed, tokens, unescaped


def cut(text: str) -> list[tuple[str, str]]:
    return [(token.kind.value, token.text) for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a b", [("name", "a"), ("space", " "), ("name", "b")]),
        ("a/**/b", [("name", "a"), ("space", ""), ("name", "b")]),
        ("a/* x", [("name", "a"), ("space", "")]),
        ("<!-- a -->", [("space", " "), ("name", "a"), ("space", " ")]),
        (
            "1px +2.5em -3% 1e3",
            [("number", "1px"), ("space", " "), ("number", "+2.5em"), ("space", " "), ("number", "-3%"), ("space", " "), ("number", "1e3")],
        ),
        ("#fff .a:b", [("hash", "fff"), ("space", " "), ("delimiter", "."), ("name", "a"), ("delimiter", ":"), ("name", "b")]),
        ("'a\\27 b' \"c", [("string", "a'b"), ("space", " "), ("string", "c")]),
        ("url(x)", [("url", "x")]),
        ("URL( 'a b' )", [("url", "a b")]),
        ("u\\72 l(x\\29 y)z", [("url", "x\\29 y"), ("name", "z")]),
        ("url(a", [("url", "a")]),
        ("calc(1px)", [("function", "calc"), ("number", "1px"), ("delimiter", ")")]),
        ("@MEDIA x", [("at", "media"), ("space", " "), ("name", "x")]),
        ("--a:b", [("name", "--a"), ("delimiter", ":"), ("name", "b")]),
        ("e\\78pression", [("name", "expression")]),
        ("ü\\", [("name", "ü"), ("delimiter", "\\")]),
    ],
)
def test_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    if "\\29" in text:  # escapes in an address without quotes are resolved, too
        expected = [("url", "x\\29 y".replace("\\29 ", ")")), ("name", "z")]
    assert cut(text) == expected


def test_writing() -> None:
    assert identifier("a b") == "a\\20 b"
    assert identifier("1a") == "\\31 a"
    assert identifier("-1a") == "-\\31 a"
    assert identifier("1a", whole=False) == "1a"
    assert identifier("ü+") == "\\fc \\2b "
    assert quoted('It\'s "x"; {y}</style>+ü') == '"Its x y/style\\2b \\fc "'
    assert quoted_url("http://x/a b(1)'\"?c+d;e") == 'url("http://x/a%20b%281%29%27%22?c\\2b d;e")'


def test_escapes() -> None:
    assert unescaped("\\41 b\\000043\\\n\\z\\110000") == "AbCz\ufffd"
    assert squeezed("E/* */XP\\52 ession ｕｒｌ") == "expression url"


@given(st.text(alphabet="ab1-_ \\\"'()+~<>/*!@#.:;{}ü\n", max_size=30))
def test_what_is_written_is_read_as_it_was(text: str) -> None:
    for token in tokens(text):
        if token.kind is Kind.NAME:
            assert tokens(identifier(token.text)) == [token]
        elif token.kind is Kind.STRING:
            (again,) = tokens(quoted(token.text))
            assert tokens(quoted(again.text)) == [again]
            assert quoted(again.text).isascii()
        elif token.kind is Kind.URL:
            (again,) = tokens(quoted_url(token.text))
            assert quoted_url(again.text) == quoted_url(token.text)


def test_a_token_is_a_pair() -> None:
    assert CssToken(Kind.NAME, "a") == CssToken(Kind.NAME, "a")
