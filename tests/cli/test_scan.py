"""`lazaretto scan`: files of all kinds, and exit codes that can be relied on."""

from __future__ import annotations

import json
import mailbox
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import programs
import wrappings
from eicar import EICAR
from lazaretto.cli import main as command
from lazaretto.cli import scan
from lazaretto.mime.source import Source

CLEAN = wrappings.single(b"Content-Type: text/plain\r\n", b"hello\r\n")
INFECTED = wrappings.attach(EICAR, "a.txt")
ENCRYPTED = wrappings.attach(wrappings.zipcrypto(b"x", b"unknown to all"), "a.zip", "application/zip")
BROKEN_ENGINE = "[engines.double]\nkind = 'command'\nargv = ['/no/such/program', '{file}']\n"

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    config = tmp_path / "c.toml"

    def go(*arguments: object, engine: str = "yara", text: str = "") -> tuple[int, str]:
        config.write_text(text)
        monkeypatch.setenv("LAZARETTO_CONFIG", str(config))
        status = command.main(["scan", "--engine", engine, "--state-dir", str(state), *map(str, arguments)])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out

    return go


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# -- exit codes


def test_clean(run: Run, tmp_path: Path) -> None:
    assert run(put(tmp_path / "m.eml", CLEAN)) == (0, "1 scanned: 0 found, 0 with remarks, 0 in trouble\n")


def test_found(run: Run, tmp_path: Path) -> None:
    path = put(tmp_path / "m.eml", INFECTED)
    status, out = run(path)
    assert status == 1
    assert out.splitlines()[0] == f"{path}: FOUND"
    assert "    Eicar-Test-Signature (yara, 2)" in out
    assert out.endswith("1 scanned: 1 found, 0 with remarks, 0 in trouble\n")
    assert path.read_bytes() == INFECTED


def test_noted(run: Run, tmp_path: Path) -> None:
    """Passed by policy with a remark: that is nothing found."""
    status, out = run(put(tmp_path / "m.eml", ENCRYPTED))
    assert status == 0
    assert "m.eml: NOTED\n    zip.encrypted (reader, 2" in out


def test_trouble_outranks_found(run: Run, tmp_path: Path) -> None:
    paths = put(tmp_path / "m.eml", INFECTED), tmp_path / "missing.eml", put(tmp_path / "n.eml", CLEAN)
    status, out = run(*paths)
    assert status == 2
    assert "missing.eml: TROUBLE\n    system.error (reader): No such file or directory\n" in out
    assert "m.eml: FOUND" in out
    assert out.endswith("3 scanned: 1 found, 0 with remarks, 1 in trouble\n")


def test_an_engine_that_fails_is_trouble(run: Run, tmp_path: Path) -> None:
    status, out = run(put(tmp_path / "m.eml", CLEAN), engine="command:double", text=BROKEN_ENGINE)
    assert status == 2
    assert "engine.down (double" in out


def test_a_spool_that_cannot_be_written_is_trouble(run: Run, tmp_path: Path) -> None:
    text = f"[limits]\nspool_memory_bytes = 1\n[filter]\nspool_directory = '{tmp_path}/missing'\n"
    paths = put(tmp_path / "m.eml", CLEAN), put(tmp_path / "n.eml", b"Subject: no body")
    status, out = run("--all", *paths, text=text)
    assert status == 2
    assert "m.eml: TROUBLE\n    system.error (reader): cannot create a spool file" in out
    assert "n.eml: CLEAN" in out


def test_policy_decides_what_is_found(run: Run, tmp_path: Path) -> None:
    path = put(tmp_path / "m.eml", ENCRYPTED)
    assert run(path, text="[policy]\nencrypted = 'reject'\n")[0] == 1
    assert run(put(tmp_path / "i.eml", INFECTED), text="[policy]\nmalware = 'tempfail'\n")[0] == 2
    assert run(tmp_path / "i.eml", text="[policy]\nmalware = 'pass'\n")[0] == 0


# -- kinds of files


def test_a_plain_file_is_no_message(run: Run, tmp_path: Path) -> None:
    status, out = run(put(tmp_path / "a.zip", wrappings.zipped(EICAR)))
    assert status == 1
    assert "Eicar-Test-Signature (yara, a.zip > a.txt)" in out
    assert run(put(tmp_path / "empty", b""))[0] == 0
    assert run(put(tmp_path / "evil.exe", b"MZ" + bytes(100)))[0] == 1


def test_a_directory_is_walked_in_order(run: Run, tmp_path: Path) -> None:
    top = tmp_path / "top"
    put(top / "b" / "2.eml", INFECTED)
    put(top / "a" / "1.eml", INFECTED)
    put(top / "3.eml", CLEAN)
    (top / "link.eml").symlink_to(top / "b" / "2.eml")
    (top / "loop").symlink_to(top)
    os.mkfifo(top / "pipe")
    status, out = run("--all", top)
    assert status == 1
    assert [line for line in out.splitlines() if line.startswith("/")] == [
        f"{top}/3.eml: CLEAN",
        f"{top}/a/1.eml: FOUND",
        f"{top}/b/2.eml: FOUND",
    ]


def test_a_maildir(run: Run, tmp_path: Path) -> None:
    """Its files have no suffix, and are messages even where they hardly look so."""
    box = mailbox.Maildir(tmp_path / "box")
    box.add(INFECTED)
    put(tmp_path / "box" / "cur" / "1:2,S", b"x\nContent-Transfer-Encoding: base64\n\n" + wrappings.b64(EICAR))
    status, out = run(tmp_path / "box")
    assert status == 1
    assert out.count("FOUND") == 2


def test_an_mbox(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = mailbox.mbox(path)
    for message in (CLEAN, INFECTED, CLEAN):
        box.add(message.replace(b"\r\n", b"\n"))
    box.close()
    status, out = run("--all", path)
    assert status == 1
    assert [line for line in out.splitlines() if line.startswith("/")] == [f"{path}:1: CLEAN", f"{path}:2: FOUND", f"{path}:3: CLEAN"]
    assert run("--message", path)[1].endswith("1 scanned: 0 found, 0 with remarks, 0 in trouble\n")


@pytest.mark.parametrize(
    ("data", "spans"),
    [
        (b"", []),
        (b"From a\n\nx\n", [(0, 10)]),
        (b"From a\n\nx\nFrom b\n\ny\n", [(0, 10), (10, 20)]),
        (b"From a\n\n>From b\n", [(0, 16)]),
        (b"From a\nFrom b\n", [(0, 7), (7, 14)]),
    ],
)
def test_mbox_is_split_at_its_lines(data: bytes, spans: list[tuple[int, int]]) -> None:
    assert [tuple(span) for span in scan._mbox(Source(data))] == spans


def test_message_by_force(run: Run, tmp_path: Path) -> None:
    path = put(tmp_path / "x.txt", b"Content-Transfer-Encoding: base64\n\n" + wrappings.b64(wrappings.zipped(EICAR)))
    assert run("--message", path)[0] == 1


def test_standard_input(state: Path, tmp_path: Path) -> None:
    arguments = ("scan", "--engine", "yara", "--state-dir", str(state), "-")
    assert programs.run(tmp_path, *arguments, message=INFECTED).returncode == 1
    assert programs.run(tmp_path, *arguments, message=CLEAN).returncode == 0
    with put(tmp_path / "m", INFECTED).open("rb") as file:
        done = programs.run(tmp_path, *arguments, stdin=file)
    assert done.returncode == 1
    assert done.stdout.startswith(b"-: FOUND\n")


# -- what is shown


def test_json_lines(run: Run, tmp_path: Path) -> None:
    put(tmp_path / "d" / "1.eml", CLEAN)
    put(tmp_path / "d" / "2.eml", INFECTED)
    status, out = run("--json", tmp_path / "d", tmp_path / "missing")
    assert status == 2
    entries = [json.loads(line) for line in out.splitlines()]
    assert [(entry["path"], entry["state"]) for entry in entries] == [
        (f"{tmp_path}/d/1.eml", "clean"),
        (f"{tmp_path}/d/2.eml", "found"),
        (f"{tmp_path}/missing", "trouble"),
    ]
    assert entries[0]["findings"] == []
    assert {
        "engine": "yara",
        "kind": "malware",
        "name": "Eicar-Test-Signature",
        "part": "2",
        "where": ["2"],
        "detail": "",
        "reason": None,
    }.items() <= {
        **entries[1]["findings"][-1],
        "detail": "",
    }.items()


def test_hostile_names_stay_on_their_line(run: Run, tmp_path: Path) -> None:
    path = put(tmp_path / "evil\n\x1b[31m\u202e.eml", INFECTED)
    _, out = run(path)
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "evil\\n\\x1b[31m\\u202e.eml: FOUND" in out
    undecodable = os.fsencode(tmp_path) + b"/\xff.eml"
    with open(undecodable, "wb") as file:
        file.write(INFECTED)
    assert "\\udcff.eml: FOUND" in run(os.fsdecode(undecodable))[1]
    assert json.loads(run("--json", os.fsdecode(undecodable))[1])["path"].endswith("\udcff.eml")


def test_twenty_findings_are_shown(run: Run, tmp_path: Path) -> None:
    parts = b"".join(b"--b\r\nContent-Type: text/plain; name=%d.exe\r\n\r\nx%d\r\n" % (number, number) for number in range(30))
    path = put(tmp_path / "m.eml", wrappings.single(b"Content-Type: multipart/mixed; boundary=b\r\n", parts + b"--b--\r\n"))
    _, out = run(path, engine="none")
    assert out.count("name.banned-extension") == 20


@pytest.mark.parametrize("fancy", [True, False], ids=["rich", "no rich"])
def test_progress_on_a_terminal(fancy: bool, state: Path, tmp_path: Path) -> None:
    """A bar on standard error, which changes nothing on standard output."""
    if fancy:
        pytest.importorskip("rich")
    put(tmp_path / "d" / "1.eml", CLEAN)
    hidden = put(tmp_path / "hidden" / "rich" / "__init__.py", b"raise ImportError\n").parent.parent
    path = programs.ROOT if fancy else f"{hidden}{os.pathsep}{programs.ROOT}"
    controller, terminal = os.openpty()
    arguments = ("scan", "--engine", "none", "--state-dir", str(state), str(tmp_path / "d"))
    done = programs.run(tmp_path, *arguments, stderr=terminal, env={"PYTHONPATH": path, "TERM": "xterm"})
    os.close(terminal)
    try:
        shown = os.read(controller, 65536)
    except OSError:  # nothing was written before the terminal was closed
        shown = b""
    os.close(controller)
    assert done.returncode == 0
    assert done.stdout == b"1 scanned: 0 found, 0 with remarks, 0 in trouble\n"
    assert b"Traceback" not in shown
    assert (b"1 scanned" in shown) == fancy
