"""SMTP's client side: whatever a server answers, it is few events, and a message is accepted only by a 2xx after its end."""

from __future__ import annotations

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.smtp import MAX_REPLY_LINE_BYTES, MAX_REPLY_LINES
from lazaretto.wire.smtp_client import Client, Closed, Greeting, ReplyEvent, State

SEEDS = [
    b"220 hello\r\n250-hello\r\n250-PIPELINING\r\n250 SIZE 10\r\n250 ok\r\n250 ok\r\n550-no\r\n550 no\r\n354 go\r\n250 queued\r\n",
    b"220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n452 full\r\n",
    b"220-a\n220 b\n250 c\n421 4.3.0 bye\n",
    b"554 5.7.1 no\r\n",
    b"220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 early\r\n250 late\r\n",
    b"220 " + b"x" * 600 + b"\r\n250-a\r\n251 b\r\n",
]


def _talk(data: bytes, size: int, lmtp: bool) -> list[object]:
    """Deliver one message, as fast as the server's answers allow."""
    client = Client(lmtp=lmtp)
    client.connected()
    script = [b"LHLO p" if lmtp else b"EHLO p", b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"RCPT TO:<c@d>"]
    events: list[object] = []
    finished = False
    for piece in [*(data[i : i + size] for i in range(0, len(data), size)), b""]:
        client.receive_data(piece)
        try:
            while True:
                # One command at a time, and none before all that was said has been heard.
                while (event := client.next_event()) is not None:
                    events.append(event)
                    if isinstance(event, ReplyEvent) and event.verb == b"." and event.reply.positive:
                        assert finished
                    if not isinstance(event, Closed) and event.reply is not None:
                        assert len(event.reply.lines) <= MAX_REPLY_LINES
                        assert all(len(line) <= MAX_REPLY_LINE_BYTES for line in event.reply.lines)
                        assert event.reply.to_bytes().count(b"\n") == len(event.reply.lines)
                    if isinstance(event, Greeting):
                        assert len(events) == 1
                    if client.outstanding == 0:
                        break
                if client.outstanding or client.state in (State.GREETING, State.CLOSED) or finished:
                    break
                if client.state is State.DATA:
                    client.content(b"x\r\n")
                    client.finish()
                    finished = True
                elif (
                    script
                    and not (client.state is State.HELLO and len(script) < 4)
                    and not (client.state is State.READY and len(script) < 3)
                ):
                    client.command(script.pop(0))
                elif client.state is State.TRANSACTION and not any(isinstance(e, ReplyEvent) and e.verb == b"DATA" for e in events):
                    client.data()
                else:
                    break
        except RemoteProtocolError as error:
            assert client.state is State.CLOSED
            assert client.next_event() is None
            return [*events, str(error)]
    return events


def target(data: bytes) -> None:
    """No other exception; never more replies than commands; a reply says what the bytes say."""
    for lmtp in (False, True):
        for size in (len(data) or 1, 1, 5):
            events = _talk(data, size, lmtp)
            assert sum(isinstance(event, ReplyEvent) for event in events) <= 8
            for event in events:
                if isinstance(event, ReplyEvent):
                    assert b"%d" % event.reply.code in data
