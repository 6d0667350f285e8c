"""`lazaretto setup`: hands on to the mail system's own command."""

from __future__ import annotations

import pytest

from lazaretto.cli import setup_command


def test_postfix(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_command.run(["postfix", "before-queue"]) == 0
    assert "smtpd_proxy_filter=127.0.0.1:10025" in capsys.readouterr().out


def test_sendmail(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_command.run(["sendmail"]) == 0
    assert "INPUT_MAIL_FILTER(`lazaretto'" in capsys.readouterr().out


@pytest.mark.parametrize("args", [[], ["exim"], ["--apply"]])
def test_anything_else(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_command.run(args) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lazaretto setup: expected one of postfix, sendmail")
    assert err.endswith("usage: lazaretto setup {postfix,sendmail} ...\n")
    assert all(repr(arg) in err for arg in args)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_command.run(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: lazaretto setup")
