"""Messages in messages, in pieces, elsewhere, in signatures, and files in calendars and cards."""

from __future__ import annotations

import base64
import bz2
import struct
import zlib
from collections.abc import Callable, Iterator

import wrappings
from eicar import EICAR
from variants import (
    FILE,
    HEAD,
    MIXED,
    PROGRAM,
    PROGRAM_MARK,
    TEXT,
    VERSION,
    ZIP,
    Variant,
    attached,
    base64_lines,
    encoded_part,
    mail,
    quoted_printable,
    single,
)

INNER = mail(encoded_part(EICAR))
OUTER = b"Content-Type: multipart/mixed; boundary=outer\r\n"


def _variant(name: str, *messages: bytes, marker: bytes = EICAR, special: str | None = None) -> Variant:
    return Variant(name, "message-type", messages, marker, None, special)


def _part(fields: bytes, body: bytes) -> bytes:
    return mail(fields + b"\r\n" + body + b"\r\n", OUTER, b"outer")


def partial_variants() -> Iterator[Variant]:
    def piece(number: int, total: int, body: bytes, fields: bytes = b"") -> bytes:
        field = b'Content-Type: message/partial; id="abc@example.org"; number=%d; total=%d\r\n' % (number, total)
        return HEAD + VERSION + (fields or field) + b"\r\n" + body

    for count in (1, 2, 3, 5):
        size = -(-len(INNER) // count)
        pieces = [piece(n + 1, count, INNER[n * size : (n + 1) * size]) for n in range(count)]
        yield _variant(f"partial-{count}", *pieces, special="partial")
        yield _variant(f"partial-{count}-reversed", *pieces[::-1], special="partial")
    half = len(INNER) // 2
    for name, form in (
        ("upper", b"CONTENT-TYPE: MESSAGE/PARTIAL; ID=abc; NUMBER=%d; TOTAL=2\r\n"),
        ("quoted", b'Content-Type: message/partial; id="abc"; number="%d"; total="2"\r\n'),
        ("no-total", b"Content-Type: message/partial; id=abc; number=%d\r\n"),
        ("comment", b"Content-Type: message/(x)partial; id=abc; number=%d; total=2\r\n"),
        ("fold", b"Content-Type: message/\r\n partial; id=abc; number=%d; total=2\r\n"),
        ("blank", b"Content-Type: message / partial; id=abc; number=%d; total=2\r\n"),
        ("word", b"Content-Type: =?us-ascii?Q?message/partial?=; id=abc; number=%d; total=2\r\n"),
        ("two-types", b"Content-Type: text/plain\r\nContent-Type: message/partial; id=abc; number=%d; total=2\r\n"),
        ("two-types-first", b"Content-Type: message/partial; id=abc; number=%d; total=2\r\nContent-Type: text/plain\r\n"),
        ("nul", b"Content-Type: message/\0partial; id=abc; number=%d; total=2\r\n"),
        ("blank-colon", b"Content-Type : message/partial; id=abc; number=%d; total=2\r\n"),
        ("comma", b"Content-Type: message/partial, id=abc, number=%d, total=2\r\n"),
        ("rfc2231", b"Content-Type: message/partial; id*0=a; id*1=bc; number*=''%d; total=2\r\n"),
        ("semicolon-first", b"Content-Type: ;message/partial; id=abc; number=%d; total=2\r\n"),
        ("no-version", b"Content-Type: message/partial; id=abc; number=%d; total=2\r\n"),
        ("quoted-type", b'Content-Type: "message/partial"; id=abc; number=%d; total=2\r\n'),
        ("list", b"Content-Type: text/plain, message/partial; id=abc; number=%d; total=2\r\n"),
        ("escape", b"Content-Type: message/part\\ial; id=abc; number=%d; total=2\r\n"),
        ("indented", b" Content-Type: message/partial; id=abc; number=%d; total=2\r\n"),
        ("after-cr", b"X-A: b\rContent-Type: message/partial; id=abc; number=%d; total=2\r\n"),
        ("after-junk", b"junk\r\nContent-Type: message/partial; id=abc; number=%d; total=2\r\n"),
        ("no-colon", b"Content-Type message/partial; id=abc; number=%d; total=2\r\n"),
        ("two-colons", b"Content-Type:: message/partial; id=abc; number=%d; total=2\r\n"),
    ):
        pieces = [piece(n, 2, body, form.replace(b"%d", b"%d" % n)) for n, body in ((1, INNER[:half]), (2, INNER[half:]))]
        yield _variant("partial-" + name, *pieces, special="partial")
    coded = [b"Content-Transfer-Encoding: base64\r\nContent-Type: message/partial; id=abc; number=%d; total=2\r\n" % n for n in (1, 2)]
    bodies = (INNER[:half], INNER[half:])
    yield _variant("partial-base64", *(piece(0, 2, base64_lines(b), f) for f, b in zip(coded, bodies, strict=True)), special="partial")
    parts = [_part(b"Content-Type: message/partial; id=abc; number=%d; total=2\r\n" % n, b) for n, b in enumerate(bodies, 1)]
    yield _variant("partial-inside", *parts, special="partial")


def external_variants() -> Iterator[Variant]:
    for name, fields in (
        ("url", b'Content-Type: message/external-body; access-type=URL; URL="http://192.0.2.1/x.exe"\r\n'),
        ("ftp", b"Content-Type: message/external-body; access-type=ANON-FTP; site=192.0.2.1; directory=pub; name=x.exe\r\n"),
        ("local", b"Content-Type: message/external-body; access-type=local-file; name=/etc/passwd\r\n"),
        ("mail-server", b"Content-Type: message/external-body; access-type=mail-server; server=a@example.org\r\n"),
        ("tftp", b"Content-Type: message/external-body; access-type=tftp; site=192.0.2.1; name=x\r\n"),
        ("content-id", b"Content-Type: message/external-body; access-type=content-id\r\n"),
        ("upper", b"CONTENT-TYPE: MESSAGE/EXTERNAL-BODY; ACCESS-TYPE=URL; URL=http://192.0.2.1/\r\n"),
        ("fold", b"Content-Type:\r\n message/external-body;\r\n access-type=URL;\r\n URL=http://192.0.2.1/\r\n"),
        ("comment", b"Content-Type: message/(x)external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("quoted", b'Content-Type: "message/external-body"; access-type=URL; URL=http://192.0.2.1/\r\n'),
        ("two-types", b"Content-Type: text/plain\r\nContent-Type: message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("two-types-first", b"Content-Type: message/external-body; access-type=URL; URL=http://192.0.2.1/\r\nContent-Type: text/plain\r\n"),
        ("list", b"Content-Type: text/plain, message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("blank", b"Content-Type: message /external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("blank-colon", b"Content-Type : message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("two-colons", b"Content-Type:: message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("semicolon-first", b"Content-Type: ;message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("indented", b" Content-Type: message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("after-junk", b"junk\r\nContent-Type: message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("after-lf", b"X-A: b\nContent-Type: message/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
        ("no-parameters", b"Content-Type: message/external-body\r\n"),
        ("octet-type", b"Content-Type: application/external-body; access-type=URL; URL=http://192.0.2.1/\r\n"),
    ):
        yield _variant("external-" + name, single(fields, b"Content-Type: application/octet-stream\r\n\r\n"), special="external")
        yield _variant("external-inside-" + name, _part(fields, b"Content-Type: application/octet-stream\r\n"), special="external")
        whole = single(b"Content-Type: message/rfc822\r\n", single(fields, b"Content-Type: image/png\r\n\r\n"))
        yield _variant("external-in-message-" + name, whole, special="external")


def wrapped_variants() -> Iterator[Variant]:
    """Messages under every label and encoding."""
    forms: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
        ("plain", bytes),
        ("empty-line", lambda m: b"\r\n" + m),
        ("empty-lines", lambda m: b"\r\n\r\n\r\n" + m),
        ("mbox", lambda m: b"From a@example.org Sun Nov 22 10:00:00 2026\r\n" + m),
        ("mbox-quoted", lambda m: b">From a@example.org Sun Nov 22 10:00:00 2026\r\n" + m),
        ("mbox-empty-line", lambda m: b"\r\nFrom a@example.org Sun Nov 22 10:00:00 2026\r\n" + m),
        ("bom", lambda m: b"\xef\xbb\xbf" + m),
        ("lf", lambda m: m.replace(b"\r\n", b"\n")),
        ("cr", lambda m: m.replace(b"\r\n", b"\r")),
        ("no-header", lambda m: m[len(HEAD + VERSION) :]),
        ("only-type", lambda m: MIXED + m[m.index(b"\r\n\r\n") + 2 :]),
        ("text-in-front", lambda m: b"Forwarded:\r\n\r\n" + m),
        ("quoted", lambda m: b"".join(b" " + line for line in m.splitlines(keepends=True))),
        ("nul", lambda m: b"\0" + m),
        ("utf-16", lambda m: b"\xff\xfe" + m.decode().encode("utf-16-le")),
    )
    types = (
        "message/rfc822 message/global message/news message/x-foo message/rfc822; charset=x text/rfc822 text/rfc822-headers message/delivery-status "
        "message/disposition-notification message/http message/feedback-report message/vnd.si.simp application/message application/mbox "
        "message message/ multipart/rfc822"
    )
    for kind in [
        *types.replace("; ", ";_").split(),
        "application/octet-stream; name=fwd.eml",
        "text/plain; name=x.eml",
        "application/octet-stream; name=x.mht",
        "application/x-mimearchive",
        "multipart/related; name=x.mht",
        "application/octet-stream; name=a.mbox",
        "application/octet-stream; name=a.msg",
        "application/vnd.ms-outlook",
        "application/octet-stream",
    ]:
        kind = kind.replace("_", " ")
        label = "".join(c if c.isalnum() else "-" for c in kind)
        field = b"Content-Type: " + kind.encode() + b"\r\n"
        for name, change in forms:
            body = change(INNER)
            yield _variant(f"{label}-{name}", _part(field, body))
            yield _variant(f"{label}-{name}-base64", _part(field + b"Content-Transfer-Encoding: base64\r\n", base64_lines(body)))
        yield _variant(f"{label}-qp", _part(field + b"Content-Transfer-Encoding: quoted-printable\r\n", quoted_printable(INNER)))
        yield _variant(f"{label}-8bit", _part(field + b"Content-Transfer-Encoding: 8bit\r\n", INNER))
        yield _variant(f"{label}-uu", _part(field + b"Content-Transfer-Encoding: x-uuencode\r\n", wrappings.uuencoded(INNER, "m.eml")))
        yield _variant(f"{label}-alone", single(field, INNER))
        yield _variant(f"{label}-alone-base64", single(field + b"Content-Transfer-Encoding: base64\r\n", base64_lines(INNER)))
        yield _variant(f"{label}-twice", single(field, HEAD + VERSION + field + b"\r\n" + INNER))
        yield _variant(f"{label}-same-boundary", mail(field + b"\r\n" + INNER))
        yield _variant(f"{label}-exe", _part(field, mail(encoded_part(PROGRAM))), marker=PROGRAM_MARK)
    report = b"Content-Type: multipart/report; report-type=delivery-status; boundary=outer\r\n"
    status = b"--outer\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n"
    for kind in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "text/plain", ""):
        field = b"Content-Type: " + kind.encode() + b"\r\n" if kind else b""
        for name, change in forms[:6]:
            body = b"--outer\r\n" + TEXT + status + b"--outer\r\n" + field + b"\r\n" + change(INNER) + b"--outer--\r\n"
            yield _variant(f"report-{kind.replace('/', '-') or 'none'}-{name}", HEAD + VERSION + report + b"\r\n" + body)
    inside = b"--outer\r\n" + TEXT + b"--outer\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n" + encoded_part(EICAR)
    yield _variant("report-in-status", HEAD + VERSION + report + b"\r\n" + inside + b"--outer--\r\n")


# -- S/MIME and PGP


def _indefinite(tag: int, *content: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(content) + b"\0\0"


def _octets(data: bytes, size: int) -> bytes:
    """An octet string in pieces, as BER allows."""
    return _indefinite(0x24, *(wrappings.der(0x04, data[i : i + size]) for i in range(0, len(data), size)))


SIGNED, PLAIN, COMPRESSED = (
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09",
)


def smime_ber(entity: bytes, size: int = 30) -> bytes:
    inner = _indefinite(0x30, PLAIN, _indefinite(0xA0, _octets(entity, size)))
    return _indefinite(0x30, SIGNED, _indefinite(0xA0, _indefinite(0x30, b"\x02\x01\x01", wrappings.der(0x31), inner, wrappings.der(0x31))))


def smime_definite_pieces(entity: bytes, size: int = 30) -> bytes:
    der = wrappings.der
    pieces = der(0x24, *(der(0x04, entity[i : i + size]) for i in range(0, len(entity), size)))
    return der(0x30, SIGNED, der(0xA0, der(0x30, b"\x02\x01\x01", der(0x31), der(0x30, PLAIN, der(0xA0, pieces)), der(0x31))))


def smime_compressed(entity: bytes) -> bytes:
    der = wrappings.der
    algorithm = der(0x30, b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08")
    inner = der(0x30, PLAIN, der(0xA0, der(0x04, zlib.compress(entity))))
    return der(0x30, COMPRESSED, der(0xA0, der(0x30, b"\x02\x01\x00", algorithm, inner)))


def smime_variants() -> Iterator[Variant]:
    entity = encoded_part(EICAR)
    for name, data in (
        ("der", wrappings.smime_opaque(entity)),
        ("der-raw-content", wrappings.smime_opaque(b"Content-Type: text/plain\r\n\r\n" + EICAR)),
        ("der-no-header", wrappings.smime_opaque(EICAR)),
        ("der-zip", wrappings.smime_opaque(encoded_part(ZIP))),
        ("der-file", wrappings.smime_opaque(ZIP)),
        ("der-lf", wrappings.smime_opaque(entity.replace(b"\r\n", b"\n"))),
        ("der-message", wrappings.smime_opaque(INNER)),
        ("der-qp", wrappings.smime_opaque(FILE + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted_printable(EICAR))),
        (
            "der-twice",
            wrappings.smime_opaque(
                b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                + base64_lines(wrappings.smime_opaque(entity))
            ),
        ),
        ("der-directly-twice", wrappings.smime_opaque(wrappings.smime_opaque(entity))),
        ("ber", smime_ber(entity)),
        ("ber-tiny", smime_ber(entity, 1)),
        ("ber-raw", smime_ber(b"Content-Type: text/plain\r\n\r\n" + EICAR, 17)),
        ("ber-large", smime_ber(entity, 100)),
        ("ber-definite", smime_definite_pieces(entity)),
        ("ber-no-end", smime_ber(entity)[:-8]),
        ("junk-behind", wrappings.smime_opaque(entity) + b"junk"),
        ("compressed", smime_compressed(entity)),
        (
            "compressed-in-signed",
            wrappings.smime_opaque(
                b"Content-Type: application/pkcs7-mime; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                + base64_lines(smime_compressed(entity))
            ),
        ),
    ):
        for label, fields in (
            ("", b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n"),
            ("-x", b"Content-Type: application/x-pkcs7-mime; name=smime.p7m\r\n"),
            ("-name", b"Content-Type: application/octet-stream; name=smime.p7m\r\n"),
            ("-enveloped", b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"),
            ("-no-name", b"Content-Type: application/octet-stream\r\n"),
            ("-p7s", b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"),
            ("-image", b"Content-Type: image/png\r\n"),
        ):
            yield _variant(f"smime-{name}{label}", single(fields + b"Content-Transfer-Encoding: base64\r\n", base64_lines(data)))
            yield _variant(f"smime-{name}{label}-part", mail(fields + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(data)))
        for label, text in (("pem", b"PKCS7"), ("pem-cms", b"CMS")):
            armoured = b"-----BEGIN " + text + b"-----\r\n" + base64_lines(data, 64) + b"-----END " + text + b"-----\r\n"
            yield _variant(f"smime-{name}-{label}", single(b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n", armoured))
            yield _variant(f"smime-{name}-{label}-file", attached(armoured, "smime.p7m"))
            yield _variant(f"smime-{name}-{label}-text", single(b"Content-Type: text/plain\r\n", b"Hello\r\n\r\n" + armoured))


def _packet(tag: int, body: bytes, form: str = "new5") -> bytes:
    if form == "new1":
        return bytes((0xC0 | tag, len(body))) + body
    if form == "new2":
        size = len(body) - 192
        return bytes((0xC0 | tag, (size >> 8) + 192, size & 255)) + body
    if form == "old1":
        return bytes((0x80 | tag << 2, len(body))) + body
    if form == "old2":
        return bytes((0x81 | tag << 2,)) + struct.pack(">H", len(body)) + body
    if form == "old4":
        return bytes((0x82 | tag << 2,)) + struct.pack(">I", len(body)) + body
    if form == "indefinite":
        return bytes((0x83 | tag << 2,)) + body
    if form == "partial":
        out = bytes((0xC0 | tag,))
        while len(body) > 32:
            out, body = out + b"\xe5" + body[:32], body[32:]
        return out + bytes((len(body),)) + body
    return bytes((0xC0 | tag, 0xFF)) + struct.pack(">I", len(body)) + body


def _literal(data: bytes, form: str = "new5", kind: bytes = b"b", name: bytes = b"report.bin") -> bytes:
    return _packet(11, kind + bytes((len(name),)) + name + b"\0\0\0\0" + data, form)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def pgp_variants() -> Iterator[Variant]:
    long = EICAR * 4
    signature = _packet(4, b"\3\0\x11\1" + b"\0" * 8 + b"\1") + _literal(EICAR) + _packet(2, b"\4\0\x11\1\0\0\0\0\0\0")
    for name, data in (
        ("new-1", _literal(EICAR, "new1")),
        ("new-2", _literal(long, "new2")),
        ("new-5", _literal(EICAR)),
        ("old-1", _literal(EICAR, "old1")),
        ("old-2", _literal(EICAR, "old2")),
        ("old-4", _literal(EICAR, "old4")),
        ("old-indefinite", _literal(EICAR, "indefinite")),
        ("partial", _literal(b"x" * 32 + EICAR, "partial")),
        ("text", _literal(EICAR, kind=b"t")),
        ("utf8", _literal(EICAR, kind=b"u")),
        ("local", _literal(EICAR, kind=b"l")),
        ("no-name", _literal(EICAR, name=b"")),
        ("zip-file", _literal(ZIP)),
        ("mail", _literal(INNER)),
        ("deflate", _packet(8, b"\1" + _deflated(_literal(EICAR)))),
        ("zlib", _packet(8, b"\2" + zlib.compress(_literal(EICAR)))),
        ("bzip2", _packet(8, b"\3" + bz2.compress(_literal(EICAR)))),
        ("uncompressed", _packet(8, b"\0" + _literal(EICAR))),
        ("deflate-indefinite", _packet(8, b"\1" + _deflated(_literal(EICAR)), "indefinite")),
        ("twice-compressed", _packet(8, b"\2" + zlib.compress(_packet(8, b"\1" + _deflated(_literal(EICAR)))))),
        ("signed", signature),
        ("marker-packet", _packet(10, b"PGP") + _literal(EICAR)),
        ("padding-packet", _packet(21, b"xyz") + _literal(EICAR)),
        ("cut", _literal(EICAR + b"x" * 50)[:-20]),
    ):
        for form, text in (
            ("", b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + base64_lines(data, 64) + b"-----END PGP MESSAGE-----\r\n"),
            (
                "-checksum",
                b"-----BEGIN PGP MESSAGE-----\r\nVersion: 1\r\nComment: x\r\n\r\n"
                + base64_lines(data, 64)
                + b"=AAAA\r\n-----END PGP MESSAGE-----\r\n",
            ),
            ("-no-empty-line", b"-----BEGIN PGP MESSAGE-----\r\n" + base64_lines(data, 64) + b"-----END PGP MESSAGE-----\r\n"),
            ("-blank-line", b"-----BEGIN PGP MESSAGE-----\r\n \r\n" + base64_lines(data, 64) + b"-----END PGP MESSAGE-----\r\n"),
            ("-no-end", b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + base64_lines(data, 64)),
        ):
            yield _variant(f"pgp-{name}{form}", single(b"Content-Type: text/plain\r\n", text))
        armour = b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + base64_lines(data, 64) + b"-----END PGP MESSAGE-----\r\n"
        yield _variant(f"pgp-{name}-after-text", single(b"Content-Type: text/plain\r\n", b"Hello,\r\n\r\n" + armour + b"\r\nbye\r\n"))
        yield _variant(f"pgp-{name}-file", attached(armour, "report.asc"))
        yield _variant(
            f"pgp-{name}-qp",
            single(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n", quoted_printable(armour)),
        )
        yield _variant(f"pgp-{name}-lf", single(b"Content-Type: text/plain\r\n", armour).replace(b"\r\n", b"\n"))
        yield _variant(f"pgp-{name}-html", single(b"Content-Type: text/html\r\n", b"<pre>\r\n" + armour + b"</pre>\r\n"))
        yield _variant(f"pgp-{name}-binary", attached(data, "report.pgp", "application/pgp"))
        encrypted = b"Content-Type: multipart/encrypted; protocol=application/pgp-encrypted; boundary=outer\r\n"
        control = b"--outer\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--outer\r\n"
        stream = b"Content-Type: application/octet-stream; name=encrypted.asc\r\n\r\n" + armour
        yield _variant(f"pgp-{name}-mime", HEAD + VERSION + encrypted + b"\r\n" + control + stream + b"--outer--\r\n")


def inline_variants() -> Iterator[Variant]:
    """Files in calendars, cards and mark-up languages."""
    coded = base64.b64encode(EICAR)
    folded = coded[:40] + b"\r\n " + coded[40:]
    lines = b"\r\n".join(b" " + coded[i : i + 20] for i in range(0, len(coded), 20))
    calendar, end = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n", b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    card, card_end = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A\r\n", b"\r\nEND:VCARD\r\n"
    for name, body, kind, file in (
        ("ics-attach", calendar + b"ATTACH;ENCODING=BASE64;VALUE=BINARY:" + coded + end, "text/calendar", "a.ics"),
        ("ics-attach-folded", calendar + b"ATTACH;ENCODING=BASE64;VALUE=BINARY:" + folded + end, "text/calendar", "a.ics"),
        (
            "ics-attach-many-folds",
            calendar + b"ATTACH;FMTTYPE=application/x;ENCODING=BASE64;VALUE=BINARY:\r\n" + lines + end,
            "text/calendar",
            "a.ics",
        ),
        ("ics-attach-lower", calendar + b"attach;encoding=base64;value=binary:" + coded + end, "text/calendar", "a.ics"),
        (
            "ics-attach-tab-fold",
            calendar + b"ATTACH;ENCODING=BASE64;VALUE=BINARY:" + folded.replace(b"\r\n ", b"\r\n\t") + end,
            "text/calendar",
            "a.ics",
        ),
        (
            "ics-attach-lf",
            (calendar + b"ATTACH;ENCODING=BASE64;VALUE=BINARY:" + folded + end).replace(b"\r\n", b"\n"),
            "text/calendar",
            "a.ics",
        ),
        (
            "ics-attach-parameter-first",
            calendar + b'ATTACH;X-FILENAME="a:b.exe";VALUE=BINARY;ENCODING=BASE64:' + coded + end,
            "text/calendar",
            "a.ics",
        ),
        ("ics-attach-uri", calendar + b"ATTACH:data:application/octet-stream;base64," + coded + end, "text/calendar", "a.ics"),
        ("ics-image", calendar + b"IMAGE;VALUE=BINARY;ENCODING=BASE64;FMTTYPE=image/png:" + coded + end, "text/calendar", "a.ics"),
        (
            "vcal-1-attach",
            b"BEGIN:VCALENDAR\r\nVERSION:1.0\r\nATTACH;ENCODING=BASE64:\r\n" + lines + b"\r\n\r\nEND:VCALENDAR\r\n",
            "text/x-vcalendar",
            "a.vcs",
        ),
        ("vcf-photo", card + b"PHOTO;ENCODING=b;TYPE=JPEG:" + coded + card_end, "text/vcard", "a.vcf"),
        ("vcf-photo-folded", card + b"PHOTO;ENCODING=b;TYPE=JPEG:" + folded + card_end, "text/vcard", "a.vcf"),
        ("vcf-photo-2.1", card + b"PHOTO;ENCODING=BASE64;JPEG:\r\n" + lines + b"\r\n" + card_end, "text/x-vcard", "a.vcf"),
        ("vcf-photo-4", card + b"PHOTO:data:image/jpeg;base64," + coded + card_end, "text/vcard", "a.vcf"),
        ("vcf-group", card + b"item1.PHOTO;ENCODING=b:" + coded + card_end, "text/vcard", "a.vcf"),
        ("vcf-logo", card + b"LOGO;ENCODING=B;TYPE=PNG:" + coded + card_end, "text/directory", "a.vcf"),
        ("vcf-sound", card + b"SOUND;ENCODING=b:" + coded + card_end, "text/vcard", "a.vcf"),
        ("vcf-key", card + b"KEY;ENCODING=b:" + coded + card_end, "text/vcard", "a.vcf"),
        (
            "vcf-qp",
            card + b"NOTE;ENCODING=QUOTED-PRINTABLE:" + b"".join(b"=%02X" % byte for byte in EICAR) + card_end,
            "text/vcard",
            "a.vcf",
        ),
        ("ldif", b"dn: cn=a\r\njpegPhoto:: " + folded + b"\r\n", "text/ldif", "a.ldif"),
    ):
        fields = b"Content-Type: " + kind.encode() + b"\r\n"
        yield _variant(f"{name}-body", single(fields, body))
        yield _variant(f"{name}-base64", single(fields + b"Content-Transfer-Encoding: base64\r\n", base64_lines(body)))
        yield _variant(f"{name}-qp", single(fields + b"Content-Transfer-Encoding: quoted-printable\r\n", quoted_printable(body)))
        yield _variant(f"{name}-part", mail(fields + b"\r\n" + body))
        yield _variant(f"{name}-file", attached(body, file))
        yield _variant(f"{name}-octets", attached(body, "a.dat"))
        yield _variant(f"{name}-text", attached(body, "a.txt", "text/plain"))
        yield _variant(f"{name}-zip", attached(wrappings.zipped(body, file), "a.zip"))
        if name.startswith("ics"):
            alternative = b"Content-Type: multipart/alternative; boundary=foo\r\n"
            yield _variant(
                f"{name}-invitation", mail(b"Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n" + body, alternative)
            )


def message_variants() -> Iterator[Variant]:
    yield from partial_variants()
    yield from external_variants()
    yield from wrapped_variants()
    yield from smime_variants()
    yield from pgp_variants()
    yield from inline_variants()
