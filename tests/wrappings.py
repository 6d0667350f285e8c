"""The EICAR file wrapped in every way that we open: name -> whole message.

Made from the formats' specifications with the standard library, libarchive's
writer, and by hand where nothing writes a format.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import quopri
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from eicar import EICAR

HEAD = (
    b"From: sender@example.org\r\nTo: rcpt@example.net\r\nSubject: wrapped\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <w@example.org>\r\nMIME-Version: 1.0\r\n"
)


def b64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def attach(data: bytes, name: str, media_type: str = "application/octet-stream", body: bytes = b"See attachment.") -> bytes:
    """A usual mail with one base64 attachment."""
    return (
        HEAD
        + b'Content-Type: multipart/mixed; boundary="=_w"\r\n\r\n--=_w\r\nContent-Type: text/plain\r\n\r\n'
        + body
        + b"\r\n--=_w\r\nContent-Type: "
        + media_type.encode()
        + b'\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + b64(data)
        + b"--=_w--\r\n"
    )


def single(fields: bytes, body: bytes) -> bytes:
    return HEAD + fields + b"\r\n" + body


def zipped(data: bytes, name: str = "a.txt", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def tarred(data: bytes, name: str = "a.txt") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def libarchive_written(data: bytes, form: str, filters: str | None = None) -> bytes:
    import libarchive

    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out")
        with libarchive.file_writer(path, form, filters) as archive:
            archive.add_file_from_memory("a.txt", len(data), [data])
        with open(path, "rb") as file:
            return file.read()


def uuencoded(data: bytes, name: str = "a.txt") -> bytes:
    import binascii

    lines = [binascii.b2a_uu(data[i : i + 45]).rstrip(b"\n") for i in range(0, len(data), 45)]
    return b"begin 644 " + name.encode() + b"\r\n" + b"\r\n".join(lines) + b"\r\n`\r\nend\r\n"


def yencoded(data: bytes, name: str = "a.txt") -> bytes:
    out = bytearray()
    for byte in data:
        value = (byte + 42) & 255
        if value in (0, 10, 13, 61):
            out += bytes((61, (value + 64) & 255))
        else:
            out.append(value)
    return b"=ybegin line=128 size=%d name=%s\r\n%s\r\n=yend size=%d\r\n" % (len(data), name.encode(), bytes(out), len(data))


def binhexed(data: bytes, name: str = "a.txt") -> bytes:
    import binascii

    header = bytes((len(name),)) + name.encode() + b"\0TEXTttxt" + b"\0\0" + struct.pack(">II", len(data), 0)
    raw = b"".join(part + struct.pack(">H", binascii.crc_hqx(part + b"\0\0", 0)) for part in (header, data, b""))
    packed = raw.replace(b"\x90", b"\x90\0")
    alphabet = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    bits = int.from_bytes(packed, "big") << (-len(packed) * 8 % 6)
    count = -(-len(packed) * 8 // 6)
    text = bytes(alphabet[(bits >> 6 * (count - 1 - i)) & 63] for i in range(count))
    body = b":" + text + b":"
    return (
        b"(This file must be converted with BinHex 4.0)\r\n\r\n" + b"\r\n".join(body[i : i + 64] for i in range(0, len(body), 64)) + b"\r\n"
    )


def cab(data: bytes, name: bytes = b"a.txt") -> bytes:
    """[MS-CAB] with one folder, stored."""
    folder_at, file_at = 36, 44
    data_at = file_at + 16 + len(name) + 1
    block = struct.pack("<IHH", 0, len(data), len(data)) + data
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(block), 0, file_at, 0, 3, 1, 1, 1, 0, 0, 0)
    folder = struct.pack("<IHH", data_at, 1, 0)
    entry = struct.pack("<IIHHHH", len(data), 0, 0, 0, 0, 0x20) + name + b"\0"
    assert len(head) == folder_at
    return head + folder + entry + block


def lha(data: bytes, name: bytes = b"a.txt") -> bytes:
    """LHA level 0, method -lh0- (stored)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    rest = b"-lh0-" + struct.pack("<IIIBB", len(data), len(data), 0x58760000, 0x20, 0) + bytes((len(name),)) + name + struct.pack("<H", crc)
    return bytes((len(rest), sum(rest) & 255)) + rest + data + b"\0"


def rar(data: bytes, name: bytes = b"a.txt") -> bytes:
    """RAR 4 with one stored file."""

    def block(kind: int, flags: int, body: bytes, more: bytes = b"") -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + more

    file = struct.pack("<IIBIIBBHI", len(data), len(data), 2, zlib.crc32(data), 0x58760000, 20, 0x30, len(name), 0x20) + name
    return b"Rar!\x1a\x07\0" + block(0x73, 0, b"\0" * 6) + block(0x74, 0x8000, file, data) + block(0x7B, 0x4000, b"")


def tnef(data: bytes, name: bytes = b"a.txt") -> bytes:
    """[MS-OXTNEF] with one attachment."""

    def attribute(level: int, tag: int, value: bytes) -> bytes:
        return struct.pack("<BII", level, tag, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)

    return (
        struct.pack("<IH", 0x223E9F78, 1)
        + attribute(1, 0x00089006, struct.pack("<I", 0x10000))
        + attribute(2, 0x00069002, b"\1\0" + b"\xff" * 4 + b"\0" * 8)
        + attribute(2, 0x00018010, name + b"\0")
        + attribute(2, 0x0006800F, data)
    )


def pdf_with_file(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return (
        b"%%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a.txt)4 0 R]>>>>>>\nendobj\n"
        b"2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n4 0 obj\n<</Type/Filespec/F(a.txt)/EF<</F 5 0 R>>>>\nendobj\n"
        b"5 0 obj\n<</Type/EmbeddedFile/Filter/FlateDecode/Length %d>>stream\n"
        % len(packed)
        + packed
        + b"\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n"
    )


def der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    size = len(body)
    length = bytes((size,)) if size < 128 else bytes((0x80 | 2,)) + size.to_bytes(2, "big")
    return bytes((tag,)) + length + body


def smime_opaque(entity: bytes) -> bytes:
    """RFC 5652 signed-data with content and no signature."""
    signed, plain = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
    inner = der(0x30, plain, der(0xA0, der(0x04, entity)))
    return der(0x30, signed, der(0xA0, der(0x30, b"\x02\x01\x01", der(0x31), inner, der(0x31))))


def pgp_literal(data: bytes) -> bytes:
    body = b"b\x05a.txt\0\0\0\0" + data
    packet = b"\xcb\xff" + struct.pack(">I", len(body)) + body
    return b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + b64(packet) + b"=AAAA\r\n-----END PGP MESSAGE-----\r\n"


def zipcrypto(data: bytes, password: bytes) -> bytes:
    """A zip encrypted as APPNOTE 6.1 has it (PKWARE traditional), stored."""
    table = [0] * 256
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
        table[i] = crc
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = keys[0] >> 8 ^ table[(keys[0] ^ byte) & 255]
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = keys[2] >> 8 ^ table[(keys[2] ^ keys[1] >> 24) & 255]

    for byte in password:
        update(byte)
    out = bytearray()
    crc32 = zlib.crc32(data)
    for byte in bytes(11) + bytes((crc32 >> 24,)) + data:
        temp = keys[2] & 0xFFFF | 2
        out.append(byte ^ (temp * (temp ^ 1) >> 8 & 255))
        update(byte)
    name = b"a.txt"
    fixed = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 0x5876, crc32, len(out), len(data), len(name), 0)
    local = b"PK\3\4" + fixed + name + out
    central = b"PK\1\2" + struct.pack("<H", 20) + fixed + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def _nest(data: bytes, wrap: Callable[[bytes], bytes], times: int) -> bytes:
    for _ in range(times):
        data = wrap(data)
    return data


def messages() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every wrapping; each is made when called, since some need libarchive."""
    e = EICAR
    text = b"Content-Type: text/plain\r\n"
    inner = HEAD + text + b"\r\n" + e + b"\r\n"
    quoted = quopri.encodestring(e).replace(b"\n", b"\r\n")
    yield "7bit-body", lambda: single(text, e + b"\r\n")
    yield "base64-body", lambda: single(text + b"Content-Transfer-Encoding: base64\r\n", b64(e))
    yield "quoted-printable-body", lambda: single(text + b"Content-Transfer-Encoding: quoted-printable\r\n", quoted)
    yield "base64-attachment", lambda: attach(e, "a.txt")
    yield "uuencode-in-text", lambda: single(text, b"Hello\r\n\r\n" + uuencoded(e))
    yield "uuencode-without-mime", lambda: b"From: a@example.org\r\nSubject: x\r\n\r\n" + uuencoded(e)
    yield (
        "uuencode-cte",
        lambda: single(b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: x-uuencode\r\n", uuencoded(e)),
    )
    yield "begin-base64-in-text", lambda: single(text, b"begin-base64 644 a.txt\r\n" + b64(e) + b"====\r\n")
    yield "yenc-in-text", lambda: single(text, yencoded(e))
    yield "binhex-in-text", lambda: single(text, binhexed(e))
    yield "binhex-part", lambda: single(b"Content-Type: application/mac-binhex40; name=a.hqx\r\n", binhexed(e))
    yield "gzip64-cte", lambda: single(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-gzip64\r\n", b64(gzip.compress(e)))
    yield "zip-deflated", lambda: attach(zipped(e), "a.zip", "application/zip")
    yield "zip-stored", lambda: attach(zipped(e, method=zipfile.ZIP_STORED), "a.zip", "application/zip")
    yield "zip-bzip2", lambda: attach(zipped(e, method=zipfile.ZIP_BZIP2), "a.zip", "application/zip")
    yield "zip-lzma", lambda: attach(zipped(e, method=zipfile.ZIP_LZMA), "a.zip", "application/zip")
    yield "zip-in-zip", lambda: attach(zipped(zipped(e), "b.zip"), "a.zip", "application/zip")
    yield "zip-seven-deep", lambda: attach(_nest(e, lambda d: zipped(d, "n.zip"), 7), "a.zip", "application/zip")
    yield "zip-behind-a-picture", lambda: attach(b"GIF89a\1\0\1\0\0\0\0;" + zipped(e), "a.gif", "image/gif")
    yield "zip-password-in-body", lambda: attach(zipcrypto(e, b"s3cret"), "a.zip", "application/zip", b"The password is s3cret")
    yield "gzip", lambda: attach(gzip.compress(e), "a.txt.gz", "application/gzip")
    yield "bzip2", lambda: attach(bz2.compress(e), "a.txt.bz2", "application/x-bzip2")
    yield "xz", lambda: attach(lzma.compress(e), "a.txt.xz", "application/x-xz")
    yield "lzma", lambda: attach(lzma.compress(e, lzma.FORMAT_ALONE), "a.txt.lzma", "application/x-lzma")
    yield "zstd", lambda: attach(libarchive_written(e, "raw", "zstd"), "a.txt.zst", "application/zstd")
    yield "tar", lambda: attach(tarred(e), "a.tar", "application/x-tar")
    yield "tar-gzip", lambda: attach(gzip.compress(tarred(e)), "a.tgz", "application/gzip")
    yield "tar-bzip2", lambda: attach(bz2.compress(tarred(e)), "a.tbz", "application/x-bzip2")
    yield "tar-xz", lambda: attach(lzma.compress(tarred(e)), "a.txz", "application/x-xz")
    yield "tar-in-zip", lambda: attach(zipped(tarred(e), "a.tar"), "a.zip", "application/zip")
    yield "7z", lambda: attach(libarchive_written(e, "7zip"), "a.7z", "application/x-7z-compressed")
    yield "iso", lambda: attach(libarchive_written(e, "iso9660"), "a.dat")
    yield "cpio", lambda: attach(libarchive_written(e, "cpio_newc"), "a.cpio", "application/x-cpio")
    yield "ar", lambda: attach(libarchive_written(e, "ar_bsd"), "a.a")
    yield "xar", lambda: attach(libarchive_written(e, "xar"), "a.xar")
    yield "cab", lambda: attach(cab(e), "a.dat", "application/vnd.ms-cab-compressed")
    yield "lha", lambda: attach(lha(e), "a.dat")
    yield "rar", lambda: attach(rar(e), "a.rar", "application/vnd.rar")
    yield "zip-in-7z", lambda: attach(libarchive_written(zipped(e), "7zip"), "a.7z", "application/x-7z-compressed")
    yield "message-rfc822", lambda: single(b"Content-Type: message/rfc822\r\n", inner)
    yield "message-in-message", lambda: single(b"Content-Type: message/rfc822\r\n", single(b"Content-Type: message/rfc822\r\n", inner))
    yield "message-base64", lambda: single(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n", b64(inner))
    yield "message-as-octet-stream", lambda: attach(attach(e, "a.txt"), "fwd.eml")
    yield "zip-in-message", lambda: single(b"Content-Type: message/rfc822\r\n", attach(zipped(e), "a.zip", "application/zip"))
    yield "digest", lambda: single(b"Content-Type: multipart/digest; boundary=d\r\n", b"--d\r\n\r\n" + inner + b"\r\n--d--\r\n")
    yield "mbox", lambda: attach(b"From a@example.org Sun Nov 22 10:00:00 2026\r\n" + inner, "old.mbox", "application/mbox")
    yield "tnef", lambda: attach(tnef(e), "winmail.dat", "application/ms-tnef")
    yield "tnef-zip", lambda: attach(tnef(zipped(e), b"a.zip"), "winmail.dat", "application/ms-tnef")
    yield "smime-opaque", lambda: attach(smime_opaque(text + b"\r\n" + e), "smime.p7m", "application/pkcs7-mime; smime-type=signed-data")
    yield "pgp-literal", lambda: single(text, pgp_literal(e))
    yield "pdf-embedded-file", lambda: attach(pdf_with_file(e), "a.pdf", "application/pdf")
    yield (
        "html-data-uri",
        lambda: attach(b'<html><a href="data:text/plain;base64,' + base64.b64encode(e) + b'">x</a></html>', "a.html", "text/html"),
    )
    yield (
        "calendar",
        lambda: single(
            b"Content-Type: text/calendar\r\n",
            b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:"
            + base64.b64encode(e)
            + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        ),
    )
    yield (
        "alternative-in-mixed",
        lambda: single(
            b"Content-Type: multipart/mixed; boundary=o\r\n",
            b"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--i\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + b64(e)
            + b"--i--\r\n--o--\r\n",
        ),
    )
