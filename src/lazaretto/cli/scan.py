"""`lazaretto scan`: look at files; change nothing.

Messages, mbox files, Maildirs and other directories, and plain files.  A table
of what was found, or one JSON object a line; a progress bar on a terminal where
the `cli` extra is installed.

Exit status: 0 nothing found, 1 something found, 2 something could not be scanned
(which outranks 1: whoever acts on 1 must not miss it).

See:  docs/policy.md for what counts as found
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto.cli import setup
from lazaretto.content import sniff
from lazaretto.mime.source import Source
from lazaretto.model import Disposition, Finding, Kind, Span, Treatment
from lazaretto.policy.decide import decide
from lazaretto.scan.job import Scanner
from lazaretto.scan.report import finding_json, noteworthy

EX_CLEAN, EX_FOUND, EX_TROUBLE = 0, 1, 2


class Piece(NamedTuple):
    """Something to scan: a file, or one message of an mbox."""

    label: str
    path: str
    source: Source
    is_message: bool


class Result(NamedTuple):
    label: str
    state: str  # clean, found, noted (passed with a remark), trouble
    findings: tuple[Finding, ...]


def run(args: list[str]) -> int:
    """The command line after `scan`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="lazaretto scan", description="Scan messages, mbox files, Maildirs, directories and plain files."
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", help="file or directory; - is standard input")
    setup.add_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object for each file or message, a line each")
    parser.add_argument("--all", action="store_true", help="list clean files too")
    parser.add_argument("--message", action="store_true", help="take every file for a message, whatever it looks like")
    options = parser.parse_args(args)
    scanner = setup.scanner(options)
    counts = dict.fromkeys(("clean", "noted", "found", "trouble"), 0)
    try:
        show = _show_json if options.json else _show_text
        for result in _progress(_results(scanner, options.paths, options.message), quiet=options.json):
            counts[result.state] += 1
            if options.json or options.all or result.state != "clean":
                show(result)
    finally:
        scanner.close()
    if not options.json:
        total = sum(counts.values())
        sys.stdout.write(f"{total} scanned: {counts['found']} found, {counts['noted']} with remarks, {counts['trouble']} in trouble\n")
    return EX_TROUBLE if counts["trouble"] else EX_FOUND if counts["found"] else EX_CLEAN


def _results(scanner: Scanner, paths: list[str], force: bool) -> Iterator[Result]:
    for path in _files(paths):
        try:
            fd = 0 if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            yield _trouble(path, error)
            continue
        try:
            for piece in _pieces(path, _source(fd), force):
                yield _scan(scanner, piece)
        except OSError as error:
            yield _trouble(path, error)
        finally:
            if fd:
                os.close(fd)


def _trouble(path: str, error: OSError) -> Result:
    return Result(path, "trouble", (Finding("reader", Kind.ERROR, "system.error", (), error.strerror or str(error)),))


def _source(fd: int) -> Source:
    import stat

    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return Source.from_fd(fd, status.st_size)
    with os.fdopen(os.dup(fd), "rb") as stream:
        return Source(stream.read())


def _files(paths: list[str]) -> Iterator[str]:
    """Every file below `paths`, in a stable order; symbolic links below them are not followed."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                full = os.path.join(folder, name)
                if os.path.isfile(full) and not os.path.islink(full):
                    yield full


def _pieces(path: str, source: Source, force: bool) -> Iterator[Piece]:
    kind = sniff.sniff(source)
    in_maildir = os.path.basename(os.path.dirname(os.path.abspath(path))) in ("cur", "new")
    if kind == "mbox" and not force:
        for number, span in enumerate(_mbox(source), 1):
            yield Piece(f"{path}:{number}", path, Source(source.span(span)), is_message=True)
        return
    yield Piece(path, path, source, is_message=force or in_maildir or kind == "message" or path.endswith(".eml"))


def _mbox(source: Source) -> Iterator[Span]:
    """The messages of an mbox, each with its "From " line (which the reader knows)."""
    start = 0
    while start < source.size:
        stop = source.data.find(b"\nFrom ", start)
        stop = source.size if stop < 0 else stop + 1
        yield Span(start, stop)
        start = stop


def _scan(scanner: Scanner, piece: Piece) -> Result:
    looked = scanner.look(piece.source) if piece.is_message else scanner.look_file(piece.source, os.path.basename(piece.path))
    unique: dict[tuple[object, ...], Finding] = {}
    for found in looked:
        for finding in (found,) if isinstance(found, Finding) else found[1]:
            unique.setdefault((finding.engine, finding.name, finding.trail), finding)
    findings = tuple(unique.values())
    verdict = decide(findings, policy=scanner.policy)
    told = tuple(noteworthy(findings))
    if verdict.disposition is Disposition.TEMPFAIL:
        return Result(piece.label, "trouble", told)
    if verdict.disposition is not Disposition.ACCEPT or any(what > Treatment.CANONICALISE for _, what in verdict.treatments):
        return Result(piece.label, "found", told)
    return Result(piece.label, "noted" if told else "clean", told)


def _show_text(result: Result) -> None:
    lines = [f"{result.label}: {result.state.upper()}"]
    for finding in result.findings[:20]:
        where = " > ".join(finding.trail)
        lines.append(
            f"    {finding.name} ({finding.engine}{', ' + where if where else ''}){': ' + finding.detail if finding.detail else ''}"
        )
    sys.stdout.write("\n".join(map(_printable, lines)) + "\n")


def _show_json(result: Result) -> None:
    import json

    entry = {"path": result.label, "state": result.state, "findings": [finding_json(finding) for finding in result.findings]}
    sys.stdout.write(json.dumps(entry) + "\n")


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


def _progress(results: Iterator[Result], *, quiet: bool) -> Iterator[Result]:
    """Shows how far we are, on a terminal and with `rich` installed."""
    if quiet or not sys.stderr.isatty():
        yield from results
        return
    try:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield from results
        return
    columns = (SpinnerColumn(), TextColumn("{task.completed} scanned"), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        for result in results:
            bar.update(task, advance=1, description=_printable(result.label)[-60:])
            yield result
