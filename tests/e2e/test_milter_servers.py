"""Our milter behind a real Postfix and a real Sendmail: what arrives is what would arrive without us, or what the pipeline makes of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import mail_programs
import peers
import wrappings
from eicar import EICAR
from milter_program import MilterProgram
from milter_site import (
    BANNED,
    CLEAN,
    DISCARDED,
    INFECTED,
    POSTPONED,
    REJECTED,
    RULES,
    SERVERS,
    STATUS,
    Site,
    expected,
    has_ipv6,
    lines_with,
    milter_site,
    new_address,
    untraced,
    without_ids,
    without_status,
)
from postfix import Postfix
from reference_milter import fields, split
from sendmail import Sendmail
from serving import eventually
from smtp_session import Answer, Session, stuffed

MANY = 1000 if os.environ.get("LAZARETTO_LONG") else 40
HEAD = b"From: sender@example.org\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <w@example.org>\r\n"


@pytest.fixture(scope="module", params=SERVERS)
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    with MilterProgram(rules=RULES) as milter, milter_site(request.param, milter=milter) as made:
        yield made
        if isinstance(made.server, Postfix):
            assert made.server.trouble() == []
        assert "event=crash" not in milter.log
        assert milter.stop() == 0
        assert milter.family() == []


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.sink.clear()
    yield running
    running.nothing_waits()


# -- clean mail ------------------------------------------------------------------------------------------------------

SHAPES = {
    "attachment": CLEAN,
    "one-line": HEAD + b"\r\nbody\r\n",
    "no-body": HEAD + b"\r\n",
    "folded": HEAD
    + b"Subject: one\r\n two\r\n\tthree\r\n    four\r\nX-Long: "
    + b"a word " * 10
    + b"\r\n "
    + b"and more " * 10
    + b"\r\n\r\nbody\r\n",
    "spaces": HEAD + b"X-None:value\r\nX-Tab:\tvalue\r\nX-Three:   value\r\nX-After: value  \r\nX-Fold:\r\n value\r\n\r\nbody\r\n",
    "empty-values": HEAD + b"X-Empty:\r\nX-Blank: \r\nSubject:\r\n\r\nbody\r\n",
    "repeated": HEAD
    + b"X-Note: one\r\nReceived: from a by b; Sun, 22 Nov 2026 10:00:00 +0000\r\nx-note: two\r\nX-Note: one\r\n\r\nbody\r\n",
    "eight-bit": HEAD + b"Subject: \xff\xe4\xf6\r\nX-Utf8: \xc3\xa4\r\n\r\n\xff body \xe4\r\n\xc3\xa4\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.x\r\n...\r\n",
    "empty-lines": HEAD + b"\r\n\r\n\r\n\r\nbody\r\n\r\n\r\n",
    "long-lines": HEAD + b"\r\n" + b"x" * 990 + b"\r\n" + b"y" * 990 + b"\r\n",
    "a-megabyte": HEAD + b"\r\n" + b"0123456789abcdefghijklmnopqrstuvwxyz.\r\n" * 26_000,
    "no-field-between": HEAD + b"This is no field\r\nX-After: value\r\n\r\nbody\r\n",
    "blank-before-colon": HEAD + b"X-Odd : value\r\nX-Even: value\r\n\r\nbody\r\n",
    "mailbox-line": b"From sender@example.org Sun Nov 22 10:00:00 2026\r\n" + HEAD + b"\r\nbody\r\n",
    "nul-in-body": HEAD + b"\r\nbo\0dy\r\n",
    "nul-in-field": HEAD + b"X-Nul: one\0two\r\nX-After: value\r\n\r\nbody\r\n",
    "long-field": HEAD + b"X-Long: " + b"x" * 900 + b"".join(b"\r\n " + b"y" * 900 for _ in range(20)) + b"\r\n\r\nbody\r\n",
    "percent": HEAD + b"Subject: 100% %s %n\r\n\r\n%d\r\n",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_clean_mail_is_identical(shape: str, site: Site) -> None:
    message = SHAPES[shape]
    control = site.control(message)
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    assert without_status(untraced(one.data)) == control


@pytest.mark.parametrize("message", [b"\r\nbody\r\n", b"This is no header.\r\nNor is this.\r\n\r\nbody\r\n"], ids=["empty", "text"])
def test_no_header(message: bytes, site: Site) -> None:
    """There nothing is announced either; Sendmail puts fields of its own on top."""
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    assert one.data.endswith(b"\r\n\r\n" + message.removeprefix(b"\r\n"))
    assert STATUS not in one.data


def test_many_header_fields(site: Site) -> None:
    message = HEAD + b"".join(b"X-Field-%d: value %d\r\n" % (number % 50, number) for number in range(500)) + b"\r\nbody\r\n"
    control = site.control(message)
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    assert without_status(untraced(one.data)) == control


# -- what is done about mail that is not clean ------------------------------------------------------------------------

FORGED = b"".join(b"X-Lazaretto-Status: clean%d\r\nX-Note: %d\r\n" % (number, number) for number in range(5))
WHOLE = wrappings.single(
    b"Content-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n", wrappings.b64(EICAR)
)
LARGE = wrappings.attach(EICAR, "notes.txt", body=b"A line of the text that stays.\r\n" * 20_000) + b"\r\n"


TOP = wrappings.single(
    b'Content-Type: application/octet-stream;\r\n name="run.vbs"\r\nX-Note: 1\r\n'
    b'Content-Disposition: attachment; filename="run.vbs"\r\nX-Note: 2\r\n',
    b"MsgBox 1\r\n",
)
DEFANGED = wrappings.attach(b"MsgBox 1\r\n", "run.vbs")


@pytest.mark.parametrize(
    "message",
    [CLEAN, INFECTED, FORGED + CLEAN, FORGED + INFECTED, FORGED + WHOLE, TOP, FORGED + TOP, DEFANGED],
    ids=["clean", "infected", "forged-clean", "forged", "forged-whole", "defanged-in-header", "forged-defanged", "defanged"],
)
def test_fields_are_changed(message: bytes, site: Site) -> None:
    """Fields that claim to be ours go, and only those; a name in the message's own header is changed in its place."""
    wanted = expected(site.control(message))
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    got = without_ids(untraced(one.data))
    if isinstance(site.server, Sendmail):  # it puts fields that it knows before those that it does not
        (head, body), (wanted_head, wanted_body) = split(got), split(wanted)
        assert sorted(fields(head)) == sorted(fields(wanted_head))
        assert body == wanted_body
    else:
        assert got == wanted
    notes = re.findall(rb"X-Note: (\d)", split(message)[0])
    assert re.findall(rb"X-Note: (\d)", split(got)[0]) == notes
    assert got.startswith(STATUS)
    assert b'"run.vbs"' not in one.data


@pytest.mark.parametrize("message", [INFECTED, BANNED, WHOLE, LARGE], ids=["infected", "banned", "infected-as-a-whole", "large"])
def test_dangerous_parts_are_replaced(message: bytes, site: Site) -> None:
    """With all of the rest as the pipeline leaves it, byte for byte."""
    wanted = expected(site.control(message))
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    assert not mail_programs.carries(one.data, EICAR)
    assert without_ids(untraced(one.data)) == wanted
    assert b"This message was removed" in one.data or b"This part of the message was removed" in one.data


def test_mail_is_rejected(site: Site) -> None:
    assert site.deliver(REJECTED) == Answer(554, (b"5.7.1 No games here",))
    assert site.sink.messages == []


def test_mail_is_postponed(site: Site) -> None:
    answer = site.deliver(POSTPONED)
    assert answer.code == 451, answer
    assert site.sink.messages == []


def test_mail_is_discarded(site: Site) -> None:
    assert site.deliver(DISCARDED).code == 250
    assert site.deliver(CLEAN).code == 250
    (one,) = site.arrived()
    assert b"notes.txt" in one.data


def test_every_message_has_a_line(site: Site) -> None:
    sender = new_address()
    messages = (CLEAN, INFECTED, REJECTED, POSTPONED, DISCARDED)
    for message in messages:
        site.deliver(message, b"<%s>" % sender)
    lines = lines_with(site.milter, f"from={sender.decode()} ", len(messages))
    outcomes = [line.split(" outcome=")[1].split()[0] for line in lines]
    assert outcomes == ["clean", "cleaned", "rejected", "deferred", "discarded"]
    for line in lines:
        assert "client=127.0.0.1" in line, line


def test_held_mail(site: Site) -> None:
    """With [milter] hold, what is not clean waits in the mail server's own quarantine."""
    with MilterProgram(rules=RULES, milter__hold=True) as milter, milter_site(_name(site), milter=milter) as other:
        assert other.deliver(INFECTED).code == 250
        server = other.server
        if isinstance(server, Sendmail):
            (held,) = server.queue("h")
            assert "malware" in server.control_file(held, "h")
        else:
            (one,) = server.queue()
            assert one.queue == "hold"
            server.remove(one.id)
        assert other.deliver(CLEAN).code == 250
        (arrived,) = other.arrived()
        assert without_status(untraced(arrived.data)) == other.control(CLEAN)


def _name(site: Site) -> str:
    return "postfix" if isinstance(site.server, Postfix) else "sendmail"


def test_many_messages(site: Site) -> None:
    """Mixed, over several connections at a time: each is answered as it should be, arrives once or not at all, and has its line."""
    sender = new_address()
    kinds = {"clean": (CLEAN, 250), "infected": (INFECTED, 250), "rejected": (REJECTED, 554), "large": (LARGE, 250)}
    wanted = {kind: expected(site.control(message)) for kind, (message, code) in kinds.items() if code == 250}
    names = [(kind, f"<{kind}.{number}@mixed.example>") for number in range(MANY // 4) for kind in kinds]

    def deliver(one: tuple[str, str]) -> int:
        kind, name = one
        return site.deliver(kinds[kind][0].replace(b"<w@example.org>", name.encode()), b"<%s>" % sender).code

    with ThreadPoolExecutor(8) as clients:
        codes = list(clients.map(deliver, names))
    assert codes == [kinds[kind][1] for kind, _ in names]
    arriving = {name: kind for kind, name in names if kind != "rejected"}
    eventually(lambda: len(site.sink.messages) >= len(arriving), "all messages")
    for one in site.sink.messages:
        name = re.findall(rb"(?im)^Message-ID: (\S+)", one.data)[0]
        kind = arriving.pop(name.decode())
        assert without_ids(untraced(one.data)).replace(name, b"<w@example.org>") == wanted[kind]
    assert arriving == {}
    lines = lines_with(site.milter, f"from={sender.decode()} ", len(names))
    outcomes = Counter(line.split(" outcome=")[1].split()[0] for line in lines)
    assert outcomes == {"clean": MANY // 4, "cleaned": MANY // 2, "rejected": MANY // 4}


# -- sessions --------------------------------------------------------------------------------------------------------


def test_many_messages_in_a_session(site: Site) -> None:
    messages = (CLEAN, INFECTED, SHAPES["repeated"], REJECTED, BANNED, DISCARDED, SHAPES["no-body"], POSTPONED, LARGE, CLEAN)
    wanted = [expected(site.control(one)) for one in messages if one not in (REJECTED, POSTPONED, DISCARDED)]
    with Session(site.address) as client:
        client.greet()
        codes = [client.deliver(message).code for message in messages]
        client.say(b"QUIT")
    assert codes == [{REJECTED: 554, POSTPONED: 451}.get(message, 250) for message in messages]
    arrived = [without_ids(untraced(one.data)) for one in site.arrived(len(wanted))]
    assert sorted(arrived) == sorted(wanted)


def test_reset_between(site: Site) -> None:
    """After each step, by RSET, and by EHLO: what was before has no part in what follows."""
    wanted = expected(site.control(INFECTED))
    begun = [b"MAIL FROM:<other@example.org>", b"RCPT TO:<wrong@example.org>", b"RCPT TO:<wrong2@example.org>"]
    with Session(site.address) as client:
        client.greet()
        for reset, counts in ((b"RSET", range(len(begun) + 1)), (b"EHLO again.example", (3,))):  # more often, and Sendmail waits
            for count in counts:
                for line in begun[:count]:
                    assert client.say(line).code == 250
                assert client.say(reset).code == 250
            assert client.deliver(INFECTED).code == 250
    arrived = site.arrived(2)
    assert [without_ids(untraced(one.data)) for one in arrived] == [wanted] * 2
    assert [[recipient.split()[0] for recipient in one.recipients] for one in arrived] == [[b"<recipient@example.org>"]] * 2


def test_client_goes_away(site: Site) -> None:
    """At each step, and in the middle of a message: no trace of it remains, and the next client is served."""
    site.deliver(INFECTED)
    site.arrived()
    before = site.milter.leftovers()
    lines = [b"EHLO client.example", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.org>", b"DATA"]
    for count in range(len(lines) + 1):
        with Session(site.address) as client:
            assert client.answer().code == 220
            for line in lines[:count]:
                assert client.say(line).positive
            if count == len(lines):
                client.send(LARGE[: len(LARGE) // 2])
    assert site.deliver(INFECTED).code == 250
    site.arrived(2)
    assert site.milter.leftovers() == before


def test_pipelining(site: Site) -> None:
    wanted = expected(site.control(INFECTED))
    with Session(site.address) as client:
        client.greet()
        for _ in range(3):
            client.send(b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<recipient@example.org>\r\nDATA\r\n")
            assert [client.answer().code for _ in range(3)] == [250, 250, 354]
            client.send(stuffed(INFECTED) + b"RSET\r\n")
            assert [client.answer().code for _ in range(2)] == [250, 250]
    assert [without_ids(untraced(one.data)) for one in site.arrived(3)] == [wanted] * 3


def test_ipv6_client(site: Site) -> None:
    if not has_ipv6():
        peers.missing("this machine has no ::1")
    sender = new_address()
    port = site.address.rpartition(":")[2]
    control = site.control(CLEAN)
    assert site.deliver(CLEAN, b"<%s>" % sender, address=f"[::1]:{port}").code == 250
    (one,) = site.arrived()
    assert without_status(untraced(one.data)) == control
    (line,) = lines_with(site.milter, f"from={sender.decode()} ")
    assert "client=::1" in line
