r"""Sets of characters as Perl writes them: [...], \h, [[:alpha:]], \x{263a}, \p{PosixDigit}.

    bracketed(r"[^\]\h]x", 0)  ->  (r"[^\]\t \xa0...]", 7)
    escape(r"\x{2e}", 0)       ->  (Item("."), 6)

A set that re cannot write inside brackets (\H, [:^alpha:]) becomes an alternative
of its own.

Errors:  ValueError with the reason.
See:     perlrecharclass(1), perlrebackslash(1)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lazaretto import regex

_HORIZONTAL = r"\t \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_VERTICAL = r"\n-\r\x85\u2028\u2029"

# Of ASCII, as they stand inside brackets.
POSIX = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "word": "A-Za-z0-9_",
    "xdigit": "0-9A-Fa-f",
}
_PROPERTIES = {
    **{"posix" + name: inside for name, inside in POSIX.items()},
    "any": r"\x00-\U0010ffff",
    "ascii": POSIX["ascii"],
    "digit": r"\d",
    "nd": r"\d",
    "space": r"\s",
    "word": r"\w",
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}

_CODE = regex.compile(
    r"\\(?:x\{([0-9A-Fa-f]{1,8})\}|x([0-9A-Fa-f]{1,2})|o\{([0-7]{1,10})\}|(0[0-7]{0,2})|N\{U\+([0-9A-Fa-f]{1,8})\}|c([@-_a-z?]))"
)
_PROPERTY = regex.compile(r"\\([pP])\{(\^?)([A-Za-z]+)\}")
_POSIX_CLASS = regex.compile(r"\[:(\^?)([A-Za-z]*):\]")
_OTHER_CLASS = regex.compile(r"\[([=.]).{0,20}?\1\]", re.DOTALL)
_BARE_CLASS = regex.compile(r"\[:\^?[A-Za-z]+:\]")


class Item(NamedTuple):
    """A character; or what stands inside brackets for a set, or for the one that a set leaves over."""

    character: str = ""
    inside: str = ""
    negated: bool = False

    def alone(self) -> str:
        """As a pattern of its own."""
        if self.character:
            return quoted(self.character)
        return f"[{'^' if self.negated else ''}{self.inside}]" if self.negated or len(self.inside) != 2 else self.inside


def quoted(character: str, special: str = r"\.^$*+?{}[]|()") -> str:
    """A pattern for exactly this character; visible ASCII whatever it is."""
    if character in special:
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str, at: int) -> tuple[Item, int]:
    """What the backslash at `at` and its followers mean, inside brackets or not, and where they end."""
    kind = text[at + 1]
    if kind in "dDwWsS":
        return Item(inside="\\" + kind), at + 2
    if kind in "hH":
        return Item(inside=_HORIZONTAL, negated=kind == "H"), at + 2
    if kind in "vV":
        return Item(inside=_VERTICAL, negated=kind == "V"), at + 2
    if kind in _CONTROLS:
        return Item(_CONTROLS[kind]), at + 2
    if kind in "pP":
        return _property(text, at)
    match = _CODE.match(text, at)
    if match is not None:
        return Item(_coded(match)), match.end()
    if kind.isascii() and kind.isalnum():
        raise ValueError(f"\\{kind}: an escape that is not known here")
    return Item(kind), at + 2


def bracketed(text: str, at: int) -> tuple[str, int]:
    """A pattern for the set that begins with the `[` at `at`, and where it ends."""
    bare = _BARE_CLASS.match(text, at)
    if bare is not None:
        raise ValueError(f"{bare[0]}: has to stand inside brackets, [{bare[0]}]")
    at += 1
    negated = text.startswith("^", at)
    at += negated
    first = at
    inside: list[str] = []
    others: list[str] = []  # sets that are what another one leaves over
    while at == first or not text.startswith("]", at):
        item, at = _item(text, at)
        if item.character and text.startswith("-", at) and not text.startswith("]", at + 1):
            last, after = _item(text, at + 1)
            if last.character:
                if last.character < item.character:
                    raise ValueError(f"{text[at - 1 : after]}: a range from more to less")
                inside.append(f"{_quoted_inside(item.character)}-{_quoted_inside(last.character)}")
                at = after
                continue
        if item.character:
            inside.append(_quoted_inside(item.character))
        else:
            (others if item.negated else inside).append(item.alone() if item.negated else item.inside)
    return _joined("".join(inside), others, negated), at + 1


def _joined(inside: str, others: list[str], negated: bool) -> str:
    if not others:
        return f"[{'^' if negated else ''}{inside}]"
    alternatives = "|".join(([f"[{inside}]"] if inside else []) + others)
    return rf"(?:(?!{alternatives})[\s\S])" if negated else f"(?:{alternatives})"


def _item(text: str, at: int) -> tuple[Item, int]:
    """One character or set between brackets."""
    if at >= len(text):
        raise ValueError("[ without its ]")
    if text[at] == "\\":
        return _escape_inside(text, at)
    if text[at] == "[":
        match = _POSIX_CLASS.match(text, at)
        if match is not None:
            if match[2] not in POSIX:
                raise ValueError(f"{match[0]}: there is no such class")
            return Item(inside=POSIX[match[2]], negated=bool(match[1])), match.end()
        if _OTHER_CLASS.match(text, at):
            raise ValueError(f"{text[at : at + 2]}: not available in Perl either")
    return Item(text[at]), at + 1


def _escape_inside(text: str, at: int) -> tuple[Item, int]:
    kind = text[at + 1 : at + 2]
    if not kind:
        raise ValueError("[ without its ]")
    if kind == "b":
        return Item("\b"), at + 2
    if kind in "123456789" or (kind.isalpha() and kind in "QEBRXKGzAZgk"):
        raise ValueError(f"\\{kind} inside brackets: not available")
    return escape(text, at)


def _property(text: str, at: int) -> tuple[Item, int]:
    match = _PROPERTY.match(text, at)
    inside = _PROPERTIES.get(match[3].lower().removeprefix("is")) if match is not None else None
    if match is None or inside is None:
        end = text.find("}", at)
        raise ValueError(f"{text[at : end + 1 if 0 <= end - at < 40 else at + 3]}: a property that is not available")
    return Item(inside=inside, negated=(match[1] == "P") != bool(match[2])), match.end()


def _coded(match: re.Match[str]) -> str:
    braced, short, octal, zero, named, control = match.groups()
    if control is not None:
        return chr(ord(control.upper()) ^ 64)
    code = int(octal or zero, 8) if octal or zero else int(braced or short or named, 16)
    if code > 0x10FFFF:
        raise ValueError(f"{match[0]}: there is no such character")
    return chr(code)


def _quoted_inside(character: str) -> str:
    return quoted(character, r"\[]^-&~|")
