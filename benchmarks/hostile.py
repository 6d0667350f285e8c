"""Hostile and huge messages through the filter: time, memory, what was found; exit status 1 if a bound is broken.

    python benchmarks/hostile.py [--engine SPEC] [NAME ...]     NAME: part of a row's name

Each row runs `lazaretto filter` on an input and on one of double size.  Time is
CPU of the process (user and system), the least of REPEATS runs, less what an
empty message costs; the ratio has to stay under MAX_RATIO, where quadratic growth
would show as 4.  A net time under FLOOR_S says nothing about growth: no ratio.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import messages
from hostile_inputs import CASES, Case, clean_attachment
from process import LAZARETTO, Cost, run

MAX_RATIO = 2.3
MAX_RATIO_TENFOLD = 12.0
MAX_ANON_BYTES = 100_000_000
TIMEOUT_S = 150  # more than limits.max_scan_s: the filter has to give up by itself
REPEATS = 3
FLOOR_S = 0.1
OUTCOMES = (0, 75)  # the message is handed on, or the caller keeps it


class Bench:
    def __init__(self, folder: Path, engine: str) -> None:
        self.path = folder / "message.eml"
        self.options = ("--config", os.devnull, "--state-dir", str(folder), "--engine", engine)
        self.broken: list[str] = []
        self.base_s = 0.0
        self.base_s = self.cost("an empty message", [messages.text(500)])[0]

    def cost(self, name: str, chunks: Iterable[bytes]) -> tuple[float, Cost, int]:
        """Net CPU seconds, the last run in full, size of the message."""
        with self.path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        runs = [run((*LAZARETTO, "filter", *self.options), str(self.path), timeout_s=TIMEOUT_S) for _ in range(REPEATS)]
        for one in runs:
            if one.status not in OUTCOMES:
                self.broken.append(f"{name}: exit status {one.status}: {one.errors[-300:]}")
            if one.peak_anon_bytes > MAX_ANON_BYTES:
                self.broken.append(f"{name}: {one.peak_anon_bytes / 1e6:.0f} MB of anonymous memory")
        return min(one.cpu_s for one in runs) - self.base_s, max(runs, key=lambda one: one.peak_anon_bytes), self.path.stat().st_size

    def growth(self, name: str, small_s: float, large_s: float, bound: float) -> str:
        if large_s < FLOOR_S:
            return "-"
        ratio = large_s / max(small_s, 0.001)
        if ratio > bound:
            self.broken.append(f"{name}: {ratio:.1f} times the time, at most {bound}")
        return f"{ratio:.2f}"

    def row(self, case: Case) -> None:
        small_s, _, size = self.cost(case.name, case.make(case.size))
        large_s, last, _ = self.cost(case.name, case.make(2 * case.size))
        ratio = self.growth(case.name, small_s, large_s, MAX_RATIO)
        found = findings(last) or self.remarks(case)
        if case.odd and not found:
            self.broken.append(f"{case.name}: no finding")
        cells = [case.name, f"{case.size:,} {case.unit}", f"{size:,}", f"{small_s * 1000:.0f}", f"{large_s * 1000:.0f}", ratio]
        cells += [f"{last.peak_anon_bytes / 1e6:.0f}", str(last.status), " ".join(found[:4])]
        print("| " + " | ".join(cells) + " |", flush=True)

    def remarks(self, case: Case) -> list[str]:
        """What `lazaretto explain` says of the form of the message: the log line names only what matters to policy."""
        self.path.write_bytes(b"".join(case.make(case.size)))
        done = subprocess.run(
            [*LAZARETTO, "explain", "--json", *self.options, str(self.path)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        return sorted(set(re.findall(r'"name": ?"([a-z0-9]+\.[a-z0-9-]+)"', done.stdout)))

    def large(self) -> None:
        """The honest large message."""
        times: dict[int, float] = {}
        for megabytes in (10, 100, 150):
            times[megabytes], last, size = self.cost(f"clean {megabytes} MB", clean_attachment(megabytes))
            ratio = self.growth("100 MB over 10 MB", times[10], times[100], MAX_RATIO_TENFOLD) if megabytes == 100 else "-"
            if last.output_bytes < size:
                self.broken.append(f"clean {megabytes} MB: {last.output_bytes} bytes came out of {size}")
            cells = [f"{megabytes} MB", f"{size:,}", f"{times[megabytes] * 1000:.0f}", ratio]
            cells += [f"{last.peak_anon_bytes / 1e6:.0f}", str(last.status), " ".join(findings(last)) or "none"]
            print("| " + " | ".join(cells) + " |", flush=True)


def findings(cost: Cost) -> list[str]:
    """Names of findings in the log line of one run."""
    return sorted(set(re.findall(r"([^\s\"(=]+)\(\w+,", cost.errors)))


def main() -> int:
    parser = argparse.ArgumentParser(description="Hostile and huge messages through the filter.")
    parser.add_argument("--engine", default="yara")
    parser.add_argument("names", nargs="*", help="rows to run (default: all); 'clean' for the large clean messages")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        return not options.names or any(word in name for word in options.names)

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.engine)
        print(f"An empty message: {bench.base_s * 1000:.0f} ms of CPU, taken off below.\n")
        if wanted("clean"):
            print("| clean attachment | bytes | CPU ms | 100 MB / 10 MB | RssAnon MB | exit | findings |\n|" + " --- |" * 7)
            bench.large()
            print()
        print("| input | count | bytes | CPU ms | doubled | ratio | RssAnon MB | exit | findings |\n|" + " --- |" * 9)
        for case in CASES:
            if wanted(case.name):
                bench.row(case)
    for line in dict.fromkeys(bench.broken):
        print(f"BROKEN {line}", file=sys.stderr)
    return int(bool(bench.broken))


if __name__ == "__main__":
    sys.exit(main())
