"""The systemd units, as systemd itself reads and judges them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import peers

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
UNITS = ("lazaretto.service", "lazaretto.socket", "lazaretto-milter.socket")
MAX_EXPOSURE = 2.0


def copied(folder: Path) -> list[str]:
    """The units, for a machine on which there is no Lazaretto."""
    found = []
    for name in UNITS:
        text = (PACKAGING / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("/usr/bin/lazaretto", "/bin/true").replace("man:lazaretto(1)", "https://example.org/"))
        found.append(str(folder / name))
    return found


def test_no_line_is_unknown(tmp_path: Path) -> None:
    analyze = peers.require("systemd-analyze")
    done = subprocess.run([analyze, "verify", *copied(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in done.stderr.splitlines() if "lazaretto" in line] == []


def test_little_is_exposed(tmp_path: Path) -> None:
    analyze = peers.require("systemd-analyze")
    command = [analyze, "security", "--offline=true", "--no-pager", copied(tmp_path)[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"Overall exposure level for lazaretto.service: ([0-9.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) < MAX_EXPOSURE


def test_what_belongs_together() -> None:
    service, sockets, milter = ((PACKAGING / name).read_text(encoding="utf-8") for name in UNITS)
    assert "\nType=notify\n" in service
    assert "\nNotifyAccess=main\n" in service
    assert "\nKillMode=mixed\n" in service
    assert "\nFileDescriptorName=smtp\n" in sockets
    assert "\nFileDescriptorName=milter\nService=lazaretto.service\n" in milter
    assert "\nAccept=" not in sockets + milter
