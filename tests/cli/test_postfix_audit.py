"""Postfix' settings against ours: what `setup postfix` makes is right, and each thing that may be wrong is seen."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lazaretto.cli.postconf import Entry, read_entry
from lazaretto.cli.postfix import WIRINGS, Places, ours_text, services_text, wiring
from lazaretto.cli.postfix_audit import FAIL, OK, WARN, Check, State, audit, normal, paths
from lazaretto.limits import DEFAULT
from lazaretto.policy.config import parse

# As postconf -x tells of Postfix 3.7, in part.
USUAL = {
    "queue_directory": "/var/spool/postfix",
    "mynetworks": "127.0.0.0/8 [::1]/128 192.0.2.0/24",
    "message_size_limit": "10240000",
    "smtpd_recipient_limit": "1000",
    "smtpd_proxy_timeout": "100s",
    "smtp_data_done_timeout": "600s",
    "lmtp_data_done_timeout": "600s",
    "command_time_limit": "1000s",
    "smtpd_recipient_restrictions": "",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    "local_header_rewrite_clients": "permit_inet_interfaces",
    "disable_mime_output_conversion": "no",
    "smtp_send_xforward_command": "no",
    "lmtp_send_xforward_command": "no",
}
PLACES = Places()
SMTP = "smtp inet n - y - - smtpd"


def entries(text: str) -> list[Entry]:
    """master.cf; comments out, lines that begin with a blank belong to the one before."""
    unfolded = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).replace("\n    ", " ")
    return [entry for line in unfolded.splitlines() if (entry := read_entry(line))]


def set_up(name: str, places: Places = PLACES) -> tuple[State, Mapping[str, object]]:
    """As it is after `setup postfix`, with all of its lines followed."""
    made = wiring(name, places)
    smtp = read_entry(" ".join((SMTP, *(f"-o {setting}" for setting in made.front_settings))))
    assert smtp is not None
    chosen = {setting.name: setting.value for setting in made.main}
    settings = parse([("c", ours_text(made))]).settings
    return State({**USUAL, **chosen}, [smtp, *entries(services_text(made))]), settings


def wrong(state: State, settings: Mapping[str, object], **effective: str) -> list[Check]:
    """What is not right, with other parameters in main.cf."""
    there = State({**state.effective, **effective}, state.entries)
    return [check for check in audit(there, settings, DEFAULT) if check.level != OK]


def changed(state: State, key: str, **options: str | None) -> State:
    """With other options of one service; None takes one out."""
    there = []
    for entry in state.entries:
        if entry.key == key:
            mixed = {**entry.options, **options}
            entry = entry._replace(options={name: value for name, value in mixed.items() if value is not None})
        there.append(entry)
    return state._replace(entries=there)


@pytest.mark.parametrize("name", [name for name in WIRINGS if name != "milter"])
def test_what_we_set_up_is_right(name: str) -> None:
    assert wrong(*set_up(name)) == []
    abouts = [check.about for check in audit(*set_up(name))]
    assert abouts[0] == "wiring"
    assert {"time-outs", "sizes"} <= set(abouts)
    assert ("next hop" in abouts) == (name != "lmtp")


@pytest.mark.parametrize(
    "places", [Places("[::1]:2500", "[::1]:2600"), Places("unix:/var/spool/postfix/private/l"), Places("unix:/var/spool/postfix/l")]
)
def test_other_addresses(places: Places) -> None:
    assert wrong(*set_up("before-queue", places)) == []


def test_a_socket_that_cannot_be_seen_from_within_chroot() -> None:
    checks = wrong(*set_up("before-queue", Places("unix:/run/l")))
    assert [(check.level, check.about) for check in checks] == [(FAIL, "wiring")]
    assert "smtpd_proxy_filter of smtp/inet leads to unix:/var/spool/postfix/run/l" in checks[0].text


BACK = "127.0.0.1:10026/inet"
BEFORE_WRONG = [
    (
        "smtp/inet",
        {"smtpd_proxy_timeout": None},
        WARN,
        "time-outs",
        "is 100 s, and Lazaretto may take 390 s",
    ),
    ("smtp/inet", {"smtpd_proxy_timeout": "600s"}, WARN, "time-outs", "clients wait for 600 s"),
    (BACK, {"smtpd_proxy_filter": "127.0.0.1:1"}, FAIL, "next hop", "filtered again, for ever"),
    (BACK, {"content_filter": "x:[127.0.0.1]:1"}, FAIL, "next hop", "filtered again, for ever"),
    (BACK, {"mynetworks": None}, WARN, "next hop", "others than this machine may relay here"),
    (BACK, {"smtpd_recipient_restrictions": None}, WARN, "next hop", "not just this machine"),
    (BACK, {"smtpd_relay_restrictions": "reject_unauth_destination"}, FAIL, "next hop", "refuse what was accepted"),
    (BACK, {"smtpd_authorized_xforward_hosts": None}, WARN, "next hop", "may not tell who the client was"),
    (BACK, {"local_header_rewrite_clients": None}, WARN, "next hop", "as if it were mail of this site"),
    (BACK, {"receive_override_options": None}, WARN, "next hop", "checked again (no_unknown_recipient_checks)"),
    (BACK, {"receive_override_options": "no_unknown_recipient_checks,no_milters"}, WARN, "next hop", "switched off (no_milters)"),
    (BACK, {"receive_override_options": "no_unknown_recipient_checks,no_address_mappings"}, FAIL, "next hop", "never expanded"),
]
CARRIER = "lazaretto/unix"
AFTER_WRONG = [
    (CARRIER, {"smtp_data_done_timeout": None}, WARN, "time-outs", "is 600 s, and Lazaretto may take 690 s"),
    (CARRIER, {"smtp_send_xforward_command": None}, WARN, "transport", "do not learn who the client was"),
    (CARRIER, {"disable_mime_output_conversion": None}, WARN, "transport", "8-bit mail is converted"),
    (CARRIER, {"smtp_generic_maps": "hash:/x"}, WARN, "transport", "sender addresses are rewritten"),
    (CARRIER, {"smtp_tls_security_level": "encrypt"}, FAIL, "transport", "insists on TLS"),
    (BACK, {"receive_override_options": "no_unknown_recipient_checks"}, WARN, "next hop", "(no_header_body_checks, no_milters)"),
]


@pytest.mark.parametrize(
    ("name", "key", "options", "level", "about", "text"),
    [("before-queue", *row) for row in BEFORE_WRONG] + [("after-queue", *row) for row in AFTER_WRONG],
)
def test_one_thing_is_wrong(name: str, key: str, options: dict[str, str | None], level: str, about: str, text: str) -> None:
    state, settings = set_up(name)
    checks = wrong(changed(state, key, **options), settings)
    assert [(check.level, check.about) for check in checks] == [(level, about)]
    assert text in checks[0].text
    assert checks[0].advice


def test_what_everybody_can_reach_is_an_open_relay() -> None:
    state, settings = set_up("before-queue")
    there = [entry._replace(name="10026") if entry.key == BACK else entry for entry in state.entries]
    checks = wrong(changed(State(state.effective, there), "10026/inet", mynetworks=None), settings)
    assert [(check.level, check.text) for check in checks] == [(FAIL, "10026/inet: others than this machine may relay here")]


@pytest.mark.parametrize(
    ("effective", "settings", "about", "text"),
    [
        ({"receive_override_options": ""}, {}, "aliases", "some recipients get mail twice"),
        ({"message_size_limit": "0"}, {}, "sizes", "any number of bytes"),
        ({"message_size_limit": str(DEFAULT.max_message_bytes + 1)}, {}, "sizes", "larger ones are refused"),
        ({}, {"smtp.protocol": "lmtp", "smtp.next_hop_protocol": "smtp"}, "protocol", "lazaretto/unix speaks SMTP, and Lazaretto LMTP"),
        ({}, {"smtp.next_hop": "127.0.0.1:9"}, "next hop", "no smtpd at 127.0.0.1:9"),
        (
            {},
            {"smtp.listen": ["127.0.0.1:9"]},
            "wiring",
            "at 127.0.0.1:9: content_filter leads to 127.0.0.1:10025",
        ),
        ({"content_filter": ""}, {}, "wiring", "no filter is configured"),
        ({"content_filter": "gone:[127.0.0.1]:10025"}, {}, "wiring", "a transport that master.cf does not have"),
        ({}, {"smtp.listen": []}, "listen", "listens nowhere"),
    ],
)
def test_both_sides_have_to_agree(effective: dict[str, str], settings: dict[str, object], about: str, text: str) -> None:
    state, ours = set_up("after-queue")
    checks = wrong(state, {**ours, **settings}, **effective)
    assert [check.about for check in checks] == [about]
    assert text in checks[0].text
    assert checks[0].advice


def test_more_recipients_than_we_take() -> None:
    checks = wrong(*set_up("before-queue"), smtpd_recipient_limit="5000")
    assert [(check.about, check.advice) for check in checks] == [("sizes", "[smtp] max_recipients = 5000")]


def test_spawn_has_a_limit_of_its_own() -> None:
    checks = wrong(*set_up("spawn"), command_time_limit="300s")
    assert [(check.level, check.about) for check in checks] == [(WARN, "time-outs")]
    assert "spawn(8) ends Lazaretto after 300s" in checks[0].text


def test_the_old_manual_example() -> None:
    """Word for word it works, and what it lacks is said."""
    text = """\
scan unix - - n - 10 smtp
localhost:10026 inet n - n - 10 smtpd
    -o content_filter= -o local_recipient_maps= -o relay_recipient_maps= -o myhostname=localhost.domain.tld
    -o smtpd_helo_restrictions= -o smtpd_client_restrictions= -o smtpd_sender_restrictions=
    -o smtpd_recipient_restrictions=permit_mynetworks,reject -o smtpd_use_tls=no -o mynetworks=127.0.0.0/8
localhost:10025 inet n n n - 10 spawn
    user=nobody argv=/usr/local/f-prot/tools/scan-mail.pl -postfix 127.0.0.1:10026
"""
    effective = {**USUAL, "content_filter": "smtp:[127.0.0.1]:10025"}
    there = [*entries(SMTP + "\nsmtp unix - - y - - smtp\n"), *entries(text)]
    checks = list(audit(State(effective, there), parse([]).settings))
    assert {check.level for check in checks} == {OK, WARN}
    warnings = " ".join(check.text for check in checks if check.level == WARN)
    for lacking in ("who the client was", "as if it were mail of this site", "get mail twice", "checked again", "is 600 s"):
        assert lacking in warnings


def test_every_way_is_found() -> None:
    text = f"""\
{SMTP} -o smtpd_proxy_filter=127.0.0.1:1 -o content_filter=x:[127.0.0.1]:2
pickup unix n - y 60 1 pickup -o content_filter=x:unix:/s
x unix - - y - - lmtp
y unix - - n - - pipe
"""
    effective = {
        "queue_directory": "/q",
        "mailbox_transport": "x:unix:private/d",
        "virtual_transport": "y:z",
        "local_transport": "local:$myhostname",
    }
    found = [(path.when, path.told, path.address) for path in paths(State(effective, entries(text)))]
    assert found == [
        ("before the queue", "smtpd_proxy_filter of smtp/inet", "127.0.0.1:1"),
        ("after the queue", "content_filter of smtp/inet", "127.0.0.1:2"),
        ("after the queue", "content_filter of pickup/unix", "unix:/q/s"),
        ("on delivery", "mailbox_transport", "unix:/q/private/d"),
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("127.0.0.1:10025", "127.0.0.1:10025"),
        ("[127.0.0.1]:10025", "127.0.0.1:10025"),
        ("inet:localhost:10025", "127.0.0.1:10025"),
        ("[::1]:25", "[::1]:25"),
        ("::1:25", "[::1]:25"),
        ("10026", "0.0.0.0:10026"),
        ("unix:/s", "unix:/s"),
    ],
)
def test_addresses(written: str, expected: str) -> None:
    assert normal(written) == expected
