"""Any text is a sendmail.cf and a sendmail.mc: it is read without an exception, and our lines go into it, twice, and out again."""

from __future__ import annotations

from lazaretto.cli import sendmail
from lazaretto.cli.sendmail_config import Filters, read_cf, read_mc
from lazaretto.cli.setup_postfix import InTheWayError
from lazaretto.cli.setup_sendmail import prepare

SEEDS = [
    b"",
    b"O InputMailFilters=a, b\nXa, S=inet:1@h,\n\tF=T, T=C:1m;S:2s\nO Milter.macros.connect=j, {x}\nD{FP_SCANONLY}a\nSlocal\nR$*\t$@ $1\n",
    b"define(`confINPUT_MAIL_FILTERS', `a')dnl\nMAIL_FILTER(`a', `S=/s, F=R')dnl\nMAILER(`smtp')\nLOCAL_CONFIG\n",
    b"define(`confMILTER_MACROS_EOM', defn(`confMILTER_MACROS_EOM')`, {x}')dnl\ndnl # BEGIN lazaretto\nINPUT_MAIL_FILTER(`x', `S=local:/y",
    b"# BEGIN lazaretto\nXlazaretto, S=inet:12200@localhost, F=4, T=R:1h30m\n# END lazaretto\nXold, S=inet6:12200@[::1]\n",
]


def target(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for path, read in (("sendmail.cf", read_cf), ("sendmail.mc", read_mc)):
        _sound(read(text))
        try:
            once = prepare(path, text, sendmail.lines())
        except InTheWayError:
            continue
        assert prepare(path, once, sendmail.lines()) == once
        assert prepare(path, once, None).rstrip("\n") == prepare(path, text, None).rstrip("\n")
        if path == "sendmail.cf":
            found = read_cf(once)
            assert found.order[-1] == sendmail.NAME
            assert found.filters[sendmail.NAME].flags == "T"
            assert {*sendmail.NEEDED["connect"]} <= {*found.macros["connect"]}


def _sound(filters: Filters) -> None:
    for one in filters.filters.values():
        assert one.where is None or one.where.path or one.where.port
        assert all(seconds >= 0 for seconds in one.timeouts.values())
        assert all(problem.isprintable() for problem in one.problems)
