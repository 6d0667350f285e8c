"""Outcomes: complete, consistent, and nothing a rule says can break a reply line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.model import Disposition, Verdict
from lazaretto.policy.outcomes import MAX_TEXT, OUTCOMES, printable, reply


def test_every_disposition_has_an_outcome() -> None:
    assert list(OUTCOMES) == list(Disposition)


@pytest.mark.parametrize("disposition", Disposition)
def test_codes_agree(disposition: Disposition) -> None:
    outcome = OUTCOMES[disposition]
    assert str(outcome.smtp_code)[0] == outcome.enhanced[0]  # RFC 2034 s4
    assert (outcome.smtp_code >= 400) == (disposition in (Disposition.TEMPFAIL, Disposition.REJECT))


def test_exit_status() -> None:
    assert {d.name: OUTCOMES[d].exit_status for d in Disposition} == {"ACCEPT": 0, "DISCARD": 99, "TEMPFAIL": 75, "REJECT": 69}


def test_reply() -> None:
    assert reply(Verdict(Disposition.REJECT)) == "Message refused by content policy"
    assert reply(Verdict(Disposition.REJECT, text="No macros")) == "No macros"
    assert reply(Verdict(Disposition.TEMPFAIL, text="Later\r\n250 ü")) == "Later??250 ?"
    assert reply(Verdict(Disposition.ACCEPT, text="No macros")) == "Ok"
    assert reply(Verdict(Disposition.DISCARD, text="No macros")) == "Ok"


@given(st.sampled_from(Disposition), st.text(st.characters(exclude_categories=()), max_size=300))
def test_replies_are_one_line(disposition: Disposition, text: str) -> None:
    line = reply(Verdict(disposition, text=text))
    assert 0 < len(line) <= MAX_TEXT
    assert line.isascii()
    assert line.isprintable()
    assert printable(line) == line
