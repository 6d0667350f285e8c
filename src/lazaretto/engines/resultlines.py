"""What a program says about a file in lines of its output, besides its exit status.

    Anomy-FileScan-VirusName: Eicar
    Anomy-FileScan-NewFile: /tmp/cleaned

Known are, in any letter case: Result (a wait status, that is the exit status times 256, in the
place of the real one), VirusName, Summary, Description, NewFile (path of what is to be delivered
instead).  Of several lines with one name the last counts.

Limits:  MAX_LENGTH characters of a value.
Errors:  none; other lines mean nothing.
Bugs:    NewName, NewType and NewEnc have no effect.
See:     command.py, docs/engines.md, docs/anomy.md
"""

from __future__ import annotations

from typing import NamedTuple

from lazaretto import regex

MAX_LENGTH = 500
NO_STATUS = 256  # of a Result that is no exit status: no list can have it

_LINE = regex.compile(r"(?im)^anomy-filescan-(result|virusname|summary|description|newfile):(.*)$")


class Said(NamedTuple):
    """Values; "" for what was not said."""

    status: int | None = None
    name: str = ""
    detail: str = ""  # summary and description
    new_file: str = ""


def read(output: str) -> Said:
    """The lines among `output`."""
    values = {match[1].lower(): match[2].strip() for match in _LINE.finditer(output)}
    detail = ": ".join(filter(None, (_shown(values.get("summary", "")), _shown(values.get("description", "")))))
    return Said(
        _status(values["result"]) if "result" in values else None, _shown(values.get("virusname", "")), detail, values.get("newfile", "")
    )


def _status(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10) or int(value) % 256:
        return NO_STATUS
    return int(value) // 256


def _shown(value: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in value[:MAX_LENGTH])
