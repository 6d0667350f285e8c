"""The tables agree with one another and with the standard's own lists."""

from __future__ import annotations

from html5lib.constants import voidElements

from lazaretto.sanitize import html_vocabulary as words
from lazaretto.sanitize.html_tokens import RAW_TEXT


def test_nothing_that_acts_is_kept() -> None:
    assert not words.ELEMENTS & words.ACTIVE.keys()
    assert not words.ATTRIBUTES.keys() & words.ACTIVE_ATTRIBUTES.keys()
    assert not any(name.startswith("on") for name in words.ATTRIBUTES)


def test_nothing_that_is_kept_changes_how_text_is_cut() -> None:
    assert {"title"} == words.ELEMENTS & RAW_TEXT
    assert not words.ELEMENTS & {"svg", "math", "noscript", "template", "select", "frameset", "style", "listing-x"}


def test_void_elements() -> None:
    assert voidElements - {"command", "event-source"} <= words.VOID


def test_names_are_as_they_are_compared() -> None:
    for table in (words.ELEMENTS, words.VOID, words.OFFICE, words.ACTIVE, words.ATTRIBUTES, words.METAS, words.NAMESPACES):
        assert all(name == name.lower() for name in table)
