"""Names that one client shows as a program and another as a text, and the extensions that are not wanted under any of them."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

import wrappings
from variants import HEAD, MIXED, SCRIPT, SCRIPT_MARK, VERSION, Variant, attached, base64_lines, crc32, mail

JS = r"\.js$"
EXTENSIONS = (
    "ade adp app appref-ms appx appxbundle asp bas bat chm cmd com cpl diagcab dll exe gadget hlp hta img inf ins iso isp jar jnlp "
    "js jse library-ms lnk mcf mde msc msh msi msix msp mst one pif ps1 ps1xml ps2 psc1 psm1 rdp reg scf scr sct search-ms settingcontent-ms "
    "shb slk sys theme themepack url vb vbe vbs vhd vhdx wsc wsf wsh xbap xll xnk"
).split()


class Naming(NamedTuple):
    """Content-Type and Content-Disposition of a part that somebody calls a.js."""

    name: str
    fields: bytes


def _word(text: str, charset: str = "utf-8", kind: str = "B") -> bytes:
    raw = text.encode(charset)
    coded = base64.b64encode(raw).decode() if kind.upper() == "B" else "".join(f"={byte:02X}" for byte in raw)
    return f"=?{charset}?{kind}?{coded}?=".encode()


def _percent(text: str, charset: str = "utf-8") -> bytes:
    return "".join(f"%{byte:02X}" for byte in text.encode(charset)).encode()


def values() -> Iterator[tuple[str, bytes]]:
    """What stands after "attachment" or after the media type; %K is the key."""
    w = _word("a.js")
    for name, value in (
        ("plain", b"; %K=a.js"),
        ("quoted", b'; %K="a.js"'),
        ("upper-key", b"; %UK=a.js"),
        ("upper", b"; %K=A.JS"),
        ("blanks-around-equals", b"; %K = a.js"),
        ("fold-after-equals", b"; %K=\r\n a.js"),
        ("fold-before-equals", b"; %K\r\n =a.js"),
        ("fold-in-quotes", b'; %K="a.\r\n js"'),
        ("fold-in-quotes-tab", b'; %K="a.\r\n\tjs"'),
        ("fold-none", b";\r\n%K=a.js"),
        ("fold-none-quoted", b';\r\n%K="a.js"'),
        ("newline-for-semicolon", b"\r\n %K=a.js"),
        ("newline-for-semicolon-quoted", b'; x="y"\r\n %K="a.js"'),
        ("newline-in-name", b'; %K="a\r\n.js"'),
        ("lf-in-name", b'; %K="a.\njs"'),
        ("cr-in-name", b'; %K="a.\rjs"'),
        ("no-semicolon", b" %K=a.js"),
        ("comma", b", %K=a.js"),
        ("comma-after", b"; %K=a.js, x=y"),
        ("two-semicolons", b";; %K=a.js"),
        ("two-equals", b"; %K==a.js"),
        ("colon-for-equals", b"; %K:a.txt; %K=a.js"),
        ("single-quotes", b"; %K='a.js'"),
        ("half-quote", b'; %K="a.js'),
        ("half-quote-more", b'; %K="a.js; x=y'),
        ("half-quote-back", b'; %K=a.js"'),
        ("half-single-quote", b"; %K='a.js"),
        ("quote-inside", b'; %K=a".js"'),
        ("quote-inside-2", b'; %K="a".js'),
        ("quotes-empty", b'; %K=""a.js""'),
        ("quotes-junk", b'; %K="a.js"x'),
        ("quotes-blank-junk", b'; %K="a.js" x'),
        ("quotes-two", b'; %K="a." "js"'),
        ("quotes-in-name", b'; %K="a.j\\"s"'),
        ("escape", b'; %K="a.\\js"'),
        ("escape-every", b'; %K="\\a\\.\\j\\s"'),
        ("escape-unquoted", b"; %K=a.\\js"),
        ("escape-quote", b'; %K="\\"a.js\\""'),
        ("escape-last", b'; %K="a.js\\"'),
        ("backticks", b"; %K=`a.js`"),
        ("angles", b"; %K=<a.js>"),
        ("semicolon-quoted", b'; %K="a;b.js"'),
        ("semicolon-unquoted", b"; %K=a;b.js"),
        ("semicolon-cut", b"; %K=a.js;.txt"),
        ("comma-unquoted", b"; %K=a,b.js"),
        ("blank-unquoted", b"; %K=a b.js"),
        ("blank-cut", b"; %K=a.js b.txt"),
        ("blank-in-name", b'; %K="a .js"'),
        ("blanks-in-name", b'; %K="a.txt' + b" " * 200 + b'.js"'),
        ("blanks-in-extension", b'; %K="a.j s"; x=.js'),
        ("equals-unquoted", b"; %K=a=b.js"),
        ("comment-before", b"; %K=(x)a.js"),
        ("comment-after", b"; %K=a.js(x)"),
        ("comment-after-blank", b"; %K=a.js (x.txt)"),
        ("comment-inside", b"; %K=a.(x)js"),
        ("comment-inside-extension", b"; %K=a.j(x)s"),
        ("comment-quoted", b'; %K="a.(x)js"'),
        ("comment-name", b"; (%K=a.txt) %K=a.js"),
        ("comment-hides", b"; (%K=a.js)"),
        ("comment-before-equals", b"; %K (x) =a.js"),
        ("comment-open", b"; %K=a.js (x"),
        ("comment-nested", b"; %K=(a(b)c)a.js"),
        ("nul-after", b"; %K=a.js\0"),
        ("nul-cut", b'; %K="a.js\0.txt"'),
        ("nul-inside", b'; %K="a.\0js"'),
        ("nul-before", b"; %K=\0a.js"),
        ("nul-in-key", b"; %NK=a.js"),
        ("vt-after", b"; %K=a.js\x0b"),
        ("tab-after", b"; %K=a.js\t"),
        ("vt-inside", b'; %K="a.\x0bjs"'),
        ("tab-inside", b'; %K="a.\tjs"'),
        ("bell-inside", b'; %K="a.j\x07s"'),
        ("delete-inside", b'; %K="a.j\x7fs"'),
        ("8bit-blank", b'; %K="a.js\xa0"'),
        ("duplicate-first", b"; %K=a.js; %K=a.txt"),
        ("duplicate-last", b"; %K=a.txt; %K=a.js"),
        ("duplicate-middle", b"; %K=a.txt; %K=a.js; %K=a.gif"),
        ("duplicate-empty", b"; %K=; %K=a.js"),
        ("duplicate-100", b"; %K=a.txt" * 100 + b"; %K=a.js"),
        ("duplicate-300-first", b"; %K=a.js" + b"; %K=a.txt" * 300),
        ("in-other-parameter", b'; x="y; %K=a.js; z"'),
        ("decoy-in-parameter", b'; x="; %K=a.txt; "; %K=a.js'),
        ("many-parameters", b"".join(b"; p%d=q" % n for n in range(400)) + b"; %K=a.js"),
        ("key-suffix", b"; x%K=a.txt; %K=a.js"),
        ("slash", b"; %K=x/a.js"),
        ("backslash", b'; %K="x\\\\a.js"'),
        ("drive", b'; %K="C:\\\\temp\\\\a.js"'),
        ("traversal", b'; %K="../../a.js"'),
        ("traversal-backslash", b'; %K="..\\\\..\\\\a.js"'),
        ("unc", b'; %K="\\\\\\\\host\\\\share\\\\a.js"'),
        ("slash-last", b'; %K="a.js/"'),
        ("url", b'; %K="http://example.org/a.js"'),
        ("stream", b'; %K="a.js::$DATA"'),
        ("stream-name", b'; %K="a.js:x.txt"'),
        ("stream-behind", b'; %K="a.txt:b.js"'),
        ("stream-lower", b'; %K="a.js::$data"'),
        ("stream-index", b'; %K="a.js::$INDEX_ALLOCATION"'),
        ("dot-behind", b'; %K="a.js."'),
        ("dots-behind", b'; %K="a.js....."'),
        ("blank-behind", b'; %K="a.js "'),
        ("blanks-behind", b'; %K="a.js     "'),
        ("dot-blank-behind", b'; %K="a.js . ."'),
        ("dot-first", b'; %K=".js"'),
        ("double-extension", b'; %K="a.txt.js"'),
        ("double-extension-blanks", b'; %K="a.txt .js"'),
        ("no-base", b'; %K="js.js"'),
        ("long", b'; %K="' + b"a" * 3000 + b'.js"'),
        ("long-dots", b'; %K="' + b"a." * 3000 + b'js"'),
        ("very-long", b'; %K="' + b"a" * 70000 + b'.js"'),
        ("long-cut", b'; %K="' + b"a" * 251 + b'.js.txt"'),
        ("percent", b"; %K=a%%2Ejs"),
        ("percent-extension", b"; %K=a.%%6As"),
        ("percent-nul", b"; %K=a.js%%00.txt"),
        ("plus", b"; %K=+a.js"),
        ("entity", b"; %K=a&#46;js"),
        ("utf-8-rlo", '; %K="invoice_\u202etxt.js"'.encode()),
        ("utf-8-rlo-real", '; %K="invoice_\u202esj.txt.js"'.encode()),
        ("utf-8-zero-width", '; %K="a.j\u200bs"'.encode()),
        ("utf-8-zero-width-end", '; %K="a.js\u200b"'.encode()),
        ("utf-8-joiner", '; %K="a.\u200djs"'.encode()),
        ("utf-8-bom", '; %K="\ufeffa.js"'.encode()),
        ("utf-8-bom-inside", '; %K="a.j\ufeffs"'.encode()),
        ("utf-8-isolate", '; %K="\u2066a.js\u2069"'.encode()),
        ("utf-8-soft-hyphen", '; %K="a.j\u00ads"; x=.js'.encode()),
        ("utf-8-fullwidth", '; %K="a\uff0ejs"; x=.js'.encode()),
        ("utf-8-letters", '; %K="Rechnung \u00fcber \u20ac.js"'.encode()),
        ("latin-1", b'; %K="f\xfcr.js"'),
        ("quoted-printable", b'; %K="a=2Ejs"'),
        ("word", b"; %K=" + w),
        ("word-quoted", b'; %K="' + w + b'"'),
        ("word-q", b'; %K="' + _word("a.js", kind="Q") + b'"'),
        ("word-lower", b'; %K="' + _word("a.js", kind="q").lower() + b'"'),
        ("word-comment", b"; %K=(" + _word("x") + b")a.js"),
        ("word-middle", b'; %K="a.' + _word("js", kind="Q") + b'"'),
        ("word-begin", b'; %K="' + _word("a.") + b'js"'),
        ("word-end", b'; %K="a.j' + _word("s") + b'"'),
        ("word-split", b'; %K="' + _word("a.") + b" " + _word("js") + b'"'),
        ("word-split-fold", b'; %K="' + _word("a.") + b"\r\n " + _word("js") + b'"'),
        ("word-split-none", b'; %K="' + _word("a.") + _word("js") + b'"'),
        ("word-split-tab", b'; %K="' + _word("a.") + b"\t" + _word("js") + b'"'),
        ("word-split-kinds", b'; %K="' + _word("a.", kind="Q") + b" " + _word("js") + b'"'),
        ("word-split-charsets", b'; %K="' + _word("a.", "iso-8859-1") + b" " + _word("js") + b'"'),
        ("word-split-letters", b'; %K="' + b" ".join(_word(c) for c in "a.js") + b'"'),
        ("word-split-in-base64", b'; %K="=?utf-8?B?YS?= =?utf-8?B?5qcw==?="'),
        ("word-language", b'; %K="=?utf-8*en?Q?a.js?="'),
        ("word-no-end", b'; %K="=?utf-8?Q?a.js"'),
        ("word-no-padding", b'; %K="=?utf-8?B?YS5qcw?="'),
        ("word-bad-padding", b'; %K="=?utf-8?B?YS5qcw===?="'),
        ("word-junk", b'; %K="=?utf-8?B?YS5!qcw==?="'),
        ("word-blank", b'; %K="=?utf-8?Q?a.js ?="'),
        ("word-underscore", b'; %K="=?utf-8?Q?a_b.js?="'),
        ("word-charset-unknown", b'; %K="=?x-foo?B?YS5qcw==?="'),
        ("word-charset-empty", b'; %K="=??B?YS5qcw==?="'),
        ("word-kind-unknown", b'; %K="=?utf-8?X?a?=.js"'),
        ("word-twice", b'; %K="' + _word(w.decode()) + b'"'),
        ("word-in-word", b'; %K="' + _word(w.decode(), kind="Q") + b'"'),
        ("word-nul", b'; %K="=?utf-8?B?' + base64.b64encode(b"a.js\0.txt") + b'?="'),
        ("word-latin", b'; %K="' + _word("\u00fc.js", "iso-8859-1") + b'"'),
        ("word-utf-7", b'; %K="=?utf-7?Q?a+AC4-js?="'),
        ("word-utf-7-b", b'; %K="=?utf-7?B?' + base64.b64encode(b"a+AC4AagBz-") + b'?="'),
        ("word-gb", b'; %K="' + _word("\u4e2d.js", "gb18030") + b'"'),
        ("word-iso-2022", b'; %K="' + _word("\u65e5.js", "iso-2022-jp") + b'"'),
        ("word-ebcdic", b'; %K="' + _word("a.js", "cp037") + b'"'),
        ("word-fold-inside", b'; %K="=?utf-8?B?YS5q\r\n cw==?="'),
        ("word-space-inside", b'; %K="=?utf-8?B?YS5q cw==?="'),
        ("word-percent", b'; %K="' + _word("a%2Ejs") + b'"'),
        ("word-unquoted-middle", b"; %K=a" + _word(".js")),
        ("word-rlo", b'; %K="' + _word("invoice_\u202etxt.js") + b'"'),
        ("word-zero-width", b'; %K="' + _word("a.j\u200bs") + b'"'),
        ("word-path", b'; %K="' + _word("..\\a.js") + b'"'),
        ("word-quotes", b'; %K="' + _word('"a.js"') + b'"'),
        ("word-escaped", b'; %K="\\=?utf-8?B?YS5qcw==?="'),
        ("rfc2231", b"; %K*=utf-8''a.js"),
        ("rfc2231-percent", b"; %K*=utf-8''" + _percent("a.js")),
        ("rfc2231-language", b"; %K*=utf-8'en'a%2ejs"),
        ("rfc2231-quoted", b"; %K*=\"utf-8''a%2Ejs\""),
        ("rfc2231-no-charset", b"; %K*=''a%2Ejs"),
        ("rfc2231-no-quotes", b"; %K*=a%2Ejs"),
        ("rfc2231-one-quote", b"; %K*=utf-8'a%2Ejs"),
        ("rfc2231-bad-charset", b"; %K*=x-foo''a%2Ejs"),
        ("rfc2231-latin", b"; %K*=iso-8859-1''%FC.js"),
        ("rfc2231-bad-escape", b"; %K*=utf-8''a%2Ejs%"),
        ("rfc2231-bad-escape-2", b"; %K*=utf-8''a%zz.js"),
        ("rfc2231-nul", b"; %K*=utf-8''a.js%00.txt"),
        ("rfc2231-zero-width", b"; %K*=utf-8''a.j%E2%80%8Bs"),
        ("rfc2231-rlo", b"; %K*=utf-8''invoice_%E2%80%AEtxt.js"),
        ("rfc2231-path", b"; %K*=utf-8''..%5Ca.js"),
        ("rfc2231-slash", b"; %K*=utf-8''..%2Fa.js"),
        ("rfc2231-quote-in-value", b"; %K*=utf-8''it's.js"),
        ("rfc2231-double-percent", b"; %K*=utf-8''a%252Ejs"),
        ("rfc2231-line-end", b"; %K*=utf-8''a%0D%0A.js"),
        ("rfc2231-word", b"; %K*=utf-8''" + _percent(w.decode())),
        ("rfc2231-raw-word", b"; %K*=" + w),
        ("rfc2231-and-plain-txt", b"; %K=a.txt; %K*=utf-8''a.js"),
        ("rfc2231-and-plain-txt-after", b"; %K*=utf-8''a.js; %K=a.txt"),
        ("rfc2231-txt-and-plain", b"; %K=a.js; %K*=utf-8''a.txt"),
        ("rfc2231-txt-and-plain-after", b"; %K*=utf-8''a.txt; %K=a.js"),
        ("rfc2231-twice", b"; %K*=utf-8''a.txt; %K*=utf-8''a.js"),
        ("rfc2231-twice-first", b"; %K*=utf-8''a.js; %K*=utf-8''a.txt"),
        ("rfc2231-8bit", "; %K*=utf-8''\u00fc.js".encode()),
        ("rfc2231-blank", b"; %K*=utf-8''a b.js"),
        ("rfc2231-blank-star", b"; %K *=utf-8''a.js"),
        ("pieces", b'; %K*0="a."; %K*1="js"'),
        ("pieces-unquoted", b"; %K*0=a.; %K*1=js"),
        ("pieces-one", b"; %K*0=a.js"),
        ("pieces-letters", b"; %K*0=a; %K*1=.; %K*2=j; %K*3=s"),
        ("pieces-reverse", b"; %K*1=js; %K*0=a."),
        ("pieces-from-1", b"; %K*1=a.; %K*2=js"),
        ("pieces-gap", b"; %K*0=a.; %K*2=js"),
        ("pieces-gap-cut", b"; %K*0=a.js; %K*2=.txt"),
        ("pieces-zero-padded", b"; %K*00=a.; %K*01=js"),
        ("pieces-twelve", b"".join(b"; %%K*%d=a" % n for n in range(11)) + b"; %K*11=.js"),
        ("pieces-duplicate", b"; %K*0=a.; %K*1=js; %K*1=txt"),
        ("pieces-duplicate-last", b"; %K*0=a.; %K*1=txt; %K*1=js"),
        ("pieces-percent", b"; %K*0*=utf-8''a%2; %K*1*=Ej; %K*2=s"),
        ("pieces-percent-all", b"; %K*0*=utf-8''%61; %K*1*=%2E; %K*2*=%6A; %K*3*=%73"),
        ("pieces-percent-mixed", b"; %K*0*=utf-8''a%2E; %K*1=js"),
        ("pieces-percent-only-last", b"; %K*0=a; %K*1*=%2Ejs"),
        ("pieces-percent-quoted", b'; %K*0*="utf-8\'\'a%2E"; %K*1*="js"'),
        ("pieces-percent-no-star", b"; %K*0=utf-8''a%2E; %K*1=js"),
        ("pieces-word", b'; %K*0="=?utf-8?B?YS5"; %K*1="qcw==?="'),
        ("pieces-word-each", b'; %K*0="' + _word("a.") + b'"; %K*1="' + _word("js") + b'"'),
        ("pieces-and-plain-txt", b"; %K=a.txt; %K*0=a.; %K*1=js"),
        ("pieces-txt-and-plain", b"; %K*0=a.; %K*1=txt; %K=a.js"),
        ("pieces-and-rfc2231-txt", b"; %K*=utf-8''a.txt; %K*0=a.; %K*1=js"),
        ("pieces-txt-and-rfc2231", b"; %K*=utf-8''a.js; %K*0=a.; %K*1=txt"),
        ("pieces-fold", b";\r\n %K*0=a.;\r\n %K*1=js"),
        ("pieces-fold-none", b";\r\n%K*0=a.;\r\n%K*1=js"),
        ("pieces-nul", b"; %K*0=a.js%00; %K*1=.txt"),
        ("pieces-comments", b"; %K*0=a.(x); (y)%K*1=js"),
        ("pieces-blank-star", b"; %K *0=a.; %K *1=js"),
        ("pieces-star-blank", b"; %K* 0=a.; %K* 1=js"),
        ("pieces-upper", b"; %UK*0=a.; %UK*1=js"),
        ("pieces-negative", b"; %K*-1=x; %K*0=a.; %K*1=js"),
        ("pieces-huge", b"; %K*0=a.; %K*1=js; %K*4294967296=txt"),
        ("pieces-utf-8-split", b"; %K*0*=utf-8''%E2%82; %K*1*=%AC.js"),
    ):
        yield name, value.replace(b"%%", b"%")
    for charset in ("utf-16", "utf-16le", "utf-16be", "utf-32le", "utf-32be"):
        yield "word-" + charset, b'; %K="' + _word("a.js", charset) + b'"'
        yield "word-q-" + charset, b'; %K="' + _word("a.js", charset, "Q") + b'"'
        yield "rfc2231-" + charset, b"; %K*=" + charset.encode() + b"''" + _percent("a.js", charset)
        yield "pieces-" + charset, b"; %K*0*=" + charset.encode() + b"''" + _percent("a.", charset) + b"; %K*1*=" + _percent("js", charset)
    yield "raw-utf-16", b'; %K="' + "a.js".encode("utf-16-le") + b'"'
    yield "word-split-utf-16", b'; %K="' + _word("a.", "utf-16be") + b" " + _word("js", "utf-16be") + b'"'


def namings() -> Iterator[Naming]:
    octets, attachment = b"Content-Type: application/octet-stream", b"Content-Disposition: attachment"

    def filled(value: bytes, key: bytes) -> bytes:
        return value.replace(b"%K", key).replace(b"%UK", key.upper()).replace(b"%NK", key[:2] + b"\0" + key[2:])

    for name, value in values():
        yield Naming(name, octets + b"\r\n" + attachment + filled(value, b"filename") + b"\r\n")
        yield Naming(name + "-type", octets + filled(value, b"name") + b"\r\n" + attachment + b"\r\n")
        yield Naming(name + "-only-type", octets + filled(value, b"name") + b"\r\n")
        yield Naming(name + "-decoy-type", octets + b"; name=a.txt\r\n" + attachment + filled(value, b"filename") + b"\r\n")
    for name, fields in (
        ("disposition-and-type", octets + b"; name=a.txt\r\n" + attachment + b"; filename=a.js\r\n"),
        ("type-and-disposition", octets + b"; name=a.js\r\n" + attachment + b"; filename=a.txt\r\n"),
        ("name-in-disposition", octets + b"\r\n" + attachment + b"; name=a.js\r\n"),
        ("filename-in-type", octets + b"; filename=a.js\r\n"),
        ("filename-in-type-decoy", octets + b"; filename=a.js\r\n" + attachment + b"; filename=a.txt\r\n"),
        ("two-dispositions-first", octets + b"\r\n" + attachment + b"; filename=a.js\r\n" + attachment + b"; filename=a.txt\r\n"),
        ("two-dispositions-last", octets + b"\r\n" + attachment + b"; filename=a.txt\r\n" + attachment + b"; filename=a.js\r\n"),
        ("two-types-first", octets + b"; name=a.js\r\n" + octets + b"; name=a.txt\r\n"),
        ("two-types-last", octets + b"; name=a.txt\r\n" + octets + b"; name=a.js\r\n"),
        ("two-types-text", b"Content-Type: text/plain; name=a.txt\r\n" + octets + b"; name=a.js\r\n"),
        ("disposition-inline", octets + b"\r\nContent-Disposition: inline; filename=a.js\r\n"),
        ("disposition-empty", octets + b"\r\nContent-Disposition: ; filename=a.js\r\n"),
        ("disposition-only-name", octets + b"\r\nContent-Disposition: filename=a.js\r\n"),
        ("disposition-unknown", octets + b"\r\nContent-Disposition: x-foo; filename=a.js\r\n"),
        ("disposition-quoted", octets + b'\r\nContent-Disposition: "attachment; filename=a.js"\r\n'),
        ("disposition-word", octets + b"\r\nContent-Disposition: =?us-ascii?Q?attachment;_filename=3Da.js?=\r\n"),
        ("disposition-comment", octets + b"\r\nContent-Disposition: (x) attachment; filename=a.js\r\n"),
        ("field-blank-colon", octets + b"\r\nContent-Disposition : attachment; filename=a.js\r\n"),
        ("field-two-colons", octets + b"\r\nContent-Disposition:: attachment; filename=a.js\r\n"),
        ("field-no-colon", octets + b"\r\nContent-Disposition attachment; filename=a.js\r\n"),
        ("field-comment", octets + b"\r\nContent-Disposition(x): attachment; filename=a.js\r\n"),
        ("field-nul", octets + b"\r\nContent-Disposition\0: attachment; filename=a.js\r\n"),
        ("field-after-cr", octets + b"\rContent-Disposition: attachment; filename=a.js\r\n"),
        ("field-after-junk", octets + b"\r\njunk\r\nContent-Disposition: attachment; filename=a.js\r\n"),
        ("field-after-blanks", octets + b"\r\n \r\nContent-Disposition: attachment; filename=a.js\r\n"),
        ("field-indented", octets + b"\r\n Content-Disposition: attachment; filename=a.js\r\n"),
        ("description", octets + b"\r\nContent-Description: a.txt\r\n" + attachment + b"; filename=a.js\r\n"),
        ("text", b"Content-Type: text/plain; name=a.js\r\n"),
        ("image", b"Content-Type: image/png; name=a.js\r\n"),
        ("message", b"Content-Type: message/rfc822; name=a.js\r\n"),
        ("multipart", b"Content-Type: multipart/mixed; boundary=x; name=a.js\r\n"),
    ):
        yield Naming(name, fields)


BODY = b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(SCRIPT)


def name_variants() -> Iterator[Variant]:
    for naming in namings():
        yield Variant("name-" + naming.name, "filename", (mail(naming.fields + BODY),), SCRIPT_MARK, JS)
    for naming in list(namings())[::7]:
        yield Variant("name-" + naming.name + "-alone", "filename", (HEAD + VERSION + naming.fields + BODY,), SCRIPT_MARK, JS)
    for kind, extension in (
        ("application/hta", "hta"),
        ("application/javascript", "js"),
        ("text/javascript", "js"),
        ("application/x-javascript", "js"),
        ("application/x-msdownload", "exe"),
        ("text/vbscript", "vbs"),
        ("application/x-dosexec", "exe"),
    ):
        for form in (kind, kind.upper(), kind + "; charset=utf-8", " ( x ) " + kind, kind.replace("/", " / "), f'"{kind}"'):
            field = f"Content-Type: {form}\r\n".encode()
            name = "type-" + "".join(c if c.isalnum() else "-" for c in form)
            yield Variant(name, "filename", (mail(field + BODY),), SCRIPT_MARK, rf"\.{extension}$")
            inline = field + b"Content-Disposition: inline\r\n"
            yield Variant(name + "-inline", "filename", (mail(inline + BODY),), SCRIPT_MARK, rf"\.{extension}$")


def extension_variants() -> Iterator[Variant]:
    for extension in EXTENSIONS:
        banned = rf"\.{extension}[ .]?$"
        names = (
            f"report.{extension}",
            f"report.{extension.upper()}",
            f"report.pdf.{extension}",
            f"report.{extension}.",
            f"report.{extension} ",
        )
        for label, name in zip(("", "-upper", "-double", "-dot", "-blank"), names, strict=True):
            yield Variant(f"extension-{extension}{label}", "ext-policy", (attached(SCRIPT, name),), SCRIPT_MARK, banned)
        yield Variant(
            f"extension-{extension}-zip", "ext-policy", (attached(wrappings.zipped(SCRIPT, names[0]), "a.zip"),), SCRIPT_MARK, banned
        )
        tar = wrappings.tarred(SCRIPT, names[0])
        yield Variant(f"extension-{extension}-tar", "ext-policy", (attached(tar, "a.tar"),), SCRIPT_MARK, banned)
    yield Variant(
        "extension-clsid", "ext-policy", (attached(SCRIPT, "a.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}"),), SCRIPT_MARK, r"\.\{[-0-9a-f]+\}$"
    )
    for name, local, central in (
        ("same", b"a.js", b"a.js"),
        ("upper", b"A.JS", b"A.JS"),
        ("central", b"a.txt", b"a.js"),
        ("local", b"a.js", b"a.txt"),
        ("dot", b"a.js.", b"a.js."),
        ("blank", b"a.js ", b"a.js "),
        ("dots", b"a.js...", b"a.js..."),
        ("backslash", b"x\\a.js", b"x\\a.js"),
        ("slash", b"x/a.js", b"x/a.js"),
        ("traversal", b"../../a.js", b"../../a.js"),
        ("absolute", b"/a.js", b"/a.js"),
        ("drive", b"C:\\a.js", b"C:\\a.js"),
        ("nul", b"a.js\0.txt", b"a.js\0.txt"),
        ("nul-central", b"a.txt", b"a.js\0.txt"),
        ("nul-before", b"a\0.js", b"a\0.js"),
        ("stream", b"a.js::$DATA", b"a.js::$DATA"),
        ("colon", b"a.txt:b.js", b"a.txt:b.js"),
        ("rlo", "a\u202etxt.js".encode(), "a\u202etxt.js".encode()),
        ("zero-width", "a.j\u200bs".encode(), "a.j\u200bs".encode()),
        ("zero-width-end", "a.js\u200b".encode(), "a.js\u200b".encode()),
        ("folder", b"a.js/x.txt", b"a.js"),
        ("slash-end", b"a.js/", b"a.js/"),
        ("backslash-end", b"a.js\\", b"a.js\\"),
        ("empty-local", b"", b"a.js"),
        ("empty-central", b"a.js", b""),
        ("long", b"a" * 300 + b".js", b"a" * 300 + b".js"),
        ("blanks", b"a.txt" + b" " * 150 + b".js", b"a.txt" + b" " * 150 + b".js"),
        ("line-end", b"a.js\r\n", b"a.js\r\n"),
        ("quotes", b'"a.js"', b'"a.js"'),
        ("percent", b"a%2Ejs", b"a.js"),
        ("word", b"=?utf-8?B?YS5qcw==?=", b"=?utf-8?B?YS5qcw==?="),
        ("ibm", b"\x81.js", b"\x81.js"),
    ):
        banned = r"\.js[ .]?$"
        made = zip_with_names(SCRIPT, local, central)
        yield Variant("zip-name-" + name, "ext-policy", (attached(made, "a.zip", "application/zip"),), SCRIPT_MARK, banned)
        inner = wrappings.zipped(made, "inner.zip")
        yield Variant("zip-name-nested-" + name, "ext-policy", (attached(inner, "a.zip", "application/zip"),), SCRIPT_MARK, banned)
    extra = struct.pack("<HHBI", 0x7075, 5 + 4, 1, crc32(b"a.txt")) + b"a.js"
    made = zip_with_names(SCRIPT, b"a.txt", b"a.txt", extra)
    yield Variant("zip-name-unicode-extra", "ext-policy", (attached(made, "a.zip"),), SCRIPT_MARK, r"\.js$")
    for name in ("a.js", "x/a.js", "A.JS.", "..\\a.js", "a.txt/../a.js"):
        for label, data in (
            ("tar", wrappings.tarred(SCRIPT, name)),
            ("cab", wrappings.cab(SCRIPT, name.encode())),
            ("lha", wrappings.lha(SCRIPT, name.encode())),
            ("rar", wrappings.rar(SCRIPT, name.encode())),
        ):
            label = f"{label}-name-" + "".join(c if c.isalnum() else "-" for c in name)
            yield Variant(label, "ext-policy", (attached(data, "a." + label[:3]),), SCRIPT_MARK, r"\.js[ .]?$")
    yield Variant("uu-name", "ext-policy", (HEAD + b"\r\n" + wrappings.uuencoded(SCRIPT, "a.js"),), SCRIPT_MARK, r"\.js$")
    yield Variant("yenc-name", "ext-policy", (HEAD + b"\r\n" + wrappings.yencoded(SCRIPT, "a.js"),), SCRIPT_MARK, r"\.js$")
    yield Variant("hqx-name", "ext-policy", (HEAD + b"\r\n" + wrappings.binhexed(SCRIPT, "a.js"),), SCRIPT_MARK, r"\.js$")
    yield Variant(
        "tnef-name", "ext-policy", (attached(wrappings.tnef(SCRIPT, b"a.js"), "winmail.dat", "application/ms-tnef"),), SCRIPT_MARK, r"\.js$"
    )


def zip_with_names(data: bytes, local: bytes, central: bytes, extra: bytes = b"") -> bytes:
    """A zip with one stored member that has two names."""
    fixed = struct.pack("<HHHHHIII", 20, 0, 0, 0, 0x5876, crc32(data), len(data), len(data))
    first = b"PK\3\4" + fixed + struct.pack("<HH", len(local), 0) + local + data
    entry = b"PK\1\2" + struct.pack("<H", 20) + fixed + struct.pack("<HHHHHII", len(central), len(extra), 0, 0, 0, 0, 0) + central + extra
    return first + entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(first), 0)


def zip_of(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


__all__ = ["MIXED", "extension_variants", "name_variants", "namings", "zip_of", "zip_with_names"]
