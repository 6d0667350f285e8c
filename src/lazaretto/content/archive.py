"""Which walker opens which type.

walk() takes the type that content.sniff found and gives what is inside.  A new
format is one walker (see container.py) and one line in WALKERS.

Limits:  the meter's.
Errors:  none raised but LimitExceeded; a type that nothing here opens is a Problem
         "<type>.unsupported".
See:     container.py; docs/architecture.md "Looking inside"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from lazaretto.content.container import Member, Problem
from lazaretto.limits import Meter
from lazaretto.mime.source import Source
from lazaretto.model import Reason

# type -> "module:function" in this room; called with (source, meter, type, passwords)
WALKERS: dict[str, str] = {
    "zip": "zip_archive:walk",
    "tar": "tar_archive:walk",
    "iso": "udf:walk",  # both views of a disk
    "udf": "udf:walk",
    **dict.fromkeys(("gzip", "zlib", "bzip2", "xz", "lzma", "lzip", "zstd", "compress"), "compressed:walk"),
    **dict.fromkeys(("7z", "rar", "cab", "lha", "cpio", "ar", "rpm", "xar", "lz4", "lzop", "lrzip"), "libarch:walk"),
}

# Opened by a C library that hostile archives can crash: callers that can make processes open these in one (scan/jail.py).
CRASHABLE = frozenset(type_id for type_id, target in WALKERS.items() if target.startswith("libarch:"))

# No well-kept library opens these; policy decides what becomes of them.
UNSUPPORTED = frozenset(("arj", "ace", "zoo", "arc", "sit", "dmg", "vhd", "vhdx", "wim", "fat"))


def walk(type_id: str, source: Source, meter: Meter, passwords: Sequence[bytes] = ()) -> Iterator[Member | Problem]:
    """What is inside a container of the sniffed type; nothing if the type is no container."""
    target = WALKERS.get(type_id)
    if target is not None:
        module, _, function = target.partition(":")
        yield from getattr(import_module(f"lazaretto.content.{module}"), function)(source, meter, type_id, passwords)
    elif type_id in UNSUPPORTED:
        yield Problem(f"{type_id}.unsupported", "no library for this format", Reason.UNSUPPORTED)
