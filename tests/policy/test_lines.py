"""The line index agrees with tomllib about which keys there are, and says where they stand."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.policy.lines import Address, index

ADDRESS_CASES: list[tuple[str, dict[Address, int]]] = [
    ("", {}),
    ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
    ("# c\n\n[t]\r\n  x = 1\r\n\r\ny = 2\r\n", {("t",): 3, ("t", "x"): 4, ("t", "y"): 6}),
    ("[a.b]\nc.d = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "b", "c", "d"): 2}),
    ("[[r]]\nx=1\n[[r]]\nx=2", {("r",): 1, ("r", 0): 1, ("r", 0, "x"): 2, ("r", 1): 3, ("r", 1, "x"): 4}),
    ("[[r]]\n[r.s]\nx=1", {("r",): 1, ("r", 0): 1, ("r", 0, "s"): 2, ("r", 0, "s", "x"): 3}),
    ("r = [\n {a = 1},\n {a = 2, b = {c = 3}}]\nz=1", {
        ("r",): 1, ("r", 0): 2, ("r", 0, "a"): 2, ("r", 1): 3, ("r", 1, "a"): 3, ("r", 1, "b"): 3, ("r", 1, "b", "c"): 3, ("z",): 4,
    }),
    ('a = """x\nb = 1\n"""\nc = 1', {("a",): 1, ("c",): 4}),
    ("a = '''x\nb = 1\n'''''\nc = 1", {("a",): 1, ("c",): 4}),
    ('a = "]#\\"["\nb = [ # ]\n "]", [\'[\'] ]\nc = 1979-05-27 07:32:00 # d = 1\ne = 1', {("a",): 1, ("b",): 2, ("c",): 4, ("e",): 5}),
    ('"a b" = 1\n\'c.d\'."\\u00e9" = 2', {("a b",): 1, ("c.d",): 2, ("c.d", "é"): 2}),
    ('[ "x y" . z ]\n  k  =  1', {("x y",): 1, ("x y", "z"): 1, ("x y", "z", "k"): 2}),
    ("a = [1979-05-27 07:32:00, {b = 1}]", {("a",): 1, ("a", 1): 1, ("a", 1, "b"): 1}),
]  # fmt: skip


def tables(value: object, address: Address = ()) -> Iterator[Address]:
    """Addresses of all keys of a parsed text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*address, key)
            yield from tables(inner, (*address, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from tables(inner, (*address, number))


@pytest.mark.parametrize(("text", "expected"), ADDRESS_CASES)
def test_index(text: str, expected: dict[Address, int]) -> None:
    found = index(text)
    assert {address: line for address, line in found.items() if address in expected} == expected
    assert set(tables(tomllib.loads(text))) <= set(found)


VALUES = st.sampled_from(
    [
        "1",
        '"x # ] }"',
        "'''\n[t]\nk = 1\n'''",
        '"""a\\"""\nb\n"""""',
        "[1,\n [2], # ]\n 'a']",
        "{p = 1, q.r = [\n{s = 2}]}",
        "1.5e3",
        "true",
        "[]",
        "{}",
    ]
)
KEYS = st.sampled_from(["a", "b", "c-1", '"q u"', "'l.t'", "a1.b1", 'x . "y"'])


@given(st.lists(st.tuples(st.sampled_from(["", "[t]", "[[r]]", "[[r.s]]", "[t.u]", "# [x]"]), KEYS, VALUES), max_size=8))
def test_every_key_of_a_correct_text_is_found(lines: list[tuple[str, str, str]]) -> None:
    text = "".join(f"{header}\n{key} = {value}\n" for header, key, value in lines)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = index(text)
    wanted = set(tables(parsed))
    assert wanted <= set(found)
    source = text.split("\n")
    for address in wanted:
        name = str(address[-1])
        assert name in source[found[address] - 1]


@given(st.text() | st.text("[]{}\"'=.#,\\\n ab", max_size=60))
def test_never_raises(text: str) -> None:
    lines = text.replace("\r\n", "\n").count("\n") + 1
    assert all(1 <= line <= lines for line in index(text).values())


def test_deep_and_long_texts() -> None:
    assert index("a = " + "[" * 100_000)[("a",)] == 1
    assert index(".".join("a" * 100_000) + " = 1\nb = 2")[("b",)] == 2
    assert len(index("[[r]]\nx=1\n" * 50_000)) == 100_001
