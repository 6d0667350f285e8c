"""The final line and JSON: complete, on one line, and nothing that a message can forge."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Edit, Envelope, Finding, Kind, Reason, Report, Span, Treatment, Verdict
from lazaretto.scan import report as reporting

EVIL = Finding("yara", Kind.MALWARE, "Evil", (2, 1), "", None, ("2.1", "a.zip", "b.exe"))
ODD = Finding("reader", Kind.MALFORMED, "mime.nul", (1,))
PASSED = Verdict(Disposition.ACCEPT)
CLEANED = Verdict(Disposition.ACCEPT, (((2, 1), Treatment.REPLACE),), True, (), "policy.malware")
PAIR = re.compile(r'([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|[^ "=\\]+)(?: |\Z)')


def report(verdict: Verdict = PASSED, findings: tuple[Finding, ...] = (), **fields: Any) -> Report:
    made = Report("69217f3a-1b2c3d4e", findings, verdict, (), 17.24, (("attachments", ""), ("yara", "")), "ab" * 32)
    return made._replace(**fields)


def read(line: str) -> dict[str, str]:
    """A careful reader of the line, independent of its writer; fails unless every byte is accounted for."""
    assert line.startswith("lazaretto: ")
    at = len("lazaretto: ")
    pairs = {}
    while at < len(line):
        match = PAIR.match(line, at)
        assert match is not None, line[at:]
        value = match[2]
        assert match[1] not in pairs
        pairs[match[1]] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        at = match.end()
    return pairs


@pytest.mark.parametrize(
    ("verdict", "findings", "word"),
    [
        (PASSED, (), "clean"),
        (PASSED, (ODD,), "clean"),
        (PASSED, (EVIL,), "passed"),
        (CLEANED, (EVIL,), "cleaned"),
        (Verdict(Disposition.ACCEPT, (((1,), Treatment.DEFANG),)), (EVIL,), "cleaned"),
        (Verdict(Disposition.ACCEPT, (((1,), Treatment.KEEP),)), (EVIL,), "passed"),
        (Verdict(Disposition.DISCARD), (EVIL,), "discarded"),
        (Verdict(Disposition.TEMPFAIL), (EVIL,), "deferred"),
        (Verdict(Disposition.REJECT), (EVIL,), "rejected"),
    ],
)
def test_outcome(verdict: Verdict, findings: tuple[Finding, ...], word: str) -> None:
    assert reporting.outcome(report(verdict, findings)) == word
    assert read(reporting.final_line(report(verdict, findings), Envelope()))["outcome"] == word


def test_the_line_of_a_clean_message() -> None:
    assert reporting.final_line(report(), Envelope()) == (
        f"lazaretto: outcome=clean id=69217f3a-1b2c3d4e rule=default sha256={'ab' * 32} engines=attachments,yara ms=17.2"
    )


def test_the_line_tells_everything() -> None:
    down = Finding("clamd", Kind.ERROR, "engine.down", (), "no such socket", Reason.DOWN)
    envelope = Envelope(b"a@example.org", (b"b@example.net", b"c@example.net"), "192.0.2.1", b"helo", "ABC123")
    line = reporting.final_line(report(CLEANED, (EVIL, ODD, down), quarantine_id="69217f3a-1b2c3d4e-1"), envelope)
    assert read(line) == {
        "outcome": "cleaned",
        "id": "69217f3a-1b2c3d4e",
        "rule": "policy.malware",
        "queue_id": "ABC123",
        "from": "a@example.org",
        "to": "b@example.net,c@example.net",
        "client": "192.0.2.1",
        "replaced": "2.1",
        "findings": "Evil(yara,2.1) engine.down(clamd,message)",
        "error": "no such socket",
        "quarantine": "69217f3a-1b2c3d4e-1",
        "sha256": "ab" * 32,
        "engines": "attachments,yara",
        "ms": "17.2",
    }


def test_the_null_sender_is_not_nobody() -> None:
    assert read(reporting.final_line(report(), Envelope(b"")))["from"] == "<>"
    assert "from" not in read(reporting.final_line(report(), Envelope(None)))


def test_the_whole_message_is_called_so() -> None:
    line = reporting.final_line(report(Verdict(Disposition.ACCEPT, (((), Treatment.REPLACE),))), Envelope())
    assert read(line)["replaced"] == "message"


def test_twenty_findings_are_named() -> None:
    many = tuple(Finding("yara", Kind.MALWARE, f"E{n}") for n in range(25))
    named = read(reporting.final_line(report(findings=many), Envelope()))["findings"]
    assert named.count("(yara,message)") == 20
    assert named.endswith(" and 5 more")
    twenty = read(reporting.final_line(report(findings=many[:20]), Envelope()))["findings"]
    assert "more" not in twenty


def test_the_same_finding_is_named_once() -> None:
    assert (
        read(reporting.final_line(report(findings=(EVIL, EVIL._replace(trail=("2.1", "other")))), Envelope()))["findings"]
        == "Evil(yara,2.1)"
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nlazaretto: outcome=clean",
        'x" outcome=clean y="',
        "\\",
        'a\\"b',
        "a=b",
        "a b",
        "",
        "\x1b[2J\x07",
        "\u202egpj.exe",
        "\u2028\u2029\x85\x0b\x0c\x1c",
        "\udcff",
        "x" * 5000,
        "\r",
        "\0",
        "grün",
    ],
)
def test_nothing_can_be_forged(hostile: str) -> None:
    honest = read(reporting.line({"one": "1", "value": "x", "last": "2"}))
    line = reporting.line({"one": "1", "value": hostile, "last": "2"})
    assert read(line).keys() == honest.keys()
    assert read(line)["last"] == "2"
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert len(line) < 2200


@pytest.mark.parametrize("address", [b"a\nb@c", b"\xff\xfe", b'"a b"@c', b"a=b@c", b"\0", b"\r\nlazaretto: outcome=clean"])
def test_envelopes_forge_nothing(address: bytes) -> None:
    line = reporting.final_line(report(), Envelope(address, (address, b"x@y"), "c\nd", b"", "q\nr"))
    assert line.isprintable()
    assert read(line)["outcome"] == "clean"


@given(st.text(), st.text(), st.binary())
def test_one_line_whatever_is_in_it(name: str, detail: str, address: bytes) -> None:
    finding = Finding("yara", Kind.ERROR, name, (1,), detail, Reason.DOWN)
    line = reporting.final_line(report(findings=(finding,)), Envelope(address, (address,)))
    assert line.isprintable()
    assert line.encode("utf-8")
    assert read(line)["outcome"] == "passed"


@given(st.text(max_size=400).filter(lambda text: text.isprintable()))
def test_printable_values_survive(value: str) -> None:
    assert read(reporting.line({"value": value}))["value"] == value


def test_failure_line() -> None:
    assert read(reporting.failure_line("disk full")) == {"outcome": "deferred", "rule": "system", "error": "disk full"}


def test_noteworthy() -> None:
    assert reporting.noteworthy([ODD, EVIL, ODD]) == [EVIL]


def test_json_round_trip() -> None:
    edits = (Edit(Span(0, 0), b"X: y\r\n"), Edit(Span(10, 20), Source(b"12345")))
    broken = Finding("reader", Kind.UNSCANNABLE, "zip.broken", (), "d", Reason.BROKEN, ("a\udcff",))
    made = report(CLEANED, (EVIL, broken), edits=edits, quarantine_id="q")
    assert json.loads(json.dumps(reporting.as_json(made))) == {
        "id": "69217f3a-1b2c3d4e",
        "outcome": "cleaned",
        "sha256": "ab" * 32,
        "disposition": "accept",
        "rule": "policy.malware",
        "treatments": {"2.1": "replace"},
        "quarantine": "q",
        "saved": [],
        "backup": None,
        "findings": [
            {
                "engine": "yara",
                "kind": "malware",
                "name": "Evil",
                "part": "2.1",
                "where": ["2.1", "a.zip", "b.exe"],
                "detail": "",
                "reason": None,
            },
            {
                "engine": "reader",
                "kind": "unscannable",
                "name": "zip.broken",
                "part": "",
                "where": ["a\udcff"],
                "detail": "d",
                "reason": "broken",
            },
        ],
        "edits": [{"start": 0, "stop": 0, "bytes": 6}, {"start": 10, "stop": 20, "bytes": 5}],
        "engines": ["attachments", "yara"],
        "elapsed_ms": 17.2,
    }
    assert reporting.as_json(report())["quarantine"] is None


DOWN = Finding("clamd", Kind.ERROR, "engine.down", (), "no such socket", Reason.DOWN)


@pytest.mark.parametrize(
    ("fields", "pairs"),
    [
        ({}, {}),
        ({"quarantine_id": "q1"}, {"quarantine": "q1"}),
        ({"saved": ("a",)}, {"saved": "a"}),
        ({"saved": ("/s/a b", '/s/"c"')}, {"saved": '/s/a b /s/"c"'}),
        ({"saved": tuple(f"f{number}" for number in range(25))}, {"saved": " ".join(f"f{number}" for number in range(20))}),
        ({"backup": "/b/1"}, {"backup": "/b/1"}),
        ({"backup": "/b/1", "saved": ("a",), "quarantine_id": "q1"}, {"quarantine": "q1", "saved": "a", "backup": "/b/1"}),
    ],
)
def test_where_things_were_kept(fields: dict[str, Any], pairs: dict[str, str]) -> None:
    told = read(reporting.final_line(report(CLEANED, (EVIL,), **fields), Envelope()))
    assert {key: value for key, value in told.items() if key in ("quarantine", "saved", "backup")} == pairs
    known = reporting.as_json(report(CLEANED, (EVIL,), **fields))
    assert (known["quarantine"], known["saved"], known["backup"]) == (
        fields.get("quarantine_id"),
        list(fields.get("saved", ())),
        fields.get("backup"),
    )


@pytest.mark.parametrize(
    ("verdict", "findings", "level"),
    [
        (PASSED, (), 6),
        (PASSED, (ODD,), 6),
        (PASSED, (EVIL,), 4),
        (CLEANED, (EVIL,), 4),
        (CLEANED, (), 4),
        (Verdict(Disposition.DISCARD), (EVIL,), 4),
        (Verdict(Disposition.REJECT), (), 4),
        (Verdict(Disposition.TEMPFAIL), (DOWN,), 3),
        (Verdict(Disposition.TEMPFAIL), (), 3),
    ],
)
def test_severity(verdict: Verdict, findings: tuple[Finding, ...], level: int) -> None:
    assert reporting.severity(report(verdict, findings)) == level


@pytest.mark.parametrize(
    ("findings", "error"),
    [
        ((EVIL,), None),
        ((DOWN,), "no such socket"),
        ((DOWN._replace(detail=""), DOWN._replace(detail="second")), "second"),
        ((DOWN, DOWN._replace(detail="second")), "no such socket"),
        ((EVIL._replace(detail="no error"),), None),
        ((ODD._replace(detail="no error"),), None),
    ],
)
def test_the_first_trouble_is_told(findings: tuple[Finding, ...], error: str | None) -> None:
    assert read(reporting.final_line(report(findings=findings), Envelope())).get("error") == error


def test_why_it_is_deferred_comes_before_all_other_trouble() -> None:
    deferred = report(Verdict(Disposition.TEMPFAIL, rule="system"), findings=(DOWN, DOWN._replace(name="system.error", detail="disk full")))
    assert read(reporting.final_line(deferred, Envelope()))["error"] == "disk full"


def test_what_was_canonicalised() -> None:
    verdict = Verdict(Disposition.ACCEPT, (((), Treatment.CANONICALISE), ((2,), Treatment.CANONICALISE)))
    pairs = read(reporting.final_line(report(verdict), Envelope()))
    assert (pairs["outcome"], pairs["canonicalised"]) == ("canonicalised", "message,2")
    assert "replaced" not in pairs
    assert reporting.severity(report(verdict)) == 6
    assert reporting.is_changed(report(verdict))
    worse = verdict._replace(treatments=(*verdict.treatments, ((3,), Treatment.REPLACE)))
    assert reporting.outcome(report(worse)) == "cleaned"


def test_what_was_disarmed() -> None:
    verdict = Verdict(Disposition.ACCEPT, (((1,), Treatment.DISARM), ((2, 1), Treatment.REPLACE)))
    pairs = read(reporting.final_line(report(verdict), Envelope()))
    assert (pairs["outcome"], pairs["replaced"], pairs["disarmed"]) == ("cleaned", "2.1", "1")


@pytest.mark.parametrize(
    ("treatments", "replaced"),
    [
        ((), None),
        ((((1,), Treatment.KEEP),), None),
        ((((1,), Treatment.DEFANG), ((2, 3), Treatment.REPLACE), ((4,), Treatment.KEEP)), "1,2.3"),
        ((((), Treatment.REPLACE), ((1,), Treatment.REPLACE)), "message,1"),
    ],
)
def test_what_was_replaced(treatments: tuple[tuple[tuple[int, ...], Treatment], ...], replaced: str | None) -> None:
    made = report(Verdict(Disposition.ACCEPT, treatments), (EVIL,))
    assert read(reporting.final_line(made, Envelope())).get("replaced") == replaced


def _as_text(key: str, value: object) -> str:
    if isinstance(value, list):
        return (" " if key in ("findings", "saved") else ",").join(value)
    return value if isinstance(value, str) else f"{value:.1f}"


@pytest.mark.parametrize(
    ("made", "envelope"),
    [
        (report(), Envelope()),
        (report(CLEANED, (EVIL, DOWN, ODD)), Envelope(b"", (b"a@b", b"c d@e"), "192.0.2.1", b"h", "4XYZ")),
        (report(CLEANED, (EVIL,), saved=("a b", "c"), backup="/b/1", quarantine_id="q"), Envelope(b'"x y"@z')),
    ],
)
def test_json_has_the_facts_of_the_line(made: Report, envelope: Envelope) -> None:
    text = reporting.final_json(made, envelope)
    facts = json.loads(text)
    assert "\n" not in text
    assert {key: _as_text(key, value) for key, value in facts.items()} == read(reporting.final_line(made, envelope))
    assert isinstance(facts["ms"], float)
    assert facts["engines"] == ["attachments", "yara"]


def test_json_of_a_front_end() -> None:
    facts = json.loads(reporting.final_json(report(), Envelope(), {"next_hop": "250 2.0.0 Ok\r\n"}))
    assert facts["next_hop"] == "250 2.0.0 Ok\r\n"
    assert facts["outcome"] == "clean"


def test_json_is_short_enough_for_syslog() -> None:
    many = tuple(b"%d@example.org" % number for number in range(1000))
    found = tuple(EVIL._replace(name="n" * 300 + str(number)) for number in range(100))
    text = reporting.final_json(report(CLEANED, found, backup="/" + "b" * 5000), Envelope(b"f" * 5000, many))
    facts = json.loads(text)
    assert len(text) < 4000
    assert facts["to"][:2] == ["0@example.org", "1@example.org"]
    shown = len(facts["to"]) - 1
    assert facts["to"][-1] == f"and {1000 - shown} more"
    assert facts["backup"] == "/" + "b" * 499


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=40), min_size=1))
def test_a_line_becomes_json(pairs: dict[str, str]) -> None:
    text = reporting.line(pairs)
    assert json.loads(reporting.json_line(text)) == read(text)
    assert "\n" not in reporting.json_line(text)
