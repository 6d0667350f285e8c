"""Documents as containers: which walker opens which type.

walk() gives the members of one document: embedded files, macro source, script,
decoded text, and facts in a stable form for rules to match.  A walker is
imported when the first document of its kind is opened.

Errors:  none raised for bad input; LimitExceeded from the meter passes.
See:     container for the contract; docs/architecture.md "Looking inside"
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from lazaretto.content.container import Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import Source

Walk = Callable[[Source, Meter], Iterator[Member | Problem]]

# Known by their first line, and texts like any other.
_TEXTS = ("text", "pgp-signed", "pgp-signature", "pgp-key", "script", "batch", "powershell", "reg", "url", "sylk", "binhex")

# sniffed type -> modules with walk(), or module:function
_WALKERS = {
    "tnef": "tnef",
    **dict.fromkeys(("ole", "msi", "msg"), "ole"),
    "biff": "ole:walk_workbook",
    **dict.fromkeys(("docx", "docm", "xlsx", "xlsm", "xlsb", "pptx", "pptm", "ooxml"), "ooxml"),
    "pdf": "pdf",
    "rtf": "rtf",
    **dict.fromkeys(("html", "svg", "hta", "mht", "jscript", "vbscript", "wsf", "scriptlet"), "html pgp:walk_text cms:walk_text"),
    "xml": "html ooxml:walk_xml",
    "onenote": "onenote",
    "p7m": "cms",
    "pem": "cms",
    "pgp-message": "pgp",
    **dict.fromkeys(("ics", "vcf"), "calendar pgp:walk_text cms:walk_text"),
    "mbox": "mbox",
    **dict.fromkeys(_TEXTS, "html:walk_text pgp:walk_text calendar:walk_text cms:walk_text"),
}
TYPES = frozenset(_WALKERS)

# These find nothing in a text without the word, and are not loaded for it.
_WORDS = {"pgp:walk_text": b"-----BEGIN PGP ", "cms:walk_text": b"-----BEGIN "}


def walk(type_id: str, source: Source, meter: Meter) -> Iterator[Member | Problem]:
    """Members of the document `source`, which is of the sniffed type `type_id`; nothing for other types."""
    for name in _WALKERS.get(type_id, "").split():
        if source.data.find(_WORDS.get(name, b"")) < 0:
            continue
        module, _, function = name.partition(":")
        walker: Walk = getattr(importlib.import_module("lazaretto.content." + module), function or "walk")
        yield from walker(source, meter)
