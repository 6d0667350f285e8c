"""What the sanitizer's configuration does to messages: pairs of both, and what the specification says comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

import anomy_pairs
from anomy_pairs import DIRECTORY, Pair

PAIRS = [pair for path in sorted(DIRECTORY.glob("*.pairs")) for pair in anomy_pairs.read(path)]


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_pair(pair: Pair, tmp_path: Path) -> None:
    assert pair.one("about"), "a pair says what it is about"
    outcome = anomy_pairs.run(pair, tmp_path)
    lines = outcome.output.decode("utf-8", "backslashreplace").splitlines()
    wanted = anomy_pairs.expected(pair)
    assert anomy_pairs.matches(wanted, lines) or lines == wanted, outcome.log
    exit_status = pair.one("exit")
    assert outcome.exit_status == int(exit_status[0] if exit_status is not None else 0), outcome.log
    saved = pair.one("saved")
    assert [content.rstrip(b"\n") for content in outcome.saved] == ([] if saved is None else ["\n".join(saved[1]).rstrip("\n").encode()])
    for word in (pair.one("log") or ("", []))[1]:
        assert word in outcome.log


def test_names_are_there_once() -> None:
    names = [pair.name for pair in PAIRS]
    assert len(set(names)) == len(names)


def test_there_are_sixty() -> None:
    assert len(PAIRS) >= 60


def test_a_pair_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pairs"
    path.write_text("--- message m\nSubject: x\n\ntext\n=== wrong\n%% lines\n%% message m\n%% output\nSubject: y\n...\n")
    (pair,) = anomy_pairs.read(path)
    outcome = anomy_pairs.run(pair, tmp_path)
    assert not anomy_pairs.matches(anomy_pairs.expected(pair), outcome.output.decode().splitlines())
