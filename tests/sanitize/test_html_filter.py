"""Markup written anew: what stays, and how it is written."""

from __future__ import annotations

import pytest

from lazaretto.sanitize.html_filter import EXAMPLES, Filter, Filtered, Removed


def filtered(text: str, *, remote: bool = False) -> Filtered:
    return Filter(remote=remote).run(text)


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("a<p>b</p>", "a<p>b</p>"),
        ("<P ALIGN=center>x", '<p align="center">x'),
        ("<b><i>x</b></i></p></br>", "<b><i>x</b></i></p><br>"),
        ("<td bgcolor=red nowrap data-x=1 tabindex=3>", '<td bgcolor="red" nowrap="">'),
        ("<p class='a\"b' title='<>'>", '<p class="a&quot;b" title="&lt;&gt;">'),
        ("<foo bar=1 style='display:none'>x</foo>", '<span style="display:none">x</span>'),
        ("<o:p>&nbsp;</o:p>", "<span>&#160;</span>"),
        ("<image src=cid:a>", '<img src="cid:a">'),
        ("<xmp><b>&lt;</xmp>", "<pre>&lt;b&gt;&amp;lt;</pre>"),
        ("<plaintext><b>", "<pre>&lt;b&gt;</pre>"),
        ("<title>a<b>&amp;</title>", "<title>a&lt;b&gt;&amp;</title>"),
        ("<!-- a --><?b?><!c></ d>x", "x"),
        ("<!doctype HTML>", "<!DOCTYPE HTML>"),
        (
            '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">',
            '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">',
        ),
        ("<!DOCTYPE html [<!ENTITY a 'b'>]>x", "]&gt;x"),
        ("<meta name=Viewport content='width=1'><meta charset=utf-8><meta name=x content=y>", '<meta name="viewport" content="width=1">'),
        ("<meta http-equiv=X-UA-Compatible content=IE=edge>", '<meta http-equiv="X-UA-Compatible" content="IE=edge">'),
        (
            "<link rel=stylesheet href=https://x/y media=print><link rel=icon href=https://x/i>",
            '<link rel="stylesheet" href="https://x/y" media="print">',
        ),
        ("<style type='text/css' media=screen>a{b:c}</style>", '<style media="screen">\n a { b: c }\n</style>'),
        ("<style type=text/x>a{b:c}</style><style></style>", ""),
        ("<template><p>x</template>y", "y"),
        (
            "<dialog>a</dialog><dialog open>b</dialog><div popover>c</div>",
            '<span hidden="">a</span><span open="">b</span><div hidden="">c</div>',
        ),
        ("<html xmlns:v='urn:schemas-microsoft-com:vml' xmlns:x='y'>", '<html xmlns:v="urn:schemas-microsoft-com:vml">'),
        ("<p aria-label=x role=y>", '<p aria-label="x" role="y">'),
        (
            "<img usemap=#a><img usemap=http://x srcset='https://x/1 1x, https://x/2 2x'>",
            '<img usemap="#a"><img srcset="https://x/1 1x, https://x/2 2x">',
        ),
        ("<a href='?a=1&copy=2&amp;b'>", '<a href="?a=1&amp;copy=2&amp;b">'),
        ("1+1 ~ `x` \\", "1&#43;1 &#126; &#96;x&#96; &#92;"),
    ],
)
def test_markup(text: str, markup: str) -> None:
    found = filtered(text)
    assert found.markup == markup
    assert found.removed == {}
    assert filtered(markup) == Filtered(markup, {})


def test_comments_for_outlook_stay() -> None:
    text = (
        "<!--[if mso]><table><tr><td width='5' onclick=x><v:roundrect href='javascript:x' fillcolor='#fff' "
        "o:button='t'><w:anchorlock/></v:roundrect><foo>1</foo>"
        "<![endif]--><!--[if !mso]><!--><b>x</b><!--<![endif]--><![if !vml]>y<![endif]>"
    )
    found = filtered(text)
    assert found.markup == (
        '<!--[if mso]><table><tr><td width="5"><v:roundrect fillcolor="#fff" o:button="t"><w:anchorlock /></v:roundrect>1'
        "<![endif]--><!--[if !mso]><!--><b>x</b><!--<![endif]--><![if !vml]>y<![endif]>"
    )
    assert found.removed == {
        "html.handler": Removed(1, ("onclick on td",)),
        "html.url": Removed(1, ("javascript: in href of v:roundrect",)),
    }
    assert filtered(found.markup) == Filtered(found.markup, {})


@pytest.mark.parametrize(
    "odd", ["<!--[if mso]><!-- x --><![endif]-->", "<!--[if alert(`1`)]>x<![endif]-->", "<!--[if mso]>x-->", "<!--[if mso]>x"]
)
def test_other_comments_for_outlook_go(odd: str) -> None:
    assert "<!--" not in filtered(odd).markup


def test_letters_that_only_look_like_ascii_in_some_case() -> None:
    """The Kelvin sign is a "k" to lower(), the long s an "s" to patterns that ignore case."""
    for text in (
        "<!--[if mso]><v:stro\u212ae/></v:stro\u212ae><![endif]-->",
        '<!DOCTYPE html \u017fystem "about:legacy-compat">',
        "<lin\u212a>",
    ):
        found = filtered(text)
        assert found.markup.isascii()
        assert filtered(found.markup) == Filtered(found.markup, {})


def test_no_comment_ends_early() -> None:
    text = "<!--[if mso]><style>a{content:'-->'} --{b:c} d>e{f:g--}</style><p title='-->' --x=1>--&gt;<!DOCTYPE html><![endif]-->"
    found = filtered(text)
    assert found.markup.count("-->") == 1 or not found.markup.startswith("<!--")
    assert filtered(found.markup) == Filtered(found.markup, {})


def test_examples_are_few_and_printable() -> None:
    found = filtered("".join(f"<p on{'x' * number}y=1>" for number in range(3, 20)) + "<p onclick\x07=1>")
    assert found.removed["html.handler"].times == 18
    assert len(found.removed["html.handler"].examples) == EXAMPLES
    assert filtered("<meta http-equiv=refresh content='0;url=\n" + "x" * 100 + "'>").removed["html.refresh"].examples == (
        "0;url= " + "x" * 53,
    )


def test_base() -> None:
    assert filtered("<base target=_blank>") == Filtered('<base target="_blank">', {})
    assert filtered("<base href=http://x/ target=_blank>").removed == {"html.base": Removed(1, ("http://x/",))}
    assert filtered("<base target='x y'>") == Filtered("", {})


def test_remote() -> None:
    text = "<img src=http://x/a><img src=cid:b><img src=c.png><a href=http://x/ ping=http://y/>z</a>"
    text += "<td background=//x/y><img srcset='http://x 2x'>"
    assert filtered(text).removed == {}
    found = filtered(text, remote=True)
    assert found.markup == '<img><img src="cid:b"><img src="c.png"><a href="http://x/">z</a><td><img>'
    assert found.removed["html.remote"].times == 4
    assert filtered(found.markup, remote=True) == Filtered(found.markup, {})


def test_markup_in_a_value_goes_with_the_value() -> None:
    found = filtered("<p title='</noscript><img src=x onerror=y>' class=a>")
    assert found.markup == '<p title="" class="a">'
    assert set(found.removed) == {"html.hidden"}
