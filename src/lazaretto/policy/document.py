"""The texts of a configuration, read and merged: every value with the place where it stands.

A later file wins: its keys replace those of earlier files, tables are merged key
by key, lists are replaced whole, and its [[rule]]s come before theirs (in one file,
from top to bottom).

Sections and keys are checked here, for here the place is known; what they mean
together is config.py's affair.

Limits:  texts of 1 Mi characters, 10,000 rules, tables and lists 32 deep.
Errors:  ConfigError: file, line, key, what was expected; the first one found.
See:     keys.py, lines.py; TOML 1.0.0
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.policy.forms import FORMS, did_you_mean
from lazaretto.policy.keys import ENGINE_KEYS, KEYS, RULE_KEYS, SECTIONS, Key, toml

if TYPE_CHECKING:
    from lazaretto.policy.lines import Address

MAX_TEXT = 1 << 20
MAX_RULES = 10_000
MAX_DEPTH = 32

_SECTION_KEYS = {section: {key.name: key for key in KEYS if key.section == section} for section in SECTIONS}
_RULE_KEYS = {key.name: key for key in RULE_KEYS}
_ENGINE_KEYS = {key.name: key for key in ENGINE_KEYS}
_TOP = (*SECTIONS, "engines", "attachments", "rule")
_ENGINE_NAME = regex.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class Place(NamedTuple):
    """Where something was written; line 0 of no file for what was not."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def error(self, message: str) -> ConfigError:
        """The exception that says so, to be raised by the caller."""
        return ConfigError(message, self.file, self.line)


class Entry(NamedTuple):
    """A value as the file has it, as the program wants it, and where it stands."""

    written: object
    value: object
    place: Place


class Table(NamedTuple):
    """One [engines.NAME], [attachments] or [[rule]]."""

    place: Place
    entries: dict[str, Entry]


class Document(NamedTuple):
    """What all files together say."""

    settings: dict[str, Entry]  # by full name, "policy.malware"
    engines: dict[str, Table]
    attachments: Table
    rules: list[Table]


_PlaceOf = Callable[..., Place]


def read(texts: Sequence[tuple[str, str]]) -> Document:
    """Merge `texts`, pairs of file name and content."""
    document = Document({}, {}, Table(Place(), {}), [])
    for file, text in texts:
        document = _merge(document, file, text)
    return document


def _merge(document: Document, file: str, text: str) -> Document:
    content, lines = _load(file, text)

    def place(*address: str | int) -> Place:
        return Place(file, _line(lines, address))

    for section, table in content.items():
        if _is_deeper(table, MAX_DEPTH):
            raise place(section).error(f"{_shown(section)}: nested more than {MAX_DEPTH} deep")
        if section not in _TOP:
            raise place(section).error(f"{_shown(section)}: no such section{did_you_mean(section, _TOP)}; there are {', '.join(_TOP)}")
        if section == "rule":
            rules = [*_rules(table, place), *document.rules]
            if len(rules) > MAX_RULES:
                raise place(section).error(f"rule: more than {MAX_RULES} rules")
            document = document._replace(rules=rules)
        elif not isinstance(table, dict):
            raise place(section).error(f"{section}: expected a section [{section}], not {_shown(table)}")
        elif section == "attachments":
            entries = {name: Entry(value, value, place(section, name)) for name, value in table.items()}
            document = document._replace(attachments=Table(place(section), document.attachments.entries | entries))
        elif section == "engines":
            for name, options in table.items():
                _merge_engine(document.engines, name, options, place)
        else:
            for name, value in table.items():
                entry = _entry(_SECTION_KEYS[section], section, name, value, place(section, name))
                document.settings[f"{section}.{name}"] = entry
    return document


def _merge_engine(engines: dict[str, Table], name: str, options: object, place: _PlaceOf) -> None:
    here = place("engines", name)
    if not _ENGINE_NAME.match(name):
        raise here.error(f"engines.{_shown(name)}: expected a name of letters, digits, - and _ (at most 64)")
    if not isinstance(options, dict):
        raise here.error(f"engines.{name}: expected a table [engines.{name}], not {_shown(options)}")
    entries = engines.setdefault(name, Table(here, {})).entries
    for option, value in options.items():
        where = place("engines", name, option)
        if option in _ENGINE_KEYS:
            entries[option] = _entry(_ENGINE_KEYS, f"engines.{name}", option, value, where)
        else:
            entries[option] = Entry(value, value, where)


def _rules(rules: object, place: _PlaceOf) -> Iterator[Table]:
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise place("rule").error("rule: expected [[rule]], with two brackets, for each rule")
    for number, rule in enumerate(rules):
        entries = {name: _entry(_RULE_KEYS, "rule", name, value, place("rule", number, name)) for name, value in rule.items()}
        yield Table(place("rule", number), entries)


def _entry(known: Mapping[str, Key], section: str, name: str, value: object, place: Place) -> Entry:
    key = known.get(name)
    if key is None:
        raise place.error(f"{section}.{_shown(name)}: no such key{did_you_mean(name, known)}; there are {', '.join(known)}")
    try:
        return Entry(value, FORMS[key.form](value), place)
    except ValueError as error:
        raise place.error(f"{section}.{name}: expected {error}, not {_shown(toml(value))}") from None


def _is_deeper(value: object, depth: int) -> bool:
    """Without recursion: dotted keys nest as deep as the text is long."""
    pending = [(value, 0)]
    while pending:
        inner, level = pending.pop()
        if level > depth:
            return True
        if isinstance(inner, dict):
            pending += [(one, level + 1) for one in inner.values()]
        elif isinstance(inner, list):
            pending += [(one, level + 1) for one in inner]
    return False


def _shown(value: object) -> str:
    """Short and on one line."""
    text = "".join(character if character.isprintable() else "?" for character in str(value)[:61])
    return text if len(text) <= 60 else text[:57] + "..."


def _load(file: str, text: str) -> tuple[dict[str, object], dict[Address, int]]:
    if len(text) > MAX_TEXT:
        raise ConfigError(f"larger than {MAX_TEXT} characters", file, 1)
    if not text.strip():  # sets nothing
        return {}, {}
    import tomllib

    from lazaretto.policy.lines import index

    try:
        return tomllib.loads(text), index(text)
    except RecursionError:
        raise ConfigError("not TOML: nested too deeply", file, 1) from None
    except ValueError as error:  # TOMLDecodeError; from int(), too, for a number of thousands of digits
        message = str(error)
        where = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
        if where is None:
            raise ConfigError(f"not TOML: {_shown(message)}", file, 1) from None
        line = int(where[1]) if where[1] else max(text.count("\n") + (not text.endswith("\n")), 1)
        column = f"column {where[2]}" if where[2] else "at the end of the file"
        raise ConfigError(f"not TOML: {_shown(message[: where.start()])} ({column})", file, line) from None


def _line(lines: Mapping[Address, int], address: Address) -> int:
    while address and address not in lines:
        address = address[:-1]
    return lines.get(address, 1)
