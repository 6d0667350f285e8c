r"""The milter protocol: its names and its packets.

A mail server (MTA) tells a filter about each SMTP session and message, and asks what to do.  Both
sides send packets: four bytes of length (big-endian), one byte that says what it is, data.

    packets = Packets()
    packets.receive_data(data)
    while (packet := packets.next_packet()) is not None:
        packet.code, packet.data
    packet(ACCEPT)                            b"\0\0\0\1a"

The names are ours; the comments have those of libmilter's mfdef.h, so that grep finds both worlds.

Limits:  of a packet's data, by its kind: MAX_DATA_BYTES.  A length beyond that is refused when its four bytes have come,
         so no more is ever held than the largest packet and what came in one piece.
Errors:  RemoteProtocolError; of the first packet it says what the peer looks like, for somebody may
         have set a mail client or a browser on this port.
See:     docs/protocols/milter.md; milter_commands.py, milter_replies.py, milter_filter.py
"""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from lazaretto.errors import RemoteProtocolError

MIN_VERSION, MAX_VERSION = 2, 6  # SMFI_PROT_VERSION: Sendmail 8.12 (2002) ... 8.14 (2007) and Postfix today

# -- from the MTA: SMFIC_*

ABORT = b"A"  # SMFIC_ABORT: this message is given up
BODY = b"B"  # SMFIC_BODY: a piece of the body
CONNECT = b"C"  # SMFIC_CONNECT: somebody has connected to the MTA
MACRO = b"D"  # SMFIC_MACRO: names and values, before the command that they belong to
END = b"E"  # SMFIC_BODYEOB: that was the message; what shall we do with it?
HELO = b"H"  # SMFIC_HELO
QUIT_NC = b"K"  # SMFIC_QUIT_NC: the session is over, another one follows here
HEADER = b"L"  # SMFIC_HEADER: one header field
MAIL = b"M"  # SMFIC_MAIL
EOH = b"N"  # SMFIC_EOH: that were the header fields
OPTNEG = b"O"  # SMFIC_OPTNEG, and SMFIR_OPTNEG back
QUIT = b"Q"  # SMFIC_QUIT
RCPT = b"R"  # SMFIC_RCPT
DATA = b"T"  # SMFIC_DATA
UNKNOWN = b"U"  # SMFIC_UNKNOWN: an SMTP command that the MTA does not know

# -- from the filter: SMFIR_*

ADD_RCPT = b"+"  # SMFIR_ADDRCPT
DELETE_RCPT = b"-"  # SMFIR_DELRCPT
ADD_RCPT_PAR = b"2"  # SMFIR_ADDRCPT_PAR
SHUTDOWN = b"4"  # SMFIR_SHUTDOWN: 421
ACCEPT = b"a"  # SMFIR_ACCEPT
REPLACE_BODY = b"b"  # SMFIR_REPLBODY
CONTINUE = b"c"  # SMFIR_CONTINUE
DISCARD = b"d"  # SMFIR_DISCARD
CHANGE_FROM = b"e"  # SMFIR_CHGFROM
CONN_FAIL = b"f"  # SMFIR_CONN_FAIL
ADD_HEADER = b"h"  # SMFIR_ADDHEADER
INSERT_HEADER = b"i"  # SMFIR_INSHEADER
SET_SYMBOLS = b"l"  # SMFIR_SETSYMLIST; in practice, the lists stand in the answer to OPTNEG
CHANGE_HEADER = b"m"  # SMFIR_CHGHEADER
PROGRESS = b"p"  # SMFIR_PROGRESS
QUARANTINE = b"q"  # SMFIR_QUARANTINE
REJECT = b"r"  # SMFIR_REJECT
SKIP = b"s"  # SMFIR_SKIP
TEMPFAIL = b"t"  # SMFIR_TEMPFAIL
REPLY_CODE = b"y"  # SMFIR_REPLYCODE


class Actions(IntFlag):
    """What a filter may do to a message."""

    ADD_HEADERS = 0x01  # SMFIF_ADDHDRS
    CHANGE_BODY = 0x02  # SMFIF_CHGBODY
    ADD_RCPT = 0x04  # SMFIF_ADDRCPT
    DELETE_RCPT = 0x08  # SMFIF_DELRCPT
    CHANGE_HEADERS = 0x10  # SMFIF_CHGHDRS
    QUARANTINE = 0x20  # SMFIF_QUARANTINE
    CHANGE_FROM = 0x40  # SMFIF_CHGFROM
    ADD_RCPT_PAR = 0x80  # SMFIF_ADDRCPT_PAR
    SET_SYMBOLS = 0x100  # SMFIF_SETSYMLIST


class Steps(IntFlag):
    """What an MTA need not tell (NO_), for what it need not wait (NR_), and how it tells the rest."""

    NO_CONNECT = 0x1  # SMFIP_NOCONNECT
    NO_HELO = 0x2  # SMFIP_NOHELO
    NO_MAIL = 0x4  # SMFIP_NOMAIL
    NO_RCPT = 0x8  # SMFIP_NORCPT
    NO_BODY = 0x10  # SMFIP_NOBODY
    NO_HEADERS = 0x20  # SMFIP_NOHDRS
    NO_EOH = 0x40  # SMFIP_NOEOH
    NR_HEADER = 0x80  # SMFIP_NR_HDR, SMFIP_NOHREPL
    NO_UNKNOWN = 0x100  # SMFIP_NOUNKNOWN
    NO_DATA = 0x200  # SMFIP_NODATA
    SKIP = 0x400  # SMFIP_SKIP
    RCPT_REJECTED = 0x800  # SMFIP_RCPT_REJ: refused recipients are told, too
    NR_CONNECT = 0x1000  # SMFIP_NR_CONN
    NR_HELO = 0x2000  # SMFIP_NR_HELO
    NR_MAIL = 0x4000  # SMFIP_NR_MAIL
    NR_RCPT = 0x8000  # SMFIP_NR_RCPT
    NR_DATA = 0x10000  # SMFIP_NR_DATA
    NR_UNKNOWN = 0x20000  # SMFIP_NR_UNKN
    NR_EOH = 0x40000  # SMFIP_NR_EOH
    NR_BODY = 0x80000  # SMFIP_NR_BODY
    LEADING_SPACE = 0x100000  # SMFIP_HDR_LEADSPC: values of header fields keep the blank after the colon
    DATA_256K = 0x10000000  # SMFIP_MDS_256K
    DATA_1M = 0x20000000  # SMFIP_MDS_1M


MAX_CHUNK_BYTES = 65535  # MILTER_CHUNK_SIZE: of a body, both ways
MAX_DATA_BYTES = 1 << 18  # of any other packet: Postfix passes on header fields of 102,400 bytes, and more if told to
_MAX_BODY = {Steps.DATA_256K: (1 << 18) - 1, Steps.DATA_1M: (1 << 20) - 1}  # MILTER_MDS_256K, MILTER_MDS_1M
_COMPACT_BYTES = 1 << 16  # of what has been read, before the rest is moved

_VERBS = ("EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "HELP", "AUTH", "STAR", "XFOR", "XCLI", "BDAT")
_LOOKS = (
    *((verb.encode(), "SMTP") for verb in _VERBS),
    *((verb, "HTTP") for verb in (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"CONN", b"PRI ", b"DELE", b"PATC", b"TRAC", b"HTTP")),
    (b"SSH-", "SSH"),
    (b"PROX", "the PROXY protocol"),
    (b"\r\n\r\n", "the PROXY protocol"),
    (b"zINS", "clamd's protocol"),
    (b"nINS", "clamd's protocol"),
    (b"zPIN", "clamd's protocol"),
    (b"nPIN", "clamd's protocol"),
    (b"PING", "clamd's protocol"),
    (b"SCAN", "a request to scan"),
    (b"220 ", "a greeting of an SMTP server"),
    (b"220-", "a greeting of an SMTP server"),
)


class Packet(NamedTuple):
    """One packet: its letter, and what follows."""

    code: bytes
    data: bytes


def packet(code: bytes, data: bytes = b"") -> bytes:
    """As it is sent."""
    return (1 + len(data)).to_bytes(4, "big") + code + data


def looks_like(first: bytes) -> str:
    """What a peer speaks that begins with these bytes (four or more), in words; "" for what could be a milter packet or anything."""
    head = first[:4].upper()
    for start, name in _LOOKS:
        if first.startswith(start) or (start.isalpha() and head == start):
            return name
    if first[0] in (0x14, 0x15, 0x16, 0x17) and first[1] == 3:
        return "TLS"  # a record: its type and version
    if all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in first[:4]):
        return "text"
    return ""


class Packets:
    """Bytes in, packets out, however they were cut.  `codes`: those that the peer may send."""

    __slots__ = ("_at", "_buffer", "_codes", "_ended", "_first", "max_body_bytes")

    def __init__(self, codes: bytes = b"ABCDEHKLMNOQRTU") -> None:
        self._codes = codes
        self._buffer = bytearray()
        self._at = 0  # where the next packet begins
        self._first = True
        self._ended = False
        # quirk: one more than MILTER_CHUNK_SIZE, for Postfix counts the letter in where libmilter does not (65535, 65536)
        self.max_body_bytes = MAX_CHUNK_BYTES + 1

    @property
    def buffered(self) -> int:
        """Bytes that have come and were not handed out."""
        return len(self._buffer) - self._at

    @property
    def ended(self) -> bool:
        """Is the input at its end, with all packets handed out?"""
        return self._ended

    def allow(self, steps: Steps) -> None:
        """The larger pieces of a body that were agreed on, if they were."""
        for flag, size in _MAX_BODY.items():
            if steps & flag:
                self.max_body_bytes = max(self.max_body_bytes, size + 1)

    def receive_data(self, data: bytes) -> None:
        """b"" is the end of input."""
        if not data:
            self._ended = True
        if self._at > _COMPACT_BYTES or self._at == len(self._buffer):
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def next_packet(self) -> Packet | None:
        """None: there is no whole one.  RemoteProtocolError."""
        buffer, at = self._buffer, self._at
        there = len(buffer) - at
        if there < 4:
            self._check_end(there)
            return None
        size = int.from_bytes(buffer[at : at + 4], "big")
        if not 1 <= size <= 1 + max(MAX_DATA_BYTES, self.max_body_bytes):
            raise RemoteProtocolError(self._wrong_length(size))
        if there < 5:
            self._check_end(there)
            return None
        code = bytes(buffer[at + 4 : at + 5])
        if code not in self._codes:
            raise RemoteProtocolError(f"expected a milter packet, not one that begins with {bytes(buffer[at : at + 16])!r}")
        if size - 1 > (self.max_body_bytes if code in (BODY, END) else MAX_DATA_BYTES):
            raise RemoteProtocolError(f"packet {code.decode('ascii')!r} of {size} bytes is too long")
        if there < 4 + size:
            self._check_end(there)
            return None
        self._at = at + 4 + size
        self._first = False
        return Packet(code, bytes(buffer[at + 5 : self._at]))

    def _check_end(self, there: int) -> None:
        if self._ended and there:
            raise RemoteProtocolError(f"the connection ended within a packet, {there} bytes of it have come")

    def _wrong_length(self, size: int) -> str:
        first = bytes(self._buffer[self._at : self._at + 16])
        looks = looks_like(first) if self._first else ""
        if looks:
            return f"expected a milter packet, but this looks like {looks}: {first!r}"
        return f"expected a milter packet, not one of {size} bytes: it begins with {first!r}"
