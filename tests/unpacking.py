"""What an archive gives, all at once: for tests of content/."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lazaretto.content import archive
from lazaretto.content.container import BrokenMember, Member, Problem
from lazaretto.errors import LimitExceeded
from lazaretto.limits import DEFAULT, Limits, Meter
from lazaretto.mime.source import Source

CORPUS = Path(__file__).parents[2] / "shared/corpus"


class Got(NamedTuple):
    names: tuple[str, ...]
    data: bytes
    error: BrokenMember | None


class Unpacked(NamedTuple):
    members: list[Got]
    problems: list[Problem]
    limit: str  # which one ended it, "" if none

    @property
    def datas(self) -> list[bytes]:
        return [got.data for got in self.members]

    @property
    def names(self) -> list[str]:
        return [name for got in self.members for name in got.names]

    @property
    def problem_names(self) -> set[str]:
        return {problem.name for problem in self.problems}

    @property
    def errors(self) -> list[str]:
        return [got.error.name for got in self.members if got.error]


def unpack(type_id: str, data: bytes, passwords: Sequence[bytes] = (), limits: Limits = DEFAULT, meter: Meter | None = None) -> Unpacked:
    """Walk as the scan does: all chunks of a member before the next member; a limit ends it."""
    members: list[Got] = []
    problems: list[Problem] = []
    limit = ""
    try:
        for found in archive.walk(type_id, Source(data), meter or Meter(limits), passwords):
            if isinstance(found, Problem):
                problems.append(found)
                continue
            assert isinstance(found, Member)
            chunks: list[bytes] = []
            error = None
            try:
                chunks.extend(found.chunks)
            except BrokenMember as exc:
                error = exc
            except LimitExceeded:
                members.append(Got(found.names, b"".join(chunks), None))
                raise
            members.append(Got(found.names, b"".join(chunks), error))
    except LimitExceeded as exc:
        limit = exc.limit
    return Unpacked(members, problems, limit)


def uudecode(text: bytes) -> bytes:
    """First uuencoded file of `text`; takes lines whose end was stripped, or whose padding is dirty."""
    out = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(b"begin "):
            break
    for line in lines:
        if line == b"end":
            break
        if line:
            length = (line[0] - 32) & 63
            groups = -(-length // 3)
            whole = bytes([32 + groups * 3 if groups < 21 else 32 + 63])
            out.append(binascii.a2b_uu(whole + line[1 : 1 + groups * 4])[:length])
    return b"".join(out)


def sample(name: str) -> bytes:
    """File of libarchive's test suite, by a part of its name; skips the test where the corpus is not at hand."""
    import pytest

    found = sorted((CORPUS / "files/libarchive-libarchive").rglob(f"*{name}*.uu"))
    if not found:
        pytest.skip("corpus of libarchive files is not at hand")
    return uudecode(found[0].read_bytes())
