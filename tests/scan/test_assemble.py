"""From a configuration to a Scanner: which engines, in which order, and whose fault it is."""

from __future__ import annotations

from pathlib import Path

import pytest

import scanners
from doubles import item_of
from lazaretto.engines import registry
from lazaretto.errors import ConfigError
from lazaretto.limits import DEFAULT
from lazaretto.mime.source import Source
from lazaretto.model import Disposition
from lazaretto.policy.config import Config, parse
from lazaretto.sanitize.renaming import Renaming
from lazaretto.sanitize.style import DEFAULT as DEFAULT_STYLE
from lazaretto.scan import assemble

FILE = "/etc/lazaretto/test.toml"
COMMAND = '[engines.mine]\nkind = "command"\nargv = ["true", "{file}"]\n'


@pytest.fixture(autouse=True)
def _no_clamd(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual sockets of the machine are not ours to test."""
    monkeypatch.setattr(registry, "find_clamd", lambda timeout_s: None)


def config(text: str = "") -> Config:
    return parse([(FILE, text)] if text else [])


def names(text: str = "", *specs: str, cache: str = "") -> list[str]:
    return [engine.name for engine in assemble.engines(config(text), specs, cache)]


def test_by_default_yara() -> None:
    assert names() == ["attachments", "yara"]


def test_by_default_clamd_if_one_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def find(timeout_s: float) -> str:
        waited.append(timeout_s)
        return "unix:/run/clamav/clamd.ctl"

    monkeypatch.setattr(registry, "find_clamd", find)
    assert names() == ["attachments", "yara", "clamd"]
    assert 0 < waited[0] < 2


@pytest.mark.parametrize("specs", [("yara",), ("none",)])
def test_nobody_looks_for_clamd_when_engines_are_named(monkeypatch: pytest.MonkeyPatch, specs: tuple[str, ...]) -> None:
    monkeypatch.setattr(registry, "find_clamd", lambda timeout_s: pytest.fail("asked"))
    names("", *specs)
    names(COMMAND)


def test_configured_engines_in_their_order() -> None:
    assert names(COMMAND + '[engines.yara]\n[engines.off]\nkind = "yara"\nenabled = false\n') == ["attachments", "mine", "yara"]


def test_specs_go_before_the_configuration() -> None:
    assert names(COMMAND, "yara") == ["attachments", "yara"]
    assert names("", "clamd:unix:/run/x", "yara") == ["attachments", "clamd", "yara"]


def test_none_means_no_other() -> None:
    assert names("", "none") == ["attachments"]
    assert names(COMMAND, "none") == ["attachments"]


def test_a_command_of_the_configuration_by_its_name() -> None:
    assert names(COMMAND, "command:mine") == ["attachments", "mine"]
    assert names("", "command:clamscan") == ["attachments", "clamscan"]
    with pytest.raises(ConfigError, match="argv"):
        names("", "command:other")


def test_a_spec_adds_to_the_options_of_its_table(tmp_path: Path) -> None:
    rules = tmp_path / "own.yar"
    rules.write_text("rule mine { condition: true }")
    table = '[engines.yara]\nown_rules = false\nrules = ["/nowhere"]\nrequired = false\n'
    (_, engine) = assemble.engines(config(table), [f"yara:{rules}"], "")
    assert engine.required
    assert engine.info(1).signatures == "1 rules"


def test_an_engine_named_on_the_command_line_must_answer(tmp_path: Path) -> None:
    failing = '[engines.mine]\nkind = "command"\nargv = ["false", "{file}"]\ninfected = [9]\nrequired = false\n'
    message = Source(b"Subject: x\r\n\r\nhello\r\n")
    optional = assemble.scanner(config(failing), (), str(tmp_path))
    assert optional.scan(message).verdict.disposition is Disposition.ACCEPT
    named = assemble.scanner(config(failing), ("command:mine",), str(tmp_path))
    assert named.scan(message).verdict.disposition is Disposition.TEMPFAIL


@pytest.mark.parametrize("specs", [("yara", "yara"), ("clamd:unix:/a", "clamd:unix:/b")])
def test_two_engines_of_one_name(specs: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=f"two engines are called '{specs[0].partition(':')[0]}'"):
        names("", *specs)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[engines.yara]\nno_such_option = 1\n", 2, "no_such_option"),
        ('[engines.mine]\nkind = "command"\n', 1, "argv"),
        ('[engines.mine]\nkind = "command"\nargv = ["true", "{file}"]\nclean = ["0"]\n', 4, "clean"),
        ('[engines.x]\nkind = "nonsense"\n', 1, "nonsense"),
        ("[engines.clamd]\naddresses = []\n", 2, "addresses"),
        ('[attachments]\nbanned_types = ["nonsense"]\n', 2, "nonsense"),
    ],
)
def test_errors_have_file_and_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        names(text)
    assert (caught.value.file, caught.value.line) == (FILE, line)
    assert words in str(caught.value)


def test_an_error_of_a_table_that_a_spec_chose_is_located_too() -> None:
    with pytest.raises(ConfigError) as caught:
        names("[engines.yara]\nno_such_option = 1\n", "yara")
    assert (caught.value.file, caught.value.line) == (FILE, 2)


@pytest.mark.parametrize("spec", ["nonsense", "yara:", "clamd", "command", "yara:/no/such/file", "icap"])
def test_bad_specs(spec: str) -> None:
    with pytest.raises(ConfigError):
        names("", spec)


def test_yara_caches_in_the_state_directory(tmp_path: Path) -> None:
    assemble.scanner(config(), (), str(tmp_path))
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_file()]


def test_the_documents_to_disarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert assemble.scanner(config(), ("none",), str(tmp_path)).disarmed == frozenset()
    wanted = config("[disarm]\nformats = ['rtf', 'pdf']\n")
    assert assemble.scanner(wanted, ("none",), str(tmp_path)).disarmed == {"rtf", "pdf"}
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r'disarm\.formats: "pdf" needs the Python package pikepdf; install lazaretto\[pdf\]'):
        assemble.scanner(wanted, ("none",), str(tmp_path))
    with pytest.raises(ConfigError, match=r"disarm\.formats: expected one of ooxml, ole, rtf, pdf"):
        config("[disarm]\nformats = ['svg']\n")
    with pytest.raises(ConfigError, match=r"disarm\.formats: expected a list of formats"):
        config("[disarm]\nformats = 'pdf'\n")


def test_the_html_profile(tmp_path: Path) -> None:
    assert assemble.scanner(config(), ("none",), str(tmp_path)).html_profile == "off"
    assert assemble.scanner(config("[html]\nprofile = 'remote'\n"), ("none",), str(tmp_path)).html_profile == "remote"
    with pytest.raises(ConfigError, match=r"html\.profile: expected one of off, scripts, remote, text \(did you mean scripts\?\), not"):
        config("[html]\nprofile = 'script'\n")


def test_the_scanner_is_what_the_configuration_says(tmp_path: Path) -> None:
    text = f"""
[limits]
max_parts = 7
[policy]
malware = "reject"
[quarantine]
directory = "{tmp_path}/kept"
[filter]
spool_directory = "{tmp_path}"
[notices]
language = "de"
"""
    made = assemble.scanner(config(text), ("none",), str(tmp_path / "state"), "host.example.org")
    assert made.limits == DEFAULT._replace(max_parts=7)
    assert made.policy.actions["malware"].name == "REJECT"
    assert made.spool_directory == str(tmp_path)
    assert made.host == "host.example.org"
    assert made.notices() != scanners.template()
    assert made.stores.quarantine is not None
    made.stores.quarantine.put(Source(b"x"), {}, scan_id="x", now=0)
    assert list((tmp_path / "kept").rglob("x.eml"))


def test_quarantine_in_the_state_directory_or_none_at_all(tmp_path: Path) -> None:
    usual = assemble.scanner(config(), ("none",), str(tmp_path))
    assert usual.stores.quarantine is not None
    usual.stores.quarantine.put(Source(b"x"), {}, scan_id="x", now=0)
    assert list((tmp_path / "quarantine").rglob("x.eml"))
    assert assemble.scanner(config("[quarantine]\nenabled = false\n"), ("none",), str(tmp_path)).stores.quarantine is None


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    template = tmp_path / "notice.txt"
    template.write_text("%% part\nGone.\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        assemble.scanner(config(f'[notices]\ntemplate = "{template}"\n'), ("none",), str(tmp_path))
    assert caught.value.file == str(template)
    with pytest.raises(ConfigError, match="cannot be read"):
        assemble.scanner(config('[notices]\ntemplate = "/no/such/file"\n'), ("none",), str(tmp_path))
    template.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        assemble.scanner(config(f'[notices]\ntemplate = "{template}"\n'), ("none",), str(tmp_path))


# -- copies, and who scanned


def test_stores_that_are_asked_for(tmp_path: Path) -> None:
    assert assemble.scanner(config(), ("none",), str(tmp_path)).stores[1:] == (None, None, False)
    text = f"[policy]\nsave = ['malware']\n[quarantine]\nsave_as = '{tmp_path}/s/$F'\n"
    text += f"[backup]\nmode = 'changed'\ndirectory = '{tmp_path}/b'\nfile_mode = '0640'\n"
    stores = assemble.scanner(config(text), ("none",), str(tmp_path)).stores
    assert stores.saved is not None
    assert stores.saved.put([b"x"], "a.txt", 0, 1) == f"{tmp_path}/s/a.txt"
    assert stores.backup is not None
    path = Path(stores.backup.put(Source(b"x"), 0, 7))
    assert path.parent.parent == tmp_path / "b"
    assert path.stat().st_mode & 0o777 == 0o640
    assert stores.changed_only


def test_stores_in_the_state_directory(tmp_path: Path) -> None:
    text = "[backup]\nmode = 'all'\n[[rule]]\nname = 'x'\naction = 'replace'\nkind = 'malware'\nsave = true\n"
    stores = assemble.scanner(config(text), ("none",), str(tmp_path)).stores
    assert stores.saved is not None
    assert stores.backup is not None
    assert stores.saved.put([b"x"], "a.txt", 0, 1).startswith(f"{tmp_path}/saved/att-")
    assert stores.backup.put(Source(b"x"), 0, 7).startswith(f"{tmp_path}/backup/")
    assert not stores.changed_only


@pytest.mark.parametrize(
    ("text", "specs", "said"),
    [
        ("", (), b"Scanned by Lazaretto (yara)"),
        ("", ("none",), b"Scanned by Lazaretto"),
        (COMMAND, (), b"Scanned by Lazaretto (mine)"),
        ("[engines.daemon]\nkind = 'fpscand'\n", (), b"Scanned by F-Prot Antivirus (http://www.f-prot.com)"),
        ("[engines.daemon]\nkind = 'fpscand'\n", ("yara",), b"Scanned by Lazaretto (yara)"),
        ("", ("fprotd",), b"Scanned by F-Prot Antivirus (http://www.f-prot.com)"),
    ],
)
def test_who_scanned(tmp_path: Path, text: str, specs: tuple[str, ...], said: bytes) -> None:
    field = "[headers]\nscanned_field = 'X-Antivirus'\n"
    assert assemble.scanner(config(field + text), specs, str(tmp_path)).closing(set()) == ((b"X-Antivirus", said),)
    assert assemble.scanner(config(text), specs, str(tmp_path)).closing(set()) == ()
    own = config(field + "scanned_text = 'By us'\n" + text)
    assert assemble.scanner(own, specs, str(tmp_path)).closing(set()) == ((b"X-Antivirus", b"By us"),)


@pytest.mark.parametrize(
    ("failed", "said", "own"),
    [
        (set(), b"Scanned by F-Prot Antivirus (http://www.f-prot.com)", b"By us"),
        ({"other"}, b"Scanned by F-Prot Antivirus (http://www.f-prot.com)", b"By us"),
        ({"daemon"}, b"Scanned by Lazaretto (other)", b"By us"),
        ({"daemon", "attachments"}, b"Scanned by Lazaretto (other)", b"By us"),
        ({"daemon", "other"}, None, None),
    ],
)
def test_who_has_failed_has_not_scanned(tmp_path: Path, failed: set[str], said: bytes | None, own: bytes | None) -> None:
    text = "[engines.daemon]\nkind = 'fpscand'\n" + COMMAND.replace("mine", "other")
    field = "[headers]\nscanned_field = 'X-Antivirus'\n"
    for more, expected in (("", said), ("scanned_text = 'By us'\n", own)):
        scanner = assemble.scanner(config(field + more + text), (), str(tmp_path))
        assert scanner.closing(failed) == (() if expected is None else ((b"X-Antivirus", expected),))


def test_lists_of_names_are_no_choice_of_a_scanner() -> None:
    lists = "[engines.lists]\nkind = 'lists'\nbanlist = ['\\.exe$']\n"
    assert names(lists) == ["attachments", "lists", "yara"]
    assert names(lists + COMMAND) == ["attachments", "lists", "mine"]
    assert names(lists, "none") == ["attachments", "lists"]


def test_an_engine_that_sees_only_some(tmp_path: Path) -> None:
    text = "[engines.yara]\nonly = ['\\.exe$']\n"
    (_, engine) = assemble.engines(config(text), (), str(tmp_path))
    assert engine.name == "yara"
    assert engine.wants(item_of(b"x", names=("A.EXE",)))
    assert not engine.wants(item_of(b"x", names=("a.txt",)))
    (_, engine) = assemble.engines(config(text), ("yara",), str(tmp_path))
    assert not engine.wants(item_of(b"x", names=("a.txt",)))


def test_texts_of_notices_are_read_at_the_start(tmp_path: Path) -> None:
    made = assemble.scanner(config('[notices]\npart = "gone: ${file}"\nsaved_part = "saved"\n'), ("none",), str(tmp_path))
    assert (made.notices().part, made.notices().saved) == (("gone: ${file}",), ("saved",))
    with pytest.raises(ConfigError) as wrong:
        assemble.scanner(config('[notices]\nsaved_part = "${nobody}"\n'), ("none",), str(tmp_path))
    assert (wrong.value.file, wrong.value.line) == (FILE, 2)
    assert "unknown variable ${nobody}" in wrong.value.message


def test_names_of_defanged_parts(tmp_path: Path) -> None:
    made = assemble.scanner(config('[defang]\nsuffix = ".DEFANGED-$N"\nmangled_name = "BLACKLISTED"\n'), ("none",), str(tmp_path))
    assert made.style.renaming == Renaming(".DEFANGED-$N", "application/octet-stream", "BLACKLISTED", "")
    assert assemble.scanner(config(), ("none",), str(tmp_path)).style == DEFAULT_STYLE


def test_rules_about_files_are_no_scanner(tmp_path: Path) -> None:
    rules = '[engines.files]\nkind = "filerules"\n'
    assert names(rules) == ["attachments", "files", "yara"]
    assert names(rules, "none") == ["attachments", "files"]
    assert assemble.scanner(config(rules + '[headers]\nscanned_field = "X-Antivirus"\n'), (), str(tmp_path)).closing(()) == (
        (b"X-Antivirus", b"Scanned by Lazaretto (yara)"),
    )


def test_summaries_and_small_changes(tmp_path: Path) -> None:
    text = '[rewrite]\nlong_fields = true\nmarker = "X"\n[notices]\nsummary = true\nsummary_prefix = "a"\nsummary_suffix = "b"\n'
    style = assemble.scanner(config(text), ("none",), str(tmp_path)).style
    assert style.rewriting == (True, False, "X")
    assert style.summary == (True, "a", "b")
    with pytest.raises(ConfigError) as wrong:
        assemble.scanner(config('[notices]\nsummary_suffix = "${nobody}"\n'), ("none",), str(tmp_path))
    assert (wrong.value.line, wrong.value.message[:20]) == (2, "summary_suffix: unkn")
