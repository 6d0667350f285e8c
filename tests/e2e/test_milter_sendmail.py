"""What only Sendmail has of all that a milter meets: its order of header fields, its macros, UNIX sockets that it trusts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import mail_programs
from eicar import EICAR
from milter_addresses import Address
from milter_program import MilterProgram
from milter_site import (
    CLEAN,
    INFECTED,
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
from sendmail import Sendmail
from serving import eventually
from smtp_session import Session, attempt
from smtp_sink import Sink


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with MilterProgram(rules=RULES) as milter, milter_site("sendmail", milter=milter) as made:
        yield made
        assert milter.stop() == 0


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.sink.clear()
    yield running
    running.nothing_waits()


def test_the_log_has_its_name_of_the_message(site: Site) -> None:
    """Macro `i`, which Sendmail tells with MAIL."""
    assert site.deliver(CLEAN).code == 250
    (one,) = site.arrived()
    queue_id = one.data.split(b" id ", 1)[1].split()[0].decode().rstrip(";")
    lines_with(site.milter, f"queue_id={queue_id} ")


def test_fields_that_sendmail_writes_itself(site: Site) -> None:
    """Where a message has no Date, From or Message-Id, Sendmail adds them, after we have seen the message."""
    message = b"Subject: x\r\n\r\nbody\r\n"
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    data = untraced(one.data)
    for name in (b"Date: ", b"From: ", b"Message-Id: "):
        assert data.count(b"\r\n" + name) + data.startswith(name) == 1, data
    assert without_status(data).endswith(message)


def test_fields_in_its_own_order(site: Site) -> None:
    """Sendmail sorts the fields that it knows to the front: what we count from 1 is counted per name."""
    message = b"X-A: 1\r\nReceived: from a by b; Sun, 22 Nov 2026 10:00:00 +0000\r\nX-A: 2\r\nTo: b@example.org\r\nX-A: 3\r\n" + INFECTED
    control = site.control(message)
    assert site.deliver(message).code == 250
    (one,) = site.arrived()
    assert without_ids(untraced(one.data)) == expected(control)


@pytest.mark.parametrize("message", [CLEAN, INFECTED], ids=["clean", "infected"])
def test_bdat(message: bytes, site: Site) -> None:
    """Where Sendmail was built with it: Debian's is not, and refuses a client that does not care."""
    with Session(site.address) as client:
        if b"CHUNKING" in client.greet().lines:
            assert bdat(client, message[:100], message[100:105], message[105:], b"") == [250] * 4
            (one,) = site.arrived()
            assert without_ids(untraced(one.data)) == expected(site.control(message))
        else:
            client.say(b"MAIL FROM:<sender@example.org>")
            client.say(b"RCPT TO:<recipient@example.org>")
            assert client.say(b"BDAT 0 LAST").code == 500


def test_unix_socket() -> None:
    # Sendmail uses no socket below a folder that others may write to.
    with tempfile.TemporaryDirectory(prefix="lz-", dir="/run") as folder, Sink() as sink:
        Path(folder).chmod(0o755)
        listen = Address("", f"{folder}/s")
        with MilterProgram(listen) as milter, Sendmail(next_hop=sink.address, milters=[listen.libmilter]) as sendmail:
            assert str(attempt(sendmail.smtp, CLEAN)) == "250 END"
            eventually(lambda: bool(sink.messages), "the message")
            assert b"X-Lazaretto-Status: clean\r\n" in sink.messages[0].data
            assert milter.stop() == 0


SCAN_ONLY = """\
define(`confMILTER_MACROS_ENVRCPT', confMILTER_MACROS_ENVRCPT`, {FP_SCANONLY}')dnl
LOCAL_CONFIG
D{FP_SCANONLY}^<?scan@:@scanned\\.example
"""


@pytest.mark.parametrize(
    ("recipients", "scanned"),
    [
        ([b"<scan@example.org>"], True),
        ([b"<other@example.org>"], False),
        ([b"<other@example.org>", b"<anybody@Scanned.Example>"], True),
        ([b"<scan@example.org>", b"<other@example.org>"], True),
    ],
    ids=["one", "none", "domain", "some"],
)
def test_scan_only(recipients: list[bytes], scanned: bool, site: Site) -> None:
    """{FP_SCANONLY} of sendmail.cf, as the manual of scan-mail.pl has it: only these recipients' mail is scanned."""
    with Sink() as sink, Sendmail(next_hop=sink.address, milters=[site.milter.listen.libmilter], settings=SCAN_ONLY) as sendmail:
        sender = new_address()
        with Session(sendmail.smtp) as client:
            client.greet()
            assert client.deliver(INFECTED, b"<%s>" % sender, recipients).code == 250
        eventually(lambda: bool(sink.messages), "the message")
        assert mail_programs.carries(sink.messages[0].data, EICAR) != scanned
        (line,) = lines_with(site.milter, f"from={sender.decode()} ")
        assert ("outcome=cleaned" in line) == scanned


def test_two_milters(site: Site) -> None:
    """Ours behind itself: the second sees what the first has made of it."""
    with Sink() as sink, MilterProgram() as second:
        milters = [site.milter.listen.libmilter, second.listen.libmilter]
        with Sendmail(next_hop=sink.address, milters=milters) as sendmail:
            sender = new_address()
            with Session(sendmail.smtp) as client:
                client.greet()
                assert client.deliver(INFECTED, b"<%s>" % sender).code == 250
            eventually(lambda: bool(sink.messages), "the message")
        (one,) = sink.messages
        assert one.data.count(b"X-Lazaretto-Status: ") >= 1
        assert "outcome=cleaned" in lines_with(site.milter, f"from={sender.decode()} ")[0]
        assert "outcome=clean " in lines_with(second, f"from={sender.decode()} ")[0]
