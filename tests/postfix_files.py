"""A configuration directory of Postfix for tests that change it: what stands in it before, and what postconf(1) reads afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lazaretto.cli.postconf import Postconf
from peers import require

Run = Callable[..., tuple[int, str]]  # of a command: exit status and what it said

MAIN = "compatibility_level = 3.6\n# A remark.\nmyhostname = mail.example\n"
MASTER = """\
# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp inet n - y - - smtpd
submission inet n - y - - smtpd
    -o smtpd_sasl_auth_enable=yes
pickup unix n - y 60 1 pickup
cleanup unix n - y - 0 cleanup
# A remark.
relay unix - - y - - smtp
"""


def contents(etc: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in etc.iterdir()}


def postconf(etc: Path) -> Postconf:
    for path in etc.glob("*.cf"):
        os.utime(path, (0, 0))  # Postfix waits for young files to settle
    return Postconf(require("postconf"), str(etc))


def options(etc: Path, key: str) -> dict[str, str]:
    return next(entry.options for entry in postconf(etc).entries() if entry.key == key)
