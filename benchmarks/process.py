"""Run one program and say what it cost: CPU from the kernel's own account, anonymous memory by looking often.

Limits:  memory is sampled each SAMPLE_S, a peak between two looks is missed.
         Where there is no /proc it is 0.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
import time
from typing import NamedTuple

SAMPLE_S = 0.002
LAZARETTO = (sys.executable, "-I", "-m", "lazaretto")


class Cost(NamedTuple):
    status: int  # exit status; negative: killed by that signal
    cpu_s: float  # user and system, of the process and its children
    wall_s: float
    peak_anon_bytes: int
    output_bytes: int
    errors: str  # what it wrote to stderr


def anonymous_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            found = re.search(r"RssAnon:\s+(\d+) kB", file.read())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def run(
    command: tuple[str, ...], stdin: str = os.devnull, environ: dict[str, str] | None = None, timeout_s: float = 300, sample: bool = True
) -> Cost:
    """Run `command` with the file `stdin` as its input; its output is counted and thrown away."""
    with open(stdin, "rb") as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate((given, output, errors))]
        started = time.monotonic()
        pid = os.posix_spawn(command[0], command, environ if environ is not None else os.environ, file_actions=actions)
        # From outside, so that a program that hangs ends too; the pid stays ours until wait4.
        killer = threading.Timer(timeout_s, os.kill, (pid, 9))
        killer.start()
        peak = 0
        options = os.WNOHANG if sample else 0
        while True:
            ended, status, usage = os.wait4(pid, options)
            if ended:
                break
            peak = max(peak, anonymous_bytes(pid))
            time.sleep(SAMPLE_S)
        killer.cancel()
        wall = time.monotonic() - started
        errors.seek(0)
        return Cost(
            os.waitstatus_to_exitcode(status),
            usage.ru_utime + usage.ru_stime,
            wall,
            peak,
            os.fstat(output.fileno()).st_size,
            errors.read().decode(errors="replace"),
        )
