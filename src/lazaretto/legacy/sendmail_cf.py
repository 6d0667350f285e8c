"""The milters that a sendmail.cf names: lines X and the option InputMailFilters.

    Xfp-milter, S=inet:12200@127.0.0.1, F=T, T=C:5m;S:10s;R:10s;E:5m
    O InputMailFilters=fp-milter, other

choose(text) gives ours: the X line with one of NAMES, first those that InputMailFilters lists; if none has such
a name and there is exactly one, that one, with a warning.

A line that begins with a blank or tab goes on where the last one ended; # begins a remark at the start of a line.

Limits:  a file of MAX_BYTES; MAX_FILTERS lines X.
Errors:  ConfigError with file and line for a line X without an address, a time that is none, and if there is none to choose.
See:     docs/scan-mail.md; Sendmail's Installation and Operation Guide, "X - Mail Filter (Milter) Definitions"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError

NAMES = ("fp-milter", "f-prot-milter")
MAX_BYTES = 4 << 20  # a large one has 100 KB
MAX_FILTERS = 1000
TIMES_S = {"C": 300, "S": 10, "R": 10, "E": 300}  # connect, send, receive, end of message, if T= does not say so

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME = regex.compile(r"([0-9]{1,9})([smhdw]?)\Z")
_OPTION = regex.compile(r"O[ \t]*InputMailFilters[ \t]*=(.*)\Z")


class MailFilter(NamedTuple):
    """One line X.  `flag`: R refuse mail without it, T refuse for now, "" go on; `times_s` by letter."""

    name: str
    address: str
    flag: str
    times_s: dict[str, int]
    line: int


class Choice(NamedTuple):
    """The one that we are, and what is odd about it."""

    filter: MailFilter
    warning: str = ""


def choose(text: str, file: str = "sendmail.cf") -> Choice:
    """Ours among those of a sendmail.cf."""
    filters, active = read(text, file)
    named = [one for one in filters if one.name in NAMES]
    listed = [one for one in named if one.name in active]
    if listed or named:
        chosen = (listed or named)[0]
        return Choice(chosen, "" if listed else f"{file}: {chosen.name} is not listed in InputMailFilters, so Sendmail does not ask it")
    if len(filters) == 1:
        return Choice(filters[0], f"{file}:{filters[0].line}: no filter is called {NAMES[0]}; taking the only one, {filters[0].name}")
    expected = f"expected a line X{NAMES[0]}, S=inet:12200@127.0.0.1"
    there = ", ".join(one.name for one in filters[:10])
    raise ConfigError(f"{expected}; there is {f'none of that name among {there}' if filters else 'no line X'}", file)


def read(text: str, file: str = "sendmail.cf") -> tuple[list[MailFilter], tuple[str, ...]]:
    """All filters, and the names that InputMailFilters lists; of several such options the last counts."""
    filters: list[MailFilter] = []
    active: tuple[str, ...] = ()
    for number, line in lines(text):
        option = _OPTION.match(line)
        if option is not None:
            active = names(option[1])
        elif line.startswith("X"):
            if len(filters) >= MAX_FILTERS:
                raise ConfigError(f"more than {MAX_FILTERS} lines X", file, number)
            filters.append(_filter(line[1:], file, number))
    return filters, active


def names(value: str) -> tuple[str, ...]:
    """InputMailFilters: separated by commas or semicolons."""
    return tuple(name.strip() for name in value.replace(";", ",").split(",") if name.strip())


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of each, with what goes on below; no remarks."""
    pieces: list[str] = []
    begun = 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line[:1] in (" ", "\t") and pieces:
            pieces.append(line)
            continue
        if pieces:
            yield begun, "".join(pieces)
        pieces = [line] if line and not line.startswith("#") else []
        begun = number
    if pieces:
        yield begun, "".join(pieces)


def _filter(line: str, file: str, number: int) -> MailFilter:
    name, *equates = (part.strip() for part in line.split(","))
    values: dict[str, str] = {}
    for equate in equates:
        key, equals, value = equate.partition("=")
        if equate and not equals:
            raise ConfigError(f"X{name}: expected KEY=VALUE, not {equate[:60]!r}", file, number)
        values[key.strip()[:1]] = value.strip()
    if not name or not values.get("S"):
        raise ConfigError(f"X{name[:60]}: expected S= with an address, such as S=inet:12200@127.0.0.1", file, number)
    times = dict(TIMES_S)
    for part in filter(None, (part.strip() for part in values.get("T", "").split(";"))):
        key, _, written = part.partition(":")
        found = _TIME.match(written.strip())
        if key not in times or found is None:
            raise ConfigError(f"X{name}: expected a time such as R:10s, one of C S R E, not {part[:60]!r}", file, number)
        times[key] = int(found[1]) * _UNITS_S[found[2]]
    return MailFilter(name, values["S"], values.get("F", ""), times, number)
