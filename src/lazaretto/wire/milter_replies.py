r"""What a filter tells the MTA: each function gives one packet, ready to be sent.

    packet(ACCEPT)                                   the plain verdicts: milter.packet with a letter
    reply_code(554, "5.7.1", ("Refused",))           b"\0\0\0\x13y554 5.7.1 Refused\0"
    change_header(1, b"Subject", b" hello")          of the fields of that name, the first is 1

In texts of replies a % is doubled, for Sendmail reads them as a format; Postfix takes one away again.  Values of header
fields have LF within folds, as MTAs hold them; a CR would arrive in the mail.

Errors:  ValueError for what cannot be said: a NUL or CR in a text, a code or class that is none, a chunk that is too large.
See:     docs/protocols/milter.md; RFC 5321 s4.2, RFC 3463
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lazaretto.wire import milter as wire
from lazaretto.wire.milter import MAX_CHUNK_BYTES, Actions, Steps, packet

MAX_REPLY_LINE = 980  # Sendmail's MAXREPLYLEN
MAX_REPLY_LINES = 32  # MAXREPLIES


def negotiated(version: int, actions: Actions, steps: Steps, symbols: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """SMFIR_OPTNEG.  `symbols`: (stage, names of macros), with Actions.SET_SYMBOLS."""
    numbers = b"".join(int(number).to_bytes(4, "big") for number in (version, actions, steps))
    return packet(wire.OPTNEG, numbers + b"".join(stage.to_bytes(4, "big") + _text(names) for stage, names in symbols))


def reply_code(code: int, enhanced: str, lines: Sequence[str]) -> bytes:
    """SMFIR_REPLYCODE: refuse with these words.  `enhanced` may be empty."""
    if not 400 <= code <= 599 or (enhanced and enhanced.partition(".")[0] != str(code)[0]):
        raise ValueError(f"no code and class of a refusal: {code} {enhanced}")
    if not 0 < len(lines) <= MAX_REPLY_LINES:
        raise ValueError(f"expected 1 to {MAX_REPLY_LINES} lines")
    said = []
    for number, line in enumerate(lines):
        text = line.encode("ascii", "replace")
        if any(byte < 0x20 or byte == 0x7F for byte in text):
            raise ValueError("a control character in the text of a reply")
        text = text[:MAX_REPLY_LINE].replace(b"%", b"%%")
        mark = b" " if number == len(lines) - 1 else b"-"
        said.append(b"%d%b%b" % (code, mark, b"%b %b" % (enhanced.encode("ascii"), text) if enhanced else text))
    return packet(wire.REPLY_CODE, b"\r\n".join(said) + b"\0")


def add_header(name: bytes, value: bytes) -> bytes:
    """SMFIR_ADDHEADER: behind all others."""
    return packet(wire.ADD_HEADER, _name(name) + _value(value))


def insert_header(index: int, name: bytes, value: bytes) -> bytes:
    """SMFIR_INSHEADER: so that `index` fields stand before it; 0 is on top."""
    return packet(wire.INSERT_HEADER, index.to_bytes(4, "big") + _name(name) + _value(value))


def change_header(index: int, name: bytes, value: bytes) -> bytes:
    """SMFIR_CHGHEADER: of the fields of that name, the one with number `index`, from 1; an empty value deletes it."""
    if index < 1:
        raise ValueError("header fields of a name are counted from 1")
    return packet(wire.CHANGE_HEADER, index.to_bytes(4, "big") + _name(name) + _value(value))


def replace_body(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """SMFIR_REPLBODY: the new body, in as few packets as can be, but at least one."""
    held = bytearray()
    sent = False
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            piece = chunk[at : at + MAX_CHUNK_BYTES - len(held)]
            at += len(piece)
            held += piece
            if len(held) == MAX_CHUNK_BYTES:
                yield packet(wire.REPLACE_BODY, bytes(held))
                sent = True
                held.clear()
    if held or not sent:
        yield packet(wire.REPLACE_BODY, bytes(held))


def quarantine(reason: str) -> bytes:
    """SMFIR_QUARANTINE: the MTA keeps the message until somebody looks at it."""
    return packet(wire.QUARANTINE, _text("".join(c if " " <= c <= "~" else "?" for c in reason)[:MAX_REPLY_LINE].encode("ascii")))


def add_recipient(address: bytes) -> bytes:
    """SMFIR_ADDRCPT."""
    return packet(wire.ADD_RCPT, _text(address))


def delete_recipient(address: bytes) -> bytes:
    """SMFIR_DELRCPT: as the MTA wrote it."""
    return packet(wire.DELETE_RCPT, _text(address))


def change_sender(address: bytes, parameters: bytes = b"") -> bytes:
    """SMFIR_CHGFROM."""
    return packet(wire.CHANGE_FROM, _text(address) + (_text(parameters) if parameters else b""))


def _text(text: bytes) -> bytes:
    if b"\0" in text:
        raise ValueError("a NUL cannot be said in the milter protocol")
    return text + b"\0"


def _name(name: bytes) -> bytes:
    if not name or b":" in name or b"\n" in name or b"\r" in name:
        raise ValueError(f"no name of a header field: {name!r}")
    return _text(name)


def _value(value: bytes) -> bytes:
    if b"\r" in value:
        raise ValueError("a CR in the value of a header field")
    return _text(value)
