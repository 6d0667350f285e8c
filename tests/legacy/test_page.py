"""Pages of TOML: what is written is what is read, and a comment never becomes more."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from lazaretto.legacy.fprot_conf import Expression
from lazaretto.legacy.page import Page


def test_lines_and_origins() -> None:
    page = Page()
    page.add("# title")
    page.table("[a]", {"b": (1, "here"), "c": (["x"], ""), "d": ([Expression(r"\\z", r"\\Z"), Expression("y'", "y'")], "there")})
    assert page.text().splitlines() == [
        "# title",
        "",
        "[a]",
        f"{'b = 1':60}  # here",
        'c = ["x"]',
        f"{'d = [':60}  # there",
        f"{'    ' + chr(39) + chr(92) * 2 + 'Z' + chr(39) + ',':60}  # in Perl: {chr(92) * 2}z",
        '    "y' + "'" + '",',
        "]",
    ]


@given(st.text(), st.text(), st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_stands_there(origin: str, perl: str, python: str) -> None:
    page = Page()
    page.table("[a]", {"b": (python, origin), "c": ([Expression(perl, python)], origin)})
    assert tomllib.loads(page.text()) == {"a": {"b": python, "c": [python]}}
