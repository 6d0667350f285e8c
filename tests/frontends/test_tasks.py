"""Tasks are kept and their failures told; a deadline calls once, at the last time that was set."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from lazaretto.frontends.tasks import Deadline, start


def test_result_and_name() -> None:
    async def work() -> int:
        return 7

    async def main() -> None:
        task = start(work(), "seven")
        assert task.get_name() == "seven"
        assert await task == 7

    asyncio.run(main())


def test_a_task_that_nobody_holds_ends_its_work() -> None:
    async def main() -> list[str]:
        done: list[str] = []
        gate = asyncio.Event()

        async def work() -> None:
            await gate.wait()
            done.append("done")
            finished.set()

        finished = asyncio.Event()
        start(work(), "forgotten")
        await asyncio.sleep(0)
        gc.collect()
        gate.set()
        await finished.wait()
        return done

    assert asyncio.run(main()) == ["done"]


def test_failure_is_told_and_cancellation_is_not() -> None:
    async def main() -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

        async def work() -> None:
            raise ValueError("broken")

        async def wait() -> None:
            await asyncio.Event().wait()

        waiting = start(wait(), "waiting")
        failing = start(work(), "failing")
        await asyncio.wait({failing})
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.sleep(0)
        return told

    (told,) = asyncio.run(main())
    assert "failing" in told["message"]
    assert isinstance(told["exception"], ValueError)


class Clock:
    """The part of an event loop that a Deadline uses, with a time of our own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Any) -> Timer:
        timer = Timer(when, call)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in sorted(self.timers, key=Timer.when):
            if timer.due <= self.now and not timer.cancelled:
                self.timers.remove(timer)
                timer.call()


class Timer:
    def __init__(self, due: float, call: Any) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def when(self) -> float:
        return self.due

    def cancel(self) -> None:
        self.cancelled = True


def deadline() -> tuple[Clock, Deadline, list[float]]:
    clock = Clock()
    called: list[float] = []
    return clock, Deadline(clock, lambda: called.append(clock.now)), called  # type: ignore[arg-type]


def test_deadline_calls_once() -> None:
    clock, late, called = deadline()
    late.set(5)
    clock.advance(4.9)
    assert called == []
    clock.advance(0.1)
    clock.advance(100)
    assert called == [105.0]


def test_deadline_moves_both_ways() -> None:
    clock, late, called = deadline()
    late.set(5)
    clock.advance(3)
    late.set(5)
    assert len(clock.timers) == 1, "to move it costs no timer"
    clock.advance(4)
    assert called == []
    late.set(0.5)
    clock.advance(0.5)
    assert called == [107.5]


def test_deadline_is_cleared_and_closed() -> None:
    clock, late, called = deadline()
    late.set(5)
    late.clear()
    clock.advance(6)
    late.set(5)
    late.close()
    clock.advance(6)
    assert called == []
