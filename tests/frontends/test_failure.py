"""What the log says of a failure."""

from __future__ import annotations

import pytest

from lazaretto.errors import ConfigError, LimitExceeded, RemoteProtocolError
from lazaretto.frontends import failure


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            LimitExceeded("max_message_bytes", "more than 5"),
            "max_message_bytes reached: more than 5; raise it in [limits] if such mail is wanted",
        ),
        (OSError(28, "cannot write a spool file in /x: No space left"), "cannot write a spool file in /x: No space left"),
        (OSError(2, "No such file", "/x"), "[Errno 2] No such file: '/x'"),
        (OSError("cannot store"), "cannot store"),
        (OSError(), "OSError"),
        (TimeoutError(), "TimeoutError"),
        (ConfigError("expected x", "f", 3), "f:3: expected x"),
        (RemoteProtocolError("nonsense"), "nonsense"),
        (MemoryError(), "out of memory"),
        (KeyError("x"), "internal error, please report: KeyError: 'x'"),
    ],
)
def test_reason(error: BaseException, text: str) -> None:
    assert failure.reason(error) == text


def test_a_bug_is_named_with_its_place() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError("y")
    assert failure.reason(raised.value).startswith("internal error, please report: ZeroDivisionError: y (test_failure.py:")
