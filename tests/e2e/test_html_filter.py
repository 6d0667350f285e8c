"""The filter as a process, with a configuration that wants pages sanitised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lazaretto.scan.report import json_line

HEAD = b"From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
PAGE = HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n<p onclick=x>Gr\xc3\xbc\xc3\x9fe<img src=http://192.0.2.1/>\r\n"


def filtered(home: Path, profile: str, message: bytes) -> tuple[bytes, str]:
    config = home / "lazaretto.toml"
    config.write_text(f"[html]\nprofile = '{profile}'\n[headers]\nstatus_field = ''\n")
    command = [sys.executable, "-m", "lazaretto", "filter", "--engine", "none", "--config", str(config), "--state-dir", str(home)]
    done = subprocess.run(command, input=message, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.decode().splitlines()
    return done.stdout, line


@pytest.mark.parametrize(
    ("profile", "rest", "findings"),
    [
        ("scripts", b'\r\n<p>Gr&#252;&#223;e<img src="http://192.0.2.1/">\r\n', "html.handler(html,message)"),
        ("remote", b"\r\n<p>Gr&#252;&#223;e<img>\r\n", "html.handler(html,message) html.remote(html,message)"),
        ("text", b"\r\nGr=C3=BC=C3=9Fe\r\n", "html.handler(html,message) html.page(html,message)"),
    ],
)
def test_profiles(tmp_path: Path, profile: str, rest: bytes, findings: str) -> None:
    output, line = filtered(tmp_path, profile, PAGE)
    assert output.startswith(HEAD)
    assert output.endswith(rest)
    facts = json_line(line)
    assert '"outcome": "cleaned"' in facts
    assert '"disarmed": "message"' in facts
    assert f'"findings": "{findings}"' in facts
    assert [path.read_bytes() for path in (tmp_path / "quarantine").rglob("*.eml")] == [PAGE]
    if profile != "text":
        assert filtered(tmp_path, profile, output)[0] == output


def test_off(tmp_path: Path) -> None:
    output, line = filtered(tmp_path, "off", PAGE)
    assert output == PAGE
    assert "outcome=clean " in line
