"""CPU of the scan server for each request, and what one client after the other waits.

    python benchmarks/server.py [--requests N] [--clients N]

A clean message of 5 KB as STREAM, each on a connection of its own; PING for what a connection and
its process cost alone. User and system time of parent and children, from the kernel (wait4); the
start is measured alone and taken off.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import messages
from process import LAZARETTO


def served(folder: str, request: bytes, requests: int, clients: int) -> tuple[float, list[float]]:
    """CPU seconds of a server that lives for `requests`, and the seconds that each of them took."""
    path = f"{folder}/s.sock"
    command = (*LAZARETTO, "serve", "--config", os.devnull, "--state-dir", folder, "--engine", "yara", "--listen", f"unix:{path}")
    log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT, 0o600)
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, log, 2)])
    os.close(log)
    while not os.path.exists(path):
        time.sleep(0.01)

    def ask(_number: int) -> float:
        started = time.monotonic()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            answered = b""
            while piece := client.recv(1 << 16):
                answered += piece
        if not answered.startswith(b"0 "):
            raise SystemExit(f"answer: {answered[:100]!r}")
        return time.monotonic() - started

    with ThreadPoolExecutor(clients) as pool:
        times = list(pool.map(ask, range(requests)))
    os.kill(pid, signal.SIGTERM)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"the server ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, times


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of requests to the scan server.")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--clients", type=int, default=1)
    options = parser.parse_args()
    message = messages.text(5_000)
    print("| request | CPU ms each | answer after ms, median | largest |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        served(folder, b"PING\n", 1, 1)  # compiles and stores
        start, _ = served(folder, b"PING\n", 1, 1)
        for name, request in (("PING", b"PING\n"), ("STREAM, clean, 5 KB", b"STREAM %d\n%s" % (len(message), message))):
            cpu_s, times = served(folder, request, options.requests, options.clients)
            each = (cpu_s - start) / options.requests * 1000
            print(f"| {name} | {each:.2f} | {statistics.median(times) * 1000:.2f} | {max(times) * 1000:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
