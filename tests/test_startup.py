"""What the stdin filter imports: names, not milliseconds, so it never flakes.

A filter is started once for each message.  Each of these modules costs it more
than reading the message does (docs/architecture.md "Start-up").
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = b"Content-Type: text/html\r\n\r\n<p onclick=x>Hi\r\n"
MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nJust text.\r\n"
HEAVY = {"asyncio", "dataclasses", "email", "http", "importlib.metadata", "inspect", "json", "logging"}
HEAVY |= {
    "multiprocessing",
    "olefile",
    "libarchive",
    "rich",
    "sqlite3",
    "ssl",
    "subprocess",
    "tarfile",
    "unittest",
    "urllib.request",
    "zipfile",
}


def imported(home: Path, *options: str, message: bytes = MESSAGE) -> set[str]:
    """Names of all modules that one run of the filter imports; `site` with its .pth files is left out by -I -S."""
    source = Path(__file__).resolve().parent.parent / "src"
    site = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    start = f"import sys; sys.path[:0] = {[str(source), *site]!r}; from lazaretto.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", "-c", start, "filter", "--state-dir", str(home), *options],
        input=message,
        capture_output=True,
        env={"HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_CACHE_HOME": str(home), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert message in done.stdout or message is PAGE
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr.decode(), re.MULTILINE))


@pytest.mark.parametrize("engine", ["none", "yara"])
def test_the_filter_imports_nothing_heavy(tmp_path: Path, engine: str) -> None:
    imported(tmp_path, "--engine", engine)  # the first run may compile and store rules
    names = imported(tmp_path, "--engine", engine)
    assert "lazaretto.frontends.stdio" in names
    assert {name for name in names if name in HEAVY or name.startswith("asyncio.")} == set()


def test_no_engine_loads_no_engine(tmp_path: Path) -> None:
    assert "yara_x" not in imported(tmp_path, "--engine", "none")


def test_pages_are_read_only_where_that_is_wanted(tmp_path: Path) -> None:
    """Neither a page that nobody wants to have sanitised nor a text loads what reads pages."""
    config = tmp_path / "lazaretto.toml"
    config.write_text("[html]\nprofile = 'scripts'\n")
    wanted = ("--engine", "none", "--config", str(config))
    for options, message, loaded in ((("--engine", "none"), PAGE, False), (wanted, MESSAGE, False), (wanted, PAGE, True)):
        names = imported(tmp_path, *options, message=message)
        assert any(name.startswith("lazaretto.sanitize.html_") for name in names) is loaded
        assert loaded or {name for name in names if name in HEAVY} == set()


def test_documents_are_taken_apart_only_where_that_is_wanted(tmp_path: Path) -> None:
    config = tmp_path / "lazaretto.toml"
    config.write_text("[disarm]\nformats = ['ooxml', 'ole', 'rtf', 'pdf']\n")
    names = imported(tmp_path, "--engine", "none", "--config", str(config))
    assert not {name for name in names if name.startswith("lazaretto.sanitize.disarm_") and name != "lazaretto.sanitize.disarm_pdf"}
    assert "pikepdf" not in names
    assert not {name for name in imported(tmp_path, "--engine", "none") if "disarm_" in name}


def test_python_dash_m(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lazaretto", "filter", "--engine", "none"],
        input=MESSAGE,
        capture_output=True,
        cwd=Path(__file__).resolve().parent.parent / "src",
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert MESSAGE in done.stdout
