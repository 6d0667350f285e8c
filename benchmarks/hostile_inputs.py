"""Messages that attack the reader, each in a size that can be doubled.

A generator takes a count and gives the message in chunks; twice the count is
twice the work for an honest reader.  Nothing here is a real attack on anybody:
zeros, empty parts and punctuation.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from messages import HEAD, attachment, encoded, multipart

MIB = 1 << 20


class Case(NamedTuple):
    name: str
    make: Callable[[int], Iterator[bytes]]
    size: int
    unit: str
    odd: bool = True  # something must be said about it


def clean_attachment(megabytes: int) -> Iterator[bytes]:
    """A multipart whose base64 attachment makes the message about `megabytes` (of 10**6) long; nothing is wrong with it."""
    rng = random.Random(megabytes)
    yield HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n"
    yield b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    block = encoded(rng.randbytes(57 * 12_820))  # repeated, because random numbers are slower than we are
    for number in range(megabytes):
        yield encoded(number.to_bytes(57, "big")) + block
    yield b"\r\n--b--\r\n"


def empty_parts(count: int) -> Iterator[bytes]:
    yield HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for _ in range(count // 1000):
        yield b"--b\r\n\r\n" * 1000
    yield b"--b--\r\n"


def nested_multiparts(depth: int) -> Iterator[bytes]:
    yield HEAD
    for level in range(depth):
        yield b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    yield b"\r\nhello\r\n"


def nested_messages(depth: int) -> Iterator[bytes]:
    yield HEAD
    for _ in range(depth):
        yield b"Content-Type: message/rfc822\r\n\r\n"
    yield b"\r\nhello\r\n"


def semicolons(kib: int) -> Iterator[bytes]:
    yield HEAD + b"Content-Type: text/plain" + b";" * (kib << 10) + b"\r\n\r\nhello\r\n"


def long_line(kib: int) -> Iterator[bytes]:
    yield HEAD + b"X-Long: " + b"x" * (kib << 10) + b"\r\n\r\nhello\r\n"


def boundary_lines(count: int) -> Iterator[bytes]:
    """Every line is a delimiter, of one of fifty open multiparts."""
    yield HEAD
    for level in range(49):
        yield b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    for number in range(count):
        yield b"--b%d\r\n" % (number % 49)


def almost_boundaries(count: int) -> Iterator[bytes]:
    """Lines that begin like a delimiter and are none."""
    boundary = b"b" * 70
    yield HEAD + b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n--" + boundary + b"\r\n\r\n"
    for _ in range(count):
        yield b"--" + boundary + b"x\r\n"


def continued_parameters(count: int) -> Iterator[bytes]:
    yield HEAD + b"Content-Disposition: attachment"
    for number in range(count):
        yield b";\r\n filename*%d=x" % number
    yield b"\r\n\r\nhello\r\n"


def comments(kib: int) -> Iterator[bytes]:
    yield HEAD + b"Content-Type: text/plain" + b"(" * (kib << 10) + b"\r\n\r\nhello\r\n"


def encoded_words(count: int) -> Iterator[bytes]:
    yield HEAD + b'Content-Disposition: attachment; filename="' + b"=?utf-8?Q?=41?= " * count + b'"\r\n\r\nhello\r\n'


def header_fields(count: int) -> Iterator[bytes]:
    yield HEAD
    for number in range(count):
        yield b"X-%d: y\r\n" % number
    yield b"\r\nhello\r\n"


def uuencode_begins(count: int) -> Iterator[bytes]:
    yield HEAD + b"\r\n" + b"begin 644 a.txt\r\n" * count


def ambiguous(count: int) -> Iterator[bytes]:
    """Everything that asks for another reading at once, with `count` lines of body."""
    yield HEAD + b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\nContent-Type: multipart/mixed; boundary=c\r\n"
    yield b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    for number in range(count // 3):
        yield b"--%c\r\n\r\n=41=\r\n" % b"abc"[number % 3]


def less_than(kib: int) -> Iterator[bytes]:
    yield HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * (kib << 10) + b"\r\n"


def nested_bomb(width: int) -> Iterator[bytes]:
    """A zip of `width` zips of `width` zips ..., five levels, with half a GiB of zeros in each of the innermost."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open("0.txt", "w") as member:
        for _ in range(512):
            member.write(bytes(MIB))
    content = inner.getvalue()
    for level in range(5):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for number in range(width):
                archive.writestr(f"lib {level}{number:02}.zip", content)
        content = outer.getvalue()
    yield HEAD + multipart([attachment(content, b"bomb.zip")])


def overlapping_bomb(count: int) -> Iterator[bytes]:
    """One deflated MiB of zeros that `count` entries of the central directory share."""
    plain = bytes(MIB)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(plain) + deflate.flush()
    crc = zlib.crc32(plain)
    name = b"000000"
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0x21, crc, len(packed), MIB, len(name), 0) + name + packed
    entries = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0x21, crc, len(packed), MIB, 6, 0, 0, 0, 0, 0, 0) + b"%06d" % number
        for number in range(count)
    )
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(entries), len(local), 0)
    yield HEAD + multipart([attachment(local + entries + end, b"overlap.zip")])


CASES = (
    Case("200,000 empty parts", empty_parts, 200_000, "parts"),
    Case("100 nested multiparts", nested_multiparts, 100, "levels"),
    Case("1,000 nested multiparts", nested_multiparts, 1_000, "levels"),
    Case("10,000 nested multiparts", nested_multiparts, 10_000, "levels"),
    Case("10,000 nested messages", nested_messages, 10_000, "levels"),
    Case("Content-Type of semicolons", semicolons, 80, "KiB"),
    Case("Content-Type of open comments", comments, 80, "KiB"),
    Case("header line of 1 MiB", long_line, 1024, "KiB"),
    Case("100,000 header fields", header_fields, 100_000, "fields"),
    Case("a boundary on every line", boundary_lines, 200_000, "lines"),
    Case("almost a boundary on every line", almost_boundaries, 50_000, "lines"),
    Case("10,000 continued parameters", continued_parameters, 10_000, "parts"),
    Case("20,000 encoded words in a name", encoded_words, 20_000, "words"),
    Case("100,000 uuencode begins", uuencode_begins, 100_000, "lines", odd=False),
    Case("ambiguous in every way", ambiguous, 30_000, "lines"),
    Case("HTML of less-than signs", less_than, 4096, "KiB", odd=False),
    Case("zip in zip, five levels", nested_bomb, 16, "wide"),
    Case("zip of overlapping members", overlapping_bomb, 5_000, "members"),
)
