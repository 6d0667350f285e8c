"""What becomes of a message: verdicts, a next hop that fails at each step, replies of LMTP, what is refused before a scan.

The promise that each test keeps: success is said only after the next hop has said it, and what is not known is a 4xx.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.frontends.scan_pool import Busy, ScanFailed
from lazaretto.frontends.smtp_delivery import hops
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Verdict
from next_hop_double import HANG_UP, OK, SILENCE, WAIT, NextHop
from smtp_running import Client, InlinePool, Running, settings, stuffed

MESSAGE = b"Subject: x\r\n\r\ny\r\n"
BIG = b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n" + (b"z" * 998 + b"\r\n") * 3000
REJECT = Verdict(Disposition.REJECT, rule="no-exe", text="we want no programs")
TEMPFAIL = Verdict(Disposition.TEMPFAIL, rule="down")
DISCARD = Verdict(Disposition.DISCARD, rule="drop")


# -- verdicts


@pytest.mark.parametrize(
    ("verdict", "reply", "outcome"),
    [
        (REJECT, b"554 5.7.1 we want no programs\r\n", "rejected"),
        (TEMPFAIL, b"451 4.7.1 Message could not be checked, try again later\r\n", "deferred"),
        (DISCARD, b"250 2.0.0 Ok\r\n", "discarded"),
    ],
)
def test_verdicts(verdict: Verdict, reply: bytes, outcome: str) -> None:
    pool = InlinePool(verdict)
    with NextHop() as hop, Running(settings(hop), pool) as running, running.client() as client:
        client.envelope()
        assert client.content() == reply
        hop.heard(b"RSET")
        assert (hop.messages, hop.ends) == ([], 0)
        assert b"DATA" not in hop.commands
        line = running.line()
        assert (line["outcome"], line["rule"]) == (outcome, verdict.rule)
        assert line["reply"] == reply.decode().strip()
        pool.verdict = Verdict(Disposition.ACCEPT)
        client.envelope(hello=b"")
        assert client.content().startswith(b"250 ")
        assert hop.connections == 1


@pytest.mark.parametrize(
    ("failure", "code", "error"),
    [
        (ScanFailed("the scan took too long"), b"451 4.3.0", "the scan took too long"),
        (Busy("100 messages are waiting"), b"451 4.3.2", "100 messages are waiting"),
        (ValueError("a bug"), b"451 4.3.0", "internal error, please report: ValueError: a bug"),
    ],
)
def test_no_report_is_a_temporary_failure(failure: Exception, code: bytes, error: str) -> None:
    with NextHop() as hop, Running(settings(hop), InlinePool(failure=failure)) as running, running.client() as client:
        client.envelope()
        assert client.content().startswith(code)
        assert (hop.messages, hop.ends) == ([], 0)
        line = running.line()
        assert line["outcome"] == "deferred"
        assert line["error"].startswith(error)


def test_a_scan_that_never_ends() -> None:
    pool = InlinePool(hold=True)
    with NextHop() as hop, Running(settings(hop, scan_timeout_s=0.05), pool) as running, running.client() as client:
        client.envelope()
        assert client.content().startswith(b"451 4.3.0 ")
        assert pool.cancelled.is_set()
        assert (hop.messages, hop.ends) == ([], 0)
        assert running.line()["outcome"] == "deferred"


# -- the client goes away


@pytest.mark.parametrize("how", ["close", "half-close"])
def test_a_client_that_leaves_while_its_message_is_scanned(how: str) -> None:
    pool = InlinePool(hold=True)
    with NextHop() as hop, Running(settings(hop), pool) as running, running.client() as client:
        client.envelope()
        client.say(b"DATA")
        client.send(stuffed(MESSAGE))
        assert pool.begun.acquire(timeout=10)
        client.sock.shutdown(1)
        if how == "close":
            client.sock.close()
        assert pool.cancelled.wait(10)
        hop.until(lambda: hop.ended == 1)
        assert (hop.messages, hop.ends) == ([], 0)
        assert running.line()["outcome"] == "aborted"


def test_a_client_that_leaves_before_the_next_hop_has_said_what_became_of_it() -> None:
    """The message is out of our hands: what the log says is what the next hop says."""
    with NextHop({"dot": [WAIT + OK]}) as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.envelope()
            client.say(b"DATA")
            client.send(stuffed(MESSAGE))
            hop.until(lambda: hop.ends == 1)
        hop.go()
        line = running.line()
        assert (line["outcome"], line["next_hop"]) == ("clean", "250 2.0.0 Ok")
        assert len(hop.messages) == 1


def test_a_client_that_leaves_while_its_message_is_sent() -> None:
    """The next hop does not read, so that the end cannot have been sent."""
    with NextHop({"DATA": [b"354 Go on\r\n" + SILENCE]}) as hop, Running(settings(hop)) as running:
        with running.client() as client:
            client.envelope()
            client.say(b"DATA")
            client.send(stuffed(BIG * 5))
            hop.heard(b"DATA")
        assert running.line()["outcome"] == "aborted"
        assert hop.ends == 0


# -- the next hop fails

REFUSALS = {
    "MAIL": (b"451 4.3.0 Later\r\n", b"550 5.7.1 Never\r\n", b"421 4.3.2 Going down\r\n", b"552-5.3.4 Too\r\n552 5.3.4 big\r\n"),
    "RCPT": (b"451 4.3.0 Later\r\n", b"550 5.1.1 Nobody\r\n", b"421 4.3.2 Going down\r\n"),
    "DATA": (b"451 4.3.0 Later\r\n", b"554 5.5.1 No\r\n", b"421 4.3.2 Going down\r\n"),
    "dot": (b"451 4.3.0 Later\r\n", b"554 5.7.1 Spam\r\n", b"421 4.3.2 Going down\r\n", b"550-5.7.1 Two\r\n550 5.7.1 lines\r\n"),
}
FAULTS = (HANG_UP, b"what?\r\n", b"99", b"354 Go on\r\n", b"250-never ends\r\n" + HANG_UP, b"x" * 100_000)
ODD = {"MAIL": (), "RCPT": (), "DATA": (b"250 2.0.0 Ok\r\n",), "dot": ()}
AT_START = (HANG_UP, b"554 No service\r\n", b"421 4.3.2 Busy\r\n", b"what?\r\n", b"250 Ok\r\n", b"354 Go on\r\n")


def faults(step: str) -> list[bytes]:
    usual = [fault for fault in (*FAULTS, *ODD[step]) if not (step == "DATA" and fault.startswith(b"354"))]
    return [fault if fault != b"99" else b"99" + HANG_UP for fault in usual]


def until_refused(client: Client, *, small: bool = True) -> bytes:
    """Go on as a client does, as far as it gets; the last reply."""
    for line in (b"EHLO client.example", b"MAIL FROM:<s@example.org>", b"RCPT TO:<r@example.net>", b"DATA"):
        reply = client.say(line)
        if reply[:1] not in b"23":
            return reply
    client.send(stuffed(MESSAGE if small else BIG * 5))
    return client.reply()


@pytest.mark.parametrize(("step", "answer"), [(step, answer) for step, answers in REFUSALS.items() for answer in answers])
def test_refusals_of_the_next_hop_are_ours(step: str, answer: bytes) -> None:
    """One that closes is asked once more, on another connection."""
    again = [answer] if answer.startswith(b"421") and step in ("RCPT", "DATA") else []
    with NextHop({step: [answer, *again]}) as hop, Running(settings(hop)) as running, running.client() as client:
        assert until_refused(client) == answer
        assert hop.messages == []
        if answer.startswith(b"421"):
            assert client.ended()
            return
        client.say(b"RSET")
        assert until_refused(client).startswith(b"250 ")
        assert len(hop.messages) == 1
        words = {"4": "deferred", "5": "rejected"}
        assert [line["outcome"] for line in running.final] == ([words[chr(answer[0])]] if step in ("DATA", "dot") else []) + ["clean"]


@pytest.mark.parametrize(("step", "answer"), [(step, answer) for step in REFUSALS for answer in faults(step)])
def test_faults_of_the_next_hop_are_temporary(step: str, answer: bytes) -> None:
    """All answers used up, the next attempt succeeds: on a new connection.  One that hangs up before the content has been asked twice."""
    twice = step == "MAIL" or (step in ("RCPT", "DATA") and HANG_UP in answer)
    with NextHop({step: [answer] * (1 + twice)}) as hop, Running(settings(hop)) as running, running.client() as client:
        reply = until_refused(client)
        assert reply[:3] in (b"451", b"421"), reply
        if step == "MAIL" and reply.startswith(b"250"):
            return
        assert hop.messages == []
        assert hop.ends == (1 if step == "dot" else 0)
        client.say(b"RSET")
        assert until_refused(client).startswith(b"250 ")
        assert len(hop.messages) == 1
        deferred = [line for line in running.final if line["outcome"] == "deferred"]
        assert len(deferred) == (0 if step == "MAIL" else 1)


@pytest.mark.parametrize("answer", AT_START)
@pytest.mark.parametrize("step", ["greeting", "EHLO"])
def test_a_next_hop_that_does_not_want_us(step: str, answer: bytes) -> None:
    if (step, answer) == ("EHLO", b"250 Ok\r\n"):
        answer = b"250-never ends\r\n" + HANG_UP
    refused = {step: [answer], "HELO": [b"550 No\r\n"]}
    with NextHop(refused) as hop, Running(settings(hop)) as running, running.client() as client:
        assert client.say(b"EHLO client.example").startswith(b"421 4.3.2 ")
        assert client.ended()
        assert [text.split()[1] for text, _ in running.lines] == ["event=next-hop"]
        hop.until(lambda: hop.ended == 1)


def test_a_next_hop_that_is_not_there(tmp_path: Path) -> None:
    with Running(settings(f"unix:{tmp_path}/nobody")) as running, running.client() as client:
        assert client.greeting.startswith(b"220 ")
        assert client.say(b"EHLO client.example").startswith(b"421 4.3.2 ")
        assert client.ended()


@pytest.mark.parametrize(
    ("step", "code"), [("greeting", b"421"), ("EHLO", b"421"), ("MAIL", b"451"), ("RCPT", b"451"), ("DATA", b"451"), ("dot", b"451")]
)
def test_a_next_hop_that_says_nothing(step: str, code: bytes) -> None:
    with NextHop({step: [SILENCE]}) as hop:
        times = {"next_hop_timeout_s": 0.05, "end_of_data_timeout_s": 0.05}
        with Running(settings(hop, **times)) as running, running.client() as client:
            assert until_refused(client)[:3] == code
            assert hop.messages == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"452 4.3.1 Disk full\r\n" + HANG_UP, b"452 4.3.1 Disk full\r\n"),
        (b"552 5.3.4 Too big\r\n" + HANG_UP, b"552 5.3.4 Too big\r\n"),
        (b"421 4.3.2 Going down\r\n" + HANG_UP, b"421 4.3.2 Going down\r\n"),
        (b"250 2.0.0 Ok\r\n" + SILENCE, b"451 4.4.2 "),
        (HANG_UP, b"451 4.4.2 "),
        (SILENCE, b"451 4.4.2 "),
    ],
)
def test_a_next_hop_that_answers_in_the_middle_of_a_message(answer: bytes, expected: bytes) -> None:
    times = {"next_hop_timeout_s": 0.2, "end_of_data_timeout_s": 0.2} if answer == SILENCE else {}
    with NextHop({"content": [answer]}) as hop, Running(settings(hop, **times)) as running, running.client() as client:
        assert until_refused(client, small=False).startswith(expected)
        if not answer.endswith(SILENCE):
            hop.until(lambda: hop.ended == 1)
        assert (hop.messages, hop.ends) == ([], 0)
        assert running.line()["outcome"] == ("rejected" if expected.startswith(b"5") else "deferred")


def test_slow_replies_of_many_lines_byte_by_byte() -> None:
    reply = b"250-2.0.0 One\r\n250-2.0.0 Two\r\n250 2.0.0 Three\r\n"
    with NextHop({"dot": [reply]}, byte_by_byte=True) as hop, Running(settings(hop)) as running, running.client() as client:
        assert until_refused(client) == reply
        assert running.line()["next_hop"] == "250 2.0.0 One 2.0.0 Two 2.0.0 Three"


# -- LMTP


def test_lmtp_on_both_sides_has_a_reply_for_each_recipient() -> None:
    dots = [b"250 2.1.5 a\r\n", b"550 5.7.1 b\r\n", b"452 4.2.2 c\r\n"]
    with NextHop({"dot": dots}, lmtp=True) as hop, Running(settings(hop, lmtp=True)) as running, running.client() as client:
        assert client.greeting == b"220 proxy.example LMTP\r\n"
        client.envelope(b"a@example.net", b"b@example.net", b"c@example.net", hello=b"LHLO client.example")
        assert client.content() == dots[0]
        assert [client.reply(), client.reply()] == dots[1:]
        line = running.line()
        assert line["outcome"] == "clean"
        assert line["refused"] == "b@example.net(550) c@example.net(452)"
        assert hop.messages[0].recipients == (b"<a@example.net>",)
        assert client.say(b"NOOP").startswith(b"250 "), "not one reply too many"


@pytest.mark.parametrize(("verdict", "code"), [(REJECT, b"554"), (DISCARD, b"250"), (TEMPFAIL, b"451")])
def test_a_verdict_is_said_to_each_recipient_of_lmtp(verdict: Verdict, code: bytes) -> None:
    with NextHop(lmtp=True) as hop, Running(settings(hop, lmtp=True), InlinePool(verdict)) as running, running.client() as client:
        client.envelope(b"a@example.net", b"b@example.net", hello=b"LHLO client.example")
        assert client.content()[:3] == code
        assert client.reply()[:3] == code
        assert client.say(b"NOOP").startswith(b"250 ")
        assert len(running.final) == 1


def test_lmtp_next_hop_that_leaves_between_its_replies() -> None:
    dots = [b"250 2.1.5 a\r\n", HANG_UP, HANG_UP]
    with NextHop({"dot": dots}, lmtp=True) as hop, Running(settings(hop, lmtp=True)) as running, running.client() as client:
        client.envelope(b"a@example.net", b"b@example.net", b"c@example.net", hello=b"LHLO client.example")
        assert client.content() == dots[0]
        assert [client.reply()[:9], client.reply()[:9]] == [b"451 4.4.2"] * 2
        assert running.line()["refused"] == "b@example.net(451) c@example.net(451)"


def test_lmtp_clients_of_an_smtp_next_hop() -> None:
    with NextHop() as hop, Running(settings(hop, lmtp=True)) as running, running.client() as client:
        client.envelope(b"a@example.net", b"b@example.net", hello=b"LHLO client.example")
        assert client.content() == b"250 2.0.0 Ok: queued as 1\r\n"
        assert client.reply() == b"250 2.0.0 Ok: queued as 1\r\n"
        assert len(hop.messages) == 1


def test_smtp_clients_of_an_lmtp_next_hop_have_one_recipient_at_a_time() -> None:
    """Of two replies that differ, one would be lost: the message to one of them, or the truth about it."""
    answers = {"dot": [b"250 2.1.5 a\r\n", b"452 4.2.2 Full\r\n"]}
    with NextHop(answers, lmtp=True) as hop, Running(settings(hop)) as running, running.client() as client:
        replies = client.envelope(b"a@example.net", b"b@example.net")
        assert [reply[:9] for reply in replies[2:]] == [b"250 2.1.5", b"452 4.5.3"]
        assert client.content() == b"250 2.1.5 a\r\n"
        client.envelope(b"b@example.net", hello=b"")
        assert client.content() == b"452 4.2.2 Full\r\n"
        assert hop.commands[0].startswith(b"LHLO ")


# -- what is refused before anybody scans it


@pytest.mark.parametrize("odd", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r\r\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n"])
def test_what_others_take_for_an_end_of_data(odd: bytes) -> None:
    smuggled = b"Subject: x\r\n\r\nbefore" + odd + b"MAIL FROM:<evil@example.org>\r\n"
    for policy, reply in (("reject", b"550 5.6.0 "), ("normalise", b"250 ")):
        with NextHop() as hop, Running(settings(hop, end_of_data=policy)) as running, running.client() as client:
            client.envelope()
            client.say(b"DATA")
            client.send(smuggled + b".\r\n")
            assert client.reply().startswith(reply)
            assert client.say(b"NOOP").startswith(b"250 ")
            assert sum(line.startswith(b"MAIL") for line in hop.commands) == 1
            assert len(hop.messages) == (policy == "normalise")
            assert running.line()["rule"] == ("smuggling" if policy == "reject" else "default")


@pytest.mark.parametrize(("stray", "mark"), [(b"a\rb", "bare_cr"), (b"a\nb", "bare_lf"), (b"a\0b", "nul")])
def test_stray_line_ends(stray: bytes, mark: str) -> None:
    content = b"Subject: x\r\n\r\n" + stray + b"\r\n"
    for policy, expected in (
        ("pass", content),
        ("reject", None),
        ("normalise", content.replace(stray, b"ab" if b"\0" in stray else b"a\r\nb")),
    ):
        with NextHop() as hop, Running(settings(hop, stray=policy)) as running, running.client() as client:
            client.envelope()
            assert client.content(content).startswith(b"250 " if expected else b"550 5.6.0 ")
            assert [message.content for message in hop.messages] == ([expected] if expected else [])
            assert running.line().get("error") == (None if expected else mark)


def test_a_message_that_goes_round_in_circles() -> None:
    with NextHop() as hop, Running(settings(hop, hop_limit=3)) as running, running.client() as client:
        client.envelope()
        assert client.content(b"Received: x\r\n" * 3 + MESSAGE).startswith(b"250 ")
        client.envelope(hello=b"")
        assert client.content(b"Received: x\r\n" * 4 + MESSAGE).startswith(b"554 5.4.6 ")
        assert [line["rule"] for line in running.final] == ["default", "loop"]


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 0),
        (b"Received: a\r\nRECEIVED: b\r\n b\r\nX-Received: c\r\n\r\nReceived: d\r\n", 2),
        (b"Received: a\nreceived: b\n\nReceived: c\n", 2),
        (b"Received: no end", 1),
        (b"\r\n\r\nReceived: body\r\n", 0),
    ],
)
def test_hops(content: bytes, count: int) -> None:
    assert hops(Source(content)) == count


def test_no_room_on_disk(tmp_path: Path) -> None:
    chosen = {"spool_directory": str(tmp_path / "missing"), "spool_memory_bytes": 1000}
    with NextHop() as hop, Running(settings(hop, **chosen)) as running, running.client() as client:
        assert until_refused(client, small=False).startswith(b"451 4.3.0 ")
        line = running.line()
        assert (line["outcome"], line["rule"]) == ("deferred", "system")
        assert "missing" in line["error"]
        assert (hop.messages, hop.ends) == ([], 0)
