"""Saved files: the template language, harmless names, private and whole files."""

from __future__ import annotations

import errno
import itertools
import os
import re
import resource
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import failing_call
from forked import in_processes
from lazaretto.errors import ConfigError
from lazaretto.store import saved
from lazaretto.store.saved import MAX_NAME, SavedFiles, safe_name

NOW = 1_782_900_003.75  # Wednesday 2026-07-01 10:00:03 UTC = 0x6a44e523
PID = 4711  # 0x1267

pytestmark = pytest.mark.usefixtures("utc")


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("att-$T", f"att-{int(NOW):x}"),
        ("$P", "1267"),
        ("$H:$M:$S", "10:00:03"),
        ("$d.$m.$y $Y", "01.07.26 2026"),
        ("$w-$j", "3-182"),
        ("$F", "invoice.exe"),
        ("att-$F.txt", "att-invoice.exe.txt"),
        ("$$$F", r"[A-Z0-9]{2}invoice\.exe"),
        ("att-$T-$$$-$F", rf"att-{int(NOW):x}-[A-Z0-9]{{3}}-invoice\.exe"),
        ("$T$", f"{int(NOW):x}[A-Z0-9]"),
        ("$t$f$x$%", r"[A-Z0-9]t[A-Z0-9]f[A-Z0-9]x[A-Z0-9]%"),
        ("plain", "plain"),
    ],
)
def test_template(tmp_path: Path, template: str, expected: str) -> None:
    path = SavedFiles(f"{tmp_path}/{template}").put([b"con", b"tent\0\xff"], "invoice.exe", NOW, PID)
    assert re.fullmatch(expected, os.path.basename(path))
    assert os.path.dirname(path) == str(tmp_path)
    assert Path(path).read_bytes() == b"content\0\xff"
    assert names(tmp_path) == [os.path.basename(path)]


def test_time_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EAST-14:30")
    time.tzset()
    assert SavedFiles(f"{tmp_path}/$d$m-$H$M$S-$w-$j").put([], "x", NOW, PID) == f"{tmp_path}/0207-003003-4-183"


def test_random_characters_are_all_of_them(tmp_path: Path) -> None:
    path = SavedFiles(f"{tmp_path}/{'$' * 100}/{'$' * 200}").put([], "x", NOW, PID)
    characters = set("".join(Path(path).parts[-2:]))
    assert characters <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert len(characters) > 25


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("invoice.exe", "invoice.exe"),
        ("a b  c", "a_b_c"),
        ("a___b_ _c", "a_b_c"),
        ("Rechnung Größe Österreich.pdf", "Rechnung_Grosse_Osterreich.pdf"),
        ("ÀÉÎÕÜñçÿÝ", "AEIOUncyY"),
        ("ÆØÐÞæøðþß", "AEODTHaeodthss"),
        ("\uff2d\uff21\uff30.exe", "MAP.exe"),
        ("счёт.exe", "_.exe"),
        ("文件", "_"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\Users\\x.exe", "C_Users_x.exe"),
        ("a\u2100b", "aa_cb"),  # its compatibility form holds a slash
        (".profile", "profile"),
        ("...", "unnamed"),
        ("", "unnamed"),
        ("\u0301" * 500, "unnamed"),
        ("a\0b\nc\x7f\x80", "a_b_c_"),
        ("$F$T", "_F_T"),
        ("\udcff\ud800.x", "_.x"),
        ("x" * 100 + ".exe", "x" * (MAX_NAME - 4) + ".exe"),
        ("." * 100 + "x" * 79, "x" * 79),
        ("-rf", "-rf"),
    ],
)
def test_safe_name(name: str, expected: str) -> None:
    assert safe_name(name) == expected


@given(st.text(st.characters(codec=None) | st.sampled_from("./\\$_ \u0301ß"), max_size=200))
def test_safe_names_are_safe(name: str) -> None:
    safe = safe_name(name)
    assert re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,80}", safe)
    assert "__" not in safe
    assert safe_name(safe) == safe


def test_a_name_cannot_leave_the_directory(tmp_path: Path) -> None:
    store = SavedFiles(f"{tmp_path}/q/$F")
    for name in ("..", "../x", "/etc/x", ".", "a/../../b", "..\\x"):
        assert os.path.dirname(store.put([], name, NOW, PID)) == str(tmp_path / "q")


def test_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = Path(SavedFiles(f"{tmp_path}/a/$Y/x").put([b"x"], "x", NOW, PID))
    finally:
        os.umask(before)
    assert str(path) == f"{tmp_path}/a/2026/x"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_relative_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert SavedFiles("x-$F").put([b"x"], "y", NOW, PID) == "x-y"
    assert names(tmp_path) == ["x-y"]


@pytest.mark.parametrize("template", ["", "/", "/var/tmp/", "/var/tmp/x\0y"])
def test_templates_that_name_no_file(template: str) -> None:
    with pytest.raises(ConfigError, match="expected a template"):
        SavedFiles(template)


def test_taken_names_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = itertools.chain("AAAB", itertools.repeat("C"))
    monkeypatch.setattr(saved, "_random", lambda: next(random))
    target = tmp_path / "target"
    (tmp_path / "q-A").symlink_to(target)  # as an attacker would have it in a directory that all may write to
    (tmp_path / ".q-B").symlink_to(target)
    store = SavedFiles(f"{tmp_path}/q-$")
    assert store.put([b"first"], "x", NOW, PID) == f"{tmp_path}/q-C"
    assert store.put([b"second"], "x", NOW, PID) == f"{tmp_path}/q-C.1"
    assert store.put([b"third"], "x", NOW, PID) == f"{tmp_path}/q-C.2"
    assert [(tmp_path / f"q-C{end}").read_bytes() for end in ("", ".1", ".2")] == [b"first", b"second", b"third"]
    assert not target.exists()


def test_no_name_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "_NUMBERS", 2)
    store = SavedFiles(f"{tmp_path}/$F")
    assert [store.put([], "x", NOW, PID) for _ in range(3)] == [f"{tmp_path}/x{end}" for end in ("", ".1", ".2")]
    with pytest.raises(FileExistsError, match=rf"saved files: cannot create {tmp_path}/x\.2: no name that the template gives is free"):
        store.put([], "x", NOW, PID)
    assert names(tmp_path) == ["x", "x.1", "x.2"]


def test_file_in_the_way_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"")
    with pytest.raises(OSError, match=f"saved files: cannot create {tmp_path}/q: something else has this name"):
        SavedFiles(f"{tmp_path}/q/x").put([b"x"], "x", NOW, PID)


def test_name_too_long_for_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="saved files: cannot create") as caught:
        SavedFiles(f"{tmp_path}/{'x' * 250}-$F").put([b"x"], "name", NOW, PID)
    assert caught.value.errno == errno.ENAMETOOLONG


def test_file_too_large_for_the_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=rf"saved files: cannot write {tmp_path}/\.x: File too large"):
            SavedFiles(f"{tmp_path}/x").put([b"x" * 600] * 3, "x", NOW, PID)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("call", ["write", "fsync", "close", "open", "mkdir", "link"])
def test_any_failing_call_leaves_nothing(tmp_path: Path, call: str, at: int) -> None:
    trouble = ""
    with failing_call(call, at) as calls:
        try:
            SavedFiles(f"{tmp_path}/q/x").put([b"a", b"b"], "x", NOW, PID)
        except OSError as error:
            trouble = str(error)
    assert (len(calls) > at) == bool(trouble)
    assert names(tmp_path) == ([] if trouble else ["q/x"])
    assert not trouble or ("saved files: cannot" in trouble and str(tmp_path) in trouble)


def test_durable_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.fsync

    def fsync(fd: int) -> None:
        seen.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    SavedFiles(f"{tmp_path}/q/x").put([b"a"], "x", NOW, PID)
    assert seen == [".", "q/.x", "q", "."]


def test_processes_get_files_of_their_own(tmp_path: Path) -> None:
    """One random character for eighty files: most must go on to the numbers."""
    store = SavedFiles(f"{tmp_path}/att-$")

    def work(number: int) -> None:
        for round_ in range(10):
            store.put([b"%d " % number, b"%d" % round_], "x", NOW, PID)

    in_processes(8, work)
    content = sorted(path.read_bytes() for path in tmp_path.iterdir())
    assert content == sorted(b"%d %d" % (number, round_) for number in range(8) for round_ in range(10))
