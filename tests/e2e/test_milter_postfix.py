"""What only Postfix has of all that a milter meets: BDAT, SMTPUTF8, XCLIENT, mail of local programs, a body replaced within limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mail_programs
from eicar import EICAR
from milter_program import MilterProgram
from milter_site import (
    CLEAN,
    DISCARDED,
    INFECTED,
    POSTPONED,
    REJECTED,
    RULES,
    Site,
    bdat,
    expected,
    lines_with,
    milter_site,
    new_address,
    untraced,
    without_ids,
    without_status,
)
from postfix import Postfix
from serving import eventually
from smtp_session import Session

RECIPIENT = "recipient@example.org"
LOCAL = [b"X-Local: yes\r\n" + message for message in (CLEAN, INFECTED)]


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    main = {
        "smtpd_authorized_xclient_hosts": "127.0.0.1",
        "smtpd_relay_restrictions": "check_client_access static:permit, reject_unauth_destination",
    }
    with MilterProgram(rules=RULES) as milter, milter_site("postfix", milter=milter, main=main) as made:
        yield made
        assert milter.stop() == 0


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.sink.clear()
    yield running
    running.nothing_waits()
    assert postfix_of(running).trouble() == []


def postfix_of(site: Site) -> Postfix:
    assert isinstance(site.server, Postfix)
    return site.server


# -- BDAT -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_bdat(message: bytes, site: Site) -> None:
    wanted = expected(site.control(message))
    with Session(site.address) as client:
        assert b"CHUNKING" in client.greet().lines
        assert bdat(client, message) == [250]
        assert bdat(client, message[:100], message[100:105], message[105:], b"") == [250] * 4
        assert client.deliver(message).code == 250
    assert [without_ids(untraced(one.data)) for one in site.arrived(3)] == [wanted] * 3


def test_bdat_is_refused_at_its_end(site: Site) -> None:
    with Session(site.address) as client:
        client.greet()
        assert bdat(client, REJECTED[:50], REJECTED[50:]) == [250, 554]
        assert bdat(client, CLEAN) == [250]
    site.arrived()


@pytest.mark.parametrize(
    "message",
    [
        b"X-Return: one\rtwo\r\nFrom: a@example.org\r\n\r\none\rtwo\r\n\rthree\r\r\n",
        b"From: a@example.org\r\n\r\none\ntwo\n\nthree\r\n",
    ],
    ids=["carriage-returns", "line-feeds"],
)
def test_stray_line_ends(message: bytes, site: Site) -> None:
    """This Postfix takes them, and Sendmail does not: clean, they arrive as they would."""
    wanted = expected(site.control(message))
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    assert without_ids(untraced(one.data)) == wanted


# -- SMTPUTF8, addresses, clients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_smtputf8(message: bytes, site: Site) -> None:
    """Addresses and header fields of UTF-8 arrive as they were, and the log has the addresses."""
    message = "Subject: Grüße aus Köln\r\nX-Δ: ignored\r\n".encode() + message
    address = "jürgen.".encode() + new_address()
    sender, recipient = b"<%s> SMTPUTF8" % address, "<δοκιμή@example.org>".encode()
    wanted = expected(site.control(message, sender, [recipient]))
    assert site.deliver(message, sender, [recipient]).code == 250
    (one,) = site.arrived()
    assert without_ids(untraced(one.data)) == wanted
    assert [address.split()[0] for address in one.recipients] == [recipient]
    assert one.sender.startswith(b"<%s>" % address)
    assert b"SMTPUTF8" in one.sender
    lines_with(site.milter, f"from={address.decode()} ")


@pytest.mark.parametrize("sender", [b"<>", b'<"two words"@example.org>', b"<a+b=c@example.org> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x"])
def test_senders(sender: bytes, site: Site) -> None:
    assert site.deliver(CLEAN, sender).code == 250
    (one,) = site.arrived()
    assert one.sender.split(b" SIZE")[0].split(b" BODY")[0] == sender.split(b" SIZE")[0]


@pytest.mark.parametrize(
    ("xclient", "told"),
    [
        (b"XCLIENT ADDR=192.0.2.1 NAME=client.example", "192.0.2.1"),
        (b"XCLIENT ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE]", "2001:db8::1"),
        (b"XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]", ""),
    ],
    ids=["ipv4", "ipv6", "unknown"],
)
def test_clients(xclient: bytes, told: str, site: Site) -> None:
    """As if the client came from there, which Postfix then tells the milter."""
    sender = new_address()
    with Session(site.address) as client:
        client.greet()
        assert client.say(xclient).code == 220
        assert client.say(b"EHLO there.example").code == 250
        assert client.deliver(CLEAN, b"<%s>" % sender).code == 250
    site.arrived()
    (line,) = lines_with(site.milter, f"from={sender.decode()} ")
    assert (f"client={told} " in line) if told else ("client=" not in line), line


def test_macros_of_who_has_logged_in() -> None:
    """What Postfix tells of an authenticated client and of the service that it uses, as conditions of rules."""
    rules = """
[[rule]]
name = "games-of-our-own"
detail = "*.exe"
macro = "auth_authen=anna"
action = "pass"
"""
    main = {"smtpd_authorized_xclient_hosts": "127.0.0.1"}
    with MilterProgram(rules=rules + RULES) as milter, milter_site("postfix", milter=milter, main=main) as site:
        for login, code in ((b"anna", 250), (b"berta", 554), (b"[UNAVAILABLE]", 554)):
            with Session(site.address) as client:
                client.greet()
                assert client.say(b"XCLIENT LOGIN=" + login).code == 220
                assert client.say(b"EHLO there.example").code == 250
                assert client.deliver(REJECTED).code == code, login
        (one,) = site.arrived()
        assert b"rule=games-of-our-own" in one.data


def test_two_hundred_recipients(site: Site) -> None:
    recipients = [b"<user%d@example.org>" % number for number in range(200)]
    assert site.deliver(INFECTED, recipients=recipients).code == 250
    eventually(lambda: sum(len(one.recipients) for one in site.sink.messages) == 200, "all recipients")
    for one in site.sink.messages:
        assert not mail_programs.carries(one.data, EICAR)


# -- mail of local programs: non_smtpd_milters --------------------------------------------------------------------------


def local(site: Site, message: bytes, sender: str = "sender@example.org") -> None:
    postfix_of(site).sendmail(message.replace(b"\r\n", b"\n"), sender, RECIPIENT)


def test_local_mail(site: Site) -> None:
    for message in LOCAL:
        local(site, message)
    arrived = sorted((untraced(one.data) for one in site.arrived(2)), key=lambda data: b"removed" in data)
    assert without_status(arrived[0]) == LOCAL[0]
    # Postfix ends the body of such mail where sendmail(1) has: the last line end is its own.
    assert without_ids(arrived[1]) == expected(LOCAL[1])


def test_local_mail_that_is_discarded(site: Site) -> None:
    sender = new_address().decode()
    local(site, DISCARDED, sender)
    local(site, CLEAN, sender)
    site.arrived()
    outcomes = sorted(line.split(" outcome=")[1].split()[0] for line in lines_with(site.milter, f"from={sender} ", 2))
    assert outcomes == ["clean", "discarded"]


def test_local_mail_that_is_rejected(site: Site) -> None:
    """Nobody is there who could be told now: Postfix sends it back, with our words."""
    local(site, REJECTED)
    (bounce,) = site.arrived()
    assert bounce.sender.startswith(b"<>")
    assert b"No games here" in bounce.data


def test_local_mail_that_is_postponed(site: Site) -> None:
    """It stays where it is, and is tried again: it has not been scanned for good yet."""
    server = postfix_of(site)
    sender = new_address().decode()
    local(site, POSTPONED, sender)
    eventually(lambda: "milter-reject" in server.log() and "4.7" in server.log(), "the refusal")
    eventually(lambda: sum(f"from={sender} " in line for line in site.milter.final_lines()) >= 2, "another try")
    assert site.sink.messages == []
    (waiting,) = server.queue()
    assert waiting.queue == "maildrop"
    server.remove(waiting.id)


# -- when things go wrong -----------------------------------------------------------------------------------------------


def test_message_that_is_too_large(site: Site) -> None:
    """Postfix takes it, we do not: refused for good, as by SMTP."""
    with MilterProgram(rules=RULES, limits__max_message_bytes=10_000) as small, milter_site("postfix", milter=small) as other:
        assert other.deliver(CLEAN).code == 250
        other.arrived()
        answer = other.deliver(CLEAN + b"One of many lines, all alike.\r\n" * 1000)
        assert answer.code in (451, 452, 552), answer
        assert len(other.sink.messages) == 1
        (line,) = lines_with(small, "rule=limit")
        assert "outcome=rejected" in line


def test_unix_socket() -> None:
    import tempfile
    from pathlib import Path

    from milter_addresses import Address

    with tempfile.TemporaryDirectory(prefix="lz-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        listen = Address("", f"{folder}/s")
        with MilterProgram(listen, milter__socket_mode="0666") as milter, milter_site("postfix", milter=milter) as site:
            control = site.control(CLEAN)
            assert site.deliver(CLEAN).code == 250
            (one,) = site.arrived()
            assert without_status(untraced(one.data)) == control
            assert milter.stop() == 0
        assert not Path(listen.place).exists()
