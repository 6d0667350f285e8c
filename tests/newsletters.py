"""Ten newsletters, made here in the manner of real ones: what honest pages look like that must not look otherwise afterwards.

Everything they show is inside them (pictures as data: addresses), and each holds something that acts and is not
seen: a handler, a script, an empty form.
"""

from __future__ import annotations

import base64
import struct
import zlib


def picture(width: int, height: int, red: int, green: int, blue: int) -> str:
    """A PNG with a gradient, as an address."""
    rows = b"".join(
        b"\0" + b"".join(bytes((red, (green + x * 3) % 256, (blue + y * 5) % 256)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


LOGO, HERO, TILE = picture(60, 24, 200, 40, 40), picture(300, 90, 20, 120, 180), picture(16, 16, 240, 230, 200)
TEXT = "Spring has come to the valley, the first boats are out again, and the harbour café opens its doors on Saturday."

TABLES = f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">
<head><meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
<meta name="viewport" content="width=device-width, initial-scale=1.0" />
<title>Harbour news &amp; dates</title>
<!--[if gte mso 9]><xml><o:OfficeDocumentSettings><o:AllowPNG/><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><![endif]-->
<style type="text/css">
/* resets */
#outlook a {{ padding:0; }} .ReadMsgBody, .ExternalClass {{ width:100%; }}
body, table, td, a {{ -webkit-text-size-adjust:100%; -ms-text-size-adjust:100%; }}
table, td {{ mso-table-lspace:0pt; mso-table-rspace:0pt; border-collapse:collapse; }}
img {{ border:0; height:auto; line-height:100%; outline:none; text-decoration:none; -ms-interpolation-mode:bicubic; }}
h1 {{ font-family:'Helvetica Neue',Helvetica,Arial,sans-serif; font-size:26px; color:#223; margin:0 0 12px 0; }}
a:hover {{ color:#c00 !important; }}
@media only screen and (max-width:600px) {{
  .wrap {{ width:100% !important; }} .col {{ display:block!important; width:auto!important; }}
  h1 {{ font-size:20px !important; }}
}}
</style></head>
<body bgcolor="#eeeeee" leftmargin="0" topmargin="0" marginwidth="0" marginheight="0" style="margin:0;padding:0;" onload="void(0)">
<div style="display:none;font-size:1px;color:#eee;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;">Preheader text&zwnj;&nbsp;&zwnj;&nbsp;</div>
<center><table width="600" class="wrap" border="0" cellpadding="0" cellspacing="0" bgcolor="#ffffff">
<tr><td style="padding:20px 30px" background="{TILE}"><img src="{LOGO}" width="60" height="24" alt="Logo" style="display:block" /></td></tr>
<tr><td><img src="{HERO}" width="600" style="width:100%;max-width:600px;display:block" alt="Hero"></td></tr>
<tr><td style="padding:30px;font:15px/1.5 Arial,sans-serif;color:#444"><h1>Harbour news</h1><p style="margin:0 0 1em">{TEXT}</p>
<table border="0" cellspacing="0" cellpadding="0"><tr><td bgcolor="#1779ba" style="border-radius:4px;padding:12px 24px">
<a href="https://news.example.org/?a=1&amp;copy=2&utm_source=mail" target="_blank" style="color:#fff;text-decoration:none;font-weight:bold">Read more &raquo;</a></td></tr></table>
</td></tr>
<tr><td class="col" width="50%" style="padding:10px;border-top:1px solid #ddd;font-size:11px;color:#999" align="center">You get this because you asked for it &copy; 2026</td></tr>
</table></center><script>void 0</script></body></html>"""

GHOST_TABLES = f"""<!doctype html><html><head><style>
.b{{background:#f4f4f4}} .row::after{{content:"";display:table;clear:both}} .c{{float:left;width:33.33%;box-sizing:border-box;padding:8px}}
.c p{{margin:0;font:13px/18px Verdana,Geneva,sans-serif}} .c > h3 + p ~ p {{color:#777}}
@media (max-width:480px){{.c{{float:none;width:100%}}}}
</style><!--[if mso]><style>.c{{width:200px}}</style><![endif]--></head><body class="b">
<div style="max-width:620px;margin:0 auto;background:#fff">
<!--[if mso]><table role="presentation" width="620"><tr><td><![endif]-->
<div class="row"><div class="c"><h3>One</h3><p>{TEXT}</p></div>
<!--[if mso]></td><td><![endif]-->
<div class="c"><h3>Two</h3><p>Short.</p><p>Second &mdash; &ldquo;quoted&rdquo;</p></div>
<div class="c"><h3>Three</h3><p>{TEXT[:60]}&hellip;</p></div></div>
<!--[if mso]></td></tr></table><![endif]-->
<!--[if !mso]><!--><div style="background:linear-gradient(90deg,#fa0,#f06);height:40px;border-radius:0 0 12px 12px"></div><!--<![endif]-->
</div><form></form><p onclick="x()" style="text-align:center">end</p></body></html>"""

SHOP = (
    """<html><head><style type="text/css">
td.price{color:#b00;font-weight:700} td.price s{color:#999;font-weight:normal} a.btn{display:inline-block;padding:10px 18px;background:#222;color:#fff!important;text-decoration:none}
tr:nth-child(2n+1) td{background-color:rgba(0,0,0,.03)}
</style></head><body style="font-family:Georgia,'Times New Roman',serif"><table align="center" width="640" cellpadding="10">
"""
    + "".join(
        f'<tr><td width="120"><img src="{picture(80, 60, 40 * n, 90, 160)}" alt="Item {n}" width="80" height="60" hspace="4" border="1"></td>'
        f'<td valign="top"><b>Item {n}</b><br><font size="2" color="#666666" face="Arial">Ref. 10{n} &middot; in stock</font></td>'
        f'<td class="price" align="right" nowrap>&euro;&nbsp;{n}9,90<br><s>&euro;&nbsp;{n}9,95</s></td>'
        f'<td><a class="btn" href="https://shop.example.net/i/{n}?q=a+b" onclick="return track({n})">Buy</a></td></tr>\n'
        for n in range(1, 5)
    )
    + "</table><img src='cid:missing' alt='' width=1 height=1 style='display:none'></body></html>"
)

WORD = """<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40">
<head><meta name=Generator content="Microsoft Word 15 (filtered medium)"><!--[if !mso]><style>v\\:* {behavior:url(#default#VML);} o\\:* {behavior:url(#default#VML);}</style><![endif]--><style><!--
/* Font Definitions */
@font-face {font-family:"Cambria Math"; panose-1:2 4 5 3 5 4 6 3 2 4;}
/* Style Definitions */
p.MsoNormal, li.MsoNormal, div.MsoNormal {margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif; mso-fareast-language:EN-US;}
a:link, span.MsoHyperlink {mso-style-priority:99; color:#0563C1; text-decoration:underline;}
@page WordSection1 {size:612.0pt 792.0pt; margin:70.85pt 70.85pt 2.0cm 70.85pt;}
div.WordSection1 {page:WordSection1;}
--></style></head><body lang=DE link="#0563C1" vlink="#954F72" style='word-wrap:break-word'><div class=WordSection1>
<p class=MsoNormal onclick='x()'>Dear all,<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>
<p class=MsoNormal style='margin-left:36.0pt;text-indent:-18.0pt;mso-list:l0 level1 lfo1'><![if !supportLists]><span style='font-family:Symbol'><span style='mso-list:Ignore'>&middot;<span style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp;&nbsp; </span></span></span><![endif]>the first point<o:p></o:p></p>
<table class=MsoTableGrid border=1 cellspacing=0 cellpadding=0 style='border-collapse:collapse;border:none'><tr><td width=200 valign=top style='width:150.0pt;border:solid windowtext 1.0pt;padding:0cm 5.4pt 0cm 5.4pt'><p class=MsoNormal>left<o:p></o:p></p></td><td width=200 style='border:solid windowtext 1.0pt;border-left:none'><p class=MsoNormal><b><span style='color:red'>right</span></b><o:p></o:p></p></td></tr></table>
<p class=MsoNormal>Regards, J&uuml;rgen &#8211; +49&nbsp;30&nbsp;1234<o:p></o:p></p></div></body></html>"""

OLD = f"""<HTML><HEAD><TITLE>News of the club</TITLE></HEAD>
<BODY BGCOLOR=#FFFFEE TEXT=#000033 LINK=#0000FF BACKGROUND="{TILE}" onUnload="bye()">
<CENTER><TABLE BORDER=2 CELLPADDING=6 WIDTH=80%><TR><TD ALIGN=center BGCOLOR=#CCCCFF><FONT FACE="Arial,Helvetica" SIZE=+2 COLOR=#990000><B>News of the club</B></FONT>
<TR><TD><FONT SIZE=-1>{TEXT}<P>Second paragraph without an end<BR CLEAR=all><HR NOSHADE SIZE=1 WIDTH=50%>
<UL TYPE=square><LI>one<LI VALUE=3>two<UL><LI>inner</UL></UL><OL START=5><LI>five<LI>six</OL>
<TR><TD><TABLE WIDTH=100%><TR><TD ROWSPAN=2 BGCOLOR=yellow>A<TD>B<TR><TD><TT>C</TT> x<SUP>2</SUP></TABLE>
</TABLE></CENTER><I>bye <B>bold</I> still bold</B> <A NAME=end HREF="#top">top</A></BODY></HTML>"""

AGENDA = (
    """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><style>
.t{border-collapse:separate;border-spacing:3px;width:100%;font:12px/1.4 "DejaVu Sans",sans-serif}
.t th{background:#345;color:#fff;text-align:left;padding:4px} .t td{border:1px dashed #9ab;padding:4px}
.t td[class^="k-"]{font-weight:bold} .t tr:hover td{background:#ffd} .t td:first-child{white-space:nowrap}
caption{caption-side:bottom;font-style:italic}
</style></head><body><table class="t" summary="days"><caption>Times are local</caption><colgroup><col width="90"><col span="2"></colgroup>
<thead><tr><th>Time<th>Room A<th>Room B</thead><tbody>
<tr><td class="k-1">09:00</td><td colspan="2">Opening</td></tr><tr><td class="k-2">10:00</td><td rowspan="2" valign="middle">Long talk</td><td>Short talk</td></tr>
<tr><td>11:00</td><td style="background:hsl(120, 60%, 85%);transform:rotate(-1deg)">Coffee &amp; cake</td></tr></tbody></table>
<input type="hidden" name="x"><p style="columns:2;column-gap:2em;text-align:justify">"""
    + TEXT * 3
    + "</p></body></html>"
)

INVOICE = (
    """<html><body style="margin:20px;color:#333;font:14px Tahoma,sans-serif"><table width="100%"><tr><td><h2 style="margin:0">Invoice 2026-117</h2></td>
<td align="right" style="font-size:12px;line-height:1.3">Example Ltd<br>1 High Street<br>Anytown</td></tr></table>
<table width="100%" cellpadding="6" style="border:1px solid #ccc;margin-top:1em" rules="rows" frame="hsides">
"""
    + "".join(
        f"<tr bgcolor='{'#fafafa' if n % 2 else '#ffffff'}'><td>Service {n}</td><td align=char char='.'>{n * 12}.50</td></tr>"
        for n in range(1, 7)
    )
    + """<tr><td style="border-top:3px double #000"><strong>Total</strong></td><td style="border-top:3px double #000"><strong>255.00</strong></td></tr></table>
<p style="background-color:#fff3cd;border-left:4px solid #fc0;padding:.5em 1em;box-shadow:0 1px 3px rgba(0,0,0,.2)">Please pay by 1 &lt; 2 weeks; it's "due" &amp; done.</p>
<p style="color:#888;font-size:10px;letter-spacing:.1em;text-transform:uppercase" onmouseover="hint()">thank you</p></body></html>"""
)

MODERN = f"""<!DOCTYPE html><html><head><meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark"><style>
:root{{color-scheme:light dark;--accent:#0a7;--gap:calc(4px * 3)}}
body{{margin:0;font-family:-apple-system,BlinkMacSystemFont,"Segoe UI",Roboto,sans-serif;background:#fff;color:#111}}
.card{{border:1px solid #ddd;border-radius:10px;padding:var(--gap);margin:var(--gap);box-shadow:0 2px 8px rgb(0 0 0 / 15%)}}
.card h2{{color:var(--accent);margin:0 0 .4em}} .pill{{display:inline-block;background:var(--accent);color:#fff;border-radius:99px;padding:2px 10px;font-size:12px}}
.grid{{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:10px}} .flex{{display:flex;justify-content:space-between;align-items:center}}
.hero{{background:#246 url("{HERO}") center / cover no-repeat;height:90px}}
@media (prefers-color-scheme:dark){{body{{background:#111;color:#eee}} .card{{border-color:#444}}}}
@media screen and (-webkit-min-device-pixel-ratio:0){{.wk{{text-decoration:underline wavy}}}}
@supports (display:grid){{.grid{{background:#f6f6fa}}}}
@keyframes none{{from{{opacity:1}}to{{opacity:1}}}}
u + .body .gmail{{display:none!important}} [data-ogsc] .x{{color:#fff}}
</style></head><body class="body"><div class="hero" role="img" aria-label="Hero"></div><div class="card"><h2>Release notes</h2><div class="flex"><span class="pill">new</span><span class="wk">wavy</span></div>
<div class="grid"><p>{TEXT}</p><p>Ünïcödé → ✓ “fine” — 1 + 1 = 2 ~ ok</p></div></div><button style="display:none">x</button></body></html>"""

LANGUAGES = f"""<!DOCTYPE html><html><head><meta charset="utf-8"><style>.q::before{{content:"\\201C"}} .q::after{{content:'\\201D'}} li::marker{{color:#c00}}</style></head>
<body style="font:15px serif"><h1>Новости · 新着情報 · أخبار</h1><p class="q">Весна пришла в долину, и первые лодки уже на воде.</p>
<p lang="ja">春が谷に来て、最初の船が出ました。<ruby>港<rp>(</rp><rt>みなと</rt><rp>)</rp></ruby></p><p dir="rtl">جاء الربيع <bdo dir="ltr">abc</bdo> إلى الوادي</p>
<ol type="i" start="3"><li>Ελληνικά<li>עברית &rlm;<li>Tiếng Việt</ol><p>{TEXT} ≤ ≥ € £ ¥ &frac12; &#x1F600;</p><object></object></body></html>"""

DIGEST = """<html><head><title>digest</title></head><body><h3>Digest of the list, Vol. 12</h3>
<pre style="background:#f0f0f0;padding:8px">
--- a/file
+++ b/file
@@ -1,3 +1,3 @@
-From old
+From new &lt;tag&gt;
.dot
</pre><blockquote type="cite" cite="mid:1@example.org" style="border-left:2px solid #88f;margin:0 0 0 .8ex;padding-left:1ex">On Monday, A. wrote:<br>&gt; <code>x &amp;&amp; y</code>
<blockquote>deeper</blockquote></blockquote><dl><dt>term<dd>meaning</dl><p><kbd>Ctrl</kbd>+<kbd>C</kbd>, <samp>out</samp>, <var>n</var>, <abbr title="Hypertext">HTML</abbr>,
<del>old</del> <ins>new</ins> <mark>marked</mark> <small>small</small> <big>big</big> <u>u</u> <strike>s</strike> H<sub>2</sub>O <q>quote</q> <cite>c</cite></p>
<details open><summary>More</summary>inside</details><h6>--&nbsp;</h6><xmp>raw <b>text</b></xmp><a href="mailto:list@example.org?subject=unsubscribe%20me">leave</a><script type="application/ld+json">{"@context":"http://schema.org"}</script></body></html>"""

NEWSLETTERS = {
    "tables": TABLES,
    "ghost-tables": GHOST_TABLES,
    "shop": SHOP,
    "word": WORD,
    "old": OLD,
    "agenda": AGENDA,
    "invoice": INVOICE,
    "modern": MODERN,
    "languages": LANGUAGES,
    "digest": DIGEST,
}
