"""Which files can be disarmed, and by which module.

    format_of("docm")                   "ooxml"
    disarm("docm", source, meter)       Disarmed

A module is imported when the first file of its kind is there.

Errors:  LimitExceeded from the meter.
See:     disarmed.py for the contract; docs/disarm.md
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.sanitize.disarmed import NOTHING, Disarmed

# sniffed type -> format
_FORMATS = {
    **dict.fromkeys(("docx", "docm", "xlsx", "xlsm", "xlsb", "pptx", "pptm", "ooxml"), "ooxml"),
    "ole": "ole",
    "rtf": "rtf",
    "pdf": "pdf",
}
FORMATS = tuple(dict.fromkeys(_FORMATS.values()))
OUTSIDE = frozenset(("pdf",))  # done by a library in C: in a process of its own


def format_of(type_id: str) -> str:
    """The format of a sniffed type; "" if files of that type are not disarmed."""
    return _FORMATS.get(type_id, "")


def prepare(type_id: str) -> None:
    """Load what disarm() needs, before a child process does it each time anew."""
    name = format_of(type_id)
    if name:
        importlib.import_module("lazaretto.sanitize.disarm_" + name).prepare()


def disarm(type_id: str, source: Source, meter: Meter) -> Disarmed:
    """The file `source` without what acts; it is of the sniffed type `type_id`."""
    name = format_of(type_id)
    if not name:
        return NOTHING
    function: Callable[[Source, Meter], Disarmed] = importlib.import_module("lazaretto.sanitize.disarm_" + name).disarm
    return function(source, meter)
