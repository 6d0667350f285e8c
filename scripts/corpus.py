"""Every message of a corpus through the filter: no crash, and nothing changed without a reason in the log.

    python scripts/corpus.py FOLDER [-j JOBS] [--list]

Counted: identical but for the announced fields; canonicalised, because clients
read it differently; changed, refused or kept back, each with its findings; and what must not be: crashes, tracebacks, and changes
without a finding.

Errors:  exit status 1 if there is any of the latter.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from filtering import run_filter, state

ANNOUNCED = re.compile(rb"(?m)^X-Lazaretto-Status: [^\n]*\n")
FINDING = re.compile(r"([^\s\"(=]+)\(\w+,")  # findings="Eicar-Test-Signature(yara,2) ..."


class Result(NamedTuple):
    path: Path
    outcome: str
    reasons: tuple[str, ...]
    log: str


def identical(before: bytes, after: bytes) -> bool:
    """Is the message the same once the field that we announce is taken out?  (It stands on top, but below an mbox "From " line.)"""
    cut = (after[: field.start()] + after[field.end() :] for field in ANNOUNCED.finditer(after, 0, 1 << 16))
    return after == before or before in cut


def look(path: Path, kept: Path) -> Result:
    before = path.read_bytes()
    done = run_filter(before, kept)
    log = done.log.strip()
    reasons = tuple(sorted(set(FINDING.findall(log))))
    if done.status < 0 or done.status == 1 or "Traceback" in log or "internal error" in log:
        return Result(path, "CRASH", (), log)
    if done.status:
        return Result(path, f"exit {done.status}", reasons, log)
    if identical(before, done.output):
        return Result(path, "identical", reasons, log)
    if "outcome=canonicalised" in log:
        return Result(path, "canonicalised", reasons, log)
    return Result(path, "changed" if reasons else "CHANGED WITHOUT REASON", reasons, log)


def main() -> int:
    parser = argparse.ArgumentParser(description="A corpus of messages through the filter.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="one line for each message that is not identical")
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"no corpus at {options.folder}: nothing to do")
        return 0
    paths = [path for path in sorted(options.folder.rglob("*")) if path.is_file() and path.name != "MANIFEST.tsv"]
    with state() as kept, ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda path: look(path, kept), paths))
    for outcome, count in Counter(result.outcome for result in results).most_common():
        print(f"{count:>6} {outcome}")
    reasons = Counter(reason for result in results if result.outcome != "identical" for reason in result.reasons)
    print("\nfindings of messages that are not identical:")
    for reason, count in reasons.most_common(40):
        print(f"{count:>6} {reason}")
    bad = [result for result in results if result.outcome.isupper() or result.outcome in ("exit 75", "exit 78")]
    shown = [result for result in results if result.outcome != "identical"] if options.list else bad
    for result in shown:
        print(result.outcome, result.path.relative_to(options.folder), result.log[-300:], sep="\t")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
