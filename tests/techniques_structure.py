"""Structure that clients read differently: delimiters, nesting, line ends, header blocks, and ends of data that are none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

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
    base64_lines,
    encoded_part,
    mail,
    nested,
    quoted_printable,
    single,
)

OUTER = b"Content-Type: multipart/mixed; boundary=outer\r\n"


class Shape(NamedTuple):
    """A way to put a part into a mail."""

    name: str
    make: Callable[[bytes], bytes]


def _with(body: bytes) -> Callable[[bytes], bytes]:
    """A mail with this body, in which %P stands for the part."""
    return lambda part: HEAD + VERSION + MIXED + b"\r\n" + body.replace(b"%P", part).replace(b"%T", TEXT)


def shapes() -> Iterator[Shape]:
    usual = b"--foo\r\n%T--foo\r\n%P--foo--\r\n"
    yield Shape("usual", _with(usual))
    for name, body in (
        ("no-close", b"--foo\r\n%T--foo\r\n%P"),
        ("no-line-end-at-all", b"--foo\r\n%T--foo\r\n%P--foo--"),
        ("only-part", b"--foo\r\n%P--foo--\r\n"),
        ("only-part-no-close", b"--foo\r\n%P"),
        ("close-twice", usual + b"--foo--\r\n"),
        ("close-early", b"--foo\r\n%T--foo--\r\n--foo\r\n%P--foo--\r\n"),
        ("close-first", b"--foo--\r\n--foo\r\n%T--foo\r\n%P--foo--\r\n"),
        ("close-instead-of-delimiter", b"--foo\r\n%T--foo--\r\n%P--foo--\r\n"),
        ("close-only", b"--foo--\r\n%P--foo--\r\n"),
        ("close-text", usual[:-2] + b" and more\r\n"),
        ("close-text-part", b"--foo\r\n%T--foo--x\r\n%P"),
        ("close-one-dash", b"--foo\r\n%T--foo\r\n%P--foo-\r\n"),
        ("close-three-dashes", b"--foo\r\n%T--foo---\r\n%P--foo--\r\n"),
        ("close-blank-dashes", b"--foo\r\n%T--foo --\r\n--foo\r\n%P--foo--\r\n"),
        ("part-after-epilogue", b"--foo\r\n%T--foo--\r\nepilogue\r\n--foo\r\n%P--foo--\r\n"),
        ("part-in-epilogue-no-close", b"--foo\r\n%T--foo--\r\n\r\n--foo\r\n%P"),
        ("part-in-preamble", b"%P--foo\r\n%T--foo--\r\n"),
        ("part-in-preamble-after-empty-line", b"\r\n%P--foo\r\n%T--foo--\r\n"),
        ("part-in-preamble-after-text", b"text\r\n%P--foo\r\n%T--foo--\r\n"),
        ("other-delimiter-in-preamble", b"--bar\r\n%P--bar--\r\n--foo\r\n%T--foo--\r\n"),
        ("part-in-epilogue", b"--foo\r\n%T--foo--\r\n%P"),
        ("other-delimiter-in-epilogue", b"--foo\r\n%T--foo--\r\n--bar\r\n%P--bar--\r\n"),
        ("empty-part-first", b"--foo\r\n--foo\r\n%P--foo--\r\n"),
        ("empty-parts", b"--foo\r\n\r\n" * 5 + b"--foo\r\n%P--foo--\r\n"),
        ("two-delimiters", b"--foo\r\n--foo\r\n--foo\r\n%P--foo--\r\n"),
        ("three-dashes", usual.replace(b"--foo\r", b"---foo\r")),
        ("one-dash", usual.replace(b"--foo\r", b"-foo\r")),
        ("no-dashes", usual.replace(b"--foo\r", b"foo\r")),
        ("blank-in-front", usual.replace(b"--foo", b" --foo")),
        ("tab-in-front", usual.replace(b"--foo", b"\t--foo")),
        ("many-blanks-in-front", usual.replace(b"--foo", b" " * 100 + b"--foo")),
        ("quoted", usual.replace(b"--foo", b"> --foo")),
        ("dot-in-front", usual.replace(b"--foo", b".--foo")),
        ("vt-in-front", usual.replace(b"--foo", b"\x0b--foo")),
        ("ff-in-front", usual.replace(b"--foo", b"\x0c--foo")),
        ("nul-in-front", usual.replace(b"--foo", b"\0--foo")),
        ("bom-in-front", b"\xef\xbb\xbf" + usual),
        ("blank-between", usual.replace(b"--foo", b"-- foo")),
        ("blank-behind", usual.replace(b"--foo\r", b"--foo \r")),
        ("blanks-behind", usual.replace(b"--foo\r", b"--foo" + b" " * 600 + b"\r")),
        ("tab-behind", usual.replace(b"--foo\r", b"--foo\t\r")),
        ("vt-behind", usual.replace(b"--foo\r", b"--foo\x0b\r")),
        ("ff-behind", usual.replace(b"--foo\r", b"--foo\x0c\r")),
        ("nul-behind", usual.replace(b"--foo\r", b"--foo\0\r")),
        ("nbsp-behind", usual.replace(b"--foo\r", b"--foo\xa0\r")),
        ("junk-behind", usual.replace(b"--foo\r", b"--foobar\r")),
        ("blank-junk-behind", usual.replace(b"--foo\r", b"--foo bar\r")),
        ("comment-behind", usual.replace(b"--foo\r", b"--foo (x)\r")),
        ("semicolon-behind", usual.replace(b"--foo\r", b"--foo;\r")),
        ("quote-around", usual.replace(b"--foo\r", b'--"foo"\r')),
        ("long-junk-behind", usual.replace(b"--foo\r", b"--foo" + b"x" * 5000 + b"\r")),
        ("vt-line", usual.replace(b"\r\n--foo", b"\x0b--foo")),
        ("lf-before", usual.replace(b"\r\n--foo", b"\n--foo")),
        ("cr-before", usual.replace(b"\r\n--foo", b"\r--foo")),
        ("nothing-before", usual.replace(b"\r\n--foo", b"--foo")),
        ("lf-after", usual.replace(b"--foo\r\n", b"--foo\n")),
        ("cr-after", usual.replace(b"--foo\r\n", b"--foo\r")),
        ("cr-cr-lf-after", usual.replace(b"--foo\r\n", b"--foo\r\r\n")),
        ("lf-cr-after", usual.replace(b"--foo\r\n", b"--foo\n\r")),
        ("cr-around", usual.replace(b"\r\n--foo\r\n", b"\r--foo\r")),
        ("vt-after", usual.replace(b"--foo\r\n", b"--foo\x0b\n")),
        ("empty-line-after", usual.replace(b"--foo\r\n", b"--foo\r\n\r\n")),
        ("two-empty-lines-after", usual.replace(b"--foo\r\n", b"--foo\r\n\r\n\r\n")),
        ("blank-line-after", usual.replace(b"--foo\r\n", b"--foo\r\n \r\n")),
        ("vt-line-after", usual.replace(b"--foo\r\n", b"--foo\r\n\x0b\r\n")),
        ("text-after", usual.replace(b"--foo\r\n", b"--foo\r\nhello\r\n")),
        ("text-after-empty-line", usual.replace(b"--foo\r\n", b"--foo\r\nhello\r\n\r\n")),
        ("text-after-blank-line", usual.replace(b"--foo\r\n", b"--foo\r\n\r\nhello\r\n")),
        ("mbox-line-after", usual.replace(b"--foo\r\n", b"--foo\r\nFrom x\r\n")),
        ("mid-line", b"hello --foo\r\n%P--foo--\r\n"),
        ("mid-line-each", usual.replace(b"--foo", b"x--foo")),
        ("mid-line-second", b"--foo\r\n%T hello --foo\r\n%P--foo--\r\n"),
        ("case", usual.replace(b"foo", b"FOO")),
        ("after-2000-bytes", b"x" * 2000 + b"--foo\r\n%P--foo--\r\n"),
        ("line-of-2000-before", b"--foo\r\n%T" + b"x" * 2000 + b"\r\n--foo\r\n%P--foo--\r\n"),
        ("fold-like", b"--foo\r\n%T\r\n --foo\r\n%P--foo--\r\n"),
        ("delimiter-in-header", b"--foo\r\nContent-Type: text/plain\r\n--foo\r\n%P--foo--\r\n"),
        ("delimiter-in-fold", b"--foo\r\nContent-Type: text/plain;\r\n --foo\r\n%P--foo--\r\n"),
        ("1500-parts", b"--foo\r\n\r\n" * 1500 + b"--foo\r\n%P--foo--\r\n"),
        ("6000-parts", b"--foo\r\n\r\n" * 6000 + b"--foo\r\n%P--foo--\r\n"),
        ("nearly-delimiters", b"--foo\r\n%T" + b"--fooo\r\n--fo\r\n-- foo\r\n" * 50 + b"--foo\r\n%P--foo--\r\n"),
        ("outer-dash-delimiters", b"--\r\n%P----\r\n--foo\r\n%T--foo--\r\n"),
    ):
        yield Shape(name, _with(body))
    inner = b"Content-Type: multipart/mixed; boundary=%b\r\n%b\r\n--%b\r\n%%P--%b--\r\n"
    for name, outer, own in (
        ("inner-is-prefix", b"foobar", b"foo"),
        ("inner-extends", b"foo", b"foobar"),
        ("inner-extends-dashes", b"foo", b"foo--"),
        ("inner-is-same", b"foo", b"foo"),
        ("inner-other-case", b"foo", b"FOO"),
        ("inner-blank", b"foo", b'"foo bar"'),
        ("inner-dashes", b"foo", b"--foo"),
    ):
        shown = own.strip(b'"')
        for close in (b"--\r\n", b""):
            body = b"--" + outer + b"\r\n" + TEXT + b"--" + outer + b"\r\n" + inner % (own, b"", shown, shown)
            if not close:
                body = body.replace(b"--" + shown + b"--\r\n", b"")
            tail = b"--" + outer + b"--\r\n"
            field = b"Content-Type: multipart/mixed; boundary=" + outer + b"\r\n\r\n"
            label = name + ("" if close else "-no-close")
            yield Shape(label, lambda part, f=field, b=body, t=tail: HEAD + VERSION + f + b.replace(b"%P", part) + t)  # type: ignore[misc]
    for name, body in (
        ("outer-closed-first", b"--outer\r\n" + MIXED + b"\r\n--foo\r\n%T--outer--\r\n--foo\r\n%P--foo--\r\n"),
        ("outer-closed-inside", b"--outer\r\n" + MIXED + b"\r\n--outer--\r\n--foo\r\n%P--foo--\r\n"),
        ("outer-next-inside", b"--outer\r\n" + MIXED + b"\r\n--foo\r\n%T--outer\r\n%P--foo--\r\n--outer--\r\n"),
        ("inner-not-closed", b"--outer\r\n" + MIXED + b"\r\n--foo\r\n%P--outer--\r\n"),
        ("inner-closed-by-outer-name", b"--outer\r\n" + MIXED + b"\r\n--foo\r\n%P--outer\r\n%T--foo--\r\n--outer--\r\n"),
        ("inner-after-inner-close", b"--outer\r\n" + MIXED + b"\r\n--foo\r\n%T--foo--\r\n--foo\r\n%P--outer--\r\n"),
        (
            "inner-delimiter-in-outer",
            b"--outer\r\n" + MIXED + b"\r\n--foo\r\n%T--foo--\r\n--outer\r\n%T--foo\r\n%P--foo--\r\n--outer--\r\n",
        ),
        ("inner-close-in-header", b"--outer\r\n" + MIXED + b"--foo--\r\nX-Y: z\r\n\r\n--foo\r\n%P--foo--\r\n--outer--\r\n"),
        ("inner-delimiter-in-header", b"--outer\r\n" + MIXED + b"--foo\r\n%P--foo--\r\n--outer--\r\n"),
        ("inner-header-no-end", b"--outer\r\n" + MIXED + b"--foo\r\n%T--foo\r\n%P--foo--\r\n--outer--\r\n"),
        ("inner-after-text-header", b"--outer\r\nContent-Type: text/plain\r\n\r\n" + MIXED + b"\r\n--foo\r\n%P--foo--\r\n--outer--\r\n"),
        ("inner-comment-name", b"--outer\r\nContent-Type(x): multipart/mixed; boundary=foo\r\n\r\n--foo\r\n%P--foo--\r\n--outer--\r\n"),
        (
            "inner-alternative",
            b"--outer\r\n" + MIXED.replace(b"mixed", b"alternative") + b"\r\n--foo\r\n%T--foo\r\n%P--foo--\r\n--outer--\r\n",
        ),
    ):
        yield Shape(name, lambda part, b=body: HEAD + VERSION + OUTER + b"\r\n" + b.replace(b"%P", part).replace(b"%T", TEXT))  # type: ignore[misc]
    for subtype in (
        "alternative", "related", "parallel", "report", "form-data", "signed", "encrypted", "digest", "appledouble", "header-set", "voice-message",
        "x-mixed-replace", "byteranges", "mixed+xml", "x-foo", "fax-message", "MIXED", "related; type=text/html", "report; report-type=delivery-status",
        "signed; protocol=x; micalg=y", "encrypted; protocol=application/pgp-encrypted", "x-zip", "nonsense",
    ):  # fmt: skip
        field = f"Content-Type: multipart/{subtype}; boundary=foo\r\n".encode()
        yield Shape("subtype-" + re.sub(r"[^\w+-]+", "-", subtype), lambda part, f=field: mail(part, f))  # type: ignore[misc]
    for subtype in ("digest", "signed", "encrypted", "alternative", "appledouble"):
        field = f"Content-Type: multipart/{subtype}; boundary=foo\r\n".encode()
        yield Shape(f"only-part-of-{subtype}", lambda part, f=field: HEAD + VERSION + f + b"\r\n--foo\r\n" + part + b"--foo--\r\n")  # type: ignore[misc]
    digest = b"Content-Type: multipart/digest; boundary=foo\r\n"
    yield Shape("digest-message", lambda part: HEAD + VERSION + digest + b"\r\n--foo\r\n\r\n" + HEAD + part + b"--foo--\r\n")
    yield Shape("digest-message-no-empty-line", lambda part: HEAD + VERSION + digest + b"\r\n--foo\r\n" + HEAD + part + b"--foo--\r\n")
    yield Shape(
        "digest-with-type",
        lambda part: HEAD + VERSION + digest + b"\r\n--foo\r\nContent-Type: message/rfc822\r\n\r\n" + HEAD + part + b"--foo--\r\n",
    )
    pgp = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--foo\r\n"
    encrypted = b"Content-Type: multipart/encrypted; protocol=application/pgp-encrypted; boundary=foo\r\n"
    yield Shape("encrypted-second-part", lambda part: HEAD + VERSION + encrypted + b"\r\n--foo\r\n" + pgp + part + b"--foo--\r\n")
    for depth in (2, 10, 40, 48, 49, 50, 60, 150):
        yield Shape(f"nested-{depth}", lambda part, d=depth: HEAD + VERSION + nested(part, d))  # type: ignore[misc]
    for depth in (2, 10, 25, 45, 60):
        yield Shape(f"messages-{depth}", lambda part, d=depth: HEAD + VERSION + b"Content-Type: message/rfc822\r\n\r\n" * d + part)  # type: ignore[misc]
        full = b"Content-Type: message/rfc822\r\n\r\n" + HEAD + VERSION
        yield Shape(f"full-messages-{depth}", lambda part, d=depth, f=full: HEAD + VERSION + f * d + part)  # type: ignore[misc]


def part_variants() -> Iterator[Variant]:
    """Parts whose own header says little, or something else."""
    body = b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(EICAR)
    for name, fields in (
        ("no-type", b'Content-Disposition: attachment; filename="report.bin"\r\n'),
        ("no-disposition", b'Content-Type: application/octet-stream; name="report.bin"\r\n'),
        ("nothing", b""),
        ("image", b"Content-Type: image/png\r\n"),
        ("image-inline", b"Content-Type: image/gif\r\nContent-Disposition: inline\r\nContent-ID: <a>\r\n"),
        ("audio", b"Content-Type: audio/mpeg\r\n"),
        ("text", b"Content-Type: text/plain\r\n"),
        ("html", b"Content-Type: text/html\r\n"),
        ("calendar", b"Content-Type: text/calendar\r\n"),
        ("signature", b"Content-Type: application/pgp-signature\r\n"),
        ("smime-signature", b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"),
        ("unknown", b"Content-Type: x-foo/x-bar\r\n"),
        ("garbage", b"Content-Type: garbage\r\n"),
        ("empty-type", b"Content-Type:\r\n"),
        ("delivery-status", b"Content-Type: message/delivery-status\r\n"),
        ("headers", b"Content-Type: text/rfc822-headers\r\n"),
        ("external-body-in-name", b"Content-Type: application/octet-stream; name=external-body\r\n"),
        ("multipart-without-boundary", b"Content-Type: multipart/mixed\r\n"),
        ("many-fields", b"X-Filler: y\r\n" * 3000 + FILE),
        ("long-field", b"X-Filler: " + b"y" * 200_000 + b"\r\n" + FILE),
        ("long-type", b"Content-Type: application/octet-stream; x=" + b"y" * 100_000 + b"\r\n"),
    ):
        yield Variant("part-" + name, "mp-structure", (mail(fields + body),))
        yield Variant("part-" + name + "-alone", "mp-structure", (HEAD + VERSION + fields + body,))
    for name, text in (
        ("raw", EICAR + b"\r\n"),
        ("raw-in-text", b"Hello " + EICAR + b" bye\r\n"),
        ("raw-after-ctrl-z", b"\x1a" + EICAR),
        ("raw-html", b"<p>" + EICAR),
    ):
        for coding in (b"", b"7bit", b"8bit", b"binary", b"x-foo"):
            field = b"Content-Transfer-Encoding: " + coding + b"\r\n" if coding else b""
            yield Variant(f"{name}-{coding.decode() or 'none'}", "line-endings", (mail(FILE + field + b"\r\n" + text),))
    for coding in (b"", b"8bit", b"binary"):
        field = b"Content-Transfer-Encoding: " + coding + b"\r\n" if coding else b""
        for name, data, marker in (("zip", ZIP, EICAR), ("program", PROGRAM, PROGRAM_MARK)):
            yield Variant(
                f"raw-{name}-{coding.decode() or 'none'}", "line-endings", (mail(FILE + field + b"\r\n" + data + b"\r\n"),), marker
            )
            yield Variant(
                f"raw-{name}-{coding.decode() or 'none'}-alone", "line-endings", (HEAD + VERSION + FILE + field + b"\r\n" + data,), marker
            )


def shape_variants() -> Iterator[Variant]:
    quoted = FILE + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted_printable(EICAR)
    for shape in shapes():
        yield Variant(shape.name, "mp-structure", (shape.make(encoded_part(EICAR)),))
        yield Variant(shape.name + "-qp", "mp-structure", (shape.make(quoted),))
        yield Variant(shape.name + "-raw", "mp-structure", (shape.make(FILE + b"\r\n" + EICAR + b"\r\n"),))
        yield Variant(shape.name + "-exe", "mp-structure", (shape.make(encoded_part(PROGRAM)),), PROGRAM_MARK)


# -- line ends and header blocks


class Change(NamedTuple):
    """What is done to a whole mail."""

    name: str
    change: Callable[[bytes], bytes]


def _split(message: bytes) -> tuple[bytes, bytes]:
    head, _, body = message.partition(b"\r\n\r\n")
    return head, body


def _before_type(line: bytes) -> Callable[[bytes], bytes]:
    return lambda message: message.replace(b"MIME-Version", line + b"MIME-Version", 1)


def _end(end: bytes) -> Callable[[bytes], bytes]:
    """Header and body of the mail are divided by this."""
    return lambda message: message.replace(b"\r\n\r\n", end, 1)


def _prefix(prefix: bytes) -> Callable[[bytes], bytes]:
    return lambda message: prefix + message


def changes() -> Iterator[Change]:
    for name, end in (
        ("lf", b"\n"),
        ("cr", b"\r"),
        ("crcrlf", b"\r\r\n"),
        ("lfcr", b"\n\r"),
        ("crlflf", b"\r\n\n"),
        ("crcr", b"\r\r"),
        ("nel", b"\x85"),
    ):
        yield Change("all-" + name, lambda m, e=end: m.replace(b"\r\n", e))  # type: ignore[misc]
        yield Change("header-" + name, lambda m, e=end: _split(m)[0].replace(b"\r\n", e) + b"\r\n\r\n" + _split(m)[1])  # type: ignore[misc]
        yield Change("body-" + name, lambda m, e=end: _split(m)[0] + b"\r\n\r\n" + _split(m)[1].replace(b"\r\n", e))  # type: ignore[misc]
        yield Change("header-end-" + name, _end(b"\r\n" + end))
        yield Change("all-header-ends-" + name, lambda m, e=end: m.replace(b"\r\n\r\n", b"\r\n" + e))  # type: ignore[misc]
        yield Change("header-end-2-" + name, _end(end + end))
        yield Change("one-line-" + name, lambda m, e=end: m.replace(b"Subject: report\r\n", b"Subject: report" + e))  # type: ignore[misc]
    yield Change("alternating", lambda m: re.sub(rb"\r\n(.*)\r\n", rb"\n\1\r\n", m))
    for name, prefix in (
        ("empty-line", b"\r\n"),
        ("empty-lines", b"\r\n\r\n\r\n"),
        ("empty-line-lf", b"\n"),
        ("empty-line-cr", b"\r"),
        ("blank-line", b" \r\n"),
        ("blank", b" "),
        ("tab", b"\t"),
        ("bom", b"\xef\xbb\xbf"),
        ("bom-16", b"\xff\xfe"),
        ("bom-empty-line", b"\xef\xbb\xbf\r\n"),
        ("nul", b"\0"),
        ("nuls", b"\0" * 100),
        ("ctrl-z", b"\x1a"),
        ("vt", b"\x0b"),
        ("dot", b".\r\n"),
        ("mbox", b"From a@example.org Sun Nov 22 10:00:00 2026\r\n"),
        ("mbox-quoted", b">From a@example.org Sun Nov 22 10:00:00 2026\r\n"),
        ("mbox-no-date", b"From nobody\r\n"),
        ("mbox-bom", b"\xef\xbb\xbfFrom nobody\r\n"),
        ("mbox-empty-line", b"\r\nFrom nobody\r\n"),
        ("mbox-twice", b"From nobody\r\nFrom nobody\r\n"),
        ("mbox-colon", b"From: \r\nFrom nobody\r\n"),
        ("text", b"Hello there\r\n"),
        ("text-colon", b"Hello there: you\r\n"),
        ("status-line", b"HTTP/1.1 200 OK\r\n"),
        ("smtp", b"DATA\r\n"),
        ("colon", b": x\r\n"),
        ("delimiter", b"--foo\r\n"),
        ("8bit", b"\xe4\xf6\r\n"),
        ("length", b"1234\r\n"),
        ("imap", b"* 1 FETCH (BODY[] {2000}\r\n"),
    ):
        yield Change("begins-" + name, _prefix(prefix))
    for name, line in (
        ("junk", b"this is no header field\r\n"),
        ("junk-8bit", b"\xe4\xf6\xfc\r\n"),
        ("junk-nul", b"\0\r\n"),
        ("junk-colon-first", b": value\r\n"),
        ("junk-blank-name", b"a b c: value\r\n"),
        ("junk-dashes", b"-----\r\n"),
        ("junk-dot", b".\r\n"),
        ("junk-html", b"<html>\r\n"),
        ("blank-line", b" \r\n"),
        ("tab-line", b"\t\r\n"),
        ("vt-line", b"\x0b\r\n"),
        ("nbsp-line", b"\xa0\r\n"),
        ("blanks-two", b" \r\n \r\n"),
        ("cr-line", b"\r\r\n"),
        ("nul-field", b"X-Nul: a\0b\r\n"),
        ("nul-name", b"X-\0Nul: ab\r\n"),
        ("nul-last", b"X-Nul: a\0\r\n"),
        ("cr-field", b"X-Cr: a\rb\r\n"),
        ("cr-end", b"X-Cr: a\r"),
        ("crcr-field", b"X-Cr: a\r\rb\r\n"),
        ("lf-end", b"X-Lf: a\n"),
        ("lflf-fold", b"X-Lf: a\n \n"),
        ("vt-field", b"X-Vt: a\x0bb\r\n"),
        ("8bit-name", b"X-\xe4: a\r\n"),
        ("long", b"X-Long: " + b"x" * 3000 + b"\r\n"),
        ("200-kB", b"X-Long: " + b"x" * 200_000 + b"\r\n"),
        ("2-MB", b"X-Long: " + b"x" * 2_000_000 + b"\r\n"),
        ("5000-fields", b"X-Many: a\r\n" * 5000),
        ("12000-fields", b"X-Many: a\r\n" * 12_000),
        ("fold-500", b"X-Fold: a\r\n" + b" b\r\n" * 500),
        ("fold-of-blanks", b"X-Fold: a\r\n \r\n\t\r\n"),
        ("mbox", b"From a@example.org Sun Nov 22 10:00:00 2026\r\n"),
        ("mbox-quoted", b">From a@example.org Sun Nov 22 10:00:00 2026\r\n"),
        ("indented-field", b" X-A: b\r\n"),
        ("empty-value", b"X-Empty:\r\n"),
        ("no-value-blank", b"X-Empty: \r\n \r\n"),
        ("colon-missing", b"X-Missing value\r\n"),
        ("long-name", b"X-" + b"y" * 1200 + b": z\r\n"),
        ("content-decoy", b"Content-Foo: bar\r\n"),
        ("dkim", b"DKIM-Signature: v=1; h=from:to:\r\n content-type:content-transfer-encoding\r\n"),
        ("text-type", b"Content-Type: text/plain\r\n"),
        ("smuggled-empty-line", b"X-A: b\r\r\r\n"),
        ("bom", b"\xef\xbb\xbfX-A: b\r\n"),
        ("separator-28", b"X-A: b\x1c\r\n"),
    ):
        yield Change("header-with-" + name, _before_type(line))
    for name, end in (
        ("blank", b"\r\n \r\n"),
        ("tab", b"\r\n\t\r\n"),
        ("vt", b"\r\n\x0b\r\n"),
        ("nul", b"\r\n\0\r\n"),
        ("dot", b"\r\n.\r\n"),
        ("none", b"\r\n"),
        ("text", b"\r\nHello there\r\n"),
        ("three", b"\r\n\r\n\r\n"),
        ("cr", b"\r\n\r\r\n"),
        ("bom", b"\r\n\xef\xbb\xbf\r\n"),
    ):
        yield Change("header-ends-in-" + name, _end(end))
        yield Change("all-headers-end-in-" + name, lambda m, e=end: m.replace(b"\r\n\r\n", e))  # type: ignore[misc]
    for name, old, new in (
        ("no-version", b"MIME-Version: 1.0\r\n", b""),
        ("version-last", b"MIME-Version: 1.0\r\n", b"X-A: b\r\n"),
        ("nul-everywhere", b"\r\n", b"\0\r\n"),
        ("blanks-everywhere", b"\r\n", b" \r\n"),
        ("subject-eats", b"Subject: report\r\n", b"Subject: report\r\n "),
        ("from-only", HEAD, b"From: a@example.org\r\n"),
        ("no-header", HEAD + VERSION, b""),
        ("fields-lower", b"Content-", b"content-"),
        ("fields-upper", b"Content-", b"CONTENT-"),
        ("blank-before-colons", b":", b" :"),
    ):
        yield Change(name, lambda m, o=old, n=new: m.replace(o, n))  # type: ignore[misc]


def line_end_variants() -> Iterator[Variant]:
    for change in changes():
        yield Variant(change.name, "line-endings", (change.change(mail(encoded_part(EICAR))),))
        yield Variant(change.name + "-single", "line-endings", (change.change(HEAD + VERSION + encoded_part(EICAR)),))
        yield Variant(
            change.name + "-in-message",
            "line-endings",
            (mail(b"Content-Type: message/rfc822\r\n\r\n" + change.change(mail(encoded_part(EICAR))), OUTER, b"outer"),),
        )


def smuggling_variants() -> Iterator[Variant]:
    second = mail(encoded_part(EICAR))
    for ends in (
        (b"\n", b"\n"),
        (b"\n", b"\r\n"),
        (b"\r", b"\r"),
        (b"\r", b"\r\n"),
        (b"\r", b"\n"),
        (b"\r\n", b"\n"),
        (b"\r\n", b"\r"),
        (b"\n", b"\r"),
        (b"\r\r\n", b"\r\r\n"),
        (b"\r\n", b"\r\r\n"),
    ):
        name = "-".join(end.decode().replace("\r", "cr").replace("\n", "lf") for end in ends)
        for label, commands in (
            ("", b"mail FROM:<a@example.org>\r\nrcpt TO:<b@example.net>\r\ndata\r\n"),
            ("-upper", b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"),
            ("-ehlo", b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"),
            ("-rset", b"RSET\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"),
            ("-lf", b"mail from:<a@example.org>\nrcpt to:<b@example.net>\ndata\n"),
            ("-blank", b" mail from:<a@example.org>\r\nrcpt to:<b@example.net>\r\ndata\r\n"),
            ("-data", b"data\r\n"),
        ):
            yield Variant(
                "smuggled-" + name + label,
                "line-endings",
                (HEAD + b"\r\nHello\r\n" + ends[0] + b"." + ends[1] + commands + second,),
                EICAR,
                None,
                "smuggle",
            )
            yield Variant(
                "smuggled-glued-" + name + label,
                "line-endings",
                (HEAD + b"\r\nHello" + ends[0] + b"." + ends[1] + commands + second,),
                EICAR,
                None,
                "smuggle",
            )
    for name, text in (
        ("whole", single(b"", b"Hello\n.\nDATA\n" + second.replace(b"\r\n", b"\n"))),
        ("lf-mail", second.replace(b"\r\n", b"\n") + b"\r\n.\r\nDATA\r\n"),
    ):
        yield Variant("smuggled-" + name, "line-endings", (text,), EICAR, None, "smuggle")
