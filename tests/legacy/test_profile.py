"""What scan-mail runs on: the text is a configuration, says what the variables say, and says where from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.legacy import profile
from lazaretto.legacy.fprot_conf import ERROR_POLICIES, Conf, read
from lazaretto.policy.config import Config, EngineTable, parse
from lazaretto.policy.rules import Action

FAILURES = ("limit", "broken", "unsupported", "down", "timeout", "error")


def conf(text: str = "", **environment: str) -> Conf:
    return read(text.encode(), "/etc/f-prot.conf", environment)


def config(text: str = "", directory: str = profile.PREFIX, clamd: str = "", **environment: str) -> Config:
    return parse([("profile", profile.toml(conf(text, **environment), directory, clamd))])


def line(text: str, key: str) -> str:
    """The one line of the profile that sets `key`."""
    (found,) = [one for one in profile.toml(conf(text)).splitlines() if one.startswith(f"{key} = ")]
    return found


def engine(found: Config, name: str) -> EngineTable:
    (table,) = [table for table in found.engines if table.name == name]
    return table


def test_defaults() -> None:
    found = config()
    settings: dict[str, Any] = dict(found.settings)
    wanted = {
        "headers.status_field": "",
        "headers.scanned_field": "X-Antivirus",
        "headers.scanned_text": "",
        "quarantine.enabled": False,
        "quarantine.save_as": "/usr/local/f-prot/quarantine/att-$T-$$$-$F",
        "backup.mode": "off",
        "backup.directory": "/usr/local/f-prot/backup",
        "log.syslog": "/dev/log",
        "log.ident": "scan-mail.pl",
        "log.facility": 2,
        "log.level": 4,
        "server.listen": ("127.0.0.1:11200",),
        "server.max_children": 20,
        "server.pid_files": ("/var/run/scanmail.pid", "/var/run/scan-mail.pid"),
    }
    assert {name: settings[name] for name in wanted} == wanted
    actions = {word: action.name.lower() for word, action in found.policy.actions.items()}
    assert actions == {
        **dict.fromkeys(("malware", "banned", "active", *FAILURES), "replace"),
        "disinfected": "disinfect",
        "ambiguous": "pass",
        "disarmed": "disarm",
        "encrypted": "tag",
        "malformed": "pass",
    }
    assert found.policy.save == frozenset(FAILURES)
    assert found.policy.quarantine == frozenset()
    assert [table.name for table in found.engines] == ["lists"]
    assert dict(engine(found, "lists").options) == {"banlist": [], "stoplist": [], "consistent": True}
    assert found.attachments.options == {"banned_extensions": [], "banned_types": [], "banned_media_types": []}


def test_rules_are_in_the_order_of_old() -> None:
    rules = config().policy.rules
    assert [(rule.name, rule.action, rule.conditions, rule.save) for rule in rules] == [
        ("banlist", Action.REPLACE, (("finding", ("name.banlist",)),), None),
        ("stoplist", Action.REPLACE, (("finding", ("name.stoplist",)),), True),
        ("inconsistent", Action.DEFANG, (("finding", ("name.inconsistent",)),), None),
        ("deceptive", Action.DEFANG, (("engine", ("attachments",)), ("kind", ("banned",))), None),
    ]


@pytest.mark.parametrize(
    ("choice", "action", "saved"),
    [
        ("save", "replace", True),
        ("drop", "replace", False),
        ("defang", "defang", False),
        ("pass", "tag", False),
    ],
)
def test_error_policy(choice: str, action: str, saved: bool) -> None:
    found = config(f"SCANMAIL_ERROR_POLICY={choice}")
    assert {found.policy.actions[word].name.lower() for word in FAILURES} == {action}
    assert found.policy.save == (frozenset(FAILURES) if saved else frozenset())
    assert found.policy.actions["malware"] is Action.REPLACE
    assert ("is delivered unscanned" in profile.toml(conf(f"SCANMAIL_ERROR_POLICY={choice}"))) == (choice == "pass")


@pytest.mark.parametrize(
    ("choice", "action", "saved"),
    [("save", "replace", True), ("drop", "replace", False), ("pass", "tag", False), ("tempfail", "replace", True)],
)
def test_what_is_encrypted_is_an_error_where_it_is_said_to_be(choice: str, action: str, saved: bool) -> None:
    policy = config(f"SCANMAIL_ERROR_POLICY={choice}\nSCANMAIL_UNSCANNABLE=error").policy
    assert policy.actions["encrypted"].name.lower() == action
    assert ("encrypted" in policy.save) == saved
    assert config("SCANMAIL_UNSCANNABLE=clean").policy.actions["encrypted"] is Action.TAG


def test_what_no_engine_will_ever_read_does_not_wait_for_one() -> None:
    found = config("SCANMAIL_ERROR_POLICY=tempfail").policy
    waiting = {word for word in FAILURES if found.actions[word] is Action.TEMPFAIL}
    assert waiting == {"down", "timeout", "error"}
    assert found.save == {"limit", "broken", "unsupported"}
    assert all(found.actions[word] is Action.REPLACE for word in found.save)


def test_every_error_policy_has_its_action() -> None:
    assert tuple(profile._ACTIONS) == ERROR_POLICIES


def test_variables_and_their_origins() -> None:
    text = "SCANMAIL_LOGLEVEL=info\nFPROT_LOGFACILITY=local1\nSCANMAIL_LOGHOST=tcp:h\nSCANMAIL_BACKUPDIR=/b\nSCANMAIL_QUARANTINEDIR=/q/\n"
    text += "SCANMAIL_PIDFILE=/p\nSCANMAIL_MAXCHILDREN=5\nSCANMAIL_TIMEOUT=30\nSCANMAIL_HEADER='Scanned (us)'\n"
    found = config(text)
    settings = found.settings
    assert (settings["log.level"], settings["log.facility"], settings["log.syslog"]) == (6, 17, "tcp:h:514")
    assert (settings["backup.directory"], settings["quarantine.save_as"]) == ("/b", "/q/att-$T-$$$-$F")
    assert (settings["server.pid_files"], settings["server.max_children"]) == (("/p",), 5)
    assert found.limits.max_scan_s == 30.0
    assert settings["headers.scanned_text"] == "Scanned (us)"
    for key, origin in {
        "level": "SCANMAIL_LOGLEVEL, /etc/f-prot.conf:1",
        "facility": "FPROT_LOGFACILITY, /etc/f-prot.conf:2",
        "syslog": "SCANMAIL_LOGHOST, /etc/f-prot.conf:3",
        "save_as": "SCANMAIL_QUARANTINEDIR, /etc/f-prot.conf:5",
        "pid_files": "SCANMAIL_PIDFILE, /etc/f-prot.conf:6",
        "max_scan_s": "SCANMAIL_TIMEOUT, /etc/f-prot.conf:8",
        "scanned_text": "SCANMAIL_HEADER, /etc/f-prot.conf:9",
        "ident": "scan-mail's own default",
    }.items():
        assert line(text, key).endswith(f"  # {origin}")


def test_every_value_has_an_origin() -> None:
    lines = profile.toml(conf("SCANMAIL_STOPLIST='a;b'\nSCANMAIL_ENGINES='fpscand yara'\nSCANMAIL_SCANLIST=x")).splitlines()
    keys = [one for one in lines if " = " in one and not one.startswith((" ", "#"))]
    rules = lines.index("[[rule]]")
    assert len(keys) > 30
    assert [one for one in keys if "  # " not in one and lines.index(one) < rules] == []


def test_where_the_server_listens() -> None:
    assert config("SCANMAIL_SERVERPORT=99").settings["server.listen"] == ("127.0.0.1:99",)
    both = "SCANMAIL_SERVERPORT=99\nSCANMAIL_SOCKET=/run/s"
    assert config(both).settings["server.listen"] == ("127.0.0.1:99", "unix:/run/s")
    assert line(both, "listen").endswith("  # SCANMAIL_SERVERPORT, /etc/f-prot.conf:1; SCANMAIL_SOCKET, /etc/f-prot.conf:2")
    assert line("SCANMAIL_SOCKET=/run/s", "listen").endswith("  # SCANMAIL_SOCKET, /etc/f-prot.conf:1")


def test_lists_are_translated_and_keep_the_original_beside_it() -> None:
    text = r"""SCANMAIL_BANLIST='[[:alpha:]]\z;b$'"'"
SCANMAIL_STOPLIST='\.(exe|com)$'
"""
    lists = engine(config(text), "lists").options
    assert (lists["banlist"], lists["stoplist"]) == ([r"[A-Za-z]\Z", "b$'"], [r"\.(exe|com)$"])
    assert r"  # in Perl: [[:alpha:]]\z" in profile.toml(conf(text))


def test_engines_are_left_to_choose() -> None:
    for text in ("", "SCANMAIL_SCANLIST=", "SCANMAIL_SCANLIST='.*'", "SCANMAIL_SCANLIST='x;.*'", "SCANMAIL_ENGINES=none"):
        assert [table.name for table in config(text).engines] == ["lists"], text
        assert not profile.scans_some(conf(text))
    assert profile.specs(conf()) == ()
    assert profile.specs(conf("SCANMAIL_ENGINES=none")) == ("none",)
    assert profile.specs(conf("SCANMAIL_ENGINES=yara")) == ()
    assert "--engine none" in profile.toml(conf("SCANMAIL_ENGINES=none"))


def test_only_some_are_scanned_by_the_usual_engines() -> None:
    text = r"SCANMAIL_SCANLIST='\.exe$;\.zip\z'"
    assert profile.scans_some(conf(text))
    found = config(text)
    assert [table.name for table in found.engines] == ["lists", "yara"]
    assert engine(found, "yara").only == (r"\.exe$", r"\.zip\Z")
    found = config(text, clamd="unix:/run/clamd")
    assert [(table.name, table.only) for table in found.engines[1:]] == [(name, (r"\.exe$", r"\.zip\Z")) for name in ("yara", "clamd")]
    assert engine(found, "clamd").options == {"addresses": ["unix:/run/clamd"]}


@pytest.mark.parametrize(
    ("text", "address", "origin"),
    [
        ("FPSCAND_LISTENADDRESS=0.0.0.0:1", "127.0.0.1:1", "FPSCAND_LISTENADDRESS, /etc/f-prot.conf:1"),
        ("FPSCAND_LISTENADDRESS=h:1\nSCANMAIL_FPSCAND=i:2", "i:2", "SCANMAIL_FPSCAND, /etc/f-prot.conf:2"),
        ("SCANMAIL_ENGINES=fpscand", "127.0.0.1:10200", "SCANMAIL_ENGINES, /etc/f-prot.conf:1"),
        ("SCANMAIL_ENGINES=fpscand:j:3\nSCANMAIL_FPSCAND=i:2", "j:3", "SCANMAIL_ENGINES, /etc/f-prot.conf:1"),
        ("SCANMAIL_ENGINES=fpscand\nSCANMAIL_FPSCAND=i:2", "i:2", "SCANMAIL_ENGINES, /etc/f-prot.conf:1"),
    ],
)
def test_fpscand(text: str, address: str, origin: str) -> None:
    found = config(text)
    assert [table.name for table in found.engines] == ["lists", "fpscand"]
    assert engine(found, "fpscand").options == {"addresses": [address], "disinfect": True, "unscannable": "clean"}
    assert engine(found, "fpscand").only is None
    assert line(text, "addresses").endswith(f"  # {origin}")


def test_fpscand_options() -> None:
    found = config("SCANMAIL_FPSCAND=h:1\nSCANMAIL_DISINFECT=no\nSCANMAIL_UNSCANNABLE=error\nSCANMAIL_SCANLIST=x")
    assert engine(found, "fpscand").options == {"addresses": ["h:1"], "disinfect": False, "unscannable": "error"}
    assert engine(found, "fpscand").only == ("x",)


def test_engines_by_name() -> None:
    found = config("SCANMAIL_ENGINES='yara:/r clamd:unix:/s fprotd command:f-prot'\nSCANMAIL_SCANLIST=x\nSCANMAIL_FPSCAND=h:1")
    assert [(table.name, table.kind) for table in found.engines[1:]] == [
        ("yara", "yara"),
        ("clamd", "clamd"),
        ("fprotd", "fprotd"),
        ("f-prot", "command"),
    ]
    assert [dict(table.options) for table in found.engines[1:]] == [
        {"rules": ["/r"]},
        {"addresses": ["unix:/s"]},
        {"disinfect": True},
        {},
    ]
    assert {table.only for table in found.engines[1:]} == {("x",)}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("yarra", "unknown engine"),
        ("yara none", "unknown engine"),
        ("yara yara", "yara is there twice"),
        ("clamd", "expected clamd:unix:PATH"),
        ("lists", "lists cannot stand beside others"),
    ],
)
def test_engines_that_cannot_be_used(value: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profile.toml(conf(f"\nSCANMAIL_ENGINES='{value}'"))
    assert str(caught.value).startswith("/etc/f-prot.conf:2: SCANMAIL_ENGINES: ")
    assert words in str(caught.value)
    assert "--engine" not in str(caught.value)


def test_the_prefix() -> None:
    for script, directory in {
        "/opt/f-prot/mailtools/scan-mail.pl": "/opt/f-prot",
        "/usr/local/f-prot/tools/scan-mail.pl": "/usr/local/f-prot",
        "/usr/local/f-prot/scan-mail.pl": "/usr/local/f-prot",
        "/usr/bin/scan-mail": "/usr/local/f-prot",
        "/tools/scan-mail": "/usr/local/f-prot",
        "scan-mail": "/usr/local/f-prot",
    }.items():
        assert profile.prefix(script) == directory
    settings = config(directory="/opt/f-prot/").settings
    assert settings["backup.directory"] == "/opt/f-prot/backup"
    assert settings["quarantine.save_as"] == "/opt/f-prot/quarantine/att-$T-$$$-$F"


def test_variables_without_effect_are_told() -> None:
    text = profile.toml(conf("SCANMAIL_STOPLST=x\nFPROT_LICENSE_KEY=y"))
    assert "# Without effect: SCANMAIL_STOPLST (/etc/f-prot.conf:1), no such variable is known.\n" in text
    assert "# Without effect: FPROT_LICENSE_KEY (/etc/f-prot.conf:2), no licence is needed.\n" in text


def test_a_wrong_value_is_told_with_its_place() -> None:
    for name in ("SCANMAIL_LOGLEVEL", "SCANMAIL_BACKUPDIR", "SCANMAIL_SERVERPORT", "SCANMAIL_TIMEOUT", "SCANMAIL_ERROR_POLICY"):
        with pytest.raises(ConfigError, match=rf"^/etc/f-prot\.conf:1: {name}: expected "):
            profile.toml(conf(f"{name}=nonsense"))
    for name in ("SCANMAIL_STOPLIST", "SCANMAIL_BANLIST", "SCANMAIL_SCANLIST"):
        with pytest.raises(ConfigError, match=rf'^/etc/f-prot\.conf:1: {name}: the expression "\*" cannot be used'):
            profile.toml(conf(f"{name}='*'"))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0'\r"), max_size=30), st.text(st.characters(codec="utf-8"), max_size=12))
def test_whatever_the_values_the_text_is_a_configuration(value: str, file: str) -> None:
    """Quotes, backslashes, line ends in values or in the name of the file: nothing gets out of its string or comment."""
    quoted = "".join(f"\\x{{{ord(character):x}}}" if not character.isalnum() else character for character in value)
    written = f"SCANMAIL_BANLIST='{quoted}'\nSCANMAIL_BACKUPDIR='/{value}'".replace("$", "")
    found = parse([("profile", profile.toml(read(written.encode(), file, {})))])
    assert found.settings["backup.directory"] == f"/{value}".replace("$", "").rstrip("/")
