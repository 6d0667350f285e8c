"""A page as plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.sanitize.html_text import plain


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("", "\n"),
        ("<p>one  two\nthree</p><p>four", "one two three\n\nfour\n"),
        ("a<br>b<div>c</div>d", "a\nb\nc\nd\n"),
        ("<ul><li>a<li>b</ul>", "* a\n* b\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><th>c<th>d</table>", "a b\nc d\n"),
        ("<a href='https://example.org/?a&amp;b'>here</a>.", "here <https://example.org/?a&b>.\n"),
        ("<a href='https://example.org'>https://example.org/</a>", "https://example.org/\n"),
        ("<a href='mailto:a@example.org'>a@example.org</a> <a href='javascript:x'>y</a>", "a@example.org y\n"),
        ("<a href='http://x/'>open", "open <http://x/>\n"),
        ("<img alt='A logo' src=x><img src=y>", "[A logo]\n"),
        ("<pre>  a\n  b</pre>c", "  a\n  b\n\nc\n".lstrip("\n")),
        ("a<hr>b", "a\n\n* * *\n\nb\n"),
        ("<title>t</title><style>s</style><script>x</script><!-- c -->v", "v\n"),
        ("1 &lt; 2 &amp; &euro;", "1 < 2 & €\n"),
        ("<textarea>in a box</textarea>", "in a box\n"),
    ],
)
def test_text(page: str, text: str) -> None:
    assert plain(page) == text


@given(st.text(alphabet="ab <>/pliat\"'=&;\n", max_size=60))
def test_any_text(page: str) -> None:
    text = plain(page)
    assert text.endswith("\n")
    assert "\n\n\n" not in text
