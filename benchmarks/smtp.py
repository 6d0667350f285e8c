"""Messages a second and CPU of each message through the SMTP proxy, against the same client and the same server without it.

    python benchmarks/smtp.py [--seconds S] [--sizes 2k,50k,1M,10M,mix] [--sessions 1,8,32] [--engines none,yara,clamd] [--workers 1,2]

The client is smtp_load.py, the server behind is Postfix' smtp-sink. Each row is measured in turn with and without
the proxy. CPU is user and system time of the proxy's processes, all of them, from the kernel; "sink" is what smtp-sink
alone costs without the proxy. No two messages are equal, so no verdict is known before. The last column is what
stays from one machine to the next: messages a second with the proxy over those without.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

import messages
import pytest
import smtp_load

import peers
from smtp_service import Service
from smtp_session import listens

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_FIRST = b"Number " + smtp_load.NUMBER + b".\r\n"


def text(size: int) -> bytes:
    return messages.HEAD + b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + _FIRST + messages.prose(size - 700, random.Random(size))


def attached(size: int) -> bytes:
    """With one attachment; its first bytes differ in each message, too."""
    rng = random.Random(size)
    body = b"Content-Type: text/plain\r\n\r\n" + _FIRST + messages.prose(600, rng)
    head, blank, content = messages.attachment(rng.randbytes(max(0, size - 1600) * 3 // 4 // 57 * 57)).partition(b"\r\n\r\n")
    assert not len(smtp_load.NUMBER) % 2
    return messages.HEAD + messages.multipart([body, head + blank + smtp_load.NUMBER + b"ab\r\n" + content])


SIZES: dict[str, Callable[[], list[bytes]]] = {
    "2k": lambda: [text(2_000)],
    "50k": lambda: [attached(50_000)],
    "1M": lambda: [attached(1_000_000)],
    "10M": lambda: [attached(10_000_000)],
    "mix": lambda: [text(2_000)] * 10 + [text(8_000)] * 4 + [attached(30_000)] * 3 + [attached(150_000)] * 2 + [attached(1_000_000)],
}
LEAST = {"10M": 6, "1M": 16}


class Measured(NamedTuple):
    rate: float  # messages a second
    cpu_ms: float  # of each message, of the processes asked for
    p50: float
    p99: float


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of processes, and of their children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks * _TICK_S


def measure(address: str, files: list[str], size: str, sessions: int, seconds: float, pids: Callable[[], Iterable[int]]) -> Measured:
    command = [sys.executable, "-I", smtp_load.__file__, address, str(sessions)]
    warm = subprocess.run([*command, "0", str(sessions), *files[:1]], check=True, capture_output=True)
    assert not json.loads(warm.stdout)["failures"], warm.stdout
    before = cpu_s(pids())
    done = subprocess.run([*command, str(seconds), str(LEAST.get(size, 40)), *files], check=True, capture_output=True)
    spent = cpu_s(pids()) - before
    found: dict[str, Any] = json.loads(done.stdout)
    if found["failures"]:
        raise SystemExit(f"not all were taken: {found['failures']}")
    return Measured(found["messages"] / found["seconds"], spent / found["messages"] * 1000, found["p50"], found["p99"])


@contextmanager
def sink(folder: str) -> Iterator[tuple[str, int]]:
    """smtp-sink: its address and process."""
    address = f"unix:{folder}/sink"
    options = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([peers.require("smtp-sink"), *options, address, "1000"], stderr=subprocess.DEVNULL)
    try:
        while not listens(address):
            time.sleep(0.01)
        yield address, process.pid
    finally:
        process.kill()
        process.wait()


def words(value: str) -> list[str]:
    return value.split(",")


def main() -> int:
    parser = argparse.ArgumentParser(description="Throughput and cost of the SMTP proxy.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--sizes", type=words, default=list(SIZES))
    parser.add_argument("--sessions", type=words, default=["1", "8", "32"])
    parser.add_argument("--engines", type=words, default=["yara"], help="none, yara, clamd (a private one with two signatures)")
    parser.add_argument("--workers", type=words, default=["1"])
    options = parser.parse_args()
    columns = "message, sessions, engine, workers, messages/s alone, with proxy, CPU ms sink, CPU ms proxy, ms median, ms 99 %, ratio"
    print(f"| {columns.replace(',', ' |')} |\n|{' --- |' * len(columns.split(','))}")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lz-bench-", dir="/tmp"))
        os.chmod(folder, 0o755)
        hop, pid = stack.enter_context(sink(folder))
        proxies: dict[tuple[str, str], Service] = {}
        for engine in options.engines:
            spec = engine
            if engine == "clamd":
                clamd = peers.RealClamd(Path(folder))
                clamd.start()
                stack.callback(clamd.stop)
                spec = f"clamd:{folder}/s"
            for workers in options.workers:
                proxy = stack.enter_context(Service(hop, engine=spec, process__workers=int(workers), process__scanners=0))
                proxies[engine, workers] = proxy
        for size in options.sizes:
            files = []
            for number, message in enumerate(SIZES[size]()):
                files.append(f"{folder}/{size}-{number}")
                Path(files[-1]).write_bytes(message)
            for sessions in map(int, options.sessions):
                alone = measure(hop, files, size, sessions, options.seconds / 2, lambda: [pid])
                for (engine, workers), proxy in proxies.items():
                    got = measure(proxy.address, files, size, sessions, options.seconds, proxy.family)
                    cells = [
                        size,
                        sessions,
                        engine,
                        workers,
                        f"{alone.rate:.0f}",
                        f"{got.rate:.0f}",
                        f"{alone.cpu_ms:.2f}",
                        f"{got.cpu_ms:.2f}",
                    ]
                    cells += [f"{got.p50:.1f}", f"{got.p99:.1f}", f"{got.rate / alone.rate:.2f}"]
                    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except pytest.skip.Exception as skipped:
        print(f"skipped: {skipped}")
