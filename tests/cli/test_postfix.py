"""The wirings as text: complete, commented, understood by the programs they are for, and the same in docs/postfix.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lazaretto.cli import postfix
from lazaretto.cli.postfix import WIRINGS, Places, wiring
from lazaretto.limits import DEFAULT
from lazaretto.policy.config import parse

BY_SMTP = [name for name in WIRINGS if name != "milter"]  # which has a page of its own, test_postfix_milter.py
PAGE = Path(__file__).parents[2] / "docs" / "postfix.md"


def options(made: postfix.Wiring, service: str) -> dict[str, str]:
    return {setting.name: setting.value for one in made.services if one.key == service for setting in one.settings}


@pytest.mark.parametrize("name", WIRINGS)
def test_the_manual_has_the_very_lines(name: str) -> None:
    found = re.search(rf"<!-- lazaretto setup postfix {name} -->\n\n```\n(.*?)```\n", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == postfix.text(wiring(name))


@pytest.mark.parametrize("name", BY_SMTP)
def test_our_own_lines_are_a_configuration(name: str) -> None:
    made = wiring(name)
    settings = parse([("c", postfix.ours_text(made))]).settings
    assert settings["smtp.hostname"] == postfix.HOSTNAME
    if name != "spawn":
        assert settings["smtp.listen"] == (WIRINGS[name].listen,)
        assert settings["smtp.next_hop"] == WIRINGS[name].next_hop
    lmtp = name in ("lmtp", "after-queue-unix")
    assert settings["smtp.protocol"] == ("lmtp" if lmtp else "smtp")
    assert (settings["smtp.next_hop_protocol"] or settings["smtp.protocol"]) == ("lmtp" if name == "lmtp" else "smtp")


@pytest.mark.parametrize("name", BY_SMTP)
def test_who_waits_for_whom(name: str) -> None:
    made = wiring(name)
    settings = parse([("c", postfix.ours_text(made))]).settings
    ours = postfix.SCAN_S + float(str(settings["smtp.end_of_data_timeout_s"]))
    assert DEFAULT.max_scan_s < postfix.SCAN_S
    waits = {s.name: s.value for one in made.services for s in one.settings} | {s.name: s.value for s in made.front_settings}
    named = next(value for key, value in waits.items() if key.endswith(("proxy_timeout", "data_done_timeout")))
    assert float(named.removesuffix("s")) > ours
    if "smtpd_proxy_timeout" in waits:
        assert float(named.removesuffix("s")) < postfix.CLIENT_S


@pytest.mark.parametrize("name", [name for name in BY_SMTP if name != "lmtp"])
def test_what_the_old_example_lacks(name: str) -> None:
    made = wiring(name)
    back = options(made, "127.0.0.1:10026/inet")
    assert back["smtpd_relay_restrictions"] == ""
    assert back["smtpd_recipient_restrictions"] == "permit_mynetworks,reject"
    assert back["mynetworks"] == back["smtpd_authorized_xforward_hosts"] == "127.0.0.0/8,[::1]/128"
    assert back["local_header_rewrite_clients"] == back["content_filter"] == back["smtpd_proxy_filter"] == ""
    assert "smtpd_discard_ehlo_keywords" in back
    before = name in ("before-queue", "submission")
    both = "no_unknown_recipient_checks,no_header_body_checks,no_milters"
    assert back["receive_override_options"] == ("no_unknown_recipient_checks" if before else both)
    assert bool(made.front_settings) == before
    assert bool(made.main) == (not before)


@pytest.mark.parametrize("name", BY_SMTP)
def test_most_lines_say_why(name: str) -> None:
    made = wiring(name)
    assert all(setting.why for setting in (*made.main, *made.front_settings))
    assert all(service.why for service in made.services)
    text = postfix.text(made)
    assert all(len(line) <= 115 for line in text.splitlines() if line.lstrip().startswith("#"))
    assert text.count("    # ") >= 5


def test_other_places() -> None:
    places = Places("[::1]:2500", "[::1]:2600", "/opt/l", "filter", 7)
    text = postfix.text(wiring("spawn", places))
    assert "content_filter = lazaretto:[::1]:2500\n" in text
    assert "\n[::1]:2600 inet n - n - - smtpd\n" in text
    assert "\n[::1]:2500 inet n n n - 7 spawn\n    user=filter argv=/opt/l proxy --spawn --next-hop [::1]:2600\n" in text
    assert "-o smtpd_proxy_filter=unix:private/l\n" in postfix.text(wiring("before-queue", Places("unix:/var/spool/postfix/private/l")))
    assert "-o smtpd_proxy_filter=unix:/run/l\n" in postfix.text(wiring("before-queue", Places("unix:/run/l")))
    assert "chroot" in " ".join(wiring("before-queue", Places("unix:/run/l")).remarks)
    assert "mailbox_transport = lazaretto:unix:/l\n" in postfix.text(wiring("lmtp", Places("unix:/l")))
    assert "mailbox_transport = lazaretto:inet:[127.0.0.1]:10025\n" in postfix.text(wiring("lmtp"))


def test_the_directory_is_named() -> None:
    assert "# /x/main.cf\n" in postfix.text(wiring("after-queue"), "/x")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("after-queue", Places("unix:/s")),
        ("spawn", Places("unix:/s")),
        ("after-queue-unix", Places("127.0.0.1:1")),
        ("before-queue", Places("", "unix:/s")),
        ("before-queue", Places("unix:private/s")),
    ],
)
def test_addresses_that_do_not_fit(name: str, places: Places) -> None:
    with pytest.raises(ValueError, match=r"expected HOST:PORT|expected the whole path|needs an address"):
        wiring(name, places)
