"""Excel workbooks in binary records (BIFF): what a rule wants to know of them.

Gives facts as text: sheets of Excel 4 macros, names that run when the book is
opened, links that start programs (DDE); and whether the book is encrypted.

Limits:  reads the records of the first substream (the globals), at most MAX_RECORDS.
Errors:  none raised.
See:     [MS-XLS] s2.4.28 (BoundSheet8), s2.4.117 (FilePass), s2.4.150 (Lbl), s2.4.271 (SupBook)
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_RECORDS = 200_000
ENCRYPTED = "xls:encrypted"

_EOF = 0x000A
_EXTERNSHEET = 0x0017  # in BIFF5 holds the encoded name itself
_NAME = 0x0018
_FILEPASS = 0x002F
_BOUNDSHEET = 0x0085
_SUPBOOK = 0x01AE
_BOF = (0x0009, 0x0209, 0x0409, 0x0809)
_HIDDEN = ("visible", "hidden", "very-hidden", "hidden")
_AUTO_OPEN, _AUTO_CLOSE = 1, 2  # built-in names; further ones are print areas and such
_AUTO = {_AUTO_OPEN: "auto-open", _AUTO_CLOSE: "auto-close", 10: "auto-activate", 11: "auto-deactivate"}


def facts(data: bytes) -> Iterator[str]:
    """One line for each thing of note in the stream Workbook or Book."""
    position = 0
    wide = True
    for number in range(MAX_RECORDS):
        if position + 4 > len(data):
            return
        kind = data[position] | data[position + 1] << 8
        size = data[position + 2] | data[position + 3] << 8
        record = data[position + 4 : position + 4 + size]
        position += 4 + size
        size = len(record)  # the last one may be cut
        if number == 0:
            if kind not in _BOF:
                return
            wide = record[:2] == b"\x00\x06"  # BIFF8
        elif kind == _EOF:
            return
        elif kind == _FILEPASS:
            yield ENCRYPTED
            return
        elif kind == _BOUNDSHEET and size >= 8 and record[5] == 1:
            yield f"xls:xlm-macro-sheet {_HIDDEN[record[4] & 3]} {_text(record[6:], wide)}"
        elif kind == _NAME and size >= 15:
            yield from _name(record, wide)
        elif kind == _SUPBOOK and size > 4:
            yield from _link(_text(record[2:], wide, 2))
        elif kind == _EXTERNSHEET and not wide:
            yield from _link(_text(record, wide))


def _name(record: bytes, wide: bool) -> Iterator[str]:
    built_in = record[0] & 0x20
    length = record[3]
    start = 14 + wide  # BIFF8 has a byte of flags before the characters
    code = record[start] if len(record) > start else 0
    if built_in and length == 1:
        if code in _AUTO:
            yield f"xls:xlm-{_AUTO[code]}"
        return
    text = record[start : start + length * 2].replace(b"\0", b"")[:length].decode("latin-1")
    if text.lower().startswith(("auto_open", "auto_close", "auto_activate")):
        yield f"xls:xlm-{text.lower().replace('_', '-')}"


def _link(text: str) -> Iterator[str]:
    """A link whose encoded path has the separator U+0003 names a program and a topic.  [MS-XLS] s2.5.277"""
    program, separator, topic = text.partition("\x03")
    if separator and program:  # without a program it is this workbook itself
        yield "xls:dde " + _clean(f"{program}|{topic}")


def _text(record: bytes, wide: bool, length_size: int = 1) -> str:
    """A string with its length before it; in BIFF8 a flag says whether characters have two bytes."""
    length = int.from_bytes(record[:length_size], "little")
    body = record[length_size:]
    if wide:
        double = body[:1] == b"\x01"
        return _clean(body[1 : 1 + length * 2].decode("utf-16-le", "replace") if double else body[1 : 1 + length].decode("latin-1"))
    return _clean(body[:length].decode("latin-1"))


def _clean(text: str) -> str:
    return "".join(char if char == "\x03" or char.isprintable() else " " for char in text)
