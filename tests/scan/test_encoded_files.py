"""When only a file in a text goes, and when the whole part does."""

from __future__ import annotations

import pytest

from lazaretto.limits import DEFAULT
from lazaretto.mime import scanner
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Kind, Treatment
from lazaretto.policy.rules import Action
from lazaretto.scan import encoded_files

TEXT = b"Subject: x\r\n\r\nbefore\r\nbegin 644 foo.exe\r\n'<&%Y;&]A9```\r\n`\r\nend\r\nafter\r\n"
ONE = Finding("r", Kind.BANNED, "filerule.matched", (), "", None, ("uuencode:foo.exe",))


def find(message: bytes, *findings: Finding, action: Action = Action.REPLACE, **limits: int) -> list[tuple[bytes, str, Treatment]]:
    source = Source(message)
    root = scanner.parse(source)
    treatments = {finding.part: Treatment.REPLACE for finding in findings}
    found = encoded_files.find(source, root, treatments, findings, lambda finding: action, DEFAULT._replace(**limits))
    return [(source.span(block.span), block.name, block.treatment) for blocks in found.values() for block in blocks]


def test_a_file_in_a_text() -> None:
    block = TEXT[TEXT.index(b"begin") : TEXT.index(b"after")]
    assert find(TEXT, ONE) == [(block, "foo.exe", Treatment.REPLACE)]
    assert find(TEXT, ONE._replace(trail=("uuencode:foo.exe", "member.txt")), action=Action.MANGLE) == [
        (block, "foo.exe", Treatment.MANGLE)
    ]


def test_two_of_one_name() -> None:
    assert len(find(TEXT + TEXT[TEXT.index(b"before") :], ONE)) == 2


@pytest.mark.parametrize(
    "other",
    [
        ONE._replace(trail=()),  # the text itself
        ONE._replace(trail=("2", "a.zip")),
        ONE._replace(trail=("yenc:foo.exe",)),
        ONE._replace(trail=("uuencode:other.exe",)),  # which is not there
    ],
)
def test_the_whole_part(other: Finding) -> None:
    assert find(TEXT, other) == []
    assert find(TEXT, ONE, other) == []


@pytest.mark.parametrize("action", [Action.DISINFECT, Action.REPLACE_MESSAGE, Action.REJECT, Action.TEMPFAIL])
def test_actions_that_no_block_can_have(action: Action) -> None:
    assert find(TEXT, ONE, action=action) == []


@pytest.mark.parametrize("action", [Action.PASS, Action.TAG])
def test_findings_that_call_for_nothing_do_not_count(action: Action) -> None:
    assert find(TEXT, ONE, action=action) == []


@pytest.mark.parametrize("field", [b"Content-Type: text/html", b"Content-Type: text/x-any"])
def test_any_text(field: bytes) -> None:
    assert len(find(field + b"\r\n" + TEXT, ONE)) == 1


@pytest.mark.parametrize("field", [b"Content-Type: application/octet-stream", b"Content-Transfer-Encoding: quoted-printable"])
def test_no_text(field: bytes) -> None:
    assert find(field + b"\r\n" + TEXT, ONE) == []


def test_limit() -> None:
    assert find(TEXT + TEXT[TEXT.index(b"before") :], ONE, max_encoded_blocks=1) == []
