"""What acts in a page, as parsers see it that we did not write: html5lib, libxml2 (lxml) and Python's own.

    active(page) -> ["html5lib: onclick on p", "lxml: odd: noscript", ...]

"odd" is what does nothing by itself, but has no place in a sanitised page.

The lists here are written down anew, from what browsers run, not from the tables of the sanitizer.  A page is also
written out of html5lib's tree as browsers of old do it ("<" in values as it is) and read once more: what is nothing
in the first tree and something in the second is a mutation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

import html5lib
import lxml.etree
import lxml.html

_DANGEROUS = frozenset(
    "script iframe frame frameset object embed applet portal fencedframe form input button select textarea keygen isindex"
    " svg math bgsound layer ilayer animate set use foreignobject".split()
)
_ATTRIBUTES = frozenset("srcdoc action formaction classid codebase".split())
# What does nothing by itself, and what a sanitised page has not either.
_ODD = frozenset("template noscript noembed noframes xmp plaintext param xml image slot".split())
_ODD_ATTRIBUTES = frozenset("ping manifest is slot data dynsrc lowsrc xlink:href".split())
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_GOOD = frozenset("http https mailto cid mid tel sms ftp news nntp xmpp sip sips callto skype whatsapp im geo webcal facetime".split())
_PICTURE = re.compile(r"data:image/(?!svg)[a-z.-]+;base64,", re.IGNORECASE)
_CSS = re.compile(r"expression\s*\(|behavior\s*:\s*url|-moz-binding\s*:|[(\"']\s*(?:java|vb)script:|-o-link[a-z-]*\s*:", re.IGNORECASE)
_ODD_CSS = re.compile(r"</|<!--|-->|@charset", re.IGNORECASE)
_RAW = frozenset(("style", "script", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"))
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
Found = tuple[str, list[tuple[str, str]]]  # element in lower case, attributes


def active(page: str | bytes, charset: str = "ascii") -> list[str]:
    """Everything that acts, by every parser; of what stands in comments for Outlook, too."""
    text = page.decode(charset, "replace") if isinstance(page, bytes) else page
    found: list[str] = []
    trees = {f"html5lib, scripting {on}": _tree(text, scripting=on) for on in (True, False)}
    trees |= {f"{name}, again": _tree(written(tree), scripting="True" in name) for name, tree in list(trees.items())}
    for name, tree in trees.items():
        found += [f"{name}: {what}" for what in _judged(_elements(tree))]
    found += [f"lxml: {what}" for what in _judged(_lxml(text))]
    found += [f"html.parser: {what}" for what in _judged(_simple(text))]
    for inside in re.findall(r"(?s)<!--\[if[^]]*\]>(.*?)<!\[endif\]-->", text):
        found += [f"for Outlook: {what}" for what in active(inside) if "xml" not in what]
    return found


def loads(page: bytes) -> list[str]:
    """Addresses outside of the mail that a page asks for by itself."""
    found = []
    for _, attributes in _elements(_tree(page.decode("ascii"), scripting=False)):
        for name, value in attributes:
            if name in ("src", "srcset", "background", "poster", "lowsrc", "dynsrc", "data", "ping"):
                found += re.findall(r"(?i)(?:https?:|//)[^\s]+", value)
            elif name == "style":
                found += re.findall(r"(?i)(?:url\(|image-set\(|@import)[^)]*https?:[^)]*", value)
    for style in re.findall(rb"(?is)<style[^>]*>(.*?)</style", page):
        found += [match.decode() for match in re.findall(rb"(?i)(?:url\(|image-set\(|@import)[^);]*(?:https?:|//)[^);]*", style)]
    return [*found, *(match.decode() for match in re.findall(rb"(?i)<link[^>]*>", page))]


def _tree(text: str, *, scripting: bool) -> Any:
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
    return parser.parse(text, scripting=scripting)


def _elements(tree: Any) -> Iterator[Found]:
    for node in tree.iter():
        if isinstance(node.tag, str):
            yield _local(node.tag), [(str(name).rpartition("}")[2].lower(), str(value)) for name, value in node.attrib.items()]
            if _local(node.tag) == "style":
                yield "#css", [("", "".join(node.itertext()))]


def _local(tag: str) -> str:
    return tag.lower()


def _lxml(text: str) -> Iterator[Found]:
    if not text.strip():
        return
    try:
        tree = lxml.html.document_fromstring(text.encode("ascii", "xmlcharrefreplace"))
    except lxml.etree.ParserError:  # "Document is empty"
        return
    for node in tree.iter():
        if isinstance(node.tag, str):
            yield node.tag.lower(), [(str(name).lower(), str(value)) for name, value in node.attrib.items()]
            if node.tag == "style":
                yield "#css", [("", node.text or "")]


def _simple(text: str) -> list[Found]:
    found: list[Found] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, [(name, value or "") for name, value in attrs]))

    parser = Parser()
    try:
        parser.feed(text)
        parser.close()
    except AssertionError:  # its way to say that it does not know what "<![x" is
        pass
    return found


def _judged(elements: Iterable[Found]) -> Iterator[str]:
    for element, attributes in elements:
        if element == "#css":
            yield from _judged_css(attributes[0][1])
            continue
        if element in _DANGEROUS or element.rpartition(":")[2] in ("script", "svg", "math") or element.startswith("{"):
            yield element
        elif element in _ODD:
            yield f"odd: {element}"
        values = dict(attributes)
        if element == "base" and "href" in values:
            yield "base"
        if element == "meta" and (equivalent := values.get("http-equiv", "").lower()) not in ("", "x-ua-compatible"):
            yield ("" if equivalent in ("refresh", "set-cookie") else "odd: ") + f"meta {equivalent}"
        if element == "link" and values.get("rel") != "stylesheet":
            yield ("" if "import" in values.get("rel", "").lower() else "odd: ") + f"link {values.get('rel')}"
        for name, value in attributes:
            if name.startswith("on") or name in _ATTRIBUTES:
                yield f"{name} on {element}"
            elif name in _ODD_ATTRIBUTES or not re.fullmatch(r"[a-z][a-z0-9:_-]*", name):
                yield f"odd: {name} on {element}"
            if name == "style":
                yield from _judged_css(value)
            if name in ("href", "src", "background", "cite", "longdesc", "poster", "srcset", "usemap"):
                scheme = _SCHEME.match(re.sub(r"[\x00-\x20]+", "", value.lower()))
                if scheme and scheme[1] not in _GOOD and not (name != "href" and _PICTURE.match(value.strip())):
                    yield f"{name}={value[:40]} on {element}"


def _judged_css(text: str) -> Iterator[str]:
    if _CSS.search(text):
        yield f"css {text[:60]!r}"
    elif _ODD_CSS.search(text):
        yield f"odd: css {text[:60]!r}"


def written(node: Any) -> str:
    """The tree as browsers wrote it until lately: values escape "&" and quotes, raw text nothing."""
    out: list[str] = []

    def write(node: Any) -> None:
        if isinstance(node.tag, str):
            tag = node.tag.rpartition("}")[2]
            attributes = "".join(
                ' {}="{}"'.format(
                    str(name).rpartition("}")[2], str(value).replace("&", "&amp;").replace("\xa0", "&nbsp;").replace('"', "&quot;")
                )
                for name, value in node.attrib.items()
            )
            out.append(f"<{tag}{attributes}>")
            out.append(_text(node.text, tag))
            for child in node:
                write(child)
                out.append(_text(child.tail, tag))
            if tag not in _VOID:
                out.append(f"</{tag}>")
        elif "Comment" in getattr(node.tag, "__name__", ""):
            out.append(f"<!--{node.text}-->")

    write(node)
    return "".join(out)


def _text(text: str | None, tag: str) -> str:
    text = text or ""
    return text if tag in _RAW else text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
