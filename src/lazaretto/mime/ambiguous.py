"""Which anomalies make clients disagree, and what has to be written anew so that they do not.

    AMBIGUOUS     one of these is a reason to look for other readings (scan/walk.py)
    HEADER        the header of the part, written anew, settles it
    DELIMITERS    a fresh boundary does, with nothing before the first part and after the last
    BODY          the content, encoded anew, does
    CANONICAL     all of the three
    STRAY         those of CANONICAL for which policy's word is "malformed"; for all others it is "ambiguous"

What is in AMBIGUOUS and not in CANONICAL has no canonical form here: limits, and a message without any header.

Errors:  none.
See:     docs/readings.md; sanitize/structure.py
"""

from __future__ import annotations

from lazaretto.mime import fields, structured

# (Of an mbox line or empty lines before the header the other reading is that all is text.)
_FIELDS = fields.AMBIGUOUS - {"header.mbox-from", "header.leading-lines"}
_LIMITS = frozenset(("header.too-long", "header.too-many-fields", "params.too-long", "params.too-many"))


def _names(prefix: str, names: str) -> frozenset[str]:
    return frozenset(f"{prefix}.{name}" for name in names.split())


_MIME_FIELDS = _names(
    "mime",
    "bad-content-type boundary-without-multipart duplicate-content-type duplicate-disposition duplicate-encoding duplicate-version "
    "unknown-encoding",
)
_BOUNDARIES = _names(
    "mime",
    "boundary-reused doubtful-boundary missing-boundary no-delimiter no-final-boundary part-after-close stray-delimiter",
)
_BODIES = _names("mime", "encoded-message encoded-multipart header-after-blank")

AMBIGUOUS = (
    _FIELDS
    | structured.AMBIGUOUS
    | (_MIME_FIELDS - {"mime.duplicate-version"})
    | _BOUNDARIES
    | _BODIES
    | {"mime.boundary-too-long", "mime.commented-encoding"}
)

HEADER = ((_FIELDS | structured.AMBIGUOUS | {"header.leading-lines"}) - _LIMITS - {"header.name-8bit"}) | _MIME_FIELDS
DELIMITERS = _BOUNDARIES | _names("mime", "stray-part")
BODY = (
    _BODIES
    | _names("mime", "bare-cr nul stray-part")
    | _names("base64", "bare-cr blank-line junk length long-line nul padding-inside split-quad text-after-end")
    | _names("qp", "bad-escape bare-cr nul soft-break")
    | _names("uuencode", "all-lines bad-line no-begin no-end")
    | _names("yenc", "doubtful-end no-begin no-end")
)
CANONICAL = HEADER | DELIMITERS | BODY
# Of these, in honest mail as it travels; [smtp] stray decides about them.  They stay unless a rule says otherwise.
STRAY = _names("mime", "bare-cr nul")
