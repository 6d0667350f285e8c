"""A message that comes in pieces through the milter protocol, put together again.

    Name:value CRLF            for each field, in order
    CRLF
    the body as it came

MTAs hold the line ends within a field as LF; they become CRLF again, as the message had on its way.  With the leading space
agreed on, `Name:value` is what was sent.  Without, one blank after the colon was eaten and is put back: a field that had none,
or several, differs in that from the mail, and the MTA writes one, too.

Of the envelope, what commands have said counts, then what macros say.

Limits:  max_header_bytes and max_header_fields together with those of the transaction; max_recipients.  MAX_MACROS go into the envelope.
Errors:  none; what goes wrong is `refusal`.
See:     smtp_transaction.py, docs/protocols/milter.md
"""

from __future__ import annotations

from ipaddress import ip_address

from lazaretto import regex
from lazaretto.frontends.milter_settings import MilterSettings
from lazaretto.frontends.smtp_transaction import Bounds, Refusal, Transaction
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Span
from lazaretto.wire.milter_commands import Connect, Mail, Recipient
from lazaretto.wire.milter_commands import Macros as Told
from lazaretto.wire.smtp import Reply

MAX_MACROS = 64  # an MTA tells two dozen
MAX_MACRO_CHARACTERS = 256
TOO_BIG = Reply(552, (b"5.3.4 Header is too big",))
TOO_MANY = Reply(452, (b"4.5.3 Too many recipients",))
_LONE_LF = regex.compile(rb"(?<!\r)\n")


class Message:
    """From MAIL, or what comes first, to its end."""

    __slots__ = (
        "_bounds",
        "_leading_space",
        "_refusal",
        "_settings",
        "begun",
        "fields",
        "header_bytes",
        "in_body",
        "sender",
        "transaction",
    )

    def __init__(self, settings: MilterSettings, bounds: Bounds, *, leading_space: bool) -> None:
        self._settings = settings
        self._bounds = bounds
        self._leading_space = leading_space
        self._refusal: Refusal | None = None
        self.begun = False  # content has come
        self.in_body = False
        self.sender: bytes | None = None
        self.fields: list[Span] = []  # of the header fields, one behind the other
        self.header_bytes = 0
        self.transaction = Transaction(settings, bounds, Envelope())

    @property
    def refusal(self) -> Refusal | None:
        """Why it is not taken, if so."""
        return self._refusal or self.transaction.refusal

    def mail(self, event: Mail) -> None:
        """Who sends it."""
        self.sender = _address(event.address)

    def recipient(self, event: Recipient) -> None:
        """One more who is to get it."""
        if len(self.transaction.recipients) < self._settings.max_recipients:
            self.transaction.recipients.append(_address(event.address))
        elif self._refusal is None:
            self._refusal = Refusal(TOO_MANY, "limit", f"more than {self._settings.max_recipients} recipients")

    def header(self, name: bytes, value: bytes) -> None:
        """One more field."""
        self._begin()
        gap = b"" if self._leading_space or not value else b" "
        field = name + b":" + gap + _LONE_LF.sub(b"\r\n", value) + b"\r\n"
        self.header_bytes += len(field)
        if len(self.fields) >= self._settings.max_header_fields or self.header_bytes > self._settings.max_header_bytes:
            self._refusal = self._refusal or Refusal(TOO_BIG, "limit", "max_header_fields or max_header_bytes reached")
        if self._refusal is None:
            start = self.transaction.size
            self.transaction.take(field)
            self.fields.append(Span(start, start + len(field)))

    def body(self, data: bytes) -> None:
        """A piece of the body, or its end."""
        self._begin()
        if not self.in_body:
            self.in_body = True
            data = b"\r\n" + data
        if self._refusal is None and data:
            self.transaction.take(data)

    def content(self) -> Source | None:
        """All of it, when the end has come; None: `refusal` says why not."""
        self.body(b"")
        return self.transaction.content() if self._refusal is None else None

    @property
    def in_hand(self) -> bool:
        """Does it hold a place?"""
        return self.transaction.in_hand

    def close(self, has_line: bool = False) -> None:
        """Give everything back.  `has_line`: see smtp_transaction.Bounds."""
        self.transaction.close(has_line)

    def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            self.transaction.refusal = self.transaction.begin()


def envelope(message: Message, client: Connect | None, helo: bytes, told: Told) -> Envelope:
    """What is known of it by now."""
    address = client.address if client is not None and client.family in (b"4", b"6") else b""
    address = address or told.get(b"client_addr") or b""
    sender = message.sender
    if sender is None and (mail := told.get(b"mail_addr")) is not None:
        sender = _address(mail)
    return Envelope(
        sender,
        tuple(message.transaction.recipients),
        _client(address),
        helo,
        (told.get(b"i") or b"").decode("ascii", "replace"),
        tuple(sorted((_text(name), _text(value)) for name, value in [*told][:MAX_MACROS])),
    )


def _client(raw: bytes) -> str:
    """An IP address as it is usually written; "" for what is none: Postfix says `unknown`."""
    text = raw.decode("ascii", "replace")
    if text[:5].upper() == "IPV6:":  # quirk: Sendmail writes addresses as RFC 5321 s4.1.3 does, and with every zero
        text = text[5:]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _text(raw: bytes) -> str:
    return raw[:MAX_MACRO_CHARACTERS].decode("utf-8", "backslashreplace")


def _address(raw: bytes) -> bytes:
    """Without its angle brackets."""
    return raw[1:-1] if raw[:1] == b"<" and raw[-1:] == b">" else raw
