"""`lazaretto migrate`: prints or writes what f-prot.conf stands for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import programs
from lazaretto.cli import migrate
from lazaretto.policy.config import parse

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    from lazaretto.cli import main as command

    for name in [name for name in os.environ if name.startswith(("SCANMAIL_", "FPROT_", "FPSCAND_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(migrate, "FPROT_CONF", str(tmp_path / "f-prot.conf"))

    def go(text: bytes | None, *arguments: str) -> tuple[int, str, str]:
        if text is not None:
            (tmp_path / "f-prot.conf").write_bytes(text)
        status = command.main(["migrate", *arguments])
        return (status, *capsys.readouterr())

    return go


def test_it_prints_a_configuration(run: Run, tmp_path: Path) -> None:
    status, out, err = run(b"SCANMAIL_LOGLEVEL=7\nSCANMAIL_BANLIST='\\.t\xfcte$' # \xfc\n")
    assert (status, err) == (0, "")
    config = parse([("printed", out)])
    assert config.settings["log.level"] == 7
    assert config.engines[0].options["banlist"] == [r"\.tüte$"]
    assert f"# SCANMAIL_LOGLEVEL, {tmp_path}/f-prot.conf:1\n" in out
    assert "# What stands behind its options is for the sanitizer: --sanitizer." in out


def test_it_prints_utf_8_whatever_the_terminal_has(tmp_path: Path) -> None:
    (tmp_path / "conf").write_bytes(b"SCANMAIL_BANLIST='\xfc'\n")
    done = programs.run(tmp_path, "migrate", "--from", str(tmp_path / "conf"), env={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0
    assert parse([("printed", done.stdout.decode("utf-8"))]).engines[0].options["banlist"] == ["ü"]


def test_another_file_and_prefix(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("SCANMAIL_SERVERPORT=99")
    status, out, _ = run(None, "--from", str(tmp_path / "other"), "--prefix", "/opt/f-prot")
    assert status == 0
    settings = parse([("printed", out)]).settings
    assert (settings["server.listen"], settings["backup.directory"]) == (("127.0.0.1:99",), "/opt/f-prot/backup")


def test_the_environment_goes_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANMAIL_LOGLEVEL", "2")
    _, out, _ = run(b"SCANMAIL_LOGLEVEL=7\n")
    assert parse([("printed", out)]).settings["log.level"] == 2
    assert "# SCANMAIL_LOGLEVEL, environment\n" in out


def test_a_clamd_is_looked_for_if_only_some_is_scanned(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from lazaretto.engines import registry

    asked = []

    def find(timeout_s: float) -> str:
        asked.append(timeout_s)
        return "unix:/run/clamd"

    monkeypatch.setattr(registry, "find_clamd", find)
    _, out, _ = run(b"SCANMAIL_SCANLIST=x\n")
    assert [table.name for table in parse([("printed", out)]).engines] == ["lists", "yara", "clamd"]
    assert len(asked) == 1
    run(b"")
    assert len(asked) == 1


def test_it_writes_a_file_and_overwrites_none(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "lazaretto.toml"
    assert run(b"SCANMAIL_LOGLEVEL=7\n", "-o", str(target)) == (0, "", "")
    assert parse([("written", target.read_text())]).settings["log.level"] == 7
    before = target.read_bytes()
    status, out, err = run(b"SCANMAIL_LOGLEVEL=1\n", "-o", str(target))
    assert (status, out) == (73, "")
    assert err == f"lazaretto migrate: {target}: File exists; --force replaces it\n"
    assert target.read_bytes() == before
    assert run(None, "-o", str(target), "--force") == (0, "", "")
    assert parse([("written", target.read_text())]).settings["log.level"] == 1
    assert sorted(os.listdir(tmp_path)) == ["f-prot.conf", "lazaretto.toml"]


def test_a_dangling_link_is_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    status, _, err = run(b"", "-o", str(tmp_path / "link"))
    assert status == 73
    assert "File exists" in err
    assert not (tmp_path / "elsewhere").exists()


def test_where_nothing_can_be_written(run: Run, tmp_path: Path) -> None:
    status, _, err = run(b"", "-o", str(tmp_path / "no" / "such"))
    assert (status, err) == (73, f"lazaretto migrate: {tmp_path}/no/such: No such file or directory\n")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (b"SCANMAIL_LOGLEVEL=loud\n", 1, "SCANMAIL_LOGLEVEL: expected a syslog level"),
        (b"\n. /etc/default/f-prot\n", 2, "commands are not run here"),
        (b"\n\nSCANMAIL_STOPLIST='*.exe'\n", 3, 'SCANMAIL_STOPLIST: the expression "*.exe" cannot be used'),
        (b"SCANMAIL_ENGINES=nonsense\n", 1, "SCANMAIL_ENGINES: nonsense: unknown engine"),
    ],
)
def test_a_wrong_file(run: Run, tmp_path: Path, text: bytes, line: int, words: str) -> None:
    target = tmp_path / "lazaretto.toml"
    status, out, err = run(text, "-o", str(target))
    assert (status, out) == (78, "")
    assert err.startswith(f"lazaretto migrate: configuration: {tmp_path}/f-prot.conf:{line}: ")
    assert words in err
    assert err.count("\n") == 1
    assert not target.exists()


def test_no_file(run: Run, tmp_path: Path) -> None:
    status, _, err = run(None)
    assert (status, err) == (78, f"lazaretto migrate: configuration: {tmp_path}/f-prot.conf: cannot be read: No such file or directory\n")


def test_a_wrong_command_line(run: Run) -> None:
    assert run(b"", "--prefix", "relative")[0] == 64
    assert run(b"", "--nonsense")[0] == 64


CFG = r"""
score_bad = 100 # as in the manual
file_list_1 = (?i)\.exe$
file_list_1_policy = save
feat_log_xml = 1
"""


def test_arguments_for_the_sanitizer(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sanitizer.cfg").write_text(CFG)
    arguments = ["--sanitizer", str(tmp_path / "sanitizer.cfg"), "--sanitizer", "file_list_2 += |x"]
    status, out, err = run(b"SCANMAIL_BANLIST=y\n", *arguments)
    assert (status, err) == (0, "")
    config = parse([("printed", out)])
    assert config.policy.alarm_changes == 100
    assert [rule.name for rule in config.policy.rules][:2] == ["file_list_1", "file_list_2"]
    assert f"# feat_log_xml ({tmp_path}/sanitizer.cfg:5) has no effect: " in out
    assert f"# {tmp_path}/sanitizer.cfg:3\n" in out
    assert "names = [" in out
    assert "'(?-i:(?i:y)|x)'," in out


def test_the_sanitizers_own_program(run: Run, tmp_path: Path) -> None:
    """No f-prot.conf is read, for there was none."""
    (tmp_path / "sanitizer.cfg").write_text(CFG)
    status, out, err = run(None, "--anomy", str(tmp_path / "sanitizer.cfg"), "-o", str(tmp_path / "lazaretto.toml"))
    assert (status, out, err) == (0, "", "")
    config = parse([("written", (tmp_path / "lazaretto.toml").read_text())])
    assert config.policy.alarm_changes == 100
    assert [engine.name for engine in config.engines] == ["lists", "sanitizer"]


def test_wrong_lines_show_what_was_read_of_them(run: Run) -> None:
    status, out, err = run(b"", "--anomy", "score_bad = 7", "--anomy", "nonsense")
    assert (status, out) == (78, "")
    lines = err.splitlines()
    assert lines[0] == "Current configuration:"
    assert "score_bad = 7" in lines
    assert "Cannot read nonsense: No such file or directory [0] Error in argument 2." in lines[-1]


def test_one_of_both(run: Run) -> None:
    status, _, err = run(b"", "--anomy", "score_bad = 7", "--sanitizer", "score_bad = 7")
    assert status == 64
    assert "expected one of them" in err
