"""The table of keys: defaults pass their own checks, and docs/policy.md holds exactly this table.

LAZARETTO_UPDATE_DOCS=1 rewrites the table of docs/policy.md; review the difference like code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lazaretto.limits import Limits
from lazaretto.policy import forms, keys
from lazaretto.policy.forms import FORMS
from lazaretto.policy.keys import ENGINE_KEYS, KEYS, RULE_KEYS, Key, toml, toml_key
from lazaretto.policy.rules import CONDITIONS, DEFAULT_ACTIONS
from lazaretto.sanitize import notices

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "policy.md"
BEGIN, END = "<!-- keys: written by tests/policy/test_keys.py -->", "<!-- end of keys -->"


def reasons() -> dict[str, str]:
    """Limit -> the reason beside it in limits.py."""
    text = (ROOT / "src" / "lazaretto" / "limits.py").read_text(encoding="utf-8")
    return dict(re.findall(r"^    (\w+): \w+ = [^#\n]+#\s*(.*)$", text, re.MULTILINE))


def human(key: Key) -> str:
    if key.name.endswith("_bytes") and isinstance(key.default, int):
        for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
            if key.default % size == 0:
                return f"`{key.default}` ({key.default // size} {unit})"
    return f"`{toml(key.default)}`"


def rows(table: Iterable[Key], because: dict[str, str]) -> Iterator[str]:
    yield "| key | default | what it is for |"
    yield "| --- | --- | --- |"
    for key in table:
        default = human(key) if key.default is not None else ""
        yield f"| `{key.name}` | {default} | {(key.doc or because.get(key.name, '')).replace('|', chr(92) + '|')} |"


def table() -> str:
    lines: list[str] = []
    because = reasons()
    sections = [(f"[{section}]", [key for key in KEYS if key.section == section]) for section in keys.SECTIONS]
    for title, table in [*sections, ("[engines.NAME]", list(ENGINE_KEYS)), ("[[rule]]", list(RULE_KEYS))]:
        lines += ["", f"### `{title}`", "", *rows(table, because)]
    return "\n".join([*lines, ""])


def test_the_page_holds_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN + "\n")
    old, _, after = rest.partition(END)
    assert after, f"docs/policy.md lacks {BEGIN} or {END}"
    if os.environ.get("LAZARETTO_UPDATE_DOCS"):
        PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + after, encoding="utf-8")
        return
    assert old == table() + "\n", "run LAZARETTO_UPDATE_DOCS=1 python -m pytest tests/policy/test_keys.py"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.full)
def test_defaults_pass_their_own_check(key: Key) -> None:
    FORMS[key.form](key.default)
    assert key.doc or key.name in reasons()


def test_every_limit_and_every_action_is_a_key() -> None:
    names = {key.full: key for key in KEYS}
    assert len(names) == len(KEYS)
    assert {f"limits.{name}" for name in Limits._fields} <= set(names)
    assert {name: names[f"policy.{name}"].default for name in DEFAULT_ACTIONS} == {
        name: action.name.lower().replace("_", "-") for name, action in DEFAULT_ACTIONS.items()
    }
    assert set(CONDITIONS) <= {key.name for key in RULE_KEYS}
    assert {key.form for key in (*KEYS, *RULE_KEYS, *ENGINE_KEYS)} <= set(FORMS)


def test_languages_are_those_of_the_notices() -> None:
    assert forms.LANGUAGES == notices.LANGUAGES


def test_toml_key() -> None:
    assert [toml_key(name) for name in ("a-b_1", "a b", "", "ü")] == ["a-b_1", '"a b"', '""', '"ü"']
