"""One small honest message for each class of ambiguity that has a canonical form: (anomaly, message)."""

from __future__ import annotations

import base64

HEAD = b"From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
PICTURE = base64.b64encode(bytes(range(200)))
FILE = b"Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + PICTURE + b"\r\n"
TEXT = b"Content-Type: text/plain\r\n\r\nhello\r\n"


def leaf(fields: bytes, body: bytes = b"hello\r\n") -> bytes:
    return HEAD + fields + b"\r\n\r\n" + body


def multi(
    kind: bytes = b"multipart/mixed; boundary=foo", body: bytes = b"--foo\r\n" + TEXT + b"--foo\r\n" + FILE + b"--foo--\r\n"
) -> bytes:
    return leaf(b"Content-Type: " + kind, body)


MAIL: tuple[tuple[str, bytes], ...] = (
    # the header
    ("header.bare-cr", HEAD + b"X-A: b\rc\r\n\r\nhello\r\n"),
    ("header.blank-line-with-space", HEAD + b"X-A: b\r\n \r\nX-B: c\r\n\r\nhello\r\n"),
    ("header.bom", b"\xef\xbb\xbf" + leaf(b"X-A: b")),
    ("header.colon-missing", leaf(b"Content-Type text/html\r\nX-A: b")),
    ("header.double-colon", leaf(b"X-A:: b")),
    ("header.duplicate", leaf(b"Content-ID: <a>\r\nContent-ID: <b>")),
    ("header.hidden-field", leaf(b"X-A: b\r\n Content-Type: text/html")),
    ("header.junk-line", leaf(b"junk\r\nX-A: b")),
    ("header.leading-blank", b" X-A: b\r\n" + leaf(b"X-B: c")),
    ("header.leading-lines", b"\r\n" + leaf(b"X-B: c")),
    ("header.name-comment", leaf(b"Subject (a): b")),
    ("header.nul", leaf(b"X-A: b\0c")),
    ("header.space-before-colon", leaf(b"X-A : b")),
    ("header.unindented-parameter", leaf(b"Content-Type: text/plain;\r\nname=a.txt")),
    ("header.no-fields", multi(body=b"--foo\r\nhello\r\n\r\nworld\r\n--foo--\r\n")),
    # fields
    ("mime.bad-content-type", leaf(b"Content-Type: text")),
    ("mime.boundary-without-multipart", leaf(b"Content-Type: text/plain; boundary=foo", b"hello\r\n--foo\r\n" + TEXT + b"--foo--\r\n")),
    ("mime.duplicate-content-type", leaf(b"Content-Type: text/plain\r\nContent-Type: text/html")),
    ("mime.duplicate-disposition", leaf(b"Content-Disposition: inline\r\nContent-Disposition: attachment; filename=a.txt")),
    ("mime.duplicate-encoding", leaf(b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64")),
    ("mime.duplicate-version", leaf(b"MIME-Version: 1.0")),
    ("mime.unknown-encoding", leaf(b"Content-Transfer-Encoding: base-64", PICTURE)),
    ("params.raw-8bit", leaf(b"Content-Disposition: attachment; filename=\xe4.txt")),
    ("params.bare-cr", leaf(b"Content-Type: text/plain; name=a\rcharset=x")),
    ("params.comment-in-value", leaf(b"Content-Type: text/plain; name=a(b)c.txt")),
    ("params.duplicate", leaf(b"Content-Type: text/plain; name=a.txt; name=b.txt")),
    ("params.encoded-word", leaf(b'Content-Type: text/plain; charset="=?us-ascii?Q?utf-8?="')),
    ("params.escape", leaf(b'Content-Disposition: attachment; filename="a\\"b.txt"')),
    ("params.hidden-key", leaf(b'Content-Type: text/plain; charset="charset=utf-8"')),
    ("params.junk", leaf(b"Content-Type: text/plain; charset=utf-8; what")),
    ("params.junk-after-quote", leaf(b'Content-Disposition: attachment; filename="a.txt"b')),
    ("params.missing-semicolon", leaf(b"Content-Type: text/plain charset=utf-8")),
    ("params.nul", leaf(b"Content-Disposition: attachment; filename=a\0b.txt")),
    ("params.odd-name", leaf(b"Content-Disposition: attachment; file\\name=a.txt")),
    ("params.rfc2231-gap", leaf(b"Content-Disposition: attachment; filename*0=a; filename*2=b.txt")),
    ("params.semicolon-first", leaf(b"Content-Type: ;text/plain; charset=utf-8")),
    ("params.single-quotes", leaf(b"Content-Disposition: attachment; filename='a.txt'")),
    ("params.unterminated-comment", leaf(b"Content-Type: text/plain; charset=utf-8 (a")),
    ("params.unterminated-quote", leaf(b'Content-Disposition: attachment; filename="a.txt')),
    # multiparts
    ("mime.boundary-reused", multi(body=b"--foo\r\nContent-Type: multipart/mixed; boundary=foo\r\n\r\n--foo\r\n" + TEXT + b"--foo--\r\n")),
    ("mime.doubtful-boundary", multi(b"multipart/mixed; boundary=foo; boundary=bar")),
    ("mime.missing-boundary", multi(b"multipart/mixed")),
    ("mime.no-delimiter", multi(b"multipart/mixed; boundary=bar")),
    ("mime.no-final-boundary", multi(body=b"--foo\r\n" + TEXT + b"--foo\r\n" + FILE)),
    ("mime.part-after-close", multi(body=b"--foo\r\n" + TEXT + b"--foo--\r\n--foo\r\n" + FILE + b"--foo--\r\n")),
    ("mime.stray-delimiter", multi(body=b"--foo\r\n" + TEXT + b"x --foo\r\n--foo--\r\n")),
    ("mime.stray-part", multi(body=b"--bar\r\n" + TEXT + b"\r\n--foo\r\n" + TEXT + b"--foo--\r\n")),
    ("mime.stray-part", multi(body=b"--foo\r\n" + TEXT + b"\r\n--bar\r\n" + TEXT + b"--bar--\r\n--foo--\r\n")),
    # content
    ("mime.encoded-message", leaf(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", base64.b64encode(leaf(b"X-A: b")))),
    ("mime.encoded-multipart", leaf(b"Content-Type: multipart/mixed; boundary=foo\r\nContent-Transfer-Encoding: base64",
                                    base64.b64encode(b"--foo\r\n" + TEXT + b"--foo--\r\n"))),
    ("mime.header-after-blank", leaf(b"X-A: b", b"Content-Type: text/html\r\n\r\nhello\r\n")),
    ("mime.header-after-blank", multi(body=b"--foo\r\n\r\n" + FILE + b"--foo--\r\n")),
    ("mime.bare-cr", leaf(b"X-A: b", b"hello\rworld\r\n")),
    ("mime.nul", leaf(b"X-A: b", b"hello\0world\r\n")),
    ("base64.bare-cr", leaf(b"Content-Transfer-Encoding: base64", b"aGVs\rbG8=\r\n")),
    ("base64.blank-line", leaf(b"Content-Transfer-Encoding: base64", b"aGVs\r\n\r\nbG8=\r\n")),
    ("base64.junk", leaf(b"Content-Transfer-Encoding: base64", b"aG!VsbG8=\r\n")),
    ("base64.length", leaf(b"Content-Transfer-Encoding: base64", b"aGVsbG8\r\n")),
    ("base64.long-line", leaf(b"Content-Transfer-Encoding: base64", b"aGVs" * 300 + b"\r\n")),
    ("base64.nul", leaf(b"Content-Transfer-Encoding: base64", b"aGVs\0bG8=\r\n")),
    ("base64.padding-inside", leaf(b"Content-Transfer-Encoding: base64", b"aGU=bGxv\r\n")),
    ("base64.split-quad", leaf(b"Content-Transfer-Encoding: base64", b"aGVsbG\r\n8gd29y\r\nbGQh\r\n")),
    ("base64.text-after-end", leaf(b"Content-Transfer-Encoding: base64", b"aGVsbG8=\r\n______\r\nA footer.\r\n")),
    ("qp.bad-escape", leaf(b"Content-Transfer-Encoding: quoted-printable", b"1 = 2\r\n")),
    ("qp.bare-cr", leaf(b"Content-Transfer-Encoding: quoted-printable", b"a\rb\r\n")),
    ("qp.nul", leaf(b"Content-Transfer-Encoding: quoted-printable", b"a\0b\r\n")),
    ("qp.soft-break", leaf(b"Content-Transfer-Encoding: quoted-printable", b"a= \r\nb\r\n")),
    ("uuencode.no-end", leaf(b"Content-Transfer-Encoding: x-uuencode", b"begin 644 a.txt\r\n%:&5L;&\\\r\n")),
)  # fmt: skip
