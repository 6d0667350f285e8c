"""Reading what postconf(1) says, made up and real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lazaretto.cli.postconf import Entry, Postconf, PostconfError, items, parameters, read_entry, seconds, words
from peers import require


@pytest.mark.parametrize(
    ("line", "key", "options"),
    [
        ("smtp inet n - y - - smtpd", "smtp/inet", {}),
        ("smtp inet n - y - - smtpd -o a=b -o c=", "smtp/inet", {"a": "b", "c": ""}),
        ("[::1]:25 inet n - n - - smtpd -o { a = b c, d } -v -o e=f=g", "[::1]:25/inet", {"a": "b c, d", "e": "f=g"}),
        ("s inet n - y - - smtpd -o { a = { b, c=d } } -o { e = {f} g } -o h=i", "s/inet", {"a": "{ b, c=d }", "e": "{f} g", "h": "i"}),
        ("s inet n - y - - smtpd -o {} -o { a } -o { b = c", "s/inet", {"b": "c"}),
        ("x unix - n n - 10 spawn user=me argv=/bin/x -q 1:2", "x/unix", {}),
    ],
)
def test_entries(line: str, key: str, options: dict[str, str]) -> None:
    entry = read_entry(line)
    assert entry is not None
    assert (entry.key, entry.options) == (key, options)


@pytest.mark.parametrize("line", ["", "smtp inet n", "smtp inet n - y - -"])
def test_no_entries(line: str) -> None:
    assert read_entry(line) is None


def test_columns() -> None:
    entry = read_entry("a unix - n y 60 5 pipe flags=R user=u argv=x")
    assert entry == Entry("a", "unix", "y", "5", "pipe", {}, "flags=R user=u argv=x")


@pytest.mark.parametrize(
    ("column", "level", "chrooted"),
    [("y", "3.6", True), ("n", "0", False), ("-", "0", True), ("-", "", True), ("-", "1", False), ("-", "3.6", False)],
)
def test_chroot(column: str, level: str, *, chrooted: bool) -> None:
    entry = read_entry(f"a unix - - {column} - - smtpd")
    assert entry is not None
    assert entry.chrooted(level) is chrooted


def test_parameters() -> None:
    assert parameters("a = b = c\nd =\n    folded\n\nnone\n") == {"a": "b = c", "d": ""}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("100s", 100), ("5m", 300), ("1h", 3600), ("2d", 172800), ("1w", 604800), ("7", 7), ("x", float("inf")), ("", float("inf"))],
)
def test_seconds(value: str, expected: float) -> None:
    assert seconds(value) == expected


def test_words() -> None:
    assert words("a, b,c  d") == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("a, b c", ["a", "b", "c"]),
        ("{ a, b=c }, d,{e}", ["{ a, b=c }", "d", "{e}"]),
        ("x { a, { b } }y", ["x", "{ a, { b } }", "y"]),
        ("{ a", ["{ a}"]),
        (" ,\u00a0\r ", []),
    ],
)
def test_lists_with_braces(value: str, expected: list[str]) -> None:
    assert items(value) == expected


def test_the_real_program(tmp_path: Path) -> None:
    program = require("postconf")
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = h.example\nmydestination = $myhostname, x\n")
    (tmp_path / "master.cf").write_text("smtp inet n - y - - smtpd\n  -o a=b\n# no\n  -o { c = d e }\n")
    for name in ("main.cf", "master.cf"):
        os.utime(tmp_path / name, (0, 0))  # Postfix waits for young files to settle
    postconf = Postconf(program, str(tmp_path))
    assert postconf.chosen()["mydestination"] == "$myhostname, x"
    assert postconf.effective()["mydestination"] == "h.example, x"
    assert postconf.effective()["smtpd_proxy_timeout"] == "100s"
    assert [(entry.key, entry.options) for entry in postconf.entries()] == [("smtp/inet", {"a": "b", "c": "d e"})]


def test_its_failure(tmp_path: Path) -> None:
    program = require("postconf")
    with pytest.raises(PostconfError, match=r"main\.cf"):
        Postconf(program, str(tmp_path)).chosen()
    with pytest.raises(FileNotFoundError):
        Postconf(str(tmp_path / "none")).chosen()
