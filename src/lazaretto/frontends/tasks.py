"""Tasks and deadlines of an event loop.

    start(session.run(), "smtp session")    a task that nobody waits for
    Deadline(loop, call)                    a time-out that is set anew all the time

asyncio keeps only a weak reference to a task: one that nobody holds may vanish in
the middle of its work, and what it raises is told to nobody.  So all tasks are
started here.

Errors:  none.  A task that fails is reported to the loop's exception handler, at once.
See:     asyncio.create_task
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_running: set[asyncio.Task[Any]] = set()


def start(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Run `coroutine` as a task of the running loop, and keep it until it ends."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        context = {"message": f"task {task.get_name()} failed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)


class Deadline:
    """Calls `call` once, when the time that was set last has passed.

    To move it costs an assignment: the timer of the loop stays where it is, and looks when it fires.
    """

    __slots__ = ("_call", "_loop", "_timer", "_when")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._when = 0.0  # 0: none
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """So long from now."""
        self._when = when = self._loop.time() + seconds
        timer = self._timer
        if timer is None:
            self._timer = self._loop.call_at(when, self._fire)
        elif timer.when() > when:
            timer.cancel()
            self._timer = self._loop.call_at(when, self._fire)

    def clear(self) -> None:
        """None, until one is set again."""
        self._when = 0.0

    def close(self) -> None:
        """None any more."""
        self._when = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if not self._when:
            return
        if self._loop.time() < self._when:
            self._timer = self._loop.call_at(self._when, self._fire)
            return
        self._when = 0.0
        self._call()
