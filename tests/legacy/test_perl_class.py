"""Sets of characters: where they end, what they hold."""

from __future__ import annotations

import re

import pytest

from lazaretto.legacy import perl_class
from lazaretto.legacy.perl_class import Item, bracketed, escape


@pytest.mark.parametrize(
    ("text", "inside", "outside", "end"),
    [
        ("[ab]c", "ab", "c]-", 4),
        ("[^ab]", "c]\n", "ab", 5),
        ("[]]", "]", "[a", 3),
        ("[^]]", "[a", "]", 4),
        ("[a-c]-", "abc", "d-", 5),
        ("[-a]", "-a", "b", 4),
        ("[a-]", "-a", "b", 4),
        (r"[\w-a]", "x-a", ".", 6),
        (r"[a-\d]", "a-5", "b.", 6),
        ("[a-[:digit:]]", "a-5", "b.:[", 13),
        ("[[:alpha:]]", "aZ", "1:é", 11),
        ("[[:^alpha:]]", "1:é", "aZ", 12),
        (r"[\H0]", "a0", " \t\u2003", 5),
        (r"[^\H0]", " \t\u2003", "a0", 6),
        (r"[^\H\V]", "", "a \n", 7),
        (r"[\h\v]", " \t\n\x0b\u2028", "a", 6),
        (r"[\x41-\x{43}\012]", "ABC\n", "D", 17),
        (r"[\b\t\e]", "\b\t\x1b", "bte", 8),
        (r"[\]\[\^\-\\]", "][^-\\", "a", 12),
        ("[[a]", "[a", "]", 4),
        ("[[:a]", "[:a", "]", 5),
        ("[&&~~||-]", "&~|-", "a", 9),
        ("[.*$(]", ".*$(", "a", 6),
        (r"[\.\@]", ".@", "a\\", 6),
    ],
)
def test_bracketed(text: str, inside: str, outside: str, end: int) -> None:
    pattern, at = bracketed(text, 0)
    assert at == end
    compiled = re.compile(pattern)
    assert [character for character in inside if not compiled.fullmatch(character)] == []
    assert [character for character in outside if compiled.fullmatch(character)] == []
    assert re.fullmatch(f"(?:{pattern}){{0}}", "") is not None  # can be repeated
    assert bracketed("xx" + text, 2) == (pattern, end + 2)


@pytest.mark.parametrize(
    ("text", "item", "end"),
    [
        (r"\d1", Item(inside=r"\d"), 2),
        (r"\H", Item(inside=perl_class._HORIZONTAL, negated=True), 2),
        (r"\x4g", Item("\x04"), 3),
        (r"\x411", Item("A"), 4),
        (r"\x{1F600}", Item("😀"), 9),
        (r"\o{101}", Item("A"), 7),
        (r"\0", Item("\0"), 2),
        (r"\0123", Item("\n"), 4),
        (r"\cz", Item("\x1a"), 3),
        (r"\c?", Item("\x7f"), 3),
        (r"\N{U+41}", Item("A"), 8),
        (r"\.", Item("."), 2),
        (r"\é", Item("é"), 2),
        (r"\p{IsDigit}x", Item(inside=r"\d"), 11),
        (r"\P{^PosixUpper}", Item(inside="A-Z"), 15),
    ],
)
def test_escape(text: str, item: Item, end: int) -> None:
    assert escape(text, 0) == (item, end)


@pytest.mark.parametrize(
    "text", ["[", "[^", "[a", "[]", "[a-", "[\\", "[b-a]", "[|--]", "[[:x:]]", "[[=a=]]", "[:alpha:]", r"[\9]", r"[\Z]"]
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        bracketed(text, 0)


@pytest.mark.parametrize("character", [chr(code) for code in (*range(256), 0x2028, 0xD800, 0x1F600, 0x10FFFF)])
def test_quoted_is_that_character(character: str) -> None:
    pattern = perl_class.quoted(character)
    assert pattern.isprintable()
    assert re.fullmatch(pattern, character)
    assert not re.fullmatch(pattern, "x" if character != "x" else "y")
    inside, _ = bracketed(f"[\\{character}]" if not character.isalnum() else f"[{character}]", 0)
    assert re.fullmatch(inside, character)
