"""The lines for Sendmail: the same in docs/sendmail.md, understood by m4, and by Sendmail itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sendmail_files
from lazaretto.cli import sendmail
from lazaretto.cli.milter_address import read
from lazaretto.cli.postfix import CLIENT_S, SCAN_S
from lazaretto.cli.sendmail_config import read_cf, read_filter, read_mc
from lazaretto.legacy import sendmail_cf
from lazaretto.policy.config import parse
from sendmail_files import HEAD, TAIL

PAGE = Path(__file__).parents[2] / "docs" / "sendmail.md"
SCAN_ONLY = r"^a@b\.example$:@c\.example$"


def test_the_manual_has_the_very_lines() -> None:
    found = re.search(r"<!-- lazaretto setup sendmail -->\n\n```\n(.*?)```\n", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == sendmail.text(sendmail.lines())


def test_our_own_lines_are_a_configuration() -> None:
    for listen in ("", "[::1]:9", "unix:/run/l/s", "inet:9@127.0.0.1"):
        wanted = sendmail.lines(listen)
        settings = parse([("c", sendmail.ours_text(wanted))]).settings
        assert settings["milter.listen"] == (wanted.where.ours,)
        one = read_filter(f"{sendmail.NAME}, {wanted.equates}")
        assert (one.where, one.flags, one.problems) == (read(listen or sendmail.LISTEN), "T", ())


@pytest.mark.parametrize("listen", ["", "[::1]:9", "unix:/run/l/s"])
def test_scan_mail_understands_it(listen: str) -> None:
    """`scan-mail -milter sendmail.cf` has a reader of its own: a strict one, which the doctor's is not."""
    wanted = sendmail.lines(listen)
    text = sendmail.cf_text(wanted, ["theirs"]) + "Xtheirs, S=local:/run/theirs, F=R\n"
    filters, active = sendmail_cf.read(text)
    found = read_cf(text)
    assert active == found.order == ("theirs", "lazaretto")
    for one in filters:
        ours = found.filters[one.name]
        assert (one.address, one.flag, one.times_s) == (ours.socket, ours.flags, ours.timeouts)
    assert sendmail_cf.choose(sendmail.cf_text(wanted)).filter.address == wanted.where.sendmail


def test_who_waits_for_whom() -> None:
    assert SCAN_S < sendmail.END_S < CLIENT_S
    assert read_filter(f"x, {sendmail.lines().equates}").timeouts == sendmail.TIMEOUTS
    assert sendmail.READ_S > SCAN_S


@pytest.mark.parametrize(("listen", "scan_only"), [("nowhere", ""), ("unix:l/s", ""), ("", "a`"), ("", "it's"), ("", "a\nb")])
def test_what_does_not_fit(listen: str, scan_only: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        sendmail.lines(listen, scan_only)


def test_only_what_is_missing_is_added() -> None:
    wanted = sendmail.lines()
    there = {**sendmail.MACROS, "connect": ("{client_addr}", "v", "{daemon_name}")}
    assert sendmail.missing(wanted, sendmail.MACROS) == {"connect": ["{client_addr}", "v"]}
    assert sendmail.missing(wanted, there) == {}
    assert "confMILTER" not in sendmail.mc_text(wanted, there=there)
    assert "O InputMailFilters=a, b, lazaretto\n" in sendmail.cf_text(wanted, ["a", "b"], there)


@pytest.mark.parametrize("tail", [TAIL, ""])
def test_m4_makes_of_it_what_we_say(tmp_path: Path, tail: str) -> None:
    """What stands before stays: filters of others, macros of others, sections that are diverted."""
    others = "MAIL_FILTER(`theirs', `S=local:/run/theirs, F=R')dnl\ndefine(`confINPUT_MAIL_FILTERS', `theirs')dnl\n"
    others += "define(`confMILTER_MACROS_CONNECT', `j, {if_name}')dnl\n"
    before = HEAD + others + (tail or "MAILER(`smtp')dnl\n")
    wanted = sendmail.lines("unix:/run/lazaretto/milter.sock", SCAN_ONLY)
    made = sendmail_files.cf_of(before + sendmail.mc_text(wanted, read_mc(before).order, read_mc(before).macros), tmp_path)
    found = read_cf(made)
    assert found.order == ("theirs", "lazaretto")
    assert found.filters["lazaretto"] == read_filter(f"lazaretto, {wanted.equates}")
    assert found.filters["theirs"].flags == "R"
    assert found.macros["connect"] == ("j", "{if_name}", "{daemon_name}", "{client_addr}", "v")
    assert found.macros["envfrom"] == (*sendmail.MACROS["envfrom"], "{FP_SCANONLY}")
    assert found.macros["envrcpt"] == sendmail.MACROS["envrcpt"]
    assert found.defined["{FP_SCANONLY}"] == SCAN_ONLY.replace("$", "$$")
    assert ("{Other}" in found.defined) == bool(tail)


def test_what_m4_sends_without_us(tmp_path: Path) -> None:
    made = read_cf(sendmail_files.cf_of(HEAD + "INPUT_MAIL_FILTER(`x', `S=/s')dnl\n" + TAIL, tmp_path))
    assert {stage: made.macros[stage] for stage in sendmail.MACROS} == sendmail.MACROS


@pytest.mark.parametrize("way", ["mc", "cf"])
def test_sendmail_understands_it(tmp_path: Path, way: str) -> None:
    """Both ways: the lines of sendmail.mc by way of m4, and those of sendmail.cf at the end of one."""
    wanted = sendmail.lines("", SCAN_ONLY)
    cf = sendmail_files.cf_of(HEAD + TAIL + (sendmail.mc_text(wanted) if way == "mc" else ""), tmp_path)
    if way == "cf":
        cf += sendmail.cf_text(wanted, read_cf(cf).order)
    said = sendmail_files.understood(cf, tmp_path)
    for key, seconds in sendmail.TIMEOUTS.items():
        assert f"Xlazaretto: {key}={seconds}\n" in said
    assert "(macros.connect = j, _, {daemon_name}, {if_name}, {if_addr}, {client_addr}, v)" in said
    assert "{mail_addr}, {FP_SCANONLY})" in said
    assert "syserr" not in said
    assert "unknown" not in said
