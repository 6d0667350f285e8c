"""`lazaretto explain`: everything that was read, said, decided and changed, and nothing done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import programs
import wrappings
from eicar import EICAR
from lazaretto.cli import main as command

INFECTED = wrappings.attach(wrappings.zipped(EICAR, "evil.txt"), "invoice.zip", "application/zip")
CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
ODD = wrappings.HEAD + b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrappings.b64(EICAR)
BROKEN_ENGINE = "[engines.double]\nkind = 'command'\nargv = ['/no/such/program', '{file}']\n"

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def go(message: bytes, *arguments: str, engine: str = "yara", text: str = "") -> tuple[int, str]:
        (tmp_path / "c.toml").write_text(text)
        (tmp_path / "m.eml").write_bytes(message)
        monkeypatch.setenv("LAZARETTO_CONFIG", str(tmp_path / "c.toml"))
        status = command.main(["explain", "--engine", engine, "--state-dir", str(state), *arguments, str(tmp_path / "m.eml")])
        out, err = capsys.readouterr()
        assert err == ""
        assert (tmp_path / "m.eml").read_bytes() == message
        assert not (state / "quarantine").exists()
        return status, out

    return go


def test_a_clean_message(run: Run) -> None:
    status, out = run(CLEAN)
    assert status == 0
    assert out.startswith(f"message: [message, {len(CLEAN)} bytes]\n    nothing found by yara\n")
    assert "  body: text/plain [text, 7 bytes]\n      nothing found by attachments, yara\n" in out
    assert "outcome: clean, by rule default\n" in out
    assert "edit: bytes 0 to 0 become " in out


def test_no_edits(run: Run) -> None:
    assert "  no edits: the message goes on byte for byte\n" in run(CLEAN, text="[headers]\nannounce = false\n")[1]


def test_an_infected_message(run: Run) -> None:
    status, out = run(INFECTED)
    assert status == 0
    assert "    2: invoice.zip application/zip [zip, " in out.replace("  2:", "    2:")
    assert "    evil.txt: [" in out
    assert "Eicar-Test-Signature [malware, yara]" in out
    assert "-> replace (policy.malware)" in out
    assert "outcome: cleaned, by rule policy.malware\n  part 2: replace\n  the original would go to quarantine\n" in out


def test_depth_is_shown(run: Run) -> None:
    lines = run(INFECTED)[1].splitlines()
    depths = {
        name: next(len(line) - len(line.lstrip()) for line in lines if line.lstrip().startswith(name))
        for name in ("message:", "2:", "evil")
    }
    assert depths == {"message:": 0, "2:": 2, "evil": 4}


def test_anomalies_and_other_readings(run: Run) -> None:
    _, out = run(ODD)
    assert "mime.duplicate-encoding [malformed, reader]" in out
    assert "-> canonicalise (policy.ambiguous)" in out
    assert "(other reading)" in out
    assert "part (message): replace" in out


def test_rules_are_named(run: Run) -> None:
    rule = "[[rule]]\nname = 'known'\nfile = 'evil.txt'\naction = 'pass'\n"
    _, out = run(INFECTED, text=rule)
    assert "-> pass (known)" in out
    assert "outcome: passed, by rule known" in out
    _, out = run(INFECTED, text=rule.replace("'pass'", "'reject'"))
    assert "outcome: rejected, by rule known" in out


def test_diff(run: Run) -> None:
    _, out = run(INFECTED, "--diff")
    assert "    - b'Content-Type: application/zip'" in out
    assert "    + b'X-Lazaretto-Status: cleaned; found=malware; rule=policy.malware'" in out
    assert "    - b" not in run(INFECTED)[1]


def test_hostile_names_are_escaped(run: Run) -> None:
    _, out = run(wrappings.attach(b"x", "a\x1b[2J\u202e.txt"))
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "a\\x1b[2J\\u202e.txt" in out


def test_an_engine_that_fails(run: Run) -> None:
    status, out = run(CLEAN, engine="command:double", text=BROKEN_ENGINE)
    assert status == 75
    assert "engine.down [error/down, double]: /no/such/program: cannot be started" in out
    assert "-> tempfail (policy.down)" in out
    assert "outcome: deferred, by rule policy.down" in out


def loaded(run: Run, message: bytes) -> Any:
    status, out = run(message, "--json")
    assert status == 0
    return json.loads(out)


def test_json(run: Run) -> None:
    told = loaded(run, INFECTED)
    assert set(told) == {"items", "facts", "report"}
    by_place = {tuple(item["where"]): item for item in told["items"]}
    assert by_place[()]["bytes"] == len(INFECTED)
    assert by_place["2",]["names"] == ["invoice.zip"]
    assert by_place["2",]["type"] == "zip"
    evil = by_place["2", "evil.txt"]
    assert evil["part"] == "2"
    assert evil["bytes"] == len(EICAR)
    assert [finding["name"] for finding in evil["findings"]] == ["Eicar-Test-Signature"]
    assert evil["engines"] == ["attachments", "yara"]
    assert not evil["other_reading"]
    assert told["report"]["outcome"] == "cleaned"
    assert told["report"]["treatments"] == {"2": "replace"}
    assert told["report"]["quarantine"] is None
    assert [edit["start"] for edit in told["report"]["edits"]] == [0, INFECTED.index(b"Content-Type: application/zip")]


def test_json_of_other_readings(run: Run) -> None:
    told = loaded(run, ODD)
    assert "mime.duplicate-encoding" in {fact["name"] for fact in told["facts"]}
    assert any(item["other_reading"] for item in told["items"])


def test_standard_input_and_missing_files(tmp_path: Path) -> None:
    done = programs.run(tmp_path, "explain", "--engine", "none", "-", message=CLEAN)
    assert done.returncode == 0
    assert b"outcome: clean" in done.stdout
    done = programs.run(tmp_path, "explain", "--engine", "none", str(tmp_path / "missing"))
    assert (done.returncode, done.stdout) == (66, b"")
    assert done.stderr == f"lazaretto: {tmp_path}/missing: No such file or directory\n".encode()


@pytest.mark.parametrize("message", [b"", b"\0", b"\r\n", b"garbage \xff"])
def test_what_hardly_is_a_message(run: Run, message: bytes) -> None:
    assert run(message)[0] == 0
    assert loaded(run, message)["report"]["outcome"] == "clean"
