"""The names under which a file is looked up in lists of expressions.

    candidates(item)       every name of an item that an expression may match
    expressions(texts)     the expressions, compiled one by one
    matches_all(text)      does this expression match every file?

A candidate is each name that the message gives, as it stands and in the forms that
systems make of it (content.names); for an item without a name, the one that its
declared type would get, such as "unnamed.txt"; and "filetype.TYPE" for what the
content or the declared type says that it is, so that "\\.exe$" also finds a
renamed program.  Expressions are searched for, and case does not count.

Limits:  MAX_LENGTH characters of a name, from its end (its beginning is in a form);
         MAX_CANDIDATES: then `complete` is False, and there may be a name that
         would match.  How long an expression takes is its author's affair.
Errors:  ValueError from expressions: which one is none.
See:     docs/engines.md; fingerprints.py; engines/lists.py and engines/selection.py, who ask
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazaretto import regex
from lazaretto.content import fingerprints, names
from lazaretto.mime import words
from lazaretto.mime.filenames import implied_name
from lazaretto.model import Field, Item

MAX_LENGTH = 1024  # names.forms gives none that is longer; file systems take 255 bytes
MAX_CANDIDATES = 4096  # an honest file has under 20; a name made of all tricks at once has 150 forms

_MAX_LABELS = 16
_UNNAMED = "unnamed.txt"
_EXTENSION = {"jpeg": "jpg", "tiff": "tif"}  # where it is not the type id
_TNEF = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))

_POSIX_CLASS = regex.compile(r"\[:\^?[a-z]+:\]")

# Spellings of "anything": the forms of a name have at least one character, and no line ends.
_ANYTHING = frozenset((".", ".+", "^.", "^.*", "^.+", ".*$", ".+$", ".$", "^.*$", "^.+$", "^", "$"))


class Candidates(NamedTuple):
    """`names`: what expressions are searched in.  `given`: forms of the names that the message itself gives."""

    names: tuple[str, ...]
    given: tuple[str, ...]
    complete: bool = True


def candidates(item: Item, unnamed: str = _UNNAMED, *, type_names: bool = False, labels: Iterable[str] = ()) -> Candidates:
    """Every name of `item`, those of the message first.

    `unnamed`: what an item without a name is called if its declared type says nothing.
    `labels`: of its fields that are no names, and that some program may take for one (labels()).
    `type_names`: the name that its declared type would get counts even if it has another.
    """
    found: dict[str, None] = {}
    given: dict[str, None] = {}
    for name in item.names:
        forms = names.forms(name)
        if not forms:  # nothing visible: no client could show it, and it gets another
            continue
        found[name[-MAX_LENGTH:]] = None
        found.update(dict.fromkeys(forms))
        given.update(dict.fromkeys(forms))
        if len(found) > MAX_CANDIDATES:
            break
    if type_names or not found or found.keys() <= {implied_name(item.media_type)}:
        found.update(dict.fromkeys(default_names(item, unnamed)))
    found.update((label[-MAX_LENGTH:], None) for label in labels)
    found.update((f"filetype.{type_id}", None) for type_id in file_types(item))
    complete = len(found) <= MAX_CANDIDATES
    return Candidates(tuple(found), tuple(given), complete)


def labels(fields: Iterable[Field]) -> tuple[str, ...]:
    """Content-Description, and Content-ID up to its "@", where they look like a file name: with a dot in them.

    What is behind the "@" is a domain, of which many end like a program: .com, .pl, .sh.
    """
    found = []
    for field in fields:
        if field.name in ("content-description", "content-id"):
            text = words.decode(b" ".join(field.value.split())[: 4 * MAX_LENGTH].decode("utf-8", "replace"))
            if field.name == "content-id":
                text = text.strip("<> ").rpartition("@")[0] or text.strip("<> ")
            if "." in text.strip("."):
                found.append(text)
    return tuple(found[:_MAX_LABELS])


def default_names(item: Item, unnamed: str = _UNNAMED) -> tuple[str, ...]:
    """What an item of its declared type is called if it has no name; () for messages, which are opened, not saved."""
    return () if item.media_type.startswith(("message/", "multipart/")) else (_default_name(item.media_type, unnamed),)


def _default_name(media_type: str, unnamed: str) -> str:
    if media_type in _TNEF:
        return "winmail.dat"
    type_id = fingerprints.by_media_type(media_type)
    return f"unnamed.{_EXTENSION.get(type_id, type_id)}" if type_id else unnamed


def file_types(item: Item) -> tuple[str, ...]:
    """Type ids by content and by the declared type."""
    found = dict.fromkeys(() if is_body_text(item) else fingerprints.by_content(item.content.read_at(0, fingerprints.HEAD)))
    if declared := fingerprints.by_media_type(item.media_type):
        found[declared] = None
    return tuple(found)


def is_body_text(item: Item) -> bool:
    """The text of a mail: it may begin with any letters, "MZ" too, and is no program for that."""
    return item.type == "text" and not item.names and item.media_type.startswith("text/")


def expressions(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Compiled one by one: flags inside one of them do not reach the next.  ValueError says which is none, and why."""
    return tuple(map(_compiled, texts))


def _compiled(text: str) -> re.Pattern[str]:
    import warnings

    if posix := _POSIX_CLASS.search(text):
        raise ValueError(f'"{names.printable(text)}" has a class {posix[0]}, which is one in Perl and something else here')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may change its meaning in a later Python, such as "[[]"; they would go into the log
            return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as e:
        raise ValueError(f'"{names.printable(text)}" is no regular expression: {e}') from None


def search(patterns: Sequence[re.Pattern[str]], candidate_names: Iterable[str]) -> tuple[str, str] | None:
    """(name, expression) of the first match, by the order of the names; None if there is none."""
    for name in candidate_names:
        for pattern in patterns:
            if pattern.search(name):
                return name, pattern.pattern
    return None


def matches_all(text: str) -> bool:
    """True only if the expression is sure to match a candidate name of every file.

    It is one of the spellings of "anything"; or it matches the empty text and holds no
    condition on a place (^ $ \\b, lookaround): then it matches, nothing, at the beginning of every name.
    """
    plain = text.removeprefix("(?i)").removeprefix("(?s)")
    if plain in _ANYTHING:
        return True
    if any(mark in plain.replace("(?:", "(") for mark in ("^", "$", "\\", "(?")):
        return False
    try:
        return _compiled(plain).search("") is not None
    except ValueError:
        return False
