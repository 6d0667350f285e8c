"""CPU of one `lazaretto filter` on a clean 5 KB message, as a ratio to an interpreter that does nothing.

    python benchmarks/startup.py [--runs N]

User and system time of the whole process, from the kernel (wait4), medians of N
interleaved runs; the first run of each is thrown away (it compiles and stores).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import messages
from process import LAZARETTO, run


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of starting the filter.")
    parser.add_argument("--runs", type=int, default=31)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        filtering = (*LAZARETTO, "filter", "--config", os.devnull, "--state-dir", folder)
        commands = {
            "python -I -c pass": (sys.executable, "-I", "-c", "pass"),
            "filter, no engine": (*filtering, "--engine", "none"),
            "filter, embedded engine": (*filtering, "--engine", "yara"),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        message = Path(folder, "message.eml")
        message.write_bytes(messages.text(5_000))
        for number in range(options.runs + 1):
            for name, command in commands.items():
                cost = run(command, str(message), sample=False)
                if cost.status:
                    print(f"{name}: exit status {cost.status}: {cost.errors[-300:]}", file=sys.stderr)
                    return 1
                if number:
                    times[name].append(cost.cpu_s)
    base = statistics.median(times["python -I -c pass"])
    print("| command | CPU ms, median | least | ratio |\n| --- | --- | --- | --- |")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"| {name} | {median * 1000:.1f} | {min(values) * 1000:.1f} | {median / base:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
