"""The command: picks the sub-command, and ends in an orderly way."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import programs
import wrappings
from eicar import EICAR
from lazaretto.cli import main as command


def test_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err == command.usage() + "\n"


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([word]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (command.usage() + "\n", "")
    for name, entry in command.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.summary)}$", out, re.MULTILINE)


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_version(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([word]) == 0
    assert capsys.readouterr().out == f"lazaretto {command.version()}\n"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("filtr", "did you mean 'filter'?"),
        ("explian", "did you mean 'explain'?"),
        ("xyz", "'lazaretto --help' lists the commands"),
        ("", "--help"),
    ],
)
def test_unknown_commands(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([word]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"unknown command '{word}'" in err
    assert hint in err


def options(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, set[str]]:
    """Help text of a command and the options that its usage line shows."""
    assert command.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    usage = text.partition("\n\n")[0]
    return text, set(re.findall(r"--?[a-z][a-z-]*", usage))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("filter", {"--sender", "--recipient", "--client", "--queue-id"}),
        ("scan", {"--json", "--all", "--message"}),
        ("explain", {"--json", "--diff"}),
        ("check-config", {"--quiet"}),
        ("engines", {"--json", "--timeout-s"}),
        ("serve", {"--listen", "--pid-file", "--daemon"}),
    ],
)
def test_help_of_each_command(name: str, expected: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    text, shown = options(name, capsys)
    assert text.startswith(f"usage: lazaretto {name} ")
    body = text.partition("\n\n")[2]
    for option in expected | {"--config", "--engine", "--state-dir", "--help"}:
        assert re.search(rf"^  (?:-\w(?: \S+)?, )?{option}\b.*(?:\n {{10,}}\S.*)?", body, re.MULTILINE), option
    for option in shown:
        assert option in body


IN_RECIPES = {"filter", "client"}  # for those a wrong command line is a temporary failure: see their own tests
CONFIGURED = set(command.COMMANDS) - {"client", "migrate", "setup"}
WITH_ANSWERS_OF_THEIR_OWN = {"doctor", "milter", "proxy"}  # to a wrong configuration: see their own tests


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_has_its_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main([name, "-h"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("usage: lazaretto")
    assert ("--state-dir" in out) is (name in CONFIGURED)
    assert err == ""


@pytest.mark.parametrize("name", sorted(set(command.COMMANDS) - IN_RECIPES))
def test_a_wrong_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([name, "--no-such-option"]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert "--no-such-option" in err or "required" in err


@pytest.mark.parametrize("name", sorted(CONFIGURED - IN_RECIPES - WITH_ANSWERS_OF_THEIR_OWN))
def test_a_wrong_configuration(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text("[policy]\nmalware = 1\n")
    (tmp_path / "m.eml").write_bytes(b"Subject: x\n\nx\n")
    more = [str(tmp_path / "m.eml")] if name in ("scan", "explain") else []
    assert command.main([name, "--config", str(tmp_path / "c.toml"), *more]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"lazaretto {name}: configuration: {tmp_path}/c.toml:2: ")
    assert err.count("\n") == 1


def test_python_dash_m(tmp_path: Path) -> None:
    done = programs.run(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"lazaretto {command.version()}\n".encode(), b"")


# -- standard output that gives trouble


def many(directory: Path) -> str:
    (directory / "many").mkdir()
    for number in range(300):
        (directory / "many" / f"{'long-name-' * 10}{number}.txt").write_text("x")
    return str(directory / "many")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """lazaretto scan ... | head"""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = programs.run(tmp_path, "scan", "--engine", "none", "--all", many(tmp_path), stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (74, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [("--version",), ("engines", "--engine", "none"), ("check-config", "--engine", "none")])
def test_standard_output_that_is_full(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = programs.run(tmp_path, *arguments, stdout=full)
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr


def test_a_terminal_that_knows_few_characters(tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(wrappings.attach(EICAR, "gr\u00fc\u00dfe-\u65e5\u672c.txt"))
    for name in ("scan", "explain"):
        done = programs.run(tmp_path, name, "--engine", "yara", str(tmp_path / "m.eml"), env={"PYTHONIOENCODING": "ascii"})
        assert done.stdout.isascii()
        assert b"Eicar-Test-Signature" in done.stdout
        assert done.stderr == b""


def test_control_c(tmp_path: Path) -> None:
    import signal

    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    with (
        subprocess.Popen(
            programs.command("explain", "--engine", "none", str(fifo)),
            env=programs.environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        fifo.open("wb"),
    ):  # opens when the command opens it
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")
