"""A mail server that asks our milter, and one way around it: what comes out here is what the server itself makes of a message.

    with milter_site("postfix") as site:
        site.deliver(message); site.arrived()
        site.control(message)                       what arrives if nobody filters

Mail comes in by SMTP at site.address, and goes on to site.sink.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import scanners
import wrappings
from eicar import EICAR
from lazaretto.policy.config import parse
from lazaretto.scan import assemble
from lazaretto.scan.job import Scanner
from milter_addresses import Address
from milter_program import MilterProgram
from postfix import Postfix
from sendmail import Sendmail
from serving import eventually
from smtp_session import RECIPIENT, SENDER, Answer, Session
from smtp_sink import Received, Sink

CLEAN = wrappings.attach(b"nothing to see here", "notes.txt") + b"\r\n"
INFECTED = wrappings.attach(EICAR, "notes.txt") + b"\r\n"
BANNED = wrappings.attach(b"MZ but harmless", "holiday.scr") + b"\r\n"
REJECTED = wrappings.attach(b"MZ but harmless", "game.exe") + b"\r\n"
POSTPONED = wrappings.attach(b"MZ but harmless", "game.pif") + b"\r\n"
DISCARDED = wrappings.attach(b"MZ but harmless", "game.bat") + b"\r\n"
RULES = """
[[rule]]
name = "no-games"
detail = "*.exe"
action = "reject"
text = "No games here"

[[rule]]
name = "not-now"
detail = "*.pif"
action = "tempfail"

[[rule]]
name = "nowhere"
detail = "*.bat"
action = "discard"

[[rule]]
name = "another-name"
detail = "*.vbs"
action = "defang"
"""
STATUS = b"X-Lazaretto-Status: "
_CHANGES = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{8}|\d{4}-\d\d-\d\d \d\d:\d\d(?= UTC)")  # numbers of scans, and the time, in notices
_RECEIVED = re.compile(rb"(?m)^Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
SERVERS = ("postfix", "sendmail")


class Site:
    """`around` takes mail that nobody filters."""

    def __init__(self, server: Postfix | Sendmail, milter: MilterProgram, sink: Sink, around: str) -> None:
        self.server, self.milter, self.sink, self.around = server, milter, sink, around
        self.address = server.smtp

    def deliver(self, message: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,), *, address: str = "") -> Answer:
        """In a session of its own; the final answer."""
        with Session(address or self.address) as client:
            client.greet()
            answer = client.deliver(message, sender, recipients)
            client.say(b"QUIT")
            return answer

    def arrived(self, count: int = 1) -> list[Received]:
        """The next `count` messages; there may be no more."""
        eventually(lambda: len(self.sink.messages) >= count, "the message")
        assert len(self.sink.messages) == count
        return list(self.sink.messages)

    def control(self, message: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> bytes:
        """What arrives if nobody filters, without the server's own Received."""
        before = len(self.sink.messages)
        assert self.deliver(message, sender, recipients, address=self.around).code == 250
        eventually(lambda: len(self.sink.messages) > before, "the message")
        return untraced(self.sink.messages.pop().data)

    def nothing_waits(self) -> None:
        eventually(lambda: self.server.queue() == [], "an empty queue")


def lines_with(milter: MilterProgram, text: str, count: int = 1) -> list[str]:
    """The final lines that have this text in them, when there are so many: they may come after the answer.  There may be no more."""

    def found() -> list[str]:
        return [line for line in milter.final_lines() if text in line]

    eventually(lambda: len(found()) >= count, f"{count} final lines with {text}")
    assert len(found()) == count, found()
    return found()


def new_address() -> bytes:
    """A sender that no other message has, so that its lines are found in a log."""
    return b"sender.%d@example.org" % next(_numbers)


_numbers = itertools.count()


@contextmanager
def milter_site(
    name: str, *, through: Address | None = None, main: Mapping[str, str] | None = None, milter: MilterProgram
) -> Iterator[Site]:
    """A mail server with a milter, which runs already, at its own address or `through` a relay."""
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        address = through or milter.listen
        if name == "postfix":
            usual = {
                "smtpd_milters": address.postfix,
                "non_smtpd_milters": address.postfix,
                "inet_interfaces": "127.0.0.1, ::1" if has_ipv6() else "127.0.0.1",
                "inet_protocols": "all" if has_ipv6() else "ipv4",
                "mynetworks": "127.0.0.0/8 [::1]/128",
                "local_header_rewrite_clients": "",
            }
            around = "{around} inet n - n - - smtpd\n  -o smtpd_milters=\n"
            postfix = stack.enter_context(Postfix(next_hop=sink.address, main={**usual, **(main or {})}, services=around))
            postfix.wait_for(f"127.0.0.1:{postfix.port('around')}")
            yield Site(postfix, milter, sink, f"127.0.0.1:{postfix.port('around')}")
        else:
            plain = stack.enter_context(Sendmail(next_hop=sink.address))
            sendmail = stack.enter_context(Sendmail(next_hop=sink.address, milters=[address.libmilter], ipv6=has_ipv6()))
            yield Site(sendmail, milter, sink, plain.smtp)


def bdat(client: Session, *chunks: bytes) -> list[int]:
    """A message in pieces; the code for each."""
    codes = [client.say(b"MAIL FROM:<sender@example.org>").code, client.say(b"RCPT TO:<recipient@example.org>").code]
    assert codes == [250, 250]
    codes = []
    for number, chunk in enumerate(chunks, 1):
        client.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if number == len(chunks) else b"") + chunk)
        codes.append(client.answer().code)
    return codes


def has_ipv6() -> bool:
    """Has the machine ::1?"""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def untraced(data: bytes) -> bytes:
    """Without the Received field of the one server that it went through."""
    for field in _RECEIVED.finditer(data.partition(b"\r\n\r\n")[0] + b"\r\n"):
        if re.search(rb"\bby (?:postfix|sendmail)\.example ", field[0]):
            return data[: field.start()] + data[field.end() :]
    raise AssertionError(data[:2000])


def without_status(data: bytes, status: bytes = b"clean") -> bytes:
    """Without the one field that we announce, which has to be there."""
    line = STATUS + status + b"\r\n"
    assert data.count(line) == 1, data[:2000]
    assert data.count(STATUS) == 1
    return data.replace(line, b"")


def expected(message: bytes, rules: str = RULES) -> bytes:
    """What the pipeline makes of a message as the server has handed it over: control()'s answer.  No ids."""
    with tempfile.TemporaryDirectory() as folder:
        return without_ids(scanners.through(scanner(folder, rules), message)[1])


def scanner(folder: str, rules: str = "") -> Scanner:
    """One that does, and says in its notices, what a service with these rules does."""
    return assemble.scanner(parse([("rules", rules)]), ("yara",), folder, os.uname().nodename)


def without_ids(data: bytes) -> bytes:
    """What differs from one scan to the next, replaced by a word."""
    return _CHANGES.sub(b"ID", data)
