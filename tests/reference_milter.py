"""The milter of reference_milter.c, built on Debian's libmilter: it does what it is told, through a mail server as ours does.

    with ReferenceMilter() as reference:
        name = reference.plan("add\\tX-Test\\tyes")
        ...a message with the header field "X-Plan: NAME"

Its messages say which plan is theirs; as_plan() turns what the pipeline has made of a message into one.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

import peers
from milter_addresses import Address
from serving import PATIENCE_S, eventually

SOURCE = Path(__file__).with_suffix(".c")
_FLAGS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror")


@cache
def _built() -> bytes:
    """The program, made once in a test run."""
    compiler = peers.require("gcc")
    if not Path("/usr/include/libmilter/mfapi.h").exists():
        peers.missing("libmilter-dev is not installed")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program")
        done = subprocess.run(
            [compiler, *_FLAGS, str(SOURCE), "-o", str(program), "-lmilter", "-lpthread"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return program.read_bytes()


class ReferenceMilter:
    """`address` is where it listens: a UNIX socket of its own, unless another is given.

    By TCP, libmilter and Postfix wait for each other's acknowledgements, a tenth of a second for each message.
    """

    def __init__(self, address: Address | None = None) -> None:
        program = _built()
        self.folder = Path(tempfile.mkdtemp(prefix="lz-reference-", dir="/tmp"))
        self.program = self.folder / "milter"
        self.program.write_bytes(program)
        self.program.chmod(0o755)
        self.plans = self.folder / "plans"
        self.plans.mkdir()
        self.folder.chmod(0o755)
        self.address = Address("", str(self.folder / "s")) if address is None else address
        self.process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, self.address.libmilter, self.plans], stdout=log, stderr=log)
        started = self.process
        eventually(lambda: self.address.listens() or started.poll() is not None, "the reference milter's start")
        assert started.poll() is None, self.log

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def plan(self, *requests: Sequence[bytes | str | int], body: bytes | None = None, name: str = "") -> bytes:
        """The name of a new plan: what to ask for, each a verb and its arguments; `body` is a new body."""
        name = name or f"new{next(self._names)}"
        lines = [b"\t".join(map(_escaped, words)) for words in requests]
        if body is not None:
            (self.plans / f"{name}.body").write_bytes(body)
            # Not after what ends the plan, but Postfix wants the body last of all that changes the message.
            last = len(lines) - bool(lines and requests[-1][0] in ENDS)
            lines.insert(last, b"body\t" + str(self.plans / f"{name}.body").encode())
        (self.plans / name).write_bytes(b"".join(line + b"\n" for line in lines))
        return name.encode()


ENDS = ("accept", "reject", "tempfail", "discard", "continue", "reply")


def _escaped(word: bytes | str | int) -> bytes:
    data = word if isinstance(word, bytes) else str(word).encode()
    return data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")


# -- what the pipeline has made of a message, as requests ------------------------------------------------------------


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of a header, as a mail server hands them to a milter: lines end in LF, one space behind the colon is not told.

    `head` ends with CRLF, if it is not empty; all its lines are fields or continue one.
    """
    found = []
    for field in re.split(rb"\r\n(?![ \t])", head.removesuffix(b"\r\n")):
        name, colon, value = field.partition(b":")
        assert colon or not field, field
        if colon:
            found.append((name, value.removeprefix(b" ").replace(b"\r\n", b"\n")))
    return found


def split(message: bytes) -> tuple[bytes, bytes]:
    """Header and body, without the empty line between."""
    if message.startswith(b"\r\n"):
        return b"", message[2:]
    head, end, body = message.partition(b"\r\n\r\n")
    return (head + b"\r\n" if end else head), body


Request = tuple[bytes | str | int, ...]


def as_plan(before: bytes, after: bytes) -> tuple[list[Request], bytes | None]:
    """Requests that turn `before` into `after`, whole messages; and the new body, or None.

    The header may only have new fields at the top, and lose others: as ours changes it.  The rest is no plan: ValueError.
    """
    old_head, old_body = split(before)
    new_head, new_body = split(after)
    old, new = fields(old_head), fields(new_head)
    kept = len(new)
    while not _subsequence(new[len(new) - kept :], old):
        kept -= 1
    requests: list[Request] = []
    seen: Counter[bytes] = Counter()
    rest = new[len(new) - kept :]
    gone: list[Request] = []
    for name, value in old:
        seen[name.lower()] += 1
        if rest and rest[0] == (name, value):
            rest = rest[1:]
        else:
            gone.append(("delete", seen[name.lower()], name))
    requests += reversed(gone)  # so that the numbers of those that remain to be deleted do not change
    requests += [("insert", 0, name, value) for name, value in reversed(new[: len(new) - kept])]
    return requests, None if new_body == old_body else new_body


def _subsequence(some: Sequence[tuple[bytes, bytes]], all_of_them: Sequence[tuple[bytes, bytes]]) -> bool:
    rest = iter(all_of_them)
    return all(one in rest for one in some)
