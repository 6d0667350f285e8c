"""Arguments of a program that looks at a file: what stands for what.

    {file}            the path of its copy
    {name}            what the message calls it
    {reply_to}        an address of Reply-To, else From
    {errors_to}       an address of Errors-To, Return-Path, Sender, else {reply_to}
    {header:NAME}     the first field of that name of the message

All but {file} is what a stranger wrote: it becomes one argument or a piece of one, without
control characters, and never begins an argument with "-".  There is no shell that could read it.

Limits:  MAX_LENGTH characters each.
Errors:  none; what is not there is empty.
See:     command.py, docs/engines.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazaretto import regex
from lazaretto.mime import words
from lazaretto.model import Field

MAX_LENGTH = 500

_PLACE = regex.compile(r"\{(file|name|reply_to|errors_to|header:([A-Za-z_-]{1,76}))\}")
_ADDRESS = regex.compile(r"[^\s<>,;:\"()\[\]]{1,64}@[^\s<>,;:\"()\[\]]{1,255}")
_SENDERS = ("reply-to", "from")
_BOUNCES = ("errors-to", "return-path", "sender", *_SENDERS)


def are_from_mail(argv: Iterable[str]) -> bool:
    """Does a stranger write into these arguments?"""
    return any(match[1] != "file" for word in argv for match in _PLACE.finditer(word))


def are_fixed(word: str) -> bool:
    """Does nothing stand for something else in it?"""
    return _PLACE.search(word) is None


def fill(argv: Sequence[str], path: str, name: str, fields: Sequence[Field]) -> tuple[bytes, ...]:
    """The arguments for one file.  `fields`: the header of its message."""

    def value(place: str, field: str | None) -> str:
        if place == "file":
            return path
        if place == "name":
            return _plain(name)
        if field is not None:
            return _plain(_text(fields, (field.lower().replace("_", "-"), field.lower())))
        return _plain(_address(fields, _SENDERS if place == "reply_to" else _BOUNCES))

    filled = []
    for word in argv:
        result = _PLACE.sub(lambda match: value(match[1], match[2]), word)
        if result.startswith("-") and not word.startswith("-"):
            result = "_" + result[1:]
        filled.append(result.encode("utf-8", "replace"))
    return tuple(filled)


def _text(fields: Sequence[Field], names: Sequence[str]) -> str:
    raw = next((field.value for name in names for field in fields if field.name == name), b"")
    return words.decode(raw[: 8 * MAX_LENGTH].decode("utf-8", "replace"))


def _address(fields: Sequence[Field], names: Sequence[str]) -> str:
    for name in names:
        match = _ADDRESS.search(_text(fields, (name,)))
        if match is not None:
            return match[0]
    return ""


def _plain(text: str) -> str:
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:MAX_LENGTH]
