"""Postfix' configuration as postconf(1) tells it: parameters, and the entries of master.cf.

Errors:  PostconfError if the program fails, OSError if it cannot be started.
See:     postconf(1), master(5)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from lazaretto import regex
from lazaretto.errors import LazarettoError

TIMEOUT_S = 30.0
_OPTION = regex.compile(r"-o\s+(?:(?P<braced>\{)|(?P<plain>[^={}\s]+)=(?P<value>\S*))")
_ITEM = regex.compile(r"\{|[^\s,]+")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class PostconfError(LazarettoError):
    """postconf has failed; its own words."""


class Entry(NamedTuple):
    """One service of master.cf."""

    name: str
    kind: str  # inet, unix, pass ...
    chroot: str  # y, n, -
    processes: str
    command: str
    options: dict[str, str]  # -o name=value
    arguments: str  # all that follows the command

    @property
    def key(self) -> str:
        return f"{self.name}/{self.kind}"

    def chrooted(self, level: str) -> bool:
        """Does it run within chroot, with that compatibility_level?  What "-" means has changed with Postfix 3.0."""
        return self.chroot == "y" or (self.chroot == "-" and not level.partition(".")[0].strip("0"))


class Postconf:
    """One configuration directory; "" is the program's own."""

    def __init__(self, program: str = "postconf", directory: str = "") -> None:
        self.program = program
        self.directory = directory
        self.warnings: set[str] = set()  # what it had to say on standard error

    def run(self, *arguments: str) -> str:
        """Its output."""
        import subprocess

        command = [self.program, *(["-c", self.directory] if self.directory else []), *arguments]
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            done = subprocess.run(  # noqa: S603 - a program that the administrator names, no shell
                command, capture_output=True, check=False, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL, env=environment
            )
        except subprocess.TimeoutExpired:
            raise PostconfError(f"{self.program} does not end") from None
        said = done.stderr.decode("utf-8", "backslashreplace").strip()
        if done.returncode:
            raise PostconfError(said or f"{self.program}: exit status {done.returncode}")
        self.warnings.update(line.partition(": ")[2].replace(self.directory or "\0", "") for line in said.splitlines())
        return done.stdout.decode("utf-8", "backslashreplace")

    def chosen(self) -> dict[str, str]:
        """What main.cf sets."""
        return parameters(self.run("-n"))

    def effective(self) -> dict[str, str]:
        """Every parameter, with its default where main.cf does not set it; $names in values replaced."""
        return parameters(self.run("-x"))

    def entries(self) -> list[Entry]:
        """master.cf."""
        return [entry for line in self.run("-M").splitlines() if (entry := read_entry(line))]


def parameters(text: str) -> dict[str, str]:
    """`name = value` lines."""
    pairs = (line.partition("=") for line in text.splitlines() if not line[:1].isspace())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def read_entry(line: str) -> Entry | None:
    """One logical line of master.cf, unfolded; None if it is none."""
    words = line.split(None, 8)
    if len(words) < 8:
        return None
    name, kind, _, _, chroot, _, processes, command = words[:8]
    arguments = words[8] if len(words) > 8 else ""
    return Entry(name, kind, chroot, processes, command, dict(_options(arguments)), arguments)


def _options(arguments: str) -> Iterator[tuple[str, str]]:
    """What -o sets, also as `-o { name = value }`, where the value may have braces of its own."""
    at = 0
    while found := _OPTION.search(arguments, at):
        at = found.end()
        if not found["braced"]:
            yield found["plain"], found["value"]
            continue
        inside = enclosed(arguments[at - 1 :])
        at += len(inside) + 1
        name, equals, value = inside.partition("=")
        if equals:
            yield name.strip(), value.strip()


def enclosed(text: str) -> str:
    """What stands between the brace that `text` begins with and its partner; all of the rest where there is none."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if not depth:
            return text[1:at]
    return text[1:]


def seconds(value: str) -> float:
    """A time of Postfix, such as 100s or 5m; infinity if it is not understood."""
    number, unit = (value[:-1], value[-1]) if value[-1:] in _UNITS else (value, "s")
    return float(number) * _UNITS[unit] if number.isdecimal() else float("inf")


def words(value: str) -> list[str]:
    """A list of Postfix: separated by commas or white space."""
    return value.replace(",", " ").split()


def items(value: str) -> list[str]:
    """A list whose items may stand in braces, with words of their own: {inet:host:port, default_action=tempfail}."""
    found: list[str] = []
    at = 0
    while item := _ITEM.search(value, at):
        at = item.end()
        if item[0] == "{":
            inside = enclosed(value[item.start() :])
            at = item.end() + len(inside) + 1
            found.append("{" + inside + "}")
        else:
            found.append(item[0])
    return found
