"""Work in forked processes, all at once: what races must not break."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable


def fork() -> int:
    """os.fork, also where a test runner has threads: a child of ours does a little work and ends by os._exit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_processes(count: int, work: Callable[[int], None]) -> None:
    """Run work(0), work(1)... in processes that start together; each must return."""
    start, go = os.pipe()
    children = []
    for number in range(count):
        child = fork()
        if not child:
            status = 1
            try:
                os.close(go)
                os.read(start, 1)  # until all are there: its end
                work(number)
                status = 0
            except BaseException as error:  # noqa: BLE001 - whatever it is, the child must not go on as a test run
                os.write(2, f"process {number}: {type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(status)
        children.append(child)
    os.close(start)
    os.close(go)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * count
