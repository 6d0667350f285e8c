"""Which anomalies have a canonical form, and which have none: every one is in exactly one list."""

from __future__ import annotations

from pathlib import Path

from lazaretto.mime import fields, structured
from lazaretto.mime.ambiguous import AMBIGUOUS, BODY, CANONICAL, DELIMITERS, HEADER

FINDINGS = Path(__file__).resolve().parents[2] / "docs" / "findings.md"


def test_what_has_no_canonical_form() -> None:
    limits = {"header.too-long", "header.too-many-fields", "params.too-long", "params.too-many", "mime.boundary-too-long"}
    assert limits | {"mime.commented-encoding", "header.name-8bit"} == AMBIGUOUS - CANONICAL


def test_the_parsers_own_lists_are_in_it() -> None:
    assert structured.AMBIGUOUS <= AMBIGUOUS
    assert {"header.mbox-from", "header.leading-lines"} == fields.AMBIGUOUS - AMBIGUOUS


def test_every_name_is_documented() -> None:
    text = FINDINGS.read_text(encoding="utf-8")
    assert {name for name in CANONICAL if f"`{name}`" not in text and f"`{name.partition('.')[0]}.*`" not in text} == set()


def test_what_settles_what() -> None:
    assert HEADER | DELIMITERS | BODY == CANONICAL
    assert {"mime.stray-part"} == DELIMITERS & BODY
    assert not HEADER & (DELIMITERS | BODY)
