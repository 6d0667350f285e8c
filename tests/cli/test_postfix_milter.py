"""Lazaretto among the Milters of Postfix: the lines, and what they do to lists that are there, with the real postconf(1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.cli import postfix, setup_postfix
from lazaretto.cli.milter_address import Address
from lazaretto.cli.postconf import items, read_entry
from lazaretto.cli.postfix import CLIENT_S, SCAN_S, Places, wiring
from lazaretto.cli.postfix_milter import CONTENT_S, MACROS, NEEDED, address_of, compact, is_ours, merged, obstacle, split_item
from peers import require
from postfix_files import MAIN, MASTER, Run, contents, options, postconf

OPEN_MASTER = MASTER.replace("inet n - y", "inet n - n").replace("cleanup unix n - y", "cleanup unix n - n")


def chosen(etc: Path, name: str) -> str:
    return postconf(etc).chosen().get(name, "")


def add(etc: Path, *lines: str) -> None:
    (etc / "main.cf").write_text("".join(f"{line}\n" for line in (MAIN.rstrip("\n"), *lines)))


OURS = "{ inet:127.0.0.1:12200, default_action=tempfail, protocol=6, connect_timeout=30s, command_timeout=30s, content_timeout=300s }"


# -- the lines


def test_what_the_item_says() -> None:
    made = wiring("milter")
    values = {setting.name: setting.value for setting in made.main}
    assert values["smtpd_milters"] == values["non_smtpd_milters"] == OURS
    assert split_item(OURS) == (
        "inet:127.0.0.1:12200",
        {"default_action": "tempfail", "protocol": "6", "connect_timeout": "30s", "command_timeout": "30s", "content_timeout": "300s"},
    )
    assert all(setting.why for setting in made.main)
    assert postfix.ours_text(made) == '[milter]\nlisten = ["127.0.0.1:12200"]\n'
    assert SCAN_S < CONTENT_S < CLIENT_S


def test_the_defaults_of_postfix_are_kept() -> None:
    defaults = {name: value.split() for name, value in postconf_defaults().items()}
    for name, value in MACROS.items():
        assert set(defaults[name]) <= set(value.split())
        assert set(NEEDED[name]) <= set(value.split())


def postconf_defaults() -> dict[str, str]:
    from lazaretto.cli.postconf import Postconf, parameters

    return parameters(Postconf(require("postconf")).run("-d", *MACROS))


@pytest.mark.parametrize(
    ("listen", "item", "ours"),
    [
        ("[::1]:9", "inet:[::1]:9", "[::1]:9"),
        ("inet:9@127.0.0.1", "inet:127.0.0.1:9", "127.0.0.1:9"),
        ("unix:/run/l/s", "unix:/run/l/s", "unix:/run/l/s"),
        ("local:/var/spool/postfix/l/s", "unix:l/s", "unix:/var/spool/postfix/l/s"),
    ],
)
def test_other_addresses(listen: str, item: str, ours: str) -> None:
    made = wiring("milter", Places(listen))
    assert split_item(made.main[0].value)[0] == item
    assert made.ours[0].value == f'["{ours}"]'
    assert any("chroot" in remark for remark in made.remarks) == (item == "unix:/run/l/s")
    assert any("open to the group" in remark for remark in made.remarks) == (item == "unix:l/s")


@pytest.mark.parametrize("places", [Places("nowhere"), Places("unix:l/s"), Places(scan_only="a{2}"), Places(scan_only="a\nb")])
def test_what_does_not_fit(places: Places) -> None:
    with pytest.raises(ValueError, match="expected"):
        wiring("milter", places)


def test_the_macro_of_the_predecessor_is_for_milters() -> None:
    with pytest.raises(ValueError, match="only milters"):
        wiring("after-queue", Places(scan_only="x"))


def test_for_some_services_only() -> None:
    made = wiring("milter", Places(services=("submission/inet",)))
    assert (made.front, [setting.name for setting in made.front_settings]) == (("submission/inet",), ["smtpd_milters"])
    assert "non_smtpd_milters" not in {setting.name for setting in made.main}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("inet:h:1", ("inet:h:1", {})),
        ("{inet:h:1}", ("inet:h:1", {})),
        ("{ unix:/s, a=b c = d, { e = f } }", ("unix:/s", {"a": "b", "c": "d", "e": "f"})),
        ("{}", ("", {})),
    ],
)
def test_items(item: str, expected: tuple[str, dict[str, str]]) -> None:
    assert split_item(item) == expected


def test_where_an_item_leads() -> None:
    assert address_of("{ unix:/s, a=b }", "/q", chroot=True) == Address(path="/q/s")
    assert address_of("unix:s", "/q", chroot=False) == Address(path="/q/s")
    assert address_of("$other_milters", "/q", chroot=False) is None


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("smtpd_milters", "", OURS),
        ("smtpd_milters", "inet:h:1 {unix:/s,a=b}", f"inet:h:1, {{unix:/s,a=b}}, {OURS}"),
        ("smtpd_milters", "inet:localhost:12200", "inet:localhost:12200"),
        ("smtpd_milters", "$mine", f"$mine, {OURS}"),
        ("non_smtpd_milters", "$smtpd_milters", "$smtpd_milters"),
        ("non_smtpd_milters", "x ${smtpd_milters}", "x ${smtpd_milters}"),
    ],
)
def test_lists(name: str, there: str, expected: str) -> None:
    assert merged(there, OURS, name) == expected


def test_lists_of_macros() -> None:
    assert merged("j, {mine} v", "v {client_addr}", "milter_connect_macros") == "j {mine} v {client_addr}"
    assert merged("{ {FP_SCANONLY} = x }", "{ {FP_SCANONLY} = y }", "milter_macro_defaults") == "{ {FP_SCANONLY} = x }"
    assert merged("a=b", "{ {FP_SCANONLY} = y }", "milter_macro_defaults") == "a=b, { {FP_SCANONLY} = y }"


@pytest.mark.parametrize("value", ["", "inet:h:1 , {  unix:/s,  a = b c=d}", OURS, "a b"])
def test_without_white_space(value: str) -> None:
    assert not set(compact(value)) & set(" \t")
    assert list(map(split_item, items(compact(value)))) == list(map(split_item, items(value)))


def test_which_items_are_ours() -> None:
    assert is_ours(OURS)
    assert is_ours(compact(OURS).replace("300s", "5m"))
    assert not any(map(is_ours, ("inet:127.0.0.1:12200", "{ inet:h:1, default_action=tempfail }", OURS.replace("protocol", "other"))))


def test_obstacles() -> None:
    smtpd, cleanup = read_entry("smtp inet n - n - - smtpd"), read_entry("cleanup unix n - - - 0 cleanup")
    assert smtpd is not None
    assert cleanup is not None
    made = wiring("milter", Places("unix:/run/s"))
    new, old = {"compatibility_level": "3.6"}, {"compatibility_level": "0"}
    assert obstacle(made, [smtpd, cleanup], new) == ""
    assert "cleanup/unix runs within chroot and cannot see /run/s" in obstacle(made, [smtpd, cleanup], old)
    assert "smtpd_proxy_filter" in obstacle(made, [smtpd], {**new, "smtpd_proxy_filter": "127.0.0.1:1"})
    only = wiring("milter", Places("unix:/run/s", services=("smtp/inet",)))
    assert obstacle(only, [smtpd, cleanup], old) == ""


# -- with postconf


def test_what_is_written(run: Run, etc: Path) -> None:
    assert run("--milter", "--apply")[0] == 0
    assert chosen(etc, "smtpd_milters") == chosen(etc, "non_smtpd_milters") == OURS
    for name, value in MACROS.items():
        assert chosen(etc, name) == value
    assert "{ inet:127.0.0.1:12200" in contents(etc)["master.cf"]  # the record


def test_others_come_first_and_stay(run: Run, etc: Path) -> None:
    theirs = ["smtpd_milters = inet:localhost:8891, { unix:/opendkim/s, default_action=accept }", "non_smtpd_milters = $smtpd_milters"]
    add(etc, *theirs, "milter_default_action = accept", "milter_connect_macros = j {mine}")
    before = contents(etc)["main.cf"]
    for _ in range(2):
        assert run("milter", "--apply")[0] == 0
        assert chosen(etc, "smtpd_milters") == f"inet:localhost:8891, {{ unix:/opendkim/s, default_action=accept }}, {OURS}"
        assert chosen(etc, "non_smtpd_milters") == "$smtpd_milters"
        assert chosen(etc, "milter_default_action") == "accept"
        assert chosen(etc, "milter_connect_macros").startswith("j {mine} {daemon_name}")
    assert run("--remove")[0] == 0
    assert contents(etc)["main.cf"] == before


def test_one_that_came_later_stays(run: Run, etc: Path) -> None:
    """Ours is taken out of the list, whatever has become of it, and not added twice."""
    assert run("milter", "--apply")[0] == 0
    postconf(etc).run("-e", f"smtpd_milters=inet:h:1, {OURS}, inet:h:2", "milter_rcpt_macros=i {rcpt_addr} {theirs}")
    assert run("milter", "--listen", "127.0.0.1:9", "--apply")[0] == 0
    assert chosen(etc, "smtpd_milters") == f"inet:h:1, {OURS.replace(':12200', ':9')}, inet:h:2"
    postconf(etc).run("-e", f"smtpd_milters={chosen(etc, 'smtpd_milters')}, inet:h:3")
    assert run("--remove")[0] == 0
    assert chosen(etc, "smtpd_milters") == "inet:h:1, inet:h:2, inet:h:3"
    assert chosen(etc, "non_smtpd_milters") == ""
    assert "{theirs}" in chosen(etc, "milter_rcpt_macros")


def test_an_order_that_somebody_has_set(run: Run, etc: Path) -> None:
    add(etc, "smtpd_milters = inet:h:1")
    assert run("milter", "--apply")[0] == 0
    postconf(etc).run("-e", f"smtpd_milters={OURS}, inet:h:1")
    for port in ("12200", "9", "9"):
        assert run("milter", "--listen", f"127.0.0.1:{port}", "--apply")[0] == 0
        assert chosen(etc, "smtpd_milters") == f"{OURS.replace('12200', port)}, inet:h:1"
    assert run("--remove")[0] == 0
    assert chosen(etc, "smtpd_milters") == "inet:h:1"


def test_submission_only(run: Run, etc: Path) -> None:
    assert run("milter", "--service", "submission/inet", "--apply")[0] == 0
    assert options(etc, "submission/inet")["smtpd_milters"] == compact(OURS)
    assert options(etc, "smtp/inet") == {}
    assert chosen(etc, "smtpd_milters") == chosen(etc, "non_smtpd_milters") == ""
    assert run("milter", "--apply")[0] == 0
    assert options(etc, "submission/inet") == {"smtpd_sasl_auth_enable": "yes"}
    assert chosen(etc, "smtpd_milters") == OURS


def test_a_service_with_milters_of_its_own(run: Run, etc: Path) -> None:
    """In master.cf, postconf takes no white space: lists lose it, and mean what they meant."""
    add(etc, "smtpd_milters = inet:h:1, { unix:/s, default_action = accept }")
    (etc / "master.cf").write_text(MASTER.replace("=yes\n", "=yes\n  -o { smtpd_milters = { unix:/t, protocol=4 }, inet:h:2 }\n"))
    for _ in range(2):
        assert run("milter", "--service", "submission/inet", "--service", "smtp/inet", "--apply")[0] == 0
        assert options(etc, "submission/inet")["smtpd_milters"] == f"{{unix:/t,protocol=4}},inet:h:2,{compact(OURS)}"
        assert options(etc, "smtp/inet")["smtpd_milters"] == f"inet:h:1,{{unix:/s,default_action=accept}},{compact(OURS)}"
    assert run("--remove")[0] == 0
    assert options(etc, "submission/inet")["smtpd_milters"] == "{unix:/t,protocol=4},inet:h:2"
    assert options(etc, "smtp/inet") == {}


def test_the_macro_of_the_predecessor(run: Run, etc: Path) -> None:
    assert run("milter", "--scan-only", r"^a@b\.example$:@c\.example$", "--apply")[0] == 0
    assert chosen(etc, "milter_macro_defaults") == r"{ {FP_SCANONLY} = ^a@b\.example$$:@c\.example$$ }"
    assert chosen(etc, "milter_mail_macros").endswith(" {FP_SCANONLY}")


def test_a_socket_that_chroot_hides(run: Run, etc: Path) -> None:
    before = contents(etc)
    status, out = run("milter", "--listen", "unix:/run/lazaretto/milter.sock", "--apply")
    assert (status, contents(etc)) == (1, before)
    assert "smtp/inet runs within chroot and cannot see /run/lazaretto/milter.sock" in out
    assert "unix:/var/spool/postfix/lazaretto/milter.sock" in out
    assert run("milter", "--listen", "unix:/var/spool/postfix/lazaretto/milter.sock", "--apply")[0] == 0
    assert split_item(chosen(etc, "smtpd_milters"))[0] == "unix:lazaretto/milter.sock"
    assert run("--remove")[0] == 0
    (etc / "master.cf").write_text(OPEN_MASTER)
    assert run("milter", "--listen", "unix:/run/lazaretto/milter.sock", "--apply")[0] == 0
    assert split_item(chosen(etc, "smtpd_milters"))[0] == "unix:/run/lazaretto/milter.sock"


def test_another_queue_directory(run: Run, etc: Path) -> None:
    add(etc, "queue_directory = /q")
    assert run("milter", "--listen", "unix:/q/l/s", "--apply")[0] == 0
    assert split_item(chosen(etc, "smtpd_milters"))[0] == "unix:l/s"


def test_a_proxy_in_front(run: Run, etc: Path) -> None:
    """That of somebody else is in the way; ours is taken back."""
    assert run("before-queue", "--apply")[0] == 0
    assert run("milter", "--apply")[0] == 0
    assert "smtpd_proxy_filter" not in options(etc, "smtp/inet")
    (etc / "master.cf").write_text(MASTER.replace("- smtpd\n", "- smtpd\n  -o smtpd_proxy_filter=127.0.0.1:1\n", 1))
    before = contents(etc)
    status, out = run("milter", "--apply")
    assert (status, contents(etc)) == (1, before)
    assert "smtp/inet has an smtpd_proxy_filter: a Milter of the same smtpd sees no content" in out


def test_one_wiring_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        setup_postfix.run(["spawn", "--milter"])
    assert ended.value.code == 2
    assert "spawn and --milter" in capsys.readouterr().err
    assert setup_postfix.run(["--milter", "--scan-only", "{"]) == 64
    assert "expected none of them" in capsys.readouterr().err
