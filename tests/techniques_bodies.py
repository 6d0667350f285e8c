"""Encoded bodies that are damaged, on purpose or by software: base64, quoted-printable, and the encodings from before MIME."""

from __future__ import annotations

import base64
import gzip
import random
import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import wrappings
from eicar import EICAR
from variants import (
    FILE,
    HEAD,
    PROGRAM,
    PROGRAM_MARK,
    VERSION,
    ZIP,
    Encode,
    Variant,
    base64_lines,
    encoded_part,
    mail,
    quoted_printable,
    single,
)

PUNCTUATION = b"!\"#$%&'()*,-.:;<>?@[\\]^_`{|}~"
BASE64 = b"Content-Transfer-Encoding: base64\r\n"
QP = b"Content-Transfer-Encoding: quoted-printable\r\n"
TEXT = b"Content-Type: text/plain\r\n"
PADDING = random.Random(7).randbytes(3000)  # for techniques that need a long body, or every letter of the alphabet


class Damage(NamedTuple):
    name: str
    encode: Encode


def _each(text: bytes, size: int, behind: bytes = b"\r\n") -> bytes:
    return b"".join(text[i : i + size] + behind for i in range(0, len(text), size))


def _quads(data: bytes, step: int) -> bytes:
    return b"".join(base64.b64encode(data[i : i + step]) for i in range(0, len(data), step))


def _insert(what: bytes, every: int = 7) -> Encode:
    """`what` after every so many letters, and the usual lines."""
    return lambda data: _each(_each(base64.b64encode(data), every, what), 76)


def _after_lines(what: bytes, width: int = 76) -> Encode:
    return lambda data: _each(base64.b64encode(data), width, what)


def _around(before: bytes = b"", after: bytes = b"") -> Encode:
    return lambda data: before + base64_lines(data) + after


def _amid(line: bytes, width: int = 40) -> Encode:
    """One line in the middle."""

    def encode(data: bytes) -> bytes:
        lines = base64_lines(data, width).splitlines(keepends=True)
        return b"".join((*lines[: len(lines) // 2], line, *lines[len(lines) // 2 :]))

    return encode


def _streams(cut: int, between: bytes = b"\r\n") -> Encode:
    return lambda data: base64_lines(data[:cut]).rstrip() + between + base64_lines(data[cut:])


def _text(change: Encode) -> Encode:
    return lambda data: change(base64_lines(data))


def base64_damages() -> Iterator[Damage]:
    yield from (Damage("plain", base64_lines), Damage("one-line", base64.b64encode), Damage("no-line-end", _text(bytes.strip)))
    for width in (1, 2, 3, 4, 5, 6, 7, 13, 75, 77, 80, 200, 998, 2000):
        yield Damage(f"width-{width}", lambda data, w=width: base64_lines(data, w))  # type: ignore[misc]
    for name, end in (
        ("lf", b"\n"),
        ("cr", b"\r"),
        ("crcrlf", b"\r\r\n"),
        ("lfcr", b"\n\r"),
        ("vt", b"\x0b"),
        ("nel", b"\x85"),
        ("blank", b" "),
    ):
        yield Damage("line-end-" + name, _after_lines(end))
        yield Damage("short-line-end-" + name, _after_lines(end, 3))
    for name, end in (
        ("empty-lines", b"\r\n\r\n"),
        ("blank-lines", b"\r\n \r\n"),
        ("blanks-behind", b" \t \r\n"),
        ("blanks-in-front", b"\r\n  "),
        ("quoted", b"\r\n> "),
        ("dot-in-front", b"\r\n."),
        ("dots", b"\r\n..\r\n"),
        ("padded", b"=\r\n"),
        ("padded-2", b"==\r\n"),
        ("padded-3", b"===\r\n"),
        ("padded-4", b"====\r\n"),
        ("padded-in-front", b"\r\n="),
        ("junk-behind", b"x\r\n"),
        ("junk-4-behind", b"xxxx\r\n"),
        ("comment-behind", b" # AAAA\r\n"),
        ("paren-comment", b"(AAAA)\r\n"),
        ("slashes", b" // AAAA\r\n"),
        ("soft-break", b"=\r\n"),
        ("soft-break-3d", b"=3D\r\n"),
        ("backslash", b"\\\r\n"),
        ("line-number", b"\r\n1: "),
        ("nul", b"\0\r\n"),
        ("comma", b",\r\n"),
        ("html", b"<br>\r\n"),
        ("entity", b"&#13;\r\n"),
    ):
        for width in (4, 5, 76):
            yield Damage(f"lines-{name}-{width}", _after_lines(end, width))
    for byte in (*PUNCTUATION, *range(9), 11, 12, 14, 27, 31, 127, 128, 160, 173, 255):
        yield Damage(f"junk-{byte:02x}", _insert(bytes((byte,))))
    for name, junk in (
        ("mixed", b"#!%"),
        ("utf-8", b"\xe2\x80\x8b"),
        ("blank", b" "),
        ("crlf", b"\r\n"),
        ("equals", b"="),
        ("two-equals", b"=="),
        ("three-equals", b"==="),
        ("four-equals", b"===="),
        ("minus-underscore", b"-_"),
        ("percent-00", b"%00"),
        ("qp-blank", b"=20"),
    ):
        for every in (1, 4, 5, 8):
            yield Damage(f"insert-{name}-{every}", _insert(junk, every))
    for step in (1, 2, 4, 5, 7, 8):
        yield Damage(f"streams-of-{step}", lambda data, s=step: _each(_quads(data, s), 76))  # type: ignore[misc]
        yield Damage(f"unpadded-streams-of-{step}", lambda data, s=step: b"\r\n".join(_quads(data, s).split(b"=")))  # type: ignore[misc]
    for cut in (1, 2, 3, 20, 22, 23, 45, 46, 58):
        yield Damage(f"two-streams-{cut}", _streams(cut))
        yield Damage(f"two-streams-blank-line-{cut}", _streams(cut, b"\r\n\r\n"))
        yield Damage(f"two-streams-same-line-{cut}", _streams(cut, b""))
        yield Damage(f"two-streams-junk-{cut}", _streams(cut, b"\r\n-- \r\n"))
    for name, before in (
        ("equals", b"="),
        ("four-equals", b"====\r\n"),
        ("empty-lines", b"\r\n\r\n"),
        ("blank-line", b" \r\n"),
        ("text", b"This is a multi-part message.\r\n"),
        ("text-4", b"Here it is\r\n"),
        ("text-empty-line", b"See below.\r\n\r\n"),
        ("two-lines", b"Hello there,\r\nsee this:\r\n"),
        ("field", b"X-Comment: hello\r\n"),
        ("fields-empty-line", b"X-Comment: hello\r\nX-Other: y\r\n\r\n"),
        ("content-fields", b"Content-Type: application/zip\r\n\r\n"),
        ("begin-base64", b"begin-base64 644 report.bin\r\n"),
        ("begin-base64-empty-line", b"begin-base64 644 report.bin\r\n\r\n"),
        ("begin", b"begin 644 report.bin\r\n"),
        ("pem", b"-----BEGIN CERTIFICATE-----\r\n"),
        ("data-uri", b"data:application/octet-stream;base64,"),
        ("bom", b"\xef\xbb\xbf"),
        ("nul", b"\0"),
        ("ctrl-z", b"\x1a"),
        ("quote", b'"'),
        ("bracket", b"<"),
        ("comment", b"# a comment\r\n"),
        ("dashes", b"--\r\n"),
        ("near-delimiter", b"--fo\r\n"),
        ("one-letter", b"A"),
        ("stream", b"AA==\r\n"),
        ("stream-glued", b"AA=="),
        ("full-stream", b"QUFB\r\n"),
    ):
        yield Damage("after-" + name, _around(before))
        yield Damage("after-" + name + "-and-empty-line", _around(before + b"\r\n"))
    for name, after in (
        ("equals", b"="),
        ("eight-equals", b"========\r\n"),
        ("text", b"\r\nSent from my phone, enjoy.\r\n"),
        ("text-glued", b"This mail is clean."),
        ("footer", b"\r\n-- \r\nThe List http://example.org/list\r\n"),
        ("dashes", b"\r\n--\r\n"),
        ("comma", b",\r\n"),
        ("four-equals", b"====\r\n"),
        ("end", b"====\r\nend\r\n"),
        ("letter", b"A\r\n"),
        ("nul", b"\0" * 20),
        ("dot", b".\r\n"),
        ("field", b"X-Comment: hello\r\n"),
        ("checksum", b"=aBcD\r\n"),
    ):
        yield Damage("before-" + name, _around(after=after))
        yield Damage("before-unpadded-" + name, lambda data, a=after: base64_lines(data).rstrip(b"=\r\n") + a)  # type: ignore[misc]
    for name, line in (
        ("empty", b"\r\n"),
        ("two-empty", b"\r\n\r\n\r\n"),
        ("blanks", b" \t \r\n"),
        ("text", b"Some text, with words.\r\n"),
        ("letters", b"abc\r\n"),
        ("field", b"X-Virus-Scanned: yes\r\n"),
        ("content-field", b"Content-Type: text/plain\r\n"),
        ("near-delimiter", b"--fo\r\n"),
        ("near-delimiter-more", b"--foolish\r\n"),
        ("near-delimiter-blank", b" --foo\r\n"),
        ("near-delimiter-one-dash", b"-foo\r\n"),
        ("dashes", b"--\r\n"),
        ("many-dashes", b"--------------------\r\n"),
        ("equals", b"=\r\n"),
        ("equals-line", b"================\r\n"),
        ("dot", b".\r\n"),
        ("dotdot", b"..\r\n"),
        ("begin-base64", b"begin-base64 644 x\r\n"),
        ("end", b"end\r\n"),
        ("mbox", b"From a@example.org Sun Nov 22 10:00:00 2026\r\n"),
        ("quoted-mbox", b">From here\r\n"),
        ("comment", b"# comment\r\n"),
        ("uri", b"http://example.org/\r\n"),
        ("nul", b"\0\0\0\0\r\n"),
        ("long-junk", b"!" * 1200 + b"\r\n"),
        ("8bit", b"\xe4\xf6\xfc\r\n"),
    ):
        yield Damage("around-" + name, _amid(line))
    for name, change in (
        ("utf-16le", lambda text: text.decode().encode("utf-16-le")),
        ("utf-16le-bom", lambda text: b"\xff\xfe" + text.decode().encode("utf-16-le")),
        ("utf-16be", lambda text: text.decode().encode("utf-16-be")),
        ("utf-16be-bom", lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be")),
        ("utf-32", lambda text: text.decode().encode("utf-32-le")),
        ("url-safe", lambda text: text.replace(b"+", b"-").replace(b"/", b"_")),
        ("unpadded", lambda text: text.replace(b"=", b"")),
        ("padding-3d", lambda text: text.replace(b"=", b"=3D")),
        ("padding-percent", lambda text: text.replace(b"=", b"%3D")),
        ("padding-on-own-line", lambda text: text.replace(b"=\r\n", b"\r\n=\r\n")),
        ("padding-spaced", lambda text: text.replace(b"=", b" = ")),
        ("padding-junk", lambda text: text.replace(b"=", b"*")),
        ("a-as-equals", lambda text: text.replace(b"A", b"=")),
        ("nul-terminated-lines", lambda text: text.replace(b"\r\n", b"\0\r\n")),
        ("backspaces", lambda text: text.replace(b"V", b"x\x08V")),
        ("bits-8", lambda text: re.sub(rb"[A-Z]", lambda m: bytes((m[0][0] | 0x80,)) + m[0], text)),
        ("quotes", lambda text: b'"' + text.replace(b"\r\n", b'"\r\n"') + b'"'),
        ("qp-encoded", lambda text: text.replace(b"=", b"=3D").replace(b"V", b"=56")),
        ("dot-stuffed", lambda text: re.sub(rb"(?m)^", b".", text)),
        ("rot", lambda text: text.replace(b"+", b" ")),
    ):
        yield Damage("text-" + name, _text(change))


def _soft(end: bytes, every: int = 5) -> Encode:
    return lambda data: _each(data, every, end)


def _escaped(change: Encode) -> Encode:
    return lambda data: change(quoted_printable(data))


def qp_damages() -> Iterator[Damage]:
    yield from (
        Damage("upper", quoted_printable),
        Damage("lower", lambda data: quoted_printable(data, upper=False)),
        Damage("literal", bytes),
    )
    yield Damage("mixed-case", _escaped(lambda text: re.sub(rb"=(.)(.)", lambda m: b"=" + m[1].upper() + m[2].lower(), text)))
    yield Damage("one-line", lambda data: "".join(f"={byte:02X}" for byte in data).encode())
    yield Damage("long-lines", lambda data: b"\r\n" + b"x" * 3000 + b"\r\n" + data)
    for name, end in (
        ("crlf", b"=\r\n"),
        ("lf", b"=\n"),
        ("cr", b"=\r"),
        ("crcrlf", b"=\r\r\n"),
        ("lfcr", b"=\n\r"),
        ("blank", b"= \r\n"),
        ("tabs", b"=\t\t \r\n"),
        ("vt", b"=\x0b\r\n"),
        ("nul", b"=\0\r\n"),
        ("blank-lf", b"= \n"),
        ("blank-cr", b"= \r"),
        ("twice", b"=\r\n=\r\n"),
        ("empty-line", b"=\r\n\r\n"),
        ("two-equals", b"==\r\n"),
        ("crlf-lf", b"=\r\n\n"),
        ("many-blanks", b"=" + b" " * 100 + b"\r\n"),
        ("blanks-next-line", b"=\r\n "),
        ("nbsp", b"=\xa0\r\n"),
        ("3d", b"=3D\r\n"),
        ("nothing", b"="),
        ("hard", b"\r\n"),
        ("zz", b"=ZZ"),
        ("half", b"=4"),
        ("x", b"=X"),
        ("g", b"=g\r\n"),
        ("nul-alone", b"\0"),
        ("backslash", b"\\\r\n"),
        ("null-escape", b"=00"),
        ("spelt-line-end", b"=0D=0A=\r\n"),
        ("shift", b"\x0e\x0f"),
    ):
        for every in (1, 5, 20):
            yield Damage(f"soft-{name}-{every}", _soft(end, every))
    for name, change in (
        ("two-equals", lambda text: re.sub(rb"=(..)", rb"==\1", text)),
        ("three-equals", lambda text: re.sub(rb"=(?=[0-9A-F])", b"===", text)),
        ("letter-between", lambda text: re.sub(rb"=([0-9A-F]{2})", rb"==x\1", text)),
        ("equals-letter", lambda text: re.sub(rb"=([0-9A-F]{2})", rb"=\1=x", text)),
        ("equals-zz", lambda text: re.sub(rb"=([0-9A-F]{2})", rb"=\1=ZZ", text)),
        ("equals-g", lambda text: re.sub(rb"=([0-9A-F]{2})", rb"=\1=G", text)),
        ("half", lambda text: re.sub(rb"=([0-9A-F]{2})", rb"=\1=5", text)),
        ("blank-in-escape", lambda text: re.sub(rb"=(.)(.)", rb"=\1 \2", text)),
        ("break-in-escape", lambda text: re.sub(rb"=5(.)", rb"=5=\r\n\1", text)),
        ("break-after-equals", lambda text: re.sub(rb"=5", b"=\r\n5", text)),
        ("nul-in-escape", lambda text: re.sub(rb"=(.)(.)", b"=\\1\0\\2", text)),
        ("nul-before-digits", lambda text: re.sub(rb"=(..)", b"=\0\\1", text)),
        ("nul-between", lambda text: re.sub(rb"=(..)", b"=\\1\0", text)),
        ("equals-last", lambda text: text.rstrip() + b"="),
        ("cut-escape", lambda text: text.rstrip() + b"=4"),
        ("stray-before-line-end", lambda text: text.replace(b"=\r\n", b"=Q=\r\n")),
        ("dot-stuffed", lambda text: re.sub(rb"(?m)^", b".", text)),
        ("fullwidth-equals", lambda text: text.replace(b"=\r\n", "\uff1d\r\n".encode())),
        ("line-ends-lf", lambda text: text.replace(b"\r\n", b"\n")),
        ("line-ends-cr", lambda text: text.replace(b"\r\n", b"\r")),
        ("utf-16", lambda text: text.decode().encode("utf-16-le")),
    ):
        yield Damage("escapes-" + name, _escaped(change))


def body_variants() -> Iterator[Variant]:
    for family, fields, damages in (("base64-body", BASE64, base64_damages()), ("qp-body", QP, qp_damages())):
        for damage in damages:
            for label, data, marker in (
                ("", EICAR, EICAR),
                ("-zip", ZIP, EICAR),
                ("-exe", PROGRAM, PROGRAM_MARK),
                ("-long", EICAR + PADDING, EICAR),
            ):
                if label and family == "qp-body" and damage.name == "literal":
                    continue
                part = FILE + fields + b"\r\n" + damage.encode(data) + b"\r\n"
                yield Variant(damage.name + label, family, (mail(part),), marker)
            yield Variant(damage.name + "-single", family, (single(TEXT + fields, damage.encode(EICAR)),))


# -- encodings from before MIME


def uu(
    data: bytes,
    *,
    begin: bytes = b"begin 644 report.bin",
    end: bytes = b"end\r\n",
    blank: bytes = b"`",
    eol: bytes = b"\r\n",
    checksum: bytes = b"",
) -> bytes:
    import binascii

    lines = [binascii.b2a_uu(data[i : i + 45], backtick=blank == b"`").rstrip(b"\n") + checksum for i in range(0, len(data), 45)]
    lines = [line.rstrip() for line in lines] if blank == b"stripped" else lines
    return eol.join((begin, *lines) if begin else lines) + eol + b"`" + eol + end.replace(b"\r\n", eol)


def yenc(data: bytes, parts: int = 1, name: bytes = b"report.bin", end: bool = True) -> bytes:
    size = -(-len(data) // parts)
    out = b""
    for number in range(parts):
        piece = data[number * size : (number + 1) * size]
        text = wrappings.yencoded(piece, "x").split(b"\r\n")[1]
        if parts > 1:
            out += b"=ybegin part=%d total=%d line=128 size=%d name=%b\r\n=ypart begin=%d end=%d\r\n" % (
                number + 1, parts, len(data), name, number * size + 1, number * size + len(piece),
            )  # fmt: skip
        else:
            out += b"=ybegin line=128 size=%d name=%b\r\n" % (len(data), name)
        out += text + b"\r\n" + (b"=yend size=%d\r\n" % len(piece) if end else b"")
    return out


def hqx(
    data: bytes,
    head: bytes = b"(This file must be converted with BinHex 4.0)\r\n\r\n",
    eol: bytes = b"\r\n",
    fork: bool = False,
    close: bytes = b":",
) -> bytes:
    if not fork:
        body = wrappings.binhexed(data, "report.bin").split(b"\r\n\r\n", 1)[1]
    else:
        body = _hqx_resource(data)
    return head + body.replace(b"\r\n", eol).rstrip(b":\r\n") + close + eol


def _hqx_resource(data: bytes) -> bytes:
    """The payload in the resource fork, which only a Mac would open."""
    import binascii

    name = b"report.bin"
    header = bytes((len(name),)) + name + b"\0TEXTttxt" + b"\0\0" + struct.pack(">II", 0, len(data))
    raw = b"".join(part + struct.pack(">H", binascii.crc_hqx(part + b"\0\0", 0)) for part in (header, b"", data)).replace(
        b"\x90", b"\x90\0"
    )
    alphabet = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    count = -(-len(raw) * 8 // 6)
    bits = int.from_bytes(raw, "big") << (-len(raw) * 8 % 6)
    text = b":" + bytes(alphabet[(bits >> 6 * (count - 1 - i)) & 63] for i in range(count)) + b":"
    return _each(text, 64)


def legacy_blocks(data: bytes = EICAR) -> Iterator[tuple[str, bytes, str]]:
    """(name, text, encoding name) of files in text."""
    for name, text in (
        ("uu", uu(data)),
        ("uu-blanks", uu(data, blank=b" ")),
        ("uu-stripped", uu(data, blank=b"stripped")),
        ("uu-no-end", uu(data, end=b"")),
        ("uu-end-blank", uu(data, end=b"end \r\n")),
        ("uu-no-zero-line", uu(data).replace(b"`\r\nend", b"end")),
        ("uu-mode-0644", uu(data, begin=b"begin 0644 report.bin")),
        ("uu-mode-755", uu(data, begin=b"begin 755 report.bin")),
        ("uu-tabs", uu(data, begin=b"begin\t644\treport.bin")),
        ("uu-many-blanks", uu(data, begin=b"begin   644   report.bin")),
        ("uu-name-blanks", uu(data, begin=b"begin 644 my report.bin")),
        ("uu-no-name", uu(data, begin=b"begin 644 ")),
        ("uu-quoted-name", uu(data, begin=b'begin 644 "report.bin"')),
        ("uu-begin-trailing-blanks", uu(data, begin=b"begin 644 report.bin   ")),
        ("uu-lf", uu(data, eol=b"\n")),
        ("uu-cr", uu(data, eol=b"\r")),
        ("uu-checksum", uu(data, checksum=b"A")),
        ("uu-two", uu(b"nothing here", begin=b"begin 644 a.txt") + uu(data)),
        ("uu-inside", b"begin 644 a.txt\r\n" + uu(data)),
        ("uu-after-text", b"text text\r\n" * 50 + uu(data)),
        ("uu-no-empty-line", b"Hello" + b"\r\n" + uu(data) + b"bye"),
        ("uu-empty-lines", uu(data).replace(b"\r\nM", b"\r\n\r\nM")),
        ("uu-truncated", uu(data).split(b"`")[0]),
        ("uu-trailing-blanks", re.sub(rb"(?m)\r$", b"   \r", uu(data))),
        ("uu-form-feed", b"\x0c\r\n" + uu(data)),
        ("base64-begin", b"begin-base64 644 report.bin\r\n" + base64_lines(data) + b"====\r\n"),
        ("base64-begin-no-end", b"begin-base64 644 report.bin\r\n" + base64_lines(data)),
        ("base64-begin-lf", (b"begin-base64 644 report.bin\r\n" + base64_lines(data) + b"====\r\n").replace(b"\r\n", b"\n")),
        ("base64-begin-mode-0", b"begin-base64 0 report.bin\r\n" + base64_lines(data) + b"====\r\n"),
        ("base64-begin-junk", b"begin-base64 644 report.bin\r\n" + base64_lines(data).replace(b"V", b"!V") + b"====\r\n"),
    ):
        yield name, text, "x-uuencode"
    for name, text in (
        ("yenc", yenc(data)),
        ("yenc-two-parts", yenc(data, 2)),
        ("yenc-three-parts", yenc(data, 3)),
        ("yenc-no-end", yenc(data, end=False)),
        ("yenc-lf", yenc(data).replace(b"\r\n", b"\n")),
        ("yenc-no-name", re.sub(rb" name=[^\r]*", b"", yenc(data))),
        ("yenc-wrong-size", re.sub(rb"size=\d+", b"size=1", yenc(data))),
        ("yenc-crc", yenc(data).replace(b"=yend", b"=yend crc32=00000000")),
    ):
        yield name, text, "x-yenc"
    for name, text in (
        ("hqx", hqx(data)),
        ("hqx-lf", hqx(data, eol=b"\n")),
        ("hqx-cr", hqx(data, eol=b"\r")),
        ("hqx-no-colon", hqx(data, close=b"")),
        ("hqx-text-in-front", hqx(data, head=b"Dear all,\r\n(This file must be converted with BinHex 4.0)\r\n\r\n")),
        ("hqx-blanks", hqx(data, head=b"  (This file must be converted with BinHex 4.0)  \r\n\r\n")),
        ("hqx-other-sentence", hqx(data, head=b"(Convert with BinHex 4.0)\r\n\r\n")),
        ("hqx-no-empty-line", hqx(data, head=b"(This file must be converted with BinHex 4.0)\r\n")),
        ("hqx-blank-lines", hqx(data).replace(b"\r\n", b"\r\n\r\n")),
        ("hqx-resource", hqx(data, fork=True)),
        ("hqx-one-line", hqx(data, eol=b"") + b"\r\n"),
    ):
        yield name, text, "binhex"


def legacy_variants() -> Iterator[Variant]:
    def variant(name: str, message: bytes, marker: bytes = EICAR) -> Variant:
        return Variant(name, "legacy-encoding", (message,), marker)

    for label, data, marker in (("", EICAR, EICAR), ("-zip", ZIP, EICAR), ("-exe", PROGRAM, PROGRAM_MARK)):
        for name, text, encoding in legacy_blocks(data):
            name += label
            coding = b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n"
            yield variant(name + "-text", single(TEXT, b"Hello\r\n\r\n" + text), marker)
            yield variant(name + "-no-mime", HEAD + b"\r\n" + text, marker)
            yield variant(name + "-encoding", mail(FILE + coding + b"\r\n" + text), marker)
            if label and not name.startswith(("uu" + label, "yenc" + label, "hqx" + label, "base64-begin" + label)):
                continue
            yield variant(name + "-part", mail(TEXT + b"\r\n" + text), marker)
            yield variant(name + "-base64", single(TEXT + BASE64, base64_lines(text)), marker)
            yield variant(name + "-file-base64", mail(encoded_part(text)), marker)
            yield variant(name + "-qp", single(TEXT + QP, quoted_printable(text)), marker)
            yield variant(name + "-html", single(b"Content-Type: text/html\r\n", b"<html><pre>\r\n" + text + b"</pre></html>\r\n"), marker)
            yield variant(name + "-message", mail(b"Content-Type: message/rfc822\r\n\r\n" + HEAD + b"\r\n" + text), marker)
            whole = mail(TEXT)
            yield variant(name + "-preamble", whole.replace(b"\r\n\r\n", b"\r\n\r\n" + text, 1), marker)
            yield variant(name + "-epilogue", whole + text, marker)
            yield variant(name + "-after-header", HEAD + VERSION + text, marker)
    for name in ("uuencode", "x-uue", "uue", "x-uu", "X-UUENCODE", "x-uucode", "uucode", "x-uuencoded"):
        coding = f"Content-Transfer-Encoding: {name}\r\n\r\n".encode()
        yield variant("encoding-" + name, mail(FILE + coding + uu(EICAR)))
        yield variant("encoding-" + name + "-no-begin", mail(FILE + coding + uu(EICAR, begin=b"")))
        yield variant("encoding-" + name + "-no-end", mail(FILE + coding + uu(EICAR, end=b"")))
        yield variant("encoding-" + name + "-only-lines", mail(FILE + coding + uu(EICAR, begin=b"", end=b"").split(b"`")[0]))
        yield variant("encoding-" + name + "-single", HEAD + VERSION + FILE + coding + uu(EICAR, begin=b"begin 644 a.com"))
        yield variant("encoding-" + name + "-text-first", mail(FILE + coding + b"Hello\r\n\r\n" + uu(EICAR)))
    for name in ("yenc", "x-yenc", "X-yEnc", "yencode"):
        yield variant("encoding-" + name, mail(FILE + f"Content-Transfer-Encoding: {name}\r\n\r\n".encode() + yenc(EICAR)))
    for name in ("binhex", "x-binhex", "mac-binhex40", "binhex40", "hqx", "x-hqx"):
        yield variant("encoding-" + name, mail(FILE + f"Content-Transfer-Encoding: {name}\r\n\r\n".encode() + hqx(EICAR)))
        yield variant(
            "encoding-" + name + "-no-sentence", mail(FILE + f"Content-Transfer-Encoding: {name}\r\n\r\n".encode() + hqx(EICAR, head=b""))
        )
    for kind in (
        "application/mac-binhex40",
        "application/mac-binhex",
        "application/x-binhex40",
        "application/binhex",
        "application/x-mac-binhex40",
    ):
        for form, head in (("", b"(This file must be converted with BinHex 4.0)\r\n\r\n"), ("-no-sentence", b"")):
            field = b"Content-Type: " + kind.encode() + b"; name=a.hqx\r\n"
            yield variant(f"type-{kind.split('/')[1]}{form}", mail(field + b"\r\n" + hqx(EICAR, head=head)))
            yield variant(f"type-{kind.split('/')[1]}{form}-base64", mail(encoded_part(hqx(EICAR, head=head), field)))
            yield variant(f"type-{kind.split('/')[1]}{form}-qp", mail(field + QP + b"\r\n" + quoted_printable(hqx(EICAR, head=head))))
    for name in ("x-gzip64", "gzip64", "x-gzip-base64", "gzip", "x-gzip", "gzip/base64", "base64/gzip"):
        coding = f"Content-Transfer-Encoding: {name}\r\n\r\n".encode()
        yield variant("encoding-" + name.replace("/", "-"), mail(FILE + coding + base64_lines(gzip.compress(EICAR))))
        yield variant("encoding-" + name.replace("/", "-") + "-cut", mail(FILE + coding + base64_lines(gzip.compress(EICAR)[:-8])))
        junk = base64_lines(gzip.compress(EICAR)).replace(b"A", b"!A")
        yield variant("encoding-" + name.replace("/", "-") + "-junk", mail(FILE + coding + junk))
    yield variant(
        "encoding-x-gzip64-two-members",
        mail(FILE + b"Content-Transfer-Encoding: x-gzip64\r\n\r\n" + base64_lines(gzip.compress(b"a") + gzip.compress(EICAR))),
    )
    yield variant("encoding-deflate", mail(FILE + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(zlib.compress(EICAR))))
