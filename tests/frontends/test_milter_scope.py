"""{FP_SCANONLY}: regular expressions with colons between them, for recipients."""

from __future__ import annotations

import pytest

from lazaretto.frontends.milter_scope import MAX_ADDRESS, MAX_EXPRESSIONS, wanted
from lazaretto.model import Envelope

TO = Envelope(b"s@example.org", (b"joe@example.org", b"ann@example.net"))


@pytest.mark.parametrize(("expressions", "scan"), [
    (None, True),
    (b"", True),
    (b":", True),
    (b"example\\.net$", True),
    (b"^nobody@", False),
    (b"^nobody@:^JOE@", True),
    (b"^nobody@:(", True),  # no expression: scan
    (b"(?:x)", True),  # taken apart at its colon, so none either
    (b"\xff", False),
    (b":".join([b"^nobody@"] * MAX_EXPRESSIONS), False),
    (b":".join([b"^nobody@"] * (MAX_EXPRESSIONS + 1)), True),
])  # fmt: skip
def test_which_messages(expressions: bytes | None, scan: bool) -> None:
    assert wanted(expressions, TO) is scan


def test_without_recipients_everything_is_scanned() -> None:
    assert wanted(b"^nobody@", Envelope())


def test_a_long_address_is_cut() -> None:
    assert not wanted(b"tail$", Envelope(None, (b"x" * MAX_ADDRESS + b"tail",)))


def test_what_python_cannot_compile_means_scan() -> None:
    assert wanted(b"(" * 5000 + b")" * 5000, TO)
    assert wanted(b"x{99999999999999999999}", TO)
