"""Messages for the benchmarks: made, not collected; the same bytes in every run."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable

WORDS = b"the of and to in for is on that by this with you it not or be are from at as your all have new more was we will home".split()
WORDS += b"can us about if page my has invoice payment delivery meeting attached regards quarterly report schedule".split()
HEAD = (
    b"Received: from mx.example.org (mx.example.org [192.0.2.7])\r\n\tby mail.example.net (Postfix) with ESMTPS id 4F2K1\r\n"
    b"\tfor <user@example.net>; Mon, 16 Nov 2026 09:12:44 +0100 (CET)\r\n"
    b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\r\nTo: user@example.net\r\nSubject: Report of the quarter\r\n"
    b"Date: Mon, 16 Nov 2026 09:12:43 +0100\r\nMessage-ID: <20261116091243.4F2K1@example.org>\r\nMIME-Version: 1.0\r\n"
)


def prose(size: int, rng: random.Random) -> bytes:
    lines, length = [], 0
    while length < size:
        line = b" ".join(rng.choices(WORDS, k=12)) + b"\r\n"
        lines.append(line)
        length += len(line)
    return b"".join(lines)


def encoded(content: bytes) -> bytes:
    """Base64 in lines of 76, CRLF."""
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def multipart(parts: Iterable[bytes], boundary: bytes = b"=_part_7f3a", subtype: bytes = b"mixed") -> bytes:
    """An entity: header fields of a multipart, blank line, parts (each an entity)."""
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/" + subtype + b'; boundary="' + boundary + b'"\r\n\r\n' + body + b"--" + boundary + b"--\r\n"


def attachment(content: bytes, name: bytes = b"report.bin") -> bytes:
    head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    return head + b'Content-Disposition: attachment; filename="' + name + b'"\r\n\r\n' + encoded(content)


def text(size: int) -> bytes:
    return HEAD + b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + prose(size - len(HEAD), random.Random(size))


def alternative(size: int) -> bytes:
    rng = random.Random(size)
    plain = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + prose(size // 3, rng)
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>" + prose(size * 2 // 3, rng) + b"</p></body></html>\r\n"
    return HEAD + multipart([plain, html], subtype=b"alternative")


def with_attachment(size: int) -> bytes:
    rng = random.Random(size)
    body = b"Content-Type: text/plain\r\n\r\n" + prose(1000, rng)
    return HEAD + multipart([body, attachment(rng.randbytes(max(0, size - 2000) * 3 // 4))])


def digest(parts: int) -> bytes:
    """`parts` small messages in one."""
    rng = random.Random(parts)
    return HEAD + multipart(
        (b"Content-Type: message/rfc822\r\n\r\n" + HEAD + b"\r\n" + prose(300, rng) for _ in range(parts)), subtype=b"digest"
    )
