"""Markup written anew, token by token, without what acts.

    filtered = Filter(remote=False).run(text)
    filtered.markup    ASCII
    filtered.removed   {"html.handler": Removed(2, ("onload on body", ...))}

Why the result is safe does not depend on how well the original was understood.
It is written in a language that has one reading: elements of a list, attributes
of a list, every value in quotes, every other character that means something in
markup as a reference.  None of those elements makes a parser cut the text otherwise, but
for style and title, whose content has no "<".  So wherever a parser puts an
element, closes one early or moves one out of a table, no new element comes into being.
That is what mutation attacks live on, and why no tree is built here.

Limits:  linear; EXAMPLES of what was removed are kept for each finding.
Errors:  none.
See:     html_vocabulary.py, the lists; html_tokens.py; docs/html.md
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lazaretto import regex
from lazaretto.sanitize import html_url
from lazaretto.sanitize import html_vocabulary as words
from lazaretto.sanitize.html_css import Css
from lazaretto.sanitize.html_entities import characters, decode, encode, guard_lines
from lazaretto.sanitize.html_tokens import Attributes, Kind, Token, tokens

EXAMPLES = 5
_SHOWN = 60  # characters of an example

# Comments that Outlook reads.  Nothing else is kept of comments.
_CONDITION = r"\[if [A-Za-z0-9 ().!&|]{1,80}\]"
_HIDDEN = regex.compile(rf"({_CONDITION})>((?s:.*))<!\[endif\]\Z")
_REVEALED = regex.compile(rf"{_CONDITION}(?:><!)?\Z|<!\[endif\]\Z|\[endif\]\Z")
_DOCTYPE = regex.compile(
    r"(?ia)\s+html(?:\s+public\s+\"-//[a-z0-9 /.:-]{1,80}\"(?:\s+\"[a-z0-9 /.:-]{1,80}\")?|\s+system\s+\"about:legacy-compat\")?\s*\Z"
)
# What nobody would write where it cannot be seen, unless somebody sees it.
_MARKUP = regex.compile(
    r"<[\s/]*(?:script|i?frame|frameset|object|embed|applet|portal|bgsound|i?layer|form|input|button|select|textarea|keygen|isindex"
    r"|base|svg|math|meta|link|style)\b"
    r"|<[a-z!/?][^<>]*(?:\bon[a-z]{3,}\s*=|script\s*:|srcdoc\s*=|formaction\s*=)",
    re.IGNORECASE,
)
_HANDLER = regex.compile(r"[^a-z]*on[a-z]")
_REFRESHING = regex.compile(r"[^a-z]*refresh")
_SOURCES = regex.compile(r"\s*https?://[^\s,\"'<>\\]+(?:\s+[0-9.]+[wx])?(?:\s*,\s*https?://[^\s,\"'<>\\]+(?:\s+[0-9.]+[wx])?)*\s*\Z")
_TARGETS = frozenset(("_blank", "_top", "_self", "_parent", "_new"))


class Removed(NamedTuple):
    """How many things of one kind were taken out, and the first few of them."""

    times: int
    examples: tuple[str, ...]


class Filtered(NamedTuple):
    """A page without what acts, and what that was, by name of the finding."""

    markup: str
    removed: dict[str, Removed]


class Filter:
    """One for a page.  `remote`: what is loaded from elsewhere goes, too."""

    def __init__(self, *, remote: bool) -> None:
        self.remote = remote
        self.removed: dict[str, Removed] = {}
        self.css = Css(self.report, remote=remote)
        self.templates = 0  # content of a template is not shown
        self.office = False  # inside a comment that only Outlook reads

    def run(self, text: str) -> Filtered:
        """All of `text`, a page or a piece of one."""
        return Filtered(guard_lines(self._written(characters(text))), self.removed)

    def report(self, name: str, example: str) -> None:
        """Something that acts."""
        known = self.removed.get(name, Removed(0, ()))
        shown = "".join(character if character.isprintable() else " " for character in example[:_SHOWN])
        examples = known.examples if len(known.examples) >= EXAMPLES or shown in known.examples else (*known.examples, shown)
        self.removed[name] = Removed(known.times + 1, examples)

    def _written(self, text: str) -> str:
        out: list[str] = []
        for token in tokens(text):
            piece = self._WRITERS[token.kind](self, token)
            if piece and not self.templates:
                out.append(piece)
        return "".join(out)

    # -- one kind of token each

    def _text(self, token: Token) -> str:
        return encode(decode(token.text, in_attribute=False))

    def _start(self, token: Token) -> str:
        name = token.name.lower()
        if not token.closed:  # browsers drop it, so it is not written; others may see it
            self._acts(name)
            self._attributes(name, token.attributes)
            return ""
        if name == "meta":
            return self._meta(token.attributes)
        if name == "link":
            return self._link(token.attributes)
        if name == "base":
            return self._base(token.attributes)
        self._acts(name)
        if name == "template":
            self.templates += 1
        attributes = self._attributes(name, token.attributes)
        if name == "image":
            name = "img"  # as browsers do
        known = name in words.ELEMENTS
        if self.office and not known:
            return f"<{token.name}{attributes}{' /' if token.self_closing else ''}>" if self._is_office(token) else ""
        if not known and (name in words.UNWRAPPED or name in words.VOID):
            return ""
        given = {key for key, _ in token.attributes}
        if ("popover" in given or (name in words.CLOSED and "open" not in given)) and "hidden" not in given:
            attributes += ' hidden=""'
        # Browsers show in a line what they do not know, and most of what is not kept: so its style goes on to hold.
        return f"<{name if known else 'span'}{attributes}>"

    def _end(self, token: Token) -> str:
        name = token.name.lower()
        if name == "template":
            self.templates = max(self.templates - 1, 0)
        if name == "br":
            return "<br>"  # as browsers do
        if name in words.ELEMENTS:
            return "" if name in words.VOID else f"</{name}>"
        if self.office:
            return f"</{token.name}>" if self._is_office(token) else ""
        return "" if name in words.UNWRAPPED or name in words.VOID else "</span>"

    def _is_office(self, token: Token) -> bool:
        """An element of Word's, whose name can be written as it stands: "K" of Kelvin is a "k" to lower()."""
        return token.name.isascii() and token.name.lower() in words.OFFICE

    def _raw(self, token: Token) -> str:
        name = token.name.lower()
        self._acts(name)
        values = self._values(name, token.attributes) if name in words.RAW_AWAY else {}
        if name != "script":
            self._hidden(token.text)
        if name == "style":
            sheet = self.css.sheet(token.text)
            if values.get("type", "").strip().lower() not in ("", "text/css"):
                return ""
            media = f' media="{encode(values["media"])}"' if "media" in values else ""
            return f"<style{media}>\n{sheet}\n</style>" if sheet else ""
        if name in words.DROPPED:
            return ""
        text = token.text if name in ("xmp", "plaintext") else decode(token.text, in_attribute=False)
        if name == "title":
            return f"<title>{encode(text)}</title>"
        shown = "pre" if name in ("xmp", "plaintext") else "span"
        return f"<{shown}{self._attributes(name, token.attributes)}>{encode(text)}</{shown}>"

    def _comment(self, token: Token) -> str:
        if token.name in ("<!--", "<!") and token.closed and not self.office:
            hidden = _HIDDEN.match(token.text) if token.name == "<!--" else None
            if hidden is not None and "<!--" not in hidden[2]:
                templates, self.templates, self.office = self.templates, 0, True
                inside = self._written(hidden[2])
                self.templates, self.office = templates, False
                return f"<!--{hidden[1]}>{inside}<![endif]-->"
            if _REVEALED.match(token.text):
                return f"{token.name}{token.text}{'-->' if token.name == '<!--' else '>'}"
        # A comment that every parser ends in the same place hides nothing.
        if token.name != "<!--" or not token.closed or "--" in token.text or token.text.startswith(("[if", ">", "->")):
            self._hidden(token.text)
        return ""

    def _doctype(self, token: Token) -> str:
        return f"<!DOCTYPE {' '.join(token.text.split())}>" if token.closed and not self.office and _DOCTYPE.match(token.text) else ""

    _WRITERS = {  # noqa: RUF012 - functions of the class
        Kind.TEXT: _text,
        Kind.START: _start,
        Kind.END: _end,
        Kind.RAW: _raw,
        Kind.COMMENT: _comment,
        Kind.DOCTYPE: _doctype,
    }

    # -- elements with ways of their own

    def _meta(self, raw: Attributes) -> str:
        values = self._values("meta", raw)
        http = values.get("http-equiv", "").strip().lower()
        name, content = values.get("name", "").strip().lower(), values.get("content", "")
        if _REFRESHING.match(http):
            self.report("html.refresh", content)
        elif http in ("set-cookie", "x-dns-prefetch-control", "link"):
            self.report("html.refresh", http)
        elif http == "x-ua-compatible" and content.strip().lower() in words.COMPATIBILITY:
            return f'<meta http-equiv="X-UA-Compatible" content="{encode(content.strip())}">'
        elif name in words.METAS and not http:
            return f'<meta name="{encode(name)}" content="{encode(content)}">'
        return ""  # a charset, too: what is written is ASCII

    def _link(self, raw: Attributes) -> str:
        values = self._values("link", raw)
        relations = values.get("rel", "").lower().split()
        url = html_url.load(values.get("href", ""))
        if "import" in relations or "serviceworker" in relations:
            self.report("html.object", f"link {' '.join(relations)}")
        elif url.evil:
            self.report("html.url", f"{url.evil}: in href of link")
        elif self.remote and url.remote:
            self.report("html.remote", f"link {url.text}")
        elif "stylesheet" in relations and url.remote:
            media = f' media="{encode(values["media"])}"' if "media" in values else ""
            kind = ' type="text/css"' if values.get("type", "").strip().lower() == "text/css" else ""
            return f'<link rel="stylesheet" href="{encode(url.text)}"{kind}{media}>'
        return ""

    def _base(self, raw: Attributes) -> str:
        values = self._values("base", raw)
        if "href" in values:
            self.report("html.base", values["href"])
            return ""
        target = values.get("target", "").strip().lower()
        return f'<base target="{target}">' if target in _TARGETS else ""

    def _acts(self, name: str) -> None:
        if not _is_name(name):
            self._hidden(f"<{name}>")  # some reader may end the name earlier
        if name in words.ACTIVE and name != "base":
            self.report(words.ACTIVE[name], name)
        elif name.rpartition(":")[2] in ("script", "iframe", "svg", "math"):
            self.report(words.ACTIVE[name.rpartition(":")[2]], name)  # as XML would write it

    # -- attributes

    def _values(self, element: str, raw: Attributes) -> dict[str, str]:
        """Names and decoded values, the first of each name; all are looked at for what acts."""
        values: dict[str, str] = {}
        for name, value in raw:
            value = decode(value, in_attribute=True)
            if "<" in name:
                self._hidden(name + ">")  # ... or the tag
            self._watch(element, name, value)
            # What is markup when somebody writes the page anew from a tree, where "<" in values is written as it is.
            values.setdefault(name, "" if "<" in value and self._hidden(value) else value)
        return values

    def _watch(self, element: str, name: str, value: str) -> None:
        """Report what acts in any attribute, also in those that are not kept."""
        if _HANDLER.match(name):
            self.report("html.handler", f"{name} on {element}")
        if name in words.ACTIVE_ATTRIBUTES:
            self.report(words.ACTIVE_ATTRIBUTES[name], f"{name} on {element}")
        if ":" in value and name not in words.ATTRIBUTES and name.rpartition(":")[0] != "xmlns":
            url = html_url.load(value) if name in words.LOADING_ATTRIBUTES else html_url.link(value)
            if "script" in url.evil or url.evil == "data":
                self.report("html.url", f"{url.evil}: in {name} of {element}")
        if self.remote and name in words.LOADING_ATTRIBUTES and name not in words.ATTRIBUTES and value.strip():
            self.report("html.remote", f"{name} of {element}: {value}")

    def _attributes(self, element: str, raw: Attributes) -> str:
        if not raw:
            return ""
        out: list[str] = []
        for name, value in self._values(element, raw).items():
            kind = words.ATTRIBUTES.get(name) or self._odd_attribute(name, value)
            kept = self._value(kind, element, name, value) if kind else None
            if kept is not None:
                out.append(f' {name}="{encode(kept)}"')
        return "".join(out)

    def _odd_attribute(self, name: str, value: str) -> str:
        """What the value of an attribute is that stands in no table; "": it is not kept."""
        if not _is_name(name):
            return ""
        family = name.partition(":")[0] if ":" in name else name.partition("-")[0]
        known = (
            family == "aria"
            or (family == "xmlns" and value.strip().lower() in words.NAMESPACES)
            or (self.office and (name in words.OFFICE_ATTRIBUTES or (":" in name and family in ("o", "v"))))
        )
        return words.TEXT if known else ""

    def _value(self, kind: str, element: str, name: str, value: str) -> str | None:
        """The value as it is to be written; None: the attribute goes."""
        if kind == words.STYLE:
            return self.css.declarations(value) or None
        if kind == words.SOURCES:
            if self.remote:
                self.report("html.remote", f"{name} of {element}")
            return value if not self.remote and _SOURCES.match(value) else None
        if kind == words.FRAGMENT:
            return value.strip() if value.strip().startswith("#") else None
        if kind == words.TEXT:
            return value
        url = html_url.link(value) if kind == words.LINK else html_url.load(value)
        if url.evil:
            self.report("html.url", f"{url.evil}: in {name} of {element}")
            return None
        if self.remote and url.remote and url.text:
            self.report("html.remote", f"{name} of {element}: {url.text}")
            return None
        return url.text

    def _hidden(self, text: str) -> bool:
        """Is there markup where this reader sees none, and another might?"""
        found = _MARKUP.search(text) if "<" in text else None
        if found is not None:
            self.report("html.hidden", found[0])
        return found is not None


def _is_name(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace(":", "").replace("_", "").isalnum()
