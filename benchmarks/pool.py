"""CPU of a message on its way through the scan pool: what the worker pays, and what its scan processes do.

    python benchmarks/pool.py [--engine SPEC] [--processes N] [--at-once N] [--seconds S]

The clean messages are all different, so that nothing is known from the message before; "again" is the same message
each time, which engines are asked about once. User and system time from the kernel (wait4 for the processes).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import messages

from lazaretto.frontends.scan_pool import PoolSettings, ScanPool
from lazaretto.mime.source import Source
from lazaretto.model import Envelope
from lazaretto.policy import config
from lazaretto.scan import assemble
from lazaretto.scan.job import Scanner

WARM = 20  # messages for each process before the clock starts


def cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


async def through(
    scanner: Scanner, made: Callable[[int], bytes], settings: PoolSettings, at_once: int, seconds: float
) -> tuple[float, ...]:
    """CPU ms of worker and of processes for each message, messages per second."""
    counted: list[tuple[int, float, float]] = []
    for span in (0.0, seconds):  # what a start costs is taken off
        children, worker = cpu_s(resource.RUSAGE_CHILDREN), cpu_s(resource.RUSAGE_SELF)
        pool = ScanPool(scanner, settings)
        pool.start()
        numbers = iter(range(1 << 30))

        async def client(pool: ScanPool, left: Iterator[int], until: float) -> int:
            done = 0
            for number in left:
                if number >= WARM * settings.size and time.monotonic() >= until:
                    break
                report = await pool.scan(Source(made(number)), Envelope(b"a@example.org", (b"b@example.org",), queue_id=str(number)))
                if report.findings:
                    raise SystemExit(f"not clean: {report.findings}")
                done += 1
            return done

        until = time.monotonic() + span
        done = sum(await asyncio.gather(*(client(pool, numbers, until) for _ in range(at_once))))
        worker = cpu_s(resource.RUSAGE_SELF) - worker
        await pool.close()
        counted.append((done, worker, cpu_s(resource.RUSAGE_CHILDREN) - children))
    (few, *base), (many, *whole) = counted
    count = many - few
    return (*((all_ - start) / count * 1000 for start, all_ in zip(base, whole, strict=True)), count / seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of messages in the scan pool.")
    parser.add_argument("--engine", default="yara")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    settings = PoolSettings(options.processes, recycle_messages=1 << 30)
    small, large = messages.text(2_000), messages.with_attachment(100_000)

    def other(message: bytes) -> Callable[[int], bytes]:
        # The first line of the body, and something in the middle of the attachment.
        middle = message.index(b"\r\n", len(message) * 3 // 4) + 2
        return lambda number: message[:middle] + b"%012d" % number + message[middle + 12 :]

    rows = {"2 kB": other(small), "2 kB again": lambda _: small, "100 kB": other(large), "100 kB again": lambda _: large}
    with tempfile.TemporaryDirectory() as folder:
        scanner = assemble.scanner(config.parse(), (options.engine,), folder)
        print("| message | worker CPU ms | scan CPU ms | messages/s |\n| --- | --- | --- | --- |")
        for title, made in rows.items():
            worker, scan, rate = asyncio.run(through(scanner, made, settings, options.at_once, options.seconds))
            print(f"| {title} | {worker:.2f} | {scan:.2f} | {rate:.0f} |", flush=True)
        scanner.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
