"""One message from bytes to verdict in a process that is warm: what a daemon pays for each.

    python benchmarks/pipeline.py [--engine SPEC]

CPU of the process, best of several rounds; reading, decoding, digests, names,
types and documents are in it, and the engine if one is named.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

import messages

from lazaretto.mime.source import Source
from lazaretto.policy import config
from lazaretto.scan import assemble

ROUNDS = 5
ROUND_S = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of one message in a warm process.")
    parser.add_argument("--engine", default="none")
    options = parser.parse_args()
    samples = {
        "text 5 kB": messages.text(5_000),
        "text 1 MB": messages.text(1_000_000),
        "alternative 20 kB": messages.alternative(20_000),
        "attachment 100 kB": messages.with_attachment(100_000),
        "attachment 5 MB": messages.with_attachment(5_000_000),
        "digest of 50": messages.digest(50),
    }
    with tempfile.TemporaryDirectory() as folder:
        scanner = assemble.scanner(config.parse(), (options.engine,), folder)
        print("| message | bytes | CPU ms | MB/s |\n| --- | --- | --- | --- |")
        for title, data in samples.items():
            best = float("inf")
            for _ in range(ROUNDS):
                calls = 0
                started = time.process_time()
                while (spent := time.process_time() - started) < ROUND_S:
                    if scanner.scan(Source(data)).findings:
                        print(f"{title}: not clean", file=sys.stderr)
                        return 1
                    calls += 1
                best = min(best, spent / calls)
            print(f"| {title} | {len(data):,} | {best * 1000:.2f} | {len(data) / 1e6 / best:.0f} |", flush=True)
        scanner.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
