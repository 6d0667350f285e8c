"""fpscand's answers: whatever the daemon sends, it is one of few events, and clean only with a harmless code and our name."""

from __future__ import annotations

import re

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.fpscand import MAX_LINE_BYTES, Client, Closed, Meaning, Result, State, Version

SEEDS = [
    b"0 <clean> name\n",
    b"1 <infected: EICAR_Test_File> name\r\n",
    b"1 <contains infected objects: EICAR_Test_File> name->a.zip->eicar.com\n",
    b"16 <Stream is too long>\n",
    b"128 <disinfected: X> name\n0 <clean> name->b\n",
    b"64 <encrypted> name->secret.doc\n",
    b"4 <interrupted> name\n",
    b"FPSCAND:6.3.3.5015 ENGINE:4.6.2.117 PROTOCOL:1.0 SIGNATURE:2011021307484ee4bb8a UPTIME:1:02:03:04\nSend HELP COMMAND\n",
]
Told = list[Result | Version | Closed | str]


def _events(chunks: list[bytes], scan: bool) -> Told:
    client = Client()
    client.scan_stream(b"name", 0) if scan else client.help()
    events: Told = []
    for chunk in [*chunks, b""]:
        client.receive_data(chunk)
        try:
            while (event := client.next_event()) is not None:
                events.append(event)
        except RemoteProtocolError as error:
            assert client.state is State.CLOSED
            return [*events, str(error)]
    assert isinstance(events[-1], Closed)
    return events


def target(data: bytes) -> None:
    """Same events for any cut; clean only if the bytes say so of what was asked."""
    for scan in (True, False):
        events = _events([data] if data else [], scan)
        assert events == _events([data[i : i + 3] for i in range(0, len(data), 3)], scan)
        for event in events:
            if isinstance(event, Result):
                assert scan
                assert event.text.isprintable()
                assert len(event.text) <= MAX_LINE_BYTES
                assert event.object in (b"", b"name")
                if event.meaning() is Meaning.CLEAN:
                    assert re.search(rb"(?m)^0*(0|8|64|72) <.*> name(->.*|\r*)$", data)
                if event.meaning() is Meaning.DISINFECTED:
                    assert event.code & 128
            elif isinstance(event, Version):
                assert not scan
                assert data.startswith(b"FPSCAND:")
