"""Warming up: what the next message needs is there, and nothing else has happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import obedient
import programs
import scanners
from lazaretto.engines.base import ScanContext
from lazaretto.frontends import warmup
from lazaretto.mime.source import Source
from lazaretto.model import Finding, Item
from lazaretto.scan import report as reporting


class Watched(obedient.Obedient):
    asked = 0

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        Watched.asked += 1
        return []


def test_only_the_engine_for_names_is_asked(tmp_path: Path) -> None:
    attachments = scanners.embedded()[0]
    assert attachments.name == "attachments"
    scanner = scanners.make(tmp_path, [attachments, Watched()])
    warmup.warm(scanner)
    assert Watched.asked == 0
    assert os.listdir(tmp_path) == []
    scanner.scan(Source(warmup.MESSAGES[0]))
    assert Watched.asked == 1


def test_the_mails_are_ordinary(tmp_path: Path) -> None:
    """So that they go the way of most mail."""
    scanner = scanners.make(tmp_path)
    for message in warmup.MESSAGES:
        report = scanner.scan(Source(message))
        assert reporting.outcome(report) == "clean"
        assert report.findings == ()


def test_nothing_is_loaded_later_and_no_thread_started(tmp_path: Path) -> None:
    """With the rules of YARA-X loaded: loading them starts no thread, which a fork would lose."""
    script = """
import json, sys
import scanners
from lazaretto.frontends import warmup
from lazaretto.mime.source import Source
scanner = scanners.make(sys.argv[1])
warmup.warm(scanner)
before = set(sys.modules)
threads = warmup.threads()
scanner.scan(Source(warmup.MESSAGES[2]))
print(json.dumps([threads, warmup.threads(), sorted(set(sys.modules) - before)]))
"""
    environment = programs.environment(tmp_path)
    environment["PYTHONPATH"] += os.pathsep + os.path.dirname(programs.__file__)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, timeout=60, check=True)
    before, after, loaded = json.loads(done.stdout)
    assert before == 1
    assert after == 2  # else this test would see nothing: the scan starts the thread
    assert loaded == []


def test_what_is_wrong_is_said_later(tmp_path: Path) -> None:
    scanner = scanners.make(tmp_path)
    scanner.spool_directory = str(tmp_path / "nowhere")
    scanner.limits = scanner.limits._replace(spool_memory_bytes=0)
    warmup.warm(scanner)
