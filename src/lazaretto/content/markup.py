"""The type of text: markup, scripts, messages, armour; by its first few KiB.

text_type(head) answers only when sure; anything else that looks like text is
"text", and "" means that the bytes are no text.  It looks past what readers skip: byte
order marks, blanks, comments, declarations, and UTF-16 and UTF-7 spelling.

Limits:  looks at what it is given, which content.sniff keeps to 4 KiB.
Errors:  none.
See:     RFC 5322 s2.2 (fields), RFC 9580 s6.2 (armour), HTML Living Standard s12.1 (root elements)
"""

from __future__ import annotations

from lazaretto import regex

# Bytes that no plain text has: controls except BEL BS HT LF VT FF CR, SUB (end of DOS text) and ESC (ISO 2022).
_TEXT_BYTES = bytes((*range(7, 14), 26, 27, *range(32, 127), *range(128, 256)))

_BLANK = b" \t\r\n\f\v"

# After these starts, the rest does not matter.  Compared in lower case.
_STARTS = (
    (b"{\\rt", "rtf"),  # quirk: Word asks for no more than this; "\rtf1" is optional for it
    (b"%!ps", "postscript"),
    (b"#@~^", "encoded-script"),
    (b"-----begin pgp message-----", "pgp-message"),
    (b"-----begin pgp signed message-----", "pgp-signed"),
    (b"-----begin pgp signature-----", "pgp-signature"),
    (b"-----begin pgp ", "pgp-key"),
    (b"-----begin pkcs7-----", "p7m"),
    (b"-----begin cms-----", "p7m"),
    (b"-----begin certificate", "pem"),
    (b"-----begin private key-----", "pem"),
    (b"-----begin rsa private key-----", "pem"),
    (b"begin:vcalendar", "ics"),
    (b"begin:vcard", "vcf"),
    (b"(this file must be converted with binhex", "binhex"),
    (b"windows registry editor version", "reg"),
    (b"regedit4", "reg"),
    (b"[internetshortcut]", "url"),
    (b"id;p", "sylk"),
    (b"#!", "script"),
    (b"<?php", "script"),
    (b"@echo off", "batch"),
    (b"#requires -", "powershell"),
    (b"on error resume next", "vbscript"),
)

# (words of which one is in whatever the pattern matches, pattern, type)
_SCRIPT_HOST = (
    (
        (b"activexobject", b"wscript."),
        regex.compile(rb"new[ \t]+activexobject[ \t]*\(|\bwscript\.(?:createobject|quit|sleep|echo)[ \t]*\([^\r\n]{0,200}\)[ \t]*;"),
        "jscript",
    ),
    (
        (b"createobject",),
        regex.compile(rb"(?:^|[\r\n:])[ \t]*set[ \t]+\w{1,80}[ \t]*=[ \t]*(?:wscript\.)?createobject[ \t]*\("),
        "vbscript",
    ),
    (
        (b"iex", b"invoke-expression", b"new-object", b"set-executionpolicy"),
        regex.compile(rb"(?:^|[\r\n;|])[ \t]*(?:iex[ \t]*\(|invoke-expression|\$\w{1,80}[ \t]*=[ \t]*new-object[ \t]|set-executionpolicy)"),
        "powershell",
    ),
)

_TAG = regex.compile(rb"</?([a-z!][a-z0-9:._-]*)(?=[\s/>]|$)")
_HTML_TAGS = frozenset(
    b"html head body title meta link base style script noscript template iframe frame frameset"
    b" object embed applet form input button table tbody tr td"
    b" div span p a b i u em strong br hr h1 h2 h3 h4 h5 h6 center font img ul ol li pre blockquote main section article header footer nav"
    b" marquee video audio canvas".split()
)
_HTA = b"<hta:application"
_WINDOWS_SCRIPT_ROOTS = {b"job": "wsf", b"package": "wsf", b"scriptlet": "scriptlet", b"component": "scriptlet"}

_FIELD = regex.compile(rb"([!-9;-~]{1,80})[ \t]{0,8}:")
_MAIL_FIELDS = frozenset(
    b"received return-path delivered-to message-id mime-version from to cc subject date"
    b" sender reply-to content-type dkim-signature"
    b" content-transfer-encoding references in-reply-to x-mailer x-mozilla-status authentication-results"
    b" list-id envelope-to arc-seal".split()
)


def text_type(head: bytes, whole: bool = True) -> str:
    """The id of the text that starts with `head`, "text", or "" if it is no text; `whole`: nothing follows `head`."""
    spelt = _spelling(head)
    lower = spelt.lower()
    start = lower.lstrip(_BLANK)
    for mark, type_id in _STARTS:
        if start.startswith(mark):
            return type_id
    if start.startswith(b"<"):
        if found := _root(start):
            return found
    elif found := _mail(spelt.lstrip(b"\r\n"), whole):
        return found
    if spelt.translate(None, _TEXT_BYTES):
        return ""
    for words, pattern, type_id in _SCRIPT_HOST:
        if any(word in lower for word in words) and pattern.search(lower):
            return type_id
    return "text"


def later_marks(head: bytes) -> tuple[str, ...]:
    """What some reader would find in `head` behind other text: html, pgp-message, p7m."""
    lower = _spelling(head).lower()
    found = [type_id for mark, type_id in _LATER if lower.find(mark) >= 0]
    if any(m[1] in _STRONG_TAGS for m in _TAG.finditer(lower)):
        found.append("html")
    return tuple(found)


_LATER = ((b"\n-----begin pgp message-----", "pgp-message"), (b"\n-----begin pkcs7-----", "p7m"), (b"\n-----begin cms-----", "p7m"))
_STRONG_TAGS = frozenset((b"html", b"body", b"script", b"svg", b"iframe"))


def _spelling(head: bytes) -> bytes:
    """`head` in one byte a letter: UTF-16 with or without mark, UTF-7 tags, UTF-8 mark removed."""
    if head.startswith(b"\xef\xbb\xbf"):
        return head[3:]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace").encode()
    first = head[:64]
    if len(first) >= 8:
        even, odd = first[0::2], first[1::2]
        if not odd.strip(b"\0") and 0 not in even:
            return head.decode("utf-16-le", "replace").encode()
        if not even.strip(b"\0") and 0 not in odd:
            return head.decode("utf-16-be", "replace").encode()
    if b"+ADw-" in head:  # UTF-7 "<", the first letter of any tag in it
        return head.replace(b"+ADw-", b"<").replace(b"+AD4-", b">")
    return head


def _root(start: bytes) -> str:
    """Which markup begins here, past declarations and comments; "" if none that we know."""
    position = 0
    declared = start.startswith(b"<?xml")
    while True:
        if start.startswith(b"<!--", position):
            end = start.find(b"-->", position + 4)
            position = end + 3 if end >= 0 else len(start)
        elif start.startswith(b"<?", position):
            end = start.find(b">", position)
            position = end + 1 if end >= 0 else len(start)
        elif start.startswith(b"<!doctype", position):
            kind = start[position + 9 : position + 40].strip(_BLANK)
            if kind.startswith(b"html"):
                return "hta" if _HTA in start else "html"
            # An internal subset may hold '>', between brackets.
            bracket, end = start.find(b"[", position), start.find(b">", position)
            if 0 <= bracket < end:
                end = start.find(b"]", bracket)
                end = start.find(b">", end) if end >= 0 else -1
            position = end + 1 if end >= 0 else len(start)
        else:
            break
        while position < len(start) and start[position] in _BLANK:
            position += 1
    if _HTA in start:
        return "hta"
    root = _TAG.match(start, position)
    if root is None:
        return "xml" if declared else ""
    name = root[1].rpartition(b":")[2]
    if name == b"svg":
        return "svg"
    if name in _WINDOWS_SCRIPT_ROOTS and (b"<script" in start or b"<registration" in start):
        return _WINDOWS_SCRIPT_ROOTS[name]
    if name in _HTML_TAGS and (not declared or name == b"html" or b"1999/xhtml" in start):
        return "html"
    return "xml" if declared or b"xmlns" in start[position : position + 1024] else ""


def _mail(text: bytes, whole: bool) -> str:
    """ "message", "mht" or "mbox" if `text` begins with a header; else ""."""
    mbox = text.startswith((b"From ", b">From "))
    lines = text.split(b"\n")
    dated = b":" in lines[0]
    if mbox:
        lines = lines[1:]
    fields: list[bytes] = []
    for line in lines if whole else lines[:-1]:
        line = line.rstrip(b"\r")
        if not line:
            break
        if line[:1] in (b" ", b"\t"):
            if not fields:
                return ""
            continue
        field = _FIELD.match(line)
        if field is None:
            if fields and line.startswith(b">From "):
                continue
            return ""
        fields.append(field[1].lower())
    known = _MAIL_FIELDS.intersection(fields)
    if mbox:
        return "mbox" if len(known) > 1 or (known and dated) else ""
    if len(known) < 2:
        return ""
    if b"content-type" in known and not known & {b"received", b"return-path", b"to", b"message-id", b"delivered-to"}:
        return (
            "mht" if b"multipart/related" in text.lower() or b"x-mimeole" in fields or b"snapshot-content-location" in fields else "message"
        )
    return "message"
