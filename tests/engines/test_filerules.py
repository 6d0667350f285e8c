"""Rules about files, in order: which one decides, what is told, and where the chain goes on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import context, item_of
from lazaretto.content.candidates import MAX_CANDIDATES
from lazaretto.content.sniff import sniff
from lazaretto.engines import filerules
from lazaretto.engines.filerules import FileRules
from lazaretto.errors import ConfigError, EngineError
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Item, Kind, Reason

TEXT = b"Dear all,\nnothing here.\n"


def engine(*rules: dict[str, object], **options: object) -> FileRules:
    return FileRules.from_config("files", {"rules": [*rules], **options})


def file(*names: str, data: bytes = TEXT, media_type: str = "application/octet-stream", **fields: Any) -> Item:
    return item_of(data, names=names, media_type=media_type, type=sniff(Source(data)), **fields)


def said(made: FileRules, item: Item) -> list[tuple[str, str, str]]:
    return [(finding.engine, finding.kind.value, finding.name) for finding in made.scan(item, context())]


def program(status: int, *, prints: str = "", disinfects: bool = False) -> dict[str, object]:
    """A scanner that ends with `status`."""
    change = 'printf clean > "$0"; ' if disinfects else ""
    return {
        "kind": "command",
        "argv": ["/bin/sh", "-c", f"{change}printf '{prints}'; exit {status}", "{file}"],
        "clean": [0],
        "disinfected": [1],
        "infected": [2],
        "found_pattern": "FOUND (?P<name>[A-Za-z]+)",
    }


def test_the_first_rule_that_matches_decides() -> None:
    made = engine(
        {"name": "a", "names": [r"\.scr$"]},
        {"name": "b", "names": [r"\.txt$"], "report": []},
        {"name": "c", "names": ["invoice"]},
    )
    assert [(f.name, f.kind, f.detail) for f in made.scan(file("x.scr"), context())] == [
        ("filerule.matched", Kind.BANNED, r"x.scr matches \.scr$")
    ]
    assert said(made, file("x.SCR")) == [("a", "banned", "filerule.matched")]
    assert said(made, file("invoice.txt")) == []  # the second accepts it, and the third is not asked
    assert said(made, file("invoice.doc")) == [("c", "banned", "filerule.matched")]
    assert said(made, file("letter.doc")) == []


def test_a_rule_without_names_is_about_everything() -> None:
    made = engine({"name": "a", "names": ["^a"], "report": []}, {"name": "rest"})
    assert said(made, file("a")) == []
    assert said(made, file("b")) == [("rest", "banned", "filerule.matched")]
    assert said(made, file("")) == [("rest", "banned", "filerule.matched")]


def test_a_program_is_one_whatever_its_name() -> None:
    assert said(engine({"name": "a", "names": [r"\.exe$"]}), file("readme.txt", data=b"MZ" + b"\0" * 60))


def test_names_of_files_without_one() -> None:
    rule: dict[str, object] = {"name": "a", "names": [r"^odd\.dat$"]}
    assert said(engine(rule, unnamed="odd.dat"), file())
    assert not said(engine(rule), file())
    assert not said(engine(rule, unnamed="odd.dat"), file("other.doc"))
    assert not said(engine(rule, unnamed="odd.dat"), file(media_type="image/png"))
    by_type: dict[str, object] = {"name": "a", "names": [r"^unnamed\.png$"]}
    assert not said(engine(by_type), file("other.doc", media_type="image/png"))
    assert said(engine(by_type, type_names=True), file("other.doc", media_type="image/png"))


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [("clean", 0, "banned"), ("infected", 2, "malware"), ("error", 3, "error"), ("disinfected", 1, "malware")],
)
def test_outcomes_of_a_scanner(outcome: str, status: int, kind: str) -> None:
    """Nobody takes what is disinfected here, so that it is malware, and the outcome is infected."""
    last: dict[str, object] = {"name": "last"}
    stop = engine({"name": "a", "scanner": program(status, prints="FOUND Evil"), "report": ["clean"], "next": []}, last)
    if outcome == "clean":
        stop = engine({"name": "a", "scanner": program(status), "report": ["clean"], "next": []}, last)
    found = stop.scan(file("x"), context())
    assert [(f.engine, f.kind.value) for f in found] == [("a", kind)]
    reached = "infected" if outcome == "disinfected" else outcome
    on = engine({"name": "a", "scanner": program(status), "next": [reached]}, last)
    assert [finding.engine for finding in on.scan(file("x"), context())][-1] == "last"


def test_disinfected() -> None:
    kept: list[bytes] = []
    ctx = context()._replace(cleaned=lambda item, chunks: kept.append(b"".join(chunks)))
    made = engine({"name": "a", "scanner": program(1, disinfects=True, prints="FOUND Evil"), "next": ["disinfected"]}, {"name": "last"})
    found = [(f.engine, f.kind, f.name) for f in made.scan(file("x"), ctx)]
    assert found == [("a", Kind.DISINFECTED, "Evil"), ("last", Kind.BANNED, "filerule.matched")]
    assert kept == [b"clean"]


def test_a_program_that_cannot_be_started_is_an_error() -> None:
    """errno 2 (no such file) must not look like the exit status 2."""
    scanner = {**program(2), "argv": ["/nowhere/scanner", "{file}"]}
    (finding,) = engine({"name": "a", "scanner": scanner}).scan(file("x"), context())
    assert (finding.engine, finding.kind, finding.name, finding.reason) == ("a", Kind.ERROR, "engine.down", Reason.DOWN)


def test_what_the_raw_message_has_shown_is_scanned_all_the_same() -> None:
    assert said(engine({"name": "a", "scanner": program(2)}), file("x", covered=True)) == [("a", "malware", "a.infected")]


def test_jumps() -> None:
    made = engine(
        {"name": "a", "names": ["^a"], "report": ["matched"], "next": ["matched:c"]},
        {"name": "b"},
        {"name": "c", "next": ["matched:a"], "names": ["b$"]},
    )
    assert [f.engine for f in made.scan(file("a"), context())] == ["a"]
    assert [f.engine for f in made.scan(file("ab"), context())] == ["a", "c", "a", "c", "a", "c"]  # twice as many steps as rules


@pytest.mark.parametrize(
    "item",
    [
        file("a.exe", is_message=True),
        file("a.exe", is_file=False),
        file("a.exe", trail=("2", "a.zip", "a.exe")),
        file(media_type="message/rfc822"),
    ],
)
def test_not_wanted(item: Item) -> None:
    made = engine({"name": "rest"})
    assert not made.wants(item)
    assert made.scan(item, context()) == []


def test_a_message_with_a_name_is_a_file() -> None:
    assert said(engine({"name": "a", "names": [r"\.eml$"]}), file("mail.eml", media_type="message/rfc822"))


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError) as over:
        engine({"name": "a", "names": ["x"]}).scan(file(*(f"{number}.txt" for number in range(MAX_CANDIDATES + 1))), context())
    assert over.value.reason is Reason.LIMIT
    with pytest.raises(EngineError) as late:
        engine({"name": "a", "names": ["x"]}).scan(file("a"), context(-1))
    assert late.value.reason is Reason.TIMEOUT
    monkeypatch.setattr(filerules, "MAX_RULES", 2)
    with pytest.raises(ConfigError, match="more than 2 rules"):
        engine({"name": "a"}, {"name": "b"}, {"name": "c"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rules": {}}, r"[engines.files] rules: expected [[engines.files.rules]], with two brackets"),
        ({"rules": [{}]}, "[engines.files] rules: rule 1: name: expected a name"),
        ({"rules": [{"name": "a b"}]}, "rule 1: name: expected a name"),
        ({"rules": [{"name": "a"}, {"name": "a"}]}, "rule 2: name: a is the name of rule 1"),
        ({"rules": [{"name": "a", "names": []}]}, "rule a: names: expected at least one expression"),
        ({"rules": [{"name": "a", "names": ["("]}]}, 'rule a: names: "(" is no regular expression'),
        ({"rules": [{"name": "a", "report": ["infected"]}]}, 'rule a: report: expected "matched" and "clean", not "infected"'),
        ({"rules": [{"name": "a", "next": ["dirty"]}]}, "rule a: next: expected one of matched, clean"),
        ({"rules": [{"name": "a", "next": ["clean:z"]}]}, 'with ":" and the name of a rule, not "clean:z"'),
        ({"rules": [{"name": "a", "colour": 1}]}, "rule a: colour: unknown option"),
        ({"rules": [{"name": "a", "scanner": {}}]}, "rule a: scanner: expected a table with the kind"),
        ({"rules": [{"name": "a", "scanner": 1}]}, "rule a: scanner: expected a table"),
        ({"rules": [{"name": "a", "scanner": {"kind": "lists"}}]}, "rule a: scanner: expected a table with the kind"),
        ({"rules": [{"name": "a", "scanner": {"kind": "command", "argv": []}}]}, "rule a: scanner: argv: expected a program"),
        ({"required": False}, "[engines.files] required: expected true"),
        ({"colour": 1}, "[engines.files] colour: unknown option"),
    ],
)
def test_wrong_options(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        FileRules.from_config("files", table)
    assert message in wrong.value.message


def test_info_and_close() -> None:
    assert engine({"name": "a"}).info(1.0).signatures == "1 rules"
    made = engine({"name": "a", "scanner": {"kind": "command", "argv": ["/nowhere/scanner", "{file}"]}})
    info = made.info(1.0)
    assert not info.reachable
    assert info.detail == "rule a: /nowhere/scanner: no such program"
    made.close()


@given(st.lists(st.sampled_from(["report", "accept", "next", "a.txt"]), max_size=6), st.sampled_from(["a.txt", "b"]))
def test_it_decides_as_a_loop_over_the_rules_does(kinds: list[str], name: str) -> None:
    rules: list[dict[str, object]] = []
    wanted: list[str] = []
    decided = False
    for number, kind in enumerate(kinds):
        rule: dict[str, object] = {"name": f"r{number}"}
        if kind == "a.txt":
            rule["names"] = [r"^a\.txt$"]
        if kind == "accept":
            rule["report"] = []
        if kind == "next":
            rule["next"] = ["matched"]
        rules.append(rule)
        if not decided and not (kind == "a.txt" and name != "a.txt"):
            wanted += [] if kind == "accept" else [f"r{number}"]
            decided = kind != "next"
    assert [finding.engine for finding in engine(*rules).scan(file(name), context())] == wanted


def test_labels_of_the_part_itself() -> None:
    """Not of a part of a forwarded message, whose fields are not at hand."""
    header = scanner.parse(Source(b"Content-ID: <foo.exe@x>\r\n\r\n")).fields
    ctx = context()._replace(fields={(1,): header})
    made = engine({"name": "a", "names": [r"\.exe$"]})
    assert [finding.detail for finding in made.scan(file(), ctx)] == [r"foo.exe matches \.exe$"]
    assert made.scan(file(), context()) == []
    assert made.scan(file(trail=("1", "2")), ctx) == []
