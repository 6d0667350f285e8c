"""Reading and merging: each error names file, line and key, and says what was expected."""

from __future__ import annotations

import pytest

from lazaretto.errors import ConfigError
from lazaretto.policy import document
from lazaretto.policy.document import Place, read

ERRORS = [
    # text, line, what the message says
    ("a =", 1, "not TOML: Invalid value (at the end of the file)"),
    ("\na = = 1\n", 2, "not TOML: Invalid value (column 5)"),
    ("a = 1\n\n[b]\nc = 'x\n", 4, "not TOML: "),
    ("[policy]\nmalware = 'tag'\nmalware = 'tag'\n", 3, "not TOML: Cannot overwrite a value"),
    ("a = " + "[" * 50_000, 1, "not TOML: "),
    ("a = " + "9" * 10_000, 1, "not TOML: "),
    ("\n[polcy]\nx = 1", 2, "polcy: no such section (did you mean policy?); there are limits, policy, headers,"),
    ("max_depth = 1", 1, "max_depth: no such section; there are"),
    ("policy = 1", 1, "policy: expected a section [policy], not 1"),
    ("[limits]\n# c\n\nmax_dept = 1", 4, "limits.max_dept: no such key (did you mean max_depth?); there are max_message_bytes,"),
    ("[limits]\nmax_depth = 0", 2, "limits.max_depth: expected a whole number above 0, not 0"),
    ("[limits]\nmax_depth = true", 2, "limits.max_depth: expected a whole number above 0, not true"),
    ("[limits]\nmax_depth = '5'", 2, 'limits.max_depth: expected a whole number above 0, not "5"'),
    ("[limits]\nmax_scan_s = inf", 2, "limits.max_scan_s: expected a number of seconds above 0, not inf"),
    ("limits = {max_depth = 1, max_parts = -1}", 1, "limits.max_parts: expected"),
    ("policy.malware = 'pass'\npolicy.banned = 'repalce'", 2, "policy.banned: expected one of pass, tag, canonicalise, disinfect, "),
    ("[policy]\nbanned = 'repalce'", 2, '(did you mean replace?), not "repalce"'),
    ("[policy]\nquarantine = [\n 'malware',\n 'virus']", 2, "policy.quarantine: expected one of malware, "),
    ("[policy]\nquarantine = 'malware'", 2, "policy.quarantine: expected a list of malware, "),
    ("[headers]\nannounce = 'yes'", 2, 'headers.announce: expected true or false, not "yes"'),
    ("[headers]\nstatus_field = 'Subject'", 2, "headers.status_field: expected the name of a header field that begins with X-"),
    ("[headers]\nstatus_field = \"X-A: b\\r\\nTo\"", 2, "headers.status_field: expected"),
    ("[notices]\nlanguage = 'fr'", 2, 'notices.language: expected one of de, en, not "fr"'),
    ("[notices]\ntemplate = 'a.txt'", 2, 'notices.template: expected an absolute path in quotes, or "", not "a.txt"'),
    ("[filter]\nspool_directory = \"/a\\u0000\"", 2, "filter.spool_directory: expected an absolute path"),
    ("[engines]\nyara = 1", 2, "engines.yara: expected a table [engines.yara], not 1"),
    ("[engines.'a b']", 1, "engines.a b: expected a name of letters"),
    ("[engines.yara]\nx = 1\nrequired = 1", 3, "engines.yara.required: expected true or false, not 1"),
    ("[rule]\nname = 'x'", 1, "rule: expected [[rule]], with two brackets"),
    ("rule = [1]", 1, "rule: expected [[rule]], with two brackets"),
    ("[[rule]]\nname = 'x'\n[[rule]]\nnme = 'y'", 4, "rule.nme: no such key (did you mean name?); there are name, action, "),
    ("[[rule]]\nname = 'policy.x'", 2, "rule.name: expected a name of letters"),
    ("[[rule]]\nname = \"x\\n\"", 2, "rule.name: expected a name of letters"),
    ("[[rule]]\naction = 'accept'", 2, "rule.action: expected one of pass, "),
    ("[[rule]]\nkind = 'virus'", 2, "rule.kind: expected one of malware, banned, active, malformed, unscannable, disinfected, disarmed, "),
    ("[[rule]]\nreason = ['down', 'lost']", 2, "rule.reason: expected one of down, timeout, "),
    ("[[rule]]\nsender = []", 2, "rule.sender: expected a pattern in quotes, or a list of patterns, not []"),
    ("[[rule]]\nsender = [1]", 2, "rule.sender: expected a pattern in quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), ERRORS, ids=range(len(ERRORS)))
def test_errors(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read([("ok.toml", "[policy]\nmalware = 'tag'\n"), ("bad.toml", text)])
    assert (caught.value.file, caught.value.line) == ("bad.toml", line)
    assert str(caught.value).startswith(f"bad.toml:{line}: ")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def test_later_files_win() -> None:
    first = (
        "[policy]\nmalware = 'reject'\nbanned = 'tag'\n[engines.a]\nx = 1\ny = 1\n[attachments]\np = 1\nq = 1\n"
        "[[rule]]\nname='1'\n[[rule]]\nname='2'"
    )
    second = (
        "[policy]\nbanned = 'pass'\nquarantine = []\n[engines.a]\ny = 2\n[engines.b]\n[attachments]\nq = 2\n"
        "[[rule]]\nname='3'\n[[rule]]\nname='4'"
    )
    both = read([("a", first), ("b", second)])
    assert {name: (entry.written, str(entry.place)) for name, entry in both.settings.items()} == {
        "policy.malware": ("reject", "a:2"),
        "policy.banned": ("pass", "b:2"),
        "policy.quarantine": ([], "b:3"),
    }
    assert {name: (entry.written, str(entry.place)) for name, entry in both.engines["a"].entries.items()} == {
        "x": (1, "a:5"),
        "y": (2, "b:5"),
    }
    assert str(both.engines["a"].place) == "a:4"
    assert both.engines["b"].entries == {}
    assert {name: entry.written for name, entry in both.attachments.entries.items()} == {"p": 1, "q": 2}
    assert [(table.entries["name"].written, table.place.line) for table in both.rules] == [("3", 9), ("4", 11), ("1", 10), ("2", 12)]


def test_nothing() -> None:
    empty = read([])
    assert (empty.settings, empty.engines, empty.rules, empty.attachments.entries) == ({}, {}, [], {})
    assert str(Place("f", 3)) == "f:3"


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"big\.toml:1: larger than 1048576 characters"):
        read([("big.toml", "#" * (document.MAX_TEXT + 1))])
    for deep in ("[engines." + "a." * 5000 + "b]\nc = 1", "[engines.a]\nb = " + "[" * 40 + "]" * 40):
        with pytest.raises(ConfigError, match="f:1: engines: nested more than 32 deep"):
            read([("f", deep)])
    monkeypatch.setattr(document, "MAX_RULES", 3)
    two = "[[rule]]\nname='a'\n[[rule]]\nname='b'\n"
    with pytest.raises(ConfigError, match="b:1: rule: more than 3 rules"):
        read([("a", two), ("b", two)])
