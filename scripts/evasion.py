"""The evasion corpus through the filter, judged by the corpus' own oracle, which reads nothing but the output.

    python scripts/evasion.py FOLDER [--max-bypass N] [-j JOBS] [ID ...]

FOLDER has oracle.py and cases/ID.json with its messages.  BLOCKED: nothing is
delivered; NEUTRALISED: no client can reach the payload in what is; RESIDUAL: only
by forcing a decoder that no header suggests; BYPASS: some client gets it.
Controls are honest, unusual mail: PASS, CHANGED or LOST.

Errors:  exit status 1 on a changed or lost control, a crash, or more than N bypasses.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from filtering import Filtered, run_filter, state

COLUMNS = ("BLOCKED", "NEUTRALISED", "RESIDUAL", "BYPASS", "PASS", "CHANGED", "LOST")


class Result(NamedTuple):
    case: str
    family: str
    verdict: str
    why: str
    crash: str


def load_oracle(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("oracle", folder / "oracle.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judge(folder: Path, kept: Path, case: Path) -> Result:
    oracle = load_oracle(folder)
    meta = json.loads(case.read_text(encoding="utf-8"))
    messages = [(case.parent / name).read_bytes() for name in meta["files"]]
    runs: list[Filtered] = [run_filter(message, kept) for message in messages]
    # Whatever the status is not 0 for: the message is refused, discarded or kept back, none of it reaches a mailbox.
    delivered = [one.output for one in runs if one.status == 0]
    crash = next((one.log.strip()[-200:] for one in runs if one.status < 0 or one.status == 1 or "internal error" in one.log), "")
    if meta["kind"] == "control":
        result = oracle.judge_control(messages[0], delivered)
        return Result(meta["id"], "control", result["verdict"], result.get("why") or "", crash)
    result = oracle.judge(meta, delivered)
    return Result(meta["id"], meta["family"], result["verdict"], f"{meta['technique']}: {result.get('why') or ''}", crash)


def main() -> int:
    parser = argparse.ArgumentParser(description="The evasion corpus through the filter.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these cases, with what happened to each")
    parser.add_argument("--max-bypass", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    options = parser.parse_args()
    if not (options.folder / "oracle.py").exists():
        print(f"no corpus at {options.folder}: nothing to do")
        return 0
    cases = [case for case in sorted((options.folder / "cases").glob("*.json")) if not options.ids or case.stem in options.ids]
    with state() as kept, ProcessPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(judge, options.folder, kept, case) for case in cases]
        results = [future.result() for future in futures]

    table: dict[str, Counter[str]] = {}
    for result in results:
        table.setdefault(result.family, Counter())[result.verdict] += 1
    table["all"] = sum((counts for family, counts in table.items() if family != "control"), Counter())
    width = max(map(len, table))
    print(f"{'family':<{width}} " + " ".join(f"{column:>11}" for column in COLUMNS))
    for family, counts in table.items():
        print(f"{family:<{width}} " + " ".join(f"{counts[column] or '.':>11}" for column in COLUMNS))
    failing = [result for result in results if result.verdict in ("BYPASS", "CHANGED", "LOST") or result.crash]
    for result in results if options.ids else failing:
        print(result.verdict, result.case, result.why, result.crash, sep="\t")
    bypasses = table["all"]["BYPASS"]
    spoiled = sum(result.verdict in ("CHANGED", "LOST") for result in results)
    crashes = sum(bool(result.crash) for result in results)
    print(f"{bypasses} bypasses (at most {options.max_bypass}), {spoiled} controls changed or lost, {crashes} crashes")
    return int(bypasses > options.max_bypass or spoiled > 0 or crashes > 0)


if __name__ == "__main__":
    sys.exit(main())
