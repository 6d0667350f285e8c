"""A transaction counts in the bounds that all share, stores within them, and gives everything back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.frontends.smtp_settings import Address, SmtpSettings
from lazaretto.frontends.smtp_transaction import BUSY, NO_ROOM, TOO_BIG, Transaction, refused
from lazaretto.model import Envelope

SETTINGS = SmtpSettings(Address("127.0.0.1", 1), max_jobs=2, max_spooled_bytes=100, max_message_bytes=60, spool_memory_bytes=20)


class Shared:
    def __init__(self) -> None:
        self.jobs = 0
        self.spooled_bytes = 0
        self.lines: list[bool] = []

    def taken(self) -> None:
        self.jobs += 1

    def released(self, has_line: bool) -> None:
        self.jobs -= 1
        self.lines.append(has_line)


def begun(shared: Shared, settings: SmtpSettings = SETTINGS) -> Transaction:
    transaction = Transaction(settings, shared, Envelope())
    assert transaction.begin() is None
    return transaction


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_content_or_refusal(pieces: list[bytes]) -> None:
    shared = Shared()
    transaction = begun(shared)
    for piece in pieces:
        transaction.take(piece)
    whole = b"".join(pieces)
    assert transaction.size == len(whole)
    source = transaction.content()
    if len(whole) <= 60:
        assert source is not None
        assert b"".join(source.chunks()) == whole
        assert (shared.jobs, shared.spooled_bytes) == (1, len(whole))
    else:
        assert source is None
        assert transaction.refusal is not None
        assert transaction.refusal.reply == TOO_BIG
        assert (shared.jobs, shared.spooled_bytes) == (1, 0), "what is refused is not kept"
    assert transaction.in_hand
    transaction.close(has_line=True)
    transaction.close()
    assert not transaction.in_hand
    assert shared.lines == [True], "once"
    assert (shared.jobs, shared.spooled_bytes) == (0, 0)


def test_files_are_given_back() -> None:
    before = set(os.listdir("/proc/self/fd"))
    for end in ("content", "close", "refusal"):
        transaction = begun(Shared())
        transaction.take(b"x" * 50)
        if end == "content":
            transaction.content()
        if end == "refusal":
            transaction.take(b"x" * 50)
            assert set(os.listdir("/proc/self/fd")) == before, "at once"
        transaction.close()
        assert set(os.listdir("/proc/self/fd")) == before


def test_bounds_of_all() -> None:
    shared = Shared()
    first, second = begun(shared), begun(shared)
    first.take(b"x" * 60)
    second.take(b"x" * 40)
    second.take(b"x")
    assert second.refusal is not None
    assert second.refusal.reply == NO_ROOM
    assert shared.spooled_bytes == 60
    third = Transaction(SETTINGS, shared, Envelope())
    refusal = third.begin()
    assert refusal is not None
    assert refusal.reply == BUSY
    third.close()
    assert shared.jobs == 2
    first.close()
    second.close()
    assert (shared.jobs, shared.spooled_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("jobs", "spooled", "size", "reply"), [(0, 0, 60, None), (0, 0, 61, TOO_BIG), (2, 0, 0, BUSY), (0, 50, 50, None), (0, 50, 51, NO_ROOM)]
)
def test_what_is_refused_early(jobs: int, spooled: int, size: int, reply: object) -> None:
    shared = Shared()
    shared.jobs, shared.spooled_bytes = jobs, spooled
    refusal = refused(SETTINGS, shared, size)
    assert (refusal.reply if refusal is not None else None) == reply


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    shared = Shared()
    transaction = begun(shared, SETTINGS._replace(spool_directory=str(tmp_path / "missing")))
    transaction.take(b"x" * 50)
    transaction.take(b"more")
    assert transaction.content() is None
    assert transaction.refusal is not None
    assert transaction.refusal.rule == "system"
    assert "missing" in transaction.refusal.error
    transaction.close()
    assert (shared.jobs, shared.spooled_bytes) == (0, 0)
