"""f-protd's protocol (F-PROT 4), the client's side: one request, one reply.

    out = request(b"/tmp/x/content", ("-archive",))     send these bytes, then read
    reader.receive_data(data)                           b"" is the end of the connection
    reader.next_event()                                 the Reply, once it is whole; None before

The request looks like HTTP, the reply like HTTP with a small XML document.  Only
the codes 7 and 9 are clean, and only if nothing else in the reply speaks against
it; anything in it that was detected counts, whatever the code.

Limits:  MAX_REPLY_BYTES, those of fprotd_xml; MAX_NAMES are kept, each of MAX_TEXT characters.
Errors:  RemoteProtocolError for a reply that is none, is cut off, or is over a limit;
         LocalProtocolError for a path or argument that cannot be asked about.
See:     docs/protocols/fprotd.md; fprotd_xml.py, which reads the document
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LocalProtocolError, RemoteProtocolError
from lazaretto.model import Reason
from lazaretto.wire.fprotd_xml import Element, read

MAX_REPLY_BYTES = 1 << 20  # an honest one has a few hundred, and as many for each infected member of an archive
MAX_HEADER_BYTES = 1 << 14
MAX_NAMES = 20
MAX_TEXT = 200

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-")
_HTTP = b"HTTP/1."
_STATUS = regex.compile(rb"HTTP/1\.[01] +(\d{3})(?: [^\r\n]*)?\Z")
_END_OF_HEADER = regex.compile(rb"\r?\n\r?\n")
_CODE = regex.compile(r"\s*(-?\d{1,9})\s*\Z", re.ASCII)

_INNOCENT, _CLEAN, _INFECTED, _DISINFECTED = 7, 9, 11, 13
# Codes that say why there is no answer.
_REASONS = {0: Reason.UNSUPPORTED, 3: Reason.BROKEN, 4: Reason.ENCRYPTED}
_MEANINGS = {
    0: "cannot handle this type",
    1: "I/O error",
    2: "out of memory",
    3: "unknown or corrupt type",
    4: "encrypted",
    5: "interrupted",
}
# Words of the summary's text that contradict a clean code; "disinfected" holds "infected" and is no clean answer either.
_FOUND_WORDS = ("infected", "suspicious")
_FAILED_WORDS = ("unknown", "not scanned", "error")


class Outcome(Enum):
    """What a reply means."""

    CLEAN = "clean"
    FOUND = "found"
    DISINFECTED = "disinfected"
    ERROR = "error"


class Reply(NamedTuple):
    """One answer.  `names` of what was found, () if there are none; `reason` with ERROR; `text` for a log line."""

    outcome: Outcome
    code: int
    text: str
    names: tuple[str, ...] = ()
    reason: Reason | None = None
    server: str = ""  # what the daemon calls itself


def request(path: bytes, arguments: Sequence[str] = ()) -> bytes:
    """Ask about the file at this absolute path; `arguments` are options of the command line scanner."""
    if not path.startswith(b"/") or b"\0" in path:
        raise LocalProtocolError(f"no absolute path: {path!r}")
    words = [argument.encode("utf-8") for argument in arguments]
    if not all(words) or any(b"\0" in word for word in words):
        raise LocalProtocolError(f"not an argument: {arguments!r}")
    query = b"?" + _encoded(b" ".join(words)) if words else b""
    return b"GET " + _encoded(path) + query + b" HTTP/1.0\r\n\r\n"


def _encoded(text: bytes) -> bytes:
    return b"".join(bytes((byte,)) if byte in _SAFE else b"%%%02X" % byte for byte in text)


class Reader:
    """Takes one reply in pieces.  After it, or an error, there is nothing more."""

    __slots__ = ("_body", "_buffer", "_done", "_eof", "_length", "_searched", "server")

    def __init__(self) -> None:
        self.server = ""
        self._buffer = bytearray()
        self._searched = 0  # up to here there is no end of the header
        self._body = -1  # where the document begins
        self._length = -1  # of the document, if the header says so
        self._eof = False
        self._done = False

    def receive_data(self, data: bytes) -> None:
        """Take what the connection gave; b"" is its end.  Then call next_event."""
        if data:
            self._buffer += data
        else:
            self._eof = True

    def next_event(self) -> Reply | None:
        """The reply, when it is there; None if more data is needed, and after the reply."""
        if self._done:
            return None
        try:
            reply = self._next()
        except RemoteProtocolError:
            self._done = True
            raise
        self._done = reply is not None
        return reply

    def _next(self) -> Reply | None:
        if self._body < 0 and not self._header():
            return None
        size = len(self._buffer) - self._body
        if 0 <= self._length <= size:
            size = self._length
        elif len(self._buffer) > MAX_REPLY_BYTES:
            raise RemoteProtocolError(f"reply longer than {MAX_REPLY_BYTES} bytes")
        elif not self._eof:
            return None
        elif self._length >= 0:
            raise RemoteProtocolError("reply cut off")
        return judge(read(_decoded(bytes(self._buffer[self._body : self._body + size]))), self.server)

    def _header(self) -> bool:
        """Is the header there?  Then it is read."""
        if not self._buffer.startswith(_HTTP[: len(self._buffer)]):
            # Another daemon at this port may be waiting for our next command: do not wait for its last word.
            line, newline, _ = bytes(self._buffer[:MAX_TEXT]).partition(b"\n")
            if newline or len(line) == MAX_TEXT or self._eof:
                raise RemoteProtocolError(f"unexpected reply: {_printable(_decoded(line))}")
            return False
        end = _END_OF_HEADER.search(self._buffer, max(0, self._searched - 4), MAX_HEADER_BYTES)
        if end is None:
            self._searched = len(self._buffer)
            if self._searched >= MAX_HEADER_BYTES:
                raise RemoteProtocolError(f"no end of the reply's header in {MAX_HEADER_BYTES} bytes")
            if self._eof:
                raise RemoteProtocolError("connection closed without an answer" if not self._buffer else "reply cut off in its header")
            return False
        first, *lines = bytes(self._buffer[: end.start()]).replace(b"\r\n", b"\n").split(b"\n")
        status = _STATUS.match(first)
        if status is None or status[1] != b"200":
            raise RemoteProtocolError(f"unexpected reply: {_printable(_decoded(first))}")
        for line in lines:
            name, _, value = line.partition(b":")
            self._field(name.strip().lower(), value.strip())
        self._body = end.end()
        return True

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"server":
            self.server = _printable(_decoded(value))
        elif name == b"transfer-encoding":
            raise RemoteProtocolError("an encoded reply to a request of HTTP/1.0")
        elif name == b"content-length":
            if not (value.isdigit() and len(value) < 10) or self._length not in (-1, int(value)):
                raise RemoteProtocolError("doubtful length of the reply")
            self._length = int(value)
            if self._length > MAX_REPLY_BYTES:
                raise RemoteProtocolError(f"reply longer than {MAX_REPLY_BYTES} bytes")


def judge(root: Element, server: str = "") -> Reply:
    """What the document says."""
    if root.name != "fprot-results":
        raise RemoteProtocolError(f"a document of another kind: {_printable(root.name)}")
    if root.attributes.get("version", "1.0").partition(".")[0] != "1":
        raise RemoteProtocolError(f"unknown version: {_printable(root.attributes['version'])}")
    summaries = [child for child in root.children if child.name == "summary"]
    if len(summaries) != 1:
        raise RemoteProtocolError(f"{len(summaries)} summaries instead of one")
    number = _CODE.match(summaries[0].attributes.get("code", ""))
    if number is None:
        raise RemoteProtocolError("a summary without code")
    code, words = int(number[1]), " ".join(summaries[0].text.split()).lower()
    found = [element for element in root.descendants() if element.name == "detected"]
    names = _names(found)
    text = _printable(f"{code} {words or _MEANINGS.get(code, 'file system error' if code < 0 else '')}".strip())
    errors = [_printable(element.text) for element in root.descendants() if element.name == "error"]
    if errors:
        text = _printable(f"{text}: {'; '.join(errors[:3])}")
    if code == _DISINFECTED and words in ("", "disinfected"):
        return Reply(Outcome.DISINFECTED, code, text, names, None, server)
    if found or code in (_INFECTED, _DISINFECTED) or any(word in words for word in _FOUND_WORDS):
        return Reply(Outcome.FOUND, code, text, names, None, server)
    if code in (_CLEAN, _INNOCENT) and not errors and not any(word in words for word in _FAILED_WORDS):
        return Reply(Outcome.CLEAN, code, text, (), None, server)
    return Reply(Outcome.ERROR, code, text, (), _REASONS.get(code, Reason.DOWN), server)


def _names(found: Sequence[Element]) -> tuple[str, ...]:
    """Of all detections; a detection without a name gives its message."""
    names: dict[str, None] = {}
    for element in found:
        texts = {name: [child.text for child in element.children if child.name == name] for name in ("name", "message")}
        for text in texts["name"] or texts["message"]:
            if name := _printable(text):
                names[name] = None
    return tuple(names)[:MAX_NAMES]


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _printable(text: str) -> str:
    """Text for logs and findings: what a peer says must not forge a line."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text[: 4 * MAX_TEXT].split()))[:MAX_TEXT]
