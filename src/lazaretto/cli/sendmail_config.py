"""What sendmail.cf, or sendmail.mc, says about mail filters.

    read_cf(text), read_mc(text)  ->  Filters

sendmail.cf is what Sendmail reads: all of it is seen. sendmail.mc is input of m4: seen are INPUT_MAIL_FILTER, MAIL_FILTER and the
definitions of confINPUT_MAIL_FILTERS and confMILTER_MACROS_*, as they are written there.

Limits:  MAX_NAMES; files that sendmail.mc includes, and conditions in it, are not seen: where it matters, look at sendmail.cf.
Errors:  none; what Sendmail would refuse is in `problems`.
See:     cf/README of Sendmail; Sendmail Installation and Operation Guide s5.12
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lazaretto import regex
from lazaretto.cli import milter_address
from lazaretto.cli.sendmail import MACROS, USUAL
from lazaretto.legacy.sendmail_cf import lines, names

MAX_NAMES = 1000  # of a list in sendmail.mc; one that is made of itself doubles with each line
_FLAGS = {"T", "R", "4"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME = regex.compile(r"(?i)([0-9]{1,9})(?:([smhdw])[a-z]*|\Z)")
_MACRO = regex.compile(r"\{[^{}\s]+\}|\S")
_OPTION = regex.compile(r"O\s+(?P<name>[\w.]+)\s*=\s*(?P<value>.*)")
_CALL = regex.compile(r"\b(?P<name>INPUT_MAIL_FILTER|MAIL_FILTER|define)\(")
_COMMENT = regex.compile(r"\bdnl\b.*\n?")


class Filter(NamedTuple):
    """One X line."""

    name: str
    socket: str = ""  # S=
    flags: str = ""  # F=
    timeouts: Mapping[str, float] = USUAL  # C, S, R, E; seconds
    problems: tuple[str, ...] = ()

    @property
    def where(self) -> milter_address.Address | None:
        """Where it is, or None if that cannot be read."""
        try:
            return milter_address.read(self.socket)
        except ValueError:
            return None


class Filters(NamedTuple):
    """All about filters in one file."""

    filters: dict[str, Filter]
    order: tuple[str, ...]  # InputMailFilters
    macros: dict[str, tuple[str, ...]]  # by stage
    options: dict[str, str]  # all other O lines, of sendmail.cf
    defined: dict[str, str]  # D lines, of sendmail.cf


def read_cf(text: str) -> Filters:
    """What Sendmail would read.  Of an option that is set twice, the last counts, as there."""
    found = Filters({}, (), {}, {}, {})
    order: tuple[str, ...] = ()
    for _, line in lines(text):
        if line.startswith("X"):
            one = read_filter(line[1:])
            if one.name in found.filters:
                one = one._replace(problems=(*one.problems, "it is defined twice"))
            found.filters[one.name] = one
        elif line.startswith("D{"):
            name, _, value = line[1:].partition("}")
            found.defined[f"{name}}}"] = value
        elif option := _OPTION.match(line):
            name, value = option["name"].lower(), option["value"].strip()
            if name == "inputmailfilters":
                order = names(value)
            elif name.startswith("milter.macros."):
                found.macros[name.removeprefix("milter.macros.")] = macros(value)
            else:
                found.options[name] = value
    return found._replace(order=order)


def read_mc(text: str) -> Filters:
    """What can be seen without m4."""
    found = Filters({}, (), dict(MACROS), {}, {})
    order: tuple[str, ...] = ()
    for call, arguments in _calls(_COMMENT.sub("", text)):
        first = _bare(arguments[0]).strip()
        rest = arguments[1] if len(arguments) > 1 else ""
        if call != "define":
            found.filters[first] = read_filter(f"{first}, {_bare(rest)}")
            order += (first,) * (call == "INPUT_MAIL_FILTER")
        elif first == "confINPUT_MAIL_FILTERS":
            order = names(_bare(rest).replace("defn(confINPUT_MAIL_FILTERS)", ", ".join(order)))[:MAX_NAMES]
        elif first.startswith("confMILTER_MACROS_"):
            stage = first.removeprefix("confMILTER_MACROS_").lower()
            extended = first in rest  # its own name, by defn() or without quotes: what stands before is kept
            added = macros(_bare(rest).replace(f"defn({first})", "").replace(first, ""))
            found.macros[stage] = (*(found.macros.get(stage, ()) if extended else ()), *added)[:MAX_NAMES]
    return found._replace(order=order)


def read_filter(text: str) -> Filter:
    """NAME, S=SOCKET, F=FLAG, T=TIMES: what follows the X."""
    name, _, rest = text.partition(",")
    socket, flags, problems = "", "", []
    timeouts: dict[str, float] = {**USUAL}
    for equate in rest.split(","):
        key, equals, value = equate.strip().partition("=")
        if not equate.strip():
            continue
        if not equals:
            problems.append(f"{equate.strip()!r} is no equate: expected S=, F= or T=, with times separated by semicolons")
        elif key.strip()[:1] == "S":
            socket = value.strip()
        elif key.strip()[:1] == "F":
            flags = "".join(value.split())
        elif key.strip()[:1] == "T":
            problems += _read_times(value, timeouts)
        else:
            problems.append(f"there is no equate {key.strip()[:1]!r}: expected S=, F= or T=")
    problems += [f"there is no flag {flag!r}: expected T, R or 4" for flag in flags if flag not in _FLAGS]
    if not socket:
        problems.append("it has no S=")
    return Filter(name.strip(), socket, flags, timeouts, tuple(problems))


def _read_times(text: str, timeouts: dict[str, float]) -> Iterator[str]:
    for pair in text.split(";"):
        key, colon, value = pair.strip().partition(":")
        if not pair.strip():
            continue
        if colon and key[:1] in timeouts and (seconds := _seconds(value.strip())) is not None:
            timeouts[key[:1]] = seconds
        else:
            yield f"{pair.strip()!r} is no time-out: expected C:, S:, R: or E: and a time such as 30s or 5m"


def _seconds(text: str) -> float | None:
    """A time of Sendmail; a number without a unit counts seconds here."""
    total, at = 0.0, 0
    while found := _TIME.match(text, at):
        total += int(found[1]) * _UNITS[(found[2] or "s").lower()]
        at = found.end()
    return total if at and at == len(text) else None


def macros(value: str) -> tuple[str, ...]:
    """A list of macros: letters, and names in braces."""
    return tuple(_MACRO.findall(value.replace(",", " ")))


def _calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """The calls that matter, with their arguments as they are written."""
    at = 0
    while found := _CALL.search(text, at):
        arguments, at = _arguments(text, found.end())
        yield found["name"], arguments


def _arguments(text: str, at: int) -> tuple[list[str], int]:
    """Those up to the bracket that closes, and where it is.  Brackets and commas within `quotes' do not count."""
    arguments, start, quotes, brackets = [], at, 0, 0
    while at < len(text):
        character = text[at]
        quotes = max(quotes + (character == "`") - (character == "'"), 0)
        if not quotes:
            if character == ")" and not brackets:
                break
            if character == "," and not brackets:
                arguments.append(text[start:at])
                start = at + 1
            brackets += (character == "(") - (character == ")")
        at += 1
    return [*arguments, text[start:at]], at


def _bare(text: str) -> str:
    return text.replace("`", "").replace("'", "")
