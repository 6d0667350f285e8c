"""The sanitizer's configuration as a lazaretto.toml: it is one, it stands above the mail scanner's, and says where it comes from.

What it does to messages: tests/test_anomy_pairs.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ConfigError
from lazaretto.legacy import anomy, anomy_variables, fprot_conf, profile
from lazaretto.legacy.anomy_values import STANDALONE, settle
from lazaretto.legacy.sanitizer_lines import parse
from lazaretto.policy.config import Config
from lazaretto.policy.config import parse as parse_config
from lazaretto.policy.keys import KEYS
from lazaretto.policy.rules import Action


def page(*lines: str, conf: str | None = "") -> str:
    """What `lazaretto migrate` prints: above f-prot.conf, or with None, for the sanitizer's own program."""
    settings = parse(lines, lambda path: b"", 0.0)
    if conf is None:
        return anomy.toml(settle(settings, STANDALONE, standalone=True))
    read = fprot_conf.read(conf.encode(), "f-prot.conf", {})
    found = profile.page_of(read)
    anomy.add(found, settle(settings, anomy.scan_mail_base(read)))
    return found.text()


def config(*lines: str, conf: str | None = "") -> Config:
    return parse_config([("page", page(*lines, conf=conf))])


def setting(name: str, *lines: str, conf: str | None = "") -> Any:
    return config(*lines, conf=conf).settings[name]


def options(found: Config, engine: str) -> Any:
    """Options of an engine; {} if there is none of that name."""
    return next((dict(table.options) for table in found.engines if table.name == engine), {})


def notes(*lines: str) -> list[str]:
    base = anomy.scan_mail_base(fprot_conf.read(b"", "f-prot.conf", {}))
    return anomy.notes(settle(parse(lines, lambda path: b"", 0.0), base))


def test_without_lines_the_mail_scanner_is_as_it_was() -> None:
    plain = profile.toml(fprot_conf.read(b"", "f-prot.conf", {}))
    assert parse_config([("page", page())]).policy == parse_config([("page", plain)]).policy
    assert config().settings == parse_config([("page", plain)]).settings


def test_origins() -> None:
    lines = page("score_bad = 3", "header_url = X-U: u").splitlines()
    assert next(line for line in lines if line.startswith("alarm_changes")).endswith("# score_bad, argument 1")
    assert next(line for line in lines if line.startswith("append")).endswith("# header_url, argument 2")


def test_its_rules_stand_before_those_of_the_mail_scanner() -> None:
    rules = config("file_list_4 = x", "file_list_4_policy = mangle").policy.rules
    assert [rule.name for rule in rules] == ["file_list_4", "banlist", "stoplist", "inconsistent", "deceptive"]
    assert rules[0].action is Action.MANGLE


def test_rules_of_the_mail_scanner_that_a_line_replaces() -> None:
    conf = r"SCANMAIL_BANLIST='\.scr$;\.pif$'; SCANMAIL_STOPLIST='\.exe$'"
    assert options(config("file_list_4 = x", conf=conf), "lists") == {
        "banlist": [r"\.scr$", r"\.pif$"],
        "stoplist": [r"\.exe$"],
        "consistent": True,
    }
    replaced = config("file_list_2 = x", "file_list_2_policy = mangle", conf=conf)
    assert options(replaced, "lists")["banlist"] == []
    assert options(replaced, "lists")["stoplist"] == [r"\.exe$"]
    assert [rule["name"] for rule in options(replaced, "sanitizer")["rules"]] == ["file_list_2", "file_default_policy"]


def test_a_line_about_a_list_of_the_mail_scanner_adds_to_it() -> None:
    found = config(r"file_list_2 += |\.com$", "file_list_3_policy = drop", conf=r"SCANMAIL_BANLIST='\.scr$'; SCANMAIL_STOPLIST='\.exe$'")
    rules = options(found, "sanitizer")["rules"]
    assert [rule["names"] for rule in rules[:2]] == [[r"(?-i:(?i:\.scr$)|\.com$)"], [r"(?-i:(?i:\.exe$))"]]
    assert [(rule.name, rule.save) for rule in found.policy.rules[:2]] == [("file_list_2", False), ("file_list_3", False)]


def test_whatever_a_line_says_engines_scan() -> None:
    found = config("file_list_1 = nothing", "file_list_1_policy = accept", conf="SCANMAIL_FPSCAND=127.0.0.1:1")
    assert options(found, "fpscand")["addresses"] == ["127.0.0.1:1"]
    assert [table.only for table in found.engines if table.kind == "fpscand"] == [None]


def test_policies_of_the_virus_scan() -> None:
    rules = config("file_list_1_policy = unknown:mangle:save:drop").policy.rules[:3]
    assert [(rule.name, rule.action, rule.save) for rule in rules] == [
        ("file_list_1.disinfected", Action.MANGLE, None),
        ("file_list_1.infected", Action.REPLACE, True),
        ("file_list_1.error", Action.REPLACE, False),
    ]


def test_a_daemon_that_a_line_asks_for() -> None:
    lines = ("file_list_4 = .*", "file_list_4_policy = unknown:drop:drop:drop", "file_list_4_scanner = 0:1:2:builtin/fprotd %FILENAME")
    assert [table.kind for table in config(*lines).engines] == ["lists", "fprotd", "filerules"]


@pytest.mark.parametrize("name", sorted(name for name, variable in anomy_variables.VARIABLES.items() if not variable.becomes))
def test_without_effect(name: str) -> None:
    """Accepted, with a reason; and nothing but what a line says is said."""
    (note,) = notes(f"{name} = 7")
    assert note == f"{name} (argument 1) has no effect: {anomy_variables.VARIABLES[name].why}"
    assert f"# {note}\n" in page(f"{name} = 7")
    assert config(f"{name} = 7").settings == config().settings


@pytest.mark.parametrize("name", sorted(anomy_variables.VARIABLES))
def test_what_was_so_before_is_not_told(name: str) -> None:
    base = anomy.scan_mail_base(fprot_conf.read(b"", "f-prot.conf", {}))
    before = settle((), base).before(name)
    assert notes(f"{name} = {before}") == []


@pytest.mark.parametrize("name", ["feat_lengths", "feat_scripts", "feat_log_inline", "msg_log_prefix", "msg_signature"])
def test_what_a_version_may_not_have(name: str) -> None:
    section, _, key = anomy_variables.VARIABLES[name].becomes.partition("] ")
    there = f"{section[1:]}.{key}" in {known.full for known in KEYS}
    assert notes(f"{name} = 1") == ([] if there else [f"{name} (argument 1) has no effect: not yet"])
    assert (f"\n{key} = " in page(f"{name} = 1")) is there


def test_depth_of_messages() -> None:
    assert setting("limits.max_depth", "max_mime_depth = 7") == 7
    assert setting("limits.max_depth", "max_mime_depth = 0") == 1
    assert setting("limits.max_depth") == 50
    assert setting("limits.max_depth", conf=None) == 20


def test_pages() -> None:
    """Where this version can take what acts out of pages, the variables say how much; else it says that it cannot."""
    if "html.profile" in {key.full for key in KEYS}:
        assert setting("html.profile", "feat_html = 1") == "scripts"
        assert setting("html.profile", "feat_html = 1", "feat_webbugs = 1") == "remote"
        assert setting("html.profile", "feat_html = 1", "feat_html_paranoid = 1") == "remote"
        assert setting("html.profile", "feat_webbugs = 1") == "off"
    else:
        assert notes("feat_html = 1", "feat_webbugs = 1") == [
            "feat_html (argument 1) has no effect: not yet",
            "feat_webbugs (argument 2) has no effect: not yet",
        ]


@pytest.mark.parametrize("number", range(4, 11))
def test_forced_fields(number: int) -> None:
    lines = [f"force_header_{other} = 0" for other in (1, 2, 3)]
    lines += ["force_headers = 10", f"force_header_{number} = X-N: {number}"]
    assert setting("headers.if_missing", *lines) == ((b"X-N", b"%d" % number),)
    lines[-2] = f"force_headers = {number - 1}"
    assert setting("headers.if_missing", *lines) == ()


def test_texts_of_notices() -> None:
    found = setting("notices.part", r"msg_file_drop = %FILENAME ${x} %SUMMARY\n%VIRUSNAME %NOBODY")
    assert found == "${file:-%FILENAME} $ {x} ${detail:-%SUMMARY}\n${malware:-%VIRUSNAME} %NOBODY"


def test_the_program_itself_leaves_names_to_its_rules() -> None:
    found = config(conf=None)
    assert found.attachments.options == {"banned_extensions": [], "banned_types": [], "banned_media_types": []}
    assert [rule.name for rule in found.policy.rules][:3] == ["inconsistent", "deceptive", "partial"]
    assert found.quarantine_enabled
    assert found.policy.actions["down"] is Action.TEMPFAIL


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("file_name_tpl = att-$F", "file_name_tpl (argument 1): expected the absolute path of a file"),
        ("file_name_tpl = /var/quarantine/", "file_name_tpl (argument 1): expected the absolute path of a file"),
        ("header_info = no field", "header_info (argument 1): expected header fields of one line"),
        ("header_info = Content-Type: text/html", "header_info (argument 1): expected other fields than Content-Type"),
        ("force_headers = 11", "force_headers (argument 1): expected a number up to 10, not 11"),
        ("max_mime_depth = 5000", "max_mime_depth (argument 1): expected a number up to 1000"),
    ],
)
def test_what_is_wrong(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        page(line)
    assert message in wrong.value.message


NAMES = st.sampled_from(
    [*sorted(anomy_variables.VARIABLES), *(f"file_list_{n}{s}" for n in (1, 2, 3, 7, 15) for s in ("", "_policy", "_scanner"))]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.one_of(
    TEXT, st.sampled_from(["0", "1", "save", "drop!^3", "accept:accept:save:save", "0:1:2:av %FILENAME", "(?i)\\.exe$", "X-A: b", "/x/$F"])
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.sampled_from(["", None]))
def test_any_lines_are_a_configuration_or_a_located_error(lines: list[tuple[str, str]], conf: str | None) -> None:
    try:
        text = page(*(f"{name} = {value}" for name, value in lines), conf=conf)
    except ConfigError as error:
        message = error.message
    else:
        message = ""
        parse_config([("page", text)])
    assert not message or "argument" in message
