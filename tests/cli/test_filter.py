"""`lazaretto filter`: its command line.  What the process promises is tested in tests/frontends/test_stdio.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.cli import filter as command
from lazaretto.cli import setup
from lazaretto.errors import ConfigError
from lazaretto.frontends import stdio
from lazaretto.model import Envelope
from lazaretto.scan.job import Scanner


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(setup, "to_stderr", lambda text, level=6: lines.append(text))
    return lines


@pytest.fixture
def envelopes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Envelope]:
    """Envelopes of the filters that would have been run."""
    run: list[Envelope] = []

    def fake(scanner: Scanner, envelope: Envelope, log: stdio.Log) -> int:
        run.append(envelope)
        return 0

    monkeypatch.setattr(stdio, "run", fake)
    config = tmp_path / "c.toml"
    config.write_text("")
    monkeypatch.setenv("LAZARETTO_CONFIG", str(config))
    return run


@pytest.mark.parametrize(
    ("arguments", "envelope"),
    [
        ([], Envelope()),
        (["-f", "a@example.org"], Envelope(b"a@example.org")),
        (["-f", "<a@example.org>"], Envelope(b"a@example.org")),
        (["-f", ""], Envelope(b"")),
        (["-f", "<>"], Envelope(b"")),
        (["--sender=a@b", "-r", "c@d", "--recipient", "e@f"], Envelope(b"a@b", (b"c@d", b"e@f"))),
        (["--client", "192.0.2.1", "--queue-id", "Q"], Envelope(None, (), "192.0.2.1", b"", "Q")),
        (["-f", "gr\u00fc\u00df@example.org"], Envelope("gr\u00fc\u00df@example.org".encode())),
        (["-f", "\udcff@example.org"], Envelope(b"\xff@example.org")),
    ],
)
def test_the_envelope(arguments: list[str], envelope: Envelope, envelopes: list[Envelope], tmp_path: Path) -> None:
    assert command.run(["--engine", "none", "--state-dir", str(tmp_path), *arguments]) == 0
    assert envelopes == [envelope]


def test_a_wrong_option(said: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.run(["--nonsense\n"])
    assert ended.value.code == 75
    (line,) = said
    assert line.startswith("lazaretto: outcome=deferred rule=command-line error=")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("error", "status", "rule"),
    [
        (ConfigError("wrong", "/etc/x", 3), 78, "configuration"),
        (ImportError("no yara_x"), 75, "system"),
        (OSError(5, "broken"), 75, "system"),
        (MemoryError(), 75, "system"),
        (KeyboardInterrupt(), 75, "system"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_wrong_at_the_start(
    error: BaseException, status: int, rule: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Scanner:
        raise error

    monkeypatch.setattr(setup, "scanner", fail)
    assert command.run([]) == status
    (line,) = said
    assert line.startswith(f"lazaretto: outcome=deferred rule={rule} error=")


def test_engines_are_closed_whatever_happens(envelopes: list[Envelope], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(Scanner, "close", lambda self: closed.append(True))
    command.run(["--engine", "none", "--state-dir", str(tmp_path)])
    assert closed == [True]
