"""`lazaretto setup postfix`: prints the lines that wire Lazaretto into Postfix, or writes them.

Without --apply nothing is touched. With it, main.cf and master.cf are changed as copies, which postconf(1) has to
understand; then both are put in place, and the old ones kept beside them with the date in their names. New services
stand between two marked lines, with a record of the parameters that were set elsewhere: another
wiring, or --remove, takes those back. A parameter or service that somebody else has set is not overwritten.

Exit status: 0 done, or nothing to do; 1 something is in the way, and nothing was changed; 64 wrong command line.
See:  postfix.py, the wirings; docs/postfix.md
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from lazaretto import regex
from lazaretto.cli import postfix_milter
from lazaretto.cli.postconf import Entry, Postconf, PostconfError, items, words
from lazaretto.cli.postfix import QUEUE, WIRINGS, Places, Setting, Wiring, ours_text, services_text, text, wiring
from lazaretto.errors import EX_OK, EX_USAGE, LazarettoError

if TYPE_CHECKING:
    import argparse

EX_FAILED = 1

BEGIN = "# BEGIN lazaretto: what follows is replaced by `lazaretto setup postfix`"
END = "# END lazaretto"
# From the last beginning before an end: if somebody has taken out an end, what he has written since stays.
_BLOCK = regex.compile(r"(?ms)^# BEGIN lazaretto\b(?:(?!^# BEGIN lazaretto\b).)*?^# END lazaretto$\n?")
_RECORD = regex.compile(r"(?m)^# (set|was) (\S+?)=(.*)$")
_FILES = ("main.cf", "master.cf")
# Lists to which ours is added; all other parameters have one owner.
_MILTERS = frozenset({*postfix_milter.LISTS, *postfix_milter.MACROS, postfix_milter.DEFAULTS})
_SHARED = frozenset({"smtpd_discard_ehlo_keywords"}) | _MILTERS


class InTheWayError(LazarettoError):
    """Somebody else's setting stands where ours would go."""


class Change(NamedTuple):
    """Files before and after, by name."""

    before: dict[str, str]
    after: dict[str, str]

    @property
    def files(self) -> list[str]:
        return [name for name in _FILES if self.before[name] != self.after[name]]


def run(args: list[str]) -> int:
    """The command line after `setup postfix`; the exit status."""
    import argparse

    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="lazaretto setup postfix",
        description="Print the lines of main.cf, master.cf and lazaretto.toml that wire Lazaretto into Postfix, or write the first two.",
        epilog="\n".join(["wirings:", *(f"  {name:18}{kind.summary}" for name, kind in WIRINGS.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("wiring", choices=WIRINGS, nargs="?", metavar="WIRING", help="one of those below")
    parser.add_argument("--milter", action="store_true", help="the same as the wiring milter")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--apply", action="store_true", help="change main.cf and master.cf; the old ones are kept")
    what.add_argument("--diff", action="store_true", help="show what --apply would change")
    what.add_argument("--remove", action="store_true", help="take back what --apply has changed")
    parser.add_argument(
        "--listen", metavar="ADDRESS", default="", help="where Lazaretto listens (default: 127.0.0.1:10025; milter: port 12200)"
    )
    parser.add_argument("--next-hop", metavar="ADDRESS", default="", help="where mail goes on (default: 127.0.0.1:10026)")
    parser.add_argument(
        "--service",
        metavar="NAME/TYPE",
        action="append",
        help="the smtpd in front, repeatable (default: smtp/inet; submission: its services)",
    )
    parser.add_argument(
        "--scan-only", metavar="EXPR[:EXPR]", default="", help="milter: scan only mail to recipients that match (default: all)"
    )
    parser.add_argument("--processes", type=int, metavar="N", default=10, help="messages filtered at a time after the queue (default: 10)")
    parser.add_argument("--user", default="lazaretto", help="who `spawn` runs as (default: lazaretto)")
    parser.add_argument("--command", metavar="PATH", default="", help="the program that `spawn` starts (default: this one)")
    parser.add_argument("--postfix-config", metavar="DIR", default="", help="Postfix' configuration directory (default: its own)")
    parser.add_argument("--postconf", metavar="PATH", default="postconf", help="postconf(1)")
    options = parser.parse_args(args)
    if options.milter:
        if options.wiring not in (None, "milter"):
            parser.error(f"expected one wiring, not {options.wiring} and --milter")
        options.wiring = "milter"
    if options.wiring is None and not options.remove:
        sys.stderr.write(parser.format_help())
        return EX_USAGE
    postconf = Postconf(options.postconf, options.postfix_config)
    try:
        if not (options.apply or options.diff or options.remove):
            made = _made(options, QUEUE)
            sys.stdout.write(text(made, options.postfix_config or "/etc/postfix"))
            sys.stdout.writelines(f"\n# {remark}\n" for remark in made.remarks)
            return EX_OK
        made = Wiring("") if options.remove else _made(options, postconf.run("-h", "queue_directory").strip())
        return _change(made, postconf, write=not options.diff)
    except ValueError as error:
        sys.stderr.write(f"lazaretto setup postfix: {error}\n")
        return EX_USAGE
    except OSError as error:
        sys.stderr.write(f"lazaretto setup postfix: {error.filename or options.postconf}: {error.strerror}\n")
    except LazarettoError as error:
        sys.stderr.write(f"lazaretto setup postfix: {error}\nNothing was changed.\n")
    return EX_FAILED


def _made(options: argparse.Namespace, queue: str) -> Wiring:
    """What the options want; ValueError where the addresses do not fit."""
    command = options.command or os.path.abspath(sys.argv[0])
    services = tuple(options.service or ())
    places = Places(options.listen, options.next_hop, command, options.user, options.processes, services, options.scan_only, queue)
    made = wiring(options.wiring, places)
    return made._replace(front=services or made.front)


def _change(made: Wiring, postconf: Postconf, *, write: bool) -> int:
    directory = postconf.directory or postconf.run("-h", "config_directory").strip()
    change = prepare(made, postconf, directory)
    sys.stdout.writelines(_diffs(change, directory))
    if not change.files:
        sys.stdout.write("Nothing to do: main.cf and master.cf are as they should be.\n")
    elif write:
        for name in change.files:
            kept = put(os.path.join(directory, name), change.after[name])
            sys.stdout.write(f"# written: {directory}/{name}; the old one is {kept}\n")
    if made.ours:
        sys.stdout.write(f"\n# now, in /etc/lazaretto/lazaretto.toml:\n\n{ours_text(made)}")
    if write and change.files:
        sys.stdout.write("\n# then: start Lazaretto, `postfix reload`, `lazaretto doctor`\n")
    sys.stdout.writelines(f"# {remark}\n" for remark in made.remarks)
    return EX_OK


class _Copy(Postconf):
    """A configuration directory that nobody else writes to."""

    def run(self, *arguments: str) -> str:
        for name in _FILES:
            os.utime(os.path.join(self.directory, name), (0, 0))  # Postfix lets files settle for a second or two that are young
        return super().run(*arguments)


def prepare(made: Wiring, postconf: Postconf, directory: str) -> Change:
    """What the two files would become.  InTheWayError, PostconfError, OSError."""
    import tempfile

    before = {name: read(os.path.join(directory, name)) for name in _FILES}
    with tempfile.TemporaryDirectory(prefix="lazaretto-") as stage:
        copy = _Copy(postconf.program, stage)
        for name in _FILES:
            _write(os.path.join(stage, name), _BLOCK.sub("", before[name]) if name == "master.cf" else before[name])
        chosen, entries = copy.chosen(), {entry.key: entry for entry in copy.entries()}
        old_warnings = {*copy.warnings}
        recorded = _Record(before["master.cf"])
        wanted = _wanted(made, entries, recorded, chosen)
        _take_back(copy, recorded, wanted, chosen, entries)
        for option, inside in (("-e", False), ("-P", True)):
            if pairs := [f"{name}={value}" for name, value in wanted.items() if ("/" in name) == inside]:
                copy.run(option, *pairs)
        master = os.path.join(stage, "master.cf")
        if made.name:
            _write(master, read(master).rstrip("\n") + "\n\n" + _block(made, wanted, recorded))
        else:
            _write(master, read(master).rstrip("\n") + "\n")
        copy.run("-n")
        if made.name == "milter" and (obstacle := postfix_milter.obstacle(made, copy.entries(), copy.effective())):
            raise InTheWayError(obstacle)
        there = {entry.key for entry in copy.entries()}
        if copy.warnings - old_warnings or not {service.key for service in made.services} <= there:
            raise PostconfError("postconf does not like the result: " + "; ".join(sorted(copy.warnings - old_warnings)))
        return Change(before, {name: read(os.path.join(stage, name)) for name in _FILES})


class _Record:
    """What an earlier --apply has set, and what had been there, by name."""

    def __init__(self, master: str) -> None:
        found = [match for block in _BLOCK.findall(master) for match in _RECORD.findall(block)]
        self.set = {name: value for word, name, value in found if word == "set"}
        self.was = {name: value for word, name, value in found if word == "was"}

    def ours(self, name: str) -> set[str]:
        """The items that we have added to a list of Milters or macros."""
        parameter = name.rpartition("/")[2]
        if parameter not in _MILTERS:
            return set()
        was = self.was.get(name, "")
        added = {*items(self.set.get(name, ""))} - {*items(was)} - {*items(postfix_milter.compact(was))}
        # In master.cf, what main.cf has for others is among them.
        return {*filter(postfix_milter.is_ours, added)} if parameter in postfix_milter.LISTS else added

    def without_ours(self, name: str, there: str) -> str:
        """A list as it is without what we have added to it; anything else as it is."""
        ours = self.ours(name)
        left = [item for item in items(there) if item not in ours]
        return there if len(left) == len(items(there)) else ", ".join(left)


def _wanted(made: Wiring, entries: dict[str, Entry], recorded: _Record, chosen: dict[str, str]) -> dict[str, str]:
    """What is to be set: parameters of main.cf by name, of master.cf as SERVICE/TYPE/NAME."""
    front = [key for key in _front(made, entries) if key in entries]
    if made.front_settings and not front:
        raise InTheWayError(f"master.cf has no service {' or '.join(made.front)}")
    for key in front:
        if entries[key].command != "smtpd":
            raise InTheWayError(f"{key} in master.cf is no smtpd, but {entries[key].command}; name the smtpd with --service")
    for service in made.services:
        if service.key in entries:
            raise InTheWayError(f"master.cf has a service {service.key} of its own")
    wanted = {}
    for setting in made.main:
        wanted[setting.name] = _value(setting, setting.name, chosen.get(setting.name), "", recorded)
    for key in front:
        for setting in made.front_settings:
            full = f"{key}/{setting.name}"
            there, inherited = entries[key].options.get(setting.name), chosen.get(setting.name, "")
            wanted[full] = _fit(full, _value(setting, full, there, inherited, recorded))
    return wanted


def _front(made: Wiring, entries: dict[str, Entry]) -> tuple[str, ...]:
    """Behind postscreen(8), smtpd is another service."""
    smtp = entries.get("smtp/inet")
    if made.front == ("smtp/inet",) and smtp is not None and smtp.command == "postscreen":
        return ("smtpd/pass",)
    return made.front


def _value(setting: Setting, full: str, there: str | None, inherited: str, recorded: _Record) -> str:
    """What `full` becomes where `there` stands now, None for nothing."""
    now, ours = there, recorded.ours(full)
    if there is not None and there == recorded.set.get(full):
        there = recorded.was.get(full)
    elif there:
        there = recorded.without_ours(full, there)
        recorded.was.pop(full, None)
    if setting.name in _SHARED:
        if there is not None and (there or not ours):
            recorded.was[full] = there
        if setting.name in postfix_milter.LISTS and now and ours & {*items(now)}:  # in the place that somebody may have given it
            return ", ".join(dict.fromkeys(setting.value if item in ours else item for item in items(now)))
        base = recorded.without_ours(setting.name, inherited) if there is None else there
        if setting.name in _MILTERS:
            return postfix_milter.merged(base, setting.value, setting.name)
        return ",".join(dict.fromkeys([*words(base), *words(setting.value)]))
    if there in (None, "", setting.value):
        return setting.value
    raise InTheWayError(f"{full} is set already, to {there!r}; if that can go, take it out first")


def _take_back(copy: _Copy, recorded: _Record, wanted: dict[str, str], chosen: dict[str, str], entries: dict[str, Entry]) -> None:
    """Remove what we once set, if it is still as we set it; from a list that others have changed since, our items."""
    for name, value in recorded.set.items():
        key, slash, parameter = name.rpartition("/")
        there = entries[key].options.get(parameter) if key in entries else None if slash else chosen.get(name)
        if name in wanted or there is None:
            continue
        left = recorded.was.get(name)
        if there != value:
            left = recorded.without_ours(name, there) or None
            if left == there:
                continue
        if left is not None:
            copy.run("-P" if slash else "-e", f"{name}={_fit(name, left)}")
        else:
            copy.run("-PX" if slash else "-X", name)


def _fit(name: str, value: str) -> str:
    """As postconf(1) takes it: in master.cf, lists have no white space."""
    if "/" not in name or name.rpartition("/")[2] not in _SHARED:
        return value
    return postfix_milter.compact(value)


def _block(made: Wiring, wanted: dict[str, str], recorded: _Record) -> str:
    record = "".join(f"# set {name}={value}\n" for name, value in wanted.items())
    record += "".join(f"# was {name}={value}\n" for name, value in recorded.was.items() if name in wanted)
    return f"{BEGIN}\n# {made.name}: {WIRINGS[made.name].summary}\n{record}{services_text(made)}{END}\n"


def put(path: str, content: str) -> str:
    """Write the file anew, with owner and permissions as they were; the name under which the old one is kept."""
    import shutil
    import time

    path = os.path.realpath(path)
    status = os.stat(path)
    kept = f"{path}.{time.strftime('%Y%m%dT%H%M%S')}"
    while os.path.exists(kept):
        kept += "~"
    shutil.copy2(path, kept)
    os.chown(kept, status.st_uid, status.st_gid)
    fresh = f"{path}.lazaretto-{os.getpid()}"
    try:
        with open(fresh, "x", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        if os.path.exists(fresh):
            os.unlink(fresh)
        raise
    return kept


def read(path: str) -> str:
    """The text of a file; bytes that are no UTF-8 come out of put() as they were."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)


def _printable(content: str) -> str:
    return content.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _diffs(change: Change, directory: str) -> list[str]:
    return [line for name in change.files for line in diff(change.before[name], change.after[name], f"{directory}/{name}")]


def diff(before: str, after: str, path: str) -> list[str]:
    """What changes in the file, as a unified diff."""
    import difflib

    return [*difflib.unified_diff(_printable(before).splitlines(keepends=True), _printable(after).splitlines(keepends=True), path, path)]
