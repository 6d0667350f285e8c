"""Reading sendmail.cf and sendmail.mc: what Sendmail and m4 take, and what is strange."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.cli.milter_address import Address
from lazaretto.cli.sendmail import MACROS, USUAL
from lazaretto.cli.sendmail_config import MAX_NAMES, Filter, macros, read_cf, read_filter, read_mc

CF = """\
# Xcomment, S=local:/no
O RunAsUser=smmsp:smmsp
O DontBlameSendmail=safe,GroupWritableDirPathSafe
Xone, S=inet:1@h,
\tF=T,
  T=C:5m;S:2s
Xtwo,S=local:/run/two
O InputMailFilters=gone
O InputMailFilters=one; two , three
O Milter.macros.connect=j, _, {daemon_name}
O Milter.macros.envfrom=i {auth_authen}
O Milter.LogLevel=9
D{FP_SCANONLY}a:b
Dxsingle
R$* $: y
"""


def test_cf() -> None:
    found = read_cf(CF)
    assert found.filters["one"] == Filter("one", "inet:1@h", "T", {**USUAL, "C": 300, "S": 2})
    assert found.filters["two"] == Filter("two", "local:/run/two", "", USUAL, ())
    assert found.order == ("one", "two", "three")
    assert found.macros == {"connect": ("j", "_", "{daemon_name}"), "envfrom": ("i", "{auth_authen}")}
    assert found.options["runasuser"] == "smmsp:smmsp"
    assert found.options["milter.loglevel"] == "9"
    assert found.defined == {"{FP_SCANONLY}": "a:b"}


def test_crlf_and_no_last_line_end() -> None:
    assert read_cf(CF.replace("\n", "\r\n").rstrip()).filters == read_cf(CF).filters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x, S=inet:1@h, F=T, T=E:1h30m;R:90", Filter("x", "inet:1@h", "T", {**USUAL, "E": 5400, "R": 90})),
        ("x,S=h:1,T=C:2min; S:1d;;", Filter("x", "h:1", "", {**USUAL, "C": 120, "S": 86400})),
        ("x", Filter("x", problems=("it has no S=",))),
        ("x, S=/s, F=T R", Filter("x", "/s", "TR")),
    ],
)
def test_filters(text: str, expected: Filter) -> None:
    assert read_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x, S=/s, F", "'F' is no equate"),
        ("x, S=/s, T=C:30s,S:30s", "'S:30s' is no equate"),
        ("x, S=/s, Q=1", "no equate 'Q'"),
        ("x, S=/s, F=z", "no flag 'z'"),
        ("x, S=/s, T=Z:1s", "'Z:1s' is no time-out"),
        ("x, S=/s, T=C:soon", "'C:soon' is no time-out"),
        ("x, S=/s, T=C", "'C' is no time-out"),
        ("x, S=/s, T=C:" + "9" * 400, "is no time-out"),
        ("x, F=T", "no S="),
    ],
)
def test_what_sendmail_would_refuse(text: str, problem: str) -> None:
    assert any(problem in one for one in read_filter(text).problems)


def test_defined_twice() -> None:
    assert "twice" in read_cf("Xa, S=/s\nXa, S=/t\n").filters["a"].problems[0]


def test_where() -> None:
    assert read_filter("x, S=inet6:1@[::1]").where == Address("::1", "1")
    assert read_filter("x, S=nonsense").where is None


def test_lists() -> None:
    assert macros("j, _, {a b} {c},v") == ("j", "_", "{", "a", "b", "}", "{c}", "v")


MC = """\
divert(-1)dnl
dnl INPUT_MAIL_FILTER(`comment', `S=/no')
divert(0)dnl
define(`confINPUT_MAIL_FILTERS', `first')dnl
MAIL_FILTER(`first', `S=local:/run/first, F=R')dnl
INPUT_MAIL_FILTER(`second', `S=inet:1@localhost, F=T, T=S:4m;R:4m')dnl  dnl more
define(`confMILTER_MACROS_CONNECT', `j, {daemon_name}')dnl
define(`confMILTER_MACROS_ENVRCPT', confMILTER_MACROS_ENVRCPT`, b, {x}')dnl
define(`confMILTER_MACROS_EOM', defn(`confMILTER_MACROS_EOM')`, {msg_id}')dnl
define(`other', `MAIL_FILTER()')dnl
"""


def test_mc() -> None:
    found = read_mc(MC)
    assert found.filters["first"] == Filter("first", "local:/run/first", "R")
    assert found.filters["second"] == Filter("second", "inet:1@localhost", "T", {**USUAL, "S": 240, "R": 240})
    assert "comment" not in found.filters
    assert found.order == ("first", "second")
    assert found.macros["connect"] == ("j", "{daemon_name}")
    assert found.macros["envrcpt"] == (*MACROS["envrcpt"], "b", "{x}")
    assert found.macros["envfrom"] == MACROS["envfrom"]
    assert found.macros["eom"] == ("{msg_id}",)


def test_a_list_that_is_set_last_counts() -> None:
    assert read_mc("INPUT_MAIL_FILTER(`a', `S=/s')\ndefine(`confINPUT_MAIL_FILTERS', `b, c')\n").order == ("b", "c")


def test_a_list_made_of_itself_has_an_end() -> None:
    twice = "define(`confINPUT_MAIL_FILTERS', defn(`confINPUT_MAIL_FILTERS')`, 'defn(`confINPUT_MAIL_FILTERS'))dnl\n"
    assert read_mc("INPUT_MAIL_FILTER(`a', `S=/s')\n" + twice).order == ("a", "a")
    assert len(read_mc("INPUT_MAIL_FILTER(`a', `S=/s')\n" + twice * 50).order) == MAX_NAMES
    more = "define(`confMILTER_MACROS_EOM', defn(`confMILTER_MACROS_EOM')`, a b c d e f g h')\n"
    assert len(read_mc(more * 200).macros["eom"]) == MAX_NAMES


@given(st.text(alphabet="XOD{}S=:,;T@ \n\t`'()#dnlINPUT_MAIL_FILTERdefine/", max_size=300))
def test_whatever_stands_there(text: str) -> None:
    for found in (read_cf(text), read_mc(text)):
        assert all(isinstance(one.where, Address | None) for one in found.filters.values())
