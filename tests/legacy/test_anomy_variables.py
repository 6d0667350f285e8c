"""The table of variables, and that docs/anomy.md is this table with tests that are there.

LAZARETTO_UPDATE_DOCS=1 rewrites the table of docs/anomy.md; review the difference like code.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lazaretto.legacy import perl
from lazaretto.legacy.anomy_rules import POLICIES
from lazaretto.legacy.anomy_variables import DEFAULT_RULES, MACRO_PATTERN, NUMBERED, USER, VARIABLES, Variable, find
from lazaretto.policy.keys import KEYS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "anomy.md"
PAIRS = ROOT / "tests" / "anomy"
BEGIN, END = "<!-- variables: written by tests/legacy/test_anomy_variables.py -->", "<!-- end of variables -->"

NO_EFFECT = "tests/legacy/test_anomy.py::test_without_effect"
TEXTS = "tests/legacy/test_anomy.py::test_texts_of_notices"
LINES = "tests/legacy/test_sanitizer_lines.py"
# Who holds a variable, where it is not a pair of the same name.
HELD = {
    "feat_html": "tests/legacy/test_anomy.py::test_pages",
    "feat_html_paranoid": "tests/legacy/test_anomy.py::test_pages",
    "feat_webbugs": "tests/legacy/test_anomy.py::test_pages",
    "file_list_N_policy": "tests/legacy/test_anomy_rules.py::test_each_policy",
    "max_conf_recursion": f"{LINES}::test_depth_of_files_that_the_configuration_wants",
    "max_mime_depth": "tests/legacy/test_anomy.py::test_depth_of_messages",
    **{f"force_header_{number}": "tests/legacy/test_anomy.py::test_forced_fields" for number in range(4, 11)},
}


def pairs() -> set[str]:
    """Names of the pairs of tests/anomy."""
    return {name for path in PAIRS.glob("*.pairs") for name in re.findall(r"^=== (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)}


def held(name: str, variable: Variable) -> str:
    """The tests of a variable, as the page names them."""
    if not variable.becomes:
        return NO_EFFECT
    if not _is_there(variable):
        return HELD.get(name, "tests/legacy/test_anomy.py::test_what_a_version_may_not_have")
    if name in HELD:
        return HELD[name]
    found = sorted(pair for pair in pairs() if pair == name or pair.startswith(f"{name}."))
    assert found, f"no pair for {name}"
    return ", ".join(f"pair {pair}" for pair in found)


def _is_there(variable: Variable) -> bool:
    section, _, key = variable.becomes.partition("] ")
    return section not in ("[html", "[rewrite") or f"{section[1:]}.{key}" in {key.full for key in KEYS}


def rows() -> list[str]:
    lines = ["| variable | default | here | held by |", "| --- | --- | --- | --- |"]
    numbered = {f"file_list_N{suffix}": variable for suffix, variable in NUMBERED.items()}
    for name, variable in {**VARIABLES, **numbered, "var_NAME": USER}.items():
        here = variable.becomes if variable.becomes and _is_there(variable) else variable.why or f"not yet: {variable.becomes}"
        default = f"`{variable.default}`" if variable.default else ""
        tests = ", ".join(f"`{one.strip()}`" for one in held(name, variable).split(","))
        lines.append(f"| `{name}` | {default} | {here} | {tests} |".replace("\\|", "|"))
    lines += ["", "| policy | action | held by |", "| --- | --- | --- |"]
    for word, (action, save) in POLICIES.items():
        found = sorted(pair for pair in pairs() if pair == f"policy.{word}" or pair.startswith(f"policy.{word}."))
        assert found, f"no pair for the policy {word}"
        tests = ", ".join(f"`pair {pair}`" for pair in found)
        lines.append(f"| `{word}` | `{action}`{', `save = true`' if save else ''} | {tests} |")
    return lines


def test_the_page_holds_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN + "\n")
    table, _, after = rest.partition(END)
    wanted = "\n" + "\n".join(rows()) + "\n\n"
    if os.environ.get("LAZARETTO_UPDATE_DOCS") and table != wanted:
        PAGE.write_text(before + BEGIN + "\n" + wanted + END + after, encoding="utf-8")
        table = wanted
    assert table == wanted


def test_tests_that_are_named_are_there() -> None:
    for test in {*HELD.values(), NO_EFFECT}:
        path, _, function = test.partition("::")
        assert f"\ndef {function}(" in (ROOT / path).read_text(encoding="utf-8"), test


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_each_variable_says_one_thing(name: str) -> None:
    variable = VARIABLES[name]
    assert bool(variable.becomes) is not bool(variable.why)


def test_keys_that_variables_become_exist() -> None:
    known = {key.full for key in KEYS} | {"engines.sanitizer.type_names", "engines.sanitizer.unnamed", "engines.lists.consistent"}
    for variable in VARIABLES.values():
        match = re.match(r"\[([a-z.]+)\] ([a-z_, ]+)$", variable.becomes)
        if match is not None and match[1] not in ("html", "rewrite"):
            assert {f"{match[1]}.{key}" for key in match[2].split(", ")} <= known


def test_find() -> None:
    assert find("feat_html") is VARIABLES["feat_html"]
    assert find("file_list_16") is NUMBERED[""]
    assert find("file_list_7_scanner") is NUMBERED["_scanner"]
    assert find("var_x") is USER
    for name in ("var_", "feat_htlm", "file_list_", "file_list_x", "file_list_1_", "file_list_1_policies"):
        assert find(name) is None


@pytest.mark.parametrize(
    ("number", "matches", "does_not"),
    [
        (1, "a.txt.exe a.doc.vbs README.EXE wtc.exe a.jpeg.pif. x.htm.bat", "a.exe a.b.exe readme.exe.txt my_readme.exe a.txt.zip"),
        (7, "a.exe a.EXE. b.vbs c.dll d.js e.eml f.msi g.lnk", "a.exe.txt exe a.ex a.dllx"),
        (
            9,
            "a.gif a.JPEG b.mp3 c.tiff.gz d.txt.bz2 e.c++ f.hpp g.php3 h.php i.html. j.xml.Z k.ps l.eps m.wmv n.ra o.ram",
            "a.exe a.gz x.gifx b.doc",
        ),
        (11, "a.zip b.R07 c.rar d.tar e.tgz f.uu g.uue h.jar i.arj j.lzh", "a.exe a.r7 zip"),
        (13, "a.doc b.XLS c.rtf.gz d.xlw e.mdb f.pps", "a.docx a.exe b.xl"),
        (15, "a.vcf b.p7s c.p7m d.ics e.asc f.mpp g.swf h.dwg", "a.exe a.mp3 b.p7"),
    ],
)
def test_default_rules(number: int, matches: str, does_not: str) -> None:
    expression = re.compile(perl.translate(DEFAULT_RULES[number][0]))
    assert [name for name in matches.split() if not expression.search(name)] == []
    assert [name for name in does_not.split() if expression.search(name)] == []


def test_documents_that_may_have_macros() -> None:
    assert re.search(perl.translate(MACRO_PATTERN), "a.DOC")
    assert not re.search(perl.translate(MACRO_PATTERN), "a.txt")
