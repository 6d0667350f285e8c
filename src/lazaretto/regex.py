"""Regular expressions that are compiled when they are first used.

    _END = regex.compile(rb"\\n\\r*\\n")     at the top of a module, as with re.compile

A filter process reads one message.  Compiling a pattern takes longer than
matching it against a message does, and honest mail never needs most of ours.

Errors:  re.error at the first use; tests/test_regex.py compiles every pattern of the package.
See:     docs/architecture.md "Start-up"
"""

from __future__ import annotations

import re
from typing import AnyStr, cast

_METHODS = ("finditer", "findall", "fullmatch", "match", "search", "split", "sub")


class _Pattern:
    """Stands for a re.Pattern: the first look at an attribute compiles, later ones find the pattern's own methods here."""

    __slots__ = ("_flags", "_source", *_METHODS)

    def __init__(self, source: str | bytes, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> object:  # called for what is not set yet
        compiled = re.compile(self._source, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def compile(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:  # noqa: A001 - called as regex.compile
    """re.compile, put off until the pattern is used."""
    return cast("re.Pattern[AnyStr]", _Pattern(pattern, flags))
