"""A file of shell assignments, read as sh reads it, and nothing is run.

    read(b'A="x"\\nB="$A;y"\\n', "/etc/f-prot.conf", {})["B"]  ->  Assignment("x;y", "/etc/f-prot.conf", 2)

Understood are comments, NAME=value, several of them on a line, `;`, `export NAME`
and `export NAME=value`; in values single and double quotes, backslashes, lines
that continue, quotes over several lines, $NAME and ${NAME} of what was assigned
before, else of the environment.  A `$` before anything else is a `$`, so
"\\.exe$" is what it looks like.  The last assignment counts.

Whatever else sh would act on is an error, also where it would not change a
variable (`test`, `true`), so that a value is the one of sh or there is none: other
commands, `$(...)` and backquotes, ${NAME:-x}, $1 and $$, a ~ that sh would expand,
redirections.  Two things are refused though sh takes them: a carriage return
outside quotes (a file with DOS line ends, whose values would all end in one), and
blanks or wildcards from an unquoted variable after `export`, where shells differ.

Bytes that are not UTF-8 come back as surrogates (PEP 383); text() makes Latin-1 of them.

quirk: $'...' is a `$` and a quoted text, as in dash; bash reads it otherwise.

Limits:  files of MAX_BYTES; MAX_EXPANDED characters from variables.
Errors:  ConfigError: file, line, what was found.
See:     POSIX.1-2017 Shell Command Language s2.2, s2.3, s2.6
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_EXPANDED = 1 << 20  # in one file: A=$A$A doubles with each line

_NAME = regex.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME_REST = regex.compile(r"[A-Za-z0-9_]+")
_BLANKS = regex.compile(r"[ \t]+")
_PLAIN = regex.compile(r"[^ \t\n\r;&|<>()\"'`$\\~:*?\[]+")  # of an unquoted value: nothing that anybody would act on
_IN_DOUBLE = regex.compile(r'[^"$`\\]+')
_SNIPPET = regex.compile(r"[^\s;]{1,40}")
_ASSIGNS = regex.compile(r"[ \t]+=|\+=|\[[^\]\s]{0,20}\]\+?=")
_SPLIT = regex.compile(r"[ \t\n*?\[]")

_CARRIAGE_RETURN = "a carriage return outside quotes: the file needs UNIX line ends"
_OPERATORS = "&|<>()"
_SPECIAL = "0123456789@*#?-$!"  # parameters of the shell itself
_OWN = frozenset("IFS LINENO OPTIND PPID PS1 PS2 PS4 PWD _".split())  # set by every shell, each in its way


class Assignment(NamedTuple):
    """The value of a variable, and where its last assignment begins."""

    value: str
    file: str
    line: int


def read(data: bytes, file: str, environment: Mapping[str, str]) -> dict[str, Assignment]:
    """Name -> Assignment, in the order of first assignment.  `environment` is what $NAME means before the file assigns it."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES} bytes", file, 1)
    return _Reader(data.decode("utf-8", "surrogateescape"), file, environment).run()


def text(value: str) -> str:
    """`value` without surrogates: if it is not all UTF-8, it is taken for Latin-1."""
    if value.isascii():
        return value
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


class _Reader:
    __slots__ = ("_at", "_counted", "_environment", "_file", "_found", "_line", "_room", "_text")

    def __init__(self, content: str, file: str, environment: Mapping[str, str]) -> None:
        self._text = content
        self._file = file
        self._environment = environment
        self._at = 0
        self._line = 1
        self._counted = 0  # line ends before this position are in `_line`
        self._found: dict[str, Assignment] = {}
        self._room = MAX_EXPANDED

    def run(self) -> dict[str, Assignment]:
        zero = self._text.find("\0")
        if zero >= 0:
            raise self._error("a zero byte; this is no text file", zero)
        while True:
            character = self._peek()
            if not character:
                return self._found
            if character in " \t\n":
                self._at += 1
            elif character == "#":
                self._skip_comment()
            elif character == ";":
                raise self._error('";" with no assignment before it')
            else:
                self._command()

    def _command(self) -> None:
        """Words up to the end of the line or a `;`, which is taken too."""
        exporting = False
        first = True
        while True:
            match = _BLANKS.match(self._text, self._at)
            if match is not None:
                self._at = match.end()
            character = self._peek()
            if character in " \t" and character:
                continue  # a line went on
            if not character or character in "\n#":
                return
            if character == ";":
                self._at += 1
                return
            start = self._at
            name = self._name()
            if exporting:
                self._at = start
                self._exported()
            elif name and self._peek() == "=":
                self._at += 1
                self._assign(name, self._value(), start)
            elif first and name == "export" and self._peek() in ("", " ", "\t", "\n", ";"):
                exporting = True
            else:
                raise self._no_assignment(start, first)
            first = False

    def _exported(self) -> None:
        """One argument of `export`, which sh reads as an ordinary word: it may be quoted in whole."""
        start = self._at
        name, equals, value = self._value(word=True).partition("=")
        match = _NAME.fullmatch(name)
        if match is None:
            raise self._error(f"export: {_shown(name)} is no name", start)
        if equals:
            self._assign(name, value, start)

    def _assign(self, name: str, value: str, start: int) -> None:
        self._line += self._text.count("\n", self._counted, start)
        self._counted = start
        if not value.isascii():  # bytes that quotes stood between may be a character together
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        self._found[name] = Assignment(value, self._file, self._line)

    def _no_assignment(self, start: int, first: bool) -> ConfigError:
        if self._text.startswith("\r", start):
            return self._error(_CARRIAGE_RETURN, start)
        self._at = start
        name = self._name()
        after = _ASSIGNS.match(self._text, self._at)
        if name and after is not None:
            found = name + " " * after[0][0].isspace() + _shown(after[0].strip())
            return self._error(f'{found}: expected {name}=value, with nothing between name, "=" and value', start)
        snippet = _SNIPPET.match(self._text, start)
        found = _shown(snippet[0] if snippet is not None else self._text[start : start + 1])
        if first or found[0] in _OPERATORS:
            return self._error(f"{found}: expected NAME=value; commands are not run here", start)
        return self._error(f"{found}: expected NAME=value; a value with blanks has to stand in quotes", start)

    def _value(self, word: bool = False) -> str:
        """Up to a blank, line end or `;` outside quotes.  `word`: an argument, where sh splits what $NAME gives, and looks for files."""
        pieces: list[str] = []
        tilde = True  # would sh expand one here?
        while True:
            character = self._peek()
            if not character or character in " \t\n;":
                return "".join(pieces)
            here = self._at
            before, tilde = tilde, False
            match = _PLAIN.match(self._text, here)
            if match is not None:
                self._at = match.end()
                pieces.append(match[0])
            elif character == '"':
                pieces.append(self._double())
            elif character == "'":
                pieces.append(self._single())
            elif character == "\\":
                pieces.append(self._text[here + 1 : here + 2])
                self._at += 2
                if not pieces[-1]:
                    raise self._error("the file ends after a backslash", here)
            elif character == "$":
                piece = self._dollar()
                if word and _SPLIT.search(piece):
                    raise self._error("export: what a variable gives has blanks or wildcards: put it in double quotes", here)
                pieces.append(piece)
            elif character == "`":
                raise self._error("`...`: commands are not run here", here)
            elif character == "\r":
                raise self._error(_CARRIAGE_RETURN, here)
            elif character in _OPERATORS:
                raise self._error(f"{character} outside quotes: commands are not run here; a value has to stand in quotes", here)
            elif character == "~" and (before or word):
                raise self._error("~ outside quotes, which sh would expand: write the directory, or put it in quotes", here)
            elif word and character in "*?[":
                raise self._error(f"export: {character} outside quotes, which sh would expand: put it in quotes", here)
            else:  # one of ~ : * ? [
                self._at += 1
                tilde = character == ":"
                pieces.append(character)

    def _single(self) -> str:
        start = self._at + 1
        end = self._text.find("'", start)
        if end < 0:
            raise self._error("' without its end", start - 1)
        self._at = end + 1
        return self._text[start:end]

    def _double(self) -> str:
        content = self._text
        start = self._at
        self._at += 1
        pieces = []
        while True:
            match = _IN_DOUBLE.match(content, self._at)
            if match is not None:
                self._at = match.end()
                pieces.append(match[0])
            character = content[self._at : self._at + 1]
            if character == '"':
                self._at += 1
                return "".join(pieces)
            if character == "$":
                pieces.append(self._dollar())
            elif character == "`":
                raise self._error("`...`: commands are not run here")
            elif character == "\\" and self._at + 1 < len(content):
                escaped = content[self._at + 1]
                self._at += 2
                if escaped != "\n":
                    pieces.append(escaped if escaped in '$`"\\' else "\\" + escaped)
            else:
                raise self._error('" without its end', start)

    def _dollar(self) -> str:
        """What `$` and the name after it stand for; a `$` if there is none."""
        start = self._at
        self._at += 1
        character = self._peek()
        if character == "(":
            raise self._error("$(...): commands are not run here", start)
        braced = character == "{"
        if braced:
            self._at += 1
        elif character and character in _SPECIAL:
            raise self._error(f'${character}: only variables are understood; for a "$" write \\$', start)
        name = self._name()
        if braced:
            if not name or self._peek() != "}":
                raise self._error("${...}: only ${NAME} is understood", start)
            self._at += 1
        return self._expanded(name, start) if name else "$"

    def _expanded(self, name: str, start: int) -> str:
        assigned = self._found.get(name)
        if name in _OWN:
            raise self._error(f"${name}: set by the shell, its value is not known here", start)
        value = assigned.value if assigned is not None else self._environment.get(name, "")
        self._room -= len(value)
        if self._room < 0:
            raise self._error(f"${name}: more than {MAX_EXPANDED} characters from variables", start)
        return value

    def _name(self) -> str:
        """A name, or "": lines may go on inside it, too."""
        self._peek()
        match = _NAME.match(self._text, self._at)
        if match is None:
            return ""
        pieces = []
        while match is not None:
            pieces.append(match[0])
            self._at = match.end()
            self._peek()
            match = _NAME_REST.match(self._text, self._at)
        return "".join(pieces)

    def _peek(self) -> str:
        """The next character, "" at the end; a backslash and a line end before it are as if they were not there."""
        while self._text.startswith("\\\n", self._at):
            self._at += 2
        return self._text[self._at : self._at + 1]

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _error(self, message: str, at: int | None = None) -> ConfigError:
        return ConfigError(message, self._file, 1 + self._text.count("\n", 0, self._at if at is None else at))


def _shown(found: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in found)
