r"""What both sides of SMTP and LMTP share: replies, addresses with their parameters, announced extensions, xtext.

    Reply(250, (b"2.1.0 Ok",)).to_bytes()            b"250 2.1.0 Ok\r\n"
    reader = ReplyReader(); reader.feed(data)        then reader.next_reply() until it gives None
    parse_path(b"<a@b.example> SIZE=100")            Path(b"a@b.example", {b"SIZE": b"100"})
    parse_extensions(reply)                          {b"SIZE": b"10240000", b"PIPELINING": b""}
    offer(extensions)                                what of it we may announce in turn

Bytes stay bytes: addresses may be UTF-8 (RFC 6531) or any 8-bit text, and are
never decoded here.  What is relayed is the argument as it came, not what was
read in it.

Limits:  MAX_REPLY_LINE_BYTES, MAX_REPLY_LINES for one reply of a peer.
Errors:  RemoteProtocolError for a reply that is none; ValueError for an address,
         a parameter or xtext that is none, its text says why.
See:     docs/protocols/smtp.md, RFC 5321, RFC 2033, RFC 3461 (xtext)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import RemoteProtocolError

MAX_REPLY_LINE_BYTES = 4096  # RFC 5321 says 512; Postfix writes up to 2048, others longer explanations
MAX_REPLY_LINES = 200  # of one reply; the longest honest ones are answers to HELP and EHLO, under 40

# What may be said to a client if the next hop says it too; the parameters that come with these are handed on as they are.
# Everything else is not announced: see docs/protocols/smtp.md for each.
FORWARDED = frozenset((b"SIZE", b"8BITMIME", b"SMTPUTF8", b"DSN", b"ENHANCEDSTATUSCODES", b"XFORWARD", b"AUTH", b"MT-PRIORITY"))

_REPLY_LINE = regex.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", 16)  # re.DOTALL
_ENHANCED = regex.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |\Z)")
_UNPRINTABLE = regex.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_KEYWORD = regex.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
_PATH = regex.compile(rb'<((?:"(?:[^"\\]|\\.)*"|\\.|[^"<>\\])*)>(?= |\Z)|([^ <>"]+)(?= |\Z)', 16)
_XTEXT = regex.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_XTEXT_ESCAPE = regex.compile(rb"\+([0-9A-F]{2})")
_NOT_XTEXT = regex.compile(rb"[^!-*,-<>-~]")


class Reply(NamedTuple):
    """One reply: its code, and the text of its lines without code and line end; at least one line."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def enhanced(self) -> bytes:
        """The enhanced status code (b"5.7.1") if the text begins with one that fits the code, else b""."""
        found = _ENHANCED.match(self.lines[0]) if self.lines else None
        return found[0] if found and found[0][:1] == b"%d" % (self.code // 100) else b""

    @property
    def positive(self) -> bool:
        """Was it done (2xx)?"""
        return 200 <= self.code < 300

    def to_bytes(self) -> bytes:
        """The reply as it is sent.  Control characters become "?": no text forges a line."""
        texts = [_UNPRINTABLE.sub(b"?", line) for line in self.lines or (b"",)]
        last = len(texts) - 1
        return b"".join(b"%d%s%s\r\n" % (self.code, b" " if i == last else b"-", text) for i, text in enumerate(texts))

    def __str__(self) -> str:
        """For logs: code and text on one line, printable."""
        text = b" ".join(self.lines).decode("utf-8", "replace")
        return f"{self.code} " + "".join(c if c.isprintable() else "?" for c in text)


class ReplyReader:
    """Bytes of the peer in, replies out, for any split.

    A line ends in LF, with or without CR before it: a reply's end decides nothing that
    could be smuggled, and what we write is our own line ends.
    """

    __slots__ = ("_buffer", "_code", "_lines", "_seen")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0  # so far no line end in the buffer
        self._code = 0
        self._lines: list[bytes] = []

    @property
    def pending(self) -> bool:
        """Has a reply begun that is not complete, or come and not been taken?"""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take what the connection gave."""
        self._buffer += data

    def next_reply(self) -> Reply | None:
        """The next complete reply, or None.  RemoteProtocolError: what came is no reply; the rest is lost."""
        while True:
            stop = self._buffer.find(b"\n", self._seen)
            if stop < 0 or stop > MAX_REPLY_LINE_BYTES:
                self._seen = len(self._buffer)
                if self._seen > MAX_REPLY_LINE_BYTES:
                    raise RemoteProtocolError(f"reply line longer than {MAX_REPLY_LINE_BYTES} bytes")
                return None
            line = bytes(self._buffer[:stop]).removesuffix(b"\r")
            del self._buffer[: stop + 1]
            self._seen = 0
            found = _REPLY_LINE.fullmatch(line)
            if found is None:
                raise RemoteProtocolError(f"not a reply: {_printable(line)}")
            code = int(found[1])
            if self._lines and code != self._code:
                raise RemoteProtocolError(f"one reply with two codes: {self._code} and {code}")
            self._code = code
            self._lines.append(_UNPRINTABLE.sub(b"?", found[3] or b""))
            if found[2] != b"-":
                reply = Reply(code, tuple(self._lines))
                self._lines.clear()
                return reply
            if len(self._lines) >= MAX_REPLY_LINES:
                raise RemoteProtocolError(f"reply of more than {MAX_REPLY_LINES} lines")


class Path(NamedTuple):
    """A reverse-path or forward-path as read: the address without brackets and source route, and its parameters.

    `parameters` has keywords in upper case; None for one without value.
    """

    address: bytes
    parameters: Mapping[bytes, bytes | None] = {}


def parse_path(argument: bytes) -> Path:
    """What stands behind "MAIL FROM:" or "RCPT TO:".

    Brackets may be missing and blanks may stand around the path, as old clients write it.
    A quoted local part may hold anything, also ">" and blanks.
    """
    argument = argument.strip(b" \t")
    found = _PATH.match(argument)
    if found is None:
        raise ValueError("no address in angle brackets")
    address = found[2] if found[2] is not None else found[1].strip(b" ")
    if address.startswith(b"@"):  # a source route, "@a,@b:user@c"; RFC 5321 appendix C: it must be accepted and should be ignored
        route, colon, rest = address.partition(b":")
        if not colon or b'"' in route:
            raise ValueError("source route without address")
        address = rest
    return Path(address, parse_parameters(argument[found.end() :]))


def parse_parameters(text: bytes) -> dict[bytes, bytes | None]:
    """ "SIZE=100 BODY=8BITMIME X" as a mapping; a keyword given twice is an error."""
    parameters: dict[bytes, bytes | None] = {}
    for word in text.split():
        keyword, equals, value = word.partition(b"=")
        keyword = keyword.upper()
        if not _KEYWORD.fullmatch(keyword) or (equals and not value):
            raise ValueError(f"bad parameter {_printable(word)}")
        if keyword in parameters:
            raise ValueError(f"parameter {_printable(keyword)} given twice")
        parameters[keyword] = value if equals else None
    return parameters


def parse_extensions(reply: Reply) -> dict[bytes, bytes]:
    """The keywords that a reply to EHLO or LHLO announces, in upper case, with what stands behind them.

    The first line is the greeting.  Lines that do not begin with a keyword ("AUTH=LOGIN" of old) are left out.
    """
    extensions: dict[bytes, bytes] = {}
    for line in reply.lines[1:]:
        keyword, _, rest = line.strip().partition(b" ")
        if _KEYWORD.fullmatch(keyword):
            extensions.setdefault(keyword.upper(), rest.strip())
    return extensions


def offer(next_hop: Mapping[bytes, bytes], max_message_bytes: int = 0) -> dict[bytes, bytes]:
    """The extensions to announce in front of a next hop that announces `next_hop`.

    PIPELINING is between the client and us.  SIZE is the smaller one of the two limits, 0 being none.
    XFORWARD is for peers we trust, AUTH for those that may use it: the caller takes out what this client may not have.
    """
    offered = {b"PIPELINING": b""}
    offered.update((keyword, value) for keyword, value in next_hop.items() if keyword in FORWARDED)
    if b"SIZE" in offered or max_message_bytes:
        theirs = offered.get(b"SIZE", b"")
        sizes = [size for size in (int(theirs) if theirs.isdigit() and len(theirs) < 20 else 0, max_message_bytes) if size]
        offered[b"SIZE"] = b"%d" % min(sizes) if sizes else b""
    return offered


def extension_lines(extensions: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """Lines 2 and following of a reply to EHLO."""
    return tuple(b"%s %s" % (keyword, value) if value else keyword for keyword, value in extensions.items())


def xtext_decode(text: bytes) -> bytes:
    """RFC 3461 s4: "+2B" is "+"."""
    if not _XTEXT.fullmatch(text):
        raise ValueError(f"bad xtext {_printable(text)}")
    return _XTEXT_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text)


def xtext_encode(data: bytes) -> bytes:
    """`data` without blanks, "+", "=", control characters and 8-bit characters."""
    return _NOT_XTEXT.sub(lambda found: b"+%02X" % found[0][0], data)


def _printable(raw: bytes) -> str:
    """Text for replies and logs."""
    return "".join(c if c.isprintable() else "?" for c in raw[:200].decode("utf-8", "replace"))
