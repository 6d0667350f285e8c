"""Requests of the scan server's clients: whatever comes, the same events for any cut, and nothing after the end."""

from __future__ import annotations

from lazaretto.model import Envelope
from lazaretto.wire import scan_server as wire
from lazaretto.wire.scan_server import Bad, Data, Event, Quit, Requests, ScanFiles, Stream

SEEDS = [
    b"SCAN /tmp/fi1 /tmp/fo1 from= to=a%40b\n",
    b"/tmp/fi1 /tmp/fo1\r\nPING\nQUIT\n",
    b"/tmp/fi1\n/tmp/fo1\n",
    b"STREAM 5 id=1 client=::1\nhelloPING\n",
    b"STREAM 999\nhello",
    b"GET / HTTP/1.0\r\n\r\n",
]
MAX_STREAM = 100


def _events(chunks: list[bytes]) -> list[Event]:
    requests = Requests(MAX_STREAM)
    events: list[Event] = []
    for chunk in chunks:
        requests.receive_data(chunk)
        while (event := requests.next_event()) is not None:
            assert not events or not isinstance(events[-1], Bad | Quit)
            if isinstance(event, Data) and events and isinstance(events[-1], Data):
                events[-1] = Data(events[-1].data + event.data)
            else:
                events.append(event)
    return events


def target(data: bytes) -> None:
    """Same events for any cut; bodies are as long as announced; what was understood can be said again."""
    events = _events([data])
    assert events == _events([data[i : i + 3] for i in range(0, len(data), 3)])
    body = 0
    for event in events:
        if isinstance(event, Data):
            assert 0 < len(event.data) <= body
            assert event.data in data
        body = event.size if isinstance(event, Stream) else 0
        assert body <= MAX_STREAM
        if isinstance(event, Bad):
            line = wire.bad_reply(event)
            assert wire.parse_reply(line, sized=event.sized).code == event.code
        if isinstance(event, ScanFiles):
            envelope = Envelope(event.envelope.mail_from, event.envelope.rcpt_to)
            try:
                again = wire.scan_request(event.infile, event.outfile, envelope)
            except ValueError:
                continue
            if b" to=" in again or not envelope.rcpt_to:  # all recipients or none
                assert _events([again]) == [ScanFiles(event.infile, event.outfile, envelope)]
