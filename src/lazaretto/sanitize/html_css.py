"""Style sheets and style attributes, written anew without what acts.

    Css(report, remote=False).declarations("color:red;width:expression(x)")   "color:red"

What is read is cut into tokens and put together again from those that are known to
do nothing but look: names, numbers, colours, strings, functions of a list, and
addresses of pictures and fonts.  No character that could end a style element, start
a markup or shift a charset ever comes out; a declaration with anything else is left out.

`report(name, example)` is told what acts: "html.style" (expression, behavior,
bindings, addresses with dangerous schemes), and with `remote`, "html.remote".

Limits:  linear; MAX_NESTING groups (@media in @media) deep, what is deeper is left out;
         a sheet of more than html_css_tokens.MAX_TOKENS is left out as a whole, with a finding.
Errors:  none.
See:     CSS Syntax Module Level 3; html_url.py; html_css_tokens.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazaretto import regex
from lazaretto.sanitize import html_url
from lazaretto.sanitize.html_css_tokens import MAX_TOKENS, CssToken, Kind, identifier, quoted, quoted_url, squeezed, tokens

MAX_NESTING = 8  # honest sheets have @supports in @media

Report = Callable[[str, str], None]

_SIMPLE = regex.compile(r"[ \t\nA-Za-z0-9#%.,:;!_-]*\Z")  # no function, no string, no escape: nothing here can act
_PROPERTY = regex.compile(r"--?[a-z_][a-z0-9_-]*\Z|[a-z][a-z0-9-]*\Z")
_ACTING_PROPERTIES = frozenset("behavior -ms-behavior -moz-binding binding -o-link -o-link-source -o-replace include-source".split())
_ACTS = regex.compile(
    r"expression\s*\(|[(\"']\s*(?:java|vb|live)script\s*:|-moz-binding\s*:|(?<![a-z-])(?:-ms-)?behaviou?r\s*:\s*url(?!\([\"'\s]*#default#vml)|-o-link[a-z-]*\s*:"
)
_LOADERS = frozenset("image-set -webkit-image-set image cross-fade -webkit-cross-fade src alphaimageloader".split())
_FUNCTIONS = frozenset(
    "rgb rgba hsl hsla hwb lab lch oklab oklch color color-mix light-dark calc min max clamp var env abs round"
    " translate translatex translatey translatez translate3d scale scalex scaley scalez scale3d rotate rotatex rotatey rotatez rotate3d"
    " skew skewx skewy matrix matrix3d perspective cubic-bezier steps linear"
    " linear-gradient radial-gradient conic-gradient repeating-linear-gradient repeating-radial-gradient repeating-conic-gradient"
    " -webkit-linear-gradient -moz-linear-gradient -o-linear-gradient -ms-linear-gradient -webkit-radial-gradient -moz-radial-gradient"
    " -webkit-gradient from to color-stop blur brightness contrast drop-shadow grayscale hue-rotate invert opacity saturate sepia"
    " format local tech counter counters minmax repeat fit-content rect inset circle ellipse polygon".split()
)
_GROUPS = frozenset("media supports keyframes -webkit-keyframes -moz-keyframes -o-keyframes -ms-keyframes layer container".split())
_DESCRIPTORS = frozenset("font-face page viewport -ms-viewport -o-viewport -moz-viewport".split())
_IN_VALUES = frozenset(",/*()%!")
_IN_PRELUDES = frozenset(",.*:()[]|^$/=")
_ESCAPE_END = regex.compile(r"\\[0-9a-f]{1,6} \Z")
_OPENING = {"(": ")", "[": "]", "{": "}"}


class Css:
    """One for a page."""

    def __init__(self, report: Report, *, remote: bool) -> None:
        self.report = report
        self.remote = remote

    def declarations(self, text: str) -> str:
        """The value of a style attribute."""
        if _SIMPLE.match(text) and "--" not in text:
            return text.strip(" \t\n;")
        self._squeeze(text)
        items, _ = self._block(self._cut(text), 0)
        return ";".join(items)

    def sheet(self, text: str) -> str:
        """The content of a style element: a rule a line, each line begins with a blank."""
        self._squeeze(text)
        cut = self._cut(text)
        out: list[str] = []
        depth = at = 0
        while at < len(cut):
            start, at = at, _until(cut, at, "{;}")
            prelude = _trimmed(cut[start:at])
            end = cut[at].text if at < len(cut) else ";"
            at += 1
            if end == "}":  # what stands before it is no rule
                if depth:
                    depth -= 1
                    out.append(" }")
            elif end == ";":
                out += self._statement(prelude)
            elif not prelude or prelude[0].kind is not Kind.AT:
                items, at = self._block(cut, at)
                selector = self._prelude(prelude) if prelude else None
                if selector and items:
                    out.append(f" {selector} {{ {'; '.join(items)} }}")
            elif prelude[0].text in _DESCRIPTORS:
                items, at = self._block(cut, at)
                rest = self._prelude(prelude[1:])
                if rest is not None and items:
                    out.append(f" @{prelude[0].text} {rest}{{ {'; '.join(items)} }}")
            else:
                rest = self._prelude(prelude[1:]) if prelude[0].text in _GROUPS and depth < MAX_NESTING else None
                if rest is None:
                    at = _skip(cut, at)
                else:
                    depth += 1
                    out.append(f" @{prelude[0].text} {rest} {{")
        out += [" }"] * depth
        return "\n".join(out)

    def _cut(self, text: str) -> list[CssToken]:
        """The tokens of `text`; nothing of it, if they are too many to be looked at."""
        cut = tokens(text)
        if len(cut) >= MAX_TOKENS:
            self.report("html.style", f"more than {MAX_TOKENS} tokens")
            return []
        return cut

    def _squeeze(self, text: str) -> None:
        """Old readers join what comments divide."""
        if (found := _ACTS.search(squeezed(text))) is not None:
            self.report("html.style", found[0])

    def _statement(self, prelude: Sequence[CssToken]) -> list[str]:
        """A rule without a block: @import is the only one that does something."""
        if not prelude or prelude[0] != CssToken(Kind.AT, "import"):
            return []
        rest = _trimmed(prelude[1:])
        if not rest or rest[0].kind not in (Kind.URL, Kind.STRING):
            return []
        url = html_url.load(rest[0].text)
        if url.evil:
            self.report("html.style", f"@import {url.evil}:")
        elif self.remote:
            self.report("html.remote", f"@import {url.text}")
        elif url.remote and (media := self._prelude(_trimmed(rest[1:]))) is not None:
            return [] if _inert(quoted_url(url.text)) is None else [f" @import {quoted_url(url.text)} {media}".rstrip() + ";"]
        return []

    def _block(self, cut: Sequence[CssToken], at: int) -> tuple[list[str], int]:
        """Declarations up to the "}" that ends the block, and where it goes on."""
        items: list[str] = []
        while at < len(cut):
            start, at = at, _until(cut, at, ";}{")
            end = cut[at].text if at < len(cut) else "}"
            if end == "{":  # a rule in a rule, or the value of a custom property
                at = _skip(cut, at + 1)
                continue
            item = self._declaration(_trimmed(cut[start:at]))
            if item:
                items.append(item)
            at += 1
            if end == "}":
                break
        return items, at

    def _declaration(self, cut: Sequence[CssToken]) -> str | None:
        if not cut:
            return None
        first = cut[0]
        rest = _trimmed(cut[1:])
        if first.kind is not Kind.NAME or not rest or rest[0] != CssToken(Kind.DELIMITER, ":"):
            return None
        name = first.text.lower()
        if name in _ACTING_PROPERTIES:
            # Each page that Word writes turns VML on like that; it draws, and does nothing else.
            if not any(token.kind is Kind.URL and token.text.lower() == "#default#vml" for token in rest):
                self.report("html.style", name)
            return None
        value = self._value(_trimmed(rest[1:]), font=name == "src")
        if not value or not _PROPERTY.match(name) or name == "unicode-range":
            return None
        return _inert(f"{identifier(first.text) if name.startswith('--') else name}: {value}")

    def _value(self, cut: Sequence[CssToken], *, font: bool) -> str | None:
        out: list[str] = []
        good = True
        last = Kind.SPACE
        for token in cut:
            piece = self._piece(token, font=font)
            if piece is None or (piece == "(" and last is Kind.NAME):  # "name (" is a function to some
                good = False
            else:
                out.append(piece)
            last = token.kind if token.kind is not Kind.SPACE else last
        return _balanced(_joined(out)) if good else None

    def _piece(self, token: CssToken, *, font: bool) -> str | None:
        """One token of a value, or None: the declaration goes."""
        if token.kind is Kind.URL:
            url = html_url.load(token.text, font=font)
            if url.evil:
                self.report("html.style", f"url({url.evil}:)")
                return None
            if self.remote and url.remote:
                self.report("html.remote", f"url({url.text})")
                return "none"
            return quoted_url(url.text)
        if token.kind is Kind.FUNCTION:
            name = token.text.lower()
            if name in _LOADERS and self.remote:
                self.report("html.remote", f"{name}()")
            if not name.isascii():
                self.report("html.style", f"{name}()")
            return name + "(" if name in _FUNCTIONS else None
        if token.kind is Kind.DELIMITER:
            if token.text in "+-":
                return f" {token.text} "
            return token.text if token.text in _IN_VALUES else None
        return _plain(token)

    def _prelude(self, cut: Sequence[CssToken]) -> str | None:
        """Selectors or the condition of a group, or None: the rule goes."""
        out: list[str] = []
        for number, token in enumerate(cut):
            after = cut[number + 1] if number + 1 < len(cut) else None
            equals = after == CssToken(Kind.DELIMITER, "=")
            if token.kind is Kind.FUNCTION:
                piece: str | None = identifier(token.text) + "(" if token.text.isascii() else None
            elif token.kind is Kind.NAME and token.text.startswith("--"):
                piece = None  # no selector has one, and "-->" ends a comment
            elif token.kind is Kind.NUMBER and token.text[0] == "+":
                piece = f" + {token.text[1:]}"  # as in 2n+1
            elif token.kind is Kind.DELIMITER and token.text in "+~>-":
                piece = f" {token.text}" + ("" if equals else " ")
            elif token.kind is Kind.DELIMITER:
                piece = token.text if token.text in _IN_PRELUDES else None
            else:
                piece = _plain(token)
            if piece is None:
                return None
            out.append(piece)
        return _inert(_balanced(_joined(out)))


def _inert(text: str | None) -> str | None:
    """`text`, unless the most lenient reader would still see something that acts."""
    return None if text is None or _ACTS.search(squeezed(text)) is not None else text


def _plain(token: CssToken) -> str | None:
    """A token that means the same everywhere."""
    if token.kind is Kind.SPACE:
        return " " if token.text else ""
    if token.kind in (Kind.NAME, Kind.HASH):
        return ("#" if token.kind is Kind.HASH else "") + identifier(token.text, whole=token.kind is Kind.NAME)
    if token.kind is Kind.NUMBER:
        return token.text.removeprefix("+")
    return quoted(token.text) if token.kind is Kind.STRING else None


def _joined(pieces: list[str]) -> str:
    """Blanks are one at most; where a comment divided two words, a blank does."""
    out: list[str] = []
    last = ""
    for number, piece in enumerate(pieces):
        if not piece:
            following = next((one for one in pieces[number + 1 : number + 3] if one), "")
            piece = " " if _wordy(last) and _wordy(following[:1]) else ""
        if piece and last == " ":
            piece = piece.lstrip(" ")
        if piece:
            out.append(piece)
            last = "\\" if _ESCAPE_END.search(piece) else piece[-1]  # the blank of an escape divides nothing
    text = "".join(out).lstrip(" ")
    return text if _ESCAPE_END.search(text) else text.rstrip(" ")


def _wordy(character: str) -> bool:
    return character.isalnum() or (character != "" and character in "_-\\#%.")


def _balanced(text: str) -> str | None:
    """`text` if its parentheses and brackets match, which quotes of ours hold none of."""
    open_: list[str] = []
    for character in text:
        if character in _OPENING:
            open_.append(_OPENING[character])
        elif character in ")]}" and (not open_ or open_.pop() != character):
            return None
    return text + "".join(reversed(open_))


def _trimmed(cut: Sequence[CssToken]) -> Sequence[CssToken]:
    start, stop = 0, len(cut)
    while start < stop and cut[start].kind is Kind.SPACE:
        start += 1
    while stop > start and cut[stop - 1].kind is Kind.SPACE:
        stop -= 1
    return cut[start:stop]


def _until(cut: Sequence[CssToken], at: int, ends: str) -> int:
    """The next of `ends` outside of parentheses; but a brace or a semicolon ends what does not close them."""
    depth = 0
    while at < len(cut):
        token = cut[at]
        if token.kind is Kind.FUNCTION:
            depth += 1
        elif token.kind is Kind.DELIMITER:
            if token.text in "([":
                depth += 1
            elif token.text in ")]":
                depth = max(depth - 1, 0)
            elif token.text in ends and (depth == 0 or token.text != ";"):
                return at
        at += 1
    return at


def _skip(cut: Sequence[CssToken], at: int) -> int:
    """Behind the "}" that ends the block that begins at `at`."""
    depth = 1
    while at < len(cut) and depth:
        if cut[at].kind is Kind.DELIMITER:
            depth += (cut[at].text == "{") - (cut[at].text == "}")
        at += 1
    return at
