"""A double of an engine for scan processes: what tests/obedient.py does, and more.

abort         the process dies of abort(3)
crash         it raises what nobody expects: a bug
grow N        keeps N MiB of memory for good
say WORD      states what it sees of its process: pid, fds, threads, signals
touch PATH    makes a file at PATH, then hangs
"""

from __future__ import annotations

import mmap
import os
import re
import signal

import obedient
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.model import Finding, Item, Kind

_ORDER = re.compile(rb"X-Order: (\w+) ?([^\r\n]*)")
_kept: list[mmap.mmap] = []


class Wilful(obedient.Obedient):
    """See the module.  With `signatures` its answers may be remembered."""

    def __init__(self, signatures: str = "") -> None:
        self.told = EngineInfo("wilful", signatures)

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        order = _ORDER.search(item.content.read_at(0, 1000))
        word, argument = (order[1].decode(), order[2].decode()) if order else ("", "")
        if word == "abort":
            os.abort()
        if word == "grow":
            # Pages of its own: what malloc gives may have been this process's before.
            pages = mmap.mmap(-1, int(argument) << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            pages.write(b"x" * len(pages))
            _kept.append(pages)
        if word == "say":
            return [Finding(self.name, Kind.MALFORMED, "said", detail=_said(argument))]
        if word == "touch":
            with open(argument, "wb"):
                pass
            signal.pause()
        return super().scan(item, ctx)

    def info(self, timeout_s: float) -> EngineInfo:
        return self.told


def _said(what: str) -> str:
    if what == "pid":
        return str(os.getpid())
    if what == "fds":
        names = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                names.append(f"{fd}={os.readlink(f'/proc/self/fd/{fd}')}")
            except OSError:
                pass  # the one that lists
        return "\n".join(names)
    if what == "signals":
        with open("/proc/self/status", encoding="ascii") as file:
            return next(line for line in file if line.startswith("SigBlk")).split()[1]
    return ""
