"""A page as plain text: what a person would read in it.

Blocks become lines, items of lists get a "*", cells stand side by side, links show
where they lead, pictures say their alternative text.

Limits:  linear.
Errors:  none.
See:     html_tokens.py; docs/html.md
"""

from __future__ import annotations

from lazaretto import regex
from lazaretto.sanitize import html_url
from lazaretto.sanitize.html_entities import characters, decode
from lazaretto.sanitize.html_tokens import Kind, Token, tokens

_BLANKS = regex.compile(r"[ \t\n\xa0]+")
_EMPTY = regex.compile(r"\n{3,}")
_LINES = frozenset(
    "html body address article aside caption center dd details div dl dt fieldset figcaption figure footer form header"
    " legend li main nav option section summary table tbody tfoot thead tr".split()
)
_PARAGRAPHS = frozenset("p h1 h2 h3 h4 h5 h6 blockquote ul ol menu dir pre hr".split())
_UNSEEN = frozenset(("script", "style", "title", "iframe", "noembed", "noframes"))


class _Writer:
    def __init__(self) -> None:
        self.out: list[str] = []
        self.last = "\n"  # the last character written
        self.preformatted = False
        self.target = ""  # of the link that is open
        self.label: list[str] = []  # its text

    def write(self, text: str) -> None:
        if not self.preformatted:
            text = _BLANKS.sub(" ", text)
            if self.last in " \n":
                text = text.lstrip(" ")
        if text:
            self.out.append(text)
            self.last = text[-1]
            if self.target:
                self.label.append(text)

    def end_line(self, empty: bool = False) -> None:
        if self.last != "\n" or empty:
            self.out.append("\n\n" if empty and self.last != "\n" else "\n")
            self.last = "\n"

    def end_link(self) -> None:
        target, label = self.target, "".join(self.label).strip()
        self.target = ""
        self.label.clear()
        if target and target.rstrip("/") not in (label.rstrip("/"), "mailto:" + label):
            self.write(f" <{target}>")


def plain(text: str) -> str:
    """The text of a page, lines ended by "\\n"."""
    writer = _Writer()
    for token in tokens(characters(text)):
        if token.kind is Kind.TEXT:
            writer.write(decode(token.text, in_attribute=False))
        elif token.kind is Kind.RAW:
            if token.name.lower() not in _UNSEEN:
                writer.write(decode(token.text, in_attribute=False))
        elif token.kind in (Kind.START, Kind.END) and token.closed:
            _element(writer, token, token.name.lower())
    writer.end_link()
    lines = (line.rstrip() for line in "".join(writer.out).split("\n"))
    return _EMPTY.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"


def _element(writer: _Writer, token: Token, name: str) -> None:
    start = token.kind is Kind.START
    if name == "br":
        writer.out.append("\n")
        writer.last = "\n"
    elif name == "a":
        writer.end_link()
        if start:
            writer.target = _target(token)
    elif name in _PARAGRAPHS:
        writer.end_line(empty=True)
        writer.preformatted = start and name == "pre"
        if start and name == "hr":
            writer.write("* * *")
            writer.end_line(empty=True)
    elif name in _LINES:
        writer.end_line()
        if start and name == "li":
            writer.write("* ")
    elif name in ("td", "th") and writer.last != "\n":
        writer.write(" ")
    elif name in ("img", "image") and start:
        alternative = next((decode(value, in_attribute=True) for key, value in token.attributes if key == "alt"), "").strip()
        if alternative:
            writer.write(f"[{alternative}]")


def _target(token: Token) -> str:
    """Where a link leads, if a person could go there."""
    value = next((decode(value, in_attribute=True) for key, value in token.attributes if key == "href"), "")
    url = html_url.link(value)
    return _BLANKS.sub("%20", url.text) if url.text.lower().startswith(("http:", "https:", "mailto:", "tel:")) else ""
