"""Messages a second and CPU of each message through the milter, and through clamav-milter, with the same clamd and the same client.

    python benchmarks/milter.py [--seconds S] [--sizes 2k,50k,1M,mix] [--sessions 1,8,32] [--messages 1] [--filters clamav,ours-both]

The client is milter_load.py, one connection for each message, as an MTA has one for each SMTP session (--messages: so many on each).  clamd
is a private one with two signatures: what it costs is not what is measured.  Filters take turns in every row:

    ours-clamd    lazaretto milter --engine clamd: decodes, asks clamd about each part, and applies the policy of names and types
    ours-yara     the same with the embedded engine only
    ours-both     both engines
    clamav        clamav-milter, which gives clamd the message as it is

CPU is user and system time of the filter's processes, without clamd's.  The last column is what stays from one machine to the next:
messages a second over those of clamav-milter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

import milter_load
from smtp import LEAST, SIZES, Measured, cpu_s, words

import peers
from milter_process import MilterProcess
from smtp_session import listens


class Peer(NamedTuple):
    address: str
    pids: Callable[[], Iterable[int]]


@contextmanager
def clamav_milter(folder: str, clamd: str) -> Iterator[Peer]:
    """Debian's, in the foreground, on a UNIX socket."""
    binary = peers.require("clamav-milter")
    lines = [f"MilterSocket unix:{folder}/cm", f"ClamdSocket unix:{clamd}", "Foreground yes", "OnInfected Reject", "AddHeader Replace"]
    configuration = Path(folder) / "clamav-milter.conf"
    configuration.write_text("\n".join([*lines, f"LogFile {folder}/cm.log", "User root", ""]))
    process = subprocess.Popen([binary, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not listens(f"unix:{folder}/cm"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("clamav-milter does not start: " + (Path(folder) / "cm.log").read_text(errors="replace")[-500:])
            time.sleep(0.02)
        yield Peer(f"unix:{folder}/cm", lambda: [process.pid])
    finally:
        process.kill()
        process.wait()


def measure(peer: Peer, files: list[str], size: str, sessions: int, seconds: float, messages: int) -> Measured:
    command = [sys.executable, milter_load.__file__, peer.address, str(sessions)]
    subprocess.run([*command, "0", str(sessions), str(messages), *files[:1]], check=True, capture_output=True)
    before = cpu_s(peer.pids())
    done = subprocess.run([*command, str(seconds), str(LEAST.get(size, 40)), str(messages), *files], check=True, capture_output=True)
    spent = cpu_s(peer.pids()) - before
    found: dict[str, Any] = json.loads(done.stdout)
    if set(found["answers"]) - {"a", "c"}:
        raise SystemExit(f"not all were taken: {found['answers']}")
    return Measured(found["messages"] / found["seconds"], spent / found["messages"] * 1000, found["p50"], found["p99"])


def main() -> int:
    parser = argparse.ArgumentParser(description="Throughput and cost of the milter, beside clamav-milter.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--sizes", type=words, default=["2k", "50k", "1M", "mix"])
    parser.add_argument("--sessions", type=words, default=["1", "8", "32"])
    parser.add_argument("--messages", type=int, default=1, help="on each connection")
    parser.add_argument("--filters", type=words, default=["clamav", "ours-clamd", "ours-yara", "ours-both"])
    options = parser.parse_args()
    columns = "message, sessions, filter, messages/s, CPU ms, ms median, ms 99 %, ratio"
    print(f"| {columns.replace(',', ' |')} |\n|{' --- |' * len(columns.split(','))}")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lz-bench-", dir="/tmp"))
        os.chmod(folder, 0o755)
        clamd = peers.RealClamd(Path(folder))
        clamd.start()
        stack.callback(clamd.stop)
        socket_path = clamd.unix.removeprefix("unix:")
        engines = {"ours-clamd": [f"clamd:{socket_path}"], "ours-yara": ["yara"], "ours-both": ["yara", f"clamd:{socket_path}"]}
        filters: dict[str, Peer] = {}
        for name in options.filters:
            if name == "clamav":
                filters[name] = stack.enter_context(clamav_milter(folder, socket_path))
                continue
            first, *others = engines[name]
            more = [text for engine in others for text in ("--engine", engine)]
            ours = stack.enter_context(MilterProcess(*more, engine=first, process__workers=1, process__scanners=0))
            filters[name] = Peer(ours.address, ours.family)
        for size in options.sizes:
            files = []
            for number, message in enumerate(SIZES[size]()):
                files.append(f"{folder}/{size}-{number}")
                Path(files[-1]).write_bytes(message)
            for sessions in map(int, options.sessions):
                theirs = 0.0
                for name, peer in filters.items():
                    got = measure(peer, files, size, sessions, options.seconds, options.messages)
                    theirs = got.rate if name == "clamav" else theirs
                    ratio = f"{got.rate / theirs:.2f}" if theirs else ""
                    cells = [size, sessions, name, f"{got.rate:.0f}", f"{got.cpu_ms:.2f}", f"{got.p50:.1f}", f"{got.p99:.1f}", ratio]
                    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
