"""`lazaretto engines`: who answers, and who must."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doubles import ClamdDouble
from lazaretto.cli import main as command

Run = Callable[..., tuple[int, str]]
DEAD = "[engines.clamd]\naddresses = ['unix:/no/such/socket']\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def go(*arguments: str, text: str = "") -> tuple[int, str]:
        (tmp_path / "c.toml").write_text(text)
        monkeypatch.setenv("LAZARETTO_CONFIG", str(tmp_path / "c.toml"))
        status = command.main(["engines", "--state-dir", str(tmp_path), *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out

    return go


@pytest.fixture
def clamd() -> Iterator[ClamdDouble]:
    directory = tempfile.mkdtemp()  # short: the path of a socket has 107 bytes
    double = ClamdDouble(Path(directory) / "s")
    yield double
    double.close()
    shutil.rmtree(directory)


def test_the_built_in_ones_answer(run: Run) -> None:
    status, out = run("--engine", "yara")
    assert status == 0
    attachments, yara = out.splitlines()
    assert attachments.startswith("attachments: answers, built in")
    assert yara.startswith("yara: answers, YARA-X ")
    assert " rules" in yara


def test_a_clamd_that_answers(run: Run, clamd: ClamdDouble) -> None:
    status, out = run("--engine", f"clamd:{clamd.address}")
    assert status == 0
    assert "clamd: answers, ClamAV 1.0.0-double" in out
    assert "26000" in out


def test_a_clamd_that_does_not(run: Run) -> None:
    status, out = run("--engine", "clamd:unix:/no/such/socket", "--timeout-s", "1")
    assert status == 75
    assert "clamd: DOES NOT ANSWER" in out
    assert "/no/such/socket" in out
    assert "need not" not in out


def test_one_that_need_not(run: Run) -> None:
    status, out = run("--timeout-s", "1", text=DEAD + "required = false\n")
    assert status == 0
    assert "clamd: DOES NOT ANSWER (need not)" in out


def test_all_are_shown_although_one_is_down(run: Run) -> None:
    status, out = run("--timeout-s", "1", text=DEAD + "[engines.yara]\n")
    assert status == 75
    assert [line.partition(":")[0] for line in out.splitlines()] == ["attachments", "clamd", "yara"]


def test_a_program_that_is_not_there(run: Run) -> None:
    status, out = run("--engine", "command:x", text="[engines.x]\nkind = 'command'\nargv = ['/no/such/program', '{file}']\n")
    assert status == 75
    assert "x: DOES NOT ANSWER, /no/such/program: no such program" in out.replace("x: DOES NOT ANSWER, x, ", "x: DOES NOT ANSWER, ")


def test_json(run: Run) -> None:
    status, out = run("--json", "--timeout-s", "1", text=DEAD)
    assert status == 75
    entries = {entry["name"]: entry for entry in map(json.loads, out.splitlines())}
    assert entries["attachments"]["reachable"]
    assert not entries["clamd"]["reachable"]
    assert entries["clamd"]["required"]
    assert {"name", "required", "version", "signatures", "reachable", "detail"} == set(entries["clamd"])


def test_a_wrong_time(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["engines", "--timeout-s", "soon"]) == 64
    assert "--timeout-s" in capsys.readouterr().err
