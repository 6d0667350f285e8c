r"""A Perl regular expression as one of Python's re that means the same, or an error.

    translate(r"^\Qc++\E\.[[:alpha:]]{3}\z")  ->  r"^c\+\+\.[A-Za-z]{3}\Z"

The two languages look alike, and where they differ re seldom says so: \z, \h, \v,
\Z, [[:alpha:]] all mean something else there, or something only in later versions.
So nothing is handed over that was not understood here: each construct is read,
and written anew or refused.  Flags m, s, x and n are worked into the result; of i
only changes are written, because the caller compiles with re.IGNORECASE or without.

Refused: recursion, \K, \G, \X, code, verbs (*...), conditionals, branch reset,
flags a and l, \p{...} but for a few, and what Perl itself would refuse.

quirk: \w, \d, \s, \b and letter case are Python's view of Unicode, [[:...:]] those
of ASCII; Perl changes both with flags and with the way a text is stored.
quirk: \Q...\E quotes, though Perl would see it only in its own source code.

Limits:  MAX_LENGTH characters, MAX_DEPTH groups inside one another.
Errors:  ValueError with the reason.
See:     perlre(1), perlrecharclass(1), Python's re
"""

from __future__ import annotations

import re

from lazaretto import regex
from lazaretto.legacy import perl_class

MAX_LENGTH = 10_000
MAX_DEPTH = 50
_MAX_REPEAT = 32_766  # REG_INFTY of Perl before 5.30, less one

_GROUP_NAME = regex.compile(r"\(\?(?:P?<([A-Za-z_][A-Za-z0-9_]*)>|'([A-Za-z_][A-Za-z0-9_]*)')")
_FLAGS = regex.compile(r"\(\?(\^?)([a-z]*)(?:-([a-z]*))?([:)])")
_REPEAT = regex.compile(r"[*+?]|\{(0|[1-9]\d*)(?:(,)(|0|[1-9]\d*))?\}", re.ASCII)
_DOUBTFUL_REPEAT = regex.compile(r"\{\s*(?:\d+\s*(?:,\s*\d*)?|,\s*\d+)\s*\}", re.ASCII)
_BACK = regex.compile(
    r"\\(?:([1-9][0-9]*)|g(-?[1-9][0-9]*)|g\{(-?[1-9][0-9]*)\}|[gk]\{([A-Za-z_]\w*)\}|k<([A-Za-z_]\w*)>|k'([A-Za-z_]\w*)')", re.ASCII
)
_BACK_NAMED = regex.compile(r"\(\?P=([A-Za-z_]\w*)\)", re.ASCII)

_SPACE = " \t\n\x0b\f\r\x85\u200e\u200f\u2028\u2029"  # what flag x lets one write between things
_PLAIN_GROUPS = {"(?:": False, "(?>": False, "(?=": True, "(?!": True, "(?<=": True, "(?<!": True}  # -> is it an assertion?
_ASSERTIONS = {"A": r"\A", "z": r"\Z", "Z": r"(?=\n?\Z)", "b": r"\b", "B": r"(?!\b)"}
_SETS = {"R": r"(?>\r\n|[\n-\r\x85\u2028\u2029])", "N": r"[^\n]"}
_REFUSED = {
    "K": r"\K is not available",
    "G": r"\G is not available",
    "X": r"\X is not available",
    "C": r"\C is not available",
    "E": r"\E without \Q",
    **dict.fromkeys("LUFlu", r"\L, \U, \F, \l and \u work in Perl's source code only"),
}


def translate(expression: str) -> str:
    """The pattern for re.compile(pattern, re.IGNORECASE), or without that flag; to be searched in a str."""
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    pattern = _Translation(expression).run()
    try:
        re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(error.msg) from None
    except (RecursionError, OverflowError) as error:
        raise ValueError(f"too much for Python's re: {error}") from None
    return pattern


class _Frame:
    """One open group, or the whole expression."""

    __slots__ = ("assertion", "outer", "reopened", "start")

    def __init__(self, start: int, outer: frozenset[str], assertion: bool) -> None:
        self.start = start  # of the group, in the output
        self.outer = outer  # flags to go back to
        self.assertion = assertion
        self.reopened: list[str] = []  # groups that stand for (?i) and (?-i): they end with this one, and at each |


class _Translation:
    __slots__ = ("_at", "_atom", "_flags", "_frames", "_groups", "_names", "_out", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._atom = -1  # where in `_out` begins what a quantifier would repeat; -1: nothing
        self._flags: frozenset[str] = frozenset()  # of m, s, x, n
        self._frames = [_Frame(0, self._flags, assertion=False)]
        self._groups = 0
        self._names: set[str] = set()

    def run(self) -> str:
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            if character == "\\":
                self._escape()
            elif character == "[":
                piece, self._at = perl_class.bracketed(text, self._at)
                self._add(piece)
            elif character == "(":
                self._open()
            elif character == ")":
                self._close()
            elif character == "|":
                self._alternative()
            elif character in "*+?{":
                self._repeat()
            elif character in "^$":
                self._anchor(character)
            elif character == ".":
                self._take(r"[\s\S]" if "s" in self._flags else ".", 1)
            elif not self._skipped():
                self._take(perl_class.quoted(character), 1)
        if len(self._frames) > 1:
            raise ValueError("( without its )")
        return "".join([*self._out, ")" * len(self._frames[0].reopened)])

    def _add(self, piece: str) -> None:
        """Something that can be repeated."""
        self._atom = len(self._out)
        self._out.append(piece)

    def _take(self, piece: str, length: int) -> None:
        self._add(piece)
        self._at += length

    def _assert(self, piece: str, length: int) -> None:
        """Something that matches a place, and is not to be repeated."""
        self._out.append(piece)
        self._atom = -1
        self._at += length

    def _skipped(self) -> bool:
        """Step over a blank or a comment of flag x, if there is one."""
        if "x" not in self._flags:
            return False
        character = self._text[self._at]
        if character == "#":
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end + 1
        elif character in _SPACE:
            self._at += 1
        else:
            return False
        return True

    def _anchor(self, character: str) -> None:
        if "m" not in self._flags:
            self._assert(character, 1)
        else:  # Perl's ^ does not match after a line end that is the last character
            self._assert(r"(?:\A|(?<=\n)(?!\Z))" if character == "^" else r"(?=\n|\Z)", 1)

    def _alternative(self) -> None:
        reopened = self._frames[-1].reopened
        ends = ")" * len(reopened)
        del reopened[:-1]  # the last one counts
        self._assert(ends + "|" + "".join(reopened), 1)

    def _repeat(self) -> None:
        match = _REPEAT.match(self._text, self._at)
        if match is None:
            doubtful = _DOUBTFUL_REPEAT.match(self._text, self._at)
            if doubtful is not None:
                raise ValueError(f"{doubtful[0]}: not every Perl reads this alike; write {{0,n}} or \\{{")
            self._take(r"\{", 1)
            return
        if self._atom < 0:
            raise ValueError(f"{match[0]} has nothing to repeat")
        low, comma, high = match.groups()
        numbers = [int(number) for number in (low, high) if number and len(number) < 9]
        if len(numbers) != bool(low) + bool(high) or max(numbers, default=0) > _MAX_REPEAT:
            raise ValueError(f"{match[0]}: more than {_MAX_REPEAT} times")
        if numbers != sorted(numbers):
            raise ValueError(f"{match[0]}: from more to less")
        self._out.append(match[0] if low is None else f"{{{','.join(map(str, numbers))}{',' if comma and not high else ''}}}")
        self._at = match.end()
        while self._at < len(self._text) and (self._comment() or self._skipped()):
            pass
        if self._text.startswith("?", self._at):
            self._out.append("?")
            self._at += 1
        elif self._text.startswith("+", self._at):  # not as such: Python 3.11 gets it wrong around groups
            self._out.insert(self._atom, "(?>")
            self._out.append(")")
            self._at += 1
        self._atom = -1

    def _comment(self) -> bool:
        """Step over (?#...), if it is one."""
        if not self._text.startswith("(?#", self._at):
            return False
        end = self._text.find(")", self._at)
        if end < 0:
            raise ValueError("(?# without its )")
        self._at = end + 1
        return True

    def _open(self) -> None:
        text, at = self._text, self._at
        if self._comment():
            return
        if not text.startswith(("(?", "(*"), at):
            self._capture("(", 1)
            return
        name = _GROUP_NAME.match(text, at)
        if name is not None:
            self._name(name[1] or name[2], name.end() - at)
            return
        for opening, assertion in _PLAIN_GROUPS.items():
            if text.startswith(opening, at):
                self._push(opening, len(opening), assertion)
                return
        if (back := _BACK_NAMED.match(text, at)) is not None:
            self._back_named(back[1], back.end() - at)
            return
        flags = _FLAGS.match(text, at)
        if flags is None or (flags[3] is not None and flags[1]):
            raise ValueError(f"{text[at : at + 4]}: a construct that is not available")
        self._change(flags)

    def _capture(self, opening: str, length: int) -> None:
        if opening == "(" and "n" in self._flags:
            opening = "(?:"
        else:
            self._groups += 1
        self._push(opening, length)

    def _name(self, name: str, length: int) -> None:
        if name in self._names:
            raise ValueError(f"two groups are called {name}")
        self._names.add(name)
        self._capture(f"(?P<{name}>", length)

    def _push(self, opening: str, length: int, assertion: bool = False) -> None:
        if len(self._frames) > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} groups inside one another")
        self._frames.append(_Frame(len(self._out), self._flags, assertion))
        self._assert(opening, length)

    def _close(self) -> None:
        if len(self._frames) == 1:
            raise ValueError(") without its (")
        frame = self._frames.pop()
        self._assert(")" * (len(frame.reopened) + 1), 1)
        self._flags = frame.outer
        self._atom = -1 if frame.assertion else frame.start

    def _change(self, match: re.Match[str]) -> None:
        """(?flags) or (?flags:."""
        reset, on, off, end = match.groups(default="")
        for flag in on + off:
            if flag not in "imsxnpud" or (flag == "x" and "xx" in on) or (flag in off and flag in "pud"):
                raise ValueError(f"{match[0]}: flag {flag} is not available")
        before = self._flags
        self._flags = ((frozenset() if reset else before) | frozenset(on)) - frozenset(off) - frozenset("ipud")
        letters = "(?-i:" if "i" in off or (reset and "i" not in on) else "(?i:" if "i" in on else "(?:"
        if end == ":":
            after, self._flags = self._flags, before
            self._push(letters, len(match[0]))
            self._flags = after
            return
        if letters == "(?:":
            self._assert("", len(match[0]))
            return
        self._frames[-1].reopened.append(letters)
        if len(self._frames[-1].reopened) > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} changes of flags")
        self._assert(letters, len(match[0]))

    def _escape(self) -> None:
        text, at = self._text, self._at
        kind = text[at + 1 : at + 2]
        back = _BACK.match(text, at)
        if not kind:
            raise ValueError("a backslash at the end")
        if back is not None:
            number, jump, braced, *names = back.groups()
            if number or jump or braced:
                self._back(int((number or jump or braced)[:9]), len(back[0]), back[0])
            else:
                self._back_named(next(filter(None, names)), len(back[0]))
        elif kind in _REFUSED:
            raise ValueError(_REFUSED[kind])
        elif text.startswith((r"\b{", r"\B{"), at):
            raise ValueError(f"{text[at : at + 3]}...: a boundary that is not available")
        elif kind in _ASSERTIONS:
            self._assert(_ASSERTIONS[kind], 2)
        elif kind == "R" or (kind == "N" and not text.startswith("{", at + 2)):
            self._take(_SETS[kind], 2)
        elif kind == "Q":
            self._quote()
        else:
            item, self._at = perl_class.escape(text, at)
            self._add(item.alone())

    def _quote(self) -> None:
        r"""\Q up to \E, or to the end."""
        end = self._text.find(r"\E", self._at)
        quoted = self._text[self._at + 2 : end if end >= 0 else len(self._text)]
        for character in quoted:
            self._add(perl_class.quoted(character))
        self._at += 2 + len(quoted) + 2 * (end >= 0)

    def _back(self, number: int, length: int, written: str) -> None:
        group = number if number > 0 else self._groups + 1 + number
        if not 0 < group <= self._groups:
            raise ValueError(f"{written}: no such group before it; for a character write \\x{{...}}")
        self._take(f"(?:\\{group})", length)

    def _back_named(self, name: str, length: int) -> None:
        if name not in self._names:
            raise ValueError(f"no group before it is called {name}")
        self._take(f"(?P={name})", length)
