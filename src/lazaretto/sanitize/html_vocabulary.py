"""Elements and attributes: which are kept, which act and how that is called.

What is not in these tables is left out, without a finding: it does nothing, or
nobody knows what it does.

See:     HTML Living Standard s15 (rendering, obsolete features); docs/html.md; html_filter.py
"""

from __future__ import annotations

# Kept.  None of them runs anything, takes input, or changes how what follows is cut into tokens.
ELEMENTS = frozenset(
    "html head body title"
    " a abbr acronym address area article aside audio b basefont bdi bdo big blink blockquote br caption center cite code col colgroup"
    " data dd del details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd li listing"
    " main map mark marquee menu nav nobr ol p picture pre q rp rt rtc rb ruby s samp search section small source spacer span strike"
    " strong sub summary sup table tbody td tfoot th thead time track tr tt u ul var video wbr"
    " fieldset label legend".split()
)
VOID = frozenset("area base br col embed hr img input link meta source track wbr basefont bgsound frame keygen param spacer".split())

# Word's own, kept in comments that only Outlook reads; with a colon the case of names matters.
OFFICE = frozenset(
    "xml o:officedocumentsettings o:allowpng o:pixelsperinch o:p w:worddocument w:view w:zoom w:donotoptimizeforbrowser w:anchorlock w:wrap"
    " v:rect v:roundrect v:oval v:shape v:fill v:stroke v:textbox v:image v:imagedata v:background v:group v:line".split()
)
OFFICE_ATTRIBUTES = frozenset(
    "fill fillcolor stroked strokecolor strokeweight filled arcsize inset coordsize coordorigin path aspect opacity angle focus color2"
    " method size origin position esdevvmlbutton gradientshapeok recolor rotate mso-width-percent".split()
)

# What acts -> the finding.  Content of those in DROPPED goes with them, content of others stays.
ACTIVE = {
    "script": "html.script",
    "applet": "html.object",
    "object": "html.object",
    "embed": "html.object",
    "portal": "html.object",
    "bgsound": "html.object",
    "fencedframe": "html.frame",
    "iframe": "html.frame",
    "frame": "html.frame",
    "frameset": "html.frame",
    "ilayer": "html.frame",
    "layer": "html.frame",
    "base": "html.base",
    "form": "html.form",
    "input": "html.form",
    "button": "html.form",
    "select": "html.form",
    "selectlist": "html.form",
    "textarea": "html.form",
    "isindex": "html.form",
    "keygen": "html.form",
    "svg": "html.foreign",
    "math": "html.foreign",
}
DROPPED = frozenset(("script", "iframe", "noembed", "noframes"))  # as raw text; style and title have ways of their own

# Raw text whose attributes are not kept as they are.
RAW_AWAY = frozenset(("script", "style", "title", *DROPPED))
# Left out, content stays.  All others that are not kept become a span, which looks as they do.
UNWRAPPED = frozenset(("form", "template", "frameset", "image", "br", *DROPPED))
CLOSED = frozenset(("dialog", "datalist"))  # not shown unless they say "open"

TEXT, LINK, LOAD, STYLE, SOURCES, FRAGMENT = "text", "link", "load", "style", "sources", "fragment"
# Attributes that are kept, and what their value is.
ATTRIBUTES: dict[str, str] = {
    **dict.fromkeys(
        "abbr align alink alt axis bgcolor border bordercolor bordercolordark bordercolorlight cellpadding cellspacing char charoff class"
        " clear color cols colspan compact controls coords datetime dir direction face frame headers height hidden hspace hreflang id lang"
        " leftmargin bottommargin rightmargin topmargin link loop marginheight marginwidth media muted name nohref noshade nowrap open"
        " playsinline rel rev reversed role rows rowspan rules scope scrollamount scrolldelay shape size sizes span srclang start summary"
        " target text title truespeed type valign value vlink vspace width xml:lang".split(),
        TEXT,
    ),
    "href": LINK,
    "cite": LINK,
    "longdesc": LINK,
    "src": LOAD,
    "background": LOAD,
    "poster": LOAD,
    "srcset": SOURCES,
    "style": STYLE,
    "usemap": FRAGMENT,
}
# Attributes that act, wherever they stand -> the finding.  Handlers ("on...") are known by their name.
ACTIVE_ATTRIBUTES = {
    "action": "html.form",
    "formaction": "html.form",
    "srcdoc": "html.frame",
    "classid": "html.object",
    "codebase": "html.object",
    "datasrc": "html.object",
    "datafld": "html.object",
    "dataformatas": "html.object",
    "attributename": "html.foreign",
    "shadowrootmode": "html.foreign",
    "shadowroot": "html.foreign",
}
LOADING_ATTRIBUTES = frozenset(("src", "background", "poster", "srcset", "lowsrc", "dynsrc", "imagesrcset", "ping", "manifest", "data"))

# Names of meta elements that are kept: they say how to show the page.
METAS = frozenset(
    "viewport color-scheme supported-color-schemes x-apple-disable-message-reformatting format-detection theme-color"
    " author description generator keywords progid originator date robots".split()
)
COMPATIBILITY = frozenset(f"ie={mode}" for mode in ("edge", *map(str, range(7, 12)), "emulateie7", "emulateie8", "edge,chrome=1"))
# Namespaces, without which Outlook does not know its own elements.
NAMESPACES = frozenset(
    (
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/tr/rec-html40",
        "urn:schemas-microsoft-com:vml",
        "urn:schemas-microsoft-com:office:office",
        "urn:schemas-microsoft-com:office:word",
        "urn:schemas-microsoft-com:office:excel",
        "http://schemas.microsoft.com/office/2004/12/omml",
    )
)
