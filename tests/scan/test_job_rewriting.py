"""Small changes that the configuration asks for: they are told, the result is scanned, and alone they are a change."""

from __future__ import annotations

import scanners
from lazaretto.engines.base import EngineInfo, ScanContext
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Finding, Item, Kind
from lazaretto.policy.rules import Policy
from lazaretto.sanitize.rewrite import Rewriting
from lazaretto.sanitize.style import Style
from lazaretto.scan.job import Scanner
from lazaretto.scan.report import final_line, is_changed, outcome

SCRIPT = b"Subject: x\r\n\r\n#!/bin/sh\r\nevil\r\n"
STYLE = Style(rewriting=Rewriting(shell_scripts=True))


class EngineDouble:
    """Finds a marker in whatever is decoded."""

    name = "double"
    required = True
    by_content = False

    def __init__(self, marker: bytes) -> None:
        self.marker = marker

    def wants(self, item: Item) -> bool:
        return not item.is_message

    def scan(self, item: Item, ctx: ScanContext) -> list[Finding]:
        return [Finding(self.name, Kind.MALWARE, "Evil")] if item.content.data.find(self.marker) >= 0 else []

    def info(self, timeout_s: float) -> EngineInfo:
        return EngineInfo("double")

    def close(self) -> None:
        pass


def scan(message: bytes, *markers: bytes) -> tuple[bytes, str]:
    scanner = Scanner(
        Policy(quarantine=frozenset(), status_field=b""), [EngineDouble(marker) for marker in markers], scanners.template, style=STYLE
    )
    source = Source(message)
    report = scanner.scan(source)
    line = final_line(report, Envelope())
    assert is_changed(report) is (outcome(report) == "cleaned")
    return b"".join(render(source, report.edits)), line


def test_it_is_a_change_and_told() -> None:
    output, line = scan(SCRIPT)
    assert output == b"Subject: x\r\n\r\n#!/bin/sh\r\necho DEFANGED.1\r\nexit\r\n#!/bin/sh\r\nevil\r\n"
    assert " outcome=cleaned " in line
    assert " rewritten=shell-script " in line


def test_what_is_replaced_is_not_rewritten() -> None:
    output, line = scan(SCRIPT, b"evil")
    assert b"#!" not in output
    assert "rewritten" not in line


def test_what_the_change_makes_is_scanned() -> None:
    """Were it bad, the message would go out as it came: that has been scanned."""
    output, line = scan(SCRIPT, b"echo DEFANGED")
    assert output == SCRIPT
    assert "rewritten" not in line


def test_nothing_to_do() -> None:
    message = b"Subject: x\r\n\r\nhello\r\n"
    assert scan(message)[0] == message
