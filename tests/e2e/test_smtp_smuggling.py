"""Nobody gets two messages out of one: whatever a client sends as an end of data, however it is cut into packets.

The next hop here takes a dot alone between any line ends for the end of a message, as some servers did. What follows it
in the client's content are commands for a second message, from <smuggled@example.org>. By RFC 5321, they are text unless
CRLF.CRLF stands before them, and so they must stay.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from smtp_service import Service
from smtp_session import Session, stuffed
from smtp_sink import LENIENT, UNIX, Sink

FIRST = b"Subject: first\r\n\r\nThe first."
SMUGGLED = b"MAIL FROM:<smuggled@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: second\r\n\r\nThe second."
END = b"\r\n.\r\n"
LINE_ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r", b"\n\n", b"\r\r", b"\0\r\n", b"\r\0\n", b"\r\n\0")
ENDS = [before + b"." + after for before, after in itertools.product(LINE_ENDS, LINE_ENDS)]
ENDS += [b"\r\n..\r\n", b"\n..\n", b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\r\n.\x85", b"\x0b.\x0b", b"\x0c.\x0c"]
ENDS += [b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n.\r\0\n", b"\r\n.\r\r\r\n", b"\r\n.\n\r\n", b"\r\n.\r\n.", b"\n.\n.\n", b"\r\n\n.\n\r\n"]


class Site(NamedTuple):
    sink: Sink
    proxy: Service
    end_of_data: str


SETTINGS = [("reject", "pass"), ("normalise", "normalise"), ("normalise", "pass")]
if os.environ.get("LAZARETTO_LONG"):
    SETTINGS += [("reject", "normalise"), ("reject", "reject"), ("normalise", "reject")]


@pytest.fixture(scope="module", params=SETTINGS, ids="-".join)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    end_of_data, stray = request.param
    with Sink(ends=LENIENT) as sink, Service(sink.address, smtp__end_of_data=end_of_data, smtp__stray=stray) as proxy:
        yield Site(sink, proxy, end_of_data)
        assert "event=crash" not in proxy.log
        assert proxy.stop() == 0


def by_the_standard(content: bytes) -> tuple[bytes, bytes]:
    """The message that the client sends, and what it says after that: CRLF.CRLF is the end."""
    message, _, rest = (b"\r\n" + content).partition(END)
    return message[2:], rest


def send(site: Site, *pieces: bytes) -> list[int]:
    """A session with these pieces as content, each read on its own by the proxy: the codes of all replies after 354."""
    with Session(site.proxy.address) as client:
        client.greet()
        client.begin()
        client.send_apart(*pieces)
        client.send(b"QUIT\r\n")
        return [int(code) for code in re.findall(rb"^(\d{3}) ", client.rest(), re.MULTILINE)]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.hex())
def test_one_message_or_a_refusal(end: bytes, site: Site) -> None:
    content = FIRST + end + SMUGGLED + END
    message, rest = by_the_standard(content)
    for cut in range(len(FIRST), len(FIRST) + len(end) + 1):
        site.sink.clear()
        codes = send(site, content[:cut], content[cut:])
        assert codes[0] in (250, 550)
        accepted = codes[:1].count(250)
        if rest.startswith(SMUGGLED[:4]):  # two messages, the client is entitled to that
            assert codes[1:4] == [250, 250, 354]
            assert codes[5:] == [221]
            accepted += codes[4:5].count(250)
        else:
            assert not any(b"smuggled" in command for command in site.sink.commands)
        if not rest:
            assert codes[1:] == [221]
        assert len(site.sink.messages) == accepted
        if codes[0] == 250:
            data = site.sink.messages[0].data
            assert re.split(rb"[\r\n\0]+", data)[0] == b"Subject: first"
            if site.end_of_data == "normalise":  # what is clean besides is text again, and not replaced by a notice
                assert b"mime.smuggling" not in data
            if b"mime.smuggling" not in data:  # the scan itself has seen it, and put a notice in its place
                assert (b"smuggled" in data) == (b"smuggled" in message)


def test_every_packet_is_one_byte(site: Site) -> None:
    for end in (b"\n.\n", b"\r\n.\n", b"\r.\r\n", b"\n.\r\n"):
        site.sink.clear()
        content = FIRST + end + SMUGGLED + END
        codes = send(site, *(content[at : at + 1] for at in range(len(content))))
        assert codes in ([250, 221], [550, 221])
        assert len(site.sink.messages) == codes.count(250)


def test_dots_arrive_as_they_were() -> None:
    """All short contents of dots and line ends; the next hop is one that goes by the standard."""
    with Sink() as sink, Service(sink.address) as proxy:
        contents = [
            b"".join(bytes(one) for one in some) for size in range(6) for some in itertools.product((b".", b"\r", b"\n"), repeat=size)
        ]
        with Session(proxy.address) as client:
            client.greet()
            for content in contents:
                sink.clear()
                client.begin()
                client.send(stuffed(content))
                answer = client.answer()
                if answer.code == 250:
                    (one,) = sink.messages
                    assert one.data == (content if content.endswith(b"\r\n") or not content else content + b"\r\n"), content
                else:
                    assert answer.code == 550
                    assert sink.messages == []
                    assert re.search(rb"(\A|[\r\n])\.[\r\n]", content + b"\r\n"), content
        assert "event=crash" not in proxy.log


@pytest.mark.parametrize("ends", [LENIENT, UNIX], ids=["lenient", "unix"])
def test_what_is_put_in_does_not_end_it(ends: re.Pattern[bytes]) -> None:
    """Nor do texts that we put in: what is cut out of a message leaves no dot alone, either."""
    import wrappings
    from eicar import EICAR

    infected = wrappings.attach(EICAR, "a.txt", body=b"..dots\r\n..\r\nand on") + b"\r\n"
    with Sink(ends=ends) as sink, Service(sink.address, engine="yara") as proxy, Session(proxy.address) as client:
        client.greet()
        assert client.deliver(infected).code == 250
        (one,) = sink.messages
        assert wrappings.b64(EICAR) not in one.data
        assert one.data.rstrip().endswith(b"--")
