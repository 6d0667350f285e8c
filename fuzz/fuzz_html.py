"""Pages: whatever the bytes and the charset, what is left does nothing, is ASCII, and a second time changes nothing."""

from __future__ import annotations

from lazaretto.sanitize import html

SEEDS = (
    b"<html><body onload=x><p style='color:red;width:expression(1)'>a&lt;b<script>y</script></body></html>",
    b"<svg><style><img onerror=y></style></svg><math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img onerror=1&gt;'>",
    b"<!--[if mso]><v:rect href='javascript:x'><w:anchorlock/></v:rect><![endif]--><!--[if !mso]><!-->b<!--<![endif]-->",
    b"<style>@import url(http://x/y);@media x{a>b~c+d:not(.e){f:url('g')}}</style><title><p id='</title><img onerror=1>'></title>",
    b"+ADw-script+AD4-x+ADw-/script+AD4- ~{<:~} \x1b$B \xc0\xbcp\xc0\xbe \xff\xfe",
    b"<base href=//x><meta http-equiv=refresh content=0><link rel=import><form action=y><input><iframe srcdoc='&lt;p onclick=x&gt;'",
    "<a href='java\tscript&colon;x' title=`ü日`>1+1</a><template><p></template><xmp><b></xmp><plaintext><b>".encode(),
)
CHARSETS = ((), ("utf-8",), ("utf-7",), ("shift_jis",), ("iso-2022-jp",), ("utf-16",), ("hz",), ("us-ascii",), ("gb18030", "utf-8"))


def target(data: bytes) -> None:
    declared = CHARSETS[sum(data[:3]) % len(CHARSETS)]
    for profile in (html.SCRIPTS, html.REMOTE):
        found = html.inspect(data, declared, profile)
        clean = html.sanitize(data, declared, profile)
        assert clean.isascii()
        assert not any(line.startswith((b"-", b".", b"From ")) for line in clean.split(b"\n"))
        assert all(byte >= 32 or byte in b"\t\n" for byte in clean)
        assert html.inspect(clean, ("utf-8",), profile) == {}, (found, clean)
        assert html.sanitize(clean, ("utf-8",), profile) == clean
    html.sanitize(data, declared, html.TEXT).decode("utf-8")
