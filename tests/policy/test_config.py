"""Config: every default as documented, everything checked, engines and rules passed on complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.limits import DEFAULT
from lazaretto.policy.config import parse
from lazaretto.policy.document import Place
from lazaretto.policy.rules import Action, Policy, Rule


def test_defaults() -> None:
    config = parse()
    assert config.limits == DEFAULT
    assert config.policy == Policy()
    assert config.engines == ()
    assert config.attachments.options == {}
    assert (config.notice_language, config.notice_template) == ("en", "")
    assert (config.quarantine_enabled, config.quarantine_directory, config.spool_directory) == (True, "", "")
    assert config.origins == {}
    assert parse([("f", "")]) == config


FULL = """
[limits]
max_depth = 7
max_scan_s = 5
[policy]
malware = "reject"
quarantine = ["encrypted"]
[headers]
announce = false
status_field = "X-Checked"
[notices]
language = "de"
template = "/etc/lazaretto/n.txt"
[quarantine]
directory = "/q"
[filter]
spool_directory = "/s"
[attachments]
extensions = [".exe"]
[engines.yara]
rules = ["/r.yar"]
[engines.second]
kind = "clamd"
required = false
addresses = ["127.0.0.1:3310"]
[engines.off]
enabled = false
[[rule]]
name = "allow-alice"
sender = "*@Example.ORG"
kind = ["active", "banned"]
action = "pass"
[[rule]]
name = "no-macros"
finding = "ole.*"
action = "reject"
quarantine = true
text = "No macros"
"""


def test_every_section() -> None:
    config = parse([("f", FULL)])
    assert config.limits == DEFAULT._replace(max_depth=7, max_scan_s=5.0)
    assert config.policy.actions["malware"] is Action.REJECT
    assert config.policy.actions["banned"] is Action.REPLACE
    assert config.policy.quarantine == {"encrypted"}
    assert config.policy.announce is False
    assert config.policy.status_field == b"X-Checked"
    assert config.policy.optional == {"second"}
    assert config.policy.rules == (
        Rule("allow-alice", Action.PASS, (("sender", ("*@example.org",)), ("kind", ("active", "banned")))),
        Rule("no-macros", Action.REJECT, (("finding", ("ole.*",)),), True, "No macros"),
    )
    assert [(engine.name, engine.kind, engine.required, dict(engine.options)) for engine in config.engines] == [
        ("yara", "yara", True, {"rules": ["/r.yar"]}),
        ("second", "clamd", False, {"required": False, "addresses": ["127.0.0.1:3310"]}),
    ]
    assert dict(config.attachments.options) == {"extensions": [".exe"]}
    assert (config.notice_language, config.notice_template) == ("de", "/etc/lazaretto/n.txt")
    assert (config.quarantine_directory, config.spool_directory) == ("/q", "/s")
    assert config.origins["limits.max_depth"] == Place("f", 3)
    assert config.rule_places == (Place("f", 28), Place("f", 33))


def test_engine_errors_get_a_place() -> None:
    yara, second = parse([("f", FULL)]).engines
    assert (
        str(second.located(ConfigError("[engines.second] addresses: expected better")))
        == "f:25: [engines.second] addresses: expected better"
    )
    assert str(second.located(ConfigError("[engines.second] ports: unknown"))) == "f:22: [engines.second] ports: unknown"
    assert str(yara.located(ConfigError("no such thing"))) == "f:20: no such thing"
    own = ConfigError("rule 3", "/r.yar", 9)
    assert yara.located(own) is own


def test_quarantine_switched_off() -> None:
    config = parse([("f", "[quarantine]\nenabled = false")])
    assert config.quarantine_enabled is False
    assert config.policy.quarantine == frozenset()
    rule = "[[rule]]\nname = 'r'\nkind = 'malware'\naction = 'tag'\nquarantine = "
    assert parse([("f", f"{rule}false\n[quarantine]\nenabled = false")]).policy.rules[0].quarantine is False
    with pytest.raises(ConfigError, match=r"f:5: rule\.quarantine: expected false, for \[quarantine\] is not enabled"):
        parse([("f", f"{rule}true\n[quarantine]\nenabled = false")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]]\naction = 'pass'\nkind = 'malware'", "f:1: rule.name: expected one, it is missing"),
        ("\n[[rule]]\nname = 'a'\nkind = 'malware'", "f:2: rule.action: expected one, it is missing"),
        ("[[rule]]\nname = 'a'\naction = 'pass'", "f:1: rule a: expected at least one condition: kind, reason, "),
        (
            "[[rule]]\nname = 'a'\naction = 'pass'\nkind = 'malware'\n" * 2,
            "f:5: rule a: the name is taken by the rule at f:1",
        ),
    ],
)
def test_rules_are_complete(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse([("f", text)])
    assert str(caught.value).startswith(message)


WORDS = [
    "[policy]",
    "[limits]",
    "[[rule]]",
    "[engines.a]",
    "malware",
    "name",
    "kind",
    "max_depth",
    "=",
    "'tag'",
    "1",
    "true",
    "{",
    "}",
    ",",
    "\n",
    "#",
]


@given(st.text(max_size=100) | st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_any_text_is_a_config_or_a_located_error(text: str) -> None:
    wrong = ConfigError("", "f", 1)
    try:
        parse([("f", text)])
    except ConfigError as error:
        wrong = error
    assert wrong.file == "f"
    assert 1 <= wrong.line <= text.count("\n") + 1


# -- values as the program wants them


@pytest.mark.parametrize(
    ("section", "line", "value"),
    [
        ("headers", "scanned_text = 'Scanned by us (http://example.org/)'", "Scanned by us (http://example.org/)"),
        ("policy", "save = ['down', 'limit']", ["down", "limit"]),
        ("backup", "mode = 'changed'", "changed"),
        ("backup", "file_mode = '0640'", 0o640),
        ("backup", "file_mode = '640'", 0o640),
        ("log", "level = 'warning'", 4),
        ("log", "level = 4", 4),
        ("log", "level = '7'", 7),
        ("log", "facility = 'daemon'", 3),
        ("log", "facility = 'local7'", 23),
        ("log", "syslog = 'udp:loghost:514'", "udp:loghost:514"),
        ("log", "syslog = 'tcp:[::1]:601'", "tcp:[::1]:601"),
        ("log", "syslog = '/dev/log'", "/dev/log"),
        ("log", "ident = 'scan-mail.pl'", "scan-mail.pl"),
        ("server", "listen = ['[::1]:11200', 'unix:/run/a b', 'localhost:1']", ("[::1]:11200", "unix:/run/a b", "localhost:1")),
        ("server", "listen = []", ()),
        ("server", "directories = ['/a', '/b']", ("/a", "/b")),
        ("server", "pid_files = ['/run/a.pid']", ("/run/a.pid",)),
        ("server", "idle_timeout_s = 1", 1.0),
    ],
)
def test_settings(section: str, line: str, value: object) -> None:
    name = f"{section}.{line.partition(' ')[0]}"
    assert parse([("f", f"[{section}]\n{line}\n")]).settings[name] == value


@pytest.mark.parametrize(
    ("section", "line", "expected"),
    [
        ("headers", "scanned_text = 'a\\nb'", None),
        ("headers", 'scanned_text = "a\\nb"', "one line of printable ASCII"),
        ("headers", "scanned_field = 'Subject'", "begins with X-"),
        ("policy", "save = ['virus']", "one of malware, "),
        ("policy", "save = 'down'", "a list of malware, "),
        ("backup", "mode = 'some'", "one of off, all, changed"),
        ("backup", "file_mode = '0999'", "permissions in octal"),
        ("backup", "file_mode = 0o600", "permissions in octal"),
        ("backup", "directory = 'backup'", "an absolute path"),
        ("log", "level = 'loud'", "warning"),
        ("log", "level = 8", "debug"),
        ("log", "level = true", "a text in quotes"),
        ("log", "facility = 'post'", "mail"),
        ("log", "syslog = 'loghost'", "udp:HOST:PORT"),
        ("log", "syslog = 'udp:loghost'", "udp:HOST:PORT"),
        ("log", "ident = 'a b'", "a program's name"),
        ("server", "listen = '127.0.0.1:1'", "a list of addresses"),
        ("server", "listen = ['127.0.0.1']", "a list of addresses"),
        ("server", "listen = ['unix:run']", "a list of addresses"),
        ("server", "listen = ['::1:1']", "a list of addresses"),
        ("server", "directories = ['tmp']", "an absolute path"),
        ("server", "directories = '/tmp'", "a list of absolute paths"),
        ("server", "max_children = 0", "a whole number above 0"),
        ("engines.yara", "only = '.exe'", "a list of regular expressions"),
        ("engines.yara", "only = ['a', '(']", "regular expressions; '(' is none"),
    ],
)
def test_settings_that_are_wrong(section: str, line: str, expected: str | None) -> None:
    text = f"[{section}]\n{line}\n"
    if expected is None:  # a literal backslash is no line end
        parse([("f", text)])
        return
    with pytest.raises(ConfigError) as caught:
        parse([("f", text)])
    assert str(caught.value).startswith(f"f:2: {section}.{line.partition(' ')[0]}: expected ")
    assert expected in str(caught.value)


def test_rules_that_save() -> None:
    rule = "[[rule]]\nname = 'x'\naction = 'replace'\nkind = 'banned'\n"
    assert parse([("f", rule)]).policy.rules[0].save is None
    assert parse([("f", rule + "save = true\n")]).policy.rules[0].save is True


def test_only_belongs_to_no_engine() -> None:
    (table,) = parse([("f", "[engines.yara]\nonly = ['\\.exe$']\nrules = []\n")]).engines
    assert table.only == (r"\.exe$",)
    assert table.options == {"rules": []}


def test_alarm() -> None:
    text = """
policy.alarm_changes = 3
[[rule]]
name = "a"
kind = "malware"
action = "replace"
alarm = true
"""
    found = parse([("a.toml", text)])
    assert found.policy.alarm_changes == 3
    assert found.policy.rules[0].alarm
    assert found.settings["filter.alarm_status"] == 1
