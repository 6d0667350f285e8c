"""SMTP's server side: whatever a client sends, commands come one at a time, in order, and content only between DATA and its end."""

from __future__ import annotations

from lazaretto.wire import smtp_server as wire
from lazaretto.wire.smtp import Reply
from lazaretto.wire.smtp_server import Server, State

SEEDS = [
    b"EHLO a\r\nMAIL FROM:<a@b> SIZE=1\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n",
    b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\na\n.\r\nb\r\n.\r\nRSET\r\nNOOP\r\n",
    b"EHLO a\r\nXFORWARD NAME=a ADDR=IPV6:::1 HELO=+41\r\nXCLIENT NAME=[UNAVAILABLE]\r\nHELO b\r\nMAIL FROM:<@a:b@c>\r\n",
    b"EHLO a\r\nAUTH LOGIN\r\nYQ==\r\nSTARTTLS\r\nVRFY x\r\nHELP\r\nBDAT 3 LAST\r\nabc",
    b'EHLO a\r\nMAIL FROM:<"a b>"@c>\r\nRCPT TO:<>\r\nRCPT TO:<\xc3\xa4@b>\r\nDATA\r\n.\r\n',
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"EHLO a\nMAIL FROM:<a@b>\r\n" + b"x" * 300 + b"\r\nNOOP\r\n",
]
MAX_LINE = 200


def _answer(server: Server, event: wire.Event, number: int) -> None:
    """Mostly yes, now and then no: which, only the number of the event decides."""
    proposed = getattr(event, "reply", None)
    if proposed is not None:
        assert 200 <= proposed.code < 600
        assert proposed.to_bytes().count(b"\n") == 1
        server.reply(proposed)
    elif isinstance(event, wire.EndOfData):
        while server.waiting:
            server.reply(Reply(451 if number % 3 else 250, (b"done",)))
    elif isinstance(event, wire.Data):
        server.reply(Reply(354, (b"go",)))
    elif isinstance(event, (wire.Auth, wire.AuthResponse)):
        server.reply(Reply(334 if number % 2 else 235, (b"",)))
    elif isinstance(event, wire.Xclient):
        server.reply(Reply(220, (b"again",)))
    else:
        server.reply(Reply(550 if number % 7 == 6 else 250, (b"ok",)))


def _events(data: bytes, size: int, lmtp: bool) -> list[wire.Event]:
    server = Server(lmtp=lmtp, max_line=MAX_LINE)
    server.receive_data(data[:3])
    assert server.next_event() is None
    server.reply(Reply(220, (b"hello",)))
    events: list[wire.Event] = []
    for piece in [*(data[i : i + size] for i in range(3, len(data), size)), b""]:
        server.receive_data(piece)
        while (event := server.next_event()) is not None:
            before = server.state
            if isinstance(event, wire.Content):
                assert before is State.DATA
                assert event.data
                if events and isinstance(events[-1], wire.Content):
                    event = wire.Content(events.pop().data + event.data)  # type: ignore[union-attr]
            elif not isinstance(event, wire.Closed):
                assert server.waiting
                assert server.next_event() is None
                if isinstance(event, wire.Data):
                    assert server.accepted
                _answer(server, event, len(events))
            events.append(event)
        if not server.waiting and server.state not in (State.DATA, State.CLOSED):
            assert server.buffered <= 12290
    assert server.state is State.CLOSED
    return events


def _without_content(events: list[wire.Event]) -> list[wire.Event]:
    return [event for event in events if not isinstance(event, wire.Content)]


def target(data: bytes) -> None:
    """Same events for any cut, but for content behind a refused DATA."""
    for lmtp in (False, True):
        events = _events(data, len(data) or 1, lmtp)
        refused = any(isinstance(event, (wire.BadSequence, wire.BadSyntax)) and event.verb == b"DATA" for event in events)
        for size in (len(data) // 8192 + 1, 7) if not refused else ():
            again = _events(data, size, lmtp)
            cut = isinstance(events[-1], wire.Closed) and events[-1].state is State.DATA
            if cut:  # how much of half a message was handed out is nobody's business
                again, events = _without_content(again), _without_content(events)
            assert again == events
        for event in events:
            if isinstance(event, (wire.Mail, wire.Recipient)):
                assert event.argument in data
                assert event.address in event.argument
                assert not set(event.argument) & set(b"\r\n\0")
