r"""Configuration lines of the Anomy sanitizer: read, checked, put in order.

    name = value          set; name += value and name .= value append
    before TIME LINE      LINE counts before that second of Unix time; after TIME LINE: after it
    PATH, include PATH    the lines of a file; try PATH and ? PATH: if it is there
    # comment             as is everything from a "#" after white space on

A name must be known, or begin with var_.  In a value tabs and line ends become
blanks, then \\ \# \n \t \s are a backslash, #, line feed, tab and blank; other
backslashes stay, so `\.exe$` is what it looks like.  What the variables mean is
not known here, but for max_conf_recursion, which says how deep files may include files.

A line that does not count at this time is not looked at.  Of a path, too, a comment
and outer blanks are cut.

Limits:  files 5 deep (50 if max_conf_recursion wants it), 1000 of them, 1 MiB together; 10,000 settings.
Errors:  LinesError, a ConfigError, with the settings up to there; on one line: what is wrong, then for each file "[depth] Error in
         FILE, line N." from the inside out.
See:     docs/scan-mail.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy_variables

MAX_DEPTH = 5  # unless max_conf_recursion says otherwise
MOST_DEPTH = 50
MAX_FILES = 1000
MAX_BYTES = 1 << 20
MAX_SETTINGS = 10_000

_BLANK = " \t\r\n\f\v"

# Single lines: an argument may have line ends in it, and they are blanks.  ASCII: a non-breaking space is no blank.
_ASSIGNMENT = regex.compile(r"(?as)([A-Za-z0-9_]+)\s*(\+=|\.=|=)")
_TIMED = regex.compile(r"(?ai)(before|after)\s+([0-9]{1,18})\s+(?=\S)")
_INCLUDE = regex.compile(r"(?ai)(?:include\s+|(try\s+|\?\s*))(?=\S)")
_COMMENT = regex.compile(r"(?a)\s#")
_BLANKS = regex.compile(r"[\t\r\n]")
_ESCAPE = regex.compile(r"\\([\\#nts])")
_ESCAPED = {"\\": "\\", "#": "#", "n": "\n", "t": "\t", "s": " "}


class Setting(NamedTuple):
    """One line that counts."""

    name: str  # in lower case
    op: str  # "=" or "+="
    value: str  # ready for use; bytes that are not UTF-8 as surrogates
    origin: str  # "argument 2" or "/etc/anomy.conf:12"


class LinesError(ConfigError):
    """What is wrong with the lines.  `settings`: those before it, for who wants to see what counts so far."""

    def __init__(self, message: str, settings: tuple[Setting, ...] = ()) -> None:
        super().__init__(message)
        self.settings = settings


class _Line(NamedTuple):
    text: str
    depth: int  # 0: an argument
    file: str
    number: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.number}" if self.depth else f"argument {self.number}"

    def error(self, message: str) -> ConfigError:
        where = f"{_shown(self.file)}, line {self.number}" if self.depth else f"argument {self.number}"
        return ConfigError(f"{message} [{self.depth}] Error in {where}.")


def parse(arguments: Sequence[str], read: Callable[[str], bytes], now: float) -> tuple[Setting, ...]:
    """The settings of `arguments`, one line each, in the order in which they count.

    `read` gives the content of a file or raises OSError; it need not give more than
    MAX_BYTES + 1 bytes.  `now`: seconds since 1970.
    """
    reading = _Reading(read, now)
    for number, argument in enumerate(arguments, 1):
        try:
            reading.take(_Line(argument, 0, "", number))
        except ConfigError as error:
            raise LinesError(error.message, tuple(reading.settings)) from None
    return tuple(reading.settings)


class _Reading:
    def __init__(self, read: Callable[[str], bytes], now: float) -> None:
        self.read = read
        self.now = now
        self.settings: list[Setting] = []
        self.depth = MAX_DEPTH
        self.files = 0
        self.bytes = 0

    def take(self, line: _Line) -> None:
        text = line.text
        at = len(text) - len(text.lstrip(_BLANK))
        while match := _TIMED.match(text, at):
            if (self.now >= int(match[2])) is (match[1].lower() == "before"):
                return
            at = match.end()
        if at == len(text) or text[at] == "#":
            return
        if match := _ASSIGNMENT.match(text, at):
            self._assign(line, match[1].lower(), "=" if match[2] == "=" else "+=", text[match.end() :])
            return
        match = _INCLUDE.match(text, at)
        if match is not None:
            at = match.end()
        self._include(line, _uncommented(text[at:]).strip(_BLANK), match is not None and match[1] is not None)

    def _assign(self, line: _Line, name: str, op: str, rest: str) -> None:
        if anomy_variables.find(name) is None:
            from lazaretto.policy.forms import did_you_mean

            known = [*sorted(anomy_variables.VARIABLES), "file_list_1", "file_list_1_policy", "file_list_1_scanner"]
            raise line.error(f"Unknown configuration variable: {_shown(name)}{did_you_mean(name, known)}")
        if len(self.settings) == MAX_SETTINGS:
            raise line.error(f"More than {MAX_SETTINGS} settings!")
        value = _BLANKS.sub(" ", _uncommented(rest).lstrip(_BLANK))
        value = _ESCAPE.sub(lambda match: _ESCAPED[match[1]], value)
        if name == "max_conf_recursion":
            digits = value.strip(_BLANK)
            if op != "=" or not (digits.isascii() and digits.isdigit() and len(digits) < 5 and 0 < int(digits) <= MOST_DEPTH):
                raise line.error(f"max_conf_recursion: expected a number from 1 to {MOST_DEPTH}!")
            self.depth = int(digits)
        self.settings.append(Setting(name, op, value, line.origin))

    def _include(self, line: _Line, path: str, optional: bool) -> None:
        if line.depth >= self.depth:
            raise line.error("Configuration files nested too deep!")
        try:
            content = self.read(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            if optional and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                return
            raise line.error(f"Cannot read {_shown(path)}: {getattr(error, 'strerror', None) or error}") from error
        self.files += 1
        self.bytes += len(content)
        if self.files > MAX_FILES or self.bytes > MAX_BYTES:
            raise line.error(f"Cannot read {_shown(path)}: more than {MAX_FILES} files or {MAX_BYTES} bytes")
        for number, text in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            try:
                self.take(_Line(text.removesuffix("\r"), line.depth + 1, path, number))
            except ConfigError as error:
                raise line.error(error.message) from None


def _uncommented(text: str) -> str:
    """Without a comment and the blanks before it; blanks at the end of a text without one are kept."""
    match = _COMMENT.search(text)
    return text if match is None else text[: match.start()].rstrip(_BLANK)


def _shown(text: str) -> str:
    """Short and on one line."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text[:100])
    return safe if len(text) <= 100 else safe + "..."
