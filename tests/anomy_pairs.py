"""Pairs of a configuration and a message of the sanitizer, with what comes out: read from tests/anomy/*.pairs, and run.

A file holds messages and pairs, each begun by a line of its own:

    --- message NAME        the lines that follow are the message
    === NAME                a pair; what it is about stands in `%% about`
    %% lines                the sanitizer's lines (@DIR@: a directory of this test)
    %% program sanitizer    they are for the sanitizer's own program; without, for scan-mail
    %% message NAME         what goes in; or `%% message`, and the lines follow
    %% script NAME          a program in @DIR@, run by sh
    %% same                 the message comes out as it was; with lines: and these fields at the end of its header
    %% output               what comes out, line by line; `...` alone is any number of lines
    %% exit N               exit status; 0 without
    %% saved                what the only saved file holds
    %% log                  words of the final line

Fields of Lazaretto's own (X-Antivirus, X-Lazaretto-Status) are switched off.

Expected is what the specification says, worked out by hand, never what came out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from lazaretto.legacy import anomy, fprot_conf, profile
from lazaretto.legacy.anomy_values import STANDALONE, settle
from lazaretto.legacy.page import Page
from lazaretto.legacy.sanitizer_lines import parse
from lazaretto.mime.edits import render
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Envelope
from lazaretto.policy import config
from lazaretto.scan import assemble
from lazaretto.scan.report import final_line

NOW = 1_800_000_000.0
DIRECTORY = Path(__file__).resolve().parent / "anomy"


class Pair(NamedTuple):
    name: str
    sections: dict[str, list[str]]  # "lines", "message exe", "script scan.sh" ... -> the lines that follow
    messages: dict[str, bytes]

    def one(self, start: str) -> tuple[str, list[str]] | None:
        """The section that begins so: its argument and its lines."""
        return next(((title.partition(" ")[2], lines) for title, lines in self.sections.items() if title.split(" ")[0] == start), None)


class Outcome(NamedTuple):
    output: bytes
    exit_status: int
    saved: list[bytes]
    log: str


def read(path: Path) -> list[Pair]:
    """All pairs of a file."""
    messages: dict[str, list[str]] = {}
    pairs: list[Pair] = []
    current: list[str] = []
    done: dict[str, bytes] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("--- message "):
            current = messages.setdefault(line[12:], [])
        elif line.startswith("=== "):
            pairs.append(Pair(line[4:], {}, done))
            current = []
        elif line.startswith("%% "):
            current = pairs[-1].sections.setdefault(line[3:], [])
        else:
            current.append(line)
    done.update({name: _joined(lines) for name, lines in messages.items()})
    return pairs


def _joined(lines: list[str]) -> bytes:
    """Without the empty lines that only stand before the next section."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return "".join(line + "\n" for line in lines).encode()


def message_of(pair: Pair) -> bytes:
    section = pair.one("message")
    assert section is not None, f"{pair.name} has no message"
    return pair.messages[section[0]] if section[0] else _joined(section[1])


def run(pair: Pair, directory: Path) -> Outcome:
    """The message through a scanner with the pair's configuration."""
    for title, lines in pair.sections.items():
        if title.startswith("script "):
            path = directory / title[7:]
            path.write_text("#!/bin/sh\n" + "\n".join(lines).replace("@DIR@", str(directory)) + "\n")
            path.chmod(0o755)
    section = pair.one("lines")
    lines = [line.replace("@DIR@", str(directory)) for line in (section[1] if section is not None else [])]
    standalone = pair.one("program") is not None
    conf = fprot_conf.read(f"SCANMAIL_QUARANTINEDIR={directory}/saved".encode(), "f-prot.conf", {})
    page = Page() if standalone else profile.page_of(conf)
    settings = parse(lines, lambda name: (directory / name).read_bytes(), NOW)
    anomy.add(page, settle(settings, STANDALONE if standalone else anomy.scan_mail_base(conf), standalone=standalone))
    ours = f'headers.status_field = ""\nheaders.scanned_field = ""\nquarantine.directory = "{directory}/quarantine"\n'
    chosen = config.parse([("pair", page.text()), ("test", ours)])
    scanner = assemble.scanner(chosen, ("none",), str(directory / "state"))
    source = Source(message_of(pair))
    report = scanner.scan(source, Envelope())
    scanner.close()
    assert report.verdict.disposition is Disposition.ACCEPT, report
    saved = [path.read_bytes() for path in sorted((directory / "saved").rglob("*"))] if (directory / "saved").exists() else []
    status = scanner.alarm_status if report.verdict.alarm else 0
    return Outcome(b"".join(render(source, report.edits)), status, saved, final_line(report, Envelope()))


def expected(pair: Pair) -> list[str]:
    """The lines that are to come out, `...` among them."""
    if (section := pair.one("output")) is not None:
        return _joined(section[1]).decode().splitlines()
    section = pair.one("same")
    assert section is not None, f"{pair.name} expects nothing"
    fields = [line for line in section[1] if line]
    header, blank, body = message_of(pair).decode().partition("\n\n")
    return (header + "\n" + "".join(field + "\n" for field in fields) + "\n" + body if blank else header).splitlines()


def matches(wanted: list[str], lines: list[str]) -> bool:
    """Are they the same, `...` apart?"""
    pattern = "".join("(?:[^\\n]*\\n)*?" if line == "..." else re.escape(line) + "\\n" for line in wanted)
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None
