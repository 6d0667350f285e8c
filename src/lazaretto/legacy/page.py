"""A lazaretto.toml in the making: each line with where it comes from.

    page.table("[log]", {"level": ("5", "SCANMAIL_LOGLEVEL, /etc/f-prot.conf:3")})
    page.text()     [log]
                    level = "5"                                               # SCANMAIL_LOGLEVEL, /etc/f-prot.conf:3

Errors:  none.
See:     profile.py, anomy.py; TOML 1.0.0
"""

from __future__ import annotations

from lazaretto.legacy.fprot_conf import Expression
from lazaretto.policy import keys

_WIDTH = 60  # comments of longer lines stand where the line ends

Options = dict[str, tuple[object, str]]  # key of a table -> value and origin


class Page:
    """Comments, then tables, then lists of tables; whatever the order in which they come.

    A table that comes again is added to the first: what is later counts.  begin() starts what
    counts above all that is there: its [[rule]]s stand before.
    """

    def __init__(self) -> None:
        self._remarks: list[str] = []
        self._tables: dict[str, Options] = {}
        self._rules: list[list[Options]] = [[]]
        self._others: list[tuple[str, Options]] = []

    def add(self, line: str) -> None:
        """One comment."""
        self._remarks.append(line)

    def begin(self) -> None:
        """What comes now counts above what has come."""
        self._rules.insert(0, [])

    def table(self, header: str, entries: Options) -> None:
        """A table under `header`; a list of Expressions gets a line for each, with the original beside it."""
        if header == "[[rule]]":
            self._rules[0].append(entries)
        elif header.startswith("[["):
            self._others.append((header, entries))
        else:
            self._tables.setdefault(header, {}).update(entries)

    def text(self) -> str:
        """All of it."""
        lines = [*self._remarks]
        rules = [("[[rule]]", entries) for group in self._rules for entries in group]
        for header, entries in (*self._tables.items(), *self._others, *rules):
            lines += ["", header]
            for name, (value, origin) in entries.items():
                lines += _lines(name, value, origin)
        return "\n".join(lines) + "\n"


def _lines(name: str, value: object, origin: str) -> list[str]:
    if not (isinstance(value, list) and value and isinstance(value[0], Expression)):
        return [_commented(f"{name} = {keys.toml(value)}", origin)]
    lines = [_commented(f"{name} = [", origin)]
    for expression in value:
        written = "" if expression.perl == expression.python else f"in Perl: {expression.perl}"
        lines.append(_commented(f"    {_literal(expression.python)},", written))
    return [*lines, "]"]


def _commented(line: str, comment: str) -> str:
    return f"{line:{_WIDTH}}  # {printable(comment)}" if comment else line


def printable(text: str) -> str:
    """`text` with a "?" for what is not printable: no line ends."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _literal(text: str) -> str:
    """A TOML string, with single quotes where that spares backslashes."""
    return f"'{text}'" if "'" not in text and text.isprintable() else keys.toml(text)
