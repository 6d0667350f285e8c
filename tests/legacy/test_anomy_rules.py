"""The sanitizer's rules about files: which policy does what, in which order, with which scanner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy_rules
from lazaretto.legacy.anomy_rules import POLICIES, Table
from lazaretto.legacy.anomy_values import SCAN_MAIL, settle
from lazaretto.legacy.fprot_conf import Expression
from lazaretto.legacy.sanitizer_lines import parse


def read(*lines: str) -> list[anomy_rules.FileRule]:
    return anomy_rules.read(settle(parse(lines, lambda path: b"", 0.0), SCAN_MAIL))


def tables(*lines: str) -> tuple[list[Table], list[Table]]:
    rules = read(*lines)
    return list(anomy_rules.engine_rules(rules)), list(anomy_rules.policy_rules(rules))


def error(*lines: str) -> str:
    with pytest.raises(ConfigError) as wrong:
        read(*lines)
    return wrong.value.message


def test_nothing_to_ask() -> None:
    assert read() == []
    assert read("file_list_1 = 0", "file_list_2 =") == []


@pytest.mark.parametrize("word", sorted(POLICIES))
def test_each_policy(word: str) -> None:
    engine, policy = tables("file_list_1 = x", f"file_list_1_policy =  {word.upper()} ")
    silent = word in ("accept", "unknown")
    assert engine[0]["report"] == ([] if silent else ["matched"])
    assert engine[0]["next"] == (["matched"] if word in ("unknown", "warn") else [])
    wanted: dict[str, Table] = {
        "defang": {"action": "defang"},
        "mangle": {"action": "mangle"},
        "drop": {"action": "replace", "save": False},
        "panic": {"action": "replace", "save": False},
        "save": {"action": "replace", "save": True},
        "warn": {"action": "tag"},
    }
    about: Table = {"name": "file_list_1", "engine": "file_list_1", "finding": "filerule.matched"}
    assert policy == ([] if silent else [about | wanted[word]])


def test_four_policies_and_a_scanner() -> None:
    engine, policy = tables(
        "file_list_4 = x", "file_list_4_policy = accept:unknown:save:drop", "file_list_4_scanner = 0,9:5:3,4,5:/bin/av -x %filename"
    )
    assert engine[0]["scanner"] == {
        "kind": "command",
        "argv": ["/bin/av", "-x", "{file}"],
        "clean": [0, 9],
        "disinfected": [5],
        "infected": [3, 4],  # 5 was there before
        "result_lines": True,
    }
    assert (engine[0]["report"], engine[0]["next"]) == ([], ["disinfected"])
    assert [(rule["name"], rule["action"], rule.get("save")) for rule in policy] == [
        ("file_list_4.disinfected", "disinfect", None),
        ("file_list_4.infected", "replace", True),
        ("file_list_4.error", "replace", False),
    ]
    assert policy[2]["kind"] == ["error", "unscannable"]


def test_what_is_clean_may_be_told() -> None:
    engine, policy = tables("file_list_4 = x", "file_list_4_policy = drop:drop:drop:drop", "file_list_4_scanner = 0:1:2:av %FILENAME")
    assert engine[0]["report"] == ["clean"]
    assert policy[0] == {
        "name": "file_list_4.clean",
        "engine": "file_list_4",
        "finding": "filerule.clean",
        "action": "replace",
        "save": False,
    }


def test_four_policies_without_a_scanner_are_clean() -> None:
    for scanner in ("0", ""):
        engine, policy = tables("file_list_1 = x", "file_list_1_policy = defang:drop:drop:drop", f"file_list_1_scanner = {scanner}")
        assert "scanner" not in engine[0]
        assert [rule["action"] for rule in policy] == ["defang"]


@pytest.mark.parametrize("policy", ["save:drop", "save:drop:drop", "save:drop:drop:drop:drop"])
def test_any_other_number_of_policies_is_the_first(policy: str) -> None:
    engine, rules = tables("file_list_1 = x", f"file_list_1_policy = {policy}", "file_list_1_scanner = 0:1:2:av %FILENAME")
    assert "scanner" not in engine[0]
    assert [(rule["action"], rule["save"]) for rule in rules] == [("replace", True)]


def test_the_default_policy_stands_for_an_empty_one_and_comes_last() -> None:
    engine, policy = tables("file_list_1 = x", "file_default_policy = mangle")
    assert [table["name"] for table in engine] == ["file_list_1", "file_default_policy"]
    assert "names" not in engine[1]
    assert [rule["action"] for rule in policy] == ["mangle", "mangle"]


def test_bang_and_jump() -> None:
    engine, policy = tables(
        "file_list_1 = x", "file_list_1_policy = unknown!^5", "file_list_3 = y", "file_list_3_policy = warn^0",
        "file_list_6 = z", "file_list_6_policy = accept!", "file_list_7 = z", "file_list_7_policy = unknown^99",
    )  # fmt: skip
    assert [(table["report"], table["next"]) for table in engine] == [
        (["matched"], ["matched:file_list_6"]),
        (["matched"], []),
        (["matched"], []),
        ([], ["matched:file_default_policy"]),
        ([], []),
    ]
    assert [(rule["action"], rule.get("alarm", False)) for rule in policy] == [("pass", True), ("tag", False), ("pass", True)]


@pytest.mark.parametrize(("policy", "action"), [("", "defang"), ("!", "defang"), ("^3", "defang"), (" save ! ", "replace")])
def test_an_empty_word_is_defang(policy: str, action: str) -> None:
    _, rules = tables("file_list_1 = x", f"file_list_1_policy = {policy}", "file_default_policy = defang", "file_list_rules = 1")
    assert rules[0]["action"] == action


def test_case_counts_unless_the_expression_says_otherwise() -> None:
    assert [rule.pattern for rule in read(r"file_list_1 = \.exe$", r"file_list_2 = (?i)\.exe$", "file_default_policy = accept")][:2] == [
        Expression(r"\.exe$", r"(?-i:\.exe$)"),
        Expression(r"(?i)\.exe$", r"(?i:\.exe$)"),
    ]


def test_only_so_many_rules_count() -> None:
    assert [rule.name for rule in read("file_list_rules = 2", "file_list_2 = x", "file_list_3 = y")] == [
        "file_list_2",
        "file_default_policy",
    ]
    assert read("file_list_rules = 40", "file_list_40 = x")[0].name == "file_list_40"


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("av %FILENAME", ["av", "{file}"]),
        ("av --x=%Filename %AttName", ["av", "--x={file}", "{name}"]),
        ("av %FILENAME %REPLY_TO %errors_to", ["av", "{file}", "{reply_to}", "{errors_to}"]),
        ("av %FILENAME %HEADER(Message-ID) %HEADER( x_y )", ["av", "{file}", "{header:message-id}", "%HEADER(", "x_y", ")"]),
        ("av %FILENAMES", ["av", "%FILENAMES"]),
    ],
)
def test_placeholders(command: str, argv: list[str]) -> None:
    (table, _), _ = tables(
        "file_list_1 = x", "file_list_1_policy = a:a:a:a".replace("a", "accept"), f"file_list_1_scanner = 0:1:2:{command}"
    )
    scanner = table["scanner"]
    assert isinstance(scanner, dict)
    assert scanner["argv"] == argv
    assert scanner.get("stdin", False) is not any("{file}" in word for word in argv)


@pytest.mark.parametrize(("command", "program"), [("builtin 25", "builtin/"), ("builtin/nonsense %FILENAME", "builtin/nonsense")])
def test_what_cannot_be_started(command: str, program: str) -> None:
    (table, _), _ = tables("file_list_1 = x", "file_list_1_policy = accept:accept:save:save", f"file_list_1_scanner = 0:1:2:{command}")
    scanner = table["scanner"]
    assert isinstance(scanner, dict)
    assert scanner["argv"][0] == program


@pytest.mark.parametrize(("groups", "action"), [("0:1:2", "mangle"), ("0:2:1", "replace"), ("1:2:3", "pass"), ("0:2:3", "defang")])
def test_the_macro_scanner_is_what_engines_call_active(groups: str, action: str) -> None:
    engine, policy = tables(
        r"file_list_5 = \.doc$", "file_list_5_policy = unknown:mangle:save:defang", f"file_list_5_scanner = {groups}:builtin/macro 25"
    )
    assert [table["name"] for table in engine] == ["file_default_policy"]
    assert (policy[0]["kind"], policy[0]["action"]) == ("active", action)


def test_builtin_daemons_are_engines() -> None:
    engine, policy = tables(
        "file_list_2 = .*", "file_list_2_policy = accept:mangle:mangle:drop", "file_list_2_scanner = 0:1:2:builtin/fprotd %FILENAME -ai"
    )
    assert engine[0]["next"] == []  # what is clean is accepted, and later rules are not asked
    assert [(rule["name"], rule["kind"], rule["action"]) for rule in policy] == [
        ("file_list_2.disinfected", "disinfected", "mangle"),
        ("file_list_2.infected", "malware", "mangle"),
        ("file_list_2.error", ["error", "unscannable"], "replace"),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("file_list_1 = (",), 'file_list_1 (argument 1): the expression cannot be used: "'),
        (("file_list_1 = x", "file_list_1_policy = drpo"), "file_list_1_policy (argument 2): expected one of accept, defang, "),
        (("file_list_1 = x", "file_list_1_policy = drpo"), '(did you mean drop?), not "drpo"'),
        (("file_default_policy = nope",), "file_default_policy (argument 1): expected one of"),
        (("file_list_rules = 1000",), "file_list_rules (argument 1): expected a number up to 999, not 1000"),
        (
            ("file_list_1 = x", "file_list_1_policy = drop:drop:drop:drop", "file_list_1_scanner = 0:1:2"),
            "file_list_1_scanner (argument 3): expected CLEAN:DISINFECTED:INFECTED:COMMAND",
        ),
        (
            ("file_list_1 = x", "file_list_1_policy = drop:drop:drop:drop", "file_list_1_scanner = 0:one:2:av"),
            'file_list_1_scanner (argument 3): expected exit statuses with commas between, not "one"',
        ),
    ],
)
def test_what_is_wrong(lines: tuple[str, ...], message: str) -> None:
    assert message in error(*lines)


@given(st.lists(st.text("acdefgnmkpuw!^0159: "), max_size=5), st.text("ab:0,1/%FILENME \t"))
def test_any_policy_is_read_or_refused(policies: list[str], scanner: str) -> None:
    lines = ["file_list_rules = 9", f"file_list_1_scanner = {scanner}"]
    for number, policy in enumerate(policies, 1):
        lines += [f"file_list_{number} = x", f"file_list_{number}_policy = {policy}"]
    try:
        engine, policy_rules = tables(*lines)
    except ConfigError:
        return
    names = {table["name"] for table in engine}
    for table in engine:
        for goal in table["next"]:  # type: ignore[attr-defined]
            assert goal.partition(":")[2] in names | {""}
    assert {rule["engine"] for rule in policy_rules if "engine" in rule} <= names
