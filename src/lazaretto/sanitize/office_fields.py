"""Word's fields: which of them act.

A field is an instruction, {DDEAUTO program topic}, and the result that is shown. Its first
word says what it does.  That word may be put together by fields inside it; then nobody
knows before Word does, and the field counts as one that acts.

    acts(["DDEAUTO c:\\\\x"])        "dde"
    acts([None, " c:\\\\x"])         "dde": a field inside stands where the first word should
    acts(["PAGE"])                 ""

Errors:  none raised.
See:     ECMA-376 part 1 s17.16.5; MITRE ATT&CK T1559.002
"""

from __future__ import annotations

from collections.abc import Sequence

from lazaretto import regex

_WORD = regex.compile(r"[\s\"]*([A-Za-z]{1,64}+|=)")
_ADDRESS = regex.compile(r"[\s\"]*hyperlink\s+(?:\\[a-z]\s+)*\"?\s*([^\"\s]+)")
_SCHEME = regex.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_LOCAL = regex.compile(r"(?i)(?:file:///)?[a-z]:[\\/](?![\\/])|[^\\/:|]{1,255}\Z")
_ORDINARY = frozenset(("http", "https", "mailto", "tel", "ftp", "sip"))
DDE = frozenset(("dde", "ddeauto"))
# They fetch something from outside, or start the program behind an object.
FETCHING = frozenset(("include", "includetext", "includepicture", "import", "link", "database", "rd", "control", "embed", "htmlcontrol"))


def acts(code: Sequence[str | None]) -> str:
    """What kind of acting field this is: "dde", "field", or "" for none.  `code`: its own text; None for a field inside."""
    head = ""
    nested = False
    for piece in code:
        if piece is None:
            nested = True
            break
        head += "".join(char for char in piece if char.isprintable() or char.isspace())
    word = _WORD.match(head)
    if word is None:
        return "dde" if nested else ""
    if nested and word.end() == len(head):
        return "dde"  # the field inside goes on with the word
    name = word[1].lower()
    if name in DDE:
        return "dde"
    if name in FETCHING:
        return "field"
    if name == "hyperlink":
        address = _ADDRESS.match(head.lower())
        return "field" if address and not ordinary(address[1]) else ""
    return ""


def local(path: str) -> bool:
    """Is this a file on the reader's own disk, as templates of honest documents are: C:\\..., or a bare name?"""
    return _LOCAL.match(path.strip()) is not None


def ordinary(address: str) -> bool:
    """Is this the address of an ordinary link: a page, mail, a place in the document or beside it?"""
    scheme = _SCHEME.match(address)
    if scheme:
        return scheme[1].lower() in _ORDINARY
    return not address.strip().replace("\\", "/").startswith("//")
