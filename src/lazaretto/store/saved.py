"""Saved files: parts of messages, decoded, each in a file of its own.

A template names them, "/usr/local/f-prot/quarantine/att-$T-$$$-$F":

    $T $P         time (seconds since 1970) and process id, hexadecimal
    $H $M $S      hour, minute, second
    $d $m $y $Y   day, month, year of two and of four digits
    $w $j         day of the week, 0 is Sunday; day of the year, 001 to 366
    $F            what the sender called it, harmless: see safe_name
    $             any other: a random character A-Z or 0-9

Times are local.  A name that is taken is tried again with other random characters,
and after some attempts with .1, .2 at its end, for a template may have no random
ones.  Nothing is overwritten, a symbolic link is not followed, and a file has its name
only when it is whole.  Files are 0600; a directory that is missing is made, 0700.

Limits:  the last 80 characters of a name; 6 attempts, then 1000 numbers.
Errors:  ConfigError for a template that names no file.  OSError that names the path; then
         nothing is left under a final name.
See:     store/durable.py
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator

from lazaretto import regex
from lazaretto.errors import ConfigError
from lazaretto.store import durable
from lazaretto.store.durable import Writing

MAX_NAME = 80
UNNAMED = "unnamed"

_ATTEMPTS = 6
_NUMBERS = 1000
_RANDOM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PLACE = regex.compile(r"\$([TPSMHdmyYwjF]?)")
_CLOCK = {"S": "%S", "M": "%M", "H": "%H", "d": "%d", "m": "%m", "y": "%y", "Y": "%Y", "w": "%w", "j": "%j"}
_UNSAFE = regex.compile(r"[^A-Za-z0-9.-]+")
# The letters of Latin-1 that are not a letter and an accent.
_FOLDED = str.maketrans({"Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Ð": "D", "ð": "d", "Þ": "TH", "þ": "th", "ß": "ss"})


def safe_name(name: str) -> str:
    """A file name of ASCII letters, digits and ._- for any str: no slash, no dot in front, never empty.

    Accents are dropped; other characters become _, a run of them (and of _) only one.
    """
    import unicodedata

    name = unicodedata.normalize("NFKD", name[-4 * MAX_NAME :].translate(_FOLDED))
    name = "".join(character for character in name if not unicodedata.combining(character))
    return _UNSAFE.sub("_", name)[-MAX_NAME:].lstrip(".") or UNNAMED


class SavedFiles:
    """The files that a template names.  Nothing is opened before the first put."""

    __slots__ = ("_template",)

    def __init__(self, template: str) -> None:
        if not os.path.basename(template) or "\0" in template:
            raise ConfigError(f"expected a template for the path of a file, not {template!r}")
        self._template = template

    def put(self, chunks: Iterable[bytes], name: str, now: float, pid: int) -> str:
        """Store `chunks` durably; the path of the file.  `name`: the sender's; `now`: seconds since 1970."""
        with Writing("saved files") as writing:
            path, fd = writing.reserve(self._paths(safe_name(name), now, pid))
            hidden = durable.hidden(path)
            durable.fill(fd, hidden, chunks)
            writing.publish(hidden, path)
            durable.flush_directory(os.path.dirname(path) or ".", parents=1)
        return path

    def _paths(self, name: str, now: float, pid: int) -> Iterator[str]:
        """What the template may give, one after the other, in directories that are there."""
        moment = time.localtime(now)
        values = {letter: time.strftime(form, moment) for letter, form in _CLOCK.items()}
        values |= {"T": f"{int(now):x}", "P": f"{pid:x}", "F": name}

        path = ""
        for attempt in range(_ATTEMPTS + _NUMBERS):
            path = _PLACE.sub(lambda place: values.get(place[1]) or _random(), self._template)
            if attempt >= _ATTEMPTS:
                path += f".{attempt - _ATTEMPTS + 1}"
            durable.make_directory(os.path.dirname(path))
            yield path
        raise OSError(errno.EEXIST, f"cannot create {path}: no name that the template gives is free")


def _random() -> str:
    return _RANDOM[os.urandom(1)[0] % len(_RANDOM)]  # not quite even, and that does not matter here
