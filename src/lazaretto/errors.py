"""Exceptions and exit codes.

Four things go wrong, and each has its own form (docs/architecture.md):

- the message is bad:   data.  Anomalies on a Part, or a Finding; never raised.
- a limit was reached:  LimitExceeded inside a reader, a Finding outside it.
- an engine failed:     EngineError, caught once per engine and part, a Finding.
- we were told nonsense: ConfigError (file, line, what was expected), exit 78.

Everything else is a bug: it ends one job, and the message stays with the caller.

See: sysexits.h for the exit codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazaretto.model import Reason

EX_OK = 0
EX_USAGE = 64
EX_NOINPUT = 66
EX_TEMPFAIL = 75  # "user is invited to retry": the caller keeps its mail
EX_CONFIG = 78


class LazarettoError(Exception):
    """Parent of all our own exceptions."""


class LimitExceeded(LazarettoError):
    """A reader reached a limit.  `limit` is the field's name in limits.Limits."""

    def __init__(self, limit: str, detail: str = "") -> None:
        super().__init__(f"{limit} reached" + (f": {detail}" if detail else ""))
        self.limit = limit
        self.detail = detail


class EngineError(LazarettoError):
    """An engine could not answer about one item; temporary unless policy says otherwise."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class ConfigError(LazarettoError):
    """The configuration is wrong: where, and what was expected instead."""

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + message)
        self.message = message
        self.file = file
        self.line = line


class RemoteProtocolError(LazarettoError):
    """The peer broke its protocol."""


class LocalProtocolError(LazarettoError):
    """We used a protocol machine wrongly: a bug."""
