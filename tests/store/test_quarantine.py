"""Quarantine: exact bytes, private files, no half-stored message, no collision between processes."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import resource
import stat
from pathlib import Path

import pytest

from lazaretto.mime.source import Source
from lazaretto.model import Envelope, Finding, Kind, Reason
from lazaretto.store import quarantine
from lazaretto.store.quarantine import Quarantine, default_state_dir, describe

NOW = 1_782_900_000.0  # 2026-07-01
DAY = "2026/07/01"
MESSAGE = b"From: a@example.org\r\n\r\nbody\0\xff\r\n"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_message_and_sidecar(tmp_path: Path) -> None:
    envelope = Envelope(b"a@example.org", ("grün@example.org".encode(), b"\xff@example.org"), "192.0.2.1", b"helo", "Q1")
    findings = [
        Finding("yara", Kind.MALWARE, "Eicar-Test-Signature", (2,), "offset 0", None, ("2", "a.zip", "\u202eexe.a")),
        Finding("clamd", Kind.ERROR, "engine.down", reason=Reason.DOWN),
    ]
    store = Quarantine(str(tmp_path / "quarantine"))
    assert store.put(Source(MESSAGE), describe(envelope, findings, "policy.malware"), scan_id="abc", now=NOW) == "abc"
    day = tmp_path / "quarantine" / DAY
    assert (day / "abc.eml").read_bytes() == MESSAGE
    sidecar = json.loads((day / "abc.json").read_bytes())
    assert sidecar == {
        "format": 1,
        "id": "abc",
        "time": "2026-07-01T10:00:00Z",
        "sha256": hashlib.sha256(MESSAGE).hexdigest(),
        "size": len(MESSAGE),
        "rule": "policy.malware",
        "envelope": {
            "mail_from": "a@example.org",
            "rcpt_to": ["grün@example.org", "\\xff@example.org"],
            "client": "192.0.2.1",
            "helo": "helo",
            "queue_id": "Q1",
        },
        "findings": [
            {
                "engine": "yara",
                "kind": "malware",
                "name": "Eicar-Test-Signature",
                "part": [2],
                "trail": ["2", "a.zip", "\u202eexe.a"],
                "detail": "offset 0",
                "reason": None,
            },
            {"engine": "clamd", "kind": "error", "name": "engine.down", "part": [], "trail": [], "detail": "", "reason": "down"},
        ],
    }
    assert names(tmp_path) == ["abc.eml", "abc.json"]
    for path in (tmp_path / "quarantine").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_null_sender_and_no_sender_differ() -> None:
    assert [describe(Envelope(sender), (), "r")["envelope"]["mail_from"] for sender in (None, b"")] == [None, ""]  # type: ignore[index]


def test_meta_cannot_change_what_is_measured(tmp_path: Path) -> None:
    Quarantine(str(tmp_path)).put(Source(b""), {"size": 7, "sha256": "x", "id": "../x"}, scan_id="abc", now=NOW)
    sidecar = json.loads((tmp_path / DAY / "abc.json").read_bytes())
    assert (sidecar["id"], sidecar["size"], sidecar["sha256"]) == ("abc", 0, hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize("scan_id", ["", "../x", "a/b", ".hidden", "a b", "a\n", "é", "x" * 65])
def test_bad_ids(tmp_path: Path, scan_id: str) -> None:
    with pytest.raises(ValueError, match="not a quarantine id"):
        Quarantine(str(tmp_path)).put(Source(b"x"), {}, scan_id=scan_id, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_same_id_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Quarantine(str(tmp_path))
    assert [store.put(Source(b"%d" % n), {}, scan_id="abc", now=NOW) for n in range(3)] == ["abc", "abc-1", "abc-2"]
    assert [(tmp_path / DAY / f"abc{end}.eml").read_bytes() for end in ("", "-1", "-2")] == [b"0", b"1", b"2"]
    monkeypatch.setattr(quarantine, "_SAME_ID", 3)
    with pytest.raises(FileExistsError, match="3 messages have the id abc"):
        store.put(Source(b"x"), {}, scan_id="abc", now=NOW)


def test_leftovers_of_a_crash_do_no_harm(tmp_path: Path) -> None:
    day = tmp_path / DAY
    day.mkdir(parents=True)
    (day / ".abc.eml").write_bytes(b"half")
    (day / "abc-1.json").write_bytes(b"orphan")
    (day / ".abc-2.json").write_bytes(b"x" * 10_000)
    assert Quarantine(str(tmp_path)).put(Source(MESSAGE), {}, scan_id="abc", now=NOW) == "abc-2"
    assert (day / "abc-2.eml").read_bytes() == MESSAGE
    assert json.loads((day / "abc-2.json").read_bytes())["id"] == "abc-2"


def put_many(directory: str, worker: int) -> list[str]:
    store = Quarantine(directory)
    return [store.put(Source(b"%d-%d" % (worker, n)), {"worker": worker, "n": n}, scan_id="same", now=NOW) for n in range(20)]


def test_processes_do_not_collide(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        given = pool.starmap(put_many, [(str(tmp_path), worker) for worker in range(4)])
    everything = [one for ids in given for one in ids]
    assert len(set(everything)) == 80
    assert names(tmp_path) == sorted(one + suffix for one in everything for suffix in (".eml", ".json"))
    for worker, ids in enumerate(given):
        for n, one in enumerate(ids):
            assert (tmp_path / DAY / f"{one}.eml").read_bytes() == b"%d-%d" % (worker, n)
            sidecar = json.loads((tmp_path / DAY / f"{one}.json").read_bytes())
            assert (sidecar["worker"], sidecar["n"], sidecar["id"]) == (worker, n, one)


@pytest.mark.parametrize("size", [5000, 990], ids=["message does not fit", "sidecar does not fit"])
def test_disk_full(tmp_path: Path, size: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"quarantine: cannot write .*abc\.") as caught:
            Quarantine(str(tmp_path)).put(Source(b"x" * size), {"detail": "y" * 2000}, scan_id="abc", now=NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert str(tmp_path) in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "rename", "write", "close"])
@pytest.mark.parametrize("at", range(8))
def test_any_failing_call_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int) -> None:
    """The disk fails at the N-th call of each kind."""
    (tmp_path / DAY).mkdir(parents=True)
    real = getattr(os, call)
    calls = 0

    def failing(*args: object) -> object:
        nonlocal calls
        calls += 1
        result = real(*args)
        if calls == at + 1:
            raise OSError(errno.EIO, "the disk fails")
        return result

    monkeypatch.setattr(os, call, failing)
    trouble = ""
    try:
        Quarantine(str(tmp_path)).put(Source(MESSAGE), {}, scan_id="abc", now=NOW)
    except OSError as error:
        trouble = str(error)
    assert (calls > at) == bool(trouble)
    assert names(tmp_path) == ([] if trouble else ["abc.eml", "abc.json"])
    assert not trouble or ("quarantine: cannot" in trouble and str(tmp_path) in trouble)


def test_names_that_are_files(tmp_path: Path) -> None:
    (tmp_path / "2026").write_bytes(b"")
    with pytest.raises(OSError, match="something else has this name"):
        Quarantine(str(tmp_path)).put(Source(b"x"), {}, scan_id="abc", now=NOW)


def put_as_nobody(directory: str) -> str:
    if os.geteuid() == 0:
        os.setuid(65534)
    try:
        return Quarantine(directory).put(Source(b"x"), {}, scan_id="abc", now=NOW)
    except PermissionError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("below", ["", "new"])
def test_directory_without_permission(tmp_path: Path, below: str) -> None:
    (tmp_path / DAY).mkdir(parents=True)
    closed = tmp_path / DAY
    os.chmod(closed, 0o555)
    for parent in (tmp_path, *tmp_path.parents):  # pytest makes private directories; another user must get as far as ours
        if parent.stat().st_uid == os.geteuid() and os.geteuid() == 0 and parent != Path("/"):
            os.chmod(parent, parent.stat().st_mode | 0o011)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        answer = pool.apply(put_as_nobody, [str(closed / below if below else tmp_path)])
    assert answer.startswith("refused: ")
    assert "quarantine: cannot create" in answer
    assert names(tmp_path) == []


def test_default_state_dir(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    home = {"HOME": "/home/u"}
    assert default_state_dir({}, 0) == "/var/lib/lazaretto"
    assert default_state_dir({"LAZARETTO_STATE_DIR": "/s"}, 0) == "/s"
    assert default_state_dir({"LAZARETTO_STATE_DIR": "s"}, 0) == "/var/lib/lazaretto"
    assert default_state_dir(home, 1000, str(tmp_path)) == str(tmp_path)
    assert default_state_dir(home, 1000, missing) == "/home/u/.local/state/lazaretto"
    assert default_state_dir({**home, "XDG_STATE_HOME": "/s"}, 1000, missing) == "/s/lazaretto"
    assert default_state_dir({**home, "XDG_STATE_HOME": "s"}, 1000, missing) == "/home/u/.local/state/lazaretto"
    assert default_state_dir({}, 1000, missing).endswith("/.local/state/lazaretto")
