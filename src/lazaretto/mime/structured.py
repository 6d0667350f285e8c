"""The value of Content-Type and Content-Disposition taken apart, as a good modern client does it.

    read(value, limits)    main value, parameters, anomalies

What the other clients see is in params.py, which re-exports `read`.

The primary reading: comments are dropped where the grammar allows them and kept inside of tokens (`name=invoice(1).pdf` is
honest mail); a token ends at a blank or semicolon; a missing semicolon ends a parameter as well; of duplicates the first
counts; RFC 2231 beats the plain form; `name` and `filename` are text (encoded words decoded, UTF-8 recognised), every
other value is latin-1 of its bytes, so that value.encode("latin-1") gives a boundary back.

Limits:  max_field_bytes: the rest of the field is not read ("params.too-long").  max_params: nor the rest of the parameters
         ("params.too-many").  Time is linear in the field: no byte is looked at more than a few times.
Errors:  none.
See:     RFC 2045 s5.1; RFC 5322 s3.2; RFC 2231; RFC 2047 s5; RFC 2183
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import NamedTuple

from lazaretto import regex
from lazaretto.limits import DEFAULT, Limits
from lazaretto.mime import words

# With one of these, clients disagree about values.  The others are only unusual: "params.comment", "params.rfc2231" in good order,
# "params.encoded-name" (illegal, and what nearly every client writes), "params.quoted-value", "params.blank-in-value".
AMBIGUOUS = frozenset(
    (
        "params.bare-cr",
        "params.comment-in-value",
        "params.duplicate",
        "params.encoded-word",
        "params.escape",
        "params.hidden-key",
        "params.junk",
        "params.junk-after-quote",
        "params.missing-semicolon",
        "params.nul",
        "params.odd-name",
        "params.raw-8bit",
        "params.rfc2231-gap",
        "params.semicolon-first",
        "params.single-quotes",
        "params.too-long",
        "params.too-many",
        "params.unterminated-comment",
        "params.unterminated-quote",
    )
)
BLANKS = " \t\r\n\x0b\x0c"  # not str.strip()'s: to it, the last byte of "à" in UTF-8 is a blank
TEXT_KEYS = frozenset(("name", "filename"))


class Structured(NamedTuple):
    value: str  # lower case, without comments: "multipart/mixed"
    params: tuple[tuple[str, str], ...]  # keys lower case, each once
    anomalies: tuple[str, ...]

    def get(self, key: str) -> str | None:
        """The value of parameter `key` (lower case), or None."""
        return next((value for name, value in self.params if name == key), None)


_FOLD = regex.compile(r"\r*\n(?=[ \t])|[\r\n]+$")
_SKIP = regex.compile(r"[\s;,]*", re.ASCII)
_BLANKS = regex.compile(r"\s*", re.ASCII)
_MAIN = regex.compile(r"[^\s;,(]*", re.ASCII)
_SLASH = regex.compile(r"\s*+/\s*([^\s;,(]*)", re.ASCII)
_KEY = regex.compile(r"[^\s;,=(\"]*", re.ASCII)
_TOKEN = regex.compile(r"[^\s;\"]*", re.ASCII)
_QUOTED = regex.compile(r"[^\"\\]*")
_PARENS = regex.compile(r"[()\\]")
_STAR = regex.compile(r"([^*]*)\*(\d{1,6})?(\*?)", re.ASCII)
_PERCENT = regex.compile(rb"%([0-9A-Fa-f]{2})")
_KEY_IN_VALUE = regex.compile(r"(?:boundary|name|charset)[*\d]{0,8}\s*=", re.ASCII | re.IGNORECASE)
_PLAIN_NAME = regex.compile(r"[!#-'*+\-.0-9A-Z^_`a-z{|}~]+")


# What nearly all fields look like: nothing that readers disagree about, nothing to decode.
# No possessive quantifiers around groups: Python 3.11 stumbles over them (python/cpython#101955).
_PLAIN_START = r";[ \t]*(?:\r?\n[ \t]+)?"
_PLAIN_WORD = r"[\w!#$&*+./:=@^`{|}~-]+"
_PLAIN_QUOTED = r"[\w !#$&*+,./:<=>@\[\]^`{|}~-]*"
_PLAIN = regex.compile(rf'[ \t]*([\w!#$&*+./^-]+)((?:{_PLAIN_START}[A-Za-z]+=(?:{_PLAIN_WORD}|"{_PLAIN_QUOTED}"))*);?[ \t]*', re.ASCII)
_PLAIN_PARAM = regex.compile(rf'{_PLAIN_START}([A-Za-z]+)=(?:({_PLAIN_WORD})|"({_PLAIN_QUOTED})")', re.ASCII)
_PLAIN_BYTES = 1000
_KEY_LIKE = regex.compile(r"[ety][*\d]*+[^\w=]*+=", re.ASCII | re.IGNORECASE)  # as name=, charset= and boundary= end


def plain(value: bytes, limits: Limits = DEFAULT) -> Structured | None:
    """What `read` says, at once, of a value that has exactly one reading for everybody; None if it may have more.

    The one reading of a parameter is then its value here (params.readings), and one that is not here nobody sees.
    """
    if len(value) > min(_PLAIN_BYTES, limits.max_field_bytes):
        return None
    found = _plain(value)
    return None if found is None or len(found.params) > limits.max_params else found


@lru_cache(maxsize=64)
def _plain(value: bytes) -> Structured | None:
    if not value.isascii():
        return None
    match = _PLAIN.fullmatch(value.decode("ascii"))
    if match is None:
        return None
    found: dict[str, str] = {}
    for key, token, quoted in _PLAIN_PARAM.findall(match[2]):
        text = token or quoted
        key = key.lower()
        if key in found or text[:1] == " " or text[-1:] == " " or ("=" in text and _KEY_LIKE.search(text)):
            return None
        found[key] = text
    return Structured(match[1].lower(), tuple(found.items()), ())


def unfold(value: bytes, limits: Limits = DEFAULT) -> str:
    """The field's value, cut at max_field_bytes, folds and NULs removed, as latin-1."""
    return _FOLD.sub("", value[: limits.max_field_bytes].decode("latin-1")).replace("\0", "")


def read(value: bytes, limits: Limits = DEFAULT) -> Structured:
    """The primary reading of a structured field value."""
    return plain(value, limits) or _read(value, limits)


def _read(value: bytes, limits: Limits) -> Structured:
    notes: dict[str, None] = {}
    if len(value) > limits.max_field_bytes:
        notes["params.too-long"] = None
    if b"\0" in value:
        notes["params.nul"] = None
    if not value.isascii() and not words.is_utf8(value):
        notes["params.raw-8bit"] = None
    text = unfold(value, limits)
    if "\r" in text:
        notes["params.bare-cr"] = None
    scan = Scan(text, notes, limits.max_params)
    if b"=?" in value:
        elsewhere = "=?" in scan.main or any("=?" in raw.value and raw.name.split("*")[0] not in TEXT_KEYS for raw in scan.found)
        notes["params.encoded-word" if elsewhere else "params.encoded-name"] = None
    return Structured(scan.main.lower(), _combine(scan.found, notes), tuple(notes))


class Raw(NamedTuple):
    """One parameter as it stands there."""

    name: str  # lower case, with the stars of RFC 2231
    value: str
    quoted: bool


class Scan:
    """One pass over the text of a field; `at` never moves back."""

    __slots__ = ("at", "found", "main", "notes", "text")

    def __init__(self, text: str, notes: dict[str, None], max_params: int) -> None:
        self.text = text
        self.notes = notes
        self.at = 0
        self.found: list[Raw] = []
        self.main = self._main()
        self._params(max_params)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, "every pattern here matches the empty string"
        self.at = match.end()
        return match[0]

    def _blanks(self) -> None:
        """Blanks and comments."""
        self._take(_BLANKS)
        while self.text.startswith("(", self.at):
            self._comment()
            self._take(_BLANKS)

    def _comment(self) -> None:
        """A comment, nested ones included: counted, so that depth costs nothing.  RFC 5322 s3.2.2"""
        self.notes["params.comment"] = None
        begin = self.at
        depth = 0
        while match := _PARENS.search(self.text, self.at):
            self.at = match.end()
            if match[0] == "\\":
                self.at += 1
            elif match[0] == "(":
                depth += 1
            else:
                depth -= 1
                if not depth:
                    break
        if depth:
            self.at = len(self.text)
            self.notes["params.unterminated-comment"] = None
        if _KEY_IN_VALUE.search(self.text, begin, self.at):
            self.notes["params.hidden-key"] = None

    def _quoted(self) -> str:
        """A quoted string; `at` stands on its quote.  Backslashes go, what they protect stays.  RFC 5322 s3.2.4"""
        begin = self.at
        self.at += 1
        out = []
        while True:
            out.append(self._take(_QUOTED))
            if self.at >= len(self.text):
                self.notes["params.unterminated-quote"] = None
                break
            self.at += 1
            if self.text[self.at - 1] == '"':
                break
            self.notes["params.escape"] = None
            out.append(self.text[self.at : self.at + 1])
            self.at += 1
        if _KEY_IN_VALUE.search(self.text, begin, self.at):
            self.notes["params.hidden-key"] = None
        return "".join(out)

    def _main(self) -> str:
        self._blanks()
        if self._take(_SKIP).strip(BLANKS):
            self.notes["params.semicolon-first"] = None
        out = []
        while True:
            if self.text.startswith('"', self.at):
                self.notes["params.quoted-value"] = None
                out.append(self._quoted())
            out.append(self._take(_MAIN))
            if not self.text.startswith("(", self.at):
                break
            before = self.at
            self._comment()
            if self.text[self.at : self.at + 1] not in ("", ";", " ", "\t") and before and self.text[before - 1] not in BLANKS:
                self.notes["params.comment-in-value"] = None
        main = "".join(out).strip('"')
        if main and "/" not in main:
            slash = _SLASH.match(self.text, self.at)  # RFC 822 let blanks stand between any two tokens
            if slash is not None:
                self.notes["params.blank-in-value"] = None
                self.at = slash.end()
                main += "/" + slash[1]
        return main

    def _params(self, max_params: int) -> None:
        text = self.text
        while True:
            self._blanks()
            separator = self._take(_SKIP)
            self._blanks()
            if self.at >= len(text):
                return
            if text[self.at] in ";,":
                continue
            if len(self.found) >= max_params:
                self.notes["params.too-many"] = None
                return
            if ";" not in separator:
                self.notes["params.missing-semicolon"] = None
            begin = self.at
            name = self._take(_KEY)
            self._blanks()
            if not text.startswith("=", self.at):
                self.notes["params.junk"] = None
                if self.at == begin:
                    self._junk()
                continue
            self.at += 1
            if not _PLAIN_NAME.fullmatch(name):
                self.notes["params.odd-name"] = None
            self._blanks()
            self.found.append(self._value(name.lower()))

    def _junk(self) -> None:
        """What can begin no name: a quoted string or one odd character."""
        if self.text[self.at] == '"':
            self._quoted()
        else:
            self.at += 1

    def _value(self, name: str) -> Raw:
        text = self.text
        if text.startswith('"', self.at):
            value = self._quoted()
            rest = _AFTER.match(text, self.at)
            if rest is None:
                self.notes["params.junk-after-quote"] = None
                self._take(_TOKEN)
            return Raw(name, value, True)
        value = self._take(_TOKEN)
        if '"' in text[self.at : self.at + 1]:
            self.notes["params.junk-after-quote"] = None
        if "(" in value:
            self.notes["params.comment-in-value"] = None
        if "\\" in value:
            self.notes["params.escape"] = None
        if len(value) > 1 and value[0] == value[-1] == "'":
            self.notes["params.single-quotes"] = None
        return Raw(name, value, False)


_AFTER = regex.compile(r"\s|[;,(]|$", re.ASCII)


def _combine(found: list[Raw], notes: dict[str, None]) -> tuple[tuple[str, str], ...]:
    """One value per key: RFC 2231 pieces joined and decoded, first duplicate first."""
    order: dict[str, None] = {}
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    whole: dict[str, str] = {}
    for raw in found:
        star = _STAR.fullmatch(raw.name) if "*" in raw.name else None
        key = star[1] if star is not None else raw.name
        order[key] = None
        if star is None:
            if key in plain:
                notes["params.duplicate"] = None
            plain.setdefault(key, raw.value)
            continue
        notes["params.rfc2231"] = None
        if star[2] is None:
            if key in whole:
                notes["params.duplicate"] = None
            whole.setdefault(key, raw.value)
            continue
        run = pieces.setdefault(key, {})
        if int(star[2]) in run:
            notes["params.duplicate"] = None
        run.setdefault(int(star[2]), (raw.value, bool(star[3])))
    result = []
    for key in order:
        if key in pieces and sorted(pieces[key]) != list(range(len(pieces[key]))):
            notes["params.rfc2231-gap"] = None
        if (key in plain) + (key in whole) + (key in pieces) > 1 and key not in TEXT_KEYS:
            notes["params.duplicate"] = None
        result.append((key, _one(key, plain, whole, pieces)))
    return tuple(result)


def _one(key: str, plain: dict[str, str], whole: dict[str, str], pieces: dict[str, dict[int, tuple[str, bool]]]) -> str:
    if key in whole:
        charset, rest = split_charset(whole[key])
        return _decoded(key, unpercent(rest), charset)
    run = pieces.get(key, {})
    if run and (0 in run or key not in plain):
        charset = ""
        out = []
        for index, (number, (value, extended)) in enumerate(sorted(run.items())):
            if number != index and 0 in run:
                break  # a gap ends it
            if index == 0 and extended:
                charset, value = split_charset(value)
            out.append(unpercent(value) if extended else value.encode("latin-1"))
        return _decoded(key, b"".join(out), charset)
    value = plain.get(key, "")
    return words.decode(words.raw8(value)) if key in TEXT_KEYS else value


def _decoded(key: str, raw: bytes, charset: str) -> str:
    return words.text(raw, charset) if charset or key in TEXT_KEYS else raw.decode("latin-1")


def split_charset(value: str) -> tuple[str, str]:
    """utf-8'en'text -> ("utf-8", text); ("", value) if there are no two quotes.  RFC 2231 s4"""
    parts = value.split("'", 2)
    return (parts[0], parts[2]) if len(parts) == 3 else ("", value)


def unpercent(value: str) -> bytes:
    """Percent-decoded bytes of latin-1 text; "%" without two digits stays."""
    return _PERCENT.sub(lambda m: binascii.unhexlify(m[1]), value.encode("latin-1", "replace"))
