"""Style sheets without what acts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.sanitize.html_css import MAX_NESTING, Css
from lazaretto.sanitize.html_css_tokens import MAX_TOKENS

Reported = list[tuple[str, str]]


def css(*, remote: bool = False) -> tuple[Css, Reported]:
    found: Reported = []
    return Css(lambda name, example: found.append((name, example)), remote=remote), found


def style(text: str, *, remote: bool = False) -> tuple[str, set[str]]:
    reader, found = css(remote=remote)
    return reader.declarations(text), {name for name, _ in found}


def sheet(text: str, *, remote: bool = False) -> tuple[str, set[str]]:
    reader, found = css(remote=remote)
    return reader.sheet(text), {name for name, _ in found}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("color:red;", "color:red"),
        ("font-family:'Open Sans', Arial", 'font-family: "Open Sans", Arial'),
        ("background:#fff url(a.png) no-repeat 50% / cover", 'background: #fff url("a.png") no-repeat 50% / cover'),
        ("width:calc(100% - 10px + 1em)", "width: calc(100% - 10px + 1em)"),
        ("color:RGBA(0,0,0,.5)!important", "color: rgba(0,0,0,.5)!important"),
        ("--Accent:#0a7;color:var(--Accent)", "--Accent: #0a7;color: var(--Accent)"),
        ("margin:-1px auto +2px", "margin: -1px auto 2px"),
        ("mso-line-height-rule:exactly;-webkit-box-shadow:0 0 1px #000", "mso-line-height-rule:exactly;-webkit-box-shadow:0 0 1px #000"),
        ("*zoom:1;_height:1px;color:red;(", "color: red"),
        ("color:red/**/;a{b:c}d:e", "color: red;d: e"),
        ("content:'\\201C'", 'content: "\\201c "'),
        ("color:alert(1);width:1px", "width: 1px"),
        ("filter:progid:DXImageTransform.Microsoft.gradient(a=1);color:red", "color: red"),
        ("a:b:url(c);color:expression;x:y (1)", "color: expression"),
        ("unicode-range:U+26;x:y(", ""),
        ("", ""),
        ("color", "color"),
    ],
)
def test_declarations(text: str, kept: str) -> None:
    assert style(text) == (kept, set())
    assert style(kept)[0] == kept


@pytest.mark.parametrize(
    "acting",
    [
        "width:expression(1)",
        "width:EXPRESSION (1)",
        "width:exp/**/ression(1)",
        r"width:\65xpression(1)",
        "width:ｅxpression(1)",
        "behavior:url(x)",
        "-moz-binding:url(x)",
        r"-moz-b\69 nding:url(x)",
        "background:url(javascript:x)",
        "background:url('java\\\nscript:x')",
        "-o-link:'x'",
        "background:url(vbscript:x)",
        "background:url(data:text/html,x)",
        "background:url(file:///x)",
        r"background:url(\\\\host\\x)",
        "-ms-behavior:url(y)",
    ],
)
def test_what_acts_goes(acting: str) -> None:
    kept, found = style(f"color:red;{acting};margin:0")
    assert found == {"html.style"}
    assert kept == "color: red;margin: 0"


def test_remote() -> None:
    text = "background:#fff url(http://example.org/a.png) no-repeat;color:red"
    assert style(text) == ('background: #fff url("http://example.org/a.png") no-repeat;color: red', set())
    assert style(text, remote=True) == ("background: #fff none no-repeat;color: red", {"html.remote"})
    assert style("background:url(cid:a)", remote=True) == ('background: url("cid:a")', set())
    assert style("background:image-set('http://example.org/a' 1x)", remote=True) == ("", {"html.remote"})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a{color:red}", " a { color: red }"),
        ("<!-- a , b>c + d~e{color:red} -->", " a , b > c + d ~ e { color: red }"),
        ("a[b~=c],d[e^='f']{g:h}", ' a[b ~=c],d[e^="f"] { g: h }'),
        (".md\\:w,#\\31 x{a:b}", " .md\\3a w,#1x { a: b }"),
        ("li:nth-child(2n+1):not(.a)::before{content:''}", ' li:nth-child(2n + 1):not(.a)::before { content: "" }'),
        ("@media (max-width:9px){a{b:c}d{e:f}}g{h:i}", " @media (max-width:9px) {\n a { b: c }\n d { e: f }\n }\n g { h: i }"),
        ("@media (width>=9px){a{b:c}}", " @media (width >=9px) {\n a { b: c }\n }"),
        (
            "@font-face{font-family:x;src:url(http://x/y) format('woff')}",
            ' @font-face { font-family: x; src: url("http://x/y") format("woff") }',
        ),
        ("@import url(http://x/y) screen;a{b:c}", ' @import url("http://x/y") screen;\n a { b: c }'),
        ("@charset 'utf-7';@namespace x;@unknown{a{b:c}}d{e:f}", " d { e: f }"),
        ("a{b:c", " a { b: c }"),
        ("@media x{a{b:c}", " @media x {\n a { b: c }\n }"),
        ("a{b:c;d{e:f}g:h}", " a { b: c; g: h }"),
        ("}a{b:c}", " a { b: c }"),
        ("a<b{c:d}e{f:g}", " e { f: g }"),
        ("a{}", ""),
        ("(ü{a:b", " (\\fc ) { a: b }"),
        ("ü b,ü/**/b(c){d:e}", " \\fc  b,\\fc  b(c) { d: e }"),
    ],
)
def test_sheets(text: str, kept: str) -> None:
    assert sheet(text) == (kept, set())
    assert sheet(kept)[0] == kept


def test_imports() -> None:
    assert sheet("@import 'http://x/y';", remote=True) == ("", {"html.remote"})
    assert sheet("@import 'javascript:x';") == ("", {"html.style"})
    assert sheet("@import url(data:text/css,a);") == ("", {"html.style"})


def test_word_turns_vml_on() -> None:
    assert sheet("v\\:* {behavior:url(#default#VML);}") == ("", set())
    assert sheet("v\\:* {behavior:url(#default#time2);}")[1] == {"html.style"}


def test_groups_in_groups_have_an_end() -> None:
    kept, _ = sheet("@media x{" * (MAX_NESTING + 1) + "a{b:c}" + "}" * (MAX_NESTING + 1) + "d{e:f}")
    assert kept.count("@media") == MAX_NESTING
    assert "b: c" not in kept
    assert kept.endswith(" d { e: f }")


def test_a_sheet_without_end_goes() -> None:
    fits = "a{b:c}" * (MAX_TOKENS // 6 - 1)
    assert sheet(fits)[1] == set()
    assert sheet(fits + "a{b:c}" * 2) == ("", {"html.style"})
    assert style("a:b;" * MAX_TOKENS + "c:d()") == ("", {"html.style"})


PIECES = (
    "a b { } ( ) [ ] ; : , . # @media @import url( \" ' \\ /* */ <!-- --> < > + ~ * expression( behavior "
    "-moz-binding javascript: 1px 2n+1 -- --x ü ｅ </style> http://x ! = % & \\27 \n"
).split(" ")


@pytest.mark.parametrize("text", ['a://x"["', "a:'['", "a:url('[')", "a:[b", "a:']'"])
def test_brackets_in_strings_are_none(text: str) -> None:
    kept, _ = style(text)
    assert style(kept) == (kept, set())
    assert kept.count("[") == kept.count("]")


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.booleans(), st.booleans())
def test_nothing_acts_and_nothing_changes_twice(pieces: list[str], remote: bool, blanks: bool) -> None:
    text = (" " if blanks else "").join(pieces)
    for of in (sheet, style):
        kept, _ = of(text, remote=remote)
        assert of(kept, remote=remote) == (kept, set())
        assert kept.isascii()
        assert not set(kept) & set("<&`")
        assert "-->" not in kept
        assert all(line.startswith(" ") for line in kept.split("\n") if line) or of is style
