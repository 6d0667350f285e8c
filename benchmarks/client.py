"""CPU of one `lazaretto-client` on a clean 5 KB message against the running server, as a ratio to an interpreter that does nothing.

    python benchmarks/client.py [--runs N]

The program is measured as pip installs it: a copy of the tree goes into new virtual
environments, once with `pip install .` and once with `pip install -e .`; the base is
`python3 -I -S -c pass` of the same environment.  User and system time of the whole
process with its children, from the kernel (wait4), medians of N interleaved runs.

Exit status 1 if a ratio is above 1.5.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import messages
from process import LAZARETTO, run

ROOT = Path(__file__).resolve().parent.parent
MOST = 1.5
START_S = 30


def installed(tree: Path, environment: Path, *how: str) -> Path:
    """The programs of a new virtual environment with the package in `tree`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python3"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--disable-pip-version-check", *how, str(tree)], check=True)
    return environment / "bin"


@contextmanager
def server(folder: Path, *addresses: str) -> Iterator[None]:
    """A scan server without engines that listens there, once it answers."""
    listen = [argument for address in addresses for argument in ("--listen", address)]
    command = [*LAZARETTO, "serve", "--config", os.devnull, "--state-dir", str(folder), "--engine", "none", *listen]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + START_S
        while not all(answers(address) for address in addresses):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server does not start: " + (folder / "log").read_text()[-500:])
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(START_S)


def answers(address: str) -> bool:
    try:
        if address.startswith("unix:"):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(1)
            peer.connect(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            peer = socket.create_connection((host, int(port)), timeout=1)
        with peer:
            peer.sendall(b"PING\n")
            return peer.recv(100).startswith(b"0 ")
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of one thin client.")
    parser.add_argument("--runs", type=int, default=101)
    options = parser.parse_args()
    highest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = folder / "tree"  # a copy, because building leaves things behind
        for part in ("src", "bin"):
            shutil.copytree(ROOT / part, tree / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for part in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / part, tree)
        with socket.create_server(("127.0.0.1", 0)) as free:
            tcp = f"127.0.0.1:{free.getsockname()[1]}"
        addresses = {"UNIX socket": f"unix:{folder}/s", "TCP": tcp}
        message = folder / "message.eml"
        message.write_bytes(messages.text(5_000))
        programs = {"pip install .": installed(tree, folder / "a"), "pip install -e .": installed(tree, folder / "b", "--editable")}
        print("| installed by | command | CPU ms, median | least | ratio |\n| --- | --- | --- | --- | --- |")
        with server(folder, *addresses.values()):
            for how, where in programs.items():
                base = "python3 -I -S -c pass"
                commands: dict[str, tuple[str, ...]] = {base: (str(where / "python3"), "-I", "-S", "-c", "pass")}
                commands |= {way: (str(where / "lazaretto-client"), "--connect", address) for way, address in addresses.items()}
                times: dict[str, list[float]] = {way: [] for way in commands}
                for number in range(options.runs + 1):
                    for way, command in commands.items():
                        cost = run(command, str(message), sample=False)
                        if cost.status or (way != base and cost.output_bytes <= 5_000):
                            print(f"{way}: exit status {cost.status}: {cost.errors[-300:]}", file=sys.stderr)
                            return 1
                        if number:
                            times[way].append(cost.cpu_s)
                for way, values in times.items():
                    ratio = statistics.median(values) / statistics.median(times[base])
                    highest = max(highest, ratio)
                    label = way if way == base else f"lazaretto-client, {way}"
                    print(f"| {how} | {label} | {statistics.median(values) * 1000:.1f} | {min(values) * 1000:.1f} | {ratio:.2f} |")
    return 1 if highest > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
