"""Many messages while processes are killed and the configuration is read again: does every one arrive, whole, and does memory stay?

    python benchmarks/smtp_chaos.py [--messages N] [--sessions N] [--workers N] [--kill S] [--reload S]

Clients bring each message until it is taken (2xx), as mail servers do. Every `--kill` seconds a worker, or once in a while a scan
process, is killed with SIGKILL; every `--reload` the supervisor gets SIGHUP. Exit status 1 if a message is lost or not whole, if one
arrives twice without a reason, or if memory grows. The one reason there is: an attempt ended without an answer after the whole message had
been sent, so that the next hop may have taken it.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

import messages

from smtp_service import Service, kill
from smtp_session import Outcome, attempt
from smtp_sink import Sink

PATIENCE_S = 120.0  # for one message, with all attempts
GROWTH = 1.3  # of memory, last quarter over second


class Delivered(NamedTuple):
    attempts: int
    doubtful: int  # attempts after which the next hop may have had it, although nobody said so
    failures: Counter[str]


def bring(address: str, message: bytes) -> Delivered:
    """Until it is taken."""
    failures: Counter[str] = Counter()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            outcome = attempt(address, message)
        except OSError as error:
            outcome = Outcome(f"connect: {error.strerror}", None)
        if outcome.answer is not None and outcome.answer.code == 250 and outcome.step == "END":
            doubtful = sum(count for failure, count in failures.items() if failure.endswith(" END"))
            return Delivered(sum(failures.values()) + 1, doubtful, failures)
        failures[str(outcome)] += 1
        if time.monotonic() > deadline:
            raise SystemExit(f"not taken in {PATIENCE_S:.0f} s: {failures}")
        time.sleep(random.uniform(0.01, 0.1))


def memory_bytes(pids: list[int]) -> int:
    """Proportional share of all of them."""
    total = 0
    for pid in pids:
        try:
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"), re.MULTILINE)
        except OSError:
            continue
        total += int(found[1]) * 1024 if found else 0
    return total


class Trouble(threading.Thread):
    """Kills, reloads, and looks at memory."""

    def __init__(self, proxy: Service, kill_s: float, reload_s: float) -> None:
        super().__init__(daemon=True)
        self.proxy, self.kill_s, self.reload_s = proxy, kill_s, reload_s
        self.over = threading.Event()
        self.killed: Counter[str] = Counter()
        self.memory: list[int] = []

    def run(self) -> None:
        begun = time.monotonic()
        kills = reloads = 0
        while not self.over.wait(0.1):
            passed = time.monotonic() - begun
            if self.kill_s and passed > (kills + 1) * self.kill_s:
                kills += 1
                self.memory.append(memory_bytes(self.proxy.family()))
                what = "scan process" if kills % 5 == 0 else "worker"
                victims = self.proxy.scanners if kills % 5 == 0 else self.proxy.workers
                if victims:
                    kill(random.choice(victims))
                    self.killed[what] += 1
            if self.reload_s and passed > (reloads + 1) * self.reload_s:
                reloads += 1
                self.killed["reload"] += 1
                self.proxy.supervisor.send_signal(signal.SIGHUP)


def main() -> int:
    parser = argparse.ArgumentParser(description="Messages through a proxy that is in trouble.")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="yara")
    parser.add_argument("--kill", type=float, default=1.0, metavar="S")
    parser.add_argument("--reload", type=float, default=2.0, metavar="S")
    options = parser.parse_args()
    rng = random.Random(1)
    bodies = [messages.prose(size, rng) for size in (500, 2_000, 20_000, 100_000)]
    weights = (40, 40, 15, 5)

    def made(number: int) -> bytes:
        body = random.Random(number).choices(bodies, weights)[0]
        return b"Message-ID: <%d@chaos.example>\r\nSubject: %d\r\n\r\n%s%d\r\n" % (number, number, body, number)

    with Sink() as sink, Service(sink.address, engine=options.engine, process__workers=options.workers) as proxy:
        begun = time.monotonic()
        trouble = Trouble(proxy, options.kill, options.reload)
        trouble.start()
        with ThreadPoolExecutor(options.sessions) as clients:
            delivered = list(clients.map(lambda number: bring(proxy.address, made(number)), range(options.messages)))
        trouble.over.set()
        trouble.join()
        seconds = time.monotonic() - begun
        status = proxy.stop()
        left = proxy.family()
        leftovers = [name for name in proxy.leftovers() if not name.startswith("cache/")]
        log = proxy.log
    arrived: Counter[int] = Counter()
    damaged = 0
    for one in sink.messages:
        number = int(one.data.split(b"@", 1)[0].rpartition(b"<")[2])
        arrived[number] += 1
        damaged += hashlib.sha256(one.data).digest() != hashlib.sha256(made(number)).digest()
    lost = options.messages - len(arrived)
    doubled = {number: count for number, count in arrived.items() if count > 1}
    unexplained = [number for number, count in doubled.items() if count - 1 > delivered[number].doubtful]
    failures: Counter[str] = Counter()
    for each in delivered:
        failures += each.failures
    quarter = max(1, len(trouble.memory) // 4)
    early, late = (statistics.median(part or [0]) / 1e6 for part in (trouble.memory[quarter : 2 * quarter], trouble.memory[-quarter:]))
    crashes = [line for line in log.splitlines() if "event=crash" in line and not re.search("signal 9|SIGKILL", line)]
    rows = {
        "messages": options.messages,
        "seconds": f"{seconds:.0f}",
        "troubles": ", ".join(f"{count} x {what}" for what, count in sorted(trouble.killed.items())),
        "attempts that failed": ", ".join(f"{count} x {what}" for what, count in failures.most_common()) or "none",
        "lost": lost,
        "not whole": damaged,
        "begun and never ended at the next hop": sum(one.data is not None for one in sink.begun),
        "arrived more than once": len(doubled),
        "of these without a reason": len(unexplained),
        "memory of all processes, second and last quarter, MB": f"{early:.0f}, {late:.0f}",
        "left behind": f"{len(left)} processes, {len(leftovers)} files",
        "crashes in the log that nobody caused": len(crashes),
    }
    print("| | |\n| --- | --- |")
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    for line in crashes[:20]:
        print(line, file=sys.stderr)
    return int(bool(lost or damaged or unexplained or status or left or leftovers or late > early * GROWTH))


if __name__ == "__main__":
    sys.exit(main())
