"""`lazaretto migrate`: f-prot.conf in, the lazaretto.toml that it stands for out; and the sanitizer's configuration.

    lazaretto migrate                                      f-prot.conf, as scan-mail reads it
    lazaretto migrate --sanitizer 'feat_html = 1'          and arguments for the sanitizer, as behind its options
    lazaretto migrate --anomy /etc/sanitizer.cfg           the sanitizer's own program, without scan-mail

It is the text that `scan-mail` runs on.  The environment counts as it does there: a
SCANMAIL_ variable goes before the file.

Exit status: 0; 64 wrong command line; 73 the output cannot be written; 78 f-prot.conf or the
sanitizer's configuration is wrong or cannot be read; of the latter, what was read of it is shown, as it did.
See:  docs/migration.md, docs/anomy.md, legacy/profile.py, legacy/anomy.py
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from lazaretto.cli import setup
from lazaretto.errors import EX_OK, ConfigError

EX_CANTCREAT = 73
FPROT_CONF = "/etc/f-prot.conf"
_FIND_CLAMD_S = 0.5

_OPTIONS = """\
# Backup and quarantine are options of scan-mail: -backup is [backup] mode = "all", -quarantine is mode = "changed".
# What stands behind its options is for the sanitizer: --sanitizer.
"""


def run(args: list[str]) -> int:
    """The command line after `migrate`; the exit status."""
    import argparse

    from lazaretto.legacy import profile

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto migrate",
        formatter_class=setup.formatter,
        description="Write the configuration that an f-prot.conf stands for, with the origin of each line.",
    )
    parser.add_argument("--from", dest="source", metavar="FILE", default=FPROT_CONF, help=f"f-prot.conf to read (default: {FPROT_CONF})")
    parser.add_argument(
        "--sanitizer",
        metavar="LINE",
        action="append",
        default=[],
        help="argument for the sanitizer: a line, or a file with lines (repeatable)",
    )
    parser.add_argument(
        "--anomy", metavar="LINE", action="append", default=[], help="the same for the program sanitizer.pl; no f-prot.conf is read then"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    parser.add_argument(
        "--prefix", metavar="DIR", default=profile.PREFIX, help=f"directory that has backup and quarantine (default: {profile.PREFIX})"
    )
    options = parser.parse_args(args)
    if not options.prefix.startswith("/"):
        parser.error(f"--prefix: expected an absolute path, not {options.prefix}")
    if options.anomy and options.sanitizer:
        parser.error("--sanitizer is for scan-mail, --anomy for a sanitizer without it: expected one of them")
    try:
        text = translate_anomy(options.anomy) if options.anomy else translate(options.source, options.prefix, options.sanitizer)
    except ConfigError as error:
        if dump := getattr(error, "dump", ""):
            sys.stderr.write(f"Current configuration:\n{dump}")
        raise
    if options.output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as TOML is, whatever the terminal has
        sys.stdout.write(text)
        return EX_OK
    try:
        _write(options.output, text, options.force)
    except OSError as error:
        hint = "; --force replaces it" if isinstance(error, FileExistsError) else ""
        sys.stderr.write(f"lazaretto migrate: {options.output}: {error.strerror}{hint}\n")
        return EX_CANTCREAT
    return EX_OK


def translate_anomy(lines: Sequence[str]) -> str:
    """The text for the sanitizer's own program.  ConfigError for what is wrong in the lines."""
    from lazaretto.cli import sanitizer
    from lazaretto.legacy.page import Page
    from lazaretto.policy.config import parse

    page = Page()
    sanitizer.translate(page, lines)
    parse([("from the sanitizer", page.text())])
    return page.text()


def translate(source: str, prefix: str, lines: Sequence[str] = ()) -> str:
    """The text for the f-prot.conf at `source` and the sanitizer's `lines`.  ConfigError for what is wrong, or cannot be read."""
    from lazaretto.legacy import fprot_conf, profile
    from lazaretto.policy.config import parse

    conf = fprot_conf.read(_read(source), source, os.environ)
    clamd = ""
    if profile.scans_some(conf):
        from lazaretto.engines.registry import find_clamd

        clamd = find_clamd(_FIND_CLAMD_S) or ""
    page = profile.page_of(conf, prefix, clamd)
    if lines:
        from lazaretto.cli import sanitizer

        sanitizer.translate(page, lines, "", conf)
    text = page.text() + "\n" + _OPTIONS
    parse([(f"from {source}", text)])  # it must not be found out when mail comes
    return text


def _read(path: str) -> bytes:
    from lazaretto.legacy import shell

    try:
        with open(path, "rb") as file:
            return file.read(shell.MAX_BYTES + 1)  # one more is an error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error


def _write(path: str, text: str, force: bool) -> None:
    """The whole file or none: written beside its place, then put there."""
    beside = f"{path}.{os.getpid()}.new"
    try:
        with open(beside, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(beside, path)
        else:
            os.link(beside, path)  # fails if there is one, also one that has just come
    finally:
        try:
            os.unlink(beside)
        except FileNotFoundError:
            pass
