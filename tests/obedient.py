"""A double of an engine that does what the message says: `X-Order: WORD ARGUMENT` in its first bytes.

find NAME     states malware NAME (in the raw message and in every part)
ban NAME      states that NAME is banned
wait PATH     waits until there is a file at PATH
hang PATH     never comes back, whatever the deadline; that it has begun shows a file at PATH, if that is given
kill          the process dies of SIGKILL
exit          the process ends at once, as some libraries do
fail          raises EngineError
run PATH      starts a program that sleeps, writes its process id to PATH, and hangs
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.errors import EngineError
from lazaretto.model import Finding, Item, Kind, Reason

_ORDER = re.compile(rb"X-Order: (\w+) ?([^\r\n]*)")
_HELP_S = 60.0  # no test needs longer; nothing is left behind by one that fails


class Obedient:
    """See the module."""

    name = "obedient"
    required = True
    by_content = True

    def wants(self, item: Item) -> bool:
        return item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        order = _ORDER.search(item.content.read_at(0, 1000))
        if order is None:
            return []
        word, argument = order[1].decode(), order[2].decode()
        if word == "find":
            return [Finding(self.name, Kind.MALWARE, argument)]
        if word == "ban":
            return [Finding(self.name, Kind.BANNED, argument)]
        if word == "fail":
            raise EngineError(Reason.DOWN, argument or "as ordered")
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "exit":
            os._exit(3)
        if word == "run":
            process = subprocess.Popen(["sleep", str(_HELP_S)], start_new_session=True)
            with open(argument + ".new", "w", encoding="ascii") as file:
                file.write(str(process.pid))
            os.rename(argument + ".new", argument)
        if word == "hang" and argument:
            with open(argument, "wb"):
                pass
        if word not in ("wait", "hang", "run"):
            return []
        until = time.monotonic() + _HELP_S
        while time.monotonic() < until and not (word == "wait" and os.path.exists(argument)):
            time.sleep(0.01)
        return []

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("obedient")

    def close(self) -> None:
        pass


def message(order: str, body: bytes = b"Hello.\r\n") -> bytes:
    """A mail that gives the order."""
    return b"X-Order: " + order.encode() + b"\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + body
