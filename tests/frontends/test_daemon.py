"""Into the background: who waits for whom, and what the caller gets to see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import programs

BEGIN = "import os, sys\nfrom lazaretto.frontends.daemon import detach\nbefore = os.getpid(), os.getsid(0)\ntell = detach()\n"


def started(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The process that was started, to its end, with what it and the daemon wrote to standard error before it was ready."""
    command = [sys.executable, "-c", BEGIN + script, str(tmp_path)]
    return subprocess.run(
        command, env=programs.environment(tmp_path), capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )


def test_ready(tmp_path: Path) -> None:
    script = """
os.mkfifo(sys.argv[1] + "/report")
facts = [os.getpid() != before[0], os.getsid(0) == os.getpid(), os.getcwd() == "/"]
print("early", file=sys.stderr, flush=True)
tell("")
tell("a second word has no effect")
print("late", file=sys.stderr, flush=True)
facts += [os.path.samestat(os.fstat(number), os.stat("/dev/null")) for number in range(3)]
with open(sys.argv[1] + "/report", "w") as file:
    file.write(repr((facts, sorted(os.listdir("/proc/self/fd")))))
"""
    done = started(script, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "early\n")
    facts, descriptors = eval((tmp_path / "report").read_text())  # waits for the daemon: it is a FIFO
    assert facts == [True] * 6
    assert len(descriptors) == 5  # three, the report, and the directory that was listed


@pytest.mark.parametrize("problem", ["cannot listen on 127.0.0.1:1: Permission denied", "x" * 100_000, "caf\u00e9 \udce9"])
def test_problem_is_told_where_it_was_started(tmp_path: Path, problem: str) -> None:
    done = started(f"tell({problem!r})\nos._exit(5)\n", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("lazaretto: " + problem[:5].rstrip("\udce9"))
    assert done.stderr.count("\n") == 1


def test_problem_with_a_status(tmp_path: Path) -> None:
    done = started("tell('wrong', 78)\ntell('', 0)\n", tmp_path)
    assert (done.returncode, done.stderr) == (78, "lazaretto: wrong\n")


@pytest.mark.parametrize(("end", "status"), [("os._exit(7)", "7"), ("os.kill(os.getpid(), 9)", "-9"), ("pass", "0")])
def test_daemon_that_ends_before_it_is_ready(tmp_path: Path, end: str, status: str) -> None:
    done = started(end, tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"lazaretto: ended before it was ready (status {status})\n"


def test_caller_waits_until_it_is_ready(tmp_path: Path) -> None:
    """What the daemon did before it told is done when the caller's command returns."""
    script = "sum(range(10**7))\nopen(sys.argv[1] + '/done', 'w').close()\ntell('')\n"
    assert started(script, tmp_path).returncode == 0
    assert os.path.exists(tmp_path / "done")
