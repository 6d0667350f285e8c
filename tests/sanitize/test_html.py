"""Pages: what acts is found in every reading, what is left has one reading, and a second time nothing changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import html_cases
import html_parsers
import newsletters
from html_cases import Case
from lazaretto.errors import LimitExceeded
from lazaretto.limits import Limits
from lazaretto.policy.forms import HTML_PROFILES
from lazaretto.sanitize import html

UTF_8 = ("utf-8",)
# What a client may take ASCII bytes for, when it knows nothing or the wrong thing.
WRONG_CHARSETS = (
    "utf-7",
    "utf-16-le",
    "utf-16-be",
    "utf-32-le",
    "hz",
    "iso2022_jp",
    "iso2022_kr",
    "shift_jis",
    "gb18030",
    "big5",
    "cp037",
    "latin-1",
)


def charsets(case: Case) -> tuple[str, ...]:
    return (case.charset,) if case.charset else ()


def page(case: Case) -> bytes:
    return case.page.replace(html_cases.HIT, b"http://192.0.2.1/hit/1")


def test_there_are_enough_cases() -> None:
    assert len(html_cases.CASES) >= 150
    names = [case.name for case in html_cases.CASES]
    assert len(set(names)) == len(names)
    assert HTML_PROFILES == html.PROFILES


@pytest.mark.parametrize("case", html_cases.CASES, ids=lambda case: case.name)
def test_each_case_is_found_and_taken_out(case: Case) -> None:
    assert html.inspect(page(case), charsets(case), case.profile)
    clean = html.sanitize(page(case), charsets(case), case.profile)
    assert html.inspect(clean, charsets(case) if html.keeps_ascii(case.charset) else UTF_8, case.profile) == {}
    assert html_parsers.active(clean) == []
    if case.profile == html.REMOTE:
        assert html_parsers.loads(clean) == []
    assert html.sanitize(clean, charsets(case), case.profile) == clean or not html.keeps_ascii(case.charset)


def test_the_parsers_see_what_acts_in_the_cases() -> None:
    """A control: of the cases in UTF-8 they see most as they stand.  The others are what only other programs obey."""
    seen = [case.name for case in html_cases.CASES if html_parsers.active(page(case), "latin-1")]
    assert len(seen) > 200
    assert all(case.name in seen for case in (*html_cases.OBJECTS, *html_cases.HANDLERS[:20]))


@pytest.mark.parametrize("case", html_cases.CASES, ids=lambda case: case.name)
def test_no_wrong_charset_brings_it_back(case: Case) -> None:
    clean = html.sanitize(page(case), charsets(case), case.profile)
    assert clean.isascii()
    for charset in WRONG_CHARSETS:
        assert html_parsers.active(clean.decode(charset, "ignore")) == [], charset
        assert html_parsers.active(clean.decode(charset, "replace")) == [], charset


@pytest.mark.parametrize("name", newsletters.NEWSLETTERS)
def test_a_newsletter_keeps_its_tree(name: str) -> None:
    """Text and elements are those that were there: what parsers build of both is compared without attributes."""
    before = newsletters.NEWSLETTERS[name]
    after = html.sanitize(before.encode(), UTF_8, html.SCRIPTS).decode("ascii")
    assert html.inspect(before.encode(), UTF_8, html.SCRIPTS)
    assert html.inspect(after.encode(), UTF_8, html.SCRIPTS) == {}
    assert html.sanitize(after.encode(), UTF_8, html.SCRIPTS) == after.encode()
    assert words(after) == words(before)


def words(markup: str) -> list[str]:
    tree = html_parsers._tree(markup, scripting=False)
    gone = ("script", "style", "title")
    return " ".join(text for node in tree.iter() if node.tag not in gone for text in (_own(node), node.tail or "")).split()


def _own(node: object) -> str:
    return (node.text or "") if isinstance(node.tag, str) else ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "harmless",
    [
        b"<p>Hello <b>there</b>, 1 < 2 &amp; 3 > 2",
        b"<a href='https://example.org/?javascript=1&online=yes'>only once = ok</a>",
        b"<!-- <script>alert(1)</script> -->x",
        b"<table onebyone><td>x",
        b"<base target=_blank><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        b"<img src='http://example.org/x.png' alt='a < b'>",
        b"<p style='background:url(http://example.org/x.png);-webkit-text-size-adjust:none;overscroll-behavior:contain'>x",
        "<p>Grüße, 日本, +49 30 1234567, ~{ok} +ADw".encode(),
        b"<style>v\\:* {behavior:url(#default#VML);} .a{scroll-behavior:smooth}</style>",
        b'<o:p></o:p><?xml:namespace prefix = o ns = "urn:schemas-microsoft-com:office:office" />',
        b"<video controls src=http://example.org/v.mp4 poster=http://example.org/p.png></video>",
        b"<img src='data:image/png;base64,iVBOR+w0K/Gg+oAAAA+ADw+ANS='>",
        b"<link rel=stylesheet href=https://fonts.example.org/css?family=A>",
        b"&lt;script&gt;alert(1)&lt;/script&gt;",
        b"",
    ],
)
def test_what_does_nothing_is_left_alone(harmless: bytes) -> None:
    if harmless.startswith(b"<table"):
        assert set(html.inspect(harmless, UTF_8, html.SCRIPTS)) == {"html.handler"}  # a name that begins with "on" is taken for one
    else:
        assert html.inspect(harmless, UTF_8, html.SCRIPTS) == {}


def test_each_profile_takes_more_than_the_one_before() -> None:
    data = b"<p onclick=x><img src=http://example.org/x.png>Hi"
    assert html.inspect(data, UTF_8, html.OFF) == {}
    assert set(html.inspect(data, UTF_8, html.SCRIPTS)) == {"html.handler"}
    assert set(html.inspect(data, UTF_8, html.REMOTE)) == {"html.handler", "html.remote"}
    assert set(html.inspect(data, UTF_8, html.TEXT)) == {"html.handler", "html.page"}
    assert html.sanitize(data, UTF_8, html.SCRIPTS) == b'<p><img src="http://example.org/x.png">Hi'
    assert html.sanitize(data, UTF_8, html.REMOTE) == b"<p><img>Hi"
    assert html.sanitize(data, UTF_8, html.TEXT) == b"Hi\n"


def test_another_reading_is_named() -> None:
    found = html.inspect(b"hi +ADw-script+AD4-x+ADw-/script+AD4-", UTF_8, html.SCRIPTS)
    assert found["html.script"].examples == ("script (as utf-7)",)


def test_a_page_over_the_limit() -> None:
    limits = Limits(max_html_bytes=10)
    html.inspect(b"x" * 10, UTF_8, html.SCRIPTS, limits)
    for call in (html.inspect, html.sanitize):
        with pytest.raises(LimitExceeded, match="max_html_bytes"):
            call(b"x" * 11, UTF_8, html.SCRIPTS, limits)


HOSTILE = {
    "nested": b"<div>" * 100_000,
    "tables": b"<table><tr><td>" * 33_000,
    "formatting": b"<b><i><a>" * 33_000,
    "foreign": b"<svg><math>" * 50_000,
    "open-tags": b"<" * 300_000,
    "open-quotes": b'<a "' * 100_000,
    "attributes": b"<a " + b"x=1 " * 100_000,
    "comments": b"<!--" * 100_000,
    "conditional": b"<!--[if mso]>" * 30_000,
    "scripts": b"<script>" * 50_000,
    "escaped-scripts": b"<script>" + b"<!--<script>" * 30_000,
    "references": b"&#" * 200_000,
    "blocks": b"<style>" + b"a{" * 100_000,
    "groups": b"<style>" + b"@media x{" * 30_000,
    "parentheses": b"<style>" + b"(" * 100_000 + b"/*" * 50_000,
    "addresses": b"<p style='" + b"url(" * 60_000 + b"'>",
    "hidden": b"<noframes>" + b"<a on" * 60_000,
    "templates": b"<template>" * 50_000,
    "shifts": b"+ADw-" * 60_000,
    "escapes": b'<p style="' + b"\\" * 100_000 + b'">',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_nesting_ends(name: str) -> None:
    """Each takes under a second; with anything quadratic, an hour.  benchmarks/hostile.py looks at the growth."""
    html.inspect(HOSTILE[name], (), html.REMOTE)
    clean = html.sanitize(HOSTILE[name], (), html.REMOTE)
    assert len(clean) < 8 * len(HOSTILE[name])
    assert html.inspect(clean, (), html.REMOTE) == {}


FRAGMENTS = (
    "< > </ /> <!-- --> --!> <!--[if <!--[if_mso]> <![endif]--> <![CDATA[ ]]> <? <! </p> <p> <b> <a <img "
    "<svg> </svg> <math> <mtext> <style> </style>"
    " <title> </title> <script> </script> <noscript> </noscript> <xmp> <plaintext> <textarea> <template> "
    "</template> <table> <td> <select> <form>"
    " <iframe <base <meta <link <object <x:y <o:p> href= src= style= onclick= onerror=alert(1) srcdoc= title= "
    "background= javascript: data:text/html,"
    " http://x/ cid:y ' \" ` = / \\ & &lt; &#60; &#x3c; &amp;lt; &quot; &nbsp; &colon; + +ADw- ~{ ~} \x1b$B "
    "\x0e \0 \x0b \x0c \r \n - -- . From_ url( expression("
    " behavior: @import @media { } ; : , /* */ ( ) [ ] \\22 \\3c _ a x é 日 \u212a \u017f \u2028 \xa0 \ufeff \ufffe \x80 \U0001f600"
).split(" ")
PAGES = st.lists(st.sampled_from(FRAGMENTS).map(lambda piece: piece.replace("_", " ")) | st.text(max_size=3), max_size=25).map(
    lambda pieces: "".join(pieces).encode("utf-8", "ignore")
)
DECLARED = st.sampled_from(["utf-8", "us-ascii", "utf-7", "shift_jis", "iso-2022-jp", "utf-16", "x-none", ""])


@settings(max_examples=400, deadline=None)
@given(PAGES, DECLARED, st.sampled_from([html.SCRIPTS, html.REMOTE]))
def test_nothing_acts_afterwards_and_a_second_time_changes_nothing(data: bytes, declared: str, profile: str) -> None:
    clean = html.sanitize(data, (declared,), profile)
    assert clean.isascii()
    assert not any(line.startswith((b"-", b".", b"From ")) for line in clean.split(b"\n"))
    assert html.inspect(clean, UTF_8, profile) == {}
    assert html.sanitize(clean, UTF_8, profile) == clean
    assert html_parsers.active(clean) == []
    if profile == html.REMOTE:
        assert html_parsers.loads(clean) == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), DECLARED)
def test_any_bytes(data: bytes, declared: str) -> None:
    for profile in (html.SCRIPTS, html.REMOTE):
        clean = html.sanitize(data, (declared,), profile)
        assert html.inspect(clean, UTF_8, profile) == {}
        assert html.sanitize(clean, UTF_8, profile) == clean
    html.sanitize(data, (declared,), html.TEXT)


@settings(max_examples=200, deadline=None)
@given(PAGES)
def test_what_parsers_see_is_found(data: bytes) -> None:
    """Looking first must not overlook what is there: if nothing is found, no parser sees anything that acts."""
    if not html.inspect(data, UTF_8, html.SCRIPTS):
        text = data.decode().replace("\0", "")
        assert [what for what in html_parsers.active(text) if ": odd: " not in what] == []
