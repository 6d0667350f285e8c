"""The scan server's protocol: requests on a line each, replies with a code.

`Requests` is the server's side: received bytes in, events out.

    state       input                        event                    next state
    LINE        SCAN in out, or in out       ScanFiles                LINE
    LINE        in                           (none)                   SECOND
    SECOND      out                          ScanFiles                LINE
    LINE        STREAM size                  Stream                   BODY, or LINE if size is 0
    BODY        bytes                        Data, `size` in all      LINE behind the last
    LINE        PING, QUIT                   Ping, Quit               LINE, CLOSED
    any line    anything else, or too much   Bad                      CLOSED

The rest is for both sides: requests and replies as bytes, and a reply's line read.

Limits:  MAX_LINE_BYTES for a line; max_stream_bytes, which the server sets, for a STREAM.
Errors:  Requests raises none, nonsense is the event Bad.  RemoteProtocolError for a reply that is none;
         ValueError for a request that does not fit into a line.
See:     docs/protocols/scan-server.md
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import RemoteProtocolError
from lazaretto.model import Envelope

PORT = 11200
MAX_LINE_BYTES = 8192
MAX_TEXT = 200  # characters of a reply's text

_WORD = regex.compile(rb"[^ \t]+")
_SIZE = regex.compile(rb"[0-9]{1,19}\Z")
_ESCAPE = regex.compile(rb"%(..?)?", 16)  # re.DOTALL: a broken escape may hold anything
_PLAIN = frozenset(range(0x21, 0x7F)) - {0x25}
_REPLY = regex.compile(rb"([0-5]) ([^\r\n]*)\r?\n?\Z")
_SIZED_REPLY = regex.compile(rb"([0-5]) ([0-9]{1,19})(?: ([^\r\n]*))?\r?\n?\Z")


class Code(IntEnum):
    """The first word of a reply."""

    UNCHANGED = 0
    MODIFIED = 1
    TEMPFAIL = 2
    BAD = 3
    REJECTED = 4
    DISCARDED = 5


class ScanFiles(NamedTuple):
    """Scan `infile`, write the result to `outfile`: paths as they came, not checked."""

    infile: bytes
    outfile: bytes
    envelope: Envelope = Envelope()


class Stream(NamedTuple):
    """Scan the `size` bytes that come next, as events Data."""

    size: int
    envelope: Envelope = Envelope()


class Data(NamedTuple):
    """Bytes of the message that a Stream has announced; never empty."""

    data: bytes


class Ping(NamedTuple):
    """Answer with PONG."""


class Quit(NamedTuple):
    """Close, without an answer."""


class Bad(NamedTuple):
    """No request, or none that we take: answer so and close.  `sized`: in the form of replies to STREAM."""

    text: str
    code: Code = Code.BAD
    sized: bool = False


Event = ScanFiles | Stream | Data | Ping | Quit | Bad
PONG = b"0 PONG\n"


class _Nonsense(Exception):
    """A line that is no request; the text says why."""


class Requests:
    """The server's side of one connection."""

    __slots__ = ("_body", "_buffer", "_closed", "_infile", "_max_stream")

    def __init__(self, max_stream_bytes: int) -> None:
        self._max_stream = max_stream_bytes
        self._buffer = bytearray()
        self._infile: bytes | None = None  # of the form on two lines, once the first has come
        self._body = 0  # bytes of the stream that are still to come
        self._closed = False

    @property
    def begun(self) -> bool:
        """Has a request begun that is not complete?  Asked when next_event gives None."""
        return bool(self._buffer or self._body or self._infile is not None)

    def receive_data(self, data: bytes) -> None:
        """Take what the connection gave.  Then call next_event until it gives None."""
        if not self._closed:
            self._buffer += data

    def next_event(self) -> Event | None:
        """The next event, or None if more data is needed.  After Quit and Bad there is nothing more."""
        while not self._closed:
            if self._body:
                return self._data()
            stop = self._buffer.find(b"\n", 0, MAX_LINE_BYTES)
            if stop < 0:
                if len(self._buffer) >= MAX_LINE_BYTES:
                    sized = bytes(self._buffer.lstrip(b" \t")[:7]).lower() in (b"stream ", b"stream\t")
                    return self._bad(f"bad request: line longer than {MAX_LINE_BYTES} bytes", sized=sized)
                return None
            line = bytes(self._buffer[:stop]).removesuffix(b"\r")
            del self._buffer[: stop + 1]
            words = _WORD.findall(line)
            if not words:
                continue
            try:
                event = self._request(words)
            except _Nonsense as error:
                return self._bad(f"bad request: {error}", sized=words[0].lower() == b"stream")
            if event is not None:
                return event
        return None

    def _data(self) -> Data | None:
        if not self._buffer:
            return None
        data = bytes(self._buffer[: self._body])
        del self._buffer[: len(data)]
        self._body -= len(data)
        return Data(data)

    def _bad(self, text: str, code: Code = Code.BAD, *, sized: bool) -> Bad:
        self._close()
        return Bad(text, code, sized)

    def _close(self) -> None:
        self._closed = True
        self._buffer.clear()
        self._infile = None

    def _request(self, words: list[bytes]) -> Event | None:
        if self._infile is not None:
            if len(words) != 1 or not words[0].startswith(b"/"):
                raise _Nonsense("expected the absolute path of the output file on a line of its own")
            event, self._infile = ScanFiles(self._infile, words[0]), None
            return event
        if words[0].startswith(b"/"):
            if len(words) > 2:
                raise _Nonsense("expected two paths; names with blanks need the verb SCAN")
            if len(words) == 2:
                return ScanFiles(words[0], words[1])
            self._infile = words[0]
            return None
        verb = words[0].lower()
        if verb == b"scan":
            if len(words) < 3:
                raise _Nonsense("expected SCAN infile outfile")
            return ScanFiles(decode(words[1]), decode(words[2]), _envelope(words[3:]))
        if verb == b"stream":
            if len(words) < 2 or not _SIZE.match(words[1]):
                raise _Nonsense("expected STREAM size")
            size, envelope = int(words[1]), _envelope(words[2:])
            if size > self._max_stream:
                return self._bad(f"max_message_bytes reached: more than {self._max_stream} bytes", Code.TEMPFAIL, sized=True)
            self._body = size
            return Stream(size, envelope)
        if len(words) == 1 and verb == b"ping":
            return Ping()
        if len(words) == 1 and verb == b"quit":
            self._close()
            return Quit()
        raise _Nonsense("expected SCAN, STREAM, PING, QUIT or two absolute paths")


def _envelope(words: list[bytes]) -> Envelope:
    """The attributes of a request."""
    told: dict[bytes, bytes] = {}
    recipients = []
    for word in words:
        name, equals, value = word.partition(b"=")
        name = name.lower()
        if not equals or not name:
            raise _Nonsense("expected attributes of the form name=value")
        if name in told:
            raise _Nonsense("an attribute is there twice")
        if name == b"to":
            recipients.append(decode(value))
        else:
            told[name] = decode(value)
    return Envelope(
        told.get(b"from"),
        tuple(recipients),
        told.get(b"client", b"").decode("utf-8", "backslashreplace"),
        told.get(b"helo", b""),
        told.get(b"id", b"").decode("utf-8", "backslashreplace"),
    )


def decode(value: bytes) -> bytes:
    """Percent-encoding undone."""
    if b"%" not in value:
        return value
    if any(not _is_hexadecimal(digits) for digits in _ESCAPE.findall(value)):
        raise _Nonsense("expected two hexadecimal digits after %")
    return b"".join(piece if number == 0 else bytes((int(piece[:2], 16),)) + piece[2:] for number, piece in enumerate(value.split(b"%")))


def _is_hexadecimal(digits: bytes) -> bool:
    return len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits)


# -- replies, the server's side


def reply(code: Code, text: str) -> bytes:
    """The answer to ScanFiles."""
    return b"%d %s\n" % (code, _printable(text))


def stream_reply(code: Code, size: int, text: str) -> bytes:
    """The answer to Stream; `size` bytes follow it."""
    return b"%d %d %s\n" % (code, size, _printable(text))


def bad_reply(bad: Bad) -> bytes:
    """The answer to Bad."""
    return stream_reply(bad.code, 0, bad.text) if bad.sized else reply(bad.code, bad.text)


def _printable(text: str) -> bytes:
    return "".join(character if " " <= character <= "~" else "?" for character in text)[:MAX_TEXT].encode("ascii")


# -- the client's side


class Reply(NamedTuple):
    """A reply's line.  `size` bytes of output follow it."""

    code: Code
    size: int
    text: str


def encode(value: bytes) -> bytes:
    """Percent-encoding."""
    return b"".join(bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte for byte in value)


def scan_request(infile: bytes, outfile: bytes, envelope: Envelope = Envelope()) -> bytes:
    """SCAN and its two files."""
    return _line([b"SCAN", encode(infile), encode(outfile)], envelope)


def stream_request(size: int, envelope: Envelope = Envelope()) -> bytes:
    """STREAM; `size` bytes are to follow."""
    return _line([b"STREAM", b"%d" % size], envelope)


def _line(words: list[bytes], envelope: Envelope) -> bytes:
    told = [
        (b"from", envelope.mail_from),
        (b"client", envelope.client.encode("utf-8", "surrogateescape") or None),
        (b"helo", envelope.helo or None),
        (b"id", envelope.queue_id.encode("utf-8", "surrogateescape") or None),
    ]
    words += [name + b"=" + encode(value) for name, value in told if value is not None]
    line = b" ".join(words)
    recipients = b"".join(b" to=" + encode(recipient) for recipient in envelope.rcpt_to)
    if len(line) + len(recipients) < MAX_LINE_BYTES:  # all or none: a rule is about every recipient
        line += recipients
    if len(line) >= MAX_LINE_BYTES:
        raise ValueError(f"request longer than {MAX_LINE_BYTES} bytes")
    return line + b"\n"


def parse_reply(line: bytes, *, sized: bool = False) -> Reply:
    """A reply's line, with or without its line end; `sized` if a STREAM was sent.  RemoteProtocolError for anything else."""
    found = (_SIZED_REPLY if sized else _REPLY).match(line)
    if found is None:
        raise RemoteProtocolError(f"no reply of a scan server: {_printable(line[:80].decode('latin-1')).decode('ascii')}")
    code, size, text = Code(int(found[1])), int(found[2]) if sized else 0, (found[3] or b"") if sized else found[2]
    if size and code > Code.MODIFIED:
        raise RemoteProtocolError(f"output with code {int(code)}")
    return Reply(code, size, text.decode("latin-1"))
