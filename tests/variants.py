"""Building blocks of tests/techniques*.py: payloads, parts and mails in which everything but the technique is usual.

See:     techniques.py
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import wrappings
from eicar import EICAR

HEAD = (
    b"From: Alice <alice@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: report\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <t@example.org>\r\n"
)
VERSION = b"MIME-Version: 1.0\r\n"
MIXED = b'Content-Type: multipart/mixed; boundary="foo"\r\n'
TEXT = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nPlease see the attached file.\r\n"
FILE = b'Content-Type: application/octet-stream; name="report.bin"\r\nContent-Disposition: attachment; filename="report.bin"\r\n'
SCRIPT = b"// MARKER-OF-A-SCRIPT-51b7\r\nvar greeting = 1;\r\n"  # harmless: only its name is banned
SCRIPT_MARK = b"MARKER-OF-A-SCRIPT-51b7"
PROGRAM_MARK = b"MARKER-OF-A-PROGRAM-a3c2"
ZIP = wrappings.zipped(EICAR, "eicar.com")

Encode = Callable[[bytes], bytes]


def _program() -> bytes:
    """An inert file with the two headers that make a Windows program."""
    stub = bytearray(64)
    stub[:4] = b"MZ\x90\0"
    stub[60:] = struct.pack("<I", 64)
    return bytes(stub) + b"PE\0\0\x4c\1" + bytes(40) + b"Not a program. " + PROGRAM_MARK + b"\r\n"


PROGRAM = _program()


class Variant(NamedTuple):
    """One mail (or several that are read together) whose payload must not get through."""

    name: str
    family: str
    messages: tuple[bytes, ...]
    marker: bytes = EICAR
    banned: str | None = None  # the payload counts only under a name that matches this
    special: str | None = None  # as in the evasion corpus: "partial", "external", "smuggle", "password:..."


def base64_lines(data: bytes, width: int = 76) -> bytes:
    text = base64.b64encode(data)
    return b"".join(text[i : i + width] + b"\r\n" for i in range(0, len(text), width))


def quoted_printable(data: bytes, upper: bool = True) -> bytes:
    """Every byte escaped, 20 a line."""
    pattern = "=%02X" if upper else "=%02x"
    rows = [data[i : i + 20] for i in range(0, len(data), 20)]
    return b"=\r\n".join("".join(pattern % byte for byte in row).encode() for row in rows) + b"\r\n"


def encoded_part(data: bytes, fields: bytes = FILE) -> bytes:
    return fields + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(data)


def mail(
    part: bytes, content_type: bytes = MIXED, boundary: bytes = b"foo", *, head: bytes = HEAD + VERSION, close: bytes = b"--"
) -> bytes:
    """A multipart of a text and `part`; the delimiters are `boundary` whatever `content_type` says."""
    line = b"--" + boundary + b"\r\n"
    return head + content_type + b"\r\n" + line + TEXT + line + part + b"--" + boundary + close + b"\r\n"


def single(fields: bytes, body: bytes) -> bytes:
    """A mail that is no multipart."""
    return HEAD + VERSION + fields + b"\r\n" + body


def attached(data: bytes, name: str, media_type: str = "application/octet-stream", text: bytes = b"") -> bytes:
    """A usual mail with one file."""
    quoted = name.encode("utf-8", "surrogateescape")
    fields = b'Content-Type: %b; name="%b"\r\nContent-Disposition: attachment; filename="%b"\r\n' % (media_type.encode(), quoted, quoted)
    whole = mail(encoded_part(data, fields))
    return whole.replace(b"Please see the attached file.", text) if text else whole


def nested(part: bytes, depth: int) -> bytes:
    """`part` inside `depth` multiparts: header and body of the outermost."""
    for level in range(depth):
        line = b"\r\n--n%d" % level
        part = b"Content-Type: multipart/mixed; boundary=n%d\r\n%b\r\n%b%b--\r\n" % (level, line, part, line)
    return part


def crc32(data: bytes) -> int:
    return zlib.crc32(data)
