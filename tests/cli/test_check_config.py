"""`lazaretto check-config`: says what counts, or what is wrong and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lazaretto.cli import main as command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(text: str, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "c.toml").write_text(text)
        status = command.main(["check-config", "--config", str(tmp_path / "c.toml"), "--state-dir", str(tmp_path), *arguments])
        return (status, *capsys.readouterr())

    return go


def test_a_right_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10.toml").write_text("[policy]\nactive = 'reject'\n")
    status, out, err = run("[limits]\nmax_parts = 77\n", "--engine", "none")
    assert (status, err) == (0, "")
    assert out.endswith(f"configuration is right: {tmp_path}/c.toml, {tmp_path}/conf.d/10.toml\n")
    (line,) = [line for line in out.splitlines() if "max_parts" in line]
    assert "77" in line
    assert f"{tmp_path}/c.toml:2" in line
    (line,) = [line for line in out.splitlines() if line.startswith("active")]
    assert '"reject"' in line
    assert "10.toml:2" in line


def test_quiet(run: Run, tmp_path: Path) -> None:
    assert run("", "-q", "--engine", "none") == (0, f"configuration is right: {tmp_path}/c.toml\n", "")


def test_no_file_is_right_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from lazaretto.cli import setup

    monkeypatch.setattr(setup, "config_path", lambda chosen: None)
    assert command.main(["check-config", "-q", "--engine", "none", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "configuration is right: no file, built-in defaults\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[limits\n", 1, "not TOML"),
        ("[limits]\nmax_parts = 0\n", 2, "a whole number above 0"),
        ("[limits]\nmax_part = 1\n", 2, "did you mean max_parts?"),
        ("[policy]\nmalware = 'replce'\n", 2, "did you mean replace?"),
        ("[[rule]]\nname = 'x'\naction = 'pass'\n", 1, "at least one condition"),
        ("[engines.yara]\nrules = '/no/list'\n", 2, "rules"),
        ("[engines.yara]\n\nnonsense = 1\n", 3, "nonsense"),
        ("[engines.clamd]\naddresses = ['unix:relative']\n", 2, "relative"),
    ],
)
def test_a_wrong_one(run: Run, tmp_path: Path, text: str, line: int, words: str) -> None:
    status, out, err = run(text)
    assert (status, out) == (78, "")
    assert err.startswith(f"lazaretto check-config: configuration: {tmp_path}/c.toml:{line}: ")
    assert words in err
    assert err.count("\n") == 1


def test_rules_that_are_not_there(run: Run) -> None:
    status, out, err = run("[engines.yara]\nrules = ['/no/such/file']\n")
    assert (status, out) == (78, "")
    assert err.startswith("lazaretto check-config: configuration: /no/such/file: ")
    assert err.count("\n") == 1


def test_rules_that_do_not_compile(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yar").write_text("rule x { condition: nonsense }\n")
    status, _, err = run(f"[engines.yara]\nrules = ['{tmp_path}/bad.yar']\n")
    assert status == 78
    assert "bad.yar" in err
    assert "Traceback" not in err
