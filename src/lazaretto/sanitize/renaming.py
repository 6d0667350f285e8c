"""What a part is called that keeps its content and must not be opened.

    Renaming().fields(part, 1)                      foo.exe becomes foo_exe.txt, application/octet-stream
    Renaming().fields(part, 1, mangle=True)         mangled.txt: the name that it had is not told
    Renaming(".DEFANGED-$N", "application/DEFANGED-$N")     foo_exe.DEFANGED-1

In every text $N is the number of the part among those of its message that get another name.

Errors:  none; the configuration checks the texts (policy/forms.py).
See:     names.py, plan.py; RFC 2183, RFC 2045 s7 on Content-ID
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto.model import Part
from lazaretto.sanitize import names

LABELS = frozenset(("content-type", "content-disposition"))  # they go together, in the place of the first of them


class Renaming(NamedTuple):
    """The section [defang] of the configuration."""

    suffix: str = ".txt"
    media_type: str = "application/octet-stream"
    mangled_name: str = "mangled"
    content_id: str = ""  # "": a part keeps its own

    def fields(self, part: Part, number: int, *, mangle: bool = False) -> dict[str, bytes]:
        """Field name in lower case -> the whole field without a line end, for all that says what the part is."""
        suffix = self.suffix.replace("$N", str(number))
        original = self.mangled_name if mangle else part.names[0] if part.names else "attachment"
        name = names.defang(original, suffix).encode("ascii", "replace").replace(b'"', b"_").replace(b"\\", b"_")
        media_type = self.media_type.replace("$N", str(number)).encode("ascii")
        found = {
            "content-type": b"Content-Type: " + media_type + b'; name="' + name + b'"',
            "content-disposition": b'Content-Disposition: attachment; filename="' + name + b'"',
        }
        if any(field.name == "content-description" for field in part.fields):  # which some program shows, or takes for a name
            before = "" if mangle or not part.names else f" from '{names.display(part.names[0], 80)}'".replace('"', "_")
            found["content-description"] = f"Content-Description: Renamed{before} to '".encode("ascii", "replace") + name + b"'"
        if self.content_id:
            found["content-id"] = b"Content-ID: <" + self.content_id.replace("$N", str(number)).encode("ascii") + b">"
        return found
