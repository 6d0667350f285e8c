"""Every pattern of the package compiles, and a pattern put off behaves like one that is compiled at once."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from lazaretto import regex

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "lazaretto"
USERS = (path for path in PACKAGE.rglob("*.py") if "regex.compile(" in path.read_text(encoding="utf-8"))
MODULES = sorted(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in USERS)


@pytest.mark.parametrize("name", MODULES)
def test_every_pattern_compiles(name: str) -> None:
    module = importlib.import_module(name)
    kind = type(regex.compile(""))
    held = [item for value in vars(module).values() for item in _flat(value) if isinstance(item, kind)]
    assert held or name == "lazaretto.regex"
    for pattern in held:
        assert re.compile(pattern.pattern, pattern.flags).pattern == pattern.pattern


def _flat(value: object) -> list[object]:
    if isinstance(value, (list, tuple)):
        return [item for each in value for item in _flat(each)]
    return [value]


def test_like_re() -> None:
    late, early = regex.compile(r"(a+)(?P<rest>b*)", re.IGNORECASE), re.compile(r"(a+)(?P<rest>b*)", re.IGNORECASE)
    for text in ("xxAaB", "b", "", "aab ab"):
        for method in ("search", "match", "fullmatch"):
            ours, theirs = getattr(late, method)(text), getattr(early, method)(text)
            assert (ours is None) == (theirs is None)
            assert ours is None or (ours.span(), ours.groups(), ours.groupdict()) == (theirs.span(), theirs.groups(), theirs.groupdict())
        assert late.findall(text) == early.findall(text)
        assert late.split(text) == early.split(text)
        assert late.sub("-", text) == early.sub("-", text)
        assert [match.span() for match in late.finditer(text)] == [match.span() for match in early.finditer(text)]
    assert (late.pattern, late.flags, late.groups, late.groupindex) == (early.pattern, early.flags, early.groups, early.groupindex)


def test_nothing_is_compiled_before_its_use() -> None:
    broken = regex.compile("(")
    with pytest.raises(re.error):
        broken.search("")
