"""On which line of a TOML text each key stands; tomllib does not say.

index() expects a text that tomllib has accepted, and only locates: it looks for
keys, table headers, strings and brackets, and steps over everything else.

    [a]            ("a",): 1
    b.c = 1        ("a", "b"): 2  ("a", "b", "c"): 2
    [[r]]          ("r", 0): 3
    x = {y = 1}    ("r", 0, "x"): 4  ("r", 0, "x", "y"): 4

Limits:  addresses of 16 keys; time in proportion to the text; no recursion, so nesting is no matter.
Errors:  none; for a text that is not TOML the answer is some dictionary.
See:     TOML 1.0.0
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lazaretto import regex

Address = tuple[str | int, ...]

_MAX_DEPTH = 16  # longer addresses are cut: our own keys have three, and a hostile text must not cost the square of its length

_BLANK = regex.compile(r"[ \t]*")
_BARE = regex.compile(r"[A-Za-z0-9_-]+")
_SCALAR = regex.compile(r"[^\s,\]}#]+")
_STRING_END = {'"': regex.compile(r'\\|"|\n'), "'": regex.compile(r"'|\n"), '"""': regex.compile(r'\\|"""'), "'''": regex.compile(r"'''")}


class _Frame(NamedTuple):
    """Where we are inside a value."""

    bracket: str  # "[" or "{"
    address: Address


def index(text: str) -> dict[Address, int]:
    """Address of every table, key and element of an array of tables -> its line, from 1."""
    return _Index(text.replace("\r\n", "\n")).run()


class _Index:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.counted = 0  # line ends before this position are in `line`
        self.found: dict[Address, int] = {}
        self.counts: dict[Address, int] = {}  # of arrays: elements so far
        self.frames: list[_Frame] = []

    def run(self) -> dict[Address, int]:
        text = self.text
        table: Address = ()
        while self.at < len(text):
            character = text[self.at]
            if character in " \t\n\r":
                self.at += 1
            elif character == "#":
                self._skip_line()
            elif self.frames:
                self._inside(character)
            elif character == "[":
                table = self._header(text.startswith("[[", self.at))
            else:
                self._pair(table)
        return self.found

    def _inside(self, character: str) -> None:
        """Next thing of an array or an inline table."""
        frame = self.frames[-1]
        if character == ("]" if frame.bracket == "[" else "}"):
            self.at += 1
            self.frames.pop()
        elif character == ",":
            self.at += 1
            self.counts[frame.address] = self.counts.get(frame.address, 0) + 1
        elif frame.bracket == "{":
            self._pair(frame.address)
        else:
            # Counted by commas, because a date may have a blank in it and look like two values.
            address = _below(frame.address, self.counts.get(frame.address, 0))
            if character == "{":
                self._note(address)
            self._value(address)

    def _header(self, array: bool) -> Address:
        self.at += 1 + array
        address: Address = ()
        keys = self._keys()
        for number, key in enumerate(keys):
            address = _below(address, key)
            if array and number == len(keys) - 1:
                count = self.counts.get(address, 0)
                self.counts[address] = count + 1
                self._note(address)
                address = _below(address, count)
            elif address in self.counts:
                address = _below(address, self.counts[address] - 1)
            self._note(address)
        self._skip_line()
        return address

    def _pair(self, table: Address) -> None:
        address = table
        before = self.at
        for key in self._keys():
            address = _below(address, key)
            self._note(address)
        if self.text[self.at : self.at + 1] == "=":
            self.at += 1
        self.at = _end(_BLANK, self.text, self.at)
        if self.at < len(self.text) and self.text[self.at] != "\n":
            self._value(address)
        if self.at == before:
            self.at += 1  # no TOML: go on anyhow

    def _keys(self) -> list[str]:
        """A dotted key; stops before what follows it."""
        text = self.text
        keys = []
        while True:
            self.at = _end(_BLANK, text, self.at)
            quote = text[self.at : self.at + 1]
            if quote and quote in "\"'":
                start = self.at
                self._string()
                keys.append(_unquoted(text[start : self.at]))
            else:
                end = _end(_BARE, text, self.at)
                if end > self.at:
                    keys.append(text[self.at : end])
                self.at = end
            self.at = _end(_BLANK, text, self.at)
            if text[self.at : self.at + 1] != ".":
                return keys
            self.at += 1

    def _value(self, address: Address) -> None:
        """Step over a scalar, or into an array or inline table."""
        character = self.text[self.at]
        if character in "[{":
            self.at += 1
            self.frames.append(_Frame(character, address))
        elif character in "\"'":
            self._string()
        else:
            self.at = max(_end(_SCALAR, self.text, self.at), self.at + 1)

    def _string(self) -> None:
        text = self.text
        quote = text[self.at]
        if text.startswith(quote * 3, self.at):
            quote *= 3
        end = _STRING_END[quote]
        self.at += len(quote)
        while (match := end.search(text, self.at)) is not None:
            self.at = match.end()
            if match[0] == "\\":
                self.at += 1
                continue
            if len(quote) == 3:  # the last of five quotes belong to the text
                extra = 0
                while extra < 2 and text.startswith(quote[0], self.at):
                    self.at += 1
                    extra += 1
            return
        self.at = len(text)

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _note(self, address: Address) -> None:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = max(self.at, self.counted)
        self.found.setdefault(address, self.line)


def _below(address: Address, key: str | int) -> Address:
    return (*address, key) if len(address) < _MAX_DEPTH else address


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match is not None else at


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    import tomllib

    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except (ValueError, StopIteration):
        return text[1:-1]
