"""A double of f-protd (F-PROT 4), made from docs/protocols/fprotd.md, and able to misbehave.

`twist(honest_reply)` may return other bytes; see Conversation.say.
`before(path)` is called when the file has been read, before anything is answered.
`paths`, `arguments`, `contents` and `connections` tell what was asked.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from listening import Conversation, Double

HEADER = b"HTTP/1.0 200 OK\r\nServer: fprotd/4.6.8-double\r\nContent-Type: text/xml\r\n\r\n"
TYPE = """<!DOCTYPE fprot-results [
 <!-- a "document type" > with ]> all that may stand in one -->
 <!ELEMENT fprot-results (filename,detected*,error*,summary)>
 <!ATTLIST fprot-results version CDATA #REQUIRED>
]>
"""


def document(code: int, words: str, names: tuple[str, ...] = (), path: str = "/x", document_type: bool = False, error: str = "") -> bytes:
    """A whole reply."""
    found = "".join(
        f'  <detected type="virus">\n    <name>{escape(name)}</name>\n    <accuracy>exact</accuracy>\n'
        f"    <disinfectable>yes</disinfectable>\n    <message>is a virus</message>\n  </detected>\n"
        for name in names
    )
    wrong = f"  <error>{escape(error)}</error>\n" if error else ""
    text = (
        f'<?xml version="1.0"?>\n{TYPE if document_type else ""}<fprot-results version="1.0">\n  <filename>{escape(path)}</filename>\n'
        f'{found}{wrong}  <summary code="{code}">{words}</summary>\n</fprot-results>\n'
    )
    return HEADER + text.encode()


class FprotdDouble(Double):
    """Listens on a port of its own.

    EVIL in a file is infected; CURABLE too, and can be removed from it; MAYBE is suspicious; LOCKED is encrypted.
    """

    def __init__(self) -> None:
        self.twist: Callable[[bytes], bytes] = lambda honest: honest
        self.before: Callable[[str], object] = lambda _path: None
        self.paths: list[str] = []
        self.arguments: list[list[str]] = []
        self.contents: list[bytes] = []
        super().__init__()
        self.port = int(self.listener.getsockname()[1])

    def serve(self, sock: socket.socket) -> None:
        conversation = Conversation(self, sock)
        conversation.say(self.twist(self.answer(conversation.line(b"\r\n\r\n"))))

    def answer(self, asked: bytes) -> bytes:
        """What an honest f-protd says."""
        verb, target, version = asked.split(b"\r\n")[0].split(b" ")
        assert (verb, version) == (b"GET", b"HTTP/1.0"), asked
        raw, _, query = target.partition(b"?")
        path = unquote_to_bytes(raw)
        arguments = unquote_to_bytes(query).decode().split(" ")
        self.paths.append(os.fsdecode(path))
        self.arguments.append(arguments)
        inlined = "-remote-dtd" not in arguments
        where = os.fsdecode(path)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            return document(-1, "error", path=where, document_type=inlined, error="cannot open")
        self.contents.append(content)
        self.before(where)
        if b"EVIL" in content:
            return document(11, "infected", ("Double.Evil",), where, inlined)
        if b"CURABLE" in content:
            if "-disinf" not in arguments:
                return document(11, "infected", ("Double.Curable",), where, inlined)
            with open(path, "wb") as file:
                file.write(content.replace(b"CURABLE", b""))
            return document(13, "disinfected", ("Double.Curable",), where, inlined)
        if b"MAYBE" in content:
            return document(3, "suspicious", (), where, inlined)
        if b"LOCKED" in content:
            return document(4, "not scanned", (), where, inlined)
        return document(9, "clean", (), where, inlined)
