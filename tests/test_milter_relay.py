"""What the relay is used for: it passes on what it is not to stop, and stops at the packet that it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from milter_relay import Relay
from postfix import Postfix
from reference_milter import ReferenceMilter
from serving import eventually
from smtp_session import attempt
from smtp_sink import Sink

MESSAGE = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Postfix, Relay, Sink, ReferenceMilter]]:
    with (
        Sink() as sink,
        ReferenceMilter() as reference,
        Relay(reference.address) as relay,
        Postfix(next_hop=sink.address, main={"smtpd_milters": relay.listen.postfix}) as postfix,
    ):
        yield postfix, relay, sink, reference


def test_passes_on(site: tuple[Postfix, Relay, Sink, ReferenceMilter]) -> None:
    postfix, relay, sink, reference = site
    plan = reference.plan(("add", "X-Changed", "yes"))
    assert str(attempt(postfix.smtp, b"X-Plan: %s\r\n%s" % (plan, MESSAGE))) == "250 END"
    eventually(lambda: bool(sink.messages), "the message")
    (one,) = sink.messages
    assert b"X-Changed: yes" in one.data
    letters = b"".join(code for side, code in relay.seen if side == "mta" and code != b"D")
    assert letters.startswith(b"O")
    assert b"LLLNBE" in letters
    sink.clear()


@pytest.mark.parametrize(
    ("side", "codes", "at_end"), [("mta", b"M", False), ("mta", b"E", False), ("milter", b"h", False), ("milter", b"c", True)]
)
def test_stops(side: str, codes: bytes, at_end: bool, site: tuple[Postfix, Relay, Sink, ReferenceMilter]) -> None:
    postfix, relay, sink, reference = site
    plan = reference.plan(("add", "X-Changed", "yes"))
    called: list[bytes] = []
    relay.strike(side, codes, lambda: called.append(relay.seen[-1][1]), at_end=at_end)
    outcome = attempt(postfix.smtp, b"X-Plan: %s\r\n%s" % (plan, MESSAGE))
    assert outcome.answer is not None
    assert outcome.answer.code == 451
    assert called == [codes]
    assert relay.struck.is_set()
    assert sink.messages == []
