"""The sanitizer's lines and the files they name, from a real disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lazaretto.cli import sanitizer
from lazaretto.legacy.fprot_conf import Conf, read
from lazaretto.legacy.page import Page
from lazaretto.policy.config import parse

CONF: Conf = read(b"", "f-prot.conf", {})


def test_files_below_a_directory(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("score_bad = 7\nfeat_kill_tnef = 1\n")
    page = Page()
    (note,) = sanitizer.translate(page, ("one",), str(tmp_path), CONF)
    assert note.startswith("feat_kill_tnef (one:2) has no effect: ")
    assert parse([("page", page.text())]).policy.alarm_changes == 7


def test_for_its_own_program() -> None:
    page = Page()
    sanitizer.translate(page, ("score_bad = 1",))
    assert "file_list_7" in page.text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "Cannot read nonsense: No such file or directory [0] Error in argument 2."),
        ("file_list_1_policy = nonsense", "file_list_1_policy (argument 2): expected one of"),
    ],
)
def test_wrong_lines_come_with_what_was_read(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(sanitizer.WrongLines) as wrong:
        sanitizer.translate(Page(), ("score_bad = 7", line), str(tmp_path), CONF)
    assert message in wrong.value.message
    assert "score_bad = 7\n" in wrong.value.dump
    assert "feat_html = 0\n" in wrong.value.dump


def test_a_plain_file_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert sanitizer.read_plain(str(tmp_path / "file"), 4) == b"0123"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="not a plain file"):
        sanitizer.read_plain("/dev/null", 4)
