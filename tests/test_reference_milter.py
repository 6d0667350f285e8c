"""The reference milter does what it is told, behind a real Postfix and a real Sendmail: what the tests of ours are measured by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import milter_addresses
from postfix import Postfix
from reference_milter import ReferenceMilter, as_plan, fields, split
from sendmail import Sendmail
from serving import eventually
from smtp_session import Answer, Session
from smtp_sink import Sink

MESSAGE = (
    b"X-Note: one\r\nSubject: test\r\nX-Note: two\r\n\tand more\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nX-Note: three\r\n"
    b"From: sender@example.org\r\nMessage-ID: <w@example.org>\r\n\r\nbody\r\nof \xff lines\r\n"
)


class Site:
    """A mail server with the reference milter before it; mail ends up in `sink`."""

    def __init__(self, server: Postfix | Sendmail, reference: ReferenceMilter, sink: Sink) -> None:
        self.server, self.reference, self.sink = server, reference, sink
        self.known: list[str] = []  # what Postfix rightly complains about

    def deliver(self, *requests: tuple[bytes | str | int, ...], body: bytes | None = None) -> Answer:
        plan = self.reference.plan(*requests, body=body)
        with Session(self.server.smtp) as client:
            client.greet()
            answer = client.deliver(b"X-Plan: %s\r\n%s" % (plan, MESSAGE))
            client.say(b"QUIT")
            return answer

    def arrived(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Fields and body of the next message, without those fields that the server adds."""
        eventually(lambda: bool(self.sink.messages), "the message")
        (one,) = self.sink.messages
        head, body = split(one.data)
        return [field for field in fields(head) if field[0] not in (b"Received", b"X-Plan")], body


@pytest.fixture(scope="module", params=["postfix", "sendmail"])
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    # Sendmail takes no UNIX socket that others may write to, which Postfix has to.
    address = milter_addresses.free_address() if request.param == "sendmail" else None
    with Sink() as sink, ReferenceMilter(address) as reference:
        if request.param == "sendmail":
            with Sendmail(next_hop=sink.address, milters=[reference.address.libmilter]) as sendmail:
                yield Site(sendmail, reference, sink)
        else:
            with Postfix(next_hop=sink.address, main={"smtpd_milters": reference.address.postfix}) as postfix:
                made = Site(postfix, reference, sink)
                yield made
                assert [line for line in postfix.trouble() if line not in made.known] == []
        assert reference.log == ""


@pytest.fixture
def site(running: Site) -> Site:
    running.sink.clear()
    return running


FIELDS = fields(split(MESSAGE)[0])


def test_accept(site: Site) -> None:
    assert site.deliver(("accept",)).code == 250
    arrived, body = site.arrived()
    assert body == split(MESSAGE)[1]
    # Sendmail has an order of its own for the fields it knows.
    assert sorted(arrived) == sorted(FIELDS)
    assert [field for field in arrived if field[0] == b"X-Note"] == [field for field in FIELDS if field[0] == b"X-Note"]


def test_headers(site: Site) -> None:
    requests = [
        ("insert", 0, "X-Top", "first\n\tfolded"),
        ("add", "X-End", "last"),
        ("change", 2, "X-Note", "changed"),
        ("delete", 3, "x-note"),
        ("progress",),
    ]
    assert site.deliver(*requests).code == 250
    arrived, _ = site.arrived()
    assert arrived[0] == (b"X-Top", b"first\n\tfolded")
    assert arrived[-1] == (b"X-End", b"last")
    assert [value for name, value in arrived if name == b"X-Note"] == [b"one", b"changed"]


@pytest.mark.parametrize("size", [0, 10, 200_000], ids=["empty", "short", "in-chunks"])
def test_body(site: Site, size: int) -> None:
    body = b"new line\r\n" * (size // 10)
    assert site.deliver(body=body).code == 250
    assert site.arrived()[1] == body


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (("reply", "554", "5.7.1", "No 100%% of it"), Answer(554, (b"5.7.1 No 100% of it",))),
        (("reply", "452", "4.3.1", "Later"), Answer(452, (b"4.3.1 Later",))),
        (("reject",), Answer(550, (b"5.7.1 Command rejected",))),
        (("tempfail",), Answer(451, (b"4.7.1 Service unavailable - try again later",))),
    ],
    ids=["reply-5xx", "reply-4xx", "reject", "tempfail"],
)
def test_refused(site: Site, request_: tuple[str, ...], answer: Answer) -> None:
    got = site.deliver(request_)
    if len(request_) > 1:
        assert got == answer
    assert got.code // 100 == answer.code // 100
    assert site.server.queue() == []


def test_discarded(site: Site) -> None:
    assert site.deliver(("discard",)).code == 250
    assert site.deliver(("accept",)).code == 250
    site.arrived()  # only one
    eventually(lambda: site.server.queue() == [], "the end of the delivery")


def test_quarantined(site: Site) -> None:
    assert site.deliver(("quarantine", "as asked"), ("accept",)).code == 250
    server = site.server
    if isinstance(server, Sendmail):
        (held,) = server.queue("h")
        assert "qas asked\n" in server.control_file(held, "h")
    else:
        (one,) = server.queue()
        assert one.queue == "hold"
        assert "milter triggers HOLD action" in server.log()
        server.remove(one.id)
    assert site.sink.messages == []


def test_sessions_have_many_messages(site: Site) -> None:
    changed = site.reference.plan(("add", "X-Changed", "yes"))
    refused = site.reference.plan(("reject",))
    with Session(site.server.smtp) as client:
        client.greet()
        for number, plan in enumerate((changed, None, refused, None, changed)):
            lines = b"X-Number: %d\r\n" % number + (b"X-Plan: %s\r\n" % plan if plan else b"")
            client.say(b"MAIL FROM:<never@example.org>")
            client.say(b"RSET")
            assert client.deliver(lines + MESSAGE).positive == (plan is not refused)
    eventually(lambda: len(site.sink.messages) == 4, "four messages")
    seen = {dict(fields(split(one.data)[0]))[b"X-Number"]: b"X-Changed: yes" in one.data for one in site.sink.messages}
    assert seen == {b"0": True, b"1": False, b"3": False, b"4": True}


def test_absent_milter(site: Site) -> None:
    """Each server has it that a message then waits."""
    server = site.server
    troubles = len(server.trouble()) if isinstance(server, Postfix) else 0
    site.reference.stop()
    try:
        with Session(site.server.smtp) as client:
            client.greet()
            assert client.say(b"MAIL FROM:<a@example.org>").code == 451
    finally:
        site.reference.start()
    assert site.deliver(("accept",)).code == 250
    site.arrived()
    if isinstance(server, Postfix):
        site.known += server.trouble()[troubles:]
        assert "connect to Milter service" in site.known[0]


def test_broken_plan(site: Site) -> None:
    assert site.deliver(("no such request",)).code == 451
    assert "refused: no such request" in site.reference.log
    (site.reference.folder / "log").write_text("")


def test_as_plan() -> None:
    after = b"X-New: a\r\nX-Other: b\r\n" + MESSAGE.replace(b"X-Note: two\r\n\tand more\r\n", b"").replace(b"body", b"new")
    requests, body = as_plan(MESSAGE, after)
    assert requests == [("delete", 2, b"X-Note"), ("insert", 0, b"X-Other", b"b"), ("insert", 0, b"X-New", b"a")]
    assert body == b"new\r\nof \xff lines\r\n"
    assert as_plan(MESSAGE, MESSAGE) == ([], None)


def test_addresses() -> None:
    address = milter_addresses.Address("::1", "25")
    assert (address.libmilter, address.postfix, address.plain) == ("inet6:25@::1", "inet:[::1]:25", "[::1]:25")
