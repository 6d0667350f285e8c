"""The milters of a sendmail.cf: which is ours, and where it listens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.legacy.sendmail_cf import MAX_FILTERS, TIMES_S, choose, lines, names, read

OURS = "Xfp-milter, S=inet:12200@127.0.0.1, F=T, T=E:8m;C:5m;R:4m;S:2m\n"


def test_the_line_of_the_old_manual() -> None:
    (ours,), active = read(f"# remark\nDmx\n{OURS}O InputMailFilters=fp-milter\nMlocal, P=/x\n")
    assert (ours.name, ours.address, ours.flag, ours.line) == ("fp-milter", "inet:12200@127.0.0.1", "T", 3)
    assert ours.times_s == {"E": 480, "C": 300, "R": 240, "S": 120}
    assert active == ("fp-milter",)


@pytest.mark.parametrize(("text", "address", "flag"), [
    ("Xa,S=unix:/run/x\n", "unix:/run/x", ""),
    ("Xa,\n\tS=local:/run/x,\n F=R\n", "local:/run/x", "R"),
    ("Xa, S=inet6:1@::1 , F= ,T=\r\n", "inet6:1@::1", ""),
    ("Xa,S=/run/bare", "/run/bare", ""),
])  # fmt: skip
def test_spellings(text: str, address: str, flag: str) -> None:
    (one,), _ = read(text)
    assert (one.address, one.flag, one.times_s) == (address, flag, TIMES_S)


@pytest.mark.parametrize(("option", "names"), [
    ("O InputMailFilters=a, b", ("a", "b")), ("O InputMailFilters = a;b ,c", ("a", "b", "c")), ("O InputMailFilters=", ()),
    ("O InputMailFilters=a\nO InputMailFilters=b", ("b",)),
    ("O InputMailFilters=a,\n b", ("a", "b")), ("O Other=a", ()), ("# O InputMailFilters=a", ()),
])  # fmt: skip
def test_the_list_of_those_that_are_asked(option: str, names: tuple[str, ...]) -> None:
    assert read(f"{option}\n") == ([], names)


@pytest.mark.parametrize(("text", "name", "warning"), [
    (f"{OURS}O InputMailFilters=fp-milter\n", "fp-milter", ""),
    (f"Xother,S=unix:/o\n{OURS}O InputMailFilters=other, fp-milter\n", "fp-milter", ""),
    (f"{OURS}Xf-prot-milter,S=unix:/o\nO InputMailFilters=f-prot-milter\n", "f-prot-milter", ""),
    (OURS, "fp-milter", "not listed in InputMailFilters"),
    ("Xclam,S=unix:/o\n", "clam", "cf:1: no filter is called fp-milter; taking the only one, clam"),
])  # fmt: skip
def test_which_is_ours(text: str, name: str, warning: str) -> None:
    choice = choose(text, "cf")
    assert choice.filter.name == name
    assert warning in choice.warning
    assert bool(choice.warning) == bool(warning)


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "there is no line X"), ("Dmx\n", "no line X"), ("Xa,S=unix:/a\nXb,S=unix:/b\n", "none of that name among a, b"),
    ("\nXa\n", "cf:2: Xa: expected S="), ("Xa,F=T\n", "expected S="), ("X,S=unix:/a\n", "expected S="),
    ("Xa,S=x,junk\n", "expected KEY=VALUE"),
    ("Xa,S=x,T=R:soon\n", "expected a time"), ("Xa,S=x,T=Q:1s\n", "expected a time"), ("Xa,S=x,T=R\n", "expected a time"),
    ("Xa,S=x\n" * (MAX_FILTERS + 1), "more than 1000"),
])  # fmt: skip
def test_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        choose(text, "cf")


@given(st.text(alphabet="XOSFT =,;:#\n\tab1mInputMailFilters", max_size=80))
def test_anything(text: str) -> None:
    """A choice, or one line about what is wrong."""
    try:
        said = choose(text).warning
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said


def test_lists_of_names() -> None:
    assert names(" a;b , c,") == ("a", "b", "c")
    assert names(" , ;") == ()


def test_lines_go_on_below() -> None:
    assert list(lines("# no\nXa, S=b,\r\n\tF=T\n\nO x=1\n \n")) == [(2, "Xa, S=b,\tF=T"), (5, "O x=1 ")]
