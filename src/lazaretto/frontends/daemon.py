"""Into the background, with the truth about the start left behind.

    tell = daemon.detach()        # returns in the background process only
    ... bind, write PID files ...
    tell("")                      # the caller's process ends with 0; or tell(problem), and it ends with 1, or another status

Whoever starts a daemon wants to see what is wrong and to go on only when it listens. So
the process that was started waits until the one in the background says which it is; until
then, standard error stays open, too.

Errors:  OSError if there can be no second process.
See:     daemon(7), setsid(2)
"""

from __future__ import annotations

import os
from typing import Protocol

EX_FAILED = 1
_MAX_TEXT = 4000  # fits into a pipe at once


class Tell(Protocol):
    """Takes "" for "ready", or what went wrong and the exit status for it; once."""

    def __call__(self, problem: str, status: int = EX_FAILED) -> None: ...


def detach() -> Tell:
    """Fork; new session; root directory.  Returns in the new process only."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        os._exit(_wait(reader, pid))
    os.close(reader)
    os.setsid()
    os.chdir("/")
    os.set_inheritable(writer, False)
    told = False

    def tell(problem: str, status: int = EX_FAILED) -> None:
        nonlocal told
        if told:
            return
        told = True
        if not problem:
            _to_null()
        try:
            os.write(writer, bytes((status if problem else os.EX_OK,)) + problem.encode("utf-8", "backslashreplace")[:_MAX_TEXT])
        except OSError:
            pass  # nobody waits any more: it was killed
        os.close(writer)

    return tell


def _wait(reader: int, pid: int) -> int:
    """What the background process said, on standard error if it is bad; the exit status."""
    said = os.read(reader, _MAX_TEXT + 1)  # it was written at once; the end may be a long way off, workers have the pipe, too
    if not said:
        _, ended = os.waitpid(pid, 0)
        said = bytes((EX_FAILED,)) + f"ended before it was ready (status {os.waitstatus_to_exitcode(ended)})".encode()
    status, problem = said[0], said[1:]
    if status == os.EX_OK:
        return status
    try:
        os.write(2, b"lazaretto: " + problem.rstrip() + b"\n")
    except OSError:
        pass
    return status


def _to_null() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    if null > 2:
        os.close(null)
