"""Header fields that clients read differently: Content-Transfer-Encoding and the boundary parameter.

encodings() and boundaries() give pieces that combine with any part; see techniques.py.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import NamedTuple

from eicar import EICAR
from variants import FILE, HEAD, MIXED, VERSION, Encode, Variant, base64_lines, encoded_part, mail, quoted_printable

NAME = b"Content-Transfer-Encoding"
OTHERS = (b"7bit", b"8bit", b"binary", b"x-unknown", b"uuencode", b"")


class Encoding(NamedTuple):
    """A spelling of the field, and how the body of such a part is encoded."""

    name: str
    fields: bytes
    encode: Encode


def _word(value: bytes, kind: bytes = b"Q") -> bytes:
    return b"=?us-ascii?" + kind + b"?" + (base64.b64encode(value) if kind == b"B" else value) + b"?="


def _values(usual: bytes, other: bytes) -> Iterator[tuple[str, bytes]]:
    """Field values that somebody takes for `usual`."""
    head, tail = usual[:3], usual[3:]
    yield from (
        ("upper", usual.upper()),
        ("mixed-case", usual.title()),
        ("quoted", b'"' + usual + b'"'),
        ("single-quoted", b"'" + usual + b"'"),
    )
    yield from (
        ("angles", b"<" + usual + b">"),
        ("half-quoted", b'"' + usual),
        ("quote-behind", usual + b'"'),
        ("quoted-blank", b'" ' + usual + b' "'),
    )
    yield from (("comment-before", b"(c) " + usual), ("comment-after", usual + b" (c)"), ("comment-glued", usual + b"(c)"))
    yield from (("comment-inside", head + b"(c)" + tail), ("comment-nested", b"(a(b)c)" + usual), ("comment-open", usual + b" (c"))
    yield from (("comment-open-before", b"(c " + usual), ("comment-decoy", b"(7bit) " + usual), ("comment-only", b"(" + usual + b")"))
    yield from (("comment-escaped", b"(\\)) " + usual), ("paren-behind", usual + b")"), ("comment-fold", b"(c\r\n d) " + usual))
    yield from (
        ("escape", head + b"\\" + tail),
        ("escape-first", b"\\" + usual),
        ("encoded-word", _word(usual)),
        ("encoded-word-b", _word(usual, b"B")),
    )
    yield from (
        ("encoded-word-part", head + _word(tail)),
        ("encoded-word-hex", b"=?us-ascii?q?" + head + b"=%02x" % tail[0] + tail[1:] + b"?="),
    )
    yield from (("encoded-word-two", _word(head) + b" " + _word(tail)), ("encoded-word-language", b"=?us-ascii*en?Q?" + usual + b"?="))
    yield from (("encoded-word-quoted", b'"' + _word(usual) + b'"'), ("encoded-word-comment", b"(" + _word(b"x") + b") " + usual))
    yield from (("list-first", usual + b", " + other), ("list-last", other + b", " + usual), ("semicolon-list", usual + b"; " + other))
    yield from (
        ("semicolon-list-last", other + b"; " + usual),
        ("blank-list", usual + b" " + other),
        ("blank-list-last", other + b" " + usual),
    )
    yield from (("slash-list", usual + b"/" + other), ("tight-list", usual + b"," + other), ("tight-list-last", other + b"," + usual))
    yield from (
        ("parameter", usual + b"; x=y"),
        ("parameter-value", b"x; encoding=" + usual),
        ("semicolon", usual + b";"),
        ("comma", usual + b","),
    )
    yield from (
        ("semicolon-before", b";" + usual),
        ("comma-before", b"," + usual),
        ("dot", usual + b"."),
        ("x-prefix", b"x-" + usual),
        ("x-glued", b"x" + usual),
    )
    yield from (
        ("suffix", usual + b"-x"),
        ("colon-value", b": " + usual),
        ("equals", b"=" + usual),
        ("bracket", b"[" + usual + b"]"),
        ("eol-word", usual + b"\r\n\tx"),
    )
    yield from (
        ("blanks-2000", b" " * 2000 + usual),
        ("blanks-behind", usual + b" \t  "),
        ("tab", b"\t" + usual),
        ("vt-before", b"\x0b" + usual),
    )
    yield from (
        ("vt-behind", usual + b"\x0b\x0c"),
        ("ff-before", b"\x0c" + usual),
        ("nbsp-before", b"\xa0" + usual),
        ("nbsp-behind", usual + b"\xa0"),
    )
    yield from (
        ("nul-before", b"\0" + usual),
        ("nul-behind", usual + b"\0"),
        ("nul-inside", head + b"\0" + tail),
        ("nul-and-more", usual + b"\0" + other),
    )
    yield from (
        ("fold-before", b"\r\n " + usual),
        ("fold-tab", b"\r\n\t" + usual),
        ("fold-twice", b"\r\n \r\n " + usual),
        ("fold-inside", head + b"\r\n " + tail),
    )
    yield from (("fold-lf", b"\n " + usual), ("fold-cr", b"\r " + usual), ("fold-none", b"\r\n" + usual), ("fold-behind", usual + b"\r\n "))
    yield from (
        ("fold-long", b"\r\n" + b" " * 998 + usual),
        ("ideographic-blank", b"\xe3\x80\x80" + usual),
        ("zero-width", b"\xe2\x80\x8b" + usual),
    )
    yield from (
        ("soft-hyphen", head + b"\xc2\xad" + tail),
        ("bom", b"\xef\xbb\xbf" + usual),
        ("delete", usual + b"\x7f"),
        ("backspace", b"x\x08" + usual),
    )


def _spellings(usual: bytes, other: bytes) -> Iterator[tuple[str, bytes]]:
    """The whole field, in front of which Content-Type and Content-Disposition stand."""
    plain = NAME + b": " + usual + b"\r\n"
    yield "plain", plain
    for name, value in _values(usual, other):
        yield name, NAME + b": " + value + b"\r\n"
    for decoy in (*OTHERS, other):
        line = NAME + b": " + decoy + b"\r\n"
        yield f"duplicate-{decoy.decode() or 'empty'}-last", plain + line
        yield f"duplicate-{decoy.decode() or 'empty'}-first", line + plain
    yield "three", NAME + b": 7bit\r\n" + plain + NAME + b": 8bit\r\n"
    yield "twice-the-same", plain + plain
    yield "duplicate-other-case", plain.lower() + NAME.upper() + b": 7BIT\r\n"
    for name, line in (
        ("lower", NAME.lower() + b": " + usual),
        ("no-blank", NAME + b":" + usual),
        ("blank-before-colon", NAME + b" : " + usual),
        ("tab-before-colon", NAME + b"\t: " + usual),
        ("blanks-before-colon", NAME + b" " * 70 + b": " + usual),
        ("vt-before-colon", NAME + b"\x0b: " + usual),
        ("nul-before-colon", NAME + b"\0: " + usual),
        ("nul-in-name", NAME[:9] + b"\0" + NAME[9:] + b": " + usual),
        ("nul-first", b"\0" + NAME + b": " + usual),
        ("comment-before-colon", NAME + b"(c): " + usual),
        ("comment-blank-colon", NAME + b" (c) : " + usual),
        ("comment-first", b"(c)" + NAME + b": " + usual),
        ("two-colons", NAME + b":: " + usual),
        ("colon-blank-colon", NAME + b": : " + usual),
        ("no-colon", NAME + b" " + usual),
        ("no-colon-tab", NAME + b"\t" + usual),
        ("equals-for-colon", NAME + b"=" + usual),
        ("semicolon-for-colon", NAME + b"; " + usual),
        ("indented", b" " + NAME + b": " + usual),
        ("indented-tab", b"\t" + NAME + b": " + usual),
        ("after-cr", b"X-A: b\r" + NAME + b": " + usual),
        ("after-lf", b"X-A: b\n" + NAME + b": " + usual),
        ("after-crcr", b"X-A: b\r\r" + NAME + b": " + usual),
        ("after-junk", b"this is no field\r\n" + NAME + b": " + usual),
        ("after-8bit-junk", b"\xff\xfe\r\n" + NAME + b": " + usual),
        ("after-blanks", b" \t \r\n" + NAME + b": " + usual),
        ("after-vt-line", b"\x0b\r\n" + NAME + b": " + usual),
        ("after-nul-line", b"\0\r\n" + NAME + b": " + usual),
        ("after-empty-name", b": x\r\n" + NAME + b": " + usual),
        ("after-mbox-line", b"From a@example.org Sun Nov 22 10:00:00 2026\r\n" + NAME + b": " + usual),
        ("after-quoted-mbox-line", b">From a@example.org\r\n" + NAME + b": " + usual),
        ("after-2000-bytes", b"X-Long: " + b"x" * 2000 + b"\r\n" + NAME + b": " + usual),
        ("before-junk", plain[:-2] + b"\r\nno field"),
        ("crcrlf", b"X-A: b\r\r\n" + NAME + b": " + usual + b"\r"),
        ("bom-first", b"\xef\xbb\xbf" + NAME + b": " + usual),
        ("8bit-first", b"\xa0" + NAME + b": " + usual),
        ("soft-hyphens", b"Content\xc2\xadTransfer-Encoding: 7bit\r\n" + plain[:-2]),
        ("folded-name", NAME[:8] + b"\r\n " + NAME[8:] + b": 7bit\r\n" + plain[:-2]),
    ):
        yield name, line + b"\r\n"


def encodings() -> Iterator[Encoding]:
    for usual, other, encode in ((b"base64", b"quoted-printable", base64_lines), (b"quoted-printable", b"base64", quoted_printable)):
        for name, fields in _spellings(usual, other):
            yield Encoding(f"{usual.decode()}-{name}", fields, encode)
    for value in (
        b"base-64",
        b"base 64",
        b"base_64",
        b"b64",
        b"BASE64\x00",
        b"radix64-base64",
        b"base64url",
        b"base64 base64",
        b"mime-base64",
    ):
        yield Encoding("base64-as-" + value.decode("latin-1").replace("\0", "nul"), NAME + b": " + value + b"\r\n", base64_lines)
    for value in (b"qp", b"quoted printable", b"quotedprintable", b"quoted-print", b"quoted_printable", b"x-qp"):
        yield Encoding("quoted-printable-as-" + value.decode(), NAME + b": " + value + b"\r\n", quoted_printable)


def encoding_variants() -> Iterator[Variant]:
    for encoding in encodings():
        yield Variant(encoding.name, "cte-header", (mail(FILE + encoding.fields + b"\r\n" + encoding.encode(EICAR)),))
        before = encoding.fields + FILE + b"\r\n"
        if encoding.name.startswith("base64"):
            yield Variant(encoding.name + "-on-top", "cte-header", (mail(before + encoding.encode(EICAR)),))
            yield Variant(
                encoding.name + "-alone", "cte-header", (HEAD + VERSION + FILE + encoding.fields + b"\r\n" + encoding.encode(EICAR),)
            )
    folded = b'Content-Type: application/octet-stream;\r\n Content-Transfer-Encoding: base64\r\n name="report.bin"\r\n\r\n'
    yield Variant("inside-a-fold", "cte-header", (mail(folded + base64_lines(EICAR)),))
    whole = mail(encoded_part(EICAR), content_type=b"", head=b"")[2:]
    message = HEAD + MIXED + b"\r\n" + whole
    for name, field, body in (
        ("base64", b"Content-Transfer-Encoding: base64\r\n", base64_lines),
        ("quoted-printable", b"Content-Transfer-Encoding: quoted-printable\r\n", quoted_printable),
        ("x-uuencode", b"Content-Transfer-Encoding: x-uuencode\r\n", None),
        ("unknown", b"Content-Transfer-Encoding: x-unknown\r\n", None),
    ):
        for form in ("encoded", "plain"):
            if form == "encoded" and body is None:
                continue
            made = body(whole) if body is not None and form == "encoded" else whole
            yield Variant(f"multipart-{name}-{form}", "cte-header", (HEAD + VERSION + MIXED + field + b"\r\n" + made,))
            inner = b'Content-Type: multipart/mixed; boundary="foo"\r\n' + field + b"\r\n" + made
            yield Variant(
                f"inner-multipart-{name}-{form}", "cte-header", (mail(inner, b"Content-Type: multipart/mixed; boundary=o\r\n", b"o"),)
            )
            inside = body(message) if body is not None and form == "encoded" else message
            for kind in (b"message/rfc822", b"message/global", b"message/x-foo", b"multipart/digest; boundary=foo"):
                part = b"Content-Type: " + kind + b"\r\n" + field + b"\r\n" + (made if b"digest" in kind else inside)
                label = f"{kind.decode().split(';')[0].replace('/', '-')}-{name}-{form}"
                yield Variant(label, "cte-header", (mail(part, b"Content-Type: multipart/mixed; boundary=o\r\n", b"o"),))


# -- boundaries


class Boundary(NamedTuple):
    """A Content-Type of the whole mail, and the boundary that stands in its delimiters."""

    name: str
    fields: bytes
    used: bytes = b"foo"


def boundaries() -> Iterator[Boundary]:
    def of(name: str, rest: bytes, used: bytes = b"foo") -> Boundary:
        return Boundary(name, b"Content-Type: multipart/mixed" + rest + b"\r\n", used)

    yield of("duplicate-first", b"; boundary=foo; boundary=bad")
    yield of("duplicate-last", b"; boundary=bad; boundary=foo")
    yield of("duplicate-three", b"; boundary=bad; boundary=foo; boundary=worse")
    yield of("duplicate-case", b"; BOUNDARY=bad; boundary=foo")
    yield of("duplicate-quoted", b'; boundary="bad"; boundary="foo"')
    yield of("duplicate-empty", b"; boundary=; boundary=foo")
    yield of("duplicate-empty-last", b"; boundary=foo; boundary=")
    yield of("duplicate-100", b"; boundary=bad" * 100 + b"; boundary=foo")
    yield of("duplicate-300-first", b"; boundary=foo" + b"; boundary=bad" * 300)
    yield of("upper", b"; BOUNDARY=FOO", b"FOO")
    yield of("case-of-value", b"; boundary=Foo", b"foo")
    for name, rest in (
        ("rfc2231-pieces", b"; boundary*0=f; boundary*1=oo"),
        ("rfc2231-quoted-pieces", b'; boundary*0="f"; boundary*1="oo"'),
        ("rfc2231-one-piece", b"; boundary*0=foo"),
        ("rfc2231-percent", b"; boundary*=us-ascii''%66oo"),
        ("rfc2231-percent-language", b"; boundary*=utf-8'en'f%6f%6F"),
        ("rfc2231-no-charset", b"; boundary*=''foo"),
        ("rfc2231-no-quotes", b"; boundary*=%66oo"),
        ("rfc2231-quoted-percent", b"; boundary*=\"us-ascii''%66oo\""),
        ("rfc2231-plain-decoy-after", b"; boundary*=us-ascii''foo; boundary=bad"),
        ("rfc2231-plain-decoy-before", b"; boundary=bad; boundary*=us-ascii''foo"),
        ("rfc2231-decoy-plain-real", b"; boundary=foo; boundary*=us-ascii''bad"),
        ("rfc2231-decoy-pieces", b"; boundary=foo; boundary*0=b; boundary*1=ad"),
        ("rfc2231-pieces-reverse", b"; boundary*1=oo; boundary*0=f"),
        ("rfc2231-pieces-from-1", b"; boundary*1=f; boundary*2=oo"),
        ("rfc2231-pieces-gap", b"; boundary*0=f; boundary*2=oo"),
        ("rfc2231-gap-cut", b"; boundary*0=foo; boundary*2=bar"),
        ("rfc2231-pieces-percent", b"; boundary*0*=us-ascii''%66; boundary*1*=%6f; boundary*2=o"),
        ("rfc2231-escape-split", b"; boundary*0*=''%6; boundary*1*=6oo"),
        ("rfc2231-zero-padded", b"; boundary*00=f; boundary*01=oo"),
        ("rfc2231-duplicate-piece", b"; boundary*0=f; boundary*1=oo; boundary*1=aa"),
        ("rfc2231-duplicate-piece-last", b"; boundary*0=f; boundary*1=aa; boundary*1=oo"),
        ("rfc2231-mixed-case", b"; Boundary*0=f; bOUNDARY*1=oo"),
        ("rfc2231-blank-star", b"; boundary *0=f; boundary *1=oo"),
        ("encoded-word", b"; boundary==?us-ascii?Q?foo?="),
        ("encoded-word-b", b"; boundary==?us-ascii?B?Zm9v?="),
        ("encoded-word-quoted", b'; boundary="=?us-ascii?Q?foo?="'),
        ("encoded-word-part", b'; boundary="f=?us-ascii?Q?oo?="'),
        ("encoded-word-two", b'; boundary="=?us-ascii?Q?f?= =?us-ascii?Q?oo?="'),
        ("encoded-word-hex", b"; boundary==?us-ascii?q?=66oo?="),
        ("encoded-word-charset", b"; boundary==?utf-16be?b?AGYAbwBv?="),
        ("comment-before-value", b"; boundary=(bad)foo"),
        ("comment-before-blank-value", b"; boundary= (bad) foo"),
        ("comment-after-value", b"; boundary=foo(bad)"),
        ("comment-after-blank", b"; boundary=foo (bad)"),
        ("comment-in-value", b"; boundary=f(bad)oo"),
        ("comment-with-boundary", b"; (boundary=bad) boundary=foo"),
        ("comment-with-boundary-before", b" (boundary=bad); boundary=foo"),
        ("comment-with-boundary-inside", b"; boundary=(boundary=bad)foo"),
        ("comment-in-name", b"; boun(x)dary=foo"),
        ("comment-before-equals", b"; boundary (x) =foo"),
        ("comment-around-semicolon", b" (x); (y) boundary=foo"),
        ("comment-for-semicolon", b" (x) boundary=foo"),
        ("comment-nested", b"; (a(b)c) boundary=foo"),
        ("comment-open", b"; boundary=foo (x"),
        ("comment-quote", b'; (") boundary=foo; x=(")'),
        ("comment-escaped-paren", b"; (\\) boundary=bad; ) boundary=foo"),
        ("comment-hides-real", b"; (boundary=foo)"),
        ("in-quoted-parameter", b'; x="a; boundary=foo; b"'),
        ("quoted-decoy", b'; x="; boundary=bad; y="; boundary=foo'),
        ("quoted-decoy-escaped", b'; x="\\"; boundary=bad; \\""; boundary=foo'),
        ("quoted-decoy-single", b"; x='; boundary=bad; '; boundary=foo"),
        ("suffix-of-name", b"; xboundary=bad; boundary=foo"),
        ("prefix-of-name", b"; boundaryx=bad; boundary=foo"),
        ("dash-name", b"; x-boundary=bad; boundary=foo"),
        ("blank-after-quote", b'; boundary="foo "'),
        ("tab-in-quotes", b'; boundary="foo\t"'),
        ("blank-in-front", b'; boundary=" foo"'),
        ("blanks-around-equals", b"; boundary = foo"),
        ("tab-around-equals", b";\tboundary\t=\tfoo"),
        ("fold-after-equals", b"; boundary=\r\n foo"),
        ("fold-before-equals", b"; boundary\r\n =foo"),
        ("fold-everywhere", b"\r\n ;\r\n boundary\r\n =\r\n foo"),
        ("fold-in-quotes", b'; boundary="f\r\n oo"'),
        ("fold-in-name", b"; boun\r\n dary=foo"),
        ("fold-none", b";\r\nboundary=foo"),
        ("fold-none-quoted", b';\r\nboundary="foo"'),
        ("fold-cr", b";\r boundary=foo"),
        ("fold-lf", b";\n boundary=foo"),
        ("fold-blank-line", b";\r\n \r\n boundary=foo"),
        ("fold-junk-line", b";\r\njunk\r\n boundary=foo"),
        ("single-quotes", b"; boundary='foo'"),
        ("half-quote-front", b'; boundary="foo'),
        ("half-quote-front-more", b'; boundary="foo; x=y'),
        ("half-quote-back", b'; boundary=foo"'),
        ("quote-inside", b'; boundary=f"oo"'),
        ("quote-inside-2", b'; boundary="f"oo'),
        ("quotes-empty-first", b'; boundary=""foo'),
        ("quotes-two-strings", b'; boundary="f" "oo"'),
        ("quotes-junk-after", b'; boundary="foo"bar'),
        ("quotes-blank-junk", b'; boundary="foo" bar'),
        ("double-quotes", b'; boundary=""foo""'),
        ("escaped", b'; boundary="f\\oo"'),
        ("escaped-unquoted", b"; boundary=f\\oo"),
        ("escaped-every", b'; boundary="\\f\\o\\o"'),
        ("escaped-last", b'; boundary="foo\\"'),
        ("escaped-semicolon", b"\\; boundary=foo"),
        ("angles", b"; boundary=<foo>"),
        ("comma", b", boundary=foo"),
        ("comma-after", b"; boundary=foo, x=y"),
        ("no-semicolon", b" boundary=foo"),
        ("two-semicolons", b";; boundary=foo"),
        ("many-semicolons", b";" * 300 + b" boundary=foo"),
        ("many-parameters", b"".join(b"; p%d=q" % n for n in range(400)) + b"; boundary=foo"),
        ("semicolon-last", b"; boundary=foo;"),
        ("colon-for-equals", b"; boundary:foo; boundary=foo"),
        ("two-equals", b"; boundary==foo"),
        ("nul-before", b"; boundary=\0foo"),
        ("nul-after", b"; boundary=foo\0"),
        ("nul-bar", b"; boundary=foo\0bar"),
        ("nul-quoted", b'; boundary="f\0oo"'),
        ("nul-in-name", b"; boun\0dary=foo"),
        ("nul-after-semicolon", b";\0boundary=foo"),
        ("vt-separator", b";\x0bboundary=foo"),
        ("vt-after", b"; boundary=foo\x0b"),
        ("ff-in-front", b"; boundary=\x0cfoo"),
        ("nbsp-in-front", b"; boundary=\xa0foo"),
        ("zero-width-in-name", b"; boun\xe2\x80\x8bdary=foo"),
        ("unquoted-blank-more", b"; boundary=foo bar"),
        ("unquoted-semicolon-more", b"; boundary=foo;bar"),
        ("boundary-in-type-only", b"; boundary"),
        ("missing", b""),
        ("empty", b"; boundary="),
        ("empty-quoted", b'; boundary=""'),
        ("wrong", b"; boundary=bar"),
        ("dashes-declared", b"; boundary=--foo"),
        ("charset-first", b"; charset=us-ascii; boundary=foo"),
        ("long-parameter-first", b"; x=" + b"y" * 70000 + b"; boundary=foo"),
        ("backslash-newline", b"; boundary=f\\\r\n oo"),
    ):
        yield of(name, rest)
    for name, rest, used in (
        ("dashes-in-value", b"; boundary=--foo", b"--foo"),
        ("blank-unquoted", b"; boundary=foo bar", b"foo bar"),
        ("blank-quoted", b'; boundary="foo bar"', b"foo bar"),
        ("blank-quoted-first-word", b'; boundary="foo bar"', b"foo"),
        ("semicolon-quoted", b'; boundary="foo;bar"', b"foo;bar"),
        ("semicolon-quoted-cut", b'; boundary="foo;bar"', b"foo"),
        ("semicolon-unquoted", b"; boundary=foo;bar", b"foo;bar"),
        ("comma-unquoted", b"; boundary=foo,bar", b"foo,bar"),
        ("comma-cut", b"; boundary=foo,bar", b"foo"),
        ("colon-unquoted", b"; boundary=fo:o", b"fo:o"),
        ("slash-unquoted", b"; boundary=fo/o", b"fo/o"),
        ("equals-unquoted", b"; boundary=fo=o", b"fo=o"),
        ("equals-cut", b"; boundary=fo=o", b"fo"),
        ("question-unquoted", b"; boundary=fo?o", b"fo?o"),
        ("escaped-kept", b'; boundary="f\\oo"', b"f\\oo"),
        ("escaped-quote", b'; boundary="fo\\"o"', b'fo"o'),
        ("escaped-quote-cut", b'; boundary="fo\\"o"', b"fo\\"),
        ("escaped-quote-kept", b'; boundary="fo\\"o"', b'fo\\"o'),
        ("escaped-backslash", b'; boundary="fo\\\\o"', b"fo\\o"),
        ("escaped-unquoted-kept", b"; boundary=f\\oo", b"f\\oo"),
        ("quotes-kept", b'; boundary="foo"', b'"foo"'),
        ("single-quotes-kept", b"; boundary='foo'", b"'foo'"),
        ("comment-kept", b"; boundary=foo(bar)", b"foo(bar)"),
        ("comment-kept-in-quotes", b'; boundary="foo(bar)"', b"foo(bar)"),
        ("comment-dropped-in-quotes", b'; boundary="foo(bar)"', b"foo"),
        ("encoded-word-kept", b"; boundary==?us-ascii?Q?foo?=", b"=?us-ascii?Q?foo?="),
        ("encoded-word-kept-quoted", b'; boundary="=?us-ascii?Q?foo?="', b"=?us-ascii?Q?foo?="),
        ("percent-kept", b"; boundary=%66oo", b"%66oo"),
        ("percent-kept-2231", b"; boundary*=us-ascii''%66oo", b"%66oo"),
        ("percent-all-kept-2231", b"; boundary*=us-ascii''%66oo", b"us-ascii''%66oo"),
        ("percent-decoded", b"; boundary=%66oo", b"foo"),
        ("fold-space-kept", b'; boundary="fo\r\n o"', b"fo o"),
        ("fold-space-gone", b'; boundary="fo\r\n o"', b"foo"),
        ("fold-unquoted", b"; boundary=fo\r\n o", b"foo"),
        ("leading-blank-kept", b'; boundary=" foo"', b" foo"),
        ("trailing-blank-kept", b'; boundary="foo "', b"foo "),
        ("nul-kept", b"; boundary=fo\0o", b"fo\0o"),
        ("nul-cut", b"; boundary=fo\0o", b"fo"),
        ("8bit", b"; boundary=f\xf6o", b"f\xf6o"),
        ("utf-8", "; boundary=f\u00f6o".encode(), "f\u00f6o".encode()),
        ("70", b"; boundary=" + b"f" * 70, b"f" * 70),
        ("71", b"; boundary=" + b"f" * 71, b"f" * 71),
        ("cut-at-70", b"; boundary=" + b"f" * 71, b"f" * 70),
        ("300", b"; boundary=" + b"f" * 300, b"f" * 300),
        ("1500", b"; boundary=" + b"f" * 1500, b"f" * 1500),
        ("1500-quoted", b'; boundary="' + b"f" * 1500 + b'"', b"f" * 1500),
        ("longer-than-declared", b"; boundary=foo", b"foobar"),
        ("shorter-than-declared", b"; boundary=foobar", b"foo"),
        ("case-of-delimiter", b"; boundary=foo", b"FOO"),
        ("empty-delimiters", b"; boundary=", b""),
        ("empty-quoted-delimiters", b'; boundary=""', b""),
        ("blank-delimiters", b'; boundary=" "', b" "),
        ("dash", b"; boundary=-", b"-"),
        ("two-dashes", b"; boundary=--", b"--"),
        ("ends-in-dashes", b"; boundary=foo--", b"foo--"),
        ("quote-cut", b'; boundary="foo', b'"foo'),
        ("quote-in-the-middle", b'; boundary=f"o"o', b'f"o"o'),
        ("unterminated-with-parameter", b'; boundary="foo; x=y', b"foo; x=y"),
        ("joined-2231-pieces-kept", b"; boundary*0=f; boundary*1=oo", b"f"),
    ):
        yield of(name, rest, used)
    for name, line in (
        ("two-fields-first", MIXED + b"Content-Type: multipart/mixed; boundary=bad\r\n"),
        ("two-fields-last", b"Content-Type: multipart/mixed; boundary=bad\r\n" + MIXED),
        ("two-fields-text-first", b"Content-Type: text/plain\r\n" + MIXED),
        ("two-fields-text-last", MIXED + b"Content-Type: text/plain\r\n"),
        ("two-fields-half", b"Content-Type: multipart/mixed\r\nContent-Type: text/plain; boundary=foo\r\n"),
        ("two-fields-empty", b"Content-Type:\r\n" + MIXED),
        ("three-fields", b"Content-Type: text/html\r\n" + MIXED + b"Content-Type: text/plain\r\n"),
        ("only-in-disposition", b"Content-Type: multipart/mixed\r\nContent-Disposition: inline; boundary=foo\r\n"),
        ("decoy-in-disposition", b"Content-Disposition: inline; boundary=bad\r\n" + MIXED),
        ("decoy-in-description", b"Content-Description: x; boundary=bad\r\n" + MIXED),
        ("no-subtype", b"Content-Type: multipart; boundary=foo\r\n"),
        ("empty-subtype", b"Content-Type: multipart/; boundary=foo\r\n"),
        ("no-type", b"Content-Type: /mixed; boundary=foo\r\n"),
        ("only-parameter", b"Content-Type: boundary=foo\r\n"),
        ("only-semicolon-parameter", b"Content-Type: ; boundary=foo\r\n"),
        ("type-mixed", b"Content-Type: mixed; boundary=foo\r\n"),
        ("type-upper", b"CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=foo\r\n"),
        ("type-x", b"Content-Type: x-multipart/mixed; boundary=foo\r\n"),
        ("type-unknown-subtype", b"Content-Type: multipart/x-foo; boundary=foo\r\n"),
        ("type-blank-slash", b"Content-Type: multipart / mixed; boundary=foo\r\n"),
        ("type-two-slashes", b"Content-Type: multipart//mixed; boundary=foo\r\n"),
        ("type-three", b"Content-Type: multipart/mixed/x; boundary=foo\r\n"),
        ("type-backslash", b"Content-Type: multipart\\mixed; boundary=foo\r\n"),
        ("type-comment", b"Content-Type: multi(x)part/mixed; boundary=foo\r\n"),
        ("type-comment-slash", b"Content-Type: multipart(x)/(y)mixed; boundary=foo\r\n"),
        ("type-comment-first", b"Content-Type: (x) multipart/mixed; boundary=foo\r\n"),
        ("type-comment-decoy", b"Content-Type: (text/plain) multipart/mixed; boundary=foo\r\n"),
        ("type-comment-hides", b"Content-Type: text/plain (multipart/mixed; boundary=foo)\r\n"),
        ("type-quoted", b'Content-Type: "multipart/mixed"; boundary=foo\r\n'),
        ("type-quoted-parts", b'Content-Type: "multipart"/"mixed"; boundary=foo\r\n'),
        ("type-encoded-word", b"Content-Type: =?us-ascii?Q?multipart/mixed?=; boundary=foo\r\n"),
        ("type-encoded-word-all", b"Content-Type: =?us-ascii?Q?multipart/mixed;_boundary=3Dfoo?=\r\n"),
        ("type-encoded-word-b", b"Content-Type: =?us-ascii?B?bXVsdGlwYXJ0L21peGVk?=; boundary=foo\r\n"),
        ("type-escape", b"Content-Type: multi\\part/mixed; boundary=foo\r\n"),
        ("type-nul", b"Content-Type: multi\0part/mixed; boundary=foo\r\n"),
        ("type-nul-first", b"Content-Type: \0multipart/mixed; boundary=foo\r\n"),
        ("type-semicolon-first", b"Content-Type: ;multipart/mixed; boundary=foo\r\n"),
        ("type-comma-first", b"Content-Type: ,multipart/mixed; boundary=foo\r\n"),
        ("type-list", b"Content-Type: text/plain, multipart/mixed; boundary=foo\r\n"),
        ("type-list-first", b"Content-Type: multipart/mixed, text/plain; boundary=foo\r\n"),
        ("type-blank-list", b"Content-Type: text/plain multipart/mixed; boundary=foo\r\n"),
        ("type-equals", b"Content-Type: type=multipart/mixed; boundary=foo\r\n"),
        ("type-fold", b"Content-Type: multi\r\n part/mixed; boundary=foo\r\n"),
        ("type-fold-slash", b"Content-Type: multipart/\r\n mixed; boundary=foo\r\n"),
        ("type-fold-first", b"Content-Type:\r\n multipart/mixed; boundary=foo\r\n"),
        ("type-fold-blank", b"Content-Type: \r\n \r\n multipart/mixed; boundary=foo\r\n"),
        ("type-boundary-elsewhere", b"Content-Type: text/plain; boundary=foo\r\n"),
        ("type-application", b"Content-Type: application/octet-stream; boundary=foo\r\n"),
        ("type-message", b"Content-Type: message/rfc822; boundary=foo\r\n"),
        ("type-garbage", b"Content-Type: garbage; boundary=foo\r\n"),
        ("field-colon-blank", b"Content-Type : multipart/mixed; boundary=foo\r\n"),
        ("field-two-colons", b"Content-Type:: multipart/mixed; boundary=foo\r\n"),
        ("field-no-colon", b"Content-Type multipart/mixed; boundary=foo\r\n"),
        ("field-nul-colon", b"Content-Type\0: multipart/mixed; boundary=foo\r\n"),
        ("field-comment-colon", b"Content-Type(x): multipart/mixed; boundary=foo\r\n"),
        ("field-indented", b" Content-Type: multipart/mixed; boundary=foo\r\n"),
        ("field-after-cr", b"X-A: b\rContent-Type: multipart/mixed; boundary=foo\r\n"),
        ("field-after-blanks", b" \r\nContent-Type: multipart/mixed; boundary=foo\r\n"),
        ("field-after-junk", b"junk\r\nContent-Type: multipart/mixed; boundary=foo\r\n"),
        ("field-after-empty", b"\r\nContent-Type: multipart/mixed; boundary=foo\r\n"),
        ("field-missing", b""),
        ("field-empty", b"Content-Type:\r\n"),
    ):
        yield Boundary(name, line)


def boundary_variants() -> Iterator[Variant]:
    for boundary in boundaries():
        part = encoded_part(EICAR)
        yield Variant(boundary.name, "boundary-param", (mail(part, boundary.fields, boundary.used),))
        inner = boundary.fields + b"\r\n--" + boundary.used + b"\r\n" + part + b"--" + boundary.used + b"--\r\n"
        yield Variant(
            "inner-" + boundary.name, "boundary-param", (mail(inner, b"Content-Type: multipart/mixed; boundary=outer\r\n", b"outer"),)
        )
    for name, version in (
        ("missing", b""),
        ("twice", VERSION + VERSION),
        ("2.0", b"MIME-Version: 2.0\r\n"),
        ("comment", b"MIME-Version: 1.(x)0\r\n"),
    ):
        yield Variant("mime-version-" + name, "boundary-param", (mail(encoded_part(EICAR), head=HEAD + version),))
    field = MIXED[:-2]
    for name, where in (
        ("field-first", field + b"\r\n" + HEAD + VERSION),
        ("field-in-the-middle", HEAD[:40] + b"x\r\n" + field + b"\r\n" + HEAD),
    ):
        yield Variant(name, "boundary-param", (mail(encoded_part(EICAR), content_type=b"", head=where),))
