"""What the exceptions say, and the exit codes that callers rely on."""

from __future__ import annotations

import os

import pytest

from lazaretto import errors
from lazaretto.model import Reason


def test_exit_codes_are_those_of_sysexits() -> None:
    assert (errors.EX_OK, errors.EX_USAGE, errors.EX_NOINPUT) == (os.EX_OK, os.EX_USAGE, os.EX_NOINPUT)
    assert (errors.EX_TEMPFAIL, errors.EX_CONFIG) == (os.EX_TEMPFAIL, os.EX_CONFIG)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.ConfigError("unknown key"), "unknown key"),
        (errors.ConfigError("unknown key", "a.toml"), "a.toml: unknown key"),
        (errors.ConfigError("unknown key", "a.toml", 7), "a.toml:7: unknown key"),
        (errors.LimitExceeded("max_depth"), "max_depth reached"),
        (errors.LimitExceeded("max_depth", "51"), "max_depth reached: 51"),
        (errors.EngineError(Reason.DOWN, "refused"), "refused"),
    ],
)
def test_text(error: errors.LazarettoError, text: str) -> None:
    assert str(error) == text
    assert isinstance(error, errors.LazarettoError)
