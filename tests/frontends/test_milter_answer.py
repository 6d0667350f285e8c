"""A verdict as packets: what is said in which words."""

from __future__ import annotations

import pytest

from lazaretto.frontends.milter_answer import of_reply, refused
from lazaretto.frontends.smtp_transaction import BUSY, TOO_BIG, Refusal
from lazaretto.model import Envelope
from lazaretto.wire.smtp import Reply

ENVELOPE = Envelope(b"a@b", (b"c@d",), "192.0.2.1", b"", "Q1")


@pytest.mark.parametrize(("lines", "data"), [
    ((b"4.3.2 Later",), b"y451 4.3.2 Later\0"),
    ((b"4.3.2 One", b"4.3.2 two"), b"y451-4.3.2 One\r\n451 4.3.2 two\0"),
    ((b"4.3.2 One", b"two"), b"y451-4.3.2 One\r\n451 4.3.2 two\0"),
])  # fmt: skip
def test_replies_of_smtp(lines: tuple[bytes, ...], data: bytes) -> None:
    assert of_reply(Reply(451, lines))[4:] == data


@pytest.mark.parametrize(("refusal", "outcome", "level"), [
    (Refusal(BUSY, "busy", "why"), "deferred", 3),
    (Refusal(TOO_BIG, "limit"), "rejected", 4),
])  # fmt: skip
def test_what_is_refused_has_its_line(refusal: Refusal, outcome: str, level: int) -> None:
    found = refused(refusal, ENVELOPE, 17)
    assert [*found.changes] == []
    assert found.final == of_reply(refusal.reply)
    assert (found.pairs["outcome"], found.pairs["rule"], found.level) == (outcome, refusal.rule, level)
    assert (found.pairs["queue_id"], found.pairs["size"], found.pairs.get("error", "")) == ("Q1", "17", refusal.error)
    assert found.pairs["reply"] == str(refusal.reply)
    assert "size" not in refused(refusal, ENVELOPE).pairs
