"""What a file name is, for every system that might store it, and whether that is acceptable.

    forms(name)            all names that some client or system makes of it
    extension(form)        the last extension of a form
    judge(names, policy)   findings: (name, detail)

A name is judged by all of its forms, because the sender chooses who the
recipient's client is.  Windows drops trailing dots and blanks, C code stops at
NUL, NTFS takes what follows a colon for a stream, mail clients remove what they
find invalid, and each of them thereby turns some harmless name into a program.

Two kinds of findings.  Deceptive or banned: name.banned-extension,
name.banned (a pattern), name.double-extension, name.hidden-extension, name.rtlo,
name.clsid.  Merely odd, also in honest mail: name.alternate-stream, name.control,
name.device, name.long, name.nul, name.path, name.trailing-dot.

Limits:  MAX_NAME characters of a name, MAX_FORMS forms; linear in both.
Errors:  none.
See:     docs/names.md; [MS-FSCC] 2.1.5 (names and streams); Unicode UAX 9 (direction)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazaretto import regex
from lazaretto.content.extensions import DANGEROUS_EXTENSIONS, DECOY_EXTENSIONS, EXECUTABLE_EXTENSIONS
from lazaretto.mime import words

__all__ = [
    "DANGEROUS_EXTENSIONS",
    "DECEPTIVE",
    "DEFAULT_POLICY",
    "MAX_FORMS",
    "MAX_NAME",
    "NamePolicy",
    "double_extension",
    "extension",
    "forms",
    "judge",
]

MAX_NAME = 64 << 10  # characters; more than any parameter may have (limits.max_field_bytes)
MAX_FORMS = 4096  # more than the steps below can make: the dangerous form must not drown in harmless ones
LONGEST = 255  # of one path component, in bytes, on every common file system; some clients cut there
_WORDY = 1024  # characters in which other readings of encoded words are looked for
_ENDS = 512  # characters kept of the end of an over-long name

DECEPTIVE = frozenset(
    ("name.banned-extension", "name.banned", "name.double-extension", "name.hidden-extension", "name.rtlo", "name.clsid"),
)

_BLANK = " \t\r\n\f\v\xa0"
_PERCENT = regex.compile(r"(?:%[0-9A-Fa-f]{2})+")
_COMMENT = regex.compile(r"\([^()]*\)")
_CLSID = regex.compile(r"\.?\{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$", re.IGNORECASE)
_STREAM = regex.compile(r":\$[a-z_]{1,40}$", re.IGNORECASE)
_DEVICE = regex.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[1-9\u00b9\u00b2\u00b3])(?: *[.:]|\s*$)", re.IGNORECASE)
_TRAVERSAL = regex.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[A-Za-z]:[/\\]|^[/\\]")
# Blanks that push the extension out of sight: after another extension some suffice, alone it takes a line of them.
_GAP = regex.compile(r"[ \xa0\u2000-\u200a\u3000_]{40,}\.\w{1,20}$|\.\w{1,5}[ \xa0\u2000-\u200a\u3000]{3,}\.\w{1,20}$")

_LONE = regex.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that stand for no byte

_OVERRIDES = "\u202d\u202e"  # LRO, RLO: no honest name has a use for them
_EMBEDDINGS = "\u202a\u202b\u2066\u2067\u2068"  # fine around right-to-left letters, a trick without any
_INVALID = str.maketrans("", "", '"<>|?*')  # not allowed on Windows; clients drop them, or a zealous one cuts there
_DOTS = {0x3002: ".", 0xFF61: ".", 0x2024: "."}  # IDEOGRAPHIC FULL STOP and kin: input methods and old code pages make '.' of them


class NamePolicy(NamedTuple):
    """What is not wanted.  `patterns` are compiled, without nested quantifiers; they are searched in every form."""

    banned: frozenset[str] = DANGEROUS_EXTENSIONS
    patterns: tuple[re.Pattern[str], ...] = ()


DEFAULT_POLICY = NamePolicy()


def forms(name: str) -> tuple[str, ...]:
    """Every name that some system makes of `name`, the plainest first: case folded, no path, no ends that systems drop."""
    found: dict[str, None] = {}
    for decoded in _decodings(name[:MAX_NAME]):
        for cut in _cuts(decoded):
            for piece in _pieces(_plain(cut)):
                if piece:
                    found[piece] = None
                if len(found) >= MAX_FORMS:
                    return tuple(found)
    return tuple(found)


def extension(form: str) -> str:
    """What follows the last dot, "" if nothing does; a class id stands for itself."""
    if form.endswith("}") and (found := _CLSID.search(form)):
        return found[0].lstrip(".")
    stem, dot, last = form.rpartition(".")
    return last.strip(_BLANK) if dot and (stem or last) else ""


def double_extension(form: str) -> str:
    """The extension that is meant to be seen, if `form` has two and the first is a decoy ("pdf" of a.pdf.exe); else ""."""
    before = extension(form[: form.rfind(".")].rstrip(_BLANK + "._-")) if "." in form else ""
    return before if before in DECOY_EXTENSIONS else ""


def judge(names: Sequence[str], policy: NamePolicy) -> list[tuple[str, str]]:
    """Findings about all readings of one file's name, each kind once: (finding name, detail in printable characters)."""
    found: dict[str, str] = {}
    for name in names:
        name = name[:MAX_NAME]
        for finding in _oddities(name):
            found.setdefault(finding, printable(name))
        for form in forms(name):
            last = extension(form)
            shown = printable(form)
            banned = last in policy.banned
            if banned:
                found.setdefault("name.banned-extension", f"{last}: {shown}")
            if any(pattern.search(form) for pattern in policy.patterns):
                found.setdefault("name.banned", shown)
            if (banned or last in EXECUTABLE_EXTENSIONS) and double_extension(form):
                found.setdefault("name.double-extension", shown)
            if last and _GAP.search(form[-_ENDS:]):
                found.setdefault("name.hidden-extension", shown)
            if last.startswith("{"):
                found.setdefault("name.clsid", shown)
    return list(found.items())


def printable(name: str) -> str:
    """`name` for a log line: at most 120 characters, invisible ones as escapes, the middle left out."""
    if len(name) > 120:
        name = name[:80] + "\u2026" + name[-39:]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


# -- what clients do to a name


def _decodings(name: str) -> Iterable[str]:
    """The name, and what remains of encodings in it: encoded words, latin-1 for UTF-8, percent escapes (twice)."""
    found: dict[str, None] = {name: None}
    if "=?" in name:
        found |= dict.fromkeys(words.readings(name) if len(name) <= _WORDY else (words.decode(name),))
    for text in list(found):
        found[_octets(text)] = None
    for _ in range(2):
        for text in list(found):
            if "%" in text:
                found[_PERCENT.sub(_unescape, text)] = None
    return found


def _octets(text: str) -> str:
    """Text whose letters are undecoded bytes, as latin-1 or as lone surrogates (what Python makes of them), read as UTF-8."""
    if any("\udc80" <= c <= "\udcff" for c in text):
        return text.encode("utf-8", "surrogateescape" if not _LONE.search(text) else "replace").decode("utf-8", "replace")
    return words.raw8(text)


def _unescape(m: re.Match[str]) -> str:
    return words.text(bytes.fromhex(m[0].replace("%", "")))


def _cuts(name: str) -> Iterable[str]:
    """Up to the first NUL, up to the first line end, and whole."""
    found = {name: None}
    for mark in ("\0", "\n", "\r"):
        if mark in name:
            found[name.partition(mark)[0]] = None
    return found


def _plain(name: str) -> str:
    """Without what cannot be seen, in the plain letters that other spellings stand for, case folded."""
    if not (name.isascii() and name.isprintable()):
        from unicodedata import category, normalize

        table: dict[int, str | None] = {}
        for char in set(name):
            if category(char) in ("Cc", "Cf"):
                table[ord(char)] = None
            elif char > "\x7f":
                # By single characters: normalising runs of combining marks takes quadratic time.
                table[ord(char)] = _DOTS.get(ord(char)) or normalize("NFKC", char)
        name = name.translate(table)[: 2 * MAX_NAME]
    return name.casefold()


def _pieces(name: str) -> Iterable[str]:
    """Paths, streams, quotes, and what systems drop at the ends."""
    if len(name) > 2 * LONGEST:
        yield _trim(re.split(r"[/\\]", name[: 4 * LONGEST])[-1][:LONGEST])  # cut where the file system's limit is
        name = name[-_ENDS:]
    elif len(name) > LONGEST:
        yield _trim(name[:LONGEST])
    whole = _trim(name)
    last = _trim(re.split(r"[/\\]", name.rstrip("/\\ "))[-1])
    yield last
    if "\\" in name:
        yield _trim(name.replace("\\", "").rpartition("/")[2])  # quoted pairs
        yield whole.rpartition("/")[2]
    if ":" in last:
        yield _trim(last.replace(":", ""))
        first, _, rest = last.partition(":")
        if rest[:1] not in (" ", ""):  # "re: a.com: b.pdf" is a subject, no stream
            yield _trim(first)
            yield _trim(rest.partition(":")[0])
            yield _trim(last.rpartition(":")[2])
    if "(" in last:
        yield _trim(_COMMENT.sub("", last))
    dropped = _trim(last.translate(_INVALID).replace("'", "").replace("`", ""))
    if dropped != last:
        yield dropped
        yield _trim(last.strip("\"'` ").partition('"')[0])  # up to the closing quote


def _trim(name: str) -> str:
    return name.strip(_BLANK).strip("\"'").rstrip(_BLANK + ".").lstrip(_BLANK)


# -- facts


def _oddities(name: str) -> Iterable[str]:
    """What is odd about the name as it stands."""
    if "\0" in name or "%00" in name:
        yield "name.nul"
    if any(c < " " or c == "\x7f" for c in set(name) - set("\0\r\n\t")):
        yield "name.control"
    if not name.isascii():
        if any(c in name for c in _OVERRIDES):
            yield "name.rtlo"
        elif any(c in name for c in _EMBEDDINGS):
            from unicodedata import bidirectional

            if not any(bidirectional(c) in ("R", "AL") for c in set(name)):
                yield "name.rtlo"
        if _hides_letters(name):
            yield "name.control"
    plain = name.strip("\0\r\n\t\"' ")
    if _TRAVERSAL.search(plain):
        yield "name.path"
    base = re.split(r"[/\\]", plain[-4 * LONGEST :])[-1]
    if len(base.encode("utf-8", "replace")) > LONGEST:
        yield "name.long"
    if base.endswith(".") or name.rstrip("\0\r\n\"'").endswith((" ", "\t")):
        yield "name.trailing-dot"
    if _DEVICE.match(base):
        yield "name.device"
    if _STREAM.search(base) or _stream_of_file(base):
        yield "name.alternate-stream"


def _hides_letters(name: str) -> bool:
    """An invisible character inside the extension: joiners are honest in words and emoji, not there."""
    tail = name[-40:].rstrip("\u200e\u200f\u202c\u2069 ")  # marks that close what direction marks opened
    last = tail.rpartition(".")[2]
    return len(last) < len(tail) and not last.isascii() and last != _invisible_removed(last) and _invisible_removed(last).isascii()


def _invisible_removed(text: str) -> str:
    from unicodedata import category

    return "".join(c for c in text if category(c) != "Cf")


def _stream_of_file(base: str) -> bool:
    """ "a.txt:b.exe": a file with an extension, and a colon right after it."""
    file, colon, stream = base.rpartition(":")
    return bool(colon and stream) and " " not in stream and 0 < len(extension(file)) <= 10 and " " not in extension(file)
