"""f-protd's replies: whatever comes, it is one reply or an error, and clean only with the code for it."""

from __future__ import annotations

import re

from lazaretto.errors import RemoteProtocolError
from lazaretto.wire.fprotd import MAX_NAMES, MAX_TEXT, Outcome, Reader, Reply

_HEADER = b"HTTP/1.0 200 OK\r\nServer: fprotd/4.6.8\r\n\r\n"
SEEDS = [
    _HEADER
    + b'<?xml version="1.0"?>\n<fprot-results version="1.0"><filename>/x</filename><summary code="9">clean</summary></fprot-results>\n',
    _HEADER
    + b'<fprot-results><detected type="virus"><name>EICAR_Test_File</name><accuracy>exact</accuracy><message>is a test</message></detected>'
    b'<summary code="11">infected</summary></fprot-results>',
    _HEADER + b'<!DOCTYPE fprot-results [<!ENTITY nine "9"><!-- ]> -->]><fprot-results><summary code="&nine;"/></fprot-results>',
    _HEADER + b'<fprot-results><error>&#69;rror <![CDATA[<x>]]></error><summary code="-1">error</summary></fprot-results>',
    b'HTTP/1.0 200\nContent-Length: 52\n\n<fprot-results><summary code="13"/></fprot-results>  trailing',
    b"16 <Unknown command>\r\n\r\n",
    b"HTTP/1.0 500 Internal error\r\n\r\n",
]
_CODE = re.compile(rb"""code\s*=\s*["']\s*(?:0*[79]|[0-9&#x;\s]*&#)""")


def _read(chunks: list[bytes]) -> Reply | str:
    """The reply, or the text of the error."""
    reader = Reader()
    for chunk in [*chunks, b""]:
        reader.receive_data(chunk)
        try:
            reply: Reply | str | None = reader.next_event()
        except RemoteProtocolError as error:
            reply = str(error)
        if reply is not None:
            assert reader.next_event() is None
            return reply
    raise AssertionError("neither a reply nor an error at the end")


def target(data: bytes) -> None:
    """The same for any cut; bounded, printable; clean and found only if the bytes say so."""
    reply = _read([data] if data else [])
    again = _read([data[i : i + 3] for i in range(0, len(data), 3)])
    if isinstance(reply, str):
        assert reply.isprintable()
        assert isinstance(again, str)
        return
    assert reply == again
    assert len(reply.names) <= MAX_NAMES
    assert all(0 < len(text) <= MAX_TEXT and text.isprintable() for text in (*reply.names, reply.text))
    assert (reply.outcome is Outcome.ERROR) == (reply.reason is not None)
    if reply.outcome is Outcome.CLEAN:
        assert reply.code in (7, 9)
        assert _CODE.search(data)
