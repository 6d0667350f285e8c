"""Values after all lines: what Perl would take for yes, what is appended, what a dump sets again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy_values
from lazaretto.legacy.anomy_values import SCAN_MAIL, STANDALONE, Values, dump, settle
from lazaretto.legacy.sanitizer_lines import parse


def values(*lines: str, standalone: bool = False) -> Values:
    return settle(parse(lines, lambda path: b"", 0.0), STANDALONE if standalone else SCAN_MAIL, standalone=standalone)


@pytest.mark.parametrize(("text", "on"), [("", False), ("0", False), (" 0 ", False), ("1", True), ("00", True), ("no", True)])
def test_what_is_yes(text: str, on: bool) -> None:
    assert values(f"feat_html = {text}").flag("feat_html") is on


def test_numbers() -> None:
    assert values("score_bad = 100 changes").number("score_bad") == 100
    assert values("score_bad = many").number("score_bad") == 0
    with pytest.raises(ConfigError, match=r"score_bad \(argument 1\): expected a number up to 10, not 11"):
        values("score_bad = 11").number("score_bad", 10)


def test_what_counts_without_lines() -> None:
    assert (values().flag("feat_html"), values(standalone=True).flag("feat_html")) == (False, True)
    assert values().text("file_list_7") == ""
    assert values(standalone=True).text("file_list_7_policy") == "defang"
    assert values().text("file_list_7_scanner") == "0"
    assert not values().counts("feat_html")
    assert values(standalone=True).counts("feat_html")
    assert values("feat_html = 0").counts("feat_html")


def test_appending() -> None:
    found = values("var_x = a", r"var_x += \nb", "VAR_X .= c", "file_list_4_scanner += 0:1:2:x")
    assert found.value("var_x") == anomy_values.Value("a\nbc", "argument 3")
    assert found.text("file_list_4_scanner") == "0:1:2:x"
    assert values("header_info += !").text("header_info").endswith("f-prot.com)!")


def test_markers() -> None:
    assert values("msg_defanged = FI XED_?!").word("msg_defanged") == "FIXED"
    assert values("msg_defanged = ???").word("msg_defanged") == "DEFANGED"
    assert values().word("msg_blacklisted") == "BLACKLISTED"


def test_texts() -> None:
    found = values("var_name = N", "var_zero = 0")
    assert found.expanded("%NAME %ZERO %NOBODY %NAMEX %name %DEF_CHARSET %") == "N %ZERO %NOBODY %NAMEX %name iso-8859-1 %"
    assert found.expanded("%NAME %FILENAME", {"FILENAME": "f"}) == "N f"


def test_the_dump_is_sorted_and_says_everything() -> None:
    lines = dump(values(r"header_info = a\nb # c", r"var_x = \\ \# \s", "file_list_99 = x")).splitlines()
    assert lines == sorted(lines, key=lambda line: line.split(" ")[0])
    assert [line for line in lines if line.startswith(("header_info", "var_x", "file_list_99"))] == [
        "file_list_99 = x",
        r"header_info = a\n",
        "header_info += b",
        r"var_x = \\ \# \s",
    ]
    assert "score_bad = 0" in lines
    assert "msg_usage =" in lines


@example(" a \n  b\\n")
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1))
def test_a_dump_read_again_is_the_same(text: str) -> None:
    if not all(character.isprintable() or character in "\n\t" for character in text):
        return
    escaped = text.replace("\\", "\\\\").replace("#", "\\#").replace("\n", "\\n").replace("\t", "\\t").replace(" ", "\\s")
    once = values(f"var_x = {escaped}")
    assert once.text("var_x") == text
    again = settle(parse(("dump",), lambda path: dump(once).encode(), 0.0), SCAN_MAIL)
    assert {name: again.text(name) for name in once.names()} == {name: once.text(name) for name in once.names()}
