"""F-PROT's nine file types, and whether a file is what its name says.

    by_content(head)                    type ids whose signature the content begins with
    by_media_type(media_type)           the type id that a declared type stands for, "" for most
    contradiction(names, head, kind)    what is wrong with these names for this content, "" if nothing
    wants_extension(media_type, names)  the extensions of which the declared type needs one, if no name has it

An extension claims a type, and so does a signature.  Several types at once are a
contradiction, unless all of them are harmless; so is a harmless type whose
signature is not there.  content.sniff knows far more; this is the judgement that
the rules of F-PROT's mail scanner were written for.

Limits:  HEAD bytes are looked at.
Errors:  none.
See:     docs/names.md, docs/engines.md; content/candidates.py, engines/lists.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from lazaretto import regex
from lazaretto.content.names import extension
from lazaretto.content.types import ids

HEAD = 512


class Fingerprint(NamedTuple):
    """One type.  `starts`: what its content begins with, () if there is no telling."""

    harmless: bool
    extensions: frozenset[str]
    starts: tuple[bytes, ...] = ()
    media_types: frozenset[str] = frozenset()


FINGERPRINTS: dict[str, Fingerprint] = {
    "exe": Fingerprint(
        False,
        ids("exe com scr pif lnk bat"),
        (b"MZ",),
        ids(
            """
            application/x-msdownload application/x-ms-dos-executable application/x-msdos-program application/x-dosexec application/x-exe
            application/x-winexe application/exe application/vnd.microsoft.portable-executable
            """
        ),
    ),
    "wmf": Fingerprint(
        False,
        ids("emf wmf"),
        (b"\xd7\xcd\xc6\x9a", b"\x01\0\x09\0", b"\x02\0\x09\0"),
        ids("image/wmf image/x-wmf image/emf image/x-emf application/x-msmetafile windows/metafile"),
    ),
    "jpeg": Fingerprint(True, ids("jpg jpe jpeg jfif"), (b"\xff\xd8",), ids("image/jpeg image/jpg image/pjpeg")),
    "gif": Fingerprint(True, ids("gif"), (b"GIF8",), ids("image/gif")),
    "png": Fingerprint(True, ids("png"), (b"\x89PNG",), ids("image/png image/x-png")),
    "tiff": Fingerprint(True, ids("tif tiff"), (b"MM\0*", b"II*\0"), ids("image/tiff image/x-tiff")),
    "js": Fingerprint(
        False,
        ids("js"),
        (),
        ids("application/javascript application/x-javascript application/ecmascript text/javascript text/ecmascript text/jscript"),
    ),
    "html": Fingerprint(True, ids("htm html shtm shtml"), (), ids("text/html application/xhtml+xml")),
    "txt": Fingerprint(True, ids("txt"), (), ids("text/plain")),
}

# Declared types that are opened by the extension: another one would start another program.
_NEEDED: dict[str, tuple[str, ...]] = {
    "audio/x-ms-wma": ("wma", "wmf"),
    "audio/x-wav": ("wav",),
    "audio/wav": ("wav",),
    "audio/x-midi": ("mid", "midi"),
    "audio/midi": ("mid", "midi"),
    "image/gif": ("gif",),
    "image/jpeg": ("jpg", "jpe", "jpeg", "jfif"),
    "image/png": ("png",),
    "image/tiff": ("tif", "tiff"),
}

_TAG = regex.compile(rb"<(?:html|body|p|b|i|br)[\s/>]|</a\s*>", re.IGNORECASE)


def by_content(head: bytes) -> tuple[str, ...]:
    """Type ids by the first bytes; never js, html or txt, which nothing but a name or label makes."""
    return tuple(type_id for type_id, known in FINGERPRINTS.items() if head.startswith(known.starts))


def by_media_type(media_type: str) -> str:
    """The type id for a declared type, in lower case; "" if it is none of these."""
    return next((type_id for type_id, known in FINGERPRINTS.items() if media_type in known.media_types), "")


def contradiction(names: Iterable[str], head: bytes, kind: str, *, claims_only: bool = False) -> str:
    """ "exe content claims to be txt", "content is not png", or "".

    `names` are forms (content.names.forms), `kind` is what content.sniff says.
    `claims_only`: nobody gave the names, so that a signature may be missing.
    """
    if not head:  # an empty file is nothing, whatever its name
        return ""
    extensions = {extension(name) for name in names}
    claimed = [type_id for type_id, known in FINGERPRINTS.items() if not known.extensions.isdisjoint(extensions)]
    found = [*by_content(head), *(("html",) if _TAG.search(head[:HEAD]) else ())]
    matched = dict.fromkeys((*found, *claimed))
    if len(matched) > 1 and not all(FINGERPRINTS[type_id].harmless for type_id in matched):
        if found and claimed:
            return f"{' and '.join(found)} content claims to be {' and '.join(claimed)}"
        return f"is {' and '.join(matched)} at once"
    for type_id in () if claims_only else claimed:
        known = FINGERPRINTS[type_id]
        if known.harmless and (known.starts or type_id == "html") and type_id not in found and type_id != kind:
            return f"content is not {type_id}"
    return ""


def wants_extension(media_type: str, names: Iterable[str]) -> tuple[str, ...]:
    """() if the declared type needs no extension, or one of `names` (forms) has a right one; else the right ones."""
    needed = _NEEDED.get(media_type, ())
    return () if any(extension(name) in needed for name in names) else needed
