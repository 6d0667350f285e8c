"""Mail systems' settings against ours: what setup makes is right, and each thing that may be wrong is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from lazaretto.cli import sendmail
from lazaretto.cli.milter_address import Address, read
from lazaretto.cli.milter_audit import asking, filter_of_sendmail, leads, of_postfix, of_sendmail, span
from lazaretto.cli.postconf import Entry, read_entry
from lazaretto.cli.postfix import Places, wiring
from lazaretto.cli.postfix_audit import FAIL, OK, WARN, Check, State
from lazaretto.cli.sendmail_config import read_cf
from lazaretto.limits import DEFAULT

# As postconf -x tells of Postfix 3.7, in part.
USUAL = {
    "queue_directory": "/var/spool/postfix",
    "compatibility_level": "3.6",
    "message_size_limit": "10240000",
    "milter_default_action": "tempfail",
    "milter_protocol": "6",
    "milter_connect_timeout": "30s",
    "milter_command_timeout": "30s",
    "milter_content_timeout": "300s",
    "milter_connect_macros": "j {daemon_name} {daemon_addr} v _",
    "milter_mail_macros": "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
    "milter_rcpt_macros": "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
}
OURS = (read("127.0.0.1:12200"),)
NOTHING: Mapping[str, str] = {}


def entries(*lines: str) -> list[Entry]:
    found = [read_entry(line) for line in lines]
    assert None not in found
    return [entry for entry in found if entry is not None]


SERVICES = entries("smtp inet n - y - - smtpd", "cleanup unix n - y - 0 cleanup", "relay unix - - y - - smtp")


def set_up(places: Places | None = None) -> State:
    """As it is after `setup postfix milter`."""
    return State({**USUAL, **{setting.name: setting.value for setting in wiring("milter", places or Places()).main}}, SERVICES)


def wrong(state: State, effective: Mapping[str, str] = NOTHING, listening: Sequence[Address] = OURS) -> list[Check]:
    there = State({**state.effective, **effective}, state.entries)
    return [check for check in of_postfix(there, listening, DEFAULT) if check.level != OK]


@pytest.mark.parametrize("listen", ["", "[::1]:9", "unix:/var/spool/postfix/l/s"])
def test_what_we_set_up_is_right(listen: str) -> None:
    ours = [read(listen or "127.0.0.1:12200")]
    assert wrong(set_up(Places(listen)), listening=ours) == []
    checks = list(of_postfix(set_up(Places(listen)), ours))
    assert {check.about for check in checks} == {"milter", "time-outs", "macros", "sizes"}
    assert checks[0].text == f"smtpd_milters of smtp/inet: Postfix asks {ours[0].ours}"


def test_a_socket_that_chroot_hides() -> None:
    checks = wrong(set_up(Places("unix:/run/l/s")), listening=[read("unix:/run/l/s")])
    assert [(check.level, check.about) for check in checks] == [(FAIL, "milter")]
    assert "smtpd_milters of smtp/inet leads to unix:/var/spool/postfix/run/l/s" in checks[0].text
    assert "chroot" in checks[0].advice


# Without the braces of ours, what main.cf says for all Milters counts.
BARE = {"smtpd_milters": "inet:localhost:12200", "non_smtpd_milters": "inet:127.0.0.1:12200"}


@pytest.mark.parametrize(
    ("effective", "level", "about", "text"),
    [
        ({"milter_default_action": "accept"}, FAIL, "milter", "passes unscanned while Lazaretto does not answer"),
        ({"milter_default_action": "reject"}, WARN, "milter", "the action is 'reject'"),
        ({"milter_default_action": "quarantine"}, WARN, "milter", "the action is 'quarantine'"),
        ({"milter_default_action": "nonsense"}, FAIL, "milter", "the action is 'nonsense'"),
        ({"milter_protocol": "2"}, WARN, "milter", "version 2 of the protocol"),
        ({"milter_content_timeout": "60s"}, WARN, "time-outs", "waits 60 s for a verdict, Lazaretto may take 90 s"),
        ({"milter_content_timeout": "10m"}, WARN, "time-outs", "clients wait 600 s"),
        ({"milter_connect_timeout": "300s"}, WARN, "time-outs", "300 s for a connection"),
        ({"milter_command_timeout": "5s"}, WARN, "time-outs", "no longer than 5 s"),
    ],
)
def test_one_thing_is_wrong(effective: dict[str, str], level: str, about: str, text: str) -> None:
    bare = State({**set_up().effective, **BARE}, SERVICES)
    assert wrong(bare) == []
    checks = wrong(bare, effective)
    assert [(check.level, check.about) for check in checks] == [(level, about)] * 2  # smtpd and cleanup
    assert all(text in check.text and check.advice for check in checks)
    assert wrong(set_up(), effective) == []  # inside the braces it does not count


def test_a_service_may_say_otherwise() -> None:
    """What -o says below an smtpd counts for it alone."""
    smtpd = SERVICES[0]._replace(options={"milter_default_action": "accept"})
    bare = State({**set_up().effective, **BARE}, [smtpd, *SERVICES[1:]])
    assert [check.text for check in wrong(bare)] == [
        "smtpd_milters of smtp/inet: mail passes unscanned while Lazaretto does not answer (accept)"
    ]
    silent = SERVICES[0]._replace(options={"receive_override_options": "no_milters"})
    assert [one.told for one in asking(State(bare.effective, [silent, *SERVICES[1:]]), OURS)] == ["non_smtpd_milters"]


@pytest.mark.parametrize(
    ("effective", "level", "about", "text"),
    [
        ({"smtpd_milters": "inet:h:1", "non_smtpd_milters": ""}, FAIL, "milter", "smtpd_milters of smtp/inet leads to h:1"),
        ({"smtpd_milters": "", "non_smtpd_milters": ""}, FAIL, "milter", "at 127.0.0.1:12200: no Milter"),
        ({"non_smtpd_milters": ""}, WARN, "milter", "the sendmail command is not filtered"),
        ({"smtpd_proxy_filter": "127.0.0.1:1"}, FAIL, "milter", "sees no content"),
        ({"smtpd_milter_maps": "cidr:/x"}, WARN, "milter", "it is not looked into"),
        ({"message_size_limit": "0"}, WARN, "sizes", "any number of bytes"),
        ({"milter_mail_macros": "i {mail_addr} auth_type"}, WARN, "macros", "milter_mail_macros does not send {auth_authen}"),
    ],
)
def test_what_is_around_it(effective: dict[str, str], level: str, about: str, text: str) -> None:
    checks = wrong(set_up(), effective)
    assert [(check.level, check.about) for check in checks] == [(level, about)]
    assert text in checks[0].text


def test_for_some_services_only() -> None:
    made = wiring("milter", Places(services=("smtp/inet",)))
    smtpd = SERVICES[0]._replace(options={setting.name: setting.value for setting in made.front_settings})
    state = State({**USUAL, **{setting.name: setting.value for setting in made.main}}, [smtpd, *SERVICES[1:]])
    assert wrong(state) == []


def test_who_listens_everywhere() -> None:
    assert leads(read("127.0.0.1:1"), [read("0.0.0.0:1")])
    assert leads(read("[::1]:1"), [read("[::]:1")])
    assert not leads(read("127.0.0.1:2"), [read("0.0.0.0:1")])
    assert not leads(read("unix:/s"), [read("0.0.0.0:1")])
    assert leads(read("local:/s"), [read("unix:/s")])


def test_how_long_we_may_take() -> None:
    assert span(DEFAULT) == 90
    long = DEFAULT._replace(max_scan_s=400)
    texts = [check.advice for check in of_postfix(set_up(), OURS, long) if check.level == WARN]
    assert texts == ["inside the braces of our item: content_timeout=460s; else lower [limits] max_scan_s"] * 2


# -- Sendmail

# What m4 has made of a sendmail.mc, and our lines behind it.
CF = "".join(f"O Milter.macros.{stage}={', '.join(names)}\n" for stage, names in sendmail.MACROS.items())
CF += sendmail.cf_text(sendmail.lines())


def sendmail_wrong(cf: str) -> list[Check]:
    return [check for check in of_sendmail(read_cf(cf), OURS) if check.level != OK]


def test_what_we_set_up_for_sendmail_is_right() -> None:
    assert sendmail_wrong(CF) == []
    assert {check.about for check in of_sendmail(read_cf(CF), OURS)} == {"milter", "time-outs", "macros"}
    assert sendmail_wrong(CF.replace("F=T", "F=4")) == []


@pytest.mark.parametrize(
    ("old", "new", "level", "about", "text"),
    [
        ("F=T, ", "", FAIL, "milter", "passes unscanned while Lazaretto does not answer (no F=)"),
        ("F=T", "F=", FAIL, "milter", "passes unscanned"),
        ("F=T", "F=R", WARN, "milter", "refused for good while Lazaretto does not answer"),
        ("F=T", "F=Tx", FAIL, "milter", "there is no flag 'x'"),
        ("InputMailFilters=lazaretto", "InputMailFilters=", FAIL, "milter", "is defined, and never asked"),
        ("InputMailFilters=lazaretto", "InputMailFilters=lazaretto, gone", FAIL, "milter", "names what is not defined: gone"),
        ("E:8m", "E:1m", WARN, "time-outs", "waits 60 s for a verdict"),
        ("E:8m", "E:8", WARN, "time-outs", "waits 8 s for a verdict"),
        ("E:8m", "E:20m", WARN, "time-outs", "clients wait 600 s"),
        (", T=C:30s;S:30s;R:2m;E:8m", "", WARN, "time-outs", "no longer than 10 s"),
        ("C:30s", "C:5m", WARN, "time-outs", "300 s for a connection"),
        ("T=C:30s;S", "T=C:30s,S", FAIL, "milter", "separated by semicolons"),
        ("{client_addr}, v", "v", WARN, "macros", "Milter.macros.connect does not send {client_addr}"),
        ("inet:12200@127.0.0.1", "inet:9@127.0.0.1", FAIL, "milter", "at 127.0.0.1:12200: lazaretto is at inet:9@127.0.0.1"),
    ],
)
def test_one_thing_is_wrong_with_sendmail(old: str, new: str, level: str, about: str, text: str) -> None:
    assert old in CF
    checks = [(check.level, check.about, check.text) for check in sendmail_wrong(CF.replace(old, new))]
    assert any(check[:2] == (level, about) and text in check[2] for check in checks)
    assert len(checks) <= 2  # a list of times that ends early changes some, too


def test_no_macros_at_all() -> None:
    bare = "".join(line for line in CF.splitlines(keepends=True) if "macros" not in line)
    assert [check.about for check in sendmail_wrong(bare)] == ["macros"] * 3


def test_a_signer_in_front() -> None:
    cf = CF.replace("InputMailFilters=", "InputMailFilters=opendkim, ") + "Xopendkim, S=local:/run/o, F=T\n"
    assert [check.text for check in sendmail_wrong(cf)] == ["opendkim is asked before lazaretto: what it signs may be changed afterwards"]


def test_the_filter_that_is_asked() -> None:
    """Of two that lead to us."""
    cf = CF + "Xold, S=inet:12200@localhost\n"
    one = filter_of_sendmail(read_cf(cf), OURS)
    assert one is not None
    assert one.name == "lazaretto"
    other = filter_of_sendmail(read_cf(cf + "O InputMailFilters=old\n"), OURS)
    assert other is not None
    assert other.name == "old"
